//! Which level next, and when to stop. A value with `next` and `record`; it never sees a clock, a socket or an engine.
//!
//! 1. **Bracket**: double from the start level with short holds until a level breaks. When a doubling hardly raises
//!    throughput, the next level comes from Little's law instead.
//! 2. **Narrow**: look where the capacity points to, else in the geometric middle, until the tails of a visit point to a
//!    breakpoint or the bracket is within 1.5x. These verdicts only steer.
//! 3. **Refine**: visits in random order at levels around the estimate; all visits are fitted together
//!    ([`crate::stats::fit`]), until the interval is as narrow as asked or the budget is spent.
//! 4. **Confirm**: the levels that the answer names were visited, not interpolated.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::measure::{Level, LevelUnit};
use crate::record::{Curve, Ending, Noticed, Purpose};
use crate::slo::{Evidence, Verdict};
use crate::stats::events;
use crate::stats::fit::{self, Basis, Fit, Link, Point, Shown};
use crate::stats::student_t_quantile;
use crate::stats::tail::{self, Tail, TailVisit, Users};

mod bounds;
mod curve;
mod diagnosis;
mod ending;
pub mod forecast;
mod growth;
mod limit;
mod reference;
mod sense;

pub use bounds::Side;
pub use diagnosis::Flow;
use diagnosis::Look;
use forecast::StopRule;

/// The limits of a search, resolved in the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchSpec {
    /// What a level counts.
    pub unit: LevelUnit,
    /// Lowest level; the search says "broke at the minimum" when the SLO breaks here.
    pub min: Level,
    /// Highest level; the search says "never broke" when the SLO holds here.
    pub max: Level,
    /// First level visited.
    pub start: Level,
    /// Half-width of the interval asked for, as a fraction of the breakpoint.
    pub precision: f64,
    /// Confidence of the interval, 0..1.
    pub confidence: f64,
    /// Time that the search may take, everything included.
    pub budget: Duration,
    /// Shortest hold near the breakpoint.
    pub hold_min: Duration,
    /// Longest hold.
    pub hold_max: Duration,
    /// Longest settle before a level counts as not settled.
    pub settle_max: Duration,
    /// How long the start level is held before the search begins, within its budget; `None` is for the search to say, and
    /// zero is not at all.
    pub warm_up: Option<Duration>,
    /// Seed of the random visiting order.
    pub seed: u64,
    /// Whether levels below the breakpoint are held after the search, so that runs can be compared there.
    pub reference_holds: bool,
}

impl Default for SearchSpec {
    fn default() -> Self {
        Self {
            unit: LevelUnit::Vus,
            min: Level(1),
            max: Level(5_000),
            start: Level(10),
            precision: 0.05,
            confidence: 0.95,
            budget: Duration::from_secs(900),
            hold_min: Duration::from_secs(30),
            hold_max: Duration::from_secs(90),
            settle_max: Duration::from_secs(60),
            warm_up: None,
            seed: 1,
            reference_holds: true,
        }
    }
}

/// What the search knows beforehand about a cycle; it only makes the first steps faster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CycleModel {
    /// Mean think time of a cycle, seconds.
    pub think_s: f64,
    /// The tightest latency limit of the SLO, seconds.
    pub limit_s: Option<f64>,
}

/// What one probe told the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that was found out on its own"
)]
pub struct Visit {
    /// Index of the probe.
    pub probe: usize,
    /// The level visited.
    pub level: Level,
    /// The level before; zero when the target was at rest.
    pub from: Level,
    /// Seconds of searching at which it began.
    pub began_s: f64,
    /// Seconds after which the target stopped answering altogether, if it did.
    pub crashed_after_s: Option<f64>,
    /// Why it was visited.
    pub purpose: Purpose,
    /// The probe's verdict.
    pub verdict: Verdict,
    /// Whether the probe says something about the target; false after a generator fault.
    pub valid: bool,
    /// Whether it was left early as hopeless: its rates then mean nothing.
    pub left_early: bool,
    /// Per objective, in the SLO's order.
    pub evidence: Vec<Evidence>,
    /// Per objective: latencies around its limit, where it has one.
    pub tails: Vec<Option<Tail>>,
    /// Completed cycles per second.
    pub throughput: Option<f64>,
    /// Latencies of the main step in the hold.
    #[serde(default)]
    pub latency: Option<Moments>,
    /// Seconds held.
    pub hold_s: f64,
    /// Seconds that the probe took in all, with ramp, settle, drain and reset.
    pub cost_s: f64,
    /// What went through in each second of ramp, settle and hold.
    pub flow: Vec<Flow>,
    /// Whether the service has grown since and this broke the smaller one. The search finds it out from the visits, so that it
    /// is not written down.
    #[serde(skip)]
    pub outgrown: bool,
    /// Whether the service has grown since: what held then a larger one holds too, and how long it took says nothing of it.
    #[serde(skip)]
    pub earlier: bool,
    /// Whether what waited grew throughout at a rate of arrivals: more came than was served, and the limit is only a matter of
    /// time. Found out from `flow`.
    #[serde(skip)]
    pub overflows: bool,
}

impl Visit {
    /// Whether it left the target in no state for the next visit: hopelessly behind, or crashed, and what has just restarted
    /// is cold and meets all users at once.
    pub fn overran(&self) -> bool {
        self.left_early || self.crashed_after_s.is_some()
    }

    /// Whether it says something of the service as it is now.
    pub fn counts(&self) -> bool {
        self.valid && !self.outgrown
    }
}

/// The first two moments of some latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// How many.
    pub n: f64,
    /// Their mean, seconds.
    pub mean_s: f64,
    /// The mean of their squares, seconds squared.
    pub mean_square: f64,
}

/// A probe that the search asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Order {
    /// The level.
    pub level: Level,
    /// Why.
    pub purpose: Purpose,
    /// How long to hold once settled.
    pub hold_s: f64,
    /// Whether the target is to be drained and reset first.
    pub from_rest: bool,
    /// Shortest settle, seconds.
    pub settle_min_s: f64,
    /// Shortest settle in cycles; the probe knows how long one takes.
    pub settle_cycles: f64,
    /// Seconds that the budget leaves for all of it.
    pub within_s: f64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Make this probe and record it.
    Probe(Order),
    /// Stop, with this conclusion.
    Done(Box<Conclusion>),
}

/// The estimate over all objectives.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Index of the binding objective: the one that breaks at the lowest level.
    pub binding: usize,
    /// The breakpoint, VUs.
    pub vus: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Fit of the binding objective.
    pub fit: Fit,
}

