//! A few coordinates of the samples, with points drawn evenly from the box around them.

use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Marks, SearchConfig};
use crate::Result;
use crate::detectors::{Blueprint, Samples};
use crate::metrics::{excess_mass, mass_volume};

/// Up to so many coordinates are looked at all at once, as in Goix 2016.
const WIDTH_MAX: usize = 8;
/// Of more, so many at a time, as there.
const COORDINATES: usize = 5;

/// Of longer files every n-th row is taken, the fewest that are more than half of this: draws are many, and mass and volume are shares.
const ROWS_MAX: usize = 5000;

/// Training and validation on the same few coordinates.
pub(super) struct Projection {
    training: Samples,
    validation: Samples,
    /// Drawn evenly from the box around the validation.
    points: Samples,
}

impl Projection {
    /// As many as the configuration wants, or one of all coordinates where they are few. None where nothing in the validation varies.
    pub fn draw(training: &Samples, validation: &Samples, config: &SearchConfig) -> Vec<Projection> {
        let ranges = ranges(validation);
        let varying: Vec<usize> = (0..ranges.len()).filter(|&i| ranges[i][0] < ranges[i][1]).collect();
        if varying.is_empty() || config.draws == 0 {
            return Vec::new();
        }
        let (training, validation) = (&thinned(training), &thinned(validation));
        let draws = if varying.len() <= WIDTH_MAX { 1 } else { config.draws };
        let draw = |number: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
            rng.set_stream(number as u64);
            let chosen = match varying.len() {
                ..=WIDTH_MAX => varying.clone(),
                many => sample(&mut rng, many, COORDINATES).iter().map(|i| varying[i]).collect(),
            };
            let point = |i: &usize| rng.random_range(ranges[*i][0]..=ranges[*i][1]);
            let points = std::iter::repeat_n(&chosen, config.points).flatten().map(point).collect();
            Projection {
                training: project(training, &chosen),
                validation: project(validation, &chosen),
                points: Samples::of_numbers(points, chosen.len()),
            }
        };
        (0..draws).map(draw).collect()
    }

    /// Excess mass and mass volume of the detector, fitted to these coordinates.
    fn measure(&self, blueprint: &Blueprint) -> Result<Option<[f64; 2]>> {
        let fitted = blueprint.fit(&self.training)?;
        let (scores, of_points) = (fitted.score(&self.validation)?, fitted.score(&self.points)?);
        let both = excess_mass(&scores, &of_points).zip(mass_volume(&scores, &of_points));
        Ok(both.map(|(excess, volume)| [excess, volume]))
    }
}

/// Puts the means of excess mass and mass volume over all projections into `marks`, or a remark why there are none.
pub(super) fn measure(projections: &[Projection], blueprint: &Blueprint, marks: &mut Marks) {
    let measured: Result<Vec<_>> = projections.iter().map(|projection| projection.measure(blueprint)).collect();
    let measured = match measured {
        Ok(measured) => measured,
        Err(refusal) => return marks.remarks.push(format!("no excess mass: {refusal}")),
    };
    let Some(measured) = measured.into_iter().collect::<Option<Vec<_>>>().filter(|all| !all.is_empty()) else { return };
    let mean = |which: usize| measured.iter().map(|both| both[which]).sum::<f64>() / measured.len() as f64;
    (marks.excess_mass, marks.mass_volume) = (Some(mean(0)), Some(mean(1)));
}

/// Every n-th row, at most [`ROWS_MAX`], in their order.
fn thinned(samples: &Samples) -> Samples {
    let every = samples.len().div_ceil(ROWS_MAX).max(1);
    let rows: Vec<usize> = (0..samples.len()).step_by(every).collect();
    samples.select(&rows)
}

/// The lowest and the highest value of each coordinate.
fn ranges(samples: &Samples) -> Vec<[f32; 2]> {
    let mut ranges = vec![[f32::INFINITY, f32::NEG_INFINITY]; samples.width()];
    for row in samples.numbers().chunks(samples.width()) {
        for (range, &value) in ranges.iter_mut().zip(row) {
            *range = [range[0].min(value), range[1].max(value)];
        }
    }
    ranges
}

fn project(samples: &Samples, chosen: &[usize]) -> Samples {
    let numbers = samples.numbers();
    let rows = numbers.chunks(samples.width());
    let values = rows.flat_map(|row| chosen.iter().map(|&i| row[i])).collect();
    Samples::of_numbers(values, chosen.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_rows_some_are_taken_evenly() {
        for (count, expected) in [(1, 1), (5000, 5000), (5001, 2501), (12_000, 4000)] {
            let samples = Samples::of_numbers((0..count).map(|i: usize| i as f32).collect(), 1);
            let thin = thinned(&samples);
            assert_eq!(thin.len(), expected);
            assert_eq!(thin.numbers()[thin.len() - 1] as usize, (expected - 1) * count.div_ceil(5000));
        }
    }

    #[test]
    fn points_fill_the_box_around_the_coordinates_that_vary() {
        let row = |i: usize| (0..12).map(move |j| if j < 2 { 1.0 } else { (i * j) as f32 });
        let samples = Samples::of_numbers((0..10).flat_map(row).collect(), 12);
        let config = SearchConfig { draws: 4, points: 500, ..SearchConfig::default() };
        let drawn = Projection::draw(&samples, &samples, &config);
        assert_eq!(drawn.len(), 4);
        for projection in &drawn {
            assert_eq!((projection.points.width(), projection.points.len(), projection.training.len()), (5, 500, 10));
            for (outer, inner) in ranges(&projection.validation).iter().zip(ranges(&projection.points)) {
                assert!(outer[0] <= inner[0] && inner[1] <= outer[1]);
                assert!(inner[1] - inner[0] > 0.9 * (outer[1] - outer[0]) && outer[0] < outer[1]);
            }
        }
        let narrow = project(&samples, &[0, 5, 6]);
        let drawn = Projection::draw(&narrow, &narrow, &config);
        assert_eq!((drawn.len(), drawn[0].points.width()), (1, 2));
        assert!(Projection::draw(&project(&samples, &[0]), &project(&samples, &[0]), &config).is_empty());
    }
}
