//! Which goals a VU's cycle can still meet, and since when it cannot: a limit that was passed once
//! is passed for the cycle.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::scenario::{Goal, LimitOf};

/// What a cycle missed so far.
#[derive(Default)]
pub(super) struct Misses {
    /// By goal: since when it is missed. Empty where there are no goals.
    since: RefCell<Box<[Option<Instant>]>>,
}

impl Misses {
    /// A cycle begins, of so many goals.
    pub(super) fn begin(&self, goals: usize) {
        let mut since = self.since.borrow_mut();
        if since.len() == goals {
            since.fill(None);
        } else {
            *since = vec![None; goals].into_boxed_slice();
        }
    }

    /// Something took so long until a time.
    pub(super) fn took(&self, goals: &[Goal], of: LimitOf, took: Duration, until: Instant) {
        if goals.is_empty() {
            return;
        }
        let mut since = self.since.borrow_mut();
        for (goal, since) in goals.iter().zip(&mut **since) {
            let missed = goal
                .limits
                .iter()
                .filter(|limit| limit.of == of && !limit.is_met_by(took))
                .map(|limit| {
                    until
                        .checked_sub(took.saturating_sub(limit.most))
                        .unwrap_or(until)
                });
            *since = missed.chain(*since).min();
        }
    }

    /// Whether the cycle missed a goal.
    pub(super) fn has_missed(&self, goal: usize) -> bool {
        self.since.borrow().get(goal).is_some_and(Option::is_some)
    }

    /// For how long a cycle in flight has missed a goal; `running` is what runs now and for how
    /// long.
    pub(super) fn age(
        &self,
        (number, goal): (usize, &Goal),
        running: &[(LimitOf, Duration)],
        now: Instant,
    ) -> Option<Duration> {
        let since = self.since.borrow().get(number).copied().flatten();
        let before = since.map(|since| now.saturating_duration_since(since));
        let limits = goal.limits.iter();
        let late = limits.flat_map(|limit| {
            let over = running
                .iter()
                .filter(|(of, age)| *of == limit.of && !limit.is_met_by(*age));
            over.map(|(_, age)| age.saturating_sub(limit.most))
        });
        late.chain(before).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::GoalLimit;

    #[test]
    fn one_limit_that_was_passed_is_a_goal_missed_since_then() {
        let ms = Duration::from_millis;
        let limit = |of, most| GoalLimit {
            of,
            most: ms(most),
            inclusive: false,
        };
        let (first, gap) = (LimitOf::Row(1), LimitOf::Row(2));
        let goals = [Goal {
            row: 4,
            limits: vec![
                limit(first, 500),
                limit(gap, 100),
                limit(LimitOf::Cycle, 2_000),
            ],
        }];
        let goal = (0, &goals[0]);
        let start = Instant::now();
        let misses = Misses::default();
        misses.begin(1);
        misses.took(&goals, first, ms(499), start + ms(499));
        misses.took(&goals, LimitOf::Row(0), ms(9_000), start + ms(499));
        misses.took(&goals, gap, ms(99), start + ms(598));
        assert!(!misses.has_missed(0));
        let at = start + ms(700);
        assert_eq!(misses.age(goal, &[(gap, ms(99))], at), None);
        assert_eq!(misses.age(goal, &[(gap, ms(130))], at), Some(ms(30)));
        assert_eq!(
            misses.age(goal, &[(gap, ms(130)), (LimitOf::Cycle, ms(2_050))], at),
            Some(ms(50))
        );
        misses.took(&goals, gap, ms(100), start + ms(700));
        assert!(
            misses.has_missed(0),
            "a bound that was reached is none below it"
        );
        assert_eq!(misses.age(goal, &[], at + ms(5)), Some(ms(5)));
        misses.begin(1);
        assert!(!misses.has_missed(0), "the next cycle may be good");
    }
}
