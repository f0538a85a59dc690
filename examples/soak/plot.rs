//! The samples as an SVG: one chart under the other over the same minutes.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use super::samples::{Samples, Series};

const SIZE: (u32, u32) = (960, 1200);

const COLOURS: [RGBColor; 4] =
    [RGBColor(31, 119, 180), RGBColor(214, 39, 40), RGBColor(44, 160, 44), RGBColor(148, 103, 189)];

pub(super) fn draw(samples: &Samples, path: &Path) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let groups = samples.groups();
    for (area, (title, group)) in area.split_evenly((groups.len(), 1)).iter().zip(&groups) {
        let points = || group.iter().flat_map(|series| &series.points);
        let minutes = points().map(|point| point.0).fold(0.1, f64::max);
        // From zero on, so that growth shows at its true size.
        let top = points().map(|point| point.1).fold(1.0, f64::max) * 1.1;
        let mut chart = ChartBuilder::on(area)
            .caption(*title, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(22)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..minutes, 0.0..top)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("minutes")
            .label_style(("sans-serif", 11))
            .draw()?;
        for (series, colour) in group.iter().zip(COLOURS) {
            let line = chart.draw_series(LineSeries::new(series.points.iter().copied(), colour.stroke_width(1)))?;
            line.label(label(series)).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 14, y)], colour));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.7))
            .label_font(("sans-serif", 11))
            .draw()?;
    }
    area.present()?;
    Ok(())
}

fn label(series: &Series) -> String {
    format!("{} ({:+.2} %/min)", series.name, series.slope())
}
