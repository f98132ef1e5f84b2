//! An option of a run is said by a flag, a key of the profile, or both, and has a default. What
//! belongs together is declared by the table of docs/profile.md; here everything that says so again
//! is held against it: the flags and what their help says, the keys that a profile may have, the
//! example of the document, and the plan.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use breakpoint::cli::{Cli, Command};
use breakpoint::plan::{FindFlags, Plan};
use breakpoint::profile::Profile;
use clap::{CommandFactory as _, Parser as _};

/// Sections of a profile that hold options; `""` is what stands above all of them.
const SECTIONS: [&str; 4] = ["", "target", "search", "engine"];
/// Keys that are no options: what is there any number of times, and what a VU does.
const PARTS: [&str; 6] = [
    "target",
    "search",
    "engine",
    "scenario",
    "population",
    "monitor",
];

/// A row of the table.
struct Row {
    flag: Option<String>,
    key: Option<String>,
    /// As a profile would say it; `None` without one, or where words say it.
    default: Option<String>,
}

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/profile.md");
    fs::read_to_string(path).unwrap()
}

/// The one piece of code that a cell is.
fn code(cell: &str) -> Option<String> {
    let inner = cell.trim().strip_prefix('`')?.strip_suffix('`')?;
    (!inner.contains('`')).then(|| inner.to_owned())
}

fn rows() -> Vec<Row> {
    let text = document();
    let (_, rest) = text.split_once("| flag | key | without it |\n").unwrap();
    let lines = rest.lines().skip(1).take_while(|l| l.starts_with('|'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            assert_eq!(cells.len(), 3, "{line}");
            Row {
                flag: code(cells[0]),
                key: code(cells[1]),
                default: code(cells[2]),
            }
        })
        .collect()
}

/// The keys of a section, as the message says them that refuses an unknown one.
fn keys_of(section: &str) -> BTreeSet<String> {
    let header = match section {
        "" => String::new(),
        name => format!("[{name}]\n"),
    };
    let text = format!("{header}unknown-of-all = 1\n");
    let error = Profile::parse(&text, "x.toml", Path::new("")).unwrap_err();
    let message = error.to_string();
    let (_, list) = message.split_once("known here: ").unwrap();
    let names = list.lines().next().unwrap().split(", ").map(str::to_owned);
    names
        .filter(|n| !(section.is_empty() && PARTS.contains(&&**n)))
        .collect()
}

fn same(what: &str, in_table: &[String], really: &BTreeSet<String>) {
    let table: BTreeSet<String> = in_table.iter().cloned().collect();
    assert_eq!(in_table.len(), table.len(), "{what}: a row is there twice");
    let missing: Vec<_> = really.difference(&table).collect();
    let unknown: Vec<_> = table.difference(really).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "{what}: the table of docs/profile.md lacks {missing:?} and has {unknown:?} for nothing"
    );
}

#[test]
fn the_table_has_every_flag_and_every_key() {
    let rows = rows();
    let command = Cli::command();
    let find = command.find_subcommand("find").unwrap();
    let flags = find.get_arguments().filter(|a| !a.is_hide_set());
    let flags = flags.filter_map(|a| Some(format!("--{}", a.get_long()?)));
    let in_table: Vec<_> = rows.iter().filter_map(|r| r.flag.clone()).collect();
    same("flags", &in_table, &flags.collect());
    let full = |section: &str, key: String| match section {
        "" => key,
        section => format!("{section}.{key}"),
    };
    let keys = SECTIONS.map(|s| keys_of(s).into_iter().map(move |key| full(s, key)));
    let in_table: Vec<_> = rows.iter().filter_map(|r| r.key.clone()).collect();
    same("keys", &in_table, &keys.into_iter().flatten().collect());
}

#[test]
fn the_help_says_the_same_defaults() {
    let command = Cli::command();
    let find = command.find_subcommand("find").unwrap();
    for row in rows() {
        let Some(flag) = row.flag else { continue };
        let mut arguments = find.get_arguments();
        let argument = arguments.find(|a| a.get_long() == flag.strip_prefix("--"));
        let help = argument.unwrap().get_help().unwrap().to_string();
        let takes_value = argument.unwrap().get_action().takes_values();
        if let Some(default) = row.default.filter(|_| takes_value) {
            let said = default.trim_matches('"');
            let quoted = |mark: &str| help.contains(&format!("[default: {mark}{said}"));
            assert!(
                quoted("") || quoted("`"),
                "{flag}: {said} is not in: {help}"
            );
        }
    }
}

#[test]
fn the_example_of_the_document_has_every_key() {
    let text = document();
    let example = text.split("```toml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let mut section = "";
    let mut seen = BTreeSet::new();
    for line in example.lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if let Some(name) = line.strip_prefix('[').filter(|l| !l.starts_with('[')) {
            section = name.split(']').next().unwrap();
        } else if line.starts_with("[[") {
            section = "parts";
        } else if let Some((key, _)) = line.split_once(" = ") {
            seen.insert(match section {
                "" => key.to_owned(),
                section => format!("{section}.{key}"),
            });
        }
    }
    // How connections are made is said once, of the target.
    let connects = keys_of("target");
    for key in rows().into_iter().filter_map(|r| r.key) {
        let of_target = key
            .strip_prefix("engine.")
            .is_some_and(|k| k != "url" && connects.contains(k));
        assert!(
            seen.contains(&key) || of_target,
            "`{key}` is not in the example of docs/profile.md"
        );
    }
}

