//! The answer as a few lines of text.

use std::fmt::Write as _;

use super::{failures, streamed, view};
use crate::measure::LoadedAddress;
use crate::record::{
    Answer, Ending, LimitingResource, LogRecord, NO_FINDING, NO_FINDING_BEFORE, Noticed, Outlook,
    PlanRecord, ProbeRecord, Purpose, RULED_OUT, RULED_OUT_BEFORE, RampRecord, RunRecord,
    VisitSummary,
};
use crate::slo::Verdict;
use crate::units;

/// Columns of the labels.
const LABEL: usize = 16;

/// The answer as aligned lines, each with an end of line.
pub fn summary(record: &RunRecord) -> String {
    let mut lines = Lines::default();
    head(record, &mut lines);
    visits(record, &mut lines);
    let a = &record.answer;
    if let Some(objective) = a.broken_objective.as_ref().filter(|_| record.slo.len() > 1) {
        lines.add("first to break", objective);
    }
    for flow in streamed::lines(record) {
        lines.add("stream", flow);
    }
    if let Some(gate) = record.gate() {
        lines.add(
            "gate",
            format!("{}: {}", gate.outcome.name(), gate.sentence),
        );
        if let Some(text) = view::headroom(record, &gate) {
            lines.add("headroom", text);
        }
    }
    if let Some(cause) = &a.limiting_resource {
        lines.add("bottleneck", finding(cause));
    }
    if let Some(text) = unknown(record) {
        lines.add("bottleneck", text);
    }
    for cause in a.other_causes.iter().take(OTHER_CAUSES) {
        lines.add("also seen", finding(cause));
    }
    if let Some(load) = populations(&record.plan) {
        lines.add("load", load);
    }
    logged(record, &mut lines);
    if let Some(knee) = knee(record) {
        lines.add("knee", knee);
    }
    if !record.probes.is_empty() {
        lines.add("generator", limits(record));
        lines.add("based on", rests_on(record));
    }
    // The other endings have said their reason in the first line.
    if a.ending.is_answer() && !a.reason.is_empty() {
        lines.add("stopped", sentence(&a.reason));
    }
    if let Some(text) = view::whole_time(record) {
        lines.add("time", text);
    }
    if let Some(outlook) = &a.outlook {
        lines.add("with more time", more_time(record, outlook));
    }
    for noticed in &a.noticed {
        lines.add("noticed", noticed_text(noticed));
    }
    if let Some(unseen) = &a.unseen {
        lines.add("not covered", sentence(unseen));
    }
    if let Some(addresses) = addresses(&record.plan) {
        lines.add("addresses", addresses);
    }
    if let Some(way) = way(&record.plan) {
        lines.add("network", way);
    }
    for warning in &record.warnings {
        lines.add("warning", warning.clone());
    }
    lines.0
}

/// Who was searched and who ran beside; `None` where the users were alone.
pub(super) fn populations(plan: &PlanRecord) -> Option<String> {
    let searched = plan.populations.iter().find(|p| p.level.is_none())?;
    let beside: Vec<String> = (plan.populations.iter())
        .filter_map(|p| Some(format!("{} of {}", p.unit.count(p.level?), p.name)))
        .collect();
    let alongside = match beside.as_slice() {
        [] => String::new(),
        all => format!(", with {} running alongside", all.join(" and ")),
    };
    let shares = plan.populations.iter().filter_map(|p| p.share);
    let all: f64 = shares.map(f64::from).sum();
    let part = |share: u32| view::short(100.0 * f64::from(share) / all);
    let kinds: Vec<String> = (plan.populations.iter())
        .filter_map(|p| Some(format!("{} % {}", part(p.share?), p.name)))
        .collect();
    Some(match kinds.as_slice() {
        [] => format!("searching for the number of {}{alongside}", searched.name),
        kinds => format!("a mix: {}{alongside}", kinds.join(", ")),
    })
}

