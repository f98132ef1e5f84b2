//! What a run needs of its own machine, and whether that is there: descriptors, ports, memory, time.
//!
//! Arithmetic, and one thin reader of the machine's limits.

mod machine;
mod memory;
mod sources;
mod targets;

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::measure::{Level, LevelUnit};
use crate::plan::{
    Amount, EngineFacts, LoadPlan, Plan, RestartWhen, TargetKind, TargetPlan, VuCost,
};
use crate::record::Environment;
use crate::run;
use crate::scenario::{Addresses, Http, Protocol};
use crate::search::forecast::{self, BreakKind, Expected};
use crate::search::{CycleModel, SearchSpec};
use crate::secret::masked;
use crate::slo::Metric;
use crate::units;

pub use sources::{SourceError, check_sources};
pub use targets::{Stranger, Unresolved, check_targets, resolve_allowed};

/// Descriptors of the generator itself: files, monitors, its runtime.
const OWN_DESCRIPTORS: u64 = 64;
/// Memory of the generator itself, and of a VU and each of its connections, the kernel's part included. Measured (release
/// build, 1 000 and 5 000 VUs; docs/engine.md has the figures): 12 MiB, 6 KiB and 5 to 6 KiB; the rest is for what a run
/// records and for data in flight.
const OWN_MEMORY: u64 = 64 << 20;
const VU_MEMORY: u64 = 8 << 10;
const CONNECTION_MEMORY: u64 = 12 << 10;
/// What a connection of HTTP/2, and a stream of it, take beside that.
const HTTP2_MEMORY: u64 = 40 << 10;
const HTTP2_STREAM_MEMORY: u64 = 2 << 10;
/// Linux' range of local ports where it cannot be read.
const DEFAULT_PORTS: u64 = 28_232;

/// What this machine allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Descriptors that this process may open.
    pub descriptors: u64,
    /// How many it was allowed before the limit was raised.
    pub descriptors_before: u64,
    /// How far this process could raise that by itself.
    pub descriptors_hard: u64,
    /// Local ports for connections to one address, over all source addresses.
    pub ports: u64,
    /// Memory that may still be taken, bytes; `None` where unknown.
    pub memory: Option<u64>,
}

/// What a level needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Descriptors of the generator.
    pub descriptors: u64,
    /// Local ports.
    pub ports: u64,
    /// Memory of the generator, bytes, roughly.
    pub memory: u64,
}

/// What one VU needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Each {
    sockets: u64,
    memory: u64,
    /// How many VUs have these sockets together.
    share: u64,
}

impl Each {
    /// A VU of an engine that does not run scenarios of the profile.
    pub fn of_engine(engine: &dyn EngineFacts) -> Self {
        match engine.vu_cost() {
            VuCost::Fixed {
                connections,
                memory,
            } => Self {
                sockets: connections,
                memory,
                share: 1,
            },
            VuCost::OfScenario | VuCost::Nothing => Self::with_connections(0),
        }
    }

    /// A VU of this program that holds up to so many connections at once.
    pub fn with_connections(connections: usize) -> Self {
        let connections = u64::try_from(connections).unwrap_or(u64::MAX);
        Self {
            sockets: connections,
            memory: VU_MEMORY.saturating_add(connections.saturating_mul(CONNECTION_MEMORY)),
            share: 1,
        }
    }

    /// The same over another HTTP: a connection of HTTP/2 has buffers and tables of its own, and several VUs may share it.
    #[must_use]
    pub fn speaking(self, protocol: Protocol) -> Self {
        if protocol.http == Http::One {
            return self;
        }
        let share = u64::from(protocol.streams_per_connection.max(1));
        let streams = self.sockets.saturating_mul(HTTP2_STREAM_MEMORY);
        let connections = self.sockets.saturating_mul(HTTP2_MEMORY) / share;
        Self {
            memory: self
                .memory
                .saturating_add(streams)
                .saturating_add(connections),
            share,
            ..self
        }
    }

    /// Sockets of so many VUs.
    fn sockets_of(self, vus: u64) -> u64 {
        vus.div_ceil(self.share.max(1)).saturating_mul(self.sockets)
    }
}

/// How the highest level fits this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// All of it.
    Fits,
    /// The default does not: the search goes up to this level only, and why.
    Capped {
        /// The highest level that fits.
        max: Level,
        /// What a reader must know.
        warning: String,
    },
}

