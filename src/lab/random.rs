//! Systems drawn at random from a broad family, so that a search is judged on what it was not made
//! for.
//!
//! Pure: the same seed and index give the same system. Its kind depends on the index alone, so that
//! draws that are thrown away (no breakpoint within reach, too costly) do not change how often each
//! kind is searched.

mod family;
mod law;
pub mod run;
mod sheet;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::seed;
use super::truth::{Accuracy, Pace};
use sheet::Sheet;

/// Most requests per second of a drawn system: more would only cost time.
const MOST_PER_S: f64 = 4_000.0;

/// The dominant trait of a drawn system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemKind {
    /// Exponential service and nothing else.
    Plain,
    /// All services as long.
    Constant,
    /// Service times with a long tail.
    HeavyTail,
    /// Several kinds of requests.
    Mix,
    /// Requests that are late at any load, fewer than the SLO allows.
    TailAtRest,
    /// Stop-the-world pauses.
    Pauses,
    /// Somebody else takes CPU from time to time.
    Neighbour,
    /// Something turns requests away: shedding, an admission limit, a token bucket, connections, a
    /// cliff.
    Limit,
    /// Requests that fail while the queue is long, some or all.
    Errors,
    /// A process that is killed above its memory.
    Memory,
    /// A process that is slow at first.
    WarmUp,
    /// Servers that are added.
    Growth,
    /// Rare times in which nobody answers.
    Outage,
    /// Several effects at once.
    Several,
    /// Arrivals at a rate, exponential service.
    OpenPlain,
    /// Arrivals at a rate, service times with a long tail.
    OpenHeavy,
    /// Arrivals at a rate and one of the effects.
    OpenOther,
}

impl SystemKind {
    /// Those with VUs that think.
    const CLOSED: [Self; 14] = [
        Self::Plain,
        Self::Constant,
        Self::HeavyTail,
        Self::Mix,
        Self::TailAtRest,
        Self::Pauses,
        Self::Neighbour,
        Self::Limit,
        Self::Errors,
        Self::Memory,
        Self::WarmUp,
        Self::Growth,
        Self::Outage,
        Self::Several,
    ];
    /// Those with arrivals.
    const OPEN: [Self; 3] = [Self::OpenPlain, Self::OpenHeavy, Self::OpenOther];
    /// Share of the systems with arrivals.
    const OPEN_SHARE: f64 = 0.2;

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Constant => "constant",
            Self::HeavyTail => "heavy-tail",
            Self::Mix => "mix",
            Self::TailAtRest => "tail-at-rest",
            Self::Pauses => "pauses",
            Self::Neighbour => "neighbour",
            Self::Limit => "limit",
            Self::Errors => "errors",
            Self::Memory => "memory",
            Self::WarmUp => "warm-up",
            Self::Growth => "growth",
            Self::Outage => "outage",
            Self::Several => "several",
            Self::OpenPlain => "open-plain",
            Self::OpenHeavy => "open-heavy",
            Self::OpenOther => "open-other",
        }
    }

    fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
    }

    /// Whether some of its effects come so seldom that much time has to be simulated.
    fn is_slow(self) -> bool {
        matches!(
            self,
            Self::Pauses | Self::Neighbour | Self::Outage | Self::Several | Self::OpenOther
        )
    }

    fn of(seed: u64, index: u32) -> Self {
        let mut rng = rng(&[seed, index.into(), 0x6B69]);
        let from: &[Self] = if rng.random::<f64>() < Self::OPEN_SHARE {
            &Self::OPEN
        } else {
            &Self::CLOSED
        };
        from[rng.random_range(0..from.len())]
    }
}

/// Why a draw is thrown away and drawn again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejected {
    /// More requests per second than are worth their time.
    Costly,
    /// No limit that fits the service is reached with the levels that a search may try.
    OutOfReach,
    /// The SLO holds up to the highest level.
    NeverBreaks,
    /// It breaks below 2.
    BreaksAtOnce,
    /// The time for its truth did not pin it down.
    Uncertain,
}

impl Rejected {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Costly,
        Self::OutOfReach,
        Self::NeverBreaks,
        Self::BreaksAtOnce,
        Self::Uncertain,
    ];

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Costly => "more than 4 000 requests/s",
            Self::OutOfReach => "no sensible limit within reach of the highest level",
            Self::NeverBreaks => "never breaks",
            Self::BreaksAtOnce => "breaks below 2",
            Self::Uncertain => "its breakpoint stayed uncertain",
        }
    }
}

