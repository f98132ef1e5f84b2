//! Which searches this user has begun on this machine: only their journals say what may be loaded
//! and run.

use super::agreement;
use crate::store::Store;
use crate::store::seen_marks::SeenMarks;
use crate::term::Terminal;

/// Remembers a search that begins now by the first line of its journal, in which all is that was
/// typed.
pub(super) fn remember(store: &Store, terminal: &Terminal) {
    if let Err(error) = SeenMarks::of_user().add(&mark(store)) {
        terminal.warning(&format!(
            "{error}; `breakpoint resume` of this run will ask for its hosts, programs, and files \
             again"
        ));
    }
}

/// Whether the journal begins with the very line of a search that this user has begun here.
pub(super) fn is_ours(store: &Store) -> bool {
    SeenMarks::of_user().has(&mark(store))
}

fn mark(store: &Store) -> String {
    agreement::mark("begun", &[store.head_line()])
}
