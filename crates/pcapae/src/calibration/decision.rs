//! From the scores of all detectors to decisions: on a packet by itself, and on what its connection has done lately.

use serde::{Deserialize, Serialize};

use super::{Combination, Conformal, ConnectionScores, FalseAlarmRate, Threshold};
use crate::capture::headers::Connection;

/// What raised an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The packet by itself.
    Packet,
    /// What its connection has done lately, the packet included.
    Connection,
    /// Both.
    Both,
}

impl Trigger {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Trigger::Packet => "packet",
            Trigger::Connection => "connection",
            Trigger::Both => "both",
        }
    }
}

/// Whether the last packets of a connection are scored together, beside each packet by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// They are, and each of the two kinds of alerts gets half of the false-alarm rate.
    #[default]
    #[serde(rename = "judged")]
    Scored,
    /// Packets are scored by themselves only, with the whole rate.
    Ignored,
}

/// A normal packet that is calibrated on: its connection, and the scores of all detectors; `None` of one that gives it none.
pub type NormalPacket = (Connection, Vec<Option<f64>>);

/// Calibrations of all detectors, of their combination and of the connections' means.
///
/// The packet's score is −ln p, p the conformal p-value of Fisher's sum over the detectors, see [`Combination`]. The
/// connection's score is −ln p of the mean of that over the last packets of the connection, see [`ConnectionScores`]. Each raises an
/// alert where its p is at most its part of the false-alarm rate; so all alerts together keep the rate, as far as new normal packets are
/// exchangeable with those calibrated on (Bonferroni).
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRule {
    combination: Combination,
    /// Of the means over connections; `None` where they are ignored.
    connection: Option<Conformal>,
    rate: FalseAlarmRate,
}

impl DecisionRule {
    /// Calibrates on `normal` packets, in their order, on which no detector was calibrated; `None` if there are none.
    pub fn calibrate(
        detectors: Vec<Conformal>,
        normal: &[NormalPacket],
        connections: Connections,
        rate: FalseAlarmRate,
    ) -> Option<DecisionRule> {
        let combination = Combination::calibrate(detectors, normal.iter().map(|(_, scores)| scores.as_slice()))?;
        let connection = match connections {
            Connections::Scored => Some(calibrate_connections(&combination, normal)?),
            Connections::Ignored => None,
        };
        Some(DecisionRule { combination, connection, rate })
    }

    /// Calibrations that were made before.
    pub fn of(combination: Combination, connection: Option<Conformal>, rate: FalseAlarmRate) -> DecisionRule {
        DecisionRule { combination, connection, rate }
    }

    /// The calibrations of the detectors and of their sum.
    pub fn combination(&self) -> &Combination {
        &self.combination
    }

    /// The calibration of the means over connections; `None` where they are ignored.
    pub fn connection(&self) -> Option<&Conformal> {
        self.connection.as_ref()
    }

    /// The wanted share of normal packets that raise an alert, of either kind.
    pub fn rate(&self) -> FalseAlarmRate {
        self.rate
    }

    /// What a packet's own score must exceed.
    pub fn packet_threshold(&self) -> Threshold {
        let rate = if self.connection.is_some() { self.rate.halved() } else { self.rate };
        Threshold::of_surprise(self.combination.sum().scores().len(), rate)
    }

    /// What a connection's score must exceed; `None` where connections are ignored.
    pub fn connection_threshold(&self) -> Option<Threshold> {
        let calibration = self.connection.as_ref()?;
        Some(Threshold::of_surprise(calibration.scores().len(), self.rate.halved()))
    }

    /// What raises an alert of a packet with this score, whose connection has that one; `None` if nothing does.
    pub fn trigger(&self, packet: f32, connection: Option<f32>) -> Option<Trigger> {
        let of_connection =
            connection.zip(self.connection_threshold()).is_some_and(|(score, threshold)| threshold.exceeded_by(score));
        match (self.packet_threshold().exceeded_by(packet), of_connection) {
            (true, true) => Some(Trigger::Both),
            (true, false) => Some(Trigger::Packet),
            (false, true) => Some(Trigger::Connection),
            (false, false) => None,
        }
    }

    /// Decides on packets as they come, the first one as if nothing went before.
    pub fn stream(&self) -> DecisionStream<'_> {
        let of_detectors = self.combination.detectors().iter().map(|_| ConnectionScores::default());
        DecisionStream { rule: self, connections: ConnectionScores::default(), of_detectors: of_detectors.collect() }
    }
}

/// The means over the connections of `normal` packets, each packet's surprise as if it were not calibrated on.
fn calibrate_connections(combination: &Combination, normal: &[NormalPacket]) -> Option<Conformal> {
    let mut connections = ConnectionScores::default();
    let mean = |(connection, scores): &NormalPacket| {
        connections.push(*connection, combination.surprise_left_out(&combination.shares(scores)))
    };
    Conformal::calibrate(normal.iter().map(mean).collect())
}

