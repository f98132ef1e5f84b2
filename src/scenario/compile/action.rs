//! Which action a step's table holds: exactly one, and no key that says nothing beside it.

use http::Method;

use toml::Spanned;

use crate::scenario::spec::{ChoiceSpec, StepSpec, ThinkSpec, WaitSpec};
use crate::scenario::websocket::SendSpec;

/// Action keys of a step, as messages list them.
const ACTIONS: &str = "`get`, `head`, `post`, `put`, `patch`, `delete`, `url`, `open`, `connect`, \
                       `send`, `ping`, `wait`, `think`, `close`, `steps` or `choose`";

/// The action of a step, with its value.
pub(super) enum ActionKey<'a> {
    Request(Method, &'a str),
    Open(Method, &'a str),
    Connect(&'a str),
    Send(&'a SendSpec),
    Ping(&'a str),
    Wait(&'a WaitSpec),
    Think(&'a ThinkSpec),
    Close(&'a str),
    Group(&'a [Spanned<StepSpec>]),
    Choose(&'a [ChoiceSpec]),
}

pub(super) fn only_action(step: &StepSpec) -> Result<ActionKey<'_>, String> {
    let mut found: Vec<(&str, ActionKey<'_>)> = Vec::new();
    for (key, method, path) in [
        ("get", Method::GET, &step.get),
        ("head", Method::HEAD, &step.head),
        ("post", Method::POST, &step.post),
        ("put", Method::PUT, &step.put),
        ("patch", Method::PATCH, &step.patch),
        ("delete", Method::DELETE, &step.delete),
    ] {
        found.extend(
            path.as_deref()
                .map(|p| (key, ActionKey::Request(method, p))),
        );
    }
    if let Some(url) = &step.url {
        found.push(("url", ActionKey::Request(method(step)?, url)));
    }
    if let Some(open) = &step.open {
        found.push(("open", ActionKey::Open(method(step)?, open)));
    }
    found.extend(
        step.connect
            .as_deref()
            .map(|p| ("connect", ActionKey::Connect(p))),
    );
    found.extend(step.send.as_ref().map(|s| ("send", ActionKey::Send(s))));
    found.extend(step.ping.as_deref().map(|n| ("ping", ActionKey::Ping(n))));
    found.extend(step.wait.as_ref().map(|w| ("wait", ActionKey::Wait(w))));
    found.extend(step.think.as_ref().map(|t| ("think", ActionKey::Think(t))));
    found.extend(
        step.close
            .as_deref()
            .map(|n| ("close", ActionKey::Close(n))),
    );
    found.extend(
        step.steps
            .as_deref()
            .map(|s| ("steps", ActionKey::Group(s))),
    );
    found.extend(
        step.choose
            .as_deref()
            .map(|c| ("choose", ActionKey::Choose(c))),
    );
    match (found.pop(), found.pop()) {
        (Some((_, action)), None) => Ok(action),
        (None, _) => Err(format!("the step does nothing; give it one of {ACTIONS}")),
        (Some((second, _)), Some((first, _))) => Err(format!(
            "a step does one thing, not both `{first}` and `{second}`; make it two steps"
        )),
    }
}

/// Any method (RFC 9110, section 9.1).
fn method(step: &StepSpec) -> Result<Method, String> {
    let Some(text) = &step.method else {
        return Ok(Method::GET);
    };
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT) => Err("`CONNECT` makes a tunnel and is no request".to_owned()),
        Ok(method) => Ok(method),
        Err(_) => Err(format!(
            "`{text}` is not the name of a method; write one such as `OPTIONS`"
        )),
    }
}

/// Keys that say nothing in a step of this kind are mistakes, not decoration.
pub(super) fn refuse_foreign_keys(step: &StepSpec, key: &ActionKey<'_>) -> Result<(), String> {
    let (sends, takes_body, measured, kind) = match key {
        ActionKey::Request(..) => (true, true, true, "request"),
        ActionKey::Open(..) => (true, true, true, "open"),
        ActionKey::Connect(_) => (true, false, true, "connect"),
        ActionKey::Send(_) => (false, false, true, "send"),
        ActionKey::Ping(_) => (false, false, true, "ping"),
        ActionKey::Wait(_) => (false, false, true, "wait"),
        ActionKey::Think(_) => (false, false, false, "think"),
        ActionKey::Close(_) => (false, false, false, "close"),
        ActionKey::Group(_) => (false, false, false, "steps"),
        ActionKey::Choose(_) => (false, false, false, "choose"),
    };
    let connects = matches!(key, ActionKey::Connect(_));
    let takes_values = measured && !matches!(key, ActionKey::Send(_) | ActionKey::Ping(_));
    // The close of a WebSocket is measured where it has a name.
    let measured = measured || (kind == "close" && step.name.is_some());
    let foreign = [
        (
            "method",
            step.method.is_some() && step.url.is_none() && step.open.is_none(),
        ),
        ("reconnect", step.reconnect && step.open.is_none()),
        ("headers", !step.headers.is_empty() && !sends),
        ("query", !step.query.is_empty() && !sends),
        ("basic-auth", step.basic_auth.is_some() && !sends),
        ("form", step.form.is_some() && !takes_body),
        (
            "check",
            step.check.is_some() && (!takes_body || step.open.is_some()),
        ),
        ("json", step.json.is_some() && !takes_body),
        ("body", step.body.is_some() && !takes_body),
        ("body-file", step.body_file.is_some() && !takes_body),
        ("multipart", step.multipart.is_some() && !takes_body),
        ("expect", step.expect.is_some() && !takes_body),
        (
            "stream",
            step.stream.is_some() && (!takes_body || step.open.is_some()),
        ),
        ("extract", !step.extract.is_empty() && !takes_values),
        ("subprotocol", step.subprotocol.is_some() && !connects),
        ("keep", step.keep.is_some() && !connects),
        ("replies", !step.replies.is_empty() && !connects),
        ("timeout", step.timeout.is_some() && !measured),
        (
            "repeat",
            step.repeat.is_some() && matches!(key, ActionKey::Close(_)),
        ),
    ];
    match foreign.iter().find(|(_, there)| *there) {
        Some((name, _)) => Err(format!(
            "`{name}` means nothing in a `{kind}` step; remove it"
        )),
        None => Ok(()),
    }
}
