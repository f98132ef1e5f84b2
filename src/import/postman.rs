//! A collection of Postman, v2.0 and v2.1: folders, variables, authorization, bodies. Scripts are
//! not carried over.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::{Body, Call, Part, PartContent, escaped, identifier};
use super::{ImportError, Reading, body, multipart};
use crate::secret::{is_credential, names_a_secret};

/// Folders within one another.
const MOST_DEPTH: usize = 20;
/// Requests that are looked at.
const MOST_REQUESTS: usize = 2_000;
/// Variables that lead to one another.
const MOST_REFERENCES: usize = 8;
/// Longest text that variables make.
const MOST_TEXT: usize = 1 << 20;

/// What is known while a collection is gone through.
struct Reader {
    variables: BTreeMap<String, Given>,
    reading: Reading,
    requests: usize,
    scripts: usize,
}

/// A variable of the collection.
struct Given {
    value: String,
    secret: bool,
}

/// How requests of a folder prove who asks.
type Auth<'a> = Option<&'a Value>;

/// Reads a collection.
pub(super) fn read(bytes: &[u8]) -> Result<Reading, ImportError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let file: Value = serde_json::from_slice(bytes)
        .map_err(|e| ImportError::new(format!("it is not a Postman collection: {e}")))?;
    // The API of Postman wraps it.
    let root = file.get("collection").unwrap_or(&file);
    let Some(items) = root.get("item").and_then(Value::as_array) else {
        return Err(ImportError::new(
            "it is not a Postman collection: it has no `item`; export it as Collection v2.1",
        ));
    };
    let mut reader = Reader {
        variables: variables(root),
        reading: Reading::default(),
        requests: 0,
        scripts: 0,
    };
    reader.note_scripts(root);
    reader.folder(items, root.get("auth"), "", MOST_DEPTH);
    if reader.scripts > 0 {
        reader.reading.tell(format!(
            "not carried over: {} scripts (events); what they check is a `check` of a step, what \
            they set an `extract`",
            reader.scripts
        ));
    }
    Ok(reader.reading)
}

fn variables(root: &Value) -> BTreeMap<String, Given> {
    let all = root.get("variable").and_then(Value::as_array);
    let mut variables = BTreeMap::new();
    for variable in all.into_iter().flatten().take(1_000) {
        let text = |key: &str| variable.get(key).map(plain);
        let Some(name) = text("key").or_else(|| text("id")) else {
            continue;
        };
        let value = text("value").unwrap_or_default();
        let says = variable.get("type").and_then(Value::as_str) == Some("secret");
        let secret = says || names_a_secret(&name) || is_credential(&value);
        if !is_on(variable) || value.is_empty() {
            continue;
        }
        variables.insert(name, Given { value, secret });
    }
    variables
}

/// A plain value as text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn is_on(value: &Value) -> bool {
    value.get("disabled").and_then(Value::as_bool) != Some(true)
}

impl Reader {
    fn note_scripts(&mut self, item: &Value) {
        let events = item.get("event").and_then(Value::as_array);
        let has_lines = |event: &&Value| {
            let lines = event.pointer("/script/exec");
            match lines {
                Some(Value::Array(lines)) => lines.iter().any(|l| !plain(l).trim().is_empty()),
                Some(Value::String(text)) => !text.trim().is_empty(),
                _ => false,
            }
        };
        self.scripts += events.into_iter().flatten().filter(has_lines).count();
    }

