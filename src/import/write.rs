//! The profile as a commented text: one writer for all formats, and for what was typed as flags.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::body::{as_text, as_toml};
use super::call::{Body, Call, Part, PartContent};
use super::hosts::{host_of, is_here, most};
use super::{Reading, Wishes};

/// Pauses shorter than this are the browser's own, seconds.
const LEAST_THINK_S: f64 = 0.3;
/// Longest pause: whoever recorded was somewhere else.
const MOST_THINK_S: f64 = 60.0;
/// Characters of a step's name.
const MOST_NAME: usize = 40;
/// Keys of a profile that have one word for a method.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// The whole profile.
pub(super) fn profile(
    reading: &Reading,
    variables: &[String],
    flag: &str,
    wishes: &Wishes,
) -> String {
    let calls = &reading.calls;
    let mut out = format!(
        "# A breakpoint profile, written by `breakpoint init {flag}`. One cycle, shown whole:   \
        breakpoint try FILE\n\
         # Run it:   breakpoint find FILE      `breakpoint init --url URL` writes one that shows all keys.\n"
    );
    let mut line = |text: &str| {
        // A line break in it would end the comment.
        let text: Vec<&str> = text.split_whitespace().collect();
        // Writing to a string cannot fail.
        writeln!(out, "# {}", text.join(" ")).ok();
    };
    if !variables.is_empty() {
        line("Set before a run, so that no secret stands here:");
        for name in variables {
            line(&format!("export {name}=..."));
        }
    }
    for told in &reading.told {
        line(told);
    }
    out.push('\n');
    let names = names(calls);
    let first = names.first().map_or("request", String::as_str);
    if let [_] = calls.as_slice() {
        out.push_str("# What must hold: `p99` is the latency of the one step.\n");
        out.push_str("slo = [\"p99<500ms\", \"errors<1%\"]\n\n");
    } else {
        writeln!(
            out,
            "# What must hold: `p99` is the latency of the whole cycle without its pauses, \
            `p99({first})` that of one step.\n\
             slo = [\"p99<2s\", \"errors<1%\"]\n"
        )
        .ok();
    }
    let base = most(calls);
    writeln!(out, "[target]\nurl = {}", quoted(&base)).ok();
    target(&mut out, &reading.target);
    let mut allowed: Vec<&str> = calls.iter().map(|c| host_of(&c.origin)).collect();
    allowed.sort_unstable();
    allowed.dedup();
    allowed.retain(|host| {
        !is_here(host) && wishes.allowed.iter().any(|h| h.eq_ignore_ascii_case(host))
    });
    if !allowed.is_empty() {
        let hosts: Vec<String> = allowed.iter().map(|h| quoted(h)).collect();
        writeln!(out, "allow = [{}]", hosts.join(", ")).ok();
    }
    out.push('\n');
    out.push_str(&steps(calls, &names, &base));
    out
}

