//! What stands before the servers: how many requests are let in, and how many servers there are.

use std::collections::VecDeque;

use super::spec::{GrowthSpec, Span, TokenBucketSpec};

/// Tokens that requests take.
#[derive(Debug)]
pub(super) struct TokenBucket {
    spec: TokenBucketSpec,
    tokens: f64,
    since: f64,
}

impl TokenBucket {
    pub(super) fn new(spec: TokenBucketSpec) -> Self {
        Self {
            spec,
            tokens: f64::from(spec.at_start.unwrap_or(spec.burst)),
            since: 0.0,
        }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: f64) -> bool {
        let come = self.spec.per_s.get() * (now - self.since);
        self.since = now;
        self.tokens = (self.tokens + come).min(self.spec.burst.into());
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }
}

/// Adds servers while the present ones are busy, and takes them away again. It looks once a second.
#[derive(Debug)]
pub(super) struct ServerGrowth {
    spec: GrowthSpec,
    /// Fewest servers: those of the start.
    fewest: u32,
    /// When the servers come that were ordered.
    due: Option<f64>,
    /// Time and busy server-seconds at each look since the number of servers changed, as far back
    /// as is needed.
    looks: VecDeque<(f64, f64)>,
}

impl ServerGrowth {
    pub(super) fn new(spec: GrowthSpec, servers: u32) -> Self {
        Self {
            spec,
            fewest: servers,
            due: None,
            looks: VecDeque::new(),
        }
    }

    /// How many servers there are to be from now on, when that changes.
    pub(super) fn look(&mut self, now: f64, busy_s: f64, servers: u32) -> Option<u32> {
        self.looks.push_back((now, busy_s));
        let wanted = self.wanted(now, servers).filter(|n| *n != servers)?;
        self.due = None;
        self.looks.clear();
        self.looks.push_back((now, busy_s));
        Some(wanted)
    }

    fn wanted(&mut self, now: f64, servers: u32) -> Option<u32> {
        let spec = self.spec;
        if let Some(due) = self.due {
            return (due <= now).then(|| spec.more(servers));
        }
        let busy = self.busy(spec.after.s(), servers);
        if servers < spec.most && busy.is_some_and(|share| share > spec.above.get()) {
            self.due = Some(now + spec.delay.s());
        } else if let (Some(below), Some(idle_for)) = (spec.below, spec.idle_for) {
            let idle = self.busy(idle_for.s(), servers)? < below.get();
            return idle.then(|| (servers / spec.factor).max(self.fewest));
        }
        let longest = spec.idle_for.map_or(0.0, Span::s).max(spec.after.s());
        // One look older than the longest time stays, to measure from.
        while self
            .looks
            .get(1)
            .is_some_and(|(at, _)| *at <= now - longest)
        {
            self.looks.pop_front();
        }
        None
    }

    /// Share of busy servers over the last seconds; `None` before so many have passed.
    fn busy(&self, seconds: f64, servers: u32) -> Option<f64> {
        let (now, busy_s) = *self.looks.back()?;
        // A thousandth of a second of slack: the looks are a second apart up to rounding.
        let old_enough = |(at, _): &&(f64, f64)| *at <= now - seconds + 1e-3;
        let (then, busy_then) = self.looks.iter().rev().find(old_enough)?;
        Some((busy_s - busy_then) / (now - then) / f64::from(servers))
    }
}
