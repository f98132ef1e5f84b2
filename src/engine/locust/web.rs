//! The web port of a Locust master: what is asked of it, and what its answers mean.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::LocustSpec;
use crate::bounded::{self, BodyError};
use crate::crypto::{self, Trust};
use crate::engine::EngineError;
use crate::secret::masked;

/// How long an answer may take; a question for the next second waits up to 3 s at the master.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that an answer may have: some seconds of a cluster with a hundred workers and as many
/// requests.
const MOST: usize = 5 << 20;

/// A master's web port.
#[derive(Debug, Clone)]
pub(super) struct Web {
    client: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    trust: Option<Trust>,
}

/// Why an answer is none.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no such page.
    Missing,
    /// Anything else, as one sentence.
    Other(String),
}

impl Web {
    /// For the master of a specification.
    pub(super) fn new(spec: &LocustSpec) -> Result<Self, EngineError> {
        let start = |why: String| EngineError::Start(why);
        let mut base = Url::parse(&spec.url).map_err(|e| {
            start(format!(
                "the address of the Locust master, {}: {e}",
                masked(&spec.url)
            ))
        })?;
        if !base.path().ends_with('/') {
            // Else the last part of a base path would be replaced by what is joined to it.
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &spec.headers {
            let wrong = || start(format!("`{name}` cannot be a header for the Locust master"));
            let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
            let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let builder = reqwest::Client::builder()
            .no_proxy()
            // A master that wants a login sends elsewhere; that is to be told, not followed.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT);
        let builder = match &spec.trust {
            Some(trust) => builder.tls_backend_preconfigured((**trust.config()).clone()),
            // No TLS is spoken here: this keeps the client from looking for the system's
            // certificates.
            None => builder.tls_certs_only(std::iter::empty()),
        };
        let builder = crypto::resolved(builder, &spec.resolve, &spec.allowed);
        let client = builder.build().map_err(|e| start(root_cause(&e)))?;
        Ok(Self {
            trust: spec.trust.clone(),
            client,
            base,
            headers,
        })
    }

    /// The innermost reason, and what to do.
    fn unreachable(&self, at: &str, error: &reqwest::Error) -> String {
        let tls = self.trust.as_ref().and_then(|trust| trust.reason_in(error));
        if let Some(why) = tls {
            return format!("cannot talk to {at}: {why}");
        }
        let why = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            root_cause(error)
        };
        format!("{at} does not answer ({why}): is it running with its web UI (not --headless)?")
    }

    /// Where it is, without who asks.
    pub(super) fn shown(&self) -> String {
        let mut base = self.base.clone();
        // Addresses that cannot have a user have none to hide.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        masked(base.as_str()).trim_end_matches('/').to_owned()
    }

    async fn ask(&self, method: Method, path: &str, form: &str) -> Result<Vec<u8>, Trouble> {
        let at = || format!("the Locust master at {}", self.shown());
        let url = self
            .base
            .join(path)
            .map_err(|e| Trouble::Other(format!("{}: {e}", at())))?;
        let mut request = self
            .client
            .request(method.clone(), url)
            .headers(self.headers.clone());
        if method == Method::POST {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.to_owned());
        }
        let answer = request.send().await;
        let mut answer = answer.map_err(|e| Trouble::Other(self.unreachable(&at(), &e)))?;
        let status = answer.status();
        let bytes = bounded::body(&mut answer, MOST).await;
        let bytes = bytes.map_err(|error| match error {
            BodyError::Broken(error) => Trouble::Other(self.unreachable(&at(), &error)),
            other => Trouble::Other(format!("{}: {path}: {other}", at())),
        })?;
        match status {
            s if s.is_success() => Ok(bytes),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Err(Trouble::Missing),
            s if s.is_redirection()
                || s == StatusCode::UNAUTHORIZED
                || s == StatusCode::FORBIDDEN =>
            {
                Err(Trouble::Other(format!(
                    "{} requires a login ({s}): send what a logged-in browser sends, such as \
                     --locust-header 'cookie: {{{{ env.LOCUST_COOKIE }}}}', or `headers` in the \
                     profile's [engine]",
                    at()
                )))
            }
            s => Err(Trouble::Other(format!("{} answered {path} with {s}", at()))),
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        form: &str,
    ) -> Result<T, Trouble> {
        let bytes = self.ask(method, path, form).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Trouble::Other(format!(
                "the server at {} is not a supported Locust master ({path}: {e}); give the address \
                 of its web UI, with --web-base-path if it has one",
                self.shown()
            ))
        })
    }

    /// What the plug-in says of the cluster.
    pub(super) async fn status(&self) -> Result<Status, Trouble> {
        self.json(Method::GET, "breakpoint/status", "").await
    }

    /// The plug-in's seconds after one; `None` asks for what comes from now on.
    pub(super) async fn seconds_after(&self, after: Option<u64>) -> Result<Seconds, Trouble> {
        let after = after.map_or_else(|| "-1".to_owned(), |s| s.to_string());
        let path = format!("breakpoint/windows?after={after}&drives=1");
        self.json(Method::GET, &path, "").await
    }

    /// Tells the plug-in that nobody asks any more.
    pub(super) async fn leave(&self) -> Result<(), Trouble> {
        self.ask(Method::POST, "breakpoint/leave", "")
            .await
            .map(drop)
    }

    /// Asks for so many users.
    pub(super) async fn swarm(&self, users: u32, per_s: f64) -> Result<Swarm, Trouble> {
        let form = format!("user_count={users}&spawn_rate={per_s}");
        self.json(Method::POST, "swarm", &form).await
    }

    /// Ends the test.
    pub(super) async fn stop(&self) -> Result<(), Trouble> {
        self.ask(Method::POST, "stop", "").await.map(drop)
    }

    /// How many user classes the test has.
    pub(super) async fn user_classes(&self) -> Result<usize, Trouble> {
        let tasks: Tasks = self.json(Method::GET, "tasks", "").await?;
        Ok(tasks.per_class.len())
    }

    /// What the master's own page shows of the cluster; up to 2 s old.
    pub(super) async fn page(&self) -> Result<Page, Trouble> {
        self.json(Method::GET, "stats/requests", "").await
    }

    /// Counts and percentiles since the last reset, as the page's download has them.
    pub(super) async fn percentiles(&self) -> Result<String, Trouble> {
        let bytes = self.ask(Method::GET, "stats/requests/csv", "").await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Forgets what was counted.
    pub(super) async fn reset(&self) -> Result<(), Trouble> {
        self.ask(Method::POST, "stats/reset", "").await.map(drop)
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl Trouble {
    /// As one sentence.
    pub(super) fn text(self) -> String {
        match self {
            Self::Missing => "the Locust master has no such page".to_owned(),
            Self::Other(why) => why,
        }
    }
}

/// `POST /swarm`.
#[derive(Debug, Deserialize)]
pub(super) struct Swarm {
    pub(super) success: bool,
    #[serde(default)]
    pub(super) message: String,
    /// What the users load.
    #[serde(default)]
    pub(super) host: Option<String>,
}

/// `GET /tasks`.
#[derive(Debug, Deserialize)]
struct Tasks {
    per_class: serde_json::Map<String, serde_json::Value>,
}

/// `GET /stats/requests`.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) state: String,
    #[serde(default)]
    pub(super) user_count: u32,
    /// `None` where one process is both master and worker.
    pub(super) workers: Option<Vec<PageWorker>>,
    #[serde(default)]
    pub(super) errors: Vec<PageError>,
}

/// A worker on the page.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PageWorker {
    pub(super) id: String,
    pub(super) state: String,
    /// Of one core, per cent, over the last ten seconds.
    #[serde(default)]
    pub(super) cpu_usage: f64,
}

/// A kind of failure on the page, since the last reset.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PageError {
    #[serde(default)]
    pub(super) method: String,
    pub(super) name: String,
    pub(super) error: String,
    pub(super) occurrences: u64,
}

/// `GET /breakpoint/status` of the plug-in.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) protocol: u32,
    pub(super) locust: String,
    pub(super) state: String,
    pub(super) host: Option<String>,
    /// The `LoadTestShape` of the test, if it has one.
    pub(super) shape: Option<String>,
    pub(super) workers: Vec<StatusWorker>,
}

/// A worker as the plug-in sees it.
#[derive(Debug, Deserialize)]
pub(super) struct StatusWorker {
    pub(super) id: String,
    pub(super) state: String,
    /// Seconds since it last reported a second; `None` where it never did.
    pub(super) reported_ago_s: Option<f64>,
}

/// `GET /breakpoint/windows` of the plug-in.
#[derive(Debug, Deserialize)]
pub(super) struct Seconds {
    /// The master's time, seconds.
    pub(super) now: f64,
    pub(super) state: String,
    pub(super) windows: Vec<super::second::SecondData>,
}
