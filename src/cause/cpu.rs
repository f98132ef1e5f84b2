//! CPU: a thread that has no time left, a quota, the whole machine.

use super::{Case, Cause};
use crate::record::{CauseKind, Sureness};

/// CPU, in cores, from which a thread has no time left.
const ONE_CORE: f64 = 0.9;
/// Busy share of an event loop from which it has no time left, whoever takes the CPU.
const LOOP_FULL: f64 = 0.95;
/// Share of a CPU quota from which it counts as used up.
const QUOTA_FULL: f64 = 0.9;
/// Share of the time in which a group was held back by its quota that tells.
const THROTTLED: f64 = 0.1;
/// Share of the machine that must be accounted for before the machine is said to be full.
const MACHINE_FULL: f64 = 0.9;
/// What the CPUs of this machine are called as a resource.
pub(super) const MACHINE: &str = "CPU of this machine";
/// The monitor that is this machine.
const HOST: &str = "host";
/// Cores that are used by nobody known from which that is told.
const OTHERS: f64 = 0.1;
/// CPU of a main thread, in cores, below which a busy event loop waits for a CPU and does not work:
/// its loop counts both.
const STARVED: f64 = 0.7;
/// Share of a cycle's time that threads wait for a CPU for it from which a service is short of CPU
/// and not of anything else.
const SHORT_OF_CPU: f64 = 0.5;
/// Share of the machine by which its use must differ between two levels to count, and the share of
/// all pairs of levels, those against it taken off, of which the higher one must have more: one
/// that is filled early has many pairs of no difference.
const FOLLOWS_BY: f64 = 0.05;
const FOLLOWS: f64 = 0.5;
/// Share of the time in which some task waited for a CPU that tells of a full machine.
const PRESSURE: f64 = 0.5;

/// A process whose main thread, event loop or busiest thread, or which as a whole where threads are
/// unknown, keeps one core busy.
pub(super) fn one_thread(case: &Case<'_>) -> Vec<Cause> {
    let busy = |monitor: &&str| {
        if *monitor == HOST {
            return None;
        }
        let full = |field, from| case.mean(monitor, field).filter(|v| *v >= from);
        let starved = case
            .mean(monitor, "main_thread_cpu")
            .is_some_and(|cpu| cpu < STARVED || machine_is_full(case));
        let of_a_core =
            |what: &str, v: f64| format!("its {what} used {:.0} % of one core", v * 100.0);
        let (strength, evidence) = if let Some(v) = full("main_thread_cpu", ONE_CORE) {
            (v, of_a_core("main thread", v))
        } else if let Some((cpu, wait)) = never_at_rest(case, monitor) {
            let (busy, wait) = ((cpu + wait) * 100.0, wait * 100.0);
            let evidence = format!(
                "its main thread was runnable {busy:.0} % of the time, and waited for a CPU \
                 {wait:.0} % of the time"
            );
            (cpu, evidence)
        } else if let Some(v) = full("eventloop_utilization", LOOP_FULL).filter(|_| !starved) {
            let evidence = format!("its event loop was busy {:.0} % of the time", v * 100.0);
            (v, evidence)
        } else if let Some(v) = full("busiest_thread_cpu", ONE_CORE) {
            (v, of_a_core("busiest thread", v))
        } else if case.mean(monitor, "main_thread_cpu").is_none() {
            let v = full("cpu", ONE_CORE)?;
            (v, of_a_core("process", v))
        } else {
            return None;
        };
        let resource = format!("{monitor} CPU");
        Some(Cause::new(CauseKind::SingleThread, resource, evidence).strength(strength))
    };
    case.monitors().iter().filter_map(busy).collect()
}

/// A main thread that runs or waits for a CPU all of the time: CPU used and waited for, in cores.
fn without_rest(case: &Case<'_>, monitor: &str) -> Option<(f64, f64)> {
    let cpu = case.mean(monitor, "main_thread_cpu")?;
    let wait = case.mean(monitor, "main_thread_wait")?;
    (cpu + wait >= ONE_CORE).then_some((cpu, wait))
}

