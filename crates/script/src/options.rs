//! What a script says in `options`, as typed values.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::threshold::{self, Threshold};

mod duration;
mod line;
mod read;
mod scenario;
#[cfg(test)]
mod tests;

pub use duration::duration;
pub use line::line;
pub use scenario::{Executor, Scenario, Stage};

use read::At;

/// Why options are not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{place}` {message}")]
pub struct OptionsError {
    /// The option, such as `scenarios.login.stages[2].target`.
    pub place: String,
    /// What is wrong with it, and the way out.
    pub message: String,
}

/// An option that changes nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// The option.
    pub place: String,
    /// Why.
    pub reason: &'static str,
}

/// The options of a script. Those that it does not set have k6's defaults, or are `None` where
/// there is no default.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "as many switches as k6 has")]
pub struct Options {
    /// `vus`.
    pub vus: Option<u64>,
    /// `duration`.
    pub duration: Option<Duration>,
    /// `iterations`.
    pub iterations: Option<u64>,
    /// `stages`.
    pub stages: Option<Vec<Stage>>,
    /// `scenarios`, by name.
    pub scenarios: Vec<Scenario>,
    /// `thresholds`, by metric.
    pub thresholds: Vec<Watched>,
    /// `noConnectionReuse`: no connection serves a second request.
    pub no_connection_reuse: bool,
    /// `noVUConnectionReuse`: no connection outlives its iteration.
    pub no_vu_connection_reuse: bool,
    /// `noCookiesReset`: cookies outlive their iteration.
    pub no_cookies_reset: bool,
    /// `insecureSkipTLSVerify`.
    pub insecure_skip_tls_verify: bool,
    /// `tlsAuth`: certificates of the client.
    pub tls_auth: Vec<Certificate>,
    /// `tlsVersion`: the least and the greatest.
    pub tls_version: Option<(String, String)>,
    /// `tlsCipherSuites`.
    pub tls_cipher_suites: Vec<String>,
    /// `hosts`: names with the addresses that they have instead of those of DNS.
    pub hosts: Vec<(String, String)>,
    /// `blockHostnames`: patterns of names that are not asked.
    pub block_hostnames: Vec<String>,
    /// `blacklistIPs`: networks that are not asked, as an address and its leading bits.
    pub blacklist_ips: Vec<(IpAddr, u8)>,
    /// `dns`.
    pub dns: Dns,
    /// `userAgent`.
    pub user_agent: Option<String>,
    /// `throw`: a request that fails throws.
    pub throws: bool,
    /// `httpDebug`: which part of requests and answers is shown.
    pub http_debug: Option<HttpDebug>,
    /// `discardResponseBodies`.
    pub discard_response_bodies: bool,
    /// `maxRedirects`.
    pub max_redirects: u32,
    /// `batch`: requests of one `batch()` at a time.
    pub batch: u32,
    /// `batchPerHost`: those of them to one host; 0 is any number.
    pub batch_per_host: u32,
    /// `minIterationDuration`.
    pub min_iteration_duration: Option<Duration>,
    /// `setupTimeout`.
    pub setup_timeout: Duration,
    /// `teardownTimeout`.
    pub teardown_timeout: Duration,
    /// `handleSummaryTimeout`.
    pub handle_summary_timeout: Duration,
    /// `rps`: the most requests per second of all VUs.
    pub rps: Option<u64>,
    /// `summaryTrendStats`.
    pub summary_trend_stats: Vec<String>,
    /// `summaryTimeUnit`: `s`, `ms` or `us`.
    pub summary_time_unit: Option<String>,
    /// `systemTags`; all where it is not set.
    pub system_tags: Option<Vec<String>>,
    /// `tags`: of every sample.
    pub tags: Vec<(String, String)>,
    /// Options that k6 does not know, or that change nothing here.
    pub idle: Vec<Idle>,
}

/// A threshold with what becomes of the run when it fails.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// The threshold.
    pub threshold: Threshold,
    /// As the script has it: its metric and its expression.
    pub text: String,
    /// The option, such as `thresholds.checks[0]`.
    pub place: String,
    /// `abortOnFail`: the run ends.
    pub aborts: bool,
    /// `delayAbortEval`: but not before this.
    pub delay: Duration,
}

/// A certificate of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, PEM.
    pub cert: String,
    /// Its key, PEM.
    pub key: String,
    /// The password of the key.
    pub password: Option<String>,
    /// For which names; all where there are none.
    pub domains: Vec<String>,
}

