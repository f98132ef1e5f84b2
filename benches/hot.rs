//! The parts of the load engine that run once per request, answer or event:
//! `cargo bench --bench hot`.
//!
//! Times on a shared machine vary; `perf stat -e instructions:u` around one of them, with
//! `--profile-time 5`, varies less.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use breakpoint::engine::native::length_of_answer;
use breakpoint::measure::Histogram;
use breakpoint::scenario::spec::ScenarioSpec;
use breakpoint::scenario::{Action, Feeder, Files, RequestTemplate, Scenario, sse, vu_rng};
use criterion::{Criterion, criterion_group, criterion_main};

const SHORT: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
const LONG: &[u8] = b"HTTP/1.1 200 OK\r\nserver: nginx\r\ndate: Tue, 24 Nov 2026 18:00:00 GMT\r\n\
    content-type: application/json; charset=utf-8\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\
    vary: accept-encoding\r\nx-request-id: 6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11\r\n\
    strict-transport-security: max-age=31536000\r\ncache-control: no-store\r\n\r\nb\r\n{\"ok\":true}\r\n0\r\n\r\n";
const EVENT: &[u8] = b"event: answer\ndata: \
    {\"id\":\"6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11\",\"text\":\"the disk\"}\n\n";

const FIXED: &str = "json = { id = '6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11', user = 'u1', text = \
    'what breaks first?' }";
const FILLED: &str =
    "json = { id = '{{ uuid() }}', user = 'u{{ vu }}', text = '{{ questions.text }}' }";

fn answers(c: &mut Criterion) {
    for (name, bytes) in [("short", SHORT), ("long, chunked", LONG)] {
        assert_eq!(length_of_answer(bytes), Some(11), "{name}");
        c.bench_function(&format!("answer: {name}"), |b| {
            b.iter(|| length_of_answer(black_box(bytes)));
        });
    }
}

fn events(c: &mut Criterion) {
    c.bench_function("event", |b| {
        let mut parser = sse::Parser::default();
        b.iter(|| {
            let mut bytes = 0;
            let fed = parser.feed(black_box(EVENT), |event| bytes += event.data.len());
            fed.map(|()| bytes)
        });
    });
}

fn histograms(c: &mut Criterion) {
    let latencies: Vec<Duration> = (0..1_000_u64)
        .map(|i| Duration::from_micros(900 + (i * i * 7_919) % 5_000))
        .collect();
    let mut recorder = Histogram::recorder();
    c.bench_function("histogram: record", |b| {
        let mut next = latencies.iter().cycle();
        b.iter(|| {
            next.next()
                .map(|l| Histogram::record_into(&mut recorder, *l))
        });
    });
    c.bench_function("histogram: record 1 000 and drain", |b| {
        b.iter(|| {
            for latency in &latencies {
                Histogram::record_into(&mut recorder, *latency);
            }
            Histogram::drain(&mut recorder)
        });
    });
    c.bench_function("histogram: 1 000 ages in flight", |b| {
        b.iter(|| Histogram::of(latencies.iter().copied()));
    });
}

fn requests(c: &mut Criterion) {
    for (name, body) in [("fixed", FIXED), ("with values", FILLED)] {
        let scenario = scenario(body);
        let request = request(&scenario);
        let mut rng = vu_rng(1, 0);
        let mut values = scenario.values(7);
        let mut row = 0;
        c.bench_function(&format!("request: {name}"), |b| {
            let mut buffer = String::new();
            b.iter(|| {
                let drawn = scenario.begin_cycle(&mut values, &mut rng, |_| {
                    row += 1;
                    row
                });
                drawn.expect("there are rows");
                let rendered =
                    request.render(&scenario, &values, &mut rng, std::mem::take(&mut buffer));
                let rendered = rendered.expect("nothing in it can be refused");
                let length = rendered.len();
                buffer = rendered.into_buffer();
                length
            });
        });
    }
}

fn scenario(body: &str) -> Scenario {
    let text = format!(
        "main = 'main'\nfeeders = {{ questions = {{ file = 'questions.csv' }} }}\n\
         [[steps]]\nname = 'main'\npost = '/questions'\n{body}"
    );
    let spec: ScenarioSpec = toml::from_str(&text).expect("a scenario");
    let rows = "text\nwhat breaks first?\nwhat broke before?\n";
    let feeder = Arc::new(Feeder::parse(rows.as_bytes()).expect("rows"));
    let files = Files::from(BTreeMap::from([("questions".to_owned(), feeder)]));
    Scenario::compile(&spec, "http://127.0.0.1:9", &files, &|_| None).expect("it compiles")
}

fn request(scenario: &Scenario) -> &RequestTemplate {
    let found = scenario.steps().iter().find_map(|step| match &step.action {
        Action::Request(request) => Some(request),
        _ => None,
    });
    found.expect("it has a request")
}

criterion_group!(hot, answers, events, histograms, requests);
criterion_main!(hot);
