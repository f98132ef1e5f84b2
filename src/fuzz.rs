//! Whatever comes from outside as text or bytes, thrown at what reads it. Only in tests and under
//! `cargo fuzz`.
//!
//! Nothing here may panic, hang or keep memory without bound, and what is read must say the same
//! when it is written and read again. `fuzz/` runs these with coverage as a guide, `cargo test`
//! those inputs of its corpus and some thousand damaged ones.

use std::path::Path;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::engine::{k6, locust, native};
use crate::import::{self, Source, Wishes};
use crate::k6::{Named, Runner, Script, Version, profile as k6_profile, said};
use crate::plan::{FindFlags, Plan, ScenarioSource};
use crate::profile::Profile;
use crate::scenario::Scenario;
use crate::scenario::sse::{Event, MAX_EVENT_BYTES, Parser};
use crate::slo::Slo;
use crate::{compare, crypto, excerpt, init, journal, monitor, record, report, scenario, secret};

/// What reads something from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A profile, the plan that it makes and its compiled scenario.
    Profile,
    /// Objectives, and the conditions of `compare --fail-if`.
    Slo,
    /// A template of a scenario.
    Template,
    /// An answer over HTTP/1.1.
    Answer,
    /// A stream of server-sent events.
    Sse,
    /// A recorded run, ramp or comparison.
    Record,
    /// The journal of a search.
    Journal,
    /// What a Redis server says of itself.
    Redis,
    /// A page of metrics, and an answer of a Prometheus server.
    Prometheus,
    /// What a Locust master says: its page, and messages between it and workers.
    Locust,
    /// What k6 writes of its requests.
    K6,
    /// What k6 says before a run: its version, what a script holds, why that cannot be run.
    K6Script,
    /// The body of an answer that was compressed.
    Body,
    /// The certificate of a server.
    Certificate,
    /// The wire of Redis.
    RedisWire,
    /// Answers and streams of the Docker Engine.
    Docker,
    /// The wire between a Locust master and its workers.
    LocustWire,
    /// What was typed, as a journal's head has it: an argument a line.
    Arguments,
    /// Words of others, before they are printed.
    Printed,
    /// What a server sends on a WebSocket.
    Websocket,
    /// A command line of curl.
    Curl,
    /// A recording of a browser.
    Har,
    /// A description of an API.
    OpenApi,
    /// A collection of Postman.
    Postman,
    /// Fields of `-F`, one a line, and a recorded form with files.
    Multipart,
    /// Where a value of an answer stands, on the first line, and the answer behind it.
    Extract,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::Profile,
        Self::Slo,
        Self::Template,
        Self::Answer,
        Self::Sse,
        Self::Record,
        Self::Journal,
        Self::Redis,
        Self::Prometheus,
        Self::Locust,
        Self::K6,
        Self::K6Script,
        Self::Body,
        Self::Certificate,
        Self::RedisWire,
        Self::Docker,
        Self::LocustWire,
        Self::Arguments,
        Self::Printed,
        Self::Websocket,
        Self::Curl,
        Self::Har,
        Self::OpenApi,
        Self::Postman,
        Self::Multipart,
        Self::Extract,
    ];

    /// The name of its fuzz target and of its corpus' folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Slo => "slo",
            Self::Template => "template",
            Self::Answer => "answer",
            Self::Sse => "sse",
            Self::Record => "record",
            Self::Journal => "journal",
            Self::Redis => "redis",
            Self::Prometheus => "prometheus",
            Self::Locust => "locust",
            Self::K6 => "k6",
            Self::K6Script => "k6-script",
            Self::Body => "body",
            Self::Certificate => "certificate",
            Self::RedisWire => "redis-wire",
            Self::Docker => "docker",
            Self::LocustWire => "locust-wire",
            Self::Arguments => "arguments",
            Self::Printed => "printed",
            Self::Websocket => "websocket",
            Self::Curl => "curl",
            Self::Har => "har",
            Self::OpenApi => "openapi",
            Self::Postman => "postman",
            Self::Multipart => "multipart",
            Self::Extract => "extract",
        }
    }

    /// Reads an input.
    ///
    /// # Panics
    /// When what is read breaks a promise.
    pub fn run(self, data: &[u8]) {
        let text = || std::str::from_utf8(data).ok();
        match self {
            Self::Profile => text().map_or((), profile),
            Self::Slo => text().map_or((), slo),
            Self::Template => text().map_or((), scenario::fuzz_template),
            Self::Answer => native::fuzz_answer(data),
            Self::Sse => sse(data),
            Self::Record => recorded(data),
            Self::Journal => journaled(data),
            Self::Redis => text().map_or((), monitor::fuzz_redis),
            Self::Prometheus => text().map_or((), monitor::fuzz_prometheus),
            Self::Locust => locust::fuzz(data),
            Self::K6 => k6::fuzz(data),
            Self::K6Script => script(data),
            Self::Body => native::fuzz_body(data),
            Self::Certificate => crypto::fuzz_certificate(data),
            Self::RedisWire => monitor::fuzz_redis_wire(data),
            Self::Docker => monitor::fuzz_docker(data),
            Self::LocustWire => locust::fuzz_wire(data),
            Self::Arguments => text().map_or((), arguments),
            Self::Printed => text().map_or((), printed),
            Self::Websocket => native::fuzz_websocket(data),
            Self::Curl => text().map_or((), |line| imported(Source::Curl(line))),
            Self::Har => imported(Source::Har(data)),
            Self::OpenApi => text().map_or((), |text| imported(Source::OpenApi(text))),
            Self::Postman => imported(Source::Postman(data)),
            Self::Multipart => text().map_or((), multipart),
            Self::Extract => text().map_or((), scenario::fuzz_extract),
        }
    }
}

