//! Where a simulated system really breaks: by formula where there is one, else by long simulation.
//!
//! The truth is the largest level at which the long-run share of bad requests is within what the
//! SLO allows. It is found in two steps: a crude bracket by bisection, then many batches at three
//! levels around the crossing, a line through them on the probit scale, and its root with its
//! standard error. Batches are far longer than a system's memory, and their length is checked: the
//! standard error is the largest over batches of 1, 2, 4, ... times the length.

mod cache;
mod root;
mod sample;

pub use cache::{CacheError, KnownTruths, key};

use super::system::{Expect, System};
use crate::measure::Level;
use crate::report::lab::LabTruth;
use crate::run::Interrupt;
use crate::slo::{Metric, Objective};
use crate::stats::normal;
use crate::stats::queue::{mmc_threshold, mmcn_threshold};
use root::{Crossing, Point};
use sample::{Protocol, Sampler, Share};

/// How good the truth has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// Standard error as a fraction of the truth.
    pub se: f64,
    /// Simulated seconds after which it is as good as it is.
    pub most_s: f64,
    /// How long single looks at a level are.
    pub pace: Pace,
}

impl Default for Accuracy {
    fn default() -> Self {
        Self {
            se: 0.002,
            most_s: 4e6,
            pace: Pace::default(),
        }
    }
}

/// Simulated seconds of single looks at a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// The beginning of every steady stay, which is left out.
    pub warm_up_s: f64,
    /// A look while the bracket is crude.
    pub crude_s: f64,
    /// A look at the maximum before it counts as held.
    pub maximum_s: f64,
    /// The first round of the long simulation, over its levels.
    pub first_round_s: f64,
    /// A batch of a steady stay.
    pub batch_s: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            warm_up_s: 1_000.0,
            crude_s: 4_000.0,
            maximum_s: 20_000.0,
            first_round_s: 30_000.0,
            batch_s: 100.0,
        }
    }
}

/// Why there is no truth.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// An objective of a kind that has no long-run share.
    #[error(
        "system `{system}`: objective `{objective}` has no truth; use a quantile such as p99<2s, \
         errors<1% or shed<5%"
    )]
    Objective {
        /// The system.
        system: String,
        /// The objective.
        objective: String,
    },
    /// It breaks with a single user.
    #[error("system `{system}` breaks with 1 VU already; there is no level to search for")]
    BreaksAtOne {
        /// The system.
        system: String,
    },
    /// The longest simulation did not pin it down.
    #[error(
        "system `{system}`: its breakpoint could not be found: {reached} after {hours:.0} \
         simulated hours, where {wanted_pct} % is wanted; the share of bad requests hardly \
         changes with the level near what the SLO allows, as where some requests miss it without \
         any load. Give it an SLO that load decides: another limit or quantile"
    )]
    Uncertain {
        /// The system.
        system: String,
        /// How far the simulation came, in words.
        reached: String,
        /// Simulated hours spent.
        hours: f64,
        /// Standard error that a truth promises, percent of it.
        wanted_pct: f64,
    },
    /// The user did not want to wait.
    #[error("interrupted before the truth of `{system}` was known")]
    Interrupted {
        /// The system.
        system: String,
    },
}

/// Finds the truth; tells now and then in words how far it is.
///
/// # Errors
/// When the SLO has no long-run share, one user is too many, or the user interrupts.
pub fn find(
    system: &System,
    accuracy: Accuracy,
    threads: usize,
    interrupt: &Interrupt,
    tell: &mut dyn FnMut(String),
) -> Result<LabTruth, TruthError> {
    // Time breaks it, not load: what is true is true at the start only.
    let (system, when) = match system.expect {
        Expect::TimeDriven => (&system.at_its_start(), ", at the start of the run"),
        _ => (system, ""),
    };
    let system = &system.in_the_long_run();
    let with = Means {
        accuracy,
        threads,
        interrupt,
    };
    if let Some(grown) = system.fully_grown() {
        let truth = with.truth_of(&grown, &format!(", fully grown{when}"), tell)?;
        // It counts only where the load makes it grow so far.
        if truth
            .vus
            .is_none_or(|vus| system.grows_to_the_end_at(Level(vus)))
        {
            return Ok(truth);
        }
    }
    with.truth_of(system, when, tell)
}

