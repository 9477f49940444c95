//! One window and the autoencoder's output, side by side: input, code, reconstruction, target.

use super::image::{Colour, INK, Image, Letters};
use super::tiles::{code_panel, diverging, frames_panel, grey, scale};
use crate::code::{ENTROPY_BINS, shannon_entropy};
use crate::{Error, Result};

/// Between panels, and around them.
const GAP: usize = 20;

/// Shannon entropy (Shannon 1948) of the values of a code, in bits: H = −Σ p log₂ p, where p is the share of the values in each
/// of 64 equal parts of [−1, 1].
///
/// Between 0, all values alike, and 6, as many in each part; at most log₂ of the number of values. Values beyond −1 and 1 count
/// as these, NaN does not count. An empty code has 0.
pub fn entropy_of_code(code: &[f32]) -> f64 {
    let mut counts = [0; ENTROPY_BINS];
    for value in code.iter().filter(|value| !value.is_nan()) {
        let bin = (f64::from(*value) + 1.0) / 2.0 * ENTROPY_BINS as f64;
        counts[(bin.max(0.0) as usize).min(ENTROPY_BINS - 1)] += 1;
    }
    shannon_entropy(&counts)
}

/// One window and the autoencoder's output. All frames are `side`² values from 0 to 1, row by row, one frame after the other;
/// a fragment in one dimension is folded to the square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingFigure<'a> {
    /// Rows of a frame.
    pub side: usize,
    /// The encoder's input.
    pub input: &'a [f32],
    /// The encoder's last state, values from −1 to 1: channels of 4 × 4.
    pub code: &'a [f32],
    /// The decoder's output.
    pub reconstruction: &'a [f32],
    /// The frames that the output is compared with: those of the input, or those after it.
    pub target: &'a [f32],
}

