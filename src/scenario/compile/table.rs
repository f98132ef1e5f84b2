//! The rows of a scenario: what each counts from, and what a cycle must have passed before it.

use crate::measure::StepTable;
use crate::scenario::{Action, Step};

/// The rows of the start steps and of a cycle's.
pub(super) fn of(
    (measured, started): (&[&str], usize),
    main: Option<usize>,
    (start, steps): (&[Step], &[Step]),
) -> StepTable {
    let mut table = StepTable::of_cycle(measured.iter().map(|n| (*n).to_owned()), main);
    table.started_by(started);
    let mut before = vec![Vec::new(); measured.len()];
    walk(start, &mut Vec::new(), &mut before);
    walk(steps, &mut Vec::new(), &mut before);
    for (row, mut before) in before.into_iter().enumerate() {
        before.sort_unstable();
        before.dedup();
        table.comes_after(row, before);
    }
    count_from(steps, &mut table);
    table
}

/// Notes what comes before each row. Of what only some cycles come to, only what those came
/// through: the failures of all cycles are no share of theirs.
fn walk(steps: &[Step], passed: &mut Vec<usize>, before: &mut [Vec<usize>]) {
    for step in steps {
        let own = step.condition.is_some();
        let mut apart = Vec::new();
        match (&step.action, step.measured) {
            (_, Some(row)) => {
                let way: &[usize] = if own { &[] } else { passed };
                before[row].extend(way.iter().filter(|p| **p != row));
                apart.push(row);
            }
            (Action::Group(inner), None) if own => walk(inner, &mut apart, before),
            (Action::Group(inner), None) => walk(inner, passed, before),
            (Action::Choose(choices), None) => {
                for choice in choices {
                    let mut branch = Vec::new();
                    walk(&choice.steps, &mut branch, before);
                    apart.extend(branch);
                }
            }
            (_, None) => {}
        }
        passed.extend(apart);
    }
}

/// A wait that counts from an earlier step has its clock begin there.
fn count_from(steps: &[Step], table: &mut StepTable) {
    for step in steps {
        if let (Some(row), Some(from)) = (step.measured, step.action.since()) {
            table.count_from(row, from);
        }
        match &step.action {
            Action::Group(inner) => count_from(inner, table),
            Action::Choose(choices) => {
                for choice in choices {
                    count_from(&choice.steps, table);
                }
            }
            Action::Request(_)
            | Action::Open(..)
            | Action::Wait(_)
            | Action::Socket(_)
            | Action::Think(_)
            | Action::Close(_) => {}
        }
    }
}
