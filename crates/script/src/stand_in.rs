//! Stand-ins for modules that only k6 has, while nothing but a script's options is read.
//!
//! Whatever is done with one gives it back: it can be called, made with `new` and asked for any
//! member. So init code comes to its end, and what `options` says is known without k6.

use std::collections::BTreeSet;

use crate::host::Host;
use crate::jslib;
use crate::modules::{OLD_EXPORTS, is_address, refusal};

/// Before the names that a stand-in exports.
const PREFIX: &str = "stand-in:";

/// The longest text between `import` and `from`, bytes.
const LONGEST_CLAUSE: usize = 20_000;

/// The whole name of a stand-in, where a module that `base` imports has one: it says which names
/// that one needs, for a name that a module does not export is an error.
pub(crate) fn resolve(host: &Host, base: &str, name: &str) -> Option<String> {
    let is_elsewhere = is_address(name) && jslib::built_in(name).is_none();
    if !host.parts.given.stand_ins || !(is_elsewhere || refusal(name).is_some()) {
        return None;
    }
    let loading = host.loading.as_ref()?.borrow();
    let text = loading.modules.get(base).map_or("", |text| text);
    let names: Vec<String> = imported_names(text, name).into_iter().collect();
    Some(format!("{PREFIX}{}", names.join(",")))
}

/// The text of a stand-in.
pub(crate) fn text(name: &str) -> Option<String> {
    let names = name.strip_prefix(PREFIX)?;
    let mut exports = vec![
        "inert as default".to_owned(),
        format!("inert as {OLD_EXPORTS}"),
    ];
    let names = names.split(',').filter(|name| !name.is_empty());
    exports.extend(names.map(|name| format!("inert as {name}")));
    let exports = exports.join(", ");
    Some(format!(
        "const target = function () {{}};
        const inert = new Proxy(target, {{
            get: (_, key) => {{
                if (key === 'then') return undefined;
                if (key === 'prototype') return target.prototype;
                if (key === Symbol.toPrimitive) return () => '';
                if (key === Symbol.iterator) return () => [].values();
                return inert;
            }},
            set: () => true,
            apply: () => inert,
            construct: () => inert,
        }});
        export {{ {exports} }};"
    ))
}