/// How names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// How long an answer is used; `None` is for ever.
    pub ttl: Option<Duration>,
    /// Which of several addresses is taken.
    pub select: DnsSelect,
    /// Which kinds of addresses are taken.
    pub policy: DnsPolicy,
}

/// Which of several addresses is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsSelect {
    /// The first.
    First,
    /// Any.
    Random,
    /// One after the other.
    RoundRobin,
}

/// Which kinds of addresses are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsPolicy {
    /// IPv4 where there is one.
    PreferIpv4,
    /// IPv6 where there is one.
    PreferIpv6,
    /// IPv4.
    OnlyIpv4,
    /// IPv6.
    OnlyIpv6,
    /// Any.
    Any,
}

/// Which part of requests and answers is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpDebug {
    /// Headers.
    Headers,
    /// Bodies too.
    Full,
}

impl Default for Options {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            vus: None,
            duration: None,
            iterations: None,
            stages: None,
            scenarios: Vec::new(),
            thresholds: Vec::new(),
            no_connection_reuse: false,
            no_vu_connection_reuse: false,
            no_cookies_reset: false,
            insecure_skip_tls_verify: false,
            tls_auth: Vec::new(),
            tls_version: None,
            tls_cipher_suites: Vec::new(),
            hosts: Vec::new(),
            block_hostnames: Vec::new(),
            blacklist_ips: Vec::new(),
            dns: Dns {
                ttl: Some(5 * minute),
                select: DnsSelect::Random,
                policy: DnsPolicy::PreferIpv4,
            },
            user_agent: None,
            throws: false,
            http_debug: None,
            discard_response_bodies: false,
            max_redirects: 10,
            batch: 20,
            batch_per_host: 6,
            min_iteration_duration: None,
            setup_timeout: minute,
            teardown_timeout: minute,
            handle_summary_timeout: 2 * minute,
            rps: None,
            summary_trend_stats: ["avg", "min", "med", "max", "p(90)", "p(95)"]
                .map(str::to_owned)
                .to_vec(),
            summary_time_unit: None,
            system_tags: None,
            tags: Vec::new(),
            idle: Vec::new(),
        }
    }
}

/// Options that k6 knows and that change nothing here, and why.
const IDLE: [(&str, &str); 17] = [
    ("cloud", "nothing runs in a cloud"),
    ("ext", "there are no extensions"),
    (
        "executionSegment",
        "the load is not split over several machines by the script",
    ),
    (
        "executionSegmentSequence",
        "the load is not split over several machines by the script",
    ),
    ("linger", "a run ends with its load"),
    ("paused", "a run begins at once"),
    ("noUsageReport", "nothing is reported to anybody"),
    ("noThresholds", "thresholds are the SLO"),
    ("noSummary", "reports are made by flags"),
    ("summaryMode", "reports are made by flags"),
    (
        "tlsAIAFetch",
        "certificates are checked with those of this machine only",
    ),
    (
        "localIPs",
        "set where connections come from with --local-addr",
    ),
    ("vusMax", "k6 ignores it too"),
    ("consoleOutput", "it is printed"),
    ("out", "results are written by flags"),
    ("logOutput", "it is printed"),
    ("address", "there is no REST API"),
];

/// The options of a script, from their JSON.
///
/// # Errors
/// The first option that cannot be taken.
pub fn options(value: &Value) -> Result<Options, OptionsError> {
    let mut options = Options::default();
    let root = At::root(value);
    if root.is_unset() {
        return Ok(options);
    }
    for member in root.members(2_000)? {
        if member.is_unset() {
            continue;
        }
        options.set(&member)?;
    }
    options.check(&root)?;
    Ok(options)
}

