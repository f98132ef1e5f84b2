//! A recording of a browser: HTTP Archive 1.2, as Chromium, Firefox, Safari and proxies write it.

use base64::Engine as _;
use jiff::Timestamp;
use serde::Deserialize;

use super::call::{Answer, Call, Part, PartContent, escaped};
use super::curl::is_made;
use super::{ImportError, Reading, Wishes, body, multipart};
use crate::secret::{is_credential, names_a_secret};

/// Entries that are looked at.
const MOST_ENTRIES: usize = 20_000;
/// Bytes of all bodies that are kept to find values in.
const MOST_BODIES: usize = 64 << 20;
/// Kinds of what a page only needs to be shown, as browsers note them.
const ASSETS: &[&str] = &[
    "font",
    "image",
    "manifest",
    "media",
    "script",
    "stylesheet",
    "texttrack",
];
/// Ends of their paths, where no kind is noted.
const ENDINGS: &[&str] = &[
    "avif", "css", "eot", "gif", "ico", "jpeg", "jpg", "js", "map", "mjs", "mp3", "mp4", "otf",
    "png", "svg", "ttf", "wasm", "webm", "webp", "woff", "woff2",
];

#[derive(Deserialize)]
struct File {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    started_date_time: String,
    #[serde(default)]
    time: f64,
    request: Request,
    #[serde(default)]
    response: Response,
    #[serde(rename = "_resourceType")]
    resource_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    text: String,
    #[serde(default, alias = "_encoding")]
    encoding: Option<String>,
    #[serde(default)]
    params: Vec<Param>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Param {
    name: String,
    #[serde(default)]
    value: String,
    file_name: Option<String>,
    content_type: Option<String>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    status: i32,
    #[serde(default)]
    headers: Vec<Pair>,
    #[serde(default)]
    content: Content,
    #[serde(default, rename = "redirectURL")]
    redirect_url: String,
    #[serde(default)]
    http_version: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    encoding: String,
}

/// Reads a recording.
pub(super) fn read(bytes: &[u8], wishes: &Wishes) -> Result<Reading, ImportError> {
    // Some writers begin with a mark of the byte order.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let file: File = serde_json::from_slice(bytes)
        .map_err(|e| ImportError::new(format!("it is not a HAR file: {e}")))?;
    let mut entries = file.log.entries;
    let mut reader = Reader::default();
    if entries.len() > MOST_ENTRIES {
        let more = entries.len() - MOST_ENTRIES;
        entries.truncate(MOST_ENTRIES);
        reader.reading.tell(format!(
            "left out: {more} entries after the first {MOST_ENTRIES}"
        ));
    }
    let mut timed: Vec<(f64, Entry)> = entries.into_iter().map(|e| (begun_s(&e), e)).collect();
    timed.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (begun, entry) in timed {
        reader.take(begun, entry, wishes);
    }
    Ok(reader.end())
}

/// When an entry began, seconds since 1970; 0 where it does not say.
fn begun_s(entry: &Entry) -> f64 {
    let begun = entry.started_date_time.parse::<Timestamp>();
    begun.map_or(0.0, |t| t.as_duration().as_secs_f64())
}

#[derive(Default)]
struct Reader {
    reading: Reading,
    /// When what was asked for last was there.
    ended_s: Option<f64>,
    assets: usize,
    preflights: usize,
    kept: usize,
    /// The address that the call before was sent on to.
    redirected_to: Option<String>,
    /// Names of the cookies that answers have set.
    set: Vec<String>,
    /// Those that were sent before that: name and value.
    before: Vec<(String, String)>,
}

impl Reader {
    fn take(&mut self, begun: f64, entry: Entry, wishes: &Wishes) {
        let method = entry.request.method.to_ascii_uppercase();
        if let Some(why) = left_out(&entry) {
            let (_, rest) = entry.request.url.split_once("://").unwrap_or_default();
            let path = rest.find('/').map_or("/", |at| &rest[at..]);
            let path: String = path
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .chars()
                .take(80)
                .collect();
            return self
                .reading
                .tell(format!("left out: {method} {path}: {why}"));
        }
        let asks_first = |p: &Pair| p.name.eq_ignore_ascii_case("access-control-request-method");
        if method == "OPTIONS" && entry.request.headers.iter().any(asks_first) {
            self.preflights += 1;
            return;
        }
        if is_asset(&entry) && !wishes.with_assets {
            self.assets += 1;
            return;
        }
        let Ok(mut call) = Call::recorded(&method, &entry.request.url) else {
            // `data:`, `blob:`, an extension of the browser.
            return;
        };
        self.note_cookies(&entry);
        self.note_version(&entry);
        let answer = self.answer(&entry.response);
        let ended = begun + (entry.time.max(0.0) / 1000.0).min(3600.0);
        let goes_on = self.redirected_to.take();
        self.redirected_to = redirect(&entry);
        // Followed by the browser: it is one request of the user.
        if let (Some(to), Some(last)) = (goes_on, self.reading.calls.last_mut())
            && to == whole(&entry.request.url)
        {
            let cookies = last.answer.take().map(|a| a.headers).unwrap_or_default();
            let mut answer = answer;
            let set = cookies.into_iter();
            let set = set.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
            answer.headers.extend(set);
            last.answer = Some(answer);
            last.redirects += 1;
            last.expect = expected(entry.response.status);
            self.ended_s = Some(ended);
            return;
        }
        let pause = self.ended_s.map(|before| begun - before);
        call.think_s = pause.filter(|_| begun > 0.0);
        self.ended_s = Some(self.ended_s.map_or(ended, |before| before.max(ended)));
        headers(&mut call, &entry.request);
        post(&mut call, entry.request.post_data);
        call.expect = expected(entry.response.status);
        call.answer = Some(answer);
        self.reading.calls.push(call);
    }

