//! What `k6 inspect` prints of a script: its options as JSON.

// `core`, not `std`: an address is a value here.
use core::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::scenarios::{self, Mix};
use super::{Function, MetricRow, Mode, OwnScript, threshold};

/// Thresholds that are looked at; more than that nobody writes.
const MOST_THRESHOLDS: usize = 200;
/// Networks of its own that a script blocks, and that are kept.
const MOST_BLOCKED: usize = 1_000;
/// How much of a text of the script's a note quotes, in characters.
const MOST_QUOTED: usize = 120;

/// Options that decide on the load, which is for the search to do.
const LOAD: [&str; 4] = ["stages", "vus", "duration", "iterations"];
/// Those that change what the target sees as well, so that whoever wrote them must know what
/// becomes of them.
const ODD: [(&str, &str); 3] = [
    (
        "rps",
        "a cap on all requests, under which no target would break",
    ),
    (
        "executionSegment",
        "here the VUs are not a part of a larger test",
    ),
    ("paused", "nothing would resume it"),
];

/// Those that have no counterpart where this program runs a script, and what there is instead.
const UNHEARD: [(&str, &str); 7] = [
    ("hosts", "set addresses of names with --resolve"),
    ("tlsAuth", "give a client certificate with --cert and --key"),
    ("tlsVersion", "TLS 1.2 and 1.3 are spoken"),
    (
        "blockHostnames",
        "requests go only to this machine and to --allow-target",
    ),
    (
        "blacklistIPs",
        "requests go only to this machine and to --allow-target",
    ),
    (
        "localIPs",
        "set where connections come from with --local-addr",
    ),
    ("minIterationDuration", "sleep in the script"),
];

/// What a script says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Its thresholds as objectives, as far as they can be.
    pub objectives: Vec<String>,
    /// The other thresholds, each with why it is not an objective.
    pub uncarried: Vec<String>,
    /// The functions that its scenarios run, with their parts of the VUs; `default` alone without
    /// scenarios.
    pub functions: Vec<Function>,
    /// Networks (CIDR) that it does not connect to by its own wish.
    pub blocked: Vec<String>,
    /// Options that decide on the load and are left out for that, by name.
    pub left_out: Vec<String>,
    /// Options that change what the target sees: each with its value, and why it is no good here.
    pub odd: Vec<(String, &'static str)>,
    /// What else of it is left out or done otherwise.
    pub notes: Vec<String>,
    /// Its own metrics that the objectives are about.
    pub metrics: Vec<(String, MetricRow)>,
    /// What else this program knows of one that it runs itself.
    pub own: OwnScript,
}

/// Why what was printed says nothing of a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It is not what `k6 inspect` prints.
    #[error("`k6 inspect` printed no options in JSON: {0}")]
    NoOptions(String),
    /// Its scenarios run nothing that can be run.
    #[error("the script has no function that can be run: {0}")]
    NoFunction(String),
}

impl Script {
    /// Reads what `k6 inspect` printed.
    ///
    /// # Errors
    /// When that is not an object of JSON, or no scenario of it runs something.
    pub fn read(printed: &[u8]) -> Result<Self, ScriptError> {
        // Whatever stands before the options is not of them.
        let begin = printed.iter().position(|b| *b == b'{').unwrap_or(0);
        let options: Map<String, Value> = serde_json::from_slice(&printed[begin..])
            .map_err(|e| ScriptError::NoOptions(e.to_string()))?;
        Self::of_options(&options, None)
    }

    /// What the options of a script say that this program runs itself, of which it knows more.
    ///
    /// # Errors
    /// When no scenario of it runs something.
    pub fn of_own(options: &Map<String, Value>, own: OwnScript) -> Result<Self, ScriptError> {
        Self::of_options(options, Some(own))
    }

    fn of_options(
        options: &Map<String, Value>,
        own: Option<OwnScript>,
    ) -> Result<Self, ScriptError> {
        let (blocked, unread) = blocked(options);
        let is_own = own.is_some();
        let mut script = Self {
            blocked,
            left_out: given(options, &LOAD),
            notes: unread.into_iter().collect(),
            own: own.unwrap_or_default(),
            ..Self::default()
        };
        script.read_thresholds(options, is_own);
        if is_own {
            let unheard = UNHEARD
                .iter()
                .filter(|(option, _)| options.get(*option).is_some_and(is_given));
            let notes = unheard.map(|(option, instead)| {
                format!("the script's option `{option}` is ignored; {instead}")
            });
            script.notes.extend(notes);
        }
        for (option, why) in ODD {
            if let Some(value) = options.get(option).filter(|v| is_given(v)) {
                let shown = format!("`{option}` ({})", quoted(&value.to_string()));
                script.odd.push((shown, why));
            }
        }
        match options.get("scenarios").and_then(Value::as_object) {
            Some(all) if !all.is_empty() => {
                let Mix { functions, notes } = scenarios::mix(all);
                if functions.is_empty() {
                    return Err(ScriptError::NoFunction(notes.join("; ")));
                }
                script.functions = functions;
                script.notes.extend(notes);
            }
            _ => script.functions = vec![Function::by_default()],
        }
        Ok(script)
    }

