//! Ramps: the stages that were typed, the level at a moment, the last ten seconds, and the first of
//! them that broke the SLO. Pure.
//!
//! Stages are those of k6: in each the level moves in a straight line from the target of the one
//! before, at first 0, to its own.

use std::str::FromStr;

use crate::cause::{Baseline, CLEARLY_MORE};
use crate::measure::{Level, LevelUnit, Measurement, Reading, Second, Window};
use crate::record::{
    Breach, Ending, HoldEnd, ObjectiveRecord, READING_S, ReferenceRun, RunRecord, StageRecord,
    StageSpan,
};
use crate::slo::{Judgement, Verdict};
use crate::units;

/// Length of a window: how often the level changes.
pub const STEP_S: f64 = 1.0;
/// Highest level, as everywhere.
const HIGHEST: u32 = 1_000_000;
/// Longest stage.
const LONGEST_S: f64 = 24.0 * 3600.0;
/// How much faster VUs come and go than the steepest stage asks, so that they are there before the
/// second is over.
const AHEAD: f64 = 1.25;
/// The form of stages, for messages.
const FORM: &str = "write stages as TARGET:TIME, such as 100:30s,500:1m,0:30s";

/// The stages of a ramp that take time; never empty, and above level 0 somewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages(Vec<StageSpan>);

/// Why a text is no list of stages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StagesError {
    /// One of them cannot be read.
    #[error("stage {number}, `{text}`: {why}; {FORM}")]
    Stage {
        /// Which, from 1.
        number: usize,
        /// Its text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// None of them takes time.
    #[error("no stage takes any time; {FORM}")]
    NoTime,
    /// The level is 0 all the time.
    #[error("every stage stays at level 0, so there is no load; {FORM}")]
    NoLoad,
}

impl FromStr for Stages {
    type Err = StagesError;

    fn from_str(text: &str) -> Result<Self, StagesError> {
        let mut spans = Vec::new();
        let (mut level, mut start_s) = (Level::ZERO, 0.0);
        for (i, part) in text.split(',').enumerate() {
            let (to, lasts_s) = stage(part.trim()).map_err(|why| StagesError::Stage {
                number: i + 1,
                text: part.trim().to_owned(),
                why,
            })?;
            // A stage of no time is a jump: the next one begins at its target.
            if lasts_s > 0.0 {
                spans.push(StageSpan {
                    from: level,
                    to,
                    start_s,
                    lasts_s,
                });
                start_s += lasts_s;
            }
            level = to;
        }
        match Self(spans) {
            stages if stages.0.is_empty() => Err(StagesError::NoTime),
            stages if stages.highest() == Level::ZERO => Err(StagesError::NoLoad),
            stages => Ok(stages),
        }
    }
}

/// Target and seconds of one stage.
fn stage(text: &str) -> Result<(Level, f64), String> {
    if text.is_empty() {
        return Err("there is nothing between the commas".to_owned());
    }
    let (target, time) = text
        .split_once(':')
        .ok_or_else(|| "a stage has a target and a time".to_owned())?;
    let level = target
        .trim()
        .parse()
        .ok()
        .filter(|level| *level <= HIGHEST)
        .ok_or_else(|| {
            let target = target.trim();
            format!("the target `{target}` is not a whole number between 0 and {HIGHEST}")
        })?;
    let seconds = units::parse_duration(time).map_err(|e| e.to_string())?;
    let seconds = seconds.as_secs_f64();
    if seconds > LONGEST_S {
        return Err("a stage takes 24h at most".to_owned());
    }
    if seconds > 0.0 && seconds < STEP_S {
        return Err("a stage takes at least 1s, or 0s for a jump".to_owned());
    }
    Ok((Level(level), seconds))
}

impl Stages {
    /// The stages, in order.
    pub fn spans(&self) -> &[StageSpan] {
        &self.0
    }

    /// The highest level.
    pub fn highest(&self) -> Level {
        let levels = self.0.iter().flat_map(|s| [s.from, s.to]);
        levels.max().unwrap_or(Level::ZERO)
    }

    /// Seconds of all stages.
    pub fn total_s(&self) -> f64 {
        self.0.last().map_or(0.0, |s| s.start_s + s.lasts_s)
    }

    /// VUs that must be able to start or leave per second, so that the line is followed.
    pub fn pace_per_s(&self) -> f64 {
        let apart = |a: Level, b: Level| f64::from(a.get().abs_diff(b.get()));
        let slope = |s: &StageSpan| apart(s.from, s.to) / s.lasts_s;
        let before = [Level::ZERO].into_iter().chain(self.0.iter().map(|s| s.to));
        let jumps = self.0.iter().zip(before).map(|(s, to)| apart(s.from, to));
        let steepest = self.0.iter().map(slope).fold(0.0, f64::max);
        // A window may hold the end of a stage and a jump.
        let most = (steepest + jumps.fold(0.0, f64::max)) / STEP_S;
        (most * AHEAD).max(1.0)
    }

    /// For the window between two moments, seconds since the ramp began: the stage that its middle
    /// lies in, and the level that it ends at. `None` when the ramp is over.
    pub fn level_in(&self, begin_s: f64, end_s: f64) -> Option<(usize, Level)> {
        let middle = f64::midpoint(begin_s, end_s);
        let index = self.0.iter().position(|s| middle < s.start_s + s.lasts_s)?;
        let span = &self.0[index];
        let part = ((end_s - span.start_s) / span.lasts_s).clamp(0.0, 1.0);
        let (from, to) = (f64::from(span.from.get()), f64::from(span.to.get()));
        Some((index, whole(from + (to - from) * part)))
    }
}

