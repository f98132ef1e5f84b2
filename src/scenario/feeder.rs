//! Feeders: CSV rows that give each cycle its own values.

use std::io::{self, Read};

/// Bytes that all feeders of a profile may have together, as their files are and as they are kept: half a million users with a token each.
pub const MOST: usize = 28 << 20;
/// Bytes that one row may have: thousands of columns, or one of pages.
const ROW: usize = 2 << 20;
/// Bytes that a cell takes beside its text.
const CELL: usize = size_of::<u32>();

/// Why a feeder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FeederError {
    /// The text is not CSV, or a row has too many or too few fields.
    #[error("the feeder is not valid CSV: {0}")]
    Csv(#[from] csv::Error),
    /// There is a header at most.
    #[error("the feeder has no rows; the first line names the columns, each further line is a row")]
    Empty,
    /// It would take too much memory.
    #[error(
        "the feeders of a profile may have {} MiB in total; remove rows, or columns that no step \
         uses",
        MOST >> 20
    )]
    TooLong,
}

/// The rows of one CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feeder {
    columns: Vec<String>,
    rows: usize,
    /// All cells, row by row.
    text: String,
    /// Where each ends in it.
    ends: Vec<u32>,
    /// Whether the file is not there yet.
    to_come: bool,
}

impl Feeder {
    /// Reads a CSV text whose first row names the columns.
    ///
    /// # Errors
    /// As [`Self::parse_within`].
    pub fn parse(text: impl Read) -> Result<Self, FeederError> {
        let mut left = MOST;
        Self::parse_within(text, &mut left)
    }

    /// The same of a text that takes no more than `left`, from which what it takes is taken.
    ///
    /// # Errors
    /// When the text is not valid CSV, has no rows, or is too long.
    pub fn parse_within(text: impl Read, left: &mut usize) -> Result<Self, FeederError> {
        let limited = Limited {
            text,
            left: *left,
            of_row: ROW,
        };
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::Headers)
            .from_reader(limited);
        let mut feeder = Self {
            columns: reader
                .headers()
                .map_err(told)?
                .iter()
                .map(str::to_owned)
                .collect(),
            rows: 0,
            text: String::new(),
            ends: Vec::new(),
            to_come: false,
        };
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(told)? {
            feeder.rows += 1;
            reader.get_mut().of_row = ROW;
            for cell in &record {
                feeder.text.push_str(cell);
                let end = u32::try_from(feeder.text.len()).map_err(|_| FeederError::TooLong)?;
                feeder.ends.push(end);
            }
            if feeder.takes() > *left {
                return Err(FeederError::TooLong);
            }
        }
        if feeder.rows == 0 {
            return Err(FeederError::Empty);
        }
        *left -= feeder.takes();
        Ok(feeder)
    }

    /// Bytes that it takes.
    fn takes(&self) -> usize {
        self.text.len() + self.ends.len() * CELL
    }

    /// Stands in for a file that is not there yet: one empty row, with whatever columns are asked for.
    pub fn to_come() -> Self {
        Self {
            columns: vec![String::new()],
            rows: 1,
            text: String::new(),
            ends: vec![0],
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
        if self.to_come { &[] } else { &self.columns }
    }

    /// How many rows there are, at least one.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One cell; every row has every column.
    pub(super) fn cell(&self, row: usize, column: usize) -> &str {
        let at = row * self.columns.len() + column;
        let end = |at: usize| self.ends[at] as usize;
        let begin = at.checked_sub(1).map_or(0, end);
        &self.text[begin..end(at)]
    }
}

/// An end of the text that is none of CSV's is told as what it is.
fn told(error: csv::Error) -> FeederError {
    let is_ours =
        matches!(error.kind(), csv::ErrorKind::Io(e) if e.kind() == io::ErrorKind::FileTooLarge);
    if is_ours {
        return FeederError::TooLong;
    }
    FeederError::Csv(error)
}

/// A text of which no more than so many bytes are read: a row without an end would be kept whole before anybody could count it.
struct Limited<R> {
    text: R,
    left: usize,
    of_row: usize,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.text.read(buffer)?;
        for left in [&mut self.left, &mut self.of_row] {
            *left = left.checked_sub(read).ok_or(io::ErrorKind::FileTooLarge)?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Feeder, FeederError> {
        Feeder::parse(text.as_bytes())
    }

    #[test]
    fn rows_are_read_under_their_header() {
        let feeder = parse("user, city\nann,Oslo\nbob,\"New, York\"\n,\n").unwrap();
        assert_eq!(feeder.columns(), ["user", "city"]);
        assert_eq!(feeder.rows(), 3);
        assert_eq!(feeder.cell(0, 0), "ann");
        assert_eq!(feeder.cell(1, 1), "New, York");
        assert_eq!(feeder.cell(2, 1), "");
        assert_eq!(Feeder::to_come().cell(0, 0), "");
    }

    #[test]
    fn a_feeder_without_rows_or_with_ragged_ones_is_refused() {
        assert!(matches!(parse("user\n"), Err(FeederError::Empty)));
        assert!(matches!(parse(""), Err(FeederError::Empty)));
        assert!(matches!(parse("a,b\n1\n"), Err(FeederError::Csv(_))));
    }

    #[test]
    fn feeders_have_an_end_together() {
        // Without end: one cell, many empty ones, many rows.
        for endless in [&b"x"[..], b"a,", b"a\n", b"\"\n"] {
            let text = io::Read::chain(&b"a\n"[..], Endless(endless));
            let read = Feeder::parse(text);
            assert!(matches!(read, Err(FeederError::TooLong)), "{read:?}");
        }
        let mut left = 40;
        let eight = "a\nbbbb\n";
        assert!(Feeder::parse_within(eight.as_bytes(), &mut left).is_ok());
        assert_eq!(left, 32);
        let long = format!("a\n{}\n", "b".repeat(29));
        let second = Feeder::parse_within(long.as_bytes(), &mut left);
        assert!(matches!(second, Err(FeederError::TooLong)));
    }

    struct Endless(&'static [u8]);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let whole = buffer.len() / self.0.len() * self.0.len();
            for place in buffer[..whole].chunks_mut(self.0.len()) {
                place.copy_from_slice(self.0);
            }
            Ok(whole)
        }
    }
}
