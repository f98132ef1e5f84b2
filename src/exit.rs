//! The exit codes, which scripts rely on.

use std::process::ExitCode;

use crate::record::{
    ChangeVerdict, CompareRecord, ComparedMetric, Ending, GateOutcome, LoadOutcome, RampEnding,
    RunRecord, ScaleRecord,
};

/// How the program ends. The numbers never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// 0: there is an answer ("never broke up to the maximum" and "between 59 and 83" are some) and
    /// every gate holds.
    Answer = 0,
    /// 1: our own failure, or output that cannot be written where it was wanted.
    Failure = 1,
    /// 2: a mistake on the command line or in the profile; clap's own code too.
    Usage = 2,
    /// 3: undecided, and the answer says why.
    Undecided = 3,
    /// 4: the generator or its host was the limit, or the highest level asked for does not fit it.
    HostLimit = 4,
    /// 5: the SLO breaks at the lowest level, or the target did not come up or recover.
    Target = 5,
    /// 99: a gate failed, or a limit that must not be passed stopped the run; the code that k6 uses
    /// for thresholds, also for those that abort.
    Gate = 99,
    /// 130: interrupted; everything measured is written.
    Interrupted = 130,
}

impl Exit {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Answer,
        Self::Failure,
        Self::Usage,
        Self::Undecided,
        Self::HostLimit,
        Self::Target,
        Self::Gate,
        Self::Interrupted,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The code of several runs, one after the other: an interruption first, then the first that
    /// was no plain answer.
    pub fn of_all(exits: impl IntoIterator<Item = Self>) -> Self {
        let mut worst = Self::Answer;
        for exit in exits {
            if exit == Self::Interrupted {
                return exit;
            }
            if worst == Self::Answer {
                worst = exit;
            }
        }
        worst
    }
}

impl From<Ending> for Exit {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Found | Ending::Bracketed | Ending::NeverBroke => Self::Answer,
            Ending::BrokeAtMinimum | Ending::TargetDown => Self::Target,
            Ending::TimeDriven
            | Ending::Hysteresis
            | Ending::Bimodal
            | Ending::Undecided
            | Ending::DataUsedUp => Self::Undecided,
            Ending::GeneratorLimited => Self::HostLimit,
            Ending::Aborted => Self::Gate,
            Ending::Interrupted => Self::Interrupted,
        }
    }
}

impl From<&RunRecord> for Exit {
    /// A gate changes the code of a run with an answer only: what went wrong before there was one
    /// is told by its own code.
    fn from(record: &RunRecord) -> Self {
        let exit = Self::from(record.answer.ending);
        let passed = |outcome| outcome == LoadOutcome::Passed;
        match record.gate() {
            Some(gate) if exit == Self::Answer && !passed(gate.outcome) => Self::Gate,
            _ => exit,
        }
    }
}

impl From<RampEnding> for Exit {
    /// A ramp that ran has an answer, also where its SLO broke: a gate on it would be another
    /// matter.
    fn from(ending: RampEnding) -> Self {
        match ending {
            RampEnding::Complete => Self::Answer,
            RampEnding::DataUsedUp => Self::Undecided,
            RampEnding::GeneratorLimited => Self::HostLimit,
            RampEnding::TargetDown => Self::Target,
            RampEnding::Aborted => Self::Gate,
            RampEnding::Interrupted => Self::Interrupted,
        }
    }
}

impl From<&CompareRecord> for Exit {
    /// Gates decide where there are any; else whether the breakpoints could be compared.
    fn from(record: &CompareRecord) -> Self {
        let gate = |outcome| record.gates.iter().any(|g| g.outcome == outcome);
        if gate(GateOutcome::Failed) {
            return Self::Gate;
        }
        if gate(GateOutcome::CannotSay) {
            return Self::Undecided;
        }
        let mut changes = record.comparisons.iter().flat_map(|c| &c.changes);
        let unknown = changes.any(|c| {
            c.metric == ComparedMetric::Breakpoint && c.verdict == ChangeVerdict::CannotSay
        });
        if unknown && record.gates.is_empty() {
            Self::Undecided
        } else {
            Self::Answer
        }
    }
}

