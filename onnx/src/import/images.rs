//! Images rearranged and resized: fixed linear maps.

use zkernel_gadgets::model::{Along, Piece};

use super::attributes::{attribute, int, ints, string};
use super::maps::{AxisMap, axis_map};
use super::parts::{Outcome, Parts};
use super::views::identities;
use crate::Error;
use crate::model::FloatOp;

impl Parts<'_, '_> {
    /// Channels into blocks of `b x b` positions: one view for each position of a block.
    pub(super) fn depth_to_space(&mut self) -> Result<Outcome, Error> {
        let rows_first = string(self.node, "mode") != b"CRD";
        self.blocks(|[channels, height, width], b, [row, column]| {
            let count = channels / (b * b);
            let (from, stride) = match rows_first {
                true => ((row * b + column) * count, 1),
                false => (row * b + column, b * b),
            };
            [
                along((0, count, 1), (1, from, stride)),
                along((row, height, b), (2, 0, 1)),
                along((column, width, b), (3, 0, 1)),
            ]
        })
    }

    /// Blocks of `b x b` positions into channels.
    pub(super) fn space_to_depth(&mut self) -> Result<Outcome, Error> {
        self.blocks(|[channels, height, width], b, [row, column]| {
            [
                along(((row * b + column) * channels, channels, 1), (1, 0, 1)),
                along((0, height / b, 1), (2, row, b)),
                along((0, width / b, 1), (3, column, b)),
            ]
        })
    }

    fn blocks(
        &mut self,
        view: impl Fn([usize; 3], usize, [usize; 2]) -> [Along; 3],
    ) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let block = int(self.node, "blocksize", 1);
        let &[n, channels, height, width] = self.shape(x).as_slice() else {
            return Ok(Err("its input does not have four axes".into()));
        };
        if !(1..=64).contains(&block) {
            return Ok(Err("its blocks are not of 1 to 64 positions".into()));
        }
        let block = block as usize;
        let piece = |at: usize| {
            let axes = view([channels, height, width], block, [at / block, at % block]);
            let (input, scale) = (0, 1);
            let axes = [&[Along::whole(n, 0)][..], &axes].concat();
            (1.0, Piece { input, scale, axes })
        };
        let pieces = (0..block * block).map(piece).collect();
        let constant = 0.0;
        self.finish(FloatOp::Affine { pieces, constant }, vec![x])
    }

    /// Every output position along an axis is a fixed sum of input positions, whatever the mode.
    pub(super) fn resize(&mut self) -> Result<Outcome, Error> {
        let x = self.operand(0)?;
        let (own, shape) = (self.shape(x), self.target(0)?);
        let sampling = match self.sampling() {
            Ok(sampling) => sampling,
            Err(problem) => return Ok(Err(problem)),
        };
        let rank = own.len();
        let given = ints(self.node, "axes").iter();
        let mut axes: Vec<usize> = given.map(|a| a.rem_euclid(rank as i64) as usize).collect();
        if axes.is_empty() {
            axes = (0..rank).collect();
        }
        let scales = self.scales()?;
        let roi = match sampling.coordinates.as_slice() {
            b"tf_crop_and_resize" => self.optional(1)?,
            _ => None,
        };
        let mut maps: Vec<AxisMap> = identities(&own);
        for (number, axis) in axes.iter().enumerate() {
            let (len, out) = (own[*axis] as f64, shape[*axis] as f64);
            let scale = scales.as_ref().and_then(|s| s.get(number)).copied();
            let ends = roi
                .as_ref()
                .and_then(|roi| Some([*roi.get(number)?, *roi.get(number + axes.len())?]));
            let one = Resized {
                len: own[*axis],
                scale: scale.map_or(out / len, f64::from),
                out: shape[*axis],
                ends: ends.unwrap_or([0.0, 1.0]).map(f64::from),
            };
            let entries = (0..shape[*axis]).flat_map(|to| {
                let read = sampling.read(&one, to);
                read.into_iter()
                    .map(move |(from, factor)| (to, from, factor))
            });
            maps[*axis] = axis_map(*axis, &entries.collect::<Vec<_>>());
        }
        // What lies outside is v: weights add up to one, so that v is taken off before and added after.
        let value = attribute(self.node, "extrapolation_value").map_or(0.0, |a| f64::from(a.f));
        if roi.is_none() || value == 0.0 {
            return self.finish_map(x, &maps, 0.0);
        }
        let less = self.scaled(x, 1.0, -value);
        self.finish_map(less, &maps, value)
    }

    fn optional(&self, index: usize) -> Result<Option<Vec<f32>>, Error> {
        let name = self.node.input.get(index).filter(|name| !name.is_empty());
        let values = name.map(|name| self.import.constant(name)).transpose()?;
        Ok(values
            .map(|constant| constant.values)
            .filter(|values| !values.is_empty()))
    }

    /// Scales as the file gives them: an attribute once, then an input whose place has changed.
    fn scales(&self) -> Result<Option<Vec<f32>>, Error> {
        if let Some(scales) = attribute(self.node, "scales") {
            return Ok(Some(scales.floats.clone()));
        }
        let place = if self.node.op_type == "Upsample" || self.import.opset < 11 {
            1
        } else {
            2
        };
        // Sizes decide alone where they are given: scales are then ratios of lengths.
        if self.optional(3)?.is_some() {
            return Ok(None);
        }
        self.optional(place)
    }

    fn sampling(&self) -> Result<Sampling, String> {
        let text = |name: &str, default: &[u8]| match string(self.node, name) {
            b"" => default.to_vec(),
            given => given.to_vec(),
        };
        let old = self.node.op_type == "Upsample" || self.import.opset < 11;
        let coordinates: &[u8] = if old { b"asymmetric" } else { b"half_pixel" };
        let nearest: &[u8] = if old { b"floor" } else { b"round_prefer_floor" };
        let number = |name: &str, default: f32| attribute(self.node, name).map_or(default, |a| a.f);
        let sampling = Sampling {
            mode: text("mode", b"nearest"),
            coordinates: text("coordinate_transformation_mode", coordinates),
            nearest: text("nearest_mode", nearest),
            cubic: f64::from(number("cubic_coeff_a", -0.75)),
            inside: int(self.node, "exclude_outside", 0) != 0,
            antialias: int(self.node, "antialias", 0) != 0,
        };
        let modes: [&[u8]; 5] = [b"nearest", b"linear", b"bilinear", b"cubic", b"bicubic"];
        if !modes.contains(&sampling.mode.as_slice()) {
            return Err("its mode is not built".into());
        }
        let known: [&[u8]; 6] = [
            b"half_pixel",
            b"half_pixel_symmetric",
            b"pytorch_half_pixel",
            b"align_corners",
            b"asymmetric",
            b"tf_crop_and_resize",
        ];
        if !known.contains(&sampling.coordinates.as_slice()) {
            return Err("its coordinate transformation is not built".into());
        }
        Ok(sampling)
    }
}