impl Estimate {
    /// Half-width as a fraction of the estimate.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.vus
    }
}

/// How a search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// The kind of ending.
    pub ending: Ending,
    /// Why, one sentence.
    pub reason: String,
    /// Whether the interval is surely as narrow as was asked.
    pub as_narrow_as_asked: bool,
    /// The estimate, when there is one.
    pub estimate: Option<Estimate>,
    /// Index into the visits: the highest visited level at or below the breakpoint that held.
    pub last_held: Option<usize>,
    /// Index into the visits: the lowest visited level above the breakpoint that broke.
    pub first_broke: Option<usize>,
    /// What was noticed beside the number, in order of time.
    pub noticed: Vec<Noticed>,
    /// What a search of this length cannot know.
    pub unseen: Option<String>,
    /// The curves that were fitted.
    pub curves: Vec<Curve>,
}

/// Fewest visits near the breakpoint that an interval may rest on.
const MIN_VISITS: usize = 12;
/// The same where whole tails are fitted.
const MIN_VISITS_TAILS: usize = 6;
/// How much narrower than asked an interval from tails must be before the search stops for it. An interval that is narrow by
/// luck is narrow because the bursts did not come, and then it is also too high: who stops at the first that is narrow
/// enough stops at those.
const SURELY: f64 = 1.8;
/// The same for an interval from shares: of the searches of the lab's `overflow` that stopped at the first interval as narrow as
/// asked 91 % held the truth (150 of 30 min at +-1 %), with this 95 % (120).
const SURELY_SHARES: f64 = 1.3;
/// The same where a law fixes it: visits that obey one narrow the interval quickly, so that a little more is cheap.
const SURELY_LAW: f64 = 1.5;
/// Fewest visits where the crossing is a step (a crash, a refused client): each visit then says a side, not a magnitude.
const MIN_VISITS_STEP: usize = 7;
/// Levels worth visiting where events break it, as quantiles of the breakpoint's posterior: each visit halves what is left.
const EVENT_LADDER: [f64; RUNGS] = [0.3, 0.5, 0.5, 0.75];
/// How far below the highest level that held the interval reaches at least, by how many full holds held.
const UNPROVEN: [f64; 3] = [1.35, 1.12, 1.0];
/// Most of the budget that one short hold may take for the sake of a long limit.
const SHARE_FOR_LIMIT: f64 = 0.07;
/// Degrees of freedom of a limit's throughput: a handful of visits agree on it.
const LIMIT_FREEDOM: f64 = 6.0;
/// Levels worth visiting where all visits obey a law, as parts of the interval.
const LAW_LADDER: [f64; RUNGS] = [0.25, 0.5, 0.5, 0.75];
/// Completions from which a visit's latencies tell their variation.
const FEWEST_SERVICES: f64 = 50.0;
/// A visit is light when it serves at most this share of the most that was served.
const LIGHT: f64 = 0.45;
/// Most of the budget that goes into a service that becomes faster at the first level.
const WARM_UP_SHARE: f64 = 0.1;
/// How far an interval may lie off the levels that held and broke.
const GROSSLY: f64 = 1.15;
/// Full holds in a row on one side of a bound after which the bound is tried itself.
const ONE_SIDED: usize = 3;
/// The same where no full hold stands on the other side: half of what the answer rests on is missing.
const ONE_SIDED_ALL: usize = 2;
/// Farthest step towards such a bound.
const CLIMB: f64 = 1.2;
/// Levels of one pass around the estimate.
const RUNGS: usize = 4;
/// The same where all visits obey a law.
const MIN_VISITS_LAW: usize = 4;
/// Visits with a magnitude below which the crossing counts as a step.
const FEW_EXACT: usize = 4;
/// Cycles that a hold near the breakpoint lasts.
const HOLD_CYCLES: f64 = 12.0;
/// Longest hold for the sake of a backlog, seconds.
const LONGEST_BACKLOG_S: f64 = 180.0;
/// A level this far above the estimate is another regime, not an overload to come back from.
const OVERLOAD: f64 = 1.2;
/// The bracket is narrow enough to refine within this ratio.
const NARROW: f64 = 1.5;
/// A doubling that raises throughput by less than this has passed the knee.
const KNEE_GAIN: f64 = 1.2;
/// Cycles that a throughput must rest on to tell a knee from chance: a tenth of it is then one standard deviation.
const KNEE_CYCLES: f64 = 100.0;
/// Mean latency, in limits, that is expected where a percentile reaches the limit, for the first look between two bounds. Rather
/// low: a service that breaks by bursts does so before it is saturated.
const AT_BREAKPOINT: f64 = 0.25;
/// The same for a rate, as a share of the capacity.
const NEAR_CAPACITY: f64 = 0.9;
/// A level nearer to a bound than this ratio would tell little that the bound has not told.
const CLEAR_OF_BOUNDS: f64 = 1.05;
/// Invalid probes in a row after which the generator is the limit.
const MAX_INVALID: usize = 3;
/// Visits without an answer at one level after which the search gives up there.
const MAX_RETRIES: usize = 3;
/// A visited level this near to one that the answer names stands for it, as a share: less than visits of one level differ by.
const NEARBY: f64 = 0.03;
/// Requests that each user loses to a crash, at least: the one in flight, and tries until the service is back.
const LOST_PER_USER: f64 = 2.0;

/// The search: ask [`Search::next`], make the probe, [`Search::record`] it, repeat.
#[derive(Debug, Clone)]
pub struct Search {
    spec: SearchSpec,
    model: CycleModel,
    links: Vec<Link>,
    visits: Vec<Visit>,
    /// What the warm-up before the search was; no visit, so that nothing rests on it.
    warm_up: Option<Visit>,
    estimate: Option<Estimate>,
    /// Rungs still to visit in this pass of the ladder.
    rungs: Vec<usize>,
    rng: SmallRng,
    /// When the service grew.
    growths: Vec<growth::Growth>,
}

impl Search {
    /// A new search; `links` has one entry per objective.
    pub fn new(spec: SearchSpec, model: CycleModel, links: Vec<Link>) -> Self {
        let rng = SmallRng::seed_from_u64(spec.seed ^ 0x005E_A2C4);
        Self {
            spec,
            model,
            links,
            visits: Vec::new(),
            warm_up: None,
            estimate: None,
            rungs: Vec::new(),
            rng,
            growths: Vec::new(),
        }
    }

