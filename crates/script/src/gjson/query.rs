//! What stands within `#(..)`.

use super::value::Json;
use super::{SelectError, Work, path};

/// A condition on the elements of an array.
#[derive(Debug)]
pub(super) struct Query<'p> {
    /// What of the element is compared; the element itself where it is empty.
    path: &'p str,
    /// How; where there is none, the path must find something.
    operator: Option<Operator>,
    /// What it is compared with.
    value: Operand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
    Like,
    Unlike,
}

#[derive(Debug)]
enum Operand {
    /// As it is written, without quotes.
    Text(String),
    /// `~true`, `~false`, `~null`, `~*`: what counts as that.
    Sort(Sort),
}

#[derive(Debug, Clone, Copy)]
enum Sort {
    True,
    False,
    Null,
    There,
    Unknown,
}

/// As they are written, the longer ones first.
const OPERATORS: [(&str, Operator); 9] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("!%", Operator::Unlike),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::More),
    ("%", Operator::Like),
];

impl<'p> Query<'p> {
    pub(super) fn read(text: &'p str) -> Self {
        let text = text.trim();
        let begin = path::find(text, b"!=<>%");
        let written = begin.and_then(|at| {
            let sign = |(sign, _): &&(&str, Operator)| text[at..].starts_with(sign);
            OPERATORS
                .iter()
                .find(sign)
                .map(|(sign, op)| (at, sign.len(), *op))
        });
        let Some((at, length, operator)) = written else {
            return Self {
                path: text,
                operator: None,
                value: Operand::Text(String::new()),
            };
        };
        let value = text[at + length..].trim();
        let value = match value.strip_prefix('~') {
            Some("true") => Operand::Sort(Sort::True),
            Some("false") => Operand::Sort(Sort::False),
            Some("null") => Operand::Sort(Sort::Null),
            Some("*") => Operand::Sort(Sort::There),
            Some(_) => Operand::Sort(Sort::Unknown),
            None => Operand::Text(serde_json::from_str(value).unwrap_or_else(|_| bare(value))),
        };
        Self {
            path: text[..at].trim_end(),
            operator: Some(operator),
            value,
        }
    }
}

/// A string whose escapes are not JSON's, such as a pattern with `\*`: without its quotes.
fn bare(value: &str) -> String {
    let inner = value.strip_prefix('"').unwrap_or(value);
    inner.strip_suffix('"').unwrap_or(inner).to_owned()
}

impl Work {
    /// Whether an element meets a condition.
    pub(super) fn matches(
        &mut self,
        query: &Query,
        item: &Json,
        depth: u32,
    ) -> Result<bool, SelectError> {
        self.spend(1)?;
        let found = match query.path {
            "" => Some(item.clone()),
            path => self.get(item, path, depth + 1)?,
        };
        let wanted = match &query.value {
            Operand::Text(text) => text,
            Operand::Sort(sort) => {
                let is = match sort {
                    Sort::True => found.as_ref().is_some_and(is_trueish),
                    Sort::False => !found.as_ref().is_some_and(is_trueish),
                    Sort::Null => matches!(found, None | Some(Json::Null)),
                    Sort::There => found.is_some(),
                    Sort::Unknown => return Ok(false),
                };
                return Ok(match query.operator {
                    Some(Operator::Equal) => is,
                    Some(Operator::NotEqual) => !is,
                    _ => false,
                });
            }
        };
        let Some(found) = found else { return Ok(false) };
        let Some(operator) = query.operator else {
            return Ok(true);
        };
        self.compare(&found, operator, wanted)
    }

    fn compare(
        &mut self,
        found: &Json,
        operator: Operator,
        wanted: &str,
    ) -> Result<bool, SelectError> {
        Ok(match found {
            Json::String(text) => match operator {
                Operator::Like => self.like(text, wanted)?,
                Operator::Unlike => !self.like(text, wanted)?,
                _ => ordered(operator, Some((**text).cmp(wanted))),
            },
            Json::Number(number) => {
                let (number, wanted) = (number.as_f64(), wanted.parse::<f64>().ok());
                let order = number.zip(wanted).and_then(|(a, b)| a.partial_cmp(&b));
                ordered(operator, order)
            }
            Json::Bool(is) => {
                let wanted = match wanted {
                    "true" => Some(true),
                    "false" => Some(false),
                    _ => None,
                };
                ordered(operator, wanted.map(|wanted| is.cmp(&wanted)))
            }
            Json::Null => match operator {
                Operator::Equal => wanted == "null",
                Operator::NotEqual => wanted != "null",
                _ => false,
            },
            Json::Array(_) | Json::Object(_) => {
                let text = found.text().ok_or(super::TOO_LARGE)?;
                self.spend(text.len())?;
                match operator {
                    Operator::Like => self.like(&text, wanted)?,
                    Operator::Unlike => !self.like(&text, wanted)?,
                    _ => ordered(operator, Some((*text).cmp(wanted))),
                }
            }
        })
    }
}

/// Whether an order is what an operator asks for; values without an order are only unequal.
fn ordered(operator: Operator, order: Option<std::cmp::Ordering>) -> bool {
    let Some(order) = order else {
        return operator == Operator::NotEqual;
    };
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::AtMost => order.is_le(),
        Operator::More => order.is_gt(),
        Operator::AtLeast => order.is_ge(),
        Operator::Like | Operator::Unlike => false,
    }
}

/// What `~true` takes for true: true, a number other than 0, and the words for it.
fn is_trueish(json: &Json) -> bool {
    match json {
        Json::Bool(is) => *is,
        Json::Number(number) => number.as_f64().is_some_and(|n| n != 0.0),
        Json::String(text) => {
            let number = text.parse::<i64>().ok();
            let word = matches!(text.to_ascii_lowercase().as_str(), "t" | "true");
            word || number.is_some_and(|n| n != 0)
        }
        Json::Null => false,
        Json::Array(_) | Json::Object(_) => true,
    }
}
