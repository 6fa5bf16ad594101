//! Poolings and transposed convolutions by their axes: averages are fixed linear maps, maxima go axis by axis.

use super::attributes::{int, ints, string};
use super::maps::{AxisMap, axis_map};
use super::parts::{Outcome, Parts};
use super::views::identities;
use super::windows::{Window, in_plane, kernel, sizes, windows};
use crate::Error;
use crate::model::{Conv, FloatOp};

impl Parts<'_, '_> {
    /// A mean over windows of any number of axes; padding counts if the file says so, what `ceil_mode` adds never does.
    pub(super) fn average_pool(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let (own, shape) = (self.shape(x), self.target(0)?);
        let windows = match windows(self.node, &own[2..], &kernel(self.node)) {
            Ok(windows) => windows,
            Err(problem) => return Ok(Err(problem)),
        };
        let padding = int(self.node, "count_include_pad", 0) != 0;
        let mut maps: Vec<AxisMap> = identities(&own);
        for (index, window) in windows.iter().enumerate() {
            let axis = index + 2;
            let entries = (0..shape[axis]).flat_map(|to| means(window, own[axis], padding, to));
            maps[axis] = axis_map(axis, &entries.collect::<Vec<_>>());
        }
        self.finish_map(x, &maps, 0.0)
    }

    /// A maximum over windows of any number of axes, one axis after the other.
    pub(super) fn max_pool(&mut self) -> Result<Outcome, Error> {
        let mut x = self.operand(0)?;
        let (own, shape) = (self.shape(x), self.target(0)?);
        let windows = match windows(self.node, &own[2..], &kernel(self.node)) {
            Ok(windows) => windows,
            Err(problem) => return Ok(Err(problem)),
        };
        for (index, window) in windows.iter().enumerate() {
            let axis = index + 2;
            // Windows may reach beyond the padding, by ceil_mode.
            let last = (shape[axis] - 1) * window.stride + window.reach();
            let after = last.saturating_sub(own[axis] + window.before);
            let window = Window { after, ..*window };
            if window.before >= window.reach() || window.after >= window.reach() {
                return Ok(Err("a window within the padding".into()));
            }
            x = match self.maxima_along(x, axis, window, shape[axis]) {
                Ok(x) => x,
                Err(problem) => return Ok(Err(problem)),
            };
        }
        self.finish_as(0, x)
    }

    fn maxima_along(
        &mut self,
        x: usize,
        axis: usize,
        window: Window,
        outputs: usize,
    ) -> Result<usize, String> {
        let rank = self.shape(x).len();
        let order = Self::to_last(axis, rank);
        let mut back = vec![0; rank];
        for (to, from) in order.iter().enumerate() {
            back[*from] = to;
        }
        let moved = self.transpose(x, order);
        let mut shape = self.shape(moved);
        let (rows, len) = (shape[..rank - 1].iter().product(), shape[rank - 1]);
        let plane = self.part(FloatOp::Reshape, vec![moved], vec![1, rows, 1, len]);
        let geometry = in_plane(&[window])?;
        let op = FloatOp::MaxPool(geometry);
        let maxima = self.part(op, vec![plane], vec![1, rows, 1, outputs]);
        shape[rank - 1] = outputs;
        let y = self.part(FloatOp::Reshape, vec![maxima], shape);
        Ok(self.transpose(y, back))
    }

    /// Pooling over all spatial positions.
    pub(super) fn global_pool(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let shape = self.shape(x);
        let axes: Vec<usize> = (2..shape.len()).collect();
        let count: usize = shape[2.min(shape.len())..].iter().product();
        let y = match &*self.node.op_type {
            "GlobalMaxPool" => self.maximum_over(x, &axes),
            _ => self.sum_over(x, &axes, 1.0 / count.max(1) as f64, 0.0),
        };
        self.finish_as(0, y)
    }

