//! The breakpoint from whole latency tails: one curve for all visits, shifted by Little's law, or stretched by the spare
//! capacity where no line has formed or users do not wait for each other.
//!
//! The share of violations of a visit (`x` of `n` above the limit `L`) throws most of what was seen away: a visit that
//! stayed at 0.9 `L` and one that stayed at 0.3 `L` both show no violation. This fit uses the shares above several
//! thresholds `t` around the limit. With `y = probit(P(latency >= t | N))` it says
//!
//! ```text
//! y = psi(tau)      tau = t / L - 1 - eta (N - N*) / (X L)      psi(0) = probit(alpha)
//! ```
//!
//! `N*` is the breakpoint, `X` the throughput near it, and `psi` one falling curve for all levels: its slope is
//! piecewise exponential between knots with a random-walk prior, so that it is smooth but of any shape. The shift is
//! Little's law: where a line has formed, `dN` more users make everybody wait `dN / X` longer, so `eta` is near 1; a
//! log-normal prior says so and leaves room (a service that queues only now and then has less). Little's law is about the
//! whole cycle. Where only a part of what a longer line adds falls to the step that is judged, that part is where `eta` is
//! expected; where less than half of it does, the line stands elsewhere, and no law moves this step's tail.
//!
//! Requests of one visit are correlated, so the likelihood of the counts is only a score to be maximised: it is
//! weighted by `1 / deff`, and the variance is the sandwich one over blocks of the holds, with the correlation of
//! neighbouring blocks kept (Newey and West, 1987). The design effect `deff` is the trace of the sandwich over all
//! directions of the parameters and not that of the breakpoint alone: it is then estimated from everything that was
//! seen, and a run that happened to see few bursts does not also think that bursts are small.

use serde::{Deserialize, Serialize};

mod clockwork;

use super::blocks::student_t_quantile;
use super::fit::{Basis, Fit, Shift};
use super::normal::{cdf, density, probit};

/// Thresholds whose shares are counted, as multiples of the limit, falling. Those further away say little of the limit
/// and bend the curve.
pub const RATIOS: [f64; 13] = [
    2.0, 1.6, 1.35, 1.18, 1.08, 1.0, 0.93, 0.86, 0.80, 0.74, 0.68, 0.62, 0.56,
];
/// The limit's place in [`RATIOS`].
const LIMIT: usize = 5;

/// Requests of one block by latency: entry `i` counts those at or above `RATIOS[i]` times the limit that entry `i - 1` does
/// not count, the last those below all.
pub type Counts = [f64; RATIOS.len() + 1];

/// Latencies around a limit in one hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// The limit, seconds.
    pub limit_s: f64,
    /// Successive blocks of the hold.
    pub blocks: Vec<Counts>,
    /// How many of those above every threshold failed at once, without having waited: they have no latency.
    pub failed: f64,
    /// Where a cycle spent its time; `None` when that is not known.
    pub residence: Option<Residence>,
}

/// How long a cycle stays within the service, on average over a hold: by Little's law what is in flight over what is completed per
/// second. Think times are left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Residence {
    /// In the step that is judged, seconds.
    pub step_s: f64,
    /// In all steps, seconds.
    pub cycle_s: f64,
}

impl Tail {
    /// Requests counted in all blocks.
    pub fn requests(&self) -> f64 {
        self.blocks.iter().flatten().sum()
    }

    /// Per threshold, from the highest: its multiple of the limit, and the share of requests at or above it.
    pub fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let counts = sum(&self.blocks);
        let all = self.requests();
        let mut above = 0.0;
        RATIOS.into_iter().zip(counts).map(move |(ratio, n)| {
            above += n;
            (ratio, above / all)
        })
    }
}

/// One complete visit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TailVisit<'a> {
    /// The level, VUs.
    pub vus: f64,
    /// Requests per second.
    pub per_s: f64,
    /// What was counted.
    pub tail: &'a Tail,
}

/// What a fit is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// Where requests come from.
    pub users: Users,
    /// Share of violations that is allowed.
    pub alpha: f64,
    /// A first guess of the breakpoint.
    pub around: f64,
    /// Confidence of the interval, 0..1.
    pub confidence: f64,
    /// Half the sum of the squared coefficients of variation of gaps and services, for arrivals at a rate where it is known.
    pub variability: Option<f64>,
}

/// Where requests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// Users who ask again when they have their answer: levels are their number.
    Closed,
    /// Arrivals: levels are how many come per second.
    Open,
}

impl Users {
    /// Levels further from the breakpoint than this share of it are another regime.
    fn near(self, visits: &[TailVisit], alpha: f64, around: f64, variability: Option<f64>) -> f64 {
        match self {
            Self::Closed => NEAR,
            // The capacity is not far above, and beyond it nothing is steady; with variable services it is farther.
            Self::Open => {
                let limit_s = visits.first().map_or(f64::INFINITY, |v| v.tail.limit_s);
                let spare = -alpha.ln() / limit_s * variability.unwrap_or(1.0) / around;
                (NEAR_OF_SPARE * spare).clamp(NEAR_OPEN, NEAR)
            }
        }
    }

