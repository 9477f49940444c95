//! Which parameters suit a detector best: all combinations of a grid, fitted and validated in the order of time.
//!
//! Every combination is fitted to all rows of the training file and scores the rows of the validation file, which is later traffic. Nothing
//! is shuffled. What is measured:
//!
//! * *average precision*, where the validation has labels of both kinds: the area under the precision-recall curve;
//! * *stability*: the training rows are cut into consecutive parts, the detector is fitted to each alone, and their scores of the validation
//!   are compared by Spearman's rank correlation; the mean over all pairs of parts. What is normal should not depend on which hours were
//!   looked at;
//! * *excess mass* and *mass volume*: how tightly the scores enclose the validation, see [`excess_mass`](crate::metrics::excess_mass). In
//!   many dimensions no evenly drawn point comes near the data, so there the measures are taken on a few coordinates at a time, to which the
//!   detector is fitted anew, and averaged over several draws, as Goix (2016) does.
//!
//! With labels the average precision decides, else the mean of the ranks in the other three.

mod grid;

mod projection;

mod search;

mod trial;

mod results;

pub use grid::{Candidate, Grid};
pub use search::{Search, SearchConfig, check_files, search};
pub use trial::{Criterion, Marks, Trial};
