//! A Redis server, by `INFO` and a few more commands over one connection that is opened before the
//! load: a server that has run out of clients refuses a monitor that connects for every sample.

use std::time::Duration;

use tokio::time::Instant;

mod wire;

use super::counter::{Changes, Counter, Rate, float};
use super::log::Inbox;
use super::{MonitorError, Sample};
use crate::scenario::Allowed;
use crate::secret::masked;
pub(crate) use wire::RedisConnection;
#[cfg(any(test, fuzzing))]
pub(crate) use wire::fuzz as fuzz_wire;

/// Time that one call may take.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// First and longest wait before the next try to connect.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));

/// Subscribers from which on their list is not asked for every second: Redis, which does one thing
/// at a time, needs a millisecond for every thousand.
const MANY_SUBSCRIBERS: usize = 1000;
/// Seconds between two lists then.
const RARELY: u32 = 10;
/// Commands of this monitor, whose latency is not the service's.
const OWN_COMMANDS: [&str; 5] = [
    "info",
    "slowlog|get",
    "client|list",
    "config|get",
    "config|resetstat",
];

/// A monitor of one Redis server.
#[derive(Debug)]
pub(super) struct Server {
    url: String,
    /// Whom it may be, beside this machine.
    allowed: Allowed,
    /// Its log, when it is followed: in 7.0 only the log tells of clients that were closed for
    /// their output buffer.
    log: Option<Inbox>,
    /// The most that a subscriber's output buffer may hold.
    buffer_limit: Option<f64>,
    /// Samples until the list of subscribers is asked for again.
    list_in: u32,
    connection: Option<RedisConnection>,
    /// When to connect again, and how long to wait after that.
    retry: Option<(Instant, Duration)>,
    seen: ServerCounters,
}

impl Server {
    /// `log` is where its log is heard, when it is followed.
    pub(super) fn new(url: &str, allowed: &Allowed, log: Option<Inbox>) -> Self {
        Self {
            url: url.to_owned(),
            allowed: allowed.clone(),
            log,
            buffer_limit: None,
            list_in: 0,
            connection: None,
            retry: None,
            seen: ServerCounters::default(),
        }
    }

    pub(super) async fn sample(&mut self) -> Result<Sample, MonitorError> {
        match self.ask().await {
            Ok(answers) => Ok(self.fold(&answers)),
            // A server that was there and now refuses is down; one that is slow is a gap.
            Err(Lost::Gone(_)) if self.seen.restarts.count().is_some() => {
                let mut sample = Sample::default();
                sample.put("up", Some(0.0));
                sample.put("restarts", self.seen.restarts.count());
                Ok(sample)
            }
            Err(Lost::Gone(why) | Lost::Slow(why)) => Err(MonitorError::NoAnswer(format!(
                "{}: {why}",
                masked(&self.url)
            ))),
        }
    }

    /// The sample of the answers.
    fn fold(&mut self, answers: &ServerAnswers) -> Sample {
        let mut sample = self.seen.fold(&answers.info);
        sample.put(
            "latency_p99_s",
            answers.latencies.as_deref().and_then(slowest_p99),
        );
        let run = text(&answers.info, "run_id").unwrap_or_default();
        if let Some(entries) = answers.slowlog {
            sample.put("slowlog", Some(self.seen.slow(run, entries)));
        }
        if let Some(list) = &answers.subscribers {
            let buffers: Vec<f64> = output_buffers(list).collect();
            if buffers.len() > MANY_SUBSCRIBERS {
                self.list_in = RARELY;
            }
            sample.put(
                "pubsub_clients",
                u32::try_from(buffers.len()).ok().map(f64::from),
            );
            sample.put("output_buffers", Some(buffers.iter().sum()));
            sample.put(
                "output_buffer_max",
                Some(buffers.into_iter().fold(0.0, f64::max)),
            );
        }
        sample.limit("output_buffer_max", self.buffer_limit);
        if super::find(&sample.values, "output_buffer_kills").is_none()
            && let Some(log) = &self.log
        {
            sample.put("output_buffer_kills", log.buffer_kills().map(f64::from));
        }
        sample
    }

