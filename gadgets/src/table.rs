//! Lookup tables: one-input functions on quantized reals. Values are computed with `libm`, hence the same everywhere.

use crate::model::graph::{Function, Interval, Table};

impl Function {
    /// The function on reals.
    #[must_use]
    pub fn float(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Relu => x.max(0.0),
            Self::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
            Self::Tanh => libm::tanh(x),
            Self::Silu => x / (1.0 + libm::exp(-x)),
            Self::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::Erf => libm::erf(x),
            Self::Exp => libm::exp(x),
            Self::Softplus => x.max(0.0) + libm::log1p(libm::exp(-x.abs())),
            Self::Abs => x.abs(),
            Self::Relu6 => x.clamp(0.0, 6.0),
        }
    }

    /// All functions, by their encoding.
    pub const ALL: [Self; 11] = [
        Self::Identity,
        Self::Relu,
        Self::Sigmoid,
        Self::Tanh,
        Self::Silu,
        Self::Gelu,
        Self::Erf,
        Self::Exp,
        Self::Softplus,
        Self::Abs,
        Self::Relu6,
    ];
}

/// `round(x)`, halves up.
#[must_use]
pub fn round_half_up(x: f64) -> i64 {
    libm::floor(x + 0.5) as i64
}

impl Table {
    /// Whether the table only checks the range of its key.
    #[must_use]
    pub fn is_range(&self) -> bool {
        self.function == Function::Identity
            && self.input_scale.to_bits() == self.output_scale.to_bits()
    }

    /// Whether the function commutes with a common scale, so that the integers decide alone.
    fn is_scale_free(&self) -> bool {
        let homogeneous = matches!(
            self.function,
            Function::Identity | Function::Relu | Function::Abs
        );
        homogeneous && self.input_scale.to_bits() == self.output_scale.to_bits()
    }

    /// The value at a key, inside the table or not: `round(function(key * input_scale) / output_scale)`. The error
    /// against the real function is at most half an output step (beyond what rounding the key costs).
    #[must_use]
    pub fn value(&self, key: i64) -> i64 {
        match self.function {
            Function::Identity if self.is_scale_free() => key,
            Function::Relu if self.is_scale_free() => key.max(0),
            Function::Abs if self.is_scale_free() => key.abs(),
            _ => round_half_up(
                self.function.float(key as f64 * self.input_scale) / self.output_scale,
            ),
        }
    }

    /// The rows `(key, value)` of the table, or `(key - min)` for a range check.
    ///
    /// ```
    /// use zkernel_gadgets::model::{Function, Interval, Table};
    ///
    /// let keys = Interval::new(-2, 2);
    /// let table = Table { function: Function::Sigmoid, keys, input_scale: 1.0, output_scale: 0.01 };
    /// assert_eq!(table.rows(), [-2, 12, -1, 27, 0, 50, 1, 73, 2, 88]);
    /// ```
    #[must_use]
    pub fn rows(&self) -> Vec<i64> {
        let Interval { min, max } = self.keys;
        if self.is_range() {
            (0..=max - min).collect()
        } else {
            (min..=max).flat_map(|k| [k, self.value(k)]).collect()
        }
    }

    /// The interval of all values.
    #[must_use]
    pub fn values(&self) -> Interval {
        let mut values = Interval::new(i64::MAX, i64::MIN);
        for key in self.keys.min..=self.keys.max {
            let value = self.value(key);
            values = Interval::new(values.min.min(value), values.max.max(value));
        }
        values
    }
}
