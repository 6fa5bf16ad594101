//! A report of every layer as a folder: report.json, plots in SVG, and index.html with a table and all plots.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use plotters::coord::combinators::IntoLogRange;
use plotters::prelude::{BLUE, ChartBuilder, Color, IntoDrawingArea, RED, Rectangle, SVGBackend};
use zkernel_onnx::{LayerReport, Model, Report};

use crate::commands::Result;
use crate::error::CliError;
use crate::files::write as write_file;

/// Width and height of a plot, in pixels.
const SIZE: (u32, u32) = (800, 320);
/// Decades that errors are shown over, at most: smaller ones are at the foot of the plot.
const DECADES: i32 = 12;

/// Writes the report of a quantization to a folder, which is made if need be; returns the files' paths.
///
/// # Errors
/// [`CliError::Io`]; [`CliError::Plot`] if a plot cannot be drawn.
pub fn write(folder: &Path, model: &Model, report: &Report) -> Result<Vec<String>> {
    std::fs::create_dir_all(folder).map_err(|source| CliError::Io {
        path: folder.display().to_string(),
        source,
    })?;
    let mut files = vec![("report.json".to_owned(), json(model, report)?)];
    files.push(("error.svg".into(), error_plot(&report.layers)?));
    for (number, layer) in numbered(report).filter(|(_, layer)| !layer.histogram.is_empty()) {
        files.push((plot_name(number), histogram_plot(layer)?));
    }
    files.push(("index.html".into(), index(model, report)));
    let keep = |(name, text): (String, String)| {
        let path = folder.join(name);
        write_file(&path, text.as_bytes(), false)?;
        Ok(path.display().to_string())
    };
    files.into_iter().map(keep).collect()
}

/// Layers by number, as plots and the index call them.
fn numbered(report: &Report) -> impl Iterator<Item = (usize, &LayerReport)> {
    (1..).zip(&report.layers)
}

fn plot_name(number: usize) -> String {
    format!("keys-{number}.svg")
}

fn json(model: &Model, report: &Report) -> Result<String> {
    let whole = serde_json::json!({ "model": model.name, "accuracy": report });
    serde_json::to_string_pretty(&whole).map_err(|e| CliError::Plot(e.to_string()))
}

/// Bars of one plot: from where to where, and how high.
type Bars = Vec<(f64, f64, f64)>;

/// Largest and mean error of every layer, by its number, on a logarithmic scale.
fn error_plot(layers: &[LayerReport]) -> Result<String> {
    let bars = |error: fn(&LayerReport) -> f64, from: f64, to: f64| -> Bars {
        let bar = |(number, layer): (i32, &LayerReport)| {
            (
                f64::from(number) + from,
                f64::from(number) + to,
                error(layer),
            )
        };
        (1..).zip(layers).map(bar).collect()
    };
    let largest = bars(|layer| layer.max_abs_error, -0.4, 0.0);
    let mean = bars(|layer| layer.mean_abs_error, 0.0, 0.4);
    let all = || {
        largest
            .iter()
            .chain(&mean)
            .map(|bar| bar.2)
            .filter(|e| *e > 0.0)
    };
    let top = all().fold(f64::MIN_POSITIVE, f64::max).max(1e-300) * 2.0;
    let foot = all().fold(top, f64::min).max(top * 0.1f64.powi(DECADES)) / 2.0;
    let mut svg = String::new();
    draw(&mut svg, |root| {
        let mut chart = ChartBuilder::on(root)
            .caption(
                "Error by layer: largest (red), mean (blue)",
                ("sans-serif", 18),
            )
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(72)
            .build_cartesian_2d(0.5..layers.len() as f64 + 0.5, (foot..top).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("layer")
            .y_desc("absolute error, real units")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.0e}"))
            .draw()?;
        for (bars, color) in [(&largest, RED), (&mean, BLUE)] {
            let bar = |&(from, to, error): &(f64, f64, f64)| {
                Rectangle::new(
                    [(from, foot), (to, error.max(foot))],
                    color.mix(0.7).filled(),
                )
            };
            chart.draw_series(bars.iter().map(bar))?;
        }
        Ok(())
    })?;
    Ok(svg)
}

