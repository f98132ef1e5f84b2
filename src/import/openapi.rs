//! A description of an API: `OpenAPI` 3.0 and 3.1, Swagger 2.0; JSON or YAML.

mod document;
mod example;
mod pattern;

use std::fmt::Write as _;

use serde_json::{Map, Value};

use self::document::Document;
use super::call::{Body, Call, Part, PartContent, escaped, identifier, split};
use super::{ImportError, MOST_STEPS, Reading, Wishes, body, multipart};
use crate::secret::push_percent_encoded;

/// Methods of a path.
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];
/// Operations that an error or a note lists.
const MOST_LISTED: usize = 30;

/// An operation of the description.
struct Operation<'a> {
    method: &'static str,
    path: &'a str,
    spec: &'a Value,
    /// Those of all operations of the path.
    shared: Option<&'a Value>,
}

impl Operation<'_> {
    fn named(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn id(&self) -> Option<&str> {
        self.spec.get("operationId").and_then(Value::as_str)
    }

    fn is(&self, wanted: &str) -> bool {
        let words: Vec<&str> = wanted.split_whitespace().collect();
        match words.as_slice() {
            [method, path] => method.eq_ignore_ascii_case(self.method) && *path == self.path,
            [one] => self.id() == Some(one) || *one == self.path,
            _ => false,
        }
    }
}

/// Reads a description.
pub(super) fn read(text: &str, wishes: &Wishes) -> Result<Reading, ImportError> {
    let document = Document::read(text).map_err(ImportError::new)?;
    let operations = operations(&document);
    if operations.is_empty() {
        return Err(ImportError::new(
            "it is not an OpenAPI description: it has no operation under `paths`",
        ));
    }
    let base = server(&document, wishes)?;
    let mut reading = Reading::default();
    let chosen = chosen(&operations, wishes, &mut reading)?;
    for operation in chosen {
        let call = call(&document, operation, &base, &mut reading)
            .map_err(|why| ImportError::new(format!("{}: {why}", operation.named())))?;
        reading.calls.push(call);
    }
    Ok(reading)
}

fn operations(document: &Document) -> Vec<Operation<'_>> {
    let paths = document.root().get("paths").and_then(Value::as_object);
    let mut all = Vec::new();
    for (path, item) in paths.into_iter().flatten() {
        let item = document.resolved(item);
        for method in METHODS {
            if let Some(spec) = item.get(method).filter(|s| s.is_object()) {
                all.push(Operation {
                    method,
                    path,
                    spec,
                    shared: item.get("parameters"),
                });
            }
        }
    }
    all
}

/// Those that were asked for, in that order; else every GET, without which nobody would guess what
/// a load does.
fn chosen<'a>(
    all: &'a [Operation<'a>],
    wishes: &Wishes,
    reading: &mut Reading,
) -> Result<Vec<&'a Operation<'a>>, ImportError> {
    let list = |operations: &mut dyn Iterator<Item = &Operation<'_>>| {
        let names: Vec<String> = operations.map(Operation::named).collect();
        let more = names.len().saturating_sub(MOST_LISTED);
        let mut text = names[..names.len() - more].join(", ");
        if more > 0 {
            write!(text, " and {more} more").ok();
        }
        text
    };
    if wishes.operations.is_empty() {
        let chosen: Vec<_> = all.iter().filter(|o| o.method == "get").collect();
        let others = list(&mut all.iter().filter(|o| o.method != "get"));
        if !others.is_empty() {
            reading.tell(format!(
                "left out, as they may change something: {others} (--operations 'METHOD \
                PATH,...' chooses)"
            ));
        }
        if chosen.is_empty() {
            return Err(ImportError::new(format!(
                "it has no GET; choose operations: --operations '{}'",
                list(&mut all.iter().take(1))
            )));
        }
        return Ok(chosen.into_iter().take(MOST_STEPS).collect());
    }
    let wanted = wishes.operations.iter().map(|w| w.trim());
    let wanted = wanted.filter(|w| !w.is_empty()).map(|wanted| {
        all.iter().find(|o| o.is(wanted)).ok_or_else(|| {
            let known = list(&mut all.iter());
            ImportError::new(format!(
                "there is no operation `{wanted}`; there are {known}"
            ))
        })
    });
    wanted.collect()
}

