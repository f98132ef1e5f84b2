//! What a terminal shows of a running search or ramp: a panel of a few lines that is drawn again
//! every second.

use std::fmt::Write as _;

use console::{measure_text_width, truncate_str};

use super::paint;
use crate::event::Phase;
use crate::excerpt::visible;
use crate::live::{Gauge, Live, LiveSecond};
use crate::measure::Level;
use crate::measure::fields::is_counter;
use crate::report::{self, span};
use crate::units;

/// Width of a bar, characters.
const BAR: usize = 20;
/// Least width that is laid out; a narrower terminal cuts.
const NARROW: usize = 40;
/// Most lines of monitors.
const GAUGE_LINES: usize = 4;
/// Eighths of a line, for a chart within it.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The lines of the panel, none wider than `width`; at most `height` of them.
pub(super) fn lines(live: &Live, width: usize, height: usize, colour: bool) -> Vec<String> {
    let width = width.max(NARROW);
    let mut lines = Vec::new();
    if live.at_most_s.is_some() {
        lines.push(head(live, width));
    }
    lines.extend(search(live, colour));
    lines.push(present(live));
    lines.extend(share(live, width, colour));
    lines.extend(latency(live, width, colour));
    lines.extend(traffic(live, colour));
    lines.extend(gauges(live, width, colour));
    lines.truncate(height.max(1));
    let cut = |line: String| truncate_str(&line, width, "…").into_owned();
    lines.into_iter().map(cut).collect()
}

