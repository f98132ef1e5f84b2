//! `junit.xml`: the answer and the gate as tests, for CI systems that show those.

use std::fmt::Write as _;

use super::escape::{markup, one_line};
use super::{compare, ramp, scale, summary, view};
use crate::record::{
    Change, ChangeVerdict, CompareRecord, ComparedMetric, Ending, GateOutcome, LoadOutcome,
    RampEnding, RampRecord, RunRecord, ScaleRecord,
};

/// How a test case came out.
enum Came {
    Well,
    /// The target is not good enough.
    Failure(String),
    /// There is nothing to judge.
    Error(String),
    /// There is nothing to judge, and nobody asked for it.
    Skipped(String),
}

struct Case {
    name: String,
    came: Came,
}

struct Suite<'a> {
    profile: &'a str,
    started_at: &'a str,
    seconds: f64,
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
    /// What the terminal shows.
    out: String,
}

pub(super) fn of_run(record: &RunRecord) -> Vec<u8> {
    let a = &record.answer;
    let mut cases = vec![Case {
        name: format!("a breakpoint is found for {}", record.slo.join(", ")),
        came: answer(record),
    }];
    if let Some(gate) = record.gate() {
        let needed = view::level(record, gate.required);
        let came = match gate.outcome {
            LoadOutcome::Passed => Came::Well,
            LoadOutcome::ShownBelow | LoadOutcome::NotShown => Came::Failure(gate.sentence),
            LoadOutcome::NoAnswer => Came::Error(gate.sentence),
        };
        cases.push(Case {
            name: format!("{needed} are carried"),
            came,
        });
    }
    Suite {
        profile: &record.profile,
        started_at: &record.started_at,
        seconds: a.search_s,
        properties: properties(record),
        cases,
        out: summary::summary(record),
    }
    .write()
}

fn answer(record: &RunRecord) -> Came {
    let text = || format!("{}: {}", view::headline(record), record.answer.reason);
    match record.answer.ending {
        Ending::Found | Ending::Bracketed | Ending::NeverBroke => Came::Well,
        Ending::BrokeAtMinimum => Came::Failure(text()),
        Ending::TimeDriven
        | Ending::Hysteresis
        | Ending::Bimodal
        | Ending::Undecided
        | Ending::GeneratorLimited
        | Ending::DataUsedUp
        | Ending::TargetDown
        | Ending::Interrupted
        | Ending::Aborted => Came::Error(text()),
    }
}

