//! Invariants of zkernel as plain functions, for property tests and fuzz targets.
