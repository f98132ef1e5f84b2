//! Runs of simulated systems, as the laboratory and the tests make them: one builder, whose fields
//! they change where they mean something else.

use std::time::Duration;

use super::{FirstContact, RampSpec, RunSpec};
use crate::measure::{Level, LevelUnit, StepTable};
use crate::ramp::Stages;
use crate::record::{Environment, PlanRecord};
use crate::search::SearchSpec;
use crate::slo::{Condition, Slo};

/// The users of a simulated system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedUsers {
    /// Mean time that one thinks in a cycle, seconds.
    pub think_s: f64,
    /// How many are started or stopped per second.
    pub pace_per_s: f64,
}

impl RunSpec {
    /// A search of a simulated system, whose target is at hand and answers at once.
    pub fn simulated(
        profile: &str,
        slo: Slo,
        steps: StepTable,
        search: SearchSpec,
        users: SimulatedUsers,
    ) -> Self {
        let plan = PlanRecord {
            unit: search.unit,
            min_level: search.min.get(),
            max_level: search.max.get(),
            budget_s: search.budget.as_secs_f64(),
            seed: search.seed,
            ..plan(&steps, users)
        };
        Self {
            profile: profile.to_owned(),
            slo,
            steps,
            search,
            plan,
            environment: Environment::default(),
            warnings: Vec::new(),
            reset_always: false,
            revived: Vec::new(),
            drained_when: Condition::default(),
            drain_timeout: Duration::from_secs(30),
            arrival_timeout: Duration::from_secs(10),
            canary_timeout: Duration::from_secs(120),
            canary_cycles: 3,
            first_contact: FirstContact::default(),
        }
    }
}

impl RampSpec {
    /// A ramp of a simulated system; its users come and go as fast as the stages ask.
    pub fn simulated(slo: Slo, steps: StepTable, stages: Stages, think_s: f64) -> Self {
        let users = SimulatedUsers {
            think_s,
            pace_per_s: stages.pace_per_s(),
        };
        let plan = PlanRecord {
            max_level: stages.highest().get(),
            budget_s: stages.total_s(),
            ..plan(&steps, users)
        };
        Self {
            profile: "sim".to_owned(),
            slo,
            steps,
            stages,
            plan,
            environment: Environment::default(),
            warnings: Vec::new(),
            arrival_timeout: Duration::from_secs(10),
            canary_cycles: 1,
            first_contact: FirstContact::default(),
            reference_run: None,
        }
    }
}

/// What is recorded of the plan of a simulation; its levels are for whoever asks to say.
fn plan(steps: &StepTable, users: SimulatedUsers) -> PlanRecord {
    PlanRecord {
        target: "simulated".to_owned(),
        engine: "sim".to_owned(),
        steps: steps.recorded().map(|(_, name)| name.to_owned()).collect(),
        main_step: steps.recorded_main(),
        think_s: users.think_s,
        unit: LevelUnit::Vus,
        arrivals: None,
        populations: Vec::new(),
        min_level: Level::ZERO.get(),
        max_level: Level::ZERO.get(),
        budget_s: 0.0,
        longest_s: None,
        pace_per_s: users.pace_per_s,
        seed: 1,
        limits: Vec::new(),
        required: None,
        command: Vec::new(),
        insecure: false,
        http: None,
        streams_per_connection: None,
        addresses: Vec::new(),
    }
}
