//! Circuits of products, quotients, comparisons, softmaxes, embeddings and views.

use zkernel_gadgets::model::{Along, Function, Geometry, Interval, Op, Piece, Table, Visibility};

use super::circuits::{Sample, weights};
use super::sketch::{Sketch, range, table};

const PRIVATE: Visibility = Visibility::Private;
const PUBLIC: Visibility = Visibility::Public;
const WIDE: Interval = Interval::new(-1 << 30, 1 << 30);

/// Queries and keys of one input, exponentials of their products less the maximum, normalised, times values.
pub fn attention() -> Sample {
    // Row 0 times row 0 and row 0 times row 1 are equal: two maxima.
    let x = vec![3, -2, 5, 5, 1, 5];
    let (mut sketch, id) = Sketch::new(&[1, 2, 3], Interval::new(-8, 7), PRIVATE);
    let keys = sketch.transpose("transposed", id, &[0, 2, 1]);
    let scores = sketch.op("scores", Op::MatMul, &[id, keys], &[1, 2, 2], WIDE);
    let exp = table(Function::Exp, -100, 0, 1.0 / 16.0, 1.0 / 64.0);
    let values = exp.values();
    let exp = Op::MaxTable {
        table: sketch.table(exp),
    };
    let e = sketch.op("exponentials", exp, &[scores], &[1, 2, 2], values);
    let all = Piece {
        input: 0,
        scale: 1,
        axes: vec![Along::whole(1, 0), Along::whole(2, 1), Along::repeated(1)],
    };
    let sum = Op::Affine {
        pieces: vec![all],
        constant: 0,
    };
    let sum = sketch.op("sum", sum, &[e], &[1, 2, 1], Interval::new(1, 200));
    let inverse = Op::Reciprocal { numerator: 1 << 13 };
    let inverse = sketch.op(
        "inverse",
        inverse,
        &[sum],
        &[1, 2, 1],
        Interval::new(0, 1 << 13),
    );
    let repeated = Piece::broadcast(0, 1, &[1, 2, 1], &[1, 2, 2]);
    let repeated = Op::Affine {
        pieces: vec![repeated],
        constant: 0,
    };
    let inverse = sketch.op("repeated", repeated, &[inverse], &[1, 2, 2], WIDE);
    let p = sketch.op("weights", Op::Product, &[e, inverse], &[1, 2, 2], WIDE);
    let p = sketch.requantize("rounded", p, 7, range(0, 50));
    let y = sketch.op("mix", Op::MatMul, &[p, id], &[1, 2, 3], WIDE);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    Sample {
        name: "attention",
        circuit,
        x,
    }
}

/// A wide input compared with thresholds, and a choice by the result.
pub fn comparison() -> Sample {
    let x = vec![70_001, -70_000, 12_345];
    let (mut sketch, id) = Sketch::new(&[3], Interval::new(-1 << 17, (1 << 17) - 1), PRIVATE);
    let threshold = sketch.constant("threshold", &[3], vec![70_000, -70_000, 20_000]);
    let difference = Op::add([&[3], &[3]], [1, -1], &[3]);
    let difference = sketch.op("difference", difference, &[id, threshold], &[3], WIDE);
    let above = Op::Positive { bits: 17 };
    let above = sketch.op("above", above, &[difference], &[3], Interval::new(0, 1));
    let chosen = sketch.op("chosen", Op::Product, &[above, id], &[3], WIDE);
    let raised = Op::Affine {
        pieces: vec![Piece::broadcast(0, 1, &[3], &[3])],
        constant: 5,
    };
    let raised = sketch.op("raised", raised, &[chosen], &[3], WIDE);
    let y = sketch.dense("fc", raised, weights(6, 9), &[1, 2]);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    Sample {
        name: "comparison",
        circuit,
        x,
    }
}

/// A wide score of which nothing is shown but that one of its values reaches a threshold and the other does not exceed one.
pub fn asserted() -> Sample {
    let x = vec![70_001, -70_000];
    let (mut sketch, id) = Sketch::new(&[1, 2], Interval::new(-1 << 17, (1 << 17) - 1), PRIVATE);
    let sides = [("passes", 0, 1, -70_000), ("stays below", 1, -1, -69_990)];
    let mut last = id;
    for (name, element, scale, constant) in sides {
        let along = |axis, from| Along {
            first: 0,
            len: 1,
            step: 1,
            source: Some((axis, from, 1)),
        };
        let piece = Piece {
            input: 0,
            scale,
            axes: vec![along(0, 0), along(1, element)],
        };
        let margin = Op::Affine {
            pieces: vec![piece],
            constant,
        };
        let margin = sketch.op(&format!("{name}/margin"), margin, &[id], &[1, 1], WIDE);
        let says = Op::Positive { bits: 18 };
        last = sketch.op(name, says, &[margin], &[1, 1], Interval::new(1, 1));
    }
    let circuit = sketch.circuit(last, PUBLIC, 5);
    Sample {
        name: "asserted",
        circuit,
        x,
    }
}

