//! One measurement: a fresh server, one generator, and what it did for how much of the machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::samples::Metric;
use super::server::{Counts, Question, now_us};
use super::tool::{Places, Tool};
use super::work::{Cell, Work};
use super::{cpu, tool_output};

/// How long a generator may take until all its VUs are there.
const ARRIVAL: Duration = Duration::from_secs(40);
/// How long a generator may go on after its time.
const OVERTIME: Duration = Duration::from_secs(20);
/// The least that percentiles are taken over: connecting must be a small part of it.
const CLOCK: Duration = Duration::from_secs(6);

type Figures = Vec<(Metric, f64)>;

pub(crate) fn run(
    tool: Tool,
    cell: Cell,
    hold: Duration,
    places: &Places,
) -> anyhow::Result<Figures> {
    let mut server = Server::start(cell, places)?;
    let length = match cell.work {
        Work::Clock => hold.max(CLOCK),
        // It is ended as soon as the figures are there.
        _ => hold + ARRIVAL,
    };
    let mut command = tool.command(cell, &server.address, length.as_secs(), places)?;
    let begun_us = now_us();
    let mut generator = Generator::start(&mut command)?;
    match cell.work {
        Work::Get
        | Work::Http2
        | Work::Post
        | Work::Template
        | Work::Session
        | Work::Tokens
        | Work::Script
        | Work::Typical
        | Work::Sse => rate(cell, hold, &mut server, &mut generator),
        Work::Memory | Work::MemoryScript | Work::MemorySse => {
            memory(cell, begun_us, &mut server, &mut generator)
        }
        Work::Clock => clock(tool, length, &mut server, &mut generator),
    }
}

fn rate(
    cell: Cell,
    hold: Duration,
    server: &mut Server,
    generator: &mut Generator,
) -> anyhow::Result<Figures> {
    let wanted = u64::from(cell.vus);
    let streams = cell.work.streams();
    server.wait(generator, |c| {
        let there = if streams {
            c.asked
        } else {
            c.open.min(c.requests)
        };
        there >= wanted
    })?;
    let settle = if streams {
        2 * cell.answer_after_ms()
    } else {
        500
    };
    std::thread::sleep(Duration::from_millis(settle));
    let before = (
        server.ask(Question::Counts)?,
        generator.cpu_s(),
        Instant::now(),
    );
    std::thread::sleep(hold);
    let after = (
        server.ask(Question::Counts)?,
        generator.cpu_s(),
        Instant::now(),
    );
    let count = |c: &Counts| if streams { c.cycles } else { c.requests };
    let done = to_f64(count(&after.0) - count(&before.0));
    let took = after.1 - before.1;
    if done == 0.0 || took <= 0.0 {
        bail!("it did nothing");
    }
    let seconds = (after.2 - before.2).as_secs_f64();
    Ok(vec![
        (Metric::PerCpuS, done / took),
        (Metric::PerS, done / seconds),
    ])
}

fn memory(
    cell: Cell,
    begun_us: u64,
    server: &mut Server,
    generator: &mut Generator,
) -> anyhow::Result<Figures> {
    let wanted = u64::from(cell.vus);
    let streams = cell.work.streams();
    let counts = server.wait(generator, |c| {
        // The second request of each VU is the one that is held.
        c.all_at_us > 0 && (streams || c.requests >= 2 * wanted)
    })?;
    // Windows are cut and buffers given back meanwhile.
    std::thread::sleep(Duration::from_secs(2));
    let kib = cpu::resident_kib(generator.child.id());
    let start_us = counts.all_at_us.saturating_sub(begun_us);
    Ok(vec![
        (Metric::KibPerVu, kib / f64::from(cell.vus)),
        (Metric::StartS, to_f64(start_us) / 1e6),
    ])
}

/// Percentiles over the generator's whole time against the server's log of the same requests. Ours
/// says from when to when its percentiles are: from when it has settled, as in a search.
fn clock(
    tool: Tool,
    length: Duration,
    server: &mut Server,
    generator: &mut Generator,
) -> anyhow::Result<Figures> {
    let text = generator.output(length + OVERTIME)?;
    let (from_us, to_us) = tool_output::times(&text).unwrap_or((0, u64::MAX));
    let truth = server.ask(Question::Latencies { from_us, to_us })?;
    let said = tool
        .percentiles(&text)
        .context("it printed no percentiles")?;
    if truth.logged == 0 {
        bail!("the server logged no request");
    }
    let (p50, p99) = (f64::from(truth.p50_us) / 1e3, f64::from(truth.p99_us) / 1e3);
    Ok(vec![
        (Metric::P50ErrorMs, said.p50 - p50),
        (Metric::P99ErrorMs, said.p99 - p99),
        (Metric::TrueP50Ms, p50),
        (Metric::TrueP99Ms, p99),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// The server's process; ends when this value does.
struct Server {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(cell: Cell, places: &Places) -> anyhow::Result<Self> {
        let mut command = Command::new(&places.own);
        command
            .arg("serve")
            .args(["--answer-after-ms", &cell.answer_after_ms().to_string()])
            .args(["--expect", &cell.vus.to_string()]);
        if cell.work == Work::Clock {
            command.arg("--stamps");
        }
        if cell.work == Work::Http2 {
            command.arg("--http2");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server does not start")?;
        let questions = child.stdin.take().context("no way to the server")?;
        let answers = child.stdout.take().context("no way from the server")?;
        let mut server = Self {
            child,
            questions,
            answers: BufReader::new(answers),
            address: String::new(),
        };
        server.address = server.line()?;
        Ok(server)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn ask(&mut self, question: Question) -> anyhow::Result<Counts> {
        writeln!(self.questions, "{}", serde_json::to_string(&question)?)?;
        self.questions.flush()?;
        serde_json::from_str(&self.line()?).context("the server is gone")
    }

    /// Waits until the counts are as wanted.
    fn wait(
        &mut self,
        generator: &mut Generator,
        enough: impl Fn(&Counts) -> bool,
    ) -> anyhow::Result<Counts> {
        let begun = Instant::now();
        loop {
            let counts = self.ask(Question::Counts)?;
            if enough(&counts) {
                return Ok(counts);
            }
            if let Some(status) = generator.child.try_wait()? {
                bail!("it ended too early ({status})");
            }
            if begun.elapsed() > ARRIVAL {
                bail!("its VUs were not there after {ARRIVAL:?}: {counts:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A generator's process; ends when this value does.
struct Generator {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Generator {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("it does not start")?;
        let stdout = child.stdout.take().context("no way from the generator")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            // What is no text is no percentile.
            while matches!(reader.by_ref().read_until(b'\n', &mut line), Ok(n) if n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(text).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Ok(Self { child, lines })
    }

    fn cpu_s(&self) -> f64 {
        cpu::seconds(self.child.id())
    }

    /// All that it prints until it ends, which it has to within a limit.
    fn output(&mut self, limit: Duration) -> anyhow::Result<String> {
        let until = Instant::now() + limit;
        let mut text = String::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    text.push_str(&line);
                    text.push('\n');
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(text),
                Err(mpsc::RecvTimeoutError::Timeout) => bail!("it did not end"),
            }
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
