//! Which way a cycle goes.

use rand::RngExt as _;

use super::ScenarioUser;
use crate::engine::trace::Mark;
use crate::scenario::{Action, Step};

impl<'a> ScenarioUser<'a> {
    /// Whether a step is to be taken.
    pub(super) fn meets(&mut self, step: &Step) -> bool {
        let Some(condition) = &step.condition else {
            return true;
        };
        let (scenario, values, rng) = (self.scenario, &self.values, &mut self.rng);
        let holds = condition.holds(|side| scenario.render(side, values, rng));
        if !holds {
            let name = self.called(step);
            self.say(Mark::Note, |_| {
                format!("{name}: skipped, `if` does not hold")
            });
        }
        holds
    }

    /// The steps within a step: those of a group, or of the way that is drawn.
    pub(super) fn way(&mut self, step: &'a Step) -> &'a [Step] {
        match &step.action {
            Action::Group(steps) => steps,
            Action::Choose(choices) => {
                let all: u64 = choices.iter().map(|c| u64::from(c.weight)).sum();
                let mut drawn = self.rng.random_range(0..all.max(1));
                let at = choices.iter().position(|choice| {
                    let weight = u64::from(choice.weight);
                    let here = drawn < weight;
                    drawn = drawn.saturating_sub(weight);
                    here
                });
                let at = at.unwrap_or(0);
                self.say(Mark::Note, |_| {
                    let weight = choices[at].weight;
                    format!(
                        "way {} of {}, weight {weight} of {all}",
                        at + 1,
                        choices.len()
                    )
                });
                &choices[at].steps
            }
            Action::Request(_)
            | Action::Open(..)
            | Action::Wait(_)
            | Action::Socket(_)
            | Action::Think(_)
            | Action::Close(_) => &[],
        }
    }

    /// What a step is called where it is told of.
    fn called(&self, step: &Step) -> &'a str {
        match step.measured {
            Some(row) => self.scenario.table().name(row),
            None => "steps",
        }
    }
}
