//! Which digits have buckets, and where.

/// The `i + j zeta6` with `i >= 1, j >= 0` that stand for the digits of a window.
pub(crate) trait Shape: Copy {
    /// Places of buckets, a few of which may belong to no digit. Inlined, as is `place`: a call keeps the loops over lanes off vectors.
    fn places(&self) -> usize;

    /// The largest i and j.
    fn most(&self) -> i16;

    /// The largest j beside an i of this value, and the largest i beside such a j.
    fn end(&self, value: i16) -> i16;

    /// The place of the bucket of a digit, modulo `2^16`.
    fn place(&self, i: i16, j: i16) -> i16;

    /// The same of any size.
    fn index(&self, i: i16, j: i16) -> u32;
}

/// `2 i + j <= n` and `i + 2 j <= n`: a sixth of the hexagon of the digits in base n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hexagon {
    n: i16,
    /// The last row of buckets.
    last: i16,
    /// Buckets in a row.
    row: i16,
}

impl Hexagon {
    /// Of the digits in base n.
    pub(crate) const fn new(n: i16) -> Self {
        let last = n / 3;
        // Both parts of row m, see `place`: (n - 3 m) / 2 + 1 and (n - 3 (last - m)) / 2 places, rounded down.
        let row = n - (3 * last) / 2 + 1;
        Self { n, last, row }
    }
}

impl Shape for Hexagon {
    #[inline(always)]
    fn places(&self) -> usize {
        (self.last + 1) as usize * self.row as usize
    }

    fn most(&self) -> i16 {
        self.n / 2
    }

    fn end(&self, value: i16) -> i16 {
        (self.n - 2 * value).min((self.n - value) / 2)
    }

    /// Digits with `j <= i` have rows by j, shorter by three halves of a place from one to the next; the others, by i, fill
    /// up these rows from their ends.
    #[inline(always)]
    fn place(&self, i: i16, j: i16) -> i16 {
        let distance = i - j;
        let row = select(sign(distance), self.last + 1 - i, j);
        row.wrapping_mul(self.row).wrapping_add(distance)
    }

    fn index(&self, i: i16, j: i16) -> u32 {
        let row = if i < j { self.last + 1 - i } else { j };
        (i32::from(row) * i32::from(self.row) + i32::from(i - j)).cast_unsigned()
    }
}

/// `i + j <= most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Triangle {
    pub(super) most: i16,
}

impl Triangle {
    pub(crate) const fn new(most: i16) -> Self {
        Self { most }
    }
}

impl Shape for Triangle {
    #[inline(always)]
    fn places(&self) -> usize {
        self.most as usize * (self.most as usize + 1) / 2
    }

    fn most(&self) -> i16 {
        self.most
    }

    fn end(&self, value: i16) -> i16 {
        self.most - value
    }

    /// One sum of i and j after the other.
    #[inline(always)]
    fn place(&self, i: i16, j: i16) -> i16 {
        let sum = i + j;
        sum * (sum - 1) / 2 + j
    }

    fn index(&self, i: i16, j: i16) -> u32 {
        let sum = u32::from((i + j).cast_unsigned());
        sum * (sum - 1) / 2 + u32::from(j.cast_unsigned())
    }
}

/// Places of the buckets with an i of every value from 1 to the largest, or with such a j.
pub(crate) fn lines(shape: impl Shape) -> [Vec<Vec<u32>>; 2] {
    let place = |i, j| shape.index(i, j);
    let values = 1..=shape.most();
    let of_i = |i| (0..=shape.end(i)).map(|j| place(i, j)).collect();
    let of_j = |j| (1..=shape.end(j)).map(|i| place(i, j)).collect();
    [
        values.clone().map(of_i).collect(),
        values.map(of_j).collect(),
    ]
}

/// -1 for a negative value, 0 for others.
#[inline(always)]
pub(super) const fn sign(value: i16) -> i16 {
    value >> 15
}

/// One value where the mask is -1, the other where it is 0.
#[inline(always)]
pub(super) const fn select(mask: i16, set: i16, clear: i16) -> i16 {
    clear ^ (set ^ clear) & mask
}
