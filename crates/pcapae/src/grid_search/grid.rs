//! The grid: a blueprint in which any parameter may be a list of values.

use std::path::Path;

use serde_json::{Map, Value};

use crate::Result;
use crate::detectors::{Blueprint, detector_and_parameters, read_text};
use crate::error::{Fault, FileKind, Place};

/// More combinations than this are a mistake, or deserve several grids.
const COMBINATIONS_MAX: usize = 10_000;

/// All combinations of the values in a grid.
///
/// ```yaml
/// LocalOutlierFactor:
///   n_neighbors: [10, 20, 40]
///   metric: [euclidean, cosine]
///   contamination: 0
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The detector's name.
    pub detector: String,
    /// The parameters that are lists, by name.
    pub varied: Vec<String>,
    /// The combinations, the last parameter changing fastest.
    pub candidates: Vec<Candidate>,
}

/// One combination.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The detector with these parameters.
    pub blueprint: Blueprint,
    /// Its values of the parameters that are lists, as text.
    pub values: Vec<String>,
}

impl Grid {
    /// Reads a grid.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a grid: see [`from_yaml`](Self::from_yaml).
    pub fn open(path: &Path) -> Result<Grid> {
        Self::from_yaml(&read_text(path)?).map_err(FileKind::Blueprint.unreadable(path))
    }

    /// The grid in a text.
    ///
    /// # Errors
    ///
    /// The text is not YAML, does not name one detector, has an empty list, more than 10,000 combinations, or a combination that the
    /// detector does not take.
    pub fn from_yaml(text: &str) -> Result<Grid, Fault> {
        let (detector, parameters) = detector_and_parameters(text)?;
        let mut lists: Vec<(String, Vec<Value>)> = Vec::new();
        let mut fixed = Map::new();
        for (name, value) in parameters {
            match value {
                Value::Array(values) if values.is_empty() => return Err(Place::Parameter(name).empty()),
                Value::Array(values) => lists.push((name, values)),
                value => drop(fixed.insert(name, value)),
            }
        }
        let count = lists.iter().try_fold(1usize, |count, (_, values)| count.checked_mul(values.len()));
        let count = count.filter(|count| *count <= COMBINATIONS_MAX);
        let too_many = || Fault::found("more combinations", format!("at most {COMBINATIONS_MAX}"));
        let count = count.ok_or_else(too_many)?;
        let candidate = |number| candidate(&detector, &fixed, &lists, number);
        let candidates = (0..count).map(candidate).collect::<Result<_, _>>()?;
        Ok(Grid { varied: lists.iter().map(|(name, _)| name.clone()).collect(), candidates, detector })
    }
}

/// Combination `number`, whose digits, the last one running fastest, say which value of each list.
fn candidate(
    detector: &str,
    fixed: &Map<String, Value>,
    lists: &[(String, Vec<Value>)],
    mut number: usize,
) -> Result<Candidate, Fault> {
    let (mut parameters, mut values) = (fixed.clone(), Vec::new());
    for (name, list) in lists.iter().rev() {
        let value = &list[number % list.len()];
        number /= list.len();
        values.push(text(value));
        parameters.insert(name.clone(), value.clone());
    }
    values.reverse();
    Ok(Candidate { blueprint: Blueprint::from_parameters(detector, parameters)?, values })
}

/// The value as a cell of a table: text without quotation marks.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_there_once_and_the_last_parameter_changes_fastest() {
        let grid =
            Grid::from_yaml("OneClassSVM:\n  nu: [0.1, 0.5]\n  kernel: [rbf, linear, poly]\n  degree: 2\n").unwrap();
        assert_eq!(
            (grid.detector.as_str(), grid.varied.as_slice()),
            ("OneClassSVM", &["kernel".into(), "nu".into()][..])
        );
        let values: Vec<String> = grid.candidates.iter().map(|candidate| candidate.values.join(" ")).collect();
        assert_eq!(values, ["rbf 0.1", "rbf 0.5", "linear 0.1", "linear 0.5", "poly 0.1", "poly 0.5"]);
        assert!(grid.candidates.iter().all(|candidate| candidate.blueprint.parameters()["degree"] == 2));
        assert_eq!(grid.candidates[5].blueprint.parameters()["nu"], 0.5);
    }

    #[test]
    fn a_blueprint_is_a_grid_of_one() {
        let grid = Grid::from_yaml("IsolationForest").unwrap();
        assert_eq!((grid.varied.len(), grid.candidates.len()), (0, 1));
    }

    #[test]
    fn a_combination_that_cannot_be_is_refused_by_name() {
        let refused = |yaml: &str| Grid::from_yaml(yaml).unwrap_err().to_string();
        assert!(refused("OneClassSVM:\n  nu: [0.5, 2]").starts_with("OneClassSVM: nu 2: expected"));
        assert!(refused("OneClassSVM:\n  mu: [0.5]").starts_with("unknown parameter `mu`"));
        assert_eq!(refused("OneClassSVM:\n  nu: []"), "`nu` is empty");
        let many = (1..=200).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let yaml = format!("OneClassSVM:\n  degree: [{many}]\n  coef0: [{many}]");
        assert_eq!(refused(&yaml), "found more combinations, expected at most 10000");
    }
}
