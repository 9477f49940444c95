//! The dataset: fragments with their provenance and labels in an HDF5 file, and windows over them.

mod windows;

pub use windows::Windows;
