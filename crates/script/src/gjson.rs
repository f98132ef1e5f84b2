//! The selectors of `Response.json(selector)`: the path language of gjson.
//!
//! What is there is what gjson's syntax guide lists, but for `..` (JSON lines). Work, depth and the
//! size of what comes out are bounded, whatever the selector and the document are.

use std::rc::Rc;

use thiserror::Error;

mod modifier;
mod path;
mod query;
#[cfg(test)]
mod tests;
mod value;

pub use value::Json;

/// The longest selector, bytes.
const MAX_PATH: usize = 4_096;
/// Paths within paths.
const MAX_DEPTH: u32 = 48;
/// Values, members and characters that one selection looks at.
const MAX_WORK: u64 = 10_000_000;

/// Why nothing was selected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectError {
    /// The document is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The selector asks for more than is done.
    #[error("the selector is {0}; use a shorter one")]
    TooMuch(&'static str),
}

/// What a selector finds in the text of a document, as JSON text; `None` where it finds nothing.
///
/// # Errors
/// The document is not JSON, or the selector asks for too much.
pub fn select_text(document: &str, path: &str) -> Result<Option<String>, SelectError> {
    let json = Json::parse(document).map_err(SelectError::NotJson)?;
    select_in(&json, path)?
        .map(|found| found.text().ok_or(TOO_LARGE))
        .transpose()
}

/// What a selector finds in a document; nothing also where it asks for too much.
pub fn select(json: &serde_json::Value, path: &str) -> Option<serde_json::Value> {
    let found = select_in(&Json::from(json), path).ok()??;
    // What several parts of a selector share is one value inside and many outside: its size is
    // known once it is text.
    serde_json::from_str(&found.text()?).ok()
}

/// What a selector finds in a document.
///
/// # Errors
/// The selector asks for too much.
pub fn select_in(json: &Json, path: &str) -> Result<Option<Json>, SelectError> {
    if path.len() > MAX_PATH {
        return Err(SelectError::TooMuch("longer than 4096 bytes"));
    }
    Work { left: MAX_WORK }.get(json, path, 0)
}

const TOO_LARGE: SelectError = SelectError::TooMuch("one that multiplies what it finds");

/// What one selection may still do.
struct Work {
    left: u64,
}

impl Work {
    /// Counts work before it is done.
    fn spend(&mut self, amount: usize) -> Result<(), SelectError> {
        let amount = u64::try_from(amount).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(amount).ok_or(TOO_LARGE)?;
        Ok(())
    }

    /// What a path finds in a value.
    fn get(&mut self, json: &Json, path: &str, depth: u32) -> Result<Option<Json>, SelectError> {
        if depth > MAX_DEPTH {
            return Err(SelectError::TooMuch("nested too deep"));
        }
        let mut at = json.clone();
        let mut rest = path;
        loop {
            self.spend(1 + rest.len() / 16)?;
            let (found, after) = self.component(&at, rest, depth)?;
            let Some(found) = found else { return Ok(None) };
            at = found;
            match after {
                Some(after) => rest = after,
                None => return Ok(Some(at)),
            }
        }
    }

