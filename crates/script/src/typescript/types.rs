//! Types: read to know where they end.

use super::lexer::Kind;
use super::{Parsed, Parser};

/// Words before a type that belong to it.
const PREFIXES: [&str; 6] = [
    "keyof", "unique", "readonly", "infer", "asserts", "abstract",
];

/// Words that no type begins with.
const NO_TYPES: [&str; 22] = [
    "if",
    "else",
    "for",
    "while",
    "do",
    "switch",
    "case",
    "return",
    "throw",
    "try",
    "catch",
    "finally",
    "function",
    "class",
    "var",
    "const",
    "let",
    "delete",
    "instanceof",
    "export",
    "break",
    "continue",
];

impl Parser<'_> {
    /// `: type`, which is blanked, if there is one.
    pub(super) fn annotation(&mut self) -> Parsed {
        if self.is(":") {
            let from = self.token.from;
            self.next()?;
            self.apart(Self::a_type)?;
            self.blank(from, self.before);
        }
        Ok(())
    }

    /// `<T, U extends V = W>`, which is blanked, if there is one.
    pub(super) fn type_parameters(&mut self) -> Parsed {
        if !self.is("<") {
            return Ok(());
        }
        let from = self.token.from;
        self.next()?;
        while !self.is(">") {
            while self.is_any(&["const", "in", "out"]) && self.after(self.token)?.kind == Kind::Name
            {
                self.next()?;
            }
            if !self.is_name() {
                return Err(self.unexpected("a name"));
            }
            self.next()?;
            if self.take("extends")? {
                self.a_type()?;
            }
            if self.take("=")? {
                self.a_type()?;
            }
            if !self.take(",")? && !self.is(">") {
                return Err(self.unexpected("`>`"));
            }
        }
        self.next()?;
        self.blank(from, self.before);
        Ok(())
    }

    /// `<type, type>`.
    pub(super) fn type_arguments(&mut self) -> Parsed {
        self.expect("<")?;
        loop {
            self.a_type()?;
            if !self.take(",")? {
                break;
            }
        }
        self.expect(">")
    }

    /// A type.
    pub(super) fn a_type(&mut self) -> Parsed {
        self.deeper(|parser| {
            parser.union()?;
            if parser.is("is") && !parser.token.after_line {
                parser.next()?;
                parser.a_type()?;
            }
            if parser.is("extends") && !parser.token.after_line {
                parser.next()?;
                parser.union()?;
                // Without a question it is the bound of `infer T extends U`.
                if parser.take("?")? {
                    parser.a_type()?;
                    parser.expect(":")?;
                    parser.a_type()?;
                }
            }
            Ok(())
        })
    }

    fn union(&mut self) -> Parsed {
        if self.is_any(&["|", "&"]) {
            self.next()?;
        }
        self.part()?;
        while self.is_any(&["|", "&"]) {
            self.next()?;
            self.part()?;
        }
        Ok(())
    }

    /// One part of a union.
    fn part(&mut self) -> Parsed {
        while self.is_any(&PREFIXES) {
            let after = self.after(self.token)?;
            let begins = match after.kind {
                Kind::Name => !matches!(self.text_of(after), "is" | "extends"),
                Kind::Sign => ["{", "[", "("].contains(&self.text_of(after)),
                Kind::End | Kind::Private | Kind::Regex => false,
                Kind::Number | Kind::String | Kind::Template => true,
            };
            if !begins || after.after_line {
                break;
            }
            self.next()?;
        }
        self.primary_type()?;
        while self.is("[") && !self.token.after_line {
            self.next()?;
            if !self.is("]") {
                self.a_type()?;
            }
            self.expect("]")?;
        }
        Ok(())
    }

    fn primary_type(&mut self) -> Parsed {
        match self.token.kind {
            Kind::Number | Kind::String => self.next(),
            Kind::Template => self.skip_template(),
            Kind::Name => self.named_type(),
            Kind::Sign => match self.text() {
                "-" => {
                    self.next()?;
                    self.next()
                }
                "{" => self.skip_brackets(),
                "[" => self.tuple(),
                "<" => {
                    let edits = self.edits.len();
                    self.type_parameters()?;
                    self.edits.truncate(edits);
                    self.function_type()
                }
                "(" => {
                    let (token, before) = (self.token, self.before);
                    self.skip_brackets()?;
                    if self.is("=>") {
                        (self.token, self.before) = (token, before);
                        return self.function_type();
                    }
                    (self.token, self.before) = (token, before);
                    self.next()?;
                    self.a_type()?;
                    self.expect(")")
                }
                _ => Err(self.unexpected("a type")),
            },
            Kind::Private | Kind::Regex | Kind::End => Err(self.unexpected("a type")),
        }
    }

    /// `(a: T) => U`.
    fn function_type(&mut self) -> Parsed {
        if !self.is("(") {
            return Err(self.unexpected("`(`"));
        }
        self.skip_brackets()?;
        self.expect("=>")?;
        self.a_type()
    }

    fn tuple(&mut self) -> Parsed {
        self.expect("[")?;
        while !self.is("]") {
            self.take("...")?;
            self.a_type()?;
            self.take("?")?;
            // What came was its name.
            if self.take(":")? {
                self.a_type()?;
            }
            if !self.take(",")? && !self.is("]") {
                return Err(self.unexpected("`]`"));
            }
        }
        self.next()
    }

    /// A type that begins with a name.
    fn named_type(&mut self) -> Parsed {
        if self.is_any(&NO_TYPES) {
            return Err(self.unexpected("a type"));
        }
        if self.is("new") {
            self.next()?;
            let edits = self.edits.len();
            self.type_parameters()?;
            self.edits.truncate(edits);
            return self.function_type();
        }
        if self.is("typeof") {
            self.next()?;
        }
        if self.is("import") {
            self.next()?;
            if !self.is("(") {
                return Err(self.unexpected("`(`"));
            }
            self.skip_brackets()?;
        } else if self.is_name() {
            self.next()?;
        } else {
            return Err(self.unexpected("a name"));
        }
        while self.take(".")? {
            if !matches!(self.token.kind, Kind::Name | Kind::Private) {
                return Err(self.unexpected("a name"));
            }
            self.next()?;
        }
        if self.is("<") && !self.token.after_line {
            self.type_arguments()?;
        }
        Ok(())
    }

    /// `interface X<T> extends A, B { .. }`, from its first word on.
    pub(super) fn interface(&mut self, from: usize) -> Parsed {
        self.next()?;
        let name = self.text();
        self.types.insert(name);
        self.next()?;
        self.type_parameters()?;
        if self.take("extends")? {
            loop {
                self.a_type()?;
                if !self.take(",")? {
                    break;
                }
            }
        }
        if !self.is("{") {
            return Err(self.unexpected("`{`"));
        }
        self.skip_brackets()?;
        self.blank_statement(from, self.before);
        Ok(())
    }

    /// `type X<T> = type;`, from its first word on.
    pub(super) fn alias(&mut self, from: usize) -> Parsed {
        self.next()?;
        let name = self.text();
        self.types.insert(name);
        self.next()?;
        self.type_parameters()?;
        self.expect("=")?;
        self.a_type()?;
        self.semicolon()?;
        self.blank_statement(from, self.before);
        Ok(())
    }
}
