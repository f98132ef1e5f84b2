//! Which level next, and when to stop. A value with `next` and `record`; it never sees a clock, a
//! socket or an engine.
//!
//! [`Search::next`] asks these questions in order, and the first that is answered with yes says
//! what comes next:
//!
//! | what the visits say | what comes next | where |
//! |---|---|---|
//! | three probes in a row were invalid | stop: the generator is the limit | `next` |
//! | a warm-up was asked for, and nothing was visited | the warm-up | `bracket` |
//! | nothing was visited | the start level, in a short hold | `next` |
//! | the last probe was invalid | the same again | `next` |
//! | the first level is answered faster all the time | the same again | `bracket` |
//! | nothing broke | **bracket**: twice the level, by Little's law beyond the knee; at the maximum full holds, then stop | `bracket` |
//! | nothing held | a quarter of the level; at the minimum a full hold, then stop | `bracket` |
//! | both, far apart, and no tail points anywhere | **narrow**: where the capacity points to, else the middle | `refine` |
//! | both, and no curve fits | the middle, in a full hold | `refine` |
//! | full holds do not bear a bound out | that bound, in a full hold | `refine` |
//! | it may depend on where the load comes from | the estimate from rest, or an overload before it | `diagnosis` |
//! | the interval is narrow enough, and nothing speaks against it | **confirm** the levels that the answer names, then stop | `stop_rule`, `reasons`, `refine` |
//! | none of these | **refine**: the middle of a step, or a level of the ladder around the estimate | `refine` |
//! | the budget has no room for what comes next | stop with what is known | `pacing`, `ending` |
//!
//! After each visit all of them are fitted together (`estimate`). Short holds only steer; what
//! binds the answer are full ones (`bounds`).

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::measure::{Level, LevelUnit};
use crate::record::{Ending, Purpose};
use crate::stats::fit::Link;

mod bounds;
mod bracket;
mod curve;
mod diagnosis;
mod ending;
mod estimate;
pub mod forecast;
mod growth;
mod limit;
mod pacing;
mod reasons;
mod reference;
mod refine;
mod sense;
mod stop_rule;
mod variability;
mod visit;

pub use bounds::Side;
pub use ending::Conclusion;
pub use estimate::Estimate;
pub use pacing::Order;
pub use visit::{Flow, Moments, Visit};

use refine::middle;

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
    /// How long the start level is held before the search begins, within its budget; `None` is for
    /// the search to say, and zero is not at all.
    pub warm_up: Option<Duration>,
    /// Seed of the random visiting order.
    pub seed: u64,
    /// Whether levels below the breakpoint are held after the search, so that runs can be compared
    /// there.
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

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Make this probe and record it.
    Probe(Order),
    /// Stop, with this conclusion.
    Done(Box<Conclusion>),
}

/// The bracket is narrow enough to refine within this ratio.
const NARROW: f64 = 1.5;
/// Invalid probes in a row after which the generator is the limit.
const MAX_INVALID: usize = 3;

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

    /// Finds out whether the service has grown. What broke before, or was under a queue, then
    /// belongs to a smaller one; what held, a larger one holds too.
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

    /// Whether the service has become faster or larger while it was searched. Restarted it would be
    /// small again.
    pub fn has_grown(&self) -> bool {
        !self.growths.is_empty()
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

    /// What to conclude when something outside the search ended it.
    pub fn ended(&self, ending: Ending, reason: String) -> Conclusion {
        self.conclude(ending, reason)
    }

    /// What the visits ask for, whatever the budget has room for.
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

    /// A level held and a higher one broke.
    fn close_in(&mut self, held: Level, broke: Level) -> Step {
        let ratio = f64::from(broke.get()) / f64::from(held.get());
        let adjacent = broke.get() - held.get() <= 1;
        let narrowed = ratio <= NARROW || adjacent || self.narrowed();
        // Tails point to the breakpoint by themselves: better than the middle of a bracket, from
        // the first visit on.
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

    fn trailing_invalid(&self) -> usize {
        self.visits.iter().rev().take_while(|v| !v.valid).count()
    }
}

#[cfg(test)]
mod tests;