/// A drawn system.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// Its dominant trait.
    pub kind: SystemKind,
    /// The file.
    pub text: String,
    /// How well its truth has to be known, and what that may cost.
    pub accuracy: Accuracy,
}

/// The `attempt`-th draw of a system.
///
/// # Errors
/// When it is known without a simulation that it is of no use.
pub fn draw(seed: u64, index: u32, attempt: u32) -> Result<Draw, Rejected> {
    let kind = SystemKind::of(seed, index);
    let mut rng = rng(&[seed, index.into(), attempt.into(), 0x6472]);
    let sheet = family::sheet(kind, &mut rng)?;
    if sheet.capacity_per_s() > MOST_PER_S {
        return Err(Rejected::Costly);
    }
    Ok(Draw {
        kind,
        text: sheet.text(&name(index)),
        accuracy: accuracy(&sheet),
    })
}

/// The name of a drawn system.
pub fn name(index: u32) -> String {
    format!("r{index:04}")
}

fn rng(parts: &[u64]) -> SmallRng {
    SmallRng::seed_from_u64(seed::mixed(parts))
}

/// Standard error that is aimed at, as a fraction: well below the half-widths of short searches.
const SE: f64 = 0.005;
/// Requests that a truth may cost in its long simulation, and in one crude look: some seconds of a
/// processor in all.
const MOST_REQUESTS: f64 = 2.5e7;
const CRUDE_REQUESTS: f64 = 2.5e5;
/// Requests of a batch; a standard error needs twenty batches, and here are forty per level in the
/// first round.
const BATCH_REQUESTS: f64 = 3e4;
const FIRST_BATCHES: f64 = 120.0;

/// What the truth of a system may cost: looks of so many requests instead of so many seconds, as
/// busy systems need less time.
fn accuracy(sheet: &Sheet) -> Accuracy {
    let per_s = sheet.capacity_per_s();
    let seconds = |requests: f64, low: f64, high: f64| (requests / per_s).clamp(low, high);
    // A queue forgets its start in some cycles; one of arrivals, near its capacity, in some
    // thousand services.
    let queue_s = match sheet.think {
        Some(law) => 20.0 * (law.mean + sheet.service_s()),
        None => 4_000.0 / per_s,
    };
    let warm_up_s = (queue_s.max(5.0 * sheet.limit_s) + sheet.memory_s).clamp(20.0, 1_000.0);
    let batch_s = seconds(BATCH_REQUESTS, 10.0, 100.0).round();
    Accuracy {
        se: SE,
        most_s: seconds(MOST_REQUESTS, 2_000.0, 1e6),
        pace: Pace {
            warm_up_s,
            crude_s: seconds(CRUDE_REQUESTS, 60.0, 4_000.0),
            maximum_s: seconds(CRUDE_REQUESTS, 60.0, 4_000.0),
            first_round_s: FIRST_BATCHES * batch_s,
            batch_s,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::system::System;
    use super::*;

    #[test]
    fn every_draw_is_a_system_that_makes_sense_and_the_same_again() {
        let mut kinds = BTreeSet::new();
        let mut open = 0;
        let mut drawn = 0;
        for index in 0..600 {
            let Ok(draw) = draw(1, index, 0) else {
                continue;
            };
            assert_eq!(super::draw(1, index, 0).unwrap(), draw);
            let system = System::from_toml(&draw.text)
                .unwrap_or_else(|e| panic!("{index}: {e}\n{}", draw.text));
            assert_eq!(system.name, name(index));
            assert_eq!(system.limits.unit.is_open(), draw.kind.is_open());
            kinds.insert(draw.kind);
            open += u32::from(draw.kind.is_open());
            drawn += 1;
        }
        assert_eq!(
            kinds.len(),
            SystemKind::CLOSED.len() + SystemKind::OPEN.len()
        );
        assert!(drawn > 400, "{drawn} of 600");
        let share = f64::from(open) / f64::from(drawn);
        assert!((0.14..0.28).contains(&share), "{share}");
    }

    #[test]
    fn another_attempt_is_another_system_of_the_same_kind() {
        let texts: BTreeSet<String> = (0..20)
            .filter_map(|attempt| draw(1, 5, attempt).ok())
            .map(|draw| {
                assert_eq!(draw.kind, SystemKind::of(1, 5));
                draw.text
            })
            .collect();
        assert!(texts.len() > 10);
        assert_ne!(draw(1, 5, 0).ok(), draw(2, 5, 0).ok());
    }
}
