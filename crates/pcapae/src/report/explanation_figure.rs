//! An explanation as an image, as proposed in the thesis: input, code, relevance, and the bytes with their heat.

use super::image::{Colour, INK, Image, Letters};
use super::tiles::{FRAME, code_panel, diverging, frames_panel, grey, scale};
use crate::explain::Explanation;
use crate::{Error, Result};

/// Between panels, and around them.
const GAP: usize = 20;
/// Bytes in a row of the dump.
const ROW: usize = 16;
/// Rows of the dump at most: of longer frames, the part with the most relevance is shown.
const ROWS: usize = 64;
/// Height of a row.
const LINE: usize = 19;
/// Lines of text below the panels.
const NOTES: usize = 6;
const PALE: Colour = [120, 128, 138];

/// An explained window.
#[derive(Debug, Clone, Copy)]
pub struct ExplanationFigure<'a> {
    /// The explanation.
    pub explanation: &'a Explanation,
    /// The bytes of the window, frame after frame.
    pub window: &'a [u8],
    /// Which frame the dump shows.
    pub frame: usize,
    /// The headline: what is explained.
    pub title: &'a str,
    /// Up to six lines for below, as the fields that mattered most.
    pub notes: &'a [String],
}

impl ExplanationFigure<'_> {
    /// Four panels from left to right: the frames in grey, the code from blue (−1) to red (1), the relevance from blue (speaks for a lower
    /// value) to red (for a higher one), and the frame's bytes in hexadecimal and as letters over the colour of their relevance. Colours are
    /// as deep as the square root of a byte's share of the greatest |relevance|, so that lesser ones can be seen.
    ///
    /// Refused: a window of another length than the explanation's, a frame that it does not have.
    pub fn draw(&self) -> Result<Image> {
        self.check()?;
        let side = self.explanation.side;
        let pixels: Vec<f32> = self.window.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let code: Vec<f32> = self.explanation.code.iter().map(|value| *value as f32).collect();
        let heat = self.explanation.heat();
        let frames = match self.explanation.frames() {
            1 => String::new(),
            frames => format!(", {frames} frames"),
        };
        let panels = [
            (format!("input{frames}"), frames_panel(&pixels, side, grey)),
            ("code".to_owned(), code_panel(&code)),
            (format!("relevance, {}", self.explanation.rule), frames_panel(&heat.concat(), side, diverging)),
            (format!("bytes of frame {}", self.frame + 1), self.dump(&heat[self.frame])),
        ];
        let widest = |(caption, panel): &(String, Image)| panel.width().max(Letters::Small.width(caption));
        let title = GAP / 2 + Letters::Large.height() + 8;
        let top = title + Letters::Small.height() + 6;
        let tallest = panels.iter().map(|(_, panel)| panel.height()).max().unwrap_or(0);
        let below = panels[..3].iter().map(|(_, panel)| panel.height()).max().unwrap_or(0) + 10;
        let notes = below + Letters::Small.height() + 12;
        let notes_width = self.notes.iter().map(|note| Letters::Small.width(note)).max().unwrap_or(0);
        let height = top + tallest.max(notes + NOTES.min(self.notes.len()) * LINE) + GAP;
        let left_of_dump: usize = panels[..3].iter().map(|panel| widest(panel) + GAP).sum::<usize>() + GAP;
        let left_of_dump = left_of_dump.max(notes_width + 2 * GAP);
        let width = (left_of_dump + widest(&panels[3]) + GAP).max(Letters::Large.width(self.title) + 2 * GAP);
        let mut image = Image::blank(width, height);
        image.write(self.title, Letters::Large, GAP as i32, GAP as i32 / 2, INK);
        let mut left = GAP;
        for (at, panel) in panels.iter().enumerate() {
            let x = if at == 3 { left_of_dump } else { left };
            image.write(&panel.0, Letters::Small, x as i32, title as i32, INK);
            image.paste((x, top), &panel.1);
            match at {
                0 => scale(&mut image, (x, top + below), ["0", "255"], grey),
                1 => scale(&mut image, (x, top + below), ["-1", "1"], |share| diverging(share * 2.0 - 1.0)),
                2 => scale(&mut image, (x, top + below), ["lower", "higher"], |share| diverging(share * 2.0 - 1.0)),
                _ => {}
            }
            left += widest(panel) + GAP;
        }
        for (line, note) in self.notes.iter().take(NOTES).enumerate() {
            image.write(note, Letters::Small, GAP as i32, (top + notes + line * LINE) as i32, INK);
        }
        Ok(image)
    }

    fn check(&self) -> Result<()> {
        let relevance = &self.explanation.relevance;
        let pixels = self.explanation.side * self.explanation.side;
        let whole = relevance.iter().all(|frame| frame.len() == pixels) && pixels > 0;
        if whole && self.window.len() == relevance.len() * pixels && self.frame < relevance.len() {
            return Ok(());
        }
        let reason = format!(
            "{} bytes, frame {}, do not go with the relevance of {} frames of {pixels}",
            self.window.len(),
            self.frame,
            relevance.len()
        );
        Err(Error::unwritable("picture of an explanation")(reason))
    }

    /// The bytes of the shown frame, sixteen a row.
    fn dump(&self, heat: &[f32]) -> Image {
        let bytes = &self.window[self.frame * heat.len()..(self.frame + 1) * heat.len()];
        let letter = Letters::Small.width(" ");
        let rows = bytes.len().div_ceil(ROW);
        let first = hottest_rows(heat, rows);
        let shown = rows.min(ROWS);
        let hex = 6 * letter;
        let ascii = hex + (ROW * 3 + 1) * letter;
        let mut image = Image::blank(ascii + ROW * letter + 4, shown * LINE + 2);
        for row in first..first + shown {
            let y = (row - first) * LINE + 1;
            image.write(&format!("{:04x}", row * ROW), Letters::Small, 2, y as i32 + 1, PALE);
            for (column, at) in (row * ROW..((row + 1) * ROW).min(bytes.len())).enumerate() {
                let (x_hex, x_ascii) = (hex + column * 3 * letter, ascii + column * letter);
                let ink = if heat[at].abs() > 0.6 { [255, 255, 255] } else { INK };
                let shade = diverging(heat[at]);
                image.fill((x_hex - letter / 2, y), (3 * letter, LINE), shade);
                image.fill((x_ascii, y), (letter, LINE), shade);
                image.write(&format!("{:02x}", bytes[at]), Letters::Small, x_hex as i32, y as i32 + 1, ink);
                let shown = if bytes[at].is_ascii_graphic() { char::from(bytes[at]) } else { '.' };
                image.write(&shown.to_string(), Letters::Small, x_ascii as i32, y as i32 + 1, ink);
            }
        }
        let (width, height) = (image.width() - hex, image.height());
        image.fill((hex - letter / 2 - 1, 0), (width, 1), FRAME);
        image.fill((hex - letter / 2 - 1, height - 1), (width, 1), FRAME);
        image
    }
}