/// A text of others on one line.
fn harmless(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// Profile and SLO on the left, the time on the right.
fn head(live: &Live, width: usize) -> String {
    let left = harmless(&format!("{}  SLO {}", live.profile, live.slo.join(", ")));
    let right = match live.left_s() {
        Some(left) => format!("{}, at most {} left", span(live.elapsed_s), span(left)),
        None => span(live.elapsed_s),
    };
    let room = width.saturating_sub(measure_text_width(&right) + 2);
    let left = truncate_str(&left, room, "…");
    let gap = width.saturating_sub(measure_text_width(&left) + measure_text_width(&right));
    format!("{left}{:gap$}{right}", "")
}

/// `bracket   held 240   broke 280   breakpoint 259 (239 – 273) VUs`.
fn search(live: &Live, colour: bool) -> Option<String> {
    live.range?;
    let (held, broke) = live.bracket();
    let number = |level: Level| units::format_count(level.get().into());
    let mut text = label("bracket");
    match held {
        Some(level) => {
            let _ = write!(text, "{} {}", paint("held", "32", colour), number(level));
        }
        None => text.push_str("none held yet"),
    }
    match broke {
        Some(level) => {
            let _ = write!(
                text,
                "   {} {}",
                paint("broke", "31", colour),
                number(level)
            );
        }
        None => text.push_str("   none broke yet"),
    }
    if let Some(now) = live.estimate {
        let [low, middle, high] =
            [now.low, now.estimate, now.high].map(|v| number(Level::nearest(v)));
        let _ = write!(text, "   breakpoint {middle} ({low} – {high})");
    }
    let _ = write!(text, " {}", live.unit.name());
    Some(text)
}

/// What is going on: a probe, a stage, or what is between them.
fn present(live: &Live) -> String {
    if let Some(doing) = &live.doing {
        return format!("{}{}", label("now"), harmless(doing));
    }
    if let Some(probe) = &live.probe {
        let name = format!("probe {}", probe.index);
        let level = live.unit.count(probe.level);
        let purpose = probe.purpose.name();
        let mut text = format!("{}{purpose}  {level}  ", label(&name));
        match probe.phase {
            Phase::Ramp => text.push_str("ramping"),
            Phase::Settle => {
                let _ = write!(text, "settling, {}", span(probe.phase_s));
            }
            Phase::Hold => {
                let (done, planned) = (probe.phase_s, probe.planned_hold_s);
                let share = if planned > 0.0 { done / planned } else { 0.0 };
                let _ = write!(text, "holding {done:.0} of {planned:.0} s  {}", bar(share));
            }
        }
        return text;
    }
    if let Some(stage) = &live.stage {
        let name = format!("stage {}", stage.index + 1);
        let asked = report::from_to(&stage.asked);
        let done = live.elapsed_s - stage.asked.start_s;
        let share = done / stage.asked.lasts_s.max(1.0);
        return format!(
            "{}{asked} {}  {}",
            label(&name),
            live.unit.name(),
            bar(share)
        );
    }
    format!("{}between probes", label("now"))
}

/// The share of errors or sheds against its limit, where the SLO asks nothing of latencies: over
/// the last five seconds, and by second.
fn share(live: &Live, width: usize, colour: bool) -> Option<String> {
    let shown = live.share?;
    let sum = |of: fn(&LiveSecond) -> u64| live.seconds.iter().rev().take(5).map(of).sum::<u64>();
    let now = shown.of(sum(|s| s.completed), sum(|s| s.failed), sum(|s| s.shed));
    let percent = |v: f64| format!("{:.1} %", v * 100.0);
    let mut text = label(shown.name());
    let told = match (now, shown.limit) {
        (Some(value), Some(limit)) if value >= limit => {
            format!(
                "{} above {}",
                paint(&percent(value), "31", colour),
                percent(limit)
            )
        }
        (Some(value), Some(limit)) => format!("{} of {}", percent(value), percent(limit)),
        (Some(value), None) => percent(value),
        (None, _) => "none ended".to_owned(),
    };
    text.push_str(&told);
    text.push_str("  ");
    let room = width.saturating_sub(measure_text_width(&text));
    let of = |s: &LiveSecond| shown.of(s.completed, s.failed, s.shed);
    text.push_str(&sparkline(live, room, of, shown.limit));
    Some(text)
}

/// The latency against its limit, now and over the last minutes.
fn latency(live: &Live, width: usize, colour: bool) -> Option<String> {
    let last = live.seconds.back()?;
    let mut text = label(&harmless(&live.latency));
    match (last.latency_s, live.limit_s) {
        (Some(value), Some(limit)) if value >= limit => {
            let shown = paint(&units::format_seconds(value), "31", colour);
            let _ = write!(text, "{shown} above {}", units::format_seconds(limit));
        }
        (Some(value), Some(limit)) => {
            let (value, limit) = (units::format_seconds(value), units::format_seconds(limit));
            let _ = write!(text, "{value} of {limit}");
        }
        (Some(value), None) => text.push_str(&units::format_seconds(value)),
        (None, _) => text.push_str("none completed"),
    }
    text.push_str("  ");
    let room = width.saturating_sub(measure_text_width(&text));
    text.push_str(&sparkline(live, room, |s| s.latency_s, live.limit_s));
    Some(text)
}

/// A character per second: its height is the value, up to one and a half limits; a second without
/// any is a space.
fn sparkline(
    live: &Live,
    room: usize,
    of: impl Fn(&LiveSecond) -> Option<f64>,
    limit: Option<f64>,
) -> String {
    let seconds = live.seconds.iter().rev().take(room).rev();
    let values: Vec<Option<f64>> = seconds.map(of).collect();
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let top = limit.map_or(most, |limit| 1.5 * limit);
    values.into_iter().map(|v| block(v, top)).collect()
}

fn block(value: Option<f64>, top: f64) -> char {
    let Some(value) = value.filter(|_| top > 0.0) else {
        return ' ';
    };
    let share = (value / top).clamp(0.0, 1.0);
    let step = BLOCKS.iter().enumerate().rev();
    #[expect(clippy::cast_precision_loss, reason = "at most eight")]
    let reached = |i: usize| share >= i as f64 / BLOCKS.len() as f64;
    step.into_iter()
        .find(|(i, _)| reached(*i))
        .map_or(' ', |(_, c)| *c)
}

/// What goes through in the last seconds: `97.8 cycles/s   errors 0 %   262 VUs run`.
fn traffic(live: &Live, colour: bool) -> Option<String> {
    let last = live.seconds.back()?;
    let recent: Vec<&LiveSecond> = live.seconds.iter().rev().take(5).collect();
    let sum = |of: fn(&LiveSecond) -> u64| recent.iter().map(|s| of(s)).sum::<u64>();
    let (completed, failed, shed) = (sum(|s| s.completed), sum(|s| s.failed), sum(|s| s.shed));
    #[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
    let (rate, errors, sheds) = (
        completed as f64 / recent.iter().map(|s| s.span_s).sum::<f64>().max(0.001),
        failed as f64 / (completed + failed).max(1) as f64,
        shed as f64 / (completed + failed + shed).max(1) as f64,
    );
    let mut text = format!("{}{rate:.1} {}", label("last 5 s"), live.counted.rate());
    let errors = format!("errors {:.1} %", errors * 100.0);
    let _ = write!(text, "   {}", paint(&errors, "31", colour && failed > 0));
    if shed > 0 {
        let _ = write!(text, "   shed {:.1} %", sheds * 100.0);
    }
    let _ = write!(text, "   {} VUs run", units::format_count(last.vus.into()));
    Some(text)
}

/// A line per monitor: its memory and CPU, and what has a limit.
fn gauges(live: &Live, width: usize, colour: bool) -> Vec<String> {
    let mut monitors: Vec<&str> = Vec::new();
    for gauge in &live.gauges {
        if !monitors.contains(&gauge.monitor.as_str()) {
            monitors.push(&gauge.monitor);
        }
    }
    let of = |monitor: &str| {
        let fields = live.gauges.iter().filter(|g| g.monitor == monitor);
        let parts: Vec<String> = fields.filter_map(|g| gauge_text(g, colour)).collect();
        (!parts.is_empty()).then(|| (monitor.to_owned(), parts))
    };
    let lines = monitors.into_iter().filter_map(of).take(GAUGE_LINES);
    lines
        .map(|(monitor, parts)| gauge_line(&monitor, &parts, width))
        .collect()
}

/// As many parts as fit.
fn gauge_line(monitor: &str, parts: &[String], width: usize) -> String {
    let mut line = label(monitor);
    for (i, part) in parts.iter().enumerate() {
        let gap = if i == 0 { "" } else { "   " };
        if measure_text_width(&line) + gap.len() + measure_text_width(part) > width {
            break;
        }
        line.push_str(gap);
        line.push_str(part);
    }
    line
}

/// Memory, CPU and what has a limit; the rest is in the files.
fn gauge_text(gauge: &Gauge, colour: bool) -> Option<String> {
    let value = gauge.value?;
    if is_counter(&gauge.field) {
        return None;
    }
    let amount = |v: f64| match gauge.field.as_str() {
        "memory" | "heap" => units::format_bytes(v),
        "cpu" => format!("{v:.2}"),
        _ => units::format_count(whole(v)),
    };
    match (gauge.field.as_str(), gauge.limit) {
        (field, Some(limit)) => {
            let text = format!("{} {} of {}", name(field), amount(value), amount(limit));
            Some(paint(&text, "33", colour && value >= 0.9 * limit))
        }
        (field @ ("memory" | "heap" | "cpu" | "queue"), None) => {
            Some(format!("{} {}", name(field), amount(value)))
        }
        _ => None,
    }
}

fn name(field: &str) -> String {
    match field {
        "cpu" => "CPU".to_owned(),
        other => other.replace('_', " "),
    }
}

fn whole(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and a panel needs no more"
    )]
    let whole = value.round() as u64;
    whole
}

