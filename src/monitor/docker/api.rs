//! The calls of the Docker Engine's API that are needed, over its Unix socket, and what their
//! answers hold.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::bounded::{self, BodyError};
use crate::monitor::MonitorError;
use crate::monitor::counter::float;
use crate::monitor::web::root_cause;

/// Where the Docker Engine listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "/var/run/docker.sock";
/// Bytes that the answer to one call may have: a container with thousands of labels and mounts.
const MOST: usize = 4 << 20;
/// Time that one call may take.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// `GET /containers/NAME/json`, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspect {
    pub(super) id: String,
    pub(super) state: ContainerState,
    /// How often the engine started it again by itself.
    #[serde(default)]
    restart_count: u64,
    pub(super) host_config: HostConfig,
    #[serde(default)]
    pub(super) config: Config,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ContainerState {
    pub(super) running: bool,
    #[serde(rename = "OOMKilled", default)]
    pub(super) oom_killed: bool,
    #[serde(default)]
    pub(super) pid: u32,
    #[serde(default)]
    pub(super) exit_code: i32,
    #[serde(default)]
    pub(super) started_at: String,
    pub(super) health: Option<Health>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Health {
    status: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostConfig {
    /// Bytes; 0 is none.
    #[serde(default)]
    pub(super) memory: u64,
    /// Billionths of a core; 0 is none.
    #[serde(default)]
    pub(super) nano_cpus: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    /// Whether it has a terminal: its log then has no frames.
    #[serde(default)]
    pub(super) tty: bool,
}

/// Why the engine does not do what it was asked.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: String,
}

impl Inspect {
    /// Names one start of one container.
    pub(super) fn incarnation(&self) -> String {
        format!("{}@{}", self.id, self.state.started_at)
    }

    /// What its health check found; `None` without one, and before its first word.
    pub(super) fn healthy(&self) -> Option<bool> {
        match self.state.health.as_ref()?.status.as_str() {
            "healthy" => Some(true),
            "unhealthy" => Some(false),
            _ => None,
        }
    }
}

/// Counts the starts of a container after the first that was seen.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    count: f64,
    /// The last start that was seen, and how often the engine had started it again by then.
    last: Option<(String, u64)>,
}

impl Restarts {
    /// A container that is started again by the engine may have been started several times between
    /// two looks.
    pub(super) fn update(&mut self, inspect: &Inspect) -> f64 {
        let now = (inspect.incarnation(), inspect.restart_count);
        if let Some((start, before)) = &self.last
            && *start != now.0
        {
            self.count += float(now.1.saturating_sub(*before).max(1));
        }
        self.last = Some(now);
        self.count
    }
}

/// One line of `GET /events`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Event {
    action: String,
    actor: Actor,
    /// Time, billionths of a second.
    #[serde(rename = "timeNano", default)]
    pub(super) time_nano: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    #[serde(default)]
    attributes: HashMap<String, String>,
}

impl Event {
    /// `die, exit code 137`.
    pub(super) fn text(&self) -> String {
        match self.actor.attributes.get("exitCode") {
            Some(code) => format!("{}, exit code {code}", self.action),
            None => self.action.clone(),
        }
    }
}

/// The engine, if it is there.
#[derive(Debug, Clone)]
pub(crate) struct DockerEngine {
    socket: PathBuf,
    calls: reqwest::Client,
    /// For answers that go on for ever.
    streams: reqwest::Client,
}

impl DockerEngine {
    /// The engine of this machine, or the one that `DOCKER_HOST` names.
    pub(crate) fn new() -> Result<Self, MonitorError> {
        Self::at(socket())
    }

    /// The engine that listens there.
    pub(crate) fn at(socket: PathBuf) -> Result<Self, MonitorError> {
        let client = |timeout: Option<Duration>| {
            crate::crypto::install();
            let builder = reqwest::Client::builder()
                .unix_socket(socket.as_path())
                .no_proxy()
                // No TLS is spoken here: this keeps the client from looking for the system's
                // certificates.
                .tls_certs_only(std::iter::empty());
            let builder = match timeout {
                Some(timeout) => builder.timeout(timeout),
                None => builder,
            };
            let client = builder.build();
            client.map_err(|e| {
                MonitorError::NoAnswer(format!("cannot ask Docker: {}", root_cause(&e)))
            })
        };
        Ok(Self {
            calls: client(Some(TIMEOUT))?,
            streams: client(None)?,
            socket,
        })
    }

    pub(super) async fn inspect(&self, name: &str) -> Result<Inspect, MonitorError> {
        let url = url(&format!("containers/{name}/json"), &[])?;
        let mut answer = self.checked(self.calls.get(url), name).await?;
        let body = bounded::body(&mut answer, MOST).await;
        let body = body.map_err(|error| match error {
            BodyError::Broken(error) => self.no_answer(&error),
            other => MonitorError::Unexpected(format!("Docker: {other}")),
        })?;
        serde_json::from_slice(&body)
            .map_err(|e| MonitorError::Unexpected(format!("cannot read Docker's answer: {e}")))
    }

    /// Whether a container runs now.
    pub(crate) async fn is_running(&self, name: &str) -> Result<bool, MonitorError> {
        Ok(self.inspect(name).await?.state.running)
    }