/// How the load fell on the addresses of each name that leads to several.
pub(super) fn addresses(plan: &PlanRecord) -> Option<String> {
    let mut hosts: Vec<&str> = plan.addresses.iter().map(|a| a.host.as_str()).collect();
    hosts.dedup();
    let of_host = |host: &str| {
        let all: Vec<_> = plan.addresses.iter().filter(|a| a.host == host).collect();
        let loaded = all.iter().filter(|a| a.connections > 0).count();
        (all.len() > 1).then(|| {
            let requests: u64 = all.iter().map(|a| a.requests).sum();
            let one = |a: &&LoadedAddress| match a.connections {
                0 => format!("{} received no load", a.address),
                _ => format!("{} {}", a.address, share(a.requests, requests)),
            };
            let each: Vec<String> = all.iter().map(one).collect();
            format!(
                "{loaded} of {} addresses of {host} received load: {}",
                all.len(),
                each.join(", ")
            )
        })
    };
    let told: Vec<String> = hosts.into_iter().filter_map(of_host).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Round trips that are worth a line, seconds: on one machine they take less.
const FAR_S: f64 = 0.001;

/// What of every latency is the way to the target and back.
pub(super) fn way(plan: &PlanRecord) -> Option<String> {
    let round_trip_s = plan.round_trip_s().filter(|s| *s >= FAR_S)?;
    Some(format!(
        "the round trip to the target takes {}; every latency includes one (two on a new \
         connection, three with TLS)",
        units::format_seconds(round_trip_s)
    ))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "requests of a run are far fewer than 2^52"
)]
fn share(part: u64, all: u64) -> String {
    format!(
        "{:.1} % of the requests",
        100.0 * part as f64 / all.max(1) as f64
    )
}

/// Where throughput stops growing.
pub(super) fn knee(record: &RunRecord) -> Option<String> {
    let peak = record.answer.peak_throughput_per_s;
    let rate = record.plan.counted().rate();
    let peak = peak.map_or_else(String::new, |p| format!(", peak {p:.1} {rate}"));
    let level = view::level(record, record.answer.knee?);
    Some(format!("{level}: throughput stops growing{peak}"))
}

/// What was noticed beside the number, with its time: `capacity grew (3 min to 5 min 20 s): 70 VUs
/// broke at first and held later`.
pub(super) fn noticed_text(noticed: &Noticed) -> String {
    let (from, to) = (
        noticed.from_s.max(0.0).round(),
        noticed.to_s.max(0.0).round(),
    );
    let when = if to > from {
        format!("{} to {}", view::span(from), view::span(to))
    } else {
        format!("at {}", view::span(from))
    };
    let what = noticed.kind.label();
    format!("{what} ({when}): {}", sentence(&noticed.text))
}

/// Everything that stands beside the number of a run: what was noticed, and what cannot be known.
pub(super) fn beside_number(answer: &Answer) -> Vec<String> {
    let noticed = answer.noticed.iter().map(noticed_text);
    let unseen = answer.unseen.iter().map(|text| sentence(text).to_owned());
    noticed.chain(unseen).collect()
}

/// Causes beside the first that are worth a line.
pub(super) const OTHER_CAUSES: usize = 3;

pub(super) fn finding(cause: &LimitingResource) -> String {
    format!(
        "{}: {} ({})",
        cause.resource,
        cause.evidence,
        cause.sureness.name()
    )
}

/// Lines of text, each behind its label.
#[derive(Default)]
pub(super) struct Lines(pub(super) String);

impl Lines {
    pub(super) fn add(&mut self, label: &str, text: impl AsRef<str>) {
        let _ = write!(self.0, "{label:<LABEL$}{}", text.as_ref());
        self.0.push('\n');
    }
}

fn head(record: &RunRecord, lines: &mut Lines) {
    let a = &record.answer;
    let slo = format!("(SLO {})", record.slo.join(", "));
    let reason = sentence(&a.reason);
    let because = |text: &str| {
        if reason.is_empty() {
            text.to_owned()
        } else {
            format!("{text}: {reason}")
        }
    };
    let (min, max) = (
        view::level(record, record.plan.min_level),
        view::level(record, record.plan.max_level),
    );
    match a.ending {
        Ending::Found => {
            let number = a
                .breakpoint
                .map_or_else(|| "?".to_owned(), |b| view::level(record, b));
            let interval = view::interval(a).map_or_else(String::new, |i| format!("   {i}"));
            lines.add("breakpoint", format!("{number}{interval}     {slo}"));
        }
        Ending::Bracketed => {
            let text = view::between(record);
            let confidence = view::percent(a.confidence);
            let why = format!("({confidence} % CI; the search was too short for a single number)");
            lines.add("breakpoint", format!("{text}  {why}     {slo}"));
        }
        Ending::NeverBroke => {
            let text = format!("above {max}: the SLO held at every level up to the maximum");
            lines.add("breakpoint", format!("{text}     {slo}"));
        }
        Ending::BrokeAtMinimum => {
            let text = format!("below {min}: the SLO broke even at the minimum");
            lines.add("breakpoint", format!("{text}     {slo}"));
        }
        Ending::TimeDriven => {
            let text = because("it breaks over time, not at a level");
            lines.add("time-driven", format!("{text}     {slo}"));
        }
        Ending::Hysteresis => {
            let text = because("two breakpoints");
            lines.add("hysteresis", format!("{text}     {slo}"));
        }
        Ending::Bimodal => {
            let text = because("two breakpoints");
            lines.add("bimodal", format!("{text}     {slo}"));
        }
        Ending::Undecided => {
            let text = because("no reliable answer");
            lines.add("undecided", format!("{text}     {slo}"));
        }
        Ending::GeneratorLimited => {
            let text = because("the load generator or its host was the bottleneck, not the target");
            lines.add("undecided", format!("{text}     {slo}"));
        }
        Ending::DataUsedUp => {
            let text = because("stopped before an answer, results kept");
            lines.add("rows used up", format!("{text}     {slo}"));
        }
        Ending::TargetDown => {
            let text = because(if record.probes.is_empty() {
                "nothing was measured"
            } else {
                "the target did not recover after a probe"
            });
            lines.add("no answer", format!("{text}     {slo}"));
        }
        Ending::Interrupted => {
            let text = because("stopped before an answer; results kept");
            lines.add("interrupted", format!("{text}     {slo}"));
        }
        Ending::Aborted => {
            let text = because("stopped by a safety limit; results kept");
            lines.add("aborted", format!("{text}     {slo}"));
        }
    }
    if !a.ending.is_answer() {
        so_far(record, lines);
    }
}

