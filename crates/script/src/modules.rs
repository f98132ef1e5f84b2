//! Which modules a script may import, and where they come from.

use std::rc::Rc;
use std::sync::Arc;

use breakpoint_coroutine::bytecode::Bytecode;
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Exception, Function, Module, Result};

use crate::LoadError;
use crate::api;
use crate::host::{Host, Wanted};
use crate::jslib;
use crate::stand_in;
use crate::typescript;

/// Before the whole name of a module.
pub(crate) const WHOLE: &str = "whole:";

/// What modules of the old kind export, whole.
pub(crate) const OLD_EXPORTS: &str = "__exports";

/// Finds modules by name.
pub(crate) struct Finder(pub(crate) Rc<Host>);

/// Gives their texts.
pub(crate) struct Reader(pub(crate) Rc<Host>);

impl Resolver for Finder {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        if let Some(name) = stand_in::resolve(&self.0, base, name) {
            return Ok(name);
        }
        resolve(base, name).map_err(|words| {
            let place = place_of(&self.0, base, name);
            let text = match &place {
                Some(place) => format!("{place}: {words}"),
                None => words.clone(),
            };
            if let Some(loading) = &self.0.loading {
                loading.borrow_mut().failed.get_or_insert(LoadError {
                    message: words,
                    place,
                    stack: String::new(),
                });
            }
            Exception::throw_message(ctx, &text)
        })
    }
}

impl Loader for Reader {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        if let Some(module) = api::find(name) {
            return compiled(ctx, &self.0, name, || Ok(api::as_module(module).into()));
        }
        if let Some(text) = stand_in::text(name) {
            return compiled(ctx, &self.0, name, || Ok(text.into()));
        }
        let module = compiled(ctx, &self.0, name, || {
            text(&self.0, name).map_err(|error| fails(ctx, &self.0, error))
        })?;
        let base = name.to_owned();
        let whole = move |name: String| match is_address(&name) {
            whole if whole => name,
            _ => format!("file://{}", resolve_file(&base, &name)),
        };
        module
            .meta()?
            .set("resolve", Function::new(ctx.clone(), whole)?)?;
        Ok(module)
    }
}

/// A module, compiled: while a program is loaded, for all VUs.
pub(crate) fn compiled<'js>(
    ctx: &Ctx<'js>,
    host: &Host,
    name: &str,
    text: impl FnOnce() -> Result<Arc<str>>,
) -> Result<Module<'js, Declared>> {
    if let Some(code) = host.parts.codes.get(name) {
        return code.load(ctx);
    }
    let module = Module::declare(ctx.clone(), name, &*text()?)?;
    if let Some(loading) = &host.loading {
        let code = Bytecode::of(&module)?;
        loading.borrow_mut().codes.insert(name.to_owned(), code);
    }
    Ok(module)
}

/// Throws what keeps a module from being loaded, and keeps it: it says more than what arrives
/// through the interpreter.
pub(crate) fn fails(ctx: &Ctx<'_>, host: &Host, error: LoadError) -> Error {
    let words = error.to_string();
    if let Some(loading) = &host.loading {
        loading.borrow_mut().failed.get_or_insert(error);
    }
    Exception::throw_message(ctx, &words)
}

/// The text of a module of the script's own, ready to be run.
pub(crate) fn text(host: &Host, name: &str) -> std::result::Result<Arc<str>, LoadError> {
    let Some(loading) = &host.loading else {
        let words = format!("`{name}` was not imported when the script was loaded");
        return Err(LoadError::new(words));
    };
    if let Some(text) = loading.borrow().modules.get(name) {
        return Ok(Arc::clone(text));
    }
    let fails = |why: &str| LoadError::new(format!("`{name}` cannot be imported: {why}"));
    let wanted = if is_address(name) {
        Wanted::Remote(name.to_owned())
    } else {
        Wanted::Module(name.to_owned())
    };
    let bytes = match (host.read(wanted), jslib::built_in(name)) {
        (Ok(bytes), _) => {
            loading.borrow_mut().note(name, &bytes);
            bytes
        }
        // It belongs to this program, not to the script.
        (Err(_), Some(text)) => text.as_bytes().to_vec(),
        (Err(why), None) => return Err(fails(&why)),
    };
    let text = String::from_utf8(bytes).map_err(|_| fails("it is not UTF-8 text"))?;
    let text: Arc<str> = prepare(name, text)?.into();
    loading
        .borrow_mut()
        .modules
        .insert(name.to_owned(), Arc::clone(&text));
    Ok(text)
}

/// Makes JavaScript modules of what is none.
fn prepare(name: &str, text: String) -> std::result::Result<String, LoadError> {
    // A line that begins with `#!` names the program that runs it.
    let text = if text.starts_with("#!") {
        format!("//{text}")
    } else {
        text
    };
    if ["ts", "mts", "cts"]
        .iter()
        .any(|ending| has_ending(name, ending))
    {
        return typescript::strip(&text, name).map_err(|error| LoadError {
            place: Some(format!("{}:{}:{}", error.name, error.line, error.column)),
            ..LoadError::new(error.message)
        });
    }
    if has_ending(name, "json") {
        return Ok(format!("export default {text};"));
    }
    if is_common_js(&text) {
        return Ok(wrap_common_js(&text));
    }
    Ok(text)
}

