//! The lines that `k6 run --out json=-` writes, and what they say together. Values only.
//!
//! A request is several points with the same time, one after the other; of these its duration,
//! which holds no connecting, and the time until it had a connection make the time that a user
//! waits.

use std::borrow::Cow;

use serde::Deserialize;

use crate::measure::FailureKind;

/// What the wrapper calls its own requests.
pub(super) const POLL: &str = "__breakpoint";
/// The scenario whose requests are those of VUs; `setup` and `teardown` have none.
const SCENARIO: &str = "breakpoint";
/// Of what a failed request says, how much is kept, characters.
const MOST_TEXT: usize = 300;
/// No request is taken to last longer, milliseconds: a day.
const LONGEST_MS: f64 = 86_400_000.0;

/// Something that happened in k6, or in what drives it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// When, nanoseconds since 1970 by the clock of this machine.
    pub(super) at: i64,
    /// The VU's number in k6; 0 where it is not known.
    pub(super) vu: u32,
    /// What.
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// A request ended.
    Request(Request),
    /// A VU began the user's function.
    Begin,
    /// It came to its end.
    End,
    /// It threw: this.
    Threw(String),
    /// Everything that happened some time before this has been written.
    Mark,
    /// A VU was told to run.
    Told,
    /// So many VUs run from now on.
    Running(u32),
}

/// A request that ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) name: String,
    /// How long the user waited, seconds.
    pub(super) latency_s: f64,
    /// Whether the time until there was a connection is in it.
    pub(super) whole: bool,
    pub(super) outcome: Outcome,
    /// The status of its answer, if there was one.
    pub(super) status: Option<u16>,
    /// What k6 said of its failure; empty of one that did not fail.
    pub(super) said: String,
    /// Whether a VU made it; `setup` and `teardown` make some too.
    pub(super) of_vu: bool,
}

impl Request {
    /// When it began if it ended at `at`, nanoseconds since 1970.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a latency is some days at most"
    )]
    pub(super) fn begin(&self, at: i64) -> i64 {
        at.saturating_sub((self.latency_s * 1e9) as i64)
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Failed(FailureKind),
    /// k6 did not send it because of where it would have gone; this is what it said.
    Forbidden(String),
}

/// One line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    metric: Cow<'a, str>,
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    time: Cow<'a, str>,
    #[serde(default)]
    value: f64,
    #[serde(borrow, default)]
    tags: Option<Tags<'a>>,
    #[serde(borrow, default)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Deserialize, Default)]
struct Tags<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    service: Cow<'a, str>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    url: Cow<'a, str>,
    #[serde(borrow, default)]
    scenario: Cow<'a, str>,
    #[serde(borrow, default)]
    error: Cow<'a, str>,
    #[serde(borrow, default)]
    error_code: Cow<'a, str>,
    #[serde(borrow, default)]
    expected_response: Cow<'a, str>,
    #[serde(borrow, default)]
    vu: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

/// Where newer versions put tags that are different in every sample.
#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    vu: Cow<'a, str>,
}

/// A point that matters.
struct Point {
    at: i64,
    vu: u32,
    what: Part,
}

/// What a point says of itself.
enum Part {
    /// A request without the time until there was a connection.
    Duration(Request),
    Blocked(f64),
    Other(What),
}

/// Reads lines and puts the points of one request together.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The request whose points are coming.
    open: Option<(i64, u32, Request)>,
}

impl Reader {
    /// Reads a line, without its end, and adds what it completes.
    pub(super) fn line(&mut self, line: &[u8], out: &mut Vec<Event>) {
        // Most points are of no interest; their names stand at the line's beginning.
        if metric(line).is_some_and(|name| !is_wanted(name)) {
            return;
        }
        let Some(point) = parse(line) else { return };
        match point.what {
            Part::Duration(request) => {
                self.close(out);
                self.open = Some((point.at, point.vu, request));
            }
            Part::Blocked(ms) => match &mut self.open {
                Some((at, vu, request)) if *at == point.at && *vu == point.vu => {
                    request.latency_s += ms / 1e3;
                    request.whole = true;
                    self.close(out);
                }
                _ => self.close(out),
            },
            Part::Other(what) => {
                self.close(out);
                out.push(Event {
                    at: point.at,
                    vu: point.vu,
                    what,
                });
            }
        }
    }

    /// Nothing more of the open request comes.
    pub(super) fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((at, vu, request)) = self.open.take() {
            out.push(Event {
                at,
                vu,
                what: What::Request(request),
            });
        }
    }
}

