//! Lookup tables: one-input functions on quantized reals. Values are computed with `libm`, hence the same everywhere.

use crate::model::graph::{Function, Interval, Table};

impl Function {
    /// The function on reals, with parameters a and b.
    #[must_use]
    pub fn float(self, x: f64, [a, b]: [f64; 2]) -> f64 {
        use libm::{exp, log, tanh};
        let softplus = |x: f64| x.max(0.0) + libm::log1p(exp(-x.abs()));
        let positive = |yes: bool| if yes { 1.0 } else { 0.0 };
        match self {
            Self::Identity => x,
            Self::Relu => x.max(0.0),
            Self::Sigmoid => 1.0 / (1.0 + exp(-x)),
            Self::Tanh => tanh(x),
            Self::Silu => x / (1.0 + exp(-x)),
            Self::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Self::Erf => libm::erf(x),
            Self::Exp => exp(x),
            Self::Softplus => softplus(x),
            Self::Abs => x.abs(),
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::Sqrt => libm::sqrt(x.max(0.0)),
            Self::Reciprocal if x == 0.0 => 0.0,
            Self::Reciprocal => 1.0 / x,
            Self::Log => log(x),
            Self::LeakyRelu => {
                if x < 0.0 {
                    a * x
                } else {
                    x
                }
            }
            Self::Elu => {
                if x < 0.0 {
                    a * libm::expm1(x)
                } else {
                    x
                }
            }
            Self::Selu => b * if x < 0.0 { a * libm::expm1(x) } else { x },
            Self::Clip => x.max(a).min(b),
            Self::HardSigmoid => (a * x + b).clamp(0.0, 1.0),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Mish => x * tanh(softplus(x)),
            Self::GeluTanh => {
                let inner = libm::sqrt(std::f64::consts::FRAC_2_PI) * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + tanh(inner))
            }
            Self::Pow => power(x, a),
            Self::Sin => libm::sin(x),
            Self::Cos => libm::cos(x),
            Self::Floor => libm::floor(x),
            Self::Ceil => libm::ceil(x),
            Self::Round => libm::rint(x),
            Self::Sign => positive(x > 0.0) - positive(x < 0.0),
            Self::Step => positive(x > a),
            Self::Equal => positive(x == a),
            Self::ThresholdedRelu => {
                if x > a {
                    x
                } else {
                    0.0
                }
            }
            Self::Celu => x.max(0.0) + (a * libm::expm1(x / a)).min(0.0),
            Self::Atan => libm::atan(x),
            Self::Rsqrt if x <= 0.0 => 0.0,
            Self::Rsqrt => 1.0 / libm::sqrt(x),
            Self::Mod => remainder(x, a, b == 1.0),
            Self::Trunc => libm::trunc(x / a),
            Self::Shrink if x > a => x - b,
            Self::Shrink if x < -a => x + b,
            Self::Shrink => 0.0,
            Self::Tan => libm::tan(x),
            Self::Asin => libm::asin(x.clamp(-1.0, 1.0)),
            Self::Acos => libm::acos(x.clamp(-1.0, 1.0)),
            Self::Sinh => libm::sinh(x),
            Self::Cosh => libm::cosh(x),
            Self::Asinh => libm::asinh(x),
            Self::Acosh => libm::acosh(x.max(1.0)),
            Self::Atanh if x.abs() >= 1.0 => 0.0,
            Self::Atanh => libm::atanh(x),
        }
    }

    /// All functions, by their encoding.
    pub const ALL: [Self; 47] = [
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
        Self::Sqrt,
        Self::Reciprocal,
        Self::Log,
        Self::LeakyRelu,
        Self::Elu,
        Self::Selu,
        Self::Clip,
        Self::HardSigmoid,
        Self::HardSwish,
        Self::Softsign,
        Self::Mish,
        Self::GeluTanh,
        Self::Pow,
        Self::Sin,
        Self::Cos,
        Self::Floor,
        Self::Ceil,
        Self::Round,
        Self::Sign,
        Self::Step,
        Self::Equal,
        Self::ThresholdedRelu,
        Self::Celu,
        Self::Atan,
        Self::Rsqrt,
        Self::Mod,
        Self::Trunc,
        Self::Shrink,
        Self::Tan,
        Self::Asin,
        Self::Acos,
        Self::Sinh,
        Self::Cosh,
        Self::Asinh,
        Self::Acosh,
        Self::Atanh,
    ];
}

/// `|x|^a`, negative for a negative x and an odd integer a.
fn power(x: f64, a: f64) -> f64 {
    let odd = libm::fabs(libm::fmod(a, 2.0)) == 1.0;
    let magnitude = libm::pow(x.abs(), a);
    if odd && x < 0.0 {
        -magnitude
    } else {
        magnitude
    }
}

