//! From a probe and its judgement to its record.

use std::time::Duration;

use crate::measure::{
    Exchange, FailureCounts, FailureKind, Histogram, Level, LogLine, MOST_EXCHANGES, OTHER_LINES,
    Reading, Second, StepTable, StepWindow, Window, folded,
};
use crate::probe::Probe;
use crate::record::{
    Band, LimitingResource, LogKindRecord, LogRecord, ProbeRecord, SecondRecord, StepRecord,
    StepSecond,
};
use crate::search::Order;
use crate::slo::Judgement;

/// Lines of one monitor that a probe's record keeps.
const MOST_LINES: usize = 200;

/// Ways in which one step failed that a record keeps.
const MOST_WAYS_KEPT: usize = 3;
/// Exchanges of a step that failed alike which a run keeps: the others would tell the same.
const MOST_ALIKE: usize = 4;
/// Kinds of lines of one monitor that a probe's record counts apart.
const MOST_KINDS: usize = 100;

/// What a record is made of.
pub(super) struct Parts<'a> {
    pub(super) index: usize,
    pub(super) order: &'a Order,
    pub(super) from: Level,
    /// Engine time at which the search began.
    pub(super) began: Duration,
    pub(super) probe: &'a Probe,
    pub(super) judgement: &'a Judgement,
    pub(super) steps: &'a StepTable,
    pub(super) causes: Vec<LimitingResource>,
    pub(super) estimate: Option<Band>,
    /// Exchanges that the run has kept before.
    pub(super) kept: Vec<&'a Exchange>,
}

pub(super) fn probe_record(parts: &Parts<'_>) -> ProbeRecord {
    let Parts { probe, steps, .. } = *parts;
    let m = &probe.measurement;
    let second = |s: &Second, hold: bool| second_record(s, hold, steps, parts.began);
    ProbeRecord {
        index: parts.index,
        purpose: parts.order.purpose,
        level: m.level,
        arrived_from: parts.from,
        start_s: rounded(probe.start.saturating_sub(parts.began).as_secs_f64()),
        ramp_s: rounded(probe.ramp_s),
        settle_s: rounded(probe.settle_s),
        hold_s: rounded(m.hold_s()),
        settled: m.settled,
        end: probe.hold_end,
        verdict: parts.judgement.verdict,
        reason: parts.judgement.reason.clone(),
        objectives: parts
            .judgement
            .outcomes
            .iter()
            .map(|o| o.record.clone())
            .collect(),
        throughput_per_s: m.throughput(steps.whole()),
        steps: (steps.recorded())
            .map(|(row, name)| step_record(name, m.step_total(row)))
            .collect(),
        seconds: probe
            .before
            .iter()
            .map(|s| second(s, false))
            .chain(m.hold.iter().map(|s| second(s, true)))
            .collect(),
        log: log(&probe.log, parts.began),
        exchanges: exchanges(
            probe.before.iter().chain(&m.hold).map(|s| &s.window),
            steps,
            &parts.kept,
        ),
        log_kinds: log_kinds(&probe.log, probe.start, parts.began),
        limiting_resource: parts.causes.first().cloned(),
        other_causes: parts.causes.iter().skip(1).cloned().collect(),
        estimate: parts.estimate,
    }
}

/// The whole exchanges of some windows, as many as a run that has kept some may still keep.
pub(super) fn exchanges<'a>(
    windows: impl Iterator<Item = &'a Window>,
    steps: &StepTable,
    kept: &[&Exchange],
) -> Vec<Exchange> {
    let mut new: Vec<Exchange> = Vec::new();
    let found = windows.flat_map(|w| steps.names().zip(&w.steps));
    for (name, exchange) in found.flat_map(|(name, s)| s.exchanges.iter().map(move |e| (name, e))) {
        if kept.len() + new.len() >= MOST_EXCHANGES {
            break;
        }
        let exchange = Exchange {
            // Where populations stand side by side it has their name.
            step: name.to_owned(),
            ..exchange.clone()
        };
        let alike = |e: &&Exchange| {
            (e.kind, e.status) == (exchange.kind, exchange.status) && e.step == exchange.step
        };
        if kept.iter().copied().chain(&new).filter(alike).count() < MOST_ALIKE {
            new.push(exchange);
        }
    }
    new
}

