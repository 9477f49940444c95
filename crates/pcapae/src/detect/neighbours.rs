//! The nearest rows: exact search in leaves of near rows, with distances in single precision to choose and in double to tell.

use std::cell::RefCell;

use rayon::prelude::*;

use super::Numbers;
use super::distance::Distance;
use crate::engine::{Columns, Differences, Instructions};

/// The name of the rows among the numbers of a detector.
const ROWS: &str = "rows";

/// Most rows in a leaf: one comparison with a leaf's box is worth not comparing with its rows.
const LEAF: usize = 256;

/// Single precision may be off by this share of a sum, a column; twice its rounding, to be safe.
const SLACK: f32 = 2.0 * f32::EPSILON;

/// A neighbour of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Neighbour {
    /// Its place among the rows that are searched.
    pub row: usize,
    pub distance: f64,
}

/// Rows that can be searched for the nearest ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbourhood {
    rows: Vec<f32>,
    width: usize,
    distance: Distance,
    leaves: Vec<Leaf>,
}

/// Rows near each other, and the box around them.
#[derive(Debug, Clone, PartialEq)]
struct Leaf {
    places: Vec<usize>,
    columns: Columns,
    lowest: Vec<f32>,
    highest: Vec<f32>,
}

impl Neighbourhood {
    /// Takes rows of `width` numbers, all finite, one after the other.
    pub fn new(rows: Vec<f32>, width: usize, distance: Distance) -> Neighbourhood {
        let mut neighbourhood = Neighbourhood { rows, width, distance, leaves: Vec::new() };
        if distance.differences().is_some() {
            let all = (0..neighbourhood.len()).collect();
            neighbourhood.leaves = neighbourhood.split(all);
        }
        neighbourhood
    }

    /// Those rows that [`numbers`](Self::numbers) gave; says in a few words where there are fewer than `least`, or of another width.
    pub fn from_numbers(numbers: &Numbers, width: usize, least: usize, distance: Distance) -> Result<Self, String> {
        let rows = numbers.get(ROWS, &[None, Some(width)])?;
        if width == 0 || rows.shape[0] < least {
            return Err(format!("{} rows of {width} numbers, expected at least {least}", rows.shape[0]));
        }
        Ok(Neighbourhood::new(rows.values.iter().map(|value| *value as f32).collect(), width, distance))
    }

    /// The rows, to be kept in a file.
    pub fn numbers(&self) -> Numbers {
        let mut numbers = Numbers::default();
        let rows = self.rows.iter().map(|value| f64::from(*value)).collect();
        numbers.put_shaped(ROWS, &[self.len(), self.width], rows);
        numbers
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len() / self.width
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// For each of `queries`, rows of the same width, what `tell` makes of its `count` nearest rows, the nearest first.
    pub fn of_each<T: Send>(
        &self,
        queries: &[f32],
        count: usize,
        tell: impl Fn(usize, &[Neighbour]) -> T + Sync,
    ) -> Vec<T> {
        let nearest = |(query, row): (usize, &[f32])| tell(query, &self.nearest(row, count, None));
        queries.par_chunks(self.width).enumerate().map(nearest).collect()
    }

    /// The same for the rows themselves, none of which is its own neighbour.
    pub fn of_own<T: Send>(&self, count: usize, tell: impl Fn(usize, &[Neighbour]) -> T + Sync) -> Vec<T> {
        let nearest = |(query, row): (usize, &[f32])| tell(query, &self.nearest(row, count, Some(query)));
        self.rows.par_chunks(self.width).enumerate().map(nearest).collect()
    }

    fn row(&self, place: usize) -> &[f32] {
        &self.rows[place * self.width..][..self.width]
    }

    fn nearest(&self, query: &[f32], count: usize, itself: Option<usize>) -> Vec<Neighbour> {
        let places = match self.distance.differences() {
            Some(differences) => self.candidates(query, count, itself, differences),
            None => (0..self.len()).filter(|&place| Some(place) != itself).collect(),
        };
        let told = |row: usize| Neighbour { row, distance: self.distance.between(query, self.row(row)) };
        let mut nearest: Vec<Neighbour> = places.into_iter().map(told).collect();
        let order = |a: &Neighbour, b: &Neighbour| a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row));
        if nearest.len() > count {
            nearest.select_nth_unstable_by(count, order);
            nearest.truncate(count);
        }
        nearest.sort_unstable_by(order);
        nearest
    }

    /// Places of rows among which the `count` nearest are for certain.
    fn candidates(&self, query: &[f32], count: usize, itself: Option<usize>, what: Differences) -> Vec<usize> {
        let tolerance = 1.0 + (self.width + 2) as f32 * SLACK;
        let mut leaves: Vec<(f32, usize)> =
            self.leaves.iter().enumerate().map(|(i, leaf)| (leaf.least(query, what), i)).collect();
        leaves.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut found = Found { count, tolerance, bound: f32::INFINITY, rows: Vec::new() };
        SUMS.with_borrow_mut(|sums| {
            for (least, leaf) in leaves {
                if least > found.bound * tolerance {
                    break;
                }
                let leaf = &self.leaves[leaf];
                leaf.columns.differences_to(query, what, Instructions::best(), sums);
                for (&sum, &place) in sums.iter().zip(&leaf.places) {
                    if sum <= found.bound && Some(place) != itself {
                        found.add(sum, place);
                    }
                }
            }
        });
        found.rows.into_iter().map(|(_, place)| place).collect()
    }

    /// Splits rows at the median of the column in which they differ most, until they fit into leaves.
    fn split(&self, mut places: Vec<usize>) -> Vec<Leaf> {
        let (lowest, highest) = self.bounds(&places);
        let spreads = lowest.iter().zip(&highest).map(|(low, high)| high - low);
        let widest = spreads.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        match widest {
            Some((column, spread)) if places.len() > LEAF && spread > 0.0 => {
                let value = |place: &usize| self.rows[place * self.width + column];
                // Whole leaves on the left, so that few are half empty.
                let middle = (places.len() / 2).next_multiple_of(LEAF).min(places.len() - 1);
                places.select_nth_unstable_by(middle, |a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
                let right = places.split_off(middle);
                let (mut left, right) = rayon::join(|| self.split(places), || self.split(right));
                left.extend(right);
                left
            }
            _ => places
                .chunks(LEAF)
                .map(|places| Leaf {
                    places: places.to_vec(),
                    columns: Columns::of(&self.rows, self.width, places),
                    lowest: lowest.clone(),
                    highest: highest.clone(),
                })
                .collect(),
        }
    }

    fn bounds(&self, places: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let (mut lowest, mut highest) = (vec![f32::INFINITY; self.width], vec![f32::NEG_INFINITY; self.width]);
        for &place in places {
            for ((value, low), high) in self.row(place).iter().zip(&mut lowest).zip(&mut highest) {
                *low = low.min(*value);
                *high = high.max(*value);
            }
        }
        (lowest, highest)
    }
}

