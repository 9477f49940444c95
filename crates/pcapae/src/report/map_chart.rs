//! A map of windows or codes, coloured by label.

use plotters::prelude::*;

use super::axis::{BLUE, DARK, Drawn, TITLE, VERMILION, draw_legend, draw_mesh, short};
use super::chart::Chart;
use super::image::Image;
use crate::label::Label;
use crate::reduce::Map;
use crate::{Error, Result};

/// Width and height of the chart, in pixels.
const SIZE: (usize, usize) = (960, 960);

/// Rows without a label.
const UNKNOWN: RGBColor = RGBColor(110, 118, 130);

/// The map as an image of 960 × 960 pixels under a title: a dot a row, those that are labelled anomalous on top and in another colour. Dots are
/// translucent, so that many at one position are darker.
pub fn map_chart(map: &Map, title: &str) -> Result<Image> {
    let mut image = Image::blank(SIZE.0, SIZE.1);
    let drawn = draw(&mut image, map, title);
    drawn.map_err(Error::unwritable("map"))?;
    Ok(image)
}

fn draw(image: &mut Image, map: &Map, title: &str) -> Drawn {
    let root = Chart(image).into_drawing_area();
    let mut builder = ChartBuilder::on(&root);
    builder.margin(12).margin_right(24).set_left_and_bottom_label_area_size(44).y_label_area_size(84);
    builder.caption(title, TITLE.into_font().color(&DARK));
    let mut chart = builder.build_cartesian_2d(span(map, 0), span(map, 1))?;
    draw_mesh(chart.configure_mesh().x_labels(10).y_labels(10).x_label_formatter(&|value| short(*value)))?;
    let kinds = [
        (Label::Unknown, "no label", UNKNOWN),
        (Label::Normal, "normal", BLUE),
        (Label::Anomalous, "anomalous", VERMILION),
    ];
    for (kind, name, colour) in kinds {
        let points = map.points.iter().filter(|point| point.label() == kind);
        let dots: Vec<(f64, f64)> = points.map(|point| point.place.into()).collect();
        if dots.is_empty() {
            continue;
        }
        let label = format!("{name}, {}", dots.len());
        let series = chart.draw_series(dots.into_iter().map(|dot| Circle::new(dot, 3, colour.mix(0.5).filled())))?;
        series.label(label).legend(move |(x, y)| Circle::new((x + 12, y), 4, colour.filled()));
    }
    let mut legend = chart.configure_series_labels();
    draw_legend(legend.position(SeriesLabelPosition::UpperRight).background_style(WHITE.mix(0.85)))
}

/// From the least to the greatest coordinate, with some room; room alone where all are the same.
fn span(map: &Map, axis: usize) -> std::ops::Range<f64> {
    let coordinates = map.points.iter().map(|point| point.place[axis]);
    let (least, greatest) =
        coordinates.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
    let room = match greatest - least {
        width if width > 0.0 && width.is_finite() => width * 0.05,
        _ => 1.0,
    };
    if least.is_finite() { least - room..greatest + room } else { -1.0..1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Origin;
    use crate::reduce::MapPoint;

    fn map(places: &[([f64; 2], Label)]) -> Map {
        let origin = |label| Origin { first_packet: 1, last_packet: 1, time_ns: None, label, flow: None };
        let point = |&(place, label)| MapPoint { row: 0, place, origin: Some(origin(label)) };
        Map { points: places.iter().map(point).collect(), rows: places.len() as u64 }
    }

    fn reddish(image: &Image) -> usize {
        image.rgb().chunks(3).filter(|pixel| pixel[0] > 150 && pixel[2] < 150).count()
    }

    #[test]
    fn labels_are_told_apart_and_every_map_has_a_chart() {
        let normal = map_chart(&map(&[([0.0, 0.0], Label::Normal), ([1.0, 2.0], Label::Unknown)]), "a map").unwrap();
        let attacked =
            map_chart(&map(&[([0.0, 0.0], Label::Normal), ([1.0, 2.0], Label::Anomalous)]), "a map").unwrap();
        assert!(reddish(&normal) == 0 && reddish(&attacked) > 20);
        for places in [&[][..], &[([1.0, 1.0], Label::Normal)]] {
            map_chart(&map(places), "few").unwrap();
        }
    }
}
