//! `result.json`, `ramp.json` and `compare.json`: the record, laid out so that a diff shows what
//! changed and a second takes one line.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};

use super::ReportError;
use crate::record::{
    Band, Bounds, COMPARE_SCHEMA_VERSION, CompareRecord, OLDEST_SCHEMA_VERSION, ObjectiveRecord,
    ProbeRecord, RAMP_SCHEMA_VERSION, RampRecord, RunRecord, SCALE_SCHEMA_VERSION, SCHEMA_VERSION,
    ScaleRecord, SecondRecord, StageRecord,
};

/// Objects nested deeper than this, and arrays as deep as this, are written on one line.
const OPEN_DEPTH: usize = 4;

pub(super) fn write(record: &RunRecord) -> Result<Vec<u8>, ReportError> {
    laid_out(&finite(record)?)
}

pub(super) fn write_ramp(record: &RampRecord) -> Result<Vec<u8>, ReportError> {
    laid_out(&finite_ramp(record)?)
}

pub(super) fn write_comparison(record: &CompareRecord) -> Result<Vec<u8>, ReportError> {
    laid_out(&finite_comparison(record)?)
}

pub(super) fn write_scale(record: &ScaleRecord) -> Result<Vec<u8>, ReportError> {
    let points = record.curve.iter().chain(&record.forecast);
    let values = points.flat_map(|p| [p.size, p.estimate, p.low, p.high]);
    all_finite(values.map(|v| ("curve".to_owned(), v)))?;
    laid_out(record)
}

pub(super) fn laid_out(record: &impl Serialize) -> Result<Vec<u8>, ReportError> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Layout::default());
    record
        .serialize(&mut serializer)
        .map_err(ReportError::Json)?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub(super) fn read(json: &[u8]) -> Result<RunRecord, ReportError> {
    check_version(json, OLDEST_SCHEMA_VERSION, SCHEMA_VERSION)?;
    let record: RunRecord = serde_json::from_slice(json).map_err(unreadable)?;
    // Read by its old names, it is written by the new ones.
    Ok(RunRecord {
        schema_version: SCHEMA_VERSION,
        ..record
    })
}

pub(super) fn read_ramp(json: &[u8]) -> Result<RampRecord, ReportError> {
    check_version(json, RAMP_SCHEMA_VERSION, RAMP_SCHEMA_VERSION)?;
    serde_json::from_slice(json).map_err(unreadable)
}

pub(super) fn read_comparison(json: &[u8]) -> Result<CompareRecord, ReportError> {
    check_version(json, COMPARE_SCHEMA_VERSION, COMPARE_SCHEMA_VERSION)?;
    serde_json::from_slice(json).map_err(unreadable)
}

pub(super) fn read_scale(json: &[u8]) -> Result<ScaleRecord, ReportError> {
    check_version(json, SCALE_SCHEMA_VERSION, SCALE_SCHEMA_VERSION)?;
    serde_json::from_slice(json).map_err(unreadable)
}

fn check_version(json: &[u8], oldest: u32, newest: u32) -> Result<(), ReportError> {
    let head: Head = serde_json::from_slice(json).map_err(unreadable)?;
    if (u64::from(oldest)..=u64::from(newest)).contains(&head.schema_version) {
        return Ok(());
    }
    Err(ReportError::SchemaVersion {
        found: head.schema_version,
        oldest,
        newest,
        written_by: head.breakpoint_version,
    })
}

/// What every version of the schema has.
#[derive(Deserialize)]
struct Head {
    schema_version: u64,
    breakpoint_version: Option<String>,
}

fn unreadable(error: serde_json::Error) -> ReportError {
    if error.is_eof() {
        ReportError::Truncated { line: error.line() }
    } else {
        ReportError::NotAResult(error)
    }
}

/// The record with every optional number that is not finite left out: JSON has none, and absent is
/// what they mean.
pub(super) fn finite(record: &RunRecord) -> Result<RunRecord, ReportError> {
    let mut record = record.clone();
    let answer = &mut record.answer;
    keep_finite(&mut answer.precision_reached);
    keep_finite(&mut answer.peak_throughput_per_s);
    answer
        .distribution
        .retain(|(vus, share)| vus.is_finite() && share.is_finite());
    answer
        .noticed
        .retain(|n| n.from_s.is_finite() && n.to_s.is_finite());
    for curve in &mut answer.curves {
        curve
            .points
            .retain(|p| p.level.is_finite() && p.band.is_finite());
    }
    for limit in &mut record.plan.limits {
        keep_finite(&mut limit.value);
    }
    record.probes = record.probes.into_iter().map(finite_probe).collect();
    needed(&record)?;
    Ok(record)
}

