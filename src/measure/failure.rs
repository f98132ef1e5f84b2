//! What failed, told apart by more than its kind: statuses, messages, and what was said.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::FailureKind;

/// Ways in which one step may fail within a window that are told apart; all others of a kind are
/// counted together. An error page with a random word in it would fill the memory otherwise.
pub const MOST_WAYS: usize = 16;
/// Whole exchanges that a record keeps.
pub const MOST_EXCHANGES: usize = 20;

/// One way in which a step failed, and how often it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureWay {
    /// How many times.
    pub count: u64,
    /// The kind.
    pub kind: FailureKind,
    /// The status of the answer, where it is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was said, without what differs between two of them: the beginning of the body, or the
    /// error. Empty where nothing was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Of what request: `GET /login`. `None` for a wait, which sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The beginning of an answer's body, on one line and without secrets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub excerpt: String,
}

impl FailureWay {
    /// The status, else the kind: `429`, `connect_refused`.
    pub fn name(&self) -> String {
        self.status
            .map_or_else(|| self.kind.name().to_owned(), |s| s.to_string())
    }

    fn is(&self, other: &Self) -> bool {
        (self.kind, self.status) == (other.kind, other.status) && self.message == other.message
    }
}

/// The ways in which a step failed, as many as are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailureWays(Vec<FailureWay>);

impl FailureWays {
    /// The message of those that are not told apart.
    pub const OTHERS: &str = "others";

    /// Counts those of `way` too.
    pub fn add(&mut self, way: FailureWay) {
        if let Some(known) = self.0.iter_mut().find(|known| known.is(&way)) {
            known.count += way.count;
            return;
        }
        if self.0.len() < MOST_WAYS {
            self.0.push(way);
            return;
        }
        // At most one more for each kind.
        let rest = FailureWay {
            status: None,
            message: Self::OTHERS.to_owned(),
            request: None,
            excerpt: String::new(),
            ..way
        };
        match self.0.iter_mut().find(|known| known.is(&rest)) {
            Some(known) => known.count += rest.count,
            None => self.0.push(rest),
        }
    }

    /// Counts those of `other` too.
    pub fn merge(&mut self, other: &Self) {
        for way in &other.0 {
            self.add(way.clone());
        }
    }

    /// The most frequent, at most so many.
    pub fn most(&self, most: usize) -> Vec<FailureWay> {
        let mut all = self.0.clone();
        all.sort_by_key(|way| std::cmp::Reverse(way.count));
        all.truncate(most);
        all
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &FailureWay> {
        self.0.iter()
    }
}

/// A failing request with its answer, without secrets and of bounded length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The step.
    pub step: String,
    /// How it failed.
    pub kind: FailureKind,
    /// The status of the answer, where it is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was sent and what came, `> ` and `< ` before the lines.
    pub text: String,
}

/// A failed step outside any measurement: what a first contact, or a look, tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// The step; `None` where an engine does not say.
    pub step: Option<String>,
    /// What was asked: `GET http://127.0.0.1:8080/login`.
    pub request: Option<String>,
    /// The status of the answer, where it is to blame.
    pub status: Option<u16>,
    /// The status of an answer that came and is not to blame.
    pub answered: Option<u16>,
    /// Whether there was a connection.
    pub connected: bool,
    /// Whether it was waited on a stream or a WebSocket that was open.
    pub waited: bool,
    /// Where an answer points that is a redirect, without secrets.
    pub points_to: Option<String>,
    /// How many redirects are followed.
    pub redirects: u32,
    /// Why, in words; may be empty.
    pub message: String,
    /// The beginning of the answer's body; may be empty.
    pub excerpt: String,
}

impl Failure {
    /// One of which only the kind is known.
    pub fn of(kind: FailureKind) -> Self {
        Self {
            kind,
            step: None,
            request: None,
            status: None,
            answered: None,
            connected: false,
            waited: false,
            points_to: None,
            redirects: 0,
            message: String::new(),
            excerpt: String::new(),
        }
    }

    /// Whether somebody is there, who answered if not as was wanted, or hung up.
    pub fn was_answered(&self) -> bool {
        match self.kind {
            FailureKind::Status
            | FailureKind::WrongEvent
            | FailureKind::Tls
            | FailureKind::Eof
            | FailureKind::Protocol
            | FailureKind::Check => true,
            FailureKind::Reset => self.connected || self.answered.is_some(),
            // Whoever has opened something was answered before.
            FailureKind::Timeout => self.answered.is_some() || self.waited,
            FailureKind::ConnectRefused
            | FailureKind::Dns
            | FailureKind::NoDescriptors
            | FailureKind::NoPorts => false,
        }
    }

    /// Whether it is what a service shows that is not up yet, or the proxy before it: no answer at
    /// all.
    pub fn may_be_coming_up(&self) -> bool {
        let hung_up = matches!(self.kind, FailureKind::Reset | FailureKind::Eof);
        self.answered.is_none() && (hung_up || !self.was_answered())
    }

