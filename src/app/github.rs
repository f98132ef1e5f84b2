//! GitHub Actions: where its runner runs this program, a step gets its summary and its annotations.

use std::path::Path;

use crate::report::{MOST_SUMMARY_BYTES, RenderedRecord};
use crate::store;
use crate::term::Terminal;

/// Tells the runner, where there is one. What goes wrong then spoils nothing that was measured.
pub(super) fn tell(record: &impl RenderedRecord, terminal: &Terminal) {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|v| v != "true") {
        return;
    }
    terminal.print_annotations(&record.annotations());
    let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|f| !f.is_empty()) else {
        return;
    };
    let text = format!("{}\n", record.step_summary());
    match store::append_within(Path::new(&file), &text, MOST_SUMMARY_BYTES) {
        Ok(true) => {}
        Ok(false) => terminal.warning(
            "the report does not fit in the step summary (GitHub's limit is 1 MiB); see report.md",
        ),
        Err(error) => terminal.warning(&error.to_string()),
    }
}