/// Where the API is: `--url`, else the first server that the description names.
fn server(document: &Document, wishes: &Wishes) -> Result<String, ImportError> {
    if let Some(url) = &wishes.url {
        // It is put before all paths here; what is not this machine's is left out later as anything
        // else.
        let (origin, path, _) =
            split(url).map_err(|why| ImportError::new(format!("--url: {why}")))?;
        return Ok(format!("{origin}{}", path.trim_end_matches('/')));
    }
    let missing = || {
        ImportError::new(
            "it does not say where the API is; add --url, such as --url http://127.0.0.1:8000",
        )
    };
    let root = document.root();
    if let Some(host) = root.get("host").and_then(Value::as_str) {
        let schemes = root.get("schemes").and_then(Value::as_array);
        let scheme = schemes.and_then(|s| s.first()).and_then(Value::as_str);
        let base = root.get("basePath").and_then(Value::as_str).unwrap_or("");
        return Ok(format!(
            "{}://{host}{}",
            scheme.unwrap_or("http"),
            base.trim_end_matches('/')
        ));
    }
    let servers = root.get("servers").and_then(Value::as_array);
    let first = servers.and_then(|s| s.first()).ok_or_else(missing)?;
    let mut url = first
        .get("url")
        .and_then(Value::as_str)
        .ok_or_else(missing)?
        .to_owned();
    let variables = first.get("variables").and_then(Value::as_object);
    for (name, variable) in variables.into_iter().flatten().take(50) {
        let default = variable.get("default").and_then(Value::as_str);
        url = url.replace(&format!("{{{name}}}"), default.unwrap_or_default());
    }
    if !url.contains("://") {
        return Err(missing());
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// What the parameters of an operation come to.
#[derive(Default)]
struct Given {
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    /// Fields of a form, and the names of those that are files.
    form: Vec<(String, String)>,
    files: Vec<String>,
    /// A body with its media type.
    sent: Option<(String, Value)>,
}

impl Given {
    fn of(document: &Document, operation: &Operation<'_>, reading: &mut Reading) -> Self {
        let mut given = Self {
            path: operation.path.to_owned(),
            ..Self::default()
        };
        for parameter in parameters(document, operation) {
            let text = |key| parameter.get(key).and_then(Value::as_str);
            let (Some(name), place) = (text("name"), text("in").unwrap_or_default()) else {
                continue;
            };
            let required = parameter.get("required").and_then(Value::as_bool) == Some(true);
            if place == "body" {
                let schema = parameter.get("schema").unwrap_or(&Value::Null);
                given.sent = Some(("application/json".to_owned(), document.example(schema)));
            } else if place == "path" {
                let earlier = earlier(document, operation, name, reading);
                let example = || encoded(&text_of(&document.example_of(parameter)));
                let value = earlier.unwrap_or_else(example);
                given.path = given.path.replace(&format!("{{{name}}}"), &value);
            } else if required {
                let value = text_of(&document.example_of(parameter));
                given.put(place, name, &value, text("type") == Some("file"));
            }
        }
        given
    }

    fn put(&mut self, place: &str, name: &str, value: &str, is_file: bool) {
        match place {
            "query" => {
                let sign = if self.query.is_empty() { '?' } else { '&' };
                write!(self.query, "{sign}{}={}", encoded(name), encoded(value)).ok();
            }
            "header" => {
                let header = (name.to_ascii_lowercase(), escaped(value));
                self.headers.push(header);
            }
            "cookie" => {
                let pair = escaped(&format!("{name}={value}"));
                self.headers.push(("cookie".to_owned(), pair));
            }
            "formData" => {
                self.files.extend(is_file.then(|| escaped(name)));
                self.form.push((escaped(name), escaped(value)));
            }
            _ => {}
        }
    }
}

/// The parts of a form of Swagger 2 that has files.
fn form_with_files(form: Vec<(String, String)>, files: &[String]) -> Vec<Part> {
    let part = |(name, text): (String, String)| {
        if files.contains(&name) {
            return multipart::example(&name, None);
        }
        Part {
            name,
            content: PartContent::Text(text),
            ..Part::default()
        }
    };
    form.into_iter().map(part).collect()
}

fn call(
    document: &Document,
    operation: &Operation<'_>,
    base: &str,
    reading: &mut Reading,
) -> Result<Call, String> {
    let Given {
        path,
        query,
        headers,
        form,
        files,
        sent,
    } = Given::of(document, operation, reading);
    let (origin, base_path, _) = split(base)?;
    let base_path = base_path.trim_end_matches('/');
    let mut call = Call {
        method: operation.method.to_ascii_uppercase(),
        origin,
        path: format!("{base_path}{path}{query}"),
        ..Call::default()
    };
    call.name = Some(
        operation
            .id()
            .map_or_else(|| operation.named(), str::to_owned),
    );
    let says = operation.spec.get("summary").and_then(Value::as_str);
    call.remarks
        .extend(says.map(|s| s.chars().take(120).collect()));
    for (name, value) in headers {
        call.add_header(&name, value);
    }
    if files.is_empty() {
        if !form.is_empty() {
            call.body = Body::Form(form);
        }
        put_body(document, operation, sent, &mut call);
    } else {
        multipart::give(&mut call, form_with_files(form, &files));
        call.remarks.push(OF_FILES.to_owned());
    }
    for pattern in document.take_unmet() {
        call.gaps.push(format!(
            "FILL IN: a text must match `{pattern}`, and no example of that could be made."
        ));
    }
    security(document, operation, &mut call, reading);
    call.expect = success(operation);
    Ok(call)
}

fn parameters<'a>(document: &'a Document, operation: &Operation<'a>) -> Vec<&'a Value> {
    let own = operation.spec.get("parameters").and_then(Value::as_array);
    let shared = operation.shared.and_then(Value::as_array);
    let mut all: Vec<&Value> = Vec::new();
    // What the operation says itself counts.
    for parameter in own
        .into_iter()
        .flatten()
        .chain(shared.into_iter().flatten())
    {
        let parameter = document.resolved(parameter);
        let same = |p: &&Value| {
            p.get("name") == parameter.get("name") && p.get("in") == parameter.get("in")
        };
        if !all.iter().any(same) && all.len() < 200 {
            all.push(parameter);
        }
    }
    all
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    push_percent_encoded(&mut out, text);
    out
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(text_of).collect();
            items.join(",")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The id in a path that an earlier operation of the profile gives: `POST /items` answers with it.
fn earlier(
    document: &Document,
    operation: &Operation<'_>,
    parameter: &str,
    reading: &mut Reading,
) -> Option<String> {
    let collection = operation.path.split(&format!("/{{{parameter}}}")).next()?;
    let index = reading.calls.iter().rposition(|c| {
        let path = c.path.split('?').next().unwrap_or_default();
        c.method == "POST" && path.ends_with(collection) && !collection.is_empty()
    })?;
    let item = document.root().get("paths")?.get(collection)?;
    let schema = answer_schema(document, document.resolved(item).get("post")?)?;
    let fields = document.fields(schema);
    let field = [parameter, "id"]
        .into_iter()
        .find(|name| fields.iter().any(|f| f == name))?;
    let creator = &mut reading.calls[index];
    let place = format!("/{field}");
    let known = creator.extract.iter().find(|(_, at)| *at == place);
    if let Some((known, _)) = known {
        return Some(format!("{{{{ {known} }}}}"));
    }
    let what = collection.rsplit('/').next().unwrap_or("item");
    let name = identifier(&format!("{what} {field}"));
    creator.extract.push((name.clone(), place));
    Some(format!("{{{{ {name} }}}}"))
}

/// The schema of the JSON that a successful answer has.
fn answer_schema<'a>(document: &'a Document, operation: &'a Value) -> Option<&'a Value> {
    let responses = operation.get("responses")?.as_object()?;
    let (_, answer) = responses
        .iter()
        .find(|(status, _)| status.starts_with('2'))?;
    let answer = document.resolved(answer);
    let content = answer.get("content").and_then(Value::as_object);
    match content {
        Some(content) => content
            .iter()
            .find(|(mime, _)| body::is_json(&body::mime(mime)))
            .and_then(|(_, media)| media.get("schema")),
        None => answer.get("schema"),
    }
}

/// The type of a body and what is said of it.
fn request_body<'a>(
    document: &'a Document,
    operation: &'a Operation<'_>,
) -> Option<(String, &'a Value)> {
    let body = document.resolved(operation.spec.get("requestBody")?);
    let content = body.get("content")?.as_object()?;
    let preferred = ["application/json", super::body::FORM];
    let known = preferred
        .iter()
        .find_map(|mime| content.get_key_value(*mime));
    let json = || {
        content
            .iter()
            .find(|(mime, _)| body::is_json(&body::mime(mime)))
    };
    let (mime, media) = known.or_else(json).or_else(|| content.iter().next())?;
    Some((mime.clone(), media))
}

/// What stands above a step with files that are made up.
const OF_FILES: &str = "Its files are made up: write file = \"PATH\" in place of `text` and \
                        `filename` for one of your own.";

fn put_body(
    document: &Document,
    operation: &Operation<'_>,
    sent: Option<(String, Value)>,
    call: &mut Call,
) {
    if let Some((mime, value)) = sent {
        return give(call, &mime, value);
    }
    let Some((mime, media)) = request_body(document, operation) else {
        return;
    };
    let value = document.example_of(media);
    if body::mime(&mime) == multipart::FORM_DATA {
        return form_data(document, media, value, call);
    }
    give(call, &mime, value);
}

/// A form with files, whose contents are made up.
fn form_data(document: &Document, media: &Value, value: Value, call: &mut Call) {
    let Value::Object(fields) = value else {
        let gap = "It takes a form with files, of which nothing is said: write `multipart`.";
        call.gaps.push(gap.to_owned());
        return;
    };
    let schema = document.resolved(media.get("schema").unwrap_or(&Value::Null));
    let mut parts = Vec::new();
    let mut has_files = false;
    for (name, value) in fields {
        let property = schema.get("properties").and_then(|p| p.get(&name));
        let encoding = media.pointer("/encoding").and_then(|e| e.get(&name));
        let kind = encoding.and_then(|e| e.get("contentType"));
        let kind = kind.and_then(Value::as_str);
        let kind = kind.map(|k| k.split(',').next().unwrap_or_default());
        if property.is_some_and(|p| document.is_file(p)) {
            parts.push(multipart::example(&name, kind));
            has_files = true;
            continue;
        }
        let values = match value {
            Value::Array(items) => items,
            other => vec![other],
        };
        parts.extend(values.iter().map(|value| {
            Part {
                name: name.clone(),
                content: PartContent::Text(escaped(&text_of(value))),
                media_type: kind
                    .filter(|k| multipart::is_type(k))
                    .or(value.is_object().then_some("application/json"))
                    .map(str::to_owned),
                filename: None,
            }
        }));
    }
    if has_files {
        call.remarks.push(OF_FILES.to_owned());
    }
    multipart::give(call, parts);
}

fn give(call: &mut Call, mime: &str, value: Value) {
    let kind = body::mime(mime);
    if kind == super::body::FORM {
        let fields: Map<String, Value> = match value {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let fields = fields
            .iter()
            .map(|(n, v)| (escaped(n), escaped(&text_of(v))));
        call.body = Body::Form(fields.collect());
        return;
    }
    if body::is_json(&kind) || kind == "*/*" {
        if kind != "application/json" && kind != "*/*" {
            call.add_header("content-type", escaped(mime));
        }
        call.body = Body::Json(body::as_template(value));
        return;
    }
    call.add_header("content-type", escaped(mime));
    call.body = match text_of(&value) {
        text if text.is_empty() => Body::Empty,
        text => Body::Text(escaped(&text)),
    };
}

/// The first way to prove who asks; the values are in variables of the environment.
fn security(
    document: &Document,
    operation: &Operation<'_>,
    call: &mut Call,
    reading: &mut Reading,
) {
    let root = document.root();
    let wanted = operation
        .spec
        .get("security")
        .or_else(|| root.get("security"));
    let wanted = wanted.and_then(Value::as_array).and_then(|all| all.first());
    let schemes = root
        .pointer("/components/securitySchemes")
        .or_else(|| root.get("securityDefinitions"));
    for name in wanted
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
        .take(10)
    {
        let Some(scheme) = schemes.and_then(|s| s.get(name)) else {
            continue;
        };
        let scheme = document.resolved(scheme);
        let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
        let variable = identifier(name).to_ascii_uppercase();
        let value = format!("{{{{ env.{variable} }}}}");
        match (
            text("type"),
            text("scheme").to_ascii_lowercase().as_str(),
            text("in"),
        ) {
            ("http", "basic", _) | ("basic", ..) => {
                let user = format!("{{{{ env.{variable}_USER }}}}");
                call.basic = Some((user, format!("{{{{ env.{variable}_PASSWORD }}}}")));
            }
            ("http" | "oauth2" | "openIdConnect", ..) => {
                call.add_header("authorization", format!("Bearer {value}"));
            }
            ("apiKey", _, "header") => call.add_header(text("name"), value),
            ("apiKey", _, "query") => {
                let sign = if call.path.contains('?') { '&' } else { '?' };
                let parameter = encoded(text("name"));
                write!(call.path, "{sign}{parameter}={value}").ok();
            }
            ("apiKey", _, "cookie") => {
                let cookie = format!("{}={value}", text("name"));
                call.add_header("cookie", cookie);
            }
            (kind, ..) => reading.tell(format!(
                "not carried over: the security scheme `{name}` ({kind})"
            )),
        }
    }
}

/// The status of success that the description names, where that is no 2xx.
fn success(operation: &Operation<'_>) -> Option<u16> {
    let responses = operation.spec.get("responses")?.as_object()?;
    if responses
        .keys()
        .any(|s| s.starts_with('2') || s == "default")
    {
        return None;
    }
    let redirects = responses.keys().find(|s| s.starts_with('3'))?;
    redirects.parse().ok().filter(|s| (300..400).contains(s))
}
