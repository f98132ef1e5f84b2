//! The scenarios of a script that this program runs itself: kinds of users.

use std::time::Duration;

use breakpoint_script::options::{Executor, Options, Scenario, Stage};

use crate::measure::MOST_SHARE;

/// Scenarios that are looked at; more than that nobody writes.
const MOST_SCENARIOS: usize = 200;
/// Stages of one that are looked at.
const MOST_STAGES: usize = 1_000;
/// VUs, or iterations per second, of one scenario that are taken.
const MOST: u64 = 1_000_000;

/// Users of a script: one of its scenarios.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScriptUsers {
    /// The scenario's name.
    pub name: String,
    /// Its executor, as the script calls it.
    pub executor: &'static str,
    /// The exported function that they run.
    pub function: String,
    /// What `__ENV` has for them beside what all have.
    pub env: Vec<(String, String)>,
    /// Tags of all that is measured of them.
    pub tags: Vec<(String, String)>,
    /// How many there are at their height.
    pub size: Size,
    /// Their part of a level that they share with those of other scenarios.
    pub share: u32,
    /// Their stages as `TARGET:TIME,...`, where their number moves by them.
    pub stages: Option<String>,
}

/// How many users a scenario has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many VUs, each in a loop.
    Vus(u64),
    /// So many iterations begin in a time, whatever the answers are.
    Rate {
        /// Iterations.
        count: u64,
        /// In which time.
        each: Duration,
        /// VUs that the script allows for them.
        most_vus: u64,
    },
}

impl Default for Size {
    fn default() -> Self {
        Self::Vus(1)
    }
}

impl Size {
    /// Whether iterations begin at a rate.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::Rate { .. })
    }

    /// VUs, or iterations per second to the nearest whole number above 0.
    pub fn whole(self) -> u32 {
        let number = match self {
            Self::Vus(vus) => vus,
            Self::Rate { .. } => {
                // Half of 1 and more is rounded up.
                self.per_hour().saturating_add(1_800) / 3_600
            }
        };
        u32::try_from(number.clamp(1, MOST)).unwrap_or(1)
    }

    /// Whether a rate is a whole number per second.
    pub fn is_whole(self) -> bool {
        !self.is_rate() || u64::from(self.whole()) * 3_600 == self.per_hour()
    }

    /// Iterations per hour.
    fn per_hour(self) -> u64 {
        let Self::Rate { count, each, .. } = self else {
            return 0;
        };
        let ms = each.as_millis().max(1);
        let all = u128::from(count.min(MOST)) * 3_600_000 / ms;
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    /// VUs at most.
    fn vus(self) -> u64 {
        match self {
            Self::Vus(vus) | Self::Rate { most_vus: vus, .. } => vus,
        }
    }
}

/// The kinds of users of a script, by the names of its scenarios; never empty. Their shares are by
/// their rates where all of them have one, else by their VUs.
pub fn users(options: &Options) -> Vec<ScriptUsers> {
    let scenarios = options.effective_scenarios();
    let mut all: Vec<ScriptUsers> = scenarios.iter().take(MOST_SCENARIOS).map(of).collect();
    for users in &mut all {
        // Those of the whole test, unless the scenario has its own of that name.
        let own = std::mem::take(&mut users.tags);
        let of_all = options.tags.iter();
        let of_all = of_all.filter(|(name, _)| own.iter().all(|(known, _)| known != name));
        users.tags = of_all.chain(&own).cloned().collect();
    }
    let by_rate = all.iter().all(|users| users.size.is_rate());
    let weights: Vec<u64> = (all.iter())
        .map(|users| {
            let weight = if by_rate {
                users.size.per_hour()
            } else {
                users.size.vus()
            };
            // Whoever has none runs all the same.
            weight.max(1)
        })
        .collect();
    for (users, share) in all.iter_mut().zip(shares(&weights)) {
        users.share = share;
    }
    all
}

fn of(scenario: &Scenario) -> ScriptUsers {
    ScriptUsers {
        name: scenario.name.clone(),
        executor: executor(&scenario.executor),
        function: scenario.exec.clone(),
        env: scenario.env.clone(),
        tags: scenario.tags.clone(),
        size: size(&scenario.executor),
        share: 1,
        stages: stages(&scenario.executor),
    }
}

fn executor(executor: &Executor) -> &'static str {
    match executor {
        Executor::SharedIterations { .. } => "shared-iterations",
        Executor::PerVuIterations { .. } => "per-vu-iterations",
        Executor::ConstantVus { .. } => "constant-vus",
        Executor::RampingVus { .. } => "ramping-vus",
        Executor::ConstantArrivalRate { .. } => "constant-arrival-rate",
        Executor::RampingArrivalRate { .. } => "ramping-arrival-rate",
        Executor::ExternallyControlled { .. } => "externally-controlled",
    }
}