impl Options {
    fn set(&mut self, at: &At) -> Result<(), OptionsError> {
        match at.name() {
            "vus" => self.vus = Some(at.count()?),
            "duration" => self.duration = Some(at.duration()?),
            "iterations" => self.iterations = Some(at.count()?),
            "stages" => self.stages = Some(scenario::stages(at)?),
            "scenarios" => {
                for member in at.members(1_000)? {
                    self.scenarios
                        .push(scenario::scenario(&member, &mut self.idle)?);
                }
            }
            "thresholds" => self.thresholds = thresholds(at)?,
            "noConnectionReuse" => self.no_connection_reuse = at.switch()?,
            "noVUConnectionReuse" => self.no_vu_connection_reuse = at.switch()?,
            "noCookiesReset" => self.no_cookies_reset = at.switch()?,
            "insecureSkipTLSVerify" => self.insecure_skip_tls_verify = at.switch()?,
            "tlsAuth" => {
                let certificates = at.items(1_000)?;
                self.tls_auth = certificates
                    .iter()
                    .map(certificate)
                    .collect::<Result<_, _>>()?;
            }
            "tlsVersion" => self.tls_version = Some(tls_version(at)?),
            "tlsCipherSuites" => self.tls_cipher_suites = at.texts()?,
            "hosts" => self.hosts = at.pairs()?,
            "blockHostnames" => self.block_hostnames = at.texts()?,
            "blacklistIPs" => {
                let networks = at.items(10_000)?;
                self.blacklist_ips = networks.iter().map(network).collect::<Result<_, _>>()?;
            }
            "dns" => self.set_dns(at)?,
            "userAgent" => self.user_agent = Some(at.text()?),
            "throw" => self.throws = at.switch()?,
            "httpDebug" => {
                let debugs = [
                    ("full", Some(HttpDebug::Full)),
                    ("headers", Some(HttpDebug::Headers)),
                ];
                self.http_debug = at.one_of(&[debugs[0], debugs[1], ("", None)])?;
            }
            "discardResponseBodies" => self.discard_response_bodies = at.switch()?,
            "maxRedirects" => self.max_redirects = at.small()?,
            "batch" => self.batch = at.small()?,
            "batchPerHost" => self.batch_per_host = at.small()?,
            "minIterationDuration" => self.min_iteration_duration = Some(at.duration()?),
            "setupTimeout" => self.setup_timeout = at.duration()?,
            "teardownTimeout" => self.teardown_timeout = at.duration()?,
            "handleSummaryTimeout" => self.handle_summary_timeout = at.duration()?,
            "rps" => self.rps = Some(at.count()?).filter(|rps| *rps > 0),
            "summaryTrendStats" => self.summary_trend_stats = trend_stats(at)?,
            "summaryTimeUnit" => {
                let units = [("s", "s"), ("ms", "ms"), ("us", "us")];
                self.summary_time_unit = Some(at.one_of(&units)?.to_owned());
            }
            "systemTags" => self.system_tags = Some(at.texts()?),
            "tags" => self.tags = at.pairs()?,
            name => {
                let known = IDLE.iter().find(|(known, _)| *known == name);
                let reason = known.map_or("k6 does not know it", |(_, reason)| reason);
                self.idle.push(Idle {
                    place: at.place().to_owned(),
                    reason,
                });
            }
        }
        Ok(())
    }

    fn set_dns(&mut self, at: &At) -> Result<(), OptionsError> {
        for member in at.members(100)? {
            match member.name() {
                _ if member.is_unset() => {}
                "ttl" if member.text().is_ok_and(|text| text == "inf") => self.dns.ttl = None,
                "ttl" => self.dns.ttl = Some(member.duration()?),
                "select" => {
                    self.dns.select = member.one_of(&[
                        ("first", DnsSelect::First),
                        ("random", DnsSelect::Random),
                        ("roundRobin", DnsSelect::RoundRobin),
                    ])?;
                }
                "policy" => {
                    self.dns.policy = member.one_of(&[
                        ("preferIPv4", DnsPolicy::PreferIpv4),
                        ("preferIPv6", DnsPolicy::PreferIpv6),
                        ("onlyIPv4", DnsPolicy::OnlyIpv4),
                        ("onlyIPv6", DnsPolicy::OnlyIpv6),
                        ("any", DnsPolicy::Any),
                    ])?;
                }
                _ => self.idle.push(member.unknown()),
            }
        }
        Ok(())
    }

    /// What options say together.
    fn check(&mut self, root: &At) -> Result<(), OptionsError> {
        let set = |name: &str, is: bool| is.then(|| name.to_owned());
        let short = [
            set("duration", self.duration.is_some()),
            set("iterations", self.iterations.is_some()),
            set("stages", self.stages.is_some()),
        ];
        let short: Vec<String> = short.into_iter().flatten().collect();
        if !self.scenarios.is_empty() {
            let idle = short.iter().cloned().chain(set("vus", self.vus.is_some()));
            self.idle.extend(idle.map(|place| Idle {
                place,
                reason: "`scenarios` says it",
            }));
        } else if self.stages.is_some() && short.len() > 1 {
            let other = &short[0];
            return Err(root.member("stages").error(&format!(
                "and `{other}` cannot both be set; leave one of them out"
            )));
        }
        if self.duration.is_some_and(|duration| duration.is_zero()) {
            return Err(root.member("duration").error("must be longer than 0"));
        }
        if self.iterations == Some(0) {
            return Err(root.member("iterations").error("must be 1 or more"));
        }
        Ok(())
    }

