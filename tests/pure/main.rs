//! Values in, values out: what is read and rendered from records, and the source itself.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::too_many_lines, reason = "a test may be a table")]

mod causes;
mod example;
mod golden_report;
mod layering;
mod options;
mod peers;
mod upgrades;
