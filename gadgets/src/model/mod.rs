//! The quantized network: its graph, its integer run, and its lowering to constraints.

pub mod graph;

pub use graph::{
    Function, Graph, Interval, Node, Op, Table, TableId, Tensor, TensorId, Visibility, Weight, WeightId, WeightValues,
};
