//! Lets the crate plotters draw charts in our images, with our letters: no font of the system is asked for.

use std::convert::Infallible;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontTransform,
};

use super::image::{Image, Letters};

/// From this size on, in pixels, plotters' texts are written in large letters.
const LARGE: f64 = 20.0;

/// An image as a drawing surface. Lines are smooth; a text is either level or runs upwards.
pub(super) struct Chart<'a>(pub &'a mut Image);

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Chart<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.0.width() as u32, self.0.height() as u32)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, BackendColor { rgb: (r, g, b), alpha }: BackendColor) -> Drawn {
        self.0.blend(x, y, [r, g, b], alpha);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        let BackendColor { rgb: (r, g, b), alpha } = style.color();
        let path: Vec<_> = path.into_iter().collect();
        self.0.stroke(&path, f64::from(style.stroke_width()), [r, g, b], alpha);
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, _fill: bool) -> Drawn {
        let BackendColor { rgb: (r, g, b), alpha } = style.color();
        self.0.stroke(&[center], f64::from(2 * radius), [r, g, b], alpha);
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, (x, y): BackendCoord) -> Drawn {
        let letters = letters(style);
        let (length, height) = (letters.width(text) as i32, letters.height() as i32);
        let before = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => length / 2,
            HPos::Right => length,
        };
        let above = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => height / 2,
            VPos::Bottom => height,
        };
        let BackendColor { rgb: (r, g, b), .. } = style.color();
        match style.transform() {
            FontTransform::Rotate270 => {
                self.0.write_upwards(text, letters, x - above, y + before - length + 1, [r, g, b]);
            }
            _ => self.0.write(text, letters, x - before, y - above, [r, g, b]),
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let letters = letters(style);
        Ok((letters.width(text) as u32, letters.height() as u32))
    }
}

fn letters(style: &impl BackendTextStyle) -> Letters {
    if style.size() >= LARGE { Letters::Large } else { Letters::Small }
}
