//! Maps: windows or codes as points in the plane.

use std::ops::Range;

use super::parameters::{SEED, check_count};
use super::t_sne::t_sne;
use super::training_windows::{MOMENTS_WIDTH_MAX, chosen};
use crate::dataset::Origin;
use crate::detectors::SampleFile;
use crate::label::Label;
use crate::numeric::{Moments, leading};
use crate::progress::Progress;
use crate::{Error, Result};

/// Numbers of rows that are read at a time: 16 MiB of them.
const NUMBERS_AT_ONCE: usize = 1 << 22;

/// The method of a map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MapMethod {
    /// The two directions in which rows vary most: distances are true, as far as they fit into a plane.
    Pca,
    /// t-SNE: groups become visible, but sizes of groups and distances between them mean nothing.
    TSne {
        /// About how many neighbours each row has, from 1 to a third of the other rows; scikit-learn has 30.
        perplexity: f64,
        /// Iterations, from 1; scikit-learn has 1000.
        max_iter: usize,
    },
}

/// Which rows are mapped, and by which method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapConfig {
    /// The method.
    pub method: MapMethod,
    /// Maximum number of rows, drawn at random; default 5000.
    pub max_samples: usize,
    /// Random seed of the rows; default 1994.
    pub random_state: u64,
}

impl Default for MapConfig {
    fn default() -> Self {
        MapConfig {
            method: MapMethod::TSne { perplexity: 30.0, max_iter: 1000 },
            max_samples: 5000,
            random_state: SEED,
        }
    }
}

/// A row of a file in the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapPoint {
    /// Which row, from 0.
    pub row: u64,
    /// Its coordinates, in no unit.
    pub place: [f64; 2],
    /// Packets, time, label of the row, where they are known.
    pub origin: Option<Origin>,
}

/// Rows of a file in the plane. No rows can be added to a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// In the order of the file.
    pub points: Vec<MapPoint>,
    /// Rows in the file.
    pub rows: u64,
}

impl MapPoint {
    /// What the ground truth says of it.
    pub fn label(&self) -> Label {
        self.origin.map(|origin| origin.label).unwrap_or_default()
    }
}

impl Map {
    /// Maps the codes of a file, or the fragments of a dataset, whose bytes count from 0 to 1.
    ///
    /// Refuses a file with fewer than two rows, fragments of more than 8,192 bytes, and parameters out of range.
    pub fn of(file: &SampleFile, config: &MapConfig, progress: &dyn Progress) -> Result<Map> {
        config.check(file)?;
        let chosen = chosen(file.len(), config.max_samples, config.random_state);
        let rows = read(file, &chosen, progress)?;
        let width = rows.len() / chosen.len();
        progress.begin("finding the plane", None);
        let plane = plane(&rows, width);
        let places = match config.method {
            MapMethod::Pca => plane,
            MapMethod::TSne { perplexity, max_iter } => t_sne(rows, &plane, perplexity, max_iter, progress)?,
        };
        let origins = file.origins(0..file.len())?;
        let point = |(&row, place): (&usize, [f64; 2])| MapPoint { row: row as u64, place, origin: origins[row] };
        Ok(Map { points: chosen.iter().zip(places).map(point).collect(), rows: file.len() as u64 })
    }

    /// The map as CSV: row, x, y, label (−1 normal, 1 anomalous, 0 unknown), first and last packet where they are known.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |record: [String; 6]| writer.write_record(record).map_err(Error::unwritable("map"));
        write(["row", "x", "y", "label", "first_packet", "last_packet"].map(str::to_owned))?;
        for point in &self.points {
            let packet = |of: fn(Origin) -> u64| point.origin.map(|origin| of(origin).to_string()).unwrap_or_default();
            write([
                point.row.to_string(),
                point.place[0].to_string(),
                point.place[1].to_string(),
                point.label().to_i8().to_string(),
                packet(|origin| origin.first_packet),
                packet(|origin| origin.last_packet),
            ])?;
        }
        writer.into_inner().map_err(Error::unwritable("map"))
    }
}

impl MapConfig {
    fn check(&self, file: &SampleFile) -> Result<()> {
        file.check_rows()?;
        check_count("max_samples", self.max_samples)?;
        if let MapMethod::TSne { perplexity, max_iter } = self.method {
            check_count("max_iter", max_iter)?;
            let others = file.len().min(self.max_samples) - 1;
            if !(1.0..=others as f64 / 3.0).contains(&perplexity) {
                return Err(Error::Setting {
                    setting: "perplexity",
                    got: perplexity.to_string(),
                    expected: format!("1 to {}, a third of the other rows", others / 3),
                    remedy: Some("give more rows, another perplexity, or use PCA".into()),
                });
            }
        }
        match (file.len().min(self.max_samples), file.rows().width()) {
            (0..2, _) => Err(Error::setting("number of rows", file.len().min(self.max_samples), "at least 2")),
            (_, width) if width > MOMENTS_WIDTH_MAX => {
                Err(Error::setting("bytes in a fragment", width, format!("at most {MOMENTS_WIDTH_MAX} for a map")))
            }
            _ => Ok(()),
        }
    }
}