    /// What becomes of its options in a mode, beside what is told of its thresholds.
    pub fn told(&self, mode: Mode) -> Vec<String> {
        let odd = self.odd.iter().map(|(option, why)| match mode {
            Mode::Gate => format!("the script's option {option} is ignored: {why}"),
            Mode::Restart => format!(
                "the script's option {option} stays in effect in mode `restart`; remove it: {why}"
            ),
        });
        odd.chain(self.notes.iter().cloned()).collect()
    }

    fn read_thresholds(&mut self, options: &Map<String, Value>, is_own: bool) {
        let of_metrics = options.get("thresholds").and_then(Value::as_object);
        let all = of_metrics.into_iter().flatten();
        if is_own && all.clone().any(|(_, list)| aborts(list)) {
            self.notes.push(
                "`abortOnFail` of the script's thresholds ends nothing: a search judges each level \
                 and goes on with a lower one, and a ramp goes on to its end"
                    .to_owned(),
            );
        }
        let all = all.flat_map(|(metric, list)| expressions(list).map(move |e| (metric, e)));
        for (count, (metric, expression)) in all.enumerate() {
            if count == MOST_THRESHOLDS {
                let why =
                    format!("the script has more than {MOST_THRESHOLDS} thresholds; the others");
                self.uncarried.push(why);
                return;
            }
            let read = expression.ok_or_else(|| "it cannot be read".to_owned());
            let read = read.and_then(|e| {
                if is_own {
                    threshold::of_own(metric, &self.own, e, &mut self.metrics)
                } else {
                    threshold::objective(metric, e)
                }
            });
            match read {
                Ok(objective) if self.objectives.contains(&objective) => {}
                Ok(objective) => self.objectives.push(objective),
                Err(why) => {
                    let text = format!("{metric}: {}", expression.unwrap_or("?"));
                    self.uncarried.push(format!("`{}` ({why})", quoted(&text)));
                }
            }
        }
    }
}

/// The thresholds of a metric: texts, or objects with one each. `None` for what is neither.
fn expressions(list: &Value) -> impl Iterator<Item = Option<&str>> {
    let list = match list {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    list.iter().map(|t| match t {
        Value::String(text) => Some(text.as_str()),
        other => other.get("threshold").and_then(Value::as_str),
    })
}

/// Whether a threshold of a metric is to end the run.
fn aborts(list: &Value) -> bool {
    let list = match list {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let is_set = |t: &Value| t.get("abortOnFail").and_then(Value::as_bool) == Some(true);
    list.iter().any(is_set)
}

/// Networks that the script blocks itself, in CIDR notation; and a note where one cannot be read.
fn blocked(options: &Map<String, Value>) -> (Vec<String>, Option<String>) {
    let list = options.get("blacklistIPs").and_then(Value::as_array);
    let list = list.map(Vec::as_slice).unwrap_or_default();
    let read: Vec<String> = list.iter().take(MOST_BLOCKED).filter_map(network).collect();
    let lost = list.len() - read.len();
    let note = (lost > 0).then(|| {
        format!(
            "{lost} of the script's `blacklistIPs` cannot be read, and k6 connects to those \
            if they are allowed otherwise"
        )
    });
    (read, note)
}

/// A network as a text, or as the object that k6 makes of it: its address, and its mask in base64.
fn network(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        object => {
            let address = object.get("IP")?.as_str()?;
            format!("{address}/{}", mask_bits(object.get("Mask")?.as_str()?)?)
        }
    };
    let (address, bits) = text.split_once('/')?;
    let most = match address.parse().ok()? {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let fits = bits.parse::<u8>().is_ok_and(|b| b <= most);
    fits.then_some(text)
}

/// How many bits of a mask in base64 are set.
fn mask_bits(mask: &str) -> Option<u32> {
    let bytes = STANDARD.decode(mask).ok()?;
    Some(bytes.iter().map(|byte| byte.count_ones()).sum())
}

/// Those of the options that are given, by name.
fn given(options: &Map<String, Value>, names: &[&str]) -> Vec<String> {
    let all = names
        .iter()
        .filter(|n| options.get(**n).is_some_and(is_given));
    all.map(|n| (*n).to_owned()).collect()
}

fn is_given(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// A text of the script's, short and on one line.
fn quoted(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = plain.clone().take(MOST_QUOTED).collect();
    if plain.count() > MOST_QUOTED {
        out.push_str(" ...");
    }
    out
}