    /// Takes what a probe told and refits.
    pub fn record(&mut self, mut visit: Visit) {
        if visit.purpose == Purpose::WarmUp {
            self.warm_up = Some(visit);
            return;
        }
        visit.overflows = self.spec.unit.is_open() && diagnosis::line_grows(&visit.flow);
        self.visits.push(visit);
        self.outgrow();
        self.estimate = self.fit();
    }

    /// Finds out whether the service has grown. What broke before, or was under a queue, then belongs to a smaller one; what
    /// held, a larger one holds too.
    fn outgrow(&mut self) {
        self.growths = growth::growths(&self.visits);
        let first = self.growths.last().map_or(0, |g| g.first);
        for (index, visit) in self.visits.iter_mut().enumerate() {
            visit.earlier = index < first;
            visit.outgrown = visit.earlier && bounds::side(visit) != Some(Side::Held);
        }
        if first + 1 >= self.visits.len() && first > 0 {
            // An estimate of the smaller service is no first guess for this one.
            self.estimate = None;
            self.rungs.clear();
        }
    }

    /// Adds to the last visit's cost what came after it: drain, reset, canary.
    pub fn add_cost(&mut self, seconds: f64) {
        if let Some(last) = self.visits.last_mut().or(self.warm_up.as_mut()) {
            last.cost_s += seconds;
        }
    }

    /// The estimate so far.
    pub fn estimate(&self) -> Option<&Estimate> {
        self.estimate.as_ref()
    }

    /// Every visit so far.
    pub fn visits(&self) -> &[Visit] {
        &self.visits
    }

    /// What came last: a visit, or the warm-up before the first one.
    pub fn last(&self) -> Option<&Visit> {
        self.visits.last().or(self.warm_up.as_ref())
    }

    /// What to do after `elapsed_s` seconds of searching.
    pub fn next(&mut self, elapsed_s: f64) -> Step {
        if self.trailing_invalid() >= MAX_INVALID {
            return self.done(
                Ending::GeneratorLimited,
                format!(
                    "{MAX_INVALID} probes in a row were invalid: the load generator or its \
                    host was the bottleneck"
                ),
            );
        }
        let order = match self.wanted() {
            Step::Probe(order) => order,
            done @ Step::Done(_) => return done,
        };
        match self.within_budget(order, self.spec.budget.as_secs_f64() - elapsed_s) {
            Some(order) => Step::Probe(order),
            None if self.last().is_none() => self.no_room(&order),
            None => self.out_of_budget(),
        }
    }

    /// The probe as the budget allows it: a last hold near the breakpoint may be shorter than planned.
    fn within_budget(&self, order: Order, left_s: f64) -> Option<Order> {
        let spare = left_s - self.overhead_of(&order);
        let least = match order.purpose {
            Purpose::Refine | Purpose::Compare => {
                order.hold_s.min(self.spec.hold_min.as_secs_f64())
            }
            Purpose::WarmUp
            | Purpose::Bracket
            | Purpose::Narrow
            | Purpose::Confirm
            | Purpose::Reference => order.hold_s,
        };
        (spare >= least).then(|| Order {
            hold_s: order.hold_s.min(spare.floor()),
            within_s: left_s,
            ..order
        })
    }

    /// What to conclude when something outside the search ended it.
    pub fn ended(&self, ending: Ending, reason: String) -> Conclusion {
        self.conclude(ending, reason)
    }

    fn wanted(&mut self) -> Step {
        if let Some(order) = self.warming_up() {
            return Step::Probe(order);
        }
        let Some(last) = self.visits.last() else {
            return self.probe(self.spec.start.max(self.spec.min), Purpose::Bracket);
        };
        if !last.valid {
            return self.probe(last.level, last.purpose);
        }
        if self.is_warming_up() {
            return self.probe(last.level, Purpose::Bracket);
        }
        let bounds = bounds::relevant(&self.visits);
        match (bounds.held, bounds.broke) {
            (_, None) => self.step_up(),
            (None, Some(broke)) => self.step_down(broke),
            (Some(held), Some(broke)) => self.close_in(held, broke),
        }
    }

    /// The warm-up, where one of a certain length was asked for and nothing has been visited yet.
    fn warming_up(&self) -> Option<Order> {
        let lasts = self.spec.warm_up.filter(|d| !d.is_zero())?;
        self.last().is_none().then(|| Order {
            level: self.spec.start.max(self.spec.min),
            purpose: Purpose::WarmUp,
            hold_s: lasts.as_secs_f64(),
            from_rest: false,
            // A target that is not warm does not settle, and all of it is discarded anyway.
            settle_min_s: 0.0,
            settle_cycles: 0.0,
            within_s: f64::INFINITY,
        })
    }

    /// Whether the first level, which is the lightest, is still being answered faster as time goes on: caches fill, code is compiled,
    /// pools open. It is held again until it is not, for a tenth of the budget at most.
    fn is_warming_up(&self) -> bool {
        let Some(first) = self.visits.first() else {
            return false;
        };
        let spent_s: f64 = self.visits.iter().map(|v| v.cost_s).sum();
        let only_first = self.visits.iter().all(|v| v.level == first.level);
        self.spec.warm_up.is_none()
            && only_first
            && spent_s < WARM_UP_SHARE * self.spec.budget.as_secs_f64()
            && self
                .visits
                .last()
                .is_some_and(|v| growth::becomes_faster(&v.flow))
    }

    /// Nothing broke yet.
    fn step_up(&mut self) -> Step {
        let Some(highest) = self
            .visits
            .iter()
            .filter(|v| v.counts())
            .max_by_key(|v| v.level)
        else {
            return self.probe(self.spec.start.max(self.spec.min), Purpose::Bracket);
        };
        let level = highest.level;
        let silent = bounds::visits_at(&self.visits, level)
            .filter(|v| bounds::side(v).is_none())
            .count();
        if bounds::side(highest).is_none()
            && silent == bounds::visits_at(&self.visits, level).count()
        {
            if silent >= MAX_RETRIES {
                return self.done(
                    Ending::Undecided,
                    format!(
                        "{silent} probes at {} produced no data; check that the hold is longer \
                         than a cycle and that the main step completes",
                        self.spec.unit.count(level)
                    ),
                );
            }
            return self.probe(level, Purpose::Bracket);
        }
        if level < self.spec.max && self.outvoted() {
            // Full holds disagreed with a ceiling: what it was about is not far above, unless the service has grown. The more of
            // them held above it, the less it was about.
            let next = Level::nearest((f64::from(level.get()) * self.climb()).ceil());
            return self.probe(next, Purpose::Confirm);
        }
        if level < self.spec.max {
            let next = self.step_from(level);
            return self.probe(next, Purpose::Bracket);
        }
        self.at_maximum()
    }

