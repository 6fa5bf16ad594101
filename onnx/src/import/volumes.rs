//! Convolutions over three axes and more, and constants by channel of volumes: taps of the leading axes become channels, which costs
//! nothing, and what is left is a layer in the plane.

use zkernel_gadgets::model::{Along, Piece};

use super::Constant;
use super::affine::Affine;
use super::attributes::int;
use super::parts::{Outcome, Parts};
use super::views::MAX_PIECES;
use super::windows::{Window, arranged, in_plane, kernel, windows};
use crate::Error;
use crate::model::FloatOp;

impl Parts<'_, '_> {
    /// A convolution over three axes or more.
    pub(super) fn convolution(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let (own, weights) = (self.shape(x), self.import.shape(&self.node.input[1])?);
        let groups = int(self.node, "group", 1).max(1) as usize;
        if own.len() < 3 || own.len() != weights.len() || own[1] != weights[1] * groups {
            return Ok(Err("its weights do not fit its input".into()));
        }
        let given = kernel(self.node);
        let sizes = match given.is_empty() {
            true => &weights[2..],
            false => &given,
        };
        let windows = match windows(self.node, &own[2..], sizes) {
            Ok(windows) if sizes == &weights[2..] && weights[0] % groups == 0 => windows,
            Ok(_) => return Ok(Err("its kernel does not fit its weights".into())),
            Err(problem) => return Ok(Err(problem)),
        };
        match self.by_planes(x, &windows, groups)? {
            Ok(y) => self.finish_as(0, y),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// Taps of all axes but two become channels, their positions samples.
    fn by_planes(
        &mut self,
        x: usize,
        windows: &[Window],
        groups: usize,
    ) -> Result<Result<usize, String>, Error> {
        let weights = self.import.constant(&self.node.input[1])?;
        let bias = match self.node.input.get(2).filter(|n| !n.is_empty()) {
            Some(name) => Some(self.import.constant(name)?.values),
            None => None,
        };
        let target = self.target(0)?;
        let (ahead, plane) = windows.split_at(windows.len().saturating_sub(2));
        let outputs = &target[2..2 + ahead.len()];
        let unfolded = match self.unfolded(x, ahead, outputs) {
            Ok(unfolded) => unfolded,
            Err(problem) => return Ok(Err(problem)),
        };
        let own = self.shape(x);
        let taps: usize = ahead.iter().map(|w| w.kernel).product();
        let samples = own[0] * outputs.iter().product::<usize>();
        let lengths = &own[2 + ahead.len()..];
        let flat = [&[samples, own[1] * taps][..], lengths].concat();
        let flat = self.part(FloatOp::Reshape, vec![unfolded], flat);
        let rows = weights.shape[0];
        let kernel = weights.shape[2 + ahead.len()..].iter();
        let shape = [rows, weights.shape[1] * taps].into_iter();
        let weights = Constant {
            shape: shape.chain(kernel.copied()).collect(),
            values: weights.values,
        };
        let conv = match in_plane(plane).map(|geometry| arranged(geometry, groups, &weights, bias))
        {
            Ok(conv) => conv,
            Err(problem) => return Ok(Err(problem)),
        };
        let rest = &target[2 + ahead.len()..];
        let shape = [&[samples, rows][..], rest].concat();
        let y = self.part(FloatOp::Conv(conv), vec![flat], shape);
        let layer = self.build.nodes.len() - 1;
        let shape = [&[own[0]], outputs, &[rows], rest].concat();
        let apart = self.part(FloatOp::Reshape, vec![y], shape);
        let last = 1 + ahead.len();
        let order = [0, last]
            .into_iter()
            .chain(1..last)
            .chain(last + 1..target.len());
        let y = self.transpose(apart, order.collect());
        self.build.behind.insert(y, layer);
        Ok(Ok(y))
    }

    /// `batch x outputs of some axes x channels x taps of those axes x the other axes`: what each window of the leading spatial axes sees,
    /// zeros in the padding; one view for each tap.
    fn unfolded(
        &mut self,
        x: usize,
        windows: &[Window],
        outputs: &[usize],
    ) -> Result<usize, String> {
        let own = self.shape(x);
        let kernel: Vec<usize> = windows.iter().map(|w| w.kernel).collect();
        let taps: usize = kernel.iter().product();
        if taps > MAX_PIECES {
            return Err(format!("it has more than {MAX_PIECES} taps"));
        }
        let lengths = &own[2 + windows.len()..];
        let shape = [&own[..1], outputs, &own[1..2], &kernel, lengths].concat();
        let piece = |tap: usize| {
            let at = super::maps::position(tap, &kernel);
            let places = windows.iter().enumerate().map(|(index, window)| {
                let offset = at[index] * window.dilation;
                read(window, offset, own[2 + index], outputs[index], 2 + index)
            });
            let places: Vec<Along> = places.collect::<Option<_>>()?;
            let taps = at.iter().map(|first| Along {
                first: *first,
                ..Along::repeated(1)
            });
            let whole = |axis: usize| Along::whole(own[axis], axis);
            let rest = (2 + windows.len()..own.len()).map(whole);
            let axes = [whole(0)].into_iter().chain(places).chain([whole(1)]);
            let (input, scale) = (0, 1);
            let axes = axes.chain(taps).chain(rest).collect();
            Some((1.0, Piece { input, scale, axes }))
        };
        let pieces: Vec<(f64, Piece)> = (0..taps).filter_map(piece).collect();
        if pieces.is_empty() {
            return Err("windows that lie in the padding alone".into());
        }
        let constant = 0.0;
        Ok(self.part(FloatOp::Affine { pieces, constant }, vec![x], shape))
    }

    /// `y_c = scale_c x + shift_c` along axis 1 of a tensor with three spatial axes or more: one layer in the plane.
    pub(super) fn by_channels(&mut self, affine: &Affine) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let Some(plane) = plane(&self.shape(x)) else {
            return Ok(Err(
                "a constant that varies in a way that is not built".into()
            ));
        };
        let Some(op) = affine.layer(&plane) else {
            return Ok(Err(
                "a constant that varies in a way that is not built".into()
            ));
        };
        let flat = self.part(FloatOp::Reshape, vec![x], plane.clone());
        let y = self.part(op, vec![flat], plane);
        self.finish(FloatOp::Reshape, vec![y])
    }
}

/// Batch, channels, and all positions in one row.
fn plane(shape: &[usize]) -> Option<Vec<usize>> {
    let (&[batch, channels], rest) = shape.split_first_chunk::<2>()?;
    (rest.len() > 2).then(|| vec![batch, channels, 1, rest.iter().product()])
}

/// The outputs of an axis that see a position of the input at that offset of their window.
fn read(window: &Window, offset: usize, len: usize, outputs: usize, axis: usize) -> Option<Along> {
    let place = |to: usize| (to * window.stride + offset).checked_sub(window.before);
    let inside = |to: &usize| place(*to).is_some_and(|at| at < len);
    let first = (0..outputs).find(inside)?;
    let count = (first..outputs).take_while(inside).count();
    Some(Along {
        first,
        len: count,
        step: 1,
        source: Some((axis, place(first)?, window.stride)),
    })
}
