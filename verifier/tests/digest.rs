//! The key's digest covers every field of the constraint system: any change of one changes the bytes it hashes.

use ff::Field as _;
use pasta_curves::{EqAffine, Fp};
use zkernel_verifier::builder::SystemBuilder;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::curve::Generators;
use zkernel_verifier::expression::{Expression, VirtualId};
use zkernel_verifier::form::{
    Axis, Cell, Factor, InstanceId, LinearForm, Source, SparseEntry, Strided, TrackId, Window,
};
use zkernel_verifier::key::VerifyingKey;
use zkernel_verifier::msm::msm;
use zkernel_verifier::system::{
    ConstraintSystem, Contraction, ContractionTerm, Derivation, Lanes, LinearConstraint,
    LookupInput, LookupTableId, Phase, TrackKind,
};

type System = ConstraintSystem<Fp>;

/// A system with every kind of thing in it.
fn system() -> System {
    let mut b = SystemBuilder::<Fp>::new(4, 2);
    let [x, y] = ["x", "y"].map(|name| b.advice(name, Phase::One, 0));
    let [l, r, p] = ["l", "r", "p"].map(|name| b.advice(name, Phase::Two, 0));
    let regions = [x, y, l, r, p].map(|track| b.region(track, 4));
    let on = b.fixed("on", vec![Fp::ONE; 4]);
    let table = b.table("square", 2, vec![0, 0, 1, 1, 2, 4]);
    b.lookup(
        "y = x^2",
        table,
        [x, y].map(LookupInput::plain).to_vec(),
        Some(on),
    );
    let w = b.masked_tensor("W", 4);
    let (pw, px) = (b.plain(w), b.plain(x));
    let beta = Coefficient::power(Challenge::Beta, 2);
    b.gate(
        "g",
        (Expression::from(pw) + px) * (Expression::from(beta) - px) * px,
    );
    b.instance("public", 3);
    let term = ContractionTerm {
        track: x,
        start: 0,
        outer: vec![1],
        inner: vec![0],
        scale: Fp::ONE,
    };
    b.contract(Contraction {
        name: "Z".into(),
        outer: vec![4],
        inner: vec![(1, Factor::powers(Challenge::Tau))],
        terms: vec![term],
        constant: Fp::ZERO,
        target: regions[2],
    });
    b.product("P", l, r, p);
    let values = Factor::Values(vec![Fp::from(5), Fp::from(6)]);
    let factor = Factor::Product(vec![Factor::powers(Challenge::Rho), values]);
    b.constrain(
        "strided",
        2,
        vec![LinearForm::Strided(Strided {
            source: Source::Track(x),
            start: 1,
            axes: vec![Axis::new(2, 1, factor)],
            scale: Coefficient::constant(Fp::from(3)),
        })],
    );
    let window = Window {
        outer: Factor::One,
        outputs: 2,
        kernel: Factor::powers(Challenge::Sigma),
        taps: 2,
        stride: 1,
        dilation: 1,
        offset: 0,
    };
    b.constrain(
        "window",
        1,
        vec![LinearForm::Strided(Strided {
            source: Source::Track(y),
            start: 0,
            axes: vec![Axis::new(3, 1, Factor::Window(Box::new(window)))],
            scale: Coefficient::constant(Fp::ONE),
        })],
    );
    let cell = Cell {
        track: x,
        position: 2,
    };
    b.constrain(
        "sparse",
        2,
        vec![LinearForm::Sparse(vec![SparseEntry {
            cell,
            coefficient: Fp::ONE,
            claim: 1,
        }])],
    );
    b.finish().expect("a well-formed system")
}

fn constraint<'a>(s: &'a mut System, name: &str) -> &'a mut LinearConstraint<Fp> {
    s.constraints
        .iter_mut()
        .find(|c| c.name == name)
        .expect("the constraint")
}

fn strided<'a>(s: &'a mut System, name: &str) -> &'a mut Strided<Fp> {
    match &mut constraint(s, name).forms[0] {
        LinearForm::Strided(strided) => strided,
        LinearForm::Sparse(_) => panic!("a strided form"),
    }
}

fn entry(s: &mut System) -> &mut SparseEntry<Fp> {
    match &mut constraint(s, "sparse").forms[0] {
        LinearForm::Sparse(entries) => &mut entries[0],
        LinearForm::Strided(_) => panic!("a sparse form"),
    }
}

fn window(s: &mut System) -> &mut Window<Fp> {
    match &mut strided(s, "window").axes[0].factor {
        Factor::Window(window) => window,
        _ => panic!("a window"),
    }
}

fn product(s: &mut System) -> &mut Vec<Factor<Fp>> {
    match &mut strided(s, "strided").axes[0].factor {
        Factor::Product(factors) => factors,
        _ => panic!("a product"),
    }
}

