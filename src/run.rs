//! Where everything meets: search -> probe -> judge -> record, and back to the search.
//!
//! Engine and SLO do not know each other, nor do search and engine; only this loop knows all of
//! them.

use std::time::Duration;

use crate::cause::{self, Baseline, Case, ObservedProbe};
use crate::engine::{Engine, EngineError};
use crate::event::Event;
use crate::journal::{Entry, Head, SearchInput};
use crate::measure::{Level, LoadedAddress, LogLine, Measurement, Second, StepTable};
use crate::probe::{self, Probe, ProbeSpec};
use crate::record::{
    Band, Ending, Environment, HoldEnd, LimitingResource, PlanRecord, ProbeRecord, Purpose,
    RunRecord, SCHEMA_VERSION,
};
use crate::search::{Conclusion, CycleModel, Estimate, Order, Search, SearchSpec, Step, Visit};
use crate::slo::{Condition, Judgement, Objective, Outcome, Patience, Slo, Verdict};
use crate::stats::tail::{Residence, Tail};

mod answer;
mod canary;
mod crash;
mod environment;
mod explaining;
mod flow;
mod generator;
mod halt;
mod offset_clock;
mod ramping;
mod recording;
mod recovery;
mod references;
mod residence;
mod shown;
mod simulated;
mod slow_start;
mod starting;
mod watch;

pub use environment::{FirstContact, NullEnvironment, RunEnvironment};
pub use halt::{Halt, Interrupt};
pub use ramping::{RampSpec, ramp};
pub use shown::{shown_latency, shown_share};
pub use simulated::SimulatedUsers;
pub use slow_start::slow_start;

use flow::{flow, moments};
use watch::Watch;

/// Everything that a run needs to know.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// The profile's name.
    pub profile: String,
    /// The objectives.
    pub slo: Slo,
    /// The measured steps.
    pub steps: StepTable,
    /// The search's limits.
    pub search: SearchSpec,
    /// For the record.
    pub plan: PlanRecord,
    /// For the record.
    pub environment: Environment,
    /// What a reader must know; grows during the run.
    pub warnings: Vec<String>,
    /// Whether the target is reset after every probe, not only after one that broke clearly.
    pub reset_always: bool,
    /// Monitors of parts of the target that a reset brings back when they are dead.
    pub revived: Vec<String>,
    /// What monitors must read when the target has drained.
    pub drained_when: Condition,
    /// How long the target may take to drain before it is reset.
    pub drain_timeout: Duration,
    /// How long it may take before the first probe until canary cycles pass.
    pub arrival_timeout: Duration,
    /// How long it may take after a reset until canary cycles pass.
    pub canary_timeout: Duration,
    /// Canary cycles that must pass in a row before the next probe.
    pub canary_cycles: u32,
    /// What is known of the first of them.
    pub first_contact: FirstContact,
}

/// What a search that was cut off had judged by then.
#[derive(Debug, Clone, Default)]
pub struct ResumeState {
    /// What was asked; `None` for a search that begins now.
    pub head: Option<Head>,
    /// What was judged, in order.
    pub entries: Vec<Entry>,
}

/// Runs a whole search. Whatever happens, what was measured comes back in the record.
pub async fn run<S: RunEnvironment>(
    spec: &RunSpec,
    engine: &mut dyn Engine,
    surroundings: &mut S,
    interrupt: &Interrupt,
    sink: &mut (dyn FnMut(Event) + Send),
) -> RunRecord {
    resume(
        spec,
        ResumeState::default(),
        engine,
        surroundings,
        interrupt,
        sink,
    )
    .await
}

