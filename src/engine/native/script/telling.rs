//! What is told of a script's requests: of failed ones why, and of an iteration that is looked at
//! everything.

use breakpoint_script::exchange::{MetricKind, PrintLevel, Printed, Sample, Thrown, ThrownKind};

use super::desk::{Came, Desk, Missing, Named};
use crate::engine::native::recorder::{Ending, Way};
use crate::engine::native::user::{Body, EXCHANGE, body_lines, fit, head_lines};
use crate::engine::native::why::Words;
use crate::engine::trace::Mark;
use crate::excerpt::{self, Masks};
use crate::measure::{Exchange, Failure, FailureKind};
use crate::secret::masked;
use crate::units;

/// A request that is told of.
pub(super) struct Told<'a> {
    pub(super) named: &'a Named,
    /// Where it is counted.
    pub(super) row: usize,
    pub(super) url: &'a str,
    pub(super) method: &'a str,
    pub(super) sent: &'a [u8],
}

impl Told<'_> {
    /// `GET http://host/path`, without secrets.
    fn request(&self) -> String {
        format!("{} {}", self.method, masked(self.url))
    }
}

/// What was thrown, and where, on one line.
pub(super) fn sentence_of(thrown: &Thrown) -> String {
    let message = excerpt::line(&thrown.message);
    let place = thrown.place.as_ref();
    let place = place.map_or_else(String::new, |place| format!(" ({})", excerpt::line(place)));
    let kind = match thrown.kind {
        // What is thrown for an endless run says so itself.
        ThrownKind::Script | ThrownKind::Fail | ThrownKind::Endless => "",
        ThrownKind::Memory => "the script holds too much memory: ",
        ThrownKind::Stack => "the script calls too deeply: ",
    };
    format!("{kind}{message}{place}")
}

