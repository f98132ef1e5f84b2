//! Statements.

use super::lexer::Kind;
use super::{Parsed, Parser};

impl<'s> Parser<'s> {
    pub(super) fn statement(&mut self) -> Parsed {
        self.deeper(Self::statement_here)
    }

    fn statement_here(&mut self) -> Parsed {
        if self.token.kind == Kind::Sign {
            return match self.text() {
                "{" => self.block(),
                ";" => self.next(),
                "@" => Self::refuse(self.token.from, "decorators are not supported"),
                _ => self.expression_statement(),
            };
        }
        if self.token.kind != Kind::Name {
            return self.expression_statement();
        }
        let from = self.token.from;
        let after = self.after(self.token)?;
        match self.text() {
            "var" | "let" | "const" => self.variables_or_enum(),
            "function" => self.function(from, false),
            "async" if self.is_token(after, "function") && !after.after_line => {
                self.next()?;
                self.function(from, false)
            }
            "class" => self.class(),
            "if" => self.if_statement(),
            "for" => self.for_statement(),
            "while" | "with" | "switch" => self.head_and_body(),
            "do" => {
                self.next()?;
                self.statement()?;
                self.expect("while")?;
                self.condition()?;
                self.take(";").map(drop)
            }
            "try" => self.try_statement(),
            "return" | "throw" => {
                self.next()?;
                let is_over = self.is_any(&[";", "}"]) || self.token.kind == Kind::End;
                if !is_over && !self.token.after_line {
                    self.expression()?;
                }
                self.semicolon()
            }
            "break" | "continue" | "debugger" => {
                self.next()?;
                if self.is_name() && !self.token.after_line {
                    self.next()?;
                }
                self.semicolon()
            }
            "import" if !self.is_token(after, "(") && !self.is_token(after, ".") => self.import(),
            "export" => self.export(),
            "enum" if after.kind == Kind::Name => self.an_enum(from),
            _ => self.contextual(from),
        }
    }

    /// What begins with a word that is a keyword only before certain others.
    pub(super) fn contextual(&mut self, from: usize) -> Parsed {
        let after = self.after(self.token)?;
        let is_named = after.kind == Kind::Name && !after.after_line;
        match self.text() {
            "interface" if is_named => self.interface(from),
            "type" if is_named => {
                let then = self.after(after)?;
                if self.is_token(then, "=") || self.is_token(then, "<") {
                    return self.alias(from);
                }
                self.expression_statement()
            }
            "abstract" if is_named && self.is_token(after, "class") => {
                self.blank(self.token.from, self.token.to);
                self.next()?;
                self.class()
            }
            "declare" if is_named => self.declaration(from),
            "namespace" | "module" if !after.after_line => {
                let is_block = after.kind == Kind::Name || after.kind == Kind::String;
                if is_block {
                    return Self::refuse(from, "namespaces are not supported; use a module");
                }
                self.expression_statement()
            }
            _ if self.is_token(after, ":") => {
                self.next()?;
                self.next()?;
                self.statement()
            }
            _ => self.expression_statement(),
        }
    }

    /// `declare ..`: nothing of it is left.
    pub(super) fn declaration(&mut self, from: usize) -> Parsed {
        let edits = self.edits.len();
        self.next()?;
        let start = self.token.from;
        match self.text() {
            "module" | "namespace" | "global" => {
                while !self.is("{") && !self.is(";") {
                    if self.token.kind == Kind::End {
                        return Err(self.unexpected("`{`"));
                    }
                    self.next()?;
                }
                if self.is("{") {
                    self.skip_brackets()?;
                } else {
                    self.next()?;
                }
            }
            "var" | "let" | "const" => self.variables_or_enum()?,
            "function" => self.function(start, false)?,
            "class" => self.class()?,
            "enum" => self.an_enum(start)?,
            _ => self.contextual(start)?,
        }
        self.edits.truncate(edits);
        self.blank_statement(from, self.before);
        Ok(())
    }

    fn expression_statement(&mut self) -> Parsed {
        self.expression()?;
        self.semicolon()
    }

    pub(super) fn block(&mut self) -> Parsed {
        self.expect("{")?;
        while !self.is("}") {
            if self.token.kind == Kind::End {
                return Err(self.unexpected("`}`"));
            }
            self.statement()?;
        }
        self.next()
    }

    pub(super) fn variables_or_enum(&mut self) -> Parsed {
        let from = self.token.from;
        if self.is("const") && self.is_token(self.after(self.token)?, "enum") {
            self.next()?;
            return self.an_enum(from);
        }
        self.variables()?;
        self.semicolon()
    }

    /// `let a: T = 1, b!: U`.
    fn variables(&mut self) -> Parsed {
        self.next()?;
        loop {
            self.binding()?;
            if self.is("!") {
                self.blank(self.token.from, self.token.to);
                self.next()?;
            }
            self.annotation()?;
            if self.take("=")? {
                self.assignment()?;
            }
            if !self.take(",")? {
                return Ok(());
            }
        }
    }

    fn condition(&mut self) -> Parsed {
        self.expect("(")?;
        self.apart(Self::expression)?;
        self.expect(")")
    }

    /// `while (..) ..`, and `switch (..) { .. }`.
    fn head_and_body(&mut self) -> Parsed {
        let is_switch = self.is("switch");
        self.next()?;
        self.condition()?;
        if !is_switch {
            return self.statement();
        }
        self.expect("{")?;
        while !self.is("}") {
            if self.take("case")? {
                self.expression()?;
                self.expect(":")?;
            } else if self.take("default")? {
                self.expect(":")?;
            } else if self.token.kind == Kind::End {
                return Err(self.unexpected("`}`"));
            } else {
                self.statement()?;
            }
        }
        self.next()
    }

    fn if_statement(&mut self) -> Parsed {
        // In a loop: `else if` may follow very often.
        loop {
            self.expect("if")?;
            self.condition()?;
            self.statement()?;
            if !self.take("else")? {
                return Ok(());
            }
            if !self.is("if") {
                return self.statement();
            }
        }
    }

    fn for_statement(&mut self) -> Parsed {
        self.expect("for")?;
        self.take("await")?;
        self.expect("(")?;
        let outside = (self.in_middle, self.no_in);
        (self.in_middle, self.no_in) = (false, true);
        let after = self.after(self.token)?;
        let is_let = self.is("let")
            && (after.kind == Kind::Name || self.is_token(after, "[") || self.is_token(after, "{"));
        if self.is("var") || self.is("const") || is_let {
            self.variables()?;
        } else if !self.is(";") {
            self.expression()?;
        }
        (self.in_middle, self.no_in) = (false, false);
        if self.is("of") || self.is("in") {
            self.next()?;
            self.expression()?;
        } else {
            self.expect(";")?;
            if !self.is(";") {
                self.expression()?;
            }
            self.expect(";")?;
            if !self.is(")") {
                self.expression()?;
            }
        }
        (self.in_middle, self.no_in) = outside;
        self.expect(")")?;
        self.statement()
    }

    fn try_statement(&mut self) -> Parsed {
        self.expect("try")?;
        self.block()?;
        if self.take("catch")? {
            if self.take("(")? {
                self.binding()?;
                self.annotation()?;
                self.expect(")")?;
            }
            self.block()?;
        }
        if self.take("finally")? {
            self.block()?;
        }
        Ok(())
    }
}