    /// Whether the same will come again however long is waited: a request that the target
    /// understood and refused. Those statuses that ask to come again later are none.
    pub fn is_definite(&self) -> bool {
        let again = [408, 425, 429];
        self.status
            .is_some_and(|s| (400..500).contains(&s) && !again.contains(&s))
    }

    /// Which step failed at what, and how.
    pub fn sentence(&self) -> String {
        let Some(step) = &self.step else {
            return format!("a single cycle fails with `{}`", self.kind.name());
        };
        let request = self.request.as_ref();
        let request = request.map_or_else(String::new, |r| format!(" ({r})"));
        let said = if self.excerpt.is_empty() {
            String::new()
        } else {
            format!("; the response begins: {}", self.excerpt)
        };
        let message = if self.message.is_empty() {
            String::new()
        } else {
            format!(": {}", self.message)
        };
        match (self.status, self.answered) {
            (Some(status), _) => format!(
                "step `{step}`{request} was answered with {}{}{message}{said}",
                status_text(status),
                self.pointed()
            ),
            (None, Some(status)) => format!(
                "step `{step}`{request} was answered with {}, and then failed with \
                 `{}`{message}{said}",
                status_text(status),
                self.kind.name()
            ),
            (None, None) => format!(
                "step `{step}`{request} failed with `{}`{message}{said}",
                self.kind.name()
            ),
        }
    }
}

impl Failure {
    /// Where a redirect points, and what follows it.
    fn pointed(&self) -> String {
        let Some(to) = &self.points_to else {
            return String::new();
        };
        match self.redirects {
            0 => format!(
                " and redirects to {to} (redirects are not followed: use that address, or set \
                 `redirects = 5` in the profile's [scenario]; if this response is wanted, give \
                 the step `expect = [{}]`)",
                self.status.unwrap_or_default()
            ),
            n => format!(
                " and redirects to {to} (after the most redirects that are followed: `redirects = \
                 {n}` in the profile's [scenario])"
            ),
        }
    }
}

/// `404 Not Found`.
pub fn status_text(status: u16) -> String {
    let known = StatusCode::from_u16(status).ok();
    match known.and_then(|s| s.canonical_reason()) {
        Some(reason) => format!("{status} {reason}"),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(status: u16, message: &str, count: u64) -> FailureWay {
        FailureWay {
            count,
            kind: FailureKind::Status,
            status: Some(status),
            message: message.to_owned(),
            request: None,
            excerpt: String::new(),
        }
    }

    #[test]
    fn ways_are_told_apart_by_status_and_message_up_to_a_number() {
        let mut ways = FailureWays::default();
        for (status, message, count) in [
            (429, "slow down", 3),
            (500, "a", 1),
            (500, "b", 2),
            (500, "a", 4),
        ] {
            ways.add(way(status, message, count));
        }
        let most = ways.most(2);
        assert_eq!(most, [way(500, "a", 5), way(429, "slow down", 3)]);
        for n in 0..10_000 {
            ways.add(way(500, &format!("random {n}"), 1));
        }
        assert_eq!(ways.iter().count(), MOST_WAYS + 1);
        let all: u64 = ways.iter().map(|w| w.count).sum();
        assert_eq!(all, 10_010, "none is lost");
        assert_eq!(ways.most(1)[0].message, "others");
    }

    #[test]
    fn a_refusal_that_was_understood_is_definite_and_one_that_says_later_is_not() {
        let of = |status| Failure {
            status: Some(status),
            ..Failure::of(FailureKind::Status)
        };
        for status in [400, 401, 403, 404, 405, 410, 422] {
            assert!(of(status).is_definite(), "{status}");
        }
        for status in [302, 408, 425, 429, 500, 502, 503] {
            assert!(!of(status).is_definite(), "{status}");
        }
        assert!(!Failure::of(FailureKind::ConnectRefused).is_definite());
    }

    #[test]
    fn a_failure_is_told_with_step_address_status_and_words() {
        let failure = Failure {
            step: Some("login".to_owned()),
            request: Some("POST http://127.0.0.1:1/login".to_owned()),
            status: Some(401),
            excerpt: "{\"error\":\"no\"}".to_owned(),
            ..Failure::of(FailureKind::Status)
        };
        assert_eq!(
            failure.sentence(),
            "step `login` (POST http://127.0.0.1:1/login) was answered with 401 Unauthorized; the \
             response begins: {\"error\":\"no\"}"
        );
        let refused = Failure {
            status: None,
            excerpt: String::new(),
            message: "Connection refused (os error 111)".to_owned(),
            kind: FailureKind::ConnectRefused,
            ..failure
        };
        assert!(
            refused
                .sentence()
                .ends_with("failed with `connect_refused`: Connection refused (os error 111)")
        );
        assert!(!refused.was_answered());
    }
}
