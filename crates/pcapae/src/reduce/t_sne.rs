//! t-SNE: places in the plane where what is near in many dimensions is near too.

use bhtsne::{Neighbor, tSNE};

use crate::numeric::{Distance, Neighbourhood};
use crate::progress::Progress;
use crate::{Error, Result};

/// How far a cell of the tree may be to be taken as one point, by its width; as scikit-learn's `angle`.
const ANGLE: f64 = 0.5;

/// Deviation of the first coordinate to begin with, as scikit-learn's.
const START: f64 = 1e-4;

/// Neighbours that count, for each of the perplexity.
const NEIGHBOURS: f64 = 3.0;

/// Places of rows in the plane, from `start` on, by the Barnes-Hut approximation of t-SNE; Euclidean distances.
///
/// The crate adds up in an order that depends on its threads: so it has one. The same rows give the same bytes.
///
/// # Source
/// Van der Maaten, Hinton: *Visualizing data using t-SNE*, 2008; van der Maaten: *Accelerating t-SNE using tree-based algorithms*, 2014; by the crate bhtsne.
pub(super) fn t_sne(
    rows: Vec<f32>,
    start: &[[f64; 2]],
    perplexity: f64,
    iterations: usize,
    progress: &dyn Progress,
) -> Result<Vec<[f64; 2]>> {
    let count = start.len();
    let most = (count.saturating_sub(1) as f64 / NEIGHBOURS).floor();
    if !(1.0..=most).contains(&perplexity) {
        let expected = format!("1 to {most}, a third of the other rows");
        return Err(Error::setting("perplexity", perplexity, expected));
    }
    let width = rows.len() / count;
    if rows.chunks(width).all(|row| *row == rows[..width]) {
        // One place is all they need.
        return Ok(vec![[0.0; 2]; count]);
    }
    let neighbourhood = Neighbourhood::new(rows, width, Distance::Euclidean);
    let neighbours = neighbourhood.of_own((NEIGHBOURS * perplexity) as usize, |_, nearest| {
        nearest.iter().map(|near| Neighbor { index: near.row, distance: near.distance }).collect::<Vec<_>>()
    });
    progress.begin("mapping", Some(iterations as u64));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one = one.map_err(|error| Error::setting("threads", 1, format!("a thread to be had ({error})")))?;
    let flat = one.install(|| {
        let items: Vec<usize> = (0..count).collect();
        let mut map: tSNE<f64, usize> = tSNE::new(&items);
        map.perplexity(perplexity).epochs(iterations).initial_embedding(scaled(start));
        map.epoch_callback(|_, _| progress.advance(1));
        map.barnes_hut_with_neighbors(ANGLE, &neighbours).embedding()
    });
    Ok(flat.as_chunks::<2>().0.to_vec())
}

/// The start, made so small that nothing holds its place.
fn scaled(start: &[[f64; 2]]) -> Vec<f64> {
    let count = start.len() as f64;
    let mean = start.iter().map(|point| point[0]).sum::<f64>() / count;
    let variance = start.iter().map(|point| (point[0] - mean).powi(2)).sum::<f64>() / count;
    let scale = if variance > 0.0 { START / variance.sqrt() } else { 1.0 };
    start.iter().flatten().map(|coordinate| coordinate * scale).collect()
}