fn whole(level: f64) -> Level {
    if level < 0.5 {
        Level::ZERO
    } else {
        Level::nearest(level)
    }
}

/// The last ten seconds of a ramp, as something that an SLO judges.
#[derive(Debug)]
pub struct Recent(Measurement);

impl Recent {
    /// Nothing yet; what was true before the ramp began.
    pub fn new(before: Window, readings: Vec<Reading>) -> Self {
        Self(measurement(before, readings))
    }

    /// One more second; the oldest goes when there are more than ten without it.
    pub fn push(&mut self, second: Second) {
        let m = &mut self.0;
        m.level = second.window.level;
        m.hold.push(second);
        while m.hold_s() - m.hold[0].window.span.as_secs_f64() >= READING_S - STEP_S / 2.0 {
            let gone = m.hold.remove(0);
            m.before = Some(gone.window);
            m.readings_before = gone.readings;
        }
    }

    /// The last ten seconds, once there are so many.
    pub fn whole(&self) -> Option<&Measurement> {
        (self.0.hold_s() >= READING_S - STEP_S / 2.0).then_some(&self.0)
    }
}

/// A measurement without seconds yet. A ramp never settles, and is judged for what it is: a verdict
/// is one on its moment.
pub fn measurement(before: Window, readings_before: Vec<Reading>) -> Measurement {
    Measurement {
        level: before.level,
        before: Some(before),
        arriving: Vec::new(),
        readings_before,
        hold: Vec::new(),
        settled: true,
    }
}

/// Mean of the levels asked for; 0 without a second.
pub fn mean_level(seconds: &[Second]) -> f64 {
    let sum: f64 = seconds
        .iter()
        .map(|s| f64::from(s.window.level.get()))
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "seconds of a stage")]
    let n = seconds.len().max(1) as f64;
    sum / n
}

/// The first breach of a ramp. Those in a stage wait for its end: a stage in which the generator
/// was at fault has none.
#[derive(Debug, Default)]
pub struct FirstBreach {
    sure: Option<Breach>,
    in_stage: Option<Breach>,
}

impl FirstBreach {
    /// Whether a further breach could not be the first any more.
    pub fn is_known(&self) -> bool {
        self.sure.is_some() || self.in_stage.is_some()
    }

    /// A breach in the present stage.
    pub fn add(&mut self, breach: Breach) {
        self.in_stage.get_or_insert(breach);
    }

    /// The present stage ends.
    pub fn stage_ends(&mut self, end: HoldEnd) {
        let breach = self.in_stage.take().filter(|_| end != HoldEnd::Invalid);
        self.sure = self.sure.take().or(breach);
    }

    /// The first breach of the stages that have ended.
    pub fn get(&self) -> Option<&Breach> {
        self.sure.as_ref()
    }
}

/// The objectives by which a judgement broke.
pub fn broken(judgement: &Judgement) -> Vec<ObjectiveRecord> {
    let records = judgement.outcomes.iter().map(|o| &o.record);
    let broken = records.filter(|o| o.verdict == Verdict::Broke);
    broken.cloned().collect()
}

/// What a stage is compared with to see whether more load brought more throughput: the highest one
/// before it that held clearly below. On the way down nobody asks for more.
pub fn baseline(
    before: &[StageRecord],
    main_step: usize,
    asked: StageSpan,
    mean: Level,
) -> Option<Baseline> {
    if asked.to < asked.from {
        return None;
    }
    let mean = f64::from(mean.get());
    before
        .iter()
        .filter(|s| s.verdict == Verdict::Held && s.mean_level * CLEARLY_MORE < mean)
        .filter_map(|s| {
            Some(Baseline {
                level: s.mean_level,
                throughput: s.throughput_per_s?,
                median_s: (s.steps.get(main_step)).and_then(|s| s.latency.quantile_s(0.5)),
            })
        })
        .max_by(|a, b| a.level.total_cmp(&b.level))
}

/// What a recorded `find` run says that can stand beside a ramp under the same SLO.
///
/// # Errors
/// Says why it cannot: it has no breakpoint, or another SLO or unit.
pub fn reference_run(
    found: &RunRecord,
    slo: &[String],
    unit: LevelUnit,
) -> Result<ReferenceRun, String> {
    let answer = &found.answer;
    let breakpoint = answer
        .breakpoint
        .filter(|_| answer.ending == Ending::Found)
        .ok_or_else(|| {
            let ending = answer.ending.name().replace('_', " ");
            format!("that run found no breakpoint ({ending})")
        })?;
    if found.slo != slo {
        return Err(format!(
            "that run was judged by {}, this ramp by {}",
            found.slo.join(", "),
            slo.join(", ")
        ));
    }
    if found.plan.unit != unit {
        return Err(format!(
            "that run counts {}, this ramp {}",
            found.plan.unit.name(),
            unit.name()
        ));
    }
    Ok(ReferenceRun {
        started_at: found.started_at.clone(),
        breakpoint: Level(breakpoint),
        ci_low: answer.ci_low.map(Level),
        ci_high: answer.ci_high.map(Level),
    })
}

#[cfg(test)]
mod tests;
