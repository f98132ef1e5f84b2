//! Templates: text with `{{ vu }}`, `{{ cycle }}`, `{{ uuid() }}`, `{{ now() }}`,
//! `{{ random(1, 6) }}`, `{{ NAME }}`, `{{ cookie.NAME }}` and `{{ FEEDER.column }}` in it.
//! `{{ "{{" }}` is the sign `{{` itself.
//!
//! A template is cut into segments once; at run time the segments are only joined. One without `{{`
//! is a constant.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use base64::Engine as _;
use rand::{Rng, RngExt as _};

use super::Feeder;
use crate::secret;

/// What a template's segments may name, and where their values are.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    /// Values of variables and extractions that are known where the template stands, by slot.
    pub(super) slots: Vec<(&'a str, usize)>,
    /// The feeders.
    pub(super) feeders: Vec<(&'a str, &'a Feeder)>,
    /// The cookies that were named so far.
    pub(super) cookies: Option<&'a RefCell<Vec<String>>>,
}

/// One piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(String),
    Vu,
    Cycle,
    Uuid,
    /// Milliseconds since 1970.
    Now,
    /// A whole number from the first to the last.
    Random(i64, i64),
    Slot(usize),
    /// A whole value of a JSON body: a number stays one, a text gets its quotes.
    Typed(usize),
    /// A user name and a password as HTTP's basic authentication sends them (RFC 7617).
    Base64(Box<Template>),
    Cookie(usize),
    /// A value as it is, where others are made safe: a link that an answer gave.
    Raw(Box<Segment>),
    /// A value that was percent-encoded, as it was before.
    Decoded(Box<Segment>),
    Column {
        feeder: usize,
        column: usize,
    },
    /// A whole value of a JSON body from a feeder whose cells have types.
    TypedColumn {
        feeder: usize,
        column: usize,
    },
}

impl Segment {
    /// The cookie whose value it takes.
    fn cookie(&self) -> Option<usize> {
        match self {
            Self::Cookie(cookie) => Some(*cookie),
            Self::Raw(inner) | Self::Decoded(inner) => inner.cookie(),
            _ => None,
        }
    }
}

/// A compiled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    escape: Escape,
}

/// How values are made safe for the place where they are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// As they are: headers, text bodies, values to compare with.
    None,
    /// Percent-encoded: a value is one piece of a path or a query.
    Url,
    /// The same with what the author wrote around it: a piece of a query or a form.
    Query,
    /// As the inside of a JSON string.
    Json,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number, a truth value, a list or an object, as JSON.
    Json(String),
}

impl Default for Value {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Value {
    /// A JSON value; `None` for null.
    pub fn of_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(Self::Text(text.clone())),
            serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => Some(Self::Json(value.to_string())),
        }
    }

    /// As it is filled in.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Json(text) => text,
        }
    }
}

/// The values of one VU's current cycle.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// The VU's number, from 0.
    pub vu: u32,
    /// The cycle's number within the VU, from 0.
    pub cycle: u64,
    /// Variables and extracted values.
    pub(super) slots: Vec<Value>,
    /// The time of day, milliseconds since 1970.
    pub now_ms: u64,
    /// The cookies that are named in templates, as they were set last.
    pub(super) cookies: Vec<Option<String>>,
    /// The cycle's row of each feeder.
    pub(super) rows: Vec<usize>,
}

impl Values {
    /// A variable or an extracted value.
    pub fn get(&self, slot: usize) -> &str {
        self.slots[slot].as_str()
    }

    /// The value of a cookie that is named in templates; `None` where it was not set.
    pub fn cookie(&self, index: usize) -> Option<&str> {
        self.cookies[index].as_deref()
    }

    /// Sets the value of a cookie that is named in templates; `None` once it is gone.
    pub fn set_cookie(&mut self, index: usize, value: Option<String>) {
        self.cookies[index] = value;
    }

    /// Sets an extracted value.
    pub fn set(&mut self, slot: usize, value: Value) {
        self.slots[slot] = value;
    }
}

impl Template {
    /// Compiles a text.
    pub(super) fn parse(text: &str, names: &Names<'_>, escape: Escape) -> Result<Self, String> {
        let mut template = Self {
            segments: Vec::new(),
            escape,
        };
        template.push_parsed(text, names)?;
        Ok(template)
    }

    /// Compiles a JSON body whose strings are templates.
    pub(super) fn parse_json(value: &toml::Value, names: &Names<'_>) -> Result<Self, String> {
        let mut template = Self {
            segments: Vec::new(),
            escape: Escape::Json,
        };
        template.push_json(value, names)?;
        Ok(template)
    }