    /// Starts a container again, whether it runs or not. One that runs has a second to end by
    /// itself.
    pub(crate) async fn restart(&self, name: &str, limit: Duration) -> Result<(), MonitorError> {
        let url = url(&format!("containers/{name}/restart"), &[("t", "1")])?;
        let asked = self.calls.post(url).timeout(limit).send();
        let mut answer = asked.await.map_err(|e| self.no_answer(&e))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let body = bounded::body(&mut answer, MOST).await.unwrap_or_default();
        let refusal: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
        let why = format!("Docker answered {status}: {}", refusal.message);
        Err(MonitorError::NoAnswer(why))
    }

    /// An answer that goes on.
    pub(super) async fn stream(
        &self,
        name: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<reqwest::Response, MonitorError> {
        self.checked(self.streams.get(url(path, query)?), name)
            .await
    }

    async fn checked(
        &self,
        request: reqwest::RequestBuilder,
        name: &str,
    ) -> Result<reqwest::Response, MonitorError> {
        let answer = request.send().await.map_err(|e| self.no_answer(&e))?;
        match answer.status() {
            reqwest::StatusCode::NOT_FOUND => Err(MonitorError::Unexpected(format!(
                "there is no container `{name}`"
            ))),
            status if !status.is_success() => {
                Err(MonitorError::NoAnswer(format!("Docker answered {status}")))
            }
            _ => Ok(answer),
        }
    }

    fn no_answer(&self, error: &reqwest::Error) -> MonitorError {
        MonitorError::NoAnswer(format!(
            "Docker does not answer on {}: {}",
            self.socket.display(),
            root_cause(error)
        ))
    }
}

fn url(path: &str, query: &[(&str, &str)]) -> Result<reqwest::Url, MonitorError> {
    let mut url = reqwest::Url::parse(&format!("http://docker/{path}"))
        .map_err(|e| MonitorError::Unexpected(format!("`{path}` names no container: {e}")))?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

/// The engine's socket.
fn socket() -> PathBuf {
    std::env::var("DOCKER_HOST")
        .ok()
        .and_then(|host| host.strip_prefix("unix://").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(SOCKET))
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(data: &[u8]) {
    if let Ok(inspect) = serde_json::from_slice::<Inspect>(data) {
        let mut restarts = Restarts::default();
        assert!(
            restarts.update(&inspect).abs() < f64::EPSILON,
            "nothing restarted yet"
        );
        drop((inspect.incarnation(), inspect.healthy()));
    }
    drop(serde_json::from_slice::<Event>(data).map(|event| event.text()));
    drop(serde_json::from_slice::<ErrorBody>(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_answers_without_end_is_not_read_to_it() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 4096];
                let read = stream.read(&mut asked).await.unwrap_or(0);
                // One says how long it is, the other one never ends.
                let head = if asked[..read].starts_with(b"GET /containers/said/") {
                    "HTTP/1.1 200 OK\r\ncontent-length: 3200000000\r\n\r\n"
                } else {
                    "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
                };
                let mut piece = head.as_bytes().to_vec();
                while stream.write_all(&piece).await.is_ok() {
                    piece = vec![b' '; 1 << 16];
                }
            }
        });
        for name in ["said", "endless"] {
            let engine = DockerEngine::at(socket.clone()).unwrap();
            let error = engine.inspect(name).await.unwrap_err().to_string();
            assert!(error.contains("longer than 4 MiB"), "{name}: {error}");
        }
    }

    #[test]
    fn events_are_read() {
        // Recorded from Docker 20.10, shortened.
        let die = r#"{"status":"die","id":"6549","from":"mon-box","Type":"container","Action":"die","Actor":{"ID":"6549",
            "Attributes":{"exitCode":"137","image":"mon-box","name":"mon1"}},"scope":"local","time":1795629041,
            "timeNano":1795629041816698847}"#;
        let event: Event = serde_json::from_str(die).unwrap();
        assert_eq!(event.text(), "die, exit code 137");
        assert_eq!(event.time_nano, 1_795_629_041_816_698_847);
        let health = r#"{"Action":"health_status: unhealthy","Actor":{"Attributes":{"name":"x"}}}"#;
        let event: Event = serde_json::from_str(health).unwrap();
        assert_eq!(event.text(), "health_status: unhealthy");
    }

    #[test]
    fn restarts_between_two_looks_are_counted() {
        let of = |start: &str, again: u64| {
            let text = format!(
                r#"{{"Id":"1","State":{{"Running":true,"StartedAt":"{start}"}},"RestartCount":{again},"HostConfig":{{}}}}"#
            );
            serde_json::from_str::<Inspect>(&text).unwrap()
        };
        let mut restarts = Restarts::default();
        // The last was started by hand, which forgets the engine's count.
        let seen: Vec<f64> = [("a", 0), ("a", 0), ("b", 3), ("c", 4), ("d", 0)]
            .map(|(start, again)| restarts.update(&of(start, again)))
            .into();
        assert_eq!(seen, [0.0, 0.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn health_is_known_only_once_it_was_checked() {
        let of = |health: &str| {
            let text = format!(
                r#"{{"Id":"1","State":{{"Running":true{health}}},"HostConfig":{{}},"Config":{{"Tty":true}}}}"#
            );
            let inspect: Inspect = serde_json::from_str(&text).unwrap();
            assert!(inspect.config.tty);
            inspect.healthy()
        };
        assert_eq!(of(""), None);
        assert_eq!(of(r#","Health":{"Status":"starting"}"#), None);
        assert_eq!(of(r#","Health":{"Status":"healthy"}"#), Some(true));
        assert_eq!(of(r#","Health":{"Status":"unhealthy"}"#), Some(false));
    }
}
