//! The table of what is measured: one row for every step, cycle or kind of request.

use std::collections::BTreeMap;

use super::{Counted, StepWindow};

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A step of the cycle that the users of a population go through.
    Step,
    /// A step that each of them takes once, before its first cycle.
    Start,
    /// The whole cycle of a population.
    Cycle,
    /// The main steps of all kinds of users of a mix.
    Main,
    /// A part of a step that is a streamed answer, counted beside it.
    Part,
    /// The cycles of a population that met all limits of an objective at once; the others failed
    /// here.
    Good,
    /// A kind of request that an engine knows by name, of no cycle.
    Request,
    /// All kinds of requests together.
    AllRequests,
}

impl Role {
    /// Whether it stands for others together and is nothing that is sent itself.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Cycle | Self::Main | Self::AllRequests)
    }

    /// Whether it is something that is sent or waited for itself, and no view of others.
    pub fn is_sent(self) -> bool {
        matches!(self, Self::Step | Self::Start | Self::Request)
    }
}

/// The rows of the parts of a streamed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepParts {
    /// Time to the first event, `NAME.first`.
    pub first: usize,
    /// Time from event to event, `NAME.gap`.
    pub gap: usize,
    /// Mean time from event to event, one of each answer, `NAME.per-event`.
    pub per_event: usize,
}

impl StepParts {
    /// What stands behind the name of the step, in the order of the rows.
    pub const NAMES: [&'static str; 3] = ["first", "gap", "per-event"];

    /// The name of the step that a row is a part of.
    fn whole_of(name: &str) -> Option<(&str, usize)> {
        let (step, part) = name.rsplit_once('.')?;
        let part = Self::NAMES.iter().position(|known| *known == part)?;
        Some((step, part))
    }
}

/// One row: what is counted under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// The name in objectives, records and charts.
    pub name: String,
    /// Whose it is: populations are numbered in the order in which their rows stand.
    pub population: usize,
    /// What it stands for.
    pub role: Role,
    /// The row with whose beginning its latency begins: itself, or an earlier one that a wait
    /// counts from.
    pub latency_from: usize,
    /// The rows whose failures keep a cycle from coming to this one, ascending.
    pub prerequisites: Vec<usize>,
    /// Whether it belongs to the population whose number is searched. Only their latencies move
    /// with the level as queueing theory says; those of a population whose number stands still are
    /// compared level by level.
    pub searched: bool,
    /// The rows that it is the sum of, where it stands for users of several kinds; else nothing.
    pub pooled: Vec<usize>,
}

/// A row with what must be passed before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage<'a> {
    /// The row itself.
    pub step: usize,
    /// [`StepRow::prerequisites`].
    pub prerequisites: &'a [usize],
}

impl Passage<'_> {
    /// Every row whose failure keeps a cycle from passing this one; it is the last of them.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        self.prerequisites.iter().copied().chain([self.step])
    }
}

/// All rows of a run; the number of a row is its index in [`Window::steps`](super::Window::steps).
///
/// Two rows have a meaning of their own: the main one, which a bare `p99` is about, and the whole,
/// which a bare `errors` and the throughput are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTable {
    rows: Vec<StepRow>,
    main: usize,
    whole: usize,
}

/// Whether a name in an objective, whose blanks are of no account, is that of a row.
fn is_named(row: &str, wanted: &str) -> bool {
    let letters = |text: &str| -> String { text.split_whitespace().collect() };
    row == wanted || letters(row) == letters(wanted)
}

impl StepTable {
    /// The name of the row that stands for the whole cycle.
    pub const CYCLE: &'static str = "cycle";
    /// Of the one for the main steps of a mix.
    pub const MAIN: &'static str = "main";
    /// How the names of rows begin that count the cycles which meet several limits.
    pub const GOOD: &'static str = "good(";
    /// Of the one that stands for the whole where an engine knows requests only.
    pub const REQUESTS: &'static str = "requests";

    /// The steps of one cycle, each of which must be passed before the next, with the cycle itself,
    /// and which of them is the main one (`None`: the cycle).
    ///
    /// # Panics
    /// When `main` is not an index into `steps`.
    pub fn of_cycle(steps: impl IntoIterator<Item = String>, main: Option<usize>) -> Self {
        let step = |(index, name)| StepRow {
            name,
            population: 0,
            role: Role::Step,
            latency_from: index,
            prerequisites: (0..index).collect(),
            searched: true,
            pooled: Vec::new(),
        };
        let mut rows: Vec<StepRow> = steps.into_iter().enumerate().map(step).collect();
        let whole = rows.len();
        rows.push(StepRow::whole(Self::CYCLE, Role::Cycle));
        let main = main.unwrap_or(whole);
        assert!(main <= whole, "the main step is one of the steps");
        Self { rows, main, whole }
    }

