//! The plain lines of a run: what begins, what a second showed, what a probe or a stage came to.

use std::fmt::Write as _;

use super::paint;
use crate::event::{Event, Phase, Subject, Tick};
use crate::excerpt::printed;
use crate::live::{Live, LiveProbe, LiveStage};
use crate::measure::{Level, LevelUnit};
use crate::record::{Band, HoldEnd, ProbeRecord, StageRecord, StageSpan};
use crate::report::{self, span};
use crate::slo::Verdict;
use crate::units;

pub(super) fn started_line(subject: &Subject, event: &Event) -> String {
    let what = match event {
        Event::RampStarted { asked, .. } => report::stages_text(asked, subject.unit),
        Event::RunStarted {
            range: (min, max),
            budget_s,
            ..
        } => format!(
            "{} – {}  {} of load",
            units::format_count(min.0.into()),
            subject.unit.count(*max),
            span(*budget_s),
        ),
        _ => String::new(),
    };
    let (profile, target) = (&subject.profile, &subject.target);
    format!(
        "{profile}  {target}  SLO {}  {what}",
        subject.slo.join(", ")
    )
}

/// `stage 2    100 -> 300 VUs`.
pub(super) fn stage_name(index: usize, asked: &StageSpan, unit: LevelUnit) -> String {
    format!(
        "stage {:<3} {:>14} {}",
        index + 1,
        report::from_to(asked),
        unit.name()
    )
}

/// What one judged stage showed, as for a probe.
pub(super) fn stage_line(stage: &StageRecord, unit: LevelUnit, colour: bool) -> String {
    let word = verdict_word(stage.end, stage.verdict, colour);
    let mut line = format!("{}  {word}", stage_name(stage.index, &stage.asked, unit));
    let observed = report::observed_text(&stage.objectives, stage.verdict);
    let errors = report::error_text(stage.overall());
    let rate = stage.throughput_per_s.map(|rate| format!("{rate:.1}/s"));
    for part in [observed, errors, rate].into_iter().flatten() {
        let _ = write!(line, "  {}", printed(&part));
    }
    if stage.end == HoldEnd::Invalid || stage.verdict == Verdict::Undecided {
        let _ = write!(line, "  ({})", printed(&stage.reason));
    }
    line
}

pub(super) fn verdict_word(end: HoldEnd, verdict: Verdict, colour: bool) -> String {
    let (word, code) = match (end, verdict) {
        (HoldEnd::Invalid, _) => ("invalid", "33"),
        (_, Verdict::Held) => ("held", "32"),
        (_, Verdict::Undecided) => ("undecided", "33"),
        (_, Verdict::Broke) => ("broke", "31"),
    };
    paint(&format!("{word:<10}"), code, colour)
}

/// What one judged probe showed: `probe 7 refine 1 160 VUs held p99(answer) 1.82 s errors 0 %
/// 97.8/s ...`.
pub(super) fn judged_line(probe: &ProbeRecord, unit: LevelUnit, colour: bool) -> String {
    let level = units::format_count(probe.level.0.into());
    let mut line = format!(
        "probe {:<3} {:<8} {level:>6} {}  {}",
        probe.index,
        probe.purpose.name(),
        unit.name(),
        verdict_word(probe.end, probe.verdict, colour),
    );
    let mut add = |part: String| {
        line.push(' ');
        line.push_str(&printed(&part));
        line.push(' ');
    };
    if let Some(reason) = probe.broke_without_objective() {
        add(format!("({reason})"));
    } else if let Some(observed) = report::observed_text(&probe.objectives, probe.verdict) {
        add(observed);
    }
    if let Some(errors) = report::error_text(probe.overall()) {
        add(errors);
    }
    if let Some(rate) = probe.throughput_per_s {
        add(format!("{rate:.1}/s"));
    }
    let early = if probe.end == HoldEnd::LeftEarly {
        ", left early"
    } else {
        ""
    };
    add(format!(
        "settle {} hold {}{early}",
        span(probe.settle_s),
        span(probe.hold_s)
    ));
    if probe.end == HoldEnd::Invalid || probe.verdict == Verdict::Undecided {
        add(format!("({})", probe.reason));
    }
    if let Some(estimate) = probe.estimate {
        add(format!("  {}", estimate_text(estimate)));
    }
    line.trim_end().to_owned()
}

