//! Quantized neural-network gadgets: what a network computes on integers, and the constraints that say so.
//!
//! Each gadget has four parts: `float` (the real function it stands for), the integer function (which is also the
//! witness generator, in [`model::run`]), its constraints ([`model::lower`]) and the assignment of its cells
//! ([`model::lower::Lowered::witness`]). The lowering needs no prover: a verifier links this crate without one.
//!
//! ```
//! use pasta_curves::Fp;
//! use zkernel_gadgets::model::*;
//!
//! // y = relu(x) of two numbers in -8..8, x private and y public.
//! let tensor = |name: &str, range, visibility| Tensor {
//!     name: name.into(),
//!     shape: vec![1, 2],
//!     scale: 0.5,
//!     zero_point: 0,
//!     range,
//!     visibility,
//! };
//! let keys = Interval::new(-8, 7);
//! let graph = Graph {
//!     name: "relu".into(),
//!     limb_bits: 8,
//!     tensors: vec![
//!         tensor("x", keys, Visibility::Private),
//!         tensor("y", Interval::new(0, 7), Visibility::Public),
//!     ],
//!     weights: vec![],
//!     tables: vec![Table { function: Function::Relu, parameters: [0.0; 2], keys, input_scale: 1.0, output_scale: 1.0, low: 0 }],
//!     nodes: vec![Node {
//!         name: "relu".into(),
//!         op: Op::Requantize { shift: 0, table: TableId(0) },
//!         inputs: vec![TensorId(0)],
//!         output: TensorId(1),
//!     }],
//!     inputs: vec![TensorId(0)],
//!     outputs: vec![TensorId(1)],
//! };
//! graph.validate()?;
//! let trace = run(&graph, &WeightValues(vec![]), &[vec![-3, 5]], &mut Honest)?;
//! assert_eq!(trace.values[1], [0, 5]);
//!
//! let lowered = lower::<Fp>(&graph, 5)?;
//! assert_eq!(lowered.instances, [TensorId(1)]);
//! assert!(lowered.witness(&trace).iter().any(|(_, cells)| cells == &[-3, 5]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod files;
pub mod model;
pub mod opening;
pub mod table;