    /// What HTTP's basic authentication makes of a user name and a password.
    pub(super) fn basic(user_and_password: Self) -> Self {
        Self {
            segments: vec![
                Segment::Text("Basic ".to_owned()),
                Segment::Base64(Box::new(user_and_password)),
            ],
            escape: Escape::None,
        }
    }

    /// Appends another piece of the same address or form.
    pub(super) fn append(&mut self, more: Self) {
        for segment in more.segments {
            match segment {
                Segment::Text(text) => self.push_text(&text),
                other => self.segments.push(other),
            }
        }
    }

    /// The text, when it is the same for every VU and cycle.
    pub fn constant(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [] => Some(""),
            [Segment::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The cookies whose values it takes.
    pub(super) fn cookies(&self) -> impl Iterator<Item = usize> {
        self.segments.iter().filter_map(Segment::cookie)
    }

    /// Appends the text with the values filled in.
    pub(super) fn render<R: Rng>(
        &self,
        feeders: &[super::FeederUse],
        values: &Values,
        rng: &mut R,
        out: &mut String,
    ) {
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => out.push_str(text),
                Segment::Vu => push_number(out, u64::from(values.vu)),
                Segment::Cycle => push_number(out, values.cycle),
                Segment::Uuid => {
                    let mut bytes = [0; 16];
                    rng.fill_bytes(&mut bytes);
                    for (byte, own) in bytes.iter_mut().zip(of_this_run()) {
                        *byte ^= own;
                    }
                    let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
                    write!(out, "{uuid}").expect("writing to a string cannot fail");
                }
                Segment::Now => push_number(out, values.now_ms),
                Segment::Random(from, to) => {
                    let drawn = rng.random_range(*from..=*to);
                    write!(out, "{drawn}").expect("writing to a string cannot fail");
                }
                Segment::Slot(slot) => self.push_value(out, values.get(*slot)),
                Segment::Typed(slot) => match &values.slots[*slot] {
                    Value::Json(json) => out.push_str(json),
                    Value::Text(text) => push_json_text(out, text),
                },
                Segment::Base64(inner) => {
                    let mut text = String::new();
                    inner.render(feeders, values, rng, &mut text);
                    out.push_str(&base64::prelude::BASE64_STANDARD.encode(text));
                }
                Segment::Cookie(cookie) => {
                    self.push_value(out, values.cookies[*cookie].as_deref().unwrap_or_default());
                }
                Segment::Raw(inner) => {
                    out.push_str(&Self::plain(inner, (feeders, values), rng));
                }
                Segment::Decoded(inner) => {
                    let text = Self::plain(inner, (feeders, values), rng);
                    self.push_value(out, &secret::percent_decoded(&text));
                }
                Segment::Column { feeder, column } => {
                    let row = values.rows[*feeder];
                    self.push_value(out, feeders[*feeder].feeder.cell(row, *column));
                }
                Segment::TypedColumn { feeder, column } => {
                    let (row, rows) = (values.rows[*feeder], &feeders[*feeder].feeder);
                    match rows.json(row, *column) {
                        Some(json) => out.push_str(json),
                        None => push_json_text(out, rows.cell(row, *column)),
                    }
                }
            }
        }
    }

    /// The value of a segment, made safe for no place.
    fn plain<R: Rng>(
        segment: &Segment,
        (feeders, values): (&[super::FeederUse], &Values),
        rng: &mut R,
    ) -> String {
        let template = Self {
            segments: vec![segment.clone()],
            escape: Escape::None,
        };
        let mut out = String::new();
        template.render(feeders, values, rng, &mut out);
        out
    }

    /// Whether it is a single number of ours: then it is one in JSON, too.
    pub(super) fn is_number(&self) -> bool {
        matches!(
            self.segments.as_slice(),
            [Segment::Vu | Segment::Cycle | Segment::Now | Segment::Random(..)]
        )
    }

    fn push_value(&self, out: &mut String, value: &str) {
        match self.escape {
            Escape::None => out.push_str(value),
            Escape::Url | Escape::Query => secret::push_percent_encoded(out, value),
            Escape::Json => push_json_escaped(out, value),
        }
    }

    fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Segment::Text(last)) = self.segments.last_mut() {
            last.push_str(text);
        } else {
            self.segments.push(Segment::Text(text.to_owned()));
        }
    }

    /// Text that the author wrote: in a JSON body it is the inside of a string; in an address it is
    /// left alone.
    fn push_literal(&mut self, text: &str) {
        match self.escape {
            Escape::Json | Escape::Query => {
                let mut escaped = String::new();
                self.push_value(&mut escaped, text);
                self.push_text(&escaped);
            }
            Escape::None | Escape::Url => self.push_text(text),
        }
    }

    fn push_parsed(&mut self, text: &str, names: &Names<'_>) -> Result<(), String> {
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            self.push_literal(&rest[..open]);
            let inside = &rest[open + 2..];
            let close = inside
                .find("}}")
                .ok_or_else(|| format!("`{{{{` without `}}}}` in \"{text}\""))?;
            let name = inside[..close].trim();
            if let Some(text) = quoted(name) {
                self.push_literal(text);
            } else {
                self.segments.push(names.segment(name)?);
            }
            rest = &inside[close + 2..];
        }
        self.push_literal(rest);
        Ok(())
    }

    fn push_json(&mut self, value: &toml::Value, names: &Names<'_>) -> Result<(), String> {
        match value {
            toml::Value::String(text) => self.push_json_string(text, names)?,
            toml::Value::Integer(n) => self.push_text(&n.to_string()),
            toml::Value::Float(x) if x.is_finite() => self.push_text(&x.to_string()),
            toml::Value::Float(x) => return Err(format!("JSON has no number `{x}`")),
            toml::Value::Boolean(b) => self.push_text(&b.to_string()),
            toml::Value::Datetime(at) => self.push_text(&format!("\"{at}\"")),
            toml::Value::Array(items) => {
                self.push_text("[");
                for (i, item) in items.iter().enumerate() {
                    self.push_text(if i > 0 { "," } else { "" });
                    self.push_json(item, names)?;
                }
                self.push_text("]");
            }
            toml::Value::Table(table) => {
                self.push_text("{");
                for (i, (key, item)) in table.iter().enumerate() {
                    self.push_text(if i > 0 { "," } else { "" });
                    self.push_json_string(key, names)?;
                    self.push_text(":");
                    self.push_json(item, names)?;
                }
                self.push_text("}");
            }
        }
        Ok(())
    }

    fn push_json_string(&mut self, text: &str, names: &Names<'_>) -> Result<(), String> {
        if let Some(segment) = names.whole_value(text)? {
            self.segments.push(segment);
            return Ok(());
        }
        self.push_text("\"");
        self.push_parsed(text, names)?;
        self.push_text("\"");
        Ok(())
    }
}

/// What stands in the only placeholder of a text that is nothing else.
fn only_placeholder(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("{{")?.strip_suffix("}}")?;
    (!inside.contains("{{") && !inside.contains("}}")).then(|| inside.trim())
}

impl Names<'_> {
    /// A string of JSON that is one placeholder whose value may be something else than a text: then
    /// it keeps its type.
    fn whole_value(&self, text: &str) -> Result<Option<Segment>, String> {
        let Some(name) = only_placeholder(text).filter(|name| quoted(name).is_none()) else {
            return Ok(None);
        };
        Ok(match self.segment(name)? {
            Segment::Slot(slot) if !name.starts_with("text(") => Some(Segment::Typed(slot)),
            number @ (Segment::Vu | Segment::Cycle | Segment::Now | Segment::Random(..))
                if !name.starts_with("text(") =>
            {
                Some(number)
            }
            Segment::Column { feeder, column }
                if self.feeders[feeder].1.is_typed() && !name.starts_with("text(") =>
            {
                Some(Segment::TypedColumn { feeder, column })
            }
            _ => None,
        })
    }

    fn segment(&self, name: &str) -> Result<Segment, String> {
        match name {
            "vu" => return Ok(Segment::Vu),
            "cycle" => return Ok(Segment::Cycle),
            "uuid()" => return Ok(Segment::Uuid),
            "now()" => return Ok(Segment::Now),
            _ => {}
        }
        if let Some(inside) = called(name, "random") {
            return random(inside).ok_or_else(|| {
                format!(
                    "`{{{{ {name} }}}}` is not two whole numbers, the lower first; write it \
                    as `{{{{ random(1, 100) }}}}`"
                )
            });
        }
        if let Some(inside) = called(name, "text") {
            return self.segment(inside.trim());
        }
        if let Some(inside) = called(name, "decoded") {
            return Ok(Segment::Decoded(Box::new(self.segment(inside.trim())?)));
        }
        if let Some(inside) = called(name, "raw") {
            return Ok(Segment::Raw(Box::new(self.segment(inside.trim())?)));
        }
        if let Some((_, slot)) = self.slots.iter().find(|(n, _)| *n == name) {
            return Ok(Segment::Slot(*slot));
        }
        if let Some(cookie) = name.strip_prefix("cookie.") {
            return self.cookie(cookie);
        }
        if let Some((feeder_name, column_name)) = name.split_once('.') {
            return self.column(feeder_name, column_name);
        }
        let known = ["vu", "cycle", "uuid()", "now()", "random(1, 100)"]
            .into_iter()
            .chain(self.slots.iter().map(|(n, _)| *n));
        Err(format!(
            "unknown variable `{{{{ {name} }}}}`{}; declare it under `[scenario.vars]` or \
             `extract` it in an earlier step",
            super::nearest(name, known)
        ))
    }

    fn cookie(&self, name: &str) -> Result<Segment, String> {
        let Some(known) = self.cookies.filter(|_| !name.is_empty()) else {
            return Err(format!(
                "no cookie is known where `{{{{ cookie.{name} }}}}` stands; use it in a step"
            ));
        };
        let mut known = known.borrow_mut();
        let at = known.iter().position(|k| k == name).unwrap_or_else(|| {
            known.push(name.to_owned());
            known.len() - 1
        });
        Ok(Segment::Cookie(at))
    }

    fn column(&self, feeder_name: &str, column_name: &str) -> Result<Segment, String> {
        let Some(feeder) = self.feeders.iter().position(|(n, _)| *n == feeder_name) else {
            return Err(format!(
                "unknown feeder `{feeder_name}` in `{{{{ {feeder_name}.{column_name} }}}}`{}; \
                 declare it under `[scenario.feeders]`",
                super::nearest(
                    feeder_name,
                    self.feeders.iter().map(|(n, _)| *n).chain(["env"])
                )
            ));
        };
        let rows = self.feeders[feeder].1;
        let columns = rows.columns();
        match rows.column(column_name) {
            Some(column) => Ok(Segment::Column { feeder, column }),
            None => Err(format!(
                "feeder `{feeder_name}` has no column `{column_name}`{}; its columns are {}",
                super::nearest(column_name, columns.iter().map(String::as_str)),
                columns.join(", ")
            )),
        }
    }
}

