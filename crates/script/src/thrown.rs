//! What a script threw, in words.

use rquickjs::{Coerced, Ctx, Exception, Value};

use crate::exchange::{Thrown, ThrownKind};
use crate::host::Host;

/// Longest text that is kept of what was thrown, bytes.
const LONGEST_TEXT: usize = 16 * 1024;

/// Where the host's own JavaScript lies.
pub(crate) const OWN: &str = "k6:";

/// What marks lines of a stack as the host's.
const OWN_FILES: [&str; 2] = [OWN, "eval_script:"];

/// Takes what was thrown out of the interpreter.
pub(crate) fn take(ctx: &Ctx<'_>, host: &Host, error: &rquickjs::Error) -> Thrown {
    if error.is_exception() {
        let value = ctx.catch();
        return describe(ctx, host, &value);
    }
    let kind = match error {
        rquickjs::Error::Allocation => ThrownKind::Memory,
        _ => ThrownKind::Script,
    };
    Thrown {
        message: error.to_string(),
        place: None,
        stack: String::new(),
        kind,
    }
}

/// Describes a value that was thrown.
pub(crate) fn describe<'js>(ctx: &Ctx<'js>, host: &Host, value: &Value<'js>) -> Thrown {
    let (text, stack) = match value.as_object().cloned().and_then(Exception::from_object) {
        Some(error) => of_error(ctx, &error),
        None => (text(ctx, value), String::new()),
    };
    let lines = stack.lines().map(str::trim).filter(|line| !is_own(line));
    let stack: Vec<&str> = lines.collect();
    let place = stack.iter().find_map(|line| place(line));
    let kind = match host.kind_of_end() {
        Some(kind) => kind,
        None => kind_of(ctx, host, value, &text),
    };
    let message = match kind {
        ThrownKind::Endless => format!(
            "the script ran on for {} s without waiting",
            host.parts.given.longest_run.as_secs_f64()
        ),
        ThrownKind::Memory => format!(
            "the script holds more than the {} MiB of memory that a VU may",
            host.parts.given.memory_limit >> 20
        ),
        // Where there is no memory for an error, `null` arrives in its place, and what took the
        // memory may be gone by now.
        ThrownKind::Script if value.is_null() => format!(
            "null: the script threw it, or it needed more than the {} MiB of memory that a VU may",
            host.parts.given.memory_limit >> 20
        ),
        _ => cut(text, LONGEST_TEXT),
    };
    Thrown {
        message,
        place,
        stack: cut(stack.join("\n"), LONGEST_TEXT),
        kind,
    }
}

fn kind_of<'js>(ctx: &Ctx<'js>, host: &Host, value: &Value<'js>, text: &str) -> ThrownKind {
    if value.is_null() || text == "InternalError: out of memory" {
        // Where there is no memory for an error either, `null` arrives. Scripts that throw `null`
        // themselves are rarer than that.
        return match value.is_null() && !is_short_of_memory(ctx, host) {
            thrown if thrown => ThrownKind::Script,
            _ => ThrownKind::Memory,
        };
    }
    if text.contains("Maximum call stack size exceeded") || text == "InternalError: stack overflow"
    {
        return ThrownKind::Stack;
    }
    match value
        .as_object()
        .map(|object| object.get::<_, Option<bool>>("__fail"))
    {
        Some(Ok(Some(true))) => ThrownKind::Fail,
        Some(Err(_)) => {
            ctx.catch();
            ThrownKind::Script
        }
        _ => ThrownKind::Script,
    }
}

/// Whether there is no memory for a quarter of what a VU may have: what was thrown for want of it
/// has freed some by now.
fn is_short_of_memory(ctx: &Ctx<'_>, host: &Host) -> bool {
    if host.was_short.get() {
        return true;
    }
    let quarter = vec![0_u8; host.parts.given.memory_limit / 4];
    let is_short = rquickjs::ArrayBuffer::new_copy(ctx.clone(), quarter).is_err();
    if is_short {
        ctx.catch();
    }
    // Promises pass on what was thrown, and free what they held meanwhile.
    host.was_short.set(is_short);
    is_short
}

fn of_error<'js>(ctx: &Ctx<'js>, error: &Exception<'js>) -> (String, String) {
    let get = |name: &str| match error.as_object().get::<_, Value>(name) {
        Ok(value) if value.is_undefined() => String::new(),
        Ok(value) => text(ctx, &value),
        Err(_) => {
            ctx.catch();
            String::new()
        }
    };
    let (name, message, stack) = (get("name"), get("message"), get("stack"));
    let text = match name.as_str() {
        "" | "Error" => message,
        _ if message.is_empty() => name,
        _ => format!("{name}: {message}"),
    };
    (text, stack)
}

/// `String(value)`, or as JSON where it is an object.
pub(crate) fn text<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    if value.is_object() && !value.is_function() && !value.is_error() {
        match ctx.json_stringify(value.clone()) {
            Ok(Some(json)) => return json.to_string().unwrap_or_default(),
            Ok(None) => {}
            Err(_) => {
                ctx.catch();
            }
        }
    }
    if let Some(symbol) = value.as_symbol() {
        let about = symbol
            .description()
            .ok()
            .and_then(|about| about.get::<String>().ok());
        return format!("Symbol({})", about.unwrap_or_default());
    }
    if let Ok(text) = value.get::<Coerced<String>>() {
        return text.0;
    }
    ctx.catch();
    "something that has no text".into()
}

/// A text, as far as there is room for it.
pub(crate) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str(" ..");
    }
    text
}

/// Whether a line of a stack belongs to the host.
fn is_own(line: &str) -> bool {
    line.is_empty() || line.contains("(native)") || OWN_FILES.iter().any(|own| line.contains(own))
}

/// The place that a line of a stack names: `at name (file:1:2)` or `at file:1:2`.
pub(crate) fn place(line: &str) -> Option<String> {
    let inner = match line.rsplit_once('(') {
        Some((_, inner)) => inner.strip_suffix(')')?,
        None => line.strip_prefix("at ")?,
    };
    let (rest, _) = inner
        .rsplit_once(':')
        .filter(|(_, n)| n.parse::<u32>().is_ok())?;
    (!rest.is_empty()).then(|| inner.to_owned())
}
