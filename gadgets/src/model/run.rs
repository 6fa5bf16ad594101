//! The integer run of a graph. It *is* the witness generator: every cell passes through the [`Assign`] hook, and what
//! the hook returns is used from then on, so that an injected fault propagates as a cheating prover's would.

use std::collections::BTreeMap;

use super::graph::{Graph, Interval, Op, TableId, TensorId, WeightValues};

/// Who owns a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// An input tensor of the network.
    Input(TensorId),
    /// A node, by its index.
    Node(usize),
}

/// What a cell means to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A value of an input tensor.
    Input,
    /// A limb of an input value less its minimum, low first, where no table covers its range.
    InputLimb(usize),
    /// A value that a node reads; it has a cell only where the node needs one of its own.
    Operand(usize),
    /// A product of two operands.
    Product,
    /// A limb of a quotient, low first.
    QuotientLimb(usize),
    /// An accumulator of a dense layer; it has a cell only where it is read in its own right.
    Accumulator,
    /// An element under another shape; it has a cell only where the shape cannot be had by wiring.
    Copy,
    /// The requantized q.
    Quotient,
    /// Number of a split key's segment; of a tap, or 0.
    High(usize),
    /// A split key's place in its segment.
    Low(usize),
    /// The segment's value there.
    Base(usize),
    /// The segment's slope.
    Slope(usize),
    /// Slope times place.
    Rise(usize),
    /// A limb of the remainder, low first.
    Remainder(usize),
    /// The table's value at q.
    Value,
    /// Input of a tap less the maximum before it.
    Key(usize),
    /// What a tap adds to the running maximum.
    Gain(usize),
    /// A limb of a tap's remainder, low first.
    TapRemainder(usize, usize),
    /// Accumulators that no window reads.
    Outside,
    /// The maximum of a row.
    Maximum,
    /// 1 at the first maximum of a row, else 0.
    OneHot,
    /// Running sum of the one-hot cells of a row.
    Cumulative,
    /// A limb of `maximum - value - 1 + cumulative`, low first.
    Margin(usize),
    /// Where in a whole tensor a chosen value lies.
    Position,
    /// A limb of a position in its row, low first.
    PositionLimb(usize),
    /// A limb of the positions after it in its row, low first.
    AfterLimb(usize),
}

/// Which of its owner's lookups in a table a cell belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The only one.
    Only,
    /// That of a tap of a window.
    Tap(usize),
}

impl Lookup {
    /// Roles of key and value in a table that is not split.
    #[must_use]
    pub const fn whole(self) -> [Role; 2] {
        match self {
            Self::Only => [Role::Quotient, Role::Value],
            Self::Tap(tap) => [Role::Key(tap), Role::Gain(tap)],
        }
    }

    /// Roles of segment, place, base, slope and rise in a split one.
    #[must_use]
    pub const fn split(self) -> [Role; 5] {
        let tap = match self {
            Self::Only => 0,
            Self::Tap(tap) => tap,
        };
        let [high, low] = [Role::High(tap), Role::Low(tap)];
        [
            high,
            low,
            Role::Base(tap),
            Role::Slope(tap),
            Role::Rise(tap),
        ]
    }
}

/// One assignment: the index-th cell of that role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The owner.
    pub owner: Owner,
    /// The role.
    pub role: Role,
    /// Row-major index.
    pub index: usize,
}

/// The hook through which every cell of the witness passes.
pub trait Assign {
    /// The value to use from now on.
    fn assign(&mut self, site: Site, value: i64) -> i64;

    /// Whether to go on where an honest prover stops with an error.
    fn lenient(&self) -> bool {
        false
    }
}

/// The honest prover: every cell is what it should be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Honest;

impl Assign for Honest {
    fn assign(&mut self, _: Site, value: i64) -> i64 {
        value
    }
}

/// All values of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Integers of every tensor, row-major.
    pub values: Vec<Vec<i64>>,
    /// Cells by owner and role.
    pub cells: BTreeMap<(Owner, Role), Vec<i64>>,
}

/// Why a run stopped; raised before anything is committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A value that no table covers.
    #[error(
        "node `{node}`: value {value} (element {index}) is outside {min}..={max}: this input is outside what the model was calibrated for; calibrate with data that covers it"
    )]
    OutOfRange {
        /// The node or input tensor.
        node: String,
        /// The element.
        index: usize,
        /// Its value.
        value: i64,
        /// Smallest value covered.
        min: i64,
        /// Largest value covered.
        max: i64,
    },
    /// Inputs or weights of the wrong number or length.
    #[error("`{name}` has {found} values, the model asks for {expected}")]
    Length {
        /// What.
        name: String,
        /// Values expected.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// What the network states of its output does not hold for this input.
    #[error("`{0}` is not true of this input: there is nothing to prove")]
    Untrue(String),
    /// An accumulator beyond 62 bits: the graph was not validated.
    #[error("node `{0}`: an accumulator overflows")]
    Overflow(String),
}

