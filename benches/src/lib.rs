//! Benchmarks of zkernel.