/// Runs what is left of a search. As [`run`].
pub async fn resume<S: RunEnvironment>(
    spec: &RunSpec,
    past: ResumeState,
    engine: &mut dyn Engine,
    surroundings: &mut S,
    interrupt: &Interrupt,
    sink: &mut (dyn FnMut(Event) + Send),
) -> RunRecord {
    let began_then = past.head.map(|head| head.started_at);
    let started_at = began_then.unwrap_or_else(|| surroundings.time_of_day());
    let ended_s = past.entries.last().map_or(0.0, |e| e.input.judged_s);
    let engine =
        &mut offset_clock::OffsetClock::new(engine, Duration::from_secs_f64(ended_s.max(0.0)));
    let mut run = Run {
        spec,
        engine,
        surroundings,
        interrupt,
        sink,
        search: new_search(spec),
        probes: Vec::new(),
        seen: Vec::new(),
        warnings: spec.warnings.clone(),
        level: Level::ZERO,
        unloaded: None,
        told_not_drained: false,
        began: None,
        now: Duration::ZERO,
        asked_s: 0.0,
        aside_s: 0.0,
    };
    run.take_up(past.entries);
    let conclusion = match run.search().await {
        Ok(conclusion) => conclusion,
        Err(error) => {
            let (ending, _, reason) = halt::of_error(&error);
            run.search.ended(ending, reason)
        }
    };
    run.references(&conclusion).await;
    run.rest().await;
    let search_s = run.search_s();
    let explained = run.explain_again();
    let limit = explained.generator;
    let answer = answer::assemble(spec, &run.search, &conclusion, &run.probes, search_s, limit);
    let holds: Vec<_> = run
        .probes
        .iter()
        .map(|p| generator::strains(&p.seconds))
        .collect();
    run.warnings.extend(generator::warnings(&holds, "probe"));
    run.warnings.extend(explained.warnings);
    run.warnings.extend(run.engine.notes());
    let plan = spec.plan.loaded(run.engine.addresses());
    run.warnings
        .extend(generator::network(&holds, plan.round_trip_s()));
    let record = RunRecord {
        schema_version: SCHEMA_VERSION,
        breakpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: spec.profile.clone(),
        started_at,
        finished_at: run.surroundings.time_of_day(),
        slo: spec.slo.texts(),
        answer,
        plan,
        environment: spec.environment.clone(),
        warnings: run.warnings,
        probes: run.probes,
    };
    (run.sink)(Event::RunFinished(Box::new(record.clone())));
    record
}

fn new_search(spec: &RunSpec) -> Search {
    let model = CycleModel {
        think_s: spec.plan.think_s,
        limit_s: spec.slo.tightest_limit_s(),
    };
    Search::new(spec.search.clone(), model, spec.slo.links())
}

struct Run<'a, S> {
    spec: &'a RunSpec,
    engine: &'a mut dyn Engine,
    surroundings: &'a mut S,
    interrupt: &'a Interrupt,
    sink: &'a mut (dyn FnMut(Event) + Send),
    search: Search,
    probes: Vec<ProbeRecord>,
    /// The same probes, as a broken one is compared with them.
    seen: Vec<ObservedProbe>,
    warnings: Vec<String>,
    level: Level,
    /// What a canary cycle took before the first probe, the slowest of them.
    unloaded: Option<Duration>,
    /// Whether it was said that the target does not drain in time.
    told_not_drained: bool,
    /// Engine time when the search began.
    began: Option<Duration>,
    /// Engine time at the end of the last window.
    now: Duration,
    /// Seconds of searching at which the present probe was asked for.
    asked_s: f64,
    /// Seconds that holds which are not of the search took.
    aside_s: f64,
}