/// What a scenario has at its height.
fn size(executor: &Executor) -> Size {
    let highest = |stages: &[Stage]| stages.iter().map(|stage| stage.target).max().unwrap_or(0);
    match executor {
        Executor::SharedIterations { vus, .. }
        | Executor::PerVuIterations { vus, .. }
        | Executor::ConstantVus { vus, .. }
        | Executor::ExternallyControlled { max_vus: vus, .. } => Size::Vus(*vus),
        Executor::RampingVus {
            start_vus, stages, ..
        } => Size::Vus(highest(stages).max(*start_vus)),
        Executor::ConstantArrivalRate {
            rate,
            time_unit,
            max_vus,
            ..
        } => Size::Rate {
            count: *rate,
            each: *time_unit,
            most_vus: *max_vus,
        },
        Executor::RampingArrivalRate {
            start_rate,
            time_unit,
            stages,
            max_vus,
            ..
        } => Size::Rate {
            count: highest(stages).max(*start_rate),
            each: *time_unit,
            most_vus: *max_vus,
        },
    }
}

/// The stages of an executor; rates are per second.
fn stages(executor: &Executor) -> Option<String> {
    let part = |target: u64, lasts: Duration| {
        format!("{target}:{}ms", (lasts.as_secs_f64() * 1e3).round())
    };
    let jump = |target: u64| format!("{target}:0s");
    // Without a number k6 begins with one VU, which is as good as none.
    let first = |target: u64| Some(target).filter(|target| *target > 1).map(jump);
    let parts: Vec<String> = match executor {
        Executor::ConstantVus { vus, duration } => vec![jump(*vus), part(*vus, *duration)],
        Executor::RampingVus {
            start_vus, stages, ..
        } => {
            let stages = stages.iter().take(MOST_STAGES);
            let stages = stages.map(|stage| part(stage.target, stage.duration));
            first(*start_vus).into_iter().chain(stages).collect()
        }
        Executor::ConstantArrivalRate { duration, .. } => {
            let rate = u64::from(size(executor).whole());
            vec![jump(rate), part(rate, *duration)]
        }
        Executor::RampingArrivalRate {
            start_rate,
            time_unit,
            stages,
            ..
        } => {
            let per_second = |count: u64| match count {
                0 => 0,
                count => u64::from(
                    Size::Rate {
                        count,
                        each: *time_unit,
                        most_vus: 0,
                    }
                    .whole(),
                ),
            };
            let stages = stages.iter().take(MOST_STAGES);
            let stages = stages.map(|stage| part(per_second(stage.target), stage.duration));
            let first = first(per_second(*start_rate));
            first.into_iter().chain(stages).collect()
        }
        _ => return None,
    };
    (!parts.is_empty()).then(|| parts.join(","))
}

