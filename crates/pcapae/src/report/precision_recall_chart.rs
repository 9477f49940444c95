//! A chart of precision over recall, with the position of the threshold and the precision of chance.

use plotters::prelude::*;

use super::axis::{BLUE, DARK, Drawn, TITLE, VERMILION, draw_legend, draw_mesh, short};
use super::chart::Chart;
use super::image::Image;
use crate::metrics::{Confusion, Ranking};
use crate::{Error, Result};

/// Width and height of the chart, in pixels.
const SIZE: (usize, usize) = (720, 640);
/// Steps nearer to each other than this on both axes are drawn as one.
const NEAR: f64 = 0.0005;

/// Precision over recall of all thresholds, 720 × 640 pixels, in the steps whose area is the average precision; a dashed line at the base rate,
/// where flagging at random would be; a ring where the threshold of `at_threshold` stands. Empty where nothing is anomalous.
pub fn precision_recall_chart(ranking: &Ranking, at_threshold: &Confusion) -> Result<Image> {
    let mut image = Image::blank(SIZE.0, SIZE.1);
    let drawn = draw(&mut image, ranking, at_threshold);
    drawn.map_err(Error::unwritable("precision-recall chart"))?;
    Ok(image)
}

fn draw(image: &mut Image, ranking: &Ranking, at_threshold: &Confusion) -> Drawn {
    let named = |name: &str, value: Option<f64>| format!("{name} {}", value.map_or("undefined".into(), short));
    let root = Chart(image).into_drawing_area();
    let mut builder = ChartBuilder::on(&root);
    builder.margin(12).margin_right(24).set_left_and_bottom_label_area_size(44).y_label_area_size(72);
    builder.caption(named("Average precision", ranking.average_precision()), TITLE.into_font().color(&DARK));
    let mut chart = builder.build_cartesian_2d(0.0..1.0, 0.0..1.04)?;
    draw_mesh(
        chart
            .configure_mesh()
            .x_desc("recall: share of the anomalous that are flagged")
            .y_desc("precision: share of the flagged that are anomalous")
            .x_labels(11)
            .y_labels(11)
            .x_label_formatter(&|value| short(*value)),
    )?;
    if let Some(rate) = ranking.base_rate() {
        let dashes = (0..50).map(|dash| f64::from(dash) / 50.0);
        let dashes = dashes.map(|x| PathElement::new([(x, rate), (x + 0.011, rate)], DARK.stroke_width(2)));
        let line = chart.draw_series(dashes)?;
        let name = named("flagging everything", Some(rate));
        line.label(name).legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], DARK.stroke_width(2)));
    }
    let line = chart.draw_series(LineSeries::new(steps(&ranking.precision_recall_curve()), BLUE.stroke_width(2)))?;
    line.label("the scores").legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], BLUE.stroke_width(3)));
    if let Some(point) = at_threshold.recall().zip(at_threshold.precision()) {
        let rings = [(8, VERMILION), (6, WHITE), (4, VERMILION)];
        let ring = chart.draw_series(rings.map(|(radius, colour)| Circle::new(point, radius, colour.filled())))?;
        ring.label("at the threshold").legend(|(x, y)| Circle::new((x + 12, y), 4, VERMILION.filled()));
    }
    draw_legend(
        chart.configure_series_labels().position(SeriesLabelPosition::LowerLeft).background_style(WHITE.mix(0.85)),
    )?;
    Ok(())
}

/// The corners of the steps: each precision holds from the recall before it.
fn steps(curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    let mut before = 0.0;
    for &(recall, precision) in curve {
        for corner in [(before, precision), (recall, precision)] {
            let far = |last: &(f64, f64)| (last.0 - corner.0).abs() > NEAR || (last.1 - corner.1).abs() > NEAR;
            if corners.last().is_none_or(far) {
                corners.push(corner);
            }
        }
        before = recall;
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Label;

    #[test]
    fn every_ranking_has_a_chart() {
        let labels = [Label::Normal, Label::Anomalous];
        for scored in [vec![], vec![(1.0, labels[0])], vec![(1.0, labels[1])], vec![(1.0, labels[1]), (2.0, labels[0])]]
        {
            let mut confusion = Confusion::default();
            for (score, label) in &scored {
                confusion.add(*label, *score > 1.5);
            }
            assert_eq!(precision_recall_chart(&Ranking::of(scored), &confusion).unwrap().width(), SIZE.0);
        }
    }

    #[test]
    fn the_corners_are_those_of_the_steps_and_no_more_than_can_be_seen() {
        assert_eq!(steps(&[(0.5, 1.0), (1.0, 0.4)]), [(0.0, 1.0), (0.5, 1.0), (0.5, 0.4), (1.0, 0.4)]);
        let many: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i) / 1e5, 0.5)).collect();
        assert!(steps(&many).len() < 4100);
    }
}