/// With what a truth is found.
struct Means<'a> {
    accuracy: Accuracy,
    threads: usize,
    interrupt: &'a Interrupt,
}

impl Means<'_> {
    /// The truth of a system as it is.
    fn truth_of(
        &self,
        system: &System,
        when: &str,
        tell: &mut dyn FnMut(String),
    ) -> Result<LabTruth, TruthError> {
        if let Some(vus) = exact(system) {
            return Ok(LabTruth {
                unit: system.limits.unit,
                vus: Some(vus).filter(|v| *v < system.max.get()),
                from_above_vus: None,
                se_pct: 0.0,
                how: format!("exact{when}"),
            });
        }
        let mut simulated = |protocol: Protocol, how: &str| {
            let pace = self.accuracy.pace;
            let sampler = Sampler::new(system, protocol, pace, self.threads, self.interrupt);
            TruthSearch {
                system,
                accuracy: self.accuracy,
                sampler,
                alphas: alphas(system)?,
                spent_s: 0.0,
                tell: &mut *tell,
            }
            .run(how)
        };
        match system.expect {
            Expect::Breakpoint | Expect::NeverBroke | Expect::Bimodal | Expect::TimeDriven => {
                simulated(Protocol::Steady, &format!("simulated{when}"))
            }
            Expect::Hysteresis => {
                let below = simulated(Protocol::FromBelow, "simulated, reached from below")?;
                let above = simulated(Protocol::FromAbove, "simulated, reached from above")?;
                Ok(LabTruth {
                    unit: system.limits.unit,
                    from_above_vus: above.vus,
                    ..below
                })
            }
        }
    }
}

/// The threshold by the formula, when the system is that queue and every objective a quantile.
pub(super) fn exact(system: &System) -> Option<u32> {
    let most = system.max.get();
    let threshold: Box<dyn Fn(f64, f64) -> Option<u32>> =
        match (system.closed_queue(), system.open_queue()) {
            (Some(queue), _) => Box::new(move |q, s| mmcn_threshold(&queue, q, s, most)),
            (None, Some(queue)) => Box::new(move |q, s| mmc_threshold(&queue, q, s, most)),
            (None, None) => return None,
        };
    let thresholds = system.slo.objectives().iter().map(|o| match &o.metric {
        Metric::Quantile { q, .. } => threshold(*q, o.bound),
        // A cycle is one request, and nothing fails: as many are good as are faster than the
        // tightest limit.
        Metric::Good { limits, .. } => {
            let tightest = limits.iter().map(|limit| limit.most).min()?;
            threshold(o.bound, tightest.as_secs_f64())
        }
        // Nothing fails in such a queue.
        Metric::Errors { .. } | Metric::Shed { .. } => Some(system.max.get()),
        _ => None,
    });
    thresholds.collect::<Option<Vec<u32>>>()?.into_iter().min()
}

/// Per objective the share that it allows.
fn alphas(system: &System) -> Result<Vec<f64>, TruthError> {
    let alpha = |o: &Objective| match o.metric {
        Metric::Quantile { q, .. } => Some(1.0 - q),
        Metric::Errors { .. } | Metric::Shed { .. } if o.bound > 0.0 => Some(o.bound),
        Metric::Good { .. } if o.bound < 1.0 => Some(1.0 - o.bound),
        _ => None,
    };
    let objectives = system.slo.objectives().iter();
    objectives
        .map(|o| {
            alpha(o).ok_or_else(|| TruthError::Objective {
                system: system.name.clone(),
                objective: o.text.clone(),
            })
        })
        .collect()
}

/// A crude level this near to the crossing, in probits, is where the long simulation begins.
const NEAR_PROBITS: f64 = 0.35;
/// Distance of the outer levels from the middle one, in probits: near enough that the curve is a
/// line.
const OFFSET_PROBITS: f64 = 0.15;
/// The distance is known in levels once the slope is; before that, this share of the middle.
const FIRST_OFFSET: f64 = 0.01;
/// A level is near the crossing only once it is bracketed within this ratio. Far below, where
/// nothing queues, the share may be flat and near what is allowed by itself: some requests are long
/// whatever the load.
const NEAR_RATIO: f64 = 1.25;
/// A standard error this many times the one promised is no truth: what the lab counts against it
/// would be chance.
const REFUSED: f64 = 10.0;

