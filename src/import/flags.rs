//! Flags that say what is sent to `--url`, spelled as curl spells them. Their texts are templates,
//! as in a profile.

use std::path::PathBuf;

use super::call::{Body, Call, escaped};
use super::multipart;

/// What the flags say of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFlags {
    /// `-H`, each.
    pub headers: Vec<Data>,
    /// `-X`.
    pub method: Option<String>,
    /// `-d`, each.
    pub data: Vec<Data>,
    /// `--json`, each.
    pub json: Vec<Data>,
    /// `--form`, each: `NAME=VALUE`.
    pub form: Vec<String>,
    /// `-F`, each: `NAME=TEXT` or `NAME=@FILE`.
    pub multipart: Vec<String>,
    /// `-u`.
    pub user: Option<String>,
    /// `-b`, each.
    pub cookie: Vec<String>,
}

/// A text that was typed, or that stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// As it was typed.
    Typed(String),
    /// `@FILE`, which nobody has read yet.
    File(PathBuf),
    /// What stood in the file.
    Read(String),
}

impl Data {
    /// A value that may begin with `@`.
    pub fn of(text: &str) -> Self {
        match text.strip_prefix('@') {
            Some(path) => Self::File(PathBuf::from(path)),
            None => Self::Typed(text.to_owned()),
        }
    }

    /// The text as a template: what stands in a file is taken as it is.
    fn template(&self) -> Result<String, String> {
        match self {
            Self::Typed(text) => Ok(text.clone()),
            Self::Read(text) => Ok(escaped(text)),
            Self::File(path) => Err(format!("{} was not read", path.display())),
        }
    }
}

/// The flag that is wrong, and why.
type Wrong = (&'static str, String);

impl RequestFlags {
    /// The first flag that was given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            ("--request", self.method.is_some()),
            ("--header", !self.headers.is_empty()),
            ("--data", !self.data.is_empty()),
            ("--json", !self.json.is_empty()),
            ("--form", !self.form.is_empty()),
            ("-F", !self.multipart.is_empty()),
            ("--user", self.user.is_some()),
            ("--cookie", !self.cookie.is_empty()),
        ];
        given
            .into_iter()
            .find(|(_, given)| *given)
            .map(|(flag, _)| flag)
    }

    /// The files that are still to be read, each with whether line breaks in it are left out, as
    /// `-d` of curl does.
    pub fn files(&mut self) -> impl Iterator<Item = (&'static str, &mut Data)> {
        let headers = self.headers.iter_mut().map(|d| ("--header", d));
        let data = self.data.iter_mut().map(|d| ("--data", d));
        let json = self.json.iter_mut().map(|d| ("--json", d));
        let all = headers.chain(data).chain(json);
        all.filter(|(_, d)| matches!(d, Data::File(_)))
    }

    /// The request to an address.
    ///
    /// # Errors
    /// Names the flag that cannot be meant, and the way out.
    pub fn call(&self, url: &str) -> Result<Call, Wrong> {
        let (origin, path) = crate::import::call::origin_and_path(url);
        let mut call = Call {
            method: "GET".to_owned(),
            origin,
            path,
            ..Call::default()
        };
        self.put_body(&mut call)?;
        for header in &self.headers {
            put_header(&mut call, header)?;
        }
        for cookie in &self.cookie {
            if !cookie.contains('=') {
                let why = "a file of cookies is not read; write them as 'NAME=VALUE; NAME=VALUE'";
                return Err(("--cookie", why.to_owned()));
            }
            call.add_header("cookie", cookie.trim().to_owned());
        }
        if let Some(user) = &self.user {
            let Some((user, password)) = user.split_once(':') else {
                let why = "a password is not asked for; write NAME:PASSWORD, or \
                           'NAME:{{ env.PASSWORD }}' to take it from the environment";
                return Err(("--user", why.to_owned()));
            };
            call.basic = Some((user.to_owned(), password.to_owned()));
        }
        if let Some(method) = &self.method {
            call.method = method.to_ascii_uppercase();
        }
        Ok(call)
    }

    fn put_body(&self, call: &mut Call) -> Result<(), Wrong> {
        let given = [
            ("--data", !self.data.is_empty()),
            ("--json", !self.json.is_empty()),
            ("--form", !self.form.is_empty()),
            ("-F", !self.multipart.is_empty()),
        ];
        let mut given = given.into_iter().filter(|(_, given)| *given);
        let (Some((kind, _)), other) = (given.next(), given.next()) else {
            return Ok(());
        };
        if let Some((other, _)) = other {
            return Err((
                other,
                format!("the body is given by {kind} already; keep one of them"),
            ));
        }
        "POST".clone_into(&mut call.method);
        let texts = |all: &[Data], between: &str| {
            let texts: Result<Vec<String>, String> = all.iter().map(Data::template).collect();
            texts.map(|t| t.join(between)).map_err(|why| (kind, why))
        };
        match kind {
            "--data" => {
                call.body = Body::Text(texts(&self.data, "&")?);
                call.add_header("content-type", super::body::FORM.to_owned());
            }
            "--json" => {
                call.body = Body::Text(texts(&self.json, "")?);
                call.add_header("content-type", "application/json".to_owned());
                call.add_header("accept", "application/json".to_owned());
            }
            "-F" => {
                let parts = self.multipart.iter();
                let parts = parts.map(|field| multipart::of_field(field, str::to_owned));
                let parts: Result<Vec<_>, String> = parts.collect();
                multipart::give(call, parts.map_err(|why| (kind, why))?);
                if call.body == Body::Empty {
                    return Err((kind, "a form has 100 parts at most".to_owned()));
                }
            }
            _ => {
                let fields = self.form.iter().map(|field| {
                    let pair = field.split_once('=').filter(|(name, _)| !name.is_empty());
                    let (name, value) = pair.ok_or_else(|| {
                        (
                            "--form",
                            format!("`{}` has no name; write NAME=VALUE", name_of(field)),
                        )
                    })?;
                    Ok((name.to_owned(), value.to_owned()))
                });
                call.body = Body::Form(fields.collect::<Result<_, Wrong>>()?);
            }
        }
        Ok(())
    }
}

