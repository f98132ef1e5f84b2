//! What happens to a container and what it logs, from streams of the Docker Engine that are opened
//! again when they end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::api::{DockerEngine, Event};
use crate::monitor::MonitorError;
use crate::monitor::log::{Inbox, Splitter};

/// Time until a stream that ended is opened again: its container is down, or the engine is.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest event that is read; a container's labels stand in it.
const LONGEST_EVENT: usize = 1 << 20;
/// Bytes in front of each piece of a log: which stream, three zeros, and the piece's length.
const FRAME_HEAD: usize = 8;

/// Notes what happens to a container, for ever.
pub(in crate::monitor) async fn events(name: String, inbox: Inbox) {
    let mut last = now_nano();
    // The samples fail for the same reason, and tell.
    let Ok(engine) = DockerEngine::new() else {
        return;
    };
    loop {
        // Without an engine there are no events; the samples tell of that too.
        read_events(&engine, &name, &inbox, &mut last).await.ok();
        tokio::time::sleep(AGAIN).await;
    }
}

async fn read_events(
    engine: &DockerEngine,
    name: &str,
    inbox: &Inbox,
    last: &mut u64,
) -> Result<(), MonitorError> {
    let filters = serde_json::json!({
        "container": [name],
        "event": ["oom", "die", "restart", "health_status"],
    });
    let query = [("since", time(*last)), ("filters", filters.to_string())];
    let query = query.each_ref().map(|(key, value)| (*key, value.as_str()));
    let mut answer = engine.stream(name, "events", &query).await?;
    let mut splitter = Splitter::new(LONGEST_EVENT);
    while let Ok(Some(bytes)) = answer.chunk().await {
        splitter.push(&bytes, |line| {
            if let Ok(event) = serde_json::from_str::<Event>(line)
                && event.time_nano > *last
            {
                *last = event.time_nano;
                inbox.note(&event.text());
            }
        });
    }
    Ok(())
}

/// Hears a container's log over its restarts, for ever.
pub(in crate::monitor) async fn log(name: String, inbox: Inbox) {
    let mut since = now_nano();
    let Ok(engine) = DockerEngine::new() else {
        return;
    };
    loop {
        // What was logged while there was no stream comes with the next one.
        if read_log(&engine, &name, &inbox, since).await.is_ok() {
            since = now_nano();
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Reads until the container ends.
async fn read_log(
    engine: &DockerEngine,
    name: &str,
    inbox: &Inbox,
    since: u64,
) -> Result<(), MonitorError> {
    let has_terminal = engine.inspect(name).await?.config.tty;
    let path = format!("containers/{name}/logs");
    let since = time(since);
    let query = [
        ("follow", "1"),
        ("stdout", "1"),
        ("stderr", "1"),
        ("since", since.as_str()),
    ];
    let mut answer = engine.stream(name, &path, &query).await?;
    let mut frames = Frames::new(has_terminal);
    while let Ok(Some(bytes)) = answer.chunk().await {
        frames.push(&bytes, |line| inbox.hear(line));
    }
    Ok(())
}

fn now_nano() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(0))
}

/// A time as the engine reads it.
fn time(nano: u64) -> String {
    format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000)
}

/// Takes a log apart into the lines of its two streams. That of a container with a terminal is one
/// stream without frames.
#[derive(Debug)]
struct Frames {
    is_plain: bool,
    head: Vec<u8>,
    /// Bytes of the frame that are still to come.
    left: usize,
    streams: [Splitter; 2],
}

impl Frames {
    fn new(is_plain: bool) -> Self {
        Self {
            is_plain,
            head: Vec::new(),
            left: 0,
            streams: [Splitter::default(), Splitter::default()],
        }
    }

    fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        if self.is_plain {
            self.streams[0].push(bytes, each);
            return;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.left == 0 {
                rest = self.read_head(rest);
                continue;
            }
            let (piece, after) = rest.split_at(self.left.min(rest.len()));
            let is_stderr = self.head.first() == Some(&2);
            self.streams[usize::from(is_stderr)].push(piece, &mut each);
            self.left -= piece.len();
            if self.left == 0 {
                self.head.clear();
            }
            rest = after;
        }
    }

    /// Takes bytes of a frame's head; gives what follows them.
    fn read_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let wanted = FRAME_HEAD - self.head.len();
        let (piece, rest) = bytes.split_at(wanted.min(bytes.len()));
        self.head.extend_from_slice(piece);
        if let [_, _, _, _, length @ ..] = self.head.as_slice()
            && let Ok(length) = <[u8; 4]>::try_from(length)
        {
            self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if self.left == 0 {
                self.head.clear();
            }
        }
        rest
    }
}

/// The lines of a log are the same, wherever it is cut.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(data: &[u8]) {
    for is_plain in [false, true] {
        let lines = |size: usize| {
            let (mut frames, mut lines) = (Frames::new(is_plain), Vec::new());
            for piece in data.chunks(size) {
                frames.push(piece, |line| lines.push(line.to_owned()));
            }
            lines
        };
        assert_eq!(lines(5), lines(data.len().max(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        let mut bytes = vec![stream, 0, 0, 0];
        bytes.extend(length);
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn frames_are_read_whatever_their_cuts() {
        let mut bytes = frame(1, "hello\nwo");
        bytes.extend(frame(2, "oops error\n"));
        bytes.extend(frame(1, ""));
        bytes.extend(frame(1, "rld\n"));
        for size in 1..bytes.len() {
            let mut frames = Frames::new(false);
            let mut lines = Vec::new();
            for piece in bytes.chunks(size) {
                frames.push(piece, |l| lines.push(l.to_owned()));
            }
            assert_eq!(lines, ["hello", "oops error", "world"], "pieces of {size}");
        }
    }

    #[test]
    fn a_terminals_log_has_no_frames() {
        let mut frames = Frames::new(true);
        let mut lines = Vec::new();
        frames.push(b"\x01\x00 hello\r\n", |l| lines.push(l.to_owned()));
        assert_eq!(lines, ["\u{1}\0 hello\r"]);
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        assert_eq!(time(1_795_629_041_000_000_007), "1795629041.000000007");
    }
}