/// The highest level that was asked for does not fit this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} VUs need {needed}, but {have}. {way_out}{}", .asked.0, self.or_less())]
pub struct TooHigh {
    /// The level asked for.
    pub asked: Level,
    /// What runs out, and how much of it would be needed: `2066 descriptors`.
    pub needed: String,
    /// How much there is: `2064 are allowed here`.
    pub have: String,
    /// What to do.
    pub way_out: String,
    /// The highest level that fits.
    pub highest: Level,
    /// How to ask for that.
    pub less: String,
}

impl Needs {
    /// What `level` needs.
    pub fn of(level: Level, each: Each) -> Self {
        let vus = u64::from(level.get());
        let sockets = each.sockets_of(vus);
        Self {
            descriptors: sockets.saturating_add(OWN_DESCRIPTORS),
            ports: sockets,
            memory: vus.saturating_mul(each.memory).saturating_add(OWN_MEMORY),
        }
    }
}

impl Needs {
    /// With so many other VUs, which hold so many connections in all.
    #[must_use]
    pub fn and_beside(self, (vus, connections): (u64, u64)) -> Self {
        let memory = vus
            .saturating_mul(VU_MEMORY)
            .saturating_add(connections.saturating_mul(CONNECTION_MEMORY));
        Self {
            descriptors: self.descriptors.saturating_add(connections),
            ports: self.ports.saturating_add(connections),
            memory: self.memory.saturating_add(memory),
        }
    }
}

impl HostLimits {
    /// How far the limit of descriptors was raised, where that says more than the limit itself.
    fn raised(&self) -> String {
        if self.descriptors < self.descriptors_hard {
            format!(
                " (raising the limit to the hard limit of {} failed)",
                self.descriptors_hard
            )
        } else if self.descriptors_before < self.descriptors {
            format!(
                " (already raised from {} to the hard limit)",
                self.descriptors_before
            )
        } else {
            " (the hard limit)".to_owned()
        }
    }

    /// The limits of a load that comes from this many addresses; 0 is the kernel's choice, one.
    #[must_use]
    pub fn with_sources(self, addresses: usize) -> Self {
        let addresses = u64::try_from(addresses.max(1)).unwrap_or(u64::MAX);
        Self {
            ports: self.ports.saturating_mul(addresses),
            ..self
        }
    }

    /// What is left beside so many other VUs with so many connections in all.
    #[must_use]
    pub fn beside(self, vus: u64, connections: u64) -> Self {
        let taken = Needs::default().and_beside((vus, connections));
        Self {
            descriptors: self.descriptors.saturating_sub(taken.descriptors),
            ports: self.ports.saturating_sub(taken.ports),
            memory: self.memory.map(|free| free.saturating_sub(taken.memory)),
            ..self
        }
    }

    /// The highest level that fits.
    pub fn highest(&self, each: Each) -> Level {
        let sockets = self
            .descriptors
            .saturating_sub(OWN_DESCRIPTORS)
            .min(self.ports);
        let by_memory = self.memory.map_or(u64::MAX, |free| {
            free.saturating_sub(OWN_MEMORY) / each.memory.max(1)
        });
        let by_sockets = (sockets / each.sockets.max(1)).saturating_mul(each.share.max(1));
        let vus = by_sockets.min(by_memory);
        Level(u32::try_from(vus).unwrap_or(u32::MAX))
    }
}

/// Whether a plan fits this machine. A highest level that was asked for is refused when it does not; a default is capped.
///
/// # Errors
/// When the highest level was asked for, or not even the lowest fits.
pub fn fit(plan: &Plan, each: Each, host: &HostLimits) -> Result<Fit, TooHigh> {
    let (least, most, asked_for, what) = match plan.load {
        LoadPlan::Closed => (
            plan.search.min,
            plan.search.max,
            plan.max_is_explicit,
            "the highest level is",
        ),
        LoadPlan::Open(open) => (
            Level(1),
            Level(open.most_vus),
            open.most_is_explicit,
            "the number of concurrent VUs is at most",
        ),
    };
    let highest = host.highest(each);
    if most <= highest {
        return Ok(Fit::Fits);
    }
    let error = too_high(most, each, host);
    if highest < least {
        let less = format!("--min-vus {0} --max-vus {0}", highest.get());
        return Err(TooHigh { less, ..error });
    }
    if asked_for {
        return Err(error);
    }
    let closed = plan.load == LoadPlan::Closed;
    if let Some(required) = plan.required.filter(|r| closed && highest < *r) {
        // A gate above what fits could never pass.
        return Err(too_high(required, each, host));
    }
    let warning = format!(
        "{what} {} instead of {}: {error}",
        highest.get(),
        most.get()
    );
    Ok(Fit::Capped {
        max: highest,
        warning,
    })
}