/// What may be shown of a field that is none.
fn name_of(field: &str) -> &str {
    field.split('=').next().unwrap_or_default()
}

/// `name: value` takes the place of what is sent by itself, and joins another of its name; `name:`
/// takes it out; `name;` sends it empty.
fn put_header(call: &mut Call, header: &Data) -> Result<(), Wrong> {
    let text = header.template().map_err(|why| ("--header", why))?;
    let lines = match header {
        Data::Typed(_) => vec![text.as_str()],
        Data::Read(_) | Data::File(_) => text.lines().filter(|l| !l.trim().is_empty()).collect(),
    };
    let own = ["content-type", "accept"];
    for line in lines {
        let (name, value) = match (line.split_once(':'), line.trim().strip_suffix(';')) {
            (Some((name, value)), _) => (name.trim(), value.trim()),
            (None, Some(name)) => {
                let name = name.trim().to_ascii_lowercase();
                if own.contains(&name.as_str()) {
                    call.take_header(&name);
                }
                if call.header(&name).is_none() {
                    call.headers.push((name, String::new()));
                }
                continue;
            }
            (None, None) => {
                let why = "a header is written as 'NAME: VALUE'";
                return Err(("--header", why.to_owned()));
            }
        };
        if value.is_empty() && name.eq_ignore_ascii_case("user-agent") {
            // In a profile an empty one is not sent.
            call.take_header(name);
            call.headers.push(("user-agent".to_owned(), String::new()));
            continue;
        }
        if value.is_empty() || own.iter().any(|o| name.eq_ignore_ascii_case(o)) {
            call.take_header(name);
        }
        let is_form = matches!(call.body, Body::Multipart(_))
            && name.eq_ignore_ascii_case("content-type")
            && super::body::mime(value) == multipart::FORM_DATA;
        // It is sent by itself, with what stands between the parts.
        if !value.is_empty() && !is_form {
            call.add_header(name, value.to_owned());
        }
    }
    Ok(())
}
