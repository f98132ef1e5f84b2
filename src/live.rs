//! What a run looks like now: its events folded into one picture, for whoever shows it while it
//! goes on.
//!
//! The terminal, the page of `--serve` and the metrics for Prometheus are drawn from this and
//! nothing else, so that they cannot tell different stories.

pub mod metrics;

use std::collections::VecDeque;

use serde::Serialize;

use crate::event::{Event, Phase, ShownLatency, ShownShare, Subject, Tick};
use crate::measure::{Counted, Level, LevelUnit, Reading};
use crate::record::{
    Band, HoldEnd, ProbeRecord, Purpose, RampRecord, RunRecord, StageRecord, StageSpan, StepRecord,
};
use crate::report;
use crate::slo::Verdict;

/// Seconds that are kept for drawing.
pub const KEPT_SECONDS: usize = 600;
/// Notes that are kept.
const KEPT_NOTES: usize = 8;

/// The present state of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Live {
    /// The profile's name; empty before the first run.
    pub profile: String,
    /// Address of the target.
    pub target: String,
    /// The objectives.
    pub slo: Vec<String>,
    /// What a level counts.
    pub unit: LevelUnit,
    /// What goes through is counted in.
    pub counted: Counted,
    /// The latency that every second shows: `p99(answer)`.
    pub latency: String,
    /// What it must stay below, seconds.
    pub limit_s: Option<f64>,
    /// The share that stands before it, where no objective is on a latency.
    pub share: Option<ShownShare>,
    /// Lowest and highest level of a search.
    pub range: Option<(Level, Level)>,
    /// Seconds that the run takes at most.
    pub at_most_s: Option<f64>,
    /// Seconds since the run began.
    pub elapsed_s: f64,
    /// What is being done between probes.
    pub doing: Option<String>,
    /// The probe that runs.
    pub probe: Option<LiveProbe>,
    /// The stage that runs.
    pub stage: Option<LiveStage>,
    /// The breakpoint as it is known now.
    pub estimate: Option<Band>,
    /// What the probes or stages showed, in order.
    pub visits: Vec<LiveVisit>,
    /// The last [`KEPT_SECONDS`] seconds under load.
    pub seconds: VecDeque<LiveSecond>,
    /// What the monitors read last.
    pub gauges: Vec<Gauge>,
    /// The last notes.
    pub notes: VecDeque<String>,
    /// The end, once it is there.
    pub finished: Option<Finished>,
    /// Seconds with their counts since the program started, over all runs; what counters for
    /// Prometheus need.
    pub totals: Totals,
    /// Limits by (monitor, field).
    #[serde(skip)]
    limits: Vec<Reading>,
    /// Where the latency is found in a record.
    #[serde(skip)]
    shown: Option<ShownLatency>,
}

/// The probe that runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LiveProbe {
    /// Its index.
    pub index: usize,
    /// Why the level is visited.
    pub purpose: Purpose,
    /// The level.
    pub level: Level,
    /// What it is doing.
    pub phase: Phase,
    /// Seconds of that so far.
    pub phase_s: f64,
    /// Seconds that its hold is planned to take.
    pub planned_hold_s: f64,
}

/// The stage that runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LiveStage {
    /// Its index.
    pub index: usize,
    /// What it asks.
    pub asked: StageSpan,
}

/// What one probe or stage showed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveVisit {
    /// Its index.
    pub index: usize,
    /// When it was judged, seconds since the run began.
    pub at_s: f64,
    /// Why the level was visited; `None` for a stage.
    pub purpose: Option<Purpose>,
    /// The level; the highest of a stage.
    pub level: Level,
    /// Its verdict.
    pub verdict: Verdict,
    /// How it ended.
    pub end: HoldEnd,
    /// What the objective that matters showed: `p99(answer) 1.82 s`.
    pub observed: Option<String>,
    /// The latency of [`Live::latency`] over the whole of it, seconds.
    pub latency_s: Option<f64>,
    /// Completed cycles per second.
    pub throughput_per_s: Option<f64>,
    /// Why the verdict.
    pub reason: String,
    /// What gave way.
    pub gave_way: Option<String>,
}