thread_local! {
    /// Room for the sums of a leaf.
    static SUMS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Leaf {
    /// No row of the leaf is nearer than this, but for rounding.
    fn least(&self, query: &[f32], what: Differences) -> f32 {
        let beside = query.iter().zip(&self.lowest).zip(&self.highest);
        let gaps = beside.map(|((x, low), high)| (low - x).max(x - high).max(0.0));
        match what {
            Differences::Squared => gaps.map(|gap| gap * gap).sum(),
            Differences::Absolute => gaps.sum(),
        }
    }
}

/// Rows that may be among the nearest.
struct Found {
    count: usize,
    tolerance: f32,
    /// A row with a greater sum is none of them.
    bound: f32,
    rows: Vec<(f32, usize)>,
}

impl Found {
    fn add(&mut self, sum: f32, place: usize) {
        self.rows.push((sum, place));
        // Now and then, so that most rows cost no more than this.
        if self.rows.len() >= 2 * self.count + 64 {
            self.prune();
        }
    }

    fn prune(&mut self) {
        let (_, last, _) = self.rows.select_nth_unstable_by(self.count - 1, |a, b| a.0.total_cmp(&b.0));
        // Sums may be too large or too small by the tolerance, and the smallest have no digits.
        let bound = last.0 * self.tolerance * self.tolerance + f32::MIN_POSITIVE * 1e3;
        self.bound = bound;
        self.rows.retain(|(sum, _)| *sum <= bound);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_nearest_are_those_of_a_plain_search(
            width in 1..6usize,
            // Few different values, so that many rows are equally near.
            values in prop::collection::vec(prop_oneof![(0..4i8).prop_map(f32::from), -1e3f32..1e3], 6 * 700),
            count in 1..40usize,
            distance in prop::sample::select(vec![Distance::Euclidean, Distance::Manhattan, Distance::Minkowski(3.0), Distance::Cosine]),
        ) {
            let rows = values[..values.len() / width * width].to_vec();
            let neighbourhood = Neighbourhood::new(rows.clone(), width, distance);
            let queries = &rows[..5 * width];
            let found = neighbourhood.of_each(queries, count, |_, near| near.iter().map(|n| n.distance).collect::<Vec<_>>());
            for (query, found) in queries.chunks(width).zip(found) {
                let mut all: Vec<f64> = rows.chunks(width).map(|row| distance.between(query, row)).collect();
                all.sort_by(f64::total_cmp);
                prop_assert_eq!(&found[..], &all[..count.min(all.len())]);
            }
        }
    }

    #[test]
    fn a_row_is_not_its_own_neighbour_but_its_double_is() {
        let neighbourhood = Neighbourhood::new(vec![1.0, 1.0, 5.0], 1, Distance::Euclidean);
        let found = neighbourhood.of_own(1, |_, near| (near[0].row, near[0].distance));
        assert_eq!(found, [(1, 0.0), (0, 0.0), (0, 4.0)]);
    }
}