fn has_ending(name: &str, ending: &str) -> bool {
    let path = name.split(['?', '#']).next().unwrap_or(name);
    path.rsplit_once('.')
        .is_some_and(|(_, own)| own.eq_ignore_ascii_case(ending))
}

/// Whether a text exports in the old way.
fn is_common_js(text: &str) -> bool {
    let exports = text.contains("module.exports") || text.contains("exports.");
    (exports || text.contains("require(")) && !is_module(text)
}

/// Whether a text has a statement of modules: at the begin of a line, or behind another statement,
/// where bundlers put it.
fn is_module(text: &str) -> bool {
    ["import", "export"].iter().any(|word| {
        text.match_indices(word).any(|(at, _)| {
            let before = text[..at].trim_end_matches([' ', '\t']);
            let begins = before.is_empty() || before.ends_with(['\n', '\r', ';', '}']);
            let rest = text[at + word.len()..].trim_start_matches([' ', '\t']);
            let spaced = rest.len() < text.len() - at - word.len();
            let goes_on = rest.starts_with(['{', '*', '"', '\''])
                || spaced && rest.starts_with(|c: char| c.is_alphabetic() || "_$".contains(c));
            begins && goes_on
        })
    })
}

/// On one line, so that places stay what they are.
fn wrap_common_js(text: &str) -> String {
    format!(
        "const module = {{ exports: {{}} }}; const exports = module.exports; (function () {{ {text}\n\
         }}).call(exports); const old = module.exports; export default old?.default ?? old; \
         export {{ old as {OLD_EXPORTS} }};"
    )
}

/// The whole name of a module that another one imports.
pub(crate) fn resolve(base: &str, name: &str) -> std::result::Result<String, String> {
    if let Some(whole) = name.strip_prefix(WHOLE) {
        return Ok(whole.to_owned());
    }
    if api::find(name).is_some() {
        return Ok(name.to_owned());
    }
    if let Some(words) = refusal(name) {
        return Err(words);
    }
    if is_address(name) {
        return Ok(name.to_owned());
    }
    if let Some(path) = name.strip_prefix("file://") {
        return Ok(plain(path));
    }
    let is_relative = name.starts_with("./") || name.starts_with("../");
    if is_address(base) && (is_relative || name.starts_with('/')) {
        let whole = url::Url::parse(base).and_then(|base| base.join(name));
        return whole
            .map(Into::into)
            .map_err(|_| format!("`{name}` cannot be imported"));
    }
    if is_relative {
        return Ok(plain(&format!("{}/{name}", folder(base))));
    }
    if name.starts_with('/') {
        return Ok(plain(name));
    }
    Err(format!(
        "`{name}` cannot be imported: it is neither a module of k6 nor a path that begins with \
         `./`; bundle packages of npm into the script"
    ))
}

/// Why a module has no counterpart.
pub(crate) fn refusal(name: &str) -> Option<String> {
    let (what, way_out) = match name {
        "k6/net/grpc" | "k6/experimental/grpc" => ("gRPC is not supported", "use --engine k6"),
        "k6/browser" | "k6/experimental/browser" => {
            ("browsers are not supported", "use --engine k6")
        }
        "k6/experimental/redis" => ("Redis is not supported", "use --engine k6"),
        "k6/experimental/tracing" => (
            "it was removed from k6",
            "import the http-instrumentation jslib",
        ),
        name if name.starts_with("k6/x/") => (
            "extensions of k6 are not supported",
            "use --engine k6 with a k6 that has it",
        ),
        name if name.starts_with("k6/") => ("it is not supported", "use --engine k6"),
        _ => return None,
    };
    Some(format!("`{name}` cannot be imported: {what}; {way_out}"))
}

/// What a module imports that has no counterpart, each with its place: all of them, where loading
/// stops at the first. Imports are found by line; what merely looks like one is taken for one.
pub fn refused_imports(name: &str, text: &str) -> Vec<LoadError> {
    let mut all = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim_start();
        let begins = ["import", "export", "}"]
            .iter()
            .any(|start| content.starts_with(start));
        if !begins && !content.contains("require(") && !content.contains("import(") {
            continue;
        }
        for quote in ['"', '\''] {
            // Every second piece lies between quotes.
            for imported in content.split(quote).skip(1).step_by(2) {
                if api::find(imported).is_some() {
                    continue;
                }
                all.extend(refusal(imported).map(|words| LoadError {
                    place: Some(format!("{name}:{line}")),
                    ..LoadError::new(words)
                }));
            }
        }
    }
    all
}

pub(crate) fn is_address(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

fn folder(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

/// A path without `.` and, where that can be, without `..`.
pub(crate) fn plain(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if path.starts_with('/') {
        format!("/{joined}")
    } else {
        joined
    }
}

/// The whole path of a file that a module opens.
pub(crate) fn resolve_file(base: &str, name: &str) -> String {
    if let Some(path) = name.strip_prefix("file://") {
        return plain(path);
    }
    if name.starts_with('/') {
        return plain(name);
    }
    plain(&format!("{}/{name}", folder(base)))
}

/// Where a module names another one, as `file:line`.
fn place_of(host: &Host, base: &str, name: &str) -> Option<String> {
    let text = Arc::clone(host.loading.as_ref()?.borrow().modules.get(base)?);
    let quoted = ['"', '\'', '`'].map(|quote| format!("{quote}{name}{quote}"));
    let line = text
        .lines()
        .position(|line| quoted.iter().any(|name| line.contains(name)))?;
    Some(format!("{base}:{}", line + 1))
}
