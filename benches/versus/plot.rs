//! Cost against the size of the lake, as SVG.

use std::path::Path;

use plotters::prelude::*;

use super::lake::short;
use super::report::Report;

const COLOURS: [RGBColor; 5] = [BLUE, RED, GREEN, MAGENTA, BLACK];

/// Draws the curves; nothing without two sizes.
pub fn draw(report: &Report, file: &Path) {
    let points: Vec<(u64, f64)> = report.curves.values().flatten().copied().collect();
    let rows = |pick: fn(u64, u64) -> u64| points.iter().map(|(rows, _)| *rows).reduce(pick);
    let (Some(least), Some(most)) = (rows(u64::min), rows(u64::max)) else { return };
    if least == most {
        return;
    }
    let highest = points.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max) * 1e3;
    let lowest = points.iter().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min) * 1e3;
    let root = SVGBackend::new(file, (900, 540)).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&root)
        .caption("cost by size of the lake", ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((least / 2..most * 2).log_scale(), (lowest / 2.0..highest * 2.0).log_scale())
        .unwrap();
    chart
        .configure_mesh()
        .x_desc("rows in the lake")
        .y_desc("median, ms")
        .x_label_formatter(&|rows| short(*rows))
        .y_label_formatter(&|ms| format!("{ms}"))
        .draw()
        .unwrap();
    for ((name, curve), colour) in report.curves.iter().zip(COLOURS.iter().cycle()) {
        let line = curve.iter().map(|(rows, seconds)| (*rows, seconds * 1e3));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)).point_size(4))
            .unwrap()
            .label(name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()
        .unwrap();
    root.present().unwrap();
}
