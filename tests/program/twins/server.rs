//! A small HTTP/1.1 server that answers after a time, in one line or each by itself, and refuses
//! what is beyond its limits. It sleeps and does not compute.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::line::Service;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const TOO_MANY: &str = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// What a server refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    Nothing,
    /// Tokens that come per second, and how many are kept: a request without one gets 429.
    Tokens {
        per_s: f64,
        burst: f64,
    },
    /// Requests at once: one more gets 503.
    Requests {
        most: usize,
    },
    /// Requests at once: one more gets this answer, which does not say that it is of a limit.
    Unsaid {
        most: usize,
        answer: &'static str,
    },
    /// Connections at once: one more is accepted and closed.
    Connections {
        most: usize,
    },
    /// Milliseconds of nginx's clock between two requests that are let through, as `limit_req`
    /// without a burst: one that comes earlier gets 503, and moves nothing.
    Apart {
        ms: u64,
    },
}

/// How a server works.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Each request by itself.
    Beside { s: f64 },
    /// One line before some workers.
    Line {
        workers: usize,
        service: Service,
        growth: Option<Growth>,
    },
}

/// Workers double `delay` after more than `above_pct` percent of them were busy over the last
/// `after`, up to `most`; looked at once a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    pub(crate) above_pct: usize,
    pub(crate) after: Duration,
    pub(crate) delay: Duration,
    pub(crate) most: usize,
}

/// A server at work until it is dropped, with a thread of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub(crate) fn start(limit: Limit, work: Work) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(accept(listener, limit, work));
        Self {
            address,
            _runtime: runtime,
        }
    }
}

async fn accept(listener: TcpListener, limit: Limit, work: Work) {
    let gate = Arc::new(Gate::new(limit));
    let desk = Arc::new(Desk::open(work));
    while let Ok((tcp, _)) = listener.accept().await {
        // Dropped where there is no room: closed at once.
        if let Some(place) = gate.connect() {
            tokio::spawn(serve(tcp, place, Arc::clone(&gate), Arc::clone(&desk)));
        }
    }
}

