//! The examples of `--help`: each is read by the command line as it stands, and run, but for what
//! takes minutes or loads a service.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use breakpoint::cli::Cli;
use clap::{CommandFactory as _, Parser as _};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/example");

/// What is done with an example beside reading it.
enum Run {
    /// It is run with these arguments, and ends with one of these codes.
    With(Vec<String>, &'static [i32]),
    /// It would take minutes, or load a service that is not there.
    ReadOnly,
}

fn breakpoint(folder: &Path, args: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.args(args).current_dir(folder).env("CI", "true");
    command.output().unwrap()
}

/// Every example with its command.
fn examples() -> Vec<String> {
    let mut root = Cli::command();
    root.build();
    let texts = root.get_subcommands().filter_map(|c| c.get_after_help());
    let all = root.get_after_help().into_iter().chain(texts);
    let all = all.map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let lines = all
        .lines()
        .filter_map(|l| l.trim_start().strip_prefix("breakpoint "));
    // Three blanks, and the words that explain it.
    let alone = |l: &str| l.split("   ").next().unwrap_or_default().trim().to_owned();
    lines.map(alone).collect()
}

/// Words as a shell reads them, as far as the examples go: blanks, single quotes, and where the
/// output goes.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" > ").next().unwrap_or_default();
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars().chain([' ']) {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => {
                words.extend(Some(std::mem::take(&mut word)).filter(|w| !w.is_empty()));
            }
            c => word.push(c),
        }
    }
    assert!(!quoted, "{line}");
    words
}

/// How an example is run: a search as its plan, which says everything but sends nothing.
fn how(words: &[String]) -> Run {
    let has = |flag: &str| words.iter().any(|w| w == flag);
    let replaced = |from: &str, to: &str| {
        let all = words
            .iter()
            .map(|w| if w == from { to } else { w }.to_owned());
        all.collect::<Vec<_>>()
    };
    match words[0].as_str() {
        "find" => Run::With(replaced("find", "plan"), &[0]),
        // `tests/program/script.rs` follows stages of a script.
        "ramp" if has("--script") => Run::ReadOnly,
        "ramp" if words[1].starts_with("--") => {
            let quick = |w: &String| w.replace(":30s", ":1s").replace(":1m", ":1s");
            let mut args: Vec<String> = words.iter().map(quick).collect();
            args.extend(["--out".to_owned(), "ramps".to_owned()]);
            Run::With(args, &[0])
        }
        // Three systems or more take minutes.
        "lab" if words.len() > 2 && !words[1].starts_with(['-', '.']) => {
            Run::With(replaced("200", "1"), &[0])
        }
        "compare" if has("--repeat") => Run::ReadOnly,
        // A comparison that cannot be made is an answer too: the runs here are one run under
        // several names.
        "compare" => Run::With(words.to_vec(), &[0, 3]),
        // The populations of an example are nobody's.
        "try" if has("--population") => Run::ReadOnly,
        // Whether somebody is there is not the question.
        "try" => Run::With(words.to_vec(), &[0, 5]),
        // `tests/program/resume.rs` resumes; a worker waits for a master.
        // `tests/program/scale.rs` sizes a server.
        "ramp" | "lab" | "resume" | "scale" | "worker" => Run::ReadOnly,
        "init" | "report" | "completions" | "man" | "locust-plugin" => {
            Run::With(words.to_vec(), &[0])
        }
        other => panic!("how is an example of `{other}` run?"),
    }
}

/// What the examples name: a profile, and runs.
fn furnish(folder: &Path, words: &[String]) {
    let paths = words[1..].iter().take_while(|w| !w.starts_with("--"));
    match words[0].as_str() {
        "report" | "compare" => paths.for_each(|path| copy(Path::new(EXAMPLE), &folder.join(path))),
        // Each writes the same file, and reads one that is there.
        "init" => {
            fs::remove_file(folder.join("breakpoint.toml")).ok();
            let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
            for (from, to) in [
                ("shop.har", "shop.har"),
                ("items-openapi.json", "openapi.json"),
                ("shop-postman.json", "collection.json"),
            ] {
                fs::copy(recorded.join(from), folder.join(to)).unwrap();
            }
        }
        "find" | "try" if !folder.join("mine.toml").exists() => {
            let init = [
                "init",
                "--url",
                "http://127.0.0.1:8080",
                "--out",
                "mine.toml",
            ];
            let made = breakpoint(folder, &init.map(str::to_owned));
            assert_eq!(made.status.code(), Some(0), "{made:?}");
            let script = "export const options = { thresholds: { http_req_failed: ['rate<0.01'] } \
                          };\nexport default function () { }\n";
            fs::write(folder.join("script.js"), script).unwrap();
        }
        _ => {}
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::copy(from.join("result.json"), to.join("result.json")).unwrap();
}

#[test]
fn every_example_of_the_help_is_one_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let examples = examples();
    assert!(examples.len() >= 20, "{examples:#?}");
    let mut run = 0;
    for example in &examples {
        let words = words(example);
        let typed = ["breakpoint".to_owned()]
            .into_iter()
            .chain(words.iter().cloned());
        if let Err(error) = Cli::try_parse_from(typed) {
            panic!("breakpoint {example}\n{error}");
        }
        furnish(folder.path(), &words);
        let Run::With(args, codes) = how(&words) else {
            continue;
        };
        let output = breakpoint(folder.path(), &args);
        let code = output.status.code().unwrap_or(-1);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            codes.contains(&code),
            "breakpoint {example} ended with {code}\n{error}"
        );
        assert!(
            !output.stdout.is_empty(),
            "breakpoint {example} said nothing"
        );
        run += 1;
    }
    assert!(run >= 15, "{run} of {} were run", examples.len());
}

#[test]
fn every_command_has_a_manual_page_and_every_shell_its_completions() {
    let folder = tempfile::tempdir().unwrap();
    let args = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let made = breakpoint(folder.path(), &args(&["man", "--out", "man"]));
    assert_eq!(made.status.code(), Some(0));
    for command in Cli::command()
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
    {
        let name = format!("breakpoint-{}.1", command.get_name());
        let page = fs::read_to_string(folder.path().join("man").join(&name)).unwrap();
        assert!(
            page.contains(".SH NAME") && page.contains(".SH OPTIONS"),
            "{name}: {page}"
        );
    }
    let main = fs::read_to_string(folder.path().join("man/breakpoint.1")).unwrap();
    assert!(main.contains("breakpoint\\-find(1)"), "{main}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = breakpoint(folder.path(), &args(&["completions", shell])).stdout;
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("remote-write"), "{shell}: {script}");
    }
}