/// Several texts as one; `None` of none.
fn joined(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn properties(record: &RunRecord) -> Vec<(&'static str, String)> {
    let a = &record.answer;
    let number = |n: Option<u32>| n.map(|n| n.to_string());
    let share = |s: Option<f64>| s.map(|s| format!("{s:.4}"));
    let gate = record.gate();
    let headroom = gate.as_ref().and_then(|g| g.headroom);
    [
        ("ending", Some(a.ending.name().to_owned())),
        ("breakpoint", number(a.breakpoint)),
        ("ci_low", number(a.ci_low)),
        ("ci_high", number(a.ci_high)),
        ("confidence", Some(a.confidence.to_string())),
        ("unit", Some(record.plan.unit.name().to_owned())),
        ("slo", Some(record.slo.join(", "))),
        (
            "gave_way",
            a.limiting_resource.as_ref().map(summary::finding),
        ),
        (
            "noticed",
            joined(a.noticed.iter().map(summary::noticed_text)),
        ),
        ("unseen", a.unseen.clone()),
        ("required", number(record.plan.required)),
        ("headroom", share(headroom.and_then(|h| h.estimate))),
        ("headroom_low", share(headroom.and_then(|h| h.low))),
        ("headroom_high", share(headroom.and_then(|h| h.high))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

pub(super) fn of_ramp(record: &RampRecord) -> Vec<u8> {
    let came = match record.ending {
        RampEnding::Complete => Came::Well,
        RampEnding::GeneratorLimited
        | RampEnding::DataUsedUp
        | RampEnding::TargetDown
        | RampEnding::Interrupted
        | RampEnding::Aborted => Came::Error(record.reason.clone()),
    };
    let breach = record.breach.as_ref().map(|b| b.level.get().to_string());
    let properties = [
        ("first_broke", breach),
        ("unit", Some(record.plan.unit.name().to_owned())),
        ("slo", Some(record.slo.join(", "))),
    ];
    let mut properties = properties.into_iter();
    Suite {
        profile: &record.profile,
        started_at: &record.started_at,
        seconds: record.stages.iter().map(|s| s.measured_s).sum(),
        properties: properties
            .by_ref()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
        // Whether the SLO held in a ramp is no gate: it has no interval.
        cases: vec![Case {
            name: format!("the ramp runs: {}", ramp::headline(record)),
            came,
        }],
        out: ramp::summary(record),
    }
    .write()
}

/// A test per gate, and one for whether there is anything to judge. What is an error or a failure
/// here is so in the exit code too.
pub(super) fn of_comparison(record: &CompareRecord) -> Vec<u8> {
    let mut cases = vec![Case {
        name: format!("the runs can be compared for {}", record.slo.join(", ")),
        came: comparable(record),
    }];
    cases.extend(record.gates.iter().map(|gate| Case {
        name: compare::condition(record, gate),
        came: match gate.outcome {
            GateOutcome::Passed => Came::Well,
            GateOutcome::Failed => Came::Failure(gate.reason.clone()),
            GateOutcome::CannotSay => Came::Error(gate.reason.clone()),
        },
    }));
    Suite {
        profile: "comparison",
        started_at: &record.made_at,
        // The runs took their time when they were made.
        seconds: 0.0,
        properties: change_properties(record),
        cases,
        out: compare::summary(record),
    }
    .write()
}

pub(super) fn of_scale(record: &ScaleRecord) -> Vec<u8> {
    let unknown: Vec<&str> = (record.sizes.iter())
        .filter(|s| s.breakpoint.is_none())
        .map(|s| &*s.label)
        .collect();
    let came = match (unknown.is_empty(), record.gates.is_empty()) {
        (true, _) => Came::Well,
        (false, true) => Came::Error(format!("no breakpoint at size {}", unknown.join(", "))),
        (false, false) => Came::Skipped(format!("no breakpoint at size {}", unknown.join(", "))),
    };
    let mut cases = vec![Case {
        name: format!("every size has a breakpoint for {}", record.slo.join(", ")),
        came,
    }];
    cases.extend(record.gates.iter().map(|gate| Case {
        name: gate.condition.clone(),
        came: match gate.outcome {
            GateOutcome::Passed => Came::Well,
            GateOutcome::Failed => Came::Failure(gate.reason.clone()),
            GateOutcome::CannotSay => Came::Error(gate.reason.clone()),
        },
    }));
    Suite {
        profile: &record.profile,
        started_at: &record.made_at,
        seconds: 0.0,
        properties: Vec::new(),
        cases,
        out: scale::summary(record),
    }
    .write()
}

/// Whether the breakpoints can be compared; where gates look at other metrics, they alone decide.
fn comparable(record: &CompareRecord) -> Came {
    let unknown = breakpoints(record).filter(|(_, c)| c.verdict == ChangeVerdict::CannotSay);
    let reasons: Vec<String> = unknown
        .map(|(candidate, c)| {
            format!(
                "{candidate}: the breakpoint cannot be compared: {}",
                c.reason
            )
        })
        .collect();
    let text = reasons.join("; ");
    match (reasons.is_empty(), record.gates.is_empty()) {
        (true, _) => Came::Well,
        (false, true) => Came::Error(text),
        (false, false) => Came::Skipped(text),
    }
}

/// The change of each candidate's breakpoint, with the candidate's name.
fn breakpoints(record: &CompareRecord) -> impl Iterator<Item = (&str, &Change)> {
    record.comparisons.iter().flat_map(|comparison| {
        let changes = comparison.changes.iter();
        let breakpoint = changes.filter(|c| c.metric == ComparedMetric::Breakpoint);
        breakpoint.map(|c| (&comparison.candidate[..], c))
    })
}

/// The numbers of a single candidate; of several the summary tells them.
fn change_properties(record: &CompareRecord) -> Vec<(&'static str, String)> {
    let number = |n: Option<f64>| n.filter(|n| n.is_finite()).map(|n| format!("{n:.4}"));
    let only = match record.comparisons.as_slice() {
        [_] => breakpoints(record).next(),
        _ => None,
    };
    let change = only.map(|(_, change)| change);
    let forecast = record.scaling.as_ref().map(|s| &s.forecast);
    [
        ("base", record.comparisons.first().map(|c| c.base.clone())),
        ("candidate", only.map(|(candidate, _)| candidate.to_owned())),
        ("ratio", number(change.and_then(|c| c.ratio))),
        ("ratio_low", number(change.and_then(|c| c.low))),
        ("ratio_high", number(change.and_then(|c| c.high))),
        ("p_value", number(change.and_then(|c| c.p_value))),
        ("verdict", change.map(|c| c.verdict.name().to_owned())),
        ("forecast_size", number(forecast.map(|f| f.size))),
        ("forecast", number(forecast.map(|f| f.estimate))),
        ("forecast_low", number(forecast.map(|f| f.low))),
        ("forecast_high", number(forecast.map(|f| f.high))),
        ("confidence", Some(record.confidence.to_string())),
        ("unit", Some(record.unit.name().to_owned())),
        ("slo", Some(record.slo.join(", "))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

impl Suite<'_> {
    fn write(self) -> Vec<u8> {
        let count = |f: fn(&Came) -> bool| self.cases.iter().filter(|c| f(&c.came)).count();
        let failures = count(|c| matches!(c, Came::Failure(_)));
        let errors = count(|c| matches!(c, Came::Error(_)));
        let skipped = count(|c| matches!(c, Came::Skipped(_)));
        let counts = format!(
            "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{}\"",
            self.cases.len(),
            seconds(self.seconds)
        );
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"breakpoint\" {counts}>\n  \
             <testsuite name=\"{}\" {counts} skipped=\"{skipped}\" timestamp=\"{}\">\n    \
                 <properties>\n",
            attribute(self.profile),
            attribute(self.started_at)
        );
        for (name, value) in &self.properties {
            let value = attribute(value);
            let _ = writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>");
        }
        out.push_str("    </properties>\n");
        for (i, case) in self.cases.iter().enumerate() {
            // The first took the time, the others look at what it found.
            let time = if i == 0 { self.seconds } else { 0.0 };
            let _ = write!(
                out,
                "    <testcase classname=\"breakpoint.{}\" name=\"{}\" time=\"{}\"",
                attribute(self.profile),
                attribute(&case.name),
                seconds(time)
            );
            case.came.write(&mut out);
        }
        let _ = write!(
            out,
            "    <system-out>{}</system-out>\n  </testsuite>\n</testsuites>\n",
            markup(&self.out)
        );
        out.into_bytes()
    }
}

impl Came {
    fn write(&self, out: &mut String) {
        let (element, text) = match self {
            Self::Well => {
                out.push_str("/>\n");
                return;
            }
            Self::Failure(text) => ("failure", text),
            Self::Error(text) => ("error", text),
            Self::Skipped(text) => {
                let text = attribute(text);
                let _ = write!(
                    out,
                    ">\n      <skipped message=\"{text}\"/>\n    </testcase>\n"
                );
                return;
            }
        };
        let text = attribute(text);
        let _ = write!(
            out,
            ">\n      <{element} message=\"{text}\" type=\"breakpoint\">{text}</{element}>\n    \
             </testcase>\n"
        );
    }
}

fn attribute(text: &str) -> String {
    markup(&one_line(text))
}

fn seconds(value: f64) -> String {
    format!("{:.3}", if value.is_finite() { value } else { 0.0 })
}
