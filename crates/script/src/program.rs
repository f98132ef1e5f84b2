//! A script, read once: what its virtual users share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use breakpoint_coroutine::bytecode::Bytecode;
use serde_json::Value;

use crate::exchange::MetricKind;
use crate::host::Wanted;
use crate::vu::{self, VuIdentity};

/// The most bytes of files and arrays that VUs share.
const MOST_SHARED_BYTES: usize = 1 << 30;

/// Reads what a script names. The caller decides what may be read.
pub trait Files {
    /// The bytes of a file; `path` is as the script named it, seen from where the program runs.
    ///
    /// # Errors
    /// Why it is not read, in words.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The text of a module that is named by its address (`https://..`).
    ///
    /// # Errors
    /// Why it is not there, in words.
    fn remote(&self, address: &str) -> Result<Vec<u8>, String>;
}

/// What a script is given.
#[derive(Debug, Clone)]
pub struct Given {
    /// `__ENV`.
    pub env: BTreeMap<String, String>,
    /// The most memory that one virtual user may hold, bytes.
    pub memory_limit: usize,
    /// The longest that a script may run on without waiting.
    pub longest_run: Duration,
    /// The largest answer that it takes, bytes after unpacking.
    pub max_answer_bytes: usize,
    /// Whether what only k6 has is stood in for by what does nothing: for one whose options are
    /// read, and that nobody runs.
    pub stand_ins: bool,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            memory_limit: 256 * 1024 * 1024,
            longest_run: Duration::from_secs(10),
            max_answer_bytes: 64 * 1024 * 1024,
            stand_ins: false,
        }
    }
}

/// Why a script cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
pub struct LoadError {
    /// What is wrong, and the way out where there is one.
    pub message: String,
    /// Where, as `file:line:column` or `file:line`, where that is known.
    pub place: Option<String>,
    /// The calls that led there, a line each.
    pub stack: String,
}

impl LoadError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            stack: String::new(),
        }
    }
}

/// A file that belongs to a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As the script names it, seen from where the program runs; or its address.
    pub name: String,
    /// CRC-32 of its bytes.
    pub crc32: u32,
    /// How many bytes it has.
    pub bytes: usize,
}

/// A metric that a script declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: MetricKind,
    /// Its values are times in milliseconds.
    pub is_time: bool,
}

/// What was found while a script was loaded.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    /// The texts of the script's own modules.
    pub(crate) modules: BTreeMap<String, Arc<str>>,
    /// All modules, those of k6 included, compiled.
    pub(crate) codes: BTreeMap<String, Bytecode>,
    pub(crate) files: BTreeMap<String, Arc<[u8]>>,
    pub(crate) sources: BTreeMap<String, Source>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) arrays: BTreeMap<String, Arc<[Box<str>]>>,
    pub(crate) options: Option<String>,
    pub(crate) functions: Vec<String>,
    /// Bytes of files and arrays.
    bytes: usize,
    /// Why a module was not loaded: says more than what arrives through the interpreter.
    pub(crate) failed: Option<LoadError>,
}

impl Loading {
    /// Takes room for what all VUs share.
    pub(crate) fn take_room(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.bytes = self.bytes.saturating_add(bytes);
        match self.bytes > MOST_SHARED_BYTES {
            too_much if too_much => Err("files and SharedArrays have more than 1 GiB together"),
            _ => Ok(()),
        }
    }

    /// Notes a file that was read.
    pub(crate) fn note(&mut self, name: &str, bytes: &[u8]) {
        let source = Source {
            name: name.to_owned(),
            crc32: crc32fast::hash(bytes),
            bytes: bytes.len(),
        };
        self.sources.insert(name.to_owned(), source);
    }
}

/// What all VUs of a script share.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) entry: String,
    pub(crate) given: Given,
    pub(crate) options: Value,
    pub(crate) codes: BTreeMap<String, Bytecode>,
    pub(crate) files: BTreeMap<String, Arc<[u8]>>,
    pub(crate) arrays: BTreeMap<String, Arc<[Box<str>]>>,
    pub(crate) metrics: Vec<Metric>,
    /// Names of metrics that are always there.
    pub(crate) checks: Arc<str>,
    pub(crate) group_duration: Arc<str>,
}

/// A script that was read and whose init code has run once; all threads share it.
#[derive(Debug)]
pub struct Program {
    pub(crate) parts: Arc<Parts>,
    functions: Vec<String>,
    sources: Vec<Source>,
}

impl Program {
    /// Reads a script and what it imports, and runs its init code once, as the VU 0.
    ///
    /// # Errors
    /// A file is not there, is no JavaScript, imports what has no counterpart, or its init code
    /// throws.
    pub fn load(entry: &Path, files: &dyn Files, given: &Given) -> Result<Self, LoadError> {
        let parts = Parts {
            entry: crate::modules::plain(&entry.to_string_lossy()),
            given: given.clone(),
            options: Value::Null,
            codes: BTreeMap::new(),
            files: BTreeMap::new(),
            arrays: BTreeMap::new(),
            metrics: Vec::new(),
            checks: "checks".into(),
            group_duration: "group_duration".into(),
        };
        let identity = VuIdentity::default();
        let read = |wanted: &Wanted| match wanted {
            Wanted::Module(path) | Wanted::File(path) => files.read(Path::new(path)),
            Wanted::Remote(address) => files.remote(address),
        };
        let (parts, host) = vu::run_init(parts, identity, &read)?;
        let found = host.loading.as_ref().map(RefCell::take).unwrap_or_default();
        drop(host);
        let mut parts = Arc::into_inner(parts)
            .ok_or_else(|| LoadError::new("the script's first run was not over"))?;
        parts.options = match &found.options {
            Some(text) => serde_json::from_str(text)
                .map_err(|error| LoadError::new(format!("`options` cannot be read: {error}")))?,
            None => Value::Object(serde_json::Map::new()),
        };
        parts.codes = found.codes;
        parts.files = found.files;
        parts.arrays = found.arrays;
        parts.metrics = found.metrics;
        Ok(Self {
            parts: Arc::new(parts),
            functions: found.functions,
            sources: found.sources.into_values().collect(),
        })
    }

    /// What the script exports as `options`; an empty object where it exports none.
    pub fn options(&self) -> &Value {
        &self.parts.options
    }

    /// The names of the functions that it exports, `default` included.
    pub fn functions(&self) -> &[String] {
        &self.functions
    }

    /// The files that belong to it: itself, what it imports, and what it opens.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The metrics that its init code declares.
    pub fn metrics(&self) -> &[Metric] {
        &self.parts.metrics
    }

    /// What it was given.
    pub fn given(&self) -> &Given {
        &self.parts.given
    }

    /// The script's own name, as its places have it.
    pub fn entry(&self) -> &str {
        &self.parts.entry
    }
}

/// All threads make VUs of one program.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Program>();
};
