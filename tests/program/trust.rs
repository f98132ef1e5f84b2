//! A folder, a profile or a journal of somebody else harms nobody: docs/faults.md, "What is
//! trusted".

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::target_server::Server;
use breakpoint::journal::{self, Head, JOURNAL_VERSION};

/// A place with a folder of somebody else, and this user's state.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.theirs()).unwrap();
        fs::create_dir(place.path().join("here")).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn theirs(&self) -> PathBuf {
        self.path().join("theirs")
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.theirs().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program that leaves a trace.
    fn put_program(&self, name: &str) {
        self.put(
            name,
            "#!/bin/sh\necho \"$0\" >> \"$(dirname \"$0\")/ran\"\n",
        );
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.theirs().join(name), executable).unwrap();
    }

    /// Whether any of them ran.
    fn ran(&self) -> bool {
        let ran = ["ran", "stack/ran", "profiles/ran"].map(|ran| self.theirs().join(ran));
        ran.iter().any(|ran| ran.exists())
    }

    /// The folder of a run with a journal in which this was typed.
    fn journal(&self, profile: &str, text: Option<&str>, typed: &[&str]) -> String {
        let head = Head {
            journal_version: JOURNAL_VERSION,
            breakpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
            profile: profile.to_owned(),
            started_at: "2026-11-26T00:00:00Z".to_owned(),
            folder: self.theirs().display().to_string(),
            command: typed.iter().map(|t| (*t).to_owned()).collect(),
            profile_crc32: text.map(|t| journal::crc32(t.as_bytes())),
            script_crc32: None,
        };
        let run = self.theirs().join("run");
        fs::create_dir_all(&run).unwrap();
        fs::write(
            run.join("journal.jsonl"),
            journal::head_line(&head).unwrap(),
        )
        .unwrap();
        run.display().to_string()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
        command
            .args(args)
            .current_dir(self.path().join("here"))
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("CI", "true")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs, and checks the exit code; what was said.
    fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{said}");
        said
    }
}

fn profile(server: &Server, commands: &str) -> String {
    format!(
        "name = 'p'\nslo = ['errors<50%']\n[target]\nurl = '{}'\n{commands}\n[search]\nbudget = '20s'\n\
         [scenario]\n[[scenario.steps]]\nname = 'ask'\nget = '/ask'\n[[scenario.steps]]\nthink = '100ms'\n",
        server.url()
    )
}

/// A profile's name and text, what was typed, and what is to be typed now.
type Case<'a> = (&'a str, Option<&'a str>, Vec<&'a str>, &'a [&'a str]);