/// The first lines of every monitor and how many more there were: a service that logs every failed
/// request would otherwise fill the record.
pub(super) fn log(lines: &[(Duration, LogLine)], began: Duration) -> Vec<LogRecord> {
    let mut records: Vec<LogRecord> = Vec::new();
    // Per monitor: lines kept, lines left out, and when the last of them came.
    let mut counts: Vec<(&str, usize, u64, f64)> = Vec::new();
    for (at, line) in lines.iter().filter(|(_, line)| line.tally.is_none()) {
        let at_s = rounded(at.saturating_sub(began).as_secs_f64());
        let known = counts.iter().position(|(m, ..)| *m == line.monitor);
        let known = known.unwrap_or_else(|| {
            counts.push((&line.monitor, 0, 0, at_s));
            counts.len() - 1
        });
        let (_, kept, more, last) = &mut counts[known];
        *last = at_s;
        *more += line.more;
        if *kept == MOST_LINES {
            *more += 1;
            continue;
        }
        *kept += 1;
        records.push(LogRecord {
            at_s,
            monitor: line.monitor.clone(),
            text: line.text.clone(),
        });
    }
    let left_out = counts.iter().filter(|(_, _, more, _)| *more > 0);
    records.extend(left_out.map(|(monitor, _, more, at_s)| LogRecord {
        at_s: *at_s,
        monitor: (*monitor).to_owned(),
        text: format!("\u{2026} {more} more lines"),
    }));
    records
}

/// How many lines of each kind came since a moment, the first of each kind with when it came.
pub(super) fn log_kinds(
    lines: &[(Duration, LogLine)],
    from: Duration,
    began: Duration,
) -> Vec<LogKindRecord> {
    let mut kinds: Vec<(String, LogKindRecord)> = Vec::new();
    for (at, line) in lines.iter().filter(|(at, _)| *at > from) {
        let Some(count) = line.tally else {
            continue;
        };
        let of_monitor = kinds.iter().filter(|(_, k)| k.monitor == line.monitor);
        let full = of_monitor.count() >= MOST_KINDS;
        let mut kind = folded(&line.text);
        let same = |kinds: &[(String, LogKindRecord)], kind: &str| {
            kinds
                .iter()
                .position(|(k, r)| k == kind && r.monitor == line.monitor)
        };
        let mut known = same(&kinds, &kind);
        let mut text = line.text.as_str();
        if known.is_none() && full {
            (kind, text) = (OTHER_LINES.to_owned(), OTHER_LINES);
            known = same(&kinds, &kind);
        }
        match known {
            Some(i) => kinds[i].1.count += count,
            None => kinds.push((
                kind,
                LogKindRecord {
                    at_s: rounded(at.saturating_sub(began).as_secs_f64()),
                    monitor: line.monitor.clone(),
                    text: text.to_owned(),
                    count,
                },
            )),
        }
    }
    kinds.into_iter().map(|(_, kind)| kind).collect()
}

/// Totals of one step.
pub(super) fn step_record(name: &str, total: StepWindow) -> StepRecord {
    StepRecord {
        step: name.to_owned(),
        completed: total.completed(),
        failed: kinds(&total.failed),
        shed: total.shed,
        failures: total.ways.most(MOST_WAYS_KEPT),
        in_flight: total.in_flight.count(),
        oldest_in_flight_s: total.in_flight.max_s(),
        latency: total.latency,
    }
}

fn kinds(failed: &FailureCounts) -> Vec<(FailureKind, u64)> {
    failed.iter().filter(|(_, n)| *n > 0).collect()
}

/// One second; `began` is the engine time that its own time counts from.
pub(super) fn second_record(
    second: &Second,
    hold: bool,
    steps: &StepTable,
    began: Duration,
) -> SecondRecord {
    let window = &second.window;
    let end = (window.start + window.span).saturating_sub(began);
    let step = |w: &StepWindow| StepSecond {
        completed: w.completed(),
        failed: w.failed.iter().map(|(_, n)| n).sum(),
        shed: w.shed,
        in_flight: w.in_flight.count(),
        oldest_in_flight_s: w.in_flight.max_s(),
        p50_s: w.latency.quantile_s(0.5),
        p99_s: w.latency.quantile_s(0.99),
    };
    SecondRecord {
        t_s: rounded(end.as_secs_f64()),
        span_s: rounded(window.span.as_secs_f64()),
        hold,
        vus: window.vus,
        steps: (steps.recorded())
            .map(|(row, _)| step(window.step(row)))
            .collect(),
        main_latency: if hold {
            window.step(steps.main()).latency.clone()
        } else {
            Histogram::default()
        },
        generator: window.generator,
        readings: second.readings.iter().map(short).collect(),
    }
}

