//! Max pooling as a running maximum, fused with ReLU: `m_i = m_{i-1} + relu(x_i - m_{i-1})`.
//!
//! Each tap i of a window has one lookup `(d, r = relu(d))` ([`super::table`]) with `d = x_i - m_{i-1}`. The maximum has no cell: it is
//! `floor + sum r_i`, floor a value that no input is below (0 after a ReLU). Padding has no tap.

use ff::PrimeField;

use super::wiring::{Representation, Span};
use super::{LowerError, Lowering};
use crate::model::geometry::Geometry;
use crate::model::graph::TableId;
use crate::model::run::{Lookup, Owner, Role};

impl<F: PrimeField> Lowering<'_, F> {
    pub(super) fn max_pool(
        &mut self,
        node: usize,
        geometry: &Geometry,
        table: TableId,
    ) -> Result<(), LowerError> {
        let input = self.graph.nodes[node].inputs[0];
        let output = self.graph.nodes[node].output;
        let floor = self.graph.tensors[input.0 as usize].range.min;
        let x = self.operand_where(node, 0, Representation::has_unit_steps)?;
        let taps = geometry.taps();
        self.spend(
            node,
            taps.saturating_mul(taps.saturating_add(x.terms.len())),
        )?;
        let shape = self.graph.tensors[output.0 as usize].shape.clone();
        let mut maximum = Representation::constant(floor, &shape);
        let no_cells = "it pools a tensor that has no cells";
        for tap in 0..geometry.taps() {
            let read = x.tap(geometry, tap, [shape[2], shape[3]]);
            let read = read.ok_or_else(|| self.unsupported(node, no_cells))?;
            let valid = valid_spans(geometry, tap, &x.shape, &shape);
            if valid.iter().any(|span| span.len == 0) {
                continue; // always in the padding
            }
            let [key, gain] = self.running_cells(node, tap, &valid, &shape, table);
            let before = restrict(&maximum, &valid);
            let expected = key.plus(before);
            let name = format!("{}/tap {tap}", self.graph.nodes[node].name);
            let tied = self.equal(name, &read, &expected);
            tied.ok_or_else(|| self.unsupported(node, no_cells))?;
            maximum = maximum.plus(gain);
        }
        self.represent(output, &maximum)
    }

    /// The fused form: the running maximum starts at 0 and runs over requantized accumulators.
    pub(super) fn requantize_max(
        &mut self,
        node: usize,
        shift: u32,
        table: TableId,
        geometry: &Geometry,
    ) -> Result<(), LowerError> {
        let input = self.graph.nodes[node].inputs[0];
        let output = self.graph.nodes[node].output;
        let whole = self.graph.tensors[input.0 as usize].shape.clone();
        let shape = self.graph.tensors[output.0 as usize].shape.clone();
        let taps = geometry.taps();
        let between = geometry.stride[0].saturating_mul(geometry.stride[1]);
        self.spend(node, taps.saturating_mul(taps).saturating_add(between))?;
        let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
        let mut accumulator = Representation::constant(-half, &whole);
        let mut maximum = Representation::constant(0, &shape);
        for tap in 0..geometry.taps() {
            let spans = valid_spans(geometry, tap, &whole, &shape);
            let [key, gain] = self.running_cells(node, tap, &spans, &shape, table);
            let mut value = key.plus(maximum.clone()).times(1 << shift);
            let role = |limb| Role::TapRemainder(tap, limb);
            let bits = self.graph.limbs(shift);
            value = value.plus(self.limb_cells(Owner::Node(node), &shape, &bits, role));
            accumulator = accumulator.plus(scatter(&value, geometry, tap, &whole));
            maximum = maximum.plus(gain);
        }
        accumulator = accumulator.plus(self.outside(node, geometry, half, &whole, &shape));
        self.read_as(node, &accumulator)?;
        self.represent(output, &maximum)
    }

    /// Cells of a tap: the key d and the gain r, for the outputs at which the tap is real.
    fn running_cells(
        &mut self,
        node: usize,
        tap: usize,
        valid: &[Span],
        shape: &[usize],
        table: TableId,
    ) -> [Representation; 2] {
        let lens: Vec<usize> = valid.iter().map(|span| span.len).collect();
        let owner = Owner::Node(node);
        let both = self.table_cells(owner, Lookup::Tap(tap), table, &lens);
        both.map(|mut cells| {
            cells.shape = shape.to_vec();
            for term in &mut cells.terms {
                for (span, valid) in term.spans.iter_mut().zip(valid) {
                    span.first = valid.first;
                }
            }
            if lens.contains(&0) {
                cells.terms.clear();
            }
            cells
        })
    }

    /// Accumulators that no window reads: cells of their own.
    fn outside(
        &mut self,
        node: usize,
        geometry: &Geometry,
        half: i64,
        whole: &[usize],
        shape: &[usize],
    ) -> Representation {
        let boxes = outside_boxes(geometry, whole, shape);
        let size = |spans: &Vec<Span>| spans.iter().map(|span| span.len).product::<usize>();
        let count: usize = boxes.iter().map(size).sum();
        let mut all = Representation {
            shape: whole.to_vec(),
            terms: Vec::new(),
        };
        if count == 0 {
            return all;
        }
        let track = self.plain_track();
        let region = self.builder.region(track, count);
        self.regions
            .push(((Owner::Node(node), Role::Outside), region));
        let mut start = region.start;
        for spans in boxes {
            let lens: Vec<usize> = spans.iter().map(|span| span.len).collect();
            let mut term = Representation::cells(region, &lens).terms.remove(0);
            term.start = start;
            for (span, place) in term.spans.iter_mut().zip(&spans) {
                (span.first, span.step) = (place.first, place.step);
            }
            start += lens.iter().product::<usize>();
            let mut constant = term.clone();
            all.terms.push(term);
            // The constant of all accumulators is taken back here.
            constant.source = zkernel_verifier::form::Source::One;
            constant.spans.iter_mut().for_each(|span| span.stride = 0);
            (constant.start, constant.scale) = (0, half);
            if half != 0 {
                all.terms.push(constant);
            }
        }
        all
    }
}

