//! The commands: what each does from its arguments to its exit code. Everything is put together
//! here and nothing is decided: limits come from the plan, levels from the search, verdicts from
//! the SLO.

mod agreement;
mod another;
mod begun;
mod command;
mod compare;
mod consent;
mod find;
mod github;
mod guard;
mod lab;
mod leaving;
mod load_run;
mod look;
mod manual;
mod named;
mod observers;
mod populations;
mod prepare;
mod ramp;
mod resume;
mod scale;
mod script;
mod secrets;
mod session;
mod signals;
mod swallowed;
mod typed;
mod worker;
mod written;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use clap::Parser as _;

use crate::cli::{Cli, Command, DemoArgs, FindArgs, ReportArgs, ServiceKind};
use crate::exit::Exit;
use crate::k6::ScriptInfo;
use crate::outline::Outline;
use crate::plan::{FindFlags, Plan, PlanError};
use crate::preflight::{self, PerVu};
use crate::profile::Profile;
use crate::report::RenderedRecord;
use crate::scenario::Allowed;
use crate::slo::SloError;
use crate::target::demo::{self, DemoError, DemoSpec, ServiceTime};
use crate::term::{TermOptions, Terminal, output};
use crate::{locate, store};

/// Why a command ends without doing what it was asked, and with which code.
#[derive(Debug)]
struct CommandError {
    exit: Exit,
    message: String,
}

impl CommandError {
    fn new(exit: Exit, error: impl std::fmt::Display) -> Self {
        Self {
            exit,
            message: error.to_string(),
        }
    }
}

/// Reads the command line and runs what was asked for.
pub fn start() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(said) => {
            // Help and the version go to the standard output, and are all that was asked for.
            let exit = if said.use_stderr() {
                Exit::Usage
            } else {
                output::must_be_open();
                Exit::Answer
            };
            let printed = said.print().and_then(|()| std::io::stdout().flush());
            if !said.use_stderr() {
                output::arrived(printed);
            }
            arrived(exit, &Terminal::new(TermOptions::default())).into()
        }
    }
}

/// An answer that did not arrive where it was wanted is none.
fn arrived(exit: Exit, terminal: &Terminal) -> Exit {
    let Some(lost) = output::lost() else {
        return exit;
    };
    if let Some(why) = lost.why {
        terminal.error(&why);
    }
    match exit {
        Exit::Answer => Exit::Failure,
        other => other,
    }
}

/// Whether what a command prints is what was asked for: it does nothing else, or a format was
/// named.
fn is_to_print(command: &Command) -> bool {
    match command {
        Command::Report(args) => args.format.is_some(),
        Command::Find(args) => args.watch.format.is_some(),
        Command::Resume(args) => args.watch.format.is_some(),
        Command::Ramp(args) => args.watch.format.is_some(),
        Command::Compare(args) => args.format.is_some(),
        Command::Scale(args) => args.format.is_some(),
        Command::Plan(_) | Command::Try(_) | Command::Completions(_) | Command::LocustPlugin => {
            true
        }
        _ => false,
    }
}