/// What is said where nothing is named and something was ruled out, which is an answer too.
pub(super) fn unknown(record: &RunRecord) -> Option<&'static str> {
    let told = |parts: [&str; 2]| {
        let mut warnings = record.warnings.iter();
        warnings.any(|w| parts.iter().any(|part| w.contains(part)))
    };
    if record.answer.limiting_resource.is_some() {
        None
    } else if told([RULED_OUT, RULED_OUT_BEFORE]) {
        Some("unknown; the warnings list what was ruled out")
    } else if told([NO_FINDING, NO_FINDING_BEFORE]) {
        Some("unknown: other load on this machine masked the evidence (see the warnings)")
    } else {
        None
    }
}

/// An estimate that is no answer is still worth a line.
fn so_far(record: &RunRecord, lines: &mut Lines) {
    let number = record.answer.breakpoint.map(|b| view::level(record, b));
    let parts: Vec<String> = number
        .into_iter()
        .chain(view::interval(&record.answer))
        .collect();
    if !parts.is_empty() {
        lines.add("so far", parts.join("   "));
    }
}

fn visits(record: &RunRecord, lines: &mut Lines) {
    let a = &record.answer;
    let held = a.last_held.iter().map(|visit| ("held", visit));
    let broke = a.first_broke.iter().map(|visit| ("broke", visit));
    let below = a.references.iter().map(|visit| ("reference", visit));
    let all: Vec<(&str, &VisitSummary)> = held.chain(broke).chain(below).collect();
    let width = (all.iter())
        .map(|(_, visit)| view::level(record, visit.level.0).len())
        .max()
        .unwrap_or(0);
    for (label, visit) in all {
        let probe = (record.probes.get(visit.probe)).filter(|_| label == "broke");
        let failed = probe.and_then(|probe| match probe.broke_without_objective() {
            Some(reason) => Some(reason.to_owned()),
            None => failures::in_short(&probe.steps),
        });
        lines.add(label, visit_text(record, visit, width, failed));
    }
}

/// What a visit showed; `failed` is what failed most in it.
fn visit_text(
    record: &RunRecord,
    visit: &VisitSummary,
    width: usize,
    failed: Option<String>,
) -> String {
    let level = view::level(record, visit.level.0);
    let mut text = format!("{level:>width$}");
    if !visit.observed.is_empty() {
        let _ = write!(text, "   {}", visit.observed);
    }
    let _ = write!(text, "   errors {} %", view::percent(visit.error_ratio));
    if let Some(failed) = failed {
        let _ = write!(text, ": {failed}");
    }
    if visit.shed_ratio > 0.0 {
        let _ = write!(text, "   shed {} %", view::percent(visit.shed_ratio));
    }
    text
}

/// Lines of logs that the summary shows.
const MOST_LINES: usize = 5;

/// What the services logged around the moment in which a probe first broke.
fn logged(record: &RunRecord, lines: &mut Lines) {
    if let Some(logged) = near_break(record, MOST_LINES) {
        lines.add("logs", logged.when);
        for line in logged.lines {
            lines.add("", line);
        }
    }
}

/// Lines of logs around a moment.
pub(super) struct Logged {
    /// Which moment.
    pub(super) when: String,
    /// In order.
    pub(super) lines: Vec<String>,
}

