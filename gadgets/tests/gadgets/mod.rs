//! Four tests for every gadget: the integers stay within the documented bound of the real function (`rounding`), the
//! circuit accepts exactly the integer run (`exact`), tables and ranges end where they should (`edges`), and every
//! corrupted cell and every missing constraint shows (`cells`, `forgeries`).

mod algebra;
mod cells;
mod chosen;
mod circuits;
mod edges;
mod exact;
mod forgeries;
mod operators;
mod rounding;
mod sketch;
mod windows;
