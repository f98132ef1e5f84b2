//! What `breakpoint plan` prints: what a run would do, how long it may take, and what it needs of
//! this machine.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::Duration;

use crate::measure::{Level, LevelUnit};
use crate::plan::{Amount, LoadPlan, Plan, RestartWhen, TargetKind, TargetPlan, VuCost};
use crate::preflight::{HostLimits, Needs, PerVu, bytes};
use crate::run;
use crate::scenario::{Addresses, Http};
use crate::search::forecast::{self, BreakKind, Expected};
use crate::search::{CycleModel, SearchSpec};
use crate::secret::masked;
use crate::slo::Metric;

/// What `breakpoint plan` prints: what a run would do and need.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Levels of the first steps upward, until one breaks.
    pub levels: Vec<Level>,
    /// What the highest level needs.
    pub needs: Needs,
    /// What to expect of the search, by how the service breaks; `None` where the SLO has no latency
    /// quantile.
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

/// The one time that is told of a run before it: at most how long it takes, and how much of that is
/// load of which kind.
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
    /// The outline of a plan whose VUs need `per_vu` and think for `think_s` seconds in a cycle.
    ///
    /// `beside` are VUs, and their connections, of the populations that are not searched.
    pub fn of(plan: &Plan, per_vu: PerVu, think_s: f64, beside: (u64, u64)) -> Self {
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
            needs: Needs::of(most_vus, per_vu).and_beside(beside),
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
    use std::path::Path;

    use super::*;
    use crate::plan::{FindFlags, FlushPlan, RestartPlan};

    const HOST: HostLimits = HostLimits {
        descriptors: 2064,
        descriptors_before: 1024,
        descriptors_hard: 2064,
        ports: 28_232,
        memory: Some(1 << 30),
    };

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
    fn the_outline_doubles_up_to_the_maximum() {
        let plan = plan(Some(100));
        let outline = Outline::of(&plan, PerVu::with_connections(1), 0.0, (0, 0));
        let levels: Vec<u32> = outline.levels.iter().map(|l| l.get()).collect();
        assert_eq!(levels, [10, 20, 40, 80, 100]);
        // Budget, two holds of 90 s after a settle of a minute, 100 VUs at 50 per second, drain;
        // ten seconds until it answers, two recoveries.
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
            let outline = Outline::of(&plan, PerVu::with_connections(1), think_s, (0, 0));
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
                    [[population]]\nname = \"abusers\"\nscenario = { steps = [{ name = \"x\", get \
                        = \"/\" }] }\n";
        let profile = crate::profile::Profile::parse(text, "x.toml", Path::new(".")).unwrap();
        let plan = Plan::resolve(Some(&profile), &FindFlags::default()).unwrap();
        let outline = Outline::of(&plan, PerVu::with_connections(1), 0.0, (100, 200));
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
        let text = Outline::of(&plan, PerVu::with_connections(1), 0.0, (0, 0)).render(&plan, &HOST);
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
}
