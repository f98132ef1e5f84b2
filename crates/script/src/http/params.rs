//! The `params` of a request.

use std::io::Read as _;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rquickjs::{Ctx, Exception, Object, Result, Value};

use super::exchange::{BodyForm, OwnCookie};
use super::request::coerced;
use crate::exchange::Expected;

/// The longest that a request may take.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// What was read of them.
#[derive(Debug, Default)]
pub(super) struct Params {
    pub(super) headers: Vec<(String, String)>,
    pub(super) cookies: Vec<OwnCookie>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) timeout: Option<Duration>,
    pub(super) redirects: Option<u32>,
    pub(super) form: Option<BodyForm>,
    pub(super) jar: u32,
    pub(super) compression: Option<String>,
    pub(super) expected: Option<Expected>,
    /// Name and password answer a challenge, and go along with no other request.
    pub(super) digest: bool,
}

impl Params {
    /// Sets a header that the script did not.
    pub(super) fn header(&mut self, name: &str, value: impl FnOnce() -> String) {
        if !self
            .headers
            .iter()
            .any(|(own, _)| own.eq_ignore_ascii_case(name))
        {
            self.headers.push((name.to_owned(), value()));
        }
    }

    /// How much room they take, about.
    pub(super) fn bytes(&self) -> usize {
        let pairs = self.headers.iter().chain(&self.tags);
        let pairs: usize = pairs.map(|(name, value)| name.len() + value.len()).sum();
        let cookies = self
            .cookies
            .iter()
            .map(|own| own.name.len() + own.value.len());
        512 + pairs + cookies.sum::<usize>()
    }

    /// The tag `name`.
    pub(super) fn name(&self) -> Option<Arc<str>> {
        let (_, name) = self.tags.iter().find(|(name, _)| name == "name")?;
        Some(name.as_str().into())
    }
}

/// Reads them.
pub(super) fn read<'js>(ctx: &Ctx<'js>, given: &Value<'js>) -> Result<Params> {
    let mut params = Params::default();
    let Some(object) = given.as_object() else {
        return Ok(params);
    };
    for pair in object.props::<String, Value<'js>>() {
        let (name, value) = pair?;
        if value.is_null() || value.is_undefined() {
            // `responseCallback: null` judges nothing.
            if name == "responseCallback" && value.is_null() {
                params.expected = Some(Expected::Unjudged);
            }
            continue;
        }
        match name.as_str() {
            "headers" => params.headers = pairs(ctx, &value)?,
            "tags" => params.tags = pairs(ctx, &value)?,
            "cookies" => params.cookies = cookies(ctx, &value)?,
            "timeout" => params.timeout = Some(timeout(ctx, &value)?),
            "redirects" => params.redirects = Some(whole(&value)),
            "jar" => {
                let jar = value
                    .as_object()
                    .map(|jar| jar.get::<_, Option<u32>>("__jar"));
                params.jar = jar.transpose()?.flatten().unwrap_or(0);
            }
            "responseType" => params.form = Some(form(ctx, &value)?),
            "compression" => params.compression = Some(coerced(ctx, &value)?),
            "responseCallback" => params.expected = Some(expected(ctx, &value)?),
            "auth" => params.digest = is_digest(ctx, &value)?,
            _ => {}
        }
    }
    Ok(params)
}

/// Names and values of an object, as texts.
pub(crate) fn pairs<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Vec<(String, String)>> {
    let Some(object) = value.as_object() else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for pair in object.props::<String, Value<'js>>() {
        let (name, value) = pair?;
        if !value.is_undefined() && !value.is_null() {
            all.push((name, coerced(ctx, &value)?));
        }
    }
    Ok(all)
}

fn cookies<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Vec<OwnCookie>> {
    let Some(object) = value.as_object() else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for pair in object.props::<String, Value<'js>>() {
        let (name, value) = pair?;
        let (value, replaces) = match value.as_object() {
            Some(cookie) => {
                let replaces: Value = cookie.get("replace")?;
                (
                    coerced(ctx, &cookie.get("value")?)?,
                    replaces.as_bool().unwrap_or(false),
                )
            }
            None => (coerced(ctx, &value)?, false),
        };
        all.push(OwnCookie {
            name,
            value,
            replaces,
        });
    }
    Ok(all)
}

