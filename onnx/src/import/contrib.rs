//! Operators that ONNX Runtime puts in the place of several when it optimizes or quantizes a model (domain `com.microsoft`), taken apart
//! again.

use tract_onnx::pb::{AttributeProto, NodeProto};

use super::attention::{multi_head, normalized, of_runtime};
use super::attributes::{attribute, float, floats, int, string};
use super::emit::{Emit, int as number, real, text};

/// The domain of these operators.
pub(super) const DOMAIN: &str = "com.microsoft";

/// The nodes that such a node becomes; none if it is of another kind, or a use of it is not built.
pub(super) fn taken_apart(node: &NodeProto) -> Option<Emit> {
    let mut fused = Fused {
        node,
        emit: Emit::new(node),
    };
    match &*node.op_type {
        "Attention" => return of_runtime(node),
        "MultiHeadAttention" => return multi_head(node),
        "Gelu" => fused.gelu(None, false),
        "BiasGelu" => fused.gelu(Some(1), false),
        "FastGelu" => fused.gelu(Some(1), true),
        "QuickGelu" => fused.quick_gelu(),
        "BiasAdd" => fused.bias_add(),
        "FusedConv" => fused.conv()?,
        "FusedGemm" => fused.gemm()?,
        "FusedMatMul" | "TransposeMatMul" => fused.matmul()?,
        "SkipLayerNormalization" => fused.skip_normalization(false)?,
        "SkipSimplifiedLayerNormalization" => fused.skip_normalization(true)?,
        "EmbedLayerNormalization" => fused.embedding()?,
        "DynamicQuantizeMatMul" => fused.dynamic_product(2, None)?,
        "MatMulIntegerToFloat" => fused.dynamic_product(3, Some([2, 4]))?,
        "DynamicQuantizeLSTM" => fused.dynamic_recurrence()?,
        op if op.starts_with('Q') => fused.quantized()?,
        _ => return None,
    }
    Some(fused.emit)
}

/// Operators of ONNX that ONNX Runtime writes under its own domain.
pub(super) fn is_standard(op: &str) -> bool {
    matches!(
        op,
        "LayerNormalization"
            | "SimplifiedLayerNormalization"
            | "QuantizeLinear"
            | "DequantizeLinear"
            | "Trilu"
    )
}

struct Fused<'a> {
    node: &'a NodeProto,
    emit: Emit,
}

