//! The populations of a plan: compiled, counted, and put together in one engine.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Refusal;
use crate::engine::native::{LoadModel, NativeEngine, NativeSpec, Network, PopulationSpec};
use crate::exit::Exit;
use crate::measure::{Arrivals, Level, LevelUnit, StepTable};
use crate::plan::{Amount, LoadPlan, Plan, PopulationPlan};
use crate::record::PopulationRecord;
use crate::scenario::{Feeder, Scenario};

/// Length of a window.
pub(super) const WINDOW: Duration = Duration::from_secs(1);
/// How long a cycle of a population with a rate may take before its arrivals wait, and how many VUs that makes at least and
/// at most.
const RATE_PATIENCE_S: u32 = 10;
const RATE_VUS: Range<u32> = 10..5_000;
/// The users' name in records.
pub(super) const USERS: &str = "users";

/// Feeders by name.
pub(super) type Feeders = BTreeMap<String, Arc<Feeder>>;

/// Users of another kind, compiled against an address.
pub(super) struct Other {
    pub(super) plan: PopulationPlan,
    pub(super) scenario: Scenario,
}

/// Everybody's scenarios.
pub(super) struct Compiled {
    pub(super) users: Scenario,
    pub(super) others: Vec<Other>,
}

impl Compiled {
    /// All measured steps, as the windows have them.
    pub(super) fn steps(&self) -> StepTable {
        let others: Vec<(&str, &StepTable)> = (self.others.iter())
            .map(|o| (o.plan.name.as_str(), o.scenario.table()))
            .collect();
        StepTable::of_populations(&others, self.users.table(), self.searched_other())
    }

    /// Which of the others is searched; `None` where the users are.
    fn searched_other(&self) -> Option<usize> {
        let amounts = self.others.iter().map(|o| o.plan.amount);
        amounts
            .into_iter()
            .position(|amount| amount == Amount::Searched)
    }

    /// The scenario of the population that is searched.
    pub(super) fn searched(&self) -> &Scenario {
        let other = self.searched_other().map(|other| &self.others[other]);
        other.map_or(&self.users, |o| &o.scenario)
    }

    /// Every scenario.
    pub(super) fn all(&self) -> impl Iterator<Item = &Scenario> {
        self.others.iter().map(|o| &o.scenario).chain([&self.users])
    }

    /// A population whose name is that of a step would make objectives ambiguous.
    pub(super) fn check_names(&self) -> Result<(), Refusal> {
        let steps = self.steps();
        let mut seen: Vec<&str> = Vec::new();
        for name in steps.names() {
            if seen.contains(&name) {
                let message = format!(
                    "`{name}` is both a step and a population; rename one of them, so that \
                     objectives are unambiguous"
                );
                return Err(Refusal::new(Exit::Usage, message));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// VUs, and connections, of the populations that are not searched: at most as many as these at once.
    pub(super) fn beside(&self, plan: &Plan) -> (u64, u64) {
        let amounts = (self.others.iter().map(|o| (o.plan.amount, &o.scenario)))
            .chain([(plan.populations.users, &self.users)]);
        let each = amounts.map(|(amount, scenario)| {
            let vus = u64::from(match amount {
                Amount::Searched => 0,
                Amount::Vus(vus) => vus.get(),
                Amount::PerSecond(rate) => vus_of(rate),
            });
            (
                vus,
                vus * u64::try_from(scenario.connections_per_vu()).unwrap_or(u64::MAX),
            )
        });
        each.fold((0, 0), |(v, c), (vus, connections)| {
            (v + vus, c.saturating_add(connections))
        })
    }

    /// For the record; empty where the users are alone.
    pub(super) fn records(&self, plan: &Plan) -> Vec<PopulationRecord> {
        if self.others.is_empty() {
            return Vec::new();
        }
        let one = |name: &str, amount: Amount| PopulationRecord {
            name: name.to_owned(),
            level: fixed(amount),
            unit: match amount {
                Amount::Searched => plan.search.unit,
                Amount::Vus(_) => LevelUnit::Vus,
                Amount::PerSecond(_) => LevelUnit::CyclesPerS,
            },
        };
        let others = self.others.iter().map(|o| one(&o.plan.name, o.plan.amount));
        others.chain([one(USERS, plan.populations.users)]).collect()
    }

    /// Starts what loads the target.
    ///
    /// `climbs` is whether levels are those of a ramp.
    pub(super) fn start(
        self,
        plan: &Plan,
        climbs: bool,
        network: &Network,
    ) -> Result<NativeEngine, Refusal> {
        let others = (1..).zip(self.others).map(|(index, other)| PopulationSpec {
            load: load(other.plan.amount, plan, climbs),
            fixed: fixed(other.plan.amount),
            scenario: Arc::new(other.scenario),
            // Of its own draws: populations that draw alike would march in step.
            seed: plan.seed.wrapping_add(index),
        });
        let users = PopulationSpec {
            load: load(plan.populations.users, plan, climbs),
            fixed: fixed(plan.populations.users),
            scenario: Arc::new(self.users),
            seed: plan.seed,
        };
        let engine = NativeEngine::start(NativeSpec {
            populations: others.chain([users]).collect(),
            window: WINDOW,
            threads: plan.threads.unwrap_or_else(cores),
            sources: plan.local_addresses.clone(),
            allowed: plan.target.allowed.clone(),
            network: network.clone(),
            excerpts: plan.excerpts,
        });
        engine.map_err(|error| Refusal::new(Exit::Failure, error))
    }
}

fn vus_of(rate: Level) -> u32 {
    let vus = rate.get().saturating_mul(RATE_PATIENCE_S);
    vus.clamp(RATE_VUS.start, RATE_VUS.end)
}

/// How many there are of a population; `None` for the one that is searched.
fn fixed(amount: Amount) -> Option<Level> {
    match amount {
        Amount::Searched => None,
        Amount::Vus(level) | Amount::PerSecond(level) => Some(level),
    }
}

/// How a population comes to its level.
fn load(amount: Amount, plan: &Plan, climbs: bool) -> LoadModel {
    let closed = if climbs {
        LoadModel::climbing(plan.pace_per_s)
    } else {
        LoadModel::closed(plan.pace_per_s)
    };
    match (amount, plan.load) {
        (Amount::Vus(_), _) | (Amount::Searched, LoadPlan::Closed) => closed,
        (Amount::Searched, LoadPlan::Open(open)) => LoadModel::Open {
            arrivals: open.arrivals,
            most_vus: open.most_vus,
        },
        (Amount::PerSecond(rate), _) => LoadModel::Open {
            arrivals: Arrivals::Constant,
            most_vus: vus_of(rate),
        },
    }
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
