//! The nearest rows: exact search in leaves of near rows, with distances in single precision to choose and in double to tell.

use std::cell::RefCell;

use rayon::prelude::*;

use super::Parts;
use super::difference_sums::{Columns, Differences, Sums};
use super::distance::Distance;
use crate::engine::simd::Instructions;
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;

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

/// Queries that are searched for together: near ones want the same leaves, which are then read once for all of them.
const BLOCK: usize = 32;

/// Rows that can be searched for the nearest ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbourhood {
    rows: Vec<f32>,
    width: usize,
    distance: Distance,
    leaves: Vec<Leaf>,
}

/// Rows near each other, and the box that they lie in.
#[derive(Debug, Clone, PartialEq)]
struct Leaf {
    places: Vec<usize>,
    columns: Columns,
    around: Bounds,
}

impl Neighbourhood {
    /// Takes rows of `width` numbers, all finite, one after the other.
    pub fn new(rows: Vec<f32>, width: usize, distance: Distance) -> Neighbourhood {
        let mut neighbourhood = Neighbourhood { rows, width, distance, leaves: Vec::new() };
        if distance.differences().is_some() {
            let groups = groups(&neighbourhood.rows, width, LEAF);
            neighbourhood.leaves = groups.into_par_iter().map(|places| neighbourhood.leaf(places)).collect();
        }
        neighbourhood
    }

    /// Those rows that [`numbers`](Self::numbers) gave; says in a few words where there are fewer than `least`, or of another width.
    pub fn from_arrays(numbers: &NamedArrays, width: usize, least: usize, distance: Distance) -> Result<Self, Fault> {
        let rows = numbers.get(ROWS, &[None, Some(width)])?;
        if width == 0 || rows.shape[0] < least {
            return Err(Place::Array(ROWS.into()).found(format!("{} rows", rows.shape[0]), format!("at least {least}")));
        }
        Ok(Neighbourhood::new(rows.values.iter().map(|value| *value as f32).collect(), width, distance))
    }

    /// The rows, to be kept in a file.
    pub fn numbers(&self) -> NamedArrays {
        let mut numbers = NamedArrays::default();
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
        self.of_blocks(queries, &groups(queries, self.width, BLOCK), count, false, tell)
    }

    /// The same for the rows themselves, none of which is its own neighbour.
    pub fn of_own<T: Send>(&self, count: usize, tell: impl Fn(usize, &[Neighbour]) -> T + Sync) -> Vec<T> {
        self.of_blocks(&self.rows, &groups(&self.rows, self.width, BLOCK), count, true, tell)
    }

    fn of_blocks<T: Send>(
        &self,
        queries: &[f32],
        blocks: &[Vec<usize>],
        count: usize,
        own: bool,
        tell: impl Fn(usize, &[Neighbour]) -> T + Sync,
    ) -> Vec<T> {
        let of_block = |block: &Vec<usize>| {
            let queries: Vec<Query> = block
                .iter()
                .map(|&place| Query { row: &queries[place * self.width..][..self.width], itself: own.then_some(place) })
                .collect();
            let told = |(place, near): (&usize, Vec<Neighbour>)| (*place, tell(*place, &near));
            block.iter().zip(self.nearest(&queries, count)).map(told).collect::<Vec<_>>()
        };
        let mut told: Vec<(usize, T)> = blocks.par_iter().flat_map_iter(of_block).collect();
        told.sort_unstable_by_key(|(place, _)| *place);
        told.into_iter().map(|(_, told)| told).collect()
    }

    /// The `count` nearest of one row, the nearest first, and the parts of each distance; `None` where the distance has none, or the row is of
    /// another width.
    pub fn parts(&self, row: &[f64], count: usize) -> Option<Vec<(Neighbour, Parts)>> {
        if row.len() != self.width {
            return None;
        }
        let query: Vec<f32> = row.iter().map(|value| *value as f32).collect();
        let of_one = |near: Neighbour| Some((near, self.distance.parts(row, self.row(near.row))?));
        self.nearest(&[Query { row: &query, itself: None }], count).into_iter().flatten().map(of_one).collect()
    }