    /// Asks everything. What an old server or a user with few rights is refused, except `INFO`, is
    /// a gap.
    async fn ask(&mut self) -> Result<ServerAnswers, Lost> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let with_list = self.list_in == 0;
        self.list_in = self.list_in.saturating_sub(1);
        connection.renew();
        // Sent together: the connection is shared by its clones.
        let (info, latencies, slowlog, subscribers) = tokio::join!(
            ask::<String>(&connection, "INFO", &[]),
            ask::<String>(&connection, "INFO", &["latencystats"]),
            ask::<Vec<redis::Value>>(&connection, "SLOWLOG", &["GET", "1"]),
            async {
                if with_list {
                    ask::<String>(&connection, "CLIENT", &["LIST", "TYPE", "pubsub"])
                        .await
                        .ok()
                } else {
                    None
                }
            },
        );
        match info {
            Ok(info) => {
                self.connection = Some(connection);
                Ok(ServerAnswers {
                    info,
                    latencies: latencies.ok(),
                    slowlog: slowlog.ok().and_then(|entries| entries_ever(&entries)),
                    subscribers,
                })
            }
            Err(error) if error.is_timeout() => {
                // Kept: to open another one under load might be refused.
                self.connection = Some(connection);
                Err(Lost::Slow(error.to_string()))
            }
            Err(error) => Err(Lost::from(&error)),
        }
    }

    async fn connect(&mut self) -> Result<RedisConnection, Lost> {
        let wait = self.retry.map_or(BACK_OFF.0, |(_, wait)| wait);
        if self.retry.is_some_and(|(at, _)| Instant::now() < at) {
            return Err(Lost::Gone("not connected; trying again soon".to_owned()));
        }
        // Set before the attempt, which a deadline may cut short.
        self.retry = Some((Instant::now() + wait, (wait * 2).min(BACK_OFF.1)));
        let connection = RedisConnection::open(&self.url, &self.allowed, TIMEOUT, Some(TIMEOUT))
            .await
            .map_err(|e| Lost::from(&e))?;
        self.retry = None;
        let limits = ask::<Vec<String>>(
            &connection,
            "CONFIG",
            &["GET", "client-output-buffer-limit"],
        );
        // Not every user may ask; then there is no limit to draw.
        let limits = limits.await.ok();
        self.buffer_limit = limits.and_then(|l| pubsub_limit(l.get(1)?));
        Ok(connection)
    }
}

async fn ask<T: redis::FromRedisValue>(
    connection: &RedisConnection,
    command: &str,
    arguments: &[&str],
) -> redis::RedisResult<T> {
    let mut asked = redis::cmd(command);
    asked.arg(arguments);
    connection.ask(&asked).await
}

/// What a server answered in one second.
#[derive(Debug, Default)]
struct ServerAnswers {
    info: String,
    latencies: Option<String>,
    /// Entries that the slow log ever had.
    slowlog: Option<f64>,
    /// The list of the subscribers' connections.
    subscribers: Option<String>,
}

/// How many entries the slow log ever had, by the number of its newest: it has room for few but
/// numbers all.
fn entries_ever(log: &[redis::Value]) -> Option<f64> {
    match log.first() {
        None => Some(0.0),
        Some(redis::Value::Array(entry)) => match entry.first()? {
            redis::Value::Int(number) => Some(float(u64::try_from(*number).ok()? + 1)),
            _ => None,
        },
        Some(_) => None,
    }
}

/// Bytes that wait in every connection of a client list.
fn output_buffers(list: &str) -> impl Iterator<Item = f64> {
    let omem = |line: &str| {
        line.split_ascii_whitespace()
            .find_map(|word| word.strip_prefix("omem="))?
            .parse()
            .ok()
    };
    list.lines().filter_map(omem)
}

/// The hard limit in `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`.
fn pubsub_limit(limits: &str) -> Option<f64> {
    let mut words = limits.split_ascii_whitespace();
    words.find(|word| *word == "pubsub")?;
    words.next()?.parse().ok()
}

