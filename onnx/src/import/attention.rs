//! Attention as one operator, taken apart: that of ONNX (version 23 on), those of ONNX Runtime (`com.microsoft`), and rotary positions
//! (Su et al., RoFormer, 2021). No shape is needed: what depends on one is computed by nodes that the decoder folds.

use tract_onnx::pb::NodeProto;

use super::attributes::{attribute, int};
use super::emit::{Emit, int as number, real};

/// Queries, keys and values, `batch x heads x length x width`, and what is added to their products.
struct Heads {
    q: String,
    k: String,
    v: String,
    /// Added to scores, broadcast to `batch x heads x length x keys`.
    masks: Vec<String>,
    causal: bool,
    /// Keys before those of the queries' own time.
    past: Option<String>,
    scale: Option<f32>,
    /// What stands for minus infinity.
    masked: f32,
}

impl Emit {
    fn add(&mut self, a: &str, b: &str) -> String {
        self.op("Add", &[a, b], Vec::new())
    }

    /// `batch x length x width` into heads: `batch x heads x length x rest`.
    fn heads(&mut self, x: &str, heads: i64) -> String {
        let apart = self.reshape(x, &[0, 0, heads, -1]);
        self.transpose(&apart, &[0, 2, 1, 3])
    }

    fn together(&mut self, x: &str) -> String {
        let back = self.transpose(x, &[0, 2, 1, 3]);
        self.reshape(&back, &[0, 0, -1])
    }

    /// `softmax(scale q k^T + masks) v`.
    fn attend(&mut self, heads: &Heads) -> String {
        let keys = self.transpose(&heads.k, &[0, 1, 3, 2]);
        let mut scores = self.op("MatMul", &[&heads.q, &keys], Vec::new());
        let scale = match heads.scale {
            Some(scale) => self.float(scale),
            None => {
                let width = self.length(&heads.q, 3);
                let width = self.op("Cast", &[&width], vec![number("to", 1)]);
                let root = self.op("Sqrt", &[&width], Vec::new());
                self.op("Reciprocal", &[&root], Vec::new())
            }
        };
        scores = self.op("Mul", &[&scores, &scale], Vec::new());
        if heads.causal {
            let mask = self.causal(heads);
            scores = self.add(&scores, &mask);
        }
        for mask in &heads.masks {
            scores = self.add(&scores, mask);
        }
        let weights = self.op("Softmax", &[&scores], vec![number("axis", -1)]);
        self.op("MatMul", &[&weights, &heads.v], Vec::new())
    }

    /// Keys after the query's own position are masked; the first query stands after the past.
    fn causal(&mut self, heads: &Heads) -> String {
        let (queries, keys) = (self.length(&heads.q, 2), self.length(&heads.k, 2));
        let (zero, one) = (self.integer(0), self.integer(1));
        let mut rows = self.op("Range", &[&zero, &queries, &one], Vec::new());
        let cols = self.op("Range", &[&zero, &keys, &one], Vec::new());
        if let Some(past) = &heads.past {
            let ahead = self.length(past, 2);
            rows = self.add(&rows, &ahead);
        }
        let rows = self.reshape(&rows, &[-1, 1]);
        let later = self.op("Less", &[&rows, &cols], Vec::new());
        let (masked, none) = (self.float(heads.masked), self.float(0.0));
        self.op("Where", &[&later, &masked, &none], Vec::new())
    }

    /// Keys and values repeated so that every head has its own.
    fn repeated(&mut self, x: &str, times: i64) -> String {
        if times == 1 {
            return x.to_owned();
        }
        // batch x heads x length x width: each head becomes several neighbours.
        let one = self.op("Shape", &[x], Vec::new());
        let lead = self.part(&one, 0, 0, 2);
        let rest = self.part(&one, 0, 2, 4);
        let (single, many) = (self.integers(&[1]), self.integers(&[times]));
        let apart = self.op("Concat", &[&lead, &single, &rest], vec![number("axis", 0)]);
        let wide = self.op("Concat", &[&lead, &many, &rest], vec![number("axis", 0)]);
        let apart = self.op("Reshape", &[x, &apart], Vec::new());
        let wide = self.op("Expand", &[&apart, &wide], Vec::new());
        let parts = [0, 1].map(|axis| self.part(&lead, 0, axis, axis + 1));
        let times = self.integers(&[times]);
        let heads = self.op("Mul", &[&parts[1], &times], Vec::new());
        let all = self.op(
            "Concat",
            &[&parts[0], &heads, &rest],
            vec![number("axis", 0)],
        );
        self.op("Reshape", &[&wide, &all], Vec::new())
    }
}

fn given(node: &NodeProto, index: usize) -> Option<&String> {
    node.input.get(index).filter(|name| !name.is_empty())
}

fn scale(node: &NodeProto) -> Option<f32> {
    attribute(node, "scale")
        .map(|a| a.f)
        .filter(|scale| *scale != 0.0)
}

