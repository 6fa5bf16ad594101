//! A network cut in two: the output of one segment is committed to, and the same commitment is the input of the other.
//! Both proofs verify with one MSM; another commitment or other values are refused.

use crate::common::{Net, Prover, witness};
use pasta_curves::{EqAffine, Fp};
use zkernel_backend_cpu::Cpu;
use zkernel_engine::{Boundary, Error, executor, prove};
use zkernel_gadgets::model::{Graph, Honest, Interval, Trace, Visibility, run};
use zkernel_verifier::batch::{BatchRejection, Claim, Link, verify_batch};
use zkernel_verifier::form::TrackId;
use zkernel_verifier::proof::Proof;

const INPUT: Interval = Interval::new(-8, 7);

struct Segment {
    net: Net,
    prover: Prover,
    trace: Trace,
    track: TrackId,
}

impl Segment {
    fn new(net: Net, input: Vec<i64>, log_n: u32) -> Self {
        let trace = run(&net.graph, &net.weights, &[input], &mut Honest).unwrap();
        let prover = Prover::new(&net, log_n);
        let track = prover.lowered.boundaries[0].1;
        Self {
            net,
            prover,
            trace,
            track,
        }
    }

    fn boundary(&self, values: &[i64]) -> Boundary<Fp> {
        Boundary::blinded(&self.prover.lowered.system, self.track, values.to_vec()).unwrap()
    }

    fn output(&self) -> &[i64] {
        &self.trace.values[self.net.graph.outputs[0].0 as usize]
    }

    fn prove(&self, boundary: &Boundary<Fp>) -> Result<Proof<EqAffine>, Error> {
        let mut witness = witness(&self.prover.lowered, &self.trace);
        witness.boundaries.push(boundary.shared_as(self.track));
        let instances = crate::common::instances(&self.prover.lowered, &self.trace);
        prove(&Cpu::new(), &self.prover.key, &instances, &witness)
    }
}

fn commit(graph: &mut Graph, output: bool) {
    let ids = if output {
        &graph.outputs
    } else {
        &graph.inputs
    };
    let id = ids[0].0 as usize;
    graph.tensors[id].visibility = Visibility::Committed;
}

fn segments(argmax: bool) -> [Segment; 2] {
    let first = Net::new(&[2, 6], INPUT, Visibility::Private, 1).dense(5);
    let first = if argmax {
        first.within(1 << 20).argmax()
    } else {
        first.relu(3, 9)
    };
    let mut first = first.done();
    commit(&mut first.graph, true);
    let input = first.input(3).remove(0);
    let first = Segment::new(first, input, 5);
    let tensor = &first.net.graph.tensors[first.net.graph.outputs[0].0 as usize];
    let second = Net::new(&tensor.shape, tensor.range, Visibility::Private, 2);
    let mut second = second.dense(3).done();
    commit(&mut second.graph, false);
    let second = Segment::new(second, first.output().to_vec(), 6);
    [first, second]
}

#[test]
fn two_segments_share_a_commitment() {
    for argmax in [false, true] {
        let [first, second] = segments(argmax);
        let boundary = first.boundary(first.output());
        let proofs = [
            first.prove(&boundary).unwrap(),
            second.prove(&boundary).unwrap(),
        ];
        let other = second.prove(&second.boundary(first.output())).unwrap();
        let instances =
            [&first, &second].map(|s| crate::common::instances(&s.prover.lowered, &s.trace));
        let verdict = |second_proof: &Proof<EqAffine>| {
            let keys = [&first, &second].map(|s| &s.prover.key.verifying);
            let claim = |index: usize, proof| Claim {
                key: keys[index],
                instances: &instances[index],
                proof,
            };
            let claims = [claim(0, &proofs[0]), claim(1, second_proof)];
            let link = Link {
                from: (0, first.track),
                to: (1, second.track),
            };
            verify_batch(&claims, &[link], &executor::<EqAffine, _>(&Cpu::new()))
        };
        assert_eq!(verdict(&proofs[1]), Ok(()));
        assert_eq!(verdict(&other), Err(BatchRejection::Link(0)));
    }
}

#[test]
fn a_commitment_to_other_values_is_refused() {
    for argmax in [false, true] {
        for segment in segments(argmax) {
            let id = segment.prover.lowered.boundaries[0].0;
            let values = &segment.trace.values[id.0 as usize];
            for index in 0..values.len() {
                let mut values = values.clone();
                values[index] += 1;
                assert!(
                    segment.prove(&segment.boundary(&values)).is_err(),
                    "{index}"
                );
            }
        }
    }
}
