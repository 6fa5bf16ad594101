//! What opens a commitment at the end of a segment: its integers and the blinding factors. Secret; whoever proves the next
//! segment needs it, and with it knows the values.
//!
//! ```
//! use pasta_curves::{EqAffine, Fp};
//! use zkernel_gadgets::opening::Opening;
//!
//! let opening = Opening::<EqAffine> {
//!     name: "activations".into(),
//!     scale: 0.25,
//!     zero_point: 0,
//!     log_n: 6,
//!     values: vec![3, -4],
//!     blinders: vec![Fp::from(7)],
//! };
//! assert_eq!(Opening::decode(&opening.encode()).as_ref(), Ok(&opening));
//! ```

use group::Curve as _;
use zkernel_verifier::curve::{Curve, Generators, Scalar, signed};
use zkernel_verifier::encoding::{DecodeError, Reader, Writer};
use zkernel_verifier::msm::Executor;

use crate::files::LOG_N;

/// The first bytes of a `.zko` file.
pub const OPENING_MAGIC: &[u8; 8] = b"zko\0v001";

/// What a `.zko` file holds.
#[derive(Clone, PartialEq)]
pub struct Opening<C: Curve> {
    /// Name of the tensor that was committed to.
    pub name: String,
    /// Real value of one integer step.
    pub scale: f64,
    /// Integer that stands for zero.
    pub zero_point: i64,
    /// log2 of the column length that the commitment was made with: it decides which values lie in which column.
    pub log_n: u32,
    /// The integers, row-major.
    pub values: Vec<i64>,
    /// Blinding factor of each column.
    pub blinders: Vec<Scalar<C>>,
}

impl<C: Curve> std::fmt::Debug for Opening<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, values, .. } = self;
        write!(f, "Opening({name}, {} values withheld)", values.len())
    }
}

impl<C: Curve> Opening<C> {
    /// The commitments that it opens, one for each column: `sum_i values[i] G_i + r H`. `None` if there are fewer generators than
    /// a column has values.
    #[must_use]
    pub fn commitments(
        &self,
        generators: &Generators<C>,
        execute: Executor<'_, C>,
    ) -> Option<Vec<C>> {
        let columns = self.values.chunks(1 << self.log_n).zip(&self.blinders);
        let commit = |(values, blinder): (&[i64], &Scalar<C>)| {
            let rows = generators.rows.get(..values.len())?;
            let points: Vec<C> = rows.iter().copied().chain([generators.blinding]).collect();
            let scalars = values.iter().map(|value| signed(*value)).chain([*blinder]);
            Some(execute(&points, &scalars.collect::<Vec<_>>()).to_affine())
        };
        columns.map(commit).collect()
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes(OPENING_MAGIC);
        w.string(&self.name);
        w.f64(self.scale);
        w.i64(self.zero_point);
        w.u32(self.log_n);
        w.len(self.values.len());
        self.values.iter().for_each(|value| w.i64(*value));
        self.blinders.iter().for_each(|r| w.scalar(r));
        w.0
    }

    /// Decodes the canonical bytes and nothing else: as many blinding factors as the values fill columns.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.array()? != *OPENING_MAGIC {
            return Err(DecodeError::Magic);
        }
        let (name, scale, zero_point, log_n) = (r.string()?, r.f64()?, r.i64()?, r.u32()?);
        if !(scale.is_finite() && scale > 0.0) {
            return Err(DecodeError::Value("the scale must be a positive number"));
        }
        if !LOG_N.contains(&log_n) {
            return Err(DecodeError::Value(
                "log2 of the column length must be 2 to 16",
            ));
        }
        let count = r.len(8)?;
        let values = (0..count).map(|_| r.i64()).collect::<Result<Vec<_>, _>>()?;
        let blinders = r.scalars(count.div_ceil(1 << log_n))?;
        r.finish()?;
        Ok(Self {
            name,
            scale,
            zero_point,
            log_n,
            values,
            blinders,
        })
    }
}
