//! The time over all captures: how far it reaches, and whether it runs backwards.

use std::path::Path;

use super::Warning;

/// Follows the packets' times.
#[derive(Default)]
pub(super) struct Clock {
    /// The time of the packet before.
    pub(super) last_ns: Option<i64>,
    /// The earliest and the latest time.
    pub(super) range_ns: Option<(i64, i64)>,
    /// The warning about packets older than the one before them.
    pub(super) backwards: Option<Warning>,
}

impl Clock {
    /// Takes the time of the next packet.
    #[inline]
    pub(super) fn tick(&mut self, time_ns: i64, packet: u64, path: &Path) {
        match self.last_ns {
            Some(last) if time_ns < last => self.step_back(last.abs_diff(time_ns), packet, path),
            _ => {}
        }
        self.last_ns = Some(time_ns);
        let (first, last) = self.range_ns.unwrap_or((time_ns, time_ns));
        self.range_ns = Some((first.min(time_ns), last.max(time_ns)));
    }

    #[cold]
    fn step_back(&mut self, step_ns: u64, packet: u64, path: &Path) {
        match &mut self.backwards {
            Some(Warning::TimeBackwards { count, largest_step_ns, .. }) => {
                *count += 1;
                *largest_step_ns = step_ns.max(*largest_step_ns);
            }
            _ => {
                self.backwards = Some(Warning::TimeBackwards {
                    first_packet: packet,
                    path: path.to_owned(),
                    count: 1,
                    largest_step_ns: step_ns,
                });
            }
        }
    }
}
