//! A request as every format has one, and what was answered to it.

use serde_json::Value;

pub(super) use crate::secret::percent_decoded as decoded;

/// A request. Its texts are templates: what was recorded is `escaped`, what is filled in stands
/// in `{{ }}`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Call {
    /// What the source calls it.
    pub name: Option<String>,
    /// The method, in capitals.
    pub method: String,
    /// Scheme, host and port: `http://127.0.0.1:8080`.
    pub origin: String,
    /// Path and query, encoded as in an address.
    pub path: String,
    /// Its headers, without those that are made for each request.
    pub headers: Vec<(String, String)>,
    /// User name and password of HTTP's basic authentication.
    pub basic: Option<(String, String)>,
    /// What is sent.
    pub body: Body,
    /// The status that is right, where that is not any 2xx.
    pub expect: Option<u16>,
    /// Values that are taken from the answer: the name, and where it stands.
    pub extract: Vec<(String, String)>,
    /// The pause before it, seconds.
    pub think_s: Option<f64>,
    /// Redirects that were followed.
    pub redirects: u32,
    /// What was answered.
    pub answer: Option<Answer>,
    /// Lines of comment above the step.
    pub remarks: Vec<String>,
    /// What was not carried over and is to be written by hand: comments too, and told.
    pub gaps: Vec<String>,
}

/// The body of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// Any text, a template.
    Text(String),
    /// Fields of a form, in order.
    Form(Vec<(String, String)>),
    /// JSON, whose strings and names are templates.
    Json(Value),
    /// Parts of a form with files, in order.
    Multipart(Vec<Part>),
}

/// One part of a form with files. Only its text is a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// What is in it.
    pub content: PartContent,
    /// Its media type.
    pub media_type: Option<String>,
    /// What a file is said to be called; its own name without one.
    pub filename: Option<String>,
}

/// What is in a part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartContent {
    /// A text, a template.
    Text(String),
    /// What stands in a file; its path from the profile's folder.
    File(String),
}

impl Default for PartContent {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// What a recording has of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    pub(super) headers: Vec<(String, String)>,
    /// The value of `content-type`, without parameters and in small letters.
    pub(super) mime: String,
    pub(super) body: String,
}

impl Answer {
    /// Names and values of the cookies that it sets.
    pub(super) fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.headers.iter();
        let set = all.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        // Browsers join several by line breaks.
        let lines = set.flat_map(|(_, value)| value.lines());
        lines.filter_map(|line| {
            let (name, value) = line.split(';').next()?.split_once('=')?;
            Some((name.trim(), value.trim()))
        })
    }
}

impl Call {
    /// A call of this method to an address that was recorded.
    pub(super) fn recorded(method: &str, url: &str) -> Result<Self, String> {
        let (origin, path, who) = split(url)?;
        Ok(Self {
            method: method.to_ascii_uppercase(),
            origin,
            path: escaped(&path),
            basic: who.map(|(user, password)| (escaped(&user), escaped(&password))),
            ..Self::default()
        })
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header_of(&self.headers, name)
    }

    /// Adds a header; a second of the same name is joined to the first, as HTTP does, and takes the
    /// place of an empty one.
    pub(super) fn add_header(&mut self, name: &str, value: String) {
        let known = self.headers.iter_mut();
        let mut known = known.filter(|(n, _)| n.eq_ignore_ascii_case(name));
        match known.next() {
            Some((_, first)) if first.is_empty() => *first = value,
            Some((_, first)) => {
                let sign = if name.eq_ignore_ascii_case("cookie") {
                    "; "
                } else {
                    ", "
                };
                *first = format!("{first}{sign}{value}");
            }
            None => self.headers.push((name.to_ascii_lowercase(), value)),
        }
    }

    /// Takes a header out.
    pub(super) fn take_header(&mut self, name: &str) -> Option<String> {
        let at = self
            .headers
            .iter()
            .position(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(self.headers.remove(at).1)
    }
}

fn header_of<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut all = headers.iter();
    all.find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// A recorded text as a template that says the same.
pub(super) fn escaped(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

/// What a template says, where nothing is filled in.
pub(super) fn literal(template: &str) -> Option<String> {
    const SIGN: &str = "{{ \"{{\" }}";
    let pieces: Vec<&str> = template.split(SIGN).collect();
    let plain = pieces.iter().all(|piece| !piece.contains("{{"));
    plain.then(|| pieces.join("{{"))
}

/// An address in parts: origin, path with query, and who asks, where that stands in it. One without
/// a scheme is HTTP's, as curl takes it.
pub(super) type Parts = (String, String, Option<(String, String)>);

pub(super) fn split(url: &str) -> Result<Parts, String> {
    let url = url.trim();
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => (scheme.to_ascii_lowercase(), rest),
        _ => ("http".to_owned(), url),
    };
    if scheme != "http" && scheme != "https" {
        return Err(format!("`{scheme}://` is not HTTP"));
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (who, host) = match authority.rsplit_once('@') {
        Some((who, host)) => (Some(who), host),
        None => (None, authority),
    };
    let is_host = |c: char| c.is_alphanumeric() || "-._[]:".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        return Err("an address has no host".to_owned());
    }
    let default = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default).unwrap_or(host);
    let path = match path {
        "" => "/".to_owned(),
        path if path.starts_with('?') => format!("/{path}"),
        path => path.to_owned(),
    };
    let who = who.map(|who| {
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        (decoded(user), decoded(password))
    });
    let origin = format!("{scheme}://{}", host.to_ascii_lowercase());
    Ok((origin, path, who))
}

/// A name as an identifier: letters, digits and `_`.
pub(super) fn identifier(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        before = c;
    }
    let out = out.trim_end_matches('_');
    let out: String = out.chars().take(40).collect();
    match out.chars().next() {
        None => "value".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("v{out}"),
        Some(_) => out,
    }
}

/// An address that was typed, in two: what stands before its path, and the rest with what is filled
/// in.
pub(super) fn origin_and_path(url: &str) -> (String, String) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    match url[authority..].find(['/', '?', '#']) {
        Some(at) => {
            let (origin, path) = url.split_at(authority + at);
            (origin.to_owned(), path.to_owned())
        }
        None => (url.to_owned(), "/".to_owned()),
    }
}
