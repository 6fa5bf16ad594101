//! Files that lie about how much they hold are refused within the memory that they are worth.
//!
//! One test in a binary of its own: the allocator's limit is that of the process, and memory beyond it aborts.

use std::alloc::System;
use std::fs;
use std::path::PathBuf;

use cap::Cap;
use pasta_curves::{EqAffine, Fp};
use zkernel_gadgets::files::{PublicModel, SecretModel};
use zkernel_gadgets::model::{
    Function, Geometry, Graph, Interval, Node, Op, Table, TableId, Tensor, TensorId, Visibility,
    Weight, WeightId, WeightValues, lower,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that a decoder may take for each byte of its input, and for none.
const PER_BYTE: usize = 48;
const AT_LEAST: usize = 1 << 16;
/// Bytes that a key which is refused, or lowered, may take.
const LOWERING: usize = 1 << 29;

fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + bytes).unwrap();
    let result = work();
    ALLOCATOR.set_limit(usize::MAX).unwrap();
    result
}

#[test]
fn lies_are_refused_within_bounds() {
    lengths_that_lie();
    hostile_graphs();
}

/// Eight bytes of every seed, at some thousand places, replaced by 0, 2^31, 2^63 and all ones.
fn lengths_that_lie() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds/file_decode");
    let mut decoded = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        let step = 1 + seed.len() / 1000;
        for at in (0..seed.len().saturating_sub(8)).step_by(step) {
            for lie in [0, 1 << 31, 1 << 63, u64::MAX] {
                let mut bytes = seed.clone();
                bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(lie));
                decoded += within(AT_LEAST + PER_BYTE * bytes.len(), || {
                    let key = PublicModel::<EqAffine>::decode(&bytes).is_ok();
                    let model = SecretModel::<EqAffine>::decode(&bytes).is_ok();
                    usize::from(key || model)
                });
            }
        }
    }
    assert!(decoded > 0, "some lies do no harm");
}

/// Graphs of a few hundred bytes or nodes that would take a machine's memory or hours: refused when they are decoded, or
/// when they are lowered, by an error that says why.
fn hostile_graphs() {
    let mut magic = Vec::new();
    for (name, graph, problem) in hostile() {
        let key = PublicModel::<EqAffine> {
            log_n: 8,
            public_weights: WeightValues(vec![Vec::new(); graph.weights.len()]),
            graph,
            commitments: Vec::new(),
            registration: Vec::new(),
        };
        let bytes = key.encode();
        magic = bytes[..8].to_vec();
        let refused = within(LOWERING, || match PublicModel::<EqAffine>::decode(&bytes) {
            Err(error) => Some(error.to_string()),
            Ok(key) => lower::<Fp>(&key.graph, key.log_n)
                .err()
                .map(|error| error.to_string()),
        });
        let refused = refused.unwrap_or_else(|| panic!("{name} is accepted"));
        assert!(refused.contains(problem), "{name}: {refused}");
    }
    for log_n in [0, 1, 17, 24, 63, u32::MAX] {
        let mut bytes = magic.clone();
        bytes.extend(log_n.to_le_bytes());
        let error = PublicModel::<EqAffine>::decode(&bytes).unwrap_err();
        assert!(error.to_string().contains("2 to 16"), "{log_n}: {error}");
    }
}

fn tensor(shape: &[usize], range: Interval) -> Tensor {
    Tensor {
        name: "t".into(),
        shape: shape.to_vec(),
        scale: 1.0,
        zero_point: 0,
        range,
        visibility: Visibility::Private,
    }
}

const BYTE: Interval = Interval::new(0, 255);

/// A chain of ops of one input, or of one input twice, with the shape after each.
fn chain(input: &[usize], ops: &[(Op, Vec<usize>)]) -> Graph {
    let mut graph = Graph {
        name: "hostile".into(),
        limb_bits: 8,
        tensors: vec![tensor(input, BYTE)],
        weights: Vec::new(),
        tables: vec![relu(-255, 255)],
        nodes: Vec::new(),
        inputs: vec![TensorId(0)],
        outputs: Vec::new(),
    };
    for (op, shape) in ops {
        let last = TensorId(graph.tensors.len() as u32 - 1);
        let twice = matches!(op, Op::Affine { .. });
        graph.tensors.push(tensor(shape, BYTE));
        graph.nodes.push(Node {
            name: "node".into(),
            op: op.clone(),
            inputs: vec![last; if twice { 2 } else { 1 }],
            output: TensorId(last.0 + 1),
        });
    }
    graph.outputs = vec![TensorId(graph.tensors.len() as u32 - 1)];
    graph
}

fn relu(min: i64, max: i64) -> Table {
    Table {
        function: Function::Relu,
        parameters: [0.0; 2],
        keys: Interval::new(min, max),
        input_scale: 1.0,
        output_scale: 1.0,
        low: 0,
    }
}

fn pool(kernel: usize, stride: usize, padding: usize) -> Geometry {
    Geometry {
        before: [padding; 2],
        after: [padding; 2],
        ..Geometry::window([kernel; 2], [stride; 2])
    }
}

type Hostile = (&'static str, Graph, &'static str);