/// Weights in least terms, and together not above what a mix deals out in a moment: 300 and 100 are
/// 3 and 1.
pub fn shares(weights: &[u64]) -> Vec<u32> {
    let common = weights.iter().copied().fold(0, common_divisor).max(1);
    let all: u128 = weights
        .iter()
        .map(|weight| u128::from(weight / common))
        .sum();
    let most = u128::from(MOST_SHARE);
    let share = |weight: &u64| {
        let weight = u128::from(weight / common);
        let fits = if all > most {
            weight * most / all
        } else {
            weight
        };
        u32::try_from(fits)
            .unwrap_or(MOST_SHARE)
            .clamp(1, MOST_SHARE)
    };
    weights.iter().map(share).collect()
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use breakpoint_script::options::options;
    use serde_json::{Value, json};

    use super::*;

    fn of_json(value: &Value) -> Vec<ScriptUsers> {
        users(&options(value).unwrap())
    }

    #[test]
    fn scenarios_that_share_a_function_are_users_of_their_own() {
        let all = of_json(&json!({"scenarios": {
            "browsers": {"executor": "constant-vus", "vus": 30, "duration": "1m",
                "exec": "visit", "env": {"KIND": "a"}, "tags": {"who": "browser"}},
            "buyers": {"executor": "ramping-vus", "startVUs": 2,
                "stages": [{"target": 10, "duration": "1s"}], "exec": "visit",
                "env": {"KIND": "b"}},
        }}));
        let seen: Vec<(&str, &str, &str, u32)> = (all.iter())
            .map(|u| (&*u.name, u.executor, &*u.function, u.share))
            .collect();
        assert_eq!(
            seen,
            [
                ("browsers", "constant-vus", "visit", 3),
                ("buyers", "ramping-vus", "visit", 1)
            ]
        );
        assert_eq!(all[0].env, [("KIND".to_owned(), "a".to_owned())]);
        assert_eq!(all[0].tags, [("who".to_owned(), "browser".to_owned())]);
        assert_eq!(all[1].env, [("KIND".to_owned(), "b".to_owned())]);
        let plain = of_json(&json!({"vus": 5, "duration": "1s"}));
        assert_eq!(plain.len(), 1);
        assert_eq!(
            (&*plain[0].name, plain[0].executor),
            ("default", "constant-vus")
        );
        assert_eq!(plain[0].size, Size::Vus(5));
    }

    #[test]
    fn rates_are_weights_where_all_have_one_in_whatever_time() {
        let rate = |rate: u64, unit: &str, most: u64| {
            json!({"executor": "constant-arrival-rate", "rate": rate, "timeUnit": unit,
                "duration": "1m", "preAllocatedVUs": 1, "maxVUs": most})
        };
        let shares = |value: Value| {
            let all = of_json(&value).into_iter();
            all.map(|users| users.share).collect::<Vec<u32>>()
        };
        let (a, b) = (rate(10, "1s", 5), rate(120, "1m", 50));
        assert_eq!(shares(json!({"scenarios": {"a": a, "b": b}})), [5, 1]);
        let ramping = json!({"executor": "ramping-arrival-rate", "startRate": 1,
            "stages": [{"target": 30, "duration": "1s"}], "preAllocatedVUs": 9});
        assert_eq!(shares(json!({"scenarios": {"a": a, "b": ramping}})), [1, 3]);
        // Those of VUs and of rates have VUs in common.
        let vus = json!({"executor": "constant-vus", "vus": 20, "duration": "1s"});
        assert_eq!(shares(json!({"scenarios": {"a": a, "b": vus}})), [1, 4]);
    }

    #[test]
    fn stages_are_those_of_vus_and_of_rates_per_second() {
        let of = |value: Value| {
            let all = of_json(&value);
            assert_eq!(all.len(), 1);
            all[0].stages.clone().unwrap_or_default()
        };
        let two = json!([{"duration": "30s", "target": 20}, {"duration": "1m", "target": 0}]);
        let wanted = "20:30000ms,0:60000ms";
        assert_eq!(of(json!({"stages": two})), wanted);
        let ramping = json!({"executor": "ramping-vus", "startVUs": 0, "stages": two});
        assert_eq!(of(json!({"scenarios": {"a": ramping}})), wanted);
        let ramping = json!({"executor": "ramping-vus", "startVUs": 5, "stages": two});
        assert_eq!(
            of(json!({"scenarios": {"a": ramping}})),
            format!("5:0s,{wanted}")
        );
        assert_eq!(of(json!({"vus": 5, "duration": "10s"})), "5:0s,5:10000ms");
        let rates = json!({"executor": "ramping-arrival-rate", "startRate": 300,
            "timeUnit": "1m", "preAllocatedVUs": 1,
            "stages": [{"duration": "1s", "target": 600}, {"duration": "1s", "target": 0}]});
        assert_eq!(
            of(json!({"scenarios": {"a": rates}})),
            "5:0s,10:1000ms,0:1000ms"
        );
        let rate = json!({"executor": "constant-arrival-rate", "rate": 7, "duration": "2s",
            "preAllocatedVUs": 1});
        assert_eq!(of(json!({"scenarios": {"a": rate}})), "7:0s,7:2000ms");
        for none in [json!({}), json!({"iterations": 5}), json!({"stages": []})] {
            assert_eq!(of(none), "");
        }
    }

    #[test]
    fn rates_that_are_no_whole_number_per_second_are_rounded() {
        let of = |count, ms| Size::Rate {
            count,
            each: Duration::from_millis(ms),
            most_vus: 1,
        };
        for (size, whole, is_whole) in [
            (of(10, 1_000), 10, true),
            (of(90, 60_000), 2, false),
            (of(89, 60_000), 1, false),
            (of(1, 60_000), 1, false),
            (of(5, 100), 50, true),
            (of(0, 1_000), 1, false),
            (of(u64::MAX, 1), 1_000_000, false),
            (Size::Vus(0), 1, true),
        ] {
            assert_eq!(
                (size.whole(), size.is_whole()),
                (whole, is_whole),
                "{size:?}"
            );
        }
    }

    #[test]
    fn shares_of_any_weights_fit_a_mix() {
        assert_eq!(shares(&[300, 100]), [3, 1]);
        for odd in [
            &[u64::MAX, 1][..],
            &[10_001, 1],
            &[7_919; 199],
            &[99_991, 99_989, 3],
        ] {
            let shares = shares(odd);
            assert!(
                shares.iter().all(|share| (1..=MOST_SHARE).contains(share)),
                "{odd:?}"
            );
            assert!(shares.iter().sum::<u32>() <= MOST_SHARE + 200, "{odd:?}");
        }
        let near = shares(&[99_991, 99_989]);
        assert!(near[0].abs_diff(near[1]) <= 1, "{near:?}");
    }
}
