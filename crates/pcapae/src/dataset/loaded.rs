//! The fragments of a dataset in memory.

use super::Windows;
use crate::fragment::FragmentSize;

/// The bytes of all fragments, and where flows begin and end.
#[derive(Debug, Clone)]
pub struct LoadedFragments {
    bytes: Vec<u8>,
    size: FragmentSize,
    flows: Option<Vec<u64>>,
}

impl LoadedFragments {
    pub(super) fn new(bytes: Vec<u8>, size: FragmentSize, flows: Option<Vec<u64>>) -> LoadedFragments {
        LoadedFragments { bytes, size, flows }
    }

    /// How many fragments there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.size.bytes()
    }

    /// True if there is no fragment.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes, fragment after fragment.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes in a fragment, and their shape.
    pub fn size(&self) -> FragmentSize {
        self.size
    }

    /// The flow of each fragment, in flow mode.
    pub fn flows(&self) -> Option<&[u64]> {
        self.flows.as_deref()
    }

    /// All windows of `frames` fragments, in flow mode within one flow each. To predict fragments, add their number to the frames.
    pub fn windows(&self, frames: usize) -> Windows<'_> {
        match &self.flows {
            Some(flows) => Windows::within_flows(&self.bytes, self.size.bytes(), frames, flows),
            None => Windows::over_run(&self.bytes, self.size.bytes(), frames),
        }
    }
}
