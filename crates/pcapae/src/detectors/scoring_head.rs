//! From one value a position to one score a row: the scoring heads.

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;
use crate::{Error, Result};

/// How the values of a row's positions become its score.
///
/// The values are non-negative surprises: −ln p of a byte, or the squared error of its reconstruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScoringHead {
    /// The sum over all positions.
    Sum,
    /// The mean over all positions.
    Mean,
    /// The mean of the `k` largest, so that a few odd bytes are not buried under many usual ones.
    Top {
        /// How many, at least 1; all positions where there are fewer.
        k: usize,
        /// Whether each position is standardised first, by what it usually is on normal traffic.
        standardised: bool,
    },
}

impl ScoringHead {
    /// The mean of the 8 largest, standardised.
    pub const TOP: ScoringHead = ScoringHead::Top { k: 8, standardised: true };

    /// Refuses a `k` of 0.
    pub fn check(&self) -> Result<()> {
        match self {
            ScoringHead::Top { k: 0, .. } => Err(Error::Setting {
                setting: "number of top positions",
                got: "0".into(),
                expected: "1 or more".into(),
                remedy: None,
            }),
            _ => Ok(()),
        }
    }

    /// Whether the head needs a [`Standardisation`].
    pub fn is_standardised(&self) -> bool {
        matches!(self, ScoringHead::Top { standardised: true, .. })
    }

    /// The score of a row; `usual` is left aside by heads that do not standardise, and where it is absent values stay as they are.
    pub fn score(&self, values: &[f32], usual: Option<&Standardisation>) -> f64 {
        let sum = || values.iter().map(|&value| f64::from(value)).sum::<f64>();
        match *self {
            ScoringHead::Sum => sum(),
            ScoringHead::Mean => sum() / values.len().max(1) as f64,
            ScoringHead::Top { k, standardised } => match usual.filter(|_| standardised) {
                Some(usual) => mean_of_largest(usual.applied_to(values), k),
                None => mean_of_largest(values.iter().copied(), k),
            },
        }
    }

    /// What the score is made of, a value a position: standardised by heads that do so, else as it is.
    pub fn position_values(&self, values: &[f32], usual: Option<&Standardisation>) -> Vec<f32> {
        match usual.filter(|_| self.is_standardised()) {
            Some(usual) => usual.applied_to(values).collect(),
            None => values.to_vec(),
        }
    }
}

/// Mean of the `k` largest values, or of all where there are fewer; 0 of none.
fn mean_of_largest(values: impl Iterator<Item = f32>, k: usize) -> f64 {
    // Ascending; the smallest of the largest is in front.
    let mut largest: Vec<f32> = Vec::with_capacity(k.min(256) + 1);
    for value in values {
        if largest.len() == k {
            if value <= largest[0] {
                continue;
            }
            largest.remove(0);
        }
        let at = largest.partition_point(|&other| other < value);
        largest.insert(at, value);
    }
    largest.iter().map(|&value| f64::from(value)).sum::<f64>() / largest.len().max(1) as f64
}

/// What each position usually is on normal traffic: z = (x − mean) / max(deviation, floor).
///
/// Without the floor a position that never varies would make any change of it infinite, and the least noise in it as large as an
/// attack. A floor of the size that matters, in the unit of the values, keeps such positions at their plain excess.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardisation {
    mean: Vec<f32>,
    /// Not below the floor.
    deviation: Vec<f32>,
}

impl Standardisation {
    /// From the sums of values and of their squares at each position, over rows of a total weight.
    pub fn from_sums(sums: &[f64], squares: &[f64], weight: f64, floor: f32) -> Standardisation {
        let weight = weight.max(f64::MIN_POSITIVE);
        let mean: Vec<f64> = sums.iter().map(|sum| sum / weight).collect();
        let deviation =
            mean.iter().zip(squares).map(|(mean, squares)| (squares / weight - mean * mean).max(0.0).sqrt());
        Standardisation {
            deviation: deviation.map(|deviation| (deviation as f32).max(floor)).collect(),
            mean: mean.into_iter().map(|mean| mean as f32).collect(),
        }
    }

