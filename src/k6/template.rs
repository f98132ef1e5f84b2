//! The commented profile that `breakpoint init --from-k6` writes.

use std::fmt::Write as _;

use super::{Function, Script};

/// What a profile names, as it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The script.
    pub script: String,
    /// The k6 program that runs it; without one this program does.
    pub binary: Option<String>,
}

/// Objectives to start from, for a script without any.
const TO_START_FROM: [&str; 2] = ["p95<500ms", "errors<1%"];

/// A profile for a script: its thresholds as objectives, its functions with weights, and in
/// comments what could not be carried over.
pub fn profile(named: &Named, script: &Script) -> String {
    let slo = if script.objectives.is_empty() {
        TO_START_FROM.map(str::to_owned).to_vec()
    } else {
        script.objectives.clone()
    };
    let slo: Vec<String> = slo.iter().map(|o| text(o)).collect();
    let (who, engine, max) = match &named.binary {
        Some(binary) => (
            "k6 makes the load with its own script",
            OF_K6.replace("@BINARY@", &text(binary)),
            "2000                # k6 makes all of them in the beginning, each takes a quarter of \
             a MiB or more",
        ),
        None => (
            "a k6 script makes the load, without k6",
            OWN.to_owned(),
            "5000",
        ),
    };
    TEMPLATE
        .replace("@WHO@", who)
        .replace("@ENGINE@", engine.trim_end())
        .replace("@MAX@", max)
        .replace("@ORIGIN@", &origin(script))
        .replace("@SLO@", &slo.join(", "))
        .replace("@EXEC@", &exec(&script.functions))
        // Last, for its name may hold anything.
        .replace("@SCRIPT@", &text(&named.script))
}

/// Where the objectives come from, and what is lost.
fn origin(script: &Script) -> String {
    let mut lines = Vec::new();
    if script.objectives.is_empty() {
        lines.push(
            "# The script has no threshold that is an objective here; these are to start from."
                .to_owned(),
        );
    } else {
        lines.push("# From the thresholds of the script.".to_owned());
    }
    if !script.uncarried.is_empty() {
        lines.push("# These thresholds of the script are not carried over:".to_owned());
        let lost = script.uncarried.iter();
        lines.extend(lost.map(|t| format!("#   {}", comment(t))));
    }
    if !script.notes.is_empty() {
        lines.push("# What else becomes of the script:".to_owned());
        let told = script.notes.iter();
        lines.extend(told.map(|n| format!("# * {}", comment(n))));
    }
    lines.join("\n")
}

/// The functions with their weights; `default` alone needs no line.
fn exec(functions: &[Function]) -> String {
    let pairs: Vec<String> = functions
        .iter()
        .map(|f| format!("{} = {}", text(&f.name), f.weight))
        .collect();
    let pairs = pairs.join(", ");
    if functions == [Function::by_default()] {
        return format!(
            "# exec = {{ {pairs} }}          # exported functions, and how many of the VUs run each"
        );
    }
    format!(
        "# Exported functions, and how many of the VUs run each; of the scenarios of the \
         script.\nexec = {{ {pairs} }}"
    )
}

/// A text as TOML writes it.
fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a string cannot fail.
            c if c.is_control() => write!(out, "\\u{:04X}", u32::from(c)).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text that stays in one comment.
fn comment(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// How k6 is told to run it.
const OF_K6: &str = r#"kind = "k6"
script = @SCRIPT@
binary = @BINARY@
# arguments = ["-e", "BASE=http://127.0.0.1:8080"]   # further arguments of k6; {{ env.NAME }} is filled in
"#;

/// How this program is.
const OWN: &str = r#"kind = "script"
script = @SCRIPT@
# env = { BASE = "http://127.0.0.1:8080" }   # what the script's __ENV has; {{ env.NAME }} is filled in
"#;

const TEMPLATE: &str = r#"# A breakpoint profile: @WHO@. Run it:   breakpoint find --profile FILE
# What would be done, without sending anything:   breakpoint plan --profile FILE
# Commented-out keys show the defaults, or what else there is.

# What must hold. `p95(NAME)` is the latency of the requests with the tag `name` NAME; a bare `p95` that of all requests;
# `iteration` is a pass of the script's function, think times included.
# Also: p50 ... p99.9, avg, max, errors<1%, rps>50, and fields of monitors: service.oom_kills==0
@ORIGIN@
slo = [@SLO@]

[engine]
@ENGINE@
@EXEC@

[target]
# url = "http://127.0.0.1:8080" # what reports call the target; the script knows where it goes
# allow = ["staging.example"]   # hosts that may be loaded although they are not this machine
# Commands, run by `sh -c` in this file's folder:
# up = "./start.sh"             # before the first probe
# reset = "./restart.sh"        # between two probes
# down = "./stop.sh"            # at the end, also after Ctrl-C
# reset-when = "broken"         # or "always"

[search]
# min-vus = 1
# max-vus = @MAX@
# start-vus = 10
# precision = "5%"              # half-width of the interval, as a share of the breakpoint
# budget = "15m"                # of the search; two holds below the breakpoint follow, a tenth of it each
# pace = 50                     # VUs started or stopped per second

# What to monitor during the load; `breakpoint init --url` writes a profile that shows all kinds.
# [[monitor]]
# name = "service"
# docker = "my-container"       # or: pid-file = "service.pid", cgroup = "/sys/fs/cgroup/my-group"
"#;