/// Runs what was asked for.
pub fn run(cli: Cli) -> ExitCode {
    crate::crypto::install();
    if is_to_print(&cli.command) {
        output::must_be_open();
    }
    command::know_typed();
    let (quiet, format) = match &cli.command {
        Command::Find(args) => (args.watch.quiet, args.watch.format),
        Command::Resume(args) => (args.watch.quiet, args.watch.format),
        Command::Ramp(args) => (args.watch.quiet, args.watch.format),
        Command::Report(args) => (false, args.format),
        Command::Compare(args) => (args.quiet, args.format),
        Command::Scale(args) => (args.quiet, args.format),
        Command::Lab(args) => (args.quiet, None),
        _ => (false, None),
    };
    let mut terminal = Terminal::new(TermOptions {
        quiet,
        format: format.unwrap_or_default(),
        parts: matches!(cli.command, Command::Compare(_) | Command::Scale(_)),
        ..TermOptions::default()
    });
    let result = match cli.command {
        Command::Find(args) => find_all(&args, &mut terminal),
        Command::Resume(args) => resume::resume(&args, &mut terminal),
        Command::Ramp(args) => ramp::ramp(&args, &mut terminal),
        Command::Compare(args) => compare::compare(&args, &mut terminal),
        Command::Scale(args) => scale::scale(&args, &mut terminal),
        Command::Try(args) => look::look(&args, &mut terminal),
        Command::Plan(args) => outline(&args, &terminal),
        Command::Init(args) => written::write(&args, &terminal),
        Command::Demo(args) => return serve_demo(&args, &terminal),
        Command::Report(args) => report(&args, &terminal),
        Command::Lab(args) => lab::lab(&args, &mut terminal),
        Command::Completions(args) => Ok(manual::completions(&args, &terminal)),
        Command::Worker(args) => worker::worker(&args, &mut terminal),
        Command::LocustPlugin => Ok(manual::plugin(&terminal)),
        Command::Man(args) => manual::pages(&args, &terminal),
    };
    let exit = result.unwrap_or_else(|refusal| {
        terminal.error(&refusal.message);
        refusal.exit
    });
    arrived(exit, &terminal).into()
}

/// One thread serves the control side (scrapes, commands, the search); the load has threads of its
/// own.
fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| CommandError::new(Exit::Failure, format!("cannot start the runtime: {e}")))
}

/// Every plan that was asked for; nothing is run before all of them make sense, but for scripts,
/// which must say themselves what they do.
fn plans(args: &FindArgs, terminal: &Terminal) -> Result<Vec<Plan>, CommandError> {
    let profiles = locate::selected(&args.profiles, &args.files, Path::new("."))
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    let mut flags = args.flags();
    typed::read(&mut flags.request)?;
    let plan = |profile: &Option<Profile>| {
        let info = script::look(profile.as_ref(), &flags, args.safety.yes, terminal)?;
        plan_of(profile.as_ref(), &flags, info.as_ref())
    };
    profiles.iter().map(plan).collect()
}

fn plan_of(
    profile: Option<&Profile>,
    flags: &FindFlags,
    info: Option<&ScriptInfo>,
) -> Result<Plan, CommandError> {
    Plan::resolve_with(profile, flags, info).map_err(|e| {
        let unbound = matches!(e, PlanError::Slo(SloError::NoBound(_)));
        match swallowed::bound().filter(|_| unbound) {
            Some(file) => CommandError::new(Exit::Usage, format!("{e}. {file}")),
            None => CommandError::new(Exit::Usage, e),
        }
    })
}

fn find_all(args: &FindArgs, terminal: &mut Terminal) -> Result<Exit, CommandError> {
    let host = preflight::read_host();
    let ready = plans(args, terminal)?
        .into_iter()
        .map(|plan| prepare::prepare(plan, &host))
        .collect::<Result<Vec<_>, _>>()?;
    consent::obtain(&ready, args.safety.yes, terminal)?;
    // Whoever is typed is allowed for all of them.
    let allowed = Allowed::new(args.flags().allow_target);
    let exits = load_run::observed(
        terminal,
        &args.watch,
        &allowed,
        async |signals, observers| find::all(ready, signals, observers).await,
    )?;
    Ok(Exit::of_all(exits))
}

fn outline(args: &FindArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let host = preflight::read_host();
    for plan in plans(args, terminal)? {
        let ready = prepare::prepare(plan, &host)?;
        let plan = &ready.plan;
        let outline = if let Some(scenarios) = &ready.scenarios {
            let per_vu = PerVu::with_connections(scenarios.connections_per_vu())
                .speaking(plan.target.protocol);
            Outline::of(plan, per_vu, scenarios.mean_think_s(), scenarios.beside())
        } else {
            // What its users think is not known yet.
            let engine = plan.engine.facts();
            let beside = populations::beside_of_engine(engine);
            Outline::of(plan, PerVu::of_engine(engine), 0.0, beside)
        };
        let outline = outline.with_addresses(&ready.plan, &ready.found);
        terminal.print(&outline.render(&ready.plan, &ready.host));
        for warning in &ready.warnings {
            terminal.warning(warning);
        }
    }
    Ok(Exit::Answer)
}

