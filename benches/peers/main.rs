//! Our load engine against the load generators of others, on this machine:
//! `cargo bench --bench peers`.
//!
//! Every run is one generator against one fresh, cheap server of its own (`peers serve`), which
//! counts the requests itself. The generators take turns within each repeat, so that a machine that
//! is slower for a while is so for all of them. What comes out are samples in a CSV file; tables
//! and chart are drawn from that file alone. docs/peers.md says more.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that is run by hand"
)]

mod chart;
mod cpu;
mod measure;
mod ours;
mod samples;
mod server;
mod table;
mod tool;
mod tool_output;
mod work;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use self::samples::Sample;
use self::tool::{Places, Tool};
use self::work::Work;

#[derive(Parser)]
#[command(
    name = "peers",
    about = "Compares the load engine with other load generators"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    compare: Compare,
}

#[derive(Subcommand)]
enum Command {
    /// Joins the CSV files of earlier runs and draws table and chart anew.
    Report {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Folder of the results.
        #[arg(long, default_value = "reports/peers")]
        out: PathBuf,
    },
    /// The server that the others are pointed at; ends with its standard input.
    #[command(hide = true)]
    Serve(server::ServeArgs),
    /// The library's engine as a generator of its own.
    #[command(hide = true)]
    Ours(ours::OursArgs),
}

#[derive(Args)]
struct Compare {
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    repeats: u32,
    /// How long one measurement takes, seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Only these generators (our own is always there).
    #[arg(long, value_enum, num_args = 1..)]
    only: Vec<Tool>,
    /// Only these kinds of work.
    #[arg(long, value_enum, num_args = 1..)]
    work: Vec<Work>,
    /// Folder of the results.
    #[arg(long, default_value = "reports/peers")]
    out: PathBuf,
    /// Folder that `benches/install-peers` filled.
    #[arg(long, default_value = "benches/.peers")]
    peers: PathBuf,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` says so; `cargo test --benches` does not, and is not to start an hour of load.
    let (asked_by_bench, arguments): (Vec<_>, Vec<_>) =
        std::env::args().partition(|a| a == "--bench");
    let cli = Cli::parse_from(arguments);
    match cli.command {
        Some(Command::Serve(args)) => server::serve(&args),
        Some(Command::Ours(args)) => ours::run(&args),
        Some(Command::Report { files, out }) => {
            let runs: anyhow::Result<Vec<_>> = files.iter().map(|f| samples::read(f)).collect();
            let all = samples::joined(runs?);
            std::fs::create_dir_all(&out)?;
            samples::write(&out.join("peers.csv"), &all)?;
            report(&all, &out)
        }
        None if asked_by_bench.is_empty() => {
            println!("start the comparison with `cargo bench --bench peers`");
            Ok(())
        }
        None => compare(&cli.compare),
    }
}

fn compare(asked: &Compare) -> anyhow::Result<()> {
    let places = Places::find(&asked.peers)?;
    let tools: Vec<Tool> = Tool::all()
        .filter(|t| t.is_ours() || asked.only.is_empty() || asked.only.contains(t))
        .filter(|t| places.has(*t) || skipped(*t))
        .collect();
    let works: Vec<Work> = Work::all()
        .filter(|w| asked.work.is_empty() || asked.work.contains(w))
        .collect();
    let csv = asked.out.join("peers.csv");
    std::fs::create_dir_all(&asked.out)
        .with_context(|| format!("cannot make {}", asked.out.display()))?;
    let mut all = Vec::new();
    for repeat in 1..=asked.repeats {
        for cell in works.iter().flat_map(|w| w.cells()) {
            for tool in tools.iter().filter(|t| t.does(cell)) {
                let hold = Duration::from_secs(asked.seconds);
                match measure::run(*tool, cell, hold, &places) {
                    Ok(figures) => all.extend(figures.into_iter().map(|(metric, value)| Sample {
                        work: cell.work,
                        vus: cell.vus,
                        tool: *tool,
                        repeat,
                        metric,
                        value,
                    })),
                    Err(e) => eprintln!("{tool}, {cell}: no figure: {e:#}"),
                }
            }
            // Whoever stops the comparison keeps what there is.
            samples::write(&csv, &all)?;
        }
        eprintln!("repeat {repeat} of {} is done", asked.repeats);
    }
    report(&all, &asked.out)
}

fn skipped(tool: Tool) -> bool {
    eprintln!("{tool} is not installed: left out");
    false
}

fn report(all: &[Sample], out: &Path) -> anyhow::Result<()> {
    let table = table::markdown(all);
    println!("{table}");
    std::fs::write(out.join("peers.md"), table)?;
    std::fs::write(out.join("peers.png"), chart::png(all)?)?;
    println!("written to {}", out.display());
    Ok(())
}