/// One second under load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LiveSecond {
    /// Seconds since the run began.
    pub t_s: f64,
    /// The level asked for.
    pub level: Level,
    /// VUs running.
    pub vus: u32,
    /// What the probe was doing.
    pub phase: Phase,
    /// Length, seconds.
    pub span_s: f64,
    /// Completed cycles.
    pub completed: u64,
    /// Failed ones.
    pub failed: u64,
    /// Shed ones.
    pub shed: u64,
    /// The latency of [`Live::latency`].
    pub latency_s: Option<f64>,
}

/// What a monitor reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gauge {
    /// The monitor's name in the profile.
    pub monitor: String,
    /// The field.
    pub field: String,
    /// The value in its base unit; `None` is a gap.
    pub value: Option<f64>,
    /// Its limit.
    pub limit: Option<f64>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finished {
    /// How, in one word of the files: `found`.
    pub ending: &'static str,
    /// The answer in one line.
    pub headline: String,
    /// The whole summary as the terminal prints it.
    pub summary: String,
}

/// What was counted since the program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Completed cycles.
    pub completed: u64,
    /// Failed ones.
    pub failed: u64,
    /// Shed ones.
    pub shed: u64,
    /// Probes and stages that were judged.
    pub visits: u64,
}

impl Live {
    /// Takes what happened.
    pub fn on(&mut self, event: &Event) {
        match event {
            Event::RunStarted {
                subject,
                range,
                budget_s,
            } => {
                self.begin(subject, *budget_s);
                self.range = Some(*range);
            }
            Event::RampStarted { subject, asked } => {
                let at_most_s = asked.last().map_or(0.0, |s| s.start_s + s.lasts_s);
                self.begin(subject, at_most_s);
            }
            Event::Doing(what) => {
                if self.finished.is_some() {
                    // What comes after the end of a run belongs to the next one.
                    *self = Self {
                        totals: self.totals,
                        ..Self::default()
                    };
                }
                self.doing = Some(what.clone());
            }
            Event::Note(note) => {
                self.notes.push_back(note.clone());
                keep(&mut self.notes, KEPT_NOTES);
            }
            Event::ProbeStarted {
                index,
                purpose,
                level,
                planned_hold_s,
            } => {
                self.doing = None;
                self.probe = Some(LiveProbe {
                    index: *index,
                    purpose: *purpose,
                    level: *level,
                    phase: Phase::Ramp,
                    phase_s: 0.0,
                    planned_hold_s: *planned_hold_s,
                });
            }
            Event::StageStarted { index, asked } => {
                self.doing = None;
                self.stage = Some(LiveStage {
                    index: *index,
                    asked: *asked,
                });
            }
            Event::Tick(tick) => self.tick(tick),
            Event::ProbeJudged(probe) => {
                self.probe = None;
                self.estimate = probe.estimate.or(self.estimate);
                self.judged(LiveVisit::of_probe(probe, self.latency_of(&probe.steps)));
            }
            Event::StageJudged(stage) => {
                self.stage = None;
                self.judged(LiveVisit::of_stage(stage, self.latency_of(&stage.steps)));
            }
            Event::RunFinished(record) => self.finished = Some(Finished::of_run(record)),
            Event::RampFinished(record) => self.finished = Some(Finished::of_ramp(record)),
            Event::Written(_) => {}
        }
        if self.finished.is_some() {
            self.doing = None;
            self.probe = None;
            self.stage = None;
        }
    }

    fn begin(&mut self, subject: &Subject, at_most_s: f64) {
        *self = Self {
            profile: subject.profile.clone(),
            target: subject.target.clone(),
            slo: subject.slo.clone(),
            unit: subject.unit,
            counted: subject.counted,
            latency: subject.latency.name.clone(),
            limit_s: subject.latency.limit_s,
            share: subject.share,
            at_most_s: Some(at_most_s),
            limits: subject.limits.clone(),
            shown: Some(subject.latency.clone()),
            totals: self.totals,
            ..Self::default()
        };
    }