pub(super) fn tick_line(probe: &LiveProbe, tick: &Tick, live: &Live) -> String {
    let unit = live.unit;
    let doing = match tick.phase {
        Phase::Ramp if unit.is_open() => "ramping".to_owned(),
        Phase::Ramp => format!("ramping, {} VUs", units::format_count(tick.vus.into())),
        Phase::Settle => "settling".to_owned(),
        Phase::Hold => "holding".to_owned(),
    };
    let level = units::format_count(probe.level.0.into());
    let mut line = format!(
        "probe {:<3} {:<8} {level:>6} {}  {doing}{}",
        probe.index,
        probe.purpose.name(),
        unit.name(),
        seen_text(tick, &live.latency),
    );
    if let Some(estimate) = tick.estimate {
        let _ = write!(line, "   {}", estimate_text(estimate));
    }
    line
}

/// A second of a ramp: the level asked for, and the VUs.
pub(super) fn ramp_tick_line(stage: &LiveStage, tick: &Tick, live: &Live) -> String {
    let unit = live.unit;
    let name = stage_name(stage.index, &stage.asked, unit);
    let mut line = format!("{name}  at {}", unit.count(tick.level));
    if tick.vus != tick.level.get() {
        let vus = units::format_count(tick.vus.into());
        let _ = write!(line, ", {vus} run");
    }
    line.push_str(&seen_text(tick, &live.latency));
    line
}

/// What a second showed.
pub(super) fn seen_text(tick: &Tick, latency: &str) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a count of some seconds")]
    let rate = tick.completed as f64 / tick.span_s.max(0.001);
    let mut text = format!("  {rate:.0}/s");
    if let Some(value) = tick.latency_s.filter(|v| v.is_finite()) {
        let _ = write!(text, "  {latency} {}", units::format_seconds(value));
    }
    for (n, what) in [(tick.failed, "failed"), (tick.shed, "shed")] {
        if n > 0 {
            let _ = write!(text, "  {n} {what}");
        }
    }
    text
}

