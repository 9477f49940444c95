//! A chart of scores over time, with the threshold and, where they are known, the labels.

use std::collections::HashSet;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::axis::{
    BLUE, DARK, Drawn, TITLE, VERMILION, decades, draw_legend, draw_mesh, logarithmic, short, time_unit,
};
use super::chart::Chart;
use super::image::Image;
use crate::label::Label;
use crate::scores::ScoreTable;
use crate::{Error, Result};

/// Width and height of the chart, in pixels.
const SIZE: (usize, usize) = (1200, 560);
/// Behind rows that are labelled anomalous.
const SHADE: RGBColor = RGBColor(253, 236, 224);
/// Rows without a label.
const UNKNOWN: RGBColor = RGBColor(110, 118, 130);

/// The scores of a table over time, or over rows where a time is not known, 1200 × 560 pixels: a dot a row, with what is labelled
/// anomalous in another colour and on shaded ground, and a line at the threshold. The axis of scores is logarithmic where all are
/// above 0 and span more than a factor of ten. Dots on the same pixel are drawn once, so any number of rows will do.
pub fn score_chart(scores: &ScoreTable, threshold: f64) -> Result<Image> {
    let mut image = Image::blank(SIZE.0, SIZE.1);
    let drawn = draw(&mut image, scores, threshold);
    drawn.map_err(Error::unwritable("chart of scores"))?;
    Ok(image)
}

fn draw(image: &mut Image, scores: &ScoreTable, threshold: f64) -> Drawn {
    let (mut least, mut greatest) = (threshold, threshold);
    for &score in scores.scores() {
        (least, greatest) = (least.min(score), greatest.max(score));
    }
    if let Some((bottom, top)) = logarithmic(least, greatest) {
        let vertical = (bottom..top).log_scale().with_key_points(decades(bottom, top));
        return draw_over(image, scores, threshold, vertical);
    }
    // Halves first, so that the distance of the largest numbers is one.
    let room = ((greatest / 2.0 - least / 2.0) * 0.12).max(f64::MIN_POSITIVE.max(greatest.abs() * 1e-9));
    let room = if greatest > least { room } else { 1.0 };
    let bottom = if least >= 0.0 { (least - room).max(0.0) } else { least - room };
    draw_over(image, scores, threshold, bottom.max(f64::MIN / 4.0)..(greatest + room).min(f64::MAX / 4.0))
}

fn draw_over<Y>(image: &mut Image, scores: &ScoreTable, threshold: f64, vertical: Y) -> Drawn
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let across = Across::of(scores);
    let root = Chart(image).into_drawing_area();
    let mut builder = ChartBuilder::on(&root);
    builder.margin(12).margin_right(24).set_left_and_bottom_label_area_size(44).y_label_area_size(104);
    builder.caption(format!("Scores and the threshold {}", short(threshold)), TITLE.into_font().color(&DARK));
    let mut chart = builder.build_cartesian_2d(0.0..across.end, vertical)?;
    let (left, right) = (0.0, across.end);
    let (top, bottom) = {
        let range = chart.plotting_area().get_pixel_range().1;
        (range.start, range.end)
    };
    // Shaded columns lie under the mesh.
    let mut shaded = HashSet::new();
    for (row, label) in scores.labels().iter().enumerate() {
        if *label == Label::Anomalous {
            shaded.insert(chart.backend_coord(&(across.at(scores, row), threshold)).0);
        }
    }
    for x in shaded {
        root.draw(&Rectangle::new([(x - 1, top), (x + 1, bottom)], SHADE.filled()))?;
    }
    draw_mesh(
        chart
            .configure_mesh()
            .x_desc(&across.name)
            .y_desc("score")
            .x_labels(12)
            .y_labels(8)
            .x_label_formatter(&|value| short(*value)),
    )?;
    let kinds = [
        (Label::Unknown, "no label", UNKNOWN, 1),
        (Label::Normal, "normal", BLUE, 1),
        (Label::Anomalous, "anomalous", VERMILION, 2),
    ];
    for (kind, name, colour, radius) in kinds {
        let rows = (0..scores.len()).filter(|&row| scores.labels()[row] == kind);
        let mut drawn = HashSet::new();
        let dots: Vec<(f64, f64)> = rows
            .map(|row| (across.at(scores, row), scores.scores()[row]))
            .filter(|point| drawn.insert(chart.backend_coord(point)))
            .collect();
        if !dots.is_empty() {
            let series = chart.draw_series(dots.into_iter().map(|dot| Circle::new(dot, radius, colour.filled())))?;
            series.label(name).legend(move |(x, y)| Circle::new((x + 12, y), 4, colour.filled()));
        }
    }
    let line = chart.draw_series(LineSeries::new([(left, threshold), (right, threshold)], DARK.stroke_width(2)))?;
    line.label("threshold").legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], DARK.stroke_width(2)));
    draw_legend(
        chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.85)),
    )?;
    Ok(())
}

