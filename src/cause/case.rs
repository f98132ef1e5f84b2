//! A broken probe, as the rules ask for it.

use super::ObservedProbe;
use crate::measure::{
    Level, LevelUnit, LogLine, Measurement, Reading, Second, StepTable, StepWindow,
};

/// What a broken probe showed, and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The hold, or the last seconds of a settle that was left early.
    pub measurement: &'a Measurement,
    /// The seconds of the probe before that.
    pub before: &'a [Second],
    /// What the target's logs said during the probe, with the second of the probe.
    pub lines: &'a [(f64, LogLine)],
    /// The measured steps.
    pub steps: &'a StepTable,
    /// Limits of the monitors' fields.
    pub limits: &'a [Reading],
    /// The highest level clearly below that held.
    pub baseline: Option<Baseline>,
    /// The other probes of the run, those that held and those that broke.
    pub seen: &'a [ObservedProbe],
    /// What a level counts.
    pub unit: LevelUnit,
    /// Whether the level is that of the users who are measured, and not that of others beside them.
    pub users_are_searched: bool,
    /// Mean think time of a cycle, seconds.
    pub think_s: f64,
    /// Logical CPUs of this machine.
    pub cpus: u32,
    /// A round trip of the network to the target, seconds; `None` where it was not measured.
    pub round_trip_s: Option<f64>,
}

/// What a lower level that held showed, for comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// Its level.
    pub level: f64,
    /// Its throughput, cycles per second.
    pub throughput: f64,
    /// Median latency of the main step, seconds.
    pub median_s: Option<f64>,
}

impl Baseline {
    /// The highest level that held clearly below another: it is what more load should have improved
    /// on. From a near one no gain could be told from noise.
    pub fn of(seen: &[ObservedProbe], level: Level) -> Option<Self> {
        let below = |s: &&ObservedProbe| s.held() && s.is_below(level.get().into());
        let baseline = |s: &ObservedProbe| {
            Some(Self {
                level: s.level,
                throughput: s.throughput?,
                median_s: s.median_s,
            })
        };
        (seen.iter().filter(below).filter_map(baseline)).max_by(|a, b| a.level.total_cmp(&b.level))
    }
}

impl<'a> Case<'a> {
    /// Another probe of the run as the rules ask for it: the same questions as of this one, so that
    /// the answers can be compared.
    pub(super) fn of_seen(&self, seen: &'a ObservedProbe) -> Self {
        Case {
            measurement: &seen.measurement,
            before: &seen.before,
            lines: &seen.lines,
            baseline: None,
            seen: &[],
            ..*self
        }
    }
}

impl Case<'_> {
    /// Every second of the probe in order, each with the time of its end since the probe's start.
    pub(super) fn seconds(&self) -> impl Iterator<Item = (f64, &Second)> {
        let mut passed = 0.0;
        (self.before.iter().chain(&self.measurement.hold)).map(move |second| {
            passed += second.window.span.as_secs_f64();
            (passed, second)
        })
    }

    /// The names of the monitors that gave readings or lines, in the order of the profile.
    pub(super) fn monitors(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let during = self.measurement.hold.iter().flat_map(|s| &s.readings);
        let readings = during.chain(&self.measurement.readings_before);
        let lines = self.lines.iter().map(|(_, line)| line.monitor.as_str());
        for name in readings.map(|r| r.monitor.as_str()).chain(lines) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// A field's values over the whole probe with their times, gaps left out.
    pub(super) fn series(&self, monitor: &str, field: &str) -> Vec<(f64, f64)> {
        self.seconds()
            .filter_map(|(at, second)| Some((at, value(&second.readings, monitor, field)?)))
            .collect()
    }

    /// By how much a counter grew over the probe, and when it first did; `None` when it did not
    /// grow or is not known.
    pub(super) fn growth(&self, monitor: &str, field: &str) -> Option<(f64, f64)> {
        let series = self.series(monitor, field);
        let before = self.measurement.reading_before(monitor, field);
        let from = before.unwrap_or(0.0);
        let (first, _) = series.iter().find(|(_, v)| *v > from)?;
        let (_, last) = series.last()?;
        (*last > from).then_some((last - from, *first))
    }

    /// So many events as a rate over the whole probe, per second.
    pub(super) fn rate(&self, events: f64) -> f64 {
        events / self.seconds().last().map_or(1.0, |(at, _)| at).max(1.0)
    }

    /// Cycles that were tried over the whole probe.
    pub(super) fn tried(&self) -> f64 {
        let step = self.steps.whole();
        let of = |w: &StepWindow| w.completed() + w.failed.of_target() + w.shed;
        let windows = self.seconds().filter_map(|(_, s)| s.window.steps.get(step));
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let tried = windows.map(of).sum::<u64>() as f64;
        tried
    }

    /// So many events for each cycle that was tried: what comes with every cycle is as strong at
    /// every level.
    pub(super) fn per_cycle(&self, events: f64) -> f64 {
        events / self.tried().max(1.0)
    }

    /// The mean of a field over the hold.
    pub(super) fn mean(&self, monitor: &str, field: &str) -> Option<f64> {
        mean(self.measurement.readings(monitor, field))
    }

    /// The highest value of a field over the whole probe.
    pub(super) fn highest(&self, monitor: &str, field: &str) -> Option<f64> {
        let before = self.measurement.reading_before(monitor, field);
        let during = self.series(monitor, field).into_iter().map(|(_, v)| v);
        during.chain(before).max_by(f64::total_cmp)
    }

    /// The limit of a field, where there is one.
    pub(super) fn limit(&self, monitor: &str, field: &str) -> Option<f64> {
        value(self.limits, monitor, field).filter(|v| *v > 0.0)
    }

    /// The limit of a runtime's heap, by the monitor's own word or by what the runtime says beside
    /// the heap.
    pub(super) fn heap_limit(&self, monitor: &str) -> Option<f64> {
        let told = self.limit(monitor, "heap");
        told.or_else(|| self.highest(monitor, "heap_limit"))
            .filter(|l| *l > 0.0)
    }

    /// The first line of a monitor's log (of any log for `None`) that has one of some texts, in
    /// lower case, with its time.
    pub(super) fn line(&self, monitor: Option<&str>, texts: &[&str]) -> Option<(f64, &LogLine)> {
        self.lines
            .iter()
            .filter(|(_, line)| monitor.is_none_or(|m| line.monitor == m))
            .find(|(_, line)| {
                let text = line.text.to_lowercase();
                texts.iter().any(|t| text.contains(t))
            })
            .map(|(at, line)| (*at, line))
    }

    /// Completed cycles per second of the hold.
    pub(super) fn throughput(&self) -> Option<f64> {
        self.measurement.throughput(self.steps.whole())
    }

    /// The level.
    pub(super) fn level(&self) -> f64 {
        f64::from(self.measurement.level.get())
    }
}

fn value(readings: &[Reading], monitor: &str, field: &str) -> Option<f64> {
    readings
        .iter()
        .find(|r| r.monitor == monitor && r.field == field)
        .and_then(|r| r.value)
}

/// The mean of some values; `None` of none.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    (n > 0.0).then(|| sum / n)
}
