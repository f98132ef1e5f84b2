//! The server of the comparison: as cheap as can be, and the one who counts.
//!
//! One thread per core, each with a runtime and a listening socket of its own. Whoever started it
//! asks on its standard input and reads one line per question; it ends when that input ends.

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::UnboundedSender;
use tokio_rustls::TlsAcceptor;

mod connection;
mod http2;

/// What the slow route takes.
const SLEEP: Duration = Duration::from_millis(10);
/// How long a held answer is held: longer than any measurement.
const HOLD: Duration = Duration::from_secs(600);

#[derive(Args, Clone)]
pub(crate) struct ServeArgs {
    /// How long after a question its answer comes.
    #[arg(long, default_value_t = 250)]
    answer_after_ms: u64,
    /// How many connections (streams: questions) to wait for when measuring how long a start takes.
    #[arg(long, default_value_t = 0)]
    expect: u64,
    /// Speaks HTTP/2 with TLS.
    #[arg(long)]
    http2: bool,
    /// Logs latencies from the kernel's stamp of the request's arrival.
    #[arg(long)]
    stamps: bool,
}

/// What the server says of itself.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Requests whose answer was written.
    pub(crate) requests: u64,
    /// Answers written to streams.
    pub(crate) cycles: u64,
    /// Questions asked.
    pub(crate) asked: u64,
    /// Connections open now.
    pub(crate) open: u64,
    /// Connections that have had an answer.
    pub(crate) served: u64,
    /// When the expected number was there, microseconds since 1970; 0 when it was not yet.
    pub(crate) all_at_us: u64,
    /// Latencies logged, and their quantiles.
    pub(crate) logged: u64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
}

/// What the server can be asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Question {
    Counts,
    Latencies { from_us: u64, to_us: u64 },
}

type Streams = HashMap<String, (u64, UnboundedSender<String>)>;

struct State {
    args: ServeArgs,
    /// Where TLS is spoken.
    tls: Option<TlsAcceptor>,
    requests: AtomicU64,
    cycles: AtomicU64,
    asked: AtomicU64,
    open: AtomicU64,
    served: AtomicU64,
    all_at_us: AtomicU64,
    next_stream: AtomicU64,
    streams: Mutex<Streams>,
    /// When an answer was written, and how long after its request had come, microseconds.
    log_us: Mutex<Vec<(u64, u32)>>,
}

impl State {
    fn new(args: ServeArgs) -> anyhow::Result<Self> {
        Ok(Self {
            tls: args.http2.then(http2::acceptor).transpose()?,
            args,
            requests: AtomicU64::new(0),
            cycles: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            open: AtomicU64::new(0),
            served: AtomicU64::new(0),
            all_at_us: AtomicU64::new(0),
            next_stream: AtomicU64::new(0),
            streams: Mutex::default(),
            log_us: Mutex::default(),
        })
    }

    /// Counts one of those that `--expect` waits for.
    fn count_towards_all(&self, counter: &AtomicU64) {
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        if count == self.args.expect {
            self.all_at_us.store(now_us(), Ordering::Relaxed);
        }
    }

    fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: get(&self.requests),
            cycles: get(&self.cycles),
            asked: get(&self.asked),
            open: get(&self.open),
            served: get(&self.served),
            all_at_us: get(&self.all_at_us),
            ..Counts::default()
        }
    }

    /// The counts with the quantiles of what was logged between two times.
    fn counts_and_latencies(&self, from_us: u64, to_us: u64) -> Counts {
        let mut all: Vec<u32> = lock(&self.log_us)
            .iter()
            .filter(|(at, _)| (from_us..to_us).contains(at))
            .map(|(_, took)| *took)
            .collect();
        all.sort_unstable();
        let at = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).saturating_sub(1);
            all.get(rank).copied().unwrap_or(0)
        };
        Counts {
            logged: all.len() as u64,
            p50_us: at(50),
            p99_us: at(99),
            ..self.counts()
        }
    }
}

/// A thread that panicked leaves counters that are still right.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

pub(crate) fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let state = Arc::new(State::new(args.clone())?);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    let (listens, listening) = mpsc::channel();
    for _ in 0..cores {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket.bind(address).context("cannot listen")?;
        address = socket.local_addr()?;
        let state = Arc::clone(&state);
        let listens = listens.clone();
        std::thread::spawn(move || thread(socket, state, &listens));
    }
    // Whoever reads the address may connect.
    for _ in 0..cores {
        listening.recv().context("a thread of the server ended")?;
    }
    answer_questions(address, &state)
}

fn answer_questions(address: SocketAddr, state: &State) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{address}")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let counts = match serde_json::from_str(&line?)? {
            Question::Counts => state.counts(),
            Question::Latencies { from_us, to_us } => state.counts_and_latencies(from_us, to_us),
        };
        writeln!(out, "{}", serde_json::to_string(&counts)?)?;
        out.flush()?;
    }
    Ok(())
}

fn thread(socket: TcpSocket, state: Arc<State>, listens: &mpsc::Sender<()>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = socket.listen(16_384)?;
        listens.send(())?;
        accept(listener, state).await
    })
}

async fn accept(listener: TcpListener, state: Arc<State>) -> anyhow::Result<()> {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptor is free: one will be.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            state.open.fetch_add(1, Ordering::Relaxed);
            // A connection that the generator resets is no news.
            match &state.tls {
                Some(tls) => drop(http2::serve(stream, tls, &state).await),
                None => drop(connection::serve(stream, &state).await),
            }
            state.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
