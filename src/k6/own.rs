//! What this program learns of a script that it runs itself.

use std::time::Duration;

use breakpoint_script::options::Options;

use super::{ITERATION_DURATION, ScriptUsers, users};

/// What a script says of itself beside thresholds and scenarios.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnScript {
    /// The functions that it exports.
    pub functions: Vec<String>,
    /// How long `setup` may take, once that is known.
    pub setup_timeout: Option<Duration>,
    /// Whether connections are closed after each iteration.
    pub closes_each_cycle: bool,
    /// Those of its thresholds, as objectives, for which every answer that is not expected is a
    /// failure, also one that sheds.
    pub failed: Vec<String>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// Whether a scenario of it has a browser.
    pub has_browser: bool,
    /// The metrics that it declares.
    pub metrics: Vec<Declared>,
    /// The kinds of users that its scenarios are.
    pub users: Vec<ScriptUsers>,
    /// Memory of one of its VUs that has run nothing but its init code, where that was measured.
    pub vu_memory: Option<u64>,
}

/// A metric of a script's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// What kind of values it has.
    pub kind: DeclaredKind,
}

/// What kind of values a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredKind {
    /// A distribution.
    Trend,
    /// A share.
    Rate,
    /// A sum.
    Counter,
    /// The last value.
    Gauge,
}

/// How a metric of the script's own becomes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricRow {
    /// Values that are times, in milliseconds: latencies.
    Time,
    /// A value that is not zero is a pass, any other a failure.
    PassIsOne,
    /// The reverse: the metric counts what goes wrong.
    PassIsZero,
    /// A pass for each one that is added: their rate is the sum per second.
    Sum,
    /// Requests that have the tags.
    Requests,
    /// The same, each as a pass, however it ended: their rate is that of requests.
    Counted,
    /// A part of the time of requests.
    Part(Part),
    /// Iterations that have the tags.
    Iterations,
}

/// A part of the time of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From the request to the last byte of its answer, whatever that says.
    Whole,
    /// Until there was a connection to make or to use.
    Blocked,
    /// Connecting.
    Connecting,
    /// The handshake of TLS.
    TlsHandshaking,
    /// From the request to the first byte of its answer.
    Waiting,
    /// From there to the last byte.
    Receiving,
}

impl Part {
    /// The part that a metric of k6 has.
    pub(super) fn of_metric(name: &str) -> Option<Self> {
        match name {
            "http_req_duration" => Some(Self::Whole),
            "http_req_blocked" => Some(Self::Blocked),
            "http_req_connecting" => Some(Self::Connecting),
            "http_req_tls_handshaking" => Some(Self::TlsHandshaking),
            "http_req_waiting" => Some(Self::Waiting),
            "http_req_receiving" => Some(Self::Receiving),
            _ => None,
        }
    }
}

impl OwnScript {
    /// What is known of one that exports these functions, declares these metrics and has these
    /// options.
    pub fn new(functions: Vec<String>, metrics: Vec<Declared>, options: &Options) -> Self {
        Self {
            setup_timeout: Some(options.setup_timeout),
            closes_each_cycle: options.no_vu_connection_reuse,
            failed: Vec::new(),
            insecure: options.insecure_skip_tls_verify,
            has_browser: options
                .scenarios
                .iter()
                .any(|scenario| scenario.has_browser),
            vu_memory: None,
            users: users(options),
            functions,
            metrics,
        }
    }

    /// Whether it exports a function.
    pub fn has(&self, function: &str) -> bool {
        self.functions.iter().any(|known| known == function)
    }

    /// The stages of the scenario of a name, else of its only one.
    pub fn stages(&self, scenario: Option<&str>) -> Option<&str> {
        let users = match (scenario, self.users.as_slice()) {
            (Some(name), all) => all.iter().find(|users| users.name == name)?,
            (None, [one]) => one,
            (None, _) => return None,
        };
        users.stages.as_deref()
    }

    /// The metric of a name; `checks` is there without being declared.
    pub fn kind_of(&self, name: &str) -> Option<DeclaredKind> {
        match name {
            "checks" => Some(DeclaredKind::Rate),
            "group_duration" | ITERATION_DURATION => Some(DeclaredKind::Trend),
            _ => {
                let found = self.metrics.iter().find(|metric| metric.name == name);
                found.map(|metric| metric.kind)
            }
        }
    }
}
