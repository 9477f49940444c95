//! Samples for the tests of detectors that look at facts.

use super::Samples;
use crate::capture::headers::PacketFacts;

/// Rows of four zero bytes with these facts.
pub(crate) fn samples(facts: &[PacketFacts]) -> Samples {
    Samples::of_bytes(vec![0; 4 * facts.len()], 4).with_facts(facts.to_vec())
}
