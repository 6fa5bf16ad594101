//! Operators that the reference does not know, written in ones that it does, before the file is read.

use std::collections::BTreeSet;

use tract_onnx::onnx;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use super::attributes::{attribute, int, ints, string};
use super::contrib;
use super::dynamic;
use super::emit::floats;
use super::staged::Gone;
use super::supported::{display_name, is_onnx};

/// The decoder, with `Upsample` read as the `Resize` that took its place, and operators of integers of our own.
pub(super) fn decoder() -> tract_onnx::Onnx {
    let mut decoder = onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_output_types(true)
        .with_ignore_value_info(true);
    super::stepped::register(&mut decoder);
    super::counted::register(&mut decoder);
    decoder.op_register.insert("Upsample", |context, node| {
        let mut context = context.clone();
        context.onnx_operator_set_version = 10;
        let resize = context.framework.op_register.0.get("Resize").copied();
        let resize = resize.ok_or_else(|| tract_onnx::prelude::TractError::msg("no resizing"))?;
        let mut node = NodeProto {
            op_type: "Resize".into(),
            ..node.clone()
        };
        node.attribute.push(AttributeProto {
            name: "nearest_mode".into(),
            s: b"floor".to_vec(),
            r#type: AttributeType::String as i32,
            ..AttributeProto::default()
        });
        resize(&context, &node)
    });
    decoder
}

/// Writes nodes of a graph in others: `Swish`, `LpPool`, operators of ONNX Runtime, equations of `Einsum` without an output, scales that are
/// attributes. Gives the names and operators of those that are gone, by the names of what stands in their place.
pub(super) fn rewrite(graph: &mut GraphProto) -> Gone {
    let mut gone = Gone::new();
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        if node.domain == contrib::DOMAIN && contrib::is_standard(&node.op_type) {
            node.domain.clear();
        }
        if node.domain == contrib::DOMAIN
            && let Some(emit) = contrib::taken_apart(&node)
        {
            record(&mut gone, &node, &emit.nodes);
            graph.initializer.extend(emit.constants);
            nodes.extend(emit.nodes);
            continue;
        }
        let mut parts = Rewritten::new(&node);
        match &*node.op_type {
            _ if !is_onnx(&node.domain) || node.input.is_empty() || node.output.len() != 1 => {}
            "Einsum" => complete_equation(&mut node),
            "Upsample" => parts.scales(&mut node),
            "ConstantOfShape" if node.attribute.is_empty() => fill_with_zeros(&mut node),
            "Swish" => {
                let alpha = attribute(&node, "alpha").map_or(1.0, |a| a.f);
                parts.swish(alpha);
            }
            "LpPool" if int(&node, "ceil_mode", 0) == 0 => parts.lp_pool(&node),
            _ => {}
        }
        graph.initializer.append(&mut parts.constants);
        record(&mut gone, &node, &parts.nodes);
        match parts.nodes.is_empty() {
            true => nodes.push(node),
            false => nodes.append(&mut parts.nodes),
        }
    }
    graph.node = nodes;
    dynamic::rewrite(graph, &mut gone);
    super::wide::rewrite(graph);
    gone
}

/// Says of which node of the file others stand in the place.
pub(super) fn record(gone: &mut Gone, node: &NodeProto, parts: &[NodeProto]) {
    let known = |name: &str| gone.get(name).cloned();
    let own = known(&display_name(node)).or_else(|| known(node.output.first()?));
    let own = own.unwrap_or_else(|| (display_name(node), node.op_type.clone()));
    for part in parts {
        let keys = part.output.iter().chain([&part.name]);
        gone.extend(keys.map(|key| (key.clone(), own.clone())));
    }
}

/// All labels that come once, in the order of the alphabet, after the ellipsis.
fn complete_equation(node: &mut NodeProto) {
    let equation: Vec<u8> = string(node, "equation").to_vec();
    let text = String::from_utf8_lossy(&equation).replace(' ', "");
    if text.contains("->") {
        return;
    }
    let letters: Vec<char> = text.chars().filter(char::is_ascii_alphabetic).collect();
    let once = |c: &&char| letters.iter().filter(|other| other == c).count() == 1;
    let output: BTreeSet<char> = letters.iter().filter(once).copied().collect();
    let spread = if text.contains("...") { "..." } else { "" };
    let output: String = output.into_iter().collect();
    let given = node.attribute.iter_mut().find(|a| a.name == "equation");
    if let Some(given) = given {
        given.s = format!("{text}->{spread}{output}").into_bytes();
    }
}