fn contraction(s: &mut System) -> &mut Contraction<Fp> {
    match &mut s.derivations[0] {
        Derivation::Contract(contraction) => contraction,
        Derivation::Product { .. } => panic!("a contraction"),
    }
}

fn parallel(s: &mut System) -> [&mut TrackId; 3] {
    match s.derivations.last_mut() {
        Some(Derivation::Product {
            left,
            right,
            target,
        }) => [left, right, target],
        _ => panic!("a product"),
    }
}

fn sides(e: &mut Expression<Fp>) -> [&mut Expression<Fp>; 2] {
    match e {
        Expression::Sum(a, b) | Expression::Difference(a, b) | Expression::Product(a, b) => [a, b],
        _ => panic!("an operation"),
    }
}

fn gate(s: &mut System) -> &mut Expression<Fp> {
    &mut s
        .gates
        .iter_mut()
        .find(|g| g.name == "g")
        .expect("the gate")
        .expression
}

fn powers(factor: &mut Factor<Fp>) -> (&mut Challenge, [&mut u32; 2]) {
    match factor {
        Factor::Powers {
            challenge,
            first,
            step,
        } => (challenge, [first, step]),
        _ => panic!("powers"),
    }
}

macro_rules! changes {
    ($(|$s:ident| $change:expr;)*) => {
        [$((stringify!($change), (|$s: &mut System| { $change; }) as fn(&mut System))),*]
    };
}

