//! Reads single values, and remembers where each came from so that an error can point there.

use std::fmt::Display;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::{PlanError, ResetWhen, RestartWhen};
use crate::measure::{Arrivals, Level};
use crate::profile::{Source, nearest};
use crate::scenario::{Addresses, check_port, normal_address};
use crate::secret::masked;
use crate::units;

/// A flag's name and what was given for it.
pub(super) struct Flag<R>(pub(super) &'static str, pub(super) Option<R>);

impl<R> Flag<R> {
    /// For a key that has no flag.
    pub(super) fn none() -> Self {
        Self("", None)
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Flag { name: &'static str, given: String },
    Profile(Range<usize>),
    Default,
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Sourced<T> {
    pub(super) value: T,
    origin: Origin,
}

impl<T> Sourced<T> {
    /// Whether nobody asked for it.
    pub(super) fn is_default(&self) -> bool {
        self.origin == Origin::Default
    }
}

/// Reads values of one plan.
pub(super) struct Reader<'a> {
    pub(super) source: Option<&'a Source>,
}

impl Reader<'_> {
    /// The flag's value, else the profile's, else the default. A bad value in the profile is an
    /// error even where a flag beats it.
    pub(super) fn pick<R: Display, T>(
        &self,
        flag: Flag<R>,
        key: Option<&Spanned<R>>,
        default: T,
        read: impl Fn(&R) -> Result<T, String>,
    ) -> Result<Sourced<T>, PlanError> {
        let mut picked = Sourced {
            value: default,
            origin: Origin::Default,
        };
        if let Some(key) = key {
            let origin = Origin::Profile(key.span());
            let value = read(key.as_ref()).map_err(|why| self.fail(&origin, why))?;
            picked = Sourced { value, origin };
        }
        if let Flag(name, Some(raw)) = flag {
            let given = raw.to_string();
            let origin = Origin::Flag { name, given };
            let value = read(&raw).map_err(|why| self.fail(&origin, why))?;
            picked = Sourced { value, origin };
        }
        Ok(picked)
    }

    /// An error about values that do not go together: a flag is blamed before the profile, and the
    /// first before the others.
    pub(super) fn blame<T>(&self, values: &[&Sourced<T>], why: String) -> PlanError {
        let flag = values
            .iter()
            .find(|v| matches!(v.origin, Origin::Flag { .. }));
        let key = values
            .iter()
            .find(|v| matches!(v.origin, Origin::Profile(_)));
        let origin = flag.or(key).map_or(&Origin::Default, |v| &v.origin);
        self.fail(origin, why)
    }

    fn fail(&self, origin: &Origin, why: String) -> PlanError {
        match (origin, self.source) {
            (Origin::Flag { name, given }, _) => PlanError::Flag {
                flag: name,
                value: given.clone(),
                why,
            },
            (Origin::Profile(span), Some(source)) => source.error(Some(span.clone()), why).into(),
            (_, Some(source)) => source.error(None, why).into(),
            (_, None) => PlanError::Flag {
                flag: "find",
                value: String::new(),
                why,
            },
        }
    }
}

pub(super) fn level(vus: i64) -> Result<Level, String> {
    const HIGHEST: u32 = 1_000_000;
    u32::try_from(vus)
        .ok()
        .filter(|v| (1..=HIGHEST).contains(v))
        .map(Level)
        .ok_or_else(|| format!("a level must be between 1 and {HIGHEST}"))
}

pub(super) fn arrivals(text: &str) -> Result<Arrivals, String> {
    match text {
        "poisson" => Ok(Arrivals::Poisson),
        "constant" => Ok(Arrivals::Constant),
        other => Err(unknown(other, &["poisson", "constant"])),
    }
}

pub(super) fn precision(text: &str) -> Result<f64, String> {
    ratio(text, "5%").and_then(|p| {
        (p > 0.0 && p < 1.0)
            .then_some(p)
            .ok_or_else(|| "a precision must be between 0 % and 100 %, such as 5%".to_owned())
    })
}

pub(super) fn confidence(text: &str) -> Result<f64, String> {
    ratio(text, "95%").and_then(|c| {
        (0.5..=0.999)
            .contains(&c)
            .then_some(c)
            .ok_or_else(|| "a confidence must be between 50 % and 99.9 %, such as 95%".to_owned())
    })
}

fn ratio(text: &str, example: &str) -> Result<f64, String> {
    units::parse_ratio(text).map_err(|e| format!("{e}; write it as {example}"))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let time = units::parse_duration(text).map_err(|e| format!("{e}; write it as 30s or 15m"))?;
    if time.is_zero() {
        return Err("must be longer than zero, such as 30s".to_owned());
    }
    Ok(time)
}

/// The same where nothing at all may be asked for too.
pub(super) fn duration_or_none(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|e| format!("{e}; write it as 30s or 2m, or 0 for none"))
}

pub(super) fn pace(per_s: f64) -> Result<f64, String> {
    (per_s.is_finite() && per_s > 0.0)
        .then_some(per_s)
        .ok_or_else(|| "a pace must be above 0 VUs per second, such as 50".to_owned())
}

pub(super) fn seed(seed: i128) -> Result<u64, String> {
    u64::try_from(seed).map_err(|_| "a seed is a whole number of at least 0".to_owned())
}

pub(super) fn canary_cycles(cycles: i64) -> Result<u32, String> {
    u32::try_from(cycles)
        .ok()
        .filter(|c| *c <= 1000)
        .ok_or_else(|| "canary cycles must be between 0 (none) and 1000".to_owned())
}

pub(super) fn reset_when(text: &str) -> Result<ResetWhen, String> {
    match text {
        "broken" => Ok(ResetWhen::Broken),
        "always" => Ok(ResetWhen::Always),
        other => Err(unknown(other, &["broken", "always"])),
    }
}

pub(super) fn addresses(text: &str) -> Result<Addresses, String> {
    match text {
        "all" => Ok(Addresses::All),
        "first" => Ok(Addresses::First),
        other => Err(unknown(other, &["all", "first"])),
    }
}

pub(super) fn restart_when(text: &str) -> Result<RestartWhen, String> {
    match text {
        "dead" => Ok(RestartWhen::Dead),
        "bloated" => Ok(RestartWhen::Bloated),
        "always" => Ok(RestartWhen::Always),
        other => Err(unknown(other, &["dead", "bloated", "always"])),
    }
}

/// A value that is none of those there are.
pub(super) fn unknown(value: &str, known: &[&str]) -> String {
    match nearest(value, known.iter().copied()) {
        Some(near) => format!("unknown value `{value}`; did you mean `{near}`?"),
        None => format!("unknown value `{value}`; use {}", known.join(" or ")),
    }
}

/// The address of a Redis server, as far as it names a host: one that listens at a path has none.
pub(super) fn redis_url(text: &str) -> Result<(), String> {
    let Some(rest) = text.strip_prefix("redis://") else {
        return Ok(());
    };
    // A password may have signs in it that would end the host.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let end = host.find(['/', '?', '#']).unwrap_or(host.len());
    check_port(&host[..end])
}

/// An address without the blanks of its placeholders.
fn without_blanks(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    let mut rest = address;
    while let Some(begin) = rest.find("{{") {
        let end = rest[begin..]
            .find("}}")
            .map_or(rest.len(), |end| begin + end);
        out.push_str(&rest[..begin]);
        out.extend(
            rest[begin..end]
                .chars()
                .filter(|c| !c.is_whitespace() && *c != '"'),
        );
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// An address that load can be sent to.
pub(super) fn url(text: &str) -> Result<http::Uri, String> {
    const EXAMPLE: &str = "write it as http://127.0.0.1:8080";
    let normal = normal_address(text)?;
    let no_scheme = || {
        let with_one = format!("http://{}", text.trim_start_matches('/'));
        format!(
            "the address has no http:// or https://; write it as {}",
            masked(&with_one)
        )
    };
    // Blanks within `{{ }}` are none of the address.
    let plain = without_blanks(&normal);
    let uri: http::Uri = plain.parse().map_err(|e| {
        if !text.contains(":/") {
            no_scheme()
        } else if matches!(normal.trim_end_matches('/'), "http:" | "https:") {
            format!("the address has no host; {EXAMPLE}")
        } else {
            format!("not an address: {e}; {EXAMPLE}")
        }
    })?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|h| !h.is_empty()) => Ok(uri),
        Some("http" | "https") => Err(format!("the address has no host; {EXAMPLE}")),
        Some(other) => Err(format!("cannot load {other}://; {EXAMPLE} or https://...")),
        None => Err(no_scheme()),
    }
}
