//! `holds.csv` (a row per probe), `samples.csv` (a row per second) and `log.csv` (a row per line of
//! a log); `stages.csv` and `seconds.csv` of a ramp; `compare.csv` and `scaling.csv` of a
//! comparison. An absent value is an empty cell, never a zero.

mod compare;
mod excel;
mod ramp;
mod scale;

use std::collections::BTreeSet;

use super::{ReportError, escape, failures, view};
use crate::measure::{FailureKind, GeneratorHealth, Reading};
use crate::record::{
    CauseKind, HoldEnd, LimitingResource, LogRecord, ObjectiveRecord, PlanRecord, ProbeRecord,
    RunRecord, SecondRecord, StepRecord,
};

pub(super) use compare::{compared, scaled};
pub(super) use excel::excel;
pub(super) use ramp::{seconds, stages};
pub(super) use scale::scale;

type Field = (String, String);

/// A row per probe.
pub(super) fn holds(record: &RunRecord) -> Result<Vec<u8>, ReportError> {
    let fields = monitor_fields(record.probes.iter().flat_map(|p| &p.seconds));
    let rows = record
        .probes
        .iter()
        .map(|probe| hold_row(record, probe, &fields));
    write(hold_header(record, &fields), rows)
}

/// A row per second.
pub(super) fn samples(record: &RunRecord) -> Result<Vec<u8>, ReportError> {
    let fields = monitor_fields(record.probes.iter().flat_map(|p| &p.seconds));
    let rows = record.probes.iter().flat_map(|probe| {
        probe
            .seconds
            .iter()
            .map(|second| sample_row(record, probe, second, &fields))
    });
    write(sample_header(record, &fields), rows)
}

/// A row per line that a service logged, of every probe or stage (`part`) by its index.
pub(super) fn log<'a>(
    part: &str,
    logs: impl Iterator<Item = (usize, &'a [LogRecord])>,
) -> Result<Vec<u8>, ReportError> {
    let rows = logs.flat_map(|(index, log)| {
        log.iter().map(move |line| {
            vec![
                number(Some(line.at_s)),
                index.to_string(),
                line.monitor.clone(),
                line.text.clone(),
            ]
        })
    });
    write(owned(&["at_s", part, "monitor", "text"]), rows)
}

fn write(
    header: Vec<String>,
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<Vec<u8>, ReportError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| ReportError::Csv(e.to_string());
    // Names, log lines and reasons are the words of others, and a table is opened in a spreadsheet.
    let cells = |row: Vec<String>| row.into_iter().map(|text| escape::cell_or_number(&text));
    writer.write_record(cells(header)).map_err(failed)?;
    for row in rows {
        writer.write_record(cells(row)).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|e| ReportError::Csv(e.to_string()))
}

fn monitor_fields<'a>(seconds: impl Iterator<Item = &'a SecondRecord>) -> Vec<Field> {
    let seen: BTreeSet<Field> = seconds
        .flat_map(|s| &s.readings)
        .map(|r| (r.monitor.clone(), r.field.clone()))
        .collect();
    seen.into_iter().collect()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn hold_header(record: &RunRecord, fields: &[Field]) -> Vec<String> {
    let mut header = owned(&[
        "profile",
        "probe",
        "purpose",
        record.plan.unit.column(),
        "arrived_from",
        "verdict",
        "settled",
        "end",
        "start_s",
        "ramp_s",
        "settle_s",
        "hold_s",
    ]);
    header.extend(measured_header(&record.slo, fields));
    header.extend(owned(&[
        "estimate_low",
        "estimate",
        "estimate_high",
        "limiting_resource",
        "cause",
        "sureness",
        "evidence",
        "other_causes",
        "reason",
    ]));
    header
}

/// What both a hold and a stage are summed up by.
fn measured_header(slo: &[String], fields: &[Field]) -> Vec<String> {
    let mut header = owned(&[
        "completed",
        "failed",
        "shed",
        "error_ratio",
        "throughput_per_s",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "max_ms",
        "oldest_in_flight_ms",
    ]);
    for objective in slo {
        for part in ["observed", "bad", "total"] {
            header.push(format!("{objective} {part}"));
        }
    }
    header.extend(FailureKind::ALL.map(|k| k.name().to_owned()));
    header.extend((1..=failures::MOST).map(|n| format!("failure_{n}")));
    header.extend(fields.iter().map(|(m, f)| format!("{m}.{f}_max")));
    header.extend(owned(&[
        "generator_lag_p99_max_ms",
        "generator_cpu_cores_max",
    ]));
    header
}

/// A hold or a stage, as far as it is summed up.
struct Measured<'a> {
    slo: &'a [String],
    objectives: &'a [ObjectiveRecord],
    main: Option<&'a StepRecord>,
    cycle: Option<&'a StepRecord>,
    steps: &'a [StepRecord],
    throughput_per_s: Option<f64>,
    seconds: Vec<&'a SecondRecord>,
}