struct TruthSearch<'a, 'b> {
    system: &'a System,
    accuracy: Accuracy,
    sampler: Sampler<'a>,
    alphas: Vec<f64>,
    spent_s: f64,
    tell: &'b mut dyn FnMut(String),
}

/// Where the crude bracket ended.
enum Crude {
    /// It holds up to the maximum.
    NeverBreaks,
    /// Neighbouring levels lie far on both sides: a step.
    Step(Level),
    /// Near this level.
    Near(Level),
}

impl TruthSearch<'_, '_> {
    fn run(mut self, how: &str) -> Result<LabTruth, TruthError> {
        let (vus, se, how) = match self.crude()? {
            Crude::NeverBreaks => (None, 0.0, how.to_owned()),
            Crude::Step(level) => (Some(level.get()), 0.0, format!("{how}, a step")),
            Crude::Near(level) => {
                let crossing = self.refine(level)?;
                self.refuse_uncertain(crossing)?;
                // The largest whole number of VUs at or below the crossing.
                let vus = Level::nearest(crossing.at.floor()).get();
                (Some(vus), crossing.se / crossing.at, how.to_owned())
            }
        };
        Ok(LabTruth {
            unit: self.system.limits.unit,
            vus,
            from_above_vus: None,
            se_pct: 100.0 * se,
            how,
        })
    }

    /// How far the worst objective is beyond its bound at a level, in probits.
    fn excess(&mut self, level: Level, seconds: f64) -> Result<f64, TruthError> {
        let shares = self.sample(&[level], seconds)?;
        let excesses = shares[0].iter().zip(&self.alphas);
        Ok(excesses
            .map(|(share, alpha)| share.probit() - normal::probit(*alpha))
            .fold(f64::NEG_INFINITY, f64::max))
    }

    /// Per level, per objective.
    fn sample(&mut self, levels: &[Level], seconds: f64) -> Result<Vec<Vec<Share>>, TruthError> {
        #[expect(clippy::cast_precision_loss, reason = "a handful of levels")]
        let levels_f64 = levels.len() as f64;
        self.spent_s += seconds * levels_f64;
        self.sampler
            .sample(levels, seconds)
            .ok_or_else(|| TruthError::Interrupted {
                system: self.system.name.clone(),
            })
    }

    /// What cannot be relied upon must not be kept as a truth.
    fn refuse_uncertain(&self, crossing: Crossing) -> Result<(), TruthError> {
        let se = crossing.se / crossing.at;
        if se <= REFUSED * self.accuracy.se {
            return Ok(());
        }
        Err(TruthError::Uncertain {
            system: self.system.name.clone(),
            reached: if se.is_finite() {
                format!("its standard error is {:.0} %", 100.0 * se)
            } else {
                "no slope showed".to_owned()
            },
            hours: self.spent_s / 3600.0,
            wanted_pct: 100.0 * self.accuracy.se,
        })
    }

    /// A crude look at one level.
    fn try_level(&mut self, level: Level) -> Result<f64, TruthError> {
        (self.tell)(format!(
            "truth of {}: trying {}",
            self.system.name,
            self.system.limits.unit.count(level)
        ));
        self.excess(level, self.accuracy.pace.crude_s)
    }

    /// Doubles until a level breaks, then bisects until a level is near the crossing by its share
    /// *and* by its bracket.
    fn crude(&mut self) -> Result<Crude, TruthError> {
        let (mut low, mut below) = (Level::ZERO, f64::NEG_INFINITY);
        let mut high = self.system.start.max(Level(1)).min(self.system.max);
        let mut above = self.try_level(high)?;
        while above <= 0.0 {
            (low, below) = (high, above);
            if high >= self.system.max {
                let sure = self.excess(high, self.accuracy.pace.maximum_s)?;
                return Ok(if sure <= 0.0 {
                    Crude::NeverBreaks
                } else {
                    Crude::Near(high)
                });
            }
            high = Level(high.get().saturating_mul(2)).min(self.system.max);
            above = self.try_level(high)?;
        }
        while high.get() - low.get() > 1 {
            let middle = Level(low.get() + (high.get() - low.get()) / 2);
            let excess = self.try_level(middle)?;
            let ratio = f64::from(high.get()) / f64::from(low.get());
            if excess.abs() < NEAR_PROBITS && ratio <= NEAR_RATIO {
                return Ok(Crude::Near(middle));
            }
            if excess > 0.0 {
                (high, above) = (middle, excess);
            } else {
                (low, below) = (middle, excess);
            }
        }
        if low == Level::ZERO {
            return Err(TruthError::BreaksAtOne {
                system: self.system.name.clone(),
            });
        }
        // Neighbours that lie far on both sides are a step.
        Ok(if below.abs().min(above) < NEAR_PROBITS {
            Crude::Near(low)
        } else {
            Crude::Step(low)
        })
    }