/// How many keys of a layer lay in each part of its table, over the whole range of the table.
fn histogram_plot(layer: &LayerReport) -> Result<String> {
    let [min, max] = layer.table.unwrap_or_default().map(|key| key as f64);
    let bins = layer.histogram.len().max(1) as f64;
    let width = (max - min + 1.0) / bins;
    let most = layer.histogram.iter().copied().max().unwrap_or(0).max(1) as f64;
    let keys: Range<f64> = min..min + width * bins;
    let mut svg = String::new();
    draw(&mut svg, |root| {
        let mut chart = ChartBuilder::on(root)
            .caption(
                format!("Keys of {}, over its table", layer.name),
                ("sans-serif", 18),
            )
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(72)
            .build_cartesian_2d(keys.clone(), 0.0..most * 1.05)?;
        chart
            .configure_mesh()
            .x_desc("key")
            .y_desc("values seen")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .draw()?;
        let bar = |(bin, count): (usize, &u64)| {
            let from = min + bin as f64 * width;
            Rectangle::new(
                [(from, 0.0), (from + width, *count as f64)],
                BLUE.mix(0.7).filled(),
            )
        };
        chart.draw_series(layer.histogram.iter().enumerate().map(bar))?;
        Ok(())
    })?;
    Ok(svg)
}

type Area<'a> = plotters::drawing::DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw(svg: &mut String, paint: impl FnOnce(&Area<'_>) -> Drawn) -> Result<()> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let drawn = paint(&root).and_then(|()| Ok(root.present()?));
    drawn.map_err(|e| CliError::Plot(e.to_string()))
}

/// A page that opens anywhere: the table of layers, and all plots.
fn index(model: &Model, report: &Report) -> String {
    let name = escaped(&model.name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{name}: quantization</title>\n\
         <style>body {{ font-family: sans-serif; max-width: 60em; margin: auto }} td, th {{ padding: 0 0.6em; text-align: right }} \
         td:nth-child(2), td:nth-child(3) {{ text-align: left }}</style></head>\n<body>\n<h1>{name}: quantization</h1>\n"
    );
    let summary = report.to_string();
    let summary = summary.lines().next().unwrap_or_default();
    let _ = writeln!(
        page,
        "<p>{}</p>\n<p><img src=\"error.svg\" alt=\"error by layer\"></p>",
        escaped(summary)
    );
    page.push_str("<table>\n<tr><th>layer</th><th>name</th><th>operator</th><th>largest error</th><th>mean error</th><th>table</th><th>seen</th><th>headroom</th><th>at the edge</th></tr>\n");
    for (number, layer) in numbered(report) {
        page.push_str(&row(number, layer));
    }
    page.push_str("</table>\n");
    for (number, layer) in numbered(report).filter(|(_, layer)| !layer.histogram.is_empty()) {
        let (file, name) = (plot_name(number), escaped(&layer.name));
        let _ = writeln!(
            page,
            "<h2>{number}: {name}</h2>\n<p><img src=\"{file}\" alt=\"keys of {name}\"></p>"
        );
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn row(number: usize, layer: &LayerReport) -> String {
    let range =
        |ends: Option<[i64; 2]>| ends.map_or_else(String::new, |[a, b]| format!("{a} to {b}"));
    let headroom = layer
        .headroom
        .map_or_else(String::new, |h| format!("{h:.1}"));
    format!(
        "<tr><td>{number}</td><td>{}</td><td>{}</td><td>{:.2e}</td><td>{:.2e}</td><td>{}</td><td>{}</td><td>{headroom}</td><td>{}</td></tr>\n",
        escaped(&layer.name),
        escaped(&layer.op),
        layer.max_abs_error,
        layer.mean_abs_error,
        range(layer.table),
        range(layer.seen),
        layer.saturated
    )
}

/// Names come from the file: nothing of them may be taken for markup.
fn escaped(text: &str) -> String {
    let replace = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(replace).collect()
}