/// What is said of connections: texts, but for the one that is a truth value.
fn target(out: &mut String, keys: &[(&'static str, String)]) {
    let mut resolve = Vec::new();
    let mut said = Vec::new();
    for (key, text) in keys.iter().rev() {
        // Of several the last one counts.
        if *key != "resolve" && said.contains(key) {
            continue;
        }
        said.push(*key);
        match *key {
            "resolve" => resolve.push(quoted(text)),
            "insecure" => out.push_str("insecure = true\n"),
            key => {
                writeln!(out, "{key} = {}", quoted(text)).ok();
            }
        }
    }
    if !resolve.is_empty() {
        writeln!(out, "resolve = [{}]", resolve.join(", ")).ok();
    }
}

/// `[scenario]` alone, for one call: its step is called `request`, as that of an address without
/// anything else.
pub fn scenario(call: &Call) -> String {
    let name = "request".to_owned();
    steps(std::slice::from_ref(call), &[name], &call.origin)
}

fn steps(calls: &[Call], names: &[String], base: &str) -> String {
    let mut out = "[scenario]\n".to_owned();
    if let [name] = names {
        writeln!(out, "main = {}", quoted(name)).ok();
    }
    out.push_str("timeout = \"30s\"\n");
    let redirects = calls.iter().map(|c| c.redirects).max().unwrap_or(0);
    if redirects > 0 {
        writeln!(out, "redirects = {redirects}").ok();
    }
    let sets = |c: &Call| c.answer.as_ref().is_some_and(|a| a.cookies().count() > 0);
    if calls.iter().any(sets) {
        out.push_str(
            "cookies = \"cycle\"             # every cycle is a new user; \"vu\": one who stays\n",
        );
    }
    let common = common(calls);
    if !common.is_empty() {
        writeln!(
            out,
            "headers = {}",
            table(common.iter().map(|(n, v)| (n, v)))
        )
        .ok();
    }
    for (call, name) in calls.iter().zip(names) {
        step(&mut out, call, name, base, &common);
    }
    out
}

/// Headers that every call has, where there are several calls.
fn common(calls: &[Call]) -> Vec<(String, String)> {
    let [first, rest @ ..] = calls else {
        return Vec::new();
    };
    if rest.is_empty() {
        return Vec::new();
    }
    let in_all = |header: &&(String, String)| {
        header.0 != "content-type" && rest.iter().all(|c| c.headers.contains(header))
    };
    // What an answer gives is not there before it.
    let fixed = |header: &&(String, String)| {
        !header.1.contains("{{")
            || header.1.matches("{{").count() == header.1.matches("{{ env.").count()
    };
    let headers = first.headers.iter().filter(in_all).filter(fixed);
    headers.cloned().collect()
}

fn step(out: &mut String, call: &Call, name: &str, base: &str, common: &[(String, String)]) {
    if let Some(think) = call.think_s.filter(|s| *s >= LEAST_THINK_S) {
        let think = (think.min(MOST_THINK_S) * 10.0).round() / 10.0;
        write!(
            out,
            "\n[[scenario.steps]]\nthink = {{ exponential = \"{think}s\" }}   # the pause that \
            was recorded, as a mean\n"
        )
        .ok();
    }
    out.push('\n');
    for remark in call.remarks.iter().chain(&call.gaps) {
        let words: Vec<&str> = remark.split_whitespace().collect();
        writeln!(out, "# {}", words.join(" ")).ok();
    }
    writeln!(out, "[[scenario.steps]]\nname = {}", quoted(name)).ok();
    let address = if call.origin == base {
        call.path.clone()
    } else {
        format!("{}{}", call.origin, call.path)
    };
    let method = call.method.as_str();
    if METHODS.contains(&method) {
        writeln!(
            out,
            "{} = {}",
            method.to_ascii_lowercase(),
            quoted(&address)
        )
        .ok();
    } else {
        writeln!(
            out,
            "method = {}\nurl = {}",
            quoted(method),
            quoted(&address)
        )
        .ok();
    }
    let own = call.headers.iter().filter(|h| !common.contains(h));
    let own: Vec<_> = own.cloned().chain(type_of_text(call)).collect();
    if !own.is_empty() {
        writeln!(out, "headers = {}", table(own.iter().map(|(n, v)| (n, v)))).ok();
    }
    if let Some((user, password)) = &call.basic {
        let (user, password) = (quoted(user), quoted(password));
        writeln!(
            out,
            "basic-auth = {{ user = {user}, password = {password} }}"
        )
        .ok();
    }
    body(out, &call.body);
    if let Some(status) = call.expect {
        writeln!(out, "expect = [{status}]").ok();
    }
    if !call.extract.is_empty() {
        let pairs = call.extract.iter().map(|(n, v)| (n, v));
        writeln!(out, "extract = {}", table(pairs)).ok();
    }
}

/// JSON that a profile's tables cannot say is a text, which does not say what it is.
fn type_of_text(call: &Call) -> Option<(String, String)> {
    let Body::Json(value) = &call.body else {
        return None;
    };
    let untold = as_toml(value).is_none() && call.header("content-type").is_none();
    untold.then(|| ("content-type".to_owned(), "application/json".to_owned()))
}

fn body(out: &mut String, body: &Body) {
    match body {
        Body::Empty => {}
        Body::Text(text) => {
            writeln!(out, "body = {}", quoted(text)).ok();
        }
        Body::Form(fields) => {
            let mut table: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (name, value) in fields {
                table.entry(name).or_default().push(value);
            }
            let pairs = table.iter().map(|(name, values)| {
                let all: Vec<String> = values.iter().map(|v| quoted(v)).collect();
                match all.as_slice() {
                    [one] => format!("{} = {one}", key(name)),
                    all => format!("{} = [{}]", key(name), all.join(", ")),
                }
            });
            let pairs: Vec<String> = pairs.collect();
            writeln!(out, "form = {{ {} }}", pairs.join(", ")).ok();
        }
        Body::Multipart(parts) => {
            let parts: Vec<String> = parts.iter().map(part).collect();
            let parts = match parts.as_slice() {
                [one] => one.clone(),
                all => format!("\n    {},\n", all.join(",\n    ")),
            };
            writeln!(out, "multipart = [{parts}]").ok();
        }
        Body::Json(value) => match as_toml(value) {
            Some(value) => {
                writeln!(out, "json = {}", inline(&value)).ok();
            }
            None => {
                writeln!(out, "body = {}", quoted(&as_text(value))).ok();
            }
        },
    }
}

/// One part of a form with files.
fn part(part: &Part) -> String {
    let (kind, content) = match &part.content {
        PartContent::Text(text) => ("text", text),
        PartContent::File(file) => ("file", file),
    };
    let own = [("name", Some(&part.name)), (kind, Some(content))];
    let more = [("type", &part.media_type), ("filename", &part.filename)];
    let more = more.map(|(key, value)| (key, value.as_ref()));
    let pairs = own.into_iter().chain(more);
    let pairs = pairs.filter_map(|(key, value)| Some(format!("{key} = {}", quoted(value?))));
    let pairs: Vec<String> = pairs.collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A value on one line, in which nothing hides.
fn inline(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => quoted(text),
        toml::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        toml::Value::Table(fields) if fields.is_empty() => "{}".to_owned(),
        toml::Value::Table(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, item)| format!("{} = {}", key(name), inline(item)));
            let fields: Vec<String> = fields.collect();
            format!("{{ {} }}", fields.join(", "))
        }
        plain => plain.to_string(),
    }
}

