//! The search alone, fed with made-up visits: no engine, no clock, no noise but that of a test's
//! own making.

#![expect(clippy::cast_precision_loss, reason = "counts of a test")]
#![expect(clippy::needless_pass_by_value, reason = "builders of a test")]

use proptest::prelude::*;

use super::bracket::MAX_RETRIES;
use super::*;
use crate::record::Outlook;
use crate::slo::{Evidence, Verdict};

mod answer;
mod bracket;
mod budget;

const MODEL: CycleModel = CycleModel {
    think_s: 1.0,
    limit_s: Some(2.0),
};

const SHARE: Link = Link::Share { alpha: 0.01 };

fn spec(min: u32, max: u32, start: u32) -> SearchSpec {
    SearchSpec {
        min: Level(min),
        max: Level(max),
        start: Level(start),
        // Ample: whoever tests the budget's end says so.
        budget: Duration::from_secs(1_000_000),
        ..SearchSpec::default()
    }
}

fn visit(order: &Order, verdict: Verdict, evidence: Evidence) -> Visit {
    Visit {
        probe: 0,
        level: order.level,
        from: Level(1),
        began_s: 0.0,
        crashed_after_s: None,
        purpose: order.purpose,
        verdict,
        valid: true,
        left_early: verdict == Verdict::Broke,
        evidence: vec![evidence],
        tails: Vec::new(),
        // No knee: throughput grows with the level.
        throughput: Some(f64::from(order.level.get()) / 1.5),
        latency: None,
        hold_s: order.hold_s,
        cost_s: order.hold_s + 10.0,
        flow: Vec::new(),
        outgrown: false,
        earlier: false,
        overflows: false,
    }
}

/// A visit of 30 s that was made for this and came to that, and showed nothing else.
pub(super) fn at(vus: u32, purpose: Purpose, verdict: Verdict) -> Visit {
    let order = Order {
        level: Level(vus),
        purpose,
        hold_s: 30.0,
        from_rest: false,
        settle_min_s: 3.0,
        settle_cycles: 1.0,
        within_s: 1_000.0,
    };
    visit(&order, verdict, Evidence::None)
}

/// A search that is about the share of failures, with these visits.
pub(super) fn search_of(visits: Vec<Visit>) -> Search {
    let mut search = Search::new(spec(1, 5_000, 10), MODEL, vec![SHARE]);
    search.visits = visits;
    search
}

/// So many seconds at a level, each with as many completed and in flight, at this latency.
pub(super) fn seconds(n: usize, per_s: f64, in_flight: f64, latency_s: f64) -> Vec<Flow> {
    let second = Flow {
        at_level: true,
        completed: per_s,
        failed: 0.0,
        in_flight,
        waited_s: per_s * latency_s,
    };
    vec![second; n]
}

fn verdict_of(broke: bool) -> Verdict {
    if broke { Verdict::Broke } else { Verdict::Held }
}

/// A target that is well up to `last_good` VUs and fails everything beyond.
fn cliff(order: &Order, last_good: u32) -> Visit {
    let broke = order.level.get() > last_good;
    let evidence = Evidence::Share {
        bad: if broke { 1_000.0 } else { 0.0 },
        total: 1_000.0,
        alpha: 0.01,
    };
    visit(order, verdict_of(broke), evidence)
}

/// The same, told by a side alone.
fn edge(order: &Order, last_good: u32) -> Visit {
    let broke = order.level.get() > last_good;
    visit(order, verdict_of(broke), Evidence::Side { broke })
}

/// A visit that saw nothing.
fn silent(order: &Order) -> Visit {
    Visit {
        throughput: Some(0.0),
        ..visit(order, Verdict::Undecided, Evidence::None)
    }
}

struct Driven {
    search: Search,
    orders: Vec<Order>,
    end: Conclusion,
}

impl Driven {
    fn levels(&self) -> Vec<u32> {
        self.orders.iter().map(|o| o.level.get()).collect()
    }