    /// The law that moves the tails of `visits`.
    fn law(self, visits: &[TailVisit], alpha: f64) -> Law {
        let limit_s = visits.first().map_or(0.0, |v| v.tail.limit_s);
        let (vus, per_s) = (mean(visits, |v| v.vus), mean(visits, |v| v.per_s));
        match self {
            Self::Open => Law::Spare,
            Self::Closed if is_idle(vus, per_s, limit_s, alpha) => Law::Spare,
            Self::Closed => Law::Little,
        }
    }
}

/// Whether Little's law says nothing of the tail at the limit of `vus` closed users.
///
/// Who have a short limit and think for long are arrivals in all but name: they break the limit long before they fill the
/// servers, and one user more makes nobody wait `1 / X` longer. The spare capacity tells which is so: as its law has it, one
/// user more moves the tail at the limit by `(X L)^2 / (N ln(1 / alpha))` times that.
pub(crate) fn is_idle(vus: f64, per_s: f64, limit_s: f64, alpha: f64) -> bool {
    (per_s * limit_s).powi(2) < IDLE * vus * -alpha.ln()
}

/// Share of Little's shift below which closed users count as arrivals.
const IDLE: f64 = 0.5;

/// How a level moves the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Law {
    /// A line has formed: Little's law adds a time.
    Little,
    /// There is spare capacity: how much of it stretches times.
    Spare,
}

impl Law {
    /// A threshold on the curve's axis, as a multiple of the limit.
    fn axis(self, ratio: f64) -> f64 {
        match self {
            Self::Little => ratio - 1.0,
            Self::Spare => ratio.ln(),
        }
    }

    /// The shift at `u`, and its slope there.
    fn shift(self, u: f64) -> (f64, f64) {
        match self {
            Self::Little => (u, 1.0),
            // ln of spare capacity over that at the breakpoint. Beyond the capacity nothing is steady; there a line goes on.
            Self::Spare if u > NO_SPARE => {
                let slope = 1.0 / (1.0 - NO_SPARE);
                (slope.ln() + (u - NO_SPARE) * slope, slope)
            }
            Self::Spare => (-(-u).ln_1p(), 1.0 / (1.0 - u)),
        }
    }

    /// Prior standard deviation of `ln eta`.
    fn eta_sd(self) -> f64 {
        match self {
            Self::Little => ETA_SD,
            Self::Spare => VARIABILITY_SD,
        }
    }
}

/// Share of the spare capacity at the breakpoint from which no more is left to speak of.
const NO_SPARE: f64 = 0.9;
/// Prior standard deviation of the logarithm of half the sum of the squared coefficients of variation of gaps and services.
const VARIABILITY_SD: f64 = 0.7;

/// The same where it was measured: a long tail shows little of its variance in some hundred requests.
const KNOWN_VARIABILITY_SD: f64 = 0.5;

/// Where the slope of `psi` is a parameter, in units of the limit.
const KNOTS: [f64; 6] = [-0.9, -0.6, -0.3, 0.0, 0.25, 0.6];
/// The knot at the limit.
const CENTRE: usize = 3;
/// Parameters: ln N*, ln eta, and the log slopes at the knots.
const D: usize = 2 + KNOTS.len();
type Vector = [f64; D];
type Matrix = [[f64; D]; D];

/// Prior standard deviation of `ln eta`.
const ETA_SD: f64 = 0.25;
/// Part of a longer line that must wait in the step that is judged for its tail to move with the line.
const LINE_ELSEWHERE: f64 = 0.5;
/// Growth of a cycle's stay from which a line can be said to stand somewhere, in limits.
const LINE: f64 = 0.05;
/// Prior of the log slope at the limit: a probit unit per 17 % of the limit, within a factor of e.
const SLOPE: (f64, f64) = (1.8, 1.0);
/// Standard deviation of the log slope's step over 0.3 limits.
const ROUGHNESS: f64 = 0.3;
/// Levels worth visiting, as shares of the estimate. Levels that lie near show the tail that is asked for with the least
/// help from the model; a wider ladder only measures the model's own parameters better (compared in the lab).
pub const LADDER: [f64; 4] = [0.95, 0.98, 1.02, 1.05];

