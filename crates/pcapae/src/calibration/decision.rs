//! When what detectors say of a packet is an alert.

use nohash_hasher::IntMap;

use super::{BlockMaxima, Limits};
use crate::detectors::Aspect;
use crate::{Error, Result};

/// How far above the highest of all blocks a score must be, in scales of the blocks' maxima.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarginScales(f64);

impl MarginScales {
    /// From 0 to 100. Default 3.
    ///
    /// # Errors
    ///
    /// The number is out of range.
    pub fn new(scales: f64) -> Result<MarginScales> {
        if (0.0..=100.0).contains(&scales) {
            return Ok(MarginScales(scales));
        }
        Err(Error::Setting {
            setting: "margin",
            got: scales.to_string(),
            expected: "from 0 to 100".into(),
            remedy: Some("3 is the default; more gives fewer alerts".into()),
        })
    }

    /// As a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Default for MarginScales {
    fn default() -> Self {
        MarginScales(3.0)
    }
}

/// What normal traffic reached, for each aspect of each detector, and the limits that follow.
///
/// A packet is an alert if one of its signals exceeds the limit of its cell: one strong witness is enough.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRule {
    scales: MarginScales,
    blocks: u32,
    detectors: Vec<DetectorRule>,
    /// Up to which score each cause that was accepted is normal.
    accepted: IntMap<u64, f32>,
}

/// The part of one detector.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorRule {
    aspects: &'static [Aspect],
    /// One of each aspect; none where the detector raises no alerts.
    maxima: Vec<BlockMaxima>,
    limits: Vec<Limits>,
}

impl DetectorRule {
    /// Whether the detector raises alerts at all.
    pub fn raises_alerts(&self) -> bool {
        !self.maxima.is_empty()
    }

    /// What it watches.
    pub fn aspects(&self) -> &'static [Aspect] {
        self.aspects
    }

    /// What each aspect reached in the blocks of normal traffic.
    pub fn maxima(&self) -> &[BlockMaxima] {
        &self.maxima
    }

    /// The limits of each aspect.
    pub fn limits(&self) -> &[Limits] {
        &self.limits
    }
}

impl DecisionRule {
    /// From what the detectors reached in `blocks` blocks of normal traffic: of each its aspects, and the maxima of each of them, or none where
    /// it raises no alerts.
    pub fn new(
        scales: MarginScales,
        blocks: u32,
        detectors: Vec<(&'static [Aspect], Vec<BlockMaxima>)>,
    ) -> DecisionRule {
        Self::with(scales, blocks, detectors, None)
    }

    fn with(
        scales: MarginScales,
        blocks: u32,
        detectors: Vec<(&'static [Aspect], Vec<BlockMaxima>)>,
        without: Option<u32>,
    ) -> DecisionRule {
        let rule = |(aspects, maxima): (&'static [Aspect], Vec<BlockMaxima>)| {
            let limits = |(aspect, maxima): (&Aspect, &BlockMaxima)| {
                maxima.limits((aspect.margin, aspect.unknown_cell), scales.get(), blocks, without)
            };
            let limits = aspects.iter().zip(&maxima).map(limits).collect();
            DetectorRule { aspects, maxima, limits }
        };
        DecisionRule {
            scales,
            blocks,
            detectors: detectors.into_iter().map(rule).collect(),
            accepted: IntMap::default(),
        }
    }

    /// Takes a cause as normal up to a score.
    pub fn accept(&mut self, cause: u64, up_to: f32) {
        let accepted = self.accepted.entry(cause).or_insert(up_to);
        *accepted = accepted.max(up_to);
    }

    /// Whether a score of this cause was accepted.
    pub fn accepts(&self, cause: u64, score: f32) -> bool {
        self.accepted.get(&cause).is_some_and(|up_to| score <= *up_to)
    }

    /// The rule that would follow if one block had not been learned.
    pub fn without(&self, block: u32) -> DecisionRule {
        let detectors = self.detectors.iter().map(|rule| (rule.aspects, rule.maxima.clone())).collect();
        Self::with(self.scales, self.blocks, detectors, Some(block))
    }

    /// How far above the highest a score must be.
    pub fn scales(&self) -> MarginScales {
        self.scales
    }

    /// How many blocks of normal traffic it rests on.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// The parts of the detectors, in their order.
    pub fn detectors(&self) -> &[DetectorRule] {
        &self.detectors
    }
}
