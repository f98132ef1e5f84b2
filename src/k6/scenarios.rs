//! The scenarios of a script as functions with weights.

use serde_json::{Map, Value};

use super::{DEFAULT_FUNCTION, Function};

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
pub(super) fn mix(scenarios: &Map<String, Value>, is_own: bool) -> Mix {
    let mut mix = Mix::default();
    for (name, scenario) in scenarios.iter().take(MOST_SCENARIOS) {
        let exec = text(scenario, "exec").unwrap_or(DEFAULT_FUNCTION);
        mix.told_of(name, scenario, exec, is_own);
        match Function::new(exec, vus(scenario).max(1)) {
            Ok(function) => mix.add(function),
            Err(why) => mix
                .notes
                .push(format!("the scenario `{name}` is ignored: {why}")),
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
    fn told_of(&mut self, name: &str, scenario: &Value, exec: &str, is_own: bool) {
        let mut left_out = Vec::new();
        for key in ["env", "tags"] {
            let given = scenario.get(key).and_then(Value::as_object);
            // In k6 they would belong to a scenario, of which there is one for all functions.
            if !is_own && given.is_some_and(|o| !o.is_empty()) {
                left_out.push(format!("`{key}`"));
            }
        }
        if text(scenario, "startTime").is_some_and(|t| t != "0s") {
            left_out.push("`startTime` (all functions run from the beginning)".to_owned());
        }
        if scenario.get("options").is_some_and(|o| !o.is_null()) {
            left_out.push("`options` (such as those of a browser)".to_owned());
        }
        if !left_out.is_empty() {
            let left_out = left_out.join(", ");
            let note = format!("of the script's scenario `{name}`, this is ignored: {left_out}");
            self.notes.push(note);
        }
        let executor = text(scenario, "executor").unwrap_or_default();
        if !is_own && executor.contains("arrival") {
            self.notes.push(format!(
                "the script's scenario `{name}` starts iterations at a rate; here its VUs run \
                 `{exec}` in a loop, up to its maximum number of VUs"
            ));
        }
    }
}

/// VUs that a scenario has at its height.
fn vus(scenario: &Value) -> u64 {
    let number = |key: &str| scenario.get(key).and_then(Value::as_u64).unwrap_or(0);
    let executor = text(scenario, "executor").unwrap_or_default();
    if executor.contains("arrival") {
        // The targets of its stages are rates.
        return number("preAllocatedVUs").max(number("maxVUs"));
    }
    let stages = scenario.get("stages").and_then(Value::as_array);
    let targets = stages.into_iter().flatten();
    let targets = targets.filter_map(|stage| stage.get("target")?.as_u64());
    let at_least = number("vus").max(number("startVUs")).max(number("maxVUs"));
    targets.fold(at_least, u64::max)
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

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .filter(|t| !t.is_empty())
}
