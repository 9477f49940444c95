//! A table of shares as an image: the higher a share, the darker its cell.

use super::image::{Colour, INK, Image, Letters};

/// Pixels around everything, and between names and cells.
const MARGIN: usize = 16;
/// Height of a row, in pixels.
const ROW: usize = 30;
/// Pixels left and right of a cell's text.
const CELL_MARGIN: usize = 10;

/// The colours of 0 and of 1; between them, colours are mixed.
const LIGHT: Colour = [240, 244, 248];
const DARK: Colour = [24, 84, 140];
/// Cells without a value.
const UNKNOWN: Colour = [255, 255, 255];
/// Letters on cells darker than the middle.
const PAPER: Colour = [255, 255, 255];

/// A cell: what decides its colour, 0 to 1, if known, and what is written on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The share, 0 to 1; outside of that it counts as the nearer end.
    pub share: Option<f64>,
    /// The text.
    pub text: String,
}

/// A table to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Above everything.
    pub title: String,
    /// Above the columns.
    pub columns: Vec<String>,
    /// The names of the rows, each with as many cells as there are columns.
    pub rows: Vec<(String, Vec<Cell>)>,
}

impl Cell {
    /// A share with two digits: `.87`, `1`, and `–` for an unknown one.
    pub fn of_share(share: Option<f64>) -> Cell {
        let text = match share {
            None => "–".to_owned(),
            Some(share) => {
                let digits = format!("{share:.2}");
                digits.strip_prefix('0').map_or_else(|| digits.clone(), str::to_owned)
            }
        };
        Cell { share, text }
    }
}

impl HeatMap {
    /// Draws the table; columns are as wide as their widest text.
    pub fn image(&self) -> Image {
        let names = self.rows.iter().map(|(name, _)| Letters::Small.width(name)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width(column)).collect();
        let left = 2 * MARGIN + names;
        let top = 2 * MARGIN + Letters::Large.height() + ROW;
        let width = (left + widths.iter().sum::<usize>() + MARGIN).max(2 * MARGIN + Letters::Large.width(&self.title));
        let mut image = Image::blank(width, top + self.rows.len() * ROW + MARGIN);
        image.write(&self.title, Letters::Large, MARGIN as i32, MARGIN as i32, INK);
        let text_top = |row_top: usize| (row_top + (ROW - Letters::Small.height()) / 2) as i32;
        let mut x = left;
        for (name, width) in self.columns.iter().zip(&widths) {
            image.write(name, Letters::Small, centred(x, *width, name), text_top(top - ROW), INK);
            x += width;
        }
        for (row, (name, cells)) in self.rows.iter().enumerate() {
            let y = top + row * ROW;
            image.write(name, Letters::Small, MARGIN as i32, text_top(y), INK);
            let mut x = left;
            for (cell, &width) in cells.iter().zip(&widths) {
                let (colour, ink) = cell.colours();
                image.fill((x, y), (width - 2, ROW - 2), colour);
                image.write(&cell.text, Letters::Small, centred(x, width, &cell.text), text_top(y), ink);
                x += width;
            }
        }
        image
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(column)).map(|cell| cell.text.as_str());
        let widest = cells.chain([self.columns[column].as_str()]).map(|text| Letters::Small.width(text)).max();
        widest.unwrap_or(0) + 2 * CELL_MARGIN
    }
}

impl Cell {
    fn colours(&self) -> (Colour, Colour) {
        let Some(share) = self.share.filter(|share| share.is_finite()) else { return (UNKNOWN, INK) };
        let share = share.clamp(0.0, 1.0);
        let mixed =
            std::array::from_fn(|i| (f64::from(LIGHT[i]) * (1.0 - share) + f64::from(DARK[i]) * share).round() as u8);
        (mixed, if share > 0.5 { PAPER } else { INK })
    }
}

fn centred(x: usize, width: usize, text: &str) -> i32 {
    x as i32 + (width as i32 - Letters::Small.width(text) as i32) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_darker_the_higher_its_share() {
        let colour = |share| Cell::of_share(share).colours().0;
        assert_eq!((colour(Some(0.0)), colour(Some(1.0)), colour(None)), (LIGHT, DARK, UNKNOWN));
        assert!(colour(Some(0.5))[0] < LIGHT[0] && colour(Some(0.5))[0] > DARK[0]);
        assert_eq!(Cell::of_share(Some(0.874)).text, ".87");
        assert_eq!(Cell::of_share(Some(1.0)).text, "1.00");
    }

    #[test]
    fn every_cell_is_drawn_in_its_place() {
        let row = |share| {
            ("name".to_owned(), vec![Cell::of_share(Some(share)), Cell { share: Some(1.0), text: String::new() }])
        };
        let map = HeatMap { title: "t".into(), columns: vec!["a".into(), "b".into()], rows: vec![row(0.0), row(1.0)] };
        let image = map.image();
        let pixel = |x: usize, y: usize| &image.rgb()[(y * image.width() + x) * 3..][..3];
        let left = 2 * MARGIN + Letters::Small.width("name");
        let top = 2 * MARGIN + Letters::Large.height() + ROW;
        assert_eq!(pixel(left, top), LIGHT);
        assert_eq!(pixel(left, top + ROW), DARK);
        assert_eq!(pixel(image.width() - MARGIN - 3, top), DARK);
    }

    #[test]
    fn a_table_without_rows_is_a_title() {
        let map = HeatMap { title: "nothing".into(), columns: Vec::new(), rows: Vec::new() };
        assert!(map.image().width() > Letters::Large.width("nothing"));
    }
}
