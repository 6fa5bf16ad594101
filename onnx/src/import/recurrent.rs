//! Recurrent layers, written out step by step: LSTM (Hochreiter and Schmidhuber, 1997; peepholes of Gers et al., 2002), GRU (Cho et
//! al., 2014) and the plain recurrence, as the ONNX specification defines them. The products with the inputs of all steps are one
//! layer.

use tract_onnx::pb::{AttributeProto, NodeProto};

use super::attributes::{int, string};
use super::emit::Emit;

mod gates;

use gates::activations;

/// Whether a node is a recurrent layer.
pub(super) fn is_recurrent(node: &NodeProto) -> bool {
    matches!(&*node.op_type, "LSTM" | "GRU" | "RNN")
}

/// The nodes of a recurrent layer for inputs of that shape, or what about it is not built.
///
/// # Errors
/// Says what is wrong: lengths of sequences, directions or activations that do not exist.
pub(super) fn unrolled(node: &NodeProto, input: &[usize], hidden: usize) -> Result<Emit, String> {
    let &[first, second, _] = input else {
        return Err("its input does not have three axes".into());
    };
    let batch_first = int(node, "layout", 0) != 0;
    let (steps, batch) = if batch_first {
        (second, first)
    } else {
        (first, second)
    };
    let directions: &[bool] = match string(node, "direction") {
        b"" | b"forward" => &[false],
        b"reverse" => &[true],
        b"bidirectional" => &[false, true],
        _ => return Err("its direction does not exist".into()),
    };
    let gates = match &*node.op_type {
        "LSTM" => 4,
        "GRU" => 3,
        _ => 1,
    };
    let mut layer = Layer {
        emit: Emit::new(node),
        node,
        gates,
        hidden,
        activations: activations(node, directions.len())?,
        batch_first,
    };
    let x = match batch_first {
        true => layer.emit.transpose(&node.input[0], &[1, 0, 2]),
        false => node.input[0].clone(),
    };
    let mut all = Vec::new();
    for (number, reverse) in directions.iter().enumerate() {
        all.push(layer.direction(&x, number, *reverse, steps)?);
    }
    layer.finish(&all, steps, batch);
    Ok(layer.emit)
}

/// States of all steps in order of time, and the last ones computed.
struct States {
    all: Vec<String>,
    hidden: String,
    cell: Option<String>,
}

struct Layer<'a> {
    emit: Emit,
    node: &'a NodeProto,
    gates: usize,
    hidden: usize,
    /// By direction and gate function.
    activations: Vec<(String, Vec<AttributeProto>)>,
    batch_first: bool,
}

/// The weights of one direction.
struct Weights {
    /// `steps x batch x gates hidden`: what the inputs add to every step.
    projected: String,
    /// `hidden x gates hidden`.
    recurrent: String,
    /// What is added to the recurrent part of the last gate alone, of a GRU that resets after its product.
    late: Option<String>,
    /// Of the input, output and forget gate.
    peepholes: Option<[String; 3]>,
}

