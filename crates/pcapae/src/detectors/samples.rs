//! What detectors look at: rows of equal width, one a window or a packet.

use std::borrow::Cow;
use std::ops::Range;

use super::{BLOCKS, Blocks, PacketRow};
use crate::capture::headers::PacketFacts;
use crate::{Error, Result};

/// Rows of numbers, as codes are, or of bytes, as fragments are; with the facts of the packets where each row is one.
#[derive(Debug, Clone)]
pub struct Samples {
    values: Values,
    width: usize,
    facts: Option<Vec<PacketFacts>>,
    blocks: Option<Blocks>,
}

#[derive(Debug, Clone)]
enum Values {
    Numbers(Vec<f32>),
    Bytes(Vec<u8>),
}

impl Samples {
    /// Rows of `width` numbers, one after the other. Panics where they do not fill the last row.
    pub fn of_numbers(numbers: Vec<f32>, width: usize) -> Samples {
        assert_eq!(numbers.len() % width, 0, "{} numbers do not make rows of {width}", numbers.len());
        Samples { values: Values::Numbers(numbers), width, facts: None, blocks: None }
    }

    /// Rows of `width` bytes, one after the other. Panics where they do not fill the last row.
    pub fn of_bytes(bytes: Vec<u8>, width: usize) -> Samples {
        assert_eq!(bytes.len() % width, 0, "{} bytes do not make rows of {width}", bytes.len());
        Samples { values: Values::Bytes(bytes), width, facts: None, blocks: None }
    }

    /// The same rows with the facts of the packets they are. Panics where there are more or fewer facts than rows.
    pub fn with_facts(self, facts: Vec<PacketFacts>) -> Samples {
        assert_eq!(facts.len(), self.len(), "facts and rows differ in number");
        Samples { facts: Some(facts), ..self }
    }

    /// The same rows, of a recording in blocks. Without, of [`BLOCKS`].
    pub fn in_blocks(self, count: u32) -> Samples {
        let blocks = Some(Blocks::new(self.len(), count.clamp(1, BLOCKS)));
        Samples { blocks, ..self }
    }

    /// Each row as a packet, with the block it is in.
    ///
    /// # Errors
    ///
    /// The rows are no packets, which `detector` looks at.
    pub fn packets(&self, detector: &'static str) -> Result<impl Iterator<Item = (PacketRow<'_>, u32)>> {
        let lacking = || Error::Lacking { detector, lacking: "facts of packets" };
        let (facts, bytes) = (self.facts().ok_or_else(lacking)?, self.bytes().ok_or_else(lacking)?);
        let blocks = self.blocks.unwrap_or_else(|| Blocks::new(self.len(), BLOCKS));
        let rows = facts.iter().zip(bytes.chunks_exact(self.width)).enumerate();
        Ok(rows.map(move |(row, (facts, bytes))| {
            let kept = bytes.len().min(facts.length as usize);
            (PacketRow::new(facts, &bytes[..kept]), blocks.block(row))
        }))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        let values = match &self.values {
            Values::Numbers(numbers) => numbers.len(),
            Values::Bytes(bytes) => bytes.len(),
        };
        values / self.width
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers or bytes in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All rows as numbers, one after the other; bytes divided by 255.
    pub fn numbers(&self) -> Cow<'_, [f32]> {
        match &self.values {
            Values::Numbers(numbers) => Cow::Borrowed(numbers),
            Values::Bytes(bytes) => bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect(),
        }
    }

    /// All rows as bytes, one after the other; `None` where they are numbers.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.values {
            Values::Numbers(_) => None,
            Values::Bytes(bytes) => Some(bytes),
        }
    }

    /// The facts of the packet that each row is; `None` where rows are not packets.
    pub fn facts(&self) -> Option<&[PacketFacts]> {
        self.facts.as_deref()
    }

    /// The rows of these indices, in this order. Panics where there is none of an index, as a slice does.
    pub fn select(&self, rows: &[usize]) -> Samples {
        let values = |row: &usize| row * self.width..(row + 1) * self.width;
        Samples {
            values: match &self.values {
                Values::Numbers(numbers) => {
                    Values::Numbers(rows.iter().flat_map(|row| &numbers[values(row)]).copied().collect())
                }
                Values::Bytes(bytes) => {
                    Values::Bytes(rows.iter().flat_map(|row| &bytes[values(row)]).copied().collect())
                }
            },
            width: self.width,
            facts: self.facts.as_ref().map(|facts| rows.iter().map(|row| facts[*row]).collect()),
            blocks: None,
        }
    }

    /// Some of the rows, in their order.
    pub fn rows(&self, rows: Range<usize>) -> Samples {
        let values = rows.start * self.width..rows.end * self.width;
        Samples {
            values: match &self.values {
                Values::Numbers(numbers) => Values::Numbers(numbers[values].to_vec()),
                Values::Bytes(bytes) => Values::Bytes(bytes[values].to_vec()),
            },
            width: self.width,
            facts: self.facts.as_ref().map(|facts| facts[rows].to_vec()),
            blocks: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_numbers_from_0_to_1_and_rows_keep_their_place() {
        let samples = Samples::of_bytes(vec![0, 255, 51, 102], 2);
        assert_eq!((samples.len(), samples.width()), (2, 2));
        assert_eq!(*samples.numbers(), [0.0, 1.0, 0.2, 0.4]);
        assert_eq!(samples.rows(1..2).bytes(), Some(&[51, 102][..]));
        assert_eq!(samples.select(&[1, 0, 1]).bytes(), Some(&[51, 102, 0, 255, 51, 102][..]));
        assert_eq!(Samples::of_numbers(vec![1.0], 1).bytes(), None);
    }
}
