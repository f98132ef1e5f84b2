//! `--remote-write`: the same metrics sent to a Prometheus server (or whatever speaks its protocol)
//! every few seconds.
//!
//! Protocol: <https://prometheus.io/docs/specs/prw/remote_write_spec/>, version 0.1.0:
//! snappy-compressed protobuf. A server that is slow or away costs samples, never the load: what
//! could not be sent is told once and dropped.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message as _;
use reqwest::Url;
use tokio::sync::Notify;

use crate::crypto;
use crate::excerpt;
use crate::live::Live;
use crate::live::metrics::Samples;
use crate::scenario::{Allowed, Resolve};
use crate::secret::masked;

/// Time between two writes.
const EVERY: Duration = Duration::from_secs(5);
/// What the server may take to answer.
const DEADLINE: Duration = Duration::from_secs(4);
/// Bytes of an error of the server that are looked at.
const QUOTED: usize = 1024;
/// The NaN that says that a series has ended.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Why nothing can be sent there.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The address is none.
    #[error("--remote-write {0}: not a URL; write it as http://127.0.0.1:9090/api/v1/write")]
    Address(String),
    /// No client can be made.
    #[error("--remote-write: {0}")]
    Client(reqwest::Error),
}

/// Sends what it is shown.
#[derive(Debug)]
pub struct RemoteWrite {
    shared: Arc<PushState>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct PushState {
    live: Mutex<Live>,
    /// The first thing that went wrong, until it is told.
    trouble: Mutex<Option<String>>,
    end: Notify,
}

impl RemoteWrite {
    /// Begins to send to this address, which is this machine's or allowed.
    ///
    /// # Errors
    /// When the text is no address of HTTP.
    pub fn start(address: &str, allowed: &Allowed) -> Result<Self, PushError> {
        let url = Url::parse(address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| PushError::Address(masked(address)))?;
        let client = reqwest::Client::builder();
        let client = crypto::resolved(client, &Resolve::default(), allowed)
            // A proxy of the environment would be handed the password.
            .no_proxy()
            // Neither does the password go where an answer points to.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(DEADLINE)
            .build()
            .map_err(PushError::Client)?;
        let shared = Arc::new(PushState::default());
        let writer = Writer {
            client,
            url,
            shared: Arc::clone(&shared),
            told: false,
            series: BTreeSet::new(),
            at_ms: i64::MIN,
        };
        Ok(Self {
            shared,
            task: tokio::spawn(writer.run()),
        })
    }

    /// Shows a new state.
    pub fn show(&self, live: &Live) {
        lock(&self.shared.live).clone_from(live);
    }

    /// What went wrong, once.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.shared.trouble).take()
    }

    /// Sends the last state and ends the series.
    pub async fn stop(self) -> Option<String> {
        self.shared.end.notify_one();
        // Each of the two last writes has its deadline.
        let _ = self.task.await;
        lock(&self.shared.trouble).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    client: reqwest::Client,
    url: Url,
    shared: Arc<PushState>,
    told: bool,
    /// The series of the last write.
    series: BTreeSet<Vec<Label>>,
    /// The time of the last write.
    at_ms: i64,
}

impl Writer {
    async fn run(mut self) {
        let mut beat = tokio::time::interval(EVERY);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let ended = tokio::select! {
                _ = beat.tick() => false,
                () = self.shared.end.notified() => true,
            };
            let samples = super::samples(&lock(&self.shared.live));
            self.write(&samples).await;
            if ended {
                self.write(&[]).await;
                return;
            }
        }
    }

    /// A time after that of the last write: a server that answers within a millisecond would refuse
    /// the marks of the end, which follow at once, as second samples of one moment.
    fn later(&mut self, now_ms: i64) -> i64 {
        self.at_ms = now_ms.max(self.at_ms.saturating_add(1));
        self.at_ms
    }

    /// Sends samples, and a mark for every series that has none any more.
    async fn write(&mut self, samples: &[Samples]) {
        let at = self.later(now_ms());
        let mut timeseries = series(samples, at);
        let present: BTreeSet<Vec<Label>> = timeseries.iter().map(|s| s.labels.clone()).collect();
        let ended = self.series.difference(&present).cloned();
        timeseries.extend(ended.map(|labels| one(labels, STALE, at)));
        self.series = present;
        if timeseries.is_empty() {
            return;
        }
        if let Err(why) = self.send(WriteRequest { timeseries }).await
            && !self.told
        {
            self.told = true;
            let url = masked(self.url.as_str());
            *lock(&self.shared.trouble) = Some(format!(
                "--remote-write {url}: {why}; the run continues without it (reported once)"
            ));
        }
    }

    async fn send(&self, request: WriteRequest) -> Result<(), String> {
        let body = snap::raw::Encoder::new()
            .compress_vec(&request.encode_to_vec())
            .map_err(|e| e.to_string())?;
        let mut answer = self
            .client
            .post(self.url.clone())
            .header("Content-Encoding", "snappy")
            .header("Content-Type", "application/x-protobuf")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .body(body)
            .send()
            .await
            .map_err(|e| root(&e))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let words = first_words(&mut answer).await;
        Err(format!("{status} {}", excerpt::line(&words)))
    }
}