/// A reading to six significant digits: more is noise, and most of the file's size.
fn short(reading: &Reading) -> Reading {
    let value = reading.value.map(|v| {
        if v == 0.0 || !v.is_finite() {
            return v;
        }
        // Large numbers are divided and multiplied by a whole number: 2.3513e10 and not
        // 23512999999.999996.
        let digits = 5.0 - v.abs().log10().floor();
        let scale = 10_f64.powf(digits.abs());
        if digits < 0.0 {
            (v / scale).round() * scale
        } else {
            (v * scale).round() / scale
        }
    });
    Reading {
        value,
        ..reading.clone()
    }
}

/// To a millisecond: what is below that in a time axis is noise in the files.
pub(super) fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_keep_six_digits() {
        let of = |value| {
            let reading = Reading {
                monitor: String::new(),
                field: String::new(),
                value: Some(value),
            };
            short(&reading).value
        };
        assert_eq!(of(23_512_987_654.0), Some(23_513_000_000.0));
        assert_eq!(of(0.001_234_567_8), Some(0.001_234_57));
        assert_eq!(of(-7.0), Some(-7.0));
        assert_eq!(of(0.0), Some(0.0));
    }

    #[test]
    fn a_flood_of_lines_is_counted_and_drowns_no_other_monitor() {
        let line = |monitor: &str, text: String, more| LogLine {
            monitor: monitor.to_owned(),
            text,
            more,
            tally: None,
        };
        let began = Duration::from_secs(10);
        let mut lines: Vec<(Duration, LogLine)> = (0..250)
            .map(|i| {
                let more = if i == 100 { 7 } else { 0 };
                (
                    Duration::from_secs(12),
                    line("gateway", format!("refused {i}"), more),
                )
            })
            .collect();
        lines.push((
            Duration::from_secs(13),
            line("redis", "overcoming".to_owned(), 0),
        ));
        let records = log(&lines, began);
        assert_eq!(records.len(), MOST_LINES + 2);
        let first = LogRecord {
            at_s: 2.0,
            monitor: "gateway".to_owned(),
            text: "refused 0".to_owned(),
        };
        assert_eq!(records[0], first);
        let text = |i: usize| (records[i].monitor.as_str(), records[i].text.as_str());
        assert_eq!(text(MOST_LINES), ("redis", "overcoming"));
        assert_eq!(text(MOST_LINES + 1), ("gateway", "\u{2026} 57 more lines"));
    }

    #[test]
    fn lines_are_counted_by_kind_over_a_probe_and_a_log_without_kinds_is_told() {
        let at = Duration::from_secs;
        let tally = |text: String, n| LogLine {
            monitor: "app".to_owned(),
            text,
            more: 0,
            tally: Some(n),
        };
        let lines = [
            (at(12), tally("took 3 ms".to_owned(), 9)),
            (at(13), tally("took 4 ms".to_owned(), 2)),
            (at(14), tally("took 77 ms".to_owned(), 5)),
            (
                at(14),
                LogLine {
                    tally: None,
                    ..tally("took 5 ms".to_owned(), 1)
                },
            ),
        ];
        let kind = |text: &str, count| LogKindRecord {
            at_s: 3.0,
            monitor: "app".to_owned(),
            text: text.to_owned(),
            count,
        };
        let counted = log_kinds(&lines, at(12), at(10));
        assert_eq!(counted, [kind("took 4 ms", 7)], "not what came before");
        let many: Vec<_> = (0..150_u32)
            .map(|i| {
                let word = char::from_u32(0x4e00 + i).unwrap();
                (at(13), tally(format!("{word}"), 2))
            })
            .collect();
        let counted = log_kinds(&many, at(12), at(10));
        assert_eq!(counted.len(), MOST_KINDS + 1);
        assert_eq!(counted.last(), Some(&kind(OTHER_LINES, 100)));
    }
}