/// A rule at work, with the last packets of every connection.
pub struct DecisionStream<'a> {
    rule: &'a DecisionRule,
    connections: ConnectionScores,
    /// The same for what each detector adds.
    of_detectors: Vec<ConnectionScores>,
}

/// What is decided on a packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// −ln p of the packet by itself.
    pub packet: f32,
    /// −ln p of what its connection did lately; `None` where connections are ignored.
    pub connection: Option<f32>,
    /// What each detector added to the packet's score.
    pub packet_shares: Vec<f64>,
    /// What each added to the connection's.
    pub connection_shares: Vec<f64>,
}

impl DecisionStream<'_> {
    /// Decides on the next packet by the scores of all detectors.
    pub fn decide(&mut self, connection: Connection, scores: &[Option<f64>]) -> Decision {
        let combination = &self.rule.combination;
        let packet_shares = combination.shares(scores);
        let packet = combination.surprise(&packet_shares);
        let (mut of_connection, mut connection_shares) = (None, Vec::new());
        if let Some(calibration) = &self.rule.connection {
            of_connection = Some(calibration.surprise(self.connections.push(connection, packet)) as f32);
            let shares = self.of_detectors.iter_mut().zip(&packet_shares);
            connection_shares.extend(shares.map(|(recent, &share)| recent.push(connection, share)));
        }
        Decision { packet: packet as f32, connection: of_connection, packet_shares, connection_shares }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Packets of one detector, in ten connections.
    fn normal(rng: &mut ChaCha8Rng, count: usize) -> Vec<NormalPacket> {
        let connection = |i: usize| packet(1, (i % 10) as u8, 502, 60).connection();
        (0..count).map(|i| (connection(i), vec![Some(rng.random_range(0.0..1.0))])).collect()
    }

    fn rule_with(connections: Connections, rate: f64) -> DecisionRule {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let detector =
            Conformal::calibrate(normal(&mut rng, 1000).into_iter().filter_map(|(_, scores)| scores[0]).collect());
        let rate = FalseAlarmRate::new(rate).unwrap();
        DecisionRule::calibrate(vec![detector.unwrap()], &normal(&mut rng, 2000), connections, rate).unwrap()
    }

    #[test]
    fn both_kinds_of_alerts_together_keep_the_rate() {
        for connections in [Connections::Scored, Connections::Ignored] {
            let rule = rule_with(connections, 0.02);
            let mut stream = rule.stream();
            let new = normal(&mut ChaCha8Rng::seed_from_u64(9), 20_000);
            let alerts = new.iter().filter(|(connection, scores)| {
                let decision = stream.decide(*connection, scores);
                rule.trigger(decision.packet, decision.connection).is_some()
            });
            let rate = alerts.count() as f64 / new.len() as f64;
            assert!((0.01..0.03).contains(&rate), "{connections:?}: {rate}");
        }
    }

    #[test]
    fn a_little_too_much_in_every_packet_of_a_connection_is_an_alert_of_the_connection_only() {
        let rule = rule_with(Connections::Scored, 0.01);
        let mut stream = rule.stream();
        let connection = packet(1, 2, 502, 60).connection();
        let decisions: Vec<Decision> = (0..8).map(|_| stream.decide(connection, &[Some(0.97)])).collect();
        assert!(decisions.iter().all(|decision| !rule.packet_threshold().exceeded_by(decision.packet)));
        let threshold = rule.connection_threshold().unwrap();
        assert!(!threshold.exceeded_by(decisions[0].connection.unwrap()));
        assert!(threshold.exceeded_by(decisions[7].connection.unwrap()), "{:?}", decisions[7]);
    }

    #[test]
    fn the_least_p_value_is_an_alert_where_there_are_too_few_to_promise_the_rate() {
        let detector = Conformal::calibrate(vec![1.0, 2.0, 3.0]).unwrap();
        let rate = FalseAlarmRate::new(0.001).unwrap();
        let connection = packet(1, 2, 502, 60).connection();
        let normal: Vec<NormalPacket> = [1.0, 2.0, 3.0].map(|score| (connection, vec![Some(score)])).into();
        let rule = DecisionRule::calibrate(vec![detector], &normal, Connections::Ignored, rate).unwrap();
        let threshold = rule.packet_threshold();
        assert!(!threshold.promises_rate());
        let alert = |score: f64| threshold.exceeded_by(rule.stream().decide(connection, &[Some(score)]).packet);
        assert_eq!([1.0, 3.0, 3.5].map(alert), [false, false, true]);
    }
}
