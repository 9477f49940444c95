//! What has lately happened in a connection: the mean surprise of its last packets.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::capture::headers::Connection;

/// Packets of a connection that are looked at together: the one judged and those before it.
pub const PACKETS_TOGETHER: usize = 8;

/// Most connections that are remembered, some 10 MB; those silent for longest are forgotten and begin anew.
pub const CONNECTIONS_REMEMBERED: usize = 65_536;

/// What is assumed of the packets before the first of a connection: the mean of −ln p where p is uniform.
const USUAL_SURPRISE: f64 = 1.0;

/// The last surprises of every connection, while packets come in.
///
/// The score of a packet is the mean of −ln p over the last 8 packets of its connection, its own among them. A connection begins as if
/// 8 usual packets had gone before, since few packets say little; else a mean over one packet would set the
/// threshold for all. Causal: nothing later counts.
#[derive(Debug)]
pub struct ConnectionScores {
    recent: LruCache<Connection, VecDeque<f64>>,
}

impl Default for ConnectionScores {
    fn default() -> Self {
        ConnectionScores::remembering(CONNECTIONS_REMEMBERED)
    }
}

impl ConnectionScores {
    /// Remembers at most this many connections, at least one.
    fn remembering(connections: usize) -> ConnectionScores {
        let connections = NonZeroUsize::new(connections).unwrap_or(NonZeroUsize::MIN);
        ConnectionScores { recent: LruCache::new(connections) }
    }

    /// Takes the surprise, −ln p, of the next packet and gives the mean over the last packets of its connection.
    pub fn push(&mut self, connection: Connection, surprise: f64) -> f64 {
        let usual = || VecDeque::from([USUAL_SURPRISE; PACKETS_TOGETHER]);
        let recent = self.recent.get_or_insert_mut(connection, usual);
        recent.pop_front();
        recent.push_back(surprise);
        recent.iter().sum::<f64>() / PACKETS_TOGETHER as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;
    use proptest::prelude::*;

    fn connection(source: u8) -> Connection {
        packet(source, 2, 502, 60).connection()
    }

    #[test]
    fn the_connection_silent_for_longest_is_forgotten() {
        let mut scores = ConnectionScores::remembering(2);
        let first = scores.push(connection(1), 9.0);
        assert_eq!(first, 2.0);
        scores.push(connection(3), 9.0);
        assert_eq!(scores.push(connection(1), 9.0), 3.0);
        scores.push(connection(4), 9.0);
        assert_eq!(scores.push(connection(3), 9.0), first);
    }

    proptest! {
        #[test]
        fn the_score_is_the_mean_of_the_last_eight(packets in prop::collection::vec((3u8..6, 0u8..20), 1..80)) {
            let mut scores = ConnectionScores::default();
            for i in 0..packets.len() {
                let (source, surprise) = packets[i];
                let own = packets[..=i].iter().filter(|other| other.0 == source).map(|other| f64::from(other.1));
                let mut last: Vec<f64> = [1.0; 8].into_iter().chain(own).collect();
                last.drain(..last.len() - 8);
                prop_assert_eq!(scores.push(connection(source), surprise.into()), last.iter().sum::<f64>() / 8.0);
            }
        }
    }
}
