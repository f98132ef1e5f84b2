//! Reads a system file: whether it makes sense, and the laws that its times follow.

use super::error::{Fault, SystemError};
use super::law::Law;
use super::quantity::{Positive, Span};
use super::spec::{Kind, SystemSpec};

/// Most servers of a system.
const MAX_SERVERS: u32 = 100_000;

impl SystemSpec {
    /// Reads a system file.
    ///
    /// # Errors
    /// When the text is not TOML, has an unknown key, or a value that makes no sense.
    pub fn from_toml(text: &str) -> Result<Self, SystemError> {
        let spec: Self = toml::from_str(text).map_err(SystemError::Unreadable)?;
        check(&spec).map_err(|fault| fault.place(text))?;
        Ok(spec)
    }

    /// Mean think time, seconds; 0 in the open model.
    ///
    /// # Panics
    /// When the think time makes no sense, which [`SystemSpec::from_toml`] refuses.
    pub fn think_s(&self) -> f64 {
        think(self)
            .expect("a checked system has users that make sense")
            .map_or(0.0, |law| law.mean())
    }

    /// Mean service time at speed 1 over all kinds of requests, seconds.
    ///
    /// # Panics
    /// When a service time makes no sense, which [`SystemSpec::from_toml`] refuses.
    pub fn service_s(&self) -> f64 {
        services(self)
            .expect("a checked system has a service time")
            .iter()
            .map(|(share, law)| share * law.mean())
            .sum()
    }
}

/// Refuses what reads well but makes no sense.
pub(super) fn check(spec: &SystemSpec) -> Result<(), Fault> {
    head(spec)?;
    think(spec)?;
    services(spec)?;
    effects(spec)
}

fn head(spec: &SystemSpec) -> Result<(), Fault> {
    require(!spec.name.trim().is_empty(), "name", "write a name")?;
    require(
        !spec.slo.is_empty(),
        "slo",
        "without an objective nothing can break; write one such as \"p99<2s\"",
    )?;
    require(spec.max_vus >= 1, "max_vus", "a search needs at least 1 VU")?;
    require(
        (1..=spec.max_vus).contains(&spec.start_vus),
        "start_vus",
        "the first level lies between 1 and max_vus",
    )?;
    require(
        spec.pace_per_s > 0.0 && spec.pace_per_s.is_finite(),
        "pace_per_s",
        "write the VUs to start per second, above zero",
    )?;
    let search = &spec.search;
    let holds = search.hold_min.zip(search.hold_max);
    require(
        holds.is_none_or(|(min, max)| min <= max),
        "search.hold_max",
        "the longest hold is not below hold_min",
    )
}

fn effects(spec: &SystemSpec) -> Result<(), Fault> {
    if let Some(neighbour) = &spec.neighbour {
        require(
            neighbour.slow_for < neighbour.every,
            "neighbour.every",
            "the period holds the slow time and a fast one; write more than slow_for",
        )?;
    }
    if let Some(drift) = &spec.drift {
        require(
            drift.slower_per_hour.is_finite(),
            "drift.slower_per_hour",
            "write a finite number, such as 0.10",
        )?;
    }
    if let Some(hysteresis) = &spec.hysteresis {
        require(
            hysteresis.below >= 1,
            "hysteresis.below",
            "never are fewer than 0 in the system; write at least 1",
        )?;
        require(
            hysteresis.below <= hysteresis.above,
            "hysteresis.below",
            "the system would be slow and not slow at once; write at most `above`",
        )?;
    }
    if let Some(memory) = &spec.memory {
        require(
            memory.base < memory.limit,
            "memory.limit",
            "the process would be killed at once; write more than base",
        )?;
    }
    if let Some(leak) = &spec.leak {
        require(
            spec.memory.is_some() || leak.slower_per_gib.is_some(),
            "leak",
            "nothing comes of it; add [memory], whose limit it reaches, or slower_per_gib",
        )?;
    }
    growth(spec)?;
    limits(spec)
}