    /// The long simulation: three levels, and rounds until the root is known well enough.
    fn refine(&mut self, near: Level) -> Result<Crossing, TruthError> {
        let mut centre = f64::from(near.get());
        let mut offset = FIRST_OFFSET;
        let mut seconds = self.accuracy.pace.first_round_s;
        self.sampler.forget();
        loop {
            let levels = around(centre, offset, self.system.max);
            #[expect(clippy::cast_precision_loss, reason = "a handful of levels")]
            let each = seconds / levels.len() as f64;
            let shares = self.sample(&levels, each)?;
            let crossing = self.crossing(&levels, &shares);
            let Some(crossing) = crossing.filter(|c| c.at > 0.0 && c.at.is_finite()) else {
                // Noise hides the slope: look from further away, for longer.
                (offset, seconds) = (offset * 1.5, seconds * 2.0);
                self.sampler.forget();
                if self.spent_s > self.accuracy.most_s {
                    let (at, se, slope) = (centre, f64::NAN, 0.0);
                    return Ok(Crossing { at, se, slope });
                }
                continue;
            };
            let se = crossing.se / crossing.at;
            (self.tell)(format!(
                "truth of {}: {:.1} {}, standard error {:.2} % after {:.0} simulated hours",
                self.system.name,
                crossing.at,
                self.system.limits.unit.name(),
                100.0 * se,
                self.spent_s / 3600.0
            ));
            let wanted = (OFFSET_PROBITS / crossing.slope).clamp(0.002, 0.1);
            let off_centre = (crossing.at / centre - 1.0).abs() > offset.max(1.0 / centre);
            if off_centre || wanted > 3.0 * offset || wanted < offset / 3.0 {
                if self.spent_s > self.accuracy.most_s {
                    return Ok(crossing);
                }
                let whole = around(crossing.at, wanted, self.system.max);
                if whole != levels {
                    (centre, offset) = (crossing.at.clamp(centre * 0.8, centre * 1.2), wanted);
                    self.sampler.forget();
                    continue;
                }
            }
            if se <= self.accuracy.se || self.spent_s > self.accuracy.most_s {
                return Ok(crossing);
            }
            // As much more as the present error calls for, but no more than four times what there
            // is.
            let more = (se / self.accuracy.se).powi(2).clamp(1.3, 4.0) - 1.0;
            seconds = (self.sampler.kept_s() * more).max(self.accuracy.pace.first_round_s);
        }
    }

    /// The lowest crossing over the objectives.
    fn crossing(&self, levels: &[Level], shares: &[Vec<Share>]) -> Option<Crossing> {
        let of = |objective: usize, alpha: f64| {
            let points: Vec<Point> = levels
                .iter()
                .zip(shares)
                .map(|(level, shares)| Point {
                    level: f64::from(level.get()),
                    probit: shares[objective].probit(),
                    se: shares[objective].probit_se(),
                })
                .collect();
            root::crossing(&points, normal::probit(alpha))
        };
        let crossings = self.alphas.iter().enumerate();
        crossings
            .filter_map(|(i, alpha)| of(i, *alpha))
            .filter(|c| c.slope > 0.0)
            .min_by(|a, b| a.at.total_cmp(&b.at))
    }
}

