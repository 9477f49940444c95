//! An image of what is in captures: traffic over time, lengths, values of bytes, services; of two, over each other.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::axis::{
    Area, BLUE, DARK, Drawn, SMALL, TITLE, VERMILION, decades, draw_legend, draw_mesh, short, time_unit,
};
use super::chart::Chart;
use super::image::Image;
use crate::inspect::{Inspection, ServiceName};
use crate::{Error, Result};

/// Width and height of the image, in pixels.
const SIZE: (usize, usize) = (1400, 880);
/// Services shown.
const BARS: usize = 8;
/// Of the first and of the second.
const COLOURS: [RGBColor; 2] = [BLUE, VERMILION];
const NAMES: [&str; 2] = ["first", "second"];

/// Four panels, 1400 × 880 pixels: packets a second over the time since the beginning; the share of packets that are no longer than a length; the
/// share of each value among all bytes, on a logarithmic axis; the services with the most packets. Two inspections are drawn over each other.
/// Panics without an inspection.
pub fn inspection_figure(inspections: &[&Inspection]) -> Result<Image> {
    assert!(!inspections.is_empty(), "there is nothing to draw");
    let mut image = Image::blank(SIZE.0, SIZE.1);
    let drawn = draw(&mut image, inspections);
    drawn.map_err(Error::unwritable("picture of captures"))?;
    Ok(image)
}

fn draw(image: &mut Image, inspections: &[&Inspection]) -> Drawn {
    let root = Chart(image).into_drawing_area();
    let areas = root.split_evenly((2, 2));
    over_time(&areas[0], inspections)?;
    lengths(&areas[1], inspections)?;
    byte_values(&areas[2], inspections)?;
    services(&areas[3], inspections)
}

/// Lines over a horizontal axis from 0.
struct Panel<'a> {
    title: &'a str,
    across: &'a str,
    end: f64,
    up: &'a str,
    /// A line for each inspection.
    lines: Vec<Vec<(f64, f64)>>,
    legend: SeriesLabelPosition,
}

fn panel<Y>(area: &Area, panel: Panel, vertical: Y) -> Drawn
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut builder = ChartBuilder::on(area);
    builder.margin(12).margin_right(24).set_left_and_bottom_label_area_size(44).y_label_area_size(92);
    builder.caption(panel.title, TITLE.into_font().color(&DARK));
    let mut chart = builder.build_cartesian_2d(0.0..panel.end, vertical)?;
    draw_mesh(
        chart
            .configure_mesh()
            .x_desc(panel.across)
            .y_desc(panel.up)
            .x_labels(9)
            .y_labels(7)
            .x_label_formatter(&|value| short(*value)),
    )?;
    let sides = panel.lines.len();
    for ((line, colour), name) in panel.lines.into_iter().zip(COLOURS).zip(NAMES) {
        let series = chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
        series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(3)));
    }
    if sides > 1 {
        draw_legend(chart.configure_series_labels().position(panel.legend).background_style(WHITE.mix(0.85)))?;
    }
    Ok(())
}

/// A little above the greatest, with room for a legend where there are two lines, and above 0.
fn top(lines: &[Vec<(f64, f64)>]) -> f64 {
    let greatest = lines.iter().flatten().map(|point| point.1).fold(0.0, f64::max);
    let room = if lines.len() > 1 { 1.25 } else { 1.06 };
    if greatest > 0.0 { greatest * room } else { 1.0 }
}

fn over_time(area: &Area, inspections: &[&Inspection]) -> Drawn {
    let span = |inspection: &Inspection| inspection.timeline.bins().len() as f64 * inspection.timeline.width_seconds();
    let longest = inspections.iter().map(|inspection| span(inspection)).fold(0.0, f64::max);
    let (unit, name) = time_unit(longest);
    let line = |inspection: &&Inspection| {
        let width = inspection.timeline.width_seconds();
        // A bin is drawn as a level line, so that a single one can be seen too.
        let bins = inspection.timeline.bins().iter().zip(0u32..);
        bins.flat_map(|(bin, index)| {
            let rate = bin.packets as f64 / width;
            let (from, to) = (f64::from(index) * width / unit, f64::from(index + 1) * width / unit);
            [(from, rate), (to, rate)]
        })
        .collect()
    };
    let lines: Vec<Vec<(f64, f64)>> = inspections.iter().map(line).collect();
    let up = top(&lines);
    let across = format!("{name} since the beginning");
    let end = if longest > 0.0 { longest / unit } else { 1.0 };
    panel(
        area,
        Panel {
            title: "Traffic over time",
            across: &across,
            end,
            up: "packets a second",
            lines,
            legend: SeriesLabelPosition::UpperRight,
        },
        0.0..up,
    )
}

fn lengths(area: &Area, inspections: &[&Inspection]) -> Drawn {
    let longest = inspections.iter().filter_map(|inspection| inspection.sizes.quantile(1.0)).max().unwrap_or(0);
    let end = longest.max(1) as f64 * 1.02;
    let line = |inspection: &&Inspection| {
        let all = inspection.all.packets.max(1) as f64;
        let mut points = vec![(0.0, 0.0)];
        let mut share = 0.0;
        for (length, packets) in inspection.sizes.counts() {
            points.push((length as f64, share));
            share += packets as f64 / all;
            points.push((length as f64, share));
        }
        points.push((end, share));
        points
    };
    let lines = inspections.iter().map(line).collect();
    let title = "Lengths of packets: share that is no longer";
    panel(
        area,
        Panel { title, across: "bytes", end, up: "share of packets", lines, legend: SeriesLabelPosition::LowerRight },
        0.0..1.04,
    )
}

