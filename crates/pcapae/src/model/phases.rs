//! Phases: a picture as four of half the side, so that a stride of two becomes a stride of one.
//!
//! Phase 2·py + px holds the pixels of rows 2y + py and columns 2x + px. Of C channels, channel c of a phase is plane
//! phase × C + c.

use super::planes::{Grid, Planes};

/// Four: even and odd rows, even and odd columns.
pub(crate) const PHASES: usize = 4;

/// The phase, and the pixel within it, of the row (or column) `offset` away from row 2y: `offset = 2·shift + parity`.
pub(crate) fn parity_and_shift(offset: isize) -> (usize, isize) {
    (offset.rem_euclid(2) as usize, offset.div_euclid(2))
}

/// Room for the phases of `channels` channels whose own pictures have the side of `grid`.
pub(crate) fn phases_of(grid: Grid, channels: usize) -> Planes {
    Planes::zeros(Grid { side: grid.side / 2 }, PHASES * channels)
}

/// Takes pictures apart.
pub(crate) fn split(whole: &Planes, phases: &mut Planes) {
    let channels = whole.channels();
    for c in 0..channels {
        for y in 0..whole.grid().side {
            let first = 2 * (y % 2) * channels + c;
            let row = whole.row(c, y).as_chunks::<2>().0;
            for (to, [even, _]) in phases.row_mut(first, y / 2).iter_mut().zip(row) {
                *to = *even;
            }
            for (to, [_, odd]) in phases.row_mut(first + channels, y / 2).iter_mut().zip(row) {
                *to = *odd;
            }
        }
    }
}

/// Puts pictures together again.
pub(crate) fn merge(phases: &Planes, whole: &mut Planes) {
    let channels = whole.channels();
    for c in 0..channels {
        for y in 0..whole.grid().side {
            let first = 2 * (y % 2) * channels + c;
            let row = whole.row_mut(c, y).as_chunks_mut::<2>().0;
            let pairs = phases.row(first, y / 2).iter().zip(phases.row(first + channels, y / 2));
            for (to, (even, odd)) in row.iter_mut().zip(pairs) {
                *to = [*even, *odd];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_undoes_splitting() {
        let mut whole = Planes::zeros(Grid { side: 4 }, 2);
        whole.set_pixels((0..32).map(|i| i as f32));
        let mut phases = phases_of(whole.grid(), 2);
        split(&whole, &mut phases);
        // Odd rows, even columns, channel 0.
        assert_eq!(phases.pixels().skip(2 * 2 * 4).take(4).collect::<Vec<_>>(), [4.0, 6.0, 12.0, 14.0]);
        let mut again = Planes::zeros(whole.grid(), 2);
        merge(&phases, &mut again);
        assert_eq!(whole.data(), again.data());
    }
}
