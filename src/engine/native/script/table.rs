//! The rows of a script: its requests by name, its iterations, what it measures itself, and all
//! requests together.
//!
//! Names come up while a script runs. Those of a look around before the load have rows; of those
//! that come later the requests are counted with all others, and their names are told in the end.

use std::collections::{BTreeSet, HashMap};

use crate::engine::requests::{self, MOST_NAMES};
use crate::k6::{ITERATION, ITERATION_DURATION, MetricRow, Selector};
use crate::measure::StepTable;

/// The rows of a script.
#[derive(Debug, Clone)]
pub struct ScriptTable {
    names: Vec<String>,
    /// Where each of them stands.
    rows: HashMap<String, usize>,
    /// The script's own metrics, whose rows follow those of the iterations.
    metrics: Vec<(String, MetricRow)>,
    /// Which values each of these has.
    selectors: Vec<Option<Selector>>,
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
        let selectors = metrics.iter().map(|(name, _)| Selector::read(name));
        Self {
            selectors: selectors.collect(),
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

    /// The rows of a value of one of the script's own metrics, of whose tags `has` says whether
    /// there is one with a value.
    pub(super) fn metrics<'a>(
        &'a self,
        name: &'a str,
        has: impl Fn(&str, &str) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, MetricRow)> + 'a {
        let own = move |(of, row): &(&Selector, MetricRow)| {
            of.metric == name && !is_of_requests(*row) && *row != MetricRow::Iterations
        };
        self.taken(own, has)
    }

    /// Rows of requests beside those of their names.
    pub(super) fn requests<'a>(
        &'a self,
        has: impl Fn(&str, &str) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, MetricRow)> + 'a {
        self.taken(|(_, row)| is_of_requests(*row), has)
    }

    /// Rows of iterations beside that of all.
    pub(super) fn iterations<'a>(
        &'a self,
        has: impl Fn(&str, &str) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, MetricRow)> + 'a {
        self.taken(|(_, row)| *row == MetricRow::Iterations, has)
    }

    fn taken<'a>(
        &'a self,
        of: impl Fn(&(&Selector, MetricRow)) -> bool + 'a,
        has: impl Fn(&str, &str) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, MetricRow)> + 'a {
        let first = self.iteration() + 1;
        let all = self.selectors.iter().zip(&self.metrics).enumerate();
        all.filter_map(move |(at, (selector, (_, row)))| {
            let selector = selector.as_ref()?;
            let is_one = of(&(selector, *row)) && selector.takes(&has);
            is_one.then_some((first + at, *row))
        })
    }

    /// Whether requests have rows beside those of their names.
    pub(super) fn has_tagged(&self) -> bool {
        self.metrics.iter().any(|(_, row)| is_of_requests(*row))
    }

    /// Whether iterations have rows beside that of all.
    pub(super) fn wants_iterations(&self) -> bool {
        let mut all = self.selectors.iter().zip(&self.metrics);
        all.any(|(selector, (_, row))| {
            let of = selector.as_ref().map(|selector| selector.metric.as_str());
            *row == MetricRow::Iterations || of == Some(ITERATION_DURATION)
        })
    }

    /// The row of all requests.
    pub(super) fn all(&self) -> usize {
        self.iteration() + 1 + self.metrics.len()
    }
}

fn is_of_requests(row: MetricRow) -> bool {
    matches!(
        row,
        MetricRow::Requests | MetricRow::Counted | MetricRow::Part(_)
    )
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
    use crate::k6::Part;

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
        let checks: Vec<_> = table.metrics("checks", |_, _| false).collect();
        assert_eq!(checks, [(4, MetricRow::PassIsOne)]);
        assert_eq!((table.all(), steps.whole()), (5, 5));
    }

    #[test]
    fn values_are_in_the_rows_of_all_their_tags() {
        let metrics = [
            ("requests{role:user}", MetricRow::Requests),
            ("requests{role:user,method:GET}", MetricRow::Requests),
            ("http_req_waiting", MetricRow::Part(Part::Waiting)),
            ("iteration{scenario:users}", MetricRow::Iterations),
            ("orders{role:user}", MetricRow::Sum),
            ("orders", MetricRow::Sum),
        ];
        let metrics = metrics.map(|(name, row)| (name.to_owned(), row));
        let table = ScriptTable::new(BTreeSet::new(), &[], metrics.into());
        let steps = table.steps();
        let named = |rows: Vec<(usize, MetricRow)>| -> Vec<String> {
            let names = rows.iter().map(|(row, _)| steps.name(*row).to_owned());
            names.collect()
        };
        let user = |tag: &str, value: &str| tag == "role" && value == "user";
        let posted = named(table.requests(user).collect());
        assert_eq!(posted, ["requests{role:user}", "http_req_waiting"]);
        assert_eq!(table.requests(|_, _| true).count(), 3);
        assert_eq!(
            named(table.requests(|_, _| false).collect()),
            ["http_req_waiting"]
        );
        let orders = named(table.metrics("orders", user).collect());
        assert_eq!(orders, ["orders{role:user}", "orders"]);
        let of_others = named(table.metrics("orders", |_, _| false).collect());
        assert_eq!(of_others, ["orders"]);
        assert_eq!(table.metrics("requests", user).count(), 0);
        assert_eq!(table.iterations(user).count(), 0);
        let users = named(table.iterations(|_, _| true).collect());
        assert_eq!(users, ["iteration{scenario:users}"]);
    }
}
