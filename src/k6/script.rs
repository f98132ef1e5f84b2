//! What a script says of itself in `options`, and what becomes of it here.
//!
//! `breakpoint_script` reads the options, for both engines; k6 is not asked.

use breakpoint_script::options::{Idle, Options};

use super::scenarios::{self, Mix};
use super::{Function, MetricRow, OwnScript, threshold};

/// Thresholds that are looked at; more than that nobody writes.
const MOST_THRESHOLDS: usize = 200;
/// How much of a text of the script's a note quotes, in characters.
const MOST_QUOTED: usize = 120;

/// Options that k6 would heed and that change what the target sees, so that whoever wrote them must
/// know what becomes of them.
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

/// Who runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// This program.
    Own,
    /// k6, which heeds options of its own and says nothing of a script's checks and metrics.
    K6,
}

/// Finds the line of an option in the script, for people.
pub type LineOf<'a> = dyn Fn(&str) -> Option<usize> + 'a;

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
    /// What else of it is left out or done otherwise.
    pub notes: Vec<String>,
    /// Its own metrics that the objectives are about.
    pub metrics: Vec<(String, MetricRow)>,
    /// What else is known of it.
    pub own: OwnScript,
}

/// Why a script cannot be run as it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Its scenarios run nothing that can be run.
    #[error("the script has no function that can be run: {0}")]
    NoFunction(String),
}

impl Script {
    /// What a script's options say, of which the rest is known already.
    ///
    /// # Errors
    /// When no scenario of it runs something.
    pub fn of_own(
        options: &Options,
        own: OwnScript,
        runner: Runner,
        line_of: &LineOf<'_>,
    ) -> Result<Self, ScriptError> {
        let network = |(address, bits): &(_, u8)| format!("{address}/{bits}");
        let mut script = Self {
            blocked: options.blacklist_ips.iter().map(network).collect(),
            left_out: load_options(options),
            own,
            ..Self::default()
        };
        script.read_thresholds(options, runner, line_of);
        script.tell_ignored(options, runner, line_of);
        script.functions = vec![Function::by_default()];
        if !options.scenarios.is_empty() {
            let Mix { functions, notes } = scenarios::mix(&options.scenarios, runner);
            if functions.is_empty() {
                return Err(ScriptError::NoFunction(notes.join("; ")));
            }
            script.functions = functions;
            script.notes.extend(notes);
        }
        Ok(script)
    }

    /// Of options as JSON, without a script around them.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of_json(json: &[u8], runner: Runner) -> Result<Self, String> {
        let value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let options = breakpoint_script::options::options(&value).map_err(|e| e.to_string())?;
        let own = OwnScript::new(Vec::new(), Vec::new(), &options);
        Self::of_own(&options, own, runner, &|_| None).map_err(|e| e.to_string())
    }

    /// Notes what changes nothing here.
    fn tell_ignored(&mut self, options: &Options, runner: Runner, line_of: &LineOf<'_>) {
        let mut tell = |option: &str, shown: String, why: &str| {
            let line = line_of(option).map_or_else(String::new, |line| format!(" (line {line})"));
            let note = format!("the script's option {shown}{line} is ignored: {why}");
            self.notes.push(note);
        };
        let odd = |option: &str| ODD.iter().find(|(odd, _)| *odd == option).map(|odd| odd.1);
        if let (Some(rps), Some(why)) = (options.rps, odd("rps")) {
            tell("rps", format!("`rps` ({rps})"), why);
        }
        for Idle { place, reason } in &options.idle {
            let why = match runner {
                Runner::Own => Some(*reason),
                Runner::K6 => odd(place),
            };
            // Those that set the load are told together.
            let is_load = self.left_out.contains(place);
            if let Some(why) = why.filter(|_| !is_load) {
                tell(place, format!("`{}`", quoted(place)), why);
            }
        }
        if runner == Runner::Own {
            for (option, instead) in unheard(options) {
                tell(option, format!("`{option}`"), instead);
            }
        }
    }

    fn read_thresholds(&mut self, options: &Options, runner: Runner, line_of: &LineOf<'_>) {
        if runner == Runner::Own && options.thresholds.iter().any(|one| one.aborts) {
            self.notes.push(
                "`abortOnFail` of the script's thresholds ends nothing: a search judges each level \
                 and goes on with a lower one, and a ramp goes on to its end"
                    .to_owned(),
            );
        }
        for (count, watched) in options.thresholds.iter().enumerate() {
            if count == MOST_THRESHOLDS {
                let why =
                    format!("the script has more than {MOST_THRESHOLDS} thresholds; the others");
                self.uncarried.push(why);
                return;
            }
            let threshold = &watched.threshold;
            let read = match runner {
                Runner::Own => threshold::of_own(threshold, &self.own, &mut self.metrics),
                Runner::K6 => threshold::objective(threshold),
            };
            match read {
                Ok(objective) => {
                    if threshold.metric == "http_req_failed" {
                        self.own.failed.push(objective.clone());
                    }
                    if !self.objectives.contains(&objective) {
                        self.objectives.push(objective);
                    }
                }
                Err(why) => {
                    let line = line_of(&watched.place);
                    let line = line.map_or_else(String::new, |line| format!("line {line}: "));
                    let text = quoted(&watched.text);
                    self.uncarried.push(format!("`{text}` ({line}{why})"));
                }
            }
        }
    }
}

/// Those of the options that decide on the load, which is for the search to do.
fn load_options(options: &Options) -> Vec<String> {
    let all = [
        ("stages", options.stages.is_some()),
        ("vus", options.vus.is_some()),
        ("duration", options.duration.is_some()),
        ("iterations", options.iterations.is_some()),
    ];
    let given = all.into_iter().filter(|(_, is_given)| *is_given);
    given.map(|(name, _)| name.to_owned()).collect()
}

/// Those that have no counterpart where this program runs a script, and what there is instead.
fn unheard(options: &Options) -> impl Iterator<Item = (&'static str, &'static str)> {
    let only_allowed = "requests go only to this machine and to --allow-target";
    let all = [
        (
            "hosts",
            !options.hosts.is_empty(),
            "set addresses of names with --resolve",
        ),
        (
            "tlsAuth",
            !options.tls_auth.is_empty(),
            "give a client certificate with --cert and --key",
        ),
        (
            "tlsVersion",
            options.tls_version.is_some(),
            "TLS 1.2 and 1.3 are spoken",
        ),
        (
            "blockHostnames",
            !options.block_hostnames.is_empty(),
            only_allowed,
        ),
        (
            "blacklistIPs",
            !options.blacklist_ips.is_empty(),
            only_allowed,
        ),
        (
            "minIterationDuration",
            options.min_iteration_duration.is_some(),
            "sleep in the script",
        ),
    ];
    let given = all.into_iter().filter(|(_, is_given, _)| *is_given);
    given.map(|(option, _, instead)| (option, instead))
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
