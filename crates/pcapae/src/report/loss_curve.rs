//! A chart of a training: its losses, and below them the learning rate.

use plotters::coord::combinators::BindKeyPoints;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::EpochRow;
use super::axis::{
    Area, BLUE, DARK, Drawn, GREEN, TITLE, VERMILION, decades, draw_legend, draw_mesh, logarithmic, short,
};
use super::chart::Chart;
use super::image::Image;
use crate::{Error, Result};

/// Width and height of the chart, in pixels.
const SIZE: (usize, usize) = (1000, 640);
/// Of it, the height of the lower panel.
const LOWER: u32 = 190;
/// Up to so many epochs, every one has its dot.
const DOTS_MAX: usize = 40;

const VALIDATION: RGBColor = VERMILION;
const TRAINING: RGBColor = BLUE;
const RATE: RGBColor = GREEN;

/// The losses over the epochs, 1000 × 640 pixels: training and validation above, with a ring around the best epoch, which is the
/// last that says so; the learning rate below. An axis that spans more than a factor of ten is logarithmic, the others begin at
/// zero. Values that are not finite are left out; without rows the chart is empty.
///
/// `loss` names the loss on its axis, such as "mean squared error".
pub fn loss_curve(rows: &[EpochRow], loss: &str) -> Result<Image> {
    let mut image = Image::blank(SIZE.0, SIZE.1);
    let drawn = draw(&mut image, rows, loss);
    drawn.map_err(Error::unwritable("loss curve"))?;
    Ok(image)
}

/// One line of a chart.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

impl Curve {
    fn of(rows: &[EpochRow], name: &'static str, colour: RGBColor, value: fn(&EpochRow) -> f64) -> Curve {
        let points = rows.iter().map(|row| (row.epoch as f64, value(row))).filter(|point| point.1.is_finite());
        Curve { name, colour, points: points.collect() }
    }
}

fn draw(image: &mut Image, rows: &[EpochRow], loss: &str) -> Drawn {
    let root = Chart(image).into_drawing_area();
    let (upper, lower) = root.split_vertically(SIZE.1 as u32 - LOWER);
    let losses = [
        Curve::of(rows, "training", TRAINING, |row| row.loss),
        Curve::of(rows, "validation", VALIDATION, |row| row.validation_loss),
    ];
    let best = rows.iter().rfind(|row| row.best && row.validation_loss.is_finite());
    let title = match best {
        Some(row) => format!("Best validation loss {} in epoch {}", short(row.validation_loss), row.epoch),
        None => "Loss over the epochs".into(),
    };
    let last = rows.iter().map(|row| row.epoch).max().unwrap_or(0);
    let best = best.map(|row| (row.epoch as f64, row.validation_loss));
    panel(&upper, Panel { title: Some(&title), name: loss, last, curves: &losses, ring: best })?;
    let rates = [Curve::of(rows, "learning rate", RATE, |row| row.learning_rate)];
    panel(&lower, Panel { title: None, name: "learning rate", last, curves: &rates, ring: None })?;
    Ok(())
}

/// Curves over the epochs.
struct Panel<'a> {
    title: Option<&'a str>,
    /// What the vertical axis shows.
    name: &'a str,
    /// The last epoch.
    last: usize,
    curves: &'a [Curve],
    /// The point to be ringed.
    ring: Option<(f64, f64)>,
}

fn panel(area: &Area, panel: Panel) -> Drawn {
    let values = || panel.curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
    let least = values().fold(f64::INFINITY, f64::min);
    let greatest = values().fold(f64::NEG_INFINITY, f64::max);
    if let Some((bottom, top)) = logarithmic(least, greatest) {
        return panel_over(area, panel, (bottom..top).log_scale().with_key_points(decades(bottom, top)));
    }
    let (least, greatest) = if least <= greatest { (least.min(0.0), greatest.max(0.0)) } else { (0.0, 1.0) };
    let room = if least < greatest { (greatest - least) * 0.06 } else { 1.0 };
    let bottom = if least < 0.0 { least - room } else { 0.0 };
    panel_over(area, panel, bottom..greatest + room)
}

fn panel_over<Y>(area: &Area, panel: Panel, vertical: Y) -> Drawn
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut builder = ChartBuilder::on(area);
    builder.margin(12).margin_right(24).set_left_and_bottom_label_area_size(44).y_label_area_size(104);
    if let Some(title) = panel.title {
        builder.caption(title, TITLE.into_font().color(&DARK));
    }
    // To 2 at least, so that a single epoch stands in the middle.
    let epochs = 0.0..panel.last.max(2) as f64;
    let mut chart = builder.build_cartesian_2d(epochs, vertical)?;
    draw_mesh(
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc(panel.name)
            .x_labels(panel.last.clamp(2, 10) + 1)
            .y_labels(if panel.title.is_some() { 8 } else { 4 })
            .x_label_formatter(&|epoch| if epoch.fract() == 0.0 { epoch.to_string() } else { String::new() }),
    )?;
    for Curve { name, colour, points } in panel.curves {
        let colour = *colour;
        let line = chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        line.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(3)));
        if points.len() <= DOTS_MAX {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    if let Some(point) = panel.ring {
        let rings = [(8, VALIDATION), (6, WHITE), (4, VALIDATION)];
        chart.draw_series(rings.map(|(radius, colour)| Circle::new(point, radius, colour.filled())))?;
    }
    if panel.curves.len() > 1 {
        draw_legend(
            chart.configure_series_labels().position(SeriesLabelPosition::UpperRight).background_style(WHITE.mix(0.75)),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: usize, loss: f64, validation_loss: f64, best: bool) -> EpochRow {
        let learning_rate = 1e-3;
        EpochRow {
            epoch,
            steps: 0,
            learning_rate,
            loss,
            validation_loss,
            seconds: 1.0,
            fragments_per_second: 1.0,
            best,
        }
    }

    /// Whether an image has a pixel of a colour.
    fn has(image: &Image, colour: RGBColor) -> bool {
        image.rgb().chunks(3).any(|pixel| pixel == [colour.0, colour.1, colour.2])
    }

    #[test]
    fn every_history_has_a_chart() {
        let extremes = [0.0, -1.0, 1e-300, 1e300, f64::NAN, f64::INFINITY, 1.0];
        let wild: Vec<_> = extremes.iter().flat_map(|&a| extremes.map(|b| (a, b))).collect();
        let wild: Vec<_> = wild.iter().enumerate().map(|(at, (a, b))| row(at + 1, *a, *b, true)).collect();
        let mut histories: Vec<&[EpochRow]> = wild.chunks(1).collect();
        histories.extend([&[] as &[EpochRow], &wild, &wild[..2], &wild[14..20]]);
        for rows in histories {
            let image = loss_curve(rows, "mean squared error").unwrap();
            assert_eq!((image.width(), image.height()), SIZE, "{rows:?}");
        }
    }

    #[test]
    fn both_losses_and_the_learning_rate_are_drawn() {
        let image = loss_curve(&[row(1, 0.5, 0.4, true), row(2, 0.1, 0.3, true)], "loss").unwrap();
        assert!([TRAINING, VALIDATION, RATE].into_iter().all(|colour| has(&image, colour)));
        let nothing = loss_curve(&[], "loss").unwrap();
        assert!(!has(&nothing, RATE));
    }
}
