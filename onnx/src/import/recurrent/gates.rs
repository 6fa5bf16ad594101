//! The functions of gates.

use tract_onnx::pb::{AttributeProto, NodeProto};

use super::super::attributes::{attribute, floats, strings};
use super::super::emit::real;
use super::Layer;

impl Layer<'_> {
    /// `f(gates)`; gates of one function go together.
    pub(super) fn activate(&mut self, number: usize, function: usize, x: &str) -> String {
        let count = match &*self.node.op_type {
            "LSTM" => 3,
            "GRU" => 2,
            _ => 1,
        };
        let mut x = x.to_owned();
        if let Some(clip) = attribute(self.node, "clip").map(|a| a.f) {
            let (top, bottom) = (self.emit.float(clip), self.emit.float(-clip));
            x = self.emit.op("Min", &[&x, &top], Vec::new());
            x = self.emit.op("Max", &[&x, &bottom], Vec::new());
        }
        let (name, with) = self.activations[number * count + function].clone();
        let [alpha, beta] = ["alpha", "beta"].map(|key| with.iter().find(|a| a.name == key));
        let [alpha, beta] = [alpha, beta].map(|a| a.map(|a| a.f));
        match &*name {
            "Affine" => {
                let alpha = self.emit.float(alpha.unwrap_or(1.0));
                let beta = self.emit.float(beta.unwrap_or(0.0));
                let scaled = self.emit.op("Mul", &[&x, &alpha], Vec::new());
                self.emit.op("Add", &[&scaled, &beta], Vec::new())
            }
            "ScaledTanh" => {
                let alpha = self.emit.float(alpha.unwrap_or(1.0));
                let beta = self.emit.float(beta.unwrap_or(1.0));
                let scaled = self.emit.op("Mul", &[&x, &beta], Vec::new());
                let tanh = self.emit.op("Tanh", &[&scaled], Vec::new());
                self.emit.op("Mul", &[&tanh, &alpha], Vec::new())
            }
            _ => self.emit.op(&name, &[&x], with),
        }
    }
}

/// The functions of all gates, by direction, with their parameters.
pub(super) fn activations(
    node: &NodeProto,
    directions: usize,
) -> Result<Vec<(String, Vec<AttributeProto>)>, String> {
    let default: &[&str] = match &*node.op_type {
        "LSTM" => &["Sigmoid", "Tanh", "Tanh"],
        "GRU" => &["Sigmoid", "Tanh"],
        _ => &["Tanh"],
    };
    let given = strings(node, "activations");
    let mut names: Vec<String> = given
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    if names.is_empty() {
        names = default
            .repeat(directions)
            .iter()
            .map(|n| (*n).into())
            .collect();
    }
    if names.len() != default.len() * directions {
        return Err("its activations do not fit its directions".into());
    }
    let mut alphas = floats(node, "activation_alpha").iter();
    let mut betas = floats(node, "activation_beta").iter();
    let known = [
        "Relu",
        "Tanh",
        "Sigmoid",
        "Affine",
        "LeakyRelu",
        "ThresholdedRelu",
        "ScaledTanh",
        "HardSigmoid",
        "Elu",
        "Softsign",
        "Softplus",
    ];
    let one = |name: String| {
        // Names are of any case in old files.
        let same = |known: &&&str| known.eq_ignore_ascii_case(&name);
        let Some(name) = known.iter().find(same) else {
            return Err(format!("its activation `{name}` does not exist"));
        };
        let mut with = Vec::new();
        let scaled = !matches!(*name, "Relu" | "Tanh" | "Sigmoid" | "Softsign" | "Softplus");
        if scaled && let Some(alpha) = alphas.next() {
            with.push(real("alpha", *alpha));
        }
        let shifted = matches!(*name, "Affine" | "ScaledTanh" | "HardSigmoid");
        if shifted && let Some(beta) = betas.next() {
            with.push(real("beta", *beta));
        }
        Ok(((*name).to_owned(), with))
    };
    names.into_iter().map(one).collect()
}
