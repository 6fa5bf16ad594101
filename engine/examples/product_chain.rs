//! An ordinary circuit, not a network: the product of many secret bytes, without revealing them.
//!
//! Three columns and one gate `a b = c` on every row, every a looked up in 0..256, every b a copy of the c before it, the
//! last c public. Run with `cargo run --release -p zkernel-engine --example product_chain -- 14` for 2^14 rows.

use std::time::Instant;

use pasta_curves::{EqAffine, Fp};
use zkernel_backend::{Backend, Body};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{ProvingKey, Tensors, Witness, executor, prove};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::plonk::{Column, Plonk};
use zkernel_verifier::system::ConstraintSystem;
use zkernel_verifier::verify::verify;

struct Circuit {
    system: ConstraintSystem<Fp>,
    a: Column,
    b: Column,
    c: Column,
}

/// The circuit for `factors` bytes, on lanes of `2^log_n` rows.
fn circuit(log_n: u32, factors: usize) -> Circuit {
    let mut plonk = Plonk::<Fp>::new(log_n);
    let [a, b, c] = ["a", "b", "c"].map(|name| plonk.advice(name));
    let product = plonk.read(a, 0) * plonk.read(b, 0) - plonk.read(c, 0);
    plonk.gate("a b = c", product);
    let bytes = plonk.table("bytes", 1, (0..256).collect());
    plonk.lookup("a is a byte", bytes, &[a], None);

    let mut rows = plonk.rows();
    let output = rows.instance("product", 1);
    let mut last = None;
    for _ in 0..factors {
        let row = rows.region(1).expect("one row");
        match last {
            None => rows.constant(b.cell(row), Fp::one()),
            Some(last) => rows.copy(b.cell(row), c.cell(last)),
        }
        last = Some(row);
    }
    rows.public(c.cell(last.expect("a factor")), output, 0);
    let system = rows.finish().expect("a well-formed circuit");
    Circuit { system, a, b, c }
}

/// The witness, and the product.
fn witness(circuit: &Circuit, factors: &[u8]) -> (Witness<Fp>, Fp) {
    let (mut b, mut c) = (Vec::new(), Vec::new());
    let mut product = Fp::one();
    for factor in factors {
        b.push(product);
        product *= Fp::from(u64::from(*factor));
        c.push(product);
    }
    let mut witness = Witness::default();
    let small = factors.iter().map(|f| i64::from(*f)).collect();
    witness.assign(circuit.a.track(), small);
    witness.tracks.push((circuit.b.track(), Body::Full(b)));
    witness.tracks.push((circuit.c.track(), Body::Full(c)));
    (witness, product)
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = work();
    println!("{what:<10}{:>9.1} ms", start.elapsed().as_secs_f64() * 1e3);
    value
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<u32>());
    let log_rows = arguments.next().and_then(Result::ok).unwrap_or(10);
    let log_n = arguments
        .next()
        .and_then(Result::ok)
        .unwrap_or(log_rows / 2 + 3);
    let factors: Vec<u8> = (0..(1u32 << log_rows) - 64)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1)
        .collect();
    let backend = Cpu::new();
    let key = timed("key", || {
        let circuit = circuit(log_n, factors.len());
        let none = Tensors {
            values: Vec::new(),
            blinders: Vec::new(),
        };
        let generators = Generators::<EqAffine>::derive(log_n);
        let system = circuit.system.clone();
        let key = ProvingKey::new(&backend, system, generators, &none, b"product chain");
        (circuit, key.expect("a key"))
    });
    let (circuit, key) = key;
    let (witness, product) = witness(&circuit, &factors);
    let public = vec![vec![product]];
    let proof = timed("prove", || prove(&backend, &key, &public, &witness)).expect("a proof");
    let execute = executor::<EqAffine, _>(&backend);
    timed("verify", || {
        verify(&key.verifying, &public, &proof, &execute)
    })
    .expect("valid");
    let columns = key.verifying.layout.columns;
    println!(
        "{} rows as {columns} columns of 2^{log_n}, proof of {} bytes, on {}",
        factors.len(),
        proof.encode().len(),
        Backend::<EqAffine>::name(&backend)
    );
}
