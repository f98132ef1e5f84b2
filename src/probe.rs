//! One visit to one level: move there, settle, hold, leave early when it is hopeless.
//!
//! The probe pulls windows from the engine; there is no other clock. It knows no objective: whether
//! a hold is hopeless is asked of its caller.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use crate::engine::{Engine, EngineError};
use crate::event::Phase;
use crate::measure::{
    Level, LogLine, Measurement, Reading, Role, Second, StepTable, StepWindow, Window,
};
use crate::record::HoldEnd;
use crate::stats::trend;

/// What a probe is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeSpec {
    /// The level to visit.
    pub level: Level,
    /// The level before.
    pub from: Level,
    /// Seconds to hold.
    pub hold_s: f64,
    /// Shortest settle, seconds; extended to `settle_cycles` as seen.
    pub settle_min_s: f64,
    /// Shortest settle in cycles.
    pub settle_cycles: f64,
    /// Longest settle, seconds.
    pub settle_max_s: f64,
    /// Seconds for all of it: what is left of a budget. Settling longer than expected ends in time
    /// for the hold.
    pub within_s: f64,
    /// Seconds that the move to the level should take.
    pub move_s: f64,
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// What the SLO judges.
    pub measurement: Measurement,
    /// The windows before the hold.
    pub before: Vec<Second>,
    /// Engine time at the start of the move.
    pub start: Duration,
    /// Engine time at the end.
    pub end: Duration,
    /// Seconds until the level was reached.
    pub ramp_s: f64,
    /// Seconds from there to the hold.
    pub settle_s: f64,
    /// How the hold ended.
    pub hold_end: HoldEnd,
    /// What the services logged, with the engine time at which it was seen; what came since the
    /// probe before stands at this one's start.
    pub log: Vec<(Duration, LogLine)>,
}

impl Probe {
    /// Whether it was broken off before its first second.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.measurement.hold.is_empty()
    }
}

/// What a probe needs from its surroundings.
pub trait Observer {
    /// What the monitors read now.
    fn readings(&mut self) -> Vec<Reading>;
    /// What the services logged since the last time.
    fn lines(&mut self) -> Vec<LogLine> {
        Vec::new()
    }
    /// A second passed.
    fn second(&mut self, second: &Second, phase: Phase);
    /// The users have nothing left to be given: the run is to end.
    fn used_up(&mut self, which: &str);

    /// The load itself ended the run, and why.
    fn aborted(&mut self, why: &str);
    /// Whether the run is to end.
    fn interrupted(&self) -> bool;
    /// Returns when it is to end at once, in the middle of a second.
    fn halted(&self) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }
    /// Whether a hold is hopeless.
    fn is_hopeless(&self, hold: &Measurement) -> bool;
    /// Whether the target is broken although it has not settled.
    fn is_failing(&self, recent: &Measurement) -> bool;
}

/// Relative movement between two halves of the settle's last windows that counts as none.
const LEVEL_TOLERANCE: f64 = 0.10;
/// Windows that the settle detector looks at, at least.
const SETTLE_WINDOWS: usize = 6;
/// Windows that tell that the target is failing.
const FAILING_WINDOWS: usize = 5;
/// Least share of a hold that a move which took longer than expected leaves of it.
const LATE_HOLD: f64 = 0.25;
/// Seconds beyond the paced move after which a probe goes on although some VU has not arrived or
/// left.
const RAMP_GRACE_S: f64 = 60.0;