#[test]
fn a_journal_of_another_runs_nothing_loads_nothing_and_says_what_to_type() {
    let place = Place::new();
    let server = Server::start();
    let url = server.url();
    let text = profile(&server, "up = 'echo up >> ran'\ndown = 'echo down >> ran'");
    place.put("p.toml", &text);
    place.put("s.js", "export default function () {}");
    place.put_program("evil-k6");
    let evil = place.theirs().join("evil-k6").display().to_string();
    let slo = ["--slo", "errors<50%", "--budget", "20s"];
    let with = |more: &[&'static str]| [&["find"][..], &slo, more].concat();
    let url_flag: &'static str = Box::leak(url.clone().into_boxed_str());
    let evil_flag: &'static str = Box::leak(evil.clone().into_boxed_str());
    let cases: [Case; 8] = [
        (
            "p",
            Some(&text),
            vec!["find", "p.toml", "--yes"],
            &["--yes"],
        ),
        (
            "p",
            Some(&text),
            vec!["find", "--profile=p.toml", "--yes"],
            &["--yes"],
        ),
        ("x", None, with(&["--url", url_flag]), &["--url", url_flag]),
        (
            "x",
            None,
            with(&["--url", "http://192.0.2.1/", "--allow-target=192.0.2.1"]),
            &["--url http://192.0.2.1/", "--allow-target 192.0.2.1"],
        ),
        (
            "k6-s",
            None,
            with(&["--script", "s.js", "--k6", evil_flag]),
            &["--script s.js", "--k6"],
        ),
        (
            "x",
            None,
            with(&["--engine", "locust", "--locust-url", url_flag]),
            &["--engine locust", "--locust-url"],
        ),
        (
            "x",
            None,
            with(&[
                "--url",
                "https://127.0.0.1:1/",
                "-k",
                "--cert",
                "/etc/hostname",
            ]),
            &["--insecure", "--cert /etc/hostname"],
        ),
        (
            "x",
            None,
            with(&["--url", "http://127.0.0.1:1/$(id)\u{1b}[2K"]),
            &["'http://127.0.0.1:1/$(id)\\u{1b}[2K'"],
        ),
    ];
    for (name, text, typed, wanted) in cases {
        let run = place.journal(name, text, &typed);
        let said = place.ends(2, &["resume", &run]);
        for part in wanted {
            assert!(said.contains(part), "{typed:?}: no `{part}`:\n{said}");
        }
        assert!(
            said.contains(&format!("breakpoint resume {run} ")),
            "{said}"
        );
        assert!(!place.ran(), "{typed:?}");
        assert!(server.begun().is_empty(), "{typed:?}");
        assert!(!said.contains('\u{1b}'), "{said}");
    }
    // One of several is not enough.
    let both = ["--url", &url, "--allow-target", "h"];
    let run = place.journal("x", None, &[&["find"][..], &slo, &both].concat());
    let said = place.ends(2, &["resume", &run, "--url", &url]);
    assert!(
        said.contains("--allow-target h") && !said.contains("--url"),
        "{said}"
    );
    assert!(server.begun().is_empty());
}

#[test]
fn what_a_journal_of_another_has_typed_is_shown_whole_or_not_at_all() {
    let place = Place::new();
    // The quotes of a text that is cut no longer fit: a shell would read what follows as commands.
    let long = format!("http://127.0.0.1:1/{}'", "a".repeat(300));
    let evil = "; touch pwned; '";
    let slo = ["--slo", "errors<50%"];
    let run = place.journal(
        "x",
        None,
        &[&["find", "--url", &long, "--allow-target", evil][..], &slo].concat(),
    );
    let said = place.ends(2, &["resume", &run]);
    assert!(said.contains(&"a".repeat(300)), "{said}");
    let (_, typed) = said.split_once("To continue: ").unwrap();
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            &format!("breakpoint() {{ printf '%s\\n' \"$@\"; }}; {typed}"),
        ])
        .current_dir(place.path());
    let words = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    assert!(!place.path().join("pwned").exists());
    let words: Vec<&str> = words.lines().collect();
    assert_eq!(
        words,
        ["resume", &run, "--url", &long, "--allow-target", evil]
    );
    let url = |url: &str| place.journal("x", None, &[&["find", "--url", url][..], &slo].concat());
    let said = place.ends(2, &["resume", &url(&"a".repeat(5000))]);
    assert!(said.contains("too long to show"), "{said}");
    assert!(!said.contains("To continue"), "{said}");
    let said = place.ends(2, &["resume", &url("http://h/\u{202e}a\nb  c")]);
    assert!(said.contains(r"--url 'http://h/\u{202e}a\nb  c'"), "{said}");
}

#[test]
fn a_journal_of_another_goes_on_with_what_is_typed_now() {
    let place = Place::new();
    let ours = Server::start();
    let url = ours.url();
    let typed = [
        "find",
        "--url",
        &url,
        "--slo",
        "errors<50%",
        "--budget",
        "20s",
    ];
    let name = url.strip_prefix("http://").unwrap().replace(':', "-");
    let run = place.journal(&name, None, &typed);
    let args = ["resume", &run, "--url", &url, "--max-time", "2s", "--quiet"];
    let output = place.run(&args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(99), "{said}");
    assert!(!ours.begun().is_empty());

    // With a profile: `--yes` agrees to its commands, or it is named where it is here.
    let text = profile(&ours, "up = 'echo up >> ran'");
    place.put("p.toml", &text);
    let run = place.journal("p", Some(&text), &["find", "p.toml"]);
    place.ends(
        99,
        &["resume", &run, "--yes", "--max-time", "2s", "--quiet"],
    );
    assert!(place.ran());
    let here = place.path().join("here");
    fs::write(here.join("p.toml"), &text).unwrap();
    let args = ["resume", &run, "--profile", "p.toml"];
    let said = place.ends(2, &args);
    assert!(
        said.contains("echo up >> ran") && said.contains("`--yes`"),
        "{said}"
    );
    assert!(!here.join("ran").exists());
}