    fn visit(&self, index: Option<usize>) -> &Visit {
        &self.search.visits()[index.expect("the conclusion names a visit")]
    }
}

/// More probes than any search may need.
const MOST: usize = 400;

fn drive(spec: SearchSpec, link: Link, mut target: impl FnMut(&Order) -> Visit) -> Driven {
    let (min, max) = (spec.min, spec.max);
    let mut search = Search::new(spec, MODEL, vec![link]);
    let mut orders = Vec::new();
    let mut elapsed_s = 0.0;
    loop {
        match search.next(elapsed_s) {
            Step::Done(end) => {
                return Driven {
                    search,
                    orders,
                    end: *end,
                };
            }
            Step::Probe(order) => {
                assert!(order.level >= min && order.level <= max, "{order:?}");
                assert!(order.hold_s > 0.0 && order.settle_min_s > 0.0, "{order:?}");
                assert!(orders.len() < MOST, "does not end: {orders:?}");
                let visit = Visit {
                    probe: orders.len(),
                    ..target(&order)
                };
                elapsed_s += visit.cost_s;
                orders.push(order);
                search.record(visit);
            }
        }
    }
}

fn with_budget(seconds: u64, spec: SearchSpec) -> SearchSpec {
    SearchSpec {
        budget: Duration::from_secs(seconds),
        ..spec
    }
}

/// A smooth crossing: one in a hundred late at `n_star`, more above; `shift` moves this visit's
/// share (probit scale).
fn soft(order: &Order, n_star: f64, shift: f64) -> Visit {
    let y = crate::stats::normal::probit(0.01)
        + 4.0 * (f64::from(order.level.get()) / n_star - 1.0)
        + shift;
    let total = 2_000.0;
    let bad = (total * crate::stats::normal::log_cdf(y).exp()).round();
    let verdict = match bad {
        b if b > 26.0 => Verdict::Broke,
        b if b < 14.0 => Verdict::Held,
        _ => Verdict::Undecided,
    };
    visit(
        order,
        verdict,
        Evidence::Share {
            bad,
            total,
            alpha: 0.01,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn it_ends_whatever_the_visits_say(
        verdicts in proptest::collection::vec((0..3_u8, 0..12_u8), 1..60),
        (min, max, start) in (1..200_u32, 0..3_000_u32, 0..3_000_u32)
            .prop_map(|(min, range, start)| (min, min + range, min + start.min(range))),
        budget in 60..2_000_u64,
    ) {
        let mut told = verdicts.iter().cycle();
        let driven = drive(with_budget(budget, spec(min, max, start)), SHARE, |o| {
            let (verdict, kind) = told.next().copied().unwrap_or_default();
            let verdict = [Verdict::Held, Verdict::Undecided, Verdict::Broke][usize::from(verdict)];
            match kind {
                0 => silent(o),
                1 => Visit { valid: false, ..silent(o) },
                _ => {
                    let bad = f64::from(kind - 2) * 8.0;
                    visit(o, verdict, Evidence::Share { bad, total: 2_000.0, alpha: 0.01 })
                }
            }
        });
        if driven.end.ending == Ending::Found {
            let estimate = driven.end.estimate.as_ref().unwrap();
            prop_assert!(estimate.low <= estimate.vus && estimate.vus <= estimate.high);
            let held = driven.visit(driven.end.last_held);
            let broke = driven.visit(driven.end.first_broke);
            let (below, above) = (held.level.get(), broke.level.get());
            prop_assert!(held.verdict == Verdict::Held && f64::from(below) <= estimate.vus);
            prop_assert!(broke.verdict == Verdict::Broke && f64::from(above) > estimate.vus);
        }
    }
}

/// A search that was told these visits: level, why it was made, whether it broke.
fn told_of(visits: &[(u32, Purpose, bool)]) -> Search {
    let seen = |v: &(u32, Purpose, bool)| at(v.0, v.1, verdict_of(v.2));
    search_of(visits.iter().map(seen).collect())
}
