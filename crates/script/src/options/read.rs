//! Values of options with their place.

use std::time::Duration;

use serde_json::Value;

use super::{Idle, OptionsError, duration};

/// A value at a place.
#[derive(Debug, Clone)]
pub(super) struct At<'v> {
    value: &'v Value,
    name: &'v str,
    place: String,
}

impl<'v> At<'v> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self {
            value,
            name: "",
            place: "options".to_owned(),
        }
    }

    /// Its last name.
    pub(super) fn name(&self) -> &'v str {
        self.name
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// `null` is as good as nothing.
    pub(super) fn is_unset(&self) -> bool {
        self.value.is_null()
    }

    pub(super) fn error(&self, message: &str) -> OptionsError {
        OptionsError {
            place: self.place.clone(),
            message: message.to_owned(),
        }
    }

    fn must(&self, what: &str) -> OptionsError {
        let found: String = self.value.to_string().chars().take(60).collect();
        self.error(&format!("is {found}; it must be {what}"))
    }

    pub(super) fn unknown(&self) -> Idle {
        Idle {
            place: self.place.clone(),
            reason: "k6 does not know it",
        }
    }

    fn inside(&self, name: &str) -> String {
        if self.place == "options" {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        }
    }

    /// A member; `null` where there is none.
    pub(super) fn member(&self, name: &'v str) -> At<'v> {
        let value = self.value.get(name).unwrap_or(&Value::Null);
        At {
            value,
            name,
            place: self.inside(name),
        }
    }

    pub(super) fn members(&self, most: usize) -> Result<Vec<At<'v>>, OptionsError> {
        let members = self
            .value
            .as_object()
            .ok_or_else(|| self.must("an object"))?;
        if members.len() > most {
            return Err(self.error(&format!("has more than {most} members")));
        }
        Ok(members
            .iter()
            .map(|(name, value)| At {
                value,
                name,
                place: self.inside(name),
            })
            .collect())
    }

    pub(super) fn items(&self, most: usize) -> Result<Vec<At<'v>>, OptionsError> {
        let items = self.value.as_array().ok_or_else(|| self.must("a list"))?;
        if items.len() > most {
            return Err(self.error(&format!("has more than {most} items")));
        }
        let at = |(i, value)| At {
            value,
            name: self.name,
            place: format!("{}[{i}]", self.place),
        };
        Ok(items.iter().enumerate().map(at).collect())
    }

    pub(super) fn text(&self) -> Result<String, OptionsError> {
        self.value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.must("text"))
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, OptionsError> {
        self.items(10_000)?.iter().map(Self::text).collect()
    }

    /// Texts by name; numbers and switches are taken for their text.
    pub(super) fn pairs(&self) -> Result<Vec<(String, String)>, OptionsError> {
        let pair = |member: &At<'_>| {
            let text = match member.value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(is) => is.to_string(),
                _ => return Err(member.must("text")),
            };
            Ok((member.name.to_owned(), text))
        };
        self.members(10_000)?
            .iter()
            .filter(|at| !at.is_unset())
            .map(pair)
            .collect()
    }

    pub(super) fn switch(&self) -> Result<bool, OptionsError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.must("true or false"))
    }

    /// A whole number, or its text, as `__ENV` gives it.
    pub(super) fn count(&self) -> Result<u64, OptionsError> {
        let number = match self.value {
            Value::Number(number) => number.as_u64().or_else(|| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked"
                )]
                let whole = |number: f64| number as u64;
                let is_whole = |number: &f64| {
                    number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(number)
                };
                number.as_f64().filter(is_whole).map(whole)
            }),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.must("a whole number, 0 or more"))
    }

    pub(super) fn small(&self) -> Result<u32, OptionsError> {
        u32::try_from(self.count()?).map_err(|_| self.must("a smaller number"))
    }

    pub(super) fn duration(&self) -> Result<Duration, OptionsError> {
        let found = match self.value {
            Value::Number(number) => number
                .as_f64()
                .and_then(|milliseconds| duration::seconds(milliseconds / 1e3)),
            Value::String(text) => duration(text),
            _ => None,
        };
        found.ok_or_else(|| self.must("a duration such as `1m30s`, or a number of milliseconds"))
    }

    pub(super) fn one_of<T: Copy>(&self, known: &[(&str, T)]) -> Result<T, OptionsError> {
        let text = self.text()?;
        let found = known.iter().find(|(name, _)| *name == text);
        found.map(|(_, is)| *is).ok_or_else(|| {
            let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
            self.must(&format!("one of {}", names.join(", ")))
        })
    }
}