impl<S: RunEnvironment> Run<'_, S> {
    fn not_recovered(&mut self, why: &str) -> Conclusion {
        let said = self.surroundings.last_words();
        self.lost(&format!("the target did not recover: {why}{said}"))
    }

    async fn search(&mut self) -> Result<Conclusion, EngineError> {
        let contact = &self.spec.first_contact;
        let definite_after = Some(canary::definite_after(contact));
        match self
            .canaries(self.spec.arrival_timeout, definite_after)
            .await?
        {
            Ok(slowest) => {
                self.unloaded = slowest;
                self.hint_at_slow_start();
            }
            Err(unwell) => {
                let said = self.surroundings.last_words();
                let why = unwell.of_first_contact(contact);
                return Ok(self.lost(&format!("{why}{said}")));
            }
        }
        loop {
            if let Some(halt) = self.interrupt.why() {
                return Ok(self.search.ended(halt.ending(), halt.reason()));
            }
            self.asked_s = self.search_s();
            let order = match self.search.next(self.asked_s) {
                Step::Done(conclusion) => return Ok(*conclusion),
                Step::Probe(order) => order,
            };
            if order.from_rest
                && self.level != Level::ZERO
                && let Err(why) = self.recover().await?
            {
                return Ok(self.not_recovered(&why));
            }
            // Bringing the target to rest took its time too.
            let order = Order {
                within_s: order.within_s - (self.search_s() - self.asked_s),
                ..order
            };
            self.one_probe(&order).await?;
            if let Some(halt) = self.interrupt.why() {
                return Ok(self.search.ended(halt.ending(), halt.reason()));
            }
            if self.needs_reset() {
                if let Err(why) = self.recover().await? {
                    return Ok(self.not_recovered(&why));
                }
            } else if self.left_behind() {
                self.drain().await?;
            }
        }
    }

    /// Says what would make the search quicker, where the first cycles show that they are slow.
    fn hint_at_slow_start(&mut self) {
        let answered_s = self.unloaded.map_or(0.0, |took| took.as_secs_f64());
        let cycle_s = answered_s + self.spec.plan.think_s;
        if let Some(hint) = slow_start(&self.spec.search, cycle_s) {
            (self.sink)(Event::Note(hint));
        }
    }

    /// Whether the target must be brought to rest before the next probe. One that has become faster
    /// or larger under load is only drained while it answers: started anew it would be cold or
    /// small again, and the next probes would measure that.
    fn needs_reset(&mut self) -> bool {
        let last = self.search.last();
        let crashed = last.is_some_and(|v| v.crashed_after_s.is_some());
        let overran = last.is_some_and(Visit::overran) && !self.search.has_grown();
        crashed || overran || self.spec.reset_always || self.is_dead()
    }

    /// Whether the last probe left work behind: at a rate above the capacity what waits grows for
    /// as long as it is held, and the next level would pay for it; so does one that follows a level
    /// that was left because it was hopeless.
    fn left_behind(&self) -> bool {
        self.search.last().is_some_and(|v| {
            v.overran() || self.spec.search.unit.is_open() && v.verdict == Verdict::Broke
        })
    }

    /// The end of a search whose target is gone, unless it was not waited for.
    fn lost(&self, reason: &str) -> Conclusion {
        let (ending, reason) = match self.interrupt.why() {
            Some(halt) => (halt.ending(), halt.reason()),
            None => (Ending::TargetDown, reason.to_owned()),
        };
        self.search.ended(ending, reason)
    }

    /// Seconds that the move to a level should take: VUs come and go at their pace, a rate is
    /// changed at once.
    fn move_s(&self, level: Level) -> f64 {
        if self.spec.search.unit.is_open() {
            return 0.0;
        }
        f64::from(level.get().abs_diff(self.level.get())) / self.spec.plan.pace_per_s
    }

    /// Makes one probe and tells the search.
    async fn one_probe(&mut self, order: &Order) -> Result<(), EngineError> {
        let index = self.probes.len();
        (self.sink)(Event::ProbeStarted {
            index,
            purpose: order.purpose,
            level: order.level,
            planned_hold_s: order.hold_s,
        });
        let spec = self.probe_spec(order);
        let began = self.elapsed_s();
        let estimate = self.estimate();
        let mut watch = Watch {
            spec: self.spec,
            surroundings: &mut *self.surroundings,
            interrupt: self.interrupt,
            sink: &mut *self.sink,
            began: self.began,
            estimate,
            latency: shown_latency(&self.spec.slo, &self.spec.steps),
            warms_up: order.purpose == Purpose::WarmUp,
            way_up: order.purpose == Purpose::Bracket && order.level > self.level,
            patience: match order.purpose {
                Purpose::Bracket => Patience::Little,
                _ => Patience::Much,
            },
        };
        let mut probe =
            probe::probe(&mut *self.engine, &self.spec.steps, &spec, &mut watch).await?;
        if probe.is_empty() {
            // It was broken off before its first second.
            return Ok(());
        }
        self.level = order.level;
        self.began.get_or_insert(probe.start);
        self.now = probe.end;
        let judgement = self.judge(&mut probe, order.purpose);
        let visit = self.visit(index, order, spec.from, &probe, &judgement, began);
        // One that the user stopped tells the search nothing; a search that goes on makes it again.
        let whole = probe.hold_end != HoldEnd::Interrupted;
        if whole && order.purpose != Purpose::Reference {
            self.search.record(visit.clone());
        }
        let record = recording::probe_record(&recording::Parts {
            index,
            order,
            from: spec.from,
            began: self.began.unwrap_or_default(),
            probe: &probe,
            judgement: &judgement,
            steps: &self.spec.steps,
            causes: self.causes(&probe, &judgement),
            estimate: self.estimate(),
            kept: self.probes.iter().flat_map(|p| &p.exchanges).collect(),
        });
        if whole {
            self.keep(visit, &record);
        }
        (self.sink)(Event::ProbeJudged(Box::new(record.clone())));
        self.push(record);
        Ok(())
    }

    /// How the probe that was ordered is made.
    fn probe_spec(&self, order: &Order) -> ProbeSpec {
        ProbeSpec {
            level: order.level,
            from: self.level,
            hold_s: order.hold_s,
            settle_min_s: order.settle_min_s,
            settle_cycles: order.settle_cycles,
            settle_max_s: match order.purpose {
                Purpose::WarmUp => 0.0,
                _ => self.spec.search.settle_max.as_secs_f64(),
            },
            within_s: order.within_s,
            move_s: self.move_s(order.level),
        }
    }

    /// What a probe came to. A generator fault makes it invalid, and a warm-up is not judged.
    fn judge(&self, probe: &mut Probe, purpose: Purpose) -> Judgement {
        let mut judgement = self.spec.slo.judge(&probe.measurement, &self.spec.steps);
        let fault = generator::fault(
            &probe.measurement,
            self.spec.steps.whole(),
            self.spec.slo.tightest_limit_s(),
            &judgement,
        );
        if let Some(fault) = fault {
            // A generator fault is not a breach, and not a pass either.
            probe.hold_end = HoldEnd::Invalid;
            judgement.verdict = Verdict::Undecided;
            judgement.reason = fault;
        } else if purpose == Purpose::WarmUp {
            judgement.verdict = Verdict::Undecided;
            "a warm-up is not judged".clone_into(&mut judgement.reason);
        } else {
            starting::judge(probe, &self.spec.steps, &mut judgement);
        }
        judgement
    }

    /// Puts a judged probe where a crash does not reach it.
    fn keep(&mut self, visit: Visit, probe: &ProbeRecord) {
        let entry = Entry {
            input: SearchInput {
                asked_s: self.asked_s,
                judged_s: self.elapsed_s(),
                visit,
                warnings: self.warnings[self.spec.warnings.len()..].to_vec(),
            },
            probe: probe.clone(),
        };
        if let Err(why) = self.surroundings.keep(&entry) {
            (self.sink)(Event::Note(why.clone()));
            self.warnings.push(why);
        }
    }

    /// Goes on where a search was cut off: the search is told again what it was told then.
    fn take_up(&mut self, past: Vec<Entry>) {
        let Some(last) = past.last() else {
            return;
        };
        // The engine's time goes on from there.
        self.began = Some(Duration::ZERO);
        self.now = Duration::from_secs_f64(last.input.judged_s.max(0.0));
        self.warnings.extend(last.input.warnings.iter().cloned());
        let told = format!(
            "resumed at {} after probe {}, {:.0} s into the search; the target was started again",
            self.surroundings.time_of_day(),
            past.len() - 1,
            last.input.judged_s
        );
        (self.sink)(Event::Note(told.clone()));
        self.warnings.push(told);
        // Probes that the generator spoilt at the end say nothing, and whatever was wrong with it
        // then is asked again.
        let telling = past
            .iter()
            .rposition(|e| e.input.visit.valid)
            .map_or(0, |i| i + 1);
        for (i, entry) in past.into_iter().enumerate() {
            if entry.probe.purpose == Purpose::Reference {
                self.aside_s += entry.input.judged_s - entry.input.visit.began_s;
            } else if i < telling {
                // The search draws its random order when it is asked.
                let _ = self.search.next(entry.input.asked_s);
                self.search.record(entry.input.visit);
            }
            self.push(entry.probe);
        }
    }

    fn push(&mut self, record: ProbeRecord) {
        let seen = ObservedProbe::of_probe(&record, self.probes.last(), &self.spec.steps);
        self.seen.push(seen);
        self.probes.push(record);
    }

    /// What a probe tells the search.
    fn visit(
        &self,
        probe_index: usize,
        order: &Order,
        from: Level,
        probe: &Probe,
        judgement: &Judgement,
        began_s: f64,
    ) -> Visit {
        Visit {
            probe: probe_index,
            level: order.level,
            from,
            began_s,
            crashed_after_s: crash::after_s(probe, &self.spec.steps, judgement.verdict),
            purpose: order.purpose,
            verdict: judgement.verdict,
            valid: probe.hold_end != HoldEnd::Invalid,
            left_early: probe.hold_end == HoldEnd::LeftEarly,
            evidence: judgement.outcomes.iter().map(|o| o.evidence).collect(),
            tails: self.tails(&probe.measurement, judgement),
            throughput: probe
                .measurement
                .throughput(self.spec.steps.whole())
                .filter(|_| self.spec.steps.users_are_searched()),
            latency: moments(&probe.measurement.step_total(self.spec.steps.main()).latency),
            hold_s: probe.measurement.hold_s(),
            cost_s: self.elapsed_s() - began_s,
            flow: flow(probe, &self.spec.steps),
            outgrown: false,
            earlier: false,
            overflows: false,
        }
    }

    /// The latency tails by objective; none where the objective's step does not belong to the
    /// population that is searched.
    fn tails(&self, measurement: &Measurement, judgement: &Judgement) -> Vec<Option<Tail>> {
        let steps = &self.spec.steps;
        let tail = |outcome: &Outcome, objective: &Objective| {
            let step = steps.index(objective.step()).unwrap_or(steps.main());
            let mut tail = outcome.tail.clone()?;
            tail.residence = self.residence(measurement, step);
            steps.is_searched(step).then_some(tail)
        };
        (judgement.outcomes.iter().zip(self.spec.slo.objectives()))
            .map(|(outcome, objective)| tail(outcome, objective))
            .collect()
    }

    /// Where the users' cycles spent their time, if they are who is searched.
    fn residence(&self, measurement: &Measurement, step: usize) -> Option<Residence> {
        let steps = &self.spec.steps;
        let known = || residence::of(measurement, steps, step);
        steps.users_are_searched().then(known)?
    }

    fn causes(&self, probe: &Probe, judgement: &Judgement) -> Vec<LimitingResource> {
        if judgement.verdict != Verdict::Broke {
            return Vec::new();
        }
        // What was written before the probe is not of its making.
        let lines: Vec<(f64, LogLine)> = (probe.log.iter())
            .filter(|(at, _)| *at > probe.start)
            .map(|(at, line)| (at.saturating_sub(probe.start).as_secs_f64(), line.clone()))
            .collect();
        cause::causes(&self.case(&probe.measurement, &probe.before, &lines))
    }

    /// What a broken probe showed, beside all that was seen so far.
    fn case<'a>(
        &'a self,
        measurement: &'a Measurement,
        before: &'a [Second],
        lines: &'a [(f64, LogLine)],
    ) -> Case<'a> {
        Case {
            measurement,
            before,
            lines,
            steps: &self.spec.steps,
            limits: &self.spec.plan.limits,
            baseline: Baseline::of(&self.seen, measurement.level),
            seen: &self.seen,
            unit: self.spec.search.unit,
            users_are_searched: self.spec.steps.users_are_searched(),
            think_s: self.spec.plan.think_s,
            cpus: self.spec.environment.cpus,
            round_trip_s: LoadedAddress::farthest_s(&self.engine.addresses()),
        }
    }

    /// Leaves the target without load.
    async fn rest(&mut self) {
        // The run is over: an engine that cannot stop any more has nothing to add.
        let _ = self.engine.set_level(Level::ZERO).await;
    }

    /// Seconds of searching: what was held beside it is none.
    fn search_s(&self) -> f64 {
        self.elapsed_s() - self.aside_s
    }

    fn elapsed_s(&self) -> f64 {
        self.began
            .map_or(0.0, |began| self.now.saturating_sub(began).as_secs_f64())
    }

    fn estimate(&self) -> Option<Band> {
        self.search.estimate().map(Estimate::band)
    }
}
