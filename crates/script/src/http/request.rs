//! What a script passes to a request becomes an [`Exchange`].

use std::sync::Arc;
use std::time::Duration;

use breakpoint_coroutine::buffer;
use rquickjs::{ArrayBuffer, Coerced, Ctx, Exception, Object, Result, Value};
use url::Url;

use super::digest::Account;
use super::exchange::{BodyForm, Exchange};
use super::params::{self, Params};
use crate::exchange::RequestName;
use crate::host::Host;

/// The boundary between the parts of a form: in no file but by intent.
const BOUNDARY: &str = "----breakpoint-9d1f2c5be6f04a1c8e37";

/// A body with its content type, where it has one of its own.
struct Body {
    bytes: Vec<u8>,
    content_type: Option<String>,
}

/// Reads a request.
pub(crate) fn build<'js>(
    ctx: &Ctx<'js>,
    host: &Host,
    method: &str,
    url: &Value<'js>,
    body: &Value<'js>,
    given: &Value<'js>,
) -> Result<Exchange> {
    let (address, name) = address(ctx, url)?;
    let mut params = params::read(ctx, given)?;
    let body = read_body(ctx, body)?;
    let settings = host.http.borrow();
    let url = host.address(&address);
    let shows_body = body
        .as_ref()
        .is_some_and(|body| body.content_type.is_some());
    let mut body = body.map(|body| {
        if let Some(content_type) = body.content_type {
            params.header("Content-Type", || content_type);
        }
        body.bytes
    });
    let account = url.as_ref().and_then(account);
    let digest = match (account, params.digest) {
        (account, digest) if digest => account,
        (Some(account), _) => {
            add_authorization(&mut params, &account);
            None
        }
        (None, _) => None,
    };
    if let Some(agent) = &settings.user_agent {
        params.header("User-Agent", || agent.clone());
    }
    if let (Some(bytes), Some(compression)) = (&body, &params.compression) {
        body = Some(params::compress(ctx, bytes, compression)?);
        let compression = compression.clone();
        params.header("Content-Encoding", || compression);
    }
    let bytes = body.as_ref().map_or(0, Vec::len) + address.len() + params.bytes();
    host.take_room(ctx, bytes)?;
    let name = params
        .name()
        .or(name)
        .map_or(RequestName::Address, RequestName::Given);
    let form = params.form.unwrap_or(match settings.discards {
        discards if discards => BodyForm::Nothing,
        _ => BodyForm::Text,
    });
    Ok(Exchange {
        method: method.to_ascii_uppercase(),
        url: url.map(without_credentials),
        address,
        headers: params.headers,
        cookies: params.cookies,
        sent: Vec::new(),
        body: body.map(Arc::from),
        timeout: params.timeout.unwrap_or(settings.timeout),
        form,
        redirects: params.redirects.unwrap_or(settings.max_redirects),
        jar: params.jar,
        name,
        tags: host.tags_with(params.tags),
        expected: params.expected.unwrap_or_else(|| settings.expected.clone()),
        keeps_connection: settings.keeps_connection,
        max_bytes: host.parts.given.max_answer_bytes,
        came: None,
        began: Duration::ZERO,
        waited: Duration::ZERO,
        first: None,
        digest,
        shows_body,
    })
}

fn without_credentials(mut url: Url) -> Url {
    if !url.username().is_empty() || url.password().is_some() {
        // Neither fails for an address with a host.
        let _cleared = url.set_username("").and_then(|()| url.set_password(None));
    }
    url
}

/// An address, and the name that `http.url` gives it.
fn address<'js>(ctx: &Ctx<'js>, url: &Value<'js>) -> Result<(String, Option<Arc<str>>)> {
    if let Some(text) = url.as_string() {
        return Ok((text.to_string()?, None));
    }
    if let Some(object) = url.as_object() {
        let whole: Value = object.get("url")?;
        let name: Value = object.get("name")?;
        if let (Some(whole), Some(name)) = (whole.as_string(), name.as_string()) {
            let name = name.to_string()?;
            return Ok((whole.to_string()?, Some(name.into())));
        }
    }
    Ok((coerced(ctx, url)?, None))
}

/// `String(value)`.
pub(super) fn coerced<'js>(_ctx: &Ctx<'js>, value: &Value<'js>) -> Result<String> {
    value.get::<Coerced<String>>().map(|text| text.0)
}

/// Name and password in an address.
fn account(url: &Url) -> Option<Account> {
    let is_there = !url.username().is_empty() || url.password().is_some();
    is_there.then(|| Account {
        user: percent_decoded(url.username()),
        password: percent_decoded(url.password().unwrap_or_default()),
    })
}

/// They go along unless the server is to ask for them first.
fn add_authorization(params: &mut Params, account: &Account) {
    use base64::Engine as _;
    let pair = format!("{}:{}", account.user, account.password);
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    params.header("Authorization", || format!("Basic {encoded}"));
}