    fn row(&self, place: usize) -> &[f32] {
        &self.rows[place * self.width..][..self.width]
    }

    fn leaf(&self, places: Vec<usize>) -> Leaf {
        let columns = Columns::of(&self.rows, self.width, &places);
        let around = Bounds::around(places.iter().map(|&place| self.row(place)), self.width);
        Leaf { places, columns, around }
    }

    /// The nearest rows of each query.
    fn nearest(&self, queries: &[Query], count: usize) -> Vec<Vec<Neighbour>> {
        let candidates = match self.distance.differences() {
            Some(differences) => self.candidates(queries, count, differences),
            None => {
                queries.iter().map(|query| (0..self.len()).filter(|p| Some(*p) != query.itself).collect()).collect()
            }
        };
        let order = |a: &Neighbour, b: &Neighbour| a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row));
        let nearest = |(query, places): (&Query, Vec<usize>)| {
            let told = |row: usize| Neighbour { row, distance: self.distance.between(query.row, self.row(row)) };
            let mut nearest: Vec<Neighbour> = places.into_iter().map(told).collect();
            if nearest.len() > count {
                nearest.select_nth_unstable_by(count, order);
                nearest.truncate(count);
            }
            nearest.sort_unstable_by(order);
            nearest
        };
        queries.iter().zip(candidates).map(nearest).collect()
    }

    /// For each query, places of rows among which the `count` nearest are for certain.
    fn candidates(&self, queries: &[Query], count: usize, what: Differences) -> Vec<Vec<usize>> {
        let tolerance = 1.0 + (self.width + 2) as f32 * SLACK;
        let around = Bounds::around(queries.iter().map(|query| query.row), self.width);
        let mut leaves: Vec<(f32, &Leaf)> =
            self.leaves.iter().map(|leaf| (leaf.around.gap(&around, what), leaf)).collect();
        leaves.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut found: Vec<Found> = queries.iter().map(|_| Found::new(count, tolerance)).collect();
        let (mut wanting, mut rows) = (Vec::new(), Vec::new());
        SUMS.with_borrow_mut(|sums| {
            for (gap, leaf) in leaves {
                if found.iter().all(|found| gap > found.bound * tolerance) {
                    break;
                }
                wanting.clear();
                wanting.extend((0..queries.len()).filter(|&i| {
                    found[i].bound == f32::INFINITY
                        || leaf.around.gap_to(queries[i].row, what) <= found[i].bound * tolerance
                }));
                rows.clear();
                rows.extend(wanting.iter().map(|&i| queries[i].row));
                leaf.columns.differences_to(&rows, what, Instructions::best(), sums);
                for (number, &i) in wanting.iter().enumerate() {
                    found[i].take(sums.groups(number), &leaf.places, queries[i].itself);
                }
            }
        });
        found.into_iter().map(|found| found.rows.into_iter().map(|(_, place)| place).collect()).collect()
    }
}

thread_local! {
    /// Room for the sums of a leaf.
    static SUMS: RefCell<Sums> = RefCell::default();
}

/// Rows in groups of at most `most` near ones: split at the median of the column in which they differ most, until they are small enough.
fn groups(rows: &[f32], width: usize, most: usize) -> Vec<Vec<usize>> {
    fn split(rows: &[f32], width: usize, most: usize, mut places: Vec<usize>) -> Vec<Vec<usize>> {
        if places.len() <= most {
            return if places.is_empty() { vec![] } else { vec![places] };
        }
        let around = Bounds::around(places.iter().map(|&place| &rows[place * width..][..width]), width);
        let spreads = around.lowest.iter().zip(&around.highest).map(|(low, high)| high - low);
        match spreads.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((column, spread)) if spread > 0.0 => {
                let value = |place: &usize| rows[place * width + column];
                // Whole groups on the left, so that few are half empty.
                let middle = (places.len() / 2).next_multiple_of(most).min(places.len() - 1);
                places.select_nth_unstable_by(middle, |a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
                let right = places.split_off(middle);
                let halves = rayon::join(|| split(rows, width, most, places), || split(rows, width, most, right));
                [halves.0, halves.1].concat()
            }
            _ => places.chunks(most).map(<[usize]>::to_vec).collect(),
        }
    }
    split(rows, width, most, (0..rows.len() / width).collect())
}