pub(super) fn estimate_text(now: Band) -> String {
    let vus = |v: f64| units::format_count(Level::nearest(v).0.into());
    format!(
        "now {} ({} – {})",
        vus(now.estimate),
        vus(now.low),
        vus(now.high)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Purpose;
    use crate::samples;

    fn probe() -> ProbeRecord {
        let mut probe = samples::found().probes[12].clone();
        probe.index = 7;
        probe.level = Level(1160);
        probe.verdict = Verdict::Held;
        probe
            .objectives
            .iter_mut()
            .for_each(|o| o.verdict = Verdict::Held);
        probe.objectives[0].observed = Some(1.82);
        probe.throughput_per_s = Some(97.84);
        probe.settle_s = 6.0;
        probe.hold_s = 52.0;
        for step in &mut probe.steps {
            step.failed.clear();
            step.shed = 0;
        }
        probe.estimate = Some(Band::from((1128.2, 1171.0, 1213.6)));
        probe
    }

    #[test]
    fn a_judged_probe_is_one_line_with_all_that_matters() {
        assert_eq!(
            judged_line(&probe(), LevelUnit::Vus, false),
            "probe 7   refine    1 160 VUs  held       p99(answer) 1.82 s  errors 0 %  97.8/s  \
             settle 6 s hold 52 s    now 1 171 (1 128 – 1 214)"
        );
    }

    #[test]
    fn an_undecided_or_invalid_probe_says_why() {
        let mut probe = probe();
        probe.estimate = None;
        probe.verdict = Verdict::Undecided;
        probe.reason = "the level did not settle".to_owned();
        let line = judged_line(&probe, LevelUnit::Vus, false);
        assert!(
            line.ends_with("hold 52 s  (the level did not settle)"),
            "{line}"
        );
        probe.end = HoldEnd::Invalid;
        let line = judged_line(&probe, LevelUnit::Vus, false);
        assert!(line.contains("  invalid "), "{line}");
    }

    #[test]
    fn colour_adds_to_the_word_and_never_replaces_it() {
        let (plain, coloured) = (
            judged_line(&probe(), LevelUnit::Vus, false),
            judged_line(&probe(), LevelUnit::Vus, true),
        );
        assert!(!plain.contains('\u{1b}'));
        assert!(coloured.contains("\u{1b}[32mheld"));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }

    #[test]
    fn a_probe_in_which_nothing_completed_is_told_without_a_number() {
        let mut probe = probe();
        probe.objectives[0].observed = None;
        probe.throughput_per_s = None;
        probe.verdict = Verdict::Broke;
        probe.objectives[0].verdict = Verdict::Broke;
        probe.end = HoldEnd::LeftEarly;
        let line = judged_line(&probe, LevelUnit::Vus, false);
        assert!(
            line.contains("broke      p99(answer) no data  errors"),
            "{line}"
        );
        assert!(line.contains("left early"), "{line}");
    }

    #[test]
    fn a_second_of_a_probe_is_one_line() {
        let mut live = Live::default();
        live.latency = "p99(answer)".to_owned();
        live.on(&Event::ProbeStarted {
            index: 3,
            purpose: Purpose::Bracket,
            level: Level(640),
            planned_hold_s: 30.0,
        });
        let probe = live.probe.unwrap();
        let tick = Tick {
            elapsed_s: 61.0,
            level: Level(640),
            vus: 512,
            phase: Phase::Ramp,
            span_s: 1.0,
            completed: 55,
            failed: 2,
            shed: 0,
            latency_s: Some(0.412),
            estimate: None,
            readings: Vec::new(),
        };
        assert_eq!(
            tick_line(&probe, &tick, &live),
            "probe 3   bracket     640 VUs  ramping, 512 VUs  55/s  p99(answer) 412 ms  2 failed"
        );
        let quiet = Tick {
            phase: Phase::Hold,
            latency_s: None,
            failed: 0,
            ..tick
        };
        assert!(tick_line(&probe, &quiet, &live).ends_with("VUs  holding  55/s"));
    }

    #[test]
    fn a_judged_stage_is_one_line_as_a_probe_is() {
        let stages = samples::ramp().stages;
        let line = |i: usize| stage_line(&stages[i], LevelUnit::Vus, false);
        assert_eq!(
            line(0),
            "stage 1         0 -> 400 VUs  held        p99(answer) 350 ms  errors 0 %  18.3/s"
        );
        assert!(line(2).contains("broke       p99(answer) no data  errors 100 %"));
        let invalid = samples::ramp_invalid().stages;
        let line = stage_line(&invalid[2], LevelUnit::Vus, false);
        assert!(
            line.contains("  invalid ") && line.ends_with("20 seconds)"),
            "{line}"
        );
    }

    #[test]
    fn a_second_of_a_ramp_says_where_the_level_is_and_where_the_vus_are() {
        let tick = Tick {
            elapsed_s: 61.0,
            level: Level(1240),
            vus: 1240,
            phase: Phase::Ramp,
            span_s: 1.0,
            completed: 55,
            failed: 2,
            shed: 0,
            latency_s: Some(0.412),
            estimate: None,
            readings: Vec::new(),
        };
        let mut live = Live::default();
        live.latency = "p99(answer)".to_owned();
        let stage = LiveStage {
            index: 1,
            asked: samples::ramp().asked[1],
        };
        let text = |tick: &Tick| ramp_tick_line(&stage, tick, &live);
        assert!(text(&tick).ends_with("  at 1 240 VUs  55/s  p99(answer) 412 ms  2 failed"));
        let late = Tick { vus: 1300, ..tick };
        assert!(text(&late).contains("  at 1 240 VUs, 1 300 run  55/s"));
    }

    #[test]
    fn the_first_line_says_what_is_asked() {
        let subject = Subject {
            slo: vec!["p99<2s".to_owned()],
            ..Subject::made_up()
        };
        let event = Event::RunStarted {
            subject: subject.clone(),
            range: (Level(1), Level(5000)),
            budget_s: 900.0,
        };
        assert_eq!(
            started_line(&subject, &event),
            "demo  http://127.0.0.1:8080  SLO p99<2s  1 – 5 000 VUs  15 min of load"
        );
        let event = Event::RampStarted {
            subject: subject.clone(),
            asked: samples::ramp_down().asked,
        };
        assert_eq!(
            started_line(&subject, &event),
            "demo  http://127.0.0.1:8080  SLO p99<2s  0 -> 400 -> 1 200 -> 1 600 -> 0 VUs in 60 s"
        );
    }
}