/// The name of a point's metric, where a line begins with it.
fn metric(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(br#"{"metric":""#)?;
    let end = rest.iter().position(|b| *b == b'"')?;
    Some(&rest[..end])
}

fn is_wanted(metric: &[u8]) -> bool {
    matches!(
        metric,
        b"http_req_duration"
            | b"http_req_blocked"
            | b"grpc_req_duration"
            | b"browser_http_req_duration"
            | b"bp_begin"
            | b"bp_end"
            | b"bp_error"
            | b"bp_mark"
            | b"vus"
    )
}

fn parse(line: &[u8]) -> Option<Point> {
    let line: Line = serde_json::from_slice(line).ok()?;
    if line.kind != "Point" || !is_wanted(line.metric.as_bytes()) {
        return None;
    }
    let data = line.data?;
    let at = time(&data.time)?;
    let tags = data.tags.unwrap_or_default();
    if tags.name == POLL {
        return None;
    }
    let in_metadata = data.metadata.map(|m| m.vu).unwrap_or_default();
    let mut vu = [&tags.vu, &in_metadata].into_iter();
    let vu = vu.find_map(|text| text.parse().ok()).unwrap_or(0);
    let ms = data.value.clamp(0.0, LONGEST_MS);
    let of_vu = tags.scenario == SCENARIO;
    let what = match line.metric.as_ref() {
        "http_req_duration" => Part::Duration(request(&tags, ms, outcome(&tags), of_vu)),
        // These are one point each.
        "grpc_req_duration" => {
            let request = request(&tags, ms, of_grpc(&tags), of_vu);
            Part::Other(What::Request(whole(request)))
        }
        // No function but that of a VU has a browser.
        "browser_http_req_duration" => {
            let request = request(&tags, ms, outcome(&tags), true);
            Part::Other(What::Request(whole(request)))
        }
        "http_req_blocked" => Part::Blocked(ms),
        "bp_begin" => Part::Other(What::Begin),
        "bp_end" => Part::Other(What::End),
        "bp_error" => Part::Other(What::Threw(cut(&tags.message))),
        // Lines come in the order in which they were written, so each would do; these come also
        // when no VU does anything.
        "bp_mark" | "vus" => Part::Other(What::Mark),
        _ => return None,
    };
    Some(Point { at, vu, what })
}

fn request(tags: &Tags<'_>, ms: f64, outcome: Outcome, of_vu: bool) -> Request {
    // A call of gRPC has the names of its service and its method.
    let name = match (&tags.name, &tags.service) {
        (name, _) if !name.is_empty() => name.to_string(),
        (_, service) if !service.is_empty() => format!("{service}/{}", tags.method),
        _ => tags.url.to_string(),
    };
    Request {
        name,
        latency_s: ms / 1e3,
        whole: false,
        outcome,
        status: tags.status.parse().ok().filter(|status| *status > 0),
        said: cut(&tags.error),
        of_vu,
    }
}

fn whole(request: Request) -> Request {
    Request {
        whole: true,
        ..request
    }
}

/// RFC 3339 as nanoseconds since 1970.
fn time(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

fn outcome(tags: &Tags<'_>) -> Outcome {
    let code: u32 = tags.error_code.parse().unwrap_or(0);
    if code == 1110 {
        let said = if tags.error.is_empty() {
            "its address is not allowed"
        } else {
            &tags.error
        };
        return Outcome::Forbidden(cut(said));
    }
    let failed = match tags.expected_response.as_ref() {
        "true" => false,
        "false" => true,
        // A script can leave it open what is expected.
        _ => code != 0 || !(100..400).contains(&tags.status.parse().unwrap_or(0)),
    };
    if failed {
        Outcome::Failed(kind(code, &tags.error))
    } else {
        Outcome::Ok
    }
}

/// How a call of gRPC ended: its status 0 is that all is well.
fn of_grpc(tags: &Tags<'_>) -> Outcome {
    match tags.status.as_ref() {
        "" | "0" => Outcome::Ok,
        "4" => Outcome::Failed(FailureKind::Timeout),
        _ => Outcome::Failed(FailureKind::Status),
    }
}

/// Why a request failed, by k6's code for it, and by the system's words where it is this machine
/// that had too little of something.
fn kind(code: u32, error: &str) -> FailureKind {
    if error.contains("too many open files") {
        return FailureKind::NoDescriptors;
    }
    if error.contains("cannot assign requested address") {
        return FailureKind::NoPorts;
    }
    match code {
        1050 | 1211 => FailureKind::Timeout,
        1100..=1199 => FailureKind::Dns,
        1210..=1219 => FailureKind::ConnectRefused,
        1200..=1299 => FailureKind::Reset,
        1300..=1399 => FailureKind::Tls,
        // Of its own, or because the script expects something else.
        0 | 1400..=1599 => FailureKind::Status,
        _ if error.contains("EOF") => FailureKind::Eof,
        _ => FailureKind::Protocol,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MOST_TEXT).collect()
}

/// Reads what may come from k6.
///
/// # Panics
/// When what is read breaks a promise.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let mut reader = Reader::default();
    let mut events = Vec::new();
    for line in data.split(|b| *b == b'\n') {
        reader.line(line, &mut events);
    }
    reader.close(&mut events);
    for event in &events {
        if let What::Request(request) = &event.what {
            assert!((0.0..=2.0 * LONGEST_MS / 1e3).contains(&request.latency_s));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(metric: &str, time: &str, value: f64, tags: &str) -> String {
        format!(
            r#"{{"metric":"{metric}","type":"Point","data":{{"time":"{time}","value":{value},"tags":{{{tags}}}}}}}"#
        )
    }

    fn read(lines: &[String]) -> Vec<Event> {
        let (mut reader, mut out) = (Reader::default(), Vec::new());
        for line in lines {
            reader.line(line.as_bytes(), &mut out);
        }
        reader.close(&mut out);
        out
    }

    /// As k6 2.2.1 wrote them.
    const TIME: &str = "2026-11-22T10:00:00.123456789+01:00";
    const GOOD: &str = r#""expected_response":"true","name":"http://127.0.0.1:8080/","scenario":"breakpoint","status":"200","vu":"7""#;

    fn requests(lines: &[String]) -> Vec<Request> {
        let events = read(lines).into_iter();
        let request = |event: Event| match event.what {
            What::Request(request) => Some(request),
            _ => None,
        };
        events.filter_map(request).collect()
    }

    #[test]
    fn the_points_of_a_request_are_put_together() {
        let lines = [
            r#"{"type":"Metric","data":{"name":"http_req_duration","type":"trend","contains":"time","thresholds":[],"submetrics":null},"metric":"http_req_duration"}"#.to_owned(),
            point("http_reqs", TIME, 1.0, GOOD),
            point("http_req_duration", TIME, 12.5, GOOD),
            point("http_req_blocked", TIME, 0.5, GOOD),
            point("http_req_waiting", TIME, 12.0, GOOD),
            point("http_req_failed", TIME, 0.0, GOOD),
        ];
        let events = read(&lines);
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].at, events[0].vu), (1_795_338_000_123_456_789, 7));
        let [request] = &requests(&lines)[..] else {
            panic!("{events:?}")
        };
        assert!((request.latency_s - 0.013).abs() < 1e-12);
        assert!(request.whole && request.of_vu);
        assert_eq!(request.outcome, Outcome::Ok);
        assert_eq!(request.name, "http://127.0.0.1:8080/");
    }

    #[test]
    fn points_that_belong_to_others_are_not_added() {
        let later = "2026-11-22T10:00:01+01:00";
        let lines = [
            point("http_req_duration", TIME, 12.5, GOOD),
            point("http_req_blocked", later, 500.0, GOOD),
            point("http_req_duration", later, 1.0, GOOD),
            point("http_req_duration", later, 2.0, GOOD),
            point("http_req_blocked", later, 1.0, GOOD),
        ];
        let seen: Vec<(f64, bool)> = requests(&lines)
            .iter()
            .map(|r| (r.latency_s, r.whole))
            .collect();
        assert_eq!(seen, [(0.0125, false), (0.001, false), (0.003, true)]);
    }

    #[test]
    fn requests_of_setup_and_those_of_the_wrapper_are_told_apart() {
        let setup = GOOD.replace(r#""scenario":"breakpoint","#, "");
        let poll = GOOD.replace("http://127.0.0.1:8080/", POLL);
        let lines = [
            point("http_req_duration", TIME, 12.5, &setup),
            point("http_req_duration", TIME, 12.5, &poll),
        ];
        let seen = requests(&lines);
        assert_eq!(seen.len(), 1);
        assert!(!seen[0].of_vu);
    }

    #[test]
    fn calls_of_grpc_and_requests_of_browsers_are_requests() {
        let call = |status: u32| {
            let tags = format!(
                r#""service":"hello.Greeter","method":"SayHello","status":"{status}","scenario":"breakpoint","vu":"7""#
            );
            point("grpc_req_duration", TIME, 12.5, &tags)
        };
        let page =
            r#""name":"http://127.0.0.1:8080/","url":"http://127.0.0.1:8080/","status":"200""#;
        let lines = [
            call(0),
            call(14),
            call(4),
            point("browser_http_req_duration", TIME, 30.0, page),
        ];
        let seen = requests(&lines);
        let names: Vec<&str> = seen.iter().map(|r| r.name.as_str()).collect();
        let grpc = "hello.Greeter/SayHello";
        assert_eq!(names, [grpc, grpc, grpc, "http://127.0.0.1:8080/"]);
        let outcomes: Vec<&Outcome> = seen.iter().map(|r| &r.outcome).collect();
        let failed = [FailureKind::Status, FailureKind::Timeout].map(Outcome::Failed);
        assert_eq!(
            outcomes,
            [&Outcome::Ok, &failed[0], &failed[1], &Outcome::Ok]
        );
        assert!(seen.iter().all(|r| r.whole && r.of_vu));
        assert_eq!(seen[1].status, Some(14));
    }

    #[test]
    fn the_vu_may_stand_beside_the_tags() {
        let line = format!(
            r#"{{"metric":"bp_begin","type":"Point","data":{{"time":"{TIME}","value":1,"tags":null,"metadata":{{"vu":"12"}}}}}}"#
        );
        let seen = read(&[line]);
        assert_eq!((seen[0].vu, &seen[0].what), (12, &What::Begin));
    }

    #[test]
    fn failures_have_kinds() {
        let outcome_of = |tags: &str| {
            let lines = [point("http_req_duration", TIME, 1.0, tags)];
            requests(&lines)[0].outcome.clone()
        };
        let expected = r#""expected_response":"true","status":"404","error_code":"1404""#;
        assert_eq!(outcome_of(expected), Outcome::Ok);
        assert_eq!(outcome_of(r#""status":"302""#), Outcome::Ok);
        for (tags, kind) in [
            (
                r#""expected_response":"false","status":"200""#,
                FailureKind::Status,
            ),
            (r#""status":"0","error_code":"1050""#, FailureKind::Timeout),
            (
                r#""status":"0","error_code":"1212""#,
                FailureKind::ConnectRefused,
            ),
            (r#""status":"0","error_code":"1220""#, FailureKind::Reset),
            (r#""status":"0","error_code":"1310""#, FailureKind::Tls),
            (r#""status":"0","error_code":"1101""#, FailureKind::Dns),
            (r#""status":"503","error_code":"1503""#, FailureKind::Status),
            (
                r#""status":"0","error_code":"1000","error":"unexpected EOF""#,
                FailureKind::Eof,
            ),
            (r#""status":"0","error_code":"1000""#, FailureKind::Protocol),
            (
                r#""status":"0","error_code":"1210","error":"dial: socket: too many open files""#,
                FailureKind::NoDescriptors,
            ),
            (
                r#""status":"0","error_code":"1210","error":"dial: connect: cannot assign requested address""#,
                FailureKind::NoPorts,
            ),
        ] {
            assert_eq!(outcome_of(tags), Outcome::Failed(kind), "{tags}");
        }
        let refused = r#""status":"0","error_code":"1110","error":"IP (192.0.2.1) is in a blacklisted range""#;
        let Outcome::Forbidden(said) = outcome_of(refused) else {
            panic!("{:?}", outcome_of(refused))
        };
        assert!(said.contains("192.0.2.1"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz(&data);
        }

        #[test]
        fn what_is_written_is_read(
            ms in 0.0..100_000.0_f64,
            blocked in 0.0..1_000.0_f64,
            vu in 1..5_000_u32,
            name in "[^\\p{C}\"\\\\]{1,40}",
            seconds in 0..4_000_000_000_i64, nanos in 0..1_000_000_000_i64,
        ) {
            prop_assume!(name != POLL);
            let time = jiff::Timestamp::new(seconds, i32::try_from(nanos).unwrap()).unwrap();
            let tags = format!(r#""name":"{name}","scenario":"default","vu":"{vu}","expected_response":"true""#);
            let time = time.to_string();
            let lines = [
                point("http_req_duration", &time, ms, &tags),
                point("http_req_blocked", &time, blocked, &tags),
            ];
            let events = read(&lines);
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!(events[0].at, seconds * 1_000_000_000 + nanos);
            prop_assert_eq!(events[0].vu, vu);
            let request = requests(&lines).remove(0);
            prop_assert!((request.latency_s - (ms + blocked) / 1e3).abs() < 1e-9);
            prop_assert_eq!(request.name, name);
        }
    }
}