    /// What the answer says, with its body as far as there is room.
    fn answer(&mut self, response: &Response) -> Answer {
        let headers = response.headers.iter();
        let mut headers: Vec<(String, String)> =
            headers.map(|p| (p.name.clone(), p.value.clone())).collect();
        headers.truncate(200);
        let content = &response.content;
        let text = match content.encoding.as_str() {
            "base64" => {
                let bytes = base64::prelude::BASE64_STANDARD.decode(content.text.trim());
                bytes
                    .ok()
                    .and_then(|b| String::from_utf8(b).ok())
                    .unwrap_or_default()
            }
            _ => content.text.clone(),
        };
        let room = MOST_BODIES.saturating_sub(self.kept);
        let text = if text.len() <= room {
            text
        } else {
            String::new()
        };
        self.kept += text.len();
        let answer = Answer {
            headers,
            mime: body::mime(&content.mime_type),
            body: text,
        };
        self.set
            .extend(answer.cookies().map(|(name, _)| name.to_owned()));
        answer
    }

    /// Whoever was not asked over HTTP/1.1 is asked for what it chooses.
    fn note_version(&mut self, entry: &Entry) {
        let version = entry.response.http_version.to_ascii_lowercase();
        let is = |names: &[&str]| names.iter().any(|name| version.starts_with(name));
        let (two, three) = (is(&["h2", "http/2"]), is(&["h3", "http/3"]));
        let known = self.reading.target.iter().any(|(key, _)| *key == "http");
        if (two || three) && entry.request.url.starts_with("https:") && !known {
            self.reading.target.push(("http", "auto".to_owned()));
        }
        if three {
            self.reading.tell(
                "it was recorded over HTTP/3, which is not spoken: HTTP/2 or 1.1 takes its place",
            );
        }
    }

