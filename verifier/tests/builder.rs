//! Every misuse of the builder gives its typed error, and one that names the culprit.

use ff::Field as _;
use pasta_curves::Fp;
use zkernel_verifier::builder::SystemBuilder;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::expression::{Expression, VirtualId};
use zkernel_verifier::form::{
    Axis, Cell, Factor, InstanceId, LinearForm, Source, SparseEntry, Strided, TrackId, Window,
};
use zkernel_verifier::system::{
    Contraction, ContractionTerm, LookupInput, LookupTableId, Phase, Region, VirtualColumn,
};
use zkernel_verifier::validate::SystemError;

type Builder = SystemBuilder<Fp>;

fn error(build: impl FnOnce(&mut Builder)) -> SystemError {
    let mut b = Builder::new(4, 1);
    build(&mut b);
    b.finish().expect_err("a misuse")
}

fn form(source: Source, start: usize, len: usize, factor: Factor<Fp>) -> LinearForm<Fp> {
    LinearForm::Strided(Strided {
        source,
        start,
        axes: vec![Axis::new(len, 1, factor)],
        scale: Coefficient::constant(Fp::ONE),
    })
}

fn sparse(track: TrackId, position: usize, claim: u32) -> LinearForm<Fp> {
    let coefficient = Fp::ONE;
    let cell = Cell { track, position };
    LinearForm::Sparse(vec![SparseEntry {
        cell,
        coefficient,
        claim,
    }])
}

fn advice(b: &mut Builder, phase: Phase, len: usize) -> TrackId {
    let track = b.advice("a", phase, 0);
    b.region(track, len);
    track
}

#[test]
fn rows_out_of_range() {
    for (log_n, blinding) in [
        (0, 0),
        (1, 1),
        (29, 1),
        (63, 1),
        (64, 1),
        (200, 1),
        (4, 16),
        (4, usize::MAX),
    ] {
        let result = Builder::new(log_n, blinding).finish();
        assert_eq!(result.unwrap_err(), SystemError::Rows { log_n, blinding });
    }
    assert!(Builder::new(2, 3).finish().is_ok());
}

#[test]
fn too_few_blinding_rows_for_the_openings() {
    let mut b = Builder::new(4, 0);
    let track = b.advice("a", Phase::One, 0);
    b.region(track, 3);
    let a = b.plain(track);
    b.gate("boolean", Expression::from(a) * a - a);
    assert!(matches!(
        b.finish(),
        Err(SystemError::Blinding { blinding: 0, .. })
    ));
}

#[test]
fn a_form_on_a_blinding_row_or_beyond() {
    // 15 usable rows: position 15 of a track of one column would be its blinding row.
    for position in [15, 16, 1 << 40, usize::MAX] {
        let found = error(|b| {
            let a = advice(b, Phase::One, 3);
            b.constrain("copy", 1, vec![sparse(a, position, 0)]);
        });
        let track = "a".into();
        assert_eq!(
            found,
            SystemError::OutOfRange {
                name: "copy".into(),
                track,
                position,
                len: 15
            }
        );
    }
    let strided = error(|b| {
        let a = advice(b, Phase::One, 3);
        b.constrain("sum", 1, vec![form(Source::Track(a), 10, 6, Factor::One)]);
    });
    assert!(matches!(
        strided,
        SystemError::OutOfRange { position: 15, .. }
    ));
    let instance = error(|b| {
        let y = b.instance("y", 2);
        b.constrain("out", 1, vec![form(Source::Instance(y), 0, 3, Factor::One)]);
    });
    assert!(matches!(
        instance,
        SystemError::OutOfRange {
            position: 2,
            len: 2,
            ..
        }
    ));
}

#[test]
fn dangling_references() {
    let checks: Vec<fn(&mut Builder)> = vec![
        |b| b.constrain("x", 1, vec![sparse(TrackId(9), 0, 0)]),
        |b| {
            b.constrain(
                "x",
                1,
                vec![form(Source::Instance(InstanceId(0)), 0, 1, Factor::One)],
            );
        },
        |b| {
            let a = advice(b, Phase::One, 1);
            let p = b.plain(a);
            b.gate("x", Expression::from(p) * VirtualId(7));
        },
        |b| {
            let a = advice(b, Phase::One, 1);
            b.lookup("x", LookupTableId(3), vec![LookupInput::plain(a)], None);
        },
    ];
    for check in checks {
        assert!(matches!(error(check), SystemError::Dangling(name) if name == "x"));
    }
}