    fn folder(&mut self, items: &[Value], auth: Auth<'_>, path: &str, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            return self.reading.tell(format!(
                "left out: folders within {path}, which are too deep"
            ));
        };
        for item in items {
            self.note_scripts(item);
            let name = item.get("name").map(plain).unwrap_or_default();
            let auth = own_auth(item).or(auth);
            if let Some(items) = item.get("item").and_then(Value::as_array) {
                let path = if path.is_empty() {
                    name
                } else {
                    format!("{path}/{name}")
                };
                self.folder(items, auth, &path, depth);
                continue;
            }
            let Some(request) = item.get("request") else {
                continue;
            };
            self.requests += 1;
            if self.requests > MOST_REQUESTS {
                self.reading.tell(format!(
                    "left out: requests after the first {MOST_REQUESTS}"
                ));
                return;
            }
            let shown: String = name.chars().take(80).collect();
            match self.call(request, auth) {
                Ok(mut call) => {
                    call.name = Some(name);
                    if !path.is_empty() {
                        let path: String = path.chars().take(120).collect();
                        call.remarks.insert(0, format!("Folder: {path}"));
                    }
                    self.reading.calls.push(call);
                }
                Err(why) => self.reading.tell(format!("left out: `{shown}`: {why}")),
            }
        }
    }

    fn call(&mut self, request: &Value, auth: Auth<'_>) -> Result<Call, String> {
        let method = request
            .get("method")
            .map_or_else(|| "GET".to_owned(), plain);
        let url = request.get("url").unwrap_or(request);
        let (origin, path) = self.address(url)?;
        let mut call = Call {
            method: method.to_ascii_uppercase(),
            origin,
            path,
            ..Call::default()
        };
        for header in request
            .get("header")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |key: &str| header.get(key).map(plain).unwrap_or_default();
            let (name, value) = (text("key"), text("value"));
            if is_on(header) && !name.trim().is_empty() && !super::curl::is_made(&name) {
                let value = self.filled(&value);
                call.add_header(name.trim(), value);
            }
        }
        if let Some(body) = request.get("body").filter(|b| is_on(b)) {
            self.body(&mut call, body)?;
        }
        if let Some(auth) = own_auth(request).or(auth) {
            self.authorize(&mut call, auth);
        }
        Ok(call)
    }

    /// Origin and path. The host must be known, for it cannot vary.
    fn address(&mut self, url: &Value) -> Result<(String, String), String> {
        let raw = match url {
            Value::String(raw) => raw.clone(),
            _ => assembled(url),
        };
        let raw = parameters(raw, url);
        // The host first: what stands there are addresses, and no secrets.
        let mut whole = raw.trim().to_owned();
        for _ in 0..MOST_REFERENCES {
            let Some(rest) = whole.strip_prefix("{{") else {
                break;
            };
            let Some((name, rest)) = rest.split_once("}}") else {
                break;
            };
            let Some(given) = self.variables.get(name.trim()) else {
                return Err(format!(
                    "its host is the variable `{}`, which the collection does not set; set it in \
                    the collection's variables, \
                     or edit the file",
                    identifier(name)
                ));
            };
            whole = format!("{}{rest}", given.value);
            if whole.len() > MOST_TEXT {
                return Err("its address is too long".to_owned());
            }
        }
        let authority = whole.find("://").map_or(0, |at| at + 3);
        let end = whole[authority..]
            .find(['/', '?', '#'])
            .map_or(whole.len(), |at| authority + at);
        let (host, path) = whole.split_at(end);
        let host = self.constant(host);
        let (origin, _, _) = super::call::split(&host)?;
        let path = path.split('#').next().unwrap_or_default();
        let path = self.filled(path);
        let path = if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        };
        Ok((origin, path))
    }

    fn body(&mut self, call: &mut Call, spec: &Value) -> Result<(), String> {
        let mode = spec.get("mode").and_then(Value::as_str).unwrap_or_default();
        match mode {
            "raw" => {
                let raw = spec.get("raw").map(plain).unwrap_or_default();
                let language = spec
                    .pointer("/options/raw/language")
                    .and_then(Value::as_str);
                let mime = match language {
                    Some("json") => Some("application/json"),
                    Some("xml") => Some("application/xml"),
                    Some("html") => Some("text/html"),
                    _ => None,
                };
                if let Some(mime) = mime.filter(|_| call.header("content-type").is_none()) {
                    call.add_header("content-type", mime.to_owned());
                }
                self.raw(call, &raw);
            }
            "urlencoded" => {
                let fields = spec.get("urlencoded").and_then(Value::as_array);
                let mut form = Vec::new();
                for field in fields.into_iter().flatten().filter(|f| is_on(f)) {
                    let text = |key: &str| field.get(key).map(plain).unwrap_or_default();
                    form.push((self.filled(&text("key")), self.filled(&text("value"))));
                }
                call.take_header("content-type");
                if !form.is_empty() {
                    call.body = Body::Form(form);
                }
            }
            "graphql" => {
                let text = |key: &str| spec.pointer(key).map(plain).unwrap_or_default();
                let query = self.filled(&text("/graphql/query"));
                let variables = text("/graphql/variables");
                let variables = self
                    .json(&variables)
                    .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
                call.take_header("content-type");
                call.body =
                    Body::Json(serde_json::json!({ "query": query, "variables": variables }));
            }
            "formdata" => {
                let fields = spec.get("formdata").and_then(Value::as_array);
                let mut parts = Vec::new();
                for field in fields.into_iter().flatten().filter(|f| is_on(f)) {
                    self.form_field(field, &mut parts);
                }
                if parts.is_empty() {
                    return Err("its form has no fields".to_owned());
                }
                multipart::give(call, parts);
            }
            "file" => return Err("its body is a file, which is not carried over".to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// The parts of a field of a form with files; it may have several files.
    fn form_field(&mut self, field: &Value, parts: &mut Vec<Part>) {
        let text = |key: &str| field.get(key).map(plain).unwrap_or_default();
        let name = self.constant(&text("key"));
        let media_type = Some(text("contentType")).filter(|t| multipart::is_type(t));
        if text("type") != "file" {
            return parts.push(Part {
                name,
                content: PartContent::Text(self.filled(&text("value"))),
                media_type,
                filename: None,
            });
        }
        let files: Vec<String> = match field.get("src") {
            Some(Value::Array(all)) => all.iter().take(100).map(plain).collect(),
            Some(Value::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        if files.is_empty() {
            return parts.push(multipart::example(&name, media_type.as_deref()));
        }
        parts.extend(files.iter().map(|file| Part {
            name: name.clone(),
            content: PartContent::File(multipart::base_name(file)),
            media_type: media_type.clone(),
            filename: None,
        }));
    }

    /// A raw body: JSON where it is, with variables in its texts or in place of values.
    fn raw(&mut self, call: &mut Call, raw: &str) {
        let mime = call
            .header("content-type")
            .map(body::mime)
            .unwrap_or_default();
        if body::is_json(&mime)
            && let Some(value) = self.json(raw)
        {
            if mime == "application/json" {
                call.take_header("content-type");
            }
            call.body = Body::Json(value);
        } else if !raw.is_empty() {
            call.body = Body::Text(self.filled(raw));
        }
    }

    fn json(&mut self, raw: &str) -> Option<Value> {
        let mut value: Value = serde_json::from_str(raw).ok()?;
        self.fill_json(&mut value);
        Some(value)
    }

    fn fill_json(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.filled(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill_json(item)),
            Value::Object(fields) => {
                let old = std::mem::take(fields);
                for (name, mut item) in old {
                    self.fill_json(&mut item);
                    fields.insert(self.filled(&name), item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn authorize(&mut self, call: &mut Call, auth: &Value) {
        let kind = auth.get("type").and_then(Value::as_str).unwrap_or_default();
        let field = |name: &str| match auth.get(kind) {
            // v2.1 has a list, v2.0 a table.
            Some(Value::Array(all)) => {
                let mut all = all.iter();
                let found = all.find(|f| f.get("key").and_then(Value::as_str) == Some(name));
                found.and_then(|f| f.get("value")).map(plain)
            }
            Some(table) => table.get(name).map(plain),
            None => None,
        };
        let field = |name: &str| field(name).unwrap_or_default();
        match kind {
            "noauth" | "" => {}
            "bearer" => {
                let token = self.filled(&field("token"));
                call.take_header("authorization");
                call.add_header("authorization", format!("Bearer {token}"));
            }
            "basic" => {
                let (user, password) = (field("username"), field("password"));
                call.take_header("authorization");
                call.basic = Some((self.filled(&user), self.filled(&password)));
            }
            "apikey" => {
                let (name, value) = (field("key"), self.filled(&field("value")));
                if field("in") == "query" {
                    let sign = if call.path.contains('?') { '&' } else { '?' };
                    call.path = format!("{}{sign}{}={value}", call.path, escaped(&name));
                } else if !name.is_empty() {
                    call.add_header(&name, value);
                }
            }
            "oauth2" => {
                let token = match field("accessToken") {
                    token if token.is_empty() => "{{ env.ACCESS_TOKEN }}".to_owned(),
                    token => self.filled(&token),
                };
                call.add_header("authorization", format!("Bearer {token}"));
            }
            other => self
                .reading
                .tell(format!("not carried over: the authorization `{other}`")),
        }
    }

    /// A text as a template: the collection's variables are filled in, others come from the
    /// environment.
    fn filled(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once("{{") {
            let Some((name, after)) = inside.split_once("}}") else {
                break;
            };
            out.push_str(before);
            let value = self.value_of(name.trim());
            // A brace before a placeholder would be read as part of it.
            if value.starts_with("{{") && out.ends_with('{') {
                out.pop();
                out.push_str("{{ \"{\" }}");
            }
            out.push_str(&value);
            rest = after;
        }
        out.push_str(&escaped(rest));
        out
    }

    fn value_of(&mut self, name: &str) -> String {
        if let Some(dynamic) = name.strip_prefix('$') {
            return self.dynamic(dynamic);
        }
        match self.variables.get(name) {
            Some(given) if !given.secret => {
                let value = self.constant(&given.value.clone());
                escaped(&value)
            }
            _ => format!("{{{{ env.{} }}}}", identifier(name).to_ascii_uppercase()),
        }
    }

    /// Values that Postman draws.
    fn dynamic(&mut self, name: &str) -> String {
        match name {
            "guid" | "randomUUID" => "{{ uuid() }}".to_owned(),
            "timestamp" => {
                self.reading
                    .tell("`$timestamp` became `{{ now() }}`, which counts milliseconds");
                "{{ now() }}".to_owned()
            }
            "randomInt" => "{{ random(0, 1000) }}".to_owned(),
            other => {
                let name = identifier(other);
                self.reading.tell(format!(
                    "the variable `${name}` became a number that is drawn"
                ));
                "{{ random(1, 1000000) }}".to_owned()
            }
        }
    }

    /// A text with the collection's variables in it, whatever they are.
    fn constant(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..MOST_REFERENCES {
            let Some((before, inside)) = text.split_once("{{") else {
                break;
            };
            let Some((name, after)) = inside.split_once("}}") else {
                break;
            };
            let Some(given) = self.variables.get(name.trim()) else {
                break;
            };
            text = format!("{before}{}{after}", given.value);
            if text.len() > MOST_TEXT {
                break;
            }
        }
        text
    }
}

fn own_auth(item: &Value) -> Auth<'_> {
    item.get("auth").filter(|a| !a.is_null())
}

/// An address that is given in parts alone.
fn assembled(url: &Value) -> String {
    if let Some(raw) = url.get("raw").and_then(Value::as_str) {
        return raw.to_owned();
    }
    let join = |key: &str, sign: &str| match url.get(key) {
        Some(Value::Array(parts)) => {
            let parts: Vec<String> = parts
                .iter()
                .map(|p| plain(p.get("value").unwrap_or(p)))
                .collect();
            parts.join(sign)
        }
        Some(other) => plain(other),
        None => String::new(),
    };
    let protocol = url.get("protocol").map_or_else(|| "http".to_owned(), plain);
    let host = join("host", ".");
    let port = url.get("port").map(plain).filter(|p| !p.is_empty());
    let port = port.map_or_else(String::new, |p| format!(":{p}"));
    let scheme = if host.contains("://") || host.starts_with("{{") {
        String::new()
    } else {
        format!("{protocol}://")
    };
    let query = url.get("query").and_then(Value::as_array);
    let pairs = query.into_iter().flatten().filter(|p| is_on(p)).map(|p| {
        let text = |key: &str| p.get(key).map(plain).unwrap_or_default();
        format!("{}={}", text("key"), text("value"))
    });
    let pairs: Vec<String> = pairs.collect();
    let query = if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    };
    format!(
        "{scheme}{host}{port}/{}{query}",
        join("path", "/").trim_start_matches('/')
    )
}

/// `/:id` of a path, with the value that the address gives for it.
fn parameters(raw: String, url: &Value) -> String {
    let all = url.get("variable").and_then(Value::as_array);
    let mut out = raw;
    for variable in all.into_iter().flatten().take(100) {
        let text = |key: &str| variable.get(key).map(plain).unwrap_or_default();
        let (name, value) = (text("key"), text("value"));
        if name.is_empty() {
            continue;
        }
        let (path, query) = match out.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (out.clone(), None),
        };
        let words = path.split('/').map(|word| match word.strip_prefix(':') {
            Some(named) if named == name => value.clone(),
            _ => word.to_owned(),
        });
        let words: Vec<String> = words.collect();
        out = words.join("/");
        if let Some(query) = query {
            out = format!("{out}?{query}");
        }
    }
    out
}