fn too_high(asked: Level, each: Each, host: &HostLimits) -> TooHigh {
    let needs = Needs::of(asked, each);
    let highest = host.highest(each);
    let (needed, have, way_out) = if needs.descriptors > host.descriptors {
        let needed = needs.descriptors;
        (
            format!("{needed} descriptors"),
            format!(
                "only {} are allowed here{}",
                host.descriptors,
                host.raised()
            ),
            format!(
                "Raise the limit (ulimit -n {needed}, as root above the hard limit; in a \
                 container: docker run --ulimit nofile={needed})"
            ),
        )
    } else if let Some(free) = host.memory.filter(|free| needs.memory > *free) {
        (
            format!("about {} of memory", bytes(needs.memory)),
            format!("only {} is free here", bytes(free)),
            "Free some memory, raise the limit (in a container: docker run --memory), run the load \
             elsewhere"
                .to_owned(),
        )
    } else {
        (
            format!("{} local ports", needs.ports),
            format!("only {} are allowed here", host.ports),
            "Widen the range (sysctl -w net.ipv4.ip_local_port_range='1024 65535'), use more local \
             addresses of this machine (--local-addr ADDRESS, repeatable; on the loopback \
             127.0.0.2, 127.0.0.3, ...)"
                .to_owned(),
        )
    };
    TooHigh {
        asked,
        needed,
        have,
        way_out,
        highest,
        less: format!("--max-vus {}", highest.get()),
    }
}

impl TooHigh {
    /// What to ask for instead, where anything fits.
    fn or_less(&self) -> String {
        match self.highest {
            Level::ZERO => "; as is, not even one VU fits".to_owned(),
            _ => format!(", or request fewer: {}", self.less),
        }
    }
}

/// Raises the limit of open descriptors as far as it goes and reads what this machine allows.
pub fn read_host() -> HostLimits {
    let limits = rlimit::Resource::NOFILE.get();
    let (soft, hard) = limits.unwrap_or((1024, 1024));
    let raised = rlimit::increase_nofile_limit(rlimit::INFINITY);
    let ports = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    HostLimits {
        descriptors: raised.unwrap_or(soft),
        descriptors_before: soft,
        descriptors_hard: hard,
        ports: ports
            .ok()
            .and_then(|text| port_count(&text))
            .unwrap_or(DEFAULT_PORTS),
        memory: memory::available(),
    }
}

/// Where the load comes from, for the record.
pub fn environment(host: &HostLimits, sources: &[IpAddr]) -> Environment {
    let read = |file: &str| {
        let text = std::fs::read_to_string(Path::new("/proc/sys/kernel").join(file));
        text.map_or_else(|_| String::new(), |t| t.trim().to_owned())
    };
    let kernel = format!("{} {}", read("ostype"), read("osrelease"));
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    Environment {
        kernel: kernel.trim().to_owned(),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        descriptor_limit: host.descriptors,
        local_addresses: sources.iter().map(ToString::to_string).collect(),
        platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        cpu_model: machine::cpu_model(),
        memory_bytes: machine::memory(),
    }
}

/// `32768 60999` as a number of ports.
fn port_count(range: &str) -> Option<u64> {
    let mut ends = range.split_ascii_whitespace();
    let low: u64 = ends.next()?.parse().ok()?;
    let high: u64 = ends.next()?.parse().ok()?;
    (high + 1).checked_sub(low).filter(|count| *count > 0)
}

/// What `breakpoint plan` prints: what a run would do and need.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Levels of the first steps upward, until one breaks.
    pub levels: Vec<Level>,
    /// What the highest level needs.
    pub needs: Needs,
    /// What to expect of the search, by how the service breaks; `None` where the SLO has no latency quantile.
    pub expected: Option<(Expected, Expected)>,
    /// Where the names of the target lead.
    addresses: Vec<String>,
    /// What would make a search with so slow a cycle quicker.
    pub hint: Option<String>,
}

/// What ends a run whatever it is doing.
fn stops(plan: &Plan) -> String {
    let mut out = format!("after {} at the latest", time(plan.longest_run()));
    let safety = &plan.safety;
    if let Some(file) = &safety.stop_file {
        // Writing to a string cannot fail.
        write!(out, ", when {} exists", file.display()).ok();
    }
    if !safety.abort_if.is_empty() {
        write!(out, ", when {}", safety.abort_if.texts().join(" or ")).ok();
    }
    out
}