/// The names that a text imports of a module, or exports again.
fn imported_names(text: &str, module: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for quote in ['"', '\''] {
        for (at, _) in text.match_indices(&format!("{quote}{module}{quote}")) {
            let before = text[..at].trim_end();
            let Some(before) = before.strip_suffix("from") else {
                continue;
            };
            let begin = ["import", "export"]
                .iter()
                .filter_map(|word| last_word(before, word))
                .max();
            let Some(begin) = begin.filter(|begin| before.len() - begin < LONGEST_CLAUSE) else {
                continue;
            };
            let clause = without_comments(&before[begin..]);
            names.extend(listed(&clause));
            if let Some((_, alias)) = clause.split_once("* as ") {
                names.extend(members(text, alias.trim()));
            }
        }
    }
    names.remove("default");
    names.remove(OLD_EXPORTS);
    names
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Where what follows the last occurrence of a word begins.
fn last_word(text: &str, word: &str) -> Option<usize> {
    let is_word = |at: &usize| {
        let end = at + word.len();
        !text[..*at].ends_with(is_part) && !text[end..].starts_with(is_part)
    };
    let mut all = text.rmatch_indices(word).map(|(at, _)| at);
    all.find(is_word).map(|at| at + word.len())
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("/*").into_iter().chain(rest.find("//")).min() {
        out.push_str(&rest[..at]);
        let (_, behind) = rest.split_at(at);
        let end = if behind.starts_with("/*") { "*/" } else { "\n" };
        rest = behind.split_once(end).map_or("", |(_, rest)| rest);
        out.push(' ');
    }
    out + rest
}

/// `X` and `Y` of `{ X, Y as Z }`.
fn listed(clause: &str) -> Vec<String> {
    let Some((_, list)) = clause.split_once('{') else {
        return Vec::new();
    };
    let list = list.split_once('}').map_or(list, |(list, _)| list);
    let first = |item: &str| item.split_whitespace().next().map(str::to_owned);
    let names = list.split(',').filter_map(first);
    names.filter(|name| name.chars().all(is_part)).collect()
}

/// What a text takes of an object, as `alias.NAME`.
fn members(text: &str, alias: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, dotted) in text.match_indices(&format!("{alias}.")) {
        let rest = &text[at + dotted.len()..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let is_name = rest.starts_with(|c: char| is_part(c) && !c.is_ascii_digit());
        if is_name && !text[..at].ends_with(is_part) {
            names.insert(rest[..end].to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Files, Given, LoadError, Program};

    /// One script, in a folder without other files.
    struct Only(&'static str);

    impl Files for Only {
        fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
            match path.to_str() {
                Some("script.js") => Ok(self.0.into()),
                _ => Err("there is no such file".to_owned()),
            }
        }

        fn remote(&self, _address: &str) -> Result<Vec<u8>, String> {
            Err("there is no network".to_owned())
        }
    }

    fn load(text: &'static str, stand_ins: bool) -> Result<Program, LoadError> {
        let given = Given {
            stand_ins,
            ..Given::default()
        };
        Program::load(Path::new("script.js"), &Only(text), &given)
    }

    #[test]
    fn options_are_known_of_scripts_that_only_k6_can_run() {
        for (text, options) in [
            (
                "import grpc from 'k6/net/grpc';
                const client = new grpc.Client();
                client.load(['definitions'], 'hello.proto');
                export const options = { vus: 2 };
                export default () => {};",
                r#"{"vus":2}"#,
            ),
            (
                "import { browser } from 'k6/browser';
                import { expect } from 'https://jslib.k6.io/k6-testing/0.5.0/index.js';
                export const options = { scenarios: { ui: { executor: 'shared-iterations',
                    options: { browser: { type: 'chromium' } } } } };
                export default async function () { const page = await browser.newPage(); }",
                r#"{"scenarios":{"ui":{"executor":"shared-iterations","options":{"browser":{"type":"chromium"}}}}}"#,
            ),
            (
                "import * as kafka from 'k6/x/kafka';
                import { open } from 'k6/experimental/fs';
                const writer = new kafka.Writer({ brokers: ['a'], topic: `${kafka.SNAPPY}` });
                for (const part of kafka.parts()) throw new Error('never');
                const file = await open('a.csv');
                export const options = { iterations: 3, tags: { no: writer } };
                export function setup() { writer.produce(); }",
                r#"{"iterations":3,"tags":{}}"#,
            ),
            (
                "const sql = require('k6/x/sql'); const { a } = sql.open('x');
                export const options = { rps: +a + 1 };",
                r#"{"rps":1}"#,
            ),
        ] {
            let program = load(text, true).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(program.options().to_string(), options, "{text}");
            assert!(load(text, false).is_err(), "{text}");
        }
        let broken = load("import x from 'lodash';", true).expect_err("no module of k6");
        assert!(broken.message.contains("npm"), "{broken}");
    }

    #[test]
    fn names_are_found_in_every_kind_of_import() {
        for (text, wanted) in [
            ("import grpc from 'k6/x/a';", ""),
            ("import 'k6/x/a';", ""),
            (
                "import { Client, StatusOK as OK } from 'k6/x/a'",
                "Client,StatusOK",
            ),
            ("import all,{Client as t}from\"k6/x/a\"", "Client"),
            (
                "import {\n  A, // not B\n  /* nor C, */ imports,\n} from 'k6/x/a';",
                "A,imports",
            ),
            (
                "import { X } from './x.js';\nimport { Y } from 'k6/x/a';",
                "Y",
            ),
            ("export { Z } from 'k6/x/a';", "Z"),
            (
                "import * as kafka from 'k6/x/a'; new kafka.Writer(); mykafka.no(); kafka.x.y",
                "Writer,x",
            ),
            ("const { Client } = require('k6/x/a');", ""),
        ] {
            let names: Vec<String> = imported_names(text, "k6/x/a").into_iter().collect();
            assert_eq!(names.join(","), wanted, "{text}");
        }
    }
}
