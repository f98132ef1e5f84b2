//! How requests of a Locust cluster failed, in its own words. What was answered Locust does not
//! tell: there are no excerpts.

use serde::{Deserialize, Serialize};

use crate::excerpt::{self, Masks};
use crate::measure::{FailureKind, FailureWay};
use crate::secret::masked;

/// Requests of one name that failed in one way, as the plug-in and our own workers tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WayData {
    /// How many.
    pub count: u64,
    /// By [`FailureKind::name`].
    pub kind: String,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// What was said.
    pub message: String,
    /// What was asked: `GET /login`.
    pub request: Option<String>,
}

impl WayData {
    /// For what is sent.
    pub(super) fn of(way: &FailureWay) -> Self {
        Self {
            count: way.count,
            kind: way.kind.name().to_owned(),
            status: way.status,
            message: way.message.clone(),
            request: way.request.clone(),
        }
    }

    /// As reports tell it.
    pub(super) fn way(&self) -> FailureWay {
        let request = self.request.as_deref();
        way(
            kind(&self.kind),
            self.status,
            &self.message,
            request,
            self.count,
        )
    }
}

/// The kind of a name; one that this version does not know is at least no answer that it could
/// read.
pub(super) fn kind(name: &str) -> FailureKind {
    let found = FailureKind::ALL.into_iter().find(|k| k.name() == name);
    found.unwrap_or(FailureKind::Protocol)
}

/// So many failures that are told apart by what was said, without secrets and without the address,
/// which is that of the request.
pub(super) fn way(
    kind: FailureKind,
    status: Option<u16>,
    said: &str,
    request: Option<&str>,
    count: u64,
) -> FailureWay {
    let said = said.split(" for url: ").next().unwrap_or_default();
    // `URL http://h/x: code=404`, of a FastHttpUser.
    let said = match said
        .strip_prefix("URL ")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((_, rest)) => rest,
        None => said,
    };
    // `404 Client Error: Not Found` and `code=404` tell the status twice.
    let said = match (status, said.split_once(' ')) {
        (Some(status), Some((first, rest))) if first == status.to_string() => rest,
        (Some(status), _) if said.contains(&format!("code={status}")) => "",
        _ => said,
    };
    FailureWay {
        count,
        kind,
        status: status.filter(|_| kind == FailureKind::Status),
        message: excerpt::folded(&Masks::default().text(said)),
        request: request.filter(|r| !r.is_empty()).map(masked),
        excerpt: String::new(),
    }
}

/// The status that a text of an error tells:
/// `HTTPError('404 Client Error: Not Found for url: /x')`, `LocustBadStatusCode(code=404)`.
pub(super) fn status_in(text: &str) -> Option<u16> {
    let (_, said) = text
        .split_once("HTTPError(")
        .or_else(|| text.split_once("code="))?;
    let digits: String = (said.chars())
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok().filter(|s| (400..600).contains(s))
}

/// What stands within the first quotation marks of a text like `HTTPError('...')`, else the text.
pub(super) fn unquoted(text: &str) -> &str {
    let inner = text
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    let inner = inner.map(str::trim).filter(|inner| inner.len() > 1);
    let quoted = inner.and_then(|inner| {
        let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        inner[1..].strip_suffix(quote)
    });
    quoted.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_locust_says_of_a_failure_is_told_without_addresses_and_secrets() {
        let text = "HTTPError('404 Client Error: Not Found for url: http://h/x?token=abcdef')";
        assert_eq!(status_in(text), Some(404));
        let told = way(
            FailureKind::Status,
            status_in(text),
            unquoted(text),
            Some("GET /x?token=abcdef"),
            3,
        );
        assert_eq!((told.count, told.name()), (3, "404".to_owned()));
        assert_eq!(told.message, "Client Error: Not Found");
        assert_eq!(told.request.as_deref(), Some("GET /x?token=***"));
        let text = "ConnectionRefusedError(111, 'Connection refused')";
        assert_eq!((status_in(text), unquoted(text)), (None, text));
        let told = way(
            FailureKind::ConnectRefused,
            None,
            unquoted(text),
            Some(""),
            1,
        );
        assert_eq!(
            told.message,
            "ConnectionRefusedError(#, 'Connection refused')"
        );
        assert_eq!(told.request, None);
        for text in ["LocustBadStatusCode(code=404)", "URL http://h/x: code=404"] {
            let told = way(
                FailureKind::Status,
                status_in(text),
                unquoted(text),
                None,
                1,
            );
            assert_eq!(
                (told.name(), told.message),
                ("404".to_owned(), String::new()),
                "{text}"
            );
        }
        assert_eq!(
            unquoted("CatchResponseError('total was wrong')"),
            "total was wrong"
        );
        assert_eq!(unquoted("x("), "x(");
        assert_eq!(unquoted("x()"), "x()");
        assert_eq!(unquoted("x(')"), "x(')");
        // What is sent and read again is the same.
        let again = WayData::of(&told).way();
        assert_eq!(again, told);
        let strange: WayData = serde_json::from_str(r#"{"count": 2, "kind": "moon"}"#).unwrap();
        assert_eq!(strange.way().kind, FailureKind::Protocol);
    }
}
