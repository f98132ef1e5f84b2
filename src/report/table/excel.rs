//! A table as spreadsheets like it: a byte order mark, CRLF, names with units, and no cell that is
//! taken for a formula.

use super::ReportError;
use crate::report::escape;

/// Tells a spreadsheet that the text is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Ends of the names of columns, and how they are read.
const UNITS: [(&str, &str); 6] = [
    ("_per_s", " (per second)"),
    ("_max_ms", " max (ms)"),
    ("_ms", " (ms)"),
    ("_s", " (s)"),
    ("_ratio", " (share)"),
    ("_cores_max", " max (cores)"),
];

/// The same rows, rewritten.
pub(in crate::report) fn excel(table: &[u8]) -> Result<Vec<u8>, ReportError> {
    let failed = |e: csv::Error| ReportError::Csv(e.to_string());
    let mut reader = csv::Reader::from_reader(table);
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(BYTE_ORDER_MARK.to_vec());
    let names = reader.headers().map_err(failed)?;
    let names: Vec<String> = names.iter().map(|n| escape::cell(&readable(n))).collect();
    writer.write_record(names).map_err(failed)?;
    for row in reader.records() {
        let row = row.map_err(failed)?;
        writer
            .write_record(row.iter().map(escape::cell_or_number))
            .map_err(failed)?;
    }
    let bytes = writer.into_inner();
    bytes.map_err(|e| ReportError::Csv(e.to_string()))
}

/// `throughput_per_s` as `throughput (per second)`. Objectives stay as they are.
fn readable(name: &str) -> String {
    if name.contains(['<', '>', '=']) {
        return name.to_owned();
    }
    let unit = UNITS
        .iter()
        .find_map(|(end, unit)| Some((name.strip_suffix(end)?, unit)));
    let (words, unit) = unit.map_or((name, ""), |(words, unit)| (words, *unit));
    format!("{}{unit}", words.replace(['_', '.'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_gets_text_numbers_and_no_formulas() {
        let table = "probe,p50_ms,error_ratio,gateway.memory_max,p99<2s observed,reason\n\
                     0,-1.5,0.25,12,2,\"=cmd|' /C calc'!A0\"\n1,,,,,\"held, \"\"twice\"\"\"\n";
        let bytes = excel(table.as_bytes()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(
            text,
            "\u{feff}probe,p50 (ms),error (share),gateway memory max,p99<2s observed,reason\r\n\
             0,-1.5,0.25,12,2,'=cmd|' /C calc'!A0\r\n1,,,,,\"held, \"\"twice\"\"\"\r\n"
        );
    }
}