/// Who is searched and who is there beside; nothing where the users are alone.
fn populations(plan: &Plan) -> Vec<String> {
    let all = &plan.populations;
    if all.others.is_empty() {
        return Vec::new();
    }
    let all_shares: u32 = all.shares().iter().sum();
    let told = |name: &str, amount: Amount| match amount {
        Amount::Searched => format!("{name}: set by the level"),
        Amount::Share(share) => format!("{name}: {share} of {all_shares} of the level"),
        Amount::Vus(level) => format!("{name}: {}", LevelUnit::Vus.count(level)),
        Amount::PerSecond(level) => format!("{name}: {}", LevelUnit::CyclesPerS.count(level)),
    };
    all.amounts()
        .map(|(name, amount)| told(name, amount))
        .collect()
}

/// The one time that is told of a run before it: at most how long it takes, and how much of that is load of which kind.
pub fn time_of_run(plan: &Plan, load: &str) -> String {
    format!(
        "at most {} ({} of {load}{}; the rest is for the target to start, recover, and drain)",
        time(plan.longest_run()),
        time(plan.search.budget),
        references(&plan.search)
    )
}

/// What follows the search.
fn references(search: &SearchSpec) -> String {
    match search.references_s() {
        0.0 => String::new(),
        most => format!(
            ", {} of reference holds below the breakpoint",
            time(Duration::from_secs_f64(most))
        ),
    }
}

impl Outline {
    /// The outline of a plan whose VUs need `each` and think for `think_s` seconds in a cycle.
    ///
    /// `beside` are VUs, and their connections, of the populations that are not searched.
    pub fn of(plan: &Plan, each: Each, think_s: f64, beside: (u64, u64)) -> Self {
        let search = &plan.search;
        let mut levels = vec![search.start];
        let mut next = search.start;
        while next < search.max {
            next = Level(next.get().saturating_mul(2).min(search.max.get()));
            levels.push(next);
        }
        let most_vus = match plan.load {
            LoadPlan::Closed => search.max,
            LoadPlan::Open(open) => Level(open.most_vus),
        };
        Self {
            levels,
            addresses: Vec::new(),
            needs: Needs::of(most_vus, each).and_beside(beside),
            expected: (plan.populations.users.is_searched()
                && plan.engine.facts().abilities().runs_scenarios)
                .then(|| expected(plan, think_s))
                .flatten(),
            hint: run::slow_start(&plan.search, think_s),
        }
    }

