//! Answers and event streams, taken from valid ones and damaged at random: nothing panics, nothing
//! is kept without bound, and what comes out does not depend on how the bytes were cut.
//!
//! A few thousand cases run with the other tests. More of them, from another seed:
//! `FUZZ_SECONDS=300 FUZZ_SEED=7 cargo test --lib -- --ignored --nocapture fuzz`

use rand::{Rng, RngExt as _};

use super::answer::Body;
use super::http1::Reading;
use super::*;
use crate::scenario::sse::{MAX_EVENT_BYTES, Parser};
use crate::scenario::{VuRng, vu_rng};

/// Cases of the short run.
const SHORT: u32 = 3_000;
/// Most that a connection may keep of an answer nobody wants the body of: a head that is not
/// complete, and one read.
const MOST_KEPT: usize = 2 * (answer::MAX_HEAD + READ_SIZE);

/// What an answer is read for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Dropped,
    Kept,
    Stream,
}

/// Everything that a VU could see of an answer.
#[derive(Debug, PartialEq)]
struct Outcome {
    head: Option<(u16, usize)>,
    body: Vec<u8>,
    events: Vec<(String, String)>,
    /// Whether the connection may be used again, or how it failed.
    end: Result<bool, FailureKind>,
}

/// Reads one answer from a connection whose reads bring pieces of these lengths.
fn read(bytes: &[u8], cuts: &mut dyn FnMut() -> usize, method: &Method, mode: Mode) -> Outcome {
    let want = Want {
        method,
        headers: true,
        body: if mode == Mode::Dropped {
            Keep::Nothing
        } else {
            Keep::All(MAX_BODY)
        },
        expect: &Expect::Success,
        upgrades: false,
    };
    let mut out = Outcome {
        head: None,
        body: Vec::new(),
        events: Vec::new(),
        end: Ok(false),
    };
    let (mut reading, mut parser) = (Reading::default(), Parser::default());
    let mut rest = bytes;
    out.end = loop {
        let (piece, later) = rest.split_at(cuts().clamp(1, READ_SIZE).min(rest.len()));
        rest = later;
        let events = &mut out.events;
        let mut parse = |bytes: &[u8]| {
            let fed = parser.feed(bytes, |e| events.push((e.name, e.data)));
            fed.map_err(|_| FailureKind::Protocol)
        };
        let went = if out.head.is_some() {
            match mode {
                Mode::Stream => {
                    let parse = |bytes: &[u8]| parse(bytes).map_err(StreamEnd::Failed);
                    reading.pass_on(piece, parse).map_err(|end| match end {
                        StreamEnd::Failed(kind) => kind,
                        StreamEnd::Body | StreamEnd::Enough => unreachable!("nobody has enough"),
                    })
                }
                Mode::Dropped | Mode::Kept => reading.take_body(piece),
            }
        } else {
            reading.take_head(piece, want).and_then(|head| {
                let Some(head) = head else {
                    return Ok(());
                };
                out.head = Some((head.status.as_u16(), head.headers.len()));
                if mode == Mode::Stream {
                    parse(&std::mem::take(&mut reading.kept.bytes))?;
                }
                reading.check()
            })
        };
        let most = match mode {
            Mode::Kept => MAX_BODY + MOST_KEPT,
            Mode::Dropped | Mode::Stream => MOST_KEPT,
        };
        assert!(
            reading.kept.bytes.len() <= most,
            "{} bytes",
            reading.kept.bytes.len()
        );
        assert!(
            parser.held() <= 3 * MAX_EVENT_BYTES + 4096,
            "{}",
            parser.held()
        );
        match went {
            Err(kind) => break Err(kind),
            Ok(()) if out.head.is_some() && reading.body == Body::Done => {
                // What comes unasked after the answer is found by the next look at the connection.
                break Ok(reading.may_go_on() && rest.is_empty());
            }
            Ok(()) => {}
        }
    };
    // What an answer that fails had brought by then is nobody's.
    if out.end.is_ok() {
        out.body = reading.kept.bytes;
    }
    out
}

/// Pieces of answers, in which a byte too many matters.
const PIECES: &[&str] = &[
    "\r\n",
    "\r",
    "\n",
    "\r\n\r\n",
    "0\r\n\r\n",
    ":",
    " ",
    "\0",
    "\u{feff}",
    "data: x\n\n",
    "data:",
    "event: y\r\n",
    "retry: 10\n",
    ": note\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "content-length: 3\r\n",
    "content-length: 18446744073709551616\r\n",
    "transfer-encoding: chunked\r\n",
    "transfer-encoding: gzip\r\n",
    "connection: close\r\n",
    " folded\r\n",
    "ffffffffffffffff\r\n",
    "5;ext=\"a\r\n",
];

fn pick<'a, T>(rng: &mut VuRng, of: &'a [T]) -> &'a T {
    &of[rng.random_range(0..of.len())]
}

fn noise(rng: &mut VuRng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(0..=most)];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// A body: bytes, or events with every kind of line end.
fn body(rng: &mut VuRng) -> Vec<u8> {
    if rng.random_bool(0.4) {
        return noise(rng, 80);
    }
    let mut text = String::new();
    if rng.random_bool(0.2) {
        text.push('\u{feff}');
    }
    for _ in 0..rng.random_range(0..6) {
        let end = *pick(rng, &["\n", "\r", "\r\n"]);
        for line in [
            "event: a",
            ": note",
            "retry: 5",
            "id: 7",
            "data: {\"id\": 1}",
            "data: two",
            "data",
        ] {
            if rng.random_bool(0.4) {
                text.push_str(line);
                text.push_str(end);
            }
        }
        text.push_str(end);
    }
    text.into_bytes()
}