#[test]
fn a_search_that_was_begun_here_goes_on_without_its_flags_and_a_changed_head_is_another_s() {
    let place = Place::new();
    let server = Server::start();
    let url = server.url();
    let out = place.path().join("out").display().to_string();
    let find = [
        "find",
        "--url",
        &url,
        "--slo",
        "errors<50%",
        "--budget",
        "20s",
        "--max-time",
        "2s",
        "--quiet",
        "--out",
        &out,
    ];
    place.ends(99, &find);
    let profile = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let run = fs::read_dir(profile)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let dir = run.display().to_string();
    place.ends(99, &["resume", &dir, "--quiet"]);
    // The same with one flag more, and a checksum that fits.
    let path = run.join("journal.jsonl");
    let mut head = journal::read(&fs::read(&path).unwrap()).unwrap().head;
    head.command
        .extend(["--allow-target".to_owned(), "192.0.2.1".to_owned()]);
    fs::write(&path, journal::head_line(&head).unwrap()).unwrap();
    let said = place.ends(2, &["resume", &dir, "--quiet"]);
    assert!(said.contains("--allow-target 192.0.2.1"), "{said}");
}

#[test]
fn a_report_is_written_beside_links_that_were_planted_and_not_through_them() {
    let place = Place::new();
    let precious = place.path().join("precious");
    let example = Path::new("reports/example");
    for entry in fs::read_dir(example).unwrap().flatten() {
        fs::write(&precious, "mine").unwrap();
        let name = entry.file_name().into_string().unwrap();
        for planted in [name.clone(), format!("{name}.part")] {
            let run = place.theirs().join(&planted);
            fs::create_dir(&run).unwrap();
            let mut record = fs::read(example.join("result.json")).unwrap();
            if planted == "result.json" {
                // It is read through the link.
                record.push(b'\n');
                fs::write(&precious, &record).unwrap();
            } else {
                fs::write(run.join("result.json"), record).unwrap();
            }
            symlink(&precious, run.join(&planted)).unwrap();
            let before = fs::read(&precious).unwrap();
            place.ends(0, &["report", run.to_str().unwrap()]);
            assert!(fs::read(&precious).unwrap() == before, "{planted}");
            assert!(!run.join(&name).is_symlink(), "{planted}");
        }
    }
}

/// Waits until a look shows something.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited in vain for {what}");
}

fn only(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .flatten()
        .next()
        .map(|e| e.path())
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-s", name, &id]).status();
    assert!(killed.unwrap().success());
}

#[test]
fn a_folder_that_is_swapped_during_a_run_gets_no_file() {
    let place = Place::new();
    let server = Server::start();
    let url = server.url();
    let home = place.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("report.md"), "mine").unwrap();
    let out = place.path().join("out");
    let args = [
        "find",
        "--url",
        &url,
        "--slo",
        "errors<50%",
        "--budget",
        "20s",
        "--out",
        out.to_str().unwrap(),
    ];
    let (mut find, run) = loading(place.command(&args), &server, &out);
    let aside = place.path().join("aside");
    fs::rename(&run, &aside).unwrap();
    symlink(&home, &run).unwrap();
    signal(&find, "INT");
    find.wait().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut find.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(fs::read(home.join("report.md")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(&home).unwrap().count(), 1, "{said}");
    assert!(aside.join("result.json").is_file());
    let told = aside.canonicalize().unwrap().display().to_string();
    assert!(
        said.contains("was moved or replaced") && said.contains(&told),
        "{said}"
    );
}

