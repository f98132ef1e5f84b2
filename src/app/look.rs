//! `try`: one cycle with everything that is said, and what points to it where a first contact
//! fails.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::unbounded_channel;

use super::observers::Observers;
use super::populations::Compiled;
use super::prepare::{self, Ready};
use super::script;
use super::session;
use super::signals::{self, Signals};
use super::typed;
use super::{CommandError, Exit, command, consent, plan_of, runtime};
use crate::cli::TryArgs;
use crate::engine::native::{LoadModel, NativeEngine, NativeSpec, PopulationSpec, WINDOW};
use crate::engine::trace::{Line, Mark, Trace};
use crate::engine::{self, Canary, EngineError, Order};
use crate::excerpt;
use crate::locate;
use crate::measure::Failure;
use crate::plan::{EnginePlan, FindFlags, Plan, TargetKind};
use crate::preflight;
use crate::profile::Profile;
use crate::run::FirstContact;
use crate::scenario::{Allowed, Scenario};
use crate::secret::MASK;
use crate::target::Target;
use crate::term::Terminal;
use crate::units;

/// Between two looks at a target that was just brought up and does not answer yet.
const AGAIN: Duration = Duration::from_secs(1);
/// How long that goes on, at most: whoever looks sits before it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same where what brought the target up seems to be gone: something else may still be coming.
const DESERTED: Duration = Duration::from_secs(3);
/// Flags that a look takes over from the command whose first contact failed; each has a value.
const SAME: [&str; 14] = [
    "--url",
    "--allow-target",
    "--local-addr",
    "--cacert",
    "--cert",
    "--key",
    "--resolve",
    "--header",
    "--request",
    "--data",
    "--json",
    "--form",
    "--user",
    "--cookie",
];
/// The same by their letters.
const SAME_SHORT: [&str; 6] = ["-H", "-X", "-d", "-u", "-b", "-F"];
/// The same of those without a value.
const SAME_BARE: [&str; 4] = ["-k", "--insecure", "--http2", "--http2-prior-knowledge"];

/// What a run's first contact needs to know.
pub(super) fn first_contact(plan: &Plan) -> FirstContact {
    let brought_up = plan.target.up.is_some() || plan.target.kind == TargetKind::Demo;
    FirstContact {
        brought_up,
        look: hint(plan, &command::as_typed()),
    }
}

/// The command that looks at what this one loads; `None` where another program makes the load.
fn hint(plan: &Plan, typed: &[String]) -> Option<String> {
    if plan.engine.facts().abilities().one_cycle.is_err() {
        return None;
    }
    let mut words = vec!["breakpoint".to_owned(), "try".to_owned()];
    if let Some(source) = &plan.source {
        let is_path = Path::new(&source.file)
            .extension()
            .is_some_and(|e| e == "toml");
        let name = if is_path { &source.file } else { &plan.name };
        words.push(excerpt::word(name));
    }
    let mut rest = typed.iter();
    while let Some(word) = rest.next() {
        let same = |flag: &&str| {
            word == flag || word.strip_prefix(*flag).is_some_and(|v| v.starts_with('='))
        };
        if SAME_BARE.contains(&word.as_str()) {
            words.push(word.clone());
        }
        let short = SAME_SHORT.iter().find(|flag| word.starts_with(**flag));
        if let Some(flag) = short {
            words.push(excerpt::word(word));
            if word == flag {
                words.extend(rest.next().map(|value| excerpt::word(value)));
            }
        } else if SAME.iter().any(same) {
            words.push(excerpt::word(word));
            if !word.contains('=') {
                words.extend(rest.next().map(|value| excerpt::word(value)));
            }
        }
    }
    let masked = words.iter().any(|w| w.contains(MASK));
    let stands_for = if masked {
        format!(" ({MASK} marks masked values)")
    } else {
        String::new()
    };
    Some(format!("`{}`{stands_for}", words.join(" ")))
}