/// The beginning of an answer; what comes after it is not read.
async fn first_words(answer: &mut reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < QUOTED
        && let Ok(Some(piece)) = answer.chunk().await
    {
        bytes.extend_from_slice(&piece[..piece.len().min(QUOTED)]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The innermost reason: that of the socket, not of the library.
fn root(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX))
}

/// A series per sample; its labels stand in the order of their names.
fn series(samples: &[Samples], at: i64) -> Vec<TimeSeries> {
    let all = samples.iter().flat_map(|s| {
        let name = s.family.name;
        s.values.iter().map(move |(labels, value)| {
            let own = labels.iter().map(|(k, v)| (*k, v.clone()));
            let fixed = [
                ("__name__", name.to_owned()),
                ("job", "breakpoint".to_owned()),
            ];
            let mut labels: Vec<Label> = own
                .chain(fixed)
                .map(|(name, value)| Label {
                    name: name.to_owned(),
                    value,
                })
                .collect();
            labels.sort();
            one(labels, *value, at)
        })
    });
    all.collect()
}

fn one(labels: Vec<Label>, value: f64, timestamp: i64) -> TimeSeries {
    TimeSeries {
        labels,
        samples: vec![Sample { value, timestamp }],
    }
}

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

/// `prometheus.Label`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `prometheus.Sample`.
#[derive(Clone, PartialEq, prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::metrics::{Family, MetricKind};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn samples(values: &[(&str, f64)]) -> Vec<Samples> {
        vec![Samples {
            family: Family {
                name: "breakpoint_monitor",
                kind: MetricKind::Gauge,
                help: "",
            },
            values: values
                .iter()
                .map(|(monitor, v)| (vec![("monitor", (*monitor).to_owned())], *v))
                .collect(),
        }]
    }

    #[test]
    fn labels_are_sorted_and_a_series_has_one_sample() {
        let series = series(&samples(&[("gateway", 3.0)]), 7);
        let names: Vec<_> = series[0].labels.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["__name__", "job", "monitor"]);
        assert_eq!(
            series[0].samples,
            [Sample {
                value: 3.0,
                timestamp: 7
            }]
        );
    }

    /// The protobuf of a known message, byte by byte as the encoding says.
    #[test]
    fn the_message_is_that_of_the_protocol() {
        let request = WriteRequest {
            timeseries: vec![one(
                vec![Label {
                    name: "a".to_owned(),
                    value: "b".to_owned(),
                }],
                1.0,
                150,
            )],
        };
        let label = [0x0a, 1, b'a', 0x12, 1, b'b'];
        let sample = [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0x96, 0x01];
        let mut wanted = vec![0x0a, 22, 0x0a, 6];
        wanted.extend(label);
        wanted.extend([0x12, 12]);
        wanted.extend(sample);
        assert_eq!(request.encode_to_vec(), wanted);
        assert!(STALE.is_nan());
    }

    /// Answers one request after the other with this status, and gives what came.
    async fn server(status: &'static str) -> (String, tokio::sync::mpsc::Receiver<WriteRequest>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let body = loop {
                    let mut chunk = [0; 4096];
                    let n = tcp.read(&mut chunk).await.unwrap();
                    bytes.extend(&chunk[..n]);
                    if let Some(body) = body(&bytes) {
                        break body;
                    }
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfull"
                );
                tcp.write_all(answer.as_bytes()).await.unwrap();
                let raw = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
                let _ = sender.send(WriteRequest::decode(&raw[..]).unwrap()).await;
            }
        });
        (address, receiver)
    }

    /// The body of a request once all of it is there.
    fn body(bytes: &[u8]) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        let length = text
            .split("content-length: ")
            .nth(1)?
            .split("\r\n")
            .next()?;
        let start = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let whole = start + length.parse::<usize>().unwrap();
        (bytes.len() >= whole).then(|| bytes[start..whole].to_vec())
    }

    #[tokio::test]
    async fn the_end_sends_the_last_state_and_ends_every_series() {
        crate::crypto::install();
        let (address, mut received) = server("204 No Content").await;
        let push = RemoteWrite::start(&address, &Allowed::default()).unwrap();
        let first = received.recv().await.unwrap();
        assert!(!first.timeseries.is_empty());
        assert_eq!(push.stop().await, None);
        let last = received.recv().await.unwrap();
        let stale = received.recv().await.unwrap();
        assert_eq!(last.timeseries.len(), stale.timeseries.len());
        let at = |request: &WriteRequest| request.timeseries[0].samples[0].timestamp;
        assert!(
            at(&last) < at(&stale),
            "two samples of one moment are refused"
        );
        let bits = |s: &TimeSeries| s.samples[0].value.to_bits();
        assert!(stale.timeseries.iter().all(|s| bits(s) == STALE.to_bits()));
    }

    #[tokio::test]
    async fn a_server_that_refuses_is_told_once_without_the_password() {
        crate::crypto::install();
        let (address, mut received) = server("500 No").await;
        let address = address.replace("http://", "http://me:secret@");
        let push = RemoteWrite::start(&address, &Allowed::default()).unwrap();
        received.recv().await.unwrap();
        let told = push.stop().await.unwrap();
        assert!(told.contains("500") && told.contains("full"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }

    #[tokio::test]
    async fn a_server_that_is_away_ends_nothing() {
        crate::crypto::install();
        let push =
            RemoteWrite::start("http://127.0.0.1:1/api/v1/write", &Allowed::default()).unwrap();
        let told = push.stop().await.unwrap();
        assert!(
            told.contains("refused") && told.contains("continues without it"),
            "{told}"
        );
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in ["", "prometheus:9090", "ftp://127.0.0.1/", "http://"] {
            let error = RemoteWrite::start(text, &Allowed::default())
                .unwrap_err()
                .to_string();
            assert!(error.contains("/api/v1/write"), "{text}: {error}");
        }
    }
}