/// A valid answer.
fn answer_of(rng: &mut VuRng) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..rng.random_range(0..3) {
        if rng.random_bool(0.2) {
            out.extend(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        }
    }
    let status = *pick(rng, &[200, 200, 200, 201, 204, 304, 302, 503]);
    out.extend(format!("HTTP/1.{} {status} X\r\n", u8::from(rng.random_bool(0.9))).bytes());
    for _ in 0..rng.random_range(0..4) {
        let field = *pick(
            rng,
            &[
                "x-a: 1\r\n",
                "Connection: keep-alive\r\n",
                "retry-after: 3\r\n",
            ],
        );
        out.extend(field.bytes());
    }
    let body = body(rng);
    match rng.random_range(0..3) {
        0 => {
            out.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            out.extend(&body);
        }
        1 => {
            out.extend(b"\r\n");
            out.extend(&body);
        }
        _ => {
            out.extend(b"transfer-encoding: chunked\r\n\r\n");
            let mut rest = &body[..];
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(rng.random_range(1..=rest.len()));
                rest = later;
                let extension = *pick(rng, &["", "", ";a=b", " ; a=\"b\""]);
                out.extend(format!("{:x}{extension}\r\n", piece.len()).bytes());
                out.extend(piece);
                out.extend(b"\r\n");
            }
            out.extend(b"0\r\n");
            if rng.random_bool(0.3) {
                out.extend(b"checksum: 1\r\n");
            }
            out.extend(b"\r\n");
        }
    }
    out
}

/// Damages bytes in up to five places.
fn damage(rng: &mut VuRng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.random_range(0..6) {
        let at = rng.random_range(0..=bytes.len());
        let to = rng.random_range(at..=bytes.len().min(at + 30));
        match rng.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] = rng.random(),
            1 => drop(bytes.drain(at..to)),
            2 => {
                let again = bytes[at..to].to_vec();
                bytes.splice(at..at, again);
            }
            3 => bytes.truncate(at.max(1)),
            4 => {
                let noise = noise(rng, 8);
                bytes.splice(at..at, noise);
            }
            _ => {
                let piece = pick(rng, PIECES).bytes();
                bytes.splice(at..at, piece);
            }
        }
    }
    // Now and then something that must not be kept for ever.
    if rng.random_ratio(1, 400) {
        let at = rng.random_range(0..=bytes.len());
        let byte = *pick(rng, b"xx1:\n");
        let much = *pick(rng, &[100 * 1024, 3 << 20]);
        bytes.splice(at..at, std::iter::repeat_n(byte, much));
    }
}

/// One case; returns whether the answer was taken.
fn case(seed: u64, number: u32) -> bool {
    let mut rng = vu_rng(seed, number);
    let mut bytes = answer_of(&mut rng);
    damage(&mut rng, &mut bytes);
    let method = pick(
        &mut rng,
        &[Method::GET, Method::GET, Method::POST, Method::HEAD],
    )
    .clone();
    let mode = *pick(&mut rng, &[Mode::Dropped, Mode::Kept, Mode::Stream]);
    let whole = read(&bytes, &mut || READ_SIZE, &method, mode);
    // One byte at a time would take very long where there is much.
    let least = 1 + bytes.len() / 4096;
    let single = read(&bytes, &mut || least, &method, mode);
    let most = 2 * least + rng.random_range(1..60);
    let anyhow = read(
        &bytes,
        &mut || rng.random_range(least..=most),
        &method,
        mode,
    );
    for other in [single, anyhow] {
        assert_eq!(
            whole,
            other,
            "FUZZ_SEED={seed}, case {number}, {mode:?} of {method}: {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(4096)])
        );
    }
    whole.end.is_ok()
}

/// The first byte says what is read and how, the second how long the pieces are; the rest is the
/// answer.
pub(crate) fn door(data: &[u8]) {
    let [how, piece, bytes @ ..] = data else {
        return;
    };
    let method = &[Method::GET, Method::POST, Method::HEAD][usize::from(how % 3)];
    let mode = [Mode::Dropped, Mode::Kept, Mode::Stream][usize::from(how / 3 % 3)];
    let whole = read(bytes, &mut || READ_SIZE, method, mode);
    let pieces = read(bytes, &mut || usize::from(*piece), method, mode);
    assert_eq!(whole, pieces);
}

#[cfg(test)]
#[test]
fn fuzz_answers_are_the_same_however_they_are_cut() {
    let taken = (0..SHORT).filter(|number| case(1, *number)).count();
    // Enough that both ends are reached: answers that are taken and such that are refused.
    let taken = u32::try_from(taken).unwrap();
    assert!((SHORT / 20..SHORT * 19 / 20).contains(&taken), "{taken}");
}

#[cfg(test)]
#[test]
#[ignore = "runs for FUZZ_SECONDS (60 without it)"]
fn fuzz_for_long() {
    let number = |name: &str, default| {
        let text = std::env::var(name).ok();
        text.map_or(default, |t| t.parse().expect("a whole number"))
    };
    let seed = number("FUZZ_SEED", 1);
    let end = Instant::now() + std::time::Duration::from_secs(number("FUZZ_SECONDS", 60));
    let (mut cases, mut taken) = (0_u32, 0_u32);
    while Instant::now() < end {
        taken += u32::from(case(seed, cases));
        cases += 1;
    }
    println!("{cases} cases from seed {seed}, of which {taken} were answers");
}
