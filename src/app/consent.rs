//! Before a profile's first load: its commands need consent, and what will be sent is shown. What
//! was agreed to is remembered by the profile's content, its folder and the content of the files
//! that its commands name; what was shown by the profile's content.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::agreement::{ConsentRequest, mark};
use super::leaving::{self, Leaving};
use super::named::{self, Named};
use super::prepare::Ready;
use super::{CommandError, Exit};
use crate::excerpt;
use crate::outline;
use crate::plan::{Ahead, LoadPlan, Plan, ScenarioSource, TargetKind, TargetPlan};
use crate::secret::masked;
use crate::store::seen_marks::SeenMarks;
use crate::term::Terminal;
use crate::units;

/// Files that a question names; nobody reads more of them.
const MOST_SHOWN: usize = 40;

/// Asks for consent where it is needed and shows what will be sent; nothing has run and nothing was
/// sent before.
///
/// `yes` is the consent to all commands.
pub(super) fn obtain<'a>(
    ready: impl IntoIterator<Item = &'a Ready>,
    yes: bool,
    terminal: &Terminal,
) -> Result<(), CommandError> {
    let mut seen = SeenMarks::of_user();
    let ready: Vec<&Ready> = ready.into_iter().collect();
    for ready in &ready {
        let wishes = [
            consent(&ready.plan),
            leaving::wish(&ready.plan, &ready.leaving),
        ];
        agreed_to(wishes, yes, &mut seen, terminal)?;
    }
    for ready in ready {
        show(ready, &mut seen, terminal);
    }
    Ok(())
}

/// Asks for consent where it is needed, to one who does not load.
pub(super) fn agree(ready: &Ready, yes: bool, terminal: &Terminal) -> Result<(), CommandError> {
    let wishes = [
        consent(&ready.plan),
        leaving::wish(&ready.plan, &ready.leaving),
    ];
    agreed_to(wishes, yes, &mut SeenMarks::of_user(), terminal)
}

/// Asks for consent to load hosts that the profile alone names and to what leaves, to one who runs
/// nothing of it.
pub(super) fn reach(
    plan: &Plan,
    leaving: &[Leaving],
    yes: bool,
    terminal: &Terminal,
) -> Result<(), CommandError> {
    let reaches = plan.profile_text().and_then(|text| {
        let wish = Wish {
            commands: Vec::new(),
            files: Vec::new(),
            ..Wish::new(&plan.name, &plan.target, text)
        };
        wish.asked()
    });
    let wishes = [reaches, leaving::wish(plan, leaving)];
    agreed_to(wishes, yes, &mut SeenMarks::of_user(), terminal)
}

/// Asks for consent to all that a profile runs before its script, which is a part of that, is
/// looked at.
pub(super) fn before_script(
    ahead: &Ahead,
    text: &[u8],
    yes: bool,
    terminal: &Terminal,
) -> Result<(), CommandError> {
    let Some(source) = &ahead.source else {
        // Whoever typed the script's name means it.
        return Ok(());
    };
    let mut wish = Wish::new(&ahead.name, &ahead.target, &source.text);
    let script = ahead.engine.facts().script();
    if let Some(script) = script.filter(|script| script.of_profile) {
        wish.commands.insert(0, ("script", script.command));
        wish.parts.push(text.to_vec());
        wish.files
            .extend(script.runs.into_iter().filter_map(named::of));
    }
    agreed_to([wish.asked()], yes, &mut SeenMarks::of_user(), terminal)
}

fn consent(plan: &Plan) -> Option<ConsentRequest> {
    let text = plan.profile_text()?;
    if plan.engine.facts().script().is_some() {
        // A plan with a script would not be there without consent.
        return None;
    }
    Wish::new(&plan.name, &plan.target, text).asked()
}

/// Asks for consent to all of it at once, where it was not agreed to before: whoever says yes has
/// seen everything. `yes` is the consent.
fn agreed_to(
    wishes: impl IntoIterator<Item = Option<ConsentRequest>>,
    yes: bool,
    seen: &mut SeenMarks,
    terminal: &Terminal,
) -> Result<(), CommandError> {
    let wishes = wishes.into_iter().flatten();
    let wishes: Vec<ConsentRequest> = wishes.filter(|wish| !seen.has(&wish.mark)).collect();
    if wishes.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = wishes.iter().map(|wish| wish.shown.as_str()).collect();
    let shown = shown.join("\n");
    if yes {
        terminal.announce(&shown);
    } else {
        agreed(&shown, terminal)?;
    }
    for wish in &wishes {
        remember(seen, &wish.mark, terminal);
    }
    Ok(())
}