    /// The text of `breakpoint plan`.
    pub fn render(&self, plan: &Plan, host: &HostLimits) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        self.write(&mut out, plan, host).ok();
        out
    }

    fn write(&self, out: &mut String, plan: &Plan, host: &HostLimits) -> fmt::Result {
        self.write_asked(out, plan)?;
        self.write_search(out, plan)?;
        match plan.engine.facts().vu_cost() {
            VuCost::OfScenario | VuCost::Fixed { .. } => self.write_needs(out, plan, host),
            VuCost::Nothing => Ok(()),
        }
    }

    /// The same with where the names of the target lead.
    #[must_use]
    pub fn with_addresses(mut self, plan: &Plan, found: &[(String, Vec<IpAddr>)]) -> Self {
        let line = |(host, addresses): &(String, Vec<IpAddr>)| {
            let each: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let each = each.join(", ");
            match (addresses.len(), plan.target.addresses) {
                (0, _) => format!("{host} does not resolve yet"),
                (1, _) => format!("{host} is {each}"),
                (n, Addresses::All) => format!("{n} of {host}, used by VUs in turn: {each}"),
                (n, Addresses::First) => {
                    format!("the first of {n} of {host} that answers: {each}")
                }
            }
        };
        self.addresses = found.iter().map(line).collect();
        self
    }

    /// What is loaded, and by whom.
    fn write_asked(&self, out: &mut String, plan: &Plan) -> fmt::Result {
        let slo: Vec<&str> = plan
            .slo
            .objectives()
            .iter()
            .map(|o| o.text.as_str())
            .collect();
        let mut monitors: Vec<&str> = plan.monitors.iter().map(|m| m.name.as_str()).collect();
        // One with two sources has a plan for each.
        monitors.dedup();
        writeln!(out, "profile      {}", plan.name)?;
        write_target(out, plan)?;
        for line in &self.addresses {
            writeln!(out, "addresses    {line}")?;
        }
        if let Some(http) = http_words(plan) {
            writeln!(out, "HTTP         {http}")?;
        }
        if plan.target.connect.insecure {
            writeln!(out, "certificate  not checked (insecure)")?;
        }
        for (name, text) in plan.engine.facts().words().outline {
            writeln!(out, "{name:<12} {text}")?;
        }
        writeln!(out, "SLO          {}", slo.join("  "))?;
        if !monitors.is_empty() {
            writeln!(out, "monitors     {}", monitors.join("  "))?;
        }
        for population in populations(plan) {
            writeln!(out, "population   {population}")?;
        }
        Ok(())
    }

    /// Levels, precision and time.
    fn write_search(&self, out: &mut String, plan: &Plan) -> fmt::Result {
        let search = &plan.search;
        let levels: Vec<String> = self.levels.iter().map(|l| l.get().to_string()).collect();
        writeln!(
            out,
            "levels       {} to {}; first steps, until one breaks: {}",
            search.min.get(),
            search.unit.count(search.max),
            levels.join(" ")
        )?;
        match search.warm_up {
            Some(Duration::ZERO) => writeln!(out, "warm-up      none")?,
            Some(lasts) => writeln!(
                out,
                "warm-up      {} at {}, not judged, part of the search budget",
                time(lasts),
                search.unit.count(search.start.max(search.min))
            )?,
            None => {}
        }
        if let Some(required) = plan.required {
            writeln!(
                out,
                "gate         exit code 99 unless the interval's lower bound is at least {}",
                search.unit.count(required)
            )?;
        }
        writeln!(
            out,
            "precision    ±{} at {} confidence, holds of {} to {}",
            percent(search.precision),
            percent(search.confidence),
            time(search.hold_min),
            time(search.hold_max)
        )?;
        if let Some(hint) = &self.hint {
            writeln!(out, "hint         {hint}")?;
        }
        writeln!(out, "time         {}", time_of_run(plan, "search"))?;
        writeln!(out, "stops        {}", stops(plan))?;
        if let Some((saturated, bursts)) = &self.expected {
            let asked = percent(search.precision);
            writeln!(
                out,
                "expect       ±{asked} in about {} if the service is saturated when it breaks, in \
                 about {} if bursts break it earlier",
                roughly(saturated.asked_s),
                roughly(bursts.asked_s)
            )?;
            writeln!(
                out,
                "             a budget of {} gives {} and {}; pauses and long service times widen \
                 it",
                time(search.budget),
                width(saturated),
                width(bursts)
            )?;
        }
        Ok(())
    }

    /// What of this machine it takes.
    fn write_needs(&self, out: &mut String, plan: &Plan, host: &HostLimits) -> fmt::Result {
        writeln!(
            out,
            "descriptors  {} needed, {} allowed{}",
            self.needs.descriptors,
            host.descriptors,
            host.raised()
        )?;
        let from = match plan.local_addresses.len() {
            0 => String::new(),
            1 => format!(" from {}", plan.local_addresses[0]),
            n => format!(" from {n} addresses"),
        };
        writeln!(
            out,
            "ports        {} needed, {} allowed{from}",
            self.needs.ports, host.ports
        )?;
        let free = host
            .memory
            .map_or_else(String::new, |free| format!(", {} free", bytes(free)));
        writeln!(
            out,
            "memory       about {} for the generator{free}",
            bytes(self.needs.memory)
        )
    }
}

fn expected(plan: &Plan, think_s: f64) -> Option<(Expected, Expected)> {
    let quantile = |m: &Metric| matches!(m, Metric::Quantile { .. });
    // What is told was measured with closed users.
    let open = plan.search.unit.is_open();
    if open || !plan.slo.objectives().iter().any(|o| quantile(&o.metric)) {
        return None;
    }
    let model = CycleModel {
        think_s,
        limit_s: plan.slo.tightest_limit_s(),
    };
    let of = |kind| forecast::expected(&plan.search, &model, plan.pace_per_s, kind);
    Some((of(BreakKind::Saturated), of(BreakKind::Bursts)))
}

/// What a budget gives: a half-width, or that it is too short for one.
fn width(expected: &Expected) -> String {
    match expected.half_width {
        Some(share) if share < 0.5 => format!("about ±{}", percent(share)),
        _ => "a bracket at best".to_owned(),
    }
}

/// A time that is known to within a factor: whole minutes, or hours.
fn roughly(seconds: f64) -> String {
    let minutes = (seconds / 60.0).ceil();
    if minutes <= 90.0 {
        format!("{minutes:.0} min")
    } else if minutes <= 24.0 * 60.0 {
        format!("{:.0} h", minutes / 60.0)
    } else {
        "more than a day".to_owned()
    }
}

fn bytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "only for showing")]
    units::format_bytes(bytes as f64)
}