    /// What the first component of a path finds, and the path after it.
    fn component<'p>(
        &mut self,
        json: &Json,
        path: &'p str,
        depth: u32,
    ) -> Result<(Option<Json>, Option<&'p str>), SelectError> {
        match path.as_bytes().first() {
            Some(b'@') => {
                if let Some((call, after)) = modifier::call(path) {
                    return Ok((self.modify(json, &call, depth)?, after));
                }
            }
            Some(b'!') => {
                let (text, after) = path::argument(&path[1..]);
                self.spend(text.len())?;
                return Ok((Json::parse(text).ok(), after));
            }
            Some(b'[' | b'{') => {
                if let Some((parts, after)) = path::multipath(path) {
                    let made = self.multipath(json, path.starts_with('{'), &parts, depth)?;
                    return Ok((Some(made), after));
                }
            }
            Some(b'#') => {
                if let Json::Array(items) = json {
                    return self.array(items, path, depth);
                }
            }
            _ => {}
        }
        let (key, after) = path::key(path);
        Ok((self.member(json, &key)?, after))
    }

    /// `#`, `#.path`, `#(query)` or `#(query)#` on an array.
    fn array<'p>(
        &mut self,
        items: &Rc<Vec<Json>>,
        path: &'p str,
        depth: u32,
    ) -> Result<(Option<Json>, Option<&'p str>), SelectError> {
        if path.starts_with("#(") || path.starts_with("#[") {
            let Some((inside, after)) = path::enclosed(&path[1..]) else {
                return Ok((None, None));
            };
            let query = query::Query::read(inside);
            let Some(after) = after.strip_prefix('#') else {
                for item in items.iter() {
                    if self.matches(&query, item, depth)? {
                        return Ok((Some(item.clone()), path::rest(after)));
                    }
                }
                return Ok((None, None));
            };
            let mut chosen = Vec::new();
            for item in items.iter() {
                if self.matches(&query, item, depth)? {
                    chosen.push(item.clone());
                }
            }
            return self.of_each(&chosen, after, depth);
        }
        match path.as_bytes().get(1) {
            None => Ok((Some(Json::count(items.len())), None)),
            Some(b'|') => Ok((Some(Json::count(items.len())), Some(&path[2..]))),
            Some(b'.') => self.of_each(items, &path[1..], depth),
            Some(_) => Ok((None, None)),
        }
    }

    /// The rest of a path after something that found several values: a `.` goes into each of them,
    /// a `|` takes them together.
    fn of_each<'p>(
        &mut self,
        items: &[Json],
        after: &'p str,
        depth: u32,
    ) -> Result<(Option<Json>, Option<&'p str>), SelectError> {
        let Some(inner) = after.strip_prefix('.') else {
            self.spend(items.len())?;
            return Ok((
                Some(Json::Array(Rc::new(items.to_vec()))),
                path::rest(after),
            ));
        };
        let (inner, piped) = path::split_pipe(inner);
        let mut found = Vec::new();
        for item in items {
            found.extend(self.get(item, inner, depth + 1)?);
        }
        Ok((Some(Json::Array(Rc::new(found))), piped))
    }

    /// A new object or array of what several paths find.
    fn multipath(
        &mut self,
        json: &Json,
        is_object: bool,
        parts: &[&str],
        depth: u32,
    ) -> Result<Json, SelectError> {
        let mut members: Vec<(Rc<str>, Json)> = Vec::new();
        for part in parts {
            let (name, path) = path::named(part);
            if let Some(found) = self.get(json, path, depth + 1)? {
                let name = name.unwrap_or_else(|| path::last_name(path));
                members.push((name.into(), found));
            }
        }
        Ok(if is_object {
            Json::Object(Rc::new(members))
        } else {
            Json::Array(Rc::new(
                members.into_iter().map(|(_, found)| found).collect(),
            ))
        })
    }

    /// The member of a value that a key names.
    fn member(&mut self, json: &Json, key: &path::Key) -> Result<Option<Json>, SelectError> {
        match json {
            Json::Object(members) => {
                for (name, value) in members.iter() {
                    self.spend(1)?;
                    let is_it = if key.has_wildcards {
                        self.like(name, &key.pattern)?
                    } else {
                        **name == *key.plain
                    };
                    if is_it {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
            Json::Array(items) => {
                let digits = key.plain.as_bytes();
                let is_index = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
                let index = key.plain.parse().ok().filter(|_| is_index);
                Ok(index.and_then(|index: usize| items.get(index).cloned()))
            }
            _ => Ok(None),
        }
    }

    /// Whether a text is like a pattern of `*`, `?` and escaped characters.
    fn like(&mut self, text: &str, pattern: &str) -> Result<bool, SelectError> {
        let text: Vec<char> = text.chars().collect();
        let pattern = path::pattern(pattern);
        self.spend(text.len() + pattern.len())?;
        let (mut t, mut p) = (0, 0);
        // Where the last `*` was and what it has taken so far: all that has to be tried again.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            self.spend(1)?;
            match pattern.get(p) {
                Some(path::Glyph::Any) => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(path::Glyph::One) => (t, p) = (t + 1, p + 1),
                Some(path::Glyph::This(c)) if *c == text[t] => (t, p) = (t + 1, p + 1),
                _ => match star {
                    Some((at, taken)) => {
                        star = Some((at, taken + 1));
                        (t, p) = (taken + 1, at + 1);
                    }
                    None => return Ok(false),
                },
            }
        }
        Ok(pattern[p..].iter().all(|g| matches!(g, path::Glyph::Any)))
    }
}