/// `Attention` of ONNX: queries, keys, values, a mask that is added or chooses, keys and values of the past; `boolean` says which kind of
/// mask it is.
pub(super) fn standard(
    node: &NodeProto,
    boolean: Option<bool>,
    [q_shape, k_shape]: [&[usize]; 2],
) -> Option<Emit> {
    let rank = q_shape.len();
    let (heads, groups) = (int(node, "q_num_heads", 0), int(node, "kv_num_heads", 0));
    let capped = attribute(node, "softcap").is_some_and(|a| a.f != 0.0);
    let extra = node.output.len() > 3 || given(node, 6).is_some();
    let [q, k, v] = [0, 1, 2].map(|index| given(node, index));
    if capped || extra || int(node, "qk_matmul_output_mode", 0) != 0 {
        return None;
    }
    let mut emit = Emit::new(node);
    let flat = rank == 3;
    let [q, k, v] = match flat {
        false => [q?.clone(), k?.clone(), v?.clone()],
        true if heads < 1 || groups < 1 || heads % groups != 0 => return None,
        true => [
            emit.heads(q?, heads),
            emit.heads(k?, groups),
            emit.heads(v?, groups),
        ],
    };
    let past = |emit: &mut Emit, x: &String, index: usize| match given(node, index) {
        Some(past) => emit.op("Concat", &[past, x], vec![number("axis", 2)]),
        None => x.clone(),
    };
    let (k, v) = (past(&mut emit, &k, 4), past(&mut emit, &v, 5));
    emit.give_copy(node.output.get(1), &k);
    emit.give_copy(node.output.get(2), &v);
    let times = match flat {
        true => heads / groups,
        false if k_shape.len() == 4 && k_shape[1] > 0 => (q_shape[1] / k_shape[1]) as i64,
        false => return None,
    };
    let (k, v) = (emit.repeated(&k, times), emit.repeated(&v, times));
    let mut masks = Vec::new();
    if let Some(mask) = given(node, 3) {
        masks.push(match boolean? {
            false => mask.clone(),
            true => {
                let (none, masked) = (emit.float(0.0), emit.float(MASKED));
                emit.op("Where", &[mask, &none, &masked], Vec::new())
            }
        });
    }
    let causal = int(node, "is_causal", 0) != 0;
    let (scale, masked) = (scale(node), MASKED);
    let y = emit.attend(&Heads {
        q,
        k,
        v,
        masks,
        causal,
        past: given(node, 4).cloned(),
        scale,
        masked,
    });
    let y = if flat { emit.together(&y) } else { y };
    emit.give(node.output.first(), &y);
    Some(emit)
}

/// What is added to scores that do not count.
const MASKED: f32 = -1e9;

/// `MultiHeadAttention` of ONNX Runtime, without a past: queries, keys, values, their biases, a mask of keys, what is added to scores.
pub(super) fn multi_head(node: &NodeProto) -> Option<Emit> {
    let heads = int(node, "num_heads", 0);
    if heads < 1 || node.output.len() > 1 || node.input.len() > 6 {
        return None;
    }
    let mut parts = [
        given(node, 0)?.clone(),
        given(node, 1)?.clone(),
        given(node, 2)?.clone(),
    ];
    let mut emit = Emit::new(node);
    if let Some(bias) = given(node, 3) {
        let apart = emit.reshape(bias, &[3, -1]);
        for (index, part) in parts.iter_mut().enumerate() {
            let own = emit.part(&apart, 0, index, index + 1);
            let own = emit.reshape(&own, &[-1]);
            *part = emit.add(part, &own);
        }
    }
    let [q, k, v] = parts.map(|part| emit.heads(&part, heads));
    finish_of_runtime(node, emit, [q, k, v], [4, 5])
}

/// `Attention` of ONNX Runtime, without a past: inputs, weights and bias of queries, keys and values at once.
pub(super) fn of_runtime(node: &NodeProto) -> Option<Emit> {
    let heads = int(node, "num_heads", 0);
    let sizes = attribute(node, "qkv_hidden_sizes").is_some_and(|a| !a.ints.is_empty());
    let rotary = int(node, "do_rotary", 0) != 0;
    if heads < 1 || sizes || rotary || node.output.len() > 1 || given(node, 4).is_some() {
        return None;
    }
    let mut emit = Emit::new(node);
    let mut all = emit.op("MatMul", &[given(node, 0)?, given(node, 1)?], Vec::new());
    if let Some(bias) = given(node, 2) {
        all = emit.add(&all, bias);
    }
    // batch x length x (3 heads width): queries, keys and values one after the other.
    let apart = emit.reshape(&all, &[0, 0, 3 * heads, -1]);
    let heads = heads as usize;
    let parts = [0, 1, 2].map(|index| {
        let own = emit.part(&apart, 2, index * heads, (index + 1) * heads);
        emit.transpose(&own, &[0, 2, 1, 3])
    });
    finish_of_runtime(node, emit, parts, [3, 5])
}

