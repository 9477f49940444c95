//! Normal fragments that a bundle keeps, to compare odd ones with.

use std::collections::HashSet;

use super::training_data::TrainingData;
use crate::dataset::Windows;
use crate::engine::Engine;
use crate::error::{Fault, Place};
use crate::fragment::FragmentTable;
use crate::model::{Autoencoder, CODE_SIZE};

/// How many are kept unless another number is asked for.
pub const NORMAL_FRAGMENTS: usize = 512;

/// Most bytes of their windows together, 2 MiB, whatever their number.
const BYTES_MAX: usize = 2 << 20;

/// Different windows that the most various ones are chosen of.
const CANDIDATES: usize = 4096;

/// Windows of normal traffic that the weights were fitted to, as various as they are.
///
/// Of the different windows an even sample of at most 4,096 is taken. Of these come first the first, and then always the one whose code is
/// farthest from the codes chosen so far (Gonzalez, *Clustering to Minimize the Maximum Intercluster Distance*, 1985): so that rare traffic
/// is among them, of which an even sample has nothing. A bundle keeps the bytes as the autoencoder sees them, masked and padded; their codes
/// follow from its weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalFragments {
    /// Bytes in a window: frames times fragment size.
    window_size: usize,
    fragment_size: usize,
    bytes: Vec<u8>,
    /// Of the last fragment of each window, the number of its first packet in the captures learned from.
    packets: Vec<u64>,
    /// And how many of its bytes are a packet's; behind them there is padding.
    lengths: Vec<u32>,
}

/// The normal window that is most like another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearestNormal<'a> {
    /// The first packet of its last fragment, from 1 in the captures learned from.
    pub packet: u64,
    /// The bytes of its last fragment, without padding.
    pub bytes: &'a [u8],
    /// The Euclidean distance of the two codes.
    pub distance: f64,
}

impl NormalFragments {
    /// At most `most` of the training windows of `model`; `None` where that is none.
    pub(super) fn sample(
        model: &Autoencoder,
        windows: &Windows<'_>,
        data: &TrainingData,
        most: usize,
    ) -> Option<NormalFragments> {
        let window_size = windows.frames() * windows.fragment_size();
        let mut seen = HashSet::new();
        let different: Vec<usize> = (0..windows.len()).filter(|&i| seen.insert(windows.bytes(i))).collect();
        let even = different.len().min(CANDIDATES);
        let candidates: Vec<usize> = (0..even).map(|rank| different[rank * different.len() / even]).collect();
        let bytes: Vec<&[u8]> = candidates.iter().map(|&i| windows.bytes(i)).collect();
        let count = most.min(BYTES_MAX / window_size).min(even);
        let codes = if count > 0 { Engine::new(model).encode(&bytes) } else { vec![] };
        let mut normal = NormalFragments {
            window_size,
            fragment_size: windows.fragment_size(),
            bytes: vec![],
            packets: vec![],
            lengths: vec![],
        };
        for i in most_various(&codes, count).into_iter().map(|place| candidates[place]) {
            let last = windows.first_fragment(i) + windows.frames() - 1;
            normal.bytes.extend_from_slice(windows.bytes(i));
            normal.packets.push(data.first_packet(last));
            normal.lengths.push(used(data.table(), last));
        }
        (count > 0).then_some(normal)
    }

    /// Those of these windows, whose last fragments begin with these packets and are so long without padding; says in a few words where
    /// that cannot be.
    pub(super) fn of(
        window_size: usize,
        fragment_size: usize,
        bytes: Vec<u8>,
        (packets, lengths): (Vec<u64>, Vec<u32>),
    ) -> Result<NormalFragments, Fault> {
        let count = packets.len();
        if count == 0 || bytes.len() != count * window_size || lengths.len() != count {
            let (got, lengths) = (bytes.len(), lengths.len());
            let found = format!("{got} bytes, {count} packets and {lengths} lengths");
            let expected = format!("as many of each, for windows of {window_size} bytes");
            return Err(Place::Part("normal fragments".into()).found(found, expected));
        }
        if let Some(length) = lengths.iter().find(|length| **length as usize > fragment_size) {
            let found = format!("a fragment of {length} bytes");
            return Err(Place::Part("normal fragments".into()).found(found, format!("at most {fragment_size}")));
        }
        Ok(NormalFragments { window_size, fragment_size, bytes, packets, lengths })
    }