/// The lines closest to the moment in which a probe first broke, at most so many; `None` where
/// nothing was logged.
pub(super) fn near_break(record: &RunRecord, most: usize) -> Option<Logged> {
    let broke = |p: &&ProbeRecord| p.verdict == Verdict::Broke && !p.log.is_empty();
    let probe = record.probes.iter().find(broke)?;
    let moment = broke_at_s(probe);
    let level = view::level(record, probe.level.0);
    Some(Logged {
        when: format!(
            "when {level} broke (probe {}, at {moment:.0} s):",
            probe.index
        ),
        lines: near(&probe.log, moment, most),
    })
}

/// The lines closest to the moment in which a ramp broke, at most so many; `None` where nothing was
/// logged in that stage.
pub(super) fn near_breach(record: &RampRecord, most: usize) -> Option<Logged> {
    let breach = record.breach.as_ref()?;
    let stage = record.stages.iter().find(|s| s.index == breach.stage)?;
    (!stage.log.is_empty()).then(|| Logged {
        when: format!("when it broke (at {:.0} s):", breach.t_s),
        lines: near(&stage.log, breach.t_s, most),
    })
}

/// The lines closest to a moment, in order.
fn near(log: &[LogRecord], moment: f64, most: usize) -> Vec<String> {
    let mut near: Vec<&LogRecord> = Vec::new();
    for line in log {
        // The same complaint over and over says nothing new.
        let told = |l: &&LogRecord| l.monitor == line.monitor && l.text == line.text;
        if !near.iter().any(told) {
            near.push(line);
        }
    }
    let far = |l: &LogRecord| (l.at_s - moment).abs();
    near.sort_by(|a, b| far(a).total_cmp(&far(b)));
    near.truncate(most);
    near.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    (near.iter())
        .map(|l| format!("{:>6.0} s  {}: {}", l.at_s, l.monitor, l.text))
        .collect()
}

/// When a probe began to break: its first second with a failure, else the start of its hold.
fn broke_at_s(probe: &ProbeRecord) -> f64 {
    let failed = probe
        .seconds
        .iter()
        .find(|s| s.steps.iter().any(|step| step.failed > 0));
    let hold = || probe.seconds.iter().find(|s| s.hold);
    failed.or_else(hold).map_or(probe.start_s, |s| s.t_s)
}

/// Whether the generator could have been the limit.
pub(super) fn limits(record: &RunRecord) -> String {
    let seconds = || record.probes.iter().flat_map(|p| &p.seconds);
    let most = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::max);
    let cpu = most(&mut seconds().filter_map(|s| s.generator.cpu_cores));
    let lag = most(&mut seconds().filter_map(|s| s.generator.lag_p99_s));
    let mut parts = Vec::new();
    match cpu {
        Some(cores) => parts.push(format!("{:.0} % of one core", cores * 100.0)),
        None => parts.push("CPU unknown".to_owned()),
    }
    if let Some(lag) = lag {
        parts.push(format!("max delay {}", units::format_seconds(lag)));
    }
    let faults: u64 = record
        .probes
        .iter()
        .filter_map(ProbeRecord::overall)
        .flat_map(|s| &s.failed)
        .filter(|(kind, _)| kind.is_generator_fault())
        .map(|(_, n)| n)
        .sum();
    let shortage = if faults == 0 {
        "ports and descriptors OK".to_owned()
    } else {
        let n = units::format_count(faults);
        let what = record.plan.counted().name();
        format!("{n} {what} failed for lack of ports or descriptors")
    };
    format!("{}; {shortage}", parts.join(", "))
}

pub(super) fn rests_on(record: &RunRecord) -> String {
    let probes = record.probes.len();
    let near = record
        .probes
        .iter()
        .filter(|p| {
            matches!(
                p.purpose,
                Purpose::Refine | Purpose::Compare | Purpose::Confirm
            )
        })
        .count();
    let near = if near > 0 {
        format!(", {near} near the breakpoint")
    } else {
        String::new()
    };
    let plural = if probes == 1 { "" } else { "s" };
    let load = view::span(view::under_load_s(record));
    let all = format!("{probes} probe{plural}{near}; {load} under load");
    let a = &record.answer;
    // Records of older versions do not say it.
    if a.rests_on_s > 0.0 && a.visits > 0 {
        let plural = if a.visits == 1 { "" } else { "s" };
        let held = view::span(a.rests_on_s.round());
        format!("{} visit{plural} with {held} of holds; {all}", a.visits)
    } else {
        all
    }
}

/// Nobody plans with more than this, seconds.
const LONGEST_S: f64 = 3.0 * 3600.0;