impl Measured<'_> {
    fn cells(&self, fields: &[Field]) -> Vec<String> {
        let (cycle, main) = (self.cycle, self.main);
        let quantile = |q: f64| ms(main.and_then(|s| s.latency.quantile_s(q)));
        let mut row = vec![
            whole(cycle.map(|s| s.completed)),
            whole(cycle.map(view::failed)),
            whole(cycle.map(|s| s.shed)),
            number(cycle.and_then(view::errors_of)),
            number(self.throughput_per_s),
            quantile(0.5),
            quantile(0.95),
            quantile(0.99),
            ms(main.and_then(|s| s.latency.max_s())),
            ms(main.and_then(|s| s.oldest_in_flight_s)),
        ];
        for objective in self.slo {
            let mut objectives = self.objectives.iter();
            let seen = objectives.find(|o| &o.objective == objective);
            row.push(number(seen.and_then(|o| o.observed)));
            row.push(number(seen.and_then(|o| o.bad)));
            row.push(number(seen.and_then(|o| o.total)));
        }
        row.extend(FailureKind::ALL.map(|k| whole(cycle.map(|s| view::failed_by(s, k)))));
        row.extend(failures::cells(self.steps));
        let seconds = || self.seconds.iter();
        for field in fields {
            row.push(number(max(seconds().filter_map(|s| reading(s, field)))));
        }
        row.push(ms(max(seconds().filter_map(|s| s.generator.lag_p99_s))));
        row.push(number(max(seconds().filter_map(|s| s.generator.cpu_cores))));
        row
    }
}

fn hold_row(record: &RunRecord, probe: &ProbeRecord, fields: &[Field]) -> Vec<String> {
    let measured = Measured {
        slo: &record.slo,
        objectives: &probe.objectives,
        main: probe.steps.get(record.plan.main_step),
        cycle: probe.overall(),
        steps: &probe.steps,
        throughput_per_s: probe.throughput_per_s,
        seconds: probe.seconds.iter().filter(|s| s.hold).collect(),
    };
    let mut row = vec![
        record.profile.clone(),
        probe.index.to_string(),
        probe.purpose.name().to_owned(),
        probe.level.0.to_string(),
        probe.arrived_from.0.to_string(),
        probe.verdict.to_string(),
        probe.settled.to_string(),
        end_name(probe.end).to_owned(),
        number(Some(probe.start_s)),
        number(Some(probe.ramp_s)),
        number(Some(probe.settle_s)),
        number(Some(probe.hold_s)),
    ];
    row.extend(measured.cells(fields));
    row.push(number(probe.estimate.map(|e| e.low)));
    row.push(number(probe.estimate.map(|e| e.estimate)));
    row.push(number(probe.estimate.map(|e| e.high)));
    let cause = probe.limiting_resource.as_ref();
    let of = |f: fn(&LimitingResource) -> String| cause.map_or_else(String::new, f);
    row.push(of(|c| c.resource.clone()));
    row.push(of(|c| c.kind.map_or("", CauseKind::name).to_owned()));
    row.push(of(|c| c.sureness.name().to_owned()));
    row.push(of(|c| c.evidence.clone()));
    let others: Vec<&str> = probe
        .other_causes
        .iter()
        .map(|c| c.resource.as_str())
        .collect();
    row.push(others.join("; "));
    row.push(probe.reason.clone());
    row
}

fn sample_header(record: &RunRecord, fields: &[Field]) -> Vec<String> {
    let mut header = owned(&["profile", "probe"]);
    header.push(format!("{}_asked", record.plan.unit.column()));
    header.extend(owned(&["t_s", "phase", "vus"]));
    header.extend(second_header(&record.plan, fields));
    header
}

/// What both a second of a probe and one of a stage show.
fn second_header(plan: &PlanRecord, fields: &[Field]) -> Vec<String> {
    let mut header = Vec::new();
    for step in &plan.steps {
        for part in [
            "completed",
            "failed",
            "shed",
            "in_flight",
            "p50_ms",
            "p99_ms",
            "oldest_in_flight_ms",
        ] {
            header.push(format!("{step}_{part}"));
        }
    }
    header.extend(owned(&[
        "generator_lag_p99_ms",
        "generator_cpu_cores",
        "generator_descriptors",
        "generator_thread_cpu_cores",
        "generator_woke_late_p99_ms",
        "generator_read_late_p99_ms",
        "sends",
        "sends_held_up",
        "tcp_segments_out",
        "tcp_retransmits",
        "host_cpu_pressure",
        "host_cpu_steal",
    ]));
    header.extend(fields.iter().map(|(m, f)| format!("{m}.{f}")));
    header
}

fn sample_row(
    record: &RunRecord,
    probe: &ProbeRecord,
    second: &SecondRecord,
    fields: &[Field],
) -> Vec<String> {
    let mut row = vec![
        record.profile.clone(),
        probe.index.to_string(),
        probe.level.0.to_string(),
        number(Some(second.t_s)),
        if second.hold { "hold" } else { "settle" }.to_owned(),
        second.vus.to_string(),
    ];
    row.extend(second_cells(&record.plan, second, fields));
    row
}

