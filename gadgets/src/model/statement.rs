//! What is said of an output in place of its values: a bound that it keeps, or its class alone.
//!
//! A statement is a part of the graph, so a verifier that lowers the graph checks it. A **bound** `y >= t` of one element is one of
//! integers: with `y = s (q - z)` and `k = ceil(t / s + z)` it is `q - k + 1 > 0`, an [`Op::Affine`] and an [`Op::Positive`] whose output
//! can be nothing but 1: of an input that does not keep the bound there is no proof, and the value stays secret. Cost: the limbs of one
//! comparison. Exact on the integers; what is proven is the bound `s (k - z)`, at least t and less than a step above it. A **class** is
//! [`Op::ArgMax`] over the last axis, and public in place of the values.

use std::str::FromStr;

use super::encode::GraphError;
use super::graph::{
    Along, Graph, Interval, Node, Op, Piece, Tensor, TensorId, Visibility, WeightValues,
};
use super::lower::wiring::strides;
use super::split::Segment;

/// The range of the output of an [`Op::Positive`] that does not ask whether `x > 0` but says so.
pub const ASSERTED: Interval = Interval::new(1, 1);

/// On which side of a threshold a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `y >= t`.
    AtLeast,
    /// `y > t`.
    Above,
    /// `y <= t`.
    AtMost,
    /// `y < t`.
    Below,
}

/// What is said of an output.
///
/// ```
/// use zkernel_gadgets::model::{Relation, Statement};
///
/// assert_eq!("class".parse(), Ok(Statement::Class { output: None }));
/// let passes: Statement = "ge:0.7".parse().unwrap();
/// assert!(matches!(passes, Statement::Bound { relation: Relation::AtLeast, threshold: 0.7, .. }));
/// let second: Statement = "lt:-2.5@probabilities:1".parse().unwrap();
/// assert!(matches!(second, Statement::Bound { element: Some(1), .. }));
/// assert!("ge:".parse::<Statement>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// The index of its largest value along the last axis.
    Class {
        /// The output; the only one if not given.
        output: Option<String>,
    },
    /// One of its values lies on that side of a threshold.
    Bound {
        /// The side.
        relation: Relation,
        /// The threshold, a real number.
        threshold: f64,
        /// The output; the only one if not given.
        output: Option<String>,
        /// Row-major index of the value; the only one if not given.
        element: Option<usize>,
    },
}

/// Why something cannot be said of a network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatementError {
    /// Not a statement.
    #[error(
        "`{0}` is no statement; give `class`, or `ge:`, `gt:`, `le:` or `lt:` with a number, then @OUTPUT, @ELEMENT or @OUTPUT:ELEMENT where the model has several, as in ge:0.7 or ge:0.7@1"
    )]
    Text(String),
    /// The statement must say which output it is about.
    #[error("{}; say which one is meant: its outputs are {outputs}", match output {
        Some(name) => format!("the model has no output `{name}`"),
        None => "the model has several outputs".into(),
    })]
    Output {
        /// The name asked for.
        output: Option<String>,
        /// All names.
        outputs: String,
    },
    /// The statement must say which value it is about.
    #[error("output `{output}` has {len} values: say which one is bounded with @ELEMENT, 0 to {}", len - 1)]
    Element {
        /// The output.
        output: String,
        /// Its number of values.
        len: usize,
    },
    /// There is but one class.
    #[error(
        "output `{0}` has a single value along its last axis, so there is no class to choose; state a bound, as in ge:0.5"
    )]
    OneClass(String),
    /// No integer of the output lies on that side, or all of them do.
    #[error(
        "output `{output}` lies in {min}..={max} whatever the input: a threshold of {threshold} says nothing of it"
    )]
    Threshold {
        /// The output.
        output: String,
        /// The threshold.
        threshold: f64,
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// The network with its statement is not a valid graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// What a graph says of one output, as its constraints have it.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Its values, in the way its visibility says.
    Values,
    /// The index of the largest value of that tensor.
    Class {
        /// The tensor.
        of: TensorId,
    },
    /// A value of a tensor that lies on one side of a bound.
    Bound {
        /// The tensor.
        of: TensorId,
        /// Row-major index of the value.
        element: usize,
        /// [`Relation::AtLeast`] or [`Relation::AtMost`].
        relation: Relation,
        /// The bound, an integer of the tensor.
        bound: i64,
    },
    /// Values that are positive, of a node that is no bound.
    Positive {
        /// The tensor.
        of: TensorId,
    },
}

