//! Steps within steps: groups, ways that are drawn, repetitions and conditions.

use std::time::Duration;

use toml::Spanned;

use super::{Compiler, Escape};
use crate::scenario::spec::{ChoiceSpec, StepSpec};
use crate::scenario::{Action, Choice, Condition, ScenarioError, Step};

/// Steps within steps, so deep: nobody reads deeper ones.
const DEEPEST: usize = 8;
/// Most times that a step is taken, one after the other: more is a load of its own.
const MOST_REPEATS: u32 = 10_000;
/// The highest weight of a way.
const MOST_WEIGHT: u32 = 1_000_000;

/// How often a step is taken.
pub(super) fn repeat(step: &StepSpec) -> Result<u32, String> {
    within(step.repeat.unwrap_or(1), MOST_REPEATS)
        .ok_or_else(|| format!("`repeat` must be between 1 and {MOST_REPEATS}"))
}

fn within(number: i64, most: u32) -> Option<u32> {
    let number = u32::try_from(number).ok()?;
    (1..=most).contains(&number).then_some(number)
}

impl<'a> Compiler<'a> {
    /// The steps of a group.
    pub(super) fn group(
        &mut self,
        steps: &'a [Spanned<StepSpec>],
        timeout: Duration,
    ) -> Result<Vec<Step>, ScenarioError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("steps within steps go {DEEPEST} deep at most").into());
        }
        let steps = self.steps(steps, timeout, Self::step)?;
        self.depth -= 1;
        Ok(steps)
    }

    /// Ways of which one is taken.
    pub(super) fn choice(
        &mut self,
        choices: &'a [ChoiceSpec],
        timeout: Duration,
    ) -> Result<Action, ScenarioError> {
        if choices.is_empty() {
            return Err(
                "`choose` is empty; write [{ weight = 7, steps = [..] }, ..]"
                    .to_owned()
                    .into(),
            );
        }
        let before = self.streams_now();
        let mut after = Vec::with_capacity(choices.len());
        let mut out = Vec::with_capacity(choices.len());
        for choice in choices {
            self.restore_streams(&before);
            let weight = within(choice.weight, MOST_WEIGHT)
                .ok_or_else(|| format!("a `weight` must be between 1 and {MOST_WEIGHT}"))?;
            let steps = self.group(&choice.steps, timeout)?;
            out.push(Choice { weight, steps });
            after.push(self.streams_now());
        }
        self.streams_after(&before, &after);
        Ok(Action::Choose(out))
    }

    pub(super) fn condition(&self, step: &StepSpec) -> Result<Option<Condition>, String> {
        let text = step.condition.as_deref();
        text.map(|text| Condition::parse(text, |side| self.template(side, Escape::None)))
            .transpose()
    }

    /// The row of a measured step; a name that comes again has the row that it had.
    pub(super) fn row(&mut self, name: &'a str) -> Result<usize, String> {
        match self.measured.iter().position(|known| *known == name) {
            Some(row) if row < self.started => {
                Err("a start step has this name already; choose another".to_owned())
            }
            Some(row) => Ok(row),
            None => {
                self.measured.push(name);
                Ok(self.measured.len() - 1)
            }
        }
    }

    /// Which row a wait counts from, which is the same wherever the row comes.
    pub(super) fn counts_from(&mut self, row: usize, from: Option<usize>) -> Result<(), String> {
        let known = *self.since.entry(row).or_insert(from);
        if known == from {
            return Ok(());
        }
        Err(
            "an earlier step of this name counts from elsewhere, and both are one row; give it \
            the same `since` or another name"
                .to_owned(),
        )
    }

    /// The number of a stream that a step opens. One that comes again takes the place of that
    /// before.
    pub(super) fn opened(&mut self, step: &'a StepSpec) -> Result<usize, String> {
        let name = step.name.as_deref().unwrap_or_default();
        let known = self.streams.iter().position(|(n, _)| *n == name);
        let stream = match known {
            Some(stream) if self.streams[stream].1 => {
                return Err(
                    "this stream is open already; close it first, or choose another name"
                        .to_owned(),
                );
            }
            Some(stream) => {
                self.streams[stream].1 = true;
                stream
            }
            None => {
                self.streams.push((name, true));
                self.streams.len() - 1
            }
        };
        let open = self.streams.iter().filter(|(_, open)| *open).count() + self.left_open;
        self.streams_at_once = self.streams_at_once.max(open);
        Ok(stream)
    }

    /// Which streams are open.
    pub(super) fn streams_now(&self) -> Vec<bool> {
        self.streams.iter().map(|(_, open)| *open).collect()
    }

    fn restore_streams(&mut self, then: &[bool]) {
        for (at, (_, open)) in self.streams.iter_mut().enumerate() {
            *open = then.get(at).copied().unwrap_or(false);
        }
    }

    /// Behind branches only those streams are surely open that were before, and are in each of
    /// them.
    pub(super) fn streams_after(&mut self, before: &[bool], branches: &[Vec<bool>]) {
        let in_branch = |branch: &Vec<bool>, at: usize| branch.get(at).copied().unwrap_or(false);
        for (at, (_, open)) in self.streams.iter_mut().enumerate() {
            let was = before.get(at).copied().unwrap_or(false);
            *open = was && branches.iter().all(|branch| in_branch(branch, at));
            let left = !*open && branches.iter().any(|branch| in_branch(branch, at));
            self.left_open += usize::from(left);
        }
    }
}