/// Three levels around a centre, or fewer where they fall together.
fn around(centre: f64, offset: f64, max: Level) -> Vec<Level> {
    let apart = (centre * offset).max(1.0);
    let mut levels: Vec<Level> = [centre - apart, centre, centre + apart]
        .map(|vus| Level::nearest(vus).min(max))
        .to_vec();
    levels.dedup();
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(system: &System, accuracy: Accuracy) -> Result<LabTruth, TruthError> {
        let interrupt = Interrupt::default();
        TruthSearch {
            system,
            accuracy,
            sampler: Sampler::new(system, Protocol::Steady, Pace::default(), 2, &interrupt),
            alphas: alphas(system).unwrap(),
            spent_s: 0.0,
            tell: &mut |_| {},
        }
        .run("simulated")
    }

    /// 16 servers at once for all, of which the service time alone is above `limit` now and then.
    fn shared(limit: &str) -> System {
        let text = format!(
            "name = \"shared\"\ntitle = \"t\"\nslo = [\"p99<{limit}\"]\n\
             [think]\nkind = \"constant\"\nmean = \"4s\"\n\
             [service]\nservers = 16\ndiscipline = \"processor_sharing\"\n\
             kind = \"lognormal\"\nmean = \"100ms\"\ncv2 = 4.0\n"
        );
        System::from_toml(&text).unwrap()
    }

    #[test]
    fn a_share_that_is_nearly_what_is_allowed_without_load_does_not_end_the_bracket() {
        // A log-normal service of mean 100 ms and cv2 4 lasts 1 s or longer in 0.72 % of the cases:
        // 0.12 probits from 1 %.
        let accuracy = Accuracy {
            se: 0.01,
            most_s: 1e6,
            ..Accuracy::default()
        };
        let truth = searched(&shared("1s"), accuracy).unwrap();
        // 160 requests a second and a cycle of 4.1 s at least: 656 VUs saturate it.
        let vus = truth.vus.unwrap();
        assert!((300..656).contains(&vus), "{truth:?}");
        assert!(truth.se_pct <= 100.0 * REFUSED * accuracy.se, "{truth:?}");
    }

    #[test]
    fn what_long_simulation_does_not_pin_down_is_refused() {
        let system = &System::shipped()[0];
        let interrupt = Interrupt::default();
        let search = TruthSearch {
            system,
            accuracy: Accuracy::default(),
            sampler: Sampler::new(system, Protocol::Steady, Pace::default(), 1, &interrupt),
            alphas: alphas(system).unwrap(),
            spent_s: 4e6,
            tell: &mut |_| {},
        };
        let with = |se: f64| {
            let (at, slope) = (2_074.0, 0.1);
            search.refuse_uncertain(Crossing { at, se, slope })
        };
        assert!(with(2_074.0 * 0.019).is_ok());
        for se in [2_074.0 * 0.021, 2.02 * 2_074.0, f64::INFINITY, f64::NAN] {
            let text = with(se).unwrap_err().to_string();
            assert!(
                text.contains("system `a`") && text.contains("SLO"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_truth_of_a_system_that_grows_is_that_of_the_grown_one_where_load_makes_it_grow() {
        let text = |slo: &str, servers: u32, tables: &str| {
            format!(
                "name = \"grows\"\ntitle = \"t\"\nslo = [\"{slo}\"]\n\
                 [think]\nkind = \"exponential\"\nmean = \"5s\"\n\
                 [service]\nservers = {servers}\nkind = \"exponential\"\nmean = \"50ms\"\n\
                 [growth]\nabove = 0.7\nafter = \"30s\"\ndelay = \"45s\"\nmost = 8\n{tables}"
            )
        };
        let find = |text: &str| {
            let system = System::from_toml(text).unwrap();
            let accuracy = Accuracy::default();
            find(&system, accuracy, 2, &Interrupt::default(), &mut |_| {}).unwrap()
        };
        let grown = find(&text("p99<2s", 2, ""));
        assert_eq!(grown.vus, Some(1040));
        assert_eq!(grown.how, "exact, fully grown");
        // Ten users with connections keep 0.1 servers busy: it breaks before it grows.
        let small = find(&text("errors<1%", 2, "[connections]\nmost = 10\n"));
        assert_eq!(small.vus, Some(10));
        assert_eq!(small.how, "simulated, a step");
    }

    #[test]
    fn the_long_simulation_agrees_with_the_formula() {
        let system = &System::shipped()[0];
        assert_eq!(exact(system), Some(1040));
        let accuracy = Accuracy {
            se: 0.01,
            most_s: 1e5,
            ..Accuracy::default()
        };
        let truth = searched(system, accuracy).unwrap();
        let error = 100.0 * (f64::from(truth.vus.unwrap()) / 1040.0 - 1.0);
        assert!(truth.se_pct > 0.0 && truth.se_pct < 1.5, "{truth:?}");
        assert!(error.abs() < 3.0 * truth.se_pct + 0.1, "{error} {truth:?}");
    }
}