/// The first of the rows to show where not all fit: those with the most relevance.
fn hottest_rows(heat: &[f32], rows: usize) -> usize {
    let of_row: Vec<f32> = heat.chunks(ROW).map(|row| row.iter().map(|heat| heat * heat).sum()).collect();
    let of_window = |first: &usize| of_row[*first..(*first + ROWS).min(rows)].iter().sum::<f32>();
    let firsts = 0..=rows.saturating_sub(ROWS);
    firsts.rev().max_by(|a, b| of_window(a).total_cmp(&of_window(b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explanation(side: usize, frames: usize) -> Explanation {
        let mut relevance = vec![vec![0.0; side * side]; frames];
        relevance[frames - 1][17] = 2.0;
        relevance[frames - 1][18] = -0.5;
        Explanation {
            target: "score".into(),
            target_value: 1.5,
            rule: "epsilon-gamma-box".into(),
            side,
            relevance,
            bias: vec![],
            code: vec![0.5; 64],
        }
    }

    #[test]
    fn windows_of_every_size_are_drawn() {
        for (side, frames) in [(16, 1), (32, 3), (64, 2)] {
            let explanation = explanation(side, frames);
            let window = vec![65; frames * side * side];
            let notes = vec!["a note".to_owned(); 9];
            let image = ExplanationFigure {
                explanation: &explanation,
                window: &window,
                frame: frames - 1,
                title: "t",
                notes: &notes,
            };
            assert!(image.draw().unwrap().width() > 1000);
            assert!(ExplanationFigure { frame: frames, ..image }.draw().is_err());
            assert!(ExplanationFigure { window: &window[1..], ..image }.draw().is_err());
        }
    }

    #[test]
    fn of_a_long_frame_the_rows_that_matter_are_shown() {
        let mut heat = vec![0.0; 4096];
        heat[3000] = 1.0;
        let first = hottest_rows(&heat, 256);
        assert!((first..first + ROWS).contains(&(3000 / ROW)));
        assert_eq!(hottest_rows(&[0.0; 256], 16), 0);
    }
}
