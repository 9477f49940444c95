//! Scores of packets, from the scores of the fragments that hold their bytes.

use crate::fragment::Segment;

/// One score a packet: the highest of the fragments that hold bytes of it.
///
/// The highest, not the mean: an attack may be a single fragment of a long packet.
#[derive(Debug, Clone, Default)]
pub struct PacketScores {
    /// Index is the packet's number less one; NaN where no fragment held the packet.
    scores: Vec<f32>,
}

impl PacketScores {
    /// Takes the score of a fragment that holds bytes of the packets in `segments`.
    pub fn add(&mut self, segments: &[Segment], score: f32) {
        for segment in segments {
            self.put(segment.packet, score);
        }
    }

    /// Takes a score of a packet, by its number from 1; of several the highest counts.
    pub fn put(&mut self, packet: u64, score: f32) {
        let index = packet as usize - 1;
        if self.scores.len() <= index {
            self.scores.resize(index + 1, f32::NAN);
        }
        // `max` gives the number where one of the two is NaN.
        self.scores[index] = self.scores[index].max(score);
    }

    /// The score of a packet, by its number from 1; `None` where no fragment held it.
    pub fn get(&self, packet: u64) -> Option<f32> {
        self.scores.get(packet as usize - 1).copied().filter(|score| !score.is_nan())
    }

    /// Packet number and score of every packet that has one, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, f32)> + '_ {
        (1..).zip(self.scores.iter().copied()).filter(|(_, score)| !score.is_nan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Label;

    fn segment(packet: u64) -> Segment {
        Segment { packet, label: Label::Unknown, packet_offset: 0, fragment_offset: 0, length: 1 }
    }

    #[test]
    fn a_packet_has_the_highest_score_of_its_fragments_whatever_their_order() {
        let mut scores = PacketScores::default();
        scores.add(&[segment(3), segment(4)], 0.2);
        scores.add(&[segment(1), segment(3)], 0.1);
        assert_eq!(scores.iter().collect::<Vec<_>>(), [(1, 0.1), (3, 0.2), (4, 0.2)]);
        assert_eq!(scores.get(2), None);
        assert_eq!(scores.get(9), None);
    }
}