fn label(text: &str) -> String {
    format!("{text:<12}")
}

fn bar(share: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "twenty")]
    let full = whole(share.clamp(0.0, 1.0) * BAR as f64);
    let full = usize::try_from(full).unwrap_or(BAR).min(BAR);
    format!("[{}{}]", "=".repeat(full), " ".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, ShownShare, Subject, Tick};
    use crate::measure::Reading;
    use crate::record::{Band, Purpose};
    use crate::samples;

    const MIB: f64 = 1_048_576.0;

    fn reading(monitor: &str, field: &str, value: f64) -> Reading {
        Reading {
            monitor: monitor.to_owned(),
            field: field.to_owned(),
            value: Some(value),
        }
    }

    fn live() -> Live {
        let mut live = Live::default();
        live.on(&Event::RunStarted {
            subject: Subject {
                profile: "gateway-512mb".to_owned(),
                limits: vec![reading("gateway", "memory", 512.0 * MIB)],
                ..Subject::made_up()
            },
            range: (Level(1), Level(3000)),
            budget_s: 900.0,
        });
        for (verdict, level) in [("held", 1014), ("broke", 1029)] {
            let all = samples::found().probes;
            let probe = all.iter().find(|p| p.verdict.to_string() == verdict);
            let mut probe = probe.unwrap().clone();
            probe.level = Level(level);
            probe.estimate = Some(Band::from((1003.0, 1019.0, 1029.0)));
            live.on(&Event::ProbeJudged(Box::new(probe)));
        }
        live.on(&Event::ProbeStarted {
            index: 7,
            purpose: Purpose::Refine,
            level: Level(1019),
            planned_hold_s: 40.0,
        });
        for t in 1..=120 {
            live.on(&Event::Tick(tick(f64::from(t))));
        }
        live
    }

    fn tick(elapsed_s: f64) -> Tick {
        Tick {
            elapsed_s,
            level: Level(1019),
            vus: 1019,
            phase: if elapsed_s > 100.0 {
                Phase::Hold
            } else {
                Phase::Settle
            },
            span_s: 1.0,
            completed: 80,
            failed: 1,
            shed: 2,
            latency_s: (elapsed_s % 10.0 > 0.0).then_some(elapsed_s / 60.0),
            estimate: None,
            readings: vec![
                reading("gateway", "memory", 480.0 * MIB),
                reading("gateway", "cpu", 0.61),
                reading("gateway", "oom_kills", 3.0),
                reading("redis", "memory", 2.0 * MIB),
            ],
        }
    }

    #[test]
    fn at_eighty_columns_all_that_matters_is_there() {
        let lines = lines(&live(), 80, 20, false);
        let text = lines.join("\n");
        for part in [
            "gateway-512mb  SLO p99(answer)<2s",
            "2 min, at most 13 min left",
            "held 1 014   broke 1 029   breakpoint 1 019 (1 003 – 1 029) VUs",
            "probe 7     refine  1 019 VUs  holding 20 of 40 s  [==========          ]",
            "p99(answer) none completed  ▄",
            "80.0 cycles/s   errors 1.2 %   shed 2.4 %   1 019 VUs run",
            "memory 480 MiB of 512 MiB   CPU 0.61",
            "redis       memory 2.0 MiB",
        ] {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
        assert!(
            !text.contains("oom"),
            "a counter needs no place of its own\n{text}"
        );
    }

    #[test]
    fn an_slo_of_errors_alone_has_its_errors_first() {
        let mut live = live();
        assert!(
            !lines(&live, 80, 20, false)
                .join("\n")
                .contains("errors      ")
        );
        for (limit, part) in [
            (Some(0.01), "errors      1.2 % above 1.0 %  ▇▇▇▇"),
            (Some(0.05), "errors      1.2 % of 5.0 %  ▂▂▂▂"),
            (None, "errors      1.2 %  ████"),
        ] {
            live.share = Some(ShownShare {
                of_sheds: false,
                limit,
            });
            let text = lines(&live, 80, 20, false);
            let at = |part: &str| text.iter().position(|line| line.starts_with(part));
            assert!(at(part).is_some(), "`{part}` is missing in {text:#?}");
            assert!(at(part) < at("p99(answer)"), "{text:#?}");
        }
        live.share = Some(ShownShare {
            of_sheds: true,
            limit: Some(0.05),
        });
        let text = lines(&live, 80, 20, false).join("\n");
        assert!(text.contains("shed        2.4 % of 5.0 %"), "{text}");
    }

    #[test]
    fn no_line_is_wider_and_there_are_no_more_than_asked() {
        for colour in [false, true] {
            for width in [40, 61, 80, 132] {
                let lines = lines(&live(), width, 20, colour);
                for line in &lines {
                    assert!(measure_text_width(line) <= width, "{width}: {line}");
                }
            }
        }
        assert_eq!(lines(&live(), 80, 3, false).len(), 3);
    }

    #[test]
    fn the_chart_is_as_high_as_the_latency_and_has_gaps() {
        let mut live = live();
        live.limit_s = Some(2.0);
        live.seconds.clear();
        for (t, latency_s) in [
            (1.0, Some(0.05)),
            (2.0, None),
            (3.0, Some(1.5)),
            (4.0, Some(9.0)),
        ] {
            let tick = Tick {
                latency_s,
                ..tick(t)
            };
            live.on(&Event::Tick(tick));
        }
        let line = |room| sparkline(&live, room, |s| s.latency_s, live.limit_s);
        assert_eq!(line(10), "▁ ▅█");
        assert_eq!(line(2), "▅█", "the newest ones");
    }

    #[test]
    fn before_a_run_there_is_only_what_is_done() {
        let mut live = Live::default();
        live.on(&Event::Doing("starting the target".to_owned()));
        assert_eq!(
            lines(&live, 80, 20, false),
            ["now         starting the target"]
        );
    }
}
