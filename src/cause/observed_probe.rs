//! Other probes of the same run, as a broken one is compared with them.

use std::time::Duration;

use super::CLEARLY_MORE;
use crate::measure::{
    FailureCounts, Histogram, Level, LogLine, Measurement, Reading, Second, StepTable, StepWindow,
    Window,
};
use crate::record::{
    HoldEnd, LogKindRecord, LogRecord, ProbeRecord, SecondRecord, StageRecord, StepRecord,
};
use crate::slo::Verdict;

/// What another probe of the run showed, made again from its record.
#[derive(Debug, Clone)]
pub struct ObservedProbe {
    /// Its level; the mean of a stage whose level moved.
    pub level: f64,
    /// Its verdict.
    pub verdict: Verdict,
    /// Completed cycles per second.
    pub throughput: Option<f64>,
    /// Median latency of the main step, seconds.
    pub median_s: Option<f64>,
    /// Its hold. Latencies are medians of seconds, and failures by kind are told of the hold as a
    /// whole, in its last second.
    pub measurement: Measurement,
    /// The seconds before the hold.
    pub before: Vec<Second>,
    /// What the logs said, with the second of the probe.
    pub lines: Vec<(f64, LogLine)>,
}

impl ObservedProbe {
    /// What a probe showed; `previous` is the probe right before it, whose last readings are those
    /// that it began with.
    pub fn of_probe(
        probe: &ProbeRecord,
        previous: Option<&ProbeRecord>,
        steps: &StepTable,
    ) -> Self {
        let of = |hold: bool| {
            let seconds = probe.seconds.iter().filter(move |s| s.hold == hold);
            (seconds.map(|s| second(s, steps, probe.level, true))).collect::<Vec<_>>()
        };
        let previous = previous.filter(|p| p.index + 1 == probe.index);
        let whole = probe.end != HoldEnd::Invalid;
        Self {
            level: probe.level.get().into(),
            verdict: if whole {
                probe.verdict
            } else {
                Verdict::Undecided
            },
            throughput: probe.throughput_per_s,
            median_s: median(&probe.steps, steps),
            measurement: measurement(
                probe.level,
                of(true),
                (steps, &probe.steps),
                previous
                    .and_then(|p| p.seconds.last())
                    .or(probe.seconds.first()),
            ),
            before: of(false),
            lines: lines(&probe.log, &probe.log_kinds, probe.start_s),
        }
    }

    /// What a stage of a ramp showed; `previous` is the stage right before it.
    pub fn of_stage(
        stage: &StageRecord,
        previous: Option<&StageRecord>,
        steps: &StepTable,
    ) -> Self {
        let level = Level::nearest(stage.mean_level);
        let seconds =
            (stage.seconds.iter()).map(|s| second(&s.seen, steps, s.level, s.level == level));
        let last = previous.and_then(|p| p.seconds.last());
        let began = last.or(stage.seconds.first()).map(|s| &s.seen);
        let whole = stage.end != HoldEnd::Invalid;
        Self {
            level: stage.mean_level,
            verdict: if whole {
                stage.verdict
            } else {
                Verdict::Undecided
            },
            throughput: stage.throughput_per_s,
            median_s: median(&stage.steps, steps),
            measurement: measurement(level, seconds.collect(), (steps, &stage.steps), began),
            before: Vec::new(),
            lines: lines(&stage.log, &stage.log_kinds, stage.asked.start_s),
        }
    }

    /// Whether the SLO held.
    pub(super) fn held(&self) -> bool {
        self.verdict == Verdict::Held
    }

    /// Whether the SLO broke.
    pub(super) fn broke(&self) -> bool {
        self.verdict == Verdict::Broke
    }

    /// Whether it was clearly below a level.
    pub(super) fn is_below(&self, level: f64) -> bool {
        self.level * CLEARLY_MORE < level
    }
}

fn median(totals: &[StepRecord], steps: &StepTable) -> Option<f64> {
    totals.get(steps.recorded_main())?.latency.quantile_s(0.5)
}

/// A hold of some seconds, with its failures, and with the second whose readings it began with.
fn measurement(
    level: Level,
    mut hold: Vec<Second>,
    (steps, totals): (&StepTable, &[StepRecord]),
    began: Option<&SecondRecord>,
) -> Measurement {
    if let Some(last) = hold.last_mut() {
        for ((row, _), total) in steps.recorded().zip(totals) {
            let Some(window) = last.window.steps.get_mut(row) else {
                continue;
            };
            for (kind, n) in &total.failed {
                window.failed.add_n(*kind, *n);
            }
            for way in &total.failures {
                window.ways.add(way.clone());
            }
        }
    }
    Measurement {
        level,
        before: None,
        arriving: Vec::new(),
        readings_before: began.map_or_else(Vec::<Reading>::new, |s| s.readings.clone()),
        hold,
        settled: true,
    }
}

fn second(record: &SecondRecord, steps: &StepTable, level: Level, at_level: bool) -> Second {
    let step = |step: &crate::record::StepSecond| StepWindow {
        latency: repeated(step.completed, step.p50_s),
        failed: FailureCounts::default(),
        shed: step.shed,
        in_flight: repeated(step.in_flight, step.oldest_in_flight_s),
        ..StepWindow::default()
    };
    let seconds = |s: f64| Duration::try_from_secs_f64(s.max(0.0)).unwrap_or_default();
    Second {
        window: Window {
            start: seconds(record.t_s - record.span_s),
            span: seconds(record.span_s),
            level,
            vus: record.vus,
            at_level,
            steps: steps.from_recorded(record.steps.iter().map(step)),
            generator: record.generator,
        },
        readings: record.readings.clone(),
    }
}

/// So many requests that took as long as the middle one did.
fn repeated(n: u64, each_s: Option<f64>) -> Histogram {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a latency in microseconds, at least 0"
    )]
    let each = (each_s.unwrap_or(0.0).max(0.0) * 1e6) as u64;
    Histogram::of_buckets([(each, n)])
}

/// The lines of a log and how many of each kind there were since a moment, each with the seconds
/// since then. What was written before is not of the probe's making.
fn lines(log: &[LogRecord], kinds: &[LogKindRecord], start_s: f64) -> Vec<(f64, LogLine)> {
    let line = |at_s: f64, monitor: &str, text: &str, tally| {
        let line = LogLine {
            monitor: monitor.to_owned(),
            text: text.to_owned(),
            more: 0,
            tally,
        };
        (at_s - start_s, line)
    };
    let lines = log.iter().map(|l| line(l.at_s, &l.monitor, &l.text, None));
    let kinds = (kinds.iter()).map(|k| line(k.at_s, &k.monitor, &k.text, Some(k.count)));
    lines.chain(kinds).filter(|(at, _)| *at > 0.0).collect()
}