/// Thresholds that half of the requests pass belong to the body, not to the tail.
const BODY: f64 = 0.5;
/// A threshold is kept when its share is this much larger than that of the one before it.
const SPACING: f64 = 1.6;
/// Levels further away than this share of the breakpoint are another regime.
pub(crate) const NEAR: f64 = 0.3;
/// The same for arrivals.
const NEAR_OPEN: f64 = 0.12;
/// The same as a share of the spare capacity at the breakpoint.
const NEAR_OF_SPARE: f64 = 0.3;
/// What few visits make the sandwich too small by (measured in the lab over unlike systems).
const FEW_VISITS: f64 = 1.8;
/// How much further the interval reaches down than up: bursts that were not seen can only lower the breakpoint.
const LEAN: f64 = 0.25;
/// Usual design effect per VU (the lab's systems have 0.3 to 1.5): closed users come back once per cycle, and what a cycle's
/// answers say is of one mind.
const DEFF_PER_VU: f64 = 0.7;
/// The same for arrivals, per squared request that waits when the wait is the limit: twice the requests of one relaxation time
/// of an M/M/1 queue, `4 mu / (mu - lambda)^2` with `mu - lambda = ln(100) / L`.
const DEFF_PER_QUEUE: f64 = 0.38;
/// A fit whose own count of violations is this many standard errors off is not believed.
const MISFIT: f64 = 3.5;
/// Failures, as a share of the violations allowed, from which tails do not tell the breakpoint: a failed request has no latency,
/// so its share is not shifted by Little's law as a tail is. It counts from where a threshold's share does.
const FAILED: f64 = LEAST_SHARE;
/// Least share above a threshold, as a share of the violations allowed, for the threshold to be kept.
const LEAST_SHARE: f64 = 0.2;
/// Rounds of fitting and weighing.
const ROUNDS: usize = 3;

/// Fits the breakpoint to complete visits in the order in which they were made; `around` is a first guess, VUs.
///
/// `None` when there are too few visits near it, when none of them shows a violation, when the estimate lies far outside the
/// levels visited, when failures rather than latencies are a part of the violations, or when the curve does not describe what
/// was counted at the limit itself: another fit must then do.
pub fn fit(visits: &[TailVisit], asked: &Asked) -> Option<Fit> {
    let Asked {
        users,
        alpha,
        around,
        confidence,
        variability,
    } = *asked;
    let reach = users.near(visits, alpha, around, variability);
    let near: Vec<TailVisit> = (visits.iter().copied())
        .filter(|v| (v.vus / around - 1.0).abs() < reach && v.tail.requests() > 0.0)
        .collect();
    if failed(&near) > FAILED * alpha {
        return None;
    }
    let part = part_of_line(visits, &near, users);
    if part < LINE_ELSEWHERE {
        return None;
    }
    if let Some(fit) = clockwork::fit(&near, users, alpha) {
        return Some(fit);
    }
    let model = Model::new(&near, asked, part)?;
    let (theta, sandwich) = model.maximise(around)?;
    let centre = theta[0].exp();
    let usual = model.usual_deff(centre);
    let deff = FEW_VISITS * cautious(sandwich.deff, usual);
    let information = sandwich.naive_variance * deff + sandwich.prior_variance;
    let se = information.sqrt();
    let (lowest, highest) = model.range();
    if !(se.is_finite() && se < 0.5 && centre > lowest * 0.75 && centre < highest * 1.3)
        || model.misfit(&theta, deff) > MISFIT
    {
        return None;
    }
    let kappa = theta[2 + CENTRE].exp() * theta[1].exp() * centre / model.room;
    // With k effective violations the share is distributed like a gamma variable of shape k, whose median lies 1/(3k)
    // below its mean: the estimate would lean high by as much over the slope of ln share. Violations come in bursts of
    // unlike sizes, which skews it more: half of 1/k is what the lab's medians ask for.
    let z = model.crossing;
    let slope = kappa * density(z) / alpha;
    let likely = (sandwich.deff * usual).sqrt();
    let seen = sandwich.naive_variance * likely + sandwich.prior_variance;
    let estimate = centre * (-slope * seen / 2.0).max(-se).exp();
    let reach = Reach::new(se, &near);
    let per_level = theta[1].exp() / model.room;
    Some(Fit {
        shift: Some(match model.law {
            Law::Little => Shift::Adds(per_level),
            Law::Spare => Shift::Stretches(per_level),
        }),
        ..assemble(estimate, reach, kappa, confidence)
    })
}

/// The breakpoint of arrivals where only the brink of the capacity breaks the limit: there a line takes longer to find its
/// length than anybody holds, and what is held shows how it grows, not how long it gets.
///
/// With spare capacity `C - lambda` the wait's tail is `exp(-(C - lambda) t / v)` in heavy traffic, `v` being half the sum of the
/// squared coefficients of variation of gaps and services (Kingman, 1962), so that a share of `alpha` waits longer than `L` at
/// `lambda = C - v ln(1 / alpha) / L`. `v` is 1 for an M/M/c queue and not known here: the prior of [`fit`] stands for it.
///
/// `None` where the line finds its length within a third of a hold, so that tails can be believed.
pub fn on_the_brink(brink: &Brink, alpha: f64, confidence: f64) -> Option<Fit> {
    let Brink {
        capacity, limit_s, ..
    } = *brink;
    // 4 mu / (mu - lambda)^2, the relaxation time of an M/M/1 queue.
    let relaxation_s = DEFF_PER_QUEUE / 2.0 * capacity * limit_s * limit_s;
    if relaxation_s < brink.hold_s / 3.0 {
        return None;
    }
    let (v, v_sd) = match brink.variability {
        Some(v) => (v, KNOWN_VARIABILITY_SD),
        None => (1.0, VARIABILITY_SD),
    };
    let spare = v * -alpha.ln() / limit_s;
    let estimate = capacity - spare;
    if estimate <= 0.5 * capacity {
        return None;
    }
    let se = (brink.se / estimate).hypot(v_sd * spare / estimate);
    let reach = Reach {
        se,
        visits: brink.blocks,
        unseen: unfinished(brink.in_line),
    };
    Some(Fit {
        basis: Basis::Capacity,
        ..assemble(estimate, reach, capacity / spare, confidence)
    })
}