/// The 99th percentile of the slowest command, seconds; those of this monitor are left out.
fn slowest_p99(latencies: &str) -> Option<f64> {
    let p99 = |line: &str| {
        let (command, percentiles) = line
            .strip_prefix("latency_percentiles_usec_")?
            .split_once(':')?;
        if OWN_COMMANDS.contains(&command) {
            return None;
        }
        let p99 = percentiles
            .split(',')
            .find_map(|p| p.strip_prefix("p99="))?;
        Some(p99.trim().parse::<f64>().ok()? / 1e6)
    };
    latencies.lines().filter_map(p99).reduce(f64::max)
}

/// Why there is no answer.
enum Lost {
    /// The connection is refused or broken.
    Gone(String),
    /// It is there but late, or answered something else.
    Slow(String),
}

impl From<&redis::RedisError> for Lost {
    fn from(error: &redis::RedisError) -> Self {
        if error.is_connection_refusal() || error.is_connection_dropped() || error.is_io_error() {
            if error.is_timeout() {
                return Self::Slow(error.to_string());
            }
            return Self::Gone(error.to_string());
        }
        Self::Slow(error.to_string())
    }
}

/// Counters over restarts of the server, and over `CONFIG RESETSTAT`, which sets most of them back.
#[derive(Debug, Default)]
struct ServerCounters {
    /// Commands since the server, or its statistics, began.
    commands: f64,
    /// How often the statistics were seen to begin again.
    forgotten: u32,
    cpu: Rate,
    rejected: Counter,
    evicted: Counter,
    oom_errors: Counter,
    buffer_kills: Counter,
    slowlog: Counter,
    restarts: Changes,
}

impl ServerCounters {
    /// Counts the entries of the slow log. An empty one may have been told to forget them, and goes
    /// on with its numbers.
    fn slow(&mut self, run: &str, entries: f64) -> f64 {
        match self.slowlog.total() {
            Some(total) if entries <= 0.0 => total,
            _ => self.slowlog.update(run, entries),
        }
    }

    /// Names the time since the statistics began. A count that has grown again to where it was
    /// would not show that they did, but there are always fewer commands than before.
    fn statistics(&mut self, run: &str, info: &str) -> String {
        let commands = number(info, "total_commands_processed").unwrap_or(0.0);
        if commands < self.commands {
            self.forgotten += 1;
        }
        self.commands = commands;
        format!("{run}/{}", self.forgotten)
    }

    /// The sample of an `INFO` reply.
    fn fold(&mut self, info: &str) -> Sample {
        let run = text(info, "run_id").unwrap_or_default();
        let mut sample = Sample::default();
        sample.put("up", Some(1.0));
        sample.put("memory", number(info, "used_memory"));
        sample.put("rss", number(info, "used_memory_rss"));
        sample.put("clients", number(info, "connected_clients"));
        sample.put("blocked_clients", number(info, "blocked_clients"));
        sample.put("ops_per_s", number(info, "instantaneous_ops_per_sec"));
        if let (Some(user), Some(system)) =
            (number(info, "used_cpu_user"), number(info, "used_cpu_sys"))
        {
            let cpu = self.cpu.update(run, Instant::now(), user + system);
            sample.put("cpu", cpu);
        }
        let statistics = self.statistics(run, info);
        let mut count = |counter: &mut Counter, field, raw: Option<f64>| {
            sample.put(field, raw.map(|raw| counter.update(&statistics, raw)));
        };
        count(
            &mut self.rejected,
            "rejected_connections",
            number(info, "rejected_connections"),
        );
        count(
            &mut self.evicted,
            "evicted_keys",
            number(info, "evicted_keys"),
        );
        count(&mut self.oom_errors, "oom_errors", oom_errors(info));
        count(
            &mut self.buffer_kills,
            "output_buffer_kills",
            number(info, "client_output_buffer_limit_disconnections"),
        );
        sample.put("restarts", Some(self.restarts.update(run)));
        sample.limit("memory", number(info, "maxmemory"));
        sample.limit("clients", number(info, "maxclients"));
        sample
    }
}

