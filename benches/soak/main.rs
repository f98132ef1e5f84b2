//! A long hold: `cargo bench --bench soak -- --minutes 60`. Nothing may grow, and every request
//! must be accounted for.
//!
//! One process (this one) has the load engine with `--vus` VUs, each of which holds an event
//! stream, asks a question now and then and waits for its answer on the stream. Another
//! (`soak serve`) answers them, not always well, and keeps the log: how many requests came and what
//! became of each. Now and then the server is told to stand still, until nothing moves any more;
//! then what the engine says it sent, completed, failed, shed and has in flight must be what the
//! log says, to the last one.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that is run by hand"
)]

mod flat;
mod ledger;
mod server;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use breakpoint::engine::native::{LoadModel, NativeEngine, NativeSpec, PopulationSpec};
use breakpoint::engine::{Engine as _, Network};
use breakpoint::measure::{Level, Window};
use breakpoint::scenario::{Allowed, Files, Scenario, spec::ScenarioSpec};
use clap::{Parser, Subcommand};

use self::flat::{Sample, Series};
use self::ledger::{Ledger, Log};
use self::server::Order;

/// What every VU does. Who waits for an answer that never comes gives up within a stand-still.
const SCENARIO: &str = r#"
main = "answer"
vars = { id = "{{ uuid() }}" }
[[steps]]
name = "open"
open = "/sse?user=u{{ vu }}"
timeout = "60s"
[[steps]]
think = { uniform = ["8s", "16s"] }
[[steps]]
name = "ask"
post = "/questions"
json = { id = "{{ id }}", user = "u{{ vu }}" }
timeout = "60s"
[[steps]]
name = "answer"
wait = { on = "open", event = "answer", match = { "/id" = "{{ id }}" }, since = "ask" }
timeout = "60s"
[[steps]]
close = "open"
"#;

/// How many VUs come per second.
const PACE_PER_S: f64 = 100.0;
/// How long the server may stand still until nothing moves: less than the time limits of the steps.
const STILL: Duration = Duration::from_secs(55);
/// Windows in which nothing ended, one after the other, before the books are compared.
const STILL_WINDOWS: u32 = 2;
/// How long the last VUs may take to end what they have begun.
const LEAVE: Duration = Duration::from_secs(120);

#[derive(Parser)]
#[command(
    name = "soak",
    about = "Holds a level for long and accounts for every request"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Sub>,
    /// How long the level is held, minutes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    minutes: u64,
    /// How many VUs hold a stream.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    vus: u32,
    /// How often the server stands still and the books are compared.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=60))]
    audits: u32,
    /// Where the course of memory, descriptors and lag goes (CSV).
    #[arg(long, default_value = "reports/soak.csv")]
    out: PathBuf,
    /// `cargo bench` says it to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Sub {
    /// The server; ends with its standard input.
    #[command(hide = true)]
    Serve,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let threads = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match cli.command {
        Some(Sub::Serve) => threads.block_on(server::serve()),
        None => threads.block_on(soak(&cli)),
    }
}

async fn soak(cli: &Cli) -> anyhow::Result<()> {
    let mut server = Server::start()?;
    let mut held = Held::start(cli, &server.address)?;
    held.engine.set_level(Level(cli.vus)).await?;
    while !held.window().await?.at_level {}
    let length = Duration::from_secs(60 * cli.minutes);
    let (began, part) = (Instant::now(), length / cli.audits);
    let mut books_agree = true;
    for audit in 1..=cli.audits {
        while began.elapsed() + STILL < part * audit {
            held.window().await?;
        }
        books_agree &= audit_still(&mut held, &mut server, began).await?;
    }
    books_agree &= audit_end(&mut held, &mut server, began).await?;
    held.engine.stop().await;
    let flat = held.series.report(&mut std::io::stdout())?;
    println!("{}", held.ledger.total());
    ensure!(
        books_agree,
        "the engine's books and the server's log differ"
    );
    ensure!(flat, "something grew");
    println!("every request is accounted for, and nothing grew");
    Ok(())
}

