//! The laws that the times of a system file follow.

use super::error::{Fault, require};
use super::kinds::UserKinds;
use super::law::Law;
use super::quantity::{Positive, Span};
use super::spec::{SystemSpec, ThinkSpec, TimeShape, UsersSpec, WorkSpec};
use crate::measure::StepTable;

/// Most servers of a system.
pub(super) const MAX_SERVERS: u32 = 100_000;

impl SystemSpec {
    /// Mean think time, seconds; 0 in the open model.
    ///
    /// # Panics
    /// When the think time makes no sense, which [`SystemSpec::from_toml`] refuses.
    pub fn think_s(&self) -> f64 {
        self.user_kinds().think_s()
    }

    /// Mean service time at speed 1 over all kinds of requests, seconds.
    ///
    /// # Panics
    /// When a service time makes no sense, which [`SystemSpec::from_toml`] refuses.
    pub fn service_s(&self) -> f64 {
        self.user_kinds().service_s()
    }

    /// The rows of its windows; `good` are the names of those that count good requests.
    ///
    /// # Panics
    /// As [`SystemSpec::think_s`].
    pub fn steps(&self, good: &[&str]) -> StepTable {
        self.user_kinds().steps(good)
    }

    pub(super) fn user_kinds(&self) -> UserKinds {
        UserKinds::of(self).expect("a checked system has users that make sense")
    }
}

/// The law of the think time; `None` in the open model.
pub(super) fn think(spec: &SystemSpec) -> Result<Option<Law>, Fault> {
    let think = match (&spec.think, &spec.arrivals) {
        (Some(think), None) => think,
        (None, Some(_)) => return Ok(None),
        (Some(_), Some(_)) => {
            let message =
                "users either think in closed loops or arrive; leave out [think] or [arrivals]";
            return Err(Fault::new("arrivals", message));
        }
        (None, None) => {
            let message = "missing; write [think] for VUs in closed loops, or [arrivals] for \
                requests at a rate";
            return Err(Fault::new("think", message));
        }
    };
    Ok(Some(think_law(think, "think")?))
}

fn think_law(think: &ThinkSpec, table: &'static str) -> Result<Law, Fault> {
    let shape = Shape {
        table,
        kind: think.kind,
        mean: think.mean,
        spread: "cv",
        cv2: think.cv.map(|cv| cv.get() * cv.get()),
        low: think.low,
        high: think.high,
    };
    shape.law()
}

/// The think time of a kind of users: there exactly where users think.
pub(super) fn think_of(users: &UsersSpec, is_closed: bool) -> Result<Option<Law>, Fault> {
    match (&users.think, is_closed) {
        (Some(think), true) => think_law(think, "users.think").map(Some),
        (None, false) => Ok(None),
        (None, true) => Err(Fault::new(
            "users.think",
            "missing; write how long these users think, such as \
             think = { kind = \"exponential\", mean = \"5s\" }",
        )),
        (Some(_), false) => Err(Fault::new(
            "users.think",
            "who arrives at a rate asks once and leaves; leave it out",
        )),
    }
}

/// The law of the work of a request.
pub(super) fn work_of(work: &WorkSpec, table: &'static str) -> Result<Law, Fault> {
    let shape = Shape {
        table,
        kind: work.kind,
        mean: work.mean,
        spread: "cv2",
        cv2: work.cv2.map(Positive::get),
        low: work.low,
        high: work.high,
    };
    shape.law()
}

/// The kinds of requests: each one's share and the law of its service time.
pub(super) fn services(spec: &SystemSpec) -> Result<Vec<(f64, Law)>, Fault> {
    let service = &spec.service;
    require(
        (1..=MAX_SERVERS).contains(&service.servers),
        "service.servers",
        "write a number from 1 to 100000",
    )?;
    let usual = Shape {
        table: "service",
        kind: service.kind,
        mean: service.mean,
        spread: "cv2",
        cv2: service.cv2.map(Positive::get),
        low: service.low,
        high: service.high,
    }
    .law()?;
    let mut kinds = Vec::new();
    let mut rest = 1.0;
    for population in &spec.population {
        let law = Shape {
            table: "population",
            kind: population.kind,
            mean: population.mean,
            spread: "cv2",
            cv2: population.cv2.map(Positive::get),
            low: population.low,
            high: population.high,
        }
        .law()?;
        rest -= population.share.get();
        kinds.push((population.share.get(), law));
    }
    require(
        rest > -1e-9,
        "population",
        "the shares add up to more than 1; [service] takes what they leave",
    )?;
    kinds.insert(0, (f64::max(rest, 0.0), usual));
    Ok(kinds)
}

/// The keys that describe a random time.
struct Shape {
    table: &'static str,
    kind: TimeShape,
    mean: Option<Span>,
    /// What the table calls its spread.
    spread: &'static str,
    cv2: Option<f64>,
    low: Option<Span>,
    high: Option<Span>,
}

impl Shape {
    fn law(&self) -> Result<Law, Fault> {
        let uniform = self.kind == TimeShape::Uniform;
        let spread = matches!(
            self.kind,
            TimeShape::Lognormal | TimeShape::Hyperexponential
        );
        self.only("mean", self.mean.is_some(), !uniform)?;
        self.only("low", self.low.is_some(), uniform)?;
        self.only("high", self.high.is_some(), uniform)?;
        self.only(self.spread, self.cv2.is_some(), spread)?;
        let seconds = |span: Option<Span>| span.map_or(0.0, Span::s);
        let mean = seconds(self.mean);
        let cv2 = self.cv2.unwrap_or(1.0);
        Ok(match self.kind {
            TimeShape::Exponential => Law::Exponential { mean },
            TimeShape::Constant => Law::Constant { value: mean },
            TimeShape::Uniform if self.low > self.high => {
                return Err(self.fault("high", "the upper bound is not below `low`"));
            }
            TimeShape::Uniform => Law::Uniform {
                low: seconds(self.low),
                high: seconds(self.high),
            },
            TimeShape::Lognormal => Law::lognormal(mean, cv2),
            TimeShape::Hyperexponential if cv2 < 1.0 => {
                return Err(self.fault(
                    self.spread,
                    "a hyperexponential time spreads at least as an exponential one; write 1 or \
                     more, or another kind",
                ));
            }
            TimeShape::Hyperexponential => Law::hyperexponential(mean, cv2),
        })
    }

    /// A key is there exactly when this kind has it.
    fn only(&self, key: &str, is_there: bool, wanted: bool) -> Result<(), Fault> {
        let kind = match self.kind {
            TimeShape::Exponential => "exponential",
            TimeShape::Constant => "constant",
            TimeShape::Uniform => "uniform",
            TimeShape::Lognormal => "lognormal",
            TimeShape::Hyperexponential => "hyperexponential",
        };
        match (is_there, wanted) {
            (false, true) => {
                let message = format!(
                    "missing; kind = \"{kind}\" needs it, such as {}",
                    example(key)
                );
                Err(self.fault(key, &message))
            }
            (true, false) => {
                let message = format!("kind = \"{kind}\" has no `{key}`; leave it out");
                Err(self.fault(key, &message))
            }
            _ => Ok(()),
        }
    }

    fn fault(&self, key: &str, message: &str) -> Fault {
        Fault::new(format!("{}.{key}", self.table), message)
    }
}

fn example(key: &str) -> String {
    match key {
        "cv" | "cv2" => format!("{key} = 2.0"),
        _ => format!("{key} = \"50ms\""),
    }
}
