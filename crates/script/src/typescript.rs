//! TypeScript to JavaScript: types are replaced by spaces, so that lines and columns stay.
//!
//! Nothing is checked. What TypeScript adds to a program beyond types (enums, parameter properties)
//! is written as JavaScript in the same line; an import whose names are used as types only is
//! dropped, as compilers do. Namespaces, decorators and `import x = require()` are refused.

use std::cmp::Reverse;
use std::collections::HashSet;

use thiserror::Error;

mod class;
mod expression;
mod lexer;
mod module;
mod statement;
#[cfg(test)]
mod tests;
mod types;

use lexer::{Kind, Token};

/// The longest source, bytes.
const MAX_SOURCE: usize = 32 << 20;
/// Statements, expressions and types within each other.
const MAX_DEPTH: u32 = 160;

/// Why a source is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name}:{line}:{column}: {message}")]
pub struct StripError {
    /// The source's name.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong, and the way out.
    pub message: String,
}

/// The JavaScript of a TypeScript source. JavaScript is its own, but for imports that it does not
/// use.
///
/// # Errors
/// Where it cannot be read, or has something that is more than types and is not supported.
pub fn strip(source: &str, name: &str) -> Result<String, StripError> {
    let fail = |fault: Fault| {
        // A fault is where a token begins.
        let before = source.get(..fault.at).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        StripError {
            name: name.to_owned(),
            line,
            column,
            message: fault.message.into_owned(),
        }
    };
    if source.len() > MAX_SOURCE {
        return Err(fail(Fault::at(0, "the source has more than 32 MiB")));
    }
    let mut parser = Parser::new(source);
    parser.program().map_err(fail)?;
    Ok(parser.finish())
}

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Fault {
    at: usize,
    message: std::borrow::Cow<'static, str>,
}

impl Fault {
    fn at(at: usize, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

type Parsed<T = ()> = Result<T, Fault>;

/// A change of the source.
#[derive(Debug)]
struct Edit {
    from: usize,
    to: usize,
    /// What comes in its place, before the line ends of what it replaces.
    text: String,
}

/// What was once tried at a place and was not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Trial {
    /// An arrow function; within the middle of `? :` it is another question.
    Arrow(bool),
    TypeArguments,
}

/// A name that an import makes.
#[derive(Debug)]
struct Imported<'s> {
    name: &'s str,
    /// What is removed with it.
    from: usize,
    to: usize,
    is_type: bool,
}

/// An import with a clause.
#[derive(Debug)]
struct Import<'s> {
    from: usize,
    to: usize,
    default: Option<Imported<'s>>,
    /// Where the names after the default one begin, its comma included, and end.
    others: (usize, usize),
    names: Vec<Imported<'s>>,
}

/// Reads a program and notes what is changed.
struct Parser<'s> {
    source: &'s str,
    token: Token,
    /// Where the token before ended.
    before: usize,
    edits: Vec<Edit>,
    failed: HashSet<(Trial, usize)>,
    depth: u32,
    /// In the middle of `? :`, where a `:` is not a type's.
    in_middle: bool,
    /// `in` ends the expression.
    no_in: bool,
    imports: Vec<Import<'s>>,
    /// Names in `export { .. }` and `export default`, with what is removed with them.
    exports: Vec<(&'s str, usize, usize)>,
    used: HashSet<&'s str>,
    /// Names of values and of types.
    values: HashSet<&'s str>,
    types: HashSet<&'s str>,
}

impl<'s> Parser<'s> {
    fn new(source: &'s str) -> Self {
        Self {
            source,
            token: Token {
                kind: Kind::End,
                from: 0,
                to: 0,
                after_line: false,
            },
            before: 0,
            edits: Vec::new(),
            failed: HashSet::new(),
            depth: 0,
            in_middle: false,
            no_in: false,
            imports: Vec::new(),
            exports: Vec::new(),
            used: HashSet::new(),
            values: HashSet::new(),
            types: HashSet::new(),
        }
    }

    fn program(&mut self) -> Parsed {
        self.token = lexer::token(self.source, lexer::start(self.source), false)?;
        while self.token.kind != Kind::End {
            self.statement()?;
        }
        Ok(())
    }

    /// The changed source.
    fn finish(mut self) -> String {
        self.drop_unused();
        // At one place, what is put in comes first; then whoever contains another one, and wins.
        self.edits
            .sort_by_key(|edit| (edit.from, edit.from < edit.to, Reverse(edit.to)));
        let mut out = String::with_capacity(self.source.len());
        let mut at = 0;
        for edit in &self.edits {
            if edit.from < at {
                continue;
            }
            out.push_str(&self.source[at..edit.from]);
            out.push_str(&edit.text);
            // The first characters are taken by the text.
            let mut taken = edit.text.chars().count();
            for c in self.source[edit.from..edit.to].chars() {
                if lexer::is_line_end(c) {
                    out.push(c);
                    taken = 0;
                } else if taken > 0 {
                    taken -= 1;
                } else {
                    out.push(' ');
                }
            }
            at = edit.to;
        }
        out.push_str(&self.source[at..]);
        out
    }

    /// Removes imports and exports of what is only a type.
    fn drop_unused(&mut self) {
        let exports = std::mem::take(&mut self.exports);
        for (name, from, to) in exports {
            if self.types.contains(name) && !self.values.contains(name) {
                self.blank(from, to);
            } else {
                self.used.insert(name);
            }
        }
        for import in std::mem::take(&mut self.imports) {
            let is_used = |name: &Imported| !name.is_type && self.used.contains(name.name);
            let default = import.default.as_ref().is_some_and(is_used);
            let others: Vec<bool> = import.names.iter().map(is_used).collect();
            let names = import.names.len() + usize::from(import.default.is_some());
            if names > 0 && !default && !others.contains(&true) {
                self.blank_statement(import.from, import.to);
                continue;
            }
            if let Some(unused) = import.default.as_ref().filter(|_| !default) {
                self.blank(unused.from, unused.to);
            }
            if !import.names.is_empty() && !others.contains(&true) {
                self.blank(import.others.0, import.others.1);
                continue;
            }
            for (name, _) in import.names.iter().zip(&others).filter(|(_, is)| !**is) {
                self.blank(name.from, name.to);
            }
        }
    }