/// Rows of a secret matrix, positions added; every other token, reversed, padded and repeated.
pub fn embedding() -> Sample {
    let x = vec![2, 0, 1, 2];
    let (mut sketch, id) = Sketch::new(&[4], Interval::new(0, 2), PRIVATE);
    let rows = sketch.weight("words", 3, 3, weights(9, 9));
    let gather = Op::Gather { weights: rows };
    let words = sketch.op("words", gather, &[id], &[4, 3], Interval::new(-16, 15));
    let positions = sketch.constant("positions", &[4, 3], weights(12, 9));
    let sum = Op::add([&[4, 3], &[4, 3]], [3, -2], &[4, 3]);
    let sum = sketch.op("sum", sum, &[words, positions], &[4, 3], WIDE);
    let along = |first, len, step, source| Along {
        first,
        len,
        step,
        source,
    };
    let tokens = |first, from| Piece {
        input: 0,
        scale: 1,
        axes: vec![
            along(first, 2, 2, Some((0, from, 2))),
            along(1, 3, 1, Some((1, 0, 1))),
            along(0, 2, 1, None),
        ],
    };
    let swapped = Op::Affine {
        pieces: vec![tokens(0, 1), tokens(1, 0)],
        constant: 5,
    };
    let view = sketch.op("view", swapped, &[sum], &[4, 5, 2], WIDE);
    let rounded = sketch.requantize("rounded", view, 2, range(-32, 31));
    let every = Piece {
        input: 0,
        scale: 1,
        axes: vec![
            along(0, 2, 1, Some((0, 1, 2))),
            along(0, 5, 1, Some((1, 0, 1))),
        ],
    };
    let reduced = Op::Affine {
        pieces: vec![every],
        constant: 0,
    };
    let reduced = sketch.op("reduced", reduced, &[rounded], &[2, 5], WIDE);
    let y = sketch.dense("fc", reduced, weights(10, 9), &[1, 2]);
    let circuit = sketch.circuit(y, PUBLIC, 6);
    Sample {
        name: "embedding",
        circuit,
        x,
    }
}

/// An output that another layer reads too: the layer gets cells of its own.
pub fn shown() -> Sample {
    let x = vec![3, -2];
    let (mut sketch, id) = Sketch::new(&[1, 2], Interval::new(-8, 8), PRIVATE);
    let acc = sketch.dense("fc1", id, vec![1, 2, 3, 4], &[20, 5]);
    sketch.dense("fc2", acc, vec![1, 2], &[7]);
    let circuit = sketch.circuit(acc, PUBLIC, 5);
    Sample {
        name: "shown",
        circuit,
        x,
    }
}

fn split(low: u32, table: &Table) -> Table {
    Table {
        low,
        ..table.clone()
    }
}

/// ReLU and a sigmoid by lines.
pub fn lines() -> Sample {
    let x = vec![3, -2, 5];
    let (mut sketch, id) = Sketch::new(&[1, 3], Interval::new(-8, 7), PUBLIC);
    let acc = sketch.dense("fc1", id, weights(12, 30), &[400, 500, 410, 450]);
    let relu = split(3, &table(Function::Relu, -32, 31, 1.0, 1.0));
    let hidden = sketch.requantize("relu", acc, 5, relu);
    let acc = sketch.dense("fc2", hidden, weights(8, 25), &[100, -100]);
    let sigmoid = split(
        2,
        &table(Function::Sigmoid, -64, 63, 1.0 / 16.0, 1.0 / 1024.0),
    );
    let y = sketch.requantize("sigmoid", acc, 6, sigmoid);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "lines";
    Sample { name, circuit, x }
}

/// Exponentials of distances to a maximum, by lines; two maxima in a row.
pub fn distances() -> Sample {
    let x = vec![3, -2, 3, 7, 1, -8];
    let (mut sketch, id) = Sketch::new(&[2, 3], Interval::new(-8, 7), PRIVATE);
    let exp = split(2, &table(Function::Exp, -31, 0, 1.0 / 4.0, 1.0 / 64.0));
    let values = exp.values();
    let exp = Op::MaxTable {
        table: sketch.table(exp),
    };
    let y = sketch.op("exponentials", exp, &[id], &[2, 3], values);
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "distances";
    Sample { name, circuit, x }
}

/// A split range, and a running maximum by lines.
pub fn limbs() -> Sample {
    let x: Vec<i64> = (0..15).map(|i| (i * 5) % 7 - 3 + i % 2).collect();
    let (mut sketch, id) = Sketch::new(&[1, 1, 3, 5], Interval::new(-8, 7), PRIVATE);
    let point = Geometry::window([1, 1], [1, 1]);
    sketch.limb_bits(4);
    let acc = sketch.conv("conv", id, (point, 1), vec![31], &[45]);
    let coarse = sketch.requantize("coarse", acc, 1, split(4, &range(-128, 127)));
    let window = Geometry::window([2, 1], [2, 2]);
    let relu = split(3, &table(Function::Relu, -64, 63, 1.0, 1.0));
    let table = sketch.table(relu);
    let shift = 2;
    let fused = Op::RequantizeMax {
        shift,
        table,
        geometry: window,
    };
    let y = sketch.op(
        "fused",
        fused,
        &[coarse],
        &[1, 1, 1, 3],
        Interval::new(0, 63),
    );
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "limbs";
    Sample { name, circuit, x }
}

/// Square roots of squares, of what lies just below and above them, and of accumulators.
pub fn roots() -> Sample {
    let x = vec![16, 17, 24, 0, 200];
    let (mut sketch, id) = Sketch::new(&[1, 5], Interval::new(0, 200), PRIVATE);
    let y = sketch.op("root", Op::Root, &[id], &[1, 5], Interval::new(0, 15));
    let raised = Op::Affine {
        pieces: vec![Piece::broadcast(0, 9, &[1, 5], &[1, 5])],
        constant: 5,
    };
    let raised = sketch.op("raised", raised, &[y], &[1, 5], Interval::new(0, 140));
    let y = sketch.op("again", Op::Root, &[raised], &[1, 5], Interval::new(0, 15));
    let circuit = sketch.circuit(y, PUBLIC, 5);
    let name = "roots";
    Sample { name, circuit, x }
}