/// Answers the requests of a connection until the other side closes it.
async fn serve(tcp: TcpStream, _place: Place, gate: Arc<Gate>, desk: Arc<Desk>) {
    let _ = tcp.set_nodelay(true);
    let (read, mut write) = tcp.into_split();
    let mut read = BufReader::new(read);
    let mut head = String::new();
    loop {
        head.clear();
        while !head.ends_with("\r\n\r\n") {
            match read.read_line(&mut head).await {
                Ok(1..) => {}
                _ => return,
            }
        }
        let answer = match gate.enter() {
            Err(refusal) => refusal,
            Ok(_inside) => tokio::select! {
                () = desk.work() => OK,
                // Nobody sends before the answer is there: who asked is gone.
                _ = read.fill_buf() => return,
            },
        };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Who is let in.
struct Gate {
    limit: Limit,
    opened: Instant,
    room: Arc<Semaphore>,
    rate: Mutex<Rate>,
}

/// A place in the room of a limit, until it is dropped; none is taken where there is no such limit.
struct Place(#[expect(dead_code, reason = "kept to be dropped")] Option<OwnedSemaphorePermit>);

/// What a limit of the rate remembers.
struct Rate {
    tokens: f64,
    filled: Instant,
    /// When the last request was let through, ms since the gate was opened.
    passed_ms: Option<u64>,
}

impl Gate {
    fn new(limit: Limit) -> Self {
        let room = match limit {
            Limit::Requests { most } | Limit::Unsaid { most, .. } | Limit::Connections { most } => {
                most
            }
            Limit::Nothing | Limit::Tokens { .. } | Limit::Apart { .. } => 0,
        };
        let tokens = match limit {
            Limit::Tokens { burst, .. } => burst,
            _ => 0.0,
        };
        let opened = Instant::now();
        Self {
            limit,
            opened,
            room: Arc::new(Semaphore::new(room)),
            rate: Mutex::new(Rate {
                tokens,
                filled: opened,
                passed_ms: None,
            }),
        }
    }

    /// What a connection keeps while it is open; `None` where there is no room for it.
    fn connect(&self) -> Option<Place> {
        match self.limit {
            Limit::Connections { .. } => self.take(),
            _ => Some(Place(None)),
        }
    }

    /// What a request keeps while it is worked on, or how it is refused.
    fn enter(&self) -> Result<Place, &'static str> {
        let now = Instant::now();
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        match self.limit {
            Limit::Nothing | Limit::Connections { .. } => Ok(Place(None)),
            Limit::Requests { .. } => self.take().ok_or(UNAVAILABLE),
            Limit::Unsaid { answer, .. } => self.take().ok_or(answer),
            Limit::Tokens { per_s, burst } if rate.token(now, per_s, burst) => Ok(Place(None)),
            Limit::Tokens { .. } => Err(TOO_MANY),
            Limit::Apart { ms } if rate.pass(now - self.opened, ms) => Ok(Place(None)),
            Limit::Apart { .. } => Err(UNAVAILABLE),
        }
    }

    fn take(&self) -> Option<Place> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        Some(Place(Some(permit)))
    }
}

impl Rate {
    /// Takes a token, if there is one.
    fn token(&mut self, now: Instant, per_s: f64, burst: f64) -> bool {
        let grown = now.duration_since(self.filled).as_secs_f64() * per_s;
        self.filled = now;
        self.tokens = (self.tokens + grown).min(burst);
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }

    /// Lets a request pass, unless it comes too soon after the last that passed.
    fn pass(&mut self, since_opened: Duration, ms: u64) -> bool {
        let now_ms = u64::try_from(since_opened.as_millis()).unwrap();
        let is_early = self.passed_ms.is_some_and(|passed| now_ms - passed < ms);
        if !is_early {
            self.passed_ms = Some(now_ms);
        }
        !is_early
    }
}

/// One who waits in the line, since when.
struct Job {
    asked: Instant,
    done: oneshot::Sender<()>,
}

/// Where requests are worked on.
enum Desk {
    Beside(Duration),
    Line(mpsc::UnboundedSender<Job>),
}

impl Desk {
    fn open(work: Work) -> Self {
        match work {
            Work::Beside { s } => Self::Beside(Duration::from_secs_f64(s)),
            Work::Line {
                workers,
                service,
                growth,
            } => {
                let (jobs, queue) = mpsc::unbounded_channel();
                let staff = Arc::new(Staff {
                    queue: tokio::sync::Mutex::new(queue),
                    busy: AtomicUsize::new(0),
                });
                for nth in 0..workers {
                    tokio::spawn(work_on(Arc::clone(&staff), service, nth));
                }
                if let Some(growth) = growth {
                    tokio::spawn(grow(staff, service, growth, workers));
                }
                Self::Line(jobs)
            }
        }
    }

    /// Returns when the answer is ready.
    async fn work(&self) {
        let asked = Instant::now();
        match self {
            Self::Beside(time) => sleep_until(asked + *time).await,
            Self::Line(jobs) => {
                let (done, ready) = oneshot::channel();
                // The workers live as long as the server.
                let _ = jobs.send(Job { asked, done });
                let _ = ready.await;
            }
        }
    }
}

/// The workers of one line.
struct Staff {
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Job>>,
    busy: AtomicUsize,
}

/// One worker: takes the next of the line, for ever.
///
/// Sleeps end up to some milliseconds late. What is next began when the last one was due and not
/// when the worker woke, so that a busy worker serves exactly as many as it should.
async fn work_on(staff: Arc<Staff>, service: Service, nth: usize) {
    let mut rng = SmallRng::seed_from_u64(nth as u64);
    let mut free = Instant::now();
    loop {
        let Some(job) = staff.queue.lock().await.recv().await else {
            return;
        };
        if job.done.is_closed() {
            continue;
        }
        staff.busy.fetch_add(1, Ordering::Relaxed);
        free = free.max(job.asked) + Duration::from_secs_f64(service.draw(&mut rng));
        sleep_until(free).await;
        staff.busy.fetch_sub(1, Ordering::Relaxed);
        let _ = job.done.send(());
    }
}

/// Hires workers as long as there may be more.
async fn grow(staff: Arc<Staff>, service: Service, growth: Growth, mut workers: usize) {
    let mut seen: VecDeque<usize> = VecDeque::new();
    let looks = usize::try_from(growth.after.as_secs()).unwrap();
    while workers < growth.most {
        sleep(Duration::from_secs(1)).await;
        seen.push_back(staff.busy.load(Ordering::Relaxed));
        if seen.len() > looks {
            seen.pop_front();
        }
        let busy: usize = seen.iter().sum();
        if seen.len() < looks || 100 * busy <= growth.above_pct * looks * workers {
            continue;
        }
        sleep(growth.delay).await;
        let more = (workers * 2).min(growth.most);
        for nth in workers..more {
            tokio::spawn(work_on(Arc::clone(&staff), service, nth));
        }
        workers = more;
        seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_refuse_what_is_beyond_them_and_no_more() {
        let begin = Instant::now();
        let mut rate = Rate {
            tokens: 2.0,
            filled: begin,
            passed_ms: None,
        };
        let mut token = |ms| rate.token(begin + Duration::from_millis(ms), 100.0, 2.0);
        let taken = [0, 0, 0, 10, 10, 1000, 1000, 1000].map(&mut token);
        assert_eq!(
            taken,
            [true, true, false, true, false, true, true, false],
            "two at once, then one in 10 ms, and never more than two"
        );
        let mut pass = |us| rate.pass(Duration::from_micros(us), 10);
        let passed = [900, 9_900, 10_100, 19_900, 30_000].map(&mut pass);
        assert_eq!(
            passed,
            [true, false, true, false, true],
            "by whole milliseconds, and who is refused moves nothing"
        );

        let gate = Gate::new(Limit::Requests { most: 1 });
        let inside = gate.enter();
        assert!(inside.is_ok() && gate.enter().is_err());
        drop(inside);
        assert!(gate.enter().is_ok() && gate.connect().is_some());
        let gate = Gate::new(Limit::Connections { most: 1 });
        let place = gate.connect();
        assert!(place.is_some() && gate.connect().is_none() && gate.enter().is_ok());
    }
}