/// What stands between quotes: a text as it is, for signs that would begin a placeholder.
fn quoted(name: &str) -> Option<&str> {
    name.strip_prefix('"')?.strip_suffix('"')
}

/// What stands between the parentheses of a function that is called by this name.
fn called<'n>(name: &'n str, function: &str) -> Option<&'n str> {
    let rest = name.strip_prefix(function)?.trim_start();
    rest.strip_prefix('(')?.strip_suffix(')')
}

fn random(bounds: &str) -> Option<Segment> {
    let (from, to) = bounds.split_once(',')?;
    let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (from <= to).then_some(Segment::Random(from, to))
}

/// What is mixed into every identifier, so that those of two runs differ although all that is drawn
/// is the same: what one run has created is there in the next.
fn of_this_run() -> &'static [u8; 16] {
    static OWN: LazyLock<[u8; 16]> = LazyLock::new(|| {
        // Keys of a hash are drawn anew in each process.
        let drawn = || RandomState::new().hash_one(0_u8).to_ne_bytes();
        let (first, second) = (drawn(), drawn());
        let mut own = [0; 16];
        own[..8].copy_from_slice(&first);
        own[8..].copy_from_slice(&second);
        own
    });
    &OWN
}

fn push_number(out: &mut String, number: u64) {
    write!(out, "{number}").expect("writing to a string cannot fail");
}

fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    push_json_escaped(out, text);
    out.push('"');
}

/// The inside of a JSON string (RFC 8259, section 7).
fn push_json_escaped(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
}

/// Compiles a text for every place and fills it in: what is made safe for a place has nothing that
/// ends it.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    use rand::SeedableRng as _;
    let names = Names {
        slots: vec![("id", 0)],
        feeders: Vec::new(),
        cookies: None,
    };
    let values = Values {
        slots: vec![Value::Text("a\"b\\c/d?e=f&g h\n\u{1f600}".to_owned())],
        ..Values::default()
    };
    for escape in [Escape::None, Escape::Url, Escape::Query, Escape::Json] {
        let Ok(template) = Template::parse(text, &names, escape) else {
            continue;
        };
        let rendered = || {
            let mut rng = super::VuRng::seed_from_u64(1);
            let mut out = String::new();
            template.render(&[], &values, &mut rng, &mut out);
            out
        };
        let out = rendered();
        assert_eq!(out, rendered(), "the same numbers give the same text");
        assert!(template.constant().is_none_or(|constant| constant == out));
    }
    // A value alone, in a string of JSON, comes back as it was.
    let alone = Template::parse("{{ id }}", &names, Escape::Json).expect("a name");
    let mut out = "\"".to_owned();
    let mut rng = super::VuRng::seed_from_u64(1);
    let values = Values {
        slots: vec![Value::Text(text.to_owned())],
        ..Values::default()
    };
    alone.render(&[], &values, &mut rng, &mut out);
    out.push('"');
    assert_eq!(
        serde_json::from_str::<String>(&out).ok().as_deref(),
        Some(text)
    );
}

#[cfg(test)]
mod tests;