impl Graph {
    /// The network with a statement in place of its outputs, and nothing in it that the statement does not need.
    ///
    /// # Errors
    /// [`StatementError`] says what the statement lacks.
    pub fn with_statement(
        &self,
        weights: &WeightValues,
        statement: &Statement,
    ) -> Result<Segment, StatementError> {
        let mut graph = self.clone();
        let said = match statement {
            Statement::Class { output } => graph.class_of(output.as_deref())?,
            Statement::Bound {
                relation,
                threshold,
                output,
                element,
            } => {
                let id = graph.output_named(output.as_deref())?;
                let element = graph.element_of(id, *element)?;
                graph.bound_of(id, element, *relation, *threshold)?
            }
        };
        for id in std::mem::replace(&mut graph.outputs, vec![said]) {
            if id != said {
                graph.tensors[id.0 as usize].visibility = Visibility::Private;
            }
        }
        let (graph, weights) = graph.needed_part(weights);
        graph.validate()?;
        Ok((graph, weights))
    }

    /// What the graph says of each output.
    #[must_use]
    pub fn said(&self) -> Vec<Said> {
        let of = |id: &TensorId| self.said_of(*id).unwrap_or(Said::Values);
        self.outputs.iter().map(of).collect()
    }

    fn said_of(&self, id: TensorId) -> Option<Said> {
        let node = self.writer(id)?;
        let input = *node.inputs.first()?;
        match node.op {
            Op::ArgMax => Some(Said::Class { of: input }),
            Op::Positive { .. } if self.tensors[id.0 as usize].range == ASSERTED => {
                let bound = self.bound_said(input);
                Some(bound.unwrap_or(Said::Positive { of: input }))
            }
            _ => None,
        }
    }

    /// The bound that a tensor of one positive value `constant +- q` is.
    fn bound_said(&self, positive: TensorId) -> Option<Said> {
        let node = self.writer(positive)?;
        let (Op::Affine { pieces, constant }, [of]) = (&node.op, &node.inputs[..]) else {
            return None;
        };
        let shapes = [positive, *of].map(|id| &self.tensors[id.0 as usize].shape[..]);
        let [piece] = &pieces[..] else { return None };
        let reads = piece.reads(shapes[0], shapes[1]);
        let &[(_, element)] = &reads[..] else {
            return None;
        };
        let (relation, bound) = match piece.scale {
            1 => (Relation::AtLeast, 1 - constant),
            -1 => (Relation::AtMost, constant - 1),
            _ => return None,
        };
        Some(Said::Bound {
            of: *of,
            element,
            relation,
            bound,
        })
    }

    fn writer(&self, id: TensorId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.output == id)
    }

    fn output_named(&self, name: Option<&str>) -> Result<TensorId, StatementError> {
        let tensor = |id: &TensorId| &self.tensors[id.0 as usize].name;
        let found = match (name, &self.outputs[..]) {
            (None, [only]) => Some(only),
            (None, _) => None,
            // Behind the name of an output may stand what its numbers mean: `label (0: no, 1: yes)`.
            (Some(name), outputs) => outputs.iter().find(|id| {
                let rest = tensor(id).strip_prefix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
            }),
        };
        let names: Vec<&str> = self.outputs.iter().map(|id| tensor(id).as_str()).collect();
        found.copied().ok_or_else(|| StatementError::Output {
            output: name.map(str::to_owned),
            outputs: names.join(", "),
        })
    }

    fn element_of(&self, id: TensorId, element: Option<usize>) -> Result<usize, StatementError> {
        let tensor = &self.tensors[id.0 as usize];
        let len = tensor.shape.iter().product();
        let element = element.or((len == 1).then_some(0));
        element
            .filter(|e| *e < len)
            .ok_or_else(|| StatementError::Element {
                output: tensor.name.clone(),
                len,
            })
    }

    /// The class of an output, which may be a class already.
    fn class_of(&mut self, output: Option<&str>) -> Result<TensorId, StatementError> {
        let id = self.output_named(output)?;
        if self.writer(id).is_some_and(|node| node.op == Op::ArgMax) {
            self.tensors[id.0 as usize].visibility = Visibility::Public;
            return Ok(id);
        }
        let tensor = &self.tensors[id.0 as usize];
        let (classes, rows) = match tensor.shape.split_last() {
            Some((classes, rows)) if *classes > 1 => (*classes, rows.to_vec()),
            _ => return Err(StatementError::OneClass(tensor.name.clone())),
        };
        let name = format!("class of {}", tensor.name);
        let range = Interval::new(0, classes as i64 - 1);
        Ok(self.append(&name, Op::ArgMax, id, rows, range, Visibility::Public))
    }

    fn bound_of(
        &mut self,
        id: TensorId,
        element: usize,
        relation: Relation,
        threshold: f64,
    ) -> Result<TensorId, StatementError> {
        let tensor = &self.tensors[id.0 as usize];
        let (range, shape) = (tensor.range, tensor.shape.clone());
        let (sign, constant) = tensor.margin(relation, threshold)?;
        let ends = [range.min, range.max].map(|end| sign * end + constant);
        let margin = Interval::new(ends[0].min(ends[1]), ends[0].max(ends[1]));
        let name = format!("{} {} {threshold}", tensor.name, relation.sign());
        let affine = Op::Affine {
            pieces: vec![one_element(element, &shape, sign)],
            constant,
        };
        let (one, private) = (vec![1; shape.len()], Visibility::Private);
        let margin_name = format!("margin of {name}");
        let of = self.append(&margin_name, affine, id, one.clone(), margin, private);
        // Of a margin x, x - 1 is in limbs: nothing else has to fit.
        let bits = u64::BITS - (margin.max - 1).unsigned_abs().leading_zeros();
        let positive = Op::Positive { bits };
        Ok(self.append(&name, positive, of, one, ASSERTED, private))
    }

    /// A node of that name that writes a tensor of that name.
    fn append(
        &mut self,
        name: &str,
        op: Op,
        input: TensorId,
        shape: Vec<usize>,
        range: Interval,
        visibility: Visibility,
    ) -> TensorId {
        let scale = match op {
            Op::Affine { .. } => self.tensors[input.0 as usize].scale,
            _ => 1.0,
        };
        let output = TensorId(self.tensors.len() as u32);
        self.tensors.push(Tensor {
            name: name.into(),
            shape,
            scale,
            zero_point: 0,
            range,
            visibility,
        });
        self.nodes.push(Node {
            name: name.into(),
            op,
            inputs: vec![input],
            output,
        });
        output
    }
}

