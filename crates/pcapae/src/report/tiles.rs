//! Panels of an image: values as squares of colour.

use super::image::{Colour, INK, Image, Letters};

/// Width and height that a panel aims at, in pixels. A whole number of pixels for a side of 16, 32 or 64.
pub(super) const PANEL: usize = 320;
/// Between the frames of a panel, and between the channels of the code.
const FRAME_GAP: usize = 4;
/// Rows and columns of a channel of the code.
const CHANNEL: usize = 4;
/// Height of the scale from black to white, and from −1 to 1.
const SCALE: usize = 12;
pub(super) const FRAME: Colour = [176, 184, 194];
/// Of −1, 0 and 1: blue, white, red (ColorBrewer's RdBu, Brewer 2003, which colour-blind people can distinguish).
pub(super) const BLUE: Colour = [33, 102, 172];
const MIDDLE: Colour = [247, 247, 247];
pub(super) const RED: Colour = [178, 24, 43];

/// Frames in reading order, as nearly square as possible.
pub(super) fn frames_panel(values: &[f32], side: usize, shade: fn(f32) -> Colour) -> Image {
    let frames = values.len() / (side * side);
    tiles(values, side, (PANEL / (columns(frames) * side)).max(1), shade)
}

/// The channels of a code in reading order.
pub(super) fn code_panel(code: &[f32]) -> Image {
    let channels = code.len().div_ceil(CHANNEL * CHANNEL);
    let room = PANEL - FRAME_GAP * (columns(channels) - 1).min(PANEL / 2 / FRAME_GAP);
    tiles(code, CHANNEL, (room / (columns(channels) * CHANNEL)).max(1), diverging)
}

/// So many columns make a grid of `count` as wide as high, or a little wider.
pub(super) fn columns(count: usize) -> usize {
    (1..count).find(|columns| columns * columns >= count).unwrap_or(count).max(1)
}

/// Squares of `side`² values in reading order, each value as a square of `zoom`² pixels.
fn tiles(values: &[f32], side: usize, zoom: usize, shade: fn(f32) -> Colour) -> Image {
    let size = side * zoom;
    let count = values.len().div_ceil(side * side);
    let columns = columns(count);
    let length = |tiles: usize| (tiles * (size + FRAME_GAP)).saturating_sub(FRAME_GAP) + 2;
    let mut image = Image::blank(length(columns), length(count.div_ceil(columns)));
    for (index, tile) in values.chunks(side * side).enumerate() {
        let (left, top) = (index % columns * (size + FRAME_GAP), index / columns * (size + FRAME_GAP));
        image.fill((left, top), (size + 2, size + 2), FRAME);
        for (pixel, value) in tile.iter().enumerate() {
            let (x, y) = (left + 1 + pixel % side * zoom, top + 1 + pixel / side * zoom);
            image.fill((x, y), (zoom, zoom), shade(*value));
        }
    }
    image
}

/// A bar with the shades from one end to the other, and what these ends stand for.
pub(super) fn scale(image: &mut Image, (x, y): (usize, usize), ends: [&str; 2], shade: impl Fn(f32) -> Colour) {
    const LENGTH: usize = 128;
    let from = x + Letters::Small.width(ends[0]) + 6;
    image.write(ends[0], Letters::Small, x as i32, y as i32, INK);
    image.fill((from - 1, y + 1), (LENGTH + 2, SCALE + 2), FRAME);
    for step in 0..LENGTH {
        image.fill((from + step, y + 2), (1, SCALE), shade(step as f32 / (LENGTH - 1) as f32));
    }
    image.write(ends[1], Letters::Small, (from + LENGTH + 6) as i32, y as i32, INK);
}

/// Black for 0, white for 1; values beyond count as these.
pub(super) fn grey(value: f32) -> Colour {
    [(value.clamp(0.0, 1.0) * 255.0).round() as u8; 3]
}

/// Blue for −1, white for 0, red for 1; values beyond count as the ends.
pub(super) fn diverging(value: f32) -> Colour {
    let (end, share) = (if value < 0.0 { BLUE } else { RED }, value.abs().min(1.0));
    let mix = |at: usize| f32::from(MIDDLE[at]) + (f32::from(end[at]) - f32::from(MIDDLE[at])) * share;
    [0, 1, 2].map(|at| mix(at).round() as u8)
}
