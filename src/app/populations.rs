//! The populations of a plan: compiled, and counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Refusal;
use crate::engine::EngineInfo;
use crate::engine::native::{self, CompiledPopulation, Work};
use crate::exit::Exit;
use crate::measure::{LevelUnit, StepTable};
use crate::plan::{Amount, LoadPlan, Plan, PopulationPlan};
use crate::record::PopulationRecord;
use crate::scenario::{Feeder, Scenario};

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

    /// What their engines do together.
    pub(super) fn describe(&self, plan: &Plan) -> EngineInfo {
        EngineInfo {
            think_s: match plan.load {
                LoadPlan::Closed => self.users.mean_think_s(),
                LoadPlan::Open(_) => Scenario::think_s(self.users.visit()),
            },
            ..EngineInfo::new(plan.engine.facts().name(), self.steps())
        }
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
                Amount::PerSecond(rate) => native::vus_of(rate),
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
            level: amount.fixed(),
            unit: match amount {
                Amount::Searched => plan.search.unit,
                Amount::Vus(_) => LevelUnit::Vus,
                Amount::PerSecond(_) => LevelUnit::CyclesPerS,
            },
        };
        let others = self.others.iter().map(|o| one(&o.plan.name, o.plan.amount));
        others.chain([one(USERS, plan.populations.users)]).collect()
    }

    /// For the engine that runs them.
    pub(super) fn into_work(self, plan: &Plan) -> Work {
        let info = self.describe(plan);
        let others = self.others.into_iter().map(|other| CompiledPopulation {
            amount: other.plan.amount,
            scenario: other.scenario,
        });
        let users = CompiledPopulation {
            amount: plan.populations.users,
            scenario: self.users,
        };
        Work {
            populations: others.chain([users]).collect(),
            info,
        }
    }
}
