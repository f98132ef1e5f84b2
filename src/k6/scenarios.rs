//! The scenarios of a script as functions with weights.

use std::time::Duration;

use breakpoint_script::options::{Executor, Scenario, Stage};

use super::{Function, Runner};

/// Scenarios that are looked at; more than that nobody writes.
const MOST_SCENARIOS: usize = 200;

/// Functions with weights, and what is told of the scenarios that they come from.
#[derive(Debug, Default)]
pub(super) struct Mix {
    pub(super) functions: Vec<Function>,
    pub(super) notes: Vec<String>,
}

/// What the scenarios run, and how many VUs each has: those run the functions here, whatever the
/// scenario's own clock says.
pub(super) fn mix(scenarios: &[Scenario], runner: Runner) -> Mix {
    let mut mix = Mix::default();
    for scenario in scenarios.iter().take(MOST_SCENARIOS) {
        mix.told_of(scenario, runner);
        match Function::new(&scenario.exec, vus(&scenario.executor).max(1)) {
            Ok(function) => mix.add(function),
            Err(why) => {
                let name = &scenario.name;
                let note = format!("the scenario `{name}` is ignored: {why}");
                mix.notes.push(note);
            }
        }
    }
    if scenarios.len() > MOST_SCENARIOS {
        let note = format!(
            "of the script's {} scenarios, only the first {MOST_SCENARIOS} run",
            scenarios.len()
        );
        mix.notes.push(note);
    }
    mix.functions = in_least_terms(mix.functions);
    mix
}

impl Mix {
    fn add(&mut self, function: Function) {
        match self.functions.iter_mut().find(|f| f.name == function.name) {
            Some(known) => known.weight = known.weight.saturating_add(function.weight),
            None => self.functions.push(function),
        }
    }

    /// What of a scenario is left out.
    fn told_of(&mut self, scenario: &Scenario, runner: Runner) {
        let mut left_out = Vec::new();
        // In k6 they would belong to a scenario, of which there is one for all functions.
        if runner == Runner::K6 && !scenario.env.is_empty() {
            left_out.push("`env`");
        }
        if runner == Runner::K6 && !scenario.tags.is_empty() {
            left_out.push("`tags`");
        }
        if scenario.start_time > Duration::ZERO {
            left_out.push("`startTime` (all functions run from the beginning)");
        }
        if runner == Runner::Own && scenario.has_browser {
            left_out.push("`options.browser` (browsers run with --engine k6)");
        }
        let name = &scenario.name;
        if !left_out.is_empty() {
            let left_out = left_out.join(", ");
            let note = format!("of the script's scenario `{name}`, this is ignored: {left_out}");
            self.notes.push(note);
        }
        if runner == Runner::K6 && scenario.executor.is_open() {
            self.notes.push(format!(
                "the script's scenario `{name}` starts iterations at a rate; here its VUs run \
                 `{}` in a loop, up to its maximum number of VUs",
                scenario.exec
            ));
        }
    }
}

/// VUs that a scenario has at its height.
fn vus(executor: &Executor) -> u64 {
    let highest = |stages: &[Stage]| stages.iter().map(|stage| stage.target).max().unwrap_or(0);
    match executor {
        Executor::SharedIterations { vus, .. }
        | Executor::PerVuIterations { vus, .. }
        | Executor::ConstantVus { vus, .. } => *vus,
        Executor::RampingVus {
            start_vus, stages, ..
        } => highest(stages).max(*start_vus),
        // The targets of their stages are rates.
        Executor::ConstantArrivalRate { max_vus, .. }
        | Executor::RampingArrivalRate { max_vus, .. }
        | Executor::ExternallyControlled { max_vus, .. } => *max_vus,
    }
}

/// 300 and 100 are 3 and 1.
fn in_least_terms(mut functions: Vec<Function>) -> Vec<Function> {
    let divisor = functions.iter().fold(0, |d, f| common_divisor(d, f.weight));
    for function in &mut functions {
        function.weight /= divisor.max(1);
    }
    functions
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}