/// Runs the graph on integers.
///
/// # Errors
/// [`RunError`] names the node, the value and what it may be.
pub fn run(
    graph: &Graph,
    weights: &WeightValues,
    inputs: &[Vec<i64>],
    assign: &mut impl Assign,
) -> Result<Trace, RunError> {
    let mut trace = Trace {
        values: vec![Vec::new(); graph.tensors.len()],
        cells: BTreeMap::new(),
    };
    let mut runner = Runner {
        graph,
        weights,
        trace: &mut trace,
        assign,
    };
    if inputs.len() != graph.inputs.len() {
        return Err(RunError::Length {
            name: "inputs".into(),
            expected: graph.inputs.len(),
            found: inputs.len(),
        });
    }
    for (id, values) in graph.inputs.iter().zip(inputs) {
        runner.input(*id, values)?;
    }
    for index in 0..graph.nodes.len() {
        let values = runner.node(index)?;
        runner.trace.values[graph.nodes[index].output.0 as usize] = values;
    }
    Ok(trace)
}

mod contraction;
mod elementwise;
mod linear;
mod pool;
mod selection;
mod table;

struct Runner<'a, A> {
    graph: &'a Graph,
    weights: &'a WeightValues,
    trace: &'a mut Trace,
    assign: &'a mut A,
}

