//! The only printer: progress on stderr, results on stdout.
//!
//! On a terminal a bar follows the probe; elsewhere (and where `CI` is set) there are plain lines. A verdict is always a
//! word, its colour an addition that `NO_COLOR` takes away.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Event, Phase, Tick};
use crate::measure::{Level, LevelUnit};
use crate::record::{
    CompareRecord, HoldEnd, ProbeRecord, Purpose, RampRecord, RunRecord, StageRecord, StageSpan,
};
use crate::report::{self, span};
use crate::slo::Verdict;
use crate::units;

/// Seconds between two plain lines within a probe.
const PLAIN_EVERY_S: f64 = 10.0;
/// The same within a ramp, where more changes.
const RAMP_EVERY_S: f64 = 5.0;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set; `CLICOLOR_FORCE` is honoured.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What the user wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TermOptions {
    /// No progress: only errors and results.
    pub quiet: bool,
    /// When to colour.
    pub colour: Colour,
}

/// Prints what happens.
#[derive(Debug)]
pub struct Terminal {
    quiet: bool,
    colour: bool,
    /// The bar of a terminal; `None` means plain lines.
    bar: Option<ProgressBar>,
    /// What a level of the present run counts.
    unit: LevelUnit,
    probe: Option<Current>,
    stage: Option<Stage>,
    printed_s: f64,
}

/// The stage of a ramp that runs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stage {
    index: usize,
    asked: StageSpan,
}

/// The probe that runs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Current {
    index: usize,
    purpose: Purpose,
    level: Level,
    planned_hold_s: f64,
    /// Seconds of its hold so far.
    held_s: f64,
}

