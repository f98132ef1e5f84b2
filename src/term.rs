//! The only printer: progress on stderr, results on stdout.
//!
//! On a terminal a panel (`panel.rs`) follows the search below the lines of its probes; elsewhere
//! (and where `CI` is set) there are plain lines. A verdict is always a word, its colour an
//! addition that `NO_COLOR` takes away.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::confidential;
use crate::event::{Event, Tick};
use crate::excerpt::{self, is_hidden, printed, without_commands};
use crate::live::Live;
use crate::record::{Ending, RunRecord};
use crate::report::{OutputFormat, RenderedRecord};

mod lines;
pub mod output;
mod panel;

use lines::{judged_line, ramp_tick_line, stage_line, started_line, tick_line};

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
    pub format: OutputFormat,
    /// Runs are parts of an answer that comes after them: it alone stands on stdout in a format
    /// other than the summary.
    pub parts: bool,
}

/// Prints what happens.
#[derive(Debug)]
pub struct Terminal {
    quiet: bool,
    colour: bool,
    format: OutputFormat,
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
            format: options.format,
            parts: options.parts,
            bar: bars.then(new_bar),
            live: Live::default(),
            printed_s: 0.0,
            resumed_with: None,
        }
    }

    /// Shows an event. [`Event::RunFinished`] and [`Event::RampFinished`] print the summary on
    /// stdout, [`Event::Written`] the folder.
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
                if !self.parts || self.format == OutputFormat::Summary {
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
    pub fn print_result(&self, record: &impl RenderedRecord) {
        match record.output(self.format) {
            Ok(bytes) if self.format == OutputFormat::Summary => {
                out(&printed(&String::from_utf8_lossy(&bytes)));
            }
            Ok(bytes) => write_out(self.format, &bytes),
            Err(error) => {
                self.error(&error.to_string());
                output::lose();
            }
        }
    }

    /// Prints where the files are: with the summary on stdout, else where it spoils no other
    /// format.
    pub fn print_written(&self, dir: &Path) {
        self.beside_the_answer(&format!("files           {}", dir.display()));
    }

    /// A line that goes with the summary, and must not spoil any other format on stdout.
    fn beside_the_answer(&self, line: &str) {
        if self.format == OutputFormat::Summary {
            out(&printed(&format!("{line}\n")));
        } else {
            self.line(line);
        }
    }

    /// Prints commands for the runner of GitHub Actions. It reads both streams, and stdout is the
    /// answer's.
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
fn write_out(format: OutputFormat, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let bytes = match format {
        // Annotations are commands, and what is ours of them was told from the rest where they were
        // made.
        OutputFormat::Github => Cow::Borrowed(bytes),
        OutputFormat::Json => Cow::Owned(printed_json(&text).into_bytes()),
        OutputFormat::Csv | OutputFormat::Excel => Cow::Owned(printed_table(&text).into_bytes()),
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

/// JSON that says the same: such characters stand in strings alone, where they can be written by
/// their numbers.
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

/// What `breakpoint resume` needs beside the folder to go on with a run; `None` where there is
/// nothing to go on with.
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