/// A plan of a profile with a line in one of its sections, and with flags.
fn plan(line: Option<(&str, &str)>, flags: &FindFlags, open: bool) -> String {
    let said = |section: &str| match line {
        Some((key, value)) => match key.rsplit_once('.') {
            Some((of, key)) if of == section => format!("{key} = {value}\n"),
            None if section.is_empty() => format!("{key} = {value}\n"),
            _ => String::new(),
        },
        None => String::new(),
    };
    let url = match line {
        Some(("target.url", _)) => "",
        _ => "url = \"http://127.0.0.1:1\"\n",
    };
    let slo = match line {
        Some(("slo", _)) => "",
        _ => "slo = [\"p99<2s\"]\n",
    };
    let rate = if open { "rate = \"poisson\"\n" } else { "" };
    let engine = Some(said("engine")).filter(|e| !e.is_empty());
    let engine = engine.map_or(String::new(), |e| format!("[engine]\n{e}"));
    let text = format!(
        "{slo}{}[target]\n{url}{}[search]\n{rate}{}{engine}[scenario]\nsteps = [{{ name = \"x\", get = \
         \"/\" }}]\n",
        said(""),
        said("target"),
        said("search")
    );
    let profile = Profile::parse(&text, "x.toml", Path::new(""));
    let profile = profile.unwrap_or_else(|e| panic!("{e}\n{text}"));
    let plan = Plan::resolve(Some(&profile), flags).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let slo = plan.slo.texts();
    format!(
        "{:?}",
        (
            (&plan.target, &plan.search, &plan.required, &plan.load),
            (&plan.pace_per_s, &plan.seed, &plan.out, &plan.excerpts),
            (&plan.local_addresses, &plan.safety, &plan.engine, slo),
        )
    )
}

fn is_rate(key: &str) -> bool {
    key.contains("-rate")
}

#[test]
fn the_plan_has_the_same_defaults() {
    for row in rows() {
        let (Some(key), Some(default)) = (row.key, row.default) else {
            continue;
        };
        // Those of a Locust cluster and of k6 are there with them alone.
        if key.starts_with("engine.") && key != "engine.kind" {
            continue;
        }
        let open = is_rate(&key);
        let none = FindFlags::default();
        assert_eq!(
            plan(Some((&key, &default)), &none, open),
            plan(None, &none, open),
            "{key}"
        );
    }
}

/// A key, what a profile says there, and what a flag says that means the same.
const ALIKE: &[(&str, &str, &str)] = &[
    ("slo", "[\"avg<1s\"]", "avg<1s"),
    ("target.url", "\"http://127.0.0.1:2\"", "http://127.0.0.1:2"),
    ("target.ca", "\"ca.pem\"", "ca.pem"),
    ("target.insecure", "true", ""),
    (
        "target.resolve",
        "[\"a.test:1:127.0.0.1\"]",
        "a.test:1:127.0.0.1",
    ),
    ("target.http", "\"2\"", ""),
    ("target.size", "\"2\"", "2"),
    ("search.min-vus", "3", "3"),
    ("search.max-vus", "400", "400"),
    ("search.start-vus", "20", "20"),
    ("search.rate", "\"constant\"", "constant"),
    ("search.min-rate", "3", "3"),
    ("search.max-rate", "400", "400"),
    ("search.start-rate", "20", "20"),
    ("search.require-vus", "50", "50"),
    ("search.require-rate", "50", "50"),
    ("search.precision", "\"3%\"", "3%"),
    ("search.confidence", "\"90%\"", "90%"),
    ("search.budget", "\"20m\"", "20m"),
    ("search.warm-up", "\"1m\"", "1m"),
    ("search.reference-holds", "false", ""),
    ("search.pace", "20", "20"),
    ("search.local-addr", "[\"127.0.0.2\"]", "127.0.0.2"),
    ("search.seed", "7", "7"),
    ("search.stop-file", "\"stop\"", "stop"),
    ("search.abort-if", "[\"host.cpu>3\"]", "host.cpu>3"),
    ("search.max-time", "\"2h\"", "2h"),
];
/// Keys with a flag that mean more, or need more beside them, than is said here.
const NOT_ALIKE: &[&str] = &[
    // Whom a profile alone names is asked about.
    "target.allow",
    // One is nothing without the other.
    "target.cert",
    "target.key",
    "engine.kind",
    "engine.url",
    "engine.headers",
    "engine.script",
    "engine.env",
    "engine.binary",
    "engine.mode",
    "engine.exec",
    // A script alone has scenarios.
    "search.population",
];

#[test]
fn a_flag_and_its_key_mean_the_same() {
    for row in rows() {
        let (Some(flag), Some(key)) = (row.flag, row.key) else {
            continue;
        };
        if NOT_ALIKE.contains(&&*key) {
            continue;
        }
        let alike = ALIKE.iter().find(|(k, ..)| *k == key);
        let (_, in_profile, typed) = alike.unwrap_or_else(|| panic!("{key} is not in ALIKE"));
        let typed = match *typed {
            "" => flag,
            value => format!("{flag}={value}"),
        };
        let parsed = Cli::try_parse_from(["breakpoint", "find", &typed]).unwrap();
        let Command::Find(args) = parsed.command else {
            panic!("{typed}");
        };
        let open = is_rate(&key);
        let none = FindFlags::default();
        let by_key = plan(Some((&key, in_profile)), &none, open);
        assert_eq!(by_key, plan(None, &args.flags(), open), "{key}, {typed}");
        assert_ne!(by_key, plan(None, &none, open), "{key} changes nothing");
    }
}
