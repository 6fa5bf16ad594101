//! Windows of convolutions and poolings along the two spatial axes.

/// Kernel, strides, dilations and padding, `[rows, columns]` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Taps.
    pub kernel: [usize; 2],
    /// Input positions between neighbouring outputs.
    pub stride: [usize; 2],
    /// Input positions between neighbouring taps.
    pub dilation: [usize; 2],
    /// Padding before the first input position.
    pub before: [usize; 2],
    /// Padding after the last input position.
    pub after: [usize; 2],
}

/// Largest kernel, stride, dilation or padding.
const MAX: usize = 1 << 16;

impl Geometry {
    /// A window without padding or dilation.
    #[must_use]
    pub const fn window(kernel: [usize; 2], stride: [usize; 2]) -> Self {
        Self {
            kernel,
            stride,
            dilation: [1, 1],
            before: [0, 0],
            after: [0, 0],
        }
    }

    /// Number of taps.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Row and column of a tap, row-major.
    #[must_use]
    pub const fn tap(&self, tap: usize) -> [usize; 2] {
        [tap / self.kernel[1], tap % self.kernel[1]]
    }

    /// Output size along both axes for an input of that size; `None` if the window does not fit or a number is absurd.
    ///
    /// ```
    /// use zkernel_gadgets::model::Geometry;
    ///
    /// let same = Geometry { before: [1, 1], after: [1, 1], ..Geometry::window([3, 3], [1, 1]) };
    /// assert_eq!(same.outputs([28, 28]), Some([28, 28]));
    /// assert_eq!(Geometry::window([2, 2], [2, 2]).outputs([28, 27]), Some([14, 13]));
    /// assert_eq!(Geometry::window([5, 5], [1, 1]).outputs([4, 4]), None);
    /// ```
    #[must_use]
    pub fn outputs(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let sizes = [
                self.kernel[axis],
                self.stride[axis],
                self.dilation[axis],
                self.before[axis].saturating_add(1),
                self.after[axis].saturating_add(1),
            ];
            if sizes.iter().any(|size| !(1..=MAX).contains(size)) {
                return None;
            }
            let padded = input[axis].checked_add(self.before[axis] + self.after[axis])?;
            let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            Some(padded.checked_sub(reach)? / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// The outputs at which a tap reads a real input, along one axis.
    #[must_use]
    pub fn valid(
        &self,
        axis: usize,
        tap: usize,
        input: usize,
        outputs: usize,
    ) -> std::ops::Range<usize> {
        let (stride, before) = (self.stride[axis], self.before[axis]);
        let ahead = tap * self.dilation[axis];
        let first = before.saturating_sub(ahead).div_ceil(stride);
        let end = match (input + before).checked_sub(ahead + 1) {
            None => 0,
            Some(last) => (last / stride + 1).min(outputs),
        };
        first..end.max(first)
    }

    /// The input that a tap reads for an output, along one axis; `None` in the padding.
    #[must_use]
    pub fn read(&self, axis: usize, output: usize, tap: usize, input: usize) -> Option<usize> {
        let ahead = output * self.stride[axis] + tap * self.dilation[axis];
        ahead.checked_sub(self.before[axis]).filter(|i| *i < input)
    }

    /// Whether windows neither overlap nor reach into padding.
    #[must_use]
    pub fn is_partition(&self) -> bool {
        self.before == [0, 0]
            && self.after == [0, 0]
            && self.dilation == [1, 1]
            && (0..2).all(|axis| self.stride[axis] >= self.kernel[axis])
    }
}
