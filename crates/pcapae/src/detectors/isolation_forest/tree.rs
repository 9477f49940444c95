//! A tree that isolates samples by random splits, as flat arrays.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;

/// Two values no further apart than this are one: scikit-learn's threshold of a constant feature.
const CONSTANT: f32 = 1e-7;

/// A leaf's child, and its feature.
const NONE: i64 = -1;

/// An isolation tree: node 0 is the root, and a child's number is higher than its parent's, so every way down ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Node {
    /// What is compared; its value at most `threshold`: on to `children[0]`, else to `children[1]`.
    threshold: f64,
    feature: u32,
    /// The nodes that follow; none follow a leaf, which names itself.
    children: [u32; 2],
    /// How many training samples came here.
    samples: u32,
    /// Of a leaf, the length of the way that ends here: its depth, and what those samples would need to be told apart.
    length: f64,
}

/// c(n) = 2·(ln(n − 1) + γ) − 2·(n − 1) / n, and c(2) = 1, c(1) = 0: the mean length of an unsuccessful search in a binary search
/// tree of n samples, with Euler's γ.
///
/// # Source
/// Liu, Ting, Zhou: *Isolation Forest*, ICDM 2008, formula 1 (with ln(n − 1) + γ for the harmonic number, as there).
pub(super) fn mean_path(n: usize) -> f64 {
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        n => {
            let n = n as f64;
            2.0 * ((n - 1.0).ln() + std::f64::consts::EULER_GAMMA) - 2.0 * (n - 1.0) / n
        }
    }
}

impl Tree {
    /// Splits the rows `chosen` of `numbers`, `width` numbers each, by some of the `features` until each is alone, all are alike,
    /// or `max_depth` is reached.
    ///
    /// A feature is drawn among those that still differ, a threshold evenly between its lowest and highest value.
    pub fn grow(
        numbers: &[f32],
        width: usize,
        mut chosen: Vec<usize>,
        mut features: Vec<usize>,
        max_depth: usize,
        rng: &mut ChaCha8Rng,
    ) -> Tree {
        let mut growing = Growing { numbers, width, max_depth, rng, nodes: Vec::new() };
        growing.split(&mut chosen, &mut features, 0);
        Tree { nodes: growing.nodes }
    }

    /// How long the way of a row is: splits until its leaf, plus c(samples of the leaf).
    pub fn path_length(&self, row: &[f32]) -> f64 {
        let mut at = 0;
        loop {
            let node = &self.nodes[at];
            let next = node.children[usize::from(f64::from(row[node.feature as usize]) > node.threshold)] as usize;
            if next == at {
                return node.length;
            }
            at = next;
        }
    }

    /// Writes the lengths of the leaves' ways; false where a node is the child of several, or of none, or is not reached.
    fn measure(&mut self) -> bool {
        let mut depths = vec![None; self.nodes.len()];
        depths[0] = Some(0usize);
        for at in 0..self.nodes.len() {
            let (node, Some(depth)) = (self.nodes[at], depths[at]) else { return false };
            if node.children[0] as usize == at {
                self.nodes[at].length = depth as f64 + mean_path(node.samples as usize);
                continue;
            }
            for child in node.children {
                if depths[child as usize].replace(depth + 1).is_some() {
                    return false;
                }
            }
        }
        true
    }
}

struct Growing<'a> {
    numbers: &'a [f32],
    width: usize,
    max_depth: usize,
    rng: &'a mut ChaCha8Rng,
    nodes: Vec<Node>,
}