    /// Whether some visit broke, others outvote it, and the service has not grown meanwhile.
    fn outvoted(&self) -> bool {
        let near = |v: &Visit| !self.has_grown() && !self.is_far_below(&[v], v.level);
        let holds =
            |v: &&Visit| v.counts() && bounds::is_full(v) && bounds::side(v) == Some(Side::Held);
        self.visits.iter().rfind(holds).is_some_and(near) && self.breaks_somewhere()
    }

    /// The step above a ceiling that full holds outvoted: it grows with those that held above all that ever broke, up to a doubling.
    fn climb(&self) -> f64 {
        let broke = (self.visits.iter())
            .filter(|v| v.counts() && bounds::side(v) == Some(Side::Broke))
            .map(|v| v.level)
            .max();
        let above = bounds::full(&self.visits, Side::Held)
            .filter(|v| Some(v.level) > broke)
            .count();
        #[expect(clippy::cast_precision_loss, reason = "a count of visits")]
        let steps = (above + 1) as f64;
        CLIMB.powf(steps).min(2.0)
    }

    fn breaks_somewhere(&self) -> bool {
        let broke = |v: &Visit| v.counts() && bounds::side(v) == Some(Side::Broke);
        self.visits.iter().any(broke)
    }

    /// The maximum was visited and nothing broke, or not the last time: full holds must confirm it, more of them than broke there. A
    /// restart of the target breaks a probe and no level, but what breaks every other probe is no level that is carried.
    fn at_maximum(&mut self) -> Step {
        let full: Vec<Verdict> = bounds::visits_at(&self.visits, self.spec.max)
            .filter(|v| v.purpose == Purpose::Confirm)
            .map(|v| v.verdict)
            .collect();
        let held = full.iter().filter(|v| **v == Verdict::Held).count();
        let broke = bounds::visits_at(&self.visits, self.spec.max)
            .filter(|v| v.verdict == Verdict::Broke || v.crashed_after_s.is_some())
            .count();
        if held > broke {
            return self.done(Ending::NeverBroke, self.carries_maximum(broke));
        }
        if full.len() >= MAX_RETRIES {
            let reason = self.cannot_tell_maximum(full.len(), held, broke);
            return self.done(Ending::Undecided, reason);
        }
        self.probe(self.spec.max, Purpose::Confirm)
    }

    fn carries_maximum(&self, broke: usize) -> String {
        let probes = bounds::visits_at(&self.visits, self.spec.max).count();
        let but = match broke {
            0 => String::new(),
            _ => format!("; {broke} of {probes} probes there broke before it held"),
        };
        let maximum = self.spec.unit.count(self.spec.max);
        format!("the SLO held at every level up to the maximum of {maximum}{but}")
    }

    fn cannot_tell_maximum(&self, full: usize, held: usize, broke: usize) -> String {
        let maximum = self.spec.unit.count(self.spec.max);
        if broke > 0 {
            return format!(
                "at the maximum of {maximum}, {held} of {full} full holds held and {broke} probes \
                 broke: something other than load breaks them"
            );
        }
        let flag = if self.spec.unit.is_open() {
            "--max-rate"
        } else {
            "--max-vus"
        };
        format!("{full} full holds at the maximum of {maximum} were undecided; raise {flag}")
    }

    /// The next level up: double, or by Little's law when the last doubling passed the knee.
    fn step_from(&self, level: Level) -> Level {
        let doubled = Level(level.get().saturating_mul(2));
        let next = match (self.beyond_knee(), self.model.limit_s) {
            (Some(throughput), Some(limit)) if !self.spec.unit.is_open() => {
                // VUs = throughput x (think + latency): the level whose latency would be near the limit.
                let vus = throughput * (self.model.think_s + 0.85 * limit);
                let reached = level.get();
                Level::nearest(vus).clamp(Level(reached + reached / 8 + 1), doubled)
            }
            _ => doubled,
        };
        next.min(self.spec.max)
    }

    /// The throughput, when the last step up raised it by little.
    fn beyond_knee(&self) -> Option<f64> {
        let mut by_level: Vec<&Visit> = self.visits.iter().filter(|v| v.counts()).collect();
        by_level.sort_by_key(|v| v.level);
        let [.., before, last] = by_level.as_slice() else {
            return None;
        };
        let (a, b) = (before.throughput?, last.throughput?);
        let grown = f64::from(last.level.get()) / f64::from(before.level.get());
        let known = [(before, a), (last, b)]
            .iter()
            .all(|(visit, per_s)| per_s * visit.hold_s >= KNEE_CYCLES);
        (known && grown > 1.5 && b / a < KNEE_GAIN * grown / 2.0).then_some(b)
    }

    /// The lowest visited level broke: look below it.
    fn step_down(&mut self, broke: Level) -> Step {
        if broke > self.spec.min {
            let lower = Level((broke.get() / 4).max(self.spec.min.get()));
            return self.probe(lower, Purpose::Bracket);
        }
        // One noisy probe must not decide.
        let broken = bounds::visits_at(&self.visits, broke)
            .filter(|v| bounds::side(v) == Some(Side::Broke))
            .count();
        if broken < 2 {
            return self.probe(broke, Purpose::Confirm);
        }
        let reason = format!(
            "the SLO breaks even at the minimum of {}",
            self.spec.unit.count(self.spec.min)
        );
        self.done(Ending::BrokeAtMinimum, reason)
    }

    /// A level held and a higher one broke.
    fn close_in(&mut self, held: Level, broke: Level) -> Step {
        let ratio = f64::from(broke.get()) / f64::from(held.get());
        let adjacent = broke.get() - held.get() <= 1;
        let narrowed = ratio <= NARROW || adjacent || self.narrowed();
        // Tails point to the breakpoint by themselves: better than the middle of a bracket, from the first visit on.
        if !narrowed && !self.points_by_tails() {
            return self.probe(self.between(held, broke), Purpose::Narrow);
        }
        let Some(estimate) = self.estimate.clone() else {
            let next = if adjacent { held } else { middle(held, broke) };
            return self.probe(next, Purpose::Refine);
        };
        if let Some(level) = self.unproven(held, broke) {
            return self.probe(level, Purpose::Confirm);
        }
        if let Some(order) = self.look(&estimate) {
            return Step::Probe(order);
        }
        let doubted = || {
            let unclear = self.nothing_breaks_clearly(&estimate);
            unclear.or_else(|| self.served_more_above(&estimate))
        };
        if self.precise_enough(&estimate) && doubted().is_none() {
            return match self.unconfirmed(&estimate) {
                Some(level) => self.probe(level, Purpose::Confirm),
                None => self.found(),
            };
        }
        let level = match self.gap(&estimate) {
            // Each visit between the two sides of a step halves what is left.
            Some((held, broke)) => middle(held, broke),
            None => self.ladder_level(&estimate),
        };
        self.probe(level, Purpose::Refine)
    }

