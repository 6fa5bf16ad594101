//! A well-formed system with one thing made wrong is refused, for every thing that the prover and the verifier rely on and
//! the builder never gets wrong by itself.

use ff::Field as _;
use pasta_curves::Fp;
use zkernel_verifier::builder::SystemBuilder;
use zkernel_verifier::challenge::{Challenge, Coefficient};
use zkernel_verifier::expression::Expression;
use zkernel_verifier::form::{Axis, Factor, LinearForm, Source, Strided, TrackId};
use zkernel_verifier::system::{
    ConstraintSystem, Contraction, ContractionTerm, Derivation, LookupInput, Phase, TrackKind,
    VirtualColumn,
};
use zkernel_verifier::validate::SystemError;

type System = ConstraintSystem<Fp>;

/// Two masked tensors behind gates, a public and a secret table with a lookup each, a contraction and a product.
struct Sample {
    system: System,
    fixed: TrackId,
    cells: TrackId,
    secret: TrackId,
}

fn sample() -> Sample {
    let mut b = SystemBuilder::<Fp>::new(4, 1);
    let fixed = b.fixed("fixed", vec![Fp::ONE; 15]);
    let advice = |b: &mut SystemBuilder<Fp>, name: &str, phase, len| {
        let track = b.advice(name, phase, 0);
        b.region(track, len);
        track
    };
    let [secret, other] = ["secret", "other"].map(|name| b.masked_tensor(name, 15));
    let p = b.plain(other);
    b.gate("bits", Expression::from(p) * p - p);
    let cells = advice(&mut b, "cells", Phase::One, 15);
    let values = advice(&mut b, "values", Phase::One, 15);
    let public = b.table("squares", 2, vec![0, 0, 1, 1, 2, 4]);
    let pair = [cells, values].map(LookupInput::plain);
    b.lookup("square", public, pair.clone().into(), None);
    let table = b.secret_table("secret table", 15, &[secret]);
    b.lookup("row", table, pair.into(), None);
    let tracks = ["V", "Z", "P"].map(|name| b.advice(name, Phase::Two, 0));
    b.product("P = V Z", tracks[0], tracks[1], tracks[2]);
    let target = b.region(tracks[0], 3);
    b.contract(Contraction {
        name: "V".into(),
        outer: vec![3],
        inner: vec![(5, Factor::powers(Challenge::Rho))],
        terms: vec![ContractionTerm {
            track: cells,
            start: 0,
            outer: vec![5],
            inner: vec![1],
            scale: Fp::ONE,
        }],
        constant: Fp::ZERO,
        target,
    });
    let system = b.finish().expect("a well-formed system");
    Sample {
        system,
        fixed,
        cells,
        secret,
    }
}

/// What is said of a sample with a change.
fn refused(change: impl FnOnce(&mut System, &Sample)) -> SystemError {
    let sample = sample();
    let mut system = sample.system.clone();
    assert_eq!(system.validate(), Ok(()));
    change(&mut system, &sample);
    system.validate().expect_err("the change is wrong")
}

fn track(system: &mut System, id: TrackId) -> &mut zkernel_verifier::system::Track {
    &mut system.tracks[id.0 as usize]
}

fn is_parallel_error(error: &SystemError) -> bool {
    matches!(error, SystemError::NotParallel(_))
}

#[test]
fn masks_lie_apart_inside_and_alone() {
    let masks = |change: &dyn Fn(&mut System, TrackId)| {
        let error = refused(|system, _| {
            let id = system.masks.as_ref().expect("masks").track;
            change(system, id);
        });
        assert!(matches!(error, SystemError::Masks(_)), "{error}");
    };
    let starts = |system: &System| -> Vec<usize> {
        let masks = system.masks.as_ref().expect("masks");
        masks.of.iter().map(|(_, start)| *start).collect()
    };
    assert_eq!(
        starts(&sample().system),
        [0, 1],
        "neighbours touch and do not overlap"
    );
    masks(&|system, _| system.masks.as_mut().expect("masks").of[1].1 = 0);
    masks(&|system, _| system.masks.as_mut().expect("masks").of[1].1 = 15);
    masks(&|system, _| system.masks.as_mut().expect("masks").of[1].1 = usize::MAX);
    masks(&|system, id| track(system, id).kind = TrackKind::Advice(Phase::Two));
    // Read by a gate's column, by a contraction, by a form.
    masks(&|system, id| {
        system.virtuals.push(VirtualColumn {
            terms: vec![(id, Coefficient::constant(Fp::ONE))],
            constants: Vec::new(),
            rotation: 0,
            lanes: None,
        });
    });
    masks(&|system, id| {
        for derivation in &mut system.derivations {
            if let Derivation::Contract(contraction) = derivation {
                contraction.terms[0].track = id;
            }
        }
    });
    masks(&|system, id| {
        let form = &mut system.constraints[0].forms[0];
        let LinearForm::Strided(strided) = form else {
            panic!("a strided form");
        };
        strided.source = Source::Track(id);
    });
}