/// The same for one probe.
pub(super) fn finite_probe(mut probe: ProbeRecord) -> ProbeRecord {
    keep_finite(&mut probe.throughput_per_s);
    probe.estimate = probe.estimate.filter(Band::is_finite);
    probe.objectives.iter_mut().for_each(finite_objective);
    for step in &mut probe.steps {
        keep_finite(&mut step.oldest_in_flight_s);
    }
    probe.seconds.iter_mut().for_each(finite_second);
    probe
}

/// The same for a ramp.
pub(super) fn finite_ramp(record: &RampRecord) -> Result<RampRecord, ReportError> {
    let mut record = record.clone();
    if let Some(breach) = &mut record.breach {
        breach.objectives.iter_mut().for_each(finite_objective);
    }
    for limit in &mut record.plan.limits {
        keep_finite(&mut limit.value);
    }
    record.stages = record.stages.into_iter().map(finite_stage).collect();
    needed_of_ramp(&record)?;
    Ok(record)
}

/// The same for a comparison.
fn finite_comparison(record: &CompareRecord) -> Result<CompareRecord, ReportError> {
    let mut record = record.clone();
    for change in record.comparisons.iter_mut().flat_map(|c| &mut c.changes) {
        for value in [
            &mut change.base,
            &mut change.candidate,
            &mut change.ratio,
            &mut change.low,
            &mut change.high,
            &mut change.p_value,
            &mut change.detectable,
        ] {
            keep_finite(value);
        }
    }
    needed_of_comparison(&record)?;
    Ok(record)
}

/// The same for a stage.
pub(super) fn finite_stage(mut stage: StageRecord) -> StageRecord {
    keep_finite(&mut stage.throughput_per_s);
    stage.objectives.iter_mut().for_each(finite_objective);
    for step in &mut stage.steps {
        keep_finite(&mut step.oldest_in_flight_s);
    }
    for second in &mut stage.seconds {
        finite_second(&mut second.seen);
    }
    stage
}

fn finite_objective(objective: &mut ObjectiveRecord) {
    keep_finite(&mut objective.observed);
    keep_finite(&mut objective.bad);
    keep_finite(&mut objective.total);
}

fn finite_second(second: &mut SecondRecord) {
    keep_finite(&mut second.generator.lag_p99_s);
    keep_finite(&mut second.generator.cpu_cores);
    let health = &mut second.generator.health;
    for value in [
        &mut health.thread_cpu,
        &mut health.woke_late_p99_s,
        &mut health.read_late_p99_s,
        &mut health.cpu_pressure,
        &mut health.cpu_steal,
        &mut health.held_back,
    ] {
        keep_finite(value);
    }
    for reading in &mut second.readings {
        keep_finite(&mut reading.value);
    }
    for step in &mut second.steps {
        keep_finite(&mut step.oldest_in_flight_s);
        keep_finite(&mut step.p50_s);
        keep_finite(&mut step.p99_s);
    }
}

fn keep_finite(value: &mut Option<f64>) {
    *value = value.filter(|v| v.is_finite());
}

/// Names the first number that must be finite and is not.
fn needed(record: &RunRecord) -> Result<(), ReportError> {
    let answer = &record.answer;
    let visits = (answer.last_held.iter().chain(&answer.first_broke)).chain(&answer.references);
    let top = [
        ("answer.confidence", answer.confidence),
        ("answer.precision_asked", answer.precision_asked),
        ("answer.search_s", answer.search_s),
        ("plan.think_s", record.plan.think_s),
        ("plan.budget_s", record.plan.budget_s),
        ("plan.pace_per_s", record.plan.pace_per_s),
    ]
    .into_iter()
    .chain(visits.flat_map(|v| {
        [
            ("answer visit's error_ratio", v.error_ratio),
            ("answer visit's shed_ratio", v.shed_ratio),
        ]
    }))
    .map(|(name, value)| (name.to_owned(), value));
    let probes = record.probes.iter().flat_map(|p| {
        let own = [
            ("start_s", p.start_s),
            ("ramp_s", p.ramp_s),
            ("settle_s", p.settle_s),
            ("hold_s", p.hold_s),
        ];
        let lines = p.log.iter().map(|l| ("log's at_s", l.at_s));
        let bounds = p.objectives.iter().map(|o| ("bound", o.bound));
        let seconds = p
            .seconds
            .iter()
            .flat_map(|s| [("t_s", s.t_s), ("span_s", s.span_s)]);
        own.into_iter()
            .chain(bounds)
            .chain(seconds)
            .chain(lines)
            .map(move |(name, value)| (format!("probes[{}].{name}", p.index), value))
    });
    all_finite(top.chain(probes))
}