#[test]
fn a_challenge_before_it_is_drawn() {
    // A form may use rho, tau, alpha, sigma; lambda below the number of claims.
    for challenge in Challenge::ALL {
        let build = |exponent: u32| {
            let mut b = Builder::new(4, 1);
            let a = advice(&mut b, Phase::One, 4);
            let factor = Factor::Powers {
                challenge,
                first: exponent,
                step: 1,
            };
            b.constrain("sum", 3, vec![form(Source::Track(a), 0, 3, factor)]);
            b.finish()
        };
        let early = matches!(
            challenge,
            Challenge::Rho | Challenge::Tau | Challenge::Alpha | Challenge::Sigma
        );
        let lambda = challenge == Challenge::Lambda;
        assert_eq!(build(0).is_ok(), early || lambda, "{challenge:?}");
        if lambda {
            let expected = SystemError::Challenge {
                name: "sum".into(),
                challenge,
                exponent: 3,
            };
            assert_eq!(build(1).unwrap_err(), expected);
        }
        // A gate is fixed before y.
        let mut b = Builder::new(4, 1);
        let a = advice(&mut b, Phase::One, 4);
        let p = b.plain(a);
        b.gate("g", Expression::from(p) * Coefficient::power(challenge, 1));
        assert_eq!(
            b.finish().is_ok(),
            challenge <= Challenge::Beta,
            "{challenge:?}"
        );
        // A contraction is computed in phase 2.
        let mut b = Builder::new(4, 1);
        let (a, v) = (advice(&mut b, Phase::One, 4), b.advice("v", Phase::Two, 0));
        let target = b.region(v, 1);
        b.contract(contraction(a, target, Factor::powers(challenge)));
        let known = matches!(
            challenge,
            Challenge::Rho | Challenge::Tau | Challenge::Alpha
        );
        assert_eq!(b.finish().is_ok(), known, "{challenge:?}");
    }
    let claims = error(|b| {
        let a = advice(b, Phase::One, 3);
        b.constrain("copies", 2, vec![sparse(a, 0, 2)]);
    });
    assert!(matches!(
        claims,
        SystemError::Challenge {
            challenge: Challenge::Lambda,
            exponent: 2,
            ..
        }
    ));
}

fn contraction(track: TrackId, target: Region, factor: Factor<Fp>) -> Contraction<Fp> {
    let term = ContractionTerm {
        track,
        start: 0,
        outer: vec![1],
        inner: vec![1],
        scale: Fp::ONE,
    };
    Contraction {
        name: "V".into(),
        outer: vec![target.len],
        inner: vec![(2, factor)],
        terms: vec![term],
        constant: Fp::ZERO,
        target,
    }
}

#[test]
fn contractions_that_do_not_fit() {
    let mutated = |change: &dyn Fn(&mut Contraction<Fp>, TrackId)| {
        let mut b = Builder::new(4, 1);
        let (a, v) = (advice(&mut b, Phase::One, 4), b.advice("v", Phase::Two, 0));
        let target = b.region(v, 2);
        let mut c = contraction(a, target, Factor::powers(Challenge::Rho));
        change(&mut c, a);
        b.contract(c);
        b.finish()
    };
    assert!(mutated(&|_, _| {}).is_ok());
    let length = |r: Result<_, SystemError>| matches!(r, Err(SystemError::Length(_)));
    assert!(length(mutated(&|c, _| c.outer = vec![3])));
    assert!(length(mutated(&|c, _| c.terms[0].inner.clear())));
    assert!(length(mutated(&|c, _| c.terms[0].outer.push(1))));
    assert!(length(mutated(
        &|c, _| c.inner[0].1 = Factor::Values(vec![Fp::ONE])
    )));
    let kinds = |r: Result<_, SystemError>| matches!(r, Err(SystemError::NotParallel(_)));
    assert!(kinds(mutated(&|c, a| c.target.track = a)));
    assert!(kinds(mutated(&|c, _| c.terms[0].track = c.target.track)));
    assert!(matches!(
        mutated(&|c, _| c.terms[0].start = 14),
        Err(SystemError::OutOfRange { .. })
    ));
}

