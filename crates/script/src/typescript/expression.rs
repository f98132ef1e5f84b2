//! Expressions, functions and what they bind.

use super::lexer::{self, Kind};
use super::{Parsed, Parser, Trial};

/// Signs between two operands, those that begin with `>` aside.
const BINARY: [&str; 21] = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "<<",
    "<",
    "<=",
    "==",
    "===",
    "!=",
    "!==",
    "&",
    "|",
    "^",
    "&&",
    "||",
    "??",
    "in",
    "instanceof",
];

/// Signs of an assignment, those that begin with `>` aside.
const ASSIGNMENTS: [&str; 14] = [
    "=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", "&=", "|=", "^=", "&&=", "||=", "??=",
];

/// Words that no expression begins with.
const NO_VALUES: [&str; 24] = [
    "if",
    "else",
    "for",
    "while",
    "do",
    "switch",
    "case",
    "default",
    "return",
    "throw",
    "try",
    "catch",
    "finally",
    "var",
    "const",
    "break",
    "continue",
    "in",
    "instanceof",
    "extends",
    "export",
    "with",
    "debugger",
    "enum",
];

/// What a function's parameters are.
#[derive(Debug, Default)]
pub(super) struct Parameters<'s> {
    /// The names of those that become properties.
    pub(super) properties: Vec<&'s str>,
}

impl<'s> Parser<'s> {
    /// Expressions with commas.
    pub(super) fn expression(&mut self) -> Parsed {
        self.assignment()?;
        while self.take(",")? {
            self.assignment()?;
        }
        Ok(())
    }

    /// An expression without commas.
    pub(super) fn assignment(&mut self) -> Parsed {
        self.deeper(Self::assignment_here)
    }

    fn assignment_here(&mut self) -> Parsed {
        loop {
            if self.is("yield") {
                self.next()?;
                let is_all = self.take("*")?;
                if !is_all && self.ends_operand() {
                    return Ok(());
                }
                continue;
            }
            if self.arrow()? {
                return Ok(());
            }
            self.operand()?;
            if !self.operators()? {
                return Ok(());
            }
        }
    }

    /// Whether no operand follows, after `yield`.
    fn ends_operand(&self) -> bool {
        self.token.after_line
            || self.token.kind == Kind::End
            || self.is_any(&[")", "]", "}", ",", ";", ":", "in", "of"])
    }

    /// What follows an operand; whether another expression must follow, after an assignment or the
    /// colon of `? :`.
    fn operators(&mut self) -> Parsed<bool> {
        loop {
            if self.token.kind == Kind::Name
                && self.is_any(&["as", "satisfies"])
                && !self.token.after_line
            {
                self.cast()?;
                continue;
            }
            if self.is(">") {
                // Put together here, because types want them one by one.
                let rest = &self.source[self.token.from..];
                let signs = [">>>=", ">>=", ">>>", ">=", ">>", ">"];
                let sign = signs
                    .iter()
                    .find(|sign| rest.starts_with(**sign))
                    .unwrap_or(&">");
                self.token.to = self.token.from + sign.len();
                self.next()?;
                if sign.ends_with('=') && *sign != ">=" {
                    return Ok(true);
                }
                self.operand()?;
                continue;
            }
            if self.is_any(&ASSIGNMENTS) {
                self.next()?;
                return Ok(true);
            }
            if self.is("?") {
                self.next()?;
                let outside = (self.in_middle, self.no_in);
                (self.in_middle, self.no_in) = (true, false);
                self.assignment()?;
                (self.in_middle, self.no_in) = outside;
                self.expect(":")?;
                return Ok(true);
            }
            if self.is_any(&BINARY) && !(self.no_in && self.is("in")) {
                self.next()?;
                self.operand()?;
                continue;
            }
            return Ok(false);
        }
    }

    /// `as T` or `satisfies T`.
    fn cast(&mut self) -> Parsed {
        let from = self.token.from;
        self.next()?;
        if self.is("const") {
            self.next()?;
        } else {
            self.a_type()?;
        }
        // A type ends the statement where a value would be called.
        let is_apart = self.token.after_line
            && (self.is_any(&["(", "["]) || self.token.kind == Kind::Template);
        if is_apart {
            self.blank_statement(from, self.before);
        } else {
            self.blank(from, self.before);
        }
        Ok(())
    }

