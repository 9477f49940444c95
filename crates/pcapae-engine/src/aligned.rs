//! Floats aligned to cache lines: a vector that crosses two lines costs twice.

use std::ops::{Deref, DerefMut};

/// Floats in a cache line of 64 bytes.
const LINE: usize = 16;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Floats in whole cache lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlignedBuffer {
    lines: Vec<Line>,
}

impl AlignedBuffer {
    /// `floats` zeros, rounded up to whole lines.
    pub fn zeros(floats: usize) -> AlignedBuffer {
        AlignedBuffer { lines: vec![Line([0.0; LINE]); floats.div_ceil(LINE)] }
    }

    /// Grows to at least `floats`; the contents stay.
    pub fn grow(&mut self, floats: usize) {
        let lines = floats.div_ceil(LINE).max(self.lines.len());
        self.lines.resize(lines, Line([0.0; LINE]));
    }
}

impl Deref for AlignedBuffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen floats and nothing else in C's layout, so that lines are contiguous floats.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * LINE) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * LINE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_aligned_and_kept_when_the_buffer_grows() {
        let mut floats = AlignedBuffer::zeros(20);
        assert_eq!(floats.len(), 32);
        floats.copy_from_slice(&std::array::from_fn::<f32, 32, _>(|i| i as f32));
        for wanted in [3, 33, 1000, 5000] {
            floats.grow(wanted);
            assert!(floats.len() >= wanted && floats.as_ptr().align_offset(64) == 0);
            assert!(floats.iter().take(32).enumerate().all(|(i, value)| *value == i as f32));
            assert!(floats[32..].iter().all(|value| *value == 0.0));
        }
    }
}
