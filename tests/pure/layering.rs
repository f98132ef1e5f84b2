//! The walls of the house: which module may use which, and that the pure ones touch neither clock
//! nor socket nor file.
//!
//! It reads the source as text: `crate::` paths, and `super::` chains that climb to the crate's
//! root.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every top-level module, whether it is pure, and which others it may use. A new edge needs a
/// reason in its commit.
const HOUSE: &[(&str, Room, &[&str])] = &[
    ("units", Pure, &[]),
    ("secret", Pure, &[]),
    ("excerpt", Pure, &["secret"]),
    ("confidential", Shell, &["secret"]),
    // A level is told with its unit.
    ("measure", Pure, &["units"]),
    ("stats", Pure, &[]),
    ("slo", Pure, &["measure", "record", "stats", "units"]),
    ("record", Pure, &["measure"]),
    ("event", Pure, &["measure", "record"]),
    // `slo` for the verdict of the probes that are compared.
    // Of `excerpt` how much is quoted.
    (
        "cause",
        Pure,
        &["excerpt", "measure", "record", "slo", "units"],
    ),
    (
        "search",
        Pure,
        &["measure", "record", "slo", "stats", "units"],
    ),
    // What the search was told, and the probe as a line.
    ("journal", Pure, &["excerpt", "record", "report", "search"]),
    ("scenario", Pure, &["excerpt", "measure", "secret", "units"]),
    // Of `excerpt` how much is quoted.
    ("profile", Pure, &["excerpt", "scenario"]),
    // Of `slo` whether a threshold is an objective; of `measure` how large a share may be.
    ("k6", Pure, &["measure", "slo"]),
    // Of `excerpt` what hides in a text; of `secret` what a credential looks like.
    ("import", Pure, &["excerpt", "secret"]),
    (
        "plan",
        Pure,
        &[
            // What flags say is sent is made a scenario there.
            "import", "k6", "measure", "profile", "scenario", "search", "secret", "slo", "units",
        ],
    ),
    (
        "report",
        Pure,
        // Of `stats` the interval of a share, for the laboratory's rows; of `excerpt` what makes
        // the text of others harmless.
        &["excerpt", "measure", "record", "slo", "stats", "units"],
    ),
    // What a run looks like while it goes on, in the words of its report.
    (
        "live",
        Pure,
        &["event", "measure", "record", "report", "slo"],
    ),
    // `cause` for what its comparison needs.
    (
        "ramp",
        Pure,
        &["cause", "measure", "record", "slo", "units"],
    ),
    // Of `stats` the ratio of two distributions and the scaling law; of `slo` the verdict, for a
    // common level is one that both held.
    (
        "compare",
        Pure,
        &["measure", "record", "slo", "stats", "units"],
    ),
    ("safety", Pure, &["measure", "units"]),
    ("exit", Shell, &["record"]),
    // Process groups that must not outlive the program, whoever started them.
    ("children", Shell, &[]),
    (
        "engine",
        Shell,
        // Of `crypto` whom connections trust; of `plan` what each is started for.
        &[
            "bounded", "children", "crypto", "excerpt", "k6", "measure", "plan", "scenario",
            "secret", "stats", "units",
        ],
    ),
    (
        "probe",
        Shell,
        &["engine", "event", "measure", "record", "stats"],
    ),
    (
        "run",
        Shell,
        &[
            // `stats` for the type that carries a latency tail from the SLO to the search.
            "cause", "engine", "event", "journal", "measure", "probe", "ramp", "record", "search",
            "slo", "stats", "units",
        ],
    ),
    // The laboratory runs the very loop of `find` on simulated engines, so it needs what `app`
    // gives that loop.
    (
        "lab",
        Shell,
        &[
            // `compare` for pairs of searches.
            "compare", "engine", "measure", "record", "report", "run", "search", "slo", "stats",
        ],
    ),
    // How connections are made is a part of a plan.
    // `bounded`, here and below, for whatever may have no end.
    ("bounded", Shell, &[]),
    ("crypto", Shell, &["bounded", "plan", "scenario"]),
    (
        "monitor",
        Shell,
        // Of `scenario` whom they may ask; `excerpt` for what a file has in place of a number.
        &[
            "bounded",
            "confidential",
            "crypto",
            "excerpt",
            "measure",
            "plan",
            "scenario",
            "secret",
        ],
    ),
    // Of `monitor` Docker's API: what watches containers also knows how to restart them.
    (
        "target",
        Shell,
        &[
            "children",
            "confidential",
            "monitor",
            "plan",
            "scenario",
            "secret",
        ],
    ),
    (
        "store",
        Shell,
        &["bounded", "journal", "measure", "record", "report"],
    ),
    (
        "term",
        Shell,
        &[
            // `excerpt` for what is printed of others.
            // `confidential` for what nobody may read.
            "confidential",
            "event",
            "excerpt",
            "live",
            "measure",
            "record",
            "report",
            "slo",
            "units",
        ],
    ),
    // `confidential` for what nobody may read.
    (
        "serve",
        Shell,
        &[
            "confidential",
            "crypto",
            "excerpt",
            "live",
            "scenario",
            "secret",
        ],
    ),
    // `compare` for the form of its conditions, `lab` for the names of its methods, `ramp` for the
    // form of its stages, `report` for the names of formats.
    (
        "cli",
        Shell,
        &[
            "compare", "import", "lab", "plan", "ramp", "record", "report", "units",
        ],
    ),
    // What a profile has of secrets is known before a line of it is quoted.
    (
        "locate",
        Shell,
        &["bounded", "confidential", "profile", "secret"],
    ),
    // In tests and under the fuzzer alone: whoever reads something from outside.
    (
        "fuzz",
        Shell,
        &[
            "cli", "compare", "crypto", "engine", "excerpt", "import", "init", "journal", "k6",
            "monitor", "plan", "profile", "record", "report", "scenario", "secret", "slo",
        ],
    ),
    // What was imported must make a plan and a scenario before it is written.
    (
        "init",
        Shell,
        &["cli", "import", "k6", "plan", "profile", "secret"],
    ),
    // Of `scenario` whom requests may reach.
    (
        "preflight",
        Shell,
        &["measure", "plan", "record", "scenario", "units"],
    ),
    // `search` for what a search is likely to take, `slo` for whether that can be said; of `run`
    // what it says of a slow start.
    (
        "outline",
        Shell,
        &[
            "measure",
            "plan",
            "preflight",
            "run",
            "scenario",
            "search",
            "secret",
            "slo",
        ],
    ),
    (
        "app",
        Shell,
        &[
            "bounded",
            // What still runs when the user does not want to wait.
            "children",
            "cli",
            "compare",
            "confidential",
            "crypto",
            "engine",
            "event",
            // The words of a journal of another.
            "excerpt",
            "exit",
            "import",
            "init",
            "journal",
            "k6",
            "lab",
            "locate",
            "measure",
            "monitor",
            "outline",
            "plan",
            "preflight",
            "profile",
            "ramp",
            "record",
            // The laboratory's report; those of a run go through `store`.
            "report",
            "run",
            "safety",
            "scenario",
            // A ramp is a plan whose limits are those of its stages.
            "search",
            "secret",
            "serve",
            "slo",
            "store",
            "target",
            "term",
            // Numbers in words.
            "units",
        ],
    ),
];