    /// Replaces a range by spaces.
    fn blank(&mut self, from: usize, to: usize) {
        self.replace(from, to, String::new());
    }

    /// Replaces a statement or member: what stands before must not be joined with what follows.
    fn blank_statement(&mut self, from: usize, to: usize) {
        self.replace(from, to, ";".to_owned());
    }

    fn replace(&mut self, from: usize, to: usize, text: impl Into<String>) {
        if from < to {
            self.edits.push(Edit {
                from,
                to,
                text: text.into(),
            });
        }
    }

    fn insert(&mut self, at: usize, text: String) {
        self.edits.push(Edit {
            from: at,
            to: at,
            text,
        });
    }

    // Tokens.

    fn text(&self) -> &'s str {
        &self.source[self.token.from..self.token.to]
    }

    fn next(&mut self) -> Parsed {
        self.before = self.token.to;
        self.token = lexer::token(self.source, self.token.to, false)?;
        Ok(())
    }

    /// The token after one.
    fn after(&self, token: Token) -> Parsed<Token> {
        lexer::token(self.source, token.to, false)
    }

    fn text_of(&self, token: Token) -> &'s str {
        &self.source[token.from..token.to]
    }

    /// Whether this token is this sign or word (not a string with that text).
    fn is(&self, text: &str) -> bool {
        self.is_token(self.token, text)
    }

    fn is_token(&self, token: Token, text: &str) -> bool {
        matches!(token.kind, Kind::Sign | Kind::Name) && self.text_of(token) == text
    }

    fn is_any(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.is(text))
    }

    fn is_name(&self) -> bool {
        self.token.kind == Kind::Name
    }

    /// Takes a token if it is this one.
    fn take(&mut self, text: &str) -> Parsed<bool> {
        let is = self.is(text);
        if is {
            self.next()?;
        }
        Ok(is)
    }

    fn expect(&mut self, text: &str) -> Parsed {
        if self.take(text)? {
            Ok(())
        } else {
            Err(self.unexpected(text))
        }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let found = match self.token.kind {
            Kind::End => "the end".to_owned(),
            _ => format!("`{}`", self.text().chars().take(40).collect::<String>()),
        };
        Fault::at(
            self.token.from,
            format!("{found} stands where {wanted} is expected"),
        )
    }

    fn refuse<T>(at: usize, what: &'static str) -> Parsed<T> {
        Err(Fault::at(at, what))
    }

    /// The end of a statement: `;`, or where JavaScript puts one.
    fn semicolon(&mut self) -> Parsed {
        if self.take(";")? || self.is("}") || self.token.kind == Kind::End || self.token.after_line
        {
            return Ok(());
        }
        Err(self.unexpected("`;`"))
    }

    /// Goes one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Self::refuse(self.token.from, "this is nested too deep; use simpler code");
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Within brackets, where what surrounds them has no say.
    fn apart<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let outside = (self.in_middle, self.no_in);
        (self.in_middle, self.no_in) = (false, false);
        let parsed = parse(self);
        (self.in_middle, self.no_in) = outside;
        parsed
    }

    /// Tries to parse something that may not be there; then all is as it was.
    fn try_parse(&mut self, trial: Trial, parse: impl FnOnce(&mut Self) -> Parsed) -> bool {
        let key = (trial, self.token.from);
        // Once is enough: or else trials within trials take exponential time.
        if self.failed.contains(&key) {
            return false;
        }
        let (token, before, depth) = (self.token, self.before, self.depth);
        let (edits, flags) = (self.edits.len(), (self.in_middle, self.no_in));
        if parse(self).is_ok() {
            return true;
        }
        self.failed.insert(key);
        (self.token, self.before, self.depth) = (token, before, depth);
        (self.in_middle, self.no_in) = flags;
        self.edits.truncate(edits);
        false
    }

    /// Skips from an opening bracket to behind the one that closes it, without looking at what is
    /// between: in types there are no regular expressions.
    fn skip_brackets(&mut self) -> Parsed {
        let mut depth = 0_usize;
        loop {
            if self.token.kind == Kind::End {
                return Err(self.unexpected("a closing bracket"));
            }
            if self.token.kind == Kind::Template {
                self.skip_template()?;
                continue;
            }
            if self.is_any(&["(", "[", "{"]) {
                depth += 1;
            } else if self.is_any(&[")", "]", "}"]) {
                depth -= 1;
            }
            self.next()?;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// A template whose expressions are types.
    fn skip_template(&mut self) -> Parsed {
        self.template(|parser| parser.deeper(Self::a_type))
    }

    /// A template, from its first backtick to behind its last one.
    fn template(&mut self, mut inside: impl FnMut(&mut Self) -> Parsed) -> Parsed {
        let mut at = self.token.from + 1;
        loop {
            let (end, is_over) = lexer::template(self.source, at)?;
            if is_over {
                self.before = end;
                self.token = lexer::token(self.source, end, false)?;
                return Ok(());
            }
            self.token = lexer::token(self.source, end, false)?;
            self.apart(&mut inside)?;
            if !self.is("}") {
                return Err(self.unexpected("`}`"));
            }
            at = self.token.to;
        }
    }
}