/// A share with at most one digit behind the point.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{} %", text.trim_end_matches(".0"))
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil();
    if seconds < 100.0 {
        return format!("{seconds:.0} s");
    }
    let minutes = (seconds / 60.0).floor();
    match seconds - minutes * 60.0 {
        rest if rest < 0.5 => format!("{minutes:.0} min"),
        rest => format!("{minutes:.0} min {rest:.0} s"),
    }
}

/// Where the load goes, and what is done to that service around it.
fn write_target(out: &mut String, plan: &Plan) -> fmt::Result {
    let target = &plan.target;
    let url = match &target.kind {
        TargetKind::External { url } => &masked(url),
        TargetKind::Demo => "the built-in demo",
        TargetKind::OfTheEngine => plan.engine.facts().words().loads,
    };
    writeln!(out, "target       {url}")?;
    let dir = target.dir.display();
    let command = |out: &mut String, name, command: &Option<String>| match command {
        Some(command) => writeln!(out, "{name:<12} {command}   (in {dir})"),
        None => Ok(()),
    };
    command(out, "up", &target.up)?;
    if !target.drained_when.is_empty() {
        let condition = target.drained_when.texts().join("  ");
        let limit = time(target.drain_timeout);
        writeln!(out, "drained when {condition}   (at most {limit})")?;
    }
    write_resets(out, target)?;
    command(out, "reset", &target.reset)?;
    command(out, "down", &target.down)
}

/// What a reset does before the profile's command.
fn write_resets(out: &mut String, target: &TargetPlan) -> fmt::Result {
    for restart in &target.restarts {
        let when = match restart.when {
            RestartWhen::Dead => "if dead",
            RestartWhen::Bloated => "if dead or bloated",
            RestartWhen::Always => "always",
        };
        writeln!(out, "restart      container {}, {when}", restart.container)?;
    }
    for flush in &target.flushes {
        writeln!(out, "flush        the Redis server of {}", flush.monitor)?;
    }
    Ok(())
}