/// What no pure module may mention.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "tokio::",
    "reqwest",
    "println!",
    "eprintln!",
    "std::env",
];

/// Where each of these may be used, and nowhere else.
const ONE_PLACE: &[(&str, &[&str])] = &[
    // The only printer; the others write to nobody's terminal.
    ("anstream", &["term"]),
    ("indicatif", &["term"]),
    // Statistical distributions stay behind `stats`.
    ("statrs", &["stats"]),
    ("plotters", &["report"]),
    ("hyper::", &["engine", "serve", "target"]),
];

/// Shell files that wait for others but read no clock: their time comes from the engine, which may
/// be a simulated one.
const WITHOUT_CLOCK: &[&str] = &[
    "engine.rs",
    "engine/sim",
    "engine/sim.rs",
    "probe.rs",
    "run.rs",
    "run/canary.rs",
    "run/ramping.rs",
    "run/recovery.rs",
];
/// What reads a clock or waits for one.
const CLOCKS: &[&str] = &["Instant", "SystemTime", "Timestamp", "tokio::time", "sleep"];

/// What makes and judges load. A clock that somebody sets, or that summer time or a time server
/// moves, must not reach it.
const MEASURES: &[&str] = &[
    "engine/host",
    "engine/host.rs",
    "engine/native",
    "engine/native.rs",
    "measure",
    "measure.rs",
    "probe.rs",
    "ramp.rs",
    "run",
    "run.rs",
    "search",
    "search.rs",
    "slo",
    "slo.rs",
    "stats",
];
/// What reads the time of day.
const WALL_CLOCKS: &[&str] = &["SystemTime", "Timestamp::now", "OffsetDateTime", "Utc::now"];
/// Who may all the same, and why it does no harm.
const TOLD_THE_TIME: &[&str] = &[
    // The kernel stamps what arrives with it. A stamp moves an arrival by no more than the pause
    // before it.
    "engine/native/socket.rs",
    // `Retry-After` may be a date; how long it is followed has bounds.
    "engine/native/back_off.rs",
    "engine/native/user.rs",
];

