//! Imports, exports and enums.

use super::lexer::Kind;
use super::{Import, Imported, Parsed, Parser};

/// Names that cannot be a variable.
const RESERVED: [&str; 38] = [
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "import",
    "in",
    "instanceof",
    "new",
    "null",
    "return",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

impl<'s> Parser<'s> {
    pub(super) fn import(&mut self) -> Parsed {
        let from = self.token.from;
        self.next()?;
        if self.token.kind == Kind::String {
            return self.module_name();
        }
        let mut is_type = false;
        if self.is("type") {
            let after = self.after(self.token)?;
            // `import type from "x"` imports a value that is called `type`.
            let is_value = self.is_token(after, ",")
                || (self.is_token(after, "from") && !self.is_token(self.after(after)?, "from"));
            if !is_value {
                is_type = true;
                self.next()?;
            }
        }
        let mut import = Import {
            from,
            to: from,
            default: None,
            others: (from, from),
            names: Vec::new(),
        };
        if self.is_name() {
            let (name, start) = (self.text(), self.token.from);
            self.next()?;
            if self.is("=") {
                let words = "`import x = ..` is not supported; use `import x from`";
                return Self::refuse(from, words);
            }
            import.others = (self.token.from, self.token.from);
            let to = if self.is(",") {
                self.token.to
            } else {
                self.before
            };
            import.default = Some(Imported {
                name,
                from: start,
                to,
                is_type,
            });
            self.take(",")?;
        }
        if self.is("*") {
            let start = self.token.from;
            self.next()?;
            self.expect("as")?;
            let name = self.text();
            self.next()?;
            import.names.push(Imported {
                name,
                from: start,
                to: self.before,
                is_type,
            });
        } else if self.is("{") {
            self.imported_names(is_type, &mut import)?;
        }
        import.others.1 = self.before;
        self.expect("from")?;
        self.module_name()?;
        import.to = self.before;
        self.imports.push(import);
        Ok(())
    }

    /// `{ a, b as c, type D }`.
    fn imported_names(&mut self, is_type: bool, import: &mut Import<'s>) -> Parsed {
        self.expect("{")?;
        while !self.is("}") {
            let from = self.token.from;
            let is_type = self.type_specifier()? || is_type;
            let mut name = self.text();
            self.specifier_name()?;
            if self.take("as")? {
                name = self.text();
                self.specifier_name()?;
            }
            let has_more = self.take(",")?;
            import.names.push(Imported {
                name,
                from,
                to: self.before,
                is_type,
            });
            if !has_more && !self.is("}") {
                return Err(self.unexpected("`}`"));
            }
        }
        self.next()
    }

    /// Takes the `type` of `{ type A }`.
    fn type_specifier(&mut self) -> Parsed<bool> {
        if !self.is("type") {
            return Ok(false);
        }
        let after = self.after(self.token)?;
        let is_alias = self.is_token(after, "as") && {
            // `type as b` renames what is called `type`; `type as as b` is a type called `as`.
            let then = self.after(after)?;
            then.kind == Kind::Name && !self.is_token(then, "as")
        };
        if matches!(after.kind, Kind::Name | Kind::String) && !is_alias {
            self.next()?;
            return Ok(true);
        }
        Ok(false)
    }

    fn specifier_name(&mut self) -> Parsed {
        if matches!(self.token.kind, Kind::Name | Kind::String) {
            return self.next();
        }
        Err(self.unexpected("a name"))
    }

    /// `"module" with { .. };`.
    fn module_name(&mut self) -> Parsed {
        if self.token.kind != Kind::String {
            return Err(self.unexpected("the name of a module"));
        }
        self.next()?;
        if self.is_any(&["with", "assert"]) && !self.token.after_line {
            self.next()?;
            if !self.is("{") {
                return Err(self.unexpected("`{`"));
            }
            self.skip_brackets()?;
        }
        self.semicolon()
    }

    pub(super) fn export(&mut self) -> Parsed {
        let from = self.token.from;
        self.next()?;
        let (start, after) = (self.token.from, self.after(self.token)?);
        if self.is("*") {
            self.next()?;
            if self.take("as")? {
                self.specifier_name()?;
            }
            self.expect("from")?;
            return self.module_name();
        }
        if self.is("=") || self.is("import") || (self.is("as") && self.is_token(after, "namespace"))
        {
            return Self::refuse(
                from,
                "this kind of export is not supported; use `export default`",
            );
        }
        if self.is("type") && (self.is_token(after, "{") || self.is_token(after, "*")) {
            let edits = self.edits.len();
            self.next()?;
            if self.is("*") {
                self.next()?;
                if self.take("as")? {
                    self.specifier_name()?;
                }
            } else {
                self.skip_brackets()?;
            }
            if self.take("from")? {
                self.module_name()?;
            } else {
                self.semicolon()?;
            }
            self.edits.truncate(edits);
            self.blank_statement(from, self.before);
            return Ok(());
        }
        match self.text() {
            "{" => self.export_list(),
            "default" => self.export_default(from),
            "var" | "let" | "const" if !self.is_token(after, "enum") => self.variables_or_enum(),
            "const" => {
                self.next()?;
                self.an_enum(start)
            }
            "enum" => self.an_enum(start),
            "function" => self.function(from, false),
            "async" => {
                self.next()?;
                self.function(from, false)
            }
            "class" => self.class(),
            "declare" => self.declaration(from),
            "interface" | "type" | "abstract" | "namespace" | "module" => self.contextual(from),
            "@" => Self::refuse(start, "decorators are not supported"),
            _ => Err(self.unexpected("a declaration")),
        }
    }

    fn export_list(&mut self) -> Parsed {
        self.expect("{")?;
        let mut names = Vec::new();
        while !self.is("}") {
            let from = self.token.from;
            let is_type = self.type_specifier()?;
            let name = self.text();
            self.specifier_name()?;
            if self.take("as")? {
                self.specifier_name()?;
            }
            let has_more = self.take(",")?;
            if is_type {
                self.blank(from, self.before);
            } else {
                names.push((name, from, self.before));
            }
            if !has_more && !self.is("}") {
                return Err(self.unexpected("`}`"));
            }
        }
        self.next()?;
        if self.take("from")? {
            return self.module_name();
        }
        self.exports.extend(names);
        self.semicolon()
    }

    fn export_default(&mut self, from: usize) -> Parsed {
        self.next()?;
        let after = self.after(self.token)?;
        let is_named = after.kind == Kind::Name && !after.after_line;
        match self.text() {
            "function" => return self.function(from, false),
            "async" if self.is_token(after, "function") && is_named => {
                self.next()?;
                return self.function(from, false);
            }
            "class" => return self.class(),
            "abstract" if self.is_token(after, "class") => {
                self.blank(self.token.from, self.token.to);
                self.next()?;
                return self.class();
            }
            "interface" if is_named => return self.interface(from),
            _ => {}
        }
        if self.is_name() && (self.is_token(after, ";") || after.kind == Kind::End) {
            let name = self.text();
            self.next()?;
            self.semicolon()?;
            self.exports.push((name, from, self.before));
            return Ok(());
        }
        self.assignment()?;
        self.semicolon()
    }

    /// `enum A { B, C = 2 }`, from its keyword on: an object in the same lines.
    pub(super) fn an_enum(&mut self, from: usize) -> Parsed {
        self.expect("enum")?;
        let name = self.text();
        if !self.is_name() {
            return Err(self.unexpected("a name"));
        }
        self.declare_name()?;
        if !self.is("{") {
            return Err(self.unexpected("`{`"));
        }
        self.replace(
            from,
            self.token.to,
            format!("var {name} = (function ({name}) {{"),
        );
        self.next()?;
        let mut previous: Option<String> = None;
        while !self.is("}") {
            let value = self.enum_member(name, previous.as_deref())?;
            previous = Some(value);
            if self.is(",") {
                self.blank(self.token.from, self.token.to);
                self.next()?;
            } else if !self.is("}") {
                return Err(self.unexpected("`}`"));
            }
        }
        self.replace(
            self.token.from,
            self.token.to,
            format!("return {name}; }})({name} || {{}});"),
        );
        self.next()
    }

    /// A member; how the next one refers to its value.
    fn enum_member(&mut self, of: &str, previous: Option<&str>) -> Parsed<String> {
        let (token, name) = (self.token, self.text());
        if !matches!(token.kind, Kind::Name | Kind::String) {
            return Err(self.unexpected("a name"));
        }
        self.next()?;
        let quoted = if token.kind == Kind::String {
            name.to_owned()
        } else {
            format!("\"{name}\"")
        };
        // Its own name stands for it within the enum, where it can.
        let is_variable = token.kind == Kind::Name && !RESERVED.contains(&name) && name != of;
        let member = if is_variable {
            name.to_owned()
        } else {
            format!("{of}[{quoted}]")
        };
        let set = if is_variable {
            format!("const {name} = ")
        } else {
            format!("{of}[{quoted}] = ")
        };
        let keep = if is_variable {
            format!(" {of}[{quoted}] = {name};")
        } else {
            String::new()
        };
        let back = format!("if (typeof {member} === \"number\") {of}[{member}] = {quoted};");
        if self.is("=") {
            self.replace(token.from, self.token.to, format!("{set}("));
            self.next()?;
            self.assignment()?;
            self.insert(self.before, format!(");{keep} {back}"));
        } else {
            let value =
                previous.map_or_else(|| "0".to_owned(), |previous| format!("{previous} + 1"));
            self.replace(token.from, token.to, format!("{set}{value};{keep} {back}"));
        }
        Ok(member)
    }
}
