//! `@reverse` and the others.

use std::rc::Rc;

use super::value::Json;
use super::{SelectError, Work, path};

/// A modifier with its argument.
#[derive(Debug)]
pub(super) struct Call<'p> {
    modifier: Modifier,
    argument: &'p str,
}

#[derive(Debug, Clone, Copy)]
enum Modifier {
    /// `@this`, `@valid`, `@ugly`: what is text only makes no difference to a value.
    This,
    Pretty,
    Reverse,
    Flatten,
    Join,
    Keys,
    Values,
    ToStr,
    FromStr,
    Group,
    Dig,
}

/// The modifier at the start of a path and the path after it, where there is one of that name.
pub(super) fn call(path: &str) -> Option<(Call<'_>, Option<&str>)> {
    let path = path.strip_prefix('@')?;
    let end = path.find([':', '.', '|']).unwrap_or(path.len());
    let modifier = match &path[..end] {
        "this" | "valid" | "ugly" => Modifier::This,
        "pretty" => Modifier::Pretty,
        "reverse" => Modifier::Reverse,
        "flatten" => Modifier::Flatten,
        "join" => Modifier::Join,
        "keys" => Modifier::Keys,
        "values" => Modifier::Values,
        "tostr" => Modifier::ToStr,
        "fromstr" => Modifier::FromStr,
        "group" => Modifier::Group,
        "dig" => Modifier::Dig,
        _ => return None,
    };
    let (argument, after) = match path[end..].strip_prefix(':') {
        Some(argument) => path::argument(argument),
        None => ("", path::rest(&path[end..])),
    };
    Some((Call { modifier, argument }, after))
}

impl Call<'_> {
    /// Whether the argument is an object with this member set to true.
    fn has(&self, option: &str) -> bool {
        match Json::parse(self.argument) {
            Ok(Json::Object(members)) => members
                .iter()
                .any(|(name, value)| **name == *option && *value == Json::Bool(true)),
            _ => false,
        }
    }
}

impl Work {
    pub(super) fn modify(
        &mut self,
        json: &Json,
        call: &Call,
        depth: u32,
    ) -> Result<Option<Json>, SelectError> {
        Ok(Some(match call.modifier {
            Modifier::Pretty if call.has("sortKeys") => self.sorted(json)?,
            Modifier::This | Modifier::Pretty => json.clone(),
            Modifier::Reverse => self.reversed(json)?,
            Modifier::Flatten => {
                let mut flat = Vec::new();
                let Json::Array(items) = json else {
                    return Ok(Some(json.clone()));
                };
                self.flatten(items, call.has("deep"), &mut flat)?;
                Json::Array(Rc::new(flat))
            }
            Modifier::Join => self.joined(json, call.has("preserve"))?,
            Modifier::Keys => self.keys(json)?,
            Modifier::Values => self.values(json)?,
            Modifier::ToStr => {
                let text = json.text().ok_or(super::TOO_LARGE)?;
                self.spend(text.len())?;
                Json::String(text.into())
            }
            Modifier::FromStr => {
                let Json::String(text) = json else {
                    return Ok(None);
                };
                self.spend(text.len())?;
                return Ok(Json::parse(text).ok());
            }
            Modifier::Group => self.grouped(json)?,
            Modifier::Dig => {
                let mut found = Vec::new();
                self.dig(json, call.argument, depth, &mut found)?;
                Json::Array(Rc::new(found))
            }
        }))
    }

    /// With the members of all objects by name.
    fn sorted(&mut self, json: &Json) -> Result<Json, SelectError> {
        self.spend(1)?;
        Ok(match json {
            Json::Array(items) => {
                let items: Result<_, _> = items.iter().map(|item| self.sorted(item)).collect();
                Json::Array(Rc::new(items?))
            }
            Json::Object(members) => {
                let mut sorted = Vec::with_capacity(members.len());
                for (name, value) in members.iter() {
                    sorted.push((name.clone(), self.sorted(value)?));
                }
                sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
                Json::Object(Rc::new(sorted))
            }
            other => other.clone(),
        })
    }

