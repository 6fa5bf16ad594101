//! Which layout a network gets: the one that is predicted to cost least.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::time::Duration;

use clap::ValueEnum;
use pasta_curves::Fp;
use zkernel_engine::cost::Trace;
use zkernel_gadgets::model::{Graph, choose_layout, lower};

use super::{Machine, device_bytes, fits, host_bytes, with_slack};
use crate::commands::Result;
use crate::error::CliError;
use crate::files::room;
use crate::memory::Memory;
use crate::report::peak_rss_bytes;

/// What a layout is chosen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Objective {
    /// Seconds to prove and to verify, and a little for bytes.
    #[default]
    Time,
    /// The smallest proofs.
    Size,
    /// The quickest verification.
    Verify,
}

impl Objective {
    /// What a second of verification and a kilobyte of proof are worth, in seconds of proving. Of two objectives the one that
    /// values something more never gets more of it from the same layouts.
    const fn worth(self) -> [f64; 2] {
        match self {
            Self::Time => [1.0, 0.001],
            Self::Size => [1.0, 1.0],
            Self::Verify => [100.0, 0.001],
        }
    }
}

/// Bytes from which a proof is large whatever the objective, and what each kilobyte beyond them is worth, in seconds of proving.
const LARGE_PROOF: (f64, f64) = (12e3, 0.05);

/// What a layout is chosen by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aim {
    /// What should be small.
    pub objective: Objective,
    /// The most memory that committing and proving may take.
    pub memory: Option<Memory>,
}

/// The host's own part of a layout is timed again until it has taken so long.
const COMPARING: Duration = Duration::from_millis(12);
/// Layouts whose costs are within this factor of the least are compared again, if the host's part of a proof takes so many seconds:
/// shorter ones have been traced often, longer ones would take too long.
const CLOSE: f64 = 1.06;
const TRACED_AGAIN: Range<f64> = 0.003..0.05;

/// Layouts whose costs are within [`CLOSE`] of the least.
struct Close<T> {
    least: f64,
    layouts: Vec<(f64, T)>,
}

impl<T> Close<T> {
    const fn new() -> Self {
        Self {
            least: f64::INFINITY,
            layouts: Vec::new(),
        }
    }

    /// One more, made if it is among them. An infinite cost is that of a layout that may not be chosen.
    fn push(&mut self, cost: f64, layout: impl FnOnce() -> T) {
        if !cost.is_finite() || cost > CLOSE * self.least {
            return;
        }
        if cost < self.least {
            self.least = cost;
            self.layouts.retain(|(other, _)| *other <= CLOSE * cost);
        }
        self.layouts.push((cost, layout()));
    }
}

impl Machine {
    /// The layout with the least predicted cost of those that can be committed to and proven within the memory allowed, and
    /// log2 of its column length.
    ///
    /// # Errors
    /// [`CliError::Memory`] if none fits.
    pub fn choose_layout(&mut self, graph: &Graph, aim: Aim) -> Result<(Graph, u32)> {
        let host = peak_rss_bytes().unwrap_or(0);
        let mut least = u64::MAX;
        // Range proofs of the weights by limbs and column length, on which alone they depend.
        let mut ranges = BTreeMap::new();
        let mut close = Close::new();
        let found = choose_layout::<Fp, CliError>(graph, |graph, system| {
            let trace = self.steady_trace(system, COMPARING)?;
            if let Some(Memory(bound)) = aim.memory {
                let key = (graph.limb_bits, system.log_n);
                if let Entry::Vacant(unknown) = ranges.entry(key) {
                    unknown.insert(self.range_bytes(graph, system.log_n)?);
                }
                let own = device_bytes(&trace).max(room(system) as u64) + host_bytes(system);
                let peak = host + with_slack(own.max(ranges[&key]));
                least = least.min(peak);
                if peak > bound {
                    return Ok(f64::INFINITY);
                }
            }
            let cost = self.cost(&trace, aim.objective);
            close.push(cost, || (graph.clone(), system.log_n, trace));
            Ok(cost)
        })?;
        if aim.memory.is_some() {
            fits(least, aim.memory)?;
        }
        self.reconsider(found, close.layouts, aim.objective)
    }