fn text<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(str::trim)
}

fn number(info: &str, key: &str) -> Option<f64> {
    text(info, key)?.parse().ok()
}

/// Refused commands for want of memory. An error that never happened has no line; the section is
/// there all the same, but not before Redis 6.2.
fn oom_errors(info: &str) -> Option<f64> {
    match text(info, "errorstat_OOM") {
        Some(value) => value.strip_prefix("count=")?.parse().ok(),
        None => info.contains("# Errorstats").then_some(0.0),
    }
}

/// Reads a text as each of the answers that are asked for.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    let mut tracker = ServerCounters::default();
    for _ in 0..2 {
        drop(tracker.fold(text));
    }
    let _ = output_buffers(text).sum::<f64>();
    let _ = (pubsub_limit(text), slowest_p99(text));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::find;
    use super::*;

    // Recorded from Redis 7.0.15, shortened.
    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:3f1c\r\nuptime_in_seconds:41\r\n\r\n\
        # Clients\r\nconnected_clients:12\r\ncluster_connections:0\r\nmaxclients:10000\r\n\r\n\
        # Memory\r\nused_memory:419430400\r\nused_memory_human:400.00M\r\nused_memory_rss:430000000\r\nmaxmemory:419430400\r\n\r\n\
        # Stats\r\ninstantaneous_ops_per_sec:95\r\nrejected_connections:0\r\nevicted_keys:7\r\n\r\n\
        # CPU\r\nused_cpu_sys:1.250000\r\nused_cpu_user:2.500000\r\n\r\n\
        # Errorstats\r\nerrorstat_OOM:count=38\r\n\r\n";

    #[test]
    fn info_is_read() {
        let mut tracker = ServerCounters::default();
        let sample = tracker.fold(INFO);
        for (field, want) in [
            ("up", Some(1.0)),
            ("memory", Some(419_430_400.0)),
            ("rss", Some(430_000_000.0)),
            ("clients", Some(12.0)),
            ("ops_per_s", Some(95.0)),
            ("evicted_keys", Some(0.0)),
            ("oom_errors", Some(0.0)),
            ("restarts", Some(0.0)),
            ("cpu", None),
        ] {
            assert_eq!(find(&sample.values, field), want, "{field}");
        }
        assert_eq!(
            sample.limits,
            [
                ("memory".into(), 419_430_400.0),
                ("clients".into(), 10_000.0)
            ]
        );
        let more = INFO
            .replace("count=38", "count=40")
            .replace("evicted_keys:7", "evicted_keys:9");
        let sample = tracker.fold(&more);
        assert_eq!(find(&sample.values, "oom_errors"), Some(2.0));
        assert_eq!(find(&sample.values, "evicted_keys"), Some(2.0));
        let restarted = INFO
            .replace("3f1c", "77aa")
            .replace("errorstat_OOM:count=38\r\n", "");
        let sample = tracker.fold(&restarted);
        assert_eq!(find(&sample.values, "oom_errors"), Some(2.0));
        assert_eq!(find(&sample.values, "restarts"), Some(1.0));
    }

    #[test]
    fn counts_go_on_over_statistics_that_begin_again() {
        let mut tracker = ServerCounters::default();
        let mut errors = |commands: u32, count: u32| {
            let line =
                format!("instantaneous_ops_per_sec:95\r\ntotal_commands_processed:{commands}");
            let info = INFO
                .replace("instantaneous_ops_per_sec:95", &line)
                .replace("count=38", &format!("count={count}"));
            let sample = tracker.fold(&info);
            let restarts = find(&sample.values, "restarts");
            assert_eq!(restarts, Some(0.0), "the server is the same");
            find(&sample.values, "oom_errors")
        };
        assert_eq!(errors(1000, 3), Some(0.0));
        assert_eq!(errors(2000, 5), Some(2.0));
        // Set back and grown to where it was within a second.
        assert_eq!(errors(100, 5), Some(7.0));
        assert_eq!(errors(200, 6), Some(8.0));
        assert_eq!(errors(20, 0), Some(8.0));
        assert_eq!(errors(30, 1), Some(9.0));
    }

    #[test]
    fn a_slow_log_that_begins_counts_its_first_entry() {
        let entry = |id| redis::Value::Array(vec![redis::Value::Int(id), redis::Value::Int(9)]);
        assert_eq!(entries_ever(&[entry(0)]), Some(1.0));
        assert_eq!(entries_ever(&[redis::Value::Nil]), None);
        let mut tracker = ServerCounters::default();
        let mut slow = |log: &[redis::Value]| tracker.slow("run", entries_ever(log).unwrap());
        // The third was emptied; the last has more than there is room for.
        let seen: Vec<f64> = [vec![], vec![entry(0)], vec![], vec![entry(130)]]
            .map(|log| slow(&log))
            .into();
        assert_eq!(seen, [0.0, 1.0, 1.0, 131.0]);
    }

    // Recorded from Redis 7.0.15, shortened.
    #[test]
    fn output_buffers_their_limit_and_latencies_are_read() {
        let list = "id=4 addr=127.0.0.1:40112 name= sub=1 psub=0 qbuf=0 obl=0 oll=410 omem=8413200 tot-mem=8435456 cmd=subscribe\n\
                    id=5 addr=127.0.0.1:40114 name=omem=7 sub=1 obl=0 oll=0 omem=0 tot-mem=22400 cmd=subscribe\n";
        let buffers: Vec<f64> = output_buffers(&list.replace("omem=7 ", " ")).collect();
        assert_eq!(buffers, [8_413_200.0, 0.0]);
        let limits = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
        assert_eq!(pubsub_limit(limits), Some(33_554_432.0));
        assert_eq!(pubsub_limit("normal 0 0 0"), None);
        let latencies = "# Latencystats\r\nlatency_percentiles_usec_set:p50=21.119,p99=1003.519,p99.9=1003.519\r\n\
                         latency_percentiles_usec_publish:p50=1.003,p99=2007.039,p99.9=3000.0\r\n\
                         latency_percentiles_usec_info:p50=90.1,p99=9999.0,p99.9=9999.0\r\n";
        assert_eq!(slowest_p99(latencies), Some(0.002_007_039));
        assert_eq!(slowest_p99(""), None);
    }

    #[test]
    fn what_an_old_server_does_not_tell_is_a_gap() {
        let sample = ServerCounters::default().fold("run_id:1\r\nmaxmemory:0\r\nused_memory:5\r\n");
        assert_eq!(find(&sample.values, "oom_errors"), None);
        assert_eq!(find(&sample.values, "clients"), None);
        assert_eq!(sample.limits, [], "a limit of 0 is none");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// In any order, with any other fields between, each is read, and what another one's name
        /// begins with is not.
        #[test]
        fn fields_are_read_wherever_they_stand(
            memory in 0_u64..1 << 50,
            clients in 0_u64..1 << 40,
            others in prop::collection::vec("[a-z_]{1,12}:[ -~]{0,12}", 0..6),
            first in any::<bool>(),
        ) {
            let is_other = |line: &String| {
                let fields = ["used_memory:", "connected_clients:"];
                !fields.iter().any(|field| line.starts_with(field))
            };
            let mut lines: Vec<String> = others.into_iter().filter(is_other).collect();
            lines.insert(0, format!("used_memory_human:{memory}.00M"));
            let answers = [format!("used_memory:{memory}"), format!("connected_clients:{clients}")];
            let place = if first { 0 } else { lines.len() };
            lines.splice(place..place, answers);
            let sample = ServerCounters::default().fold(&lines.join("\r\n"));
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let (memory, clients) = (memory as f64, clients as f64);
            prop_assert_eq!(find(&sample.values, "memory"), Some(memory));
            prop_assert_eq!(find(&sample.values, "clients"), Some(clients));
        }
    }
}