    fn points_by_tails(&self) -> bool {
        (self.estimate.as_ref())
            .is_some_and(|e| matches!(e.fit.basis, Basis::Tails | Basis::Capacity | Basis::Law))
    }

    /// Where to look between a level that held and one that broke: from the throughput of the broken one (by Little's law, where
    /// levels are VUs), which is the capacity where it was overload that broke it, else in the middle.
    fn between(&self, held: Level, broke: Level) -> Level {
        let by_capacity = || {
            let last = bounds::visits_at(&self.visits, broke).last()?;
            let vus = if self.spec.unit.is_open() {
                NEAR_CAPACITY * last.throughput?
            } else {
                last.throughput? * (self.model.think_s + AT_BREAKPOINT * self.model.limit_s?)
            };
            let inside = f64::from(held.get()) * CLEAR_OF_BOUNDS < vus
                && vus * CLEAR_OF_BOUNDS < f64::from(broke.get());
            inside.then(|| Level::nearest(vus))
        };
        let inside = |level: &Level| *level > held && *level < broke;
        by_capacity()
            .filter(inside)
            .unwrap_or_else(|| middle(held, broke))
    }

    /// A bound that full holds do not bear out: the last of them all stayed on one side of it, and it was set by a short hold, by
    /// chance, or by a service that has grown since. A bracket hold steers; what binds the answer are full holds.
    fn unproven(&self, held: Level, broke: Level) -> Option<Level> {
        let full: Vec<&Visit> = (self.visits.iter())
            .filter(|v| v.counts() && bounds::is_full(v))
            .collect();
        let surprised = self.has_grown() || self.is_far_below(&full, broke);
        let lately = |of: Side| {
            let other = full.iter().any(|v| bounds::side(v) != Some(of));
            let patience = match (surprised, other) {
                (true, _) => 1,
                (false, true) => ONE_SIDED,
                (false, false) => ONE_SIDED_ALL,
            };
            let run = full
                .iter()
                .rev()
                .take_while(|v| bounds::side(v) == Some(of));
            run.count() >= patience
        };
        let proven = |of: Side, level: Level| {
            bounds::full(&self.visits, of)
                .filter(|v| v.level == level)
                .count()
                >= 2
        };
        if lately(Side::Held) && !proven(Side::Broke, broke) {
            let highest = full.iter().map(|v| v.level).max()?.max(held);
            let near = self.within((f64::from(highest.get()) * CLIMB).ceil());
            return Some(near.min(broke));
        }
        if lately(Side::Broke) && !proven(Side::Held, held) {
            let lowest = full.iter().map(|v| v.level).min()?.min(broke);
            let near = self.within((f64::from(lowest.get()) / CLIMB).floor());
            return Some(near.max(held));
        }
        None
    }

    /// Whether the last full hold held so well that Little's law puts its breakpoint above the level that only a short hold broke.
    fn is_far_below(&self, full: &[&Visit], broke: Level) -> bool {
        let binding = self.estimate.as_ref().map_or(0, |e| e.binding);
        let Some(Link::Share { alpha }) = self.links.get(binding) else {
            return false;
        };
        let short = !full.iter().any(|v| bounds::side(v) == Some(Side::Broke));
        let points_to = full.last().and_then(|last| {
            let tail = last.tails.get(binding)?.as_ref()?;
            (bounds::side(last) == Some(Side::Held)).then(|| {
                diagnosis::own_breakpoint(f64::from(last.level.get()), last.hold_s, tail, *alpha)
            })
        });
        short
            && !self.spec.unit.is_open()
            && points_to.is_some_and(|vus| vus > f64::from(broke.get()))
    }

    /// Whether the service has become faster or larger while it was searched. Restarted it would be small again.
    pub fn has_grown(&self) -> bool {
        !self.growths.is_empty()
    }

    /// A visit that tells whether the breakpoint depends on where the load comes from, when one is missing.
    fn look(&self, estimate: &Estimate) -> Option<Order> {
        if self.spec.unit.is_open() || self.has_grown() {
            return None;
        }
        let alpha = self.alpha(estimate);
        let look = diagnosis::wanted_look(&self.visits, estimate.binding, alpha, estimate.vus)?;
        let level = match look {
            Look::FromRest => estimate.vus,
            Look::FromOverload => self.overload_of(estimate),
        };
        match self.probe(self.within(level), Purpose::Compare) {
            Step::Probe(order) => Some(Order {
                from_rest: look == Look::FromRest,
                ..order
            }),
            Step::Done(_) => None,
        }
    }

    /// A level near the estimate that is surely too high: the highest that broke without being hopeless, where there is one.
    fn overload_of(&self, estimate: &Estimate) -> f64 {
        let most = OVERLOAD * estimate.vus;
        (self.visits.iter())
            .filter(|v| v.counts() && !v.overran() && v.verdict == Verdict::Broke)
            .map(|v| f64::from(v.level.get()))
            .filter(|vus| *vus <= most)
            .fold(estimate.vus * tail::LADDER[RUNGS - 1], f64::max)
    }

    /// The share of violations that the binding objective allows, when it is about a share.
    fn alpha(&self, estimate: &Estimate) -> Option<f64> {
        match self.links[estimate.binding] {
            Link::Share { alpha } => Some(alpha),
            Link::LogRatio | Link::Side => None,
        }
    }

    /// What the search names instead of a number, if the visits show that one number would be wrong.
    fn named(&self, ending: Ending) -> Option<diagnosis::Diagnosis> {
        let estimate = self.estimate.as_ref()?;
        matches!(
            ending,
            Ending::Found | Ending::Bracketed | Ending::Undecided
        )
        .then(|| {
            diagnosis::diagnose(
                &self.visits,
                estimate.binding,
                self.alpha(estimate),
                estimate.vus,
                self.spec.unit,
            )
        })
        .flatten()
    }

    /// Refining has begun: a contradiction later does not throw the search back to bisecting.
    fn narrowed(&self) -> bool {
        self.visits.iter().any(|v| {
            matches!(
                v.purpose,
                Purpose::Refine | Purpose::Compare | Purpose::Confirm
            ) && v.counts()
        }) && self.estimate.is_some()
    }