/// How an axis is sampled.
struct Sampling {
    mode: Vec<u8>,
    coordinates: Vec<u8>,
    nearest: Vec<u8>,
    /// The parameter of the cubic kernel.
    cubic: f64,
    /// Whether positions outside weigh nothing.
    inside: bool,
    antialias: bool,
}

/// An axis of `len` positions that becomes one of `out`.
struct Resized {
    len: usize,
    scale: f64,
    out: usize,
    /// Start and end of the region of interest.
    ends: [f64; 2],
}

impl Sampling {
    /// Where an output position lies on the input axis.
    fn coordinate(&self, axis: &Resized, to: usize) -> f64 {
        let (to, len, out) = (to as f64, axis.len as f64, axis.out as f64);
        let half = (to + 0.5) / axis.scale - 0.5;
        match self.coordinates.as_slice() {
            b"align_corners" if axis.out == 1 => 0.0,
            b"align_corners" => to * (len - 1.0) / (len * axis.scale - 1.0),
            b"asymmetric" => to / axis.scale,
            b"pytorch_half_pixel" if axis.out == 1 => 0.0,
            b"half_pixel_symmetric" => {
                let adjusted = out / (axis.scale * len);
                len / 2.0 * (1.0 - adjusted) + half
            }
            b"tf_crop_and_resize" => {
                let [start, end] = axis.ends;
                match axis.out {
                    1 => 0.5 * (start + end) * (len - 1.0),
                    _ => start * (len - 1.0) + to * (end - start) * (len - 1.0) / (out - 1.0),
                }
            }
            _ => half,
        }
    }

    /// Positions and their weights.
    fn read(&self, axis: &Resized, to: usize) -> Vec<(usize, f64)> {
        let at = self.coordinate(axis, to);
        let last = axis.len as f64 - 1.0;
        if self.coordinates == b"tf_crop_and_resize" && !(0.0..=last).contains(&at) {
            return Vec::new();
        }
        match self.mode.as_slice() {
            b"nearest" => vec![(self.round(at).clamp(0.0, last) as usize, 1.0)],
            b"linear" | b"bilinear" => self.weigh(axis, at, 1.0, |d| (1.0 - d).max(0.0)),
            _ => self.weigh(axis, at, 2.0, |d| self.cubic(d)),
        }
    }

    fn round(&self, at: f64) -> f64 {
        match self.nearest.as_slice() {
            b"floor" => at.floor(),
            b"ceil" => at.ceil(),
            b"round_prefer_ceil" => (at + 0.5).floor(),
            _ => (at - 0.5).ceil(),
        }
    }

    /// A kernel of that reach around a coordinate; antialiased kernels are stretched where the axis shrinks.
    fn weigh(
        &self,
        axis: &Resized,
        at: f64,
        reach: f64,
        kernel: impl Fn(f64) -> f64,
    ) -> Vec<(usize, f64)> {
        let stretch = match self.antialias {
            true => axis.scale.min(1.0),
            false => 1.0,
        };
        let reach = reach / stretch;
        let (first, last) = ((at - reach).floor() as i64, (at + reach).ceil() as i64);
        let len = axis.len as i64;
        let near = (first..=last).map(|i| (i, kernel((i as f64 - at).abs() * stretch)));
        let inside = |i: i64| (0..len).contains(&i) || !self.inside;
        // What float noise leaves of a zero of the kernel is no weight.
        let near: Vec<(i64, f64)> = near.filter(|(i, w)| w.abs() > 1e-9 && inside(*i)).collect();
        let total: f64 = near.iter().map(|(_, weight)| weight).sum();
        let mut weights = std::collections::BTreeMap::new();
        for (i, weight) in near {
            *weights.entry(i.clamp(0, len - 1) as usize).or_insert(0.0) += weight / total;
        }
        weights.into_iter().collect()
    }

    /// The cubic convolution kernel (Keys, Cubic Convolution Interpolation for Digital Image Processing, 1981).
    fn cubic(&self, d: f64) -> f64 {
        let a = self.cubic;
        match d {
            d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
            d if d < 2.0 => ((d - 5.0) * d + 8.0) * d * a - 4.0 * a,
            _ => 0.0,
        }
    }
}

/// Output `first, first + step, ..`, `len` of them, reading an input axis from a position on.
const fn along((first, len, step): (usize, usize, usize), source: (usize, usize, usize)) -> Along {
    Along {
        first,
        len,
        step,
        source: Some(source),
    }
}