#[test]
fn what_is_not_parallel() {
    let kinds = |b: &mut Builder| {
        let a = advice(b, Phase::One, 3);
        let (l, r) = (b.advice("l", Phase::Two, 0), b.advice("r", Phase::Two, 0));
        b.region(l, 3);
        b.product("P", l, r, a);
    };
    assert!(matches!(error(kinds), SystemError::NotParallel(_)));
    let late = |b: &mut Builder| {
        let a = advice(b, Phase::Three, 3);
        let table = b.table("t", 1, vec![0, 1]);
        b.lookup("late", table, vec![LookupInput::plain(a)], None);
    };
    assert!(matches!(error(late), SystemError::NotParallel(name) if name == "late"));
    let mut b = Builder::new(4, 1);
    let (a, c) = (advice(&mut b, Phase::One, 3), b.advice("c", Phase::One, 0));
    b.region(c, 40);
    let (p, q) = (b.plain(a), b.plain(c));
    b.gate("equal", Expression::from(p) - q);
    let mut system = b.finish().expect("the builder makes them parallel");
    assert_eq!(system.lanes(p), 3);
    system.tracks[0].columns = 1;
    assert!(matches!(
        system.validate(),
        Err(SystemError::NotParallel(_))
    ));
}

#[test]
fn a_tensor_is_opened_only_behind_a_mask() {
    let arena = |b: &mut Builder| {
        let w = b.arena("W", 16);
        let p = b.plain(w);
        b.gate("g", Expression::from(p) * p);
    };
    assert!(matches!(
        error(arena),
        SystemError::Unmasked { .. } | SystemError::NotParallel(_)
    ));
    let boundary = |b: &mut Builder| {
        let w = b.boundary("B", 16);
        let p = b.plain(w);
        b.gate("g", Expression::from(p) * p);
    };
    assert!(matches!(
        error(boundary),
        SystemError::Unmasked { .. } | SystemError::NotParallel(_)
    ));
    let mut b = Builder::new(4, 1);
    let w = b.masked_tensor("W", 20);
    let p = b.plain(w);
    b.gate("g", Expression::from(p) * p);
    let mut system = b.finish().expect("masked");
    let masks = system.masks.clone().expect("a mask").track;
    let mut read = system.clone();
    let name = "read".into();
    read.constraints
        .push(zkernel_verifier::system::LinearConstraint {
            name,
            claims: 1,
            forms: vec![sparse(masks, 0, 0)],
        });
    assert!(matches!(read.validate(), Err(SystemError::Masks(_))));
    system.masks = None;
    assert!(matches!(
        system.validate(),
        Err(SystemError::Unmasked { .. })
    ));
}

#[test]
fn lookups_and_tables() {
    let lookup = |arity: usize, rows: Vec<i64>, inputs: usize| {
        error(|b| {
            let a = advice(b, Phase::One, 3);
            let table = b.table("t", arity, rows);
            b.lookup("l", table, vec![LookupInput::plain(a); inputs], None);
        })
    };
    assert!(matches!(lookup(1, vec![0, 1], 2), SystemError::Length(_)));
    assert!(matches!(lookup(2, vec![0, 1], 1), SystemError::Length(_)));
    assert!(matches!(
        lookup(2, vec![0, 1, 2], 2),
        SystemError::Length(_)
    ));
    assert!(matches!(
        lookup(0, vec![], 0),
        SystemError::Length(_) | SystemError::Empty(_)
    ));
    assert!(matches!(lookup(1, vec![], 1), SystemError::Empty(_)));
    let mut b = Builder::new(4, 1);
    let a = advice(&mut b, Phase::One, 3);
    let (t, u) = (b.table("t", 1, vec![0, 1]), b.table("u", 1, vec![0, 2]));
    assert_eq!(
        b.table("again", 1, vec![0, 1]),
        t,
        "an identical table is shared"
    );
    for (name, table) in [("l", t), ("m", u)] {
        b.lookup(name, table, vec![LookupInput::plain(a)], None);
    }
    let system = b.finish().unwrap();
    for tag in [0, system.tables[0].tag] {
        let mut wrong = system.clone();
        wrong.tables[1].tag = tag;
        assert!(
            matches!(wrong.validate(), Err(SystemError::Empty(_))),
            "tag {tag}"
        );
    }
    let mut rotated = system.clone();
    let folded = usize::try_from(rotated.lookups[0].folded.0).unwrap();
    rotated.virtuals[folded].rotation = 1;
    assert!(rotated.validate().is_err());
}