impl Layer<'_> {
    fn given(&self, index: usize) -> Option<String> {
        self.node
            .input
            .get(index)
            .filter(|n| !n.is_empty())
            .cloned()
    }

    /// One direction's part of an input, its first axis with length one.
    fn of(&mut self, index: usize, number: usize) -> Option<String> {
        let name = self.given(index)?;
        Some(self.emit.part(&name, 0, number, number + 1))
    }

    /// An initial state, `1 x batch x hidden`.
    fn initial(&mut self, index: usize, number: usize) -> Option<String> {
        let mut name = self.given(index)?;
        if self.batch_first {
            name = self.emit.transpose(&name, &[1, 0, 2]);
        }
        Some(self.emit.part(&name, 0, number, number + 1))
    }

    /// The transposed matrix of an input.
    fn matrix(&mut self, index: usize, number: usize) -> String {
        let one = self.of(index, number).unwrap_or_default();
        let rows = (self.gates * self.hidden) as i64;
        let flat = self.emit.reshape(&one, &[rows, -1]);
        self.emit.transpose(&flat, &[1, 0])
    }

    fn weights(&mut self, x: &str, number: usize) -> Weights {
        let (all, h) = (self.gates * self.hidden, self.hidden);
        let input = self.matrix(1, number);
        let recurrent = self.matrix(2, number);
        let mut projected = self.emit.op("MatMul", &[x, &input], Vec::new());
        let after = self.node.op_type == "GRU" && int(self.node, "linear_before_reset", 0) != 0;
        let mut late = None;
        if let Some(bias) = self.of(3, number) {
            let bias = self.emit.reshape(&bias, &[-1]);
            let of_input = self.emit.part(&bias, 0, 0, all);
            let mut of_state = self.emit.part(&bias, 0, all, 2 * all);
            if after {
                late = Some(self.emit.part(&of_state, 0, 2 * h, 3 * h));
                let early = self.emit.part(&of_state, 0, 0, 2 * h);
                let none = self.emit.floats(&[h as i64], vec![0.0; h]);
                let axis = super::emit::int("axis", 0);
                of_state = self.emit.op("Concat", &[&early, &none], vec![axis]);
            }
            let sum = self.emit.op("Add", &[&of_input, &of_state], Vec::new());
            projected = self.emit.op("Add", &[&projected, &sum], Vec::new());
        }
        let peepholes = self.of(7, number).map(|all| {
            let all = self.emit.reshape(&all, &[-1]);
            [0, 1, 2].map(|gate| self.emit.part(&all, 0, gate * h, (gate + 1) * h))
        });
        Weights {
            projected,
            recurrent,
            late,
            peepholes,
        }
    }

    fn direction(
        &mut self,
        x: &str,
        number: usize,
        reverse: bool,
        steps: usize,
    ) -> Result<States, String> {
        let weights = self.weights(x, number);
        let mut hidden = self.initial(5, number);
        let mut cell = match &*self.node.op_type {
            "LSTM" => self.initial(6, number),
            _ => None,
        };
        let mut all = Vec::new();
        for step in 0..steps {
            let time = if reverse { steps - 1 - step } else { step };
            let given = self.emit.part(&weights.projected, 0, time, time + 1);
            let next = match &*self.node.op_type {
                "LSTM" => {
                    let (h, c) =
                        self.lstm(&weights, number, &given, hidden.as_ref(), cell.as_ref());
                    cell = Some(c);
                    h
                }
                "GRU" => self.gru(&weights, number, &given, hidden.as_ref()),
                _ => {
                    let sum = self.sum(&given, hidden.as_ref(), &weights.recurrent);
                    self.activate(number, 0, &sum)
                }
            };
            all.push(next.clone());
            hidden = Some(next);
        }
        if reverse {
            all.reverse();
        }
        let hidden = hidden.filter(|_| !all.is_empty());
        let hidden = hidden.ok_or("it has no steps")?;
        Ok(States { all, hidden, cell })
    }

    /// What the input adds, and the product of the state and the recurrent weights if there is a state.
    fn sum(&mut self, given: &str, state: Option<&String>, weights: &str) -> String {
        let Some(state) = state else {
            return given.to_owned();
        };
        let product = self.emit.op("MatMul", &[state, weights], Vec::new());
        self.emit.op("Add", &[given, &product], Vec::new())
    }

    fn gate(&mut self, x: &str, from: usize, to: usize) -> String {
        self.emit.part(x, 2, from * self.hidden, to * self.hidden)
    }

    fn mul(&mut self, a: &str, b: &str) -> String {
        self.emit.op("Mul", &[a, b], Vec::new())
    }

    /// Gates in the order input, output, forget, cell: `c' = f c + i g`, `h' = o tanh(c')`.
    fn lstm(
        &mut self,
        weights: &Weights,
        number: usize,
        given: &str,
        hidden: Option<&String>,
        cell: Option<&String>,
    ) -> (String, String) {
        let sums = self.sum(given, hidden, &weights.recurrent);
        let coupled = int(self.node, "input_forget", 0) != 0;
        let candidate = self.gate(&sums, 3, 4);
        let candidate = self.activate(number, 1, &candidate);
        let gates = match (&weights.peepholes, cell) {
            (Some(peepholes), Some(cell)) => {
                let seen = |layer: &mut Self, gate: usize| {
                    let own = layer.gate(&sums, gate, gate + 1);
                    let peep = layer.mul(&peepholes[gate], cell);
                    let sum = layer.emit.op("Add", &[&own, &peep], Vec::new());
                    layer.activate(number, 0, &sum)
                };
                [Some(seen(self, 0)), None, Some(seen(self, 2))]
            }
            (Some(_), None) => {
                let gate = self.gate(&sums, 0, 1);
                [Some(self.activate(number, 0, &gate)), None, None]
            }
            (None, _) => {
                let three = self.gate(&sums, 0, 3);
                let three = self.activate(number, 0, &three);
                [0, 1, 2].map(|gate| Some(self.gate(&three, gate, gate + 1)))
            }
        };
        let [input, output, forget] = gates;
        let input = input.unwrap_or_default();
        let forget = match coupled {
            true => {
                let one = self.emit.float(1.0);
                Some(self.emit.op("Sub", &[&one, &input], Vec::new()))
            }
            false => forget,
        };
        let mut next = self.mul(&input, &candidate);
        if let (Some(cell), Some(forget)) = (cell, forget) {
            let kept = self.mul(&forget, cell);
            next = self.emit.op("Add", &[&kept, &next], Vec::new());
        }
        let output = output.unwrap_or_else(|| {
            let own = self.gate(&sums, 1, 2);
            let peephole = weights.peepholes.as_ref().map(|all| all[1].clone());
            let peep = self.mul(&peephole.unwrap_or_default(), &next);
            let sum = self.emit.op("Add", &[&own, &peep], Vec::new());
            self.activate(number, 0, &sum)
        });
        let shown = self.activate(number, 2, &next);
        (self.mul(&output, &shown), next)
    }

    /// Gates in the order update, reset, hidden: `h' = n + z (h - n)`.
    fn gru(
        &mut self,
        weights: &Weights,
        number: usize,
        given: &str,
        hidden: Option<&String>,
    ) -> String {
        let h = self.hidden;
        let own = self.gate(given, 2, 3);
        let early = self.gate(given, 0, 2);
        let Some(hidden) = hidden else {
            let gates = self.activate(number, 0, &early);
            let update = self.gate(&gates, 0, 1);
            let mut sum = own;
            if let Some(late) = &weights.late {
                let reset = self.gate(&gates, 1, 2);
                let late = self.mul(&reset, late);
                sum = self.emit.op("Add", &[&sum, &late], Vec::new());
            }
            let new = self.activate(number, 1, &sum);
            let less = self.mul(&update, &new);
            return self.emit.op("Sub", &[&new, &less], Vec::new());
        };
        let after = int(self.node, "linear_before_reset", 0) != 0;
        let (gates, state) = match after {
            true => {
                let all = self
                    .emit
                    .op("MatMul", &[hidden, &weights.recurrent], Vec::new());
                let two = self.gate(&all, 0, 2);
                let sum = self.emit.op("Add", &[&early, &two], Vec::new());
                let gates = self.activate(number, 0, &sum);
                let reset = self.gate(&gates, 1, 2);
                let mut last = self.gate(&all, 2, 3);
                if let Some(late) = &weights.late {
                    last = self.emit.op("Add", &[&last, late], Vec::new());
                }
                (gates, self.mul(&reset, &last))
            }
            false => {
                let two = self.emit.part(&weights.recurrent, 1, 0, 2 * h);
                let sum = self.sum(&early, Some(hidden), &two);
                let gates = self.activate(number, 0, &sum);
                let reset = self.gate(&gates, 1, 2);
                let kept = self.mul(&reset, hidden);
                let last = self.emit.part(&weights.recurrent, 1, 2 * h, 3 * h);
                (gates, self.emit.op("MatMul", &[&kept, &last], Vec::new()))
            }
        };
        let update = self.gate(&gates, 0, 1);
        let sum = self.emit.op("Add", &[&own, &state], Vec::new());
        let new = self.activate(number, 1, &sum);
        let change = self.emit.op("Sub", &[hidden, &new], Vec::new());
        let change = self.mul(&update, &change);
        self.emit.op("Add", &[&new, &change], Vec::new())
    }

    fn joined(&mut self, parts: &[String], axis: i64) -> String {
        let parts: Vec<&str> = parts.iter().map(|name| &**name).collect();
        self.emit
            .op("Concat", &parts, vec![super::emit::int("axis", axis)])
    }

    /// The outputs: `steps x directions x batch x hidden` of all states, and the last ones.
    fn finish(&mut self, all: &[States], steps: usize, batch: usize) {
        let outputs = self.node.output.clone();
        let wanted = |index: usize| outputs.get(index).filter(|name| !name.is_empty());
        if let Some(output) = wanted(0) {
            let shape = [steps, 1, batch, self.hidden].map(|len| len as i64);
            let mut by_direction = Vec::new();
            for states in all {
                let joined = self.joined(&states.all, 0);
                by_direction.push(self.emit.reshape(&joined, &shape));
            }
            let mut y = self.joined(&by_direction, 1);
            if self.batch_first {
                y = self.emit.transpose(&y, &[2, 0, 1, 3]);
            }
            self.emit.give(Some(output), &y);
        }
        let last = |states: &States, index| match index {
            1 => Some(states.hidden.clone()),
            _ => states.cell.clone(),
        };
        for index in [1, 2] {
            let parts: Option<Vec<String>> = all.iter().map(|one| last(one, index)).collect();
            let (Some(output), Some(parts)) = (wanted(index), parts) else {
                continue;
            };
            let mut y = self.joined(&parts, 0);
            if self.batch_first {
                y = self.emit.transpose(&y, &[1, 0, 2]);
            }
            self.emit.give(Some(output), &y);
        }
    }
}
