//! Classes.

use super::lexer::{Kind, Token};
use super::{Parsed, Parser};

/// Words before a member that are TypeScript's.
const TYPE_MODIFIERS: [&str; 7] = [
    "public",
    "private",
    "protected",
    "readonly",
    "abstract",
    "override",
    "declare",
];

/// Words before a member that are JavaScript's.
const MODIFIERS: [&str; 5] = ["static", "get", "set", "async", "accessor"];

impl<'s> Parser<'s> {
    /// A class, from its keyword on.
    pub(super) fn class(&mut self) -> Parsed {
        self.apart(Self::class_here)
    }

    fn class_here(&mut self) -> Parsed {
        self.expect("class")?;
        if self.is_name() && !self.is_any(&["extends", "implements"]) {
            self.declare_name()?;
        }
        self.type_parameters()?;
        let is_derived = self.take("extends")?;
        if is_derived {
            self.heritage()?;
        }
        if self.is("implements") {
            let from = self.token.from;
            self.next()?;
            loop {
                self.a_type()?;
                if !self.take(",")? {
                    break;
                }
            }
            self.blank(from, self.before);
        }
        self.expect("{")?;
        while !self.is("}") {
            if self.token.kind == Kind::End {
                return Err(self.unexpected("`}`"));
            }
            if !self.take(";")? {
                self.deeper(|parser| parser.member(is_derived))?;
            }
        }
        self.next()
    }

    /// What a class extends.
    fn heritage(&mut self) -> Parsed {
        let from = self.token.from;
        match self.text() {
            "class" => return self.class(),
            "(" => {
                self.next()?;
                self.expression()?;
                self.expect(")")?;
            }
            "null" => self.next()?,
            _ if self.is_name() => {
                let name = self.text();
                self.used.insert(name);
                self.next()?;
            }
            _ => return Err(self.unexpected("a class")),
        }
        self.suffixes()?;
        if self.is("<") {
            let from = self.token.from;
            self.type_arguments()?;
            self.blank(from, self.before);
            self.suffixes()?;
        }
        debug_assert!(self.before > from, "something was taken");
        Ok(())
    }

    fn member(&mut self, is_derived: bool) -> Parsed {
        let (from, edits) = (self.token.from, self.edits.len());
        if self.is("@") {
            return Self::refuse(from, "decorators are not supported");
        }
        if self.is("static") && self.is_token(self.after(self.token)?, "{") {
            self.next()?;
            return self.block();
        }
        let is_left_out = self.modifiers(from)?;
        if self.is("[") && self.is_index_signature()? {
            self.skip_brackets()?;
            self.annotation()?;
            self.semicolon()?;
            self.edits.truncate(edits);
            self.blank_statement(from, self.before);
            return Ok(());
        }
        self.take("*")?;
        let is_constructor = self.is("constructor");
        self.property_name()?;
        if self.is("?") || (self.is("!") && !self.token.after_line) {
            self.blank(self.token.from, self.token.to);
            self.next()?;
        }
        let has_body = if self.is("(") || self.is("<") {
            self.type_parameters()?;
            let parameters = self.parameters(is_constructor)?;
            self.annotation()?;
            if self.is("{") {
                self.apart(|parser| parser.method_body(is_derived, &parameters.properties))?;
                true
            } else {
                self.semicolon()?;
                false
            }
        } else {
            self.annotation()?;
            if self.take("=")? {
                self.apart(Self::assignment)?;
            }
            self.semicolon()?;
            true
        };
        if is_left_out || !has_body {
            self.edits.truncate(edits);
            self.blank_statement(from, self.before);
        }
        Ok(())
    }

    /// Takes the words before a member's name; whether the member is only declared.
    fn modifiers(&mut self, from: usize) -> Parsed<bool> {
        let mut is_left_out = false;
        loop {
            let is_types = self.is_any(&TYPE_MODIFIERS);
            if !is_types && !self.is_any(&MODIFIERS) {
                return Ok(is_left_out);
            }
            let after = self.after(self.token)?;
            let is_before_a_name = matches!(
                after.kind,
                Kind::Name | Kind::String | Kind::Number | Kind::Private
            ) || self.is_token(after, "[")
                || self.is_token(after, "*");
            if !is_before_a_name || (after.after_line && !self.is("static")) {
                return Ok(is_left_out);
            }
            is_left_out |= self.is_any(&["abstract", "declare"]);
            if is_types {
                let Token {
                    from: start, to, ..
                } = self.token;
                // The member before may have no semicolon and go on with a `[` or `*`.
                if start == from {
                    self.blank_statement(start, to);
                } else {
                    self.blank(start, to);
                }
            }
            self.next()?;
        }
    }

    /// Whether `[` begins `[key: T]: U`.
    fn is_index_signature(&self) -> Parsed<bool> {
        let name = self.after(self.token)?;
        Ok(name.kind == Kind::Name && self.is_token(self.after(name)?, ":"))
    }

    /// The body of a method; a constructor sets the properties that its parameters are, after the
    /// call of the class that it extends.
    fn method_body(&mut self, is_derived: bool, properties: &[&'s str]) -> Parsed {
        let mut place = self.token.to;
        self.expect("{")?;
        let mut is_set = !is_derived;
        while !self.is("}") {
            if self.token.kind == Kind::End {
                return Err(self.unexpected("`}`"));
            }
            let is_super = self.is("super");
            self.statement()?;
            if is_super && !is_set {
                place = self.before;
                is_set = true;
            }
        }
        if !properties.is_empty() {
            let set: Vec<String> = properties
                .iter()
                .map(|name| format!(" this.{name} = {name};"))
                .collect();
            // The call before may end with its line only.
            let apart = if place > 0 && self.source[..place].ends_with([';', '{']) {
                ""
            } else {
                ";"
            };
            self.insert(place, format!("{apart}{}", set.concat()));
        }
        self.next()
    }
}