    /// How many there are, at least one.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The bytes of all windows, one after the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first packet of each window's last fragment.
    pub(super) fn packets(&self) -> &[u64] {
        &self.packets
    }

    /// The bytes of each window's last fragment that are a packet's.
    pub(super) fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// The codes that `model`, the bundle's, gives of them.
    pub fn codes(&self, model: &Autoencoder) -> Vec<[f32; CODE_SIZE]> {
        let windows: Vec<&[u8]> = self.bytes.chunks(self.window_size).collect();
        Engine::new(model).encode(&windows)
    }

    /// The one whose code, of `codes` that [`codes`](Self::codes) gave, is nearest to `code`; the first of equally near ones.
    pub fn nearest(&self, code: &[f64], codes: &[[f32; CODE_SIZE]]) -> Option<NearestNormal<'_>> {
        let distance = |normal: &[f32; CODE_SIZE]| {
            let squares = normal.iter().zip(code).map(|(a, b)| (f64::from(*a) - b).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let distances = codes.iter().take(self.len()).map(distance).enumerate();
        let (i, distance) = distances.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let last = (i + 1) * self.window_size - self.fragment_size;
        let bytes = &self.bytes[last..last + self.lengths[i] as usize];
        Some(NearestNormal { packet: self.packets[i], bytes, distance })
    }
}

/// Places of `count` of the codes, in order: the first, then always the one farthest from those chosen.
fn most_various(codes: &[[f32; CODE_SIZE]], count: usize) -> Vec<usize> {
    let squares =
        |a: &[f32; CODE_SIZE], b: &[f32; CODE_SIZE]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let mut nearest = vec![f32::INFINITY; codes.len()];
    let mut chosen = Vec::with_capacity(count);
    let mut next = 0;
    while chosen.len() < count {
        chosen.push(next);
        nearest[next] = f32::NEG_INFINITY;
        let mut farthest = (0, f32::NEG_INFINITY);
        for (place, code) in codes.iter().enumerate() {
            nearest[place] = nearest[place].min(squares(code, &codes[next]));
            if nearest[place] > farthest.1 {
                farthest = (place, nearest[place]);
            }
        }
        next = farthest.0;
    }
    chosen.sort_unstable();
    chosen
}

/// The bytes of a fragment up to the end of its last segment.
fn used(table: &FragmentTable, fragment: usize) -> u32 {
    let ends = table.segments(fragment).iter().map(|segment| segment.fragment_offset + segment.length);
    ends.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes that differ in their first number only.
    fn codes(values: &[f32]) -> Vec<[f32; CODE_SIZE]> {
        let code = |value: &f32| std::array::from_fn(|k| if k == 0 { *value } else { 0.0 });
        values.iter().map(code).collect()
    }

    #[test]
    fn rare_codes_are_chosen_before_more_of_the_usual_ones() {
        let values = [0.0, 0.01, 0.02, 5.0, 0.03, -3.0, 0.04];
        assert_eq!(most_various(&codes(&values), 3), [0, 3, 5]);
        assert_eq!(most_various(&codes(&values), 7), [0, 1, 2, 3, 4, 5, 6]);
        // Equal codes, as of windows that differ in nothing the model looks at, are chosen too, each once.
        assert_eq!(most_various(&codes(&[1.0; 4]), 4), [0, 1, 2, 3]);
        assert_eq!(most_various(&[], 0), [0_usize; 0]);
    }

    #[test]
    fn the_nearest_is_that_of_a_plain_search_and_shows_its_last_fragment() {
        let bytes: Vec<u8> = (0..3 * 8).collect();
        let normal = NormalFragments::of(8, 4, bytes, (vec![7, 8, 9], vec![4, 2, 4])).unwrap();
        let mut code = [0.0; CODE_SIZE];
        code[0] = 0.9;
        let nearest = normal.nearest(&code, &codes(&[0.0, 1.0, 2.0])).unwrap();
        assert_eq!((nearest.packet, nearest.bytes), (8, &[12, 13][..]));
        assert!((nearest.distance - 0.1).abs() < 1e-6);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let of = |bytes: usize, packets: usize, length: u32| {
            NormalFragments::of(8, 4, vec![0; bytes], (vec![1; packets], vec![length; packets]))
        };
        assert!(of(16, 2, 4).is_ok());
        assert!(of(15, 2, 4).unwrap_err().to_string().contains("15 bytes"));
        assert!(of(16, 2, 5).unwrap_err().to_string().contains("5 bytes"));
        assert!(of(0, 0, 0).is_err());
    }
}