/// Such a thread that runs for the most part. One that waits for the most part is short of CPU,
/// which is not its own doing.
fn never_at_rest(case: &Case<'_>, monitor: &str) -> Option<(f64, f64)> {
    without_rest(case, monitor).filter(|(cpu, wait)| cpu > wait)
}

/// Whether a service, or any where none is named, waits for CPU so much that it looks slow for that
/// alone: its main thread does nothing else, or the waits of all its threads for one cycle are half
/// of what a cycle takes. `None` where no process says.
pub(super) fn is_short_of_cpu(case: &Case<'_>, service: Option<&str>) -> Option<bool> {
    let median_s = (case.measurement.step_total(case.steps.main()).latency).quantile_s(0.5);
    let per_cycle = |wait: f64| Some(wait / case.throughput().filter(|x| *x > 0.0)?);
    let is_short = |monitor: &str| {
        let wait = case.mean(monitor, "cpu_wait")?;
        let starves = without_rest(case, monitor).is_some_and(|(cpu, wait)| wait >= cpu);
        let slowed = (per_cycle(wait).zip(median_s))
            .is_some_and(|(wait, median)| wait >= SHORT_OF_CPU * median);
        Some(starves || slowed)
    };
    let monitors = case.monitors().into_iter();
    let asked = monitors.filter(|m| *m != HOST && service.is_none_or(|s| s == *m));
    asked.filter_map(is_short).reduce(|a, b| a || b)
}

/// A group at its CPU quota.
pub(super) fn limited(case: &Case<'_>) -> Vec<Cause> {
    let full = |monitor: &&str| {
        // How many CPUs there are is no quota.
        let limit = case.limit(monitor, "cpu").filter(|_| *monitor != HOST)?;
        let used = case.mean(monitor, "cpu")?;
        let held_back = case.growth(monitor, "throttled_s").map_or(0.0, |(s, _)| {
            // A reading may be a second older than the probe.
            (s / case.seconds().last().map_or(1.0, |(at, _)| at)).min(1.0)
        });
        let evidence = format!(
            "{used:.2} of {limit:.2} cores used, throttled {:.0} % of the time",
            held_back * 100.0
        );
        (used >= QUOTA_FULL * limit || used >= 0.5 * limit && held_back >= THROTTLED).then(|| {
            Cause::new(CauseKind::CpuLimit, format!("{monitor} CPU"), evidence)
                .strength(used / limit + held_back)
        })
    };
    case.monitors().iter().filter_map(full).collect()
}

/// How full this machine was, and of whom.
pub(super) struct Machine {
    /// CPU used, in cores: as its own monitor reads it, and no less than is known of its parts.
    used: f64,
    /// How many cores it has; 0 where that is not known.
    cores: f64,
    /// Who used how much, the most first.
    parts: Vec<(String, f64)>,
    /// CPU used by nobody known, in cores.
    unknown: f64,
    /// Share of the time in which some task waited for a CPU.
    pressure: Option<f64>,
    /// Whether it has a monitor of its own, so that what is not known is.
    is_watched: bool,
}