/// A number of milliseconds, or a text such as `1m30s`.
fn timeout<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Duration> {
    let time = match value.as_number() {
        Some(milliseconds) => Duration::try_from_secs_f64(milliseconds / 1e3).ok(),
        None => duration(&coerced(ctx, value)?),
    };
    match time {
        // 0 is "no limit".
        Some(Duration::ZERO) => Ok(LONGEST_TIMEOUT),
        Some(time) => Ok(time.min(LONGEST_TIMEOUT)),
        None => {
            let text = coerced(ctx, value)?;
            let words = format!("the timeout `{text}` is not a time such as 500 or \"1m30s\"");
            Err(Exception::throw_type(ctx, &words))
        }
    }
}

/// Reads `1m30.5s`; a bare number is milliseconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(milliseconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(milliseconds / 1e3).ok();
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += amount
            * match &rest[..end] {
                "d" => 86_400.0,
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|_| !text.is_empty())
}

/// A whole number that is not negative; 0 for all others.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts saturate"
)]
fn whole(value: &Value<'_>) -> u32 {
    value.as_number().unwrap_or(0.0) as u32
}

fn form<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<BodyForm> {
    match coerced(ctx, value)?.as_str() {
        "text" | "" => Ok(BodyForm::Text),
        "binary" => Ok(BodyForm::Binary),
        "none" => Ok(BodyForm::Nothing),
        other => {
            let words = format!("`responseType` is text, binary or none, not `{other}`");
            Err(Exception::throw_type(ctx, &words))
        }
    }
}

fn is_digest<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<bool> {
    match coerced(ctx, value)?.as_str() {
        "basic" | "" => Ok(false),
        "digest" => Ok(true),
        other => {
            let words = format!("`auth: \"{other}\"` is not supported; use basic or digest");
            Err(Exception::throw_type(ctx, &words))
        }
    }
}

/// What `http.expectedStatuses()` made, or `null`.
pub(super) fn expected<'js>(ctx: &Ctx<'js>, callback: &Value<'js>) -> Result<Expected> {
    if callback.is_null() {
        return Ok(Expected::Unjudged);
    }
    let ranges = match callback.as_object() {
        Some(object) => object.get::<_, Option<Vec<u16>>>("__statuses")?,
        None => None,
    };
    let Some(ranges) = ranges else {
        let words = "a response callback is what http.expectedStatuses() returns, or null";
        return Err(Exception::throw_type(ctx, words));
    };
    let ranges: Vec<RangeInclusive<u16>> = ranges
        .chunks_exact(2)
        .map(|pair| pair[0]..=pair[1])
        .collect();
    Ok(Expected::Statuses(ranges.into()))
}

/// A body, packed.
pub(super) fn compress(ctx: &Ctx<'_>, bytes: &[u8], how: &str) -> Result<Vec<u8>> {
    let mut packed = bytes.to_vec();
    for one in how.split(',') {
        let level = flate2::Compression::default();
        let mut all = Vec::new();
        let written = match one.trim() {
            "gzip" => flate2::read::GzEncoder::new(&*packed, level).read_to_end(&mut all),
            // What HTTP calls deflate is in zlib's format.
            "deflate" => flate2::read::ZlibEncoder::new(&*packed, level).read_to_end(&mut all),
            other => {
                let words = format!("`compression: \"{other}\"` is not supported; use gzip");
                return Err(Exception::throw_type(ctx, &words));
            }
        };
        written.map_err(|error| Exception::throw_message(ctx, &error.to_string()))?;
        packed = all;
    }
    Ok(packed)
}

/// Reads an object's values: of use to other modules.
pub(crate) fn tags_of<'js>(ctx: &Ctx<'js>, tags: &Value<'js>) -> Result<Vec<(String, String)>> {
    if tags.as_object().is_none_or(Object::is_empty) {
        return Ok(Vec::new());
    }
    pairs(ctx, tags)
}