#[test]
fn sides_are_fixed_and_committed_early() {
    for side in 0..2 {
        assert!(is_parallel_error(&refused(|system, sample| {
            system.table_sides[side].tag = sample.cells;
        })));
        assert!(is_parallel_error(&refused(|system, _| {
            let id = system.table_sides[side].multiplicity;
            track(system, id).kind = TrackKind::Advice(Phase::Two);
        })));
        assert!(is_parallel_error(&refused(|system, _| {
            let helper = system.table_sides[side].helper;
            let last = system.table_sides[side].entries.len() - 1;
            system.table_sides[side].entries[last] = helper;
        })));
    }
    for tag in [0, 1] {
        let error = refused(|system, _| system.tables[1].tag = tag);
        assert!(matches!(error, SystemError::Empty(_)), "tag {tag}: {error}");
    }
}

#[test]
fn lookups_read_whole_rows_of_their_table() {
    let length = |change: &dyn Fn(&mut System)| {
        let error = refused(|system, _| change(system));
        assert!(matches!(error, SystemError::Length(_)), "{error}");
    };
    length(&|system| {
        system.lookups[0].inputs.pop();
    });
    // A side with fewer entries than the lookup reads, and no other fault.
    length(&|system| {
        system.table_sides[0].entries.pop();
    });
    length(&|system| {
        system.tables[0].rows.pop();
    });
    // A table of rows longer than the lookup reads.
    length(&|system| system.tables[0].secret.push(TrackId(0)));
    let empty = refused(|system, _| system.tables[0].rows.clear());
    assert!(matches!(empty, SystemError::Empty(_)), "{empty}");
}

#[test]
fn helpers_are_parallel_and_late() {
    assert!(is_parallel_error(&refused(|system, _| {
        let helper = system.lookups[0].helper;
        track(system, helper).kind = TrackKind::Advice(Phase::Two);
    })));
    assert!(is_parallel_error(&refused(|system, _| {
        let helper = system.lookups[0].helper;
        track(system, helper).columns += 1;
    })));
    assert!(is_parallel_error(&refused(|system, _| {
        let helper = system.lookups[1].helper;
        system.lookups[0].inputs[0] = LookupInput::plain(helper);
    })));
}

#[test]
fn what_is_looked_up_is_not_rotated() {
    let rotated = refused(|system, _| {
        // Rows enough for a second opening, and no gate that would be refused first.
        system.gates.clear();
        system.blinding = 2;
        system.masks.as_mut().expect("masks").of[1].1 = 2;
        system.tracks.iter_mut().for_each(|t| t.width = 14);
        let folded = system.lookups[0].folded.0 as usize;
        system.virtuals[folded].rotation = 1;
    });
    assert_eq!(rotated, SystemError::NotParallel("square".into()));
}

#[test]
fn products_are_parallel_and_of_phase_two() {
    let product = |change: &dyn Fn(&mut Derivation<Fp>, &Sample)| {
        let error = refused(|system, sample| {
            let found = system
                .derivations
                .iter_mut()
                .find(|d| matches!(d, Derivation::Product { .. }));
            change(found.expect("a product"), sample);
        });
        assert!(is_parallel_error(&error), "{error}");
    };
    product(&|d, sample| {
        if let Derivation::Product { left, .. } = d {
            *left = sample.cells;
        }
    });
    product(&|d, sample| {
        if let Derivation::Product { right, .. } = d {
            *right = sample.cells;
        }
    });
    product(&|d, sample| {
        if let Derivation::Product { target, .. } = d {
            *target = sample.secret;
        }
    });
    // All alike, but not of phase two.
    product(&|d, sample| {
        let all = sample.fixed;
        *d = Derivation::Product {
            left: all,
            right: all,
            target: all,
        };
    });
}

#[test]
fn the_scale_of_a_form_is_drawn_before_lambda() {
    for challenge in Challenge::ALL {
        for exponent in [0, 1, 2] {
            let sample = sample();
            let mut system = sample.system.clone();
            system.constraints[0].claims = 2;
            system.constraints[0].forms = vec![LinearForm::Strided(Strided {
                source: Source::Track(sample.cells),
                start: 0,
                axes: vec![Axis::new(3, 1, Factor::One)],
                scale: Coefficient::power(challenge, exponent),
            })];
            let early = matches!(
                challenge,
                Challenge::Rho | Challenge::Tau | Challenge::Alpha | Challenge::Sigma
            );
            let fits = early || (challenge == Challenge::Lambda && exponent < 2);
            let found = system.validate();
            assert_eq!(found.is_ok(), fits, "{challenge:?}^{exponent}: {found:?}");
        }
    }
}
