//! The quantized network: its graph, its integer run, and its lowering to constraints.

pub mod batch;
pub mod bounds;
pub mod cost;
mod describe;
pub mod encode;
pub mod geometry;
pub mod graph;
mod limbs;
pub mod lower;
mod pieces;
pub mod registration;
pub mod run;
pub mod split;
pub mod statement;
pub mod validate;

pub use bounds::Bounds;
pub use cost::choose_layout;
pub use encode::GraphError;
pub use geometry::Geometry;
pub use graph::{
    Along, Function, Graph, Interval, Node, Op, Piece, Table, TableId, Tensor, TensorId,
    Visibility, Weight, WeightId, WeightValues,
};
pub use lower::{LowerError, Lowered, lower};
pub use registration::{Registration, register};
pub use run::{Assign, Honest, Owner, Role, RunError, Site, Trace, run};
pub use split::{Segment, SplitError};
pub use statement::{Relation, Said, Statement, StatementError};