    fn precise_enough(&self, estimate: &Estimate) -> bool {
        let half_width = (estimate.high - estimate.low) / 2.0;
        let rule = StopRule::of(estimate);
        half_width * rule.surely <= self.asked_vus(estimate) && estimate.fit.visits >= rule.visits
    }

    /// A level that the answer would name without having visited it.
    fn unconfirmed(&self, estimate: &Estimate) -> Option<Level> {
        let (held, broke) = bounds::around(&self.visits, estimate.vus);
        // The ends move with every visit: whoever tried one nearby has tried it.
        let tried = |level: Level| {
            let is_low = |l: Level| f64::from(l.get()) <= estimate.vus;
            let nearby =
                |l: Level| (f64::from(l.get()) / f64::from(level.get()) - 1.0).abs() <= NEARBY;
            (self.visits.iter())
                .filter(|v| v.counts() && v.purpose == Purpose::Confirm)
                .filter(|v| is_low(v.level) == is_low(level) && nearby(v.level))
                .count()
                >= MAX_RETRIES
        };
        let low = self.within(estimate.low.floor());
        let high = self.within(estimate.high.ceil().max(estimate.vus.floor() + 1.0));
        let near_low =
            |v: usize| f64::from(self.visits[v].level.get()) >= estimate.low * (1.0 - NEARBY) - 1.0;
        let near_high = |v: usize| {
            f64::from(self.visits[v].level.get()) <= estimate.high * (1.0 + NEARBY) + 1.0
        };
        if !held.is_some_and(near_low) && !tried(low) {
            return Some(low);
        }
        if !broke.is_some_and(near_high) && !tried(high) {
            return Some(high);
        }
        None
    }

    /// The next level of the ladder around the estimate, in random order.
    fn ladder_level(&mut self, estimate: &Estimate) -> Level {
        let rung = self.rungs.pop().unwrap_or_else(|| {
            self.rungs = (0..RUNGS).collect();
            self.rungs.shuffle(&mut self.rng);
            self.rungs.pop().unwrap_or(0)
        });
        let wanted = match estimate.fit.basis {
            Basis::Tails | Basis::Capacity => estimate.vus * tail::LADDER[rung],
            Basis::Law => estimate.low + (estimate.high - estimate.low) * LAW_LADDER[rung],
            Basis::Events => estimate.fit.quantile(EVENT_LADDER[rung]),
            Basis::Visits | Basis::Bracket => {
                let offset = self.links[estimate.binding].ladder()[rung];
                let level = estimate.fit.level_at(offset);
                self.in_bracket(level.clamp(estimate.vus * 0.8, estimate.vus * 1.25))
            }
        };
        self.within(if wanted < estimate.vus {
            wanted.floor()
        } else {
            wanted.ceil()
        })
    }

    /// A rate, if it is one, within the bracket: a share that is flat far below the capacity and steep near it bends a curve
    /// through both away from either.
    fn in_bracket(&self, level: f64) -> f64 {
        let bounds = bounds::relevant(&self.visits);
        match (bounds.held, bounds.broke) {
            (Some(held), Some(broke)) if self.spec.unit.is_open() && held < broke => {
                level.clamp(held.get().into(), broke.get().into())
            }
            _ => level,
        }
    }

    fn within(&self, vus: f64) -> Level {
        Level::nearest(vus).clamp(self.spec.min, self.spec.max)
    }

    fn probe(&self, level: Level, purpose: Purpose) -> Step {
        let level = level.clamp(self.spec.min, self.spec.max);
        let cycle = self.cycle_s();
        let hold_s = match purpose {
            // It is as long as was asked, and is ordered by itself.
            Purpose::WarmUp => self.spec.warm_up.unwrap_or_default().as_secs_f64(),
            Purpose::Bracket => cycle.clamp(6.0, 30.0).max(self.shows_limit_s()),
            Purpose::Narrow => (2.0 * cycle).clamp(15.0, 40.0),
            Purpose::Refine | Purpose::Compare | Purpose::Confirm | Purpose::Reference => {
                self.full_hold_s(cycle)
            }
        };
        // Far below the breakpoint nothing lingers; near it a line takes its time.
        let settle_cycles = match purpose {
            Purpose::Bracket => 1.0,
            _ => 1.5,
        };
        let longest = self.spec.hold_max.as_secs_f64().max(2.0 * cycle);
        // A level that gave no data gets a longer hold the next time.
        let silent = bounds::visits_at(&self.visits, level)
            .filter(|v| v.counts() && bounds::side(v).is_none())
            .count();
        #[expect(clippy::cast_precision_loss, reason = "a handful of retries")]
        let hold_s = hold_s.min(longest) * (1.0 + silent as f64);
        Step::Probe(Order {
            level,
            purpose,
            from_rest: false,
            hold_s: hold_s.ceil(),
            settle_min_s: (settle_cycles * cycle).max(3.0).ceil(),
            settle_cycles,
            within_s: f64::INFINITY,
        })
    }

    /// Seconds until a service that hangs altogether shows it by the age of what is in flight, a settle of some seconds included. A
    /// shorter hold says nothing of a long limit.
    fn shows_limit_s(&self) -> f64 {
        let most_s = SHARE_FOR_LIMIT * self.spec.budget.as_secs_f64();
        self.model.limit_s.unwrap_or(0.0).min(most_s)
    }

    /// A hold that expects about five violations at the breakpoint and lasts a dozen cycles, within the limits and at least
    /// two cycles: what closed users do in one cycle resembles what they did in the last, and each move costs a settle.
    fn full_hold_s(&self, cycle: f64) -> f64 {
        let alpha = match self.estimate.as_ref().map(|e| self.links[e.binding]) {
            Some(Link::Share { alpha }) => alpha,
            _ => 0.01,
        };
        let rate = self.last_throughput().unwrap_or(1.0).max(0.1);
        let (min, max) = (
            self.spec.hold_min.as_secs_f64(),
            self.spec.hold_max.as_secs_f64(),
        );
        let hold_s = (5.0 / (alpha * rate))
            .max(HOLD_CYCLES * cycle)
            .clamp(min, max.max(min))
            .max(2.0 * cycle);
        if self.spec.unit.is_open() {
            hold_s.max(max).max(self.backlog_s(self.spec.precision))
        } else {
            hold_s
        }
    }

    /// Seconds until arrivals above the capacity by a share have piled up a wait as long as the limit, twice over: a
    /// shorter hold calls that steady.
    fn backlog_s(&self, share: f64) -> f64 {
        (2.0 * self.model.limit_s.unwrap_or(0.0) / share).min(LONGEST_BACKLOG_S)
    }