/// Who may ask which engine it is: a plan knows what it is made of, and each is started by a line.
/// All others ask for what it can do.
const KNOW_THE_ENGINE: &[&str] = &["plan/engine.rs", "engine.rs"];
/// How that is asked.
const KINDS_OF_ENGINE: &str = "EnginePlan::";

/// Modules that may use these names of another module only.
const ONLY: &[(&str, &str, &[&str])] = &[
    // The record holds objectives as text, and a chart draws their bounds.
    (
        "report",
        "slo",
        &["Verdict", "{Objective, Slo}", "{Slo, Verdict}"],
    ),
    ("term", "slo", &["Verdict"]),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Room {
    Pure,
    Shell,
}
use Room::{Pure, Shell};

/// A file's lines without comments and without the tests at its end, and how many `super::` reach
/// the crate's root.
fn code(path: &Path, depth: usize) -> String {
    plain(&fs::read_to_string(path).unwrap(), depth)
}

fn plain(text: &str, depth: usize) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let root = "super::".repeat(depth);
    code.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .map(|line| line.replace(&root, "crate::"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// All code by top-level module.
fn modules() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let top = relative.components().next().unwrap().as_os_str();
        let name = top.to_str().unwrap().trim_end_matches(".rs").to_owned();
        if name != "lib" && name != "main" {
            let depth = relative.components().count();
            modules
                .entry(name)
                .or_default()
                .push_str(&code(&file, depth));
        }
    }
    modules
}

/// Top-level modules that a text names after `crate::`, also in braces: `use crate::{a, b::c}`.
fn used(text: &str) -> Vec<String> {
    let word = |s: &str| {
        s.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let Some(braced) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut piece = String::new();
        for c in braced.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    found.push(word(piece.trim()));
                    piece.clear();
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
            piece.push(c);
        }
        found.push(word(piece.trim()));
    }
    found.retain(|name| HOUSE.iter().any(|(known, _, _)| known == name));
    found.sort();
    found.dedup();
    found
}