pub(super) fn look(args: &TryArgs, terminal: &mut Terminal) -> Result<Exit, CommandError> {
    let host = preflight::read_host();
    let mut plan = plan(args, terminal)?;
    // One user fits every machine.
    plan.max_is_explicit = false;
    // What becomes of the options of a script is for a run.
    plan.engine.facts_mut().take_notes();
    let ready = prepare::prepare(plan, &host)?;
    consent::agree(&ready, args.yes, terminal)?;
    let runtime = runtime()?;
    let signals = signals::listen(runtime.handle());
    let exit = runtime.block_on(async {
        let mut observers = Observers::open(terminal, None, None, &Allowed::default()).await?;
        match session::bring_up(&ready, &signals, &mut observers).await {
            Ok(target) => {
                let exit = tokio::select! {
                    exit = at(args, &ready, &target, observers.terminal()) => exit,
                    () = signals.wait() => Ok(Exit::Interrupted),
                };
                session::take_down(target, &observers).await;
                exit
            }
            Err(error) => Err(not_up(&error, &signals)),
        }
    })?;
    runtime.shutdown_background();
    Ok(exit)
}

fn not_up(error: &crate::target::TargetError, signals: &Signals) -> CommandError {
    let why = session::not_up(error, signals);
    CommandError::new(Exit::from(why.ending), why.reason)
}

fn plan(args: &TryArgs, terminal: &Terminal) -> Result<Plan, CommandError> {
    let profile = args.profile.as_ref();
    let profile = profile.map(|name| locate::by_name(name, Path::new(".")));
    let profile = profile
        .transpose()
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    let of_profile = profile.as_ref().and_then(|p| p.engine.as_ref());
    let has_script = args.script.script.is_some()
        || of_profile.is_some_and(|engine| engine.as_ref().script.is_some());
    let mut flags = args.script.added_to(args.connect.added_to(FindFlags {
        // Of a profile's own populations it is the one to be looked at, not the one searched.
        population: args.population.clone().filter(|_| has_script),
        url: args.url.clone(),
        seed: args.seed,
        local_addr: args.local_addr.clone(),
        allow_target: args.allow_target.clone(),
        request: args.request.flags(),
        // What must hold is for a run.
        slo: vec!["max<1h".to_owned()],
        ..FindFlags::default()
    }));
    typed::read(&mut flags.request)?;
    refuse_others(profile.as_ref(), &flags)?;
    let info = script::look(profile.as_ref(), &flags, args.yes, terminal)?;
    plan_of(profile.as_ref(), &flags, info.as_ref())
}

/// Another program's users are its own: their cycle is not known here.
fn refuse_others(profile: Option<&Profile>, flags: &FindFlags) -> Result<(), CommandError> {
    let usage = |why: String| CommandError::new(Exit::Usage, why);
    let able = |engine: &EnginePlan| engine.facts().abilities().one_cycle.map_err(usage);
    let ahead = Plan::ahead(profile, flags).map_err(|e| usage(e.to_string()))?;
    if let Some(ahead) = ahead {
        able(&ahead.engine)?;
    }
    able(&plan_of(profile, flags, None)?.engine)
}

/// Looks until somebody answers, which one who was brought up just before may not do at once.
async fn at(
    args: &TryArgs,
    ready: &Ready,
    target: &Target,
    terminal: &Terminal,
) -> Result<Exit, CommandError> {
    for line in target.said_by_up() {
        say(terminal, Mark::Note, &format!("`up` says: {line}"));
    }
    if ready.scenarios.is_none() {
        return at_script(args, ready, target, terminal).await;
    }
    let all = chosen(
        ready.scenarios_at(target.url())?,
        args.population.as_deref(),
    )?;
    let is_one = all.len() == 1;
    for looked in all {
        if !is_one {
            terminal.print(&format!("population {}\n", looked.name));
        }
        let exit = at_one(args, looked, ready, target, terminal).await?;
        if exit != Exit::Answer {
            return Ok(exit);
        }
        if !is_one {
            terminal.print("\n");
        }
    }
    Ok(Exit::Answer)
}