impl From<&ScaleRecord> for Exit {
    /// Gates decide where there are any; else whether every size has a breakpoint.
    fn from(record: &ScaleRecord) -> Self {
        let gate = |outcome| record.gates.iter().any(|g| g.outcome == outcome);
        if gate(GateOutcome::Failed) {
            return Self::Gate;
        }
        let unknown = record.sizes.iter().any(|s| s.breakpoint.is_none());
        if gate(GateOutcome::CannotSay) || (unknown && record.gates.is_empty()) {
            return Self::Undecided;
        }
        Self::Answer
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_pinned() {
        let codes: Vec<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 99, 130]);
        for (ending, code) in [
            (Ending::Found, 0),
            (Ending::Bracketed, 0),
            (Ending::NeverBroke, 0),
            (Ending::Undecided, 3),
            (Ending::TimeDriven, 3),
            (Ending::Hysteresis, 3),
            (Ending::Bimodal, 3),
            (Ending::DataUsedUp, 3),
            (Ending::GeneratorLimited, 4),
            (Ending::BrokeAtMinimum, 5),
            (Ending::TargetDown, 5),
            (Ending::Aborted, 99),
            (Ending::Interrupted, 130),
        ] {
            assert_eq!(Exit::from(ending).code(), code, "{ending:?}");
        }
        for (ending, code) in [
            (RampEnding::Complete, 0),
            (RampEnding::DataUsedUp, 3),
            (RampEnding::GeneratorLimited, 4),
            (RampEnding::TargetDown, 5),
            (RampEnding::Aborted, 99),
            (RampEnding::Interrupted, 130),
        ] {
            assert_eq!(Exit::from(ending).code(), code, "{ending:?}");
        }
    }

    #[test]
    fn a_gate_fails_an_answer_and_nothing_else() {
        let mut record = crate::samples::found();
        for (required, exit) in [
            (None, Exit::Answer),
            (Some(1150), Exit::Answer),
            (Some(1151), Exit::Gate),
            (Some(9000), Exit::Gate),
        ] {
            record.plan.required = required;
            assert_eq!(Exit::from(&record), exit, "{required:?}");
        }
        record.answer.ending = Ending::Undecided;
        assert_eq!(Exit::from(&record), Exit::Undecided);
        record.answer.ending = Ending::Interrupted;
        assert_eq!(Exit::from(&record), Exit::Interrupted);
    }

    #[test]
    fn a_comparison_ends_as_its_gates_do_and_else_as_its_breakpoint() {
        use crate::compare::{self, Condition, Design, Named};
        let fell = {
            let mut run = crate::samples::found();
            for (level, _) in &mut run.answer.distribution {
                *level *= 0.5;
            }
            run.answer.ci_low = Some(580);
            run.answer.ci_high = Some(605);
            run
        };
        let mut odd = fell.clone();
        odd.answer.ending = Ending::Bimodal;
        let code = |candidate: &crate::record::RunRecord, conditions: &[&str]| {
            let runs = [&crate::samples::found(), candidate].map(|record| Named {
                name: String::new(),
                record: record.clone(),
                size: None,
            });
            let conditions: Vec<Condition> =
                conditions.iter().map(|c| c.parse().unwrap()).collect();
            let design = Design::EachWithFirst;
            let record = compare::compare(&runs, &design, &conditions, String::new()).unwrap();
            Exit::from(&record).code()
        };
        assert_eq!(code(&fell, &[]), 0, "a fall alone is an answer");
        assert_eq!(code(&fell, &["breakpoint<-5%"]), 99);
        assert_eq!(code(&fell, &["breakpoint>+5%"]), 0);
        assert_eq!(code(&odd, &[]), 3);
        assert_eq!(code(&odd, &["breakpoint<-5%"]), 3);
    }

    #[test]
    fn several_runs_end_as_the_first_that_has_no_answer() {
        use Exit::{Answer, Interrupted, Target, Undecided};
        assert_eq!(Exit::of_all([]), Answer);
        assert_eq!(Exit::of_all([Answer, Undecided, Target]), Undecided);
        assert_eq!(Exit::of_all([Undecided, Interrupted]), Interrupted);
    }
}