    /// The first so many rows are taken once by each user, before its first cycle, and belong to no
    /// cycle.
    pub fn started_by(&mut self, count: usize) {
        for (index, row) in self.rows.iter_mut().enumerate() {
            if index < count {
                row.role = Role::Start;
            } else {
                // A cycle begins with the first step that is its own.
                row.latency_from = row.latency_from.max(count);
                row.prerequisites.retain(|before| *before >= count);
            }
        }
    }

    /// Puts a row before the last one, which stands for the whole.
    fn insert(&mut self, row: StepRow) -> usize {
        let at = self.rows.len() - 1;
        self.rows.insert(at, row);
        if self.main >= at {
            self.main += 1;
        }
        self.whole += 1;
        at
    }

    /// Adds the rows of a step that is a streamed answer. Whoever fails before its first event
    /// fails at that part, and later at the others.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn add_parts(&mut self, step: usize) -> StepParts {
        let whole = self.rows[step].clone();
        let part = |name: &str, prerequisites: &[usize], row: usize| StepRow {
            name: format!("{}.{name}", whole.name),
            population: whole.population,
            role: Role::Part,
            latency_from: row,
            prerequisites: prerequisites.to_vec(),
            // How a gap moves with the level is not what queueing theory says of an answer.
            searched: false,
            pooled: Vec::new(),
        };
        let [first_name, gap_name, per_event_name] = StepParts::NAMES;
        let mut before = whole.prerequisites.clone();
        let first = self.insert(StepRow {
            latency_from: whole.latency_from,
            searched: whole.searched,
            ..part(first_name, &before, 0)
        });
        before.push(first);
        let gap = self.insert(part(gap_name, &before, first + 1));
        let per_event = self.insert(part(per_event_name, &before, first + 2));
        StepParts {
            first,
            gap,
            per_event,
        }
    }

    /// Adds the row of the cycles that meet all limits of an objective, whose name it has.
    pub fn add_good(&mut self, name: &str) -> usize {
        let row = StepRow {
            latency_from: self.first_step(),
            ..StepRow::whole(name, Role::Good)
        };
        self.insert(row)
    }

    /// What a row that a record names was, by its name: a record has no more of it.
    fn recall_roles(&mut self) {
        let names: Vec<String> = self.names().map(str::to_owned).collect();
        for (row, name) in names.iter().enumerate() {
            if name.starts_with(Self::GOOD) {
                self.rows[row].role = Role::Good;
                self.rows[row].prerequisites.clear();
            }
            let Some((step, part)) = StepParts::whole_of(name) else {
                continue;
            };
            let Some(step) = names[..row].iter().position(|known| known == step) else {
                continue;
            };
            let mut before = self.rows[step].prerequisites.clone();
            before.extend((part > 0).then(|| row - part));
            self.rows[row].role = Role::Part;
            self.rows[row].prerequisites = before;
        }
        let roles: Vec<Role> = self.rows.iter().map(|row| row.role).collect();
        for row in self.rows.iter_mut().filter(|row| row.role.is_sent()) {
            row.prerequisites.retain(|before| roles[*before].is_sent());
        }
    }

    /// Whether a row is taken once by each user.
    pub fn is_start(&self, row: usize) -> bool {
        self.rows
            .get(row)
            .is_some_and(|row| row.role == Role::Start)
    }

    /// Where the first step of a cycle stands.
    pub fn first_step(&self) -> usize {
        let first = self.rows.iter().position(|row| row.role != Role::Start);
        first.unwrap_or(0)
    }

    /// Kinds of requests, for an engine that knows no cycles: all requests together are the whole,
    /// and the main row too.
    pub fn of_requests(kinds: impl IntoIterator<Item = String>) -> Self {
        let kind = |(index, name)| StepRow {
            name,
            population: 0,
            role: Role::Request,
            latency_from: index,
            prerequisites: Vec::new(),
            searched: true,
            pooled: Vec::new(),
        };
        let mut rows: Vec<StepRow> = kinds.into_iter().enumerate().map(kind).collect();
        let whole = rows.len();
        rows.push(StepRow::whole(Self::REQUESTS, Role::AllRequests));
        Self {
            rows,
            main: whole,
            whole,
        }
    }

    /// Those of several populations in the order of their windows: the others', each by its name,
    /// before the users' own. The whole and the main row are the users'. `searched` is which of the
    /// others is searched; `None` for the users.
    pub fn of_populations(others: &[(&str, &Self)], users: &Self, searched: Option<usize>) -> Self {
        let mut rows = Self::named_rows(others, |number| searched == Some(number));
        let before = rows.len();
        rows.extend(users.shifted(before, others.len(), searched.is_none()));
        Self {
            rows,
            main: before + users.main,
            whole: before + users.whole,
        }
    }

    /// Those of users of several kinds who share one level, the last `kinds` of all, behind others
    /// whose number is fixed: each by its name, then what stands for all kinds together. A row for
    /// their main steps is there unless the cycles are that.
    pub fn of_mix(all: &[(&str, &Self)], kinds: usize) -> Self {
        let fixed = all.len().saturating_sub(kinds);
        let mut rows = Self::named_rows(all, |number| number >= fixed);
        let mut first = 0;
        let (mut wholes, mut mains) = (Vec::new(), Vec::new());
        let mut good: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, (_, table)) in all.iter().enumerate() {
            if number >= fixed {
                wholes.push(first + table.whole);
                mains.push(first + table.main);
                for (row, of) in table.rows.iter().enumerate() {
                    if of.role == Role::Good {
                        good.entry(of.name.clone()).or_default().push(first + row);
                    }
                }
            }
            first += table.rows.len();
        }
        let mut together = |name: &str, role, pooled: &[usize]| {
            let mut prerequisites: Vec<usize> = (pooled.iter())
                .flat_map(|row| rows[*row].prerequisites.iter().copied())
                .collect();
            prerequisites.sort_unstable();
            rows.push(StepRow {
                population: all.len(),
                latency_from: rows.len(),
                prerequisites,
                pooled: pooled.to_vec(),
                ..StepRow::whole(name, role)
            });
            rows.len() - 1
        };
        for (name, counted) in good {
            together(&name, Role::Good, &counted);
        }
        let main = (mains != wholes).then(|| together(Self::MAIN, Role::Main, &mains));
        let whole = together(Self::CYCLE, Role::Cycle, &wholes);
        Self {
            main: main.unwrap_or(whole),
            whole,
            rows,
        }
    }

    /// The rows of populations one behind the other, each by its name.
    fn named_rows(all: &[(&str, &Self)], searched: impl Fn(usize) -> bool) -> Vec<StepRow> {
        let mut rows: Vec<StepRow> = Vec::new();
        for (number, (population, table)) in all.iter().enumerate() {
            let own = table.shifted(rows.len(), number, searched(number));
            rows.extend(own.map(|row| StepRow {
                name: if row.role.is_whole() {
                    (*population).to_owned()
                } else {
                    format!("{population}.{}", row.name)
                },
                ..row
            }));
        }
        rows
    }

    /// Completes the counts of the rows that are counted themselves with those of the rows that are
    /// sums of them.
    pub fn pool(&self, steps: &mut Vec<StepWindow>) {
        for (row, of) in self.rows.iter().enumerate() {
            if of.pooled.is_empty() {
                continue;
            }
            let mut sum = StepWindow::default();
            for part in of.pooled.iter().filter_map(|part| steps.get(*part)) {
                sum.merge_shard(part);
            }
            // What was said of a failure stands with the row that it is of.
            sum.exchanges.clear();
            if row < steps.len() {
                steps[row] = sum;
            } else {
                steps.push(sum);
            }
        }
    }

    /// Its rows as they stand behind `before` others.
    fn shifted(
        &self,
        before: usize,
        population: usize,
        searched: bool,
    ) -> impl Iterator<Item = StepRow> {
        self.rows.iter().map(move |row| StepRow {
            name: row.name.clone(),
            population,
            role: row.role,
            latency_from: before + row.latency_from,
            prerequisites: row.prerequisites.iter().map(|p| before + p).collect(),
            searched: searched && row.searched,
            pooled: row.pooled.iter().map(|p| before + p).collect(),
        })
    }

    /// Rows as a record names them: all of them, the last of which stands for the whole.
    pub fn of_record(all: &[String], main: usize) -> Self {
        let kinds = all.len().saturating_sub(1);
        let steps = all.iter().take(kinds).cloned();
        if all.last().is_some_and(|last| last == Self::REQUESTS) {
            Self::of_requests(steps)
        } else {
            let mut table = Self::of_cycle(steps, Some(main.min(kinds)));
            table.recall_roles();
            table
        }
    }

    /// The rows in the order in which a record has them: as they stand, the whole last.
    pub fn recorded(&self) -> impl Iterator<Item = (usize, &str)> {
        let parts = (0..self.rows.len()).filter(|row| *row != self.whole);
        parts.chain([self.whole]).map(|row| (row, self.name(row)))
    }

    /// What a record has of each row, in its order, as the rows stand; what it does not have is as
    /// if nothing was seen.
    pub fn from_recorded<T: Clone + Default>(&self, recorded: impl Iterator<Item = T>) -> Vec<T> {
        let mut out = vec![T::default(); self.rows.len()];
        for ((row, _), value) in self.recorded().zip(recorded) {
            out[row] = value;
        }
        out
    }

    /// Where the main row stands in that order.
    pub fn recorded_main(&self) -> usize {
        let mut order = self.recorded().map(|(row, _)| row);
        order.position(|row| row == self.main).unwrap_or(self.main)
    }

    /// Lets the latency of a row begin with that of an earlier one.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn count_from(&mut self, row: usize, from: usize) {
        self.rows[row].latency_from = from;
    }

    /// Says what a cycle must have passed before it comes to a row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn comes_after(&mut self, row: usize, prerequisites: Vec<usize>) {
        self.rows[row].prerequisites = prerequisites;
    }

    /// The number of the row that an objective names, or of the main one for `None`.
    pub fn index(&self, name: Option<&str>) -> Option<usize> {
        match name {
            None => Some(self.main),
            Some(name) => self.rows.iter().position(|row| is_named(&row.name, name)),
        }
    }

    /// The name of a row; `?` for one that there is not.
    pub fn name(&self, row: usize) -> &str {
        self.rows.get(row).map_or("?", |row| &row.name)
    }

    /// What must be passed on the way to a row, and the row.
    pub fn passage(&self, step: usize) -> Passage<'_> {
        let row = self.rows.get(step);
        Passage {
            step,
            prerequisites: row.map_or(&[], |row| &row.prerequisites),
        }
    }

    /// Whether a row stands for the cycles of a population, or for all kinds of requests, and is
    /// none itself.
    pub fn is_whole(&self, row: usize) -> bool {
        self.rows.get(row).is_some_and(|row| row.role.is_whole())
    }

    /// Whether a row belongs to the population that is searched.
    pub fn is_searched(&self, row: usize) -> bool {
        self.rows.get(row).is_some_and(|row| row.searched)
    }

    /// Whether the population that is searched are the users, whose main row a bare `p99` is about.
    pub fn users_are_searched(&self) -> bool {
        self.is_searched(self.main)
    }

    /// The row that stands for the whole.
    pub fn whole(&self) -> usize {
        self.whole
    }

    /// The main row.
    pub fn main(&self) -> usize {
        self.main
    }

    /// What stands for the whole.
    pub fn counted(&self) -> Counted {
        match self.rows[self.whole].role {
            Role::Request | Role::AllRequests => Counted::Requests,
            Role::Step | Role::Start | Role::Part | Role::Good | Role::Cycle | Role::Main => {
                Counted::Cycles
            }
        }
    }

    /// The rows in order.
    pub fn rows(&self) -> &[StepRow] {
        &self.rows
    }

    /// Their names in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rows.iter().map(|row| row.name.as_str())
    }

    /// The names of those that are sent themselves, and stand for no others together.
    pub fn step_names(&self) -> impl Iterator<Item = &str> {
        let steps = self.rows.iter().filter(|row| row.role.is_sent());
        steps.map(|row| row.name.as_str())
    }
}

