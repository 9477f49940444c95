//! How long-running work reports its progress and is asked to stop.

/// Receives the advance of long work and can ask it to stop.
///
/// The library never prints: the program draws a bar from these calls. `()` is the progress of work nobody watches.
pub trait Progress: Sync {
    /// Work of `total` units named `what` begins ("reading", "epoch 3"); `None` where the amount is unknown.
    fn begin(&self, what: &str, total: Option<u64>) {
        let _ = (what, total);
    }

    /// `units` more are done since the last call.
    fn advance(&self, units: u64) {
        let _ = units;
    }

    /// A short remark on the work under way, shown beside the bar ("loss 0.0123").
    fn remark(&self, text: &str) {
        let _ = text;
    }

    /// True once the work should stop; it then ends with [`Error::Interrupted`](crate::Error::Interrupted).
    fn interrupted(&self) -> bool {
        false
    }
}

impl Progress for () {}