/// The same for a ramp.
fn needed_of_ramp(record: &RampRecord) -> Result<(), ReportError> {
    let plan = [
        ("plan.think_s", record.plan.think_s),
        ("plan.budget_s", record.plan.budget_s),
        ("plan.pace_per_s", record.plan.pace_per_s),
    ];
    let breach = record.breach.iter().flat_map(|b| {
        let bounds = b.objectives.iter().map(|o| ("breach's bound", o.bound));
        bounds.chain([("breach.t_s", b.t_s)])
    });
    let top = plan.into_iter().chain(breach);
    let asked = record.asked.iter().enumerate().flat_map(|(i, s)| {
        let own = [("start_s", s.start_s), ("lasts_s", s.lasts_s)];
        own.map(|(name, value)| (format!("asked[{i}].{name}"), value))
    });
    let stages = record.stages.iter().flat_map(|s| {
        let own = [("measured_s", s.measured_s), ("mean_level", s.mean_level)];
        let bounds = s.objectives.iter().map(|o| ("bound", o.bound));
        let seconds = s.seconds.iter().map(|second| &second.seen);
        let seconds = seconds.flat_map(|s| [("t_s", s.t_s), ("span_s", s.span_s)]);
        let lines = s.log.iter().map(|l| ("log's at_s", l.at_s));
        let all = own.into_iter().chain(bounds).chain(seconds).chain(lines);
        all.map(|(name, value)| (format!("stages[{}].{name}", s.index), value))
    });
    let top = top.map(|(name, value)| (name.to_owned(), value));
    all_finite(top.chain(asked).chain(stages))
}

/// The same for a comparison.
fn needed_of_comparison(record: &CompareRecord) -> Result<(), ReportError> {
    let scaling = record.scaling.iter().flat_map(|s| {
        let bounds = [&s.lambda, &s.contention, &s.coherency, &s.peak_size];
        let ends = |b: &Bounds| [Some(b.low), b.estimate, b.high];
        let bounds = bounds.into_iter().flat_map(ends).flatten();
        let points = s
            .points
            .iter()
            .flat_map(|p| [p.size, p.breakpoint, p.low, p.high]);
        let curve = s.curve.iter().chain([&s.forecast]);
        let curve = curve.flat_map(|p| [p.size, p.estimate, p.low, p.high]);
        bounds.chain(points).chain(curve)
    });
    let scaling = scaling.map(|v| ("scaling".to_owned(), v));
    all_finite(scaling.chain([("confidence".to_owned(), record.confidence)]))
}

fn all_finite(mut values: impl Iterator<Item = (String, f64)>) -> Result<(), ReportError> {
    match values.find(|(_, v)| !v.is_finite()) {
        Some((name, _)) => Err(ReportError::NotFinite(name)),
        None => Ok(()),
    }
}

/// Two-space indentation down to [`OPEN_DEPTH`]; below it one object a line, and lists of numbers
/// on one line.
#[derive(Default)]
struct Layout {
    depth: usize,
    /// Whether the innermost open container has a value.
    filled: bool,
}

impl Layout {
    fn new_line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        for _ in 0..self.depth {
            out.write_all(b"  ")?;
        }
        Ok(())
    }
}

impl Formatter for Layout {
    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        // An array of this depth wrote no line's end before its values, because numbers need none.
        if self.depth == OPEN_DEPTH {
            self.new_line(out)?;
        }
        self.depth += 1;
        self.filled = false;
        out.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.filled && self.depth < OPEN_DEPTH {
            self.new_line(out)?;
        }
        self.filled = true;
        out.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        let open = self.depth <= OPEN_DEPTH;
        if !first {
            out.write_all(if open { b"," } else { b", " })?;
        }
        if open { self.new_line(out) } else { Ok(()) }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        out.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.filled && self.depth + 1 < OPEN_DEPTH {
            self.new_line(out)?;
        }
        self.filled = true;
        out.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        let open = self.depth < OPEN_DEPTH;
        if !first {
            out.write_all(if open || self.depth == OPEN_DEPTH {
                b","
            } else {
                b", "
            })?;
        }
        if open { self.new_line(out) } else { Ok(()) }
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    /// Any finite number, the smallest and the largest too.
    fn number() -> impl Strategy<Value = f64> {
        prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn any_record_is_read_as_it_was_written(
            texts in prop::array::uniform3(".{0,30}"),
            numbers in prop::array::uniform4(number()),
            reading in prop::option::of(number()),
        ) {
            let mut record = samples::found();
            let [profile, reason, warning] = texts;
            (record.profile, record.answer.reason) = (profile, reason);
            record.warnings.push(warning);
            let [budget, think, observed, bound] = numbers;
            (record.plan.budget_s, record.plan.think_s) = (budget, think);
            for probe in &mut record.probes {
                for objective in &mut probe.objectives {
                    (objective.observed, objective.bound) = (Some(observed), bound);
                }
                for second in &mut probe.seconds {
                    second.readings.iter_mut().for_each(|r| r.value = reading);
                }
            }
            let json = write(&record).unwrap();
            prop_assert_eq!(read(&json).unwrap(), record);
        }
    }
}