/// Which HTTP is spoken, where that is not 1.1 alone.
fn http_words(plan: &Plan) -> Option<String> {
    let protocol = plan.target.protocol;
    let http = match protocol.http {
        Http::One => return None,
        Http::Auto => "2 over TLS where the server chooses it, else 1.1 (auto)",
        Http::Two => "2",
    };
    Some(match protocol.streams_per_connection {
        0 | 1 => format!("{http}, a connection for each VU"),
        n => format!("{http}, a connection for every {n} VUs of a load thread"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{FindFlags, FlushPlan, K6Plan, RestartPlan};

    const HOST: HostLimits = HostLimits {
        descriptors: 2064,
        descriptors_before: 1024,
        descriptors_hard: 2064,
        ports: 28_232,
        memory: Some(1 << 30),
    };

    fn k6() -> Each {
        Each::of_engine(&K6Plan::default())
    }

    fn two() -> Each {
        Each::with_connections(2)
    }

    fn plan(max: Option<u32>) -> Plan {
        let flags = FindFlags {
            url: Some("http://127.0.0.1:8080/".to_owned()),
            slo: vec!["p99<1s".to_owned()],
            max_vus: max,
            ..FindFlags::default()
        };
        Plan::resolve(None, &flags).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn a_level_needs_its_connections_and_something_for_ourselves() {
        let needs = Needs::of(Level(1000), two());
        assert_eq!((needs.descriptors, needs.ports), (2064, 2000));
        assert_eq!(HOST.highest(two()), Level(1000));
        assert_eq!(HOST.highest(Each::with_connections(1)), Level(2000));
        let few_ports = HostLimits { ports: 500, ..HOST };
        assert_eq!(few_ports.highest(two()), Level(250));
    }

    #[test]
    fn vus_that_share_connections_of_http_2_need_fewer() {
        let one = Each::with_connections(1);
        let speaking = |http, streams_per_connection| {
            one.speaking(Protocol {
                http,
                streams_per_connection,
            })
        };
        assert_eq!(speaking(Http::One, 1), one);
        let needs = Needs::of(Level(1000), speaking(Http::Two, 8));
        assert_eq!(
            (needs.descriptors, needs.ports),
            (125 + OWN_DESCRIPTORS, 125)
        );
        assert_eq!(HOST.highest(speaking(Http::Two, 8)), Level(16_000));
        let memory = |each| Needs::of(Level(1000), each).memory;
        assert!(memory(speaking(Http::Two, 1)) > memory(speaking(Http::Two, 8)));
        assert!(memory(speaking(Http::Two, 8)) > memory(one));
    }

    #[test]
    fn a_maximum_that_was_asked_for_is_refused_with_the_way_out() {
        assert_eq!(fit(&plan(Some(1000)), two(), &HOST), Ok(Fit::Fits));
        let error = fit(&plan(Some(1001)), two(), &HOST)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1001 VUs need 2066 descriptors, but only 2064 are allowed"),
            "{error}"
        );
        assert!(
            error.contains("already raised from 1024 to the hard limit"),
            "{error}"
        );
        for way_out in [
            "ulimit -n 2066",
            "docker run --ulimit nofile=2066",
            "--max-vus 1000",
        ] {
            assert!(error.contains(way_out), "{error}");
        }
        let few_ports = HostLimits { ports: 500, ..HOST };
        let error = fit(&plan(Some(300)), two(), &few_ports)
            .unwrap_err()
            .to_string();
        assert!(error.contains("600 local ports"), "{error}");
        assert!(error.contains("--local-addr ADDRESS"), "{error}");
        assert!(error.contains("--max-vus 250"), "{error}");
        let none = HostLimits {
            descriptors: 40,
            ..HOST
        };
        let error = fit(&plan(Some(300)), two(), &none).unwrap_err().to_string();
        assert!(!error.contains("--max-vus"), "{error}");
        assert!(error.contains("not even one VU fits"), "{error}");
        let mut at_least = plan(Some(300));
        at_least.search.min = Level(260);
        let error = fit(&at_least, two(), &few_ports).unwrap_err().to_string();
        assert!(error.contains("--min-vus 250 --max-vus 250"), "{error}");
        let from_two = few_ports.with_sources(2);
        assert_eq!(fit(&plan(Some(300)), two(), &from_two), Ok(Fit::Fits));
        assert_eq!(few_ports.with_sources(0), few_ports);
    }

    #[test]
    fn memory_is_reckoned_like_descriptors_and_ports_where_it_is_known() {
        let little = HostLimits {
            memory: Some(OWN_MEMORY + 100 * (VU_MEMORY + 2 * CONNECTION_MEMORY)),
            ..HOST
        };
        assert_eq!(fit(&plan(Some(100)), two(), &little), Ok(Fit::Fits));
        let error = fit(&plan(Some(900)), two(), &little)
            .unwrap_err()
            .to_string();
        assert!(error.contains("900 VUs need about "), "{error}");
        assert!(error.contains(" of memory, but "), "{error}");
        assert!(error.contains("--max-vus 100"), "{error}");
        let unknown = HostLimits {
            memory: None,
            ..HOST
        };
        assert_eq!(fit(&plan(Some(900)), two(), &unknown), Ok(Fit::Fits));
    }

    #[test]
    fn a_vu_of_k6_needs_more_memory_and_two_connections() {
        let needs = Needs::of(Level(2000), k6());
        assert_eq!((needs.descriptors, needs.ports), (4064, 4000));
        assert_eq!(needs.memory, OWN_MEMORY + 2000 * k6().memory);
        let little = HostLimits {
            memory: Some(OWN_MEMORY + 300 * k6().memory),
            ..HOST
        };
        assert_eq!(little.highest(k6()), Level(300));
    }

    #[test]
    fn a_default_maximum_is_capped_and_told() {
        match fit(&plan(None), two(), &HOST) {
            Ok(Fit::Capped { max, warning }) => {
                assert_eq!(max, Level(1000));
                assert!(warning.contains("ulimit -n"), "{warning}");
            }
            other => panic!("{other:?}"),
        }
        let none = HostLimits {
            descriptors: 64,
            ..HOST
        };
        assert!(
            fit(&plan(None), two(), &none).is_err(),
            "not even one VU fits"
        );
    }

    #[test]
    fn the_outline_doubles_up_to_the_maximum() {
        let plan = plan(Some(100));
        let outline = Outline::of(&plan, Each::with_connections(1), 0.0, (0, 0));
        let levels: Vec<u32> = outline.levels.iter().map(|l| l.get()).collect();
        assert_eq!(levels, [10, 20, 40, 80, 100]);
        // Budget, two holds of 90 s after a settle of a minute, 100 VUs at 50 per second, drain; ten seconds until it answers, two recoveries.
        assert_eq!(
            plan.longest_run(),
            Duration::from_secs(900 + 2 * (90 + 60) + 2 + 30 + 10 + 2 * (30 + 120))
        );
        let text = outline.render(&plan, &HOST);
        for part in [
            "target       http://127.0.0.1:8080",
            "SLO          p99<1s",
            "1 to 100 VUs; first steps, until one breaks: 10 20 40 80 100",
            "precision    ±5 % at 95 % confidence, holds of 30 s to 90 s",
            "at most 25 min 42 s (15 min of search, 5 min of reference holds below the breakpoint;",
            "expect       ±5 % in about ",
            "a budget of 15 min gives about ±",
            "164 needed, 2064 allowed (already raised from 1024 to the hard limit)",
            "100 needed, 28232 allowed",
            " for the generator, 1.0 GiB free",
        ] {
            assert!(text.contains(part), "`{part}` is not in\n{text}");
        }
    }

    #[test]
    fn a_slow_cycle_hints_at_a_higher_first_level() {
        let plan = plan(Some(1000));
        let told = |think_s| {
            let outline = Outline::of(&plan, Each::with_connections(1), think_s, (0, 0));
            outline.render(&plan, &HOST)
        };
        let slow = told(10.0);
        assert!(
            slow.contains("hint         a cycle takes about 10 s") && slow.contains("--start-vus"),
            "{slow}"
        );
        assert!(!told(1.0).contains("hint "), "{}", told(1.0));
    }

    #[test]
    fn populations_beside_are_told_and_take_their_part() {
        let text = "slo = [\"p99<2s\"]\n[target]\ndemo = true\n[search]\npopulation = \"abusers\"\nusers = 100\nmax-vus = 50\n\
                    [[population]]\nname = \"abusers\"\nscenario = { steps = [{ name = \"x\", get = \"/\" }] }\n";
        let profile = crate::profile::Profile::parse(text, "x.toml", Path::new(".")).unwrap();
        let plan = Plan::resolve(Some(&profile), &FindFlags::default()).unwrap();
        let outline = Outline::of(&plan, Each::with_connections(1), 0.0, (100, 200));
        assert_eq!(outline.needs.ports, 50 + 200);
        assert_eq!(
            outline.expected, None,
            "no theory tells how wide that interval is"
        );
        let text = outline.render(&plan, &HOST);
        assert!(
            text.contains("population   users: 100 VUs\npopulation   abusers: set by the level\n"),
            "{text}"
        );
        let left = HOST.beside(100, 200);
        assert_eq!(left.ports, HOST.ports - 200);
        assert_eq!(left.descriptors, HOST.descriptors - 200);
    }

    #[test]
    fn the_outline_tells_what_is_done_to_the_target_in_the_order_in_which_it_is_done() {
        let mut plan = plan(Some(100));
        let monitors = ["ai".to_owned()];
        let target = &mut plan.target;
        target.drained_when.add("ai.queue==0", &monitors).unwrap();
        target.up = Some("./up".to_owned());
        target.reset = Some("./reset".to_owned());
        target.restarts = vec![RestartPlan {
            monitor: "gateway".to_owned(),
            container: "gw".to_owned(),
            when: RestartWhen::Bloated,
        }];
        target.flushes = vec![FlushPlan {
            monitor: "redis".to_owned(),
            url: "redis://127.0.0.1:1".to_owned(),
        }];
        let text = Outline::of(&plan, Each::with_connections(1), 0.0, (0, 0)).render(&plan, &HOST);
        let wanted = "\nup           ./up   (in .)\ndrained when ai.queue==0   (at most 30 \
            s)\nrestart      container gw, if dead or bloated\nflush        the Redis server of \
            redis\nreset        ./reset   (in .)\n";
        assert!(text.contains(wanted), "{text}");
    }

    #[test]
    fn what_ends_a_run_whatever_happens_is_told() {
        let flags = FindFlags {
            url: Some("http://127.0.0.1:8080/".to_owned()),
            slo: vec!["p99<1s".to_owned()],
            stop_file: Some("stop".into()),
            abort_if: vec!["host.cpu>3".to_owned(), "host.time_wait>9".to_owned()],
            max_time: Some("20m".to_owned()),
            ..FindFlags::default()
        };
        let plan = Plan::resolve(None, &flags).unwrap();
        assert_eq!(
            stops(&plan),
            "after 20 min at the latest, when stop exists, when host.cpu>3 or host.time_wait>9"
        );
    }

    #[test]
    fn the_machines_limits_are_read() {
        assert_eq!(port_count("32768\t60999\n"), Some(28_232));
        assert_eq!(port_count("9 3"), None);
        let host = read_host();
        assert!(host.descriptors >= 64 && host.descriptors <= host.descriptors_hard);
        assert!(host.ports > 0);
        let environment = environment(&host, &[]);
        assert!(environment.cpus > 0 && environment.descriptor_limit == host.descriptors);
    }
}