    /// The standardised values of a row.
    fn applied_to<'a>(&'a self, values: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        let usual = self.mean.iter().zip(&self.deviation);
        values.iter().zip(usual).map(|(value, (mean, deviation))| (value - mean) / deviation)
    }

    /// Means, then deviations, appended to rows of `2 × width` numbers.
    pub(super) fn put_into(&self, rows: &mut Vec<f64>) {
        rows.extend(self.mean.iter().chain(&self.deviation).map(|&value| f64::from(value)));
    }

    /// From a row of `2 × width` numbers, all finite.
    pub(super) fn from_row(row: &[f64]) -> Result<Standardisation, Fault> {
        let floats: Vec<f32> = row.iter().map(|&value| value as f32).collect();
        let (mean, deviation) = floats.split_at(floats.len() / 2);
        if let Some(mean) = mean.iter().find(|mean| !mean.is_finite()) {
            return Err(Place::Array("standardisation".into()).found(format!("the mean {mean}"), "finite numbers"));
        }
        match deviation.iter().find(|deviation| !deviation.is_finite() || **deviation <= 0.0) {
            Some(deviation) => {
                Err(Place::Array("standardisation".into()).found(format!("the deviation {deviation}"), "more than 0"))
            }
            None => Ok(Standardisation { mean: mean.to_vec(), deviation: deviation.to_vec() }),
        }
    }

    /// As numbers, under the name `standardisation`.
    pub fn put(&self, numbers: &mut NamedArrays) {
        let mut row = Vec::new();
        self.put_into(&mut row);
        numbers.put_shaped("standardisation", &[2, self.mean.len()], row);
    }

    /// From numbers, for rows of `width` positions.
    pub fn from_arrays(width: usize, numbers: &NamedArrays) -> Result<Standardisation, Fault> {
        Standardisation::from_row(&numbers.get("standardisation", &[Some(2), Some(width)])?.values)
    }
}

/// Sums over rows, from which a [`Standardisation`] follows.
#[derive(Debug, Clone, Default)]
pub struct PositionSums {
    rows: usize,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl PositionSums {
    /// Takes a row. All rows are equally wide.
    pub fn add(&mut self, values: &[f32]) {
        self.sums.resize(values.len(), 0.0);
        self.squares.resize(values.len(), 0.0);
        for ((sum, square), &value) in self.sums.iter_mut().zip(&mut self.squares).zip(values) {
            *sum += f64::from(value);
            *square += f64::from(value) * f64::from(value);
        }
        self.rows += 1;
    }

    /// How many rows were taken.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Mean and deviation of each position, the deviation not below `floor`.
    pub fn standardisation(&self, floor: f32) -> Standardisation {
        Standardisation::from_sums(&self.sums, &self.squares, self.rows as f64, floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(rows: &[[f32; 3]]) -> PositionSums {
        let mut sums = PositionSums::default();
        rows.iter().for_each(|row| sums.add(row));
        sums
    }

    #[test]
    fn a_constant_position_counts_its_excess_over_the_floor() {
        let usual = rows(&[[1.0, 0.0, 5.0], [1.0, 4.0, 5.0]]).standardisation(0.5);
        assert_eq!(usual, Standardisation { mean: vec![1.0, 2.0, 5.0], deviation: vec![0.5, 2.0, 0.5] });
        let head = |k| ScoringHead::Top { k, standardised: true };
        // (4 − 1) / 0.5 = 6, (6 − 2) / 2 = 2, (5 − 5) / 0.5 = 0.
        assert_eq!(
            [1, 2, 3, 9].map(|k| head(k).score(&[4.0, 6.0, 5.0], Some(&usual))),
            [6.0, 4.0, 8.0 / 3.0, 8.0 / 3.0]
        );
        assert_eq!(ScoringHead::Top { k: 1, standardised: false }.score(&[4.0, 6.0, 5.0], Some(&usual)), 6.0);
    }

    #[test]
    fn a_standardisation_survives_its_numbers_and_strangers_are_refused() {
        let usual = rows(&[[1.0, 0.1, 5.0], [2.0, 4.0, 5.0]]).standardisation(0.5);
        let mut numbers = NamedArrays::default();
        usual.put(&mut numbers);
        assert_eq!(Standardisation::from_arrays(3, &numbers), Ok(usual));
        assert!(Standardisation::from_arrays(4, &numbers).is_err());
        numbers.put_shaped("standardisation", &[2, 1], vec![0.0; 2]);
        let fault = Standardisation::from_arrays(1, &numbers).unwrap_err().to_string();
        assert_eq!(fault, "`standardisation` holds the deviation 0, expected more than 0");
    }

    #[test]
    fn position_values_are_what_the_score_is_made_of() {
        let usual = rows(&[[1.0, 0.0, 5.0], [1.0, 4.0, 5.0]]).standardisation(0.5);
        let values = [4.0, 6.0, 5.0];
        assert_eq!(ScoringHead::TOP.position_values(&values, Some(&usual)), [6.0, 2.0, 0.0]);
        assert_eq!(ScoringHead::Mean.position_values(&values, Some(&usual)), values);
        assert_eq!(ScoringHead::TOP.position_values(&values, None), values);
    }

    #[test]
    fn no_top_position_is_refused() {
        assert!(ScoringHead::Top { k: 0, standardised: false }.check().is_err());
        assert!(ScoringHead::TOP.check().is_ok());
    }

    proptest! {
        #[test]
        fn heads_are_what_sorting_gives(values in prop::collection::vec(0f32..10.0, 1..40), k in 1usize..50) {
            let mut sorted: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
            prop_assert!(close(ScoringHead::Sum.score(&values, None), sorted.iter().sum()));
            prop_assert!(close(ScoringHead::Mean.score(&values, None), mean(&sorted)));
            let top = ScoringHead::Top { k, standardised: false }.score(&values, None);
            prop_assert!(close(top, mean(&sorted[..k.min(sorted.len())])));
        }
    }
}
