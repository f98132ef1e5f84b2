//! The rows of a script: its requests by name, its iterations, what it measures itself, and all
//! requests together.
//!
//! Names come up while a script runs. Those of a look around before the load have rows; of those
//! that come later the requests are counted with all others, and their names are told in the end.

use std::collections::{BTreeSet, HashMap};

use crate::engine::requests::{self, MOST_NAMES};
use crate::k6::{ITERATION, MetricRow};
use crate::measure::StepTable;

/// The rows of a script.
#[derive(Debug, Clone)]
pub struct ScriptTable {
    names: Vec<String>,
    /// Where each of them stands.
    rows: HashMap<String, usize>,
    /// The script's own metrics, whose rows follow those of the iterations.
    metrics: Vec<(String, MetricRow)>,
}

impl ScriptTable {
    /// Rows for requests of these names, of which objectives ask for those that are `wanted`, and
    /// for these metrics.
    pub fn new(
        seen: BTreeSet<String>,
        wanted: &[String],
        metrics: Vec<(String, MetricRow)>,
    ) -> Self {
        let mut taken = vec![StepTable::REQUESTS, ITERATION];
        taken.extend(metrics.iter().map(|(name, _)| name.as_str()));
        let names = requests::rows(seen, wanted, &taken);
        let rows = names.iter().cloned().zip(0..).collect();
        Self {
            names,
            rows,
            metrics,
        }
    }

    /// As windows have them.
    pub fn steps(&self) -> StepTable {
        let metrics = self.metrics.iter().map(|(name, _)| name.clone());
        let iteration = [ITERATION.to_owned()];
        let requests = self.names.iter().cloned();
        StepTable::of_requests(requests.chain(iteration).chain(metrics))
    }

    /// The row of requests of a name.
    pub(super) fn row(&self, name: &str) -> Option<usize> {
        self.rows.get(name).copied()
    }

    /// The row of the iterations.
    pub(super) fn iteration(&self) -> usize {
        self.names.len()
    }

    /// The row of one of the script's own metrics.
    pub(super) fn metric(&self, name: &str) -> Option<(usize, MetricRow)> {
        let at = self.metrics.iter().position(|(known, _)| known == name)?;
        Some((self.iteration() + 1 + at, self.metrics[at].1))
    }

    /// The row of all requests.
    pub(super) fn all(&self) -> usize {
        self.iteration() + 1 + self.metrics.len()
    }
}

/// What is kept of names that come up while the load runs.
#[derive(Debug, Default)]
pub(super) struct LateNames(BTreeSet<String>);

impl LateNames {
    /// Keeps one, unless there are too many to be told.
    pub(super) fn add(&mut self, name: &str) {
        if self.0.len() <= MOST_NAMES && !self.0.contains(name) {
            self.0.insert(name.to_owned());
        }
    }

    pub(super) fn names(&self) -> &BTreeSet<String> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_table() {
        let seen = ["GET /a", "requests", "login"].map(str::to_owned);
        let metrics = vec![("checks".to_owned(), MetricRow::PassIsOne)];
        let wanted = ["login".to_owned(), "never".to_owned()];
        let table = ScriptTable::new(seen.into(), &wanted, metrics);
        let steps = table.steps();
        let names: Vec<&str> = steps.names().collect();
        assert_eq!(
            names,
            [
                "login",
                "never",
                "GET /a",
                "iteration",
                "checks",
                "requests"
            ]
        );
        assert_eq!(table.row("GET /a"), Some(2));
        assert_eq!(table.row("requests"), None, "it means all of them");
        assert_eq!(names[table.iteration()], "iteration");
        assert_eq!(table.metric("checks"), Some((4, MetricRow::PassIsOne)));
        assert_eq!((table.all(), steps.whole()), (5, 5));
    }
}
