//! Server-sent events: bytes in, events out (WHATWG HTML, section 9.2.6). Pure; chunks may be cut
//! anywhere.

use std::time::Duration;

/// Longest line, and longest event, that is taken; a stream beyond it is not an event stream.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// Longest identifier of an event that is kept: it becomes a header.
const MAX_ID_BYTES: usize = 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event's name; `message` where the stream names none.
    pub name: String,
    /// The data lines, joined by line feeds.
    pub data: String,
}

/// The stream holds a line or an event of more than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line or event of the stream is longer than 1 MiB")]
pub struct TooLong;

/// Takes a stream's chunks apart into events.
#[derive(Debug, Default)]
pub struct Parser {
    /// The line so far.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right after it belongs to the same line
    /// end.
    after_cr: bool,
    /// A first line has been read: no byte order mark can follow.
    begun: bool,
    name: String,
    data: String,
    has_data: bool,
    /// The identifier that the events from now on have.
    id: String,
    /// That of the last event.
    last_id: String,
    retry: Option<Duration>,
}

impl Parser {
    /// One that goes on where a stream ended.
    pub fn after(last_id: String) -> Self {
        Self {
            id: last_id.clone(),
            last_id,
            ..Self::default()
        }
    }

    /// The identifier of the last event; empty where none had one.
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    /// How long the stream says to wait before it is opened again.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes the next chunk; calls `found` for every event that it completes.
    ///
    /// # Errors
    /// When a line or an event is too long.
    pub fn feed(&mut self, chunk: &[u8], mut found: impl FnMut(Event)) -> Result<(), TooLong> {
        let mut rest = chunk;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            self.extend_line(&rest[..end])?;
            let line = std::mem::take(&mut self.line);
            self.take_line(&line, &mut found)?;
            self.line = line;
            self.line.clear();
            let was_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if was_cr {
                self.after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.extend_line(rest)
    }

    /// Bytes held of what is not complete.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        let ids = self.id.capacity() + self.last_id.capacity();
        self.line.capacity() + self.name.capacity() + self.data.capacity() + ids
    }

    fn extend_line(&mut self, part: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + part.len() > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn take_line(&mut self, line: &[u8], found: &mut impl FnMut(Event)) -> Result<(), TooLong> {
        let mut line = line;
        if !self.begun {
            self.begun = true;
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(found);
            return Ok(());
        }
        let (field, value) = match line.iter().position(|b| *b == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"event" => self.name = value.into_owned(),
            b"data" => {
                if self.data.len() + value.len() >= MAX_EVENT_BYTES {
                    return Err(TooLong);
                }
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(&value);
            }
            // An identifier is sent back in a header, which none of these may be in.
            b"id" if !value.contains(|c: char| c.is_control()) && value.len() <= MAX_ID_BYTES => {
                self.id = value.into_owned();
            }
            b"retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            // Comments (an empty field) and unknown fields say nothing to a VU.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, found: &mut impl FnMut(Event)) {
        self.last_id.clone_from(&self.id);
        let mut name = std::mem::take(&mut self.name);
        if !std::mem::take(&mut self.has_data) {
            return;
        }
        if name.is_empty() {
            "message".clone_into(&mut name);
        }
        let data = std::mem::take(&mut self.data);
        found(Event { name, data });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut out = Vec::new();
        for chunk in chunks {
            parser
                .feed(chunk, |e| out.push((e.name, e.data)))
                .expect("short");
        }
        out
    }

    fn one(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn the_cases_of_the_standard_are_read() {
        for (text, want) in [
            ("data: a\n\n", vec![one("message", "a")]),
            ("event: x\ndata:a\ndata: b\n\n", vec![one("x", "a\nb")]),
            ("event: x\r\ndata: a\r\n\r\n", vec![one("x", "a")]),
            (
                "data: a\r\rdata: b\r\r",
                vec![one("message", "a"), one("message", "b")],
            ),
            ("\u{feff}data: a\n\n", vec![one("message", "a")]),
            (": comment\n\ndata\n\n", vec![one("message", "")]),
            ("data\ndata\n\n", vec![one("message", "\n")]),
            ("event: x\n\ndata: a\n\n", vec![one("message", "a")]),
            ("data:  two\n\n", vec![one("message", " two")]),
            (
                "id: 1\nretry: 5\nother: x\ndata: a\n\n",
                vec![one("message", "a")],
            ),
            ("data: unfinished\n", vec![]),
        ] {
            assert_eq!(events(&[text.as_bytes()]), want, "{text:?}");
        }
    }

    #[test]
    fn what_a_stream_says_of_opening_it_again_is_kept() {
        for (text, id, retry) in [
            ("id: 7\ndata: a\n\n", "7", None),
            ("id: 7\ndata: a\n\nid: 8\ndata: unfinished\n", "7", None),
            ("id: 7\n\nid\n\n", "", None),
            ("id: a\0b\ndata: a\n\n", "", None),
            ("retry: 250\n\n", "", Some(250)),
            (
                "retry: 250\nretry: soon\nretry: -1\nretry:\n\n",
                "",
                Some(250),
            ),
            ("retry: 99999999999999999999999\n\n", "", None),
        ] {
            let mut parser = Parser::default();
            parser.feed(text.as_bytes(), |_| {}).unwrap();
            let retry = retry.map(Duration::from_millis);
            assert_eq!((parser.last_id(), parser.retry()), (id, retry), "{text:?}");
        }
        let parser = Parser::after("7".to_owned());
        assert_eq!(parser.last_id(), "7");
    }

    #[test]
    fn a_stream_may_be_cut_at_every_byte() {
        let text = "\u{feff}: note\r\nretry: 10\r\n\r\nevent: a\rdata: one\rdata: two\r\rid: 7\ndata:é\n\n\
                    event: b\r\ndata\r\n\r\ndata: \u{feff}\r\n\n";
        let want = [
            one("a", "one\ntwo"),
            one("message", "é"),
            one("b", ""),
            one("message", "\u{feff}"),
        ];
        let bytes = text.as_bytes();
        for cut in 0..=bytes.len() {
            let (before, after) = bytes.split_at(cut);
            assert_eq!(events(&[before, after]), want, "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single), want);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        let chunk = vec![b'x'; 1 << 16];
        let result = (0..17).try_for_each(|_| parser.feed(&chunk, |_| {}));
        assert_eq!(result, Err(TooLong));
        let mut parser = Parser::default();
        let line = [b"data:".as_slice(), &chunk, b"\n"].concat();
        let result = (0..17).try_for_each(|_| parser.feed(&line, |_| {}));
        assert_eq!(result, Err(TooLong), "many data lines of one event");
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(
            text in "(data: [a-z]{0,3}|event: [xy]|: c|data|\u{feff}|é|\r|\n|\r\n){0,30}",
            cuts in proptest::collection::vec(0usize..200, 0..12),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            chunks.push(&bytes[from..]);
            prop_assert_eq!(events(&chunks), events(&[bytes]));
        }
    }
}