/// Where rows lie on the horizontal axis.
struct Across {
    name: String,
    /// Time of the first row, and nanoseconds in a unit; `None` where rows are counted instead.
    time: Option<(i64, f64)>,
    end: f64,
}

impl Across {
    fn of(scores: &ScoreTable) -> Across {
        let by_row = Across { name: "row".into(), time: None, end: scores.len().max(1) as f64 };
        let Some(times) = scores.rows().map(|row| row.time_ns).collect::<Option<Vec<i64>>>() else { return by_row };
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return by_row };
        if first == last {
            return by_row;
        }
        let span = last.abs_diff(*first) as f64;
        let (seconds, name) = time_unit(span / 1e9);
        let unit = seconds * 1e9;
        Across { name: format!("{name} since the first"), time: Some((*first, unit)), end: span / unit }
    }

    fn at(&self, scores: &ScoreTable, row: usize) -> f64 {
        match (self.time, scores.row(row).time_ns) {
            (Some((first, unit)), Some(time)) => time.abs_diff(first) as f64 / unit,
            _ => row as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::ScoreRow;

    fn table(rows: &[(Option<i64>, f64, Label)]) -> ScoreTable {
        let row = |&(time_ns, score, label)| ScoreRow {
            window: 0,
            first_packet: None,
            last_packet: None,
            time_ns,
            score,
            label,
        };
        rows.iter().map(row).collect()
    }

    fn has(image: &Image, colour: RGBColor) -> bool {
        image.rgb().chunks(3).any(|pixel| pixel == [colour.0, colour.1, colour.2])
    }

    #[test]
    fn every_table_has_a_chart() {
        let extremes = [0.0, -1.0, 1e-300, f64::MAX, f64::MIN];
        for a in extremes {
            for b in extremes {
                let times = [(None, None), (Some(i64::MIN), Some(i64::MAX)), (Some(5), Some(5)), (Some(0), Some(1))];
                for (first, second) in times {
                    let table = table(&[(first, a, Label::Normal), (second, b, Label::Anomalous)]);
                    assert_eq!(score_chart(&table, a).unwrap().width(), SIZE.0, "{a} {b}");
                }
            }
        }
        score_chart(&ScoreTable::new(), 0.0).unwrap();
    }

    #[test]
    fn labels_are_told_apart() {
        let normal = table(&[(Some(0), 0.1, Label::Normal), (Some(9), 0.2, Label::Unknown)]);
        let image = score_chart(&normal, 0.5).unwrap();
        assert!(has(&image, BLUE) && has(&image, DARK) && !has(&image, VERMILION) && !has(&image, SHADE));
        let attacked = table(&[(Some(0), 0.1, Label::Normal), (Some(9), 0.2, Label::Anomalous)]);
        let image = score_chart(&attacked, 0.5).unwrap();
        assert!(has(&image, VERMILION) && has(&image, SHADE));
    }
}
