//! Feeders: CSV rows that give each cycle its own values.

use std::io::Read;

/// Why a feeder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FeederError {
    /// The text is not CSV, or a row has too many or too few fields.
    #[error("the feeder is not valid CSV: {0}")]
    Csv(#[from] csv::Error),
    /// There is a header at most.
    #[error("the feeder has no rows; the first line names the columns, each further line is a row")]
    Empty,
}

/// The rows of one CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feeder {
    columns: Vec<String>,
    rows: Vec<csv::StringRecord>,
    /// Whether the file is not there yet.
    to_come: bool,
}

impl Feeder {
    /// Reads a CSV text whose first row names the columns.
    ///
    /// # Errors
    /// When the text is not valid CSV or has no rows.
    pub fn parse(text: impl Read) -> Result<Self, FeederError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::Headers)
            .from_reader(text);
        let columns = reader.headers()?.iter().map(str::to_owned).collect();
        let rows: Vec<_> = reader.records().collect::<Result<_, _>>()?;
        if rows.is_empty() {
            return Err(FeederError::Empty);
        }
        Ok(Self {
            columns,
            rows,
            to_come: false,
        })
    }

    /// Stands in for a file that is not there yet: one empty row, with whatever columns are asked for.
    pub fn to_come() -> Self {
        Self {
            columns: Vec::new(),
            rows: vec![csv::StringRecord::from(vec![""])],
            to_come: true,
        }
    }

    /// The number of a column.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        if self.to_come {
            return Some(0);
        }
        self.columns.iter().position(|c| c == name)
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are, at least one.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// One cell; every row has every column.
    pub(super) fn cell(&self, row: usize, column: usize) -> &str {
        &self.rows[row][column]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_under_their_header() {
        let feeder = Feeder::parse("user, city\nann,Oslo\nbob,\"New, York\"\n".as_bytes()).unwrap();
        assert_eq!(feeder.columns(), ["user", "city"]);
        assert_eq!(feeder.rows(), 2);
        assert_eq!(feeder.cell(1, 1), "New, York");
    }

    #[test]
    fn a_feeder_without_rows_or_with_ragged_ones_is_refused() {
        assert!(matches!(
            Feeder::parse("user\n".as_bytes()),
            Err(FeederError::Empty)
        ));
        assert!(matches!(
            Feeder::parse("".as_bytes()),
            Err(FeederError::Empty)
        ));
        assert!(matches!(
            Feeder::parse("a,b\n1\n".as_bytes()),
            Err(FeederError::Csv(_))
        ));
    }
}