/// The remainder of x by a, of the sign of x (`truncated`) or of a.
fn remainder(x: f64, a: f64, truncated: bool) -> f64 {
    let rest = libm::fmod(x, a);
    if truncated || rest == 0.0 || (rest < 0.0) == (a < 0.0) {
        rest
    } else {
        rest + a
    }
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

    /// Whether every value is exactly that of the integer function: ReLU, say, of a table that is not split, or split at key 0.
    #[must_use]
    pub fn is_exact_relu(&self) -> bool {
        let aligned = self.keys.min % (1 << self.low) == 0;
        self.function == Function::Relu && self.is_scale_free() && aligned
    }

    /// The value at a key, inside the table or not: `round(function(key * input_scale) / output_scale)`, halves up, or, where keys
    /// are split, what the segment's line gives. The error against the real function is at most half an output step (beyond
    /// what rounding the key costs); in a split table also what the function bends away from the segment's chord, largest less
    /// smallest, and half a step for every place of the segment, the slope being rounded.
    #[must_use]
    pub fn value(&self, key: i64) -> i64 {
        if self.low == 0 {
            return round_half_up(self.real(key));
        }
        let (high, rest) = self.split(key);
        let [base, slope] = self.segment(high);
        base.saturating_add(slope.saturating_mul(rest))
    }

    /// The segment of a key, and its place there.
    #[must_use]
    pub const fn split(&self, key: i64) -> (i64, i64) {
        let above = key - self.keys.min;
        let high = above >> self.low;
        (high, above - (high << self.low))
    }

    /// The line of a segment, `base + slope rest`: through both ends, moved so that it errs as much there as in the middle.
    #[must_use]
    pub fn segment(&self, high: i64) -> [i64; 2] {
        let (start, width) = (self.keys.min + (high << self.low), 1i64 << self.low);
        let at = [0, width / 2, width].map(|rest| (rest, self.real(start + rest)));
        let slope = round_half_up((at[2].1 - at[0].1) / width as f64);
        let rests = at.map(|(rest, value)| value - slope as f64 * rest as f64);
        let highest = rests.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let lowest = rests.into_iter().fold(f64::INFINITY, f64::min);
        [round_half_up((highest + lowest) / 2.0), slope]
    }

    /// Output steps at a key, not rounded. Integers where they decide alone.
    fn real(&self, key: i64) -> f64 {
        let scaled = |key: i64| {
            let x = key as f64 * self.input_scale;
            let real = self.function.float(x, self.parameters);
            // A pole is no value of the function; nobody may rely on it.
            let real = if real.is_finite() { real } else { 0.0 };
            real / self.output_scale
        };
        match self.function {
            Function::Identity if self.is_scale_free() => key as f64,
            Function::Relu if self.is_scale_free() => key.max(0) as f64,
            Function::Abs if self.is_scale_free() => key.abs() as f64,
            Function::Log => scaled(key.max(1)),
            _ => scaled(key),
        }
    }

    /// Numbers of rows: of the table, and of the range of what is not looked up in it.
    #[must_use]
    pub fn row_counts(&self) -> [i64; 2] {
        let rows = (self.keys.max - self.keys.min + 1) >> self.low;
        match self.low {
            0 => [rows, 0],
            low if self.is_range() => [0, 1 << low],
            low => [rows, 1 << low],
        }
    }

    /// Bits of `key - min`, which spans a power of two in a split range.
    #[must_use]
    pub const fn span_bits(&self) -> u32 {
        u64::BITS - self.keys.max.abs_diff(self.keys.min).leading_zeros()
    }

    /// The rows `(key, value)` of the table, `(high, base, slope)` of a split one, or `(key - min)` for a range check.
    ///
    /// ```
    /// use zkernel_gadgets::model::{Function, Interval, Table};
    ///
    /// let keys = Interval::new(-2, 1);
    /// let mut table = Table { function: Function::Sigmoid, parameters: [0.0; 2], keys, input_scale: 1.0, output_scale: 0.01, low: 0 };
    /// assert_eq!(table.rows(), [-2, 12, -1, 27, 0, 50, 1, 73]);
    /// table.low = 1;
    /// assert_eq!(table.rows(), [0, 10, 19, 1, 52, 19]);
    /// assert_eq!([-2, -1, 0, 1].map(|key| table.value(key)), [10, 29, 52, 71]);
    /// ```
    #[must_use]
    pub fn rows(&self) -> Vec<i64> {
        let Interval { min, max } = self.keys;
        if self.is_range() {
            return (0..self.row_counts()[0]).collect();
        }
        if self.low == 0 {
            return (min..=max).flat_map(|k| [k, self.value(k)]).collect();
        }
        let row = |high| {
            let [base, slope] = self.segment(high);
            [high, base, slope]
        };
        (0..self.row_counts()[0]).flat_map(row).collect()
    }

    /// The interval of all values.
    #[must_use]
    pub fn values(&self) -> Interval {
        if self.is_range() {
            return self.keys;
        }
        let last = (1i64 << self.low) - 1;
        let mut values = Interval::new(i64::MAX, i64::MIN);
        for high in 0..self.row_counts()[0] {
            let [base, slope] = match self.low {
                0 => [self.value(self.keys.min + high), 0],
                _ => self.segment(high),
            };
            for value in [base, base.saturating_add(slope.saturating_mul(last))] {
                values = Interval::new(values.min.min(value), values.max.max(value));
            }
        }
        values
    }
}