    /// Visits that held to their end, the latest first.
    fn complete_visits(&self) -> impl Iterator<Item = &Visit> {
        self.visits
            .iter()
            .rev()
            .filter(|v| v.counts() && !v.left_early)
    }

    fn last_throughput(&self) -> Option<f64> {
        self.complete_visits()
            .find_map(|v| v.throughput.filter(|t| *t > 0.0))
    }

    /// Cycle time by Little's law from the last visit that completed anything, else from the model.
    fn cycle_s(&self) -> f64 {
        let limit_s = self.model.limit_s.unwrap_or(10.0);
        if self.spec.unit.is_open() {
            // As many cycles begin as end: how long one takes is for the latencies to say, and near the breakpoint that is a
            // good part of the limit.
            return self.model.think_s + (AT_BREAKPOINT * limit_s).max(0.5);
        }
        self.complete_visits()
            .find_map(|v| {
                let throughput = v.throughput.filter(|t| *t > 0.0)?;
                Some(f64::from(v.level.get()) / throughput)
            })
            .unwrap_or(self.model.think_s + 0.5)
            // A target that hangs completes next to nothing: its cycle time means nothing.
            .min(self.model.think_s + 3.0 * limit_s)
    }

    /// What a probe will take beside its hold: what the recent ones took.
    fn overhead_of(&self, order: &Order) -> f64 {
        let recent = self.visits.iter().rev().take(4);
        recent
            .map(|v| v.cost_s - v.hold_s)
            .fold(order.settle_min_s, f64::max)
    }

    fn trailing_invalid(&self) -> usize {
        self.visits.iter().rev().take_while(|v| !v.valid).count()
    }

    /// Fits every objective that ever stood above its bound and takes the one that breaks first.
    fn fit(&self) -> Option<Estimate> {
        let bounds = bounds::relevant(&self.visits);
        let (held, broke) = (bounds.held?, bounds.broke?);
        let around = self.estimate.as_ref().map_or(
            (f64::from(held.get()) * f64::from(broke.get())).sqrt(),
            |e| self.in_bracket(e.vus),
        );
        let middle = (f64::from(held.get()) * f64::from(broke.get())).sqrt();
        // What contradicts the visits grossly was fitted to the wrong part of them. Near the breakpoint sides are rough: most visits
        // of a level that is a little too high hold; and on the brink of a capacity they say how a line grows, not that it stays.
        let possible = |f: &Fit| {
            f.basis == Basis::Capacity
                || (f.high * GROSSLY >= f64::from(held.get())
                    && f.low <= f64::from(broke.get()) * GROSSLY)
        };
        let fits: Vec<(usize, Fit)> = (0..self.links.len())
            .filter_map(|i| {
                let fit = self.fit_objective(i, around).filter(possible);
                Some((
                    i,
                    fit.or_else(|| self.fit_objective(i, middle).filter(possible))?,
                ))
            })
            .collect();
        let (binding, fit) = fits
            .iter()
            .min_by(|(_, a), (_, b)| a.estimate.total_cmp(&b.estimate))?
            .clone();
        let step = fit.basis == Basis::Visits && fit.exact < FEW_EXACT;
        // The least of several breakpoints lies below the least upper end, and hardly below the least lower end.
        let low = fits
            .iter()
            .map(|(_, f)| f.low)
            .fold(f64::INFINITY, f64::min);
        let high = fits
            .iter()
            .map(|(_, f)| f.high)
            .fold(f64::INFINITY, f64::min);
        let (mut low, mut high) = (low.min(fit.estimate), high.max(fit.estimate));
        if step {
            // Between the two sides of a step no level is likelier than another, nor where they contradict each other.
            low = low.min(f64::from(held.get()));
            let carried = bounds::carried(&self.visits).unwrap_or(broke);
            high = high.max(f64::from(broke.max(carried).get()));
        }
        if !matches!(fit.basis, Basis::Law | Basis::Capacity) {
            (low, high) = self.as_far_as_proven(low, high, held, broke);
        }
        Some(Estimate {
            binding,
            vus: fit.estimate,
            low,
            high,
            fit,
        })
    }

    /// An interval as the visits bear it out. Where no full hold held, the lower bound is a short one's, and of those a level well
    /// above the breakpoint passes many; where none broke, the upper bound is the level that a short one broke.
    fn as_far_as_proven(&self, low: f64, high: f64, held: Level, broke: Level) -> (f64, f64) {
        let on = |side: Side| bounds::full(&self.visits, side).count();
        let down = UNPROVEN[on(Side::Held).min(UNPROVEN.len() - 1)];
        let low = low.min(f64::from(held.get()) / down);
        let high = match on(Side::Broke) {
            0 => high.max(f64::from(broke.get())),
            _ => high,
        };
        (low, high)
    }

    /// Crashes and whatever else breaks it are competing risks: each has its own breakpoint, and the lower one binds.
    fn fit_objective(&self, objective: usize, around: f64) -> Option<Fit> {
        let by_load = self.fit_load(objective, around);
        match (self.fit_crashes(objective), by_load) {
            (Some(crash), Some(load)) => {
                let low = crash.low.min(load.low);
                let lower = if crash.estimate <= load.estimate {
                    crash
                } else {
                    load
                };
                Some(Fit { low, ..lower })
            }
            (crash, load) => crash.or(load),
        }
    }

    /// The fit of what breaks the objective without a crash.
    fn fit_load(&self, objective: usize, around: f64) -> Option<Fit> {
        let link = self.links[objective];
        let points: Vec<Point> = (self.visits.iter())
            .filter(|v| v.counts() && v.crashed_after_s.is_none())
            .filter_map(|v| {
                Some(Point {
                    vus: f64::from(v.level.get()),
                    shown: show(link, v.evidence.get(objective)?)?,
                })
            })
            .collect();
        if !points.iter().any(|p| is_over(link, p.shown)) {
            return None;
        }
        let t = student_t_quantile(0.5 + self.spec.confidence / 2.0, LIMIT_FREEDOM);
        self.fit_limit(objective, t)
            .or_else(|| self.fit_brink(objective))
            .or_else(|| self.fit_tail(objective, around))
            .or_else(|| fit::fit(&points, link, around, self.spec.confidence))
    }