    /// A convolution of the input with zeros between its positions, by the kernel turned around.
    pub(super) fn transposed_convolution(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let (own, shape) = (self.shape(x), self.target(0)?);
        let weights = self.import.constant(&self.node.input[1])?;
        let bias = match self.node.input.get(2).filter(|n| !n.is_empty()) {
            Some(name) => Some(self.import.constant(name)?.values),
            None => None,
        };
        let groups = int(self.node, "group", 1).max(1) as usize;
        let Some((&[channels, each], kernel)) = weights.shape.split_first_chunk::<2>() else {
            return Ok(Err("its weights have fewer than three axes".into()));
        };
        if own.len() < 3 || channels != own[1] || channels % groups != 0 {
            return Ok(Err("its weights do not fit its input".into()));
        }
        let windows = match self.turned(kernel, &own[2..], &shape[2..]) {
            Ok(windows) => windows,
            Err(problem) => return Ok(Err(problem)),
        };
        let geometry = match in_plane(&windows.iter().map(|w| w.0).collect::<Vec<_>>()) {
            Ok(geometry) => geometry,
            Err(problem) => return Ok(Err(problem)),
        };
        let spread = match self.spread(x, &windows) {
            Ok(spread) => spread,
            Err(problem) => return Ok(Err(problem)),
        };
        let (taps, of_group) = (geometry.taps(), channels / groups);
        let rows = each * groups;
        let at = |p: usize| {
            let (row, tap, channel) = (p / (taps * of_group), p / of_group % taps, p % of_group);
            let from = (row / each * of_group + channel) * each + row % each;
            weights.values[from * taps + taps - 1 - tap]
        };
        let conv = Conv {
            rows,
            groups,
            geometry,
            weights: (0..rows * taps * of_group).map(at).collect(),
            bias,
        };
        self.finish(FloatOp::Conv(conv), vec![spread])
    }

    /// For each axis the window of the convolution that a transposed one is, with how far apart its inputs lie and how much of them is
    /// cut off in front and left in all.
    fn turned(
        &self,
        kernel: &[usize],
        lengths: &[usize],
        outputs: &[usize],
    ) -> Result<Vec<(Window, [usize; 3])>, String> {
        let given = windows(self.node, lengths, kernel)?;
        let extra = sizes(self.node, "output_padding");
        let fixed = !ints(self.node, "output_shape").is_empty();
        let same = string(self.node, "auto_pad");
        let turn = |(axis, window): (usize, &Window)| {
            let reach = window.reach();
            let spread = window.stride * (lengths[axis] - 1) + 1;
            let extra = extra.get(axis).copied().unwrap_or(0);
            let total = (spread + reach - 1 + extra).saturating_sub(outputs[axis]);
            let before = match same {
                b"SAME_UPPER" => total / 2,
                b"SAME_LOWER" => total - total / 2,
                _ if fixed => total - total / 2,
                _ => window.before,
            };
            // What padding takes off the output beyond the kernel's reach is cut off the input.
            let cut = before.saturating_sub(reach - 1);
            let before = (reach - 1).saturating_sub(before);
            let needed = outputs[axis] + reach - 1;
            let left = (spread - cut.min(spread)).min(needed.saturating_sub(before));
            let window = Window {
                kernel: window.kernel,
                stride: 1,
                dilation: window.dilation,
                before,
                after: needed.saturating_sub(before + left),
            };
            (window, [lengths[axis], cut, left])
        };
        let all = given.iter().enumerate().map(turn);
        let all: Vec<(Window, [usize; 3])> = all.collect();
        match all.iter().any(|(_, [_, _, left])| *left == 0) {
            true => Err("nothing is left of its input".into()),
            false => Ok(all),
        }
    }

    /// Positions of each axis apart by the stride, zeros between them.
    fn spread(&mut self, x: usize, windows: &[(Window, [usize; 3])]) -> Result<usize, String> {
        let own = self.shape(x);
        let strides = sizes(self.node, "strides");
        let mut maps: Vec<AxisMap> = identities(&own);
        let mut shape = own.clone();
        for (index, (_, [len, cut, left])) in windows.iter().enumerate() {
            let stride = strides.get(index).copied().unwrap_or(1);
            let places = (0..*len).filter_map(|from| {
                let to = (from * stride).checked_sub(*cut)?;
                (to < *left).then_some((to, from, 1.0))
            });
            maps[index + 2] = axis_map(index + 2, &places.collect::<Vec<_>>());
            shape[index + 2] = *left;
        }
        if shape == own {
            return Ok(x);
        }
        let op = super::maps::separable(&maps, 0.0)?;
        Ok(self.part(op, vec![x], shape))
    }
}

/// What a mean reads of an axis of that length.
fn means(window: &Window, len: usize, padding: bool, to: usize) -> Vec<(usize, usize, f64)> {
    let taps = (0..window.kernel).map(|tap| to * window.stride + tap * window.dilation);
    let inside = |at: &usize| (window.before..window.before + len).contains(at);
    let counted = taps.clone().filter(|at| match padding {
        true => *at < window.before + len + window.after,
        false => inside(at),
    });
    let share = 1.0 / counted.count().max(1) as f64;
    let entry = |at: usize| (to, at - window.before, share);
    taps.filter(inside).map(entry).collect()
}
