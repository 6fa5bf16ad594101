//! Canonical, little-endian encodings. There is one encoding of every value and decoders accept no other.

use alloc::string::String;
use alloc::vec::Vec;

use ff::PrimeField;

use crate::curve::{Curve, Field};

/// Why bytes were not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends early.
    #[error("the input is too short")]
    Short,
    /// Bytes are left over.
    #[error("{0} bytes follow the end")]
    Trailing(usize),
    /// A scalar is not below the modulus.
    #[error("a scalar is not canonical")]
    Scalar,
    /// Not the canonical encoding of a point on the curve.
    #[error("a point is not on the curve or not canonical")]
    Point,
    /// The magic bytes or the version are others.
    #[error("not a file of this kind or version")]
    Magic,
    /// A value is outside what this kind of value may be.
    #[error("a value is out of range: {0}")]
    Value(&'static str),
}

/// Appends canonical encodings to a byte vector.
#[derive(Clone, Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// An empty writer.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Raw bytes, without length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    /// Eight bytes, two's complement.
    pub fn i64(&mut self, value: i64) {
        self.bytes(&value.to_le_bytes());
    }

    /// A length or position as eight bytes.
    pub fn len(&mut self, value: usize) {
        self.u64(u64::try_from(value).unwrap_or(u64::MAX));
    }

    /// The bits of a float.
    pub fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    /// Length and bytes.
    pub fn string(&mut self, value: &str) {
        self.len(value.len());
        self.bytes(value.as_bytes());
    }

    /// A field element, 32 bytes.
    pub fn scalar<F: PrimeField>(&mut self, value: &F) {
        self.bytes(value.to_repr().as_ref());
    }

    /// A compressed point, 32 bytes.
    pub fn point<C: Curve>(&mut self, point: &C) {
        self.bytes(&point.to_bytes());
    }

    /// Points one after the other.
    pub fn points<C: Curve>(&mut self, points: &[C]) {
        points.iter().for_each(|point| self.point(point));
    }
}

/// Reads canonical encodings from a slice.
///
/// ```
/// use zkernel_verifier::encoding::{DecodeError, Reader, Writer};
///
/// let mut writer = Writer::new();
/// writer.string("scale");
/// writer.i64(-3);
/// let mut reader = Reader::new(&writer.0);
/// assert_eq!(reader.string().as_deref(), Ok("scale"));
/// assert_eq!(reader.i64(), Ok(-3));
/// assert_eq!(reader.finish(), Ok(()));
/// // A length that the input cannot hold is refused before anything is allocated.
/// let lie = u64::MAX.to_le_bytes();
/// assert_eq!(Reader::new(&lie).string(), Err(DecodeError::Short));
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes not read yet; a decoder allocates no more than these can hold.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.0.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(DecodeError::Short)?;
        self.0 = tail;
        Ok(head)
    }

    /// The next N bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.bytes(N)?.try_into().map_err(|_| DecodeError::Short)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Eight bytes, two's complement.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// The number of items that follow, each of at least `item_bytes` bytes: never more than the input can hold.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if the input cannot hold them.
    pub fn len(&mut self, item_bytes: usize) -> Result<usize, DecodeError> {
        let len = usize::try_from(self.u64()?).map_err(|_| DecodeError::Short)?;
        match len.checked_mul(item_bytes) {
            Some(bytes) if bytes <= self.remaining() => Ok(len),
            _ => Err(DecodeError::Short),
        }
    }

    /// The bits of a float.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// Length and UTF-8 bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`], [`DecodeError::Value`] if not UTF-8.
    pub fn string(&mut self) -> Result<String, DecodeError> {
        let len = self.len(1)?;
        let text = core::str::from_utf8(self.bytes(len)?)
            .map_err(|_| DecodeError::Value("text is not UTF-8"))?;
        Ok(text.into())
    }

    /// A canonical field element.
    ///
    /// # Errors
    /// [`DecodeError::Short`], [`DecodeError::Scalar`].
    pub fn scalar<F: Field>(&mut self) -> Result<F, DecodeError> {
        Option::from(F::from_repr(self.array()?)).ok_or(DecodeError::Scalar)
    }

    /// `count` canonical field elements.
    ///
    /// # Errors
    /// As [`Reader::scalar`].
    pub fn scalars<F: Field>(&mut self, count: usize) -> Result<Vec<F>, DecodeError> {
        self.fits(count)?;
        (0..count).map(|_| self.scalar()).collect()
    }

    /// A point in its one compressed encoding; the identity is allowed.
    ///
    /// # Errors
    /// [`DecodeError::Short`], [`DecodeError::Point`].
    pub fn point<C: Curve>(&mut self) -> Result<C, DecodeError> {
        let bytes = self.array()?;
        let point: Option<C> = Option::from(C::from_bytes(&bytes));
        point
            .filter(|p| p.to_bytes() == bytes)
            .ok_or(DecodeError::Point)
    }

    /// `count` points.
    ///
    /// # Errors
    /// As [`Reader::point`].
    pub fn points<C: Curve>(&mut self, count: usize) -> Result<Vec<C>, DecodeError> {
        self.fits(count)?;
        (0..count).map(|_| self.point()).collect()
    }

    /// Ends the input.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`].
    pub const fn finish(self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }

    fn fits(&self, count: usize) -> Result<(), DecodeError> {
        match count.checked_mul(32) {
            Some(bytes) if bytes <= self.remaining() => Ok(()),
            _ => Err(DecodeError::Short),
        }
    }
}