#[test]
fn consent_is_of_the_text_its_folder_and_the_files_that_its_commands_name() {
    let place = Place::new();
    let server = Server::start();
    let text = profile(&server, "up = './start.sh'");
    place.put("p.toml", &text);
    place.put_program("start.sh");
    let in_theirs = |args: &[&str]| {
        let output = place
            .command(args)
            .current_dir(place.theirs())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let short = ["ramp", "p.toml", "--stages", "1:1s", "--quiet"];
    let with_yes = [&short[..], &["--yes"]].concat();
    let (code, said) = in_theirs(&short);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("start.sh") && !place.ran(), "{said}");
    assert_eq!(in_theirs(&with_yes).0, Some(0));
    assert_eq!(in_theirs(&short).0, Some(0), "agreed to");
    fs::remove_file(place.theirs().join("ran")).unwrap();

    // Another file of that name.
    let file = place.theirs().join("start.sh");
    let other = fs::read_to_string(&file).unwrap() + "# other\n";
    fs::write(&file, other).unwrap();
    let (code, said) = in_theirs(&short);
    assert_eq!(code, Some(2), "{said}");
    assert!(!place.ran());
    place.put_program("start.sh");
    assert_eq!(in_theirs(&short).0, Some(0), "it is what it was");
    fs::remove_file(place.theirs().join("ran")).unwrap();

    // The same text and the same file in another folder.
    let elsewhere = place.path().join("elsewhere");
    fs::rename(place.theirs(), &elsewhere).unwrap();
    let output = place
        .command(&short)
        .current_dir(&elsewhere)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!elsewhere.join("ran").exists());
    // A link to that folder is not the folder that was agreed to either.
    symlink(&elsewhere, place.theirs()).unwrap();
    assert_eq!(in_theirs(&short).0, Some(2));
}

#[test]
fn a_host_that_a_profile_alone_names_is_loaded_only_when_that_was_agreed_to() {
    let place = Place::new();
    let text = |hosts: &str| {
        format!(
            "slo = ['errors<50%']\n[target]\nurl = 'http://far.test/'\nallow = [{hosts}]\nresolve = ['far.test:80:127.0.0.1,192.0.2.1']\n\
             [scenario]\ntimeout = '100ms'\n[[scenario.steps]]\nname = 'ask'\nget = '/'\nheaders = {{ a = '{{{{ env.HOME }}}}' }}\n"
        )
    };
    let file = place.theirs().join("p.toml").display().to_string();
    let tried = |more: &[&str]| {
        let output = place.run(&[&["try", &file], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code() != Some(2), said)
    };
    place.put("p.toml", &text("'far.test'"));
    let (loads, said) = tried(&[]);
    assert!(!loads, "{said}");
    // All that a yes agrees to is shown at once.
    for part in ["host     far.test", "`HOME`", "--allow-target", "--yes"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for command in [
        &["find", &file][..],
        &["ramp", &file, "--stages", "1:1s"],
        &["worker", &file, "--master", "127.0.0.1:1"],
    ] {
        let said = place.ends(2, command);
        assert!(said.contains("host     far.test"), "{command:?}: {said}");
    }
    // Who is named by whoever types is no question of the profile's.
    let (_, said) = tried(&["--allow-target", "far.test"]);
    assert!(!said.contains("host     far.test"), "{said}");
    let (loads, said) = tried(&["--yes"]);
    assert!(loads && said.contains("host     far.test"), "{said}");
    assert!(tried(&[]).0, "it was agreed to");
    // What was typed then is not typed now, and another host is another.
    place.put("p.toml", &text("'far.test', 'further.test'"));
    let (loads, said) = tried(&[]);
    assert!(!loads && said.contains("further.test"), "{said}");
    // This machine is nobody's consent.
    let here = text("'127.0.0.1', '::1'").replace("far.test/", "127.0.0.1:1/");
    place.put("p.toml", &here);
    assert!(tried(&[]).0);
}

#[test]
fn a_profile_that_comes_with_the_program_runs_nothing_of_a_folder_unasked() {
    let place = Place::new();
    place.put_program("stack/stack");
    fs::create_dir(place.theirs().join("profiles")).unwrap();
    for name in ["gateway-512mb", "redis-512mb"] {
        for command in ["find", "ramp", "try"] {
            let stages: &[&str] = if command == "ramp" {
                &["--stages", "1:1s"]
            } else {
                &[]
            };
            let output = place
                .command(&[&[command, name][..], stages].concat())
                .current_dir(place.theirs())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains("stack/stack up") && !place.ran(), "{said}");
        }
    }
}

/// Runs with its standard output somewhere else, as a shell does it.
fn to(place: &Place, sink: &str, args: &[&str]) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_breakpoint");
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &format!("\"$@\" {sink}"), "sh", program])
        .args(args)
        .env("XDG_STATE_HOME", place.path().join("state"))
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = shell.output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn what_cannot_be_printed_is_no_success_and_a_reader_that_has_enough_is_none_of_that() {
    let place = Place::new();
    for args in [
        &["report", "reports/example", "--format", "md"][..],
        &["report", "reports/example", "--format", "json"],
        &["plan", "demo"],
        &["try", "demo"],
        &["completions", "bash"],
        &["locust-plugin"],
        &[
            "lab",
            "a",
            "--runs",
            "1",
            "--out",
            place.path().to_str().unwrap(),
        ],
        &["find", "--help"],
        &["--version"],
    ] {
        let (code, said) = to(&place, "> /dev/full", args);
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains("cannot write to standard output"), "{said}");
        assert_eq!(to(&place, "> /dev/null", args).0, Some(0), "{args:?}");
        assert_eq!(
            to(&place, "| head -c 5; exit ${PIPESTATUS[0]}", args).0,
            Some(0),
            "{args:?}"
        );
        if args[0] == "lab" {
            continue;
        }
        let (code, said) = to(&place, ">&-", args);
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains("standard output is closed"), "{said}");
    }
}

