//! The native engine as a worker of a Locust master: it takes users from it and tells what they
//! did, as a worker in Python does.
//!
//! Locust's users are our VUs; of which class they are makes no difference, all go through the
//! scenario of the profile. The master's page shows the steps as requests. A master with the
//! plug-in gets every window exactly, too.

use std::future::Future;
use std::time::{Duration, SystemTime};

use rmpv::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::message::{Message, get, map, number};
use super::tally::{self, Tally};
use super::wire::Wire;
use crate::engine::native::NativeEngine;
use crate::engine::{Engine as _, EngineError};
use crate::measure::{Level, StepTable, Window};

/// How often the master is told that the worker lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often it is told what the users did.
const REPORT: Duration = Duration::from_secs(3);
/// How long the master may take to answer that it knows the worker, each time.
const ANSWER: Duration = Duration::from_secs(5);
/// How often it is asked.
const ASKS: u32 = 60;
/// How long it may be silent.
const SILENT: Duration = Duration::from_secs(60);
/// How long the plug-in may be silent until its seconds are not sent any more.
const PLUGIN_SILENT: Duration = Duration::from_secs(30);
/// Ticks of the plug-in from which the difference of the clocks is taken.
const TICKS: usize = 20;
/// How long a master may leave unread what it is sent.
const UNREAD: Duration = Duration::from_secs(5);
/// Time until a connection that broke is made again.
const AGAIN: Duration = Duration::from_millis(100);
/// Why nothing is sent or received meanwhile.
const BROKEN: &str = "the connection is broken";
/// What Locust takes from workers that are not its own.
const FOREIGN: i64 = -1;

/// A worker before it has an engine.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// `host:port` of the master.
    pub master: String,
    /// The worker's name for it; no other has it.
    pub id: String,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerEnd {
    /// The master sent it home.
    Dismissed,
    /// The user stopped it.
    Told,
}

/// Joins the master, makes an engine when it knows which worker it is (from 0), and works until it
/// is sent home or `told`.
///
/// # Errors
/// When there is no master, it goes away for a minute, or the engine cannot go on.
pub async fn work(
    spec: &WorkerSpec,
    names: &StepTable,
    engine: impl FnOnce(u64) -> Result<NativeEngine, EngineError>,
    told: impl Future<Output = ()>,
    say: &mut (dyn FnMut(String) + Send),
) -> Result<WorkerEnd, EngineError> {
    let mut told = std::pin::pin!(told);
    let joined = tokio::select! {
        joined = Line::join(spec, say) => joined?,
        () = &mut told => return Ok(WorkerEnd::Told),
    };
    let (line, index) = joined;
    say(format!(
        "worker {index} of the Locust master at {}",
        spec.master
    ));
    at_a_full_second().await;
    let mut worker = Worker {
        line,
        engine: engine(index)?,
        names,
        tally: Tally::new(names, time_of_day()),
        classes: Vec::new(),
        last_order: f64::NEG_INFINITY,
        state: WorkerState::Ready,
        cpu_share: 0.0,
        plugin: Plugin::default(),
        heard: Instant::now(),
    };
    let end = tokio::select! {
        end = worker.serve() => end,
        () = told => Ok(WorkerEnd::Told),
    };
    if end.as_ref().is_ok_and(|end| *end == WorkerEnd::Told) {
        worker.send("quit", Value::Nil).await;
        // What is written last must get out.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    worker.engine.stop().await;
    end
}

/// Windows that begin with the seconds of the clock are those of the master, where clocks agree.
async fn at_a_full_second() {
    let past = time_of_day().fract();
    tokio::time::sleep(Duration::from_secs_f64(1.0 - past)).await;
}

fn time_of_day() -> f64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

/// The connection to a master.
struct Line {
    /// `None` while it is broken.
    wire: Option<Wire>,
    master: String,
    id: String,
}

impl Line {
    /// Connects until the master knows the worker; gives the number that it has there.
    async fn join(
        spec: &WorkerSpec,
        say: &mut (dyn FnMut(String) + Send),
    ) -> Result<(Self, u64), EngineError> {
        let mut why = String::new();
        for ask in 0..ASKS {
            match tokio::time::timeout(ANSWER, Self::ask(spec)).await {
                Ok(Ok(joined)) => return Ok(joined),
                Ok(Err(error)) => {
                    why = error;
                    tokio::time::sleep(HEARTBEAT).await;
                }
                Err(_) => "no answer in time".clone_into(&mut why),
            }
            if ask == 0 {
                say(format!(
                    "waiting for a Locust master at {} ({why})",
                    spec.master
                ));
            }
        }
        Err(EngineError::Start(format!(
            "no Locust master answers at {} ({why}): was it started with --master, and is this the \
             port that workers join (5557 unless --master-bind-port is set), not the port of its \
             web UI?",
            spec.master
        )))
    }

    async fn ask(spec: &WorkerSpec) -> Result<(Self, u64), String> {
        let mut line = Self {
            wire: None,
            master: spec.master.clone(),
            id: spec.id.clone(),
        };
        line.again().await?;
        line.send("client_ready", FOREIGN.into()).await?;
        loop {
            let message = line.receive().await?;
            if message.kind == "ack" {
                let index = get(&message.data, "index").and_then(Value::as_u64);
                return Ok((line, index.unwrap_or(0)));
            }
        }
    }

    /// Connects, also again.
    async fn again(&mut self) -> Result<(), String> {
        let wire = tokio::time::timeout(UNREAD, Wire::connect(&self.master, &self.id)).await;
        let wire = wire.map_err(|_| "it sent no greeting".to_owned())?;
        self.wire = Some(wire.map_err(|e| e.to_string())?);
        Ok(())
    }

    async fn send(&mut self, kind: &str, data: Value) -> Result<(), String> {
        let Some(wire) = &mut self.wire else {
            return Err(BROKEN.to_owned());
        };
        let bytes = Message::new(kind, data, &self.id).encode();
        let sent = match tokio::time::timeout(UNREAD, wire.send(&bytes)).await {
            Ok(sent) => sent.map_err(|e| e.to_string()),
            Err(_) => Err("it does not read".to_owned()),
        };
        if sent.is_err() {
            // A message that was cut off would spoil all that follow.
            self.wire = None;
        }
        sent
    }

    /// The next message; what is none is passed over.
    async fn receive(&mut self) -> Result<Message, String> {
        loop {
            let wire = self.wire.as_mut().ok_or(BROKEN)?;
            let bytes = match wire.receive().await {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.wire = None;
                    return Err(error.to_string());
                }
            };
            if let Some(message) = Message::decode(&bytes) {
                return Ok(message);
            }
        }
    }
}

