//! A ramp: the stages one after the other, each judged as a whole, and every ten seconds judged on
//! the way.

use std::time::Duration;

use super::shown::tick;
use super::{
    FirstContact, Halt, Interrupt, RunEnvironment, canary, generator, recording, shown_latency,
};
use crate::cause::{self, Case, ObservedProbe};
use crate::engine::{Engine, EngineError};
use crate::event::{Event, Phase};
use crate::measure::{
    GeneratorHealth, Level, LoadedAddress, LogLine, Measurement, Second, StepTable, Window,
};
use crate::ramp::{self, FirstBreach, Recent, STEP_S, Stages};
use crate::record::{
    Breach, Environment, HoldEnd, LimitingResource, PlanRecord, RAMP_SCHEMA_VERSION, RampEnding,
    RampRecord, RampSecond, ReferenceRun, StageRecord, StageSpan,
};
use crate::slo::{Judgement, Slo, Verdict};

/// Everything that a ramp needs to know.
#[derive(Debug, Clone)]
pub struct RampSpec {
    /// The profile's name.
    pub profile: String,
    /// The objectives.
    pub slo: Slo,
    /// The measured steps.
    pub steps: StepTable,
    /// The stages.
    pub stages: Stages,
    /// For the record.
    pub plan: PlanRecord,
    /// For the record.
    pub environment: Environment,
    /// What a reader must know; grows during the ramp.
    pub warnings: Vec<String>,
    /// How long the target may take until canary cycles pass.
    pub arrival_timeout: Duration,
    /// Canary cycles that must pass in a row before the ramp.
    pub canary_cycles: u32,
    /// What is known of the first of them.
    pub first_contact: FirstContact,
    /// What `find` found.
    pub reference_run: Option<ReferenceRun>,
}

/// Runs a whole ramp. Whatever happens, what was measured comes back in the record.
pub async fn ramp<S: RunEnvironment>(
    spec: &RampSpec,
    engine: &mut dyn Engine,
    surroundings: &mut S,
    interrupt: &Interrupt,
    sink: &mut (dyn FnMut(Event) + Send),
) -> RampRecord {
    let started_at = surroundings.time_of_day();
    let mut ramp = Ramp {
        spec,
        engine,
        surroundings,
        interrupt,
        sink,
        now: Duration::ZERO,
        began: Duration::ZERO,
        breach: FirstBreach::default(),
        stages: Vec::new(),
    };
    let (ending, reason) = match ramp.run().await {
        Ok(end) => end,
        Err(error) => {
            let (_, ending, reason) = super::halt::of_error(&error);
            (ending, reason)
        }
    };
    // The ramp is over: an engine that cannot stop any more has nothing to add.
    let _ = ramp.engine.set_level(Level::ZERO).await;
    let mut warnings = spec.warnings.clone();
    let strained = strains(&ramp.stages);
    warnings.extend(generator::warnings(&strained, "stage"));
    warnings.extend(ramp.engine.notes());
    let plan = spec.plan.loaded(ramp.engine.addresses());
    warnings.extend(generator::network(&strained, plan.round_trip_s()));
    let record = RampRecord {
        schema_version: RAMP_SCHEMA_VERSION,
        breakpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: spec.profile.clone(),
        started_at,
        finished_at: ramp.surroundings.time_of_day(),
        slo: spec.slo.texts(),
        ending,
        reason,
        breach: ramp.breach.get().cloned(),
        reference_run: spec.reference_run.clone(),
        plan,
        environment: spec.environment.clone(),
        warnings,
        asked: spec.stages.spans().to_vec(),
        stages: ramp.stages,
    };
    (ramp.sink)(Event::RampFinished(Box::new(record.clone())));
    record
}

fn strains(stages: &[StageRecord]) -> Vec<Vec<GeneratorHealth>> {
    let of = |s: &StageRecord| generator::strains(s.seconds.iter().map(|s| &s.seen));
    stages.iter().map(of).collect()
}

struct Ramp<'a, S> {
    spec: &'a RampSpec,
    engine: &'a mut dyn Engine,
    surroundings: &'a mut S,
    interrupt: &'a Interrupt,
    sink: &'a mut (dyn FnMut(Event) + Send),
    /// Engine time at the end of the last window.
    now: Duration,
    /// Engine time when the ramp began.
    began: Duration,
    breach: FirstBreach,
    stages: Vec<StageRecord>,
}

/// What a ramp has seen that is not judged yet.
struct Track {
    last: Second,
    recent: Recent,
    present: Option<Present>,
}

/// The stage that runs.
struct Present {
    index: usize,
    measurement: Measurement,
    /// Engine time at which the stage began.
    began: Duration,
    /// What the target's logs said, with the engine time at which it was seen.
    lines: Vec<(Duration, LogLine)>,
}

