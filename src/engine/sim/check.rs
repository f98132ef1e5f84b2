//! Whether a system file makes sense.

use super::error::{Fault, SystemError, require};
use super::kinds::UserKinds;
use super::spec::SystemSpec;
use super::times::MAX_SERVERS;

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
}

/// Refuses what reads well but makes no sense.
pub(super) fn check(spec: &SystemSpec) -> Result<(), Fault> {
    head(spec)?;
    UserKinds::of(spec)?;
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