/// The numbers of these rows of a file, one after the other.
fn read(file: &SampleFile, chosen: &[usize], progress: &dyn Progress) -> Result<Vec<f32>> {
    let width = file.rows().width();
    let at_once = (NUMBERS_AT_ONCE / width).max(1);
    let mut numbers = Vec::with_capacity(chosen.len() * width);
    progress.begin("reading", Some(chosen.len() as u64));
    for rows in chosen.chunk_by(|a, b| a / at_once == b / at_once) {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let block: Range<usize> = rows[0]..rows[rows.len() - 1] + 1;
        let samples = file.samples(block.clone())?;
        let wanted: Vec<usize> = rows.iter().map(|row| row - block.start).collect();
        numbers.extend_from_slice(&samples.select(&wanted).numbers());
        progress.advance(rows.len() as u64);
    }
    Ok(numbers)
}

/// Rows in the plane in which they vary most.
fn plane(rows: &[f32], width: usize) -> Vec<[f64; 2]> {
    let Moments { mean, covariance, .. } = Moments::of(rows, width);
    let directions = leading(covariance, 2).vectors;
    let along = |row: &[f32], i: usize| {
        let direction = directions.column_iter().nth(i)?;
        Some(row.iter().zip(&mean).zip(direction.iter()).map(|((x, m), d)| (f64::from(*x) - m) * d).sum::<f64>())
    };
    rows.chunks(width).map(|row| [0, 1].map(|i| along(row, i).unwrap_or(0.0))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_plane_is_that_of_greatest_variance() {
        let rows: Vec<f32> = (0..50_u8).flat_map(|i| [f32::from(i), f32::from(i % 2) * 4.0, 0.5]).collect();
        let plane = plane(&rows, 3);
        let first: Vec<f64> = plane.iter().map(|place| place[0]).collect();
        assert!(first.is_sorted() && (first[49] - first[0] - 49.0).abs() < 0.1, "{first:?}");
        assert!((plane[0][1] - plane[1][1]).abs() > 3.9);
        assert_eq!(super::plane(&[1.0, 3.0], 1), [[-1.0, 0.0], [1.0, 0.0]]);
    }

    /// Three groups far from each other in twenty dimensions: of each row, the nearest on the map are of its group.
    #[test]
    fn neighbours_stay_neighbours_and_the_same_rows_give_the_same_map() {
        let noise = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
        let group = |row: usize| row % 3;
        let rows: Vec<f32> =
            (0..300 * 20).map(|i| noise(i) + if i % 20 == group(i / 20) { 6.0 } else { 0.0 }).collect();
        let map = || t_sne(rows.clone(), &plane(&rows, 20), 20.0, 300, &()).unwrap();
        let places = map();
        for (i, place) in places.iter().enumerate() {
            let far = |other: &[f64; 2]| (place[0] - other[0]).powi(2) + (place[1] - other[1]).powi(2);
            let mut others: Vec<usize> = (0..300).filter(|&other| other != i).collect();
            others.sort_by(|&a, &b| far(&places[a]).total_cmp(&far(&places[b])));
            assert!(others[..20].iter().all(|&other| group(other) == group(i)), "{i}");
        }
        assert_eq!(places, map());
    }

    proptest! {
        /// Rows that are often the same, in groups or all.
        #[test]
        fn rows_that_are_alike_are_mapped_too(
            rows in prop::collection::vec(prop::sample::select(vec![0.0_f32, 1.0, 1e-30, 3e38]), 20..160),
            width in 1..5_usize,
        ) {
            let count = rows.len() / width;
            prop_assume!(count >= 4);
            let rows = rows[..count * width].to_vec();
            let places = t_sne(rows.clone(), &plane(&rows, width), 1.0, 30, &()).unwrap();
            prop_assert!(places.len() == count && places.iter().flatten().all(|place| place.is_finite()));
        }
    }

    #[test]
    fn a_perplexity_for_more_rows_than_there_are_is_refused() {
        let refused = t_sne(vec![0.0; 40], &[[0.0; 2]; 20], 7.0, 10, &()).unwrap_err();
        assert_eq!(refused.to_string(), "perplexity 7: expected 1 to 6, a third of the other rows");
    }
}