impl<S: RunEnvironment> Ramp<'_, S> {
    async fn run(&mut self) -> Result<(RampEnding, String), EngineError> {
        let wait = canary::Wait {
            cycles: self.spec.canary_cycles,
            unloaded: None,
            limit: self.spec.arrival_timeout,
            definite_after: Some(canary::definite_after(&self.spec.first_contact)),
            interrupt: self.interrupt,
        };
        let well = canary::pass(&mut *self.engine, &mut self.now, &wait, &mut *self.sink).await?;
        if let Some(halt) = self.interrupt.why() {
            return Ok(halted(halt));
        }
        if let Err(unwell) = well {
            let said = self.surroundings.last_words();
            let why = unwell.of_first_contact(&self.spec.first_contact);
            let why = format!("{why}{said}");
            return Ok((RampEnding::TargetDown, why));
        }
        self.climb().await?;
        Ok(self.ending())
    }

    /// All stages. The level is that of the window's end, so that a stage reaches its target in its
    /// last second.
    async fn climb(&mut self) -> Result<(), EngineError> {
        let mut track = self.start().await?;
        let mut end = HoldEnd::Complete;
        let mut outcome = Ok(());
        while let Some((index, level)) = self.next_level() {
            self.enter(index, &mut track);
            match self.second(level).await {
                Ok(Some(second)) => self.take(second, &mut track),
                Ok(None) => {}
                Err(error) => outcome = Err(error),
            }
            if outcome.is_err() || self.interrupt.is_set() {
                end = HoldEnd::Interrupted;
                break;
            }
        }
        self.leave(track.present, end);
        outcome
    }

    /// The canary cycles ended somewhere within a window: the ramp begins with a whole one.
    async fn start(&mut self) -> Result<Track, EngineError> {
        let last = Second {
            window: self.engine.next_window().await?,
            readings: self.surroundings.readings(),
        };
        // What was written before it is not of its making.
        self.surroundings.lines();
        self.began = end(&last.window);
        self.now = self.began;
        Ok(Track {
            recent: Recent::new(last.window.clone(), last.readings.clone()),
            last,
            present: None,
        })
    }

    fn next_level(&self) -> Option<(usize, Level)> {
        let t = self.elapsed_s();
        self.spec.stages.level_in(t, t + STEP_S)
    }

    /// One window at a level; none when the ramp is to end in the middle of it.
    async fn second(&mut self, level: Level) -> Result<Option<Second>, EngineError> {
        self.engine.set_level(level).await?;
        let window = tokio::select! {
            biased;
            () = self.interrupt.wait() => {
                self.engine.halt().await?;
                return Ok(None);
            }
            window = self.engine.next_window() => window?,
        };
        self.now = end(&window);
        let second = Second {
            window,
            readings: self.surroundings.readings(),
        };
        let latency = shown_latency(&self.spec.slo, &self.spec.steps);
        let progress = tick(&second, &self.spec.steps, &latency, self.began, Phase::Ramp);
        (self.sink)(Event::Tick(progress));
        Ok(Some(second))
    }

    /// Begins a stage where the one before has ended.
    fn enter(&mut self, index: usize, track: &mut Track) {
        if track.present.as_ref().is_some_and(|p| p.index == index) {
            return;
        }
        self.leave(track.present.take(), HoldEnd::Complete);
        (self.sink)(Event::StageStarted {
            index,
            asked: self.spec.stages.spans()[index],
        });
        let Second { window, readings } = track.last.clone();
        let began = window.start + window.span;
        track.present = Some(Present {
            index,
            measurement: ramp::measurement(window, readings),
            began,
            lines: Vec::new(),
        });
    }

    /// One more second, of the stage and of the last ten.
    fn take(&mut self, second: Second, track: &mut Track) {
        track.last = second.clone();
        track.recent.push(second.clone());
        if let Some(present) = &mut track.present {
            let seen = second.window.start + second.window.span;
            present.measurement.hold.push(second);
            let lines = self.surroundings.lines().into_iter();
            present.lines.extend(lines.map(|line| (seen, line)));
            self.look(present.index, &track.recent);
        }
    }

    /// Judges the last ten seconds, until a breach is known.
    fn look(&mut self, stage: usize, recent: &Recent) {
        let Some(m) = recent.whole().filter(|_| !self.breach.is_known()) else {
            return;
        };
        let judgement = self.spec.slo.judge(m, &self.spec.steps);
        let objectives = ramp::broken(&judgement);
        if objectives.is_empty() || self.fault(m, &judgement).is_some() {
            return;
        }
        if let Some(window) = m.hold.last().map(|s| &s.window) {
            self.breach.add(Breach {
                t_s: recording::rounded(self.elapsed_s()),
                stage,
                level: window.level,
                vus: window.vus,
                objectives,
            });
        }
    }

    fn fault(&self, m: &Measurement, judgement: &Judgement) -> Option<String> {
        let limit_s = self.spec.slo.tightest_limit_s();
        generator::fault(m, self.spec.steps.whole(), limit_s, judgement)
    }

    /// Judges a stage as a whole. One that the user broke off before its first second leaves
    /// nothing.
    fn leave(&mut self, present: Option<Present>, end: HoldEnd) {
        let Some(mut present) = present.filter(|p| !p.measurement.hold.is_empty()) else {
            return;
        };
        let mean = ramp::mean_level(&present.measurement.hold);
        present.measurement.level = Level::nearest(mean);
        let record = self.judged(&present, mean, end);
        self.breach.stage_ends(record.end);
        (self.sink)(Event::StageJudged(Box::new(record.clone())));
        self.stages.push(record);
    }

    fn judged(&self, present: &Present, mean_level: f64, end: HoldEnd) -> StageRecord {
        let m = &present.measurement;
        let steps = &self.spec.steps;
        let mut judgement = self.spec.slo.judge(m, steps);
        let mut end = end;
        if let Some(fault) = self.fault(m, &judgement) {
            // A generator fault is not a breach, and not a pass either.
            end = HoldEnd::Invalid;
            judgement.verdict = Verdict::Undecided;
            judgement.reason = fault;
        }
        let asked = self.spec.stages.spans()[present.index];
        let mut causes = self.causes(present, asked, judgement.verdict).into_iter();
        StageRecord {
            index: present.index,
            asked,
            measured_s: recording::rounded(m.hold_s()),
            mean_level,
            vus_reached: m.hold.iter().map(|s| s.window.vus).max().unwrap_or(0),
            end,
            verdict: judgement.verdict,
            limiting_resource: causes.next(),
            other_causes: causes.collect(),
            reason: judgement.reason,
            objectives: judgement.outcomes.into_iter().map(|o| o.record).collect(),
            throughput_per_s: m.throughput(steps.whole()),
            steps: (steps.recorded())
                .map(|(row, name)| recording::step_record(name, m.step_total(row)))
                .collect(),
            seconds: m.hold.iter().map(|s| self.second_record(s)).collect(),
            log: recording::log(&present.lines, self.began),
            exchanges: recording::exchanges(
                m.hold.iter().map(|s| &s.window),
                steps,
                &self
                    .stages
                    .iter()
                    .flat_map(|s| &s.exchanges)
                    .collect::<Vec<_>>(),
            ),
            log_kinds: recording::log_kinds(&present.lines, Duration::ZERO, self.began),
        }
    }

    fn second_record(&self, second: &Second) -> RampSecond {
        RampSecond {
            level: second.window.level,
            seen: recording::second_record(second, true, &self.spec.steps, self.began),
        }
    }

    fn causes(
        &self,
        present: &Present,
        asked: StageSpan,
        verdict: Verdict,
    ) -> Vec<LimitingResource> {
        if verdict != Verdict::Broke {
            return Vec::new();
        }
        let main = self.spec.steps.main();
        let m = &present.measurement;
        let since = |at: Duration| at.saturating_sub(present.began).as_secs_f64();
        let lines = present.lines.iter();
        let lines: Vec<(f64, LogLine)> = lines.map(|(at, l)| (since(*at), l.clone())).collect();
        let before = |i: usize| i.checked_sub(1).map(|i| &self.stages[i]);
        let seen = (self.stages.iter().enumerate())
            .map(|(i, s)| ObservedProbe::of_stage(s, before(i), &self.spec.steps));
        let seen: Vec<ObservedProbe> = seen.collect();
        cause::causes(&Case {
            measurement: m,
            before: &[],
            lines: &lines,
            steps: &self.spec.steps,
            limits: &self.spec.plan.limits,
            baseline: ramp::baseline(&self.stages, main, asked, m.level),
            seen: &seen,
            unit: self.spec.plan.unit,
            users_are_searched: self.spec.plan.users_are_searched(),
            think_s: self.spec.plan.think_s,
            cpus: self.spec.environment.cpus,
            round_trip_s: LoadedAddress::farthest_s(&self.engine.addresses()),
        })
    }

    fn ending(&self) -> (RampEnding, String) {
        if let Some(halt) = self.interrupt.why() {
            return halted(halt);
        }
        let invalid = self.stages.iter().find(|s| s.end == HoldEnd::Invalid);
        match invalid {
            Some(stage) => {
                let reason = format!("stage {}: {}", stage.index + 1, stage.reason);
                (RampEnding::GeneratorLimited, reason)
            }
            None => (RampEnding::Complete, "every stage ran".to_owned()),
        }
    }

    fn elapsed_s(&self) -> f64 {
        self.now.saturating_sub(self.began).as_secs_f64()
    }
}

fn halted(halt: &Halt) -> (RampEnding, String) {
    let reason = match halt {
        Halt::User => "stopped before its end; results kept".to_owned(),
        other => other.reason(),
    };
    (halt.ramp_ending(), reason)
}

fn end(window: &Window) -> Duration {
    window.start + window.span
}