/// Stops the server where it is, waits until nothing moves, compares, and lets it go on.
async fn audit_still(held: &mut Held, server: &mut Server, began: Instant) -> anyhow::Result<bool> {
    server.say(Order::StandStill)?;
    held.level_out = true;
    let limit = Instant::now() + STILL;
    let mut still = 0;
    // Who thinks asks within 16 s; then everybody is in the middle of a request.
    let mut in_flight = 0;
    while still < STILL_WINDOWS || in_flight < held.vus {
        ensure!(Instant::now() < limit, "it did not come to a stand-still");
        let window = held.window().await?;
        in_flight = ledger::in_flight(&window);
        still = if ledger::ended(&window) == 0 {
            still + 1
        } else {
            0
        };
    }
    let log = server.ask()?;
    let agree = held
        .ledger
        .compare(&log, began.elapsed(), &mut std::io::stdout())?;
    server.say(Order::GoOn)?;
    // What waited comes at once, which says nothing about the engine's own course.
    let calm = Instant::now() + Duration::from_secs(40);
    while Instant::now() < calm {
        held.window().await?;
    }
    held.level_out = false;
    Ok(agree)
}

/// Lets all VUs end what they have begun, and compares.
async fn audit_end(held: &mut Held, server: &mut Server, began: Instant) -> anyhow::Result<bool> {
    held.level_out = true;
    held.engine.set_level(Level::ZERO).await?;
    let limit = Instant::now() + LEAVE;
    while held.window().await?.vus > 0 {
        ensure!(Instant::now() < limit, "some VUs did not leave");
    }
    let log = server.ask()?;
    held.ledger
        .compare(&log, began.elapsed(), &mut std::io::stdout())
}

/// The load, and what is known of it.
struct Held {
    engine: NativeEngine,
    vus: u64,
    ledger: Ledger,
    series: Series,
    /// Whether the level is not in its ordinary course: nothing is said about that.
    level_out: bool,
}

impl Held {
    fn start(cli: &Cli, address: &str) -> anyhow::Result<Self> {
        let spec: ScenarioSpec = toml::from_str(SCENARIO)?;
        let url = format!("http://{address}");
        let scenario = Scenario::compile(&spec, &url, &Files::default(), &|_| None)?;
        let ledger = Ledger::new(scenario.table())?;
        // Who leaves ends his step, so that nothing is cut off uncounted.
        let load = LoadModel::Closed {
            pace_per_s: PACE_PER_S,
            staggered: true,
            grace: LEAVE,
        };
        let engine = NativeEngine::start(NativeSpec {
            populations: vec![PopulationSpec::users(Arc::new(scenario), load, 1)],
            sources: Vec::new(),
            allowed: Allowed::default(),
            network: Network::default(),
            excerpts: true,
            window: Duration::from_secs(1),
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        })?;
        let out = File::create(&cli.out).with_context(|| {
            format!(
                "cannot write {}; name another file: --out",
                cli.out.display()
            )
        })?;
        Ok(Self {
            engine,
            vus: u64::from(cli.vus),
            ledger,
            series: Series::new(out)?,
            level_out: false,
        })
    }

    async fn window(&mut self) -> anyhow::Result<Window> {
        let window = self.engine.next_window().await?;
        self.ledger.add(&window);
        if window.at_level && !self.level_out {
            self.series.add(Sample::of(&window)?)?;
        }
        Ok(window)
    }
}

/// The server's process; ends when this value does.
struct Server {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server does not start")?;
        let orders = child.stdin.take().context("no way to the server")?;
        let answers = child.stdout.take().context("no way from the server")?;
        let mut server = Self {
            child,
            orders,
            answers: BufReader::new(answers),
            address: String::new(),
        };
        server.address = server.line()?;
        Ok(server)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the server is gone");
        }
        Ok(line.trim().to_owned())
    }

    fn say(&mut self, order: Order) -> anyhow::Result<()> {
        writeln!(self.orders, "{}", serde_json::to_string(&order)?)?;
        self.orders.flush()?;
        Ok(())
    }

    fn ask(&mut self) -> anyhow::Result<Log> {
        self.say(Order::Tell)?;
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("the server says `{line}`"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        eprintln!("the server has ended");
    }
}