/// Starts a command that loads, and waits until it does; gives the process and its run's folder in
/// `out`.
fn loading(mut command: Command, server: &Server, out: &Path) -> (Child, PathBuf) {
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let process = command.spawn().unwrap();
    let run = wait_for("the run's folder", || only(&only(out)?));
    wait_for("the load", || (!server.begun().is_empty()).then_some(()));
    (process, run)
}

#[test]
fn reports_that_are_not_where_they_were_wanted_are_no_success() {
    let place = Place::new();
    let server = Server::start();
    let out = place.path().join("out");
    let text = profile(&server, "");
    fs::write(place.path().join("here/p.toml"), text).unwrap();
    let args = [
        "ramp",
        "p.toml",
        "--stages",
        "1:2s",
        "--out",
        out.to_str().unwrap(),
    ];
    let (mut ramp, run) = loading(place.command(&args), &server, &out);
    fs::remove_dir_all(run).unwrap();
    let code = ramp.wait().unwrap().code();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut ramp.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(code, Some(1), "{said}");
    let there = std::env::temp_dir().join("breakpoint-p");
    assert!(said.contains("cannot write"), "{said}");
    let _ = fs::remove_dir_all(there);
}

#[test]
fn the_default_folder_for_reports_is_no_link() {
    let place = Place::new();
    let server = Server::start();
    let home = place.path().join("home");
    fs::create_dir(&home).unwrap();
    let here = place.path().join("here");
    fs::write(here.join("p.toml"), profile(&server, "")).unwrap();
    symlink(&home, here.join("reports")).unwrap();
    let args = ["ramp", "p.toml", "--stages", "1:1s"];
    let said = place.ends(2, &args);
    assert!(said.contains("`reports` is a link"), "{said}");
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    // Nor is one below it, whatever is typed; what is typed itself may be one.
    symlink(place.theirs(), home.join("p")).unwrap();
    let typed = [&args[..], &["--out", "./reports"]].concat();
    let said = place.ends(2, &typed);
    assert!(said.contains("`p` is a link"), "{said}");
    assert_eq!(fs::read_dir(place.theirs()).unwrap().count(), 0);
    fs::remove_file(home.join("p")).unwrap();
    place.ends(0, &typed);
    assert!(home.join("p").is_dir());
}