    /// An arrow function, if there is one.
    fn arrow(&mut self) -> Parsed<bool> {
        let trial = Trial::Arrow(self.in_middle);
        if self.is("(") || self.is("<") {
            return Ok(self.try_parse(trial, Self::arrow_of_list));
        }
        if !self.is_name() {
            return Ok(false);
        }
        let after = self.after(self.token)?;
        if self.is("async") && !after.after_line {
            if self.is_token(after, "(") || self.is_token(after, "<") {
                return Ok(self.try_parse(trial, |parser| {
                    parser.next()?;
                    parser.arrow_of_list()
                }));
            }
            if after.kind == Kind::Name && self.is_token(self.after(after)?, "=>") {
                self.next()?;
                self.declare_name()?;
                self.arrow_body()?;
                return Ok(true);
            }
        }
        if self.is_token(after, "=>") && !after.after_line {
            self.declare_name()?;
            self.arrow_body()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// `<T>(a: T): U => ..`.
    fn arrow_of_list(&mut self) -> Parsed {
        let generic = self.token.from;
        self.type_parameters()?;
        let open = self.token.from;
        if self.source[generic..open].contains('\n') {
            // A line must not end here: what comes before may end with it.
            self.edits.pop();
            self.replace(generic, open + 1, "(");
        }
        self.parameters(false)?;
        let close = self.before;
        let has_type = self.is(":");
        let edits = self.edits.len();
        self.annotation()?;
        if !self.is("=>") || (self.token.after_line && !has_type) {
            return Err(self.unexpected("`=>`"));
        }
        if has_type && self.source[close..self.token.from].contains('\n') {
            // Nor here, before the arrow.
            self.edits.truncate(edits);
            self.replace(close - 1, close, " ");
            let arrow = self.token.from;
            self.replace(close, arrow, "");
            self.insert(arrow, ")".to_owned());
        }
        let in_middle = self.in_middle;
        self.arrow_body()?;
        if in_middle && has_type && !self.is(":") {
            return Err(self.unexpected("`:`"));
        }
        Ok(())
    }

    fn arrow_body(&mut self) -> Parsed {
        self.expect("=>")?;
        if self.is("{") {
            return self.apart(Self::block);
        }
        self.assignment()
    }

    /// An operand with what stands before and behind it.
    fn operand(&mut self) -> Parsed {
        loop {
            if self.is_any(&[
                "!", "~", "+", "-", "++", "--", "typeof", "void", "delete", "await",
            ]) {
                self.next()?;
            } else if self.is("new") {
                self.next()?;
                if self.take(".")? {
                    break;
                }
            } else if self.is("<") {
                // `<T>value`.
                let from = self.token.from;
                self.type_arguments()?;
                self.blank(from, self.before);
            } else {
                break;
            }
        }
        self.deeper(|parser| {
            parser.primary()?;
            parser.suffixes()
        })
    }

    /// What stands behind an operand: members, calls, `!`.
    pub(super) fn suffixes(&mut self) -> Parsed {
        loop {
            match self.token.kind {
                Kind::Template => self.template(Self::expression)?,
                Kind::Sign => match self.text() {
                    "." => {
                        self.next()?;
                        self.member_name()?;
                    }
                    "?." => {
                        self.next()?;
                        if matches!(self.token.kind, Kind::Name | Kind::Private) {
                            self.next()?;
                        }
                    }
                    "[" => {
                        self.next()?;
                        self.apart(Self::expression)?;
                        self.expect("]")?;
                    }
                    "(" => self.arguments()?,
                    "!" if !self.token.after_line => {
                        self.next()?;
                        self.blank(self.before - 1, self.before);
                    }
                    "++" | "--" if !self.token.after_line => self.next()?,
                    "<" => {
                        if !self.try_parse(Trial::TypeArguments, Self::called_types) {
                            return Ok(());
                        }
                    }
                    _ => return Ok(()),
                },
                _ => return Ok(()),
            }
        }
    }

    /// `<T>` of `f<T>(x)`.
    fn called_types(&mut self) -> Parsed {
        let from = self.token.from;
        self.type_arguments()?;
        let is_end = self.token.kind == Kind::End || self.token.kind == Kind::Template;
        let may_follow = is_end
            || self.is_any(&[
                "(", ")", "]", "}", ",", ";", ":", ".", "?.", "?", "=", "==", "===", "!=", "!==",
                "&&", "||", "??", "^", "&", "|",
            ])
            || (self.token.after_line && !self.is_any(&["<", ">", "+", "-"]));
        if !may_follow {
            return Err(self.unexpected("`(`"));
        }
        self.blank(from, self.before);
        Ok(())
    }

    fn arguments(&mut self) -> Parsed {
        self.apart(|parser| {
            parser.expect("(")?;
            while !parser.is(")") {
                parser.take("...")?;
                parser.assignment()?;
                if !parser.take(",")? && !parser.is(")") {
                    return Err(parser.unexpected("`)`"));
                }
            }
            parser.next()
        })
    }

    fn member_name(&mut self) -> Parsed {
        if matches!(self.token.kind, Kind::Name | Kind::Private) {
            return self.next();
        }
        Err(self.unexpected("a name"))
    }

    fn primary(&mut self) -> Parsed {
        if self.is("/") || self.is("/=") {
            let after_line = self.token.after_line;
            self.token = lexer::token(self.source, self.token.from, true)?;
            self.token.after_line = after_line;
        }
        match self.token.kind {
            Kind::Number | Kind::String | Kind::Regex | Kind::Private => self.next(),
            Kind::Template => self.template(Self::expression),
            Kind::Name => self.named(),
            Kind::Sign => match self.text() {
                "(" => {
                    self.next()?;
                    self.apart(Self::expression)?;
                    self.expect(")")
                }
                "[" => self.array(),
                "{" => self.apart(Self::object),
                "@" => Self::refuse(self.token.from, "decorators are not supported"),
                _ => Err(self.unexpected("an expression")),
            },
            Kind::End => Err(self.unexpected("an expression")),
        }
    }

    fn named(&mut self) -> Parsed {
        if self.is_any(&NO_VALUES) {
            return Err(self.unexpected("an expression"));
        }
        let after = self.after(self.token)?;
        match self.text() {
            "function" => self.function(self.token.from, true),
            "async" if self.is_token(after, "function") && !after.after_line => {
                let from = self.token.from;
                self.next()?;
                self.function(from, true)
            }
            "class" => self.class(),
            "import" => {
                self.next()?;
                if self.take(".")? {
                    return self.member_name();
                }
                self.arguments()
            }
            name => {
                self.used.insert(name);
                self.next()
            }
        }
    }

    fn array(&mut self) -> Parsed {
        self.apart(|parser| {
            parser.expect("[")?;
            while !parser.is("]") {
                if parser.take(",")? {
                    continue;
                }
                parser.take("...")?;
                parser.assignment()?;
                if !parser.take(",")? && !parser.is("]") {
                    return Err(parser.unexpected("`]`"));
                }
            }
            parser.next()
        })
    }

    fn object(&mut self) -> Parsed {
        self.expect("{")?;
        while !self.is("}") {
            self.property()?;
            if !self.take(",")? && !self.is("}") {
                return Err(self.unexpected("`}`"));
            }
        }
        self.next()
    }

    fn property(&mut self) -> Parsed {
        if self.take("...")? {
            return self.assignment();
        }
        loop {
            let after = self.after(self.token)?;
            let begins_name = matches!(after.kind, Kind::Name | Kind::String | Kind::Number)
                || self.is_token(after, "[")
                || self.is_token(after, "*");
            if !self.is_any(&["get", "set", "async"]) || !begins_name {
                break;
            }
            self.next()?;
        }
        self.take("*")?;
        let name = self.token;
        self.property_name()?;
        if self.is("(") || self.is("<") {
            return self.method();
        }
        if self.take(":")? {
            return self.assignment();
        }
        if name.kind != Kind::Name {
            return Err(self.unexpected("`:`"));
        }
        self.used.insert(self.text_of(name));
        if self.take("=")? {
            return self.assignment();
        }
        Ok(())
    }

    /// The name of a property or member.
    pub(super) fn property_name(&mut self) -> Parsed {
        match self.token.kind {
            Kind::Name | Kind::String | Kind::Number | Kind::Private => self.next(),
            Kind::Sign if self.is("[") => {
                self.next()?;
                self.apart(Self::assignment)?;
                self.expect("]")
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// A method of an object, from behind its name.
    fn method(&mut self) -> Parsed {
        self.type_parameters()?;
        self.parameters(false)?;
        self.annotation()?;
        self.apart(Self::block)
    }

    /// A function, from its keyword on; a declaration without a body is blanked from the start of
    /// its statement.
    pub(super) fn function(&mut self, from: usize, is_expression: bool) -> Parsed {
        self.expect("function")?;
        self.take("*")?;
        if self.is_name() {
            self.declare_name()?;
        }
        let edits = self.edits.len();
        self.type_parameters()?;
        self.parameters(false)?;
        self.annotation()?;
        if self.is("{") || is_expression {
            return self.apart(Self::block);
        }
        self.semicolon()?;
        self.edits.truncate(edits);
        self.blank_statement(from, self.before);
        Ok(())
    }

    /// The list of a function's parameters; those of a constructor may be properties.
    pub(super) fn parameters(&mut self, is_constructor: bool) -> Parsed<Parameters<'s>> {
        self.apart(|parser| {
            let mut parameters = Parameters::default();
            parser.expect("(")?;
            while !parser.is(")") {
                parser.parameter(is_constructor, &mut parameters)?;
                if !parser.take(",")? && !parser.is(")") {
                    return Err(parser.unexpected("`)`"));
                }
            }
            parser.next()?;
            Ok(parameters)
        })
    }

    fn parameter(&mut self, is_constructor: bool, list: &mut Parameters<'s>) -> Parsed {
        let from = self.token.from;
        if self.is("@") {
            return Self::refuse(from, "decorators are not supported");
        }
        let mut is_property = false;
        let modifiers = ["public", "private", "protected", "readonly", "override"];
        while is_constructor
            && self.is_any(&modifiers)
            && self.after(self.token)?.kind == Kind::Name
        {
            self.blank(self.token.from, self.token.to);
            self.next()?;
            is_property = true;
        }
        if is_property {
            let name = self.text();
            list.properties.push(name);
        }
        if self.is("this") {
            // It says the type of `this` and is no parameter.
            self.next()?;
            let edits = self.edits.len();
            self.annotation()?;
            self.edits.truncate(edits);
            let to = if self.is(",") {
                self.token.to
            } else {
                self.before
            };
            self.blank(from, to);
            return Ok(());
        }
        self.take("...")?;
        self.binding()?;
        if self.is("?") {
            self.blank(self.token.from, self.token.to);
            self.next()?;
        }
        self.annotation()?;
        if self.take("=")? {
            self.assignment()?;
        }
        Ok(())
    }

    /// A name, or a pattern of names.
    pub(super) fn binding(&mut self) -> Parsed {
        self.deeper(|parser| match parser.token.kind {
            Kind::Name => {
                if parser.is_any(&NO_VALUES) {
                    return Err(parser.unexpected("a name"));
                }
                parser.declare_name()
            }
            Kind::Sign if parser.is("[") => parser.array_pattern(),
            Kind::Sign if parser.is("{") => parser.object_pattern(),
            _ => Err(parser.unexpected("a name")),
        })
    }

    /// Takes a name that is declared.
    pub(super) fn declare_name(&mut self) -> Parsed {
        let name = self.text();
        self.values.insert(name);
        self.next()
    }

    fn array_pattern(&mut self) -> Parsed {
        self.expect("[")?;
        while !self.is("]") {
            if self.take(",")? {
                continue;
            }
            self.take("...")?;
            self.binding()?;
            self.pattern_default()?;
            if !self.take(",")? && !self.is("]") {
                return Err(self.unexpected("`]`"));
            }
        }
        self.next()
    }

    fn object_pattern(&mut self) -> Parsed {
        self.expect("{")?;
        while !self.is("}") {
            if self.take("...")? {
                self.binding()?;
            } else {
                let name = self.token;
                self.property_name()?;
                if self.take(":")? {
                    self.binding()?;
                } else if name.kind == Kind::Name {
                    let name = self.text_of(name);
                    self.values.insert(name);
                } else {
                    return Err(self.unexpected("`:`"));
                }
                self.pattern_default()?;
            }
            if !self.take(",")? && !self.is("}") {
                return Err(self.unexpected("`}`"));
            }
        }
        self.next()
    }

    fn pattern_default(&mut self) -> Parsed {
        if self.take("=")? {
            return self.apart(Self::assignment);
        }
        Ok(())
    }
}