    fn tick(&mut self, tick: &Tick) {
        self.doing = None;
        self.elapsed_s = tick.elapsed_s;
        self.estimate = tick.estimate.or(self.estimate);
        let span_s = match self.seconds.back() {
            Some(last) => (tick.elapsed_s - last.t_s).clamp(0.0, 1.0),
            None => 1.0,
        };
        if let Some(probe) = &mut self.probe {
            if probe.phase != tick.phase {
                probe.phase = tick.phase;
                probe.phase_s = 0.0;
            }
            probe.phase_s += span_s;
        }
        self.seconds.push_back(LiveSecond {
            t_s: tick.elapsed_s,
            level: tick.level,
            vus: tick.vus,
            phase: tick.phase,
            span_s: tick.span_s,
            completed: tick.completed,
            failed: tick.failed,
            shed: tick.shed,
            latency_s: tick.latency_s.filter(|v| v.is_finite()),
        });
        keep(&mut self.seconds, KEPT_SECONDS);
        self.totals.completed += tick.completed;
        self.totals.failed += tick.failed;
        self.totals.shed += tick.shed;
        self.gauges = tick.readings.iter().map(|r| self.gauge(r)).collect();
    }

    fn gauge(&self, reading: &Reading) -> Gauge {
        let mut limits = self.limits.iter();
        let limit = limits.find(|l| l.monitor == reading.monitor && l.field == reading.field);
        Gauge {
            monitor: reading.monitor.clone(),
            field: reading.field.clone(),
            value: reading.value.filter(|v| v.is_finite()),
            limit: limit.and_then(|l| l.value).filter(|v| *v > 0.0),
        }
    }

    /// The latency over a whole hold or stage.
    fn latency_of(&self, steps: &[StepRecord]) -> Option<f64> {
        let shown = self.shown.as_ref()?;
        steps.get(shown.step)?.latency.quantile_s(shown.q)
    }

    fn judged(&mut self, visit: LiveVisit) {
        self.totals.visits += 1;
        self.visits.push(LiveVisit {
            at_s: self.elapsed_s,
            ..visit
        });
    }

    /// The highest level that held, and the lowest that broke. They may overlap: near the
    /// breakpoint a level does both.
    pub fn bracket(&self) -> (Option<Level>, Option<Level>) {
        let of = |verdict: Verdict| {
            let valid = self.visits.iter().filter(|v| v.end != HoldEnd::Invalid);
            valid.filter(move |v| v.verdict == verdict).map(|v| v.level)
        };
        (of(Verdict::Held).max(), of(Verdict::Broke).min())
    }

    /// Whether there is something to show that has not ended.
    pub fn is_running(&self) -> bool {
        self.finished.is_none() && (self.at_most_s.is_some() || self.doing.is_some())
    }

    /// Seconds that the run takes at most from now on.
    pub fn left_s(&self) -> Option<f64> {
        Some((self.at_most_s? - self.elapsed_s).max(0.0))
    }
}

fn keep<T>(all: &mut VecDeque<T>, most: usize) {
    while all.len() > most {
        all.pop_front();
    }
}

impl LiveVisit {
    fn of_probe(probe: &ProbeRecord, latency_s: Option<f64>) -> Self {
        Self {
            index: probe.index,
            at_s: 0.0,
            purpose: Some(probe.purpose),
            level: probe.level,
            verdict: probe.verdict,
            end: probe.end,
            observed: report::observed_text(&probe.objectives, probe.verdict),
            latency_s,
            throughput_per_s: probe.throughput_per_s,
            reason: probe.reason.clone(),
            gave_way: probe.limiting_resource.as_ref().map(|c| c.resource.clone()),
        }
    }

    fn of_stage(stage: &StageRecord, latency_s: Option<f64>) -> Self {
        Self {
            index: stage.index,
            at_s: 0.0,
            purpose: None,
            level: stage.asked.from.max(stage.asked.to),
            verdict: stage.verdict,
            end: stage.end,
            observed: report::observed_text(&stage.objectives, stage.verdict),
            latency_s,
            throughput_per_s: stage.throughput_per_s,
            reason: stage.reason.clone(),
            gave_way: stage.limiting_resource.as_ref().map(|c| c.resource.clone()),
        }
    }
}

impl Finished {
    fn of_run(record: &RunRecord) -> Self {
        Self {
            ending: record.answer.ending.name(),
            headline: report::headline(record),
            summary: report::summary(record),
        }
    }

    fn of_ramp(record: &RampRecord) -> Self {
        Self {
            ending: record.ending.name(),
            headline: report::ramp_headline(record),
            summary: report::ramp_summary(record),
        }
    }
}

#[cfg(test)]
mod tests;