impl StepRow {
    /// What stands for a population's cycle or for all its requests: its clock begins with the
    /// first of them.
    fn whole(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            population: 0,
            role,
            latency_from: 0,
            prerequisites: Vec::new(),
            searched: true,
            pooled: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_abusers(searched: Option<usize>) -> StepTable {
        let mut users = StepTable::of_cycle(["open", "answer"].map(str::to_owned), Some(1));
        users.count_from(1, 0);
        let abusers = StepTable::of_cycle(["fire".to_owned()], None);
        let bots = StepTable::of_cycle(["look".to_owned()], Some(0));
        StepTable::of_populations(&[("abusers", &abusers), ("bots", &bots)], &users, searched)
    }

    #[test]
    fn rows_of_all_populations_stand_side_by_side_and_the_users_own_come_last() {
        let all = with_abusers(None);
        let names: Vec<&str> = all.names().collect();
        assert_eq!(
            names,
            [
                "abusers.fire",
                "abusers",
                "bots.look",
                "bots",
                "open",
                "answer",
                "cycle"
            ]
        );
        assert_eq!((all.main(), all.whole()), (5, 6));
        assert_eq!(all.index(Some("abusers")), Some(1));
        let passed = |step| all.passage(step).rows().collect::<Vec<_>>();
        let passages: Vec<_> = (0..names.len()).map(passed).collect();
        let itself = |step| vec![step];
        assert_eq!(
            passages,
            [
                itself(0),
                itself(1),
                itself(2),
                itself(3),
                itself(4),
                vec![4, 5],
                itself(6)
            ]
        );
        let from: Vec<usize> = all.rows().iter().map(|row| row.latency_from).collect();
        assert_eq!(from, [0, 0, 2, 2, 4, 4, 4]);
        let whose: Vec<usize> = all.rows().iter().map(|row| row.population).collect();
        assert_eq!(whose, [0, 0, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn what_is_done_once_belongs_to_no_cycle() {
        let names = ["login", "token", "open", "answer"].map(str::to_owned);
        let mut table = StepTable::of_cycle(names, Some(3));
        table.started_by(2);
        let passed = |step| table.passage(step).rows().collect::<Vec<_>>();
        assert_eq!(
            [passed(1), passed(3), passed(4)],
            [vec![0, 1], vec![2, 3], vec![4]]
        );
        let from: Vec<usize> = table.rows().iter().map(|row| row.latency_from).collect();
        assert_eq!(from, [0, 1, 2, 3, 2]);
        assert!(table.is_start(1) && !table.is_start(2));
        assert_eq!(table.first_step(), 2);
    }

    #[test]
    fn a_streamed_answer_has_parts_that_no_other_step_waits_for() {
        let mut table = StepTable::of_cycle(["ask", "answer", "rate"].map(str::to_owned), None);
        let parts = table.add_parts(1);
        let good = table.add_good("good(answer.first<1s)");
        let names: Vec<&str> = table.names().collect();
        assert_eq!(
            names[3..],
            [
                "answer.first",
                "answer.gap",
                "answer.per-event",
                "good(answer.first<1s)",
                "cycle"
            ]
        );
        assert_eq!(
            (parts.first, parts.gap, parts.per_event, good),
            (3, 4, 5, 6)
        );
        assert_eq!((table.main(), table.whole()), (7, 7));
        let passed = |table: &StepTable, step| table.passage(step).rows().collect::<Vec<_>>();
        let wanted = [
            vec![0, 1, 2],
            vec![0, 3],
            vec![0, 3, 4],
            vec![0, 3, 5],
            vec![6],
        ];
        for (step, wanted) in (2..7).zip(&wanted) {
            assert_eq!(passed(&table, step), *wanted, "{step}");
        }
        let sent: Vec<&str> = table.step_names().collect();
        assert_eq!(sent, ["ask", "answer", "rate"]);
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let again = StepTable::of_record(&names, 7);
        for (step, wanted) in (2..7).zip(&wanted) {
            assert_eq!(passed(&again, step), *wanted, "{step} of a record");
        }
        assert_eq!(again.rows()[6].role, Role::Good);
    }

    #[test]
    fn one_population_is_searched() {
        let searched = |which| -> Vec<bool> {
            let table = with_abusers(which);
            table.rows().iter().map(|row| row.searched).collect()
        };
        assert_eq!(
            searched(None),
            [false, false, false, false, true, true, true]
        );
        assert_eq!(
            searched(Some(1)),
            [false, false, true, true, false, false, false]
        );
        assert!(with_abusers(None).users_are_searched());
        assert!(!with_abusers(Some(0)).users_are_searched());
    }

    #[test]
    fn what_a_record_has_is_found_again() {
        let mut table = StepTable::of_cycle(["open", "answer"].map(str::to_owned), Some(1));
        table.rows.rotate_right(1);
        table.whole = 0;
        assert_eq!(table.from_recorded([1, 2, 3].into_iter()), [3, 1, 2]);
        assert_eq!(table.from_recorded([1].into_iter()), [0, 1, 0]);
    }

    #[test]
    fn a_record_has_the_whole_last_wherever_it_stands() {
        let mut table = StepTable::of_cycle(["open", "answer"].map(str::to_owned), Some(1));
        let order = |table: &StepTable| -> Vec<String> {
            table
                .recorded()
                .map(|(row, name)| format!("{row} {name}"))
                .collect()
        };
        assert_eq!(order(&table), ["0 open", "1 answer", "2 cycle"]);
        assert_eq!(table.recorded_main(), 1);
        table.rows.rotate_right(1);
        (table.whole, table.main) = (0, 2);
        assert_eq!(order(&table), ["1 open", "2 answer", "0 cycle"]);
        assert_eq!(table.recorded_main(), 1);
    }
}