fn growth(spec: &SystemSpec) -> Result<(), Fault> {
    let Some(growth) = &spec.growth else {
        return Ok(());
    };
    require(
        growth.factor >= 2,
        "growth.factor",
        "it would not grow; write at least 2",
    )?;
    require(
        (spec.service.servers + 1..=MAX_SERVERS).contains(&growth.most),
        "growth.most",
        "write more servers than [service] starts with, and at most 100000",
    )?;
    require(
        growth.below.is_none_or(|below| below < growth.above),
        "growth.below",
        "it would grow and shrink at once; write less than `above`",
    )?;
    require(
        growth.below.is_some() == growth.idle_for.is_some(),
        "growth.idle_for",
        "it shrinks when less busy than `below` for `idle_for`; write both or neither",
    )
}

fn limits(spec: &SystemSpec) -> Result<(), Fault> {
    if let Some(warm_up) = &spec.warm_up {
        require(
            warm_up.requests >= 1,
            "warm_up.requests",
            "it would be warm from the start; write at least 1",
        )?;
    }
    if let Some(bucket) = &spec.token_bucket {
        require(
            bucket.burst >= 1,
            "token_bucket.burst",
            "a bucket without room for a token refuses everything; write at least 1",
        )?;
        require(
            bucket.at_start.is_none_or(|n| n <= bucket.burst),
            "token_bucket.at_start",
            "the bucket holds at most `burst` tokens; write no more",
        )?;
    }
    if let Some(concurrency) = &spec.concurrency {
        require(
            concurrency.most >= 1,
            "concurrency.most",
            "nobody would be let in; write at least 1",
        )?;
    }
    if let Some(connections) = &spec.connections {
        require(
            connections.most >= 1,
            "connections.most",
            "nobody would be let in; write at least 1",
        )?;
    }
    Ok(())
}

fn require(holds: bool, key: &str, message: &str) -> Result<(), Fault> {
    if holds {
        Ok(())
    } else {
        Err(Fault::new(key, message))
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
            let message = "missing; write [think] for VUs in closed loops, or [arrivals] for requests at a rate";
            return Err(Fault::new("think", message));
        }
    };
    let law = Shape {
        table: "think",
        kind: think.kind,
        mean: think.mean,
        spread: "cv",
        cv2: think.cv.map(|cv| cv.get() * cv.get()),
        low: think.low,
        high: think.high,
    }
    .law()?;
    Ok(Some(law))
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
    kind: Kind,
    mean: Option<Span>,
    /// What the table calls its spread.
    spread: &'static str,
    cv2: Option<f64>,
    low: Option<Span>,
    high: Option<Span>,
}

impl Shape {
    fn law(&self) -> Result<Law, Fault> {
        let uniform = self.kind == Kind::Uniform;
        let spread = matches!(self.kind, Kind::Lognormal | Kind::Hyperexponential);
        self.only("mean", self.mean.is_some(), !uniform)?;
        self.only("low", self.low.is_some(), uniform)?;
        self.only("high", self.high.is_some(), uniform)?;
        self.only(self.spread, self.cv2.is_some(), spread)?;
        let seconds = |span: Option<Span>| span.map_or(0.0, Span::s);
        let mean = seconds(self.mean);
        let cv2 = self.cv2.unwrap_or(1.0);
        Ok(match self.kind {
            Kind::Exponential => Law::Exponential { mean },
            Kind::Constant => Law::Constant { value: mean },
            Kind::Uniform if self.low > self.high => {
                return Err(self.fault("high", "the upper bound is not below `low`"));
            }
            Kind::Uniform => Law::Uniform {
                low: seconds(self.low),
                high: seconds(self.high),
            },
            Kind::Lognormal => Law::lognormal(mean, cv2),
            Kind::Hyperexponential if cv2 < 1.0 => {
                return Err(self.fault(
                    self.spread,
                    "a hyperexponential time spreads at least as an exponential one; write 1 or more, or another kind",
                ));
            }
            Kind::Hyperexponential => Law::hyperexponential(mean, cv2),
        })
    }

    /// A key is there exactly when this kind has it.
    fn only(&self, key: &str, is_there: bool, wanted: bool) -> Result<(), Fault> {
        let kind = match self.kind {
            Kind::Exponential => "exponential",
            Kind::Constant => "constant",
            Kind::Uniform => "uniform",
            Kind::Lognormal => "lognormal",
            Kind::Hyperexponential => "hyperexponential",
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
