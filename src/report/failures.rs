//! What failed: the most frequent ways, and some whole exchanges.

use super::page::{Cell, Column, Part, Section, Table};
use super::view;
use crate::measure::{Exchange, FailureWay};
use crate::record::{ProbeRecord, RampRecord, RunRecord, StageRecord, StepRecord};
use crate::units;

/// Ways of failing that a report tells of one probe, and whole exchanges that it shows; the record
/// has more of these.
pub(super) const MOST: usize = 3;

/// One way in which steps failed.
pub(super) struct Failed<'a> {
    step: &'a str,
    way: &'a FailureWay,
}

impl Failed<'_> {
    /// The status or the kind, and of what: ``429 from `GET /` ``.
    fn what(&self) -> String {
        let of = self.way.request.as_deref().unwrap_or(self.step);
        format!("{} from `{of}`", self.way.name())
    }

    /// The same with how often and what was said, for a cell.
    fn cell(&self) -> String {
        let said = match self.said() {
            "" => String::new(),
            said => format!(": {said}"),
        };
        format!("{} x {}{said}", self.way.count, self.what())
    }

    /// What was said: the beginning of an answer, else the error.
    fn said(&self) -> &str {
        match &self.way.excerpt {
            said if !said.is_empty() => said,
            _ => &self.way.message,
        }
    }
}

/// The most frequent ways of failing; the whole cycle has none of its own.
pub(super) fn most(steps: &[StepRecord]) -> Vec<Failed<'_>> {
    let each = steps.iter().flat_map(|step| {
        let step_name = step.step.as_str();
        let failed = step.failures.iter();
        failed.map(move |way| Failed {
            step: step_name,
            way,
        })
    });
    let mut all: Vec<Failed<'_>> = each.collect();
    all.sort_by_key(|failed| std::cmp::Reverse(failed.way.count));
    all.truncate(MOST);
    all
}

/// Share of the most frequent way of failing from which another is about as frequent.
const AS_FREQUENT: f64 = 0.5;

/// The most frequent way of failing, for the end of a line; with those that are about as frequent.
pub(super) fn in_short(steps: &[StepRecord]) -> Option<String> {
    let most = most(steps);
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let least = AS_FREQUENT * most.first()?.way.count as f64;
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let alike = most.iter().filter(|f| f.way.count as f64 >= least);
    let mut names: Vec<String> = Vec::new();
    for name in alike.map(Failed::what) {
        // The same status with other words.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names.join(" and "))
}

/// A cell for each of the most frequent; empty ones where there are fewer.
pub(super) fn cells(steps: &[StepRecord]) -> [String; MOST] {
    let most = most(steps);
    std::array::from_fn(|i| most.get(i).map_or_else(String::new, Failed::cell))
}

/// What failed in the probe that the answer says broke, else in the one with most failures.
pub(super) fn of_run(record: &RunRecord) -> Option<Section> {
    let count = |p: &&ProbeRecord| p.overall().map_or(0, view::failed);
    let broke = record.answer.first_broke.as_ref();
    let broke = broke.and_then(|visit| record.probes.get(visit.probe));
    let broke = broke.filter(|p| count(p) > 0);
    let probe = broke.or_else(|| record.probes.iter().max_by_key(count))?;
    let exchanges = record.probes.iter().flat_map(|p| &p.exchanges);
    let level = view::level(record, probe.level.0);
    section(
        &probe.steps,
        &format!("probe {} ({level})", probe.index),
        exchanges,
        "result.json",
    )
}

/// What failed in the stage of a ramp with most failures.
pub(super) fn of_ramp(record: &RampRecord) -> Option<Section> {
    let count = |s: &&StageRecord| s.overall().map_or(0, view::failed);
    let stage = record.stages.iter().max_by_key(count)?;
    let exchanges = record.stages.iter().flat_map(|s| &s.exchanges);
    let place = format!("stage {}", stage.index + 1);
    section(&stage.steps, &place, exchanges, "ramp.json")
}

fn section<'a>(
    steps: &[StepRecord],
    place: &str,
    exchanges: impl Iterator<Item = &'a Exchange>,
    file: &str,
) -> Option<Section> {
    let most = most(steps);
    if most.is_empty() {
        return None;
    }
    let rows = most.iter().map(|failed| {
        vec![
            #[expect(clippy::cast_precision_loss, reason = "for sorting")]
            Cell::number(
                failed.way.count as f64,
                units::format_count(failed.way.count),
            ),
            Cell::text(failed.way.name()),
            Cell::name(failed.way.request.as_deref().unwrap_or(failed.step)),
            Cell::text(failed.said()),
        ]
    });
    let mut head = vec![Column::number("times")];
    head.extend(["failed with", "step", "message"].map(Column::text));
    let mut parts = vec![Part::Table(Table {
        caption: format!("Most frequent failures in {place}"),
        head,
        rows: rows.collect(),
    })];
    parts.extend(shown(exchanges, file));
    Some(Section {
        title: "What failed",
        parts,
    })
}

/// A line behind its sign: one that stood alone could be a command to whoever reads the log of a
/// build.
fn signed(line: &str) -> String {
    if line.starts_with(['>', '<', '*']) {
        line.to_owned()
    } else {
        format!("| {line}")
    }
}

/// One exchange of each kind.
fn shown<'a>(exchanges: impl Iterator<Item = &'a Exchange>, file: &str) -> Vec<Part> {
    let mut chosen: Vec<&Exchange> = Vec::new();
    let mut left_out = 0;
    for exchange in exchanges {
        let key = |e: &Exchange| (e.kind, e.status, e.step.clone());
        let known = chosen.iter().any(|c| key(c) == key(exchange));
        if known || chosen.len() == MOST {
            left_out += 1;
        } else {
            chosen.push(exchange);
        }
    }
    let mut parts = Vec::new();
    for exchange in chosen {
        let name = exchange
            .status
            .map_or_else(|| exchange.kind.name().to_owned(), |s| s.to_string());
        parts.push(Part::Words(format!(
            "Example from step {} that failed with {name}:",
            exchange.step
        )));
        parts.push(Part::Lines(exchange.text.lines().map(signed).collect()));
    }
    if left_out > 0 {
        let more = format!(
            "{left_out} more in {file}. Secrets and values extracted from answers are masked."
        );
        parts.push(Part::Words(more));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::FailureKind;

    #[test]
    fn ways_that_are_about_as_frequent_are_named_together() {
        let way = |status: u16, message: &str, count| FailureWay {
            count,
            kind: FailureKind::Status,
            status: Some(status),
            message: message.to_owned(),
            request: Some("GET /".to_owned()),
            excerpt: String::new(),
        };
        let mut step = crate::samples::found().probes[0].steps[0].clone();
        let mut short = |ways: &[FailureWay]| {
            step.failures = ways.to_vec();
            in_short(std::slice::from_ref(&step))
        };
        let (bad, refused) = (way(502, "", 40), way(429, "", 41));
        assert_eq!(
            short(&[refused.clone(), bad]).as_deref(),
            Some("429 from `GET /` and 502 from `GET /`")
        );
        let rare = way(502, "", 4);
        assert_eq!(
            short(&[refused.clone(), rare]).as_deref(),
            Some("429 from `GET /`")
        );
        let same = way(429, "in other words", 40);
        assert_eq!(short(&[refused, same]).as_deref(), Some("429 from `GET /`"));
        assert_eq!(short(&[]), None);
    }
}