/// What is filled without a value is filled with the float 0, which the decoder takes for another type.
fn fill_with_zeros(node: &mut NodeProto) {
    node.attribute.push(AttributeProto {
        name: "value".into(),
        t: Some(floats("", &[1], vec![0.0])),
        r#type: AttributeType::Tensor as i32,
        ..AttributeProto::default()
    });
}

/// The nodes that one node becomes.
struct Rewritten {
    name: String,
    input: String,
    output: String,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Rewritten {
    fn new(node: &NodeProto) -> Self {
        Self {
            name: display_name(node),
            input: node.input.first().cloned().unwrap_or_default(),
            output: node.output.first().cloned().unwrap_or_default(),
            nodes: Vec::new(),
            constants: Vec::new(),
        }
    }

    fn constant(&mut self, value: f32) -> String {
        let name = format!("{}/constant {}", self.output, self.constants.len());
        self.constants.push(floats(&name, &[], vec![value]));
        name
    }

    /// A node on those inputs, and the tensor it writes: the output, if it is the last.
    fn node(&mut self, op: &str, inputs: [&str; 2], last: bool) -> String {
        let output = match last {
            true => self.output.clone(),
            false => format!("{}/{}", self.output, self.nodes.len()),
        };
        let inputs = inputs.into_iter().filter(|name| !name.is_empty());
        let name = match last {
            true => self.name.clone(),
            false => format!("{}/{}", self.name, self.nodes.len()),
        };
        self.nodes.push(NodeProto {
            name,
            op_type: op.into(),
            input: inputs.map(Into::into).collect(),
            output: vec![output.clone()],
            ..NodeProto::default()
        });
        output
    }

    /// Scales that are an attribute become an input.
    fn scales(&mut self, node: &mut NodeProto) {
        let Some(scales) = attribute(node, "scales") else {
            return;
        };
        let name = format!("{}/scales", self.output);
        let len = scales.floats.len() as i64;
        self.constants
            .push(floats(&name, &[len], scales.floats.clone()));
        node.attribute.retain(|a| a.name != "scales");
        node.input.truncate(1);
        node.input.push(name);
    }

    /// `x sigmoid(alpha x)`.
    fn swish(&mut self, alpha: f32) {
        let x = self.input.clone();
        let mut inner = x.clone();
        if alpha.to_bits() != 1f32.to_bits() {
            let alpha = self.constant(alpha);
            inner = self.node("Mul", [&x, &alpha], false);
        }
        let sigmoid = self.node("Sigmoid", [&inner, ""], false);
        self.node("Mul", [&x, &sigmoid], true);
    }

    /// The p-th root of the sum of `|x|^p` over windows, a mean times the number of its taps.
    fn lp_pool(&mut self, node: &NodeProto) {
        let (x, p) = (self.input.clone(), int(node, "p", 2) as f32);
        let powers = match int(node, "p", 2) {
            1 => self.node("Abs", [&x, ""], false),
            2 => self.node("Mul", [&x, &x], false),
            _ => {
                let magnitude = self.node("Abs", [&x, ""], false);
                let exponent = self.constant(p);
                self.node("Pow", [&magnitude, &exponent], false)
            }
        };
        let mean = self.node("AveragePool", [&powers, ""], false);
        if let Some(pool) = self.nodes.last_mut() {
            let own = node.attribute.iter().filter(|a| a.name != "p");
            pool.attribute = own.cloned().collect();
            pool.attribute.push(AttributeProto {
                name: "count_include_pad".into(),
                i: 1,
                r#type: AttributeType::Int as i32,
                ..AttributeProto::default()
            });
        }
        let taps: i64 = ints(node, "kernel_shape").iter().product();
        let taps = self.constant(taps as f32);
        let one = int(node, "p", 2) == 1;
        let sum = self.node("Mul", [&mean, &taps], one);
        match int(node, "p", 2) {
            1 => {}
            2 => {
                self.node("Sqrt", [&sum, ""], true);
            }
            _ => {
                let root = self.constant(1.0 / p);
                self.node("Pow", [&sum, &root], true);
            }
        }
    }
}