/// How far below the capacity that was seen the true one may lie, as a logarithm: where everybody gets a fair share of the servers and a
/// few requests are most of the work, those are still in progress at the end of a hold, and more requests get done in it than for
/// ever. `in_line` is the squared coefficient of variation of the latencies where they are longest: at most 1 in order of arrival and for
/// exponential services. Of drawn systems with 1.9 to 4.6 the capacity read 5 to 20 % too high, whatever the number.
fn unfinished(in_line: f64) -> f64 {
    UNFINISHED * (in_line - 1.0).clamp(0.0, 1.0)
}

const UNFINISHED: f64 = 0.13;

/// What is known of a target that only its capacity limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Brink {
    /// Requests served per second while a line waits.
    pub capacity: f64,
    /// Its standard error.
    pub se: f64,
    /// Blocks that it rests on.
    pub blocks: usize,
    /// As in [`Asked`].
    pub variability: Option<f64>,
    /// Squared coefficient of variation of the latencies where they are longest.
    pub in_line: f64,
    /// The limit, seconds.
    pub limit_s: f64,
    /// Length of a hold, seconds.
    pub hold_s: f64,
}

/// What part of a longer line waits in the step that is judged: how much longer that step takes near the breakpoint than in
/// the visit in which a cycle stayed the shortest, over how much longer all steps take. 1 where there is one step, where levels are
/// rates (Little's law is not what moves their tails), and where no line has formed.
fn part_of_line(visits: &[TailVisit], near: &[TailVisit], users: Users) -> f64 {
    let known = |of: &[TailVisit]| -> Vec<Residence> {
        of.iter().filter_map(|v| v.tail.residence).collect()
    };
    let (all, near) = (known(visits), known(near));
    let lightest = all.iter().min_by(|a, b| a.cycle_s.total_cmp(&b.cycle_s));
    let (Some(lightest), Users::Closed, false) = (lightest, users, near.is_empty()) else {
        return 1.0;
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of visits")]
    let many = near.len() as f64;
    let longer = |of: fn(&Residence) -> f64| near.iter().map(of).sum::<f64>() / many - of(lightest);
    let limit_s = visits.first().map_or(0.0, |v| v.tail.limit_s);
    let cycle_s = longer(|r| r.cycle_s);
    if cycle_s < LINE * limit_s {
        return 1.0;
    }
    (longer(|r| r.step_s) / cycle_s).clamp(0.0, 1.0)
}

/// The share of requests that failed at once.
fn failed(visits: &[TailVisit]) -> f64 {
    let failed: f64 = visits.iter().map(|v| v.tail.failed).sum();
    let all: f64 = visits.iter().map(|v| v.tail.requests()).sum();
    failed / all.max(1.0)
}

/// The design effect that an interval is to rest on. What is seen from a dozen visits is a noisy estimate, within a factor of
/// 1.6 or so. Far below the usual it is mostly luck and counts half on a logarithmic scale. Above the usual it tells of
/// phases longer than a cycle: fewer of them were seen than visits were made, and it counts one and a half times.
fn cautious(deff: f64, usual: f64) -> f64 {
    deff * ((deff / usual).ln().abs() / 2.0).exp()
}

/// The latency that the share allowed exceeds at a level, seconds: the limit at the breakpoint, moved from there as the fit says.
pub fn latency_s(shift: Shift, limit_s: f64, level: f64, breakpoint: f64) -> f64 {
    let away = level - breakpoint;
    match shift {
        Shift::Adds(per_level) => limit_s * (1.0 + Law::Little.shift(per_level * away).0),
        Shift::Stretches(per_level) => limit_s * Law::Spare.shift(per_level * away).0.exp(),
    }
    .max(0.0)
}

/// The half-width, as a fraction, of an interval from tails with a standard error of `se` (of `ln N*`), so many visits near it and so
/// many seconds held in them.
pub fn half_width(se: f64, visits: usize, held_s: f64, confidence: f64) -> f64 {
    let reach = Reach::of(se, visits, held_s);
    let tail = (1.0 - confidence) / 2.0;
    (reach.at(1.0, 1.0 - tail, confidence) - reach.at(1.0, tail, confidence)) / 2.0
}

/// How far an interval reaches, in units of `ln N`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reach {
    /// Standard error of `ln N*`.
    se: f64,
    /// Visits that it rests on.
    visits: usize,
    /// How far down a slow phase would lead that did not come, at the confidence asked.
    unseen: f64,
}

impl Reach {
    fn new(se: f64, visits: &[TailVisit]) -> Self {
        let held_s: f64 = visits.iter().map(|v| v.tail.requests() / v.per_s).sum();
        Self::of(se, visits.len(), held_s)
    }

