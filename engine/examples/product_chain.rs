//! An ordinary circuit, not a network: the product of many secret bytes, without revealing them.
//!
//! The circuit is `zkernel_engine::product_chain`, written with `zkernel_verifier::plonk`. Run with
//! `cargo run --release -p zkernel-engine --example product_chain -- 14` for 2^14 rows; a second number sets log2 of the
//! rows of a lane, and `rotations` as the last word takes the circuit whose gate reads the next row.

use std::time::Instant;

use pasta_curves::EqAffine;
use zkernel_backend::Backend;
use zkernel_backend_cpu::Cpu;
use zkernel_engine::product_chain::{ProductChain, Wiring};
use zkernel_engine::{ProvingKey, Tensors, executor, prove};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::verify::verify;

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = work();
    println!("{what:<10}{:>9.1} ms", start.elapsed().as_secs_f64() * 1e3);
    value
}

fn main() {
    let wiring = if std::env::args().any(|word| word == "rotations") {
        Wiring::Rotations
    } else {
        Wiring::Copies
    };
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse().ok());
    let log_rows: u32 = numbers.next().unwrap_or(10);
    let log_n: u32 = numbers.next().unwrap_or(log_rows / 2 + 3);
    let factors: Vec<u8> = (0..(1u32 << log_rows) - 64)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1)
        .collect();
    let backend = Cpu::new();
    let chain = ProductChain::new(log_n, factors.len(), wiring).expect("a well-formed circuit");
    let key = timed("key", || {
        let none = Tensors {
            values: Vec::new(),
            blinders: Vec::new(),
        };
        let generators = Generators::<EqAffine>::derive(log_n);
        let system = chain.system.clone();
        ProvingKey::new(&backend, system, generators, &none, b"product chain").expect("a key")
    });
    let (witness, product) = chain.witness(&factors);
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