impl Growing<'_> {
    /// A node for these rows and all below it; `features` are those that differ above, in any order. Gives the node's number.
    fn split(&mut self, rows: &mut [usize], features: &mut [usize], depth: usize) -> u32 {
        let at = self.nodes.len();
        let (number, samples) = (at as u32, rows.len() as u32);
        let length = depth as f64 + mean_path(rows.len());
        self.nodes.push(Node { threshold: 0.0, feature: 0, children: [number; 2], samples, length });
        if rows.len() < 2 || depth >= self.max_depth {
            return number;
        }
        let Some((feature, [low, high], differing)) = self.draw_feature(rows, features) else { return number };
        let threshold = f64::from(low) + self.rng.random::<f64>() * (f64::from(high) - f64::from(low));
        // Rounding may give the highest value itself, which would leave nothing on the right.
        let threshold = if threshold < f64::from(high) { threshold } else { f64::from(low) };
        let left = partition(rows, |row| f64::from(self.numbers[row * self.width + feature]) <= threshold);
        let (lower, upper) = rows.split_at_mut(left);
        let features = &mut features[..differing];
        let children = [self.split(lower, features, depth + 1), self.split(upper, features, depth + 1)];
        self.nodes[at] = Node { threshold, feature: feature as u32, children, samples, length: 0.0 };
        number
    }

    /// One of the features that differ, drawn evenly, with its lowest and highest value. Those met that do not differ are put at
    /// the end, for those below to leave out; last, how many are before them.
    fn draw_feature(&mut self, rows: &[usize], features: &mut [usize]) -> Option<(usize, [f32; 2], usize)> {
        let mut differing = features.len();
        while differing > 0 {
            let drawn = self.rng.random_range(0..differing);
            let feature = features[drawn];
            let mut range = [f32::INFINITY, f32::NEG_INFINITY];
            for row in rows.iter() {
                let value = self.numbers[row * self.width + feature];
                range = [range[0].min(value), range[1].max(value)];
            }
            if range[1] > range[0] + CONSTANT {
                return Some((feature, range, differing));
            }
            differing -= 1;
            features.swap(drawn, differing);
        }
        None
    }
}

/// Puts the rows that are `left` first and says how many they are.
fn partition(rows: &mut [usize], left: impl Fn(usize) -> bool) -> usize {
    let mut count = 0;
    for i in 0..rows.len() {
        if left(rows[i]) {
            rows.swap(i, count);
            count += 1;
        }
    }
    count
}

/// Puts trees into arrays `left`, `right`, `feature`, `threshold` and `samples`, one after the other, and their sizes into `nodes`.
///
/// A leaf has −1 for its children and its feature; children are numbered within their tree.
pub(super) fn put_trees(trees: &[Tree], numbers: &mut NamedArrays) {
    let mut arrays: [Vec<f64>; 5] = Default::default();
    for tree in trees {
        for (at, node) in tree.nodes.iter().enumerate() {
            let leaf = node.children[0] as usize == at;
            let [left, right] = node.children.map(f64::from);
            let feature = f64::from(node.feature);
            let links = if leaf { [NONE as f64; 3] } else { [left, right, feature] };
            let values = [links[0], links[1], links[2], node.threshold, f64::from(node.samples)];
            arrays.iter_mut().zip(values).for_each(|(array, value)| array.push(value));
        }
    }
    for (name, array) in NAMES.into_iter().zip(arrays) {
        numbers.put(name, array);
    }
    numbers.put("nodes", trees.iter().map(|tree| tree.nodes.len() as f64).collect());
}

const NAMES: [&str; 5] = ["left", "right", "feature", "threshold", "samples"];

