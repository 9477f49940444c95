//! The results of a search as a table and as JSON lines.

use serde_json::json;

use super::{Search, Trial};
use crate::{Error, Result};

impl Search {
    /// The table of results as CSV: a row a combination, the best first, those that could not be fitted last.
    ///
    /// # Errors
    ///
    /// The table cannot be written.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let marks = ["average_precision", "stability", "excess_mass", "mass_volume", "remark"];
        let header = ["rank"].into_iter().chain(self.varied.iter().map(String::as_str)).chain(marks);
        csv.write_record(header).map_err(Error::unwritable("table of results"))?;
        for trial in self.in_order() {
            let number = |number: f64| number.to_string();
            csv.write_record(trial.cells("", number)).map_err(Error::unwritable("table of results"))?;
        }
        csv.into_inner().map_err(Error::unwritable("table of results"))
    }

    /// A JSON object a line for each combination, in the same order: its rank, its parameters under the detector's name, its marks, and
    /// under `refusal` why it could not be fitted.
    pub fn to_json_lines(&self) -> String {
        let line = |trial: &&Trial| {
            let blueprint = &trial.candidate.blueprint;
            let marks = trial.outcome.as_ref().ok();
            let line = json!({
                "rank": trial.rank,
                blueprint.name(): blueprint.parameters(),
                "average_precision": marks.map(|marks| marks.average_precision),
                "stability": marks.map(|marks| marks.stability),
                "excess_mass": marks.map(|marks| marks.excess_mass),
                "mass_volume": marks.map(|marks| marks.mass_volume),
                "remarks": marks.map(|marks| &marks.remarks),
                "refusal": trial.outcome.as_ref().err().map(ToString::to_string),
            });
            format!("{line}\n")
        };
        self.in_order().iter().map(line).collect()
    }
}

impl Trial {
    /// Its row in a table: rank, values, marks, and a remark; what is undefined is `unknown`.
    pub fn cells(&self, unknown: &str, number: impl Fn(f64) -> String) -> Vec<String> {
        let mark = |mark: Option<f64>| mark.map_or_else(|| unknown.to_owned(), &number);
        let mut cells = vec![self.rank.map_or_else(|| unknown.to_owned(), |rank| rank.to_string())];
        cells.extend(self.candidate.values.iter().cloned());
        match &self.outcome {
            Ok(marks) => {
                cells
                    .extend([marks.average_precision, marks.stability, marks.excess_mass, marks.mass_volume].map(mark));
                cells.push(marks.remarks.join("; "));
            }
            Err(reason) => {
                cells.extend([None; 4].map(mark));
                cells.push(format!("not fitted: {reason}"));
            }
        }
        cells
    }
}
