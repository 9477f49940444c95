//! Inference or training.

/// What a block of windows is computed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Forward only: the tape of a step is reused two steps later.
    Inference,
    /// Forward and backward: every step keeps its tape.
    Training,
}
