//! A further column of a table of scores, kept as it is written.

/// One cell a row, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    name: String,
    /// All cells, one after the other: a text of its own for each would take several times the room.
    text: String,
    /// Where each cell ends.
    ends: Vec<usize>,
}

impl Column {
    /// A column without cells.
    pub fn new(name: impl Into<String>) -> Column {
        Column { name: name.into(), text: String::new(), ends: Vec::new() }
    }

    /// A column of texts; an empty one is an unknown value.
    pub fn of_texts<T: AsRef<str>>(name: impl Into<String>, texts: impl IntoIterator<Item = T>) -> Column {
        let mut column = Column::new(name);
        for text in texts {
            column.push(text.as_ref());
        }
        column
    }

    /// A column of numbers, each with as many digits as it needs to be read back the same.
    pub fn of_numbers(name: impl Into<String>, numbers: impl IntoIterator<Item = f64>) -> Column {
        Column::of_texts(name, numbers.into_iter().map(decimal))
    }

    /// Adds a cell.
    pub fn push(&mut self, cell: &str) {
        self.text += cell;
        self.ends.push(self.text.len());
    }

    /// What the header calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there is no cell.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A cell, by the index of its row from 0.
    pub fn text(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[index]]
    }

    /// All cells as numbers, `None` for empty ones; `None` if a cell is anything else.
    pub fn numbers(&self) -> Option<Vec<Option<f64>>> {
        let number = |index| match self.text(index) {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        (0..self.len()).map(number).collect()
    }
}

/// The number with as many digits as it needs to be read back the same, in powers of ten where it would be long.
pub(super) fn decimal(number: f64) -> String {
    if number == 0.0 || (1e-5..1e16).contains(&number.abs()) { number.to_string() } else { format!("{number:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_texts() {
        assert_eq!(Column::of_texts("a", ["1", "", "-2e3"]).numbers(), Some(vec![Some(1.0), None, Some(-2000.0)]));
        assert_eq!(Column::of_texts("a", ["1", "x"]).numbers(), None);
        assert_eq!(Column::of_numbers("a", [0.1, 1e-9]).text(1), "1e-9");
    }
}