impl Fused<'_> {
    fn given(&self, index: usize) -> Option<&str> {
        let name = self.node.input.get(index)?;
        (!name.is_empty()).then_some(name)
    }

    fn x(&self) -> String {
        self.given(0).unwrap_or_default().to_owned()
    }

    fn plain(&mut self, op: &str, inputs: &[&str]) -> String {
        self.emit.op(op, inputs, Vec::new())
    }

    fn give(&mut self, tensor: &str) {
        self.emit.give(self.node.output.first(), tensor);
    }

    fn gelu(&mut self, bias: Option<usize>, tanh: bool) {
        let mut x = self.x();
        if let Some(bias) = bias.and_then(|index| self.given(index)).map(str::to_owned) {
            x = self.plain("Add", &[&x, &bias]);
        }
        let with = match tanh {
            true => vec![text("approximate", "tanh")],
            false => Vec::new(),
        };
        let y = self.emit.op("Gelu", &[&x], with);
        self.give(&y);
    }

    /// `x sigmoid(alpha x)`.
    fn quick_gelu(&mut self) {
        let (x, alpha) = (
            self.x(),
            attribute(self.node, "alpha").map_or(1.702, |a| a.f),
        );
        let alpha = self.emit.float(alpha);
        let inner = self.plain("Mul", &[&x, &alpha]);
        let gate = self.plain("Sigmoid", &[&inner]);
        let y = self.plain("Mul", &[&x, &gate]);
        self.give(&y);
    }

    fn bias_add(&mut self) {
        let mut y = self.x();
        for index in [1, 2] {
            if let Some(other) = self.given(index).map(str::to_owned) {
                y = self.plain("Add", &[&y, &other]);
            }
        }
        self.give(&y);
    }

    /// Attributes of the operator that it was before.
    fn kept(&self, own: &[&str]) -> Vec<AttributeProto> {
        let all = self.node.attribute.iter();
        all.filter(|a| !own.contains(&&*a.name)).cloned().collect()
    }

    fn activated(&mut self, x: &str, parameters: &[f32]) -> Option<String> {
        let names: &[&str] = match string(self.node, "activation") {
            b"" => return Some(x.to_owned()),
            b"Clip" => {
                let (low, high) = (*parameters.first()?, *parameters.get(1)?);
                let (low, high) = (self.emit.float(low), self.emit.float(high));
                let x = self.plain("Max", &[x, &low]);
                return Some(self.plain("Min", &[&x, &high]));
            }
            b"Relu" | b"Sigmoid" | b"Tanh" | b"HardSwish" => &[],
            b"LeakyRelu" | b"Elu" | b"ThresholdedRelu" => &["alpha"],
            b"HardSigmoid" => &["alpha", "beta"],
            _ => return None,
        };
        let op = String::from_utf8_lossy(string(self.node, "activation")).into_owned();
        let with = names.iter().zip(parameters).map(|(name, v)| real(name, *v));
        let with = with.collect();
        Some(self.emit.op(&op, &[x], with))
    }

    /// A convolution, what is added to it, and a function.
    fn conv(&mut self) -> Option<()> {
        let with = self.kept(&["activation", "activation_params"]);
        let inputs = [0, 1, 2].map(|index| self.given(index).unwrap_or_default().to_owned());
        let mut y = self.emit.op("Conv", &inputs.each_ref().map(|n| &**n), with);
        if let Some(other) = self.given(3).map(str::to_owned) {
            y = self.plain("Add", &[&y, &other]);
        }
        let y = self.activated(&y, floats(self.node, "activation_params"))?;
        self.give(&y);
        Some(())
    }

    fn gemm(&mut self) -> Option<()> {
        let own = [
            "activation",
            "activation_alpha",
            "activation_beta",
            "activation_gamma",
        ];
        let with = self.kept(&own);
        let inputs = [0, 1, 2].map(|index| self.given(index).unwrap_or_default().to_owned());
        let y = self.emit.op("Gemm", &inputs.each_ref().map(|n| &**n), with);
        let parameters = own[1..]
            .iter()
            .filter_map(|name| attribute(self.node, name));
        let parameters: Vec<f32> = parameters.map(|a| a.f).collect();
        let y = self.activated(&y, &parameters)?;
        self.give(&y);
        Some(())
    }

    /// `alpha A B`, the last two axes of each exchanged if the file says so.
    fn matmul(&mut self) -> Option<()> {
        if int(self.node, "transBatchA", 0) != 0 || int(self.node, "transBatchB", 0) != 0 {
            return None;
        }
        let mut sides = [0, 1].map(|index| self.given(index).unwrap_or_default().to_owned());
        for (side, name) in sides.iter_mut().zip(["transA", "transB"]) {
            if int(self.node, name, 0) != 0 {
                let with = vec![text("equation", "...ij->...ji")];
                *side = self.emit.op("Einsum", &[side], with);
            }
        }
        let mut y = self.plain("MatMul", &sides.each_ref().map(|n| &**n));
        let alpha = float(self.node, "alpha");
        if alpha.to_bits() != 1f32.to_bits() {
            let alpha = self.emit.float(alpha);
            y = self.plain("Mul", &[&y, &alpha]);
        }
        self.give(&y);
        Some(())
    }

    fn epsilon(&self) -> f32 {
        attribute(self.node, "epsilon").map_or(1e-5, |a| a.f)
    }

    /// The sum of two activations and a bias, normalised; the sum may be an output too.
    fn skip_normalization(&mut self, root: bool) -> Option<()> {
        let bias = if root { 3 } else { 4 };
        let mut sum = self.x();
        for index in [1, bias] {
            if let Some(other) = self.given(index).map(str::to_owned) {
                sum = self.plain("Add", &[&sum, &other]);
            }
        }
        let mut inputs = vec![sum.clone(), self.given(2)?.to_owned()];
        if !root {
            inputs.extend(self.given(3).map(str::to_owned));
        }
        let inputs: Vec<&str> = inputs.iter().map(|name| &**name).collect();
        let epsilon = self.epsilon();
        let y = normalized(&mut self.emit, root, &inputs, epsilon);
        self.give(&y);
        let statistics = self.node.output.iter().skip(1).take(2);
        if statistics.into_iter().any(|name| !name.is_empty()) {
            return None;
        }
        self.emit.give(self.node.output.get(3), &sum);
        Some(())
    }

    /// Rows of words, positions and segments, added and normalised; the mask is passed on as it is.
    fn embedding(&mut self) -> Option<()> {
        let named = |index| self.given(index).map(str::to_owned);
        let (ids, segments, positions) = (named(0)?, named(1), named(8));
        let [words, places, kinds] = [named(2)?, named(3)?, named(4).unwrap_or_default()];
        let (gamma, beta, mask) = (named(5)?, named(6)?, named(7));
        let rows = |fused: &mut Self, table: &str, ids: &str| {
            fused
                .emit
                .op("Gather", &[table, ids], vec![number("axis", 0)])
        };
        let mut sum = rows(self, &words, &ids);
        let positions = match positions {
            Some(positions) => positions,
            None => {
                let (zero, one) = (self.emit.integer(0), self.emit.integer(1));
                let length = self.emit.length(&ids, 1);
                let range = self.plain("Range", &[&zero, &length, &one]);
                self.emit.reshape(&range, &[1, -1])
            }
        };
        let place = rows(self, &places, &positions);
        sum = self.plain("Add", &[&sum, &place]);
        if let Some(segments) = segments {
            let kind = rows(self, &kinds, &segments);
            sum = self.plain("Add", &[&sum, &kind]);
        }
        let epsilon = self.epsilon();
        let y = normalized(&mut self.emit, false, &[&sum, &gamma, &beta], epsilon);
        self.give(&y);
        if let Some(output) = self.node.output.get(1).filter(|name| !name.is_empty()) {
            self.emit.give(Some(output), &mask?);
        }
        self.emit.give(self.node.output.get(2), &sum);
        Some(())
    }

    /// Integers of few bits as real numbers, from the inputs of those numbers.
    fn real(&mut self, x: usize, scale: usize, zero: usize) -> Option<String> {
        let inputs = [x, scale, zero].map(|i| self.given(i).unwrap_or_default().to_owned());
        (!inputs[0].is_empty()).then(|| {
            let inputs = inputs.each_ref().map(|name| &**name);
            self.plain("DequantizeLinear", &inputs)
        })
    }

    /// A product with integers whose step is input `scale`, plus a bias; the left side is real where its own step is found from its
    /// values, and else has a step and a zero point too.
    fn dynamic_product(&mut self, scale: usize, left: Option<[usize; 2]>) -> Option<()> {
        let (zero, bias) = match left {
            Some(_) => (5, 6),
            None => (3, 4),
        };
        let a = match left {
            Some([scale, zero]) => self.real(0, scale, zero)?,
            None => self.x(),
        };
        let inputs = [1, scale, zero].map(|i| self.given(i).unwrap_or_default().to_owned());
        let inputs = inputs.each_ref().map(|name| &**name);
        let columns = vec![number("axis", -1)];
        let b = self.emit.op("DequantizeLinear", &inputs, columns);
        let mut y = self.plain("MatMul", &[&a, &b]);
        if let Some(bias) = self.given(bias).map(str::to_owned) {
            y = self.plain("Add", &[&y, &bias]);
        }
        self.give(&y);
        Some(())
    }

    /// A recurrence whose weights are integers, transposed, with steps and zero points by direction or by gate.
    fn dynamic_recurrence(&mut self) -> Option<()> {
        self.emit = Emit::new(self.node).within("weights");
        let [w, r] = [(1, 8, 9), (2, 10, 11)].map(|(weights, scale, zero)| {
            let [weights, scale, zero] =
                [weights, scale, zero].map(|i| self.given(i).map(str::to_owned));
            let real = |fused: &mut Self, name: &str| {
                fused.emit.op("Cast", &[name], vec![number("to", 1)])
            };
            let mut x = real(self, &weights?);
            if let Some(zero) = zero {
                let zero = real(self, &zero);
                let zero = self.by_direction(&zero);
                x = self.plain("Sub", &[&x, &zero]);
            }
            let scale = self.by_direction(&scale?);
            let x = self.plain("Mul", &[&x, &scale]);
            Some(self.emit.transpose(&x, &[0, 2, 1]))
        });
        let (w, r) = (w?, r?);
        let others: Vec<String> = (3..8)
            .map(|i| self.given(i).unwrap_or_default().to_owned())
            .collect();
        let x = self.x();
        let mut inputs = vec![&*x, &w, &r];
        inputs.extend(others.iter().map(|name| &**name));
        let with = self.kept(&[]);
        self.emit.op("LSTM", &inputs, with);
        let last = self.emit.nodes.last_mut()?;
        last.name = super::supported::display_name(self.node);
        last.output.clone_from(&self.node.output);
        Some(())
    }

    /// One value for each direction, or one for each of its gates, as a factor of `directions x inputs x gates`.
    fn by_direction(&mut self, values: &str) -> String {
        self.emit.reshape(values, &[0, 1, -1])
    }

    /// Operators on integers of few bits: the operator on real numbers, rounded.
    fn quantized(&mut self) -> Option<()> {
        let unary = self
            .node
            .op_type
            .strip_prefix("QLinear")
            .unwrap_or_default();
        let (y, scale) = match &*self.node.op_type {
            "QLinearAdd" | "QLinearMul" => {
                let (a, b) = (self.real(0, 1, 2)?, self.real(3, 4, 5)?);
                (self.plain(unary, &[&a, &b]), 6)
            }
            "QLinearConcat" => {
                let count = (self.node.input.len().checked_sub(2)?) / 3;
                let parts = (0..count).map(|i| self.real(2 + 3 * i, 3 + 3 * i, 4 + 3 * i));
                let parts: Vec<String> = parts.collect::<Option<_>>()?;
                let parts: Vec<&str> = parts.iter().map(|name| &**name).collect();
                let axis = number("axis", int(self.node, "axis", 0));
                (self.emit.op("Concat", &parts, vec![axis]), 0)
            }
            "QLinearSigmoid"
            | "QLinearLeakyRelu"
            | "QLinearSoftmax"
            | "QLinearAveragePool"
            | "QLinearGlobalAveragePool" => {
                if int(self.node, "channels_last", 0) != 0 {
                    return None;
                }
                let x = self.real(0, 1, 2)?;
                let with = self.kept(&["channels_last", "opset"]);
                (self.emit.op(unary, &[&x], with), 3)
            }
            "QGemm" => {
                let (a, b) = (self.real(0, 1, 2)?, self.real(3, 4, 5)?);
                let with = self.kept(&[]);
                let mut inputs = vec![a, b];
                if let Some(bias) = self.given(6).map(str::to_owned) {
                    let steps = [1, 4].map(|i| self.given(i).unwrap_or_default().to_owned());
                    let step = self.plain("Mul", &steps.each_ref().map(|n| &**n));
                    let real = self.emit.op("Cast", &[&bias], vec![number("to", 1)]);
                    inputs.push(self.plain("Mul", &[&real, &step]));
                }
                let inputs: Vec<&str> = inputs.iter().map(|name| &**name).collect();
                (self.emit.op("Gemm", &inputs, with), 7)
            }
            _ => return None,
        };
        let to = [scale, scale + 1].map(|i| self.given(i).unwrap_or_default().to_owned());
        let y = match to[0].is_empty() {
            true => y,
            false => self.plain("QuantizeLinear", &[&y, &to[0], &to[1]]),
        };
        self.give(&y);
        Some(())
    }
}