/// Masks of ONNX Runtime: bits for each key, and what is added to scores.
fn finish_of_runtime(
    node: &NodeProto,
    mut emit: Emit,
    [q, k, v]: [String; 3],
    [bits, added]: [usize; 2],
) -> Option<Emit> {
    let masked = attribute(node, "mask_filter_value").map_or(-10_000.0, |a| a.f);
    let mut masks = Vec::new();
    if let Some(mask) = given(node, bits) {
        let mask = emit.op("Cast", &[mask], vec![number("to", 1)]);
        let mask = emit.reshape(&mask, &[0, 1, 1, -1]);
        let (one, depth) = (emit.float(1.0), emit.float(masked));
        let off = emit.op("Sub", &[&one, &mask], Vec::new());
        masks.push(emit.op("Mul", &[&off, &depth], Vec::new()));
    }
    masks.extend(given(node, added).cloned());
    let y = emit.attend(&Heads {
        q,
        k,
        v,
        masks,
        causal: int(node, "unidirectional", 0) != 0,
        past: None,
        scale: scale(node),
        masked,
    });
    let y = emit.together(&y);
    emit.give(node.output.first(), &y);
    Some(emit)
}

/// Rotary positions: pairs of each head turned by the angles of their position; `rank` is that of the input. That of ONNX has the
/// positions after the tables, that of ONNX Runtime before them.
pub(super) fn rotary(node: &NodeProto, rank: usize) -> Option<Emit> {
    let runtime = !super::supported::is_onnx(&node.domain);
    let (heads, width) = (
        int(node, "num_heads", 0),
        int(node, "rotary_embedding_dim", 0),
    );
    let [positions, cos, sin] = if runtime { [1, 2, 3] } else { [3, 1, 2] };
    let (x, cos, sin) = (given(node, 0)?, given(node, cos)?, given(node, sin)?);
    if width != 0 || rank == 3 && heads < 1 || !(3..=4).contains(&rank) {
        return None;
    }
    let mut emit = Emit::new(node);
    let x = match rank {
        3 => emit.heads(x, heads),
        _ => x.clone(),
    };
    let mut tables = [cos.clone(), sin.clone()];
    for table in &mut tables {
        if let Some(positions) = given(node, positions) {
            *table = emit.op("Gather", &[table, positions], vec![number("axis", 0)]);
        } else if runtime {
            return None;
        }
        // batch x length x pairs, the same for all heads.
        let shape = emit.op("Shape", &[table], Vec::new());
        let (before, after) = (emit.part(&shape, 0, 0, 1), emit.part(&shape, 0, 1, 3));
        let one = emit.integers(&[1]);
        let shape = emit.op("Concat", &[&before, &one, &after], vec![number("axis", 0)]);
        *table = emit.op("Reshape", &[table, &shape], Vec::new());
    }
    let [cos, sin] = &tables;
    let interleaved = int(node, "interleaved", 0) != 0;
    // The two of a pair are neighbours, or lie half a head apart.
    let shape = emit.op("Shape", &[&x], Vec::new());
    let lead = emit.part(&shape, 0, 0, 3);
    let (two, rest) = (emit.integers(&[2]), emit.integers(&[-1]));
    let (apart, axis) = match interleaved {
        true => ([&lead, &rest, &two], 4),
        false => ([&lead, &two, &rest], 3),
    };
    let apart = emit.op("Concat", &apart.map(|s| &**s), vec![number("axis", 0)]);
    let pairs = emit.op("Reshape", &[&x, &apart], Vec::new());
    let flat = emit.op("Concat", &[&lead, &rest], vec![number("axis", 0)]);
    let halves = [0, 1].map(|index| {
        let half = emit.part(&pairs, axis, index, index + 1);
        emit.op("Reshape", &[&half, &flat], Vec::new())
    });
    let product = |emit: &mut Emit, a: &str, b: &str| emit.op("Mul", &[a, b], Vec::new());
    let (ac, bs) = (
        product(&mut emit, &halves[0], cos),
        product(&mut emit, &halves[1], sin),
    );
    let (as_, bc) = (
        product(&mut emit, &halves[0], sin),
        product(&mut emit, &halves[1], cos),
    );
    let turned = [emit.op("Sub", &[&ac, &bs], Vec::new()), emit.add(&as_, &bc)];
    let single = emit.integers(&[1]);
    let with_one = match interleaved {
        true => emit.op("Concat", &[&lead, &rest, &single], vec![number("axis", 0)]),
        false => emit.op("Concat", &[&lead, &single, &rest], vec![number("axis", 0)]),
    };
    let turned = turned.map(|half| emit.op("Reshape", &[&half, &with_one], Vec::new()));
    let joined = emit.op(
        "Concat",
        &[&turned[0], &turned[1]],
        vec![number("axis", axis)],
    );
    let y = emit.op("Reshape", &[&joined, &shape], Vec::new());
    let y = if rank == 3 { emit.together(&y) } else { y };
    emit.give(node.output.first(), &y);
    Some(emit)
}

/// A layer normalisation over the last axis, or that by the root mean square.
pub(super) fn normalized(emit: &mut Emit, root: bool, x: &[&str], epsilon: f32) -> String {
    let op = match root {
        true => "RMSNormalization",
        false => "LayerNormalization",
    };
    emit.op(op, x, vec![number("axis", -1), real("epsilon", epsilon)])
}