/// Looks at an iteration of a script.
async fn at_script(
    args: &TryArgs,
    ready: &Ready,
    target: &Target,
    terminal: &Terminal,
) -> Result<Exit, CommandError> {
    let order = Order {
        plan: &ready.plan,
        climbs: false,
        work: None,
        network: &ready.network,
        stopped: Box::pin(std::future::pending()),
    };
    let (sender, mut lines) = unbounded_channel::<Line>();
    let show = async {
        while let Some(line) = lines.recv().await {
            say(terminal, line.mark, &line.text);
        }
    };
    let look = engine::one_cycle(order, args.vu, Trace::new(sender));
    let (went, ()) = tokio::join!(look, show);
    let went = went.map_err(|e| match e {
        EngineError::Unfit(why) | EngineError::NotAllowed(why) => {
            CommandError::new(Exit::Usage, why)
        }
        EngineError::Aborted(why) => CommandError::new(Exit::Gate, why),
        other => CommandError::new(Exit::Failure, other),
    })?;
    Ok(told(&went, args.vu, target, terminal))
}

/// Looks at the cycle of one population.
async fn at_one(
    args: &TryArgs,
    looked: LookedAt,
    ready: &Ready,
    target: &Target,
    terminal: &Terminal,
) -> Result<Exit, CommandError> {
    let plan = &ready.plan;
    let mut engine = NativeEngine::start(NativeSpec {
        populations: vec![PopulationSpec::users(
            Arc::new(looked.scenario),
            LoadModel::closed(plan.pace_per_s),
            // As in a run, where every population draws for itself.
            plan.seed.wrapping_add(looked.index),
        )],
        window: WINDOW,
        threads: 1,
        sources: plan.local_addresses.clone(),
        allowed: plan.target.allowed.clone(),
        network: ready.network.clone(),
        excerpts: true,
    })
    .map_err(|e| CommandError::new(Exit::Failure, e))?;
    let went = until_up(&mut engine, args.vu, plan, target, terminal).await?;
    let exit = told(&went, args.vu, target, terminal);
    engine.stop().await;
    Ok(exit)
}

