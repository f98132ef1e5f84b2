//! Scenarios with their executors.

use std::time::Duration;

use serde_json::Value;

use super::read::At;
use super::{Idle, OptionsError};

/// How long VUs may go on when their time is over, unless the scenario says it.
pub(super) const GRACE: Duration = Duration::from_secs(30);
/// How long iterations may take together, unless the scenario says it.
pub(super) const MAX_DURATION: Duration = Duration::from_secs(600);

/// A scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it does.
    pub executor: Executor,
    /// The exported function that it runs; `default` unless it says another one.
    pub exec: String,
    /// Values of `__ENV` that it adds.
    pub env: Vec<(String, String)>,
    /// Tags of its samples.
    pub tags: Vec<(String, String)>,
    /// When it begins.
    pub start_time: Duration,
    /// How long its iterations may go on when its time is over.
    pub graceful_stop: Duration,
    /// It has options for a browser, which is not there.
    pub has_browser: bool,
}

/// What a scenario does.
#[derive(Debug, Clone, PartialEq)]
pub enum Executor {
    /// `shared-iterations`: a number of iterations, taken by whoever is free.
    SharedIterations {
        /// VUs.
        vus: u64,
        /// Iterations of all of them.
        iterations: u64,
        /// The longest time.
        max_duration: Duration,
    },
    /// `per-vu-iterations`: a number of iterations each.
    PerVuIterations {
        /// VUs.
        vus: u64,
        /// Iterations of each.
        iterations: u64,
        /// The longest time.
        max_duration: Duration,
    },
    /// `constant-vus`.
    ConstantVus {
        /// VUs.
        vus: u64,
        /// How long.
        duration: Duration,
    },
    /// `ramping-vus`.
    RampingVus {
        /// VUs at first.
        start_vus: u64,
        /// Where they go.
        stages: Vec<Stage>,
        /// How long an iteration may go on when its VU is not wanted any more.
        graceful_ramp_down: Duration,
    },
    /// `constant-arrival-rate`.
    ConstantArrivalRate {
        /// Iterations that begin per time unit.
        rate: u64,
        /// The time unit.
        time_unit: Duration,
        /// How long.
        duration: Duration,
        /// VUs at first.
        pre_allocated_vus: u64,
        /// VUs at most.
        max_vus: u64,
    },
    /// `ramping-arrival-rate`.
    RampingArrivalRate {
        /// Iterations that begin per time unit at first.
        start_rate: u64,
        /// The time unit.
        time_unit: Duration,
        /// Where the rate goes.
        stages: Vec<Stage>,
        /// VUs at first.
        pre_allocated_vus: u64,
        /// VUs at most.
        max_vus: u64,
    },
    /// `externally-controlled`: an operator says how many.
    ExternallyControlled {
        /// VUs at first.
        vus: u64,
        /// VUs at most.
        max_vus: u64,
        /// How long; `None` until it is stopped.
        duration: Option<Duration>,
    },
}

/// A stretch in which a number moves in a straight line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// How long it takes; 0 is a jump.
    pub duration: Duration,
    /// Where it ends.
    pub target: u64,
}

impl Scenario {
    /// A scenario with the defaults of the rest.
    pub(super) fn plain(name: &str, executor: Executor) -> Self {
        Self {
            name: name.to_owned(),
            executor,
            exec: "default".to_owned(),
            env: Vec::new(),
            tags: Vec::new(),
            start_time: Duration::ZERO,
            graceful_stop: GRACE,
            has_browser: false,
        }
    }
}

impl Executor {
    /// Whether iterations begin at a rate, whatever the answers are.
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            Self::ConstantArrivalRate { .. } | Self::RampingArrivalRate { .. }
        )
    }
}

/// `stages`.
pub(super) fn stages(at: &At) -> Result<Vec<Stage>, OptionsError> {
    let mut stages = Vec::new();
    for stage in at.items(10_000)? {
        stage.members(100)?;
        let (duration, target) = (stage.member("duration"), stage.member("target"));
        for needed in [&duration, &target] {
            if needed.is_unset() {
                return Err(stage.error(&format!("has no `{}`", needed.name())));
            }
        }
        stages.push(Stage {
            duration: duration.duration()?,
            target: target.count()?,
        });
    }
    Ok(stages)
}

/// The fields that every scenario may have.
const COMMON: [&str; 8] = [
    "executor",
    "exec",
    "env",
    "tags",
    "startTime",
    "gracefulStop",
    "options",
    "name",
];

/// A member of `scenarios`.
pub(super) fn scenario<'v>(at: &At<'v>, idle: &mut Vec<Idle>) -> Result<Scenario, OptionsError> {
    let is_named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if at.name().is_empty() || !at.name().chars().all(is_named) {
        return Err(at.error("is no name; use letters, digits, `_` and `-`"));
    }
    at.members(100)?;
    if at.member("executor").is_unset() {
        return Err(at.error("has no `executor`"));
    }
    let mut fields = Fields {
        at,
        known: Vec::new(),
    };
    let executor = fields.executor()?;
    let mut scenario = Scenario::plain(at.name(), executor);
    for member in at.members(100)? {
        match member.name() {
            _ if member.is_unset() => {}
            "exec" => scenario.exec = member.text()?,
            "env" => scenario.env = member.pairs()?,
            "tags" => scenario.tags = member.pairs()?,
            "startTime" => scenario.start_time = member.duration()?,
            "gracefulStop" => scenario.graceful_stop = member.duration()?,
            "options" => scenario.has_browser = !member.member("browser").is_unset(),
            name if COMMON.contains(&name) || fields.known.contains(&name) => {}
            _ => idle.push(Idle {
                place: member.place().to_owned(),
                reason: "its executor does not have it",
            }),
        }
    }
    Ok(scenario)
}

