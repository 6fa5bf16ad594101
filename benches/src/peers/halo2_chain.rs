//! The product chain of `zkernel_engine::product_chain` for halo2_proofs: the same gate, lookup, copies and public input
//! on 2^k rows, proven with IPA over Vesta commitments; no trusted setup on either side.

use halo2_proofs::circuit::{Cell, Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Circuit, Column, ConstraintSystem, Error, Fixed, Instance, ProvingKey, Selector,
    SingleVerifier, TableColumn, create_proof, keygen_pk, keygen_vk, verify_proof,
};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::commitment::Params;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255};
use pasta_curves::{EqAffine, Fp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// The circuit's columns; `b` takes part in copies only.
#[derive(Clone, Debug)]
pub struct Columns {
    a: Column<Advice>,
    b: Option<Column<Advice>>,
    c: Column<Advice>,
    bytes: TableColumn,
    product: Column<Instance>,
    step: Selector,
}

/// The circuit with its factors, or without them for key generation. With `ROTATIONS` the gate reads the next row's
/// product, else a third column holds a copy of it.
#[derive(Clone)]
struct Chain<const ROTATIONS: bool> {
    factors: Vec<Value<u8>>,
}

impl<const ROTATIONS: bool> Circuit<Fp> for Chain<ROTATIONS> {
    type Config = Columns;
    type FloorPlanner = SimpleFloorPlanner;

    fn without_witnesses(&self) -> Self {
        Self {
            factors: vec![Value::unknown(); self.factors.len()],
        }
    }

    fn configure(meta: &mut ConstraintSystem<Fp>) -> Columns {
        let columns = Columns {
            a: meta.advice_column(),
            b: (!ROTATIONS).then(|| meta.advice_column()),
            c: meta.advice_column(),
            bytes: meta.lookup_table_column(),
            product: meta.instance_column(),
            step: meta.selector(),
        };
        let one: Column<Fixed> = meta.fixed_column();
        meta.enable_constant(one);
        meta.enable_equality(columns.c);
        meta.enable_equality(columns.product);
        if let Some(b) = columns.b {
            meta.enable_equality(b);
        }
        meta.create_gate("product", |meta| {
            let step = meta.query_selector(columns.step);
            let a = meta.query_advice(columns.a, Rotation::cur());
            let c = meta.query_advice(columns.c, Rotation::cur());
            vec![match columns.b {
                Some(b) => step * (a * meta.query_advice(b, Rotation::cur()) - c),
                None => step * (a * c - meta.query_advice(columns.c, Rotation::next())),
            }]
        });
        meta.lookup(|meta| {
            let a = meta.query_advice(columns.a, Rotation::cur());
            vec![(a, columns.bytes)]
        });
        columns
    }

    fn synthesize(&self, columns: Columns, mut layouter: impl Layouter<Fp>) -> Result<(), Error> {
        layouter.assign_table(
            || "bytes",
            |mut table| {
                (0..256).try_for_each(|row| {
                    let value = || Value::known(Fp::from(row as u64));
                    table.assign_cell(|| "byte", columns.bytes, row, value)
                })
            },
        )?;
        let last = layouter.assign_region(
            || "chain",
            |mut region| match columns.b {
                Some(b) => self.assign_copies(&columns, b, &mut region),
                None => self.assign_rotations(&columns, &mut region),
            },
        )?;
        layouter.constrain_instance(last, columns.product, 0)
    }
}

impl<const ROTATIONS: bool> Chain<ROTATIONS> {
    fn assign_copies(
        &self,
        columns: &Columns,
        b: Column<Advice>,
        region: &mut Region<'_, Fp>,
    ) -> Result<Cell, Error> {
        let mut last: Option<Cell> = None;
        let mut product = Value::known(Fp::one());
        for (row, factor) in self.factors.iter().enumerate() {
            columns.step.enable(region, row)?;
            region.assign_advice(|| "a", columns.a, row, || field(*factor))?;
            match last {
                None => {
                    region.assign_advice_from_constant(|| "b", b, row, Fp::one())?;
                }
                Some(last) => {
                    let copy = region.assign_advice(|| "b", b, row, || product)?;
                    region.constrain_equal(copy.cell(), last)?;
                }
            }
            product = product * field(*factor);
            let cell = region.assign_advice(|| "c", columns.c, row, || product)?;
            last = Some(cell.cell());
        }
        last.ok_or(Error::Synthesis)
    }

    fn assign_rotations(
        &self,
        columns: &Columns,
        region: &mut Region<'_, Fp>,
    ) -> Result<Cell, Error> {
        let first = region.assign_advice_from_constant(|| "c", columns.c, 0, Fp::one())?;
        let mut last = first.cell();
        let mut product = Value::known(Fp::one());
        for (row, factor) in self.factors.iter().enumerate() {
            columns.step.enable(region, row)?;
            region.assign_advice(|| "a", columns.a, row, || field(*factor))?;
            product = product * field(*factor);
            let next = region.assign_advice(|| "c", columns.c, row + 1, || product)?;
            last = next.cell();
        }
        Ok(last)
    }
}

fn field(byte: Value<u8>) -> Value<Fp> {
    byte.map(|byte| Fp::from(u64::from(byte)))
}

type Prover = Box<dyn Fn() -> Vec<u8>>;
type Verifier = Box<dyn Fn(&[u8]) -> bool>;

/// A prover and a verifier of one chain: proves afresh on every call, checks what it is given.
pub struct Halo2Chain {
    prove: Prover,
    verify: Verifier,
}

impl Halo2Chain {
    /// Makes the keys, for these factors and their product, on 2^k rows.
    ///
    /// # Panics
    /// If the factors do not fit in the rows.
    #[must_use]
    pub fn new(k: u32, factors: &[u8], product: Fp, rotations: bool) -> Self {
        if rotations {
            keys::<true>(k, factors, product)
        } else {
            keys::<false>(k, factors, product)
        }
    }

    /// A fresh proof.
    #[must_use]
    pub fn prove(&self) -> Vec<u8> {
        (self.prove)()
    }

    /// Whether the proof is valid for the product.
    #[must_use]
    pub fn verify(&self, proof: &[u8]) -> bool {
        (self.verify)(proof)
    }
}

fn keys<const ROTATIONS: bool>(k: u32, factors: &[u8], product: Fp) -> Halo2Chain {
    let params = Params::<EqAffine>::new(k);
    let chain = Chain::<ROTATIONS> {
        factors: factors.iter().map(|f| Value::known(*f)).collect(),
    };
    let empty = chain.without_witnesses();
    let verifying = keygen_vk(&params, &empty).expect("a verifying key");
    let proving = keygen_pk(&params, verifying, &empty).expect("a proving key");
    let keys = std::rc::Rc::new((params, proving));
    let theirs = keys.clone();
    Halo2Chain {
        prove: Box::new(move || prove(&keys.0, &keys.1, chain.clone(), product)),
        verify: Box::new(move |proof| verify(&theirs.0, &theirs.1, proof, product)),
    }
}

fn prove<const ROTATIONS: bool>(
    params: &Params<EqAffine>,
    key: &ProvingKey<EqAffine>,
    chain: Chain<ROTATIONS>,
    product: Fp,
) -> Vec<u8> {
    let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(Vec::new());
    let rng = ChaCha20Rng::from_seed([7; 32]);
    create_proof(
        params,
        key,
        &[chain],
        &[&[&[product]]],
        rng,
        &mut transcript,
    )
    .expect("the factors have that product");
    transcript.finalize()
}

fn verify(
    params: &Params<EqAffine>,
    key: &ProvingKey<EqAffine>,
    proof: &[u8],
    product: Fp,
) -> bool {
    let mut transcript = Blake2bRead::<_, _, Challenge255<_>>::init(proof);
    let strategy = SingleVerifier::new(params);
    verify_proof(
        params,
        key.get_vk(),
        strategy,
        &[&[&[product]]],
        &mut transcript,
    )
    .is_ok()
}
