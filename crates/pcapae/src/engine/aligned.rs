//! Floats that begin at a line of the processor's cache: a vector that lies across two lines costs twice.

use std::ops::{Deref, DerefMut};

/// Floats in a line of the cache: 64 bytes of them.
const LINE: usize = 16;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// A list of floats, whole lines of them, that begins at a line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aligned {
    lines: Vec<Line>,
}

impl Aligned {
    /// `floats` zeros, and as many more as fill the last line.
    pub fn zeros(floats: usize) -> Aligned {
        Aligned { lines: vec![Line([0.0; LINE]); floats.div_ceil(LINE)] }
    }

    /// Sees to it that there are so many; what is there stays.
    pub fn grow(&mut self, floats: usize) {
        let lines = floats.div_ceil(LINE).max(self.lines.len());
        self.lines.resize(lines, Line([0.0; LINE]));
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen floats and nothing else, in the layout of C, so that lines are floats one after the other.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * LINE) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the lines are borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * LINE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_begin_at_a_line_and_stay_when_more_are_wanted() {
        let mut floats = Aligned::zeros(20);
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