/// What the master is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WorkerState {
    Ready,
    Running,
}

impl WorkerState {
    fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
        }
    }
}

/// Whether and how the plug-in asks.
#[derive(Debug, Default)]
struct Plugin {
    /// How far the master's clock is ahead, by the last ticks; one on its way makes it look less
    /// so.
    offsets: Vec<f64>,
    asked: Option<Instant>,
    /// The second that was sent last.
    sent: Option<u64>,
}

impl Plugin {
    fn tick(&mut self, now: f64) {
        self.asked = Some(Instant::now());
        self.offsets.push(now - time_of_day());
        if self.offsets.len() > TICKS {
            self.offsets.remove(0);
        }
    }

    /// The number of the second that a window which ended just now is for, if somebody wants it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time of day in seconds"
    )]
    fn number(&mut self) -> Option<u64> {
        self.asked.filter(|at| at.elapsed() <= PLUGIN_SILENT)?;
        let ahead = self.offsets.iter().copied().reduce(f64::max)?;
        let nearest = (time_of_day() + ahead).round() as u64;
        let number = nearest.saturating_sub(1);
        // No second is told twice.
        let number = self.sent.map_or(number, |sent| number.max(sent + 1));
        self.sent = Some(number);
        Some(number)
    }
}

struct Worker<'a> {
    line: Line,
    engine: NativeEngine,
    names: &'a StepTable,
    tally: Tally,
    /// Users by class, as the master counts them.
    classes: Vec<(String, u64)>,
    /// When the last order for users was given, by the master's clock.
    last_order: f64,
    state: WorkerState,
    /// CPU of the busiest thread, cores.
    cpu_share: f64,
    plugin: Plugin,
    heard: Instant,
}

/// What happens next to a worker.
enum Next {
    Message(Message),
    Window(Box<Window>),
    Heartbeat,
    Report,
    /// The connection broke.
    Away,
}

