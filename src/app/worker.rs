//! `worker`: the native engine as a worker of a Locust master.

use std::path::Path;
use std::sync::Arc;

use super::prepare;
use super::{CommandError, Exit, plan_of, runtime};
use super::{consent, leaving, secrets, signals};
use crate::cli::WorkerArgs;
use crate::engine::EngineError;
use crate::engine::locust::worker::{WorkerEnd, WorkerSpec, work};
use crate::engine::native::{LoadModel, NativeEngine, NativeSpec, PopulationSpec, WINDOW, cores};
use crate::locate;
use crate::plan::{FindFlags, Plan, TargetKind};
use crate::preflight;
use crate::scenario::{Scenario, check_port};
use crate::term::Terminal;

/// VUs started or stopped per second: the master has a pace of its own.
const AT_ONCE_PER_S: f64 = 1e6;
/// Where a Locust master listens for workers.
const DEFAULT_PORT: u16 = 5557;

pub(super) fn worker(args: &WorkerArgs, terminal: &mut Terminal) -> Result<Exit, CommandError> {
    // Raises what may be raised.
    preflight::read_host();
    let plan = plan(args)?;
    let leaving = leaving::of(&plan)?;
    secrets::know_written(&plan);
    let scenario = Arc::new(scenario(&plan)?);
    let resolve = &plan.target.connect.resolve;
    preflight::check_targets(scenario.origins(), &plan.target.allowed, resolve)
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    consent::reach(&plan, &leaving, args.yes, terminal)?;
    let network = prepare::network(&plan, [&*scenario])?;
    let names = scenario.table().clone();
    let spec = WorkerSpec {
        master: master(&args.master)?,
        id: format!("{}_{:032x}", host_name(), rand::random::<u128>()),
    };
    let runtime = runtime()?;
    let signals = signals::listen(runtime.handle());
    let engine = |index: u64| {
        NativeEngine::start(NativeSpec {
            populations: vec![PopulationSpec::users(
                scenario,
                LoadModel::closed(AT_ONCE_PER_S),
                // Workers that draw alike would march in step.
                plan.seed.wrapping_add(index),
            )],
            window: WINDOW,
            threads: plan.threads.unwrap_or_else(cores),
            sources: plan.local_addresses.clone(),
            allowed: plan.target.allowed.clone(),
            network,
            // Nobody asks this worker for them.
            excerpts: false,
        })
    };
    let mut say = |text: String| terminal.note(&text);
    let end = runtime.block_on(work(&spec, &names, engine, signals.wait(), &mut say));
    // Nothing may hold up the end: what still runs there is of no use any more.
    runtime.shutdown_background();
    match end {
        Ok(WorkerEnd::Dismissed) => Ok(Exit::Answer),
        Ok(WorkerEnd::Told) => Ok(Exit::Interrupted),
        Err(error @ EngineError::Start(_)) => Err(CommandError::new(Exit::HostLimit, error)),
        Err(error) => Err(CommandError::new(Exit::Failure, error)),
    }
}

fn plan(args: &WorkerArgs) -> Result<Plan, CommandError> {
    let profile = locate::by_name(&args.profile, Path::new("."))
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    let flags = FindFlags {
        url: args.url.clone(),
        seed: args.seed,
        threads: args.threads,
        local_addr: args.local_addr.clone(),
        allow_target: args.allow_target.clone(),
        engine: Some("native".to_owned()),
        // What must hold is for who drives the master.
        slo: vec!["max<1h".to_owned()],
        ..FindFlags::default()
    };
    plan_of(Some(&profile), &flags, None)
}

fn scenario(plan: &Plan) -> Result<Scenario, CommandError> {
    let refuse = |message: &str| Err(CommandError::new(Exit::Usage, message));
    let TargetKind::External { url } = &plan.target.kind else {
        return refuse(
            "a worker needs the address of a running service: set --url, or `url` in the profile's \
             [target]",
        );
    };
    let populations = &plan.populations;
    let alone = populations.others.is_empty() && populations.shares().is_empty();
    if !alone || plan.search.unit.is_open() {
        return refuse(
            "a worker runs only the users of [scenario]: remove [[population]] and `rate`",
        );
    }
    prepare::scenario_at(plan, url)
}

/// `host:port` of what was typed.
fn master(typed: &str) -> Result<String, CommandError> {
    let bare = typed.strip_prefix("tcp://").unwrap_or(typed);
    let master = match bare.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !port.is_empty() && check_port(bare).is_ok() => {
            bare.to_owned()
        }
        None if !bare.is_empty() && !bare.contains('/') => format!("{bare}:{DEFAULT_PORT}"),
        _ => {
            let message = format!(
                "--master {typed}: write HOST:PORT of the port that workers join, such as \
                 127.0.0.1:{DEFAULT_PORT}"
            );
            return Err(CommandError::new(Exit::Usage, message));
        }
    };
    Ok(master)
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "breakpoint".to_owned(), |n| n.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_a_host_and_a_port() {
        for (typed, wanted) in [
            ("127.0.0.1:5557", "127.0.0.1:5557"),
            ("tcp://master:6000", "master:6000"),
            ("locust-master", "locust-master:5557"),
        ] {
            assert_eq!(master(typed).unwrap(), wanted);
        }
        for typed in [
            "",
            ":5557",
            "master:port",
            "http://master/",
            "master:0",
            "master:+5557",
            "master:99999",
        ] {
            let refused = master(typed).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage);
            assert!(refused.message.contains("HOST:PORT"), "{typed}");
        }
    }
}
