//! Why there is no answer yet, or an interval and no number: what a budget that ended may not hide.

use std::collections::BTreeSet;

use super::bounds::{self, Side};
use super::stop_rule::MIN_VISITS;
use super::{Estimate, Search, Visit};
use crate::measure::Level;
use crate::slo::{Evidence, Verdict};
use crate::stats::fit::Basis;
use crate::units;

/// A half-width from which an interval names no number: its middle would be a guess.
const NUMBER: f64 = 0.25;
/// Fewest full holds that a number rests on.
pub(super) const FULL_HOLDS: usize = 2;
/// Share of the requests of a short hold that are bad beyond doubt.
const FIRM: f64 = 0.15;
/// Levels above an estimate up to which one must have been seen to break clearly, as multiples of
/// it.
const CLEARLY_WITHIN: f64 = 2.2;
/// How clearly: standard deviations of a count above what is allowed.
const CLEARLY_SD: f64 = 3.0;
/// How much more a level that held is served than one that broke below it, for them to be of two
/// services: as much as makes a growth ([`super::growth`]).
const SERVED_MORE: f64 = 1.3;

impl Search {
    /// What a half-width is beside the one asked for, in words.
    pub(super) fn against_asked(&self, estimate: &Estimate) -> String {
        let asked = self.spec.precision * 100.0;
        if self.is_sure(estimate) {
            format!("requested ±{asked:.1} %")
        } else if estimate.half_width() <= self.spec.precision {
            format!("requested ±{asked:.1} %, not yet certain")
        } else {
            format!("requested ±{asked:.1} %")
        }
    }

    /// Whether some level above was broken by a full hold, or by a short one beyond doubt. A few
    /// bad requests in a few seconds say nothing where some requests are always late.
    pub(super) fn ceiling_is_firm(&self) -> bool {
        let beyond_doubt = |v: &Visit| {
            v.overran()
                || v.overflows
                || v.evidence.iter().any(|e| match *e {
                    Evidence::Share { bad, total, .. } => bad > FIRM * total,
                    Evidence::LogRatio(_) | Evidence::Side { .. } => e.is_violated(),
                    Evidence::None => false,
                })
        };
        (self.visits.iter().filter(|v| v.counts()))
            .filter(|v| bounds::side(v) == Some(Side::Broke))
            .any(|v| bounds::is_full(v) || beyond_doubt(v))
    }

    /// At how many levels a hold broke; what only leaned to it did not.
    pub(super) fn broken_levels(&self) -> usize {
        let leaned = |v: &&Visit| v.verdict == Verdict::Undecided;
        let broken = (self.visits.iter())
            .filter(|v| v.counts() && bounds::side(v) == Some(Side::Broke))
            .filter(|v| !leaned(v))
            .map(|v| v.level);
        broken.collect::<BTreeSet<Level>>().len()
    }

    /// Why the upper bound is none, where only a short hold broke it and the last full hold below
    /// held so well that the breakpoint must lie above it: it met a cold start, or a service that
    /// has grown since.
    pub(super) fn ceiling_is_contradicted(&self) -> Option<String> {
        let broke = bounds::relevant(&self.visits).broke?;
        let full: Vec<&Visit> = (self.visits.iter())
            .filter(|v| v.counts() && bounds::is_full(v))
            .collect();
        self.is_far_below(&full, broke).then(|| {
            format!(
                "the budget of {} ran out before a full hold at {}, where a short one broke: \
                 the holds below it were so fast that the breakpoint must be higher by now; \
                 allow about {} more minutes (--budget)",
                units::format_seconds(self.spec.budget.as_secs_f64()),
                self.spec.unit.count(broke),
                self.minutes_to_decide(),
            )
        })
    }

    /// Why there is no upper bound, where full holds held at every level that ever broke: what
    /// broke it then came by chance or is gone, and nothing that was visited is too much.
    pub(super) fn ceiling_is_refuted(&self, estimate: &Estimate) -> Option<String> {
        if matches!(estimate.fit.basis, Basis::Events | Basis::Law) {
            // These weigh what came by chance, or know the limit by more than the levels that
            // broke.
            return None;
        }
        let broken = |v: &&Visit| v.counts() && bounds::side(v) == Some(Side::Broke);
        let highest = self.visits.iter().filter(broken).map(|v| v.level).max()?;
        let held = bounds::full(&self.visits, Side::Held)
            .map(|v| v.level)
            .max()?;
        (held >= highest).then(|| {
            format!(
                "the budget of {} ran out with no level that reliably breaks: {} broke, but {} \
                 held for a full hold; allow about {} more minutes (--budget)",
                units::format_seconds(self.spec.budget.as_secs_f64()),
                self.spec.unit.count(highest),
                self.spec.unit.count(held),
                self.minutes_to_decide(),
            )
        })
    }