fn profile(text: &str) {
    let profile = match Profile::parse(text, "fuzzed.toml", Path::new("/nowhere")) {
        Ok(profile) => profile,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    match Plan::resolve(Some(&profile), &FindFlags::default()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(plan) => {
            assert!(plan.search.min <= plan.search.start && plan.search.start <= plan.search.max);
            if let ScenarioSource::Spec(spec) = &plan.scenario {
                // Feeders are files: there are none here.
                let files = crate::scenario::Files::default();
                let base = "http://127.0.0.1:8080";
                drop(Scenario::compile(spec, base, &files, &|_| {
                    Some("secret".to_owned())
                }));
            }
        }
    }
}

/// What k6 says of itself, of a script, and on its standard error.
fn script(data: &[u8]) {
    drop(Version::read(&String::from_utf8_lossy(data)));
    assert!(said(data).len() <= 12);
    let Ok(script) = Script::of_json(data, Runner::K6) else {
        return;
    };
    assert!(!script.functions.is_empty());
    for objective in &script.objectives {
        Slo::parse([objective]).expect("what a threshold becomes is an objective");
    }
    let named = Named {
        script: "script.js".to_owned(),
        binary: None,
    };
    let text = k6_profile(&named, &script);
    Profile::parse(&text, "fuzzed.toml", Path::new("/nowhere")).expect("what is written is read");
}

/// Whatever is imported: what is written makes a plan and a scenario, and no credential of it is
/// told.
fn imported(source: Source<'_>) {
    let wishes = Wishes {
        url: matches!(source, Source::OpenApi(_)).then(|| "http://127.0.0.1:8080/v1".to_owned()),
        ..Wishes::default()
    };
    let made = match import::import(source, &wishes) {
        Ok(made) => made,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let checked = init::check(&made, Path::new("fuzzed.toml"));
    if let Err(why) = checked {
        panic!("{why}\n{}", made.profile);
    }
    let long = made.secrets.iter().filter(|s| s.len() >= 8);
    for (secret, told) in long.flat_map(|s| made.told.iter().map(move |t| (s, t))) {
        assert!(!told.contains(secret.as_str()), "{told}");
    }
}

/// What flags and a recording say of a form with files makes a scenario, or an error.
fn multipart(text: &str) {
    let flags = import::RequestFlags {
        multipart: text.lines().map(str::to_owned).collect(),
        ..import::RequestFlags::default()
    };
    let url = "http://127.0.0.1:8080/";
    match import::of_flags(url, &flags, Vec::new(), &[], "../") {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(made) => {
            // Its texts are templates that somebody typed.
            if let Err(why) = init::check(&made, Path::new("fuzzed.toml")) {
                assert!(text.contains("{{"), "{why}\n{}", made.profile);
            }
        }
    }
    let entry = serde_json::json!({
        "request": {
            "method": "POST",
            "url": url,
            "postData": { "mimeType": "multipart/form-data; boundary=X", "text": text },
        },
        "response": { "status": 200 },
    });
    let recording = serde_json::json!({ "log": { "entries": [entry] } });
    imported(Source::Har(recording.to_string().as_bytes()));
}

fn slo(text: &str) {
    drop(text.parse::<compare::Condition>());
    if let Ok(slo) = Slo::parse([text]) {
        let texts = slo.texts();
        let again = Slo::parse(&texts).expect("what is written is read");
        assert_eq!(again.texts(), texts);
    }
}

/// The first byte says how long the pieces are.
fn sse(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else {
        return;
    };
    let read = |piece: usize| {
        let (mut parser, mut events) = (Parser::default(), Vec::<Event>::new());
        let mut pieces = stream.chunks(piece.max(1));
        let went = pieces.try_for_each(|chunk| parser.feed(chunk, |e| events.push(e)));
        // The identifiers are short.
        assert!(parser.held() <= 3 * MAX_EVENT_BYTES + 4096);
        let again = (parser.last_id().to_owned(), parser.retry());
        (events, went.is_ok(), again)
    };
    assert_eq!(read(stream.len()), read(usize::from(*first)));
}

fn recorded(data: &[u8]) {
    if let Ok(run) = report::read(data) {
        drop(report::summary(&run));
        let _ = record::Plateau::of(&run.plan, &run.probes);
        for format in [report::Format::Holds, report::Format::Markdown] {
            drop(format.render(&run));
        }
        if let Ok(json) = report::Format::Json.render(&run) {
            let again = report::read(&json).expect("what is written is read");
            assert_eq!(report::Format::Json.render(&again).ok(), Some(json));
        }
    }
    if let Ok(ramp) = report::read_ramp(data) {
        drop(report::RampFormat::Markdown.render(&ramp));
    }
    if let Ok(comparison) = report::read_comparison(data) {
        drop(report::CompareFormat::Markdown.render(&comparison));
    }
}

/// A foreign journal can have any: they make a plan or an error, and what is shown of them has no
/// secret that an address has.
fn arguments(text: &str) {
    let typed = ["breakpoint"].into_iter().chain(text.lines());
    let Ok(cli) = Cli::try_parse_from(typed) else {
        return;
    };
    if let Command::Find(find) = cli.command {
        match Plan::resolve(None, &find.flags()) {
            Ok(plan) => assert!(plan.search.min <= plan.search.max),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn printed(text: &str) {
    let printed = excerpt::printed(text);
    assert!(!printed.contains(excerpt::is_hidden));
    let commands = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
    assert!(!printed.lines().any(commands));
    drop(secret::masked(&secret::masked(text)));
    drop(secret::of_address(text));
}

fn journaled(data: &[u8]) {
    if let Ok(read) = journal::read(data) {
        assert!(read.whole <= data.len());
        let mut bytes = journal::head_line(&read.head).expect("what was read is written");
        for entry in &read.entries {
            bytes.extend(journal::entry_line(entry).expect("what was read is written"));
        }
        let again = journal::read(&bytes).expect("what is written is read");
        assert_eq!(again.entries.len(), read.entries.len());
        assert!(!again.torn);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use rand::{RngExt as _, SeedableRng as _};

    use super::*;
    use crate::scenario::VuRng;

    /// Damaged inputs per target, in thousands, unless `FUZZ` in the environment asks for more.
    const DAMAGED: u32 = 2;
    /// Longer inputs are damaged in fewer variants: bytes of each thousand.
    const BYTES: usize = 2 << 20;

    fn corpus(target: Target) -> Vec<Vec<u8>> {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target.name());
        let mut files: Vec<PathBuf> = fs::read_dir(&dir)
            .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{}", dir.display());
        files.iter().map(|f| fs::read(f).unwrap()).collect()
    }

    /// One to four damages: bytes set, left out, said twice, or taken from another input.
    fn damaged(rng: &mut VuRng, inputs: &[Vec<u8>]) -> Vec<u8> {
        let pick = |rng: &mut VuRng| inputs[rng.random_range(0..inputs.len())].clone();
        let mut bytes = pick(rng);
        for _ in 0..rng.random_range(1..=4) {
            let at = rng.random_range(0..=bytes.len());
            let end = (at + rng.random_range(1..=16)).min(bytes.len());
            match rng.random_range(0..4) {
                0 => drop(bytes.drain(at..end)),
                1 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
                2 => {
                    let other = pick(rng);
                    let from = rng.random_range(0..=other.len());
                    let to = (from + rng.random_range(1..=64)).min(other.len());
                    drop(bytes.splice(at..end, other[from..to].iter().copied()));
                }
                _ => {
                    for byte in &mut bytes[at..end] {
                        *byte = *b"\0\n\r \"'<>{}[]:,.-+=#0189eExn\xff\xc3"
                            .get(rng.random_range(0..30))
                            .unwrap_or(&0x80);
                    }
                }
            }
        }
        bytes
    }

    #[test]
    fn the_corpus_and_what_damage_makes_of_it_break_nothing() {
        let more = std::env::var("FUZZ").ok();
        let thousands = more.and_then(|n| n.parse().ok()).unwrap_or(DAMAGED);
        let only = std::env::var("FUZZ_ONLY").unwrap_or_default();
        let seed = std::env::var("FUZZ_SEED").ok();
        let seed = seed.and_then(|n| n.parse().ok()).unwrap_or(2026);
        for target in Target::ALL.into_iter().filter(|t| t.name().contains(&only)) {
            let inputs = corpus(target);
            let mut rng = VuRng::seed_from_u64(seed);
            let (mut bytes, mut count) = (0, 0);
            for input in &inputs {
                target.run(input);
            }
            for _ in 0..thousands * 1000 {
                let input = damaged(&mut rng, &inputs);
                bytes += input.len();
                count += 1;
                let ran = std::panic::catch_unwind(|| target.run(&input));
                assert!(
                    ran.is_ok(),
                    "{target:?} {:?}",
                    String::from_utf8_lossy(&input)
                );
                if bytes > BYTES * thousands as usize {
                    break;
                }
            }
            println!("{}: {count} damaged inputs, {bytes} bytes", target.name());
        }
    }
}