    /// The jar has the cookies that answers set; those that are older the recording begins with.
    fn note_cookies(&mut self, entry: &Entry) {
        let cookies = entry.request.headers.iter();
        let cookies = cookies.filter(|p| p.name.eq_ignore_ascii_case("cookie"));
        for (name, value) in cookies
            .flat_map(|p| p.value.split(';'))
            .filter_map(|c| c.split_once('='))
        {
            let name = name.trim();
            let known = self.set.iter().any(|n| n == name);
            if !known && !self.before.iter().any(|(n, _)| n == name) && self.before.len() < 50 {
                self.before.push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }

    fn end(mut self) -> Reading {
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        if self.assets > 0 {
            let assets = plural(self.assets, "request");
            self.reading.tell(format!(
                "left out: {assets} for images, scripts, styles and the like (--with-assets \
                takes them in)"
            ));
        }
        if self.preflights > 0 {
            let asked = plural(self.preflights, "request");
            self.reading.tell(format!(
                "left out: {asked} with which the browser asked whether another origin may be used"
            ));
        }
        let sent = std::mem::take(&mut self.before);
        let is_proof = |name: &str, value: &str| {
            let name = name.to_ascii_lowercase();
            names_a_secret(&name)
                || name.contains("sess")
                || name.ends_with("sid")
                || is_credential(value)
        };
        let (proofs, others): (Vec<_>, Vec<_>) = sent
            .into_iter()
            .partition(|(name, value)| is_proof(name, value));
        if !others.is_empty() {
            let names: Vec<&str> = others.iter().map(|(name, _)| name.as_str()).collect();
            self.reading.tell(format!(
                "left out: cookies that no answer of the recording sets: {}",
                names.join(", ")
            ));
        }
        if !proofs.is_empty() {
            let names: Vec<&str> = proofs.iter().map(|(name, _)| name.as_str()).collect();
            self.reading.tell(format!(
                "the recording begins with a session: the cookies {} were set before it. They \
                are taken from COOKIE, and expire; \
                 record from the login on, in a private window, for a profile that logs in itself",
                names.join(", ")
            ));
            let pairs: Vec<String> = proofs.iter().map(|(n, v)| format!("{n}={v}")).collect();
            for call in &mut self.reading.calls {
                call.add_header("cookie", escaped(&pairs.join("; ")));
            }
        }
        self.reading
    }
}

/// The status that is right: what was answered, unless that is any 2xx or the browser had the
/// answer already.
fn expected(status: i32) -> Option<u16> {
    let status = u16::try_from(status).ok()?;
    (!(200..300).contains(&status) && status != 304 && (100..=999).contains(&status))
        .then_some(status)
}

/// Why an entry is no request of a scenario.
fn left_out(entry: &Entry) -> Option<&'static str> {
    let url = entry.request.url.to_ascii_lowercase();
    let kind = entry.resource_type.as_deref().unwrap_or_default();
    if kind == "websocket" || url.starts_with("ws:") || url.starts_with("wss:") {
        return Some("it is a WebSocket");
    }
    if kind == "eventsource"
        || entry
            .response
            .content
            .mime_type
            .starts_with("text/event-stream")
    {
        return Some("it is an event stream; add a step with `open` and one with `wait`");
    }
    if !url.starts_with("http") {
        return None;
    }
    (entry.response.status <= 0).then_some("it was never answered")
}

fn is_asset(entry: &Entry) -> bool {
    if let Some(kind) = &entry.resource_type {
        let kind = kind.to_ascii_lowercase();
        if ASSETS.contains(&kind.as_str()) {
            return true;
        }
        if ["document", "fetch", "xhr"].contains(&kind.as_str()) {
            return false;
        }
    }
    if !entry.request.method.eq_ignore_ascii_case("GET") {
        return false;
    }
    let mime = body::mime(&entry.response.content.mime_type);
    let says = ["image/", "font/", "video/", "audio/", "text/css"];
    if says.iter().any(|kind| mime.starts_with(kind)) || mime.ends_with("javascript") {
        return true;
    }
    let path = entry
        .request
        .url
        .split(['?', '#'])
        .next()
        .unwrap_or_default();
    let ending = path.rsplit('/').next().and_then(|f| f.rsplit_once('.'));
    ending.is_some_and(|(_, e)| ENDINGS.contains(&e.to_ascii_lowercase().as_str()))
}

/// An address without what stays in the browser.
fn whole(url: &str) -> String {
    url.split('#').next().unwrap_or_default().to_owned()
}

/// Where an answer sends the browser on to.
fn redirect(entry: &Entry) -> Option<String> {
    if ![301, 302, 303, 307, 308].contains(&entry.response.status) {
        return None;
    }
    let headers = entry.response.headers.iter();
    let mut location = headers.filter(|p| p.name.eq_ignore_ascii_case("location"));
    let location = location.next().map(|p| p.value.as_str());
    let to = location.unwrap_or(&entry.response.redirect_url);
    let base = url::Url::parse(&entry.request.url).ok()?;
    let to = base.join(to).ok().filter(|_| !to.is_empty())?;
    // It must be followed to the same host, or the load would not be allowed to.
    (to.host_str() == base.host_str()).then(|| whole(to.as_str()))
}

fn headers(call: &mut Call, request: &Request) {
    let safe = ["GET", "HEAD"].contains(&call.method.as_str());
    for Pair { name, value } in &request.headers {
        let lower = name.to_ascii_lowercase();
        let plain = lower == "accept" && (value == "*/*" || value.starts_with("text/html") || safe);
        // Who checks these checks them of requests that change something.
        let from = ["origin", "referer"].contains(&lower.as_str()) && safe;
        if is_made(&lower) || lower == "cookie" || plain || from || lower.is_empty() {
            continue;
        }
        let fits = lower.bytes().all(|b| b.is_ascii_graphic()) && !value.contains(['\r', '\n']);
        if fits {
            call.add_header(&lower, escaped(value));
        }
    }
}

/// A form with files: what was written down of its body, else of its fields.
fn form(call: &mut Call, text: &str, params: &[Param]) {
    let said = call.header("content-type").unwrap_or_default().to_owned();
    let parts = multipart::of_body(&said, text).unwrap_or_else(|| {
        let part = |param: &Param| Part {
            name: param.name.clone(),
            content: match &param.file_name {
                Some(file) if param.value.is_empty() => {
                    PartContent::File(multipart::base_name(file))
                }
                _ => PartContent::Text(escaped(&param.value)),
            },
            media_type: (param.content_type.clone()).filter(|t| multipart::is_type(t)),
            filename: param.file_name.clone(),
        };
        params.iter().map(part).collect()
    });
    if parts.is_empty() {
        call.take_header("content-type");
        let gap = "Its form was not recorded: write its parts (`multipart`).";
        call.gaps.push(gap.to_owned());
    }
    multipart::give(call, parts);
}

fn post(call: &mut Call, data: Option<PostData>) {
    let Some(data) = data else {
        call.take_header("content-type");
        return;
    };
    if call.header("content-type").is_none() && !data.mime_type.is_empty() {
        call.headers
            .push(("content-type".to_owned(), escaped(&data.mime_type)));
    }
    let text = match data.encoding.as_deref() {
        Some("base64") => {
            let bytes = base64::prelude::BASE64_STANDARD
                .decode(data.text.trim())
                .ok();
            let is_form = body::mime(&data.mime_type) == multipart::FORM_DATA;
            let text = bytes.and_then(|b| match String::from_utf8(b) {
                Ok(text) => Some(text),
                // Of its files only the names are taken.
                Err(e) if is_form => Some(String::from_utf8_lossy(e.as_bytes()).into_owned()),
                Err(_) => None,
            });
            text.unwrap_or_else(|| {
                let gap = "Its body is not text and was left out.";
                call.gaps.push(gap.to_owned());
                String::new()
            })
        }
        _ => data.text,
    };
    let mime = call.header("content-type").map(body::mime);
    if mime.as_deref() == Some(multipart::FORM_DATA) {
        return form(call, &text, &data.params);
    }
    if text.is_empty() && !data.params.is_empty() {
        let fields = data.params.iter();
        let fields = fields.map(|p| (escaped(&p.name), escaped(&p.value)));
        call.take_header("content-type");
        call.body = super::Body::Form(fields.collect());
        return;
    }
    body::give(call, &text);
}