/// Cycles until one is answered. Those after the first are shown from the first answer on.
async fn until_up(
    engine: &mut NativeEngine,
    vu: u32,
    plan: &Plan,
    target: &Target,
    terminal: &Terminal,
) -> Result<Canary, CommandError> {
    let limit = plan.arrival_timeout().min(PATIENCE);
    let mut until = Instant::now() + limit;
    let mut shown = TraceStart::AtOnce;
    let mut is_deserted = false;
    loop {
        let went = one(engine, vu, shown, terminal).await?;
        let coming = matches!(&went, Canary::Failed(failure) if failure.may_be_coming_up());
        if !coming || plan.target.up.is_none() || Instant::now() >= until {
            return Ok(went);
        }
        if shown == TraceStart::AtOnce {
            shown = TraceStart::FromTheAnswer;
            let limit = units::format_seconds(limit.as_secs_f64());
            let text = format!(
                "no answer; the target was just started, so this retries every second, for at most \
                 {limit}"
            );
            say(terminal, Mark::Note, &text);
        }
        if !is_deserted && target.is_deserted() {
            is_deserted = true;
            until = until.min(Instant::now() + DESERTED);
            say(
                terminal,
                Mark::Note,
                "the process that `up` left running has ended",
            );
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Which lines of a cycle are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TraceStart {
    /// All, as they come.
    AtOnce,
    /// None where nothing is answered: another cycle said the same.
    FromTheAnswer,
}

/// One cycle, shown as it happens.
async fn one(
    engine: &mut NativeEngine,
    vu: u32,
    shown: TraceStart,
    terminal: &Terminal,
) -> Result<Canary, CommandError> {
    let (sender, mut lines) = unbounded_channel::<Line>();
    let show = async {
        let mut waits = shown == TraceStart::FromTheAnswer;
        let mut held: Vec<Line> = Vec::new();
        while let Some(line) = lines.recv().await {
            waits &= !matches!(line.mark, Mark::Came | Mark::Passed);
            held.push(line);
            if !waits {
                for line in held.drain(..) {
                    say(terminal, line.mark, &line.text);
                }
            }
        }
    };
    let (went, ()) = tokio::join!(engine.look(vu, Some(Trace::new(sender))), show);
    went.map_err(|e| CommandError::new(Exit::Failure, e))
}

fn say(terminal: &Terminal, mark: Mark, text: &str) {
    let line = format!("{} {text}", mark.sign());
    terminal.print(&format!("{}\n", line.trim_end()));
}

fn told(went: &Canary, vu: u32, target: &Target, terminal: &Terminal) -> Exit {
    let (exit, text) = match went {
        Canary::Passed(took) => {
            let took = units::format_seconds(took.as_secs_f64());
            (
                Exit::Answer,
                format!("passed: the cycle of VU {vu} took {took} without think time"),
            )
        }
        Canary::Shed => (
            Exit::Target,
            "failed: the target refuses even a single user, by design".to_owned(),
        ),
        Canary::Failed(failure) => (Exit::Target, failed(failure, target)),
    };
    terminal.print(&format!("\n{text}\n"));
    exit
}

fn failed(failure: &Failure, target: &Target) -> String {
    let nobody = if failure.was_answered() {
        ""
    } else {
        "; nothing answered"
    };
    let words = (target.last_words()).filter(|_| failure.may_be_coming_up());
    let words = words.unwrap_or_default();
    format!("failed: {}{nobody}{words}", failure.sentence())
}

/// A population whose cycle is looked at.
struct LookedAt {
    name: String,
    scenario: Scenario,
    /// Its number among those of a run.
    index: u64,
}

/// The population of a name; without one the users, or each kind of a mix.
fn chosen(all: Compiled, name: Option<&str>) -> Result<Vec<LookedAt>, CommandError> {
    let is_mix = all.is_mix();
    let others = (1..).zip(all.others).map(|(index, other)| {
        let kind = other.plan.amount.share().is_some();
        let name = other.plan.name;
        let scenario = other.scenario;
        (
            kind,
            LookedAt {
                name,
                scenario,
                index,
            },
        )
    });
    let users = LookedAt {
        name: all.name,
        scenario: all.users,
        index: 0,
    };
    let each: Vec<(bool, LookedAt)> = others.chain([(is_mix, users)]).collect();
    let known: Vec<String> = each.iter().map(|(_, one)| one.name.clone()).collect();
    let of_name = |one: &LookedAt| name.is_none_or(|name| name == one.name);
    let mut found: Vec<LookedAt> = (each.into_iter())
        .filter(|(is_kind, one)| of_name(one) && (name.is_some() || *is_kind || !is_mix))
        .map(|(_, one)| one)
        .collect();
    if name.is_none() && !is_mix {
        found.drain(..found.len() - 1);
    }
    if found.is_empty() {
        let name = name.unwrap_or_default();
        return Err(CommandError::new(
            Exit::Usage,
            format!(
                "--population {name}: no such population; available: {}",
                known.join(", ")
            ),
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_at_what_the_run_was_at() {
        let flags = FindFlags {
            url: Some("http://127.0.0.1:1/a?b=1".to_owned()),
            slo: vec!["p99<1s".to_owned()],
            ..FindFlags::default()
        };
        let plan = Plan::resolve(None, &flags).unwrap();
        let typed = [
            "find",
            "--url",
            "http://127.0.0.1:1/a?b=1",
            "--slo",
            "p99<1s",
            "--allow-target=h",
        ];
        let typed: Vec<String> = typed.map(str::to_owned).to_vec();
        assert_eq!(
            hint(&plan, &typed).as_deref(),
            Some("`breakpoint try --url 'http://127.0.0.1:1/a?b=1' --allow-target=h`")
        );
        let masked = ["find", "--url", "http://127.0.0.1:1/?token=***"].map(str::to_owned);
        assert_eq!(
            hint(&plan, &masked).as_deref(),
            Some(
                "`breakpoint try --url 'http://127.0.0.1:1/?token=***'` (*** marks masked values)"
            )
        );
    }
}