impl Terminal {
    /// Looks at the environment once: terminal or not, `CI`, `NO_COLOR`.
    pub fn new(options: TermOptions) -> Self {
        let stderr = std::io::stderr();
        let in_ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false");
        let bars = stderr.is_terminal() && !in_ci && !options.quiet;
        let colour = match options.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => AutoStream::choice(&stderr) != ColorChoice::Never,
        };
        Self {
            quiet: options.quiet,
            colour,
            bar: bars.then(new_bar),
            unit: LevelUnit::Vus,
            probe: None,
            stage: None,
            printed_s: 0.0,
        }
    }

    /// Shows an event. [`Event::RunFinished`] and [`Event::RampFinished`] print the summary on stdout, [`Event::Written`] the
    /// folder.
    pub fn on(&mut self, event: &Event) {
        match event {
            Event::RunStarted { unit, .. } | Event::RampStarted { unit, .. } => {
                self.unit = *unit;
                self.printed_s = 0.0;
                if let Some(bar) = &self.bar {
                    bar.reset();
                }
                if let Some(line) = started_line(event) {
                    self.line(&line);
                }
            }
            Event::StageStarted { index, asked } => self.stage_started(*index, *asked),
            Event::StageJudged(stage) => {
                self.stage = None;
                let line = stage_line(stage, self.unit, self.colour);
                self.line(&line);
            }
            Event::RampFinished(record) => {
                self.clear();
                self.print_ramp(record);
            }
            Event::Doing(what) => match &self.bar {
                Some(bar) => {
                    bar.set_prefix(what.clone());
                    bar.set_message("");
                    bar.tick();
                }
                None => self.line(what),
            },
            Event::Note(note) => self.line(&format!("note: {note}")),
            Event::ProbeStarted {
                index,
                purpose,
                level,
                planned_hold_s,
            } => self.probe_started(*index, *purpose, *level, *planned_hold_s),
            Event::Tick(tick) => self.tick(tick),
            Event::ProbeJudged(probe) => {
                self.probe = None;
                if let Some(bar) = &self.bar {
                    bar.set_position(0);
                    bar.set_prefix("between probes");
                    bar.set_message("");
                }
                let line = judged_line(probe, self.unit, self.colour);
                self.line(&line);
            }
            Event::RunFinished(record) => {
                self.clear();
                self.print_summary(record);
            }
            Event::Written(dir) => self.print_written(dir),
        }
    }

    /// Prints the answer on stdout.
    pub fn print_summary(&self, record: &RunRecord) {
        out(&report::summary(record));
    }

    /// Prints what a ramp showed on stdout.
    pub fn print_ramp(&self, record: &RampRecord) {
        out(&report::ramp_summary(record));
    }

    /// Prints what changed between runs on stdout.
    pub fn print_comparison(&self, record: &CompareRecord) {
        out(&report::compare_summary(record));
    }

    /// Prints where the files are on stdout.
    pub fn print_written(&self, dir: &Path) {
        out(&format!("files       {}\n", dir.display()));
    }

    /// Prints text on stdout as it is.
    pub fn print(&self, text: &str) {
        out(text);
    }

    /// Prints an error on stderr, whether quiet or not.
    pub fn error(&self, message: &str) {
        self.clear();
        self.err(&format!("{}: {message}", self.paint("error", "1;31")));
    }

    /// Prints a warning on stderr, whether quiet or not.
    pub fn warning(&self, message: &str) {
        self.err(&format!("{}: {message}", self.paint("warning", "1;33")));
    }

    /// Shows how far a long computation is: on a terminal a bar, elsewhere a line every tenth.
    pub fn progress(&mut self, what: &str, done: usize, total: usize) {
        match &self.bar {
            Some(bar) => {
                bar.set_style(style("{prefix}  [{bar:24}] {pos}/{len}  {elapsed}"));
                bar.set_length(u64::try_from(total).unwrap_or(u64::MAX));
                bar.set_prefix(what.to_owned());
                bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
            }
            None if done * 10 / total.max(1) > done.saturating_sub(1) * 10 / total.max(1) => {
                self.line(&format!("{what}  {done}/{total}"));
            }
            None => {}
        }
    }

    /// A note worth a line of progress.
    pub fn note(&mut self, note: &str) {
        self.on(&Event::Note(note.to_owned()));
    }

    /// Says what is being done.
    pub fn doing(&mut self, what: &str) {
        self.on(&Event::Doing(what.to_owned()));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn probe_started(&mut self, index: usize, purpose: Purpose, level: Level, hold_s: f64) {
        self.probe = Some(Current {
            index,
            purpose,
            level,
            planned_hold_s: hold_s,
            held_s: 0.0,
        });
        if let Some(bar) = &self.bar {
            let level = self.unit.count(level);
            bar.reset();
            bar.set_length(whole_seconds(hold_s));
            bar.set_prefix(format!("probe {index}  {}  {level}", purpose.name()));
            bar.set_message("");
        }
    }

    fn stage_started(&mut self, index: usize, asked: StageSpan) {
        self.stage = Some(Stage { index, asked });
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_length(whole_seconds(asked.lasts_s));
            bar.set_prefix(stage_name(index, &asked, self.unit));
            bar.set_message("");
        }
    }

    fn stage_tick(&mut self, stage: Stage, tick: &Tick) {
        if let Some(bar) = &self.bar {
            bar.set_position(whole_seconds(tick.elapsed_s - stage.asked.start_s));
            bar.set_message(ramp_tick_text(tick, self.unit));
        } else if tick.elapsed_s - self.printed_s >= RAMP_EVERY_S {
            let name = stage_name(stage.index, &stage.asked, self.unit);
            self.line(&format!("{name}  {}", ramp_tick_text(tick, self.unit)));
            self.printed_s = tick.elapsed_s;
        }
    }

    fn tick(&mut self, tick: &Tick) {
        if let Some(stage) = self.stage {
            self.stage_tick(stage, tick);
            return;
        }
        let Some(probe) = &mut self.probe else {
            return;
        };
        if tick.phase == Phase::Hold {
            probe.held_s += 1.0;
        }
        let probe = *probe;
        if let Some(bar) = &self.bar {
            bar.set_position(whole_seconds(probe.held_s.min(probe.planned_hold_s)));
            bar.set_message(tick_text(tick, self.unit));
        } else if tick.elapsed_s - self.printed_s >= PLAIN_EVERY_S {
            self.line(&tick_line(&probe, tick, self.unit));
            self.printed_s = tick.elapsed_s;
        }
    }

    /// One line of progress.
    fn line(&self, line: &str) {
        if !self.quiet {
            self.err(line);
        }
    }

    fn err(&self, line: &str) {
        let print = || {
            // A closed stderr is no reason to stop measuring.
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn paint(&self, text: &str, code: &str) -> String {
        paint(text, code, self.colour)
    }
}

fn out(text: &str) {
    // A reader that closed the pipe has seen enough.
    let _ = anstream::stdout().lock().write_all(text.as_bytes());
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    bar.set_style(style("{prefix}  [{bar:24}] {pos}/{len} s  {wide_msg}"));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn whole_seconds(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and a bar needs no more"
    )]
    let whole = seconds.round() as u64;
    whole
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

fn started_line(event: &Event) -> Option<String> {
    if let Event::RampStarted {
        profile,
        target,
        slo,
        asked,
        unit,
    } = event
    {
        let stages = report::stages_text(asked, *unit);
        return Some(format!(
            "{profile}  {target}  SLO {}  {stages}",
            slo.join(", ")
        ));
    }
    let Event::RunStarted {
        profile,
        target,
        slo,
        range: (min, max),
        unit,
        budget_s,
    } = event
    else {
        return None;
    };
    Some(format!(
        "{profile}  {target}  SLO {}  {} – {}  at most {}",
        slo.join(", "),
        units::format_count(min.0.into()),
        unit.count(*max),
        span(*budget_s),
    ))
}

/// `stage 2    100 -> 300 VUs`.
fn stage_name(index: usize, asked: &StageSpan, unit: LevelUnit) -> String {
    format!(
        "stage {:<3} {:>14} {}",
        index + 1,
        report::from_to(asked),
        unit.name()
    )
}

/// What one judged stage showed, as for a probe.
fn stage_line(stage: &StageRecord, unit: LevelUnit, colour: bool) -> String {
    let word = verdict_word(stage.end, stage.verdict, colour);
    let mut line = format!("{}  {word}", stage_name(stage.index, &stage.asked, unit));
    let observed = report::observed_text(&stage.objectives, stage.verdict);
    let errors = report::error_text(stage.steps.last());
    let rate = stage.throughput_per_s.map(|rate| format!("{rate:.1}/s"));
    for part in [observed, errors, rate].into_iter().flatten() {
        let _ = write!(line, "  {part}");
    }
    if stage.end == HoldEnd::Invalid || stage.verdict == Verdict::Undecided {
        let _ = write!(line, "  ({})", stage.reason);
    }
    line
}

fn verdict_word(end: HoldEnd, verdict: Verdict, colour: bool) -> String {
    let (word, code) = match (end, verdict) {
        (HoldEnd::Invalid, _) => ("invalid", "33"),
        (_, Verdict::Held) => ("held", "32"),
        (_, Verdict::Undecided) => ("undecided", "33"),
        (_, Verdict::Broke) => ("broke", "31"),
    };
    paint(&format!("{word:<10}"), code, colour)
}

/// What one judged probe showed: `probe 7  refine   1 160 VUs  held       p99(answer) 1.82 s  errors 0 %  97.8/s ...`.
fn judged_line(probe: &ProbeRecord, unit: LevelUnit, colour: bool) -> String {
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
        line.push_str(&part);
        line.push(' ');
    };
    if let Some(observed) = report::observed_text(&probe.objectives, probe.verdict) {
        add(observed);
    }
    if let Some(errors) = report::error_text(probe.steps.last()) {
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

fn tick_line(probe: &Current, tick: &Tick, unit: LevelUnit) -> String {
    let level = units::format_count(probe.level.0.into());
    format!(
        "probe {:<3} {:<8} {level:>6} {}  {}",
        probe.index,
        probe.purpose.name(),
        unit.name(),
        tick_text(tick, unit),
    )
}

/// A second of a ramp: the level asked for, and the VUs.
fn ramp_tick_text(tick: &Tick, unit: LevelUnit) -> String {
    let mut text = format!("at {}", unit.count(tick.level));
    if tick.vus != tick.level.get() {
        let vus = units::format_count(tick.vus.into());
        let _ = write!(text, ", {vus} run");
    }
    text.push_str(&seen_text(tick));
    text
}

fn tick_text(tick: &Tick, unit: LevelUnit) -> String {
    let doing = match tick.phase {
        Phase::Ramp if unit.is_open() => "on the way".to_owned(),
        Phase::Ramp => format!("on the way, {} VUs", units::format_count(tick.vus.into())),
        Phase::Settle => "settling".to_owned(),
        Phase::Hold => "holding".to_owned(),
    };
    let mut text = format!("{doing}{}", seen_text(tick));
    if let Some(estimate) = tick.estimate {
        let _ = write!(text, "   {}", estimate_text(estimate));
    }
    text
}

/// What a second showed.
fn seen_text(tick: &Tick) -> String {
    let mut text = format!("  {}/s", tick.completed);
    if let Some(p99) = tick.p99_s.filter(|v| v.is_finite()) {
        let _ = write!(text, "  p99 {}", units::format_seconds(p99));
    }
    for (n, what) in [(tick.failed, "failed"), (tick.shed, "shed")] {
        if n > 0 {
            let _ = write!(text, "  {n} {what}");
        }
    }
    text
}

fn estimate_text((low, middle, high): (f64, f64, f64)) -> String {
    let vus = |v: f64| units::format_count(Level::nearest(v).0.into());
    format!("now {} ({} – {})", vus(middle), vus(low), vus(high))
}

#[cfg(test)]
mod tests {
    use super::*;
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
        probe.estimate = Some((1128.2, 1171.0, 1213.6));
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
        let current = Current {
            index: 3,
            purpose: Purpose::Bracket,
            level: Level(640),
            planned_hold_s: 30.0,
            held_s: 4.0,
        };
        let tick = Tick {
            elapsed_s: 61.0,
            level: Level(640),
            vus: 512,
            phase: Phase::Ramp,
            completed: 55,
            failed: 2,
            shed: 0,
            p99_s: Some(0.412),
            estimate: None,
        };
        assert_eq!(
            tick_line(&current, &tick, LevelUnit::Vus),
            "probe 3   bracket     640 VUs  on the way, 512 VUs  55/s  p99 412 ms  2 failed"
        );
        let quiet = Tick {
            phase: Phase::Hold,
            p99_s: None,
            failed: 0,
            ..tick
        };
        assert_eq!(tick_text(&quiet, LevelUnit::Vus), "holding  55/s");
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
            completed: 55,
            failed: 2,
            shed: 0,
            p99_s: Some(0.412),
            estimate: None,
        };
        let text = |tick: &Tick| ramp_tick_text(tick, LevelUnit::Vus);
        assert_eq!(text(&tick), "at 1 240 VUs  55/s  p99 412 ms  2 failed");
        let late = Tick { vus: 1300, ..tick };
        assert!(text(&late).starts_with("at 1 240 VUs, 1 300 run  55/s"));
    }

    #[test]
    fn the_first_line_says_what_is_asked() {
        let event = Event::RunStarted {
            profile: "demo".to_owned(),
            target: "http://127.0.0.1:8080".to_owned(),
            slo: vec!["p99<2s".to_owned()],
            range: (Level(1), Level(5000)),
            unit: LevelUnit::Vus,
            budget_s: 900.0,
        };
        assert_eq!(
            started_line(&event).unwrap(),
            "demo  http://127.0.0.1:8080  SLO p99<2s  1 – 5 000 VUs  at most 15 min"
        );
        let event = Event::RampStarted {
            profile: "demo".to_owned(),
            target: "http://127.0.0.1:8080".to_owned(),
            slo: vec!["p99<2s".to_owned()],
            asked: samples::ramp_down().asked,
            unit: LevelUnit::Vus,
        };
        assert_eq!(
            started_line(&event).unwrap(),
            "demo  http://127.0.0.1:8080  SLO p99<2s  0 -> 400 -> 1 200 -> 1 600 -> 0 VUs in 60 s"
        );
    }
}