/// The trees that [`put_trees`] put, for rows of `width` numbers; otherwise, in a few words, what is wrong.
pub(super) fn get_trees(numbers: &NamedArrays, width: usize) -> Result<Vec<Tree>, Fault> {
    let sizes = &numbers.get("nodes", &[None])?.values;
    let mut arrays: [&[f64]; 5] = Default::default();
    for (name, array) in NAMES.iter().zip(&mut arrays) {
        *array = &numbers.get(name, &[None])?.values;
    }
    let count = arrays[0].len();
    let whole = |size: &f64| *size >= 1.0 && size.fract() == 0.0 && *size <= count as f64;
    if sizes.is_empty() || !sizes.iter().all(whole) || sizes.iter().sum::<f64>() != count as f64 {
        return Err(Place::Array("nodes".into()).found("other sizes of trees", format!("sizes with the sum {count}")));
    }
    if let Some(i) = arrays.iter().position(|array| array.len() != count) {
        return Err(Place::Array(NAMES[i].into()).found(format!("{} values", arrays[i].len()), count.to_string()));
    }
    let mut first = 0;
    let tree = |size: &f64| {
        let nodes = first..first + *size as usize;
        first = nodes.end;
        read_tree(arrays.map(|array| &array[nodes.clone()]), width)
    };
    sizes.iter().map(tree).collect()
}

fn read_tree(arrays: [&[f64]; 5], width: usize) -> Result<Tree, Fault> {
    let size = arrays[0].len();
    let node = |at: usize| {
        let [left, right, feature, threshold, samples] = arrays.map(|array| array[at]);
        let leaf = left == NONE as f64 && right == left;
        let child = |child: f64| child > at as f64 && child < size as f64 && child.fract() == 0.0;
        let valid_feature = feature >= 0.0 && feature < width as f64 && feature.fract() == 0.0;
        if !(leaf || child(left) && child(right)) {
            let found = format!("the children {left} and {right} of node {at}");
            return Err(Place::Array("left".into()).found(found, format!("later nodes, below {size}")));
        }
        if !(leaf || valid_feature) {
            return Err(Place::Array("feature".into()).found(feature, format!("a feature below {width}")));
        }
        if !(samples >= 1.0 && samples <= f64::from(u32::MAX) && samples.fract() == 0.0) {
            return Err(Place::Array("samples".into()).found(samples, "a number of samples"));
        }
        let links = if leaf { [at as f64, at as f64, 0.0] } else { [left, right, feature] };
        let [left, right, feature] = links.map(|link| link as u32);
        Ok(Node { threshold, feature, children: [left, right], samples: samples as u32, length: 0.0 })
    };
    let mut tree = Tree { nodes: (0..size).map(node).collect::<Result<_, _>>()? };
    if tree.measure() {
        Ok(tree)
    } else {
        Err(Place::Array("left".into()).found("nodes with several parents or none", "trees"))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_tree_of_all_samples_isolates_each() {
        let numbers: Vec<f32> = (0..40).map(|i| (i * 7 % 20) as f32 * 0.5).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let tree = Tree::grow(&numbers, 2, (0..20).collect(), vec![0, 1], 100, &mut rng);
        let leaves = tree.nodes.iter().enumerate().filter(|(at, node)| node.children[0] as usize == *at);
        // 20 rows, each pair of which is there twice.
        assert_eq!(leaves.map(|(_, node)| node.samples).collect::<Vec<_>>(), [2; 10]);
        assert_eq!(tree.nodes[0].samples, 20);
        for row in numbers.chunks(2) {
            assert!(tree.path_length(row) >= 2.0);
        }
    }

    #[test]
    fn what_does_not_differ_is_not_split() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let tree = Tree::grow(&[1.0; 12], 3, (0..4).collect(), vec![0, 1, 2], 100, &mut rng);
        assert_eq!(tree.nodes.len(), 1);
        assert_eq!(tree.path_length(&[1.0; 3]), mean_path(4));
    }

    #[test]
    fn the_mean_path_is_that_of_a_search_tree() {
        assert_eq!([mean_path(1), mean_path(2)], [0.0, 1.0]);
        // 2·H(255) − 2·255/256 with the harmonic number itself; the formula's is a little smaller.
        let harmonic: f64 = (1..256).map(|i| 1.0 / f64::from(i)).sum();
        let exact = 2.0 * harmonic - 2.0 * 255.0 / 256.0;
        assert!((mean_path(256) - exact).abs() < 0.005, "{}", mean_path(256));
    }
}
