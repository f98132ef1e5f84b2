//! The populations of a plan: compiled, and counted.

use super::CommandError;
use crate::engine::EngineInfo;
use crate::engine::native::{self, CompiledPopulation, Work};
use crate::exit::Exit;
use crate::measure::{LevelUnit, StepTable};
use crate::plan::{Amount, EngineFacts, LoadPlan, Plan, PopulationPlan, VuCost};
use crate::record::PopulationRecord;
use crate::scenario::Scenario;

/// VUs, and connections, of those whom an engine's own files have beside those who are searched.
pub(super) fn beside_of_engine(engine: &dyn EngineFacts) -> (u64, u64) {
    let each = match engine.vu_cost() {
        VuCost::Fixed { connections, .. } => connections,
        VuCost::OfScenario | VuCost::Nothing => 1,
    };
    let all = engine.populations().into_iter();
    let vus: u64 = all.map(|(_, amount)| vus_of(amount)).sum();
    (vus, vus.saturating_mul(each))
}

/// VUs of a population that is not searched, at most.
fn vus_of(amount: Amount) -> u64 {
    u64::from(match amount {
        Amount::Searched | Amount::Share(_) => 0,
        Amount::Vus(vus) => vus.get(),
        Amount::PerSecond(rate) => native::vus_of(rate),
    })
}

/// For the record.
pub(super) fn record(plan: &Plan, name: &str, amount: Amount) -> PopulationRecord {
    PopulationRecord {
        name: name.to_owned(),
        level: amount.fixed(),
        share: amount.share(),
        unit: match amount {
            Amount::Searched | Amount::Share(_) => plan.search.unit,
            Amount::Vus(_) => LevelUnit::Vus,
            Amount::PerSecond(_) => LevelUnit::CyclesPerS,
        },
    }
}

/// Users of another kind, compiled against an address.
pub(super) struct Other {
    pub(super) plan: PopulationPlan,
    pub(super) scenario: Scenario,
}

/// Everybody's scenarios.
pub(super) struct Compiled {
    /// What the users are called.
    pub(super) name: String,
    /// How many of them there are.
    pub(super) amount: Amount,
    pub(super) users: Scenario,
    pub(super) others: Vec<Other>,
}

impl Compiled {
    /// All measured steps, as the windows have them.
    pub(super) fn steps(&self) -> StepTable {
        let mut all: Vec<(&str, &StepTable)> = (self.others.iter())
            .map(|o| (o.plan.name.as_str(), o.scenario.table()))
            .collect();
        match self.kinds_before() {
            0 if !self.is_mix() => {
                StepTable::of_populations(&all, self.users.table(), self.searched_other())
            }
            before => {
                all.push((&self.name, self.users.table()));
                StepTable::of_mix(&all, before + 1)
            }
        }
    }

    /// Whether several kinds of users share the level.
    pub(super) fn is_mix(&self) -> bool {
        self.amount.share().is_some()
    }

    /// How many kinds of a mix there are before the users.
    fn kinds_before(&self) -> usize {
        let shares = self.others.iter().filter_map(|o| o.plan.amount.share());
        shares.count()
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
                _ if !self.amount.is_searched() => self.users.mean_think_s(),
                LoadPlan::Closed => self.mean_think_s(),
                LoadPlan::Open(_) => self.mean_of(|s| Scenario::think_s(s.visit())),
            },
            ..EngineInfo::new(plan.engine.facts().name(), self.steps())
        }
    }

    /// The scenarios of those whose number goes with the level, with their shares.
    fn searched(&self) -> Vec<(&Scenario, u32)> {
        let others = self.others.iter().map(|o| (&o.scenario, o.plan.amount));
        let all = others.chain([(&self.users, self.amount)]);
        all.filter(|(_, amount)| amount.is_searched())
            .map(|(scenario, amount)| (scenario, amount.share().unwrap_or(1)))
            .collect()
    }

    /// What a level of the open model counts.
    pub(super) fn unit_of_rate(&self) -> LevelUnit {
        let units = self.searched().into_iter().map(|(s, _)| s.unit_of_rate());
        if units
            .into_iter()
            .all(|unit| unit == LevelUnit::RequestsPerS)
        {
            LevelUnit::RequestsPerS
        } else {
            LevelUnit::CyclesPerS
        }
    }

    /// Most connections that a VU of the level holds at once.
    pub(super) fn connections_per_vu(&self) -> usize {
        let each = self.searched().into_iter();
        each.map(|(s, _)| s.connections_per_vu()).max().unwrap_or(1)
    }

    /// Mean think time of a cycle, seconds; of a mix that of its VUs, whose cycles are not equally
    /// many.
    pub(super) fn mean_think_s(&self) -> f64 {
        self.mean_of(Scenario::mean_think_s)
    }

    fn mean_of(&self, of: impl Fn(&Scenario) -> f64) -> f64 {
        let all = self.searched();
        let shares: u32 = all.iter().map(|(_, share)| share).sum();
        let sum: f64 = all.iter().map(|(s, share)| f64::from(*share) * of(s)).sum();
        sum / f64::from(shares.max(1))
    }

    /// Every scenario.
    pub(super) fn all(&self) -> impl Iterator<Item = &Scenario> {
        self.others.iter().map(|o| &o.scenario).chain([&self.users])
    }

    /// A population whose name is that of a step would make objectives ambiguous.
    pub(super) fn check_names(&self) -> Result<(), CommandError> {
        let steps = self.steps();
        let mut seen: Vec<&str> = Vec::new();
        for name in steps.names() {
            if seen.contains(&name) {
                let message = format!(
                    "`{name}` is both a step and a population; rename one of them, so that \
                     objectives are unambiguous"
                );
                return Err(CommandError::new(Exit::Usage, message));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// VUs, and connections, of the populations that are not searched: at most as many as these at
    /// once.
    pub(super) fn beside(&self) -> (u64, u64) {
        let amounts = (self.others.iter().map(|o| (o.plan.amount, &o.scenario)))
            .chain([(self.amount, &self.users)]);
        let each = amounts.map(|(amount, scenario)| {
            let vus = vus_of(amount);
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
        if self.others.is_empty() && !self.is_mix() {
            return Vec::new();
        }
        let one = |name: &str, amount: Amount| record(plan, name, amount);
        let others = self.others.iter().map(|o| one(&o.plan.name, o.plan.amount));
        others.chain([one(&self.name, self.amount)]).collect()
    }

    /// For the engine that runs them.
    pub(super) fn into_work(self, plan: &Plan) -> Work {
        let info = self.describe(plan);
        let others = self.others.into_iter().map(|other| CompiledPopulation {
            amount: other.plan.amount,
            scenario: other.scenario,
        });
        let users = CompiledPopulation {
            amount: self.amount,
            scenario: self.users,
        };
        Work {
            populations: others.chain([users]).collect(),
            info,
        }
    }
}