/// Visits a level.
///
/// # Errors
/// When the engine cannot go on; what was measured by then is lost to this probe only.
pub async fn probe(
    engine: &mut dyn Engine,
    steps: &StepTable,
    spec: &ProbeSpec,
    observer: &mut impl Observer,
) -> Result<Probe, EngineError> {
    let readings_before = observer.readings();
    let lines_before = observer.lines();
    engine.set_level(spec.level).await?;
    let mut visit = Visit {
        spec,
        steps,
        before: Vec::new(),
        lines_before,
        log: Vec::new(),
        measurement: Measurement {
            level: spec.level,
            before: None,
            arriving: Vec::new(),
            readings_before,
            hold: Vec::new(),
            settled: false,
        },
        ramp_s: 0.0,
        settle_s: 0.0,
        phase: Phase::Ramp,
    };
    let mut halted = pin!(observer.halted());
    let hold_end = loop {
        let window = tokio::select! {
            biased;
            () = &mut halted => {
                engine.halt().await?;
                break HoldEnd::Interrupted;
            }
            window = engine.next_window() => match window {
                Ok(window) => window,
                Err(EngineError::UsedUp(which)) => {
                    observer.used_up(&which);
                    break HoldEnd::Interrupted;
                }
                Err(EngineError::Aborted(why) | EngineError::NotAllowed(why)) => {
                    observer.aborted(&why);
                    break HoldEnd::Interrupted;
                }
                Err(error) => return Err(error),
            },
        };
        let second = Second {
            window,
            readings: observer.readings(),
        };
        let seen = second.window.start + second.window.span;
        let lines = observer.lines().into_iter();
        visit.log.extend(lines.map(|line| (seen, line)));
        observer.second(&second, visit.phase);
        let done = visit.take(second, observer);
        if observer.interrupted() {
            break HoldEnd::Interrupted;
        }
        if let Some(end) = done {
            break end;
        }
    };
    Ok(visit.finish(hold_end))
}

struct Visit<'a> {
    spec: &'a ProbeSpec,
    steps: &'a StepTable,
    before: Vec<Second>,
    /// What was logged since the probe before.
    lines_before: Vec<LogLine>,
    /// What was logged in this one.
    log: Vec<(Duration, LogLine)>,
    measurement: Measurement,
    ramp_s: f64,
    settle_s: f64,
    phase: Phase,
}