/// The fields of an executor.
struct Fields<'a, 'v> {
    at: &'a At<'v>,
    known: Vec<&'static str>,
}

impl<'v> Fields<'_, 'v> {
    fn field(&mut self, name: &'static str) -> Option<At<'v>> {
        self.known.push(name);
        Some(self.at.member(name)).filter(|field| !field.is_unset())
    }

    fn count(&mut self, name: &'static str, default: u64) -> Result<u64, OptionsError> {
        self.field(name).map_or(Ok(default), |field| field.count())
    }

    /// A count that is not 0.
    fn some(&mut self, name: &'static str, default: u64) -> Result<u64, OptionsError> {
        let count = self.count(name, default)?;
        if count == 0 {
            return Err(self.at.member(name).error("must be 1 or more"));
        }
        Ok(count)
    }

    fn needed(&mut self, name: &'static str) -> Result<At<'v>, OptionsError> {
        self.field(name)
            .ok_or_else(|| self.at.error(&format!("has no `{name}`")))
    }

    fn duration(
        &mut self,
        name: &'static str,
        default: Option<Duration>,
    ) -> Result<Duration, OptionsError> {
        let field = match default {
            Some(default) => match self.field(name) {
                Some(field) => field,
                None => return Ok(default),
            },
            None => self.needed(name)?,
        };
        let duration = field.duration()?;
        if duration.is_zero() {
            return Err(field.error("must be longer than 0"));
        }
        Ok(duration)
    }

    fn stages(&mut self) -> Result<Vec<Stage>, OptionsError> {
        let field = self.needed("stages")?;
        let stages = stages(&field)?;
        if stages.is_empty() {
            return Err(field.error("must have a stage"));
        }
        Ok(stages)
    }

    /// `preAllocatedVUs` and `maxVUs`.
    fn vus(&mut self) -> Result<(u64, u64), OptionsError> {
        let first = self.needed("preAllocatedVUs")?.count()?;
        let most = self.count("maxVUs", first)?;
        if most < first || most == 0 {
            let words = format!("is {most}; it must be `preAllocatedVUs` ({first}) or more, and 1");
            return Err(self.at.member("maxVUs").error(&words));
        }
        Ok((first, most))
    }

    fn executor(&mut self) -> Result<Executor, OptionsError> {
        let second = Some(Duration::from_secs(1));
        Ok(match &*self.at.member("executor").text()? {
            "shared-iterations" => {
                let (vus, iterations) = (self.some("vus", 1)?, self.some("iterations", 1)?);
                if iterations < vus {
                    let words = format!("is {iterations}; it must be `vus` ({vus}) or more");
                    return Err(self.at.member("iterations").error(&words));
                }
                let max_duration = self.duration("maxDuration", Some(MAX_DURATION))?;
                Executor::SharedIterations {
                    vus,
                    iterations,
                    max_duration,
                }
            }
            "per-vu-iterations" => Executor::PerVuIterations {
                vus: self.some("vus", 1)?,
                iterations: self.some("iterations", 1)?,
                max_duration: self.duration("maxDuration", Some(MAX_DURATION))?,
            },
            "constant-vus" => Executor::ConstantVus {
                vus: self.some("vus", 1)?,
                duration: self.duration("duration", None)?,
            },
            "ramping-vus" => Executor::RampingVus {
                start_vus: self.count("startVUs", 1)?,
                stages: self.stages()?,
                graceful_ramp_down: match self.field("gracefulRampDown") {
                    Some(field) => field.duration()?,
                    None => GRACE,
                },
            },
            "constant-arrival-rate" => {
                self.needed("rate")?;
                let (rate, time_unit) = (self.some("rate", 0)?, self.duration("timeUnit", second)?);
                let duration = self.duration("duration", None)?;
                let (pre_allocated_vus, max_vus) = self.vus()?;
                Executor::ConstantArrivalRate {
                    rate,
                    time_unit,
                    duration,
                    pre_allocated_vus,
                    max_vus,
                }
            }
            "ramping-arrival-rate" => {
                let start_rate = self.count("startRate", 0)?;
                let time_unit = self.duration("timeUnit", second)?;
                let stages = self.stages()?;
                let (pre_allocated_vus, max_vus) = self.vus()?;
                Executor::RampingArrivalRate {
                    start_rate,
                    time_unit,
                    stages,
                    pre_allocated_vus,
                    max_vus,
                }
            }
            "externally-controlled" => self.external()?,
            other => {
                let words = format!(
                    "is {}; it must be one of `shared-iterations`, `per-vu-iterations`, \
                     `constant-vus`, `ramping-vus`, `constant-arrival-rate`, \
                     `ramping-arrival-rate` and `externally-controlled`",
                    Value::from(other)
                );
                return Err(self.at.member("executor").error(&words));
            }
        })
    }

    fn external(&mut self) -> Result<Executor, OptionsError> {
        let vus = self.count("vus", 1)?;
        let max_vus = self.count("maxVUs", vus)?;
        if max_vus < vus || max_vus == 0 {
            let words = format!("is {max_vus}; it must be `vus` ({vus}) or more, and 1");
            return Err(self.at.member("maxVUs").error(&words));
        }
        // 0 is for ever.
        let duration = self.needed("duration")?.duration()?;
        let duration = Some(duration).filter(|duration| !duration.is_zero());
        Ok(Executor::ExternallyControlled {
            vus,
            max_vus,
            duration,
        })
    }
}
