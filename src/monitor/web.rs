//! Small answers over HTTP, within a time and a size.

use std::time::Duration;

use crate::bounded::{self, BodyError};
use crate::crypto::{self, Trust, TrustSpec};
use crate::plan::ConnectPlan;

/// Time that one answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_millis(1500);
/// Bytes that a page of metrics may have.
pub(super) const PAGE: usize = 16 << 20;
/// Bytes that the answer to one query may have: it holds one number.
pub(super) const ANSWER: usize = 256 << 10;

/// A client for one address, which keeps its connection: one that is opened under load might be
/// refused.
pub(super) fn client(url: &str, connect: &ConnectPlan) -> Result<Client, String> {
    crypto::install();
    let builder = reqwest::Client::builder()
        // The monitors are to see this service and not what stands between.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT);
    let tls = url
        .get(..6)
        .is_some_and(|s| s.eq_ignore_ascii_case("https:"));
    let trust = tls.then(|| Trust::read(&TrustSpec::from(connect)));
    let trust = trust.transpose().map_err(|e| e.to_string())?;
    let builder = match &trust {
        Some(trust) => builder.tls_backend_preconfigured((**trust.config()).clone()),
        // No TLS is spoken here: this keeps the client from looking for the system's certificates.
        None => builder.tls_certs_only(std::iter::empty()),
    };
    let builder = crypto::resolved(builder, &connect.resolve, &connect.allowed);
    let http = builder.build().map_err(|e| root_cause(&e))?;
    Ok(Client { http, trust })
}

/// A client for one address.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    trust: Option<Trust>,
}

/// The body of an answer that is a success, or of any when `any_status`; of at most so many bytes.
pub(super) async fn get(
    client: &Client,
    url: reqwest::Url,
    any_status: bool,
    most: usize,
) -> Result<String, String> {
    let why = |e: &reqwest::Error| client.why(e);
    let mut answer = client.http.get(url).send().await.map_err(|e| why(&e))?;
    let status = answer.status();
    if !any_status && !status.is_success() {
        return Err(format!("the response is {status}"));
    }
    let bytes = bounded::body(&mut answer, most).await;
    let bytes = bytes.map_err(|error| match error {
        BodyError::Broken(error) => why(&error),
        other => other.to_string(),
    })?;
    Ok(as_text(bytes))
}

/// What is no text within it is none of what is looked for; a copy for its sake would take three
/// times the memory.
fn as_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut bytes = error.into_bytes();
        bytes
            .iter_mut()
            .filter(|b| !b.is_ascii())
            .for_each(|b| *b = b'?');
        String::from_utf8(bytes).unwrap_or_default()
    })
}

impl Client {
    fn why(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no answer within {:.1} s", TIMEOUT.as_secs_f64());
        }
        let tls = self.trust.as_ref().and_then(|trust| trust.reason_in(error));
        tls.map_or_else(|| root_cause(error), |why| why.to_string())
    }
}

/// The innermost reason: reqwest's own message is "error sending request".
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
