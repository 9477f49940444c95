//! What all charts have in common: colours, letters, marks on axes.

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, RGBColor};

use super::chart::Chart;
use super::picture::INK;

/// An axis over more than this factor is logarithmic.
pub(super) const LINEAR_MAX: f64 = 10.0;

/// Names of plotters' letters: the family counts for nothing, the sizes choose ours.
pub(super) const SMALL: (&str, i32) = ("", 16);
pub(super) const TITLE: (&str, i32) = ("", 20);

pub(super) const DARK: RGBColor = RGBColor(INK[0], INK[1], INK[2]);
pub(super) const GRID: RGBColor = RGBColor(228, 231, 235);
pub(super) const AXIS: RGBColor = RGBColor(130, 138, 150);
// Colours that the colour-blind tell apart (Okabe and Ito, 2008).
pub(super) const VERMILION: RGBColor = RGBColor(213, 94, 0);
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const GREEN: RGBColor = RGBColor(0, 158, 115);

/// A part of a picture to draw in.
pub(super) type Area<'a> = DrawingArea<Chart<'a>, Shift>;

/// Done, or what plotters refused.
pub(super) type Drawn<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

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