    fn reversed(&mut self, json: &Json) -> Result<Json, SelectError> {
        Ok(match json {
            Json::Array(items) => {
                self.spend(items.len())?;
                Json::Array(Rc::new(items.iter().rev().cloned().collect()))
            }
            Json::Object(members) => {
                self.spend(members.len())?;
                Json::Object(Rc::new(members.iter().rev().cloned().collect()))
            }
            other => other.clone(),
        })
    }

    fn flatten(
        &mut self,
        items: &[Json],
        is_deep: bool,
        into: &mut Vec<Json>,
    ) -> Result<(), SelectError> {
        for item in items {
            self.spend(1)?;
            match item {
                Json::Array(inner) if is_deep => self.flatten(inner, true, into)?,
                Json::Array(inner) => {
                    self.spend(inner.len())?;
                    into.extend(inner.iter().cloned());
                }
                other => into.push(other.clone()),
            }
        }
        Ok(())
    }

    /// The objects of an array as one; of members with the same name the last one counts, in the
    /// place of the first.
    fn joined(&mut self, json: &Json, keeps_all: bool) -> Result<Json, SelectError> {
        let Json::Array(items) = json else {
            return Ok(json.clone());
        };
        let mut members: Vec<(Rc<str>, Json)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for item in items.iter() {
            self.spend(1)?;
            let Json::Object(more) = item else { continue };
            self.spend(more.len())?;
            for (name, value) in more.iter() {
                if let Some(at) = places.get(name).filter(|_| !keeps_all) {
                    let at: usize = *at;
                    members[at].1 = value.clone();
                } else {
                    places.insert(name.clone(), members.len());
                    members.push((name.clone(), value.clone()));
                }
            }
        }
        Ok(Json::Object(Rc::new(members)))
    }

    fn keys(&mut self, json: &Json) -> Result<Json, SelectError> {
        let keys = match json {
            Json::Object(members) => {
                self.spend(members.len())?;
                members
                    .iter()
                    .map(|(name, _)| Json::String(name.clone()))
                    .collect()
            }
            Json::Array(items) => {
                self.spend(items.len())?;
                vec![Json::Null; items.len()]
            }
            _ => vec![Json::Null],
        };
        Ok(Json::Array(Rc::new(keys)))
    }

    fn values(&mut self, json: &Json) -> Result<Json, SelectError> {
        Ok(match json {
            Json::Array(_) => json.clone(),
            Json::Object(members) => {
                self.spend(members.len())?;
                Json::Array(Rc::new(
                    members.iter().map(|(_, value)| value.clone()).collect(),
                ))
            }
            other => Json::Array(Rc::new(vec![other.clone()])),
        })
    }

    /// An object of arrays as an array of objects.
    fn grouped(&mut self, json: &Json) -> Result<Json, SelectError> {
        let Json::Object(columns) = json else {
            return Ok(Json::Array(Rc::default()));
        };
        let mut rows: Vec<Vec<(Rc<str>, Json)>> = Vec::new();
        for (name, column) in columns.iter() {
            self.spend(1)?;
            let Json::Array(values) = column else {
                continue;
            };
            self.spend(values.len())?;
            for (at, value) in values.iter().enumerate() {
                if at == rows.len() {
                    rows.push(Vec::new());
                }
                rows[at].push((name.clone(), value.clone()));
            }
        }
        let rows = rows
            .into_iter()
            .map(|row| Json::Object(Rc::new(row)))
            .collect();
        Ok(Json::Array(Rc::new(rows)))
    }

    /// What a path finds anywhere in a value.
    fn dig(
        &mut self,
        json: &Json,
        path: &str,
        depth: u32,
        found: &mut Vec<Json>,
    ) -> Result<(), SelectError> {
        self.spend(1)?;
        found.extend(self.get(json, path, depth + 1)?);
        match json {
            Json::Array(items) => {
                for item in items.iter() {
                    self.dig(item, path, depth, found)?;
                }
            }
            Json::Object(members) => {
                for (_, value) in members.iter() {
                    self.dig(value, path, depth, found)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