fn second_cells(plan: &PlanRecord, second: &SecondRecord, fields: &[Field]) -> Vec<String> {
    let mut row = Vec::new();
    for index in 0..plan.steps.len() {
        let step = second.steps.get(index);
        row.push(whole(step.map(|s| s.completed)));
        row.push(whole(step.map(|s| s.failed)));
        row.push(whole(step.map(|s| s.shed)));
        row.push(whole(step.map(|s| s.in_flight)));
        row.push(ms(step.and_then(|s| s.p50_s)));
        row.push(ms(step.and_then(|s| s.p99_s)));
        row.push(ms(step.and_then(|s| s.oldest_in_flight_s)));
    }
    row.push(ms(second.generator.lag_p99_s));
    row.push(number(second.generator.cpu_cores));
    row.push(whole(second.generator.descriptors));
    row.extend(health(&second.generator.health));
    row.extend(fields.iter().map(|f| number(reading(second, f))));
    row
}

/// Empty throughout where nothing is known: a zero would be a claim.
fn health(s: &GeneratorHealth) -> [String; 9] {
    let known = |count: u64| whole((!s.is_unknown()).then_some(count));
    [
        number(s.thread_cpu),
        ms(s.woke_late_p99_s),
        ms(s.read_late_p99_s),
        known(s.sends),
        known(s.sends_held_up),
        whole(s.segments_out),
        whole(s.retransmits),
        number(s.cpu_pressure),
        number(s.cpu_steal),
    ]
}

fn reading(second: &SecondRecord, (monitor, field): &Field) -> Option<f64> {
    let is_it = |r: &&Reading| &r.monitor == monitor && &r.field == field;
    second.readings.iter().find(is_it).and_then(|r| r.value)
}

fn max(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.filter(|v| v.is_finite()).reduce(f64::max)
}

fn end_name(end: HoldEnd) -> &'static str {
    match end {
        HoldEnd::Complete => "complete",
        HoldEnd::LeftEarly => "left_early",
        HoldEnd::Interrupted => "interrupted",
        HoldEnd::Invalid => "invalid",
    }
}

fn whole(value: Option<u64>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

fn ms(seconds: Option<f64>) -> String {
    number(seconds.map(|s| s * 1e3))
}

/// At most six decimals, no trailing zeros; empty when absent or not finite.
fn number(value: Option<f64>) -> String {
    let Some(value) = value.filter(|v| v.is_finite()) else {
        return String::new();
    };
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Format, RampFormat};
    use crate::samples;

    /// Every cell of every table that begins like a formula and is no number.
    fn formulas(table: &[u8]) -> Vec<String> {
        let table = table.strip_prefix(b"\xef\xbb\xbf").unwrap_or(table);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(table);
        let rows = reader.records().map(Result::unwrap);
        let cells: Vec<String> = rows
            .flat_map(|r| r.iter().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let formula = |c: &String| c.trim_start().starts_with(['=', '+', '-', '@']);
        cells
            .into_iter()
            .filter(formula)
            .filter(|c| c.parse::<f64>().is_err())
            .collect()
    }

    #[test]
    fn no_cell_of_a_table_is_a_formula_wherever_others_wrote_it() {
        const EVIL: &str = "=cmd|' /C calc'!A0";
        let mut record = samples::found();
        record.profile = EVIL.to_owned();
        record.slo[0] = "@x<1".to_owned();
        record.plan.steps[0] = "+1+cmd".to_owned();
        let probe = &mut record.probes[0];
        probe.reason = format!("\t{EVIL}");
        probe.log.push(LogRecord {
            at_s: -0.5,
            monitor: "-a+b".to_owned(),
            text: EVIL.to_owned(),
        });
        probe.limiting_resource = Some(LimitingResource {
            resource: EVIL.to_owned(),
            evidence: "@SUM(A1)".to_owned(),
            kind: None,
            sureness: crate::record::Sureness::Certain,
        });
        for second in &mut probe.seconds {
            for reading in &mut second.readings {
                reading.monitor = "=1+1".to_owned();
            }
        }
        for format in [Format::Holds, Format::Samples, Format::Log, Format::Excel] {
            let bytes = format.render(&record).unwrap();
            assert_eq!(formulas(&bytes), [""; 0], "{format:?}");
        }
        let log = String::from_utf8(Format::Log.render(&record).unwrap()).unwrap();
        assert!(log.contains("-0.5,0,'-a+b,'=cmd|' /C calc'!A0"), "{log}");
        let mut ramp = samples::ramp();
        ramp.profile = EVIL.to_owned();
        ramp.stages[0].reason = EVIL.to_owned();
        for format in [RampFormat::Stages, RampFormat::Excel, RampFormat::Seconds] {
            assert_eq!(
                formulas(&format.render(&ramp).unwrap()),
                [""; 0],
                "{format:?}"
            );
        }
    }
}