/// The outputs at which a tap reads a real input.
fn valid_spans(geometry: &Geometry, tap: usize, input: &[usize], output: &[usize]) -> Vec<Span> {
    let taps = geometry.tap(tap);
    let span = |axis: usize| {
        let range = match axis {
            0 | 1 => 0..output[axis],
            _ => geometry.valid(axis - 2, taps[axis - 2], input[axis], output[axis]),
        };
        Span {
            first: range.start,
            len: range.len(),
            step: 1,
            stride: 0,
        }
    };
    (0..4).map(span).collect()
}

/// The part of a representation inside a box; all spans have step one.
fn restrict(representation: &Representation, bounds: &[Span]) -> Representation {
    let mut out = representation.clone();
    for term in &mut out.terms {
        for (span, bound) in term.spans.iter_mut().zip(bounds) {
            let first = span.first.max(bound.first);
            let end = (span.first + span.len).min(bound.first + bound.len);
            term.start += (first - span.first) * span.stride;
            (span.first, span.len) = (first, end.saturating_sub(first));
        }
    }
    out.terms
        .retain(|term| term.spans.iter().all(|span| span.len > 0));
    out
}

/// Values at the outputs of windows, put where the tap reads them.
fn scatter(
    value: &Representation,
    geometry: &Geometry,
    tap: usize,
    whole: &[usize],
) -> Representation {
    let taps = geometry.tap(tap);
    let mut out = value.clone();
    out.shape = whole.to_vec();
    for span in out.terms.iter_mut().flat_map(|term| {
        let spans = term.spans.iter_mut().skip(2).zip(0..);
        spans.collect::<Vec<_>>()
    }) {
        let (span, axis): (&mut Span, usize) = span;
        span.first = span.first * geometry.stride[axis] + taps[axis];
        span.step = geometry.stride[axis];
    }
    out
}

/// Boxes of the elements that no window reads, for windows that do not overlap: whole rows and columns between and after
/// windows.
fn outside_boxes(geometry: &Geometry, whole: &[usize], shape: &[usize]) -> Vec<Vec<Span>> {
    let plain = |first, len, step| Span {
        first,
        len,
        step,
        stride: 0,
    };
    let mut boxes = Vec::new();
    // Per axis: the positions that windows read, as spans with a step, and the others.
    let inside = |axis: usize| -> Vec<Span> {
        let (kernel, stride) = (geometry.kernel[axis], geometry.stride[axis]);
        (0..kernel)
            .map(|tap| plain(tap, shape[2 + axis], stride))
            .collect()
    };
    let others = |axis: usize| -> Vec<Span> {
        let (kernel, stride) = (geometry.kernel[axis], geometry.stride[axis]);
        let outputs = shape[2 + axis];
        let mut spans: Vec<Span> = (kernel..stride)
            .filter(|_| outputs > 1)
            .map(|gap| plain(gap, outputs - 1, stride))
            .collect();
        let used = (outputs - 1) * stride + kernel;
        if whole[2 + axis] > used {
            spans.push(plain(used, whole[2 + axis] - used, 1));
        }
        spans
    };
    let batch = [plain(0, whole[0], 1), plain(0, whole[1], 1)];
    for rows in others(0) {
        boxes.push([&batch[..], &[rows, plain(0, whole[3], 1)]].concat());
    }
    for rows in inside(0) {
        for columns in others(1) {
            boxes.push([&batch[..], &[rows, columns]].concat());
        }
    }
    boxes
}

/// Row-major numbers of the elements that no window reads, in the order of their cells.
pub(crate) fn outside_elements(
    geometry: &Geometry,
    whole: &[usize],
    shape: &[usize],
) -> Vec<usize> {
    let mut elements = Vec::new();
    for spans in outside_boxes(geometry, whole, shape) {
        let mut numbers = vec![0usize];
        for (span, len) in spans.iter().zip(whole) {
            let along = (0..span.len).map(|j| span.first + j * span.step);
            let along: Vec<usize> = along.collect();
            numbers = numbers
                .iter()
                .flat_map(|n| along.iter().map(move |i| n * len + i))
                .collect();
        }
        elements.extend(numbers);
    }
    elements
}
