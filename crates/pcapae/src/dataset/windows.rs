//! Windows: sequences of `frames` fragments that follow each other, as the model sees them.

use std::ops::Range;

/// A sequence of windows over fragments that lie one after the other in memory.
///
/// Window `i` is `frames` consecutive fragments; neighbouring windows overlap in all but one (stride 1), and none
/// crosses a border between flows.
#[derive(Debug, Clone)]
pub struct Windows<'a> {
    fragments: &'a [u8],
    fragment_size: usize,
    frames: usize,
    /// Index of the first fragment of each window.
    starts: Vec<usize>,
}

impl<'a> Windows<'a> {
    /// All windows of `frames` fragments over one uninterrupted run of fragments.
    ///
    /// `fragments` holds whole fragments of `fragment_size` bytes each. There are `N + 1 - frames` windows of `N` fragments,
    /// none where there are fewer fragments than frames.
    pub fn over_run(fragments: &'a [u8], fragment_size: usize, frames: usize) -> Windows<'a> {
        let count = fragments.len() / fragment_size;
        Windows { fragments, fragment_size, frames, starts: (0..(count + 1).saturating_sub(frames)).collect() }
    }

    /// All windows of `frames` fragments that stay within one flow; `flows[i]` is the flow of fragment `i`.
    pub fn within_flows(fragments: &'a [u8], fragment_size: usize, frames: usize, flows: &[u64]) -> Windows<'a> {
        let mut windows = Windows::over_run(fragments, fragment_size, frames);
        windows.starts.retain(|&start| flows[start..start + frames].windows(2).all(|pair| pair[0] == pair[1]));
        windows
    }

    /// How many windows there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// True if there is no window at all.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Fragments in a window.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Bytes in a fragment.
    pub fn fragment_size(&self) -> usize {
        self.fragment_size
    }

    /// The bytes of window `i`: `frames × fragment_size`, frame after frame.
    pub fn bytes(&self, i: usize) -> &'a [u8] {
        let first = self.starts[i] * self.fragment_size;
        &self.fragments[first..first + self.frames * self.fragment_size]
    }

    /// Index of the first fragment of window `i`.
    pub fn first_fragment(&self, i: usize) -> usize {
        self.starts[i]
    }

    /// The first part of the windows: a `fraction` of them, from 0 to 1, rounded down.
    pub fn front(&self, fraction: f64) -> Windows<'a> {
        let kept = (fraction * self.len() as f64) as usize;
        Windows { starts: self.starts.iter().copied().take(kept).collect(), ..self.clone() }
    }

    /// Every n-th window, the first included.
    pub fn every(&self, n: usize) -> Windows<'a> {
        Windows { starts: self.starts.iter().copied().step_by(n.max(1)).collect(), ..self.clone() }
    }

    /// The windows for which `wanted` is true of the range of their fragments' indices.
    pub fn only(&self, wanted: impl Fn(Range<usize>) -> bool) -> Windows<'a> {
        let starts = self.starts.iter().copied().filter(|&start| wanted(start..start + self.frames));
        Windows { starts: starts.collect(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_overlap_in_all_but_one_frame() {
        let fragments: Vec<u8> = (0..10).collect();
        let windows = Windows::over_run(&fragments, 2, 3);
        assert_eq!(windows.len(), 3);
        assert_eq!(windows.bytes(1), [2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn no_window_crosses_a_flow_border() {
        let fragments = [0u8; 6];
        let windows = Windows::within_flows(&fragments, 1, 2, &[0, 0, 1, 2, 2, 2]);
        let firsts: Vec<usize> = (0..windows.len()).map(|i| windows.first_fragment(i)).collect();
        assert_eq!(firsts, [0, 3, 4]);
    }

    #[test]
    fn every_second_window_begins_with_the_first() {
        let windows = Windows::over_run(&[0u8; 5], 1, 1).every(2);
        assert_eq!((windows.len(), windows.first_fragment(1)), (3, 2));
    }

    #[test]
    fn the_front_part_is_rounded_down() {
        let windows = Windows::over_run(&[0u8; 7], 1, 1);
        let kept = |fraction| windows.front(fraction).len();
        assert_eq!([kept(0.0), kept(0.5), kept(0.99), kept(1.0), kept(7.0), kept(f64::NAN)], [0, 3, 6, 7, 7, 0]);
        assert_eq!(windows.front(0.5).first_fragment(2), 2);
    }

    #[test]
    fn a_flow_that_comes_back_later_is_not_joined() {
        assert_eq!(Windows::within_flows(&[0u8; 3], 1, 3, &[0, 1, 0]).len(), 0);
    }

    #[test]
    fn fewer_fragments_than_frames_give_no_window() {
        assert!(Windows::over_run(&[1, 2], 1, 3).is_empty());
    }

    #[test]
    fn only_wanted_windows_are_kept() {
        let fragments = [0u8; 9];
        let windows = Windows::over_run(&fragments, 1, 3).only(|window| window.start >= 2 && window.end <= 6);
        let firsts: Vec<usize> = (0..windows.len()).map(|i| windows.first_fragment(i)).collect();
        assert_eq!(firsts, [2, 3]);
    }
}