    /// Why the interval is none, where a level above it held and was served more than what broke in
    /// between: that broke a slower service than the one that held, such as one that had just been
    /// started anew, and nobody knows yet which of them stays.
    pub(super) fn served_more_above(&self, estimate: &Estimate) -> Option<String> {
        if matches!(estimate.fit.basis, Basis::Events) {
            return None;
        }
        let counts = || self.visits.iter().filter(|v| v.counts());
        let above = |v: &&Visit| f64::from(v.level.get()) > estimate.high;
        let best = counts()
            .filter(above)
            .filter(|v| v.verdict == Verdict::Held)
            .max_by(|a, b| {
                a.throughput
                    .unwrap_or(0.0)
                    .total_cmp(&b.throughput.unwrap_or(0.0))
            })?;
        let broke = counts()
            .filter(|v| v.verdict == Verdict::Broke && v.level <= best.level)
            .filter(|v| f64::from(v.level.get()) > estimate.vus)
            .filter_map(|v| Some((v.throughput?, v.level)))
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        let per_s = best.throughput?;
        (per_s > SERVED_MORE * broke.0).then(|| {
            format!(
                "{} held at {per_s:.1} cycles/s, but {} broke at {:.1}: the service was slower \
                 then, or is slower now; allow about {} more minutes (--budget)",
                self.spec.unit.count(best.level),
                self.spec.unit.count(broke.1),
                broke.0,
                self.minutes_to_decide(),
            )
        })
    }

    /// Why there is no answer where no level above it, and not far off, was clearly more than the
    /// SLO allows. Where some requests are bad at any load, nearly as many as are allowed, any
    /// level breaks now and then, and a crossing is where chance puts it.
    pub(super) fn nothing_breaks_clearly(&self, estimate: &Estimate) -> Option<String> {
        let alpha = self.alpha(estimate)?;
        let above = estimate.vus..=estimate.vus * CLEARLY_WITHIN + 1.0;
        let (mut bad, mut allowed) = (0.0, 0.0);
        for visit in self.visits.iter().filter(|v| v.counts()) {
            if visit.crashed_after_s.is_some() || visit.overflows {
                return None;
            }
            if let Some(Evidence::Share { bad: b, total, .. }) =
                visit.evidence.get(estimate.binding)
                && above.contains(&f64::from(visit.level.get()))
            {
                bad += b;
                allowed += alpha * total;
            }
        }
        let unclear = allowed > 0.0 && bad - allowed < CLEARLY_SD * allowed.max(1.0).sqrt();
        unclear.then(|| {
            let shares = bad / allowed * alpha * 100.0;
            format!(
                "the budget of {} ran out with no level that clearly breaks: {shares:.2} % of \
                 the requests are bad above {} ({:.2} % are allowed), and nearly as many at \
                 lower levels; allow about {} more minutes (--budget)",
                units::format_seconds(self.spec.budget.as_secs_f64()),
                self.spec.unit.count(Level::nearest(estimate.vus)),
                alpha * 100.0,
                self.minutes_to_decide(),
            )
        })
    }

    /// Why the interval names no number, if it does not.
    pub(super) fn no_number(&self, estimate: &Estimate) -> Option<String> {
        let full = |of: Side| bounds::full(&self.visits, of).count();
        let (held, broke) = (full(Side::Held), full(Side::Broke));
        if estimate.fit.basis == Basis::Bracket {
            return Some("no curve fits the visits yet".to_owned());
        }
        if held + broke < FULL_HOLDS {
            return Some(match held + broke {
                0 => "no full hold fit in".to_owned(),
                _ => "only one full hold fit in".to_owned(),
            });
        }
        let (named_held, named_broke) = bounds::around(&self.visits, estimate.vus);
        if held > 0 && broke > 0 && (named_held.is_none() || named_broke.is_none()) {
            return Some("one side of it has no firm verdict yet".to_owned());
        }
        match (held, broke) {
            (0, _) => Some("no full hold has held yet".to_owned()),
            (_, 0) => Some("no full hold has broken yet".to_owned()),
            _ => (estimate.half_width() > NUMBER).then(|| {
                let Estimate { low, high, .. } = estimate.as_bracket();
                let half_width = (high - low) / (high + low) * 100.0;
                format!("the interval is ±{half_width:.0} %")
            }),
        }
    }

    /// Why there is no answer where the service grew and was not seen to break since.
    pub(super) fn grew_too_late(&self) -> Option<String> {
        let growth = self.growths.last()?;
        let breaks = bounds::full(&self.visits, Side::Broke).next().is_some();
        let holds = bounds::full(&self.visits, Side::Held).next().is_some();
        (!breaks || !holds).then(|| {
            let noticed = growth.noticed(self.first_seen_s());
            format!(
                "{}; the budget of {} ran out before the new breakpoint was found (raise \
                 --budget)",
                noticed.text,
                units::format_seconds(self.spec.budget.as_secs_f64())
            )
        })
    }

    /// A rough forecast: the doublings still to make and a minimal set of visits.
    pub(super) fn minutes_to_decide(&self) -> u32 {
        let highest = self
            .visits
            .iter()
            .map(|v| v.level.get())
            .max()
            .unwrap_or(1)
            .max(1);
        let doublings = if bounds::relevant(&self.visits).broke.is_some() {
            0.0
        } else {
            (f64::from(self.spec.max.get()) / f64::from(highest))
                .log2()
                .max(0.0)
                .ceil()
        };
        let near = self.estimate.as_ref().map_or(0, |e| e.fit.visits);
        #[expect(clippy::cast_precision_loss, reason = "a handful of visits")]
        let visits = (MIN_VISITS.saturating_sub(near)).max(1) as f64 + doublings;
        let cost = self
            .visits
            .iter()
            .rev()
            .take(4)
            .map(|v| v.cost_s)
            .fold(20.0, f64::max);
        Level::nearest((visits * cost / 60.0).ceil()).get()
    }
}
