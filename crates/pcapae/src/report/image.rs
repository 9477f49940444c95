//! An image in red, green and blue, and what can be drawn in it: rectangles, lines, letters.

use std::io;

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Red, green, blue, each 0 to 255.
pub(super) type Colour = [u8; 3];

/// The colour of letters: nearly black, which is easier on the eyes than black.
pub(super) const INK: Colour = [38, 44, 54];

/// The weight of all letters; they are Google's Noto Sans Mono (SIL Open Font License).
const WEIGHT: FontWeight = FontWeight::Regular;

/// How large letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    /// Captions: 16 pixels high.
    Small,
    /// Titles: 20 pixels high.
    Large,
}

impl Letters {
    fn raster(self) -> RasterHeight {
        match self {
            Letters::Small => RasterHeight::Size16,
            Letters::Large => RasterHeight::Size20,
        }
    }

    /// Height of a line, in pixels.
    pub fn height(self) -> usize {
        self.raster().val()
    }

    /// Width of a text, in pixels; all letters are equally wide.
    pub fn width(self, text: &str) -> usize {
        text.chars().count() * get_raster_width(WEIGHT, self.raster())
    }
}

/// Pixels in rows from the top, each row from the left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Image {
    /// A white image.
    pub(super) fn blank(width: usize, height: usize) -> Image {
        Image { width, height, rgb: vec![255; width * height * 3] }
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows of pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green and blue of every pixel, row by row: `3 · width · height` bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The image as a PNG file. Refused are only sizes that PNG does not know, from 2^31 pixels a side.
    pub fn png(&self) -> io::Result<Vec<u8>> {
        let size = |pixels: usize| u32::try_from(pixels).map_err(io::Error::other);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, size(self.width)?, size(self.height)?);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// Lays a colour over a pixel: `cover` 0 leaves the pixel as it is, 1 hides it. Outside of the image nothing happens, here
    /// and below.
    pub(super) fn blend(&mut self, x: i32, y: i32, colour: Colour, cover: f64) {
        let inside = |at: i32, end: usize| usize::try_from(at).ok().filter(|&at| at < end);
        let (Some(x), Some(y)) = (inside(x, self.width), inside(y, self.height)) else { return };
        let at = (y * self.width + x) * 3;
        for (under, over) in self.rgb[at..at + 3].iter_mut().zip(colour) {
            *under = (f64::from(*under) * (1.0 - cover) + f64::from(over) * cover).round() as u8;
        }
    }

    /// Fills a rectangle whose upper left corner is at (`x`, `y`).
    pub(super) fn fill(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), colour: Colour) {
        let (right, bottom) = ((x + width).min(self.width), (y + height).min(self.height));
        for row in y..bottom {
            for pixel in x..right {
                let at = (row * self.width + pixel) * 3;
                self.rgb[at..at + 3].copy_from_slice(&colour);
            }
        }
    }

    /// Puts an image over this one, its upper left corner at (`x`, `y`).
    pub(super) fn paste(&mut self, (x, y): (usize, usize), other: &Image) {
        for (at, pixel) in other.rgb.chunks_exact(3).enumerate() {
            let (x, y) = ((x + at % other.width) as i32, (y + at / other.width) as i32);
            self.blend(x, y, [pixel[0], pixel[1], pixel[2]], 1.0);
        }
    }

    /// Writes a line of text whose upper left corner is at (`x`, `y`). A letter that the font lacks becomes `?`.
    pub(super) fn write(&mut self, text: &str, letters: Letters, x: i32, y: i32, colour: Colour) {
        self.write_with(text, letters, colour, |across, down| (x + across, y + down));
    }

    /// Writes a line of text from the bottom to the top; its upper left corner, seen upright, is at (`x`, `y`).
    pub(super) fn write_upwards(&mut self, text: &str, letters: Letters, x: i32, y: i32, colour: Colour) {
        let length = letters.width(text) as i32;
        self.write_with(text, letters, colour, |across, down| (x + down, y + length - 1 - across));
    }

    fn write_with(&mut self, text: &str, letters: Letters, colour: Colour, place: impl Fn(i32, i32) -> (i32, i32)) {
        let step = letters.width(" ");
        for (index, letter) in text.chars().enumerate() {
            let Some(raster) =
                get_raster(letter, WEIGHT, letters.raster()).or_else(|| get_raster('?', WEIGHT, letters.raster()))
            else {
                continue;
            };
            for (down, row) in raster.rows().enumerate() {
                for (across, &cover) in row.iter().enumerate().filter(|(_, cover)| **cover > 0) {
                    let (x, y) = place((index * step + across) as i32, down as i32);
                    self.blend(x, y, colour, f64::from(cover) / 255.0);
                }
            }
        }
    }

    /// Draws a line `width` pixels wide through points, with smooth edges and round ends; through one point, a dot.
    pub(super) fn stroke(&mut self, points: &[(i32, i32)], width: f64, colour: Colour, opacity: f64) {
        // A dot is a line from a point to itself.
        let dot = points.first().map_or([(0, 0); 2], |point| [*point; 2]);
        let path = if points.len() == 1 { &dot } else { points };
        let reach = (width / 2.0 + 1.0).ceil() as i32;
        let xs = points.iter().map(|point| point.0);
        let (Some(left), Some(right)) = (xs.clone().min(), xs.max()) else { return };
        let (left, right) = ((left - reach).max(0), (right + reach).min(self.width as i32 - 1));
        // Column by column, so that a pixel near two pieces of the line is covered once, by the nearer.
        for x in left..=right {
            let near = path
                .windows(2)
                .filter(|ends| ends[0].0.min(ends[1].0) - reach <= x && x <= ends[0].0.max(ends[1].0) + reach);
            let near: Vec<_> = near.collect();
            let ys = near.iter().flat_map(|ends| [ends[0].1, ends[1].1]);
            let (Some(top), Some(bottom)) = (ys.clone().min(), ys.max()) else { continue };
            for y in (top - reach).max(0)..=(bottom + reach).min(self.height as i32 - 1) {
                let distance = near.iter().map(|ends| distance((x, y), ends[0], ends[1])).fold(f64::INFINITY, f64::min);
                let cover = (width / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.blend(x, y, colour, cover * opacity);
                }
            }
        }
    }
}