#[test]
fn empty_things() {
    let empty = |result: SystemError| matches!(result, SystemError::Empty(_));
    assert!(empty(error(|b| b.constrain("c", 1, vec![]))));
    assert!(empty(error(|b| {
        let a = advice(b, Phase::One, 2);
        b.constrain("c", 0, vec![sparse(a, 0, 0)]);
    })));
    assert!(empty(error(|b| {
        let a = advice(b, Phase::One, 2);
        b.constrain("c", 1, vec![form(Source::Track(a), 0, 0, Factor::One)]);
    })));
    assert!(empty(error(
        |b| b.gate("g", Coefficient::constant(Fp::ONE).into())
    )));
    assert!(empty(error(|b| {
        b.virtual_column(VirtualColumn {
            terms: vec![],
            constants: vec![],
            rotation: 0,
            lanes: None,
        });
    })));
}

#[test]
fn factors_of_the_wrong_length() {
    for len in [0, 2, 4] {
        let found = error(|b| {
            let a = advice(b, Phase::One, 4);
            let inner = Factor::Values(vec![Fp::ONE; len]);
            let factor = Factor::Product(vec![Factor::One, inner]);
            b.constrain("f", 1, vec![form(Source::Track(a), 0, 3, factor)]);
        });
        assert_eq!(found, SystemError::Length("f".into()));
    }
}

#[test]
fn a_rotation_into_the_blinding_rows() {
    let build = |enabled: Option<usize>| {
        let mut b = Builder::new(4, 2);
        let a = b.advice("a", Phase::One, 0);
        let cells = b.usable();
        b.region(a, cells);
        let terms = vec![(a, Coefficient::constant(Fp::ONE))];
        let next = b.virtual_column(VirtualColumn {
            terms,
            constants: vec![],
            rotation: 1,
            lanes: None,
        });
        let here = b.plain(a);
        let step = Expression::from(next) - here;
        let step = match enabled {
            None => step,
            Some(rows) => {
                let on = b.fixed("on", vec![Fp::ONE; rows]);
                step * b.plain(on)
            }
        };
        b.gate("step", step);
        b.finish()
    };
    let rows = Builder::new(4, 2).usable();
    let reached = |r: Result<_, SystemError>| matches!(r, Err(SystemError::Rotation { gate, row }) if gate == "step" && row == rows - 1);
    assert!(reached(build(None)));
    assert!(reached(build(Some(rows))));
    assert!(build(Some(rows - 1)).is_ok());
}

#[test]
fn windows_have_outputs_taps_and_steps() {
    for zero in 0..5 {
        let sizes: [usize; 4] = std::array::from_fn(|i| usize::from(i != zero));
        let [outputs, taps, stride, dilation] = sizes;
        let window = Factor::Window(Box::new(Window {
            outer: Factor::One,
            outputs,
            kernel: Factor::One,
            taps,
            stride,
            dilation,
            offset: 0,
        }));
        let mut b = Builder::new(4, 1);
        let a = advice(&mut b, Phase::One, 4);
        b.constrain("w", 1, vec![form(Source::Track(a), 0, 3, window)]);
        let empty = matches!(b.finish(), Err(SystemError::Empty(name)) if name == "w");
        assert_eq!(empty, zero < 4, "size {zero}");
    }
}
