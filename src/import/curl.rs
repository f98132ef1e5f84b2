//! A command line of curl, as manuals show them and browsers copy them.

mod words;

use super::call::{Body, Call, Part, PartContent, escaped, identifier};
use super::{ImportError, Reading, body, multipart};
use crate::secret::push_percent_encoded;

/// Longest line that is read.
const MOST_LINE: usize = 4 << 20;
/// Redirects that `-L` follows here.
const REDIRECTS: u32 = 10;
/// Letters of curl's options that have a value.
const SHORT_WITH_VALUE: &str = "AbcCdDeEFhHKmoPQrtTuUwxXyYz";
/// Its long options that have a value and say nothing about the request: how it is shown, kept, or
/// timed.
const PASSED_OVER: &[&str] = &[
    "ciphers",
    "connect-timeout",
    "cookie-jar",
    "curves",
    "dump-header",
    "expect100-timeout",
    "interface",
    "keepalive-time",
    "limit-rate",
    "local-port",
    "max-filesize",
    "max-redirs",
    "max-time",
    "output",
    "output-dir",
    "range-size",
    "retry",
    "retry-delay",
    "retry-max-time",
    "speed-limit",
    "speed-time",
    "stderr",
    "tls-max",
    "tls13-ciphers",
    "trace",
    "trace-ascii",
    "trace-config",
    "write-out",
];
/// Those that change where or how a request goes, which a profile says otherwise.
const UNCARRIED: &[&str] = &[
    "abstract-unix-socket",
    "aws-sigv4",
    "cert-type",
    "config",
    "connect-to",
    "dns-servers",
    "doh-url",
    "key-type",
    "netrc-file",
    "noproxy",
    "pass",
    "preproxy",
    "proxy",
    "proxy-user",
    "range",
    "socks5",
    "socks5-hostname",
    "time-cond",
    "unix-socket",
    "upload-file",
];

/// What the options say together.
#[derive(Debug, Default)]
struct Options {
    urls: Vec<String>,
    method: Option<String>,
    headers: Vec<String>,
    data: Option<String>,
    /// Parts of a form with files.
    parts: Vec<Part>,
    /// Whether the body is JSON.
    json: bool,
    /// `-G` or `-I`: GET with the body in its query, or HEAD.
    method_of_flag: Option<&'static str>,
    user: Option<String>,
    cookie: Vec<String>,
    follows: bool,
    /// Keys of `[target]`.
    target: Vec<(&'static str, String)>,
    told: Vec<String>,
}

/// Reads a line.
pub(super) fn read(line: &str) -> Result<Reading, ImportError> {
    if line.len() > MOST_LINE {
        return Err(ImportError::new("the line is longer than 4 MiB"));
    }
    let is_curl = |word: &String| {
        let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
        name == "curl" || name == "curl.exe"
    };
    let mut reading = Reading::default();
    let mut found = false;
    for command in words::of(line).map_err(ImportError::new)? {
        if let Some(option) = command.first().filter(|word| word.starts_with('-')) {
            let name = option.split(['=', ' ']).next().unwrap_or_default();
            return Err(ImportError::new(format!(
                "a line begins with the option `{}`; end the line before it with a backslash",
                name.chars().take(20).collect::<String>()
            )));
        }
        let mut words = command.into_iter();
        // A prompt, or variables that are set for the command.
        if !words.by_ref().take(8).any(|word| is_curl(&word)) {
            continue;
        }
        found = true;
        let mut options = Options::default();
        while let Some(word) = words.next() {
            options.take(&word, &mut words)?;
        }
        options.add_to(&mut reading)?;
    }
    if !found {
        return Err(ImportError::new(
            "it does not begin with `curl`; copy the whole command, in quotes: --from-curl 'curl \
            ...'",
        ));
    }
    Ok(reading)
}

impl Options {
    fn take(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), ImportError> {
        if let Some(long) = word.strip_prefix("--").filter(|l| !l.is_empty()) {
            let (name, given) = match long.split_once('=') {
                Some((name, value)) if takes_value(name) => (name, Some(value.to_owned())),
                _ => (long, None),
            };
            let value = match given {
                None if takes_value(name) => Some(next(rest, word)?),
                given => given,
            };
            return self.option(name, value);
        }
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else {
            self.urls.push(word.to_owned());
            return Ok(());
        };
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let name = long_of(letter);
            if SHORT_WITH_VALUE.contains(letter) {
                let own = letters.as_str();
                let value = if own.is_empty() {
                    next(rest, word)?
                } else {
                    own.to_owned()
                };
                return self.option(name, Some(value));
            }
            self.option(name, None)?;
        }
        Ok(())
    }

