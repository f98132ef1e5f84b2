//! A Redis server, by `INFO` over one connection that is opened before the load: a server that has run out of clients
//! refuses a monitor that connects for every sample.

use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

use super::counter::{Changes, Counter, Rate};
use super::{MonitorError, Sample};

/// What a Redis server tells.
pub(super) const FIELDS: &[&str] = &[
    "up",
    "memory",
    "rss",
    "cpu",
    "clients",
    "ops_per_s",
    "rejected_connections",
    "evicted_keys",
    "oom_errors",
    "restarts",
];

/// Time that one call may take.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// First and longest wait before the next try to connect.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));

/// A monitor of one Redis server.
#[derive(Debug)]
pub(super) struct Server {
    url: String,
    connection: Option<MultiplexedConnection>,
    /// When to connect again, and how long to wait after that.
    retry: Option<(Instant, Duration)>,
    seen: Tracker,
}

impl Server {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            connection: None,
            retry: None,
            seen: Tracker::default(),
        }
    }

    pub(super) async fn sample(&mut self) -> Result<Sample, MonitorError> {
        match self.info().await {
            Ok(info) => Ok(self.seen.fold(&info)),
            // A server that was there and now refuses is down; one that is slow is a gap.
            Err(Lost::Gone(_)) if self.seen.restarts.count().is_some() => {
                let mut sample = Sample::default();
                sample.put("up", Some(0.0));
                sample.put("restarts", self.seen.restarts.count());
                Ok(sample)
            }
            Err(Lost::Gone(why) | Lost::Slow(why)) => {
                Err(MonitorError::NoAnswer(format!("{}: {why}", self.url)))
            }
        }
    }

    async fn info(&mut self) -> Result<String, Lost> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer: redis::RedisResult<String> =
            redis::cmd("INFO").query_async(&mut connection).await;
        match answer {
            Ok(info) => {
                self.connection = Some(connection);
                Ok(info)
            }
            Err(error) if error.is_timeout() => {
                // Kept: to open another one under load might be refused.
                self.connection = Some(connection);
                Err(Lost::Slow(error.to_string()))
            }
            Err(error) => Err(Lost::from(&error)),
        }
    }

    async fn connect(&mut self) -> Result<MultiplexedConnection, Lost> {
        let wait = self.retry.map_or(BACK_OFF.0, |(_, wait)| wait);
        if self.retry.is_some_and(|(at, _)| Instant::now() < at) {
            return Err(Lost::Gone("not connected; trying again soon".to_owned()));
        }
        // Set before the attempt, which a deadline may cut short.
        self.retry = Some((Instant::now() + wait, (wait * 2).min(BACK_OFF.1)));
        let client = redis::Client::open(self.url.as_str()).map_err(|e| Lost::from(&e))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|e| Lost::from(&e))?;
        self.retry = None;
        Ok(connection)
    }
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

/// Counters over restarts of the server.
#[derive(Debug, Default)]
struct Tracker {
    cpu: Rate,
    rejected: Counter,
    evicted: Counter,
    oom_errors: Counter,
    restarts: Changes,
}

impl Tracker {
    /// The sample of an `INFO` reply.
    fn fold(&mut self, info: &str) -> Sample {
        let run = text(info, "run_id").unwrap_or_default();
        let mut sample = Sample::default();
        sample.put("up", Some(1.0));
        sample.put("memory", number(info, "used_memory"));
        sample.put("rss", number(info, "used_memory_rss"));
        sample.put("clients", number(info, "connected_clients"));
        sample.put("ops_per_s", number(info, "instantaneous_ops_per_sec"));
        if let (Some(user), Some(system)) =
            (number(info, "used_cpu_user"), number(info, "used_cpu_sys"))
        {
            let cpu = self.cpu.update(run, Instant::now(), user + system);
            sample.put("cpu", cpu);
        }
        let mut count = |counter: &mut Counter, field, raw: Option<f64>| {
            sample.put(field, raw.map(|raw| counter.update(run, raw)));
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

/// Refused commands for want of memory. An error that never happened has no line; the section is there all the same, but
/// not before Redis 6.2.
fn oom_errors(info: &str) -> Option<f64> {
    match text(info, "errorstat_OOM") {
        Some(value) => value.strip_prefix("count=")?.parse().ok(),
        None => info.contains("# Errorstats").then_some(0.0),
    }
}

#[cfg(test)]
mod tests {
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
        let mut tracker = Tracker::default();
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
    fn what_an_old_server_does_not_tell_is_a_gap() {
        let sample = Tracker::default().fold("run_id:1\r\nmaxmemory:0\r\nused_memory:5\r\n");
        assert_eq!(find(&sample.values, "oom_errors"), None);
        assert_eq!(find(&sample.values, "clients"), None);
        assert_eq!(sample.limits, [], "a limit of 0 is none");
    }
}
