//! Values that are counted in rows of their tags, which thresholds name: `requests{role:user}`.

use std::time::Duration;

use breakpoint_script::exchange::{HttpRequest, Tags};

use super::desk::{Came, Desk, Missing, error_code};
use crate::engine::native::http::Version;
use crate::engine::native::recorder::Ending;
use crate::k6::{ITERATION_DURATION, MetricRow, Part};

/// A request with its tags: those that the script gave it, and those that any request has.
pub(super) struct Tagged<'a> {
    name: &'a str,
    request: &'a HttpRequest,
    came: Option<Outcome>,
}

/// What is known of a request once it has ended.
struct Outcome {
    status: u16,
    error_code: u16,
    protocol: &'static str,
    is_expected: bool,
}

/// Whether a text is that of an objective, which has no blanks.
fn is_same(text: &str, wanted: &str) -> bool {
    let letters = |text: &'_ str| -> String { text.split_whitespace().collect() };
    text == wanted || letters(text) == letters(wanted)
}

/// Whether some tags have one of a value.
pub(super) fn is_of(tags: &Tags) -> impl Fn(&str, &str) -> bool + '_ {
    |tag, wanted| {
        let mut all = tags.iter();
        all.any(|(name, value)| name == tag && is_same(value, wanted))
    }
}

impl<'a> Tagged<'a> {
    pub(super) fn new(name: &'a str, request: &'a HttpRequest) -> Self {
        Self {
            name,
            request,
            came: None,
        }
    }

    /// Whether it has a tag of this value. One in flight counts as one that will pass, so that
    /// whoever hangs is seen.
    fn has(&self, tag: &str, wanted: &str) -> bool {
        let given = self.request.tags.iter().find(|(name, _)| name == tag);
        if let Some((_, value)) = given {
            return is_same(value, wanted);
        }
        let came = self.came.as_ref();
        let is_number = |number: fn(&Outcome) -> u16| -> bool {
            came.is_some_and(|came| wanted == number(came).to_string())
        };
        match tag {
            "name" => is_same(self.name, wanted),
            "url" => is_same(&self.request.url, wanted),
            "method" => self.request.method == wanted,
            "status" if came.is_none() => wanted.starts_with(['2', '3']),
            "status" => is_number(|came| came.status),
            "error_code" => is_number(|came| came.error_code),
            "proto" => came.is_some_and(|came| came.protocol == wanted),
            "expected_response" => {
                let is_expected = came.is_none_or(|came| came.is_expected);
                wanted == if is_expected { "true" } else { "false" }
            }
            _ => false,
        }
    }
}

impl Desk<'_> {
    /// Rows of a request that begins, in which it is in flight.
    pub(super) fn in_flight(&self, tagged: &Tagged<'_>) -> Vec<usize> {
        let table = &self.script.work.table;
        let all = table.requests(|tag, value| tagged.has(tag, value));
        let seen = all.filter(|(_, row)| is_of_whole(*row));
        seen.map(|(row, _)| self.kind.first_row + row).collect()
    }

    /// Counts a request that has ended in the rows of its tags.
    pub(super) fn count_tagged(
        &self,
        mut tagged: Tagged<'_>,
        went: &Result<Came, Missing>,
        ending: Ending,
    ) {
        let table = &self.script.work.table;
        if !table.has_tagged() {
            return;
        }
        tagged.came = Some(Outcome {
            status: went.as_ref().map_or(0, |came| came.head.status.as_u16()),
            error_code: error_code(went),
            protocol: match went.as_ref().map(|came| came.head.version) {
                Ok(Version::One) => "HTTP/1.1",
                Ok(Version::Two) => "HTTP/2.0",
                Err(_) => "",
            },
            is_expected: matches!(ending, Ending::Completed(_)),
        });
        let mut recorder = self.kind.thread.recorder.borrow_mut();
        for (row, counted) in table.requests(|tag, value| tagged.has(tag, value)) {
            let ending = match (counted, went) {
                (MetricRow::Counted, _) => Ending::Completed(Duration::ZERO),
                (MetricRow::Part(part), Ok(came)) => {
                    let timings = &came.timings;
                    Ending::Completed(match part {
                        Part::Whole => timings.duration(),
                        Part::Blocked => timings.blocked,
                        Part::Connecting => timings.connecting,
                        Part::TlsHandshaking => timings.tls_handshaking,
                        Part::Waiting => timings.waiting,
                        Part::Receiving => timings.receiving,
                    })
                }
                // Whoever gets no answer waited for it; of the other parts nothing is known.
                (MetricRow::Part(part), Err(_)) if !is_of_whole(MetricRow::Part(part)) => continue,
                _ => ending,
            };
            recorder.count(self.kind.first_row + row, ending);
        }
    }

    /// Counts an iteration in the rows of its tags; `whole` is how long it took with its sleeps.
    pub(super) fn count_iteration(&self, tags: &Tags, ending: Ending, whole: Option<Duration>) {
        let table = &self.script.work.table;
        let mut recorder = self.kind.thread.recorder.borrow_mut();
        for (row, _) in table.iterations(is_of(tags)) {
            recorder.count(self.kind.first_row + row, ending);
        }
        let Some(whole) = whole else { return };
        for (row, _) in table.metrics(ITERATION_DURATION, is_of(tags)) {
            recorder.count(self.kind.first_row + row, Ending::Completed(whole));
        }
    }
}

/// Whether a row is about what goes on from the beginning of a request.
fn is_of_whole(row: MetricRow) -> bool {
    matches!(
        row,
        MetricRow::Requests | MetricRow::Part(Part::Whole | Part::Waiting)
    )
}