fn table<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{} = {}", key(name), quoted(value)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A key of a table: bare where it may be.
fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A text in quotes, on one line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if crate::excerpt::is_hidden(c) => {
                write!(out, "\\U{:08X}", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A name for each call, none twice.
fn names(calls: &[Call]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for call in calls {
        let base = name(call);
        let mut name = base.clone();
        let mut number = 2;
        while names.contains(&name) {
            name = format!("{base}-{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

/// What a call is called: its own name, else the words of its path.
fn name(call: &Call) -> String {
    let text = call.name.clone().unwrap_or_else(|| {
        let path = call.path.split('?').next().unwrap_or_default();
        let words = path.split('/').filter(|w| !w.is_empty());
        let words = words.filter(|w| !w.contains("{{") && !is_number(w));
        let words: Vec<&str> = words.collect();
        // The end says most.
        let path = words[words.len().saturating_sub(3)..].join("-");
        match (call.method.as_str(), path.as_str()) {
            ("GET", "") => "home".to_owned(),
            ("GET", path) => path.to_owned(),
            (method, path) => format!("{method}-{path}"),
        }
    });
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    let out: String = out.chars().take(MOST_NAME).collect();
    match out.trim_matches('-') {
        // It stands for the whole cycle.
        "" | "cycle" => "request".to_owned(),
        name => name.to_owned(),
    }
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit() || b == b'-') || word.len() >= 20
}