impl Worker<'_> {
    async fn serve(&mut self) -> Result<WorkerEnd, EngineError> {
        let mut heartbeat = interval(HEARTBEAT);
        let mut report = interval(REPORT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                message = self.line.receive() => match message {
                    Ok(message) => Next::Message(message),
                    Err(_) => Next::Away,
                },
                window = self.engine.next_window() => Next::Window(Box::new(window?)),
                _ = heartbeat.tick() => Next::Heartbeat,
                _ = report.tick() => Next::Report,
            };
            match next {
                Next::Message(message) => {
                    if self.take(message).await? {
                        return Ok(WorkerEnd::Dismissed);
                    }
                }
                Next::Window(window) => self.count(&window).await,
                Next::Heartbeat => self.beat().await?,
                Next::Report => self.report().await,
                Next::Away => {
                    tokio::time::sleep(AGAIN).await;
                    // Whoever does not answer at all is tried again as well.
                    let _ = tokio::time::timeout(HEARTBEAT, self.line.again()).await;
                }
            }
        }
    }

    /// A master that is away for a moment comes back; one that does not is missed after a minute.
    async fn send(&mut self, kind: &str, data: Value) {
        let _ = self.line.send(kind, data).await;
    }

    /// Does what the master says; whether it sends the worker home.
    async fn take(&mut self, message: Message) -> Result<bool, EngineError> {
        self.heard = Instant::now();
        match message.kind.as_str() {
            "spawn" => self.spawn(&message.data).await?,
            "stop" => self.stop().await?,
            "quit" => {
                self.engine.set_level(Level::ZERO).await?;
                self.report().await;
                return Ok(true);
            }
            "breakpoint_tick" => {
                if let Some(now) = get(&message.data, "now").and_then(number) {
                    self.plugin.tick(now);
                }
            }
            // What else there is, is for workers in Python.
            _ => {}
        }
        Ok(false)
    }

    async fn spawn(&mut self, job: &Value) -> Result<(), EngineError> {
        self.send("spawning", Value::Nil).await;
        let at = get(job, "timestamp").and_then(number).unwrap_or(0.0);
        if at <= self.last_order {
            return Ok(());
        }
        self.last_order = at;
        let counts = get(job, "user_classes_count").and_then(Value::as_map);
        self.classes = (counts.into_iter().flatten())
            .filter_map(|(class, n)| Some((class.as_str()?.to_owned(), n.as_u64()?)))
            .collect();
        let users = tally::users(&self.classes);
        let level = u32::try_from(users).unwrap_or(u32::MAX);
        self.engine.set_level(Level(level)).await?;
        self.state = WorkerState::Running;
        let data = map([
            ("user_classes_count", tally::class_counts(&self.classes)),
            ("user_count", users.into()),
        ]);
        self.send("spawning_complete", data).await;
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), EngineError> {
        self.engine.set_level(Level::ZERO).await?;
        for (_, n) in &mut self.classes {
            *n = 0;
        }
        self.report().await;
        self.send("client_stopped", Value::Nil).await;
        self.send("client_ready", FOREIGN.into()).await;
        self.state = WorkerState::Ready;
        Ok(())
    }

    /// Counts a window that ended just now.
    async fn count(&mut self, window: &Window) {
        self.cpu_share = window.generator.health.thread_cpu.unwrap_or(0.0);
        self.tally.add(window, time_of_day());
        if let Some(number) = self.plugin.number() {
            let second = tally::second(window, self.names, number, window.vus.into());
            self.send("breakpoint_window", second.value()).await;
        }
    }

    async fn beat(&mut self) -> Result<(), EngineError> {
        if self.heard.elapsed() > SILENT {
            return Err(lost("it has been silent for a minute"));
        }
        let data = map([
            ("state", self.state.name().into()),
            ("current_cpu_usage", (self.cpu_share * 100.0).round().into()),
            ("current_memory_usage", resident_bytes().into()),
        ]);
        self.send("heartbeat", data).await;
        Ok(())
    }

    async fn report(&mut self) {
        let data = self.tally.take(&self.classes, time_of_day());
        self.send("stats", data).await;
    }
}

fn lost(why: &str) -> EngineError {
    EngineError::Stopped(format!("the Locust master is gone: {why}"))
}

fn resident_bytes() -> u64 {
    procfs::process::Process::myself()
        .and_then(|p| p.statm())
        .map_or(0, |m| m.resident * procfs::page_size())
}