impl Tensor {
    /// Sign and constant with `sign q + constant > 0` for exactly the integers q whose real values lie on that side.
    fn margin(&self, relation: Relation, threshold: f64) -> Result<(i64, i64), StatementError> {
        let Interval { min, max } = self.range;
        let step = threshold / self.scale + self.zero_point as f64;
        // The smallest integer that passes, or the largest one.
        let (sign, limit) = match relation {
            Relation::AtLeast => (1, step.ceil()),
            Relation::Above => (1, step.floor() + 1.0),
            Relation::AtMost => (-1, step.floor()),
            Relation::Below => (-1, step.ceil() - 1.0),
        };
        let (lowest, highest) = (min as f64, max as f64);
        let says = match sign {
            1 => lowest < limit && limit <= highest,
            _ => lowest <= limit && limit < highest,
        };
        if says && min.unsigned_abs().max(max.unsigned_abs()) < 1 << 59 {
            return Ok((sign, 1 - sign * limit as i64));
        }
        let real = |q: i64| (q as f64 - self.zero_point as f64) * self.scale;
        Err(StatementError::Threshold {
            output: self.name.clone(),
            threshold,
            min: real(min),
            max: real(max),
        })
    }
}

/// One element of a tensor, times a sign, as a tensor of as many axes.
fn one_element(element: usize, shape: &[usize], sign: i64) -> Piece {
    let strides = strides(shape);
    let axes = shape.iter().zip(strides).enumerate();
    let axes = axes.map(|(axis, (len, stride))| Along {
        first: 0,
        len: 1,
        step: 1,
        source: Some((axis, element / stride % len, 1)),
    });
    Piece {
        input: 0,
        scale: sign,
        axes: axes.collect(),
    }
}

impl Relation {
    /// All, with the word and the sign of each.
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::AtLeast, "ge", ">="),
        (Self::Above, "gt", ">"),
        (Self::AtMost, "le", "<="),
        (Self::Below, "lt", "<"),
    ];

    /// As it is written in mathematics.
    #[must_use]
    pub fn sign(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(relation, ..)| *relation == self)
            .map_or("", |(_, _, sign)| sign)
    }
}

impl FromStr for Statement {
    type Err = StatementError;

    fn from_str(text: &str) -> Result<Self, StatementError> {
        parse(text).ok_or_else(|| StatementError::Text(text.into()))
    }
}

fn parse(text: &str) -> Option<Statement> {
    let (what, place) = match text.split_once('@') {
        Some((what, place)) => (what, Some(place)),
        None => (text, None),
    };
    if what == "class" {
        let output = place.map(str::to_owned);
        return Some(Statement::Class { output });
    }
    let (word, threshold) = what.split_once(':')?;
    let mut relations = Relation::ALL.into_iter();
    let (relation, ..) = relations.find(|(_, own, _)| *own == word)?;
    let threshold: f64 = threshold.parse().ok()?;
    let (output, element) = match place {
        None => (None, None),
        Some(place) => match (place.rsplit_once(':'), place.parse()) {
            (_, Ok(element)) => (None, Some(element)),
            (Some((output, element)), _) => (Some(output.to_owned()), Some(element.parse().ok()?)),
            (None, _) => (Some(place.to_owned()), None),
        },
    };
    threshold.is_finite().then_some(Statement::Bound {
        relation,
        threshold,
        output,
        element,
    })
}