/// Text without its `%41`.
fn percent_decoded(text: &str) -> String {
    // A form without `+` says the same.
    let pairs = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    let value = url::form_urlencoded::parse(pairs.as_bytes()).next();
    value
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn read_body<'js>(ctx: &Ctx<'js>, body: &Value<'js>) -> Result<Option<Body>> {
    if body.is_null() || body.is_undefined() {
        return Ok(None);
    }
    let plain = |bytes| {
        Ok(Some(Body {
            bytes,
            content_type: None,
        }))
    };
    if let Some(text) = body.as_string() {
        return plain(text.to_string()?.into_bytes());
    }
    let Some(object) = body.as_object() else {
        return plain(coerced(ctx, body)?.into_bytes());
    };
    if let Some(own) = ArrayBuffer::from_object(object.clone()) {
        return plain(buffer::bytes(&own).unwrap_or_default());
    }
    if is_view(object)? {
        let words = "a body is a string, an object or an ArrayBuffer, not a typed array; pass its \
                     `.buffer`";
        return Err(Exception::throw_type(ctx, words));
    }
    form(ctx, object)
}

/// Whether it looks at a buffer.
fn is_view(object: &Object<'_>) -> Result<bool> {
    let buffer: Value = object.get("buffer")?;
    let is_buffer = buffer
        .into_object()
        .and_then(ArrayBuffer::from_object)
        .is_some();
    Ok(is_buffer && object.contains_key("byteOffset")?)
}

/// The fields of an object, by name.
fn form<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> Result<Option<Body>> {
    let mut fields = Vec::new();
    for pair in object.props::<String, Value<'js>>() {
        fields.push(pair?);
    }
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    let mut files = false;
    for (_, value) in &fields {
        files |= file_of(value)?.is_some();
    }
    if files {
        return multipart(ctx, &fields).map(Some);
    }
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &fields {
        match value.as_array() {
            Some(array) => {
                for one in array.iter::<Value>() {
                    text.append_pair(name, &field(ctx, &one?)?);
                }
            }
            None => {
                text.append_pair(name, &field(ctx, value)?);
            }
        }
    }
    Ok(Some(Body {
        bytes: text.finish().into_bytes(),
        content_type: Some("application/x-www-form-urlencoded".into()),
    }))
}

/// The text of a field.
fn field<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<String> {
    if value.is_object() {
        let json = ctx.json_stringify(value.clone())?;
        return json.map_or(Ok(String::new()), |json| json.to_string());
    }
    coerced(ctx, value)
}

/// What `http.file()` made.
struct FileData<'js> {
    data: Value<'js>,
    name: String,
    content_type: String,
}

fn file_of<'js>(value: &Value<'js>) -> Result<Option<FileData<'js>>> {
    let Some(object) = value.as_object() else {
        return Ok(None);
    };
    let content_type: Value = object.get("content_type")?;
    let name: Value = object.get("filename")?;
    let (Some(content_type), Some(name)) = (content_type.as_string(), name.as_string()) else {
        return Ok(None);
    };
    let (name, content_type) = (name.to_string()?, content_type.to_string()?);
    Ok(Some(FileData {
        data: object.get("data")?,
        name,
        content_type,
    }))
}

fn multipart<'js>(ctx: &Ctx<'js>, fields: &[(String, Value<'js>)]) -> Result<Body> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        match value.as_array() {
            Some(array) => {
                for one in array.iter::<Value>() {
                    part(ctx, &mut bytes, name, &one?)?;
                }
            }
            None => part(ctx, &mut bytes, name, value)?,
        }
    }
    bytes.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let content_type = Some(format!("multipart/form-data; boundary={BOUNDARY}"));
    Ok(Body {
        bytes,
        content_type,
    })
}

fn part<'js>(ctx: &Ctx<'js>, to: &mut Vec<u8>, name: &str, value: &Value<'js>) -> Result<()> {
    let name = quoted(name);
    to.extend_from_slice(format!("--{BOUNDARY}\r\n").as_bytes());
    if let Some(file) = file_of(value)? {
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{}\"\r\nContent-Type: \
             {}\r\n\r\n",
            quoted(&file.name),
            file.content_type.replace(['\r', '\n'], " ")
        );
        to.extend_from_slice(head.as_bytes());
        let body = read_body(ctx, &file.data)?;
        to.extend_from_slice(&body.map(|body| body.bytes).unwrap_or_default());
    } else {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        to.extend_from_slice(head.as_bytes());
        to.extend_from_slice(field(ctx, value)?.as_bytes());
    }
    to.extend_from_slice(b"\r\n");
    Ok(())
}

/// A name between quotes in a header.
fn quoted(name: &str) -> String {
    name.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace(['\r', '\n'], " ")
}