impl Visit<'_> {
    /// Takes one more second; says how the hold ended when it did.
    fn take(&mut self, second: Second, observer: &impl Observer) -> Option<HoldEnd> {
        let span = second.window.span.as_secs_f64();
        let at_level = second.window.at_level;
        match self.phase {
            Phase::Ramp => {
                self.before.push(second);
                self.ramp_s += span;
                if at_level || self.ramp_s >= self.spec.move_s + RAMP_GRACE_S {
                    self.phase = Phase::Settle;
                }
                self.fails(observer)
            }
            Phase::Settle => {
                self.before.push(second);
                self.settle_s += span;
                self.measurement.settled = self.has_settled();
                if self.measurement.settled || self.settle_s >= self.longest_settle() {
                    self.phase = Phase::Hold;
                    self.measurement.before = self.before.last().map(|s| s.window.clone());
                }
                self.fails(observer)
            }
            Phase::Hold => {
                self.measurement.hold.push(second);
                let held = self.measurement.hold_s();
                // A move that took longer than expected costs a part of the hold.
                let late = self.ramp_s + self.settle_s + held >= self.spec.within_s - 1e-6;
                let wanted = self.spec.hold_s * if late { LATE_HOLD } else { 1.0 };
                if held >= wanted - 1e-6 {
                    return Some(HoldEnd::Complete);
                }
                observer
                    .is_hopeless(&self.measurement)
                    .then_some(HoldEnd::LeftEarly)
            }
        }
    }

    /// A target that fails most cycles is not waited for: the last windows become the hold.
    fn fails(&mut self, observer: &impl Observer) -> Option<HoldEnd> {
        let first = self.before.len().checked_sub(FAILING_WINDOWS)?;
        let recent = Measurement {
            level: self.spec.level,
            before: None,
            arriving: Vec::new(),
            readings_before: Vec::new(),
            hold: self.before[first..].to_vec(),
            settled: false,
        };
        if !observer.is_failing(&recent) {
            return None;
        }
        self.measurement.hold = self.before.split_off(first);
        Some(HoldEnd::LeftEarly)
    }

    /// The cycles asked for by Little's law from the settle so far, and at least the seconds.
    fn shortest_settle(&self) -> f64 {
        let windows = self.settle_windows();
        let cycles: u64 = windows
            .iter()
            .map(|w| w.step(self.steps.whole()).completed())
            .sum();
        // In the open model VUs are those within a cycle.
        let vu_seconds: f64 = windows
            .iter()
            .map(|w| f64::from(w.vus) * w.span.as_secs_f64())
            .sum();
        #[expect(clippy::cast_precision_loss, reason = "a count of cycles")]
        let cycle_s = if cycles == 0 {
            0.0
        } else {
            vu_seconds / cycles as f64
        };
        self.spec
            .settle_min_s
            .max(self.spec.settle_cycles * cycle_s)
            .min(self.longest_settle())
    }

    fn longest_settle(&self) -> f64 {
        let in_time = self.spec.within_s - self.ramp_s - self.spec.hold_s;
        self.spec
            .settle_max_s
            .min(in_time)
            .max(self.spec.settle_min_s)
    }

    /// The settle's windows: those since the level was reached.
    fn settle_windows(&self) -> Vec<&Window> {
        let mut passed = 0.0;
        let mut windows: Vec<&Window> = self
            .before
            .iter()
            .rev()
            .map(|s| &s.window)
            .take_while(|w| {
                passed += w.span.as_secs_f64();
                passed <= self.settle_s + 1e-6
            })
            .collect();
        windows.reverse();
        windows
    }

    /// Neither throughput, nor latency, nor the number in flight moves over the last windows.
    fn has_settled(&self) -> bool {
        let shortest = self.shortest_settle();
        if self.settle_s < shortest - 1e-6 {
            return false;
        }
        let windows = self.settle_windows();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number of seconds"
        )]
        let wanted = SETTLE_WINDOWS.max(shortest.ceil() as usize);
        let last = &windows[windows.len().saturating_sub(wanted)..];
        let main = self.steps.main();
        #[expect(clippy::cast_precision_loss, reason = "counts per second")]
        let series: [Vec<f64>; 3] = [
            last.iter()
                .map(|w| w.step(main).completed() as f64)
                .collect(),
            last.iter()
                .filter_map(|w| w.step(main).latency.mean_s())
                .collect(),
            last.iter()
                .map(|w| w.step(main).in_flight.count() as f64)
                .collect(),
        ];
        // Too few completions for a latency series is left to the deadline, not called settled.
        series.iter().all(|s| trend::is_level(s, LEVEL_TOLERANCE))
    }

    /// What users did who started before the hold, by window.
    fn arriving(&self) -> Vec<Window> {
        let rows: Vec<bool> = (self.steps.rows().iter())
            .map(|row| row.role == Role::Start)
            .collect();
        if !rows.contains(&true) {
            return Vec::new();
        }
        let of_start = |window: &Window| {
            let steps = rows.iter().zip(&window.steps);
            let kept = steps.map(|(starts, step)| {
                if *starts {
                    step.clone()
                } else {
                    StepWindow::default()
                }
            });
            Window {
                steps: kept.collect(),
                ..window.clone()
            }
        };
        self.before.iter().map(|s| of_start(&s.window)).collect()
    }

    fn finish(mut self, hold_end: HoldEnd) -> Probe {
        self.measurement.arriving = self.arriving();
        let all = || self.before.iter().chain(&self.measurement.hold);
        let start = all().next().map_or(Duration::ZERO, |s| s.window.start);
        let end = all()
            .next_back()
            .map_or(start, |s| s.window.start + s.window.span);
        let before = self.lines_before.into_iter().map(|line| (start, line));
        Probe {
            start,
            end,
            log: before.chain(self.log).collect(),
            ramp_s: self.ramp_s,
            settle_s: self.settle_s,
            hold_end,
            measurement: self.measurement,
            before: self.before,
        }
    }
}