pub(super) fn more_time(record: &RunRecord, outlook: &Outlook) -> String {
    match *outlook {
        Outlook::Time {
            more_s,
            half_width,
            asked_in_s,
        } => {
            let mut text = format!(
                "another {} would give about ±{:.1} %",
                view::span(more_s),
                half_width * 100.0
            );
            if let Some(seconds) = asked_in_s {
                let asked = view::percent(record.answer.precision_asked);
                let more = minutes_more(seconds);
                let _ = write!(text, "; {more} to be confident of ±{asked} %");
            }
            text
        }
        Outlook::Visit {
            level,
            takes_s,
            held,
            broke,
        } => format!(
            "one more visit at {} (about {}) would halve the gap between {} (held) and {} (broke)",
            view::level(record, level.0),
            view::span(takes_s.round()),
            units::format_count(held.get().into()),
            units::format_count(broke.get().into()),
        ),
    }
}

/// Whole minutes, for what is not known better: `about 21 more minutes`.
fn minutes_more(seconds: f64) -> String {
    let minutes = (seconds / 60.0).ceil();
    match minutes {
        _ if seconds > LONGEST_S => "more than 3 more hours".to_owned(),
        m if m <= 1.0 => "about 1 more minute".to_owned(),
        m => format!("about {m:.0} more minutes"),
    }
}

/// A reason as it reads in the middle of a line.
pub(super) fn sentence(reason: &str) -> &str {
    reason.trim().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(addresses: &[(&str, &str, u64, u64, Option<u64>)]) -> PlanRecord {
        let addresses = addresses.iter();
        let addresses =
            addresses.map(
                |(host, address, connections, requests, trip)| LoadedAddress {
                    host: (*host).to_owned(),
                    address: (*address).to_owned(),
                    connections: *connections,
                    requests: *requests,
                    round_trip_us: *trip,
                    http1_connections: 0,
                    http2_connections: 0,
                },
            );
        crate::samples::found().plan.loaded(addresses.collect())
    }

    #[test]
    fn where_nothing_is_named_and_something_was_ruled_out_that_is_the_answer() {
        let mut record = crate::samples::found();
        record.answer.limiting_resource = None;
        assert_eq!(unknown(&record), None, "nothing was ruled out");
        record.warnings.push(format!("3 of 5 probes: {NO_FINDING}"));
        let spoiled = unknown(&record).unwrap();
        assert!(!spoiled.contains("ruled out"), "none was: {spoiled}");
        record.warnings.clear();
        record.warnings.push(NO_FINDING_BEFORE.to_owned());
        assert_eq!(unknown(&record), Some(spoiled), "of an older version");
        let told = format!("gateway memory read the same where the SLO held: {RULED_OUT}");
        record.warnings.push(told);
        let line = "bottleneck      unknown; the warnings list what was ruled out\n";
        assert!(summary(&record).contains(line), "{}", summary(&record));
        record.answer.limiting_resource = Some(LimitingResource {
            kind: None,
            resource: "gateway heap".to_owned(),
            evidence: "it said so".to_owned(),
            sureness: crate::record::Sureness::Likely,
        });
        assert_eq!(unknown(&record), None, "a finding says more");
    }

    #[test]
    fn an_answer_that_rests_on_no_visit_does_not_say_so_with_a_number() {
        let mut record = crate::samples::found();
        record.answer.rests_on_s = 6.0;
        record.answer.visits = 1;
        assert!(rests_on(&record).starts_with("1 visit with 6 s of holds"));
        record.answer.visits = 0;
        assert!(
            !rests_on(&record).contains("visit"),
            "{}",
            rests_on(&record)
        );
    }

    #[test]
    fn how_the_load_fell_on_several_addresses_is_told_and_one_is_no_news() {
        let one = plan(&[("127.0.0.1", "127.0.0.1", 5, 50, Some(40))]);
        assert_eq!(addresses(&one), None);
        assert_eq!(way(&one), None, "within the machine");
        let three = plan(&[
            ("api.test", "10.0.0.1", 5, 300, Some(40_200)),
            ("api.test", "10.0.0.2", 5, 100, Some(1_000)),
            ("api.test", "10.0.0.3", 0, 0, None),
        ]);
        assert_eq!(
            addresses(&three).as_deref(),
            Some(
                "2 of 3 addresses of api.test received load: 10.0.0.1 75.0 % of the requests, \
                 10.0.0.2 25.0 % of the requests, 10.0.0.3 received no load"
            )
        );
        let way = way(&three).unwrap();
        assert!(
            way.starts_with("the round trip to the target takes 40.2 ms"),
            "{way}"
        );
    }
}