#[test]
fn every_module_has_its_room() {
    let known: Vec<&str> = HOUSE.iter().map(|(name, _, _)| *name).collect();
    for name in modules().keys() {
        assert!(
            known.contains(&name.as_str()),
            "`{name}` is not in the table of tests/pure/layering.rs"
        );
    }
    for name in known {
        assert!(
            modules().contains_key(name),
            "`{name}` is in the table but not in src/"
        );
    }
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for (name, text) in modules() {
        let (_, room, allowed) = HOUSE.iter().find(|(n, _, _)| *n == name).unwrap();
        for other in used(&text).into_iter().filter(|other| *other != name) {
            if !allowed.contains(&other.as_str()) {
                wrong.push(format!("{name} uses {other}"));
            }
            let other_room = HOUSE.iter().find(|(n, _, _)| *n == other).unwrap().1;
            if *room == Pure && other_room == Shell {
                wrong.push(format!("{name} is pure and uses {other}, which is not"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_allows_nothing_that_nobody_uses() {
    let modules = modules();
    let mut unused = Vec::new();
    for (name, _, allowed) in HOUSE {
        let used = used(&modules[*name]);
        unused.extend(
            allowed
                .iter()
                .filter(|other| !used.iter().any(|u| u == *other))
                .map(|other| format!("{name} may use {other} but does not")),
        );
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn pure_modules_touch_no_clock_socket_file_or_terminal() {
    let mut wrong = Vec::new();
    for (name, text) in modules() {
        if HOUSE.iter().any(|(n, room, _)| *n == name && *room == Pure) {
            wrong.extend(
                IMPURE
                    .iter()
                    .filter(|what| text.contains(**what))
                    .map(|what| format!("{name} mentions {what}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_loop_and_the_simulation_read_no_clock() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in WITHOUT_CLOCK.iter().map(|path| src.join(path)) {
        let mut files = Vec::new();
        if path.is_dir() {
            rust_files(&path, &mut files);
        } else {
            files.push(path);
        }
        for file in files {
            let text = code(&file, 1);
            for clock in CLOCKS {
                assert!(!text.contains(clock), "{} mentions {clock}", file.display());
            }
        }
    }
}

#[test]
fn nothing_that_measures_reads_the_time_of_day() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for path in MEASURES.iter().map(|path| src.join(path)) {
        if path.is_dir() {
            rust_files(&path, &mut files);
        } else {
            files.push(path);
        }
    }
    for file in files {
        let text = code(&file, 1);
        let reads = WALL_CLOCKS.iter().any(|clock| text.contains(clock));
        let name = file.strip_prefix(&src).unwrap();
        let may = TOLD_THE_TIME.iter().any(|path| name == Path::new(path));
        assert_eq!(reads, may, "{} and the time of day", file.display());
    }
}

#[test]
fn nobody_asks_which_engine_it_is() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut asking: Vec<String> = Vec::new();
    for file in files {
        let text = code(&file, 1);
        let mut kinds = text.match_indices(KINDS_OF_ENGINE).map(|(at, what)| {
            text[at + what.len()..].starts_with(|c: char| c.is_ascii_uppercase())
        });
        if kinds.any(|is_kind| is_kind) {
            let name = file.strip_prefix(&src).unwrap().to_str().unwrap();
            asking.push(name.to_owned());
        }
    }
    asking.sort();
    let mut may = KNOW_THE_ENGINE.to_vec();
    may.sort_unstable();
    assert_eq!(asking, may);
}

#[test]
fn some_modules_may_use_few_names_only() {
    let modules = modules();
    for (name, other, few) in ONLY {
        let path = format!("crate::{other}::");
        for (at, _) in modules[*name].match_indices(&path) {
            let rest = &modules[*name][at + path.len()..];
            let allowed = few.iter().any(|only| {
                let after = rest.strip_prefix(only);
                after.is_some_and(|r| !r.starts_with(|c: char| c.is_alphanumeric()))
            });
            let line = rest.lines().next().unwrap_or_default();
            assert!(allowed, "{name} uses {other}::{line}");
        }
    }
}

#[test]
fn the_reader_of_the_source_sees_what_it_is_for() {
    let seen = |text: &str, depth| used(&plain(text, depth));
    for (text, depth, wanted) in [
        ("use crate::slo::Verdict;", 1, &["slo"][..]),
        (
            "use crate::{engine::{Canary, native}, slo};",
            1,
            &["engine", "slo"],
        ),
        ("let x = crate::units::format_count(1);", 1, &["units"]),
        ("use super::record::Ending;", 1, &["record"]),
        ("use super::super::record::Ending;", 2, &["record"]),
        // Of its own module, not of the root.
        ("use super::record::Ending;", 2, &[]),
        ("// see crate::engine", 1, &[]),
        ("/// As [`crate::engine`] says.", 1, &[]),
        (
            "use crate::units;\n#[cfg(test)]\nmod tests {\n use crate::engine;",
            1,
            &["units"],
        ),
        (
            "#[cfg(test)]\nuse crate::event;\nuse crate::units;",
            1,
            &["event", "units"],
        ),
    ] {
        assert_eq!(seen(text, depth), wanted, "{text}");
    }
}

#[test]
fn some_crates_stay_in_one_place() {
    let mut wrong = Vec::new();
    for (name, text) in modules() {
        for (what, places) in ONE_PLACE {
            if text.contains(what) && !places.contains(&name.as_str()) {
                wrong.push(format!("{name} uses {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
