//! The levels of a packet's bytes, heat or relevance, as the page takes them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The level of a byte that was not seen; all others are lower.
pub(super) const UNSEEN: u8 = 255;

/// The levels up to the last byte that was seen.
pub(super) fn to_base64(levels: impl Iterator<Item = u8>) -> String {
    let mut levels: Vec<u8> = levels.collect();
    levels.truncate(levels.iter().rposition(|level| *level != UNSEEN).map_or(0, |last| last + 1));
    BASE64_STANDARD.encode(&levels)
}