fn report(args: &ReportArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    if let Some(ramp) =
        store::read_ramp(&args.dir).map_err(|e| CommandError::new(Exit::Usage, e))?
    {
        return again(args, &ramp, terminal);
    }
    let comparison = store::read_comparison(&args.dir);
    if let Some(record) = comparison.map_err(|e| CommandError::new(Exit::Usage, e))? {
        return again(args, &record, terminal);
    }
    let sizing = store::read_scale(&args.dir);
    if let Some(record) = sizing.map_err(|e| CommandError::new(Exit::Usage, e))? {
        return again(args, &record, terminal);
    }
    let record = store::read_record(&args.dir).map_err(|e| CommandError::new(Exit::Usage, e))?;
    again(args, &record, terminal)
}

/// Prints one format of a record, or writes all of its files again.
fn again(
    args: &ReportArgs,
    record: &impl RenderedRecord,
    terminal: &Terminal,
) -> Result<Exit, CommandError> {
    if args.format.is_none() {
        store::write_report(&args.dir, record).map_err(|e| CommandError::new(Exit::Failure, e))?;
    }
    terminal.print_result(record);
    if args.format.is_none() {
        terminal.print_written(&args.dir);
    }
    Ok(Exit::Answer)
}

fn serve_demo(args: &DemoArgs, terminal: &Terminal) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(refusal) => {
            terminal.error(&refusal.message);
            return refusal.exit.into();
        }
    };
    let served = runtime.block_on(demo_until_told(args, terminal));
    runtime.shutdown_background();
    let Err(error) = served else {
        return arrived(Exit::Answer, terminal).into();
    };
    terminal.error(&error.to_string());
    match error {
        DemoError::OutOfMemory { .. } => ExitCode::from(DemoError::KILLED),
        DemoError::Spec => Exit::Usage.into(),
        DemoError::Io(_) => Exit::Failure.into(),
    }
}

/// Serves until Ctrl-C, or until the parent that asked for it goes away.
async fn demo_until_told(args: &DemoArgs, terminal: &Terminal) -> Result<(), DemoError> {
    let listener = TcpListener::bind(args.listen).await?;
    terminal.print(&format!("listening on http://{}\n", listener.local_addr()?));
    let parent = args.end_with_stdin;
    let told = async move {
        tokio::select! {
            () = signals::ended() => {}
            () = stdin_closed(), if parent => {}
        }
    };
    demo::serve(listener, demo_spec(args), told).await
}

/// Waits until the other end of the standard input is gone.
async fn stdin_closed() {
    let mut byte = [0];
    while matches!(tokio::io::stdin().read(&mut byte).await, Ok(n) if n > 0) {}
}

fn demo_spec(args: &DemoArgs) -> DemoSpec {
    let default = DemoSpec::default();
    DemoSpec {
        answers_per_s: args.answers_per_s.unwrap_or(default.answers_per_s),
        workers: args.workers.unwrap_or(default.workers),
        service: args.service.map_or(default.service, |kind| match kind {
            ServiceKind::Fixed => ServiceTime::Fixed,
            ServiceKind::Exponential => ServiceTime::Exponential,
            ServiceKind::Lognormal => ServiceTime::Lognormal,
        }),
        queue_limit: args.queue_limit.or(default.queue_limit),
        memory_limit: args.memory_limit.or(default.memory_limit),
        memory_per_stream: args.memory_per_stream.unwrap_or(default.memory_per_stream),
        memory_per_question: args
            .memory_per_question
            .unwrap_or(default.memory_per_question),
        seed: args.seed.unwrap_or(default.seed),
    }
}