    /// The best of the layouts whose costs are close: the host's times, of one or two traces each, may have been anybody's.
    fn reconsider(
        &mut self,
        found: (Graph, u32),
        close: Vec<(f64, (Graph, u32, Trace))>,
        objective: Objective,
    ) -> Result<(Graph, u32)> {
        let host = close
            .iter()
            .map(|(_, (.., trace))| trace.prove.host_seconds);
        if close.len() < 2 || !TRACED_AGAIN.contains(&host.fold(0.0, f64::max)) {
            return Ok(found);
        }
        let mut best = (f64::INFINITY, found);
        for (_, (graph, log_n, mut trace)) in close {
            let system = lower::<Fp>(&graph, log_n)?.system;
            trace.keep_shortest(&self.steady_trace(&system, COMPARING)?);
            let cost = self.cost(&trace, objective);
            if cost < best.0 {
                best = (cost, (graph, log_n));
            }
        }
        Ok(best.1)
    }

    /// What layouts are compared by: seconds of a proof, and what its verification and its bytes are worth.
    fn cost(&self, trace: &Trace, objective: Objective) -> f64 {
        let bytes = trace.proof_bytes as f64;
        let [verification, kilobyte] = objective.worth();
        let verify = verification * self.prices.seconds(&trace.verify);
        let (most, each) = LARGE_PROOF;
        let size = (kilobyte * bytes + each * (bytes - most).max(0.0)) / 1024.0;
        self.prices.seconds(&trace.prove) + verify + size
    }
}

#[cfg(test)]
mod tests {
    use zkernel_engine::cost::Prices;
    use zkernel_gadgets::model::LowerError;
    use zkernel_onnx::{Limits, Model, Options, Samples, quantize};
    use zkernel_verifier::system::ConstraintSystem;

    use super::*;
    use crate::files::C;

    /// What a row of a unit costs that proofs alone need, and of one that verification needs: nothing depends on a machine.
    const ROWS: [f64; 2] = [1e-12, 1e-6];

    /// The work of a system with prices for all of it and no seconds of the host.
    fn priced(machine: &mut Machine, system: &ConstraintSystem<Fp>) -> Trace {
        let mut trace = Trace::of::<C>(system, 1).unwrap();
        for work in [&mut trace.commit, &mut trace.prove, &mut trace.verify] {
            work.host_seconds = 0.0;
        }
        for (work, row) in [&trace.prove, &trace.verify].into_iter().zip(ROWS) {
            for unit in work.counts.keys() {
                let rows = f64::from(unit.log_rows).exp2();
                machine.prices.set(*unit, row * rows);
            }
        }
        trace
    }

    /// Seconds to verify proofs of the layout that is chosen by the costs of an objective.
    fn verify_seconds(graph: &Graph, objective: Objective) -> f64 {
        let mut machine = Machine {
            prices: Prices::default(),
            file: None,
            threads: 1,
        };
        let (graph, log_n) = choose_layout::<Fp, LowerError>(graph, |_, system| {
            let trace = priced(&mut machine, system);
            Ok(machine.cost(&trace, objective))
        })
        .unwrap();
        let trace = priced(&mut machine, &lower::<Fp>(&graph, log_n).unwrap().system);
        machine.prices.seconds(&trace.verify)
    }

    #[test]
    fn the_quickest_to_verify_is_chosen_where_it_is_asked_for() {
        let bytes = include_bytes!("../../../models/mlp_digits/network.onnx");
        let model = Model::from_bytes(bytes, &Limits::default()).unwrap();
        let samples = Samples::guessed(&model);
        let graph = quantize(&model, &samples, &Options::default())
            .unwrap()
            .graph;
        let verify = verify_seconds(&graph, Objective::Verify);
        assert!(verify <= verify_seconds(&graph, Objective::Size));
        let time = verify_seconds(&graph, Objective::Time);
        assert!(
            verify < time,
            "of a search that ignores what is asked for, both are the same: {verify} {time}"
        );
    }

    #[test]
    fn layouts_close_to_the_least_are_kept() {
        let mut close = Close::new();
        for cost in [
            f64::INFINITY,
            10.0,
            12.0,
            10.5,
            9.5,
            9.0,
            9.0,
            9.6,
            f64::INFINITY,
        ] {
            close.push(cost, || cost.to_string());
        }
        let kept: Vec<f64> = close.layouts.iter().map(|(cost, _)| *cost).collect();
        assert_eq!(kept, [9.5, 9.0, 9.0]);
    }
}