    fn of(se: f64, visits: usize, held_s: f64) -> Self {
        let left = ((PHASES_MET_S.1 - held_s) / (PHASES_MET_S.1 - PHASES_MET_S.0)).clamp(0.0, 1.0);
        Self {
            se,
            visits,
            unseen: SLOW_PHASE * left,
        }
    }

    /// The level that the breakpoint lies below with a probability of `p`.
    fn at(self, estimate: f64, p: f64, confidence: f64) -> f64 {
        let t = self.t(p);
        let few = self.few();
        if t >= 0.0 {
            return estimate * (self.se * (1.0 - LEAN) * few.1 * t).exp();
        }
        let own = self.se * (1.0 + LEAN) * few.0 * t;
        let unseen = self.unseen * t / self.t(0.5 + confidence / 2.0);
        estimate * (-own.hypot(unseen)).exp()
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of visits")]
    fn t(self, p: f64) -> f64 {
        student_t_quantile(p, self.visits as f64)
    }

    /// What a handful of visits leave out, below and above.
    fn few(self) -> (f64, f64) {
        FEW[self.visits.clamp(1, FEW.len()) - 1]
    }
}

/// How much wider an interval from one visit, two, three, ... is than its own standard error says, below and above: a burst or a
/// slow phase is met by one of them or by none, and where by none they agree with one another.
const FEW: [(f64, f64); 7] = [
    (2.0, 1.2),
    (2.0, 1.2),
    (2.0, 1.3),
    (1.6, 1.4),
    (1.4, 1.3),
    (1.2, 1.2),
    (1.0, 1.0),
];
/// How far a slow phase that was not met may lower a breakpoint: a neighbour that takes a tenth of the speed a quarter of the time
/// lowers one by 8 %.
const SLOW_PHASE: f64 = 0.085;
/// Seconds held near the breakpoint up to which such a phase, if it comes every three minutes or so, may not have come, and from
/// which it has.
const PHASES_MET_S: (f64, f64) = (250.0, 600.0);

fn assemble(estimate: f64, reach: Reach, kappa: f64, confidence: f64) -> Fit {
    let at = |p: f64| reach.at(estimate, p, confidence);
    let tail = (1.0 - confidence) / 2.0;
    let distribution = (0..=60)
        .map(|i| {
            let p = (f64::from(i) / 60.0).clamp(5e-4, 1.0 - 5e-4);
            (at(p), p)
        })
        .collect();
    Fit {
        basis: Basis::Tails,
        estimate,
        low: at(tail),
        high: at(1.0 - tail),
        kappa,
        curvature: 0.0,
        sigma: reach.se * kappa,
        distribution,
        lean: LEAN,
        visits: reach.visits,
        exact: reach.visits,
        shift: None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of visits")]
fn mean(visits: &[TailVisit], of: impl Fn(&TailVisit) -> f64) -> f64 {
    visits.iter().map(of).sum::<f64>() / visits.len() as f64
}

fn sum(blocks: &[Counts]) -> Counts {
    let mut out = Counts::default();
    for block in blocks {
        for (out, n) in out.iter_mut().zip(block) {
            *out += n;
        }
    }
    out
}

/// Counts of one block at the thresholds that the fit keeps.
struct Block {
    vus: f64,
    counts: Vec<f64>,
    total: f64,
}

struct Model {
    users: Users,
    law: Law,
    /// Prior of `ln eta`: mean and standard deviation.
    eta: (f64, f64),
    crossing: f64,
    limit_s: f64,
    per_s: f64,
    /// Levels that make a shift of about one, with an `eta` of 1.
    room: f64,
    /// Thresholds kept, as multiples of the limit, falling; the limit is one of them.
    ratios: Vec<f64>,
    /// The limit's place among them.
    limit: usize,
    visits: Vec<Block>,
    blocks: Vec<Block>,
    /// Blocks whose correlation is kept: those of one visit.
    lags: usize,
}

struct Sandwich {
    deff: f64,
    /// Variance of ln N* if every request were independent, the prior's part left out.
    naive_variance: f64,
    /// Variance of ln N* that the prior leaves.
    prior_variance: f64,
}

impl Model {
    fn new(visits: &[TailVisit], asked: &Asked, part: f64) -> Option<Self> {
        let (users, alpha) = (asked.users, asked.alpha);
        let totals: Vec<Counts> = visits.iter().map(|v| sum(&v.tail.blocks)).collect();
        let pooled = sum(&totals);
        let all: f64 = pooled.iter().sum();
        let late: f64 = pooled[..=LIMIT].iter().sum();
        let per_s = mean(visits, |v| v.per_s);
        if all <= 0.0 || late <= 0.0 || per_s <= 0.0 {
            return None;
        }
        let kept = kept(&pooled, alpha);
        let ratios: Vec<f64> = kept.iter().map(|&i| RATIOS[i]).collect();
        let limit = kept.iter().position(|&i| i == LIMIT)?;
        let block = |vus: f64, counts: &Counts| {
            let mut from = 0;
            let mut merged: Vec<f64> = kept
                .iter()
                .map(|&i| {
                    let n = counts[from..=i].iter().sum();
                    from = i + 1;
                    n
                })
                .collect();
            merged.push(counts[from..].iter().sum());
            Block {
                vus,
                total: merged.iter().sum(),
                counts: merged,
            }
        };
        let lags = visits.iter().map(|v| v.tail.blocks.len()).max()?;
        let limit_s = visits[0].tail.limit_s;
        let law = users.law(visits, alpha);
        let levels_per_rate = match users {
            Users::Closed => mean(visits, |v| v.vus) / per_s,
            Users::Open => 1.0,
        };
        Some(Self {
            users,
            law,
            eta: match law {
                Law::Little => (part.ln(), law.eta_sd()),
                Law::Spare => match asked.variability {
                    Some(v) => (-v.ln(), KNOWN_VARIABILITY_SD),
                    None => (0.0, law.eta_sd()),
                },
            },
            crossing: probit(alpha),
            limit_s,
            per_s,
            room: match law {
                Law::Little => per_s * limit_s,
                Law::Spare => -alpha.ln() / limit_s * levels_per_rate,
            },
            ratios,
            limit,
            visits: (visits.iter().zip(&totals))
                .map(|(v, total)| block(v.vus, total))
                .collect(),
            blocks: (visits.iter())
                .flat_map(|v| v.tail.blocks.iter().map(|b| block(v.vus, b)))
                .collect(),
            lags,
        })
    }

    /// The design effect to expect, about.
    fn usual_deff(&self, around: f64) -> f64 {
        let queue = DEFF_PER_QUEUE * (self.per_s * self.limit_s).powi(2);
        match (self.users, self.law) {
            (Users::Closed, Law::Little) => DEFF_PER_VU * around,
            (Users::Closed, Law::Spare) => queue.max(DEFF_PER_VU * around),
            (Users::Open, _) => queue.max(1.0),
        }
    }

    fn range(&self) -> (f64, f64) {
        let levels = || self.visits.iter().map(|v| v.vus);
        (
            levels().fold(f64::INFINITY, f64::min),
            levels().fold(0.0, f64::max),
        )
    }

    /// Maximises the weighted likelihood by Fisher scoring, and weighs it by the design effect that comes out.
    fn maximise(&self, around: f64) -> Option<(Vector, Sandwich)> {
        let mut theta = [SLOPE.0; D];
        theta[0] = around.ln();
        theta[1] = self.eta.0;
        let mut deff = self.usual_deff(around);
        for round in 0..ROUNDS {
            self.climb(&mut theta, 1.0 / deff)?;
            let sandwich = self.sandwich(&theta, 1.0 / deff)?;
            if round + 1 == ROUNDS {
                return Some((theta, sandwich));
            }
            deff = sandwich.deff.max(1.0);
        }
        None
    }

    fn climb(&self, theta: &mut Vector, weight: f64) -> Option<()> {
        let mut value = self.objective(theta, weight);
        let mut damping = 1e-4;
        for _ in 0..40 {
            let (mut gradient, mut information) = prior_derivatives(theta, self.eta);
            for visit in &self.visits {
                let (g, i) = self.derivatives(theta, visit);
                for a in 0..D {
                    gradient[a] += weight * g[a];
                    for b in 0..D {
                        information[a][b] += weight * i[a][b];
                    }
                }
            }
            let gain = loop {
                let mut damped = information;
                for (a, row) in damped.iter_mut().enumerate() {
                    row[a] = row[a] * (1.0 + damping) + 1e-9;
                }
                let step = solve(&damped, gradient)?;
                let mut tried = *theta;
                for (t, s) in tried.iter_mut().zip(step) {
                    *t += s.clamp(-0.3, 0.3);
                }
                let reached = self.objective(&tried, weight);
                if reached > value {
                    let gain = reached - value;
                    (*theta, value) = (tried, reached);
                    damping = f64::max(damping * 0.2, 1e-8);
                    break gain;
                }
                damping = f64::max(damping, 1e-4) * 6.0;
                if damping > 1e4 {
                    break 0.0;
                }
            };
            if gain < 1e-5 {
                break;
            }
        }
        value.is_finite().then_some(())
    }

    fn objective(&self, theta: &Vector, weight: f64) -> f64 {
        let mut sum = ln_prior(theta, self.eta);
        for visit in &self.visits {
            let mut before = 0.0;
            for (k, n) in visit.counts.iter().enumerate() {
                let share = (self.ratios.get(k)).map_or(1.0, |r| cdf(self.y(theta, visit.vus, *r)));
                sum += weight * n * f64::max(share - before, TINY).ln();
                before = share;
            }
        }
        sum
    }

    /// How far a level is from the breakpoint, in units of the shift.
    fn distance(&self, theta: &Vector, vus: f64) -> f64 {
        theta[1].exp() * (vus - theta[0].exp()) / self.room
    }

    fn y(&self, theta: &Vector, vus: f64, ratio: f64) -> f64 {
        let (shift, _) = self.law.shift(self.distance(theta, vus));
        psi(theta, self.law.axis(ratio) - shift, self.crossing).0
    }

    /// Gradient of a block's log-likelihood and its expected information.
    fn derivatives(&self, theta: &Vector, block: &Block) -> (Vector, Matrix) {
        let (mut gradient, mut information) = ([0.0; D], [[0.0; D]; D]);
        let (mut before, mut d_before) = (0.0, [0.0; D]);
        let distance = self.distance(theta, block.vus);
        let (shift, per_distance) = self.law.shift(distance);
        let per_ln_n = per_distance * theta[1].exp() * theta[0].exp() / self.room;
        for (k, n) in block.counts.iter().enumerate() {
            let (mut share, mut d_share) = (1.0, [0.0; D]);
            if let Some(ratio) = self.ratios.get(k) {
                let (y, slope, d_slopes) = psi(theta, self.law.axis(*ratio) - shift, self.crossing);
                let height = density(y);
                share = cdf(y);
                d_share[0] = height * slope * per_ln_n;
                d_share[1] = -height * slope * per_distance * distance;
                for (d, s) in d_share[2..].iter_mut().zip(d_slopes) {
                    *d = height * s;
                }
            }
            let p = f64::max(share - before, TINY);
            let mut d = [0.0; D];
            for a in 0..D {
                d[a] = d_share[a] - d_before[a];
                gradient[a] += n * d[a] / p;
            }
            for a in 0..D {
                for b in 0..=a {
                    let known = block.total * d[a] * d[b] / p;
                    information[a][b] += known;
                    if a != b {
                        information[b][a] += known;
                    }
                }
            }
            (before, d_before) = (share, d_share);
        }
        (gradient, information)
    }

    fn sandwich(&self, theta: &Vector, weight: f64) -> Option<Sandwich> {
        let mut bread = [[0.0; D]; D];
        let scores: Vec<Vector> = (self.blocks.iter())
            .map(|block| {
                let (score, information) = self.derivatives(theta, block);
                for a in 0..D {
                    for b in 0..D {
                        bread[a][b] += information[a][b];
                    }
                }
                score
            })
            .collect();
        let meat = long_run(&scores, self.lags);
        let (_, prior) = prior_derivatives(theta, self.eta);
        let mut whole = bread;
        for a in 0..D {
            for b in 0..D {
                whole[a][b] += prior[a][b] / weight;
            }
        }
        let inverse = invert(&whole)?;
        let trace = |m: &Matrix| -> f64 {
            (0..D)
                .map(|a| (0..D).map(|b| inverse[a][b] * m[b][a]).sum::<f64>())
                .sum()
        };
        let form = |m: &Matrix| -> f64 {
            (0..D)
                .map(|a| {
                    (0..D)
                        .map(|b| inverse[0][a] * m[a][b] * inverse[b][0])
                        .sum::<f64>()
                })
                .sum()
        };
        Some(Sandwich {
            deff: (trace(&meat) / trace(&bread)).max(1.0),
            naive_variance: form(&bread),
            prior_variance: form(&prior) / weight / weight,
        })
    }

    /// How far the violations counted are from those fitted, in standard errors.
    fn misfit(&self, theta: &Vector, deff: f64) -> f64 {
        let (mut excess, mut variance) = (0.0, 0.0);
        for visit in &self.visits {
            let late: f64 = visit.counts[..=self.limit].iter().sum();
            let share = cdf(self.y(theta, visit.vus, 1.0));
            excess += late - visit.total * share;
            variance += visit.total * share * (1.0 - share) * deff;
        }
        excess.abs() / variance.sqrt()
    }
}

/// A bin's probability is never less: a count in a bin that the curve excludes must not decide alone.
const TINY: f64 = 1e-7;

/// Thresholds worth keeping: shares from a fifth of `alpha` up to the body's, each clearly larger than the one before; the
/// limit always.
fn kept(pooled: &Counts, alpha: f64) -> Vec<usize> {
    let all: f64 = pooled.iter().sum();
    let mut out: Vec<usize> = Vec::new();
    let (mut share, mut last) = (0.0, 0.0);
    for (i, n) in pooled[..RATIOS.len()].iter().enumerate() {
        share += n / all;
        if i == LIMIT {
            // One just above the limit gives way to it.
            if share < last * 1.15 {
                out.pop();
            }
            out.push(i);
            last = share;
        } else if share > alpha * LEAST_SHARE && share <= BODY && share >= last * SPACING {
            out.push(i);
            last = share;
        }
    }
    out
}

/// `psi(tau)`, its slope, and its derivatives by the log slopes at the knots.
fn psi(theta: &Vector, tau: f64, crossing: f64) -> (f64, f64, [f64; KNOTS.len()]) {
    let logs = &theta[2..];
    let mut d = [0.0; KNOTS.len()];
    let mut y = crossing;
    let (mut k, mut at) = (CENTRE, 0.0);
    // Outwards from the limit, knot by knot; beyond the last the slope stays.
    let up = tau >= 0.0;
    loop {
        let next = if up { k + 1 } else { k.wrapping_sub(1) };
        let Some(&knot) = KNOTS.get(next) else {
            let slope = logs[k].exp();
            let part = slope * (tau - at);
            d[k] -= part;
            return (y - part, -slope, d);
        };
        let end = if up { tau.min(knot) } else { tau.max(knot) };
        // Gauss-Legendre with two points: the exponent moves by little between knots.
        let width = knot - at;
        for node in [0.211_324_865_4, 0.788_675_134_6] {
            let u = (end - at) * node / width;
            let part = (logs[k] + (logs[next] - logs[k]) * u).exp() * (end - at) / 2.0;
            y -= part;
            d[k] -= part * (1.0 - u);
            d[next] -= part * u;
        }
        if (up && tau <= knot) || (!up && tau >= knot) {
            let u = (tau - at) / width;
            return (y, -(logs[k] + (logs[next] - logs[k]) * u).exp(), d);
        }
        (k, at) = (next, knot);
    }
}

fn ln_prior(theta: &Vector, eta: (f64, f64)) -> f64 {
    let square = |x: f64| -0.5 * x * x;
    let mut sum =
        square((theta[1] - eta.0) / eta.1) + square((theta[2 + CENTRE] - SLOPE.0) / SLOPE.1);
    for k in 0..KNOTS.len() - 1 {
        sum += square((theta[3 + k] - theta[2 + k]) / step_sd(k));
    }
    sum
}

/// Prior standard deviation of the log slope's step from one knot to the next: a random walk.
fn step_sd(k: usize) -> f64 {
    ROUGHNESS * ((KNOTS[k + 1] - KNOTS[k]) / 0.3).sqrt()
}

/// Gradient and information (minus the second derivatives) of the log prior.
fn prior_derivatives(theta: &Vector, eta: (f64, f64)) -> (Vector, Matrix) {
    let (mut gradient, mut information) = ([0.0; D], [[0.0; D]; D]);
    for (index, (mean, sd)) in [(1, eta), (2 + CENTRE, SLOPE)] {
        gradient[index] -= (theta[index] - mean) / (sd * sd);
        information[index][index] += 1.0 / (sd * sd);
    }
    for k in 0..KNOTS.len() - 1 {
        let (a, b) = (2 + k, 3 + k);
        let precision = step_sd(k).powi(-2);
        let pull = (theta[b] - theta[a]) * precision;
        gradient[b] -= pull;
        gradient[a] += pull;
        information[a][a] += precision;
        information[b][b] += precision;
        information[a][b] -= precision;
        information[b][a] -= precision;
    }
    (gradient, information)
}

/// Long-run covariance of successive scores with Bartlett's weights (Newey and West, 1987).
fn long_run(scores: &[Vector], lags: usize) -> Matrix {
    let mut out = [[0.0; D]; D];
    for lag in 0..=lags {
        #[expect(clippy::cast_precision_loss, reason = "a handful of lags")]
        let weight = 1.0 - lag as f64 / (lags as f64 + 1.0);
        for (before, after) in scores.iter().zip(scores.iter().skip(lag)) {
            for a in 0..D {
                for b in 0..D {
                    out[a][b] += weight
                        * if lag == 0 {
                            before[a] * after[b]
                        } else {
                            before[a] * after[b] + after[a] * before[b]
                        };
                }
            }
        }
    }
    out
}

/// Solves a symmetric positive system by Cholesky's decomposition.
fn solve(matrix: &Matrix, right: Vector) -> Option<Vector> {
    let lower = cholesky(matrix)?;
    Some(substitute(&lower, right))
}

fn invert(matrix: &Matrix) -> Option<Matrix> {
    let lower = cholesky(matrix)?;
    let mut out = [[0.0; D]; D];
    for (k, column) in out.iter_mut().enumerate() {
        let mut unit = [0.0; D];
        unit[k] = 1.0;
        *column = substitute(&lower, unit);
    }
    Some(out)
}

fn cholesky(matrix: &Matrix) -> Option<Matrix> {
    let mut lower = [[0.0; D]; D];
    for a in 0..D {
        for b in 0..=a {
            let dot: f64 = (0..b).map(|k| lower[a][k] * lower[b][k]).sum();
            let rest = matrix[a][b] - dot;
            if a == b {
                if rest.is_nan() || rest <= 0.0 {
                    return None;
                }
                lower[a][a] = rest.sqrt();
            } else {
                lower[a][b] = rest / lower[b][b];
            }
        }
    }
    Some(lower)
}

fn substitute(lower: &Matrix, right: Vector) -> Vector {
    let mut x = right;
    for a in 0..D {
        let dot: f64 = (0..a).map(|k| lower[a][k] * x[k]).sum();
        x[a] = (x[a] - dot) / lower[a][a];
    }
    for a in (0..D).rev() {
        let dot: f64 = (a + 1..D).map(|k| lower[k][a] * x[k]).sum();
        x[a] = (x[a] - dot) / lower[a][a];
    }
    x
}

#[cfg(test)]
mod tests;