/// What is changed, and how.
type Change = (&'static str, fn(&mut System));

/// One change of every field of every struct.
fn changes() -> Vec<Change> {
    changes! {
        |s| s.log_n += 1;
        |s| s.blinding += 1;
        |s| s.tracks[0].name.push('!');
        |s| s.tracks[0].kind = TrackKind::Fixed;
        |s| s.tracks[0].kind = TrackKind::Tensor;
        |s| s.tracks[0].kind = TrackKind::Boundary;
        |s| s.tracks[0].kind = TrackKind::Advice(Phase::Two);
        |s| s.tracks[0].kind = TrackKind::Advice(Phase::Three);
        |s| s.tracks[0].width += 1;
        |s| s.tracks[0].columns += 1;
        |s| s.tracks[0].len += 1;
        |s| s.tracks[0].padding -= 1;
        |s| s.tracks.truncate(3);
        |s| s.fixed[0].0.0 += 1;
        |s| s.fixed[0].1[0] += Fp::ONE;
        |s| s.fixed[0].1.truncate(1);
        |s| s.instances[0].name.push('!');
        |s| s.instances[0].len += 1;
        |s| s.virtuals[0].terms[0].0.0 += 1;
        |s| s.virtuals[0].terms[0].1.value += Fp::ONE;
        |s| s.virtuals[0].terms[0].1.power = Some((Challenge::Theta, 0));
        |s| s.virtuals[0].terms[0].1.power = Some((Challenge::Beta, 0));
        |s| s.virtuals[0].terms[0].1.power = Some((Challenge::Beta, 1));
        |s| s.virtuals[0].constants.push(Coefficient::constant(Fp::ZERO));
        |s| s.virtuals[0].rotation -= 1;
        |s| s.virtuals[0].lanes = Some(Lanes { first: 0, count: 1 });
        |s| s.virtuals[0].lanes = Some(Lanes { first: 1, count: 1 });
        |s| s.virtuals[0].lanes = Some(Lanes { first: 0, count: 2 });
        |s| s.gates[0].name.push('!');
        |s| s.gates.swap(0, 1);
        |s| *sides(gate(s))[1] = VirtualId(0).into();
        |s| *gate(s) = gate(s).clone() + VirtualId(0);
        |s| *gate(s) = gate(s).clone() - VirtualId(0);
        |s| *gate(s) = gate(s).clone() * VirtualId(0);
        |s| gate(s).clone_from(&Coefficient::constant(Fp::ONE).into());
        |s| s.tables[0].name.push('!');
        |s| s.tables[0].tag += 1;
        |s| s.tables[0].arity = 1;
        |s| s.tables[0].rows[5] += 1;
        |s| s.tables[0].secret.push(TrackId(0));
        |s| s.tables[0].side += 1;
        |s| s.tables[0].offset += 1;
        |s| s.lookups[0].name.push('!');
        |s| s.lookups[0].table = LookupTableId(1);
        |s| s.lookups[0].inputs[0].terms[0].0.0 += 1;
        |s| s.lookups[0].inputs[0].terms[0].1 += 1;
        |s| s.lookups[0].inputs[0].constant += 1;
        |s| s.lookups[0].enabled = None;
        |s| s.lookups[0].helper.0 += 1;
        |s| s.lookups[0].folded.0 += 1;
        |s| s.table_sides[0].tag.0 += 1;
        |s| s.table_sides[0].entries.truncate(1);
        |s| s.table_sides[0].entries[0].0 += 1;
        |s| s.table_sides[0].multiplicity.0 += 1;
        |s| s.table_sides[0].helper.0 += 1;
        |s| s.table_sides[0].folded.0 += 1;
        |s| s.masks = None;
        |s| s.masks.as_mut().unwrap().track.0 += 1;
        |s| s.masks.as_mut().unwrap().of[0].0.0 += 1;
        |s| s.masks.as_mut().unwrap().of[0].1 += 1;
        |s| contraction(s).name.push('!');
        |s| contraction(s).outer[0] += 1;
        |s| contraction(s).inner[0].0 += 1;
        |s| contraction(s).inner[0].1 = Factor::One;
        |s| contraction(s).terms[0].track.0 += 1;
        |s| contraction(s).terms[0].start += 1;
        |s| contraction(s).terms[0].outer[0] += 1;
        |s| contraction(s).terms[0].inner[0] += 1;
        |s| contraction(s).terms[0].scale += Fp::ONE;
        |s| contraction(s).constant += Fp::ONE;
        |s| contraction(s).target.track.0 += 1;
        |s| contraction(s).target.start += 1;
        |s| contraction(s).target.len += 1;
        |s| parallel(s)[0].0 += 1;
        |s| parallel(s)[1].0 += 1;
        |s| parallel(s)[2].0 += 1;
        |s| s.derivations.truncate(1);
        |s| constraint(s, "strided").claims += 1;
        |s| constraint(s, "strided").name.push('!');
        |s| strided(s, "strided").source = Source::One;
        |s| strided(s, "strided").source = Source::Track(TrackId(1));
        |s| strided(s, "strided").source = Source::Instance(InstanceId(0));
        |s| strided(s, "strided").start += 1;
        |s| strided(s, "strided").axes[0].len += 1;
        |s| strided(s, "strided").axes[0].stride += 1;
        |s| strided(s, "strided").axes.clear();
        |s| strided(s, "strided").scale.value += Fp::ONE;
        |s| product(s).truncate(1);
        |s| product(s).swap(0, 1);
        |s| product(s)[1] = Factor::Values(vec![Fp::from(6), Fp::from(5)]);
        |s| *powers(&mut product(s)[0]).0 = Challenge::Tau;
        |s| *powers(&mut product(s)[0]).1[0] += 1;
        |s| *powers(&mut product(s)[0]).1[1] += 1;
        |s| window(s).outer = Factor::powers(Challenge::Rho);
        |s| window(s).kernel = Factor::One;
        |s| window(s).outputs += 1;
        |s| window(s).taps += 1;
        |s| window(s).stride += 1;
        |s| window(s).dilation += 1;
        |s| window(s).offset += 1;
        |s| entry(s).cell.track.0 += 1;
        |s| entry(s).cell.position += 1;
        |s| entry(s).coefficient += Fp::ONE;
        |s| entry(s).claim += 1;
        |s| constraint(s, "sparse").forms.clear();
        |s| constraint(s, "sparse").forms[0] = LinearForm::Sparse(Vec::new());
        |s| s.constraints.swap(0, 1);
    }
    .to_vec()
}

#[test]
fn every_field_changes_the_digest() {
    let honest = system();
    let bytes = honest.canonical_bytes();
    assert_eq!(
        bytes,
        system().canonical_bytes(),
        "the same system, the same bytes"
    );
    let mut seen = vec![bytes];
    for (name, change) in changes() {
        let mut other = honest.clone();
        change(&mut other);
        assert_ne!(other, honest, "{name} is a change");
        let bytes = other.canonical_bytes();
        assert!(
            !seen.contains(&bytes),
            "{name} changes nothing, or the same as another change"
        );
        seen.push(bytes);
    }
}

fn digest(system: System, statement: &[u8]) -> [u8; 64] {
    let tensors = system.columns_of(TrackKind::Tensor);
    let generators = Generators::<EqAffine>::derive(4);
    let tensors = generators.rows[..tensors].to_vec();
    VerifyingKey::new(system, generators, tensors, statement, &msm)
        .expect("a key")
        .digest
}

#[test]
fn the_statement_is_part_of_the_digest() {
    assert_ne!(digest(system(), b"a"), digest(system(), b"b"));
    assert_ne!(digest(system(), b""), digest(system(), b"\0"));
}

#[test]
fn golden_digest() {
    let hex: String = digest(system(), b"golden")[..16]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(hex, "816409add1d35473ac214323f6418b5a");
}
