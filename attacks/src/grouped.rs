//! Lookups that share helpers, three lanes to each: a block of one lookup's lanes, and what is left of lookups in tables on
//! two sides, some of their rows disabled.

use ff::Field as _;
use zkernel_engine::mock::Cells;
use zkernel_verifier::builder::{Grouping, SystemBuilder};
use zkernel_verifier::curve::signed;
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::TrackId;
use zkernel_verifier::system::{ConstraintSystem, LookupInput, Phase};

use crate::F;
use crate::case::count;
use crate::prover::Secrets;
use crate::trial::Fixture;

/// Cells of x: seven lanes of 15 rows, the last one not full.
const RANGE: usize = 6 * USABLE + 5;
/// Cells of the pairs, of the squared and of the secret ones: two lanes.
const PAIRS: usize = USABLE + 8;
const USABLE: usize = 15;
/// Numbers below this are in range.
const HEIGHT: i64 = 40;
/// Numbers below this magnitude have squares.
const SQUARES: i64 = 12;
/// Rows of the secret table.
const ROWS: usize = 20;

/// The circuit and its tracks.
pub struct Grouped {
    /// The system.
    pub system: ConstraintSystem<F>,
    /// Range-checked cells.
    pub x: TrackId,
    /// Numbers and their squares, on enabled rows.
    pub squares: [TrackId; 2],
    /// Keys and values of the secret table.
    pub secret: [TrackId; 2],
    /// Cells of the pairs that are looked up.
    pub enabled: Vec<bool>,
    table: TrackId,
    product: [TrackId; 3],
}

/// The one false step of a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// None.
    Nothing,
    /// A cell of x out of range.
    Range(usize),
    /// A wrong square in that cell.
    Square(usize),
    /// A wrong value for a secret table's key in that cell.
    Secret(usize),
    /// A cell of x is this.
    Cell(usize, F),
    /// A product that is not that of its factors.
    Product,
}

impl Grouped {
    /// Three lanes to a helper.
    #[must_use]
    pub fn new() -> Self {
        Self::by(Grouping::Of(3))
    }

    /// The same lookups with helpers shared in another way.
    ///
    /// # Panics
    /// If the builder refuses it.
    #[must_use]
    pub fn by(grouping: Grouping) -> Self {
        let mut b = SystemBuilder::<F>::new(4, 1);
        b.group_lookups(grouping);
        let advice = |b: &mut SystemBuilder<F>, name, len| {
            let track = b.advice(name, Phase::One, 0);
            b.region(track, len);
            track
        };
        let x = advice(&mut b, "x", RANGE);
        let range = b.table("range", 1, (0..HEIGHT).collect());
        b.lookup("x in range", range, vec![LookupInput::plain(x)], None);

        let squares = ["number", "square"].map(|name| advice(&mut b, name, PAIRS));
        let rows = (1 - SQUARES..SQUARES).flat_map(|i| [i, i * i]);
        let table = b.table("squares", 2, rows.collect());
        let enabled: Vec<bool> = (0..PAIRS).map(|cell| cell % 4 != 3).collect();
        let on = enabled.iter().map(|on| F::from(u64::from(*on))).collect();
        let on = b.fixed("on", on);
        let pair = squares.map(LookupInput::plain).to_vec();
        b.lookup("square", table, pair, Some(on));

        let secret = ["key", "value"].map(|name| advice(&mut b, name, PAIRS));
        let table = b.masked_tensor("secret", ROWS);
        let rows = b.secret_table("secret", ROWS, &[table]);
        let pair = secret.map(LookupInput::plain).to_vec();
        b.lookup("value of key", rows, pair, None);

        let product = ["a", "b", "ab"].map(|name| advice(&mut b, name, 10));
        let [l, r, p] = product.map(|track| b.plain(track));
        b.gate("product", Expression::from(l) * r - p);
        Self {
            system: b.finish().expect("a well-formed circuit"),
            x,
            squares,
            secret,
            enabled,
            table,
            product,
        }
    }
}

fn fields(values: impl Iterator<Item = i64>) -> Vec<F> {
    values.map(signed).collect()
}

impl Default for Grouped {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture for Grouped {
    type Slip = Slip;

    fn system(&self) -> &ConstraintSystem<F> {
        &self.system
    }

    fn witness(&self, system: &ConstraintSystem<F>, slip: Slip) -> (Secrets, Vec<Vec<F>>) {
        // Padding cells have key 0 and value 0.
        let values: Vec<i64> = (0..ROWS as i64).map(|i| i * 37 % 29).collect();
        let keys: Vec<usize> = (0..PAIRS).map(|i| (i * 7 + 2) % ROWS).collect();
        let numbers = |i: usize| (i * 5) as i64 % (2 * SQUARES - 1) + 1 - SQUARES;
        // Rows that are not looked up hold no square.
        let square = |i: usize| numbers(i).pow(2) + 100 * i64::from(!self.enabled[i]);
        let mut cells: Cells<F> = [
            (self.x, fields((0..RANGE).map(|i| (i * 11) as i64 % HEIGHT))),
            (self.squares[0], fields((0..PAIRS).map(numbers))),
            (self.squares[1], fields((0..PAIRS).map(square))),
            (self.secret[0], fields(keys.iter().map(|key| *key as i64))),
            (self.secret[1], fields(keys.iter().map(|key| values[*key]))),
            (self.table, fields(values.iter().copied())),
            (self.product[0], fields(0..10)),
            (self.product[1], fields(10..20)),
            (self.product[2], fields((0..10).map(|a| a * (a + 10)))),
        ]
        .into();
        for (id, values) in &mut cells {
            let track = system.track(*id).expect("exists");
            values.resize(track.columns * track.width, F::ZERO);
        }
        let mut add = |track: TrackId, cell: usize, error: F| {
            let values = cells.get_mut(&track).expect("a track of the circuit");
            values[cell] += error;
        };
        match slip {
            Slip::Nothing => {}
            Slip::Range(cell) => add(self.x, cell, signed(HEIGHT)),
            Slip::Square(cell) => add(self.squares[1], cell, F::ONE),
            Slip::Secret(cell) => add(self.secret[1], cell, F::ONE),
            Slip::Cell(cell, value) => {
                let old = signed::<F>((cell * 11) as i64 % HEIGHT);
                add(self.x, cell, value - old);
            }
            Slip::Product => add(self.product[2], 0, F::ONE),
        }
        count(system, &mut cells);
        let columns = system.track(self.table).map_or(0, |t| t.columns) as u64;
        let secrets = Secrets {
            cells,
            blinders: (0..columns).map(|i| F::from(i + 31)).collect(),
            ..Secrets::default()
        };
        (secrets, Vec::new())
    }
}
