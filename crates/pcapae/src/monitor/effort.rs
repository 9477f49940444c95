//! How long to train the autoencoder.

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// About this many steps of the optimiser, however many windows there are: few windows are seen often, and of very many an
    /// even selection is seen four times. So learning takes about the same time whatever the captures.
    Steps(usize),
    /// This many passes over all training windows.
    Epochs(usize),
}

/// Steps of the default effort.
pub const DEFAULT_STEPS: usize = 4000;
/// Fewest passes over the windows that are looked at.
const EPOCHS_MIN: usize = 4;
/// Most passes over few windows: a handful of packets deserves no more.
const EPOCHS_MAX: usize = 400;

impl Effort {
    /// How many passes over how large a share of `windows`: every n-th of them.
    pub(super) fn plan(self, windows: usize, batch: usize) -> (usize, usize) {
        match self {
            Effort::Epochs(epochs) => (epochs, 1),
            Effort::Steps(steps) => {
                let looks = steps * batch.max(1);
                let every = windows.div_ceil((looks / EPOCHS_MIN).max(1));
                let epochs = looks / windows.div_ceil(every).max(1);
                (epochs.clamp(EPOCHS_MIN, EPOCHS_MAX), every)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_windows_are_seen_often_and_of_many_a_selection() {
        assert_eq!(Effort::Steps(4000).plan(1434, 32), (89, 1));
        assert_eq!(Effort::Steps(4000).plan(10, 32), (EPOCHS_MAX, 1));
        assert_eq!(Effort::Steps(4000).plan(1_000_000, 32), (4, 32));
        assert_eq!(Effort::Epochs(3).plan(1_000_000, 32), (3, 1));
    }
}
