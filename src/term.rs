//! The only printer: progress on stderr, results on stdout.
//!
//! On a terminal a panel (`panel.rs`) follows the search below the lines of its probes; elsewhere (and where `CI` is set) there are plain lines. A verdict is always a
//! word, its colour an addition that `NO_COLOR` takes away.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::confidential;
use crate::event::{Event, Phase, Subject, Tick};
use crate::excerpt::{self, is_hidden, printed, without_commands};
use crate::live::{Live, LiveProbe, LiveStage};
use crate::measure::{Level, LevelUnit};
use crate::record::{Band, Ending, HoldEnd, ProbeRecord, RunRecord, StageRecord, StageSpan};
use crate::report::{self, Shown, Told, span};
use crate::slo::Verdict;
use crate::units;

pub mod output;
mod panel;

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
    /// What stands on stdout at the end.
    pub shown: Shown,
    /// Runs are parts of an answer that comes after them: it alone stands on stdout in a format other than the summary.
    pub parts: bool,
}

/// Prints what happens.
#[derive(Debug)]
pub struct Terminal {
    quiet: bool,
    colour: bool,
    shown: Shown,
    parts: bool,
    /// The panel of a terminal; `None` means plain lines.
    bar: Option<ProgressBar>,
    /// What the panel shows.
    live: Live,
    printed_s: f64,
    /// How to go on with the run that ended last.
    resumed_with: Option<&'static str>,
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
            shown: options.shown,
            parts: options.parts,
            bar: bars.then(new_bar),
            live: Live::default(),
            printed_s: 0.0,
            resumed_with: None,
        }
    }

    /// Shows an event. [`Event::RunFinished`] and [`Event::RampFinished`] print the summary on stdout, [`Event::Written`] the
    /// folder.
    pub fn on(&mut self, event: &Event) {
        self.live.on(event);
        match event {
            Event::RunStarted { subject, .. } | Event::RampStarted { subject, .. } => {
                self.printed_s = 0.0;
                self.line(&started_line(subject, event));
            }
            Event::StageJudged(stage) => {
                self.own_line(&stage_line(stage, self.live.unit, self.colour));
            }
            Event::RampFinished(record) => {
                self.clear();
                self.print_result(record.as_ref());
            }
            Event::Doing(what) if self.bar.is_none() => self.line(what),
            Event::Note(note) => self.line(&format!("note: {note}")),
            Event::Tick(tick) if self.bar.is_none() => self.tick(tick),
            Event::ProbeJudged(probe) => {
                self.own_line(&judged_line(probe, self.live.unit, self.colour));
            }
            Event::RunFinished(record) => {
                self.clear();
                self.resumed_with = resumed_with(record).filter(|_| !self.parts);
                if !self.parts || self.shown == Shown::Summary {
                    self.print_result(record.as_ref());
                }
            }
            Event::Written(dir) => {
                self.print_written(dir);
                if let Some(flags) = self.resumed_with.take() {
                    self.beside_the_answer(&format!(
                        "continue        breakpoint resume {}{flags}",
                        excerpt::word(&dir.display().to_string())
                    ));
                }
            }
            // The panel shows them.
            Event::Doing(_)
            | Event::Tick(_)
            | Event::ProbeStarted { .. }
            | Event::StageStarted { .. } => {}
        }
        self.draw();
    }

    /// The run as it is shown now.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Draws the panel again.
    fn draw(&self) {
        let Some(bar) = self.bar.as_ref().filter(|_| self.live.is_running()) else {
            return;
        };
        if bar.is_finished() {
            bar.reset();
        }
        let (rows, columns) = Term::stderr().size();
        // A line for the prompt, and some for the probes above.
        let height = usize::from(rows).saturating_sub(3);
        let lines = panel::lines(&self.live, usize::from(columns), height, self.colour);
        bar.set_message(confidential::text(&lines.join("\n")).into_owned());
        bar.tick();
    }

    /// Prints the answer, or what a ramp showed, on stdout in the format that was asked for.
    pub fn print_result(&self, record: &impl Told) {
        match record.shown(self.shown) {
            Ok(bytes) if self.shown == Shown::Summary => {
                out(&printed(&String::from_utf8_lossy(&bytes)));
            }
            Ok(bytes) => write_out(self.shown, &bytes),
            Err(error) => {
                self.error(&error.to_string());
                output::lose();
            }
        }
    }

    /// Prints where the files are: with the summary on stdout, else where it spoils no other format.
    pub fn print_written(&self, dir: &Path) {
        self.beside_the_answer(&format!("files           {}", dir.display()));
    }

    /// A line that goes with the summary, and must not spoil any other format on stdout.
    fn beside_the_answer(&self, line: &str) {
        if self.shown == Shown::Summary {
            out(&printed(&format!("{line}\n")));
        } else {
            self.line(line);
        }
    }

    /// Prints commands for the runner of GitHub Actions. It reads both streams, and stdout is the answer's.
    pub fn print_annotations(&self, annotations: &str) {
        self.err(annotations.trim_end());
    }

    /// Prints text on stdout.
    pub fn print(&self, text: &str) {
        out(&printed(text));
    }

    /// Prints a text of this program's own on stdout as it is: for another program.
    pub fn print_own(&self, text: &str) {
        out(text);
    }

    /// Prints an error on stderr, whether quiet or not.
    pub fn error(&self, message: &str) {
        self.clear();
        let message = printed(message);
        self.err(&format!("{}: {message}", self.paint("error", "1;31")));
    }

    /// Prints a warning on stderr, whether quiet or not.
    pub fn warning(&self, message: &str) {
        let message = printed(message);
        self.err(&format!("{}: {message}", self.paint("warning", "1;33")));
    }

    /// Prints what nobody could know otherwise on stderr, whether quiet or not.
    pub fn announce(&self, note: &str) {
        self.err(&printed(&format!("note: {note}")));
    }

    /// Whether only results and what must be told are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Asks on stderr what only a person may answer, with yes or no; `None` where nobody is there.
    pub fn ask(&self, question: &str) -> Option<bool> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let mut stderr = std::io::stderr().lock();
        // A closed stderr shows no question, and no answer is none that agrees.
        let _ = write!(stderr, "{}", confidential::text(&printed(question)))
            .and_then(|()| stderr.flush());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        let answer = answer.trim().to_ascii_lowercase();
        Some(matches!(answer.as_str(), "y" | "yes"))
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

    /// A plain line now and then.
    fn tick(&mut self, tick: &Tick) {
        let live = &self.live;
        let (every_s, line) = match (live.stage, live.probe) {
            (Some(stage), _) => (RAMP_EVERY_S, ramp_tick_line(&stage, tick, live)),
            (None, Some(probe)) => (PLAIN_EVERY_S, tick_line(&probe, tick, live)),
            (None, None) => return,
        };
        if tick.elapsed_s - self.printed_s >= every_s {
            self.line(&line);
            self.printed_s = tick.elapsed_s;
        }
    }

    /// One line of progress.
    fn line(&self, line: &str) {
        self.own_line(&printed(line));
    }

    /// The same of a line whose colours are ours, and whose texts of others are harmless already.
    fn own_line(&self, line: &str) {
        if !self.quiet {
            self.err(line);
        }
    }

    fn err(&self, line: &str) {
        let print = || {
            let line = confidential::text(line);
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
    let text = confidential::text(text);
    output::print(&text);
}

/// A format for programs, which may land on a terminal or in a log all the same.
fn write_out(shown: Shown, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let bytes = match shown {
        // Annotations are commands, and what is ours of them was told from the rest where they were made.
        Shown::Github => Cow::Borrowed(bytes),
        Shown::Json => Cow::Owned(printed_json(&text).into_bytes()),
        Shown::Csv | Shown::Excel => Cow::Owned(printed_table(&text).into_bytes()),
        _ => Cow::Owned(printed(&text).into_bytes()),
    };
    output::write(&bytes);
}

/// A table, whose mark at the beginning and ends of lines are for those who read it.
fn printed_table(text: &str) -> String {
    let (mark, lines) = match text.strip_prefix('\u{feff}') {
        Some(lines) => ("\u{feff}", lines),
        None => ("", text),
    };
    let mut out = mark.to_owned();
    for line in lines.split_inclusive('\n') {
        let (line, end) = match (line.strip_suffix("\r\n"), line.strip_suffix('\n')) {
            (Some(line), _) => (line, "\r\n"),
            (None, Some(line)) => (line, "\n"),
            (None, None) => (line, ""),
        };
        out.push_str(&printed(line));
        out.push_str(end);
    }
    out
}

/// JSON that says the same: such characters stand in strings alone, where they can be written by their numbers.
fn printed_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    without_commands(&out, "\\u003a", "\\u0023")
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    bar.set_style(style("{msg}"));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

fn started_line(subject: &Subject, event: &Event) -> String {
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

fn tick_line(probe: &LiveProbe, tick: &Tick, live: &Live) -> String {
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
fn ramp_tick_line(stage: &LiveStage, tick: &Tick, live: &Live) -> String {
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
fn seen_text(tick: &Tick, latency: &str) -> String {
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

fn estimate_text(now: Band) -> String {
    let vus = |v: f64| units::format_count(Level::nearest(v).0.into());
    format!(
        "now {} ({} – {})",
        vus(now.estimate),
        vus(now.low),
        vus(now.high)
    )
}

/// What `breakpoint resume` needs beside the folder to go on with a run; `None` where there is nothing to go on with.
fn resumed_with(record: &RunRecord) -> Option<&'static str> {
    let flags = match record.answer.ending {
        Ending::Interrupted
        | Ending::Aborted
        | Ending::TargetDown
        | Ending::GeneratorLimited
        | Ending::DataUsedUp => "",
        Ending::Undecided | Ending::Bracketed => " --budget TIME",
        _ => return None,
    };
    (!record.probes.is_empty()).then_some(flags)
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