fn byte_values(area: &Area, inspections: &[&Inspection]) -> Drawn {
    let shares = |inspection: &&Inspection| {
        let counts = inspection.byte_values.counts();
        let all = counts.iter().sum::<u64>().max(1) as f64;
        counts
            .iter()
            .map(|count| *count as f64 / all)
            .zip(0u32..)
            .map(|(share, value)| (f64::from(value), share))
            .collect::<Vec<_>>()
    };
    let lines: Vec<Vec<(f64, f64)>> = inspections.iter().map(shares).collect();
    let least = lines.iter().flatten().map(|point| point.1).filter(|share| *share > 0.0).fold(1.0, f64::min);
    let (bottom, top) = (10f64.powf(least.log10().floor()).min(0.1), 1.0);
    let marks = decades(bottom, top);
    // Values that do not occur are at the bottom.
    let grounded = |line: Vec<(f64, f64)>| line.into_iter().map(|(value, share)| (value, share.max(bottom))).collect();
    let lines = lines.into_iter().map(grounded).collect();
    let title = match inspections {
        [only] => match only.byte_values.entropy() {
            Some(bits) => format!("Values of bytes: entropy {} bits of 8", short(bits)),
            None => "Values of bytes".into(),
        },
        _ => "Values of bytes".into(),
    };
    let across = "value of the byte";
    panel(
        area,
        Panel {
            title: &title,
            across,
            end: 255.0,
            up: "share of bytes",
            legend: SeriesLabelPosition::UpperRight,
            lines,
        },
        (bottom..top).log_scale().with_key_points(marks),
    )
}

fn services(area: &Area, inspections: &[&Inspection]) -> Drawn {
    let share = |inspection: &Inspection, name: &ServiceName| {
        inspection.services.of(name).packets as f64 / inspection.all.packets.max(1) as f64
    };
    let greatest = |name: &ServiceName| inspections.iter().map(|i| share(i, name)).fold(0.0, f64::max);
    let mut names: Vec<ServiceName> =
        inspections.iter().flat_map(|i| i.services.ranked().into_iter().take(BARS)).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names.sort_by(|a, b| greatest(b).total_cmp(&greatest(a)));
    names.truncate(BARS);
    let bars = names.len().max(1) as f64;
    let end = names.first().map_or(1.0, |first| (greatest(first) * 1.06).max(1e-9));

    let mut builder = ChartBuilder::on(area);
    builder.margin(12).margin_right(24).x_label_area_size(44).y_label_area_size(210);
    builder.caption("Services with the most packets", TITLE.into_font().color(&DARK));
    let mut chart = builder.build_cartesian_2d(0.0..end, 0.0..bars)?;
    draw_mesh(
        chart
            .configure_mesh()
            .x_desc("share of packets")
            .x_labels(7)
            .y_labels(0)
            .x_label_formatter(&|value| short(*value)),
    )?;
    let height = 0.7 / inspections.len() as f64;
    let left = chart.backend_coord(&(0.0, 0.0)).0;
    for (name, row) in names.iter().zip(0u32..) {
        let upper = bars - f64::from(row) - 0.15;
        for ((inspection, colour), side) in inspections.iter().zip(COLOURS).zip(0u32..) {
            let upper = upper - height * f64::from(side);
            let bar = [(0.0, upper), (share(inspection, name), upper - height)];
            chart.draw_series([Rectangle::new(bar, colour.filled())])?;
        }
        let middle = chart.backend_coord(&(0.0, upper - 0.35)).1;
        let style = SMALL.into_font().color(&DARK).pos(plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Right,
            plotters::style::text_anchor::VPos::Center,
        ));
        area_text(area, &name.to_string(), (left - 10, middle), style)?;
    }
    Ok(())
}

/// Writes at a place of the image, wherever the area is in it.
fn area_text(area: &Area, text: &str, (x, y): (i32, i32), style: TextStyle<'_>) -> Drawn {
    let (left, top) = (area.get_pixel_range().0.start, area.get_pixel_range().1.start);
    // Longer names would run out of their column.
    let shown: String = text.chars().take(24).collect();
    area.draw_text(&shown, &style, (x - left, y - top))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Traffic;

    fn has(image: &Image, colour: RGBColor) -> bool {
        image.rgb().chunks(3).any(|pixel| pixel == [colour.0, colour.1, colour.2])
    }

    #[test]
    fn every_inspection_has_a_picture() {
        let nothing = Inspection::default();
        let mut some = Inspection::default();
        for (time, length) in [(i64::MIN, 0), (0, 1500), (i64::MAX, 262_144)] {
            some.all.add(length);
            some.timeline.add(time, length);
            some.sizes.add(length);
        }
        some.byte_values.add(&[0, 0, 7]);
        let name = ServiceName { protocol: "TCP", service: None, port: Some(502) };
        some.services.add(name, Traffic { packets: 2, bytes: 9 });
        assert!(!has(&inspection_figure(&[&some]).unwrap(), VERMILION));
        for inspections in [vec![&nothing], vec![&nothing, &some], vec![&some, &some]] {
            let image = inspection_figure(&inspections).unwrap();
            assert_eq!((image.width(), image.height()), SIZE);
            assert!(has(&image, BLUE));
        }
    }
}