impl TrainingFigure<'_> {
    /// Four panels from left to right, each about 320 pixels wide, under captions: the frames in grey, in reading order; the
    /// code's channels from blue (−1) over white to red (1), with its [entropy](entropy_of_code); the reconstruction with its
    /// mean squared error.
    ///
    /// Refused: no frame, a part of a frame, a reconstruction of another length than the target's.
    pub fn draw(&self) -> Result<Image> {
        self.check()?;
        let error = self.reconstruction.iter().zip(self.target).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        let error = error / self.target.len() as f64;
        let panels = [
            (format!("input{}", self.frames(self.input)), frames_panel(self.input, self.side, grey)),
            (format!("code, entropy {:.2} bits", entropy_of_code(self.code)), code_panel(self.code)),
            (format!("reconstruction, mse {error:.5}"), frames_panel(self.reconstruction, self.side, grey)),
            (format!("target{}", self.frames(self.target)), frames_panel(self.target, self.side, grey)),
        ];
        let widest = |(caption, panel): &(String, Image)| panel.width().max(Letters::Small.width(caption));
        let width = panels.iter().map(|panel| widest(panel) + GAP).sum::<usize>() + GAP;
        let tallest = panels.iter().map(|(_, panel)| panel.height()).max().unwrap_or(0);
        let top = GAP / 2 + Letters::Small.height() + 6;
        let mut image = Image::blank(width, top + tallest + 10 + Letters::Small.height() + GAP / 2);
        let mut left = GAP;
        for (at, panel) in panels.iter().enumerate() {
            image.write(&panel.0, Letters::Small, left as i32, GAP as i32 / 2, INK);
            image.paste((left, top), &panel.1);
            let (ends, shade): ([&str; 2], fn(f32) -> Colour) =
                if at == 1 { (["-1", "1"], |share| diverging(share * 2.0 - 1.0)) } else { (["0", "255"], grey) };
            scale(&mut image, (left, top + tallest + 10), ends, shade);
            left += widest(panel) + GAP;
        }
        Ok(image)
    }

    fn check(&self) -> Result<()> {
        let pixels = self.side * self.side;
        let whole = |frames: &[f32]| pixels > 0 && !frames.is_empty() && frames.len().is_multiple_of(pixels);
        let reason = if !whole(self.input) || !whole(self.target) {
            format!("{} and {} values are not whole frames of {pixels}", self.input.len(), self.target.len())
        } else if self.reconstruction.len() != self.target.len() {
            format!("{} values are to be compared with {}", self.reconstruction.len(), self.target.len())
        } else {
            return Ok(());
        };
        Err(Error::unwritable("training picture")(reason))
    }

    fn frames(&self, values: &[f32]) -> String {
        match values.len() / (self.side * self.side) {
            1 => String::new(),
            frames => format!(", {frames} frames"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tiles::{BLUE, PANEL, RED, columns};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entropy_is_that_of_the_histogram() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(entropy_of_code(&[]), 0.0);
        close(entropy_of_code(&[0.3; 64]), 0.0);
        assert!(entropy_of_code(&[0.3; 64]).is_sign_positive());
        close(entropy_of_code(&[-1.0, 1.0, -2.0, 2.0]), 1.0);
        close(entropy_of_code(&[0.5, f32::NAN]), 0.0);
        let spread: Vec<f32> = (0..64).map(|at| (at as f32 + 0.5) / 32.0 - 1.0).collect();
        close(entropy_of_code(&spread), 6.0);
        // Shares of 1/2, 1/4, 1/4.
        close(entropy_of_code(&[0.0, 0.0, 0.5, -0.5]), 1.5);
    }

    #[test]
    fn the_panels_show_the_values() {
        let input: Vec<f32> = (0..256).map(|at| at as f32 / 255.0).collect();
        let code: Vec<f32> = (0..64).map(|at| if at < 32 { -1.0 } else { 1.0 }).collect();
        let black = vec![-3.0; 256];
        let image = TrainingFigure { side: 16, input: &input, code: &code, reconstruction: &black, target: &input };
        let image = image.draw().unwrap();
        let at = |x: usize, y: usize| {
            let start = (y * image.width() + x) * 3;
            image.rgb()[start..start + 3].to_vec()
        };
        let top = GAP / 2 + Letters::Small.height() + 6;
        let panel = PANEL + 2 + GAP;
        // The middle of the second pixel of the second row is 17 / 255.
        assert_eq!(at(GAP + 31, top + 31), [17; 3]);
        assert_eq!(at(GAP + panel + 10, top + 10), BLUE);
        assert_eq!(at(GAP + panel + 10, top + 310), RED);
        assert_eq!(at(GAP + 2 * panel + 31, top + 31), [0; 3]);
        assert_eq!(at(GAP + 3 * panel + 318, top + 318), [255; 3]);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        let frames = [0.0; 64];
        let draw = |side, input, reconstruction, target| {
            TrainingFigure { side, input, code: &[], reconstruction, target }.draw().is_ok()
        };
        assert!(draw(8, &frames, &frames, &frames));
        assert!(!draw(8, &[], &[], &[]));
        assert!(!draw(0, &frames, &frames, &frames));
        assert!(!draw(8, &frames[1..], &frames, &frames));
        assert!(!draw(4, &frames, &frames, &frames[..16]));
    }

    proptest! {
        #[test]
        fn every_window_has_a_picture_of_its_size(
            side in prop::sample::select(vec![1_usize, 3, 16, 32, 64, 400]),
            inputs in 1..5_usize,
            targets in 1..12_usize,
            code in 0..100_usize,
            value: f32,
        ) {
            let input = vec![value; side * side * inputs];
            let target = vec![0.5; side * side * targets];
            let code = vec![value; code];
            let image = TrainingFigure { side, input: &input, code: &code, reconstruction: &target, target: &target };
            let image = image.draw().unwrap();
            prop_assert_eq!(image.rgb().len(), 3 * image.width() * image.height());
            let (widest, tallest) = (columns(targets) * side, targets.div_ceil(columns(targets)) * side);
            prop_assert!(image.width() > 2 * widest && image.height() > tallest);
        }
    }
}