    /// The fit of crashes, where some counted against the objective.
    fn fit_crashes(&self, objective: usize) -> Option<Fit> {
        let counts_against = |v: &&Visit| {
            let evidence = v.evidence.get(objective);
            v.counts() && v.crashed_after_s.is_some() && evidence.is_some_and(Evidence::is_violated)
        };
        let crashed: Vec<&Visit> = self.visits.iter().filter(counts_against).collect();
        let last = crashed.last()?;
        let bad = crashed
            .iter()
            .filter_map(|v| match v.evidence.get(objective) {
                Some(Evidence::Share { bad, .. }) => Some(*bad),
                _ => None,
            });
        let users = f64::from(last.level.get());
        // Everybody loses what is in flight, and tries again until it is back.
        let bad = bad.fold(users * LOST_PER_USER, f64::max);
        let allowed = match self.links[objective] {
            Link::Share { alpha } => alpha * self.last_throughput()? / ((1.0 - alpha) * bad),
            // None is allowed; what is not seen in the longest hold is not seen.
            Link::LogRatio | Link::Side => 1.0 / self.spec.hold_max.as_secs_f64(),
        };
        events::fit(
            &diagnosis::exposures(&self.visits),
            allowed,
            self.spec.confidence,
        )
    }

    /// The fit of a capacity, where levels are rates and only the capacity limits them.
    fn fit_brink(&self, objective: usize) -> Option<Fit> {
        let Link::Share { alpha } = self.links[objective] else {
            return None;
        };
        if !self.spec.unit.is_open() {
            return None;
        }
        let tail_of = |v: &Visit| {
            v.tails
                .get(objective)
                .and_then(Option::as_ref)
                .map(|t| t.limit_s)
        };
        let limit_s = self.visits.iter().find_map(tail_of)?;
        let (capacity, se, blocks) = diagnosis::served_at_most(&self.visits, limit_s)?;
        let brink = tail::Brink {
            capacity,
            se,
            blocks,
            variability: self.variability(),
            in_line: self.variability_in_line(),
            limit_s,
            hold_s: self.spec.hold_max.as_secs_f64(),
        };
        tail::on_the_brink(&brink, alpha, self.spec.confidence)
    }

    /// The fit of whole tails, where the objective has them and enough visits ran to their end.
    fn fit_tail(&self, objective: usize, around: f64) -> Option<Fit> {
        let Link::Share { alpha } = self.links[objective] else {
            return None;
        };
        let visits: Vec<TailVisit> = self
            .visits
            .iter()
            .filter(|v| v.counts() && !v.earlier && !v.overran())
            .filter_map(|v| {
                let tail = v.tails.get(objective)?.as_ref()?;
                Some(TailVisit {
                    vus: f64::from(v.level.get()),
                    per_s: tail.requests() / v.hold_s,
                    tail,
                })
            })
            .collect();
        let users = match self.spec.unit {
            LevelUnit::Vus => Users::Closed,
            LevelUnit::RequestsPerS | LevelUnit::CyclesPerS => Users::Open,
        };
        let of = tail::Asked {
            users,
            alpha,
            around,
            confidence: self.spec.confidence,
            variability: self.variability(),
        };
        tail::fit(&visits, &of)
    }

    /// Squared coefficient of variation of the latencies where they are longest. In order of arrival a line makes all wait alike, so that
    /// it is small; servers that are shared by everybody stretch each request by its own size.
    fn variability_in_line(&self) -> f64 {
        (self.complete_visits())
            .filter_map(|v| v.latency)
            .filter(|m| m.n >= FEWEST_SERVICES)
            .max_by(|a, b| a.mean_s.total_cmp(&b.mean_s))
            .map_or(0.0, |m| m.mean_square / m.mean_s.powi(2) - 1.0)
    }

    /// Half the sum of the squared coefficients of variation of gaps and services, where arrivals come at a rate: gaps are taken to
    /// be exponential, services are the latencies of the lightest visits, where hardly anybody waits.
    fn variability(&self) -> Option<f64> {
        let known = || {
            (self.visits.iter().filter(|v| v.counts()))
                .filter_map(|v| Some((v.throughput?, v.latency?)))
                .filter(|(_, m)| m.n >= FEWEST_SERVICES)
        };
        // By what they served and not by their latencies: a visit is fast, too, where the long requests did not happen to come.
        let most = known().map(|(per_s, _)| per_s).fold(0.0, f64::max);
        let light = || {
            known()
                .filter(|(per_s, _)| *per_s <= LIGHT * most)
                .map(|(_, m)| m)
        };
        let n: f64 = light().map(|m| m.n).sum();
        let mean_s = light().map(|m| m.n * m.mean_s).sum::<f64>() / n;
        let square = light().map(|m| m.n * m.mean_square).sum::<f64>() / n;
        let services = square / mean_s.powi(2) - 1.0;
        (self.spec.unit.is_open() && n > 0.0).then(|| f64::midpoint(1.0, services.max(0.0)))
    }
}

fn middle(held: Level, broke: Level) -> Level {
    let mean = (f64::from(held.get()) * f64::from(broke.get())).sqrt();
    if broke.get() - held.get() <= 1 {
        return held;
    }
    Level::nearest(mean).clamp(Level(held.get() + 1), Level(broke.get() - 1))
}

/// A probe's evidence on the fit's scale.
fn show(link: Link, evidence: &Evidence) -> Option<Shown> {
    let side = |broke: bool| {
        if broke {
            Shown::Above(0.0)
        } else {
            Shown::Below(0.0)
        }
    };
    match (link, evidence) {
        (Link::Share { alpha }, Evidence::Share { bad, total, .. }) => {
            Some(Link::show_share(alpha, *bad, *total))
        }
        (Link::Side, Evidence::Share { bad, .. }) => Some(side(*bad > 0.0)),
        (Link::LogRatio, Evidence::LogRatio(y)) => Some(if *y > 1.0 {
            Shown::Above(1.0)
        } else {
            Shown::Exactly(*y)
        }),
        (Link::Side, Evidence::LogRatio(y)) => Some(side(*y > 0.0)),
        (Link::LogRatio | Link::Side, Evidence::Side { broke }) => Some(side(*broke)),
        // Nothing was seen, or something that this objective never gives.
        (_, Evidence::None)
        | (Link::Share { .. }, _)
        | (Link::LogRatio, Evidence::Share { .. }) => None,
    }
}

/// Whether what was shown stands above the crossing.
fn is_over(link: Link, shown: Shown) -> bool {
    let crossing = match link {
        Link::Share { alpha } => crate::stats::normal::probit(alpha),
        Link::LogRatio | Link::Side => 0.0,
    };
    match shown {
        Shown::Exactly(y) => y > crossing,
        Shown::Above(y) => y >= crossing,
        Shown::Below(_) => false,
    }
}

#[cfg(test)]
mod tests;