impl Machine {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let mut parts: Vec<(String, f64)> = case
            .monitors()
            .into_iter()
            .filter(|m| *m != HOST)
            .filter_map(|m| Some((m.to_owned(), case.mean(m, "cpu")?)))
            .collect();
        let windows = || case.measurement.hold.iter().map(|s| &s.window.generator);
        let generator = super::case::mean(windows().filter_map(|g| g.cpu_cores));
        parts.extend(generator.map(|cpu| ("the generator".to_owned(), cpu)));
        let known: f64 = parts.iter().map(|(_, cpu)| cpu).sum();
        let host = case.mean(HOST, "cpu");
        let used = host.unwrap_or(known).max(known);
        let unknown = used - known;
        if unknown >= OTHERS {
            parts.push(("others".to_owned(), unknown));
        }
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        Self {
            used,
            cores: f64::from(case.cpus),
            parts,
            unknown,
            pressure: super::case::mean(windows().filter_map(|g| g.health.cpu_pressure)),
            is_watched: host.is_some(),
        }
    }

    /// Whether its CPUs are used up.
    fn is_full(&self) -> bool {
        self.cores > 0.0 && self.used >= MACHINE_FULL * self.cores
    }

    fn is_pressed(&self) -> bool {
        self.pressure.is_some_and(|p| p >= PRESSURE)
    }

    /// Whether its CPUs are used up, as far as anybody tells: without a monitor of its own the
    /// waits for a CPU do.
    pub(super) fn is_filled(&self) -> bool {
        self.is_full() || !self.is_watched && self.is_pressed()
    }

    /// The share of its CPUs that nobody known uses.
    pub(super) fn unwatched(&self) -> f64 {
        if self.cores > 0.0 {
            self.unknown / self.cores
        } else {
            0.0
        }
    }

    /// As it stands in evidence.
    pub(super) fn told(&self) -> String {
        let named: Vec<String> = (self.parts.iter())
            .map(|(name, cpu)| format!("{name} {cpu:.2}"))
            .collect();
        let waits = self.pressure.map_or_else(String::new, |p| {
            format!("; tasks waited for a CPU {:.0} % of the time", p * 100.0)
        });
        let (used, cores) = (self.used, self.cores);
        format!(
            "{used:.2} of {cores:.0} cores used ({}){waits}",
            named.join(", ")
        )
    }
}

/// Nobody is at a limit of their own, but together they, the generator and whoever else runs there
/// use the whole machine.
pub(super) fn machine(case: &Case<'_>) -> Vec<Cause> {
    let machine = Machine::of(case);
    if !machine.is_full() {
        return Vec::new();
    }
    let sureness = if machine.is_pressed() && follows_the_load(case) && alone(case) {
        Sureness::Likely
    } else {
        Sureness::Possible
    };
    let cause = Cause::new(CauseKind::Host, MACHINE, machine.told());
    vec![cause.sure(sureness).strength(machine.used / machine.cores)]
}

/// Whether the machine's CPU grows with the level, from the levels that held to this one. Others
/// may use it at any level, and their coming and going is no load of ours.
fn follows_the_load(case: &Case<'_>) -> bool {
    let clearly = FOLLOWS_BY * f64::from(case.cpus);
    let held = case.seen.iter().filter(|s| s.held());
    let held = held.filter_map(|s| Some((s.level, case.of_seen(s).mean(HOST, "cpu")?)));
    let here = case.mean(HOST, "cpu").map(|cpu| (case.level(), cpu));
    let points: Vec<(f64, f64)> = held.chain(here).collect();
    let (mut pairs, mut agree) = (0_i32, 0_i32);
    for (i, a) in points.iter().enumerate() {
        for b in &points[i + 1..] {
            let (low, high) = if a.0 < b.0 { (a, b) } else { (b, a) };
            if high.0 > low.0 * super::CLEARLY_MORE {
                pairs += 1;
                agree += i32::from(high.1 > low.1 + clearly) - i32::from(high.1 < low.1 - clearly);
            }
        }
    }
    pairs > 0 && f64::from(agree) >= FOLLOWS * f64::from(pairs)
}

/// Whether the machine, as its own monitor sees it, has no CPU left.
pub(super) fn machine_is_full(case: &Case<'_>) -> bool {
    let used = case.mean(HOST, "cpu");
    case.cpus > 0 && used.is_some_and(|cpu| cpu >= MACHINE_FULL * f64::from(case.cpus))
}

/// Whether no monitored process is at a limit of its own, which would be the better reading.
fn alone(case: &Case<'_>) -> bool {
    one_thread(case).is_empty() && limited(case).is_empty()
}
