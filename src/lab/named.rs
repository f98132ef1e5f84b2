//! Whether an answer names what a system is: the one place that knows which ending belongs to which
//! kind.

use super::system::Expect;
use crate::record::{Answer, Ending};

/// Whether the answer says what a good search says of such a system.
pub fn named_as_expected(answer: &Answer, expect: Expect) -> bool {
    match expect {
        // An interval is a breakpoint named honestly: the search was too short for one number.
        Expect::Breakpoint => matches!(answer.ending, Ending::Found | Ending::Bracketed),
        Expect::NeverBroke => answer.ending == Ending::NeverBroke,
        Expect::TimeDriven => answer.ending == Ending::TimeDriven,
        Expect::Hysteresis => answer.ending == Ending::Hysteresis,
        Expect::Bimodal => answer.ending == Ending::Bimodal,
    }
}

/// Whether the answer names a breakpoint and noticed nothing that qualifies it.
pub fn without_reserve(answer: &Answer) -> bool {
    answer.ending == Ending::Found && answer.breakpoint.is_some() && answer.noticed.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Noticed, NoticedKind};

    #[test]
    fn a_number_is_without_reserve_when_nothing_was_noticed_beside_it() {
        let mut answer = Answer::unmeasured(Ending::Found, String::new(), 0.95, 0.05);
        assert!(!without_reserve(&answer), "no number");
        answer.breakpoint = Some(100);
        assert!(without_reserve(&answer));
        answer.noticed.push(Noticed {
            kind: NoticedKind::Grew,
            text: String::new(),
            from_s: 0.0,
            to_s: 1.0,
        });
        assert!(!without_reserve(&answer), "it grew meanwhile");
        let undecided = Answer {
            ending: Ending::Undecided,
            noticed: Vec::new(),
            ..answer
        };
        assert!(!without_reserve(&undecided));
    }

    #[test]
    fn only_the_right_ending_is_as_expected() {
        let answer = |ending| Answer::unmeasured(ending, String::new(), 0.95, 0.05);
        for (ending, expect, want) in [
            (Ending::Found, Expect::Breakpoint, true),
            (Ending::Bracketed, Expect::Breakpoint, true),
            (Ending::Bracketed, Expect::NeverBroke, false),
            (Ending::Undecided, Expect::Breakpoint, false),
            (Ending::NeverBroke, Expect::Breakpoint, false),
            (Ending::NeverBroke, Expect::NeverBroke, true),
            (Ending::Found, Expect::NeverBroke, false),
            (Ending::Found, Expect::TimeDriven, false),
            (Ending::TimeDriven, Expect::TimeDriven, true),
            (Ending::TimeDriven, Expect::Bimodal, false),
            (Ending::Bimodal, Expect::Bimodal, true),
            (Ending::Hysteresis, Expect::Hysteresis, true),
        ] {
            assert_eq!(
                named_as_expected(&answer(ending), expect),
                want,
                "{ending:?}"
            );
        }
    }
}
