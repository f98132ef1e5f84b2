//! Feeders: rows of CSV or of JSON lines that give each cycle its own values.

use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

/// Bytes that all feeders of a profile may have together, as their files are and as they are kept:
/// half a million users with a token each.
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
    /// A line is no JSON object, or lacks what the first one has.
    #[error("line {line} of the feeder {why}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The file could not be read to its end.
    #[error("{0}")]
    Unreadable(io::Error),
    /// There is a header at most.
    #[error("the feeder has no rows; the first line names the columns, each further line is a row")]
    Empty,
    /// There is not even one object.
    #[error("the feeder has no rows; each line is a JSON object")]
    NoObjects,
    /// It would take too much memory.
    #[error(
        "the feeders of a profile may have {} MiB in total; remove rows, or columns that no step \
         uses",
        MOST >> 20
    )]
    TooLong,
}

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeederFormat {
    /// CSV whose first row names the columns.
    Csv,
    /// A JSON object on each line.
    JsonLines,
}

impl FeederFormat {
    /// That of a file, by the end of its name.
    pub fn of(file: &Path) -> Self {
        let end = file.extension().unwrap_or_default().to_ascii_lowercase();
        if end == "jsonl" || end == "ndjson" {
            Self::JsonLines
        } else {
            Self::Csv
        }
    }
}

/// The rows of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feeder {
    columns: Vec<String>,
    rows: usize,
    /// All cells, row by row.
    text: String,
    /// Where each ends in it.
    ends: Vec<u32>,
    /// Per cell whether it is JSON and no text; nothing for CSV, where all are texts.
    json: Vec<bool>,
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
        Self::parse_within(text, FeederFormat::Csv, &mut left)
    }

    /// The same of a text that takes no more than `left`, from which what it takes is taken.
    ///
    /// # Errors
    /// When the text is not valid, has no rows, or is too long.
    pub fn parse_within(
        text: impl Read,
        format: FeederFormat,
        left: &mut usize,
    ) -> Result<Self, FeederError> {
        match format {
            FeederFormat::Csv => Self::csv(text, left),
            FeederFormat::JsonLines => Self::json_lines(text, left),
        }
    }

    /// Rows of JSON objects: the first names the columns.
    fn json_lines(text: impl Read, left: &mut usize) -> Result<Self, FeederError> {
        let mut feeder = Self::empty(Vec::new());
        let mut lines = BufReader::new(text);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let most = u64::try_from(ROW).unwrap_or(u64::MAX) + 1;
            let read = lines.by_ref().take(most).read_until(b'\n', &mut line);
            if read.map_err(FeederError::Unreadable)? == 0 {
                break;
            }
            if line.len() > ROW {
                return Err(FeederError::TooLong);
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let why = |why: String| FeederError::Json { line: number, why };
            let row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&line)
                .map_err(|e| why(format!("is not a JSON object: {e}")))?;
            if feeder.rows == 0 {
                feeder.columns = row.keys().cloned().collect();
            }
            feeder.push_object(&row).map_err(why)?;
            if feeder.takes() > *left {
                return Err(FeederError::TooLong);
            }
        }
        if feeder.rows == 0 {
            return Err(FeederError::NoObjects);
        }
        *left -= feeder.takes();
        Ok(feeder)
    }

    fn push_object(
        &mut self,
        row: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<(), String> {
        self.rows += 1;
        for column in &self.columns {
            let value = row.get(column).ok_or_else(|| {
                format!(
                    "has no `{column}`, which the first one has; write null where there is no value"
                )
            })?;
            match value {
                serde_json::Value::Null => {}
                serde_json::Value::String(text) => self.text.push_str(text),
                other => self.text.push_str(&other.to_string()),
            }
            self.json.push(!value.is_string());
            let end = u32::try_from(self.text.len())
                .map_err(|_| "is too far into the file".to_owned())?;
            self.ends.push(end);
        }
        Ok(())
    }

    fn csv(text: impl Read, left: &mut usize) -> Result<Self, FeederError> {
        let limited = Limited {
            text,
            left: *left,
            of_row: ROW,
        };
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::Headers)
            .from_reader(limited);
        let columns = reader.headers().map_err(told)?;
        let mut feeder = Self::empty(columns.iter().map(str::to_owned).collect());
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

    fn empty(columns: Vec<String>) -> Self {
        Self {
            columns,
            rows: 0,
            text: String::new(),
            ends: Vec::new(),
            json: Vec::new(),
            to_come: false,
        }
    }

    /// Bytes that it takes.
    fn takes(&self) -> usize {
        self.text.len() + self.ends.len() * CELL + self.json.len()
    }

    /// Stands in for a file that is not there yet: one empty row, with whatever columns are asked
    /// for.
    pub fn to_come() -> Self {
        Self {
            columns: vec![String::new()],
            rows: 1,
            ends: vec![0],
            to_come: true,
            ..Self::empty(Vec::new())
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

    /// Whether its cells keep their types: numbers, truth values, lists and objects.
    pub(super) fn is_typed(&self) -> bool {
        !self.json.is_empty()
    }

    /// A cell as a value of JSON where it is one and no text.
    pub(super) fn json(&self, row: usize, column: usize) -> Option<&str> {
        let at = row * self.columns.len() + column;
        let is_json = self.json.get(at).copied().unwrap_or(false);
        is_json.then(|| match self.cell(row, column) {
            "" => "null",
            json => json,
        })
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

/// A text of which no more than so many bytes are read: a row without an end would be kept whole
/// before anybody could count it.
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
        assert!(Feeder::parse_within(eight.as_bytes(), FeederFormat::Csv, &mut left).is_ok());
        assert_eq!(left, 32);
        let long = format!("a\n{}\n", "b".repeat(29));
        let second = Feeder::parse_within(long.as_bytes(), FeederFormat::Csv, &mut left);
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