impl Desk<'_> {
    fn masks(&self) -> Masks {
        Masks::new(self.script.work.hidden.iter().cloned())
    }

    /// Says something to whoever looks.
    pub(super) fn say(&self, mark: Mark, text: impl FnOnce(&Masks) -> String) {
        if let Some(trace) = &self.kind.trace {
            trace.say(mark, &text(&self.masks()));
        }
    }

    /// A request is sent.
    pub(super) fn say_sent(&self, name: &str, url: &str, bytes: &[u8]) {
        self.say(Mark::Step, |_| format!("{name}: {}", masked(url)));
        self.say(Mark::Sent, |masks| {
            let mut lines = masks.request_lines(bytes);
            lines.extend(body_lines(&masks.body(excerpt::head_of(bytes).1), ""));
            lines.join("\n")
        });
    }

    /// Values that the script measured, and what it printed.
    pub(super) fn say_noted(&self, samples: &[Sample], printed: &[Printed]) {
        if self.kind.trace.is_none() {
            return;
        }
        for sample in samples {
            let passed = sample.value.abs() > 0.0;
            let check = sample.tags.iter().find(|(name, _)| name == "check");
            match check.filter(|_| &*sample.metric == "checks") {
                Some((_, check)) if passed => self.say(Mark::Passed, |_| format!("check: {check}")),
                Some((_, check)) => self.check_failed(check),
                None => self.say(Mark::Note, |_| value_of(sample)),
            }
        }
        for line in printed {
            let level = match line.level {
                PrintLevel::Debug => "debug",
                PrintLevel::Info => "console",
                PrintLevel::Warn => "warning",
                PrintLevel::Error => "error",
            };
            self.say(Mark::Note, |masks| {
                format!("{level}: {}", masks.text(&line.text))
            });
        }
    }

    /// To one who sees all of an iteration, a check that fails is a failure of it.
    fn check_failed(&self, check: &str) {
        self.say(Mark::Failed, |_| format!("check failed: {check}"));
        self.failure.borrow_mut().get_or_insert_with(|| {
            Box::new(Failure {
                step: Some("checks".to_owned()),
                message: excerpt::long_line(&format!("check failed: {check}")),
                connected: true,
                ..Failure::of(FailureKind::Check)
            })
        });
    }

    /// Tells of a request that has ended: of one that failed why, and to one who looks of all.
    pub(super) fn tell(&self, told: &Told<'_>, went: &Result<Came, Missing>, ending: Ending) {
        if let (Ok(came), Some(_)) = (went, &self.kind.trace) {
            self.say(Mark::Came, |masks| {
                let status = came.head.status.as_u16();
                let mut lines = head_lines(came.head.version, status, &came.head.headers, masks);
                let body = Body::read(&came.head.headers, &came.body, came.encoding);
                lines.extend(body_lines(&body.shown(masks), ""));
                if came.body.len() >= excerpt::BODY {
                    lines.push("(the first kilobyte)".to_owned());
                }
                lines.join("\n")
            });
        }
        match ending {
            Ending::Completed(took) => self.say(Mark::Passed, |_| {
                format!("passed in {}", units::format_seconds(took.as_secs_f64()))
            }),
            Ending::Shed => {
                self.say(Mark::Failed, |_| {
                    "refused by design (Retry-After)".to_owned()
                });
            }
            Ending::Failed(kind) => self.tell_failure(told, went, kind),
        }
    }

    /// Counts how a request failed, and keeps what was said.
    #[cold]
    #[inline(never)]
    fn tell_failure(&self, told: &Told<'_>, went: &Result<Came, Missing>, kind: FailureKind) {
        let (came, words) = match went {
            Ok(came) => (Some(came), None),
            Err(missing) => (None, missing.words.as_ref()),
        };
        let tells = self.kind.excerpts;
        let body = came.map(|came| Body::read(&came.head.headers, &came.body, came.encoding));
        let status = came.map(|came| came.head.status.as_u16());
        let message = match (words, &body) {
            (Some(words), _) => words.text.clone(),
            (None, Some(body)) if tells => body.folded(),
            (None, _) => String::new(),
        };
        let way = Way {
            step: told.row,
            kind,
            status,
            message,
        };
        let wanted = self.kind.thread.recorder.borrow_mut().failed(&way);
        let looks = !self.kind.thinks;
        if !(wanted.words || wanted.exchange && tells || looks) {
            return;
        }
        let masks = self.masks();
        let excerpt = match &body {
            Some(body) if tells => body.shown(&masks),
            _ => String::new(),
        };
        let message = match words {
            Some(words) => excerpt::line(&masks.text(&words.text)),
            None => excerpt::folded(&excerpt),
        };
        let request = masks.text(&told.request());
        let mut recorder = self.kind.thread.recorder.borrow_mut();
        recorder.describe(&way, |shown| {
            shown.message.clone_from(&message);
            shown.request = Some(request.clone());
            shown.excerpt = excerpt::line(&excerpt);
        });
        if wanted.exchange && tells {
            let exchange = Exchange {
                step: told.named.name.clone(),
                kind,
                status,
                text: exchange_text(told, (came, words), &excerpt, &masks),
            };
            recorder.keep(&way, exchange);
        }
        drop(recorder);
        if looks {
            let failure = Failure {
                step: Some(told.named.name.clone()),
                request: Some(request),
                status,
                connected: words.is_some_and(|words| !words.connecting),
                message: excerpt::long_line(&message),
                excerpt: excerpt::line(&excerpt),
                ..Failure::of(kind)
            };
            self.failure.borrow_mut().get_or_insert(Box::new(failure));
            self.say(Mark::Failed, |_| {
                let status = status.map_or_else(String::new, |status| format!(" {status}"));
                format!("failed with `{}`{status} {message}", kind.name())
            });
        }
    }

    /// Counts an iteration that threw.
    pub(super) fn threw(&self, thrown: &Thrown, row: usize) -> Box<Failure> {
        let masks = self.masks();
        let text = masks.text(&sentence_of(thrown));
        let way = Way {
            step: row,
            kind: FailureKind::Protocol,
            status: None,
            message: excerpt::folded(&thrown.message),
        };
        let mut recorder = self.kind.thread.recorder.borrow_mut();
        recorder.count(row, Ending::Failed(FailureKind::Protocol));
        if recorder.failed(&way).words {
            recorder.describe(&way, |shown| shown.message.clone_from(&text));
        }
        drop(recorder);
        self.say(Mark::Failed, |_| {
            let stack = thrown.stack.trim_end();
            let stack = if stack.is_empty() {
                String::new()
            } else {
                format!("\n{stack}")
            };
            format!("the iteration threw: {text}{stack}")
        });
        Box::new(Failure {
            step: Some(crate::k6::ITERATION.to_owned()),
            message: excerpt::long_line(&text),
            connected: true,
            ..Failure::of(FailureKind::Protocol)
        })
    }
}

/// A value of one of the script's metrics.
fn value_of(sample: &Sample) -> String {
    let (name, value) = (&sample.metric, sample.value);
    match sample.kind {
        MetricKind::Trend if sample.is_time => format!("{name} = {value} ms"),
        MetricKind::Counter => format!("{name} + {value}"),
        MetricKind::Trend | MetricKind::Gauge | MetricKind::Rate => format!("{name} = {value}"),
    }
}

/// What was sent and what came.
fn exchange_text(
    told: &Told<'_>,
    (came, words): (Option<&Came>, Option<&Words>),
    excerpt: &str,
    masks: &Masks,
) -> String {
    let signed = |sign: &str, lines: Vec<String>| -> Vec<String> {
        lines
            .into_iter()
            .map(|line| format!("{sign} {line}"))
            .collect()
    };
    let mut sent = signed(">", masks.request_lines(told.sent));
    let body = excerpt::head_of(told.sent).1;
    sent.extend(body_lines(&masks.body(body), "> "));
    let mut lines = Vec::new();
    if let Some(came) = came {
        let status = came.head.status.as_u16();
        let head = head_lines(came.head.version, status, &came.head.headers, masks);
        lines.extend(signed("<", head));
        lines.extend(body_lines(excerpt, "< "));
    }
    lines.extend(words.map(|words| format!("* {}", masks.text(&words.whole()))));
    let shown = |lines: &[String]| excerpt::visible(&lines.join("\n"));
    let sent = fit(&shown(&sent), EXCHANGE / 2);
    let whole = format!("{sent}\n{}", shown(&lines));
    fit(whole.trim(), EXCHANGE)
}