fn hostile() -> Vec<Hostile> {
    let identity = chain(&[1, 4], &[(Op::Reshape, vec![4])]);
    let with = |change: &dyn Fn(&mut Graph)| {
        let mut graph = identity.clone();
        change(&mut graph);
        graph
    };
    let tables = with(&|g| g.tables = vec![relu(0, (1 << 20) - 1); 5000]);
    let keys = with(&|g| g.tables = vec![relu(0, 1 << 40)]);
    let many = with(&|g| g.tensors.extend(vec![tensor(&[1 << 27], BYTE); 8]));
    let items = with(&|g| g.tensors.extend(vec![tensor(&[1], BYTE); 10_000]));
    let overflow = with(&|g| g.tensors[0].shape = vec![1 << 33, 1 << 33]);
    let weights = with(&|g| g.weights = vec![weight(1 << 14, 1 << 14); 3]);
    let mut graphs = vec![
        ("thousands of large tables", tables, "2^21 rows"),
        ("a table of 2^40 rows", keys, "more than 2^20"),
        ("many large tensors", many, "2^28 elements"),
        ("too many tensors", items, "8,192"),
        ("a shape whose product overflows", overflow, "2^28"),
        ("more weights than memory", weights, "2^28 cells"),
    ];
    graphs.extend(sums());
    graphs.extend(windows());
    graphs
}

fn weight(rows: usize, cols: usize) -> Weight {
    Weight {
        name: "w".into(),
        rows,
        cols,
        scale: 1.0,
        bound: 127,
        visibility: Visibility::Private,
    }
}

/// Every node doubles the terms of the one before, or its factors.
fn sums() -> Vec<Hostile> {
    let add = |scale| {
        let op = Op::add([&[1, 4]; 2], [scale; 2], &[1, 4]);
        (op, vec![1, 4])
    };
    let terms = chain(&[1, 4], &vec![add(1); 60]);
    let factors = chain(&[1, 4], &vec![add((1 << 30) - 1); 3]);
    let sum = Op::SumPool {
        geometry: pool(3, 1, 1),
    };
    let pools = chain(&[1, 1, 8, 8], &vec![(sum, vec![1, 1, 8, 8]); 20]);
    vec![
        ("sums of sums", terms, "1,048,576 terms"),
        ("factors of factors", factors, "60 bits"),
        ("pools of pools", pools, "1,048,576 terms"),
    ]
}

fn windows() -> Vec<Hostile> {
    let fits = "do not fit its operator";
    let tall = Geometry {
        before: [(1 << 16) - 1, 0],
        after: [(1 << 16) - 1, 0],
        ..Geometry::window([1 << 16, 1], [1, 1])
    };
    let tall = Op::SumPool { geometry: tall };
    let padding = chain(&[1, 1, 1, 1], &[(tall, vec![1, 1, 1 << 16, 1])]);
    let taps = Op::MaxPool {
        geometry: pool(300, 1, 0),
        table: TableId(0),
    };
    let taps = chain(&[1, 1, 301, 301], &[(taps, vec![1, 1, 2, 2])]);
    let apart = Op::RequantizeMax {
        shift: 4,
        table: TableId(0),
        geometry: pool(1 << 10, 1 << 12, 0),
    };
    let side = (1 << 12) + (1 << 10);
    let apart = chain(&[1, 1, side, side], &[(apart, vec![1, 1, 2, 2])]);
    let wide = Op::RequantizeMax {
        shift: 4,
        table: TableId(0),
        geometry: pool(60, 60, 0),
    };
    let wide = chain(&[1, 1, 120, 120], &[(wide, vec![1, 1, 2, 2])]);
    let classes = chain(&[1, 1 << 27], &[(Op::ArgMax, vec![1])]);
    let mut overflow = pool(2, 2, 0);
    overflow.before = [usize::MAX; 2];
    let overflow = Op::SumPool { geometry: overflow };
    let overflow = chain(&[1, 1, 4, 4], &[(overflow, vec![1, 1, 2, 2])]);
    let mut conv = chain(&[1, 1, 64, 64], &[(convolution(48), vec![1, 1, 64, 64])]);
    conv.weights = vec![weight(1, 48 * 48)];
    vec![
        ("outputs times taps of 2^32 in padding", padding, fits),
        ("a running maximum of 90,000 taps", taps, "terms"),
        ("windows far apart", apart, fits),
        ("a running maximum of 3,600 taps", wide, "terms"),
        ("an argmax of 2^27 classes", classes, fits),
        ("padding that overflows", overflow, fits),
        ("sums under a wide convolution", sums_under(conv), "terms"),
    ]
}

fn convolution(kernel: usize) -> Op {
    Op::Conv {
        weights: WeightId(0),
        bias: None,
        geometry: Geometry {
            kernel: [kernel; 2],
            after: [kernel - 1; 2],
            ..Geometry::window([1, 1], [1, 1])
        },
        groups: 1,
    }
}

/// The convolution reads a sum of a thousand terms: each tap reads each.
fn sums_under(mut graph: Graph) -> Graph {
    let conv = graph.nodes.remove(0);
    let shape = graph.tensors[0].shape.clone();
    let add = Op::add([&shape; 2], [1, 1], &shape);
    let doubled = chain(&shape, &vec![(add, shape.clone()); 10]);
    let last = doubled.outputs[0];
    let output = TensorId(last.0 + 1);
    let mut tensors = doubled.tensors;
    tensors.push(tensor(&shape, BYTE));
    let mut nodes = doubled.nodes;
    nodes.push(Node {
        inputs: vec![last],
        output,
        ..conv
    });
    Graph {
        tensors,
        nodes,
        outputs: vec![output],
        ..graph
    }
}