/// What a profile wants to run. One that comes with the program wants so too: the files that its
/// commands name come from the folder.
struct Wish<'a> {
    name: &'a str,
    /// Where its commands run, without links.
    dir: PathBuf,
    /// Each with its name.
    commands: Vec<(&'static str, String)>,
    /// The files that they name.
    files: Vec<Named>,
    /// Hosts that are not this machine, which nobody here has named.
    hosts: &'a [String],
    /// The texts that are agreed to.
    parts: Vec<Vec<u8>>,
}

impl<'a> Wish<'a> {
    fn new(name: &'a str, target: &'a TargetPlan, text: &str) -> Self {
        let shell = [&target.up, &target.reset, &target.down];
        let shell = shell.into_iter().flatten().map(String::as_str);
        let dir = std::fs::canonicalize(&target.dir).unwrap_or_else(|_| target.dir.clone());
        let hosts = target.unasked.iter().map(|host| host.as_bytes().to_vec());
        Self {
            name,
            commands: commands(target),
            files: named::files(shell, &dir),
            parts: [text.as_bytes().to_vec()]
                .into_iter()
                .chain(hosts)
                .collect(),
            hosts: &target.unasked,
            dir,
        }
    }

    /// Of all that is agreed to: texts, folder, and what the files hold.
    fn mark(&self) -> String {
        let files = self.files.iter();
        let files = files.flat_map(|f| [f.path.as_os_str().as_bytes(), &f.content]);
        let texts = self.parts.iter().map(Vec::as_slice);
        // How many there are of each, so that no text passes for a file.
        let count = self.parts.len().to_le_bytes();
        let parts: Vec<&[u8]> = [&count, self.dir.as_os_str().as_bytes()]
            .into_iter()
            .chain(texts)
            .chain(files)
            .collect();
        mark("consent", &parts)
    }

    /// Nothing, where nothing of it needs consent.
    fn asked(&self) -> Option<ConsentRequest> {
        let any = !self.commands.is_empty() || !self.hosts.is_empty();
        any.then(|| ConsentRequest {
            shown: self.shown(),
            mark: self.mark(),
        })
    }

    fn shown(&self) -> String {
        let dir = visible(&self.dir.display().to_string());
        let does = match (self.commands.is_empty(), self.hosts.is_empty()) {
            (true, _) => "sends requests to hosts that are not this machine:".to_owned(),
            (false, true) => format!("runs this in {dir}, with your permissions:"),
            (false, false) => {
                format!(
                    "runs this in {dir}, with your permissions, and sends requests to hosts that \
                     are not this machine:"
                )
            }
        };
        let mut shown = format!("the profile `{}` {does}", self.name);
        for (name, command) in &self.commands {
            // Writing to a string cannot fail.
            write!(shown, "\n    {name:<8} {}", visible(command)).ok();
        }
        if !self.files.is_empty() {
            let shown_files = self.files.iter().take(MOST_SHOWN);
            let mut files: Vec<String> = shown_files
                .map(|f| visible(&f.path.display().to_string()))
                .collect();
            if let Some(more @ 1..) = self.files.len().checked_sub(MOST_SHOWN) {
                files.push(format!("and {more} more"));
            }
            write!(shown, "\n    {:<8} {}", "files", files.join(", ")).ok();
        }
        for host in self.hosts {
            write!(shown, "\n    {:<8} {}", "host", visible(host)).ok();
        }
        shown
    }
}

fn agreed(shown: &str, terminal: &Terminal) -> Result<(), CommandError> {
    match terminal.ask(&format!(
        "{shown}\nAllow this, now and as long as the profile, its folder, and these files do not \
         change? [y/N] "
    )) {
        Some(true) => Ok(()),
        Some(false) => Err(CommandError::new(
            Exit::Usage,
            "nothing was run and nothing was sent",
        )),
        None => Err(CommandError::new(
            Exit::Usage,
            format!(
                "{shown}\nThis was not approved yet in its current form (profile, folder, and \
                 files), and there is no terminal to ask: review it, then add `--yes` (to allow \
                 only a host: `--allow-target`)"
            ),
        )),
    }
}

/// What a profile does beside sending requests, each with its name.
fn commands(target: &TargetPlan) -> Vec<(&'static str, String)> {
    let named = [
        ("up", &target.up),
        ("reset", &target.reset),
        ("down", &target.down),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, command)| Some((name, command.clone()?)));
    let restarts = target.restarts.iter();
    let restarts = restarts.map(|r| ("restart", format!("the container {}", r.container)));
    let flushes = target.flushes.iter();
    let flushes = flushes.map(|f| ("flush", format!("the Redis server of `{}`", f.monitor)));
    named.chain(restarts).chain(flushes).collect()
}

/// A text of a profile on one line, in which nothing can hide from whoever reads it.
fn visible(text: &str) -> String {
    excerpt::visible(text)
        .replace('\n', "\\n")
        .replace('\t', "\\t")
}

