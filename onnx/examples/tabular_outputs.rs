//! Integer and float outputs of models on test samples, one JSON object a line.
use zkernel_gadgets::model::{Honest, run};
use zkernel_onnx::*;

fn one(dir: &str) -> Result<serde_json::Value, Error> {
    let model = Model::load(format!("{dir}/network.onnx"))?;
    let calibration = Samples::read(&model, format!("{dir}/calib.json").as_ref())?;
    let test = Samples::read(&model, format!("{dir}/test.json").as_ref())?;
    let quantized = quantize(&model, &calibration, &Options::default())?;
    let names: Vec<_> = model
        .outputs
        .iter()
        .map(|t| model.tensors[*t].name.clone())
        .collect();
    let (mut floats, mut integers, mut failed) = (vec![], vec![], vec![]);
    for (i, sample) in test.as_slice().iter().enumerate() {
        let result = (|| {
            let float = model.run(sample)?;
            let q = quantized.quantize_input(sample)?;
            let trace =
                run(&quantized.graph, &quantized.weights, &q, &mut Honest).map_err(Error::from)?;
            let ints: Vec<_> = quantized
                .graph
                .outputs
                .iter()
                .map(|id| dequantize(&quantized.graph, *id, &trace.values[id.0 as usize]).unwrap())
                .collect();
            Ok::<_, Error>((float, ints))
        })();
        match result {
            Ok((f, q)) => {
                floats.push(Some(f));
                integers.push(Some(q));
            }
            Err(e) => {
                floats.push(None);
                integers.push(None);
                failed.push(format!("{i}: {e}"));
            }
        }
    }
    let params: usize = quantized
        .graph
        .weights
        .iter()
        .map(|w| w.rows * w.cols)
        .sum();
    Ok(
        serde_json::json!({"names": names, "floats": floats, "integers": integers, "failed": failed, "params": params,
        "top1": quantized.report.top1_agreement, "error": quantized.report.relative_error, "widths": quantized.report.widths}),
    )
}

fn main() {
    for dir in std::env::args().skip(1) {
        let start = std::time::Instant::now();
        let mut value = match std::panic::catch_unwind(|| one(&dir)) {
            Ok(Ok(v)) => v,
            Ok(Err(e)) => serde_json::json!({"error_text": e.to_string()}),
            Err(_) => serde_json::json!({"error_text": "PANIC"}),
        };
        value["dir"] = dir.into();
        value["seconds"] = start.elapsed().as_secs_f64().into();
        println!("{value}");
    }
}