    fn option(&mut self, name: &str, value: Option<String>) -> Result<(), ImportError> {
        let value = value.unwrap_or_default();
        match name {
            "url" => self.urls.push(value),
            "request" => self.method = Some(value),
            "header" => self.headers.push(value),
            "user-agent" => self.headers.push(format!("user-agent: {value}")),
            "referer" => self.headers.push(format!("referer: {value}")),
            "oauth2-bearer" => self.headers.push(format!("authorization: Bearer {value}")),
            "user" => self.user = Some(value),
            "cookie" => self.cookie.push(value),
            "data" | "data-ascii" | "data-binary" => {
                self.add_data(&of_no_file(name, value)?, "&");
            }
            "data-raw" => self.add_data(&value, "&"),
            "data-urlencode" => self.add_data(&encoded(&value)?, "&"),
            "json" => {
                self.json = true;
                self.add_data(&of_no_file(name, value)?, "");
            }
            "form" => {
                let part = multipart::of_field(&value, escaped);
                let part = part.map_err(|why| ImportError::new(format!("-F {why}")))?;
                self.parts.push(part);
            }
            "form-string" => {
                let (name, text) = value.split_once('=').unwrap_or((&value, ""));
                self.parts.push(Part {
                    name: name.to_owned(),
                    content: PartContent::Text(escaped(text)),
                    ..Part::default()
                });
            }
            "upload-file" | "config" => {
                return Err(ImportError::new(format!(
                    "--{name} reads a file, which is not carried over; put what is in it into \
                    the line"
                )));
            }
            "get" => self.method_of_flag = Some("GET"),
            "head" => self.method_of_flag = Some("HEAD"),
            "location" | "location-trusted" => self.follows = true,
            "http2" => self.target.push(("http", "auto".to_owned())),
            "http2-prior-knowledge" => self.target.push(("http", "2".to_owned())),
            "insecure" => self.target.push(("insecure", "true".to_owned())),
            "cacert" => self.target.push(("ca", value)),
            "cert" => self.target.push(("cert", value)),
            "key" => self.target.push(("key", value)),
            "resolve" if leads_to_addresses(&value) => self.target.push(("resolve", value)),
            "resolve" => self
                .told
                .push("not carried over: a --resolve that is not HOST:PORT:ADDRESS".to_owned()),
            other if UNCARRIED.contains(&other) || other == "next" => self
                .told
                .push(format!("not carried over: curl's --{other}")),
            // How curl shows what it does.
            _ => {}
        }
        Ok(())
    }

    fn add_data(&mut self, text: &str, between: &str) {
        self.data = Some(match self.data.take() {
            Some(before) => format!("{before}{between}{text}"),
            None => text.to_owned(),
        });
    }

    fn add_to(mut self, reading: &mut Reading) -> Result<(), ImportError> {
        if self.urls.is_empty() {
            return Err(ImportError::new("the line has no address"));
        }
        for told in std::mem::take(&mut self.told) {
            reading.tell(told);
        }
        for url in &self.urls {
            let mut call = self.call(url).map_err(ImportError::new)?;
            words::fill(&mut call);
            reading.calls.push(call);
        }
        reading.target.extend(self.target);
        Ok(())
    }

    fn put_form(&self, call: &mut Call) -> Result<(), String> {
        if self.parts.is_empty() {
            return Ok(());
        }
        if self.data.is_some() {
            return Err("it has both -d and -F; a request has one body".to_owned());
        }
        for part in &self.parts {
            let fixed = [
                Some(&part.name),
                part.media_type.as_ref(),
                part.filename.as_ref(),
            ];
            let file = match &part.content {
                PartContent::File(file) => Some(file),
                PartContent::Text(_) => None,
            };
            let mut fixed = fixed.into_iter().flatten().chain(file);
            if fixed.any(|text| words::has_variable(text)) {
                return Err(
                    "-F: the name of a field or a file has a variable; write it out".to_owned(),
                );
            }
        }
        multipart::give(call, self.parts.clone());
        Ok(())
    }

