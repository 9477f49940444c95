//! What is in captures, before anyone learns from them: one pass, in bounded memory.
//!
//! [`inspect`] counts; [`Comparison`] says how two inspections differ.

mod traffic;

mod timeline;

mod sizes;

mod byte_values;

mod gaps;

mod service_name;

mod inspection;

mod comparison;

pub use byte_values::ByteValues;
pub use comparison::{Comparison, Distances, OnlyIn, divergence};
pub use gaps::{Gap, Gaps};
pub use inspection::{Inspection, inspect};
pub use service_name::ServiceName;
pub use sizes::Sizes;
pub use timeline::{BINS_MAX, Timeline};
pub use traffic::{COUNTED_MAX, Counts, Traffic};