    /// The scenarios that run: those of `scenarios`, or the one that `vus`, `duration`,
    /// `iterations` and `stages` stand for, which is called `default`.
    pub fn effective_scenarios(&self) -> Vec<Scenario> {
        if !self.scenarios.is_empty() {
            return self.scenarios.clone();
        }
        let vus = self.vus.unwrap_or(1);
        let executor = match (&self.stages, self.iterations, self.duration) {
            (Some(stages), _, _) => Executor::RampingVus {
                start_vus: vus,
                stages: stages.clone(),
                graceful_ramp_down: scenario::GRACE,
            },
            (None, None, Some(duration)) => Executor::ConstantVus { vus, duration },
            (None, iterations, duration) => Executor::SharedIterations {
                vus,
                iterations: iterations.unwrap_or(1),
                max_duration: duration.unwrap_or(scenario::MAX_DURATION),
            },
        };
        vec![Scenario::plain("default", executor)]
    }
}

/// `thresholds`: lists of texts or objects, by metric.
fn thresholds(at: &At) -> Result<Vec<Watched>, OptionsError> {
    let mut all = Vec::new();
    for metric in at.members(2_000)? {
        for item in metric.items(1_000)? {
            let mut watched = (None, false, Duration::ZERO);
            if item.text().is_ok() {
                watched.0 = Some(item.clone());
            } else {
                for member in item.members(100)? {
                    match member.name() {
                        _ if member.is_unset() => {}
                        "threshold" => watched.0 = Some(member),
                        "abortOnFail" => watched.1 = member.switch()?,
                        "delayAbortEval" => watched.2 = member.duration()?,
                        _ => {
                            return Err(member.error(
                                "is unknown; use `threshold`, `abortOnFail` or `delayAbortEval`",
                            ));
                        }
                    }
                }
            }
            let Some(expression) = watched.0 else {
                return Err(item.error("has no `threshold`"));
            };
            let text = expression.text()?;
            let threshold = threshold::threshold(metric.name(), &text)
                .map_err(|e| expression.error(&format!("is not a threshold: {e}")))?;
            all.push(Watched {
                threshold,
                text: format!("{}: {text}", metric.name()),
                place: item.place().to_owned(),
                aborts: watched.1,
                delay: watched.2,
            });
        }
    }
    Ok(all)
}

fn certificate(at: &At) -> Result<Certificate, OptionsError> {
    let text = |name: &str| at.member(name).text();
    let optional = |name: &str| at.member(name).is_unset();
    Ok(Certificate {
        cert: text("cert")?,
        key: text("key")?,
        password: if optional("password") {
            None
        } else {
            Some(text("password")?)
        },
        domains: if optional("domains") {
            Vec::new()
        } else {
            at.member("domains").texts()?
        },
    })
}

/// A version for both ends, or an object of both.
fn tls_version(at: &At) -> Result<(String, String), OptionsError> {
    let version = |at: &At| {
        let versions = ["ssl3.0", "tls1.0", "tls1.1", "tls1.2", "tls1.3"];
        at.one_of(&versions.map(|version| (version, version)))
            .map(str::to_owned)
    };
    if at.text().is_ok() {
        let both = version(at)?;
        return Ok((both.clone(), both));
    }
    let end = |name: &str, default: &str| {
        let end = at.member(name);
        if end.is_unset() {
            Ok(default.to_owned())
        } else {
            version(&end)
        }
    };
    at.members(100)?;
    Ok((end("min", "tls1.0")?, end("max", "tls1.3")?))
}

/// `10.0.0.0/8`, or one address.
fn network(at: &At) -> Result<(IpAddr, u8), OptionsError> {
    let text = at.text()?;
    let (address, bits) = text
        .split_once('/')
        .map_or((&*text, None), |(a, b)| (a, Some(b)));
    let network = address.parse().ok().and_then(|address: IpAddr| {
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok())?;
        (bits <= all).then_some((address, bits))
    });
    network.ok_or_else(|| at.error("is not a network such as `10.0.0.0/8`"))
}

fn trend_stats(at: &At) -> Result<Vec<String>, OptionsError> {
    let stats = at.texts()?;
    for stat in &stats {
        let is_known = matches!(&**stat, "avg" | "min" | "med" | "max" | "count")
            || threshold::percentile(stat).is_some();
        if !is_known {
            let words = format!(
                "has `{stat}`, which is none of `avg`, `min`, `med`, `max`, `count` and `p(N)`"
            );
            return Err(at.error(&words));
        }
    }
    Ok(stats)
}