/// From a point to the nearest point of the line between two others.
fn distance(point: (i32, i32), from: (i32, i32), to: (i32, i32)) -> f64 {
    let minus = |a: (i32, i32), b: (i32, i32)| (f64::from(a.0 - b.0), f64::from(a.1 - b.1));
    let (line, way) = (minus(to, from), minus(point, from));
    let length_squared = line.0 * line.0 + line.1 * line.1;
    let along =
        if length_squared > 0.0 { ((way.0 * line.0 + way.1 * line.1) / length_squared).clamp(0.0, 1.0) } else { 0.0 };
    (way.0 - along * line.0).hypot(way.1 - along * line.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels of an image that are not white.
    fn drawn(image: &Image) -> Vec<(usize, usize)> {
        let pixels = image.rgb().chunks(3).enumerate().filter(|(_, pixel)| pixel != &[255, 255, 255]);
        pixels.map(|(at, _)| (at % image.width(), at / image.width())).collect()
    }

    #[test]
    fn a_png_holds_the_pixels_of_the_picture() {
        let mut image = Image::blank(5, 3);
        image.fill((1, 1), (2, 9), [1, 2, 3]);
        let bytes = image.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; 5 * 3 * 3];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, image.rgb());
        assert_eq!(drawn(&image), [(1, 1), (2, 1), (1, 2), (2, 2)]);
    }

    #[test]
    fn nothing_is_drawn_outside_of_the_picture() {
        let mut image = Image::blank(8, 8);
        image.write("letters", Letters::Large, -30, -12, INK);
        image.write_upwards("letters?", Letters::Small, 6, 5, INK);
        image.stroke(&[(-100, -3), (100, 50)], 3.0, INK, 1.0);
        image.fill((7, 7), (100, 100), INK);
        assert_eq!(image.rgb().len(), 8 * 8 * 3);
    }

    #[test]
    fn a_line_is_as_wide_as_it_should_be_and_a_point_is_a_dot() {
        let mut line = Image::blank(20, 9);
        line.stroke(&[(-5, 4), (10, 4), (30, 4)], 3.0, INK, 1.0);
        assert_eq!(drawn(&line).len(), 20 * 3);
        let mut dot = Image::blank(9, 9);
        dot.stroke(&[(4, 4)], 5.0, INK, 1.0);
        assert!(drawn(&dot).contains(&(4, 4)) && drawn(&dot).contains(&(2, 4)) && !drawn(&dot).contains(&(1, 1)));
    }

    #[test]
    fn upright_letters_turned_are_the_same_letters() {
        let mut level = Image::blank(40, 16);
        level.write("Loss", Letters::Small, 0, 0, INK);
        let mut upright = Image::blank(16, 40);
        upright.write_upwards("Loss", Letters::Small, 0, 0, INK);
        let length = Letters::Small.width("Loss");
        let mut turned: Vec<_> = drawn(&level).into_iter().map(|(x, y)| (y, length - 1 - x)).collect();
        turned.sort_by_key(|&(x, y)| (y, x));
        assert_eq!(drawn(&upright), turned);
    }
}
