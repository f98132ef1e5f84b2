//! The library's engine as a process of its own, with everything on that `find` has on.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use breakpoint::crypto::{Trust, TrustSpec};
use breakpoint::engine::native::{LoadModel, NativeEngine, NativeSpec, PopulationSpec};
use breakpoint::engine::{Engine as _, Network};
use breakpoint::measure::{Histogram, Level};
use breakpoint::scenario::{Allowed, Feeder, Files, Http, Protocol, Scenario, spec::ScenarioSpec};
use clap::Args;

use super::server::now_us;
use super::work::Work;

/// Nothing is measured in this time after the level was reached.
const SETTLE: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct OursArgs {
    #[arg(long)]
    url: String,
    #[arg(long, value_enum)]
    work: Work,
    #[arg(long)]
    vus: u32,
    #[arg(long)]
    seconds: u64,
    /// Reports only what came after it had settled.
    #[arg(long)]
    settles: bool,
}

fn steps(work: Work) -> &'static str {
    match work {
        // Scripts are run by the program itself.
        Work::Get | Work::Http2 | Work::Script | Work::Typical => "steps = [{ name = 'main', get = '/get' }]",
        Work::Memory | Work::MemoryScript => "steps = [{ name = 'main', get = '/hold', timeout = '10m' }]",
        Work::Clock => "steps = [{ name = 'main', get = '/sleep' }]",
        Work::Post => {
            "[[steps]]
             name = 'main'
             post = '/post'
             json = { id = '6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11', user = 'u1', text = 'what breaks first?' }"
        }
        Work::Template => {
            "feeders = { questions = { file = 'questions.csv' } }
             [[steps]]
             name = 'main'
             post = '/post'
             json = { id = '{{ uuid() }}', user = 'u{{ vu }}', text = '{{ questions.text }}' }"
        }
        // All requests but the first carry the cookie.
        Work::Session => {
            "cookies = 'vu'
             [[steps]]
             name = 'main'
             post = '/session'
             json = { id = '6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11', user = 'u1', text = 'what breaks first?' }
             check = { status = 200, json = { '/ok' = true } }
             extract = { item = '$.items[?@.price > 4].id' }"
        }
        Work::Tokens => {
            "[[steps]]
             name = 'main'
             post = '/tokens'
             json = { id = '6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11', user = 'u1', text = 'what breaks first?' }
             stream = { until = '[DONE]' }"
        }
        Work::Sse | Work::MemorySse => {
            "vars = { id = '{{ uuid() }}' }
             [[steps]]
             name = 'open'
             open = '/sse?user=u{{ vu }}'
             [[steps]]
             name = 'ask'
             post = '/questions'
             json = { id = '{{ id }}', user = 'u{{ vu }}', text = 'what breaks first?' }
             [[steps]]
             name = 'main'
             wait = { on = 'open', event = 'answer', match = { '/id' = '{{ id }}' }, since = 'ask' }
             timeout = '10m'
             [[steps]]
             close = 'open'"
        }
    }
}

fn scenario(work: Work, url: &str) -> anyhow::Result<Scenario> {
    let spec: ScenarioSpec = toml::from_str(&format!("main = 'main'\n{}", steps(work)))?;
    let rows = "text\nwhat breaks first?\nwhat broke before?\nwhat holds longest?\n";
    let feeder = Arc::new(Feeder::parse(rows.as_bytes())?);
    let files = Files::from(BTreeMap::from([("questions".to_owned(), feeder)]));
    Ok(Scenario::compile(&spec, url, &files, &|_| None)?)
}

pub(crate) fn run(args: &OursArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(load(args))
}

/// Over HTTP/2 the server's certificate is its own.
fn network(work: Work) -> anyhow::Result<Network> {
    if work != Work::Http2 {
        return Ok(Network::default());
    }
    let trust = TrustSpec {
        insecure: true,
        ..TrustSpec::default()
    };
    Ok(Network {
        trust: Some(Trust::read(&trust)?),
        protocol: Protocol {
            http: Http::Two,
            ..Protocol::default()
        },
        ..Network::default()
    })
}

async fn load(args: &OursArgs) -> anyhow::Result<()> {
    let scenario = Arc::new(scenario(args.work, &args.url)?);
    let main = scenario.table().main();
    let mut engine = NativeEngine::start(NativeSpec {
        populations: vec![PopulationSpec::users(scenario, LoadModel::closed(1e9), 1)],
        sources: Vec::new(),
        allowed: Allowed::default(),
        network: network(args.work)?,
        excerpts: true,
        window: Duration::from_secs(1),
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
    })?;
    engine.set_level(Level(args.vus)).await?;
    let mut settled_at = None;
    let mut total = Histogram::default();
    let began = Instant::now();
    let length = Duration::from_secs(args.seconds);
    while began.elapsed() < length {
        let window = engine.next_window().await?;
        if !args.settles || settled_at.is_some() {
            total.merge(&window.step(main).latency);
        } else if window.at_level && began.elapsed() > SETTLE {
            settled_at = Some(now_us());
        }
    }
    let ms = |q| total.quantile_s(q).map(|s| s * 1e3);
    let line = match (ms(0.5), ms(0.99)) {
        (Some(p50), Some(p99)) => format!("p50_ms={p50:.3} p99_ms={p99:.3}"),
        _ => "nothing was answered".to_owned(),
    };
    // Windows end at about the time at which they are handed out.
    let line = match settled_at {
        Some(from_us) => format!("{line} from_us={from_us} to_us={}", now_us()),
        None => line,
    };
    engine.stop().await;
    writeln!(std::io::stdout(), "{line}").context("nobody listens")
}