/// A row whose nearest are wanted, and which of the rows it is, if it is one of them.
struct Query<'a> {
    row: &'a [f32],
    itself: Option<usize>,
}

/// The least and the greatest number of each column.
#[derive(Debug, Clone, PartialEq)]
struct Bounds {
    lowest: Vec<f32>,
    highest: Vec<f32>,
}

impl Bounds {
    fn around<'a>(rows: impl Iterator<Item = &'a [f32]>, width: usize) -> Bounds {
        let mut around = Bounds { lowest: vec![f32::INFINITY; width], highest: vec![f32::NEG_INFINITY; width] };
        for row in rows {
            for ((value, low), high) in row.iter().zip(&mut around.lowest).zip(&mut around.highest) {
                *low = low.min(*value);
                *high = high.max(*value);
            }
        }
        around
    }

    /// No rows of the two boxes are nearer to each other than this, but for rounding.
    fn gap(&self, other: &Bounds, what: Differences) -> f32 {
        gap([&self.lowest, &self.highest], [&other.lowest, &other.highest], what)
    }

    /// No row of the box is nearer to `row` than this, but for rounding.
    fn gap_to(&self, row: &[f32], what: Differences) -> f32 {
        gap([&self.lowest, &self.highest], [row, row], what)
    }
}

/// The sum over the columns of what lies between the ends of two boxes, which are the lowest and the highest numbers; in sixteen sums, so that
/// they can be computed side by side.
fn gap(one: [&[f32]; 2], other: [&[f32]; 2], what: Differences) -> f32 {
    const LANES: usize = 16;
    let greater = |a: f32, b: f32| if a > b { a } else { b };
    let mut sums = [0.0; LANES];
    let [(lowest, last_lowest), (highest, last_highest)] = one.map(<[f32]>::as_chunks::<LANES>);
    let [(other_lowest, last_other_lowest), (other_highest, last_other_highest)] =
        other.map(<[f32]>::as_chunks::<LANES>);
    let mut add = |lane: usize, low: f32, high: f32, other_low: f32, other_high: f32| {
        let gap = greater(greater(low - other_high, other_low - high), 0.0);
        sums[lane] += if what == Differences::Squared { gap * gap } else { gap };
    };
    for (((low, high), other_low), other_high) in lowest.iter().zip(highest).zip(other_lowest).zip(other_highest) {
        for lane in 0..LANES {
            add(lane, low[lane], high[lane], other_low[lane], other_high[lane]);
        }
    }
    for lane in 0..last_lowest.len() {
        add(lane, last_lowest[lane], last_highest[lane], last_other_lowest[lane], last_other_highest[lane]);
    }
    sums.iter().sum()
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
    fn new(count: usize, tolerance: f32) -> Found {
        Found { count, tolerance, bound: f32::INFINITY, rows: Vec::new() }
    }

    /// Takes those rows of a leaf that are near enough.
    fn take<'a>(&mut self, groups: impl Iterator<Item = (f32, &'a [f32])>, places: &[usize], itself: Option<usize>) {
        let mut places = places;
        for (least, sums) in groups {
            let (of_group, others) = places.split_at(sums.len().min(places.len()));
            places = others;
            if least > self.bound {
                continue;
            }
            for (&sum, &place) in sums.iter().zip(of_group) {
                if sum <= self.bound && Some(place) != itself {
                    self.add(sum, place);
                }
            }
        }
    }

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