impl<A: Assign> Runner<'_, A> {
    fn node(&mut self, index: usize) -> Result<Vec<i64>, RunError> {
        let graph = self.graph;
        Ok(match &graph.nodes[index].op {
            Op::Dense { weights, bias } => self.dense(index, *weights, *bias)?,
            Op::Requantize { shift, table } => self.requantize(index, *shift, *table)?,
            Op::Conv {
                weights,
                bias,
                geometry,
                groups,
            } => self.conv(index, (*weights, *bias), geometry, *groups)?,
            Op::SumPool { geometry } => self.sum_pool(index, geometry),
            Op::MaxPool { geometry, table } => self.max_pool(index, geometry, *table)?,
            Op::RequantizeMax {
                shift,
                table,
                geometry,
            } => self.requantize_max(index, *shift, *table, geometry)?,
            Op::Affine { pieces, constant } => self.affine(index, pieces, *constant)?,
            Op::Constant { weights } => {
                let values = self.constant(index, *weights)?;
                self.cells(Owner::Node(index), Role::Copy, values)
            }
            Op::Product => self.product(index)?,
            Op::MatMul => self.matmul(index)?,
            Op::Reciprocal { numerator } => self.reciprocal(index, *numerator)?,
            Op::Root => self.root(index)?,
            Op::Positive { bits } => self.positive(index, *bits)?,
            Op::MaxTable { table } => self.max_table(index, *table)?,
            Op::Gather { weights } => self.gather(index, *weights)?,
            Op::Transpose { axes } => self.transpose(index, axes),
            Op::ArgMax => self.argmax(index)?,
            Op::TopK { k, largest } => self.top_k(index, *k, *largest)?,
            Op::Reshape => {
                let values = self.operand(index).to_vec();
                self.cells(Owner::Node(index), Role::Copy, values)
            }
        })
    }

    /// A node's input, through the hook: it may have cells of its own.
    fn read(&mut self, node: usize, operand: usize) -> Vec<i64> {
        let id = self.graph.nodes[node].inputs[operand];
        let values = self.trace.values[id.0 as usize].clone();
        self.cells(Owner::Node(node), Role::Operand(operand), values)
    }

    fn cells(
        &mut self,
        owner: Owner,
        role: Role,
        values: impl IntoIterator<Item = i64>,
    ) -> Vec<i64> {
        let assigned: Vec<i64> = values
            .into_iter()
            .enumerate()
            .map(|(index, value)| self.assign.assign(Site { owner, role, index }, value))
            .collect();
        self.trace.cells.insert((owner, role), assigned.clone());
        assigned
    }

    fn check(&self, node: &str, values: &[i64], range: Interval) -> Result<(), RunError> {
        let outside = values
            .iter()
            .enumerate()
            .find(|(_, value)| !range.contains(**value));
        match outside {
            Some((index, value)) if !self.assign.lenient() => Err(RunError::OutOfRange {
                node: node.into(),
                index,
                value: *value,
                min: range.min,
                max: range.max,
            }),
            _ => Ok(()),
        }
    }

    fn input(&mut self, id: TensorId, values: &[i64]) -> Result<(), RunError> {
        let tensor = &self.graph.tensors[id.0 as usize];
        let expected = tensor.shape.iter().product();
        if values.len() != expected {
            return Err(RunError::Length {
                name: tensor.name.clone(),
                expected,
                found: values.len(),
            });
        }
        let values = self.cells(Owner::Input(id), Role::Input, values.iter().copied());
        self.check(&tensor.name, &values, tensor.range)?;
        let above = values.iter().map(|v| v - tensor.range.min).collect();
        let bits = self.graph.input_limbs(tensor.range);
        self.limbs(Owner::Input(id), &bits, above, Role::InputLimb);
        self.trace.values[id.0 as usize] = values;
        Ok(())
    }

    fn operand(&self, node: usize) -> &[i64] {
        &self.trace.values[self.graph.nodes[node].inputs[0].0 as usize]
    }

    fn requantize(
        &mut self,
        node: usize,
        shift: u32,
        table: TableId,
    ) -> Result<Vec<i64>, RunError> {
        let owner = Owner::Node(node);
        let table = &self.graph.tables[table.0 as usize];
        let half = if shift == 0 { 0 } else { 1i64 << (shift - 1) };
        let raised: Vec<i64> = self.operand(node).iter().map(|x| x + half).collect();
        let q = raised.iter().map(|x| x >> shift).collect();
        let [q, values] = self.looked_up(node, Lookup::Only, table, q)?;
        let rest = raised.iter().zip(&q).map(|(x, q)| x - (q << shift));
        let bits = self.graph.limbs(shift);
        self.limbs(owner, &bits, rest.collect(), Role::Remainder);
        Ok(values)
    }

    /// Splits values into limbs, low first, and puts them together again; what does not fit stays in the last one, which an honest
    /// run never lets happen.
    fn limbs(
        &mut self,
        owner: Owner,
        bits: &[u32],
        mut rest: Vec<i64>,
        role: impl Fn(usize) -> Role,
    ) -> Vec<i64> {
        let (mut sums, mut position) = (vec![0i64; rest.len()], 0);
        for (limb, width) in bits.iter().enumerate() {
            let last = limb + 1 == bits.len();
            let low = rest
                .iter()
                .map(|r| if last { *r } else { r & ((1 << width) - 1) });
            let low = self.cells(owner, role(limb), low.collect::<Vec<_>>());
            for ((rest, sum), low) in rest.iter_mut().zip(&mut sums).zip(&low) {
                *rest = (*rest - low) >> width;
                *sum = sum.saturating_add(low.saturating_mul(1 << position));
            }
            position += width;
        }
        sums
    }

    fn argmax(&mut self, node: usize) -> Result<Vec<i64>, RunError> {
        let owner = Owner::Node(node);
        let tensor = &self.graph.tensors[self.graph.nodes[node].inputs[0].0 as usize];
        let classes = tensor.shape.last().copied().unwrap_or(1).max(1);
        let values = self.operand(node).to_vec();
        self.check(&self.graph.nodes[node].name, &values, tensor.range)?;
        let maxima = values
            .chunks(classes)
            .map(|row| row.iter().copied().max().unwrap_or(0));
        let maxima = self.cells(owner, Role::Maximum, maxima.collect::<Vec<_>>());
        let mut one_hot = vec![0i64; values.len()];
        for (row, (of_row, max)) in values.chunks(classes).zip(&maxima).enumerate() {
            let first = of_row.iter().position(|v| v == max).unwrap_or(0);
            one_hot[row * classes + first] = 1;
        }
        let one_hot = self.cells(owner, Role::OneHot, one_hot);
        let running = one_hot.chunks(classes).flat_map(|row| {
            row.iter().scan(0i64, |sum, s| {
                *sum += s;
                Some(*sum)
            })
        });
        let cumulative = self.cells(owner, Role::Cumulative, running.collect::<Vec<_>>());
        let margin = values.iter().zip(&cumulative).enumerate();
        let rest = margin.map(|(i, (v, c))| maxima[i / classes] - v - 1 + c);
        self.limbs(
            owner,
            &self.graph.margin_limbs(tensor.range),
            rest.collect(),
            Role::Margin,
        );
        let index = |row: &[i64]| classes as i64 - row.iter().sum::<i64>();
        Ok(cumulative.chunks(classes).map(index).collect())
    }
}
