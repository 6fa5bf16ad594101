//! What is secret, down to the constraints: the mock prover accepts the imported network, and public is what was asked.

use pasta_curves::Fp;
use zkernel_engine::{Tensors, Witness, mock};
use zkernel_gadgets::model::{Honest, Lowered, Op, TensorId, Visibility, lower, run};
use zkernel_onnx::{Model, Options, Quantized, Samples, quantize};
use zkernel_verifier::curve::signed;

use crate::network::Network;

const PRIVATE: Visibility = Visibility::Private;
const PUBLIC: Visibility = Visibility::Public;

/// Samples without a pattern, in -1..1.
pub fn samples(model: &Model, count: usize) -> Samples {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let len = model.tensors[model.inputs[0]].len();
    let one = |_| vec![(0..len).map(|_| next()).collect()];
    Samples::new(model, (0..count).map(one).collect()).unwrap()
}

/// The quantized model, after its integer run has followed the float run and its circuit has accepted one.
pub fn proven(model: &Model, options: Options) -> Quantized {
    let samples = samples(model, 24);
    let quantized = quantize(model, &samples, &options).unwrap();
    let report = quantized.evaluate(model, &samples).unwrap();
    assert!(report.relative_error < 0.02, "{report}");
    quantized.graph.validate().unwrap();
    let lowered = lower::<Fp>(&quantized.graph, 8).unwrap();
    for sample in &samples.as_slice()[..2] {
        let failures = failures(&quantized, &lowered, sample, 0);
        assert!(failures.is_empty(), "{failures:?}");
        if !lowered.instances.is_empty() {
            assert!(!self::failures(&quantized, &lowered, sample, 1).is_empty());
        }
    }
    quantized
}

/// What the mock prover has against the run on a sample, `shift` added to the last public value.
fn failures(
    quantized: &Quantized,
    lowered: &Lowered<Fp>,
    sample: &[Vec<f32>],
    shift: i64,
) -> Vec<mock::Failure> {
    let (graph, weights) = (&quantized.graph, &quantized.weights);
    let integers = quantized.quantize_input(sample).unwrap();
    let trace = run(graph, weights, &integers, &mut Honest).unwrap();
    let tensors = Tensors::blinded(&lowered.system, lowered.tensors(graph, weights)).unwrap();
    let mut witness = Witness::default();
    for (track, cells) in lowered.witness(&trace) {
        witness.assign(track, cells);
    }
    let public = |id: &TensorId| trace.values[id.0 as usize].iter().map(|v| signed(*v));
    let mut claims: Vec<Vec<Fp>> = lowered
        .instances
        .iter()
        .map(|id| public(id).collect())
        .collect();
    if let Some(last) = claims.last_mut().and_then(|values| values.last_mut()) {
        *last += signed::<Fp>(shift);
    }
    mock::check(&lowered.system, &claims, &witness, &tensors).unwrap()
}

/// A layer, a ReLU, a layer.
fn two_layers() -> Model {
    let w1: Vec<f32> = (0..12).map(|i| ((i * 7) % 11) as f32 / 6.0 - 0.8).collect();
    let w2: Vec<f32> = (0..8).map(|i| ((i * 5) % 9) as f32 / 5.0 - 0.7).collect();
    let network = Network::new(&[1, 3])
        .constant("w1", &[3, 4], &w1)
        .constant("b1", &[4], &[0.1, -0.2, 0.3, 0.4])
        .constant("w2", &[4, 2], &w2)
        .node("Gemm", &["x", "w1", "b1"], "a", &[])
        .node("Relu", &["a"], "h", &[])
        .node("MatMul", &["h", "w2"], "y", &[])
        .output("y");
    network.read().unwrap()
}

#[test]
fn every_choice_of_what_is_public_is_proven() {
    let model = two_layers();
    for input in [PRIVATE, PUBLIC] {
        for output in [PRIVATE, PUBLIC] {
            for weights in [PRIVATE, PUBLIC] {
                let quantized = proven(
                    &model,
                    Options {
                        input,
                        output,
                        weights,
                    },
                );
                let graph = &quantized.graph;
                let of = |id: TensorId| graph.tensors[id.0 as usize].visibility;
                assert_eq!(of(graph.inputs[0]), input);
                assert_eq!(of(graph.outputs[0]), output);
                assert!(graph.weights.iter().all(|w| w.visibility == weights));
                let shown = |id: &TensorId| graph.inputs.contains(id) || graph.outputs.contains(id);
                for id in (0..graph.tensors.len() as u32)
                    .map(TensorId)
                    .filter(|id| !shown(id))
                {
                    assert_eq!(of(id), PRIVATE, "{id:?} is an inner tensor");
                }
                let lowered = lower::<Fp>(graph, 8).unwrap();
                let mut public = Vec::new();
                if input == PUBLIC {
                    public.push(graph.inputs[0]);
                }
                if output == PUBLIC {
                    public.push(graph.outputs[0]);
                }
                assert_eq!(lowered.instances, public);
            }
        }
    }
}

/// An output that nobody sees is requantized, so that what is proven is a value of bounded size, not an accumulator.
#[test]
fn a_private_output_ends_in_a_range() {
    let private = Options {
        output: PRIVATE,
        ..Options::default()
    };
    let last = |options| {
        proven(&two_layers(), options)
            .graph
            .nodes
            .last()
            .unwrap()
            .op
            .clone()
    };
    assert!(matches!(last(private), Op::Requantize { .. }));
    assert!(matches!(last(Options::default()), Op::Dense { .. }));
}