    fn call(&self, url: &str) -> Result<Call, String> {
        let (method, url, data) = match (&self.data, self.method_of_flag) {
            (Some(data), Some(method)) => {
                let sign = if url.contains('?') { '&' } else { '?' };
                (method, format!("{url}{sign}{data}"), None)
            }
            (Some(data), None) => ("POST", url.to_owned(), Some(data)),
            (None, None) if !self.parts.is_empty() => ("POST", url.to_owned(), None),
            (None, method) => (method.unwrap_or("GET"), url.to_owned(), None),
        };
        let method = self.method.as_deref().unwrap_or(method);
        let mut call = Call::recorded(method, &url)?;
        for header in &self.headers {
            // `name;` is a header without a value, and `name:` takes one out.
            let Some((name, value)) = header.split_once(':') else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            if !value.is_empty()
                && !is_made(name)
                && !(name.eq_ignore_ascii_case("accept")
                    && (value == "*/*" || value.starts_with("text/html")))
            {
                call.add_header(name, super::call::escaped(value));
            }
        }
        if let Some(user) = &self.user {
            let (user, password) = user.split_once(':').map_or_else(
                || (user.as_str(), words::variable("PASSWORD")),
                |(user, password)| (user, super::call::escaped(password)),
            );
            call.basic = Some((super::call::escaped(user), password));
        }
        for cookie in &self.cookie {
            if !cookie.contains('=') {
                return Err(format!(
                    "-b reads cookies from the file `{}`, which is not carried over; give them \
                    as -b 'NAME=VALUE'",
                    identifier(cookie)
                ));
            }
            call.add_header("cookie", super::call::escaped(cookie.trim()));
        }
        if let Some(data) = data {
            let own = if self.json {
                "application/json"
            } else {
                body::FORM
            };
            if call.header("content-type").is_none() {
                call.headers
                    .push(("content-type".to_owned(), own.to_owned()));
            }
            body::give(&mut call, data);
            if call.body == Body::Empty {
                call.take_header("content-type");
            }
        }
        self.put_form(&mut call)?;
        if self.follows {
            call.redirects = REDIRECTS;
        }
        Ok(call)
    }
}

/// Headers that are made for each request, or that only say how a browser came to it.
pub(super) fn is_made(name: &str) -> bool {
    const MADE: &[&str] = &[
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-length",
        "dnt",
        "host",
        "if-modified-since",
        "if-none-match",
        "keep-alive",
        "pragma",
        "priority",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade-insecure-requests",
        "user-agent",
    ];
    let name = name.to_ascii_lowercase();
    MADE.contains(&name.as_str()) || name.starts_with("sec-") || name.starts_with(':')
}

fn takes_value(name: &str) -> bool {
    const CARRIED: &[&str] = &[
        "cacert",
        "cert",
        "cookie",
        "data",
        "data-ascii",
        "data-binary",
        "data-raw",
        "data-urlencode",
        "form",
        "form-string",
        "header",
        "json",
        "key",
        "oauth2-bearer",
        "referer",
        "request",
        "resolve",
        "url",
        "user",
        "user-agent",
    ];
    CARRIED.contains(&name) || PASSED_OVER.contains(&name) || UNCARRIED.contains(&name)
}

/// Whether it is `HOST:PORT:ADDRESS[,ADDRESS]`, as a profile has it too.
fn leads_to_addresses(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let host = parts.next().unwrap_or_default();
    let port = parts.next().and_then(|p| p.parse::<u16>().ok());
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_address = |a: &str| {
        let bare = a.trim_matches(['[', ']']);
        bare.parse::<core::net::IpAddr>().is_ok()
    };
    !host.is_empty()
        && host.chars().all(is_host)
        && port.is_some_and(|p| p > 0)
        && parts
            .next()
            .is_some_and(|all| all.split(',').all(is_address))
}

fn long_of(letter: char) -> &'static str {
    match letter {
        'X' => "request",
        'H' => "header",
        'd' => "data",
        'F' => "form",
        'u' => "user",
        'b' => "cookie",
        'A' => "user-agent",
        'e' => "referer",
        'G' => "get",
        'I' => "head",
        'L' => "location",
        'k' => "insecure",
        'E' => "cert",
        'T' => "upload-file",
        'K' => "config",
        'x' => "proxy",
        'U' => "proxy-user",
        'r' => "range",
        ':' => "next",
        _ => "",
    }
}

fn next(rest: &mut impl Iterator<Item = String>, word: &str) -> Result<String, ImportError> {
    rest.next()
        .ok_or_else(|| ImportError::new(format!("`{word}` at the end has no value")))
}

fn of_no_file(name: &str, value: String) -> Result<String, ImportError> {
    match value.strip_prefix('@') {
        Some(_) => Err(ImportError::new(format!(
            "--{name} @FILE reads a file, which is not carried over; put what is in it into the \
            line"
        ))),
        None => Ok(value),
    }
}

/// `name=value` with the value encoded; `=value` and `value` have no name.
fn encoded(text: &str) -> Result<String, ImportError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value),
        None if text.contains('@') => {
            of_no_file("data-urlencode", "@".to_owned())?;
            ("", text)
        }
        None => ("", text),
    };
    let mut out = String::new();
    if !name.is_empty() {
        out = format!("{name}=");
    }
    words::each(value, &mut out, push_percent_encoded);
    Ok(out)
}