fn show(ready: &Ready, seen: &mut SeenMarks, terminal: &Terminal) {
    let plan = &ready.plan;
    // The demo is a process of this program's own.
    if plan.target.kind == TargetKind::Demo {
        return;
    }
    let target = plan.engine.facts().target();
    let Some(target) = target.or(plan.target.kind.url()) else {
        return;
    };
    let text = plan.profile_text().unwrap_or("");
    let mark = mark("contact", &[text.as_bytes(), target.as_bytes()]);
    if terminal.is_quiet() || seen.has(&mark) {
        return;
    }
    terminal.announce(&first_contact(ready, &masked(target)));
    remember(seen, &mark, terminal);
}

/// What will be sent, how fast, up to where and for how long.
fn first_contact(ready: &Ready, target: &str) -> String {
    let plan = &ready.plan;
    let engine = plan.engine.facts();
    let words = engine.words();
    let mut out = match words.by {
        Some(program) => format!("first load by {program} with {target}:"),
        None => format!("first load on {target} by this profile:"),
    };
    let mut line = |name: &str, text: &str| {
        // Writing to a string cannot fail.
        write!(out, "\n    {name:<10} {text}").ok();
    };
    match words.requests {
        Some(what) if engine.abilities().is_confined => {
            let mut hosts = vec!["this machine".to_owned()];
            hosts.extend(plan.target.allowed.hosts().iter().map(|h| visible(h)));
            let hosts = hosts.join(" and ");
            line("requests", &format!("{what}, only to {hosts}"));
        }
        Some(what) => line("requests", what),
        None => requests(plan, target, &mut line),
    }
    for sent in ready.leaving.iter().map(Leaving::line) {
        line("sends", &sent);
    }
    for asked in leaving::strangers(plan) {
        line("asks", &asked);
    }
    let search = &plan.search;
    line(
        "levels",
        &format!(
            "{} up to {}{}",
            units::format_count(search.min.get().into()),
            search.unit.count(search.max),
            match plan.load {
                LoadPlan::Closed if !ready.climbs =>
                    format!("; {} VUs start or stop per second", plan.pace_per_s),
                LoadPlan::Closed => ", as set by the stages".to_owned(),
                LoadPlan::Open(_) => String::new(),
            }
        ),
    );
    let load = if ready.climbs { "stages" } else { "search" };
    line("time", &outline::time_of_run(plan, load));
    out
}

fn requests(plan: &Plan, target: &str, line: &mut impl FnMut(&str, &str)) {
    let spec = match &plan.scenario {
        ScenarioSource::Spec(spec) => spec,
        ScenarioSource::SingleGet(url) => return line("request", &sent("GET", url, target)),
        ScenarioSource::OfTheEngine => return,
    };
    let others = plan.populations.others.iter();
    let others = others.map(|o| (format!("{}.", o.name), &*o.scenario));
    let users = match plan.populations.users.share() {
        Some(_) => format!("{}.", plan.populations.name),
        None => String::new(),
    };
    for (population, spec) in others.chain([(users, &**spec)]) {
        for step in spec.all_steps() {
            let step = step.as_ref();
            if let Some((method, address)) = step.request() {
                let name = step.name.as_deref().unwrap_or("-");
                line(
                    &format!("{population}{name}"),
                    &sent(method, address, target),
                );
            }
        }
    }
}

fn sent(method: &str, address: &str, target: &str) -> String {
    let whole = if address.contains("://") || address.trim_start().starts_with("{{") {
        masked(address)
    } else {
        masked(&format!("{}{address}", target.trim_end_matches('/')))
    };
    format!("{method:<6} {}", visible(&whole))
}

pub(super) fn remember(seen: &mut SeenMarks, mark: &str, terminal: &Terminal) {
    if let Err(error) = seen.add(mark) {
        terminal.warning(&format!("{error}; the next run will ask again"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_command_hides_on_a_terminal() {
        assert_eq!(
            visible("./start.sh 'ü' && echo ok"),
            "./start.sh 'ü' && echo ok"
        );
        assert_eq!(
            visible("rm -rf ~\r\u{1b}[2K./start.sh\n\u{202e}x"),
            "rm -rf ~\\u{d}\\u{1b}[2K./start.sh\\n\\u{202e}x"
        );
    }

    #[test]
    fn addresses_are_shown_whole_and_without_secrets() {
        let base = "http://127.0.0.1:8080/";
        assert_eq!(
            sent("GET", "/a?user={{ vu }}&token=s3cret", base),
            "GET    http://127.0.0.1:8080/a?user={{ vu }}&token=***"
        );
        assert_eq!(
            sent("POST", "http://me:s3cret@127.0.0.1:1/b", base),
            "POST   http://***@127.0.0.1:1/b"
        );
    }
}
