//! What all charts have in common: colours, letters, mesh and legend, marks on axes, units of time.

use plotters::chart::{MeshStyle, SeriesLabelStyle};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::{DrawingArea, IntoFont, RGBColor, Ranged, TRANSPARENT};

use super::chart::Chart;
use super::image::INK;
use crate::error::Reason;

/// An axis over more than this factor is logarithmic.
const LINEAR_MAX: f64 = 10.0;

/// Names of plotters' letters: the family is ignored, the size selects our font.
pub(super) const SMALL: (&str, i32) = ("", 16);
pub(super) const TITLE: (&str, i32) = ("", 20);

pub(super) const DARK: RGBColor = RGBColor(INK[0], INK[1], INK[2]);
pub(super) const GRID: RGBColor = RGBColor(228, 231, 235);
const AXIS: RGBColor = RGBColor(130, 138, 150);
// Colours that colour-blind people can distinguish (Okabe and Ito, 2008).
pub(super) const VERMILION: RGBColor = RGBColor(213, 94, 0);
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const GREEN: RGBColor = RGBColor(0, 158, 115);

/// A part of an image to draw in.
pub(super) type Area<'a> = DrawingArea<Chart<'a>, Shift>;

/// The error of plotters, if any.
pub(super) type Drawn<T = ()> = Result<T, Reason>;

/// Seconds in a unit of time, and its name.
const UNITS: [(f64, &str); 4] = [(86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds")];

/// The largest unit of time of which there are three or more in a span of `seconds`, in seconds, and its name.
pub(super) fn time_unit(seconds: f64) -> (f64, &'static str) {
    UNITS.into_iter().find(|(unit, _)| seconds >= 3.0 * unit).unwrap_or(UNITS[3])
}

/// Draws the mesh with our letters and lines, and short numbers up the left.
pub(super) fn draw_mesh<X, Y>(mesh: &mut MeshStyle<'_, '_, X, Y, Chart<'_>>) -> Drawn
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    mesh.y_label_formatter(&|value| short(*value))
        .label_style(SMALL.into_font().color(&DARK))
        .axis_desc_style(SMALL.into_font().color(&DARK))
        .axis_style(AXIS)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(())
}

/// Draws the legend with our letters and lines.
pub(super) fn draw_legend<'a, C: CoordTranslate>(legend: &mut SeriesLabelStyle<'a, '_, Chart<'a>, C>) -> Drawn {
    legend.legend_area_size(34).margin(12).label_font(SMALL.into_font().color(&DARK)).border_style(GRID).draw()?;
    Ok(())
}

/// The ends of a logarithmic axis, with some room, if the range from `least` to `greatest` is wide enough for one.
pub(super) fn logarithmic(least: f64, greatest: f64) -> Option<(f64, f64)> {
    (least > 0.0 && greatest / least > LINEAR_MAX).then(|| {
        let room = (greatest / least).powf(0.05);
        (least / room, greatest * room)
    })
}

/// Where a logarithmic axis has its marks: at 1, 2 and 5 times powers of ten, or, where these are many, at powers alone.
pub(super) fn decades(bottom: f64, top: f64) -> Vec<f64> {
    let powers = bottom.log10().floor() as i32..=top.log10().ceil() as i32;
    let many = powers.clone().count();
    let digits: &[i32] = if many > 4 { &[1] } else { &[1, 2, 5] };
    let marks = powers.step_by(many.div_ceil(10)).flat_map(|power| digits.iter().map(move |digit| (*digit, power)));
    // Written out and read, each is the number nearest to what its label says.
    marks
        .filter_map(|(digit, power)| format!("{digit}e{power}").parse().ok())
        .filter(|mark| (bottom..=top).contains(mark))
        .collect()
}

/// A number in at most four significant digits.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".into()
    } else if (1e-4..1e5).contains(&size) {
        let places = (3 - size.log10().floor() as i32).max(0) as usize;
        let text = format!("{value:.places$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
    } else {
        let text = format!("{value:.3e}");
        match text.split_once('e') {
            Some((digits, exponent)) if digits.contains('.') => {
                format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
            }
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.25, "0.25"),
            (0.012_345_6, "0.01235"),
            (12.0, "12"),
            (1000.0, "1000"),
            (123_456.0, "1.235e5"),
            (0.000_02, "2e-5"),
            (-0.5, "-0.5"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }
}
