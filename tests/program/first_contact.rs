//! Before a profile's first load: its commands need consent, and what will be sent is shown, both
//! once.

use std::fs;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::target_server::Server;
use nix::pty::openpty;

/// A ramp of two seconds with commands that leave a trace.
struct Folder {
    folder: tempfile::TempDir,
    server: Server,
}

const COMMANDS: &str = "up = 'echo up >> ran'\ndown = 'echo down >> ran'\n";

impl Folder {
    fn new(commands: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start();
        let text = format!(
            "slo = ['errors<50%']\n[target]\nurl = '{}'\n{commands}\
             [scenario]\n[[scenario.steps]]\nname = 'ask'\npost = '/ask?token=s3cret&user={{{{ vu }}}}'\n\
             [[scenario.steps]]\nthink = '100ms'\n",
            server.url()
        );
        fs::write(folder.path().join("mine.toml"), text).unwrap();
        Self { folder, server }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
        command
            .args(["ramp", "mine.toml", "--stages", "2:2s", "--out", "reports"])
            .args(args)
            .current_dir(self.path())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    fn ramp(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The commands that ran.
    fn ran(&self) -> String {
        fs::read_to_string(self.path().join("ran")).unwrap_or_default()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn commands_run_only_when_they_were_agreed_to_and_again_when_the_profile_changes() {
    let it = Folder::new(COMMANDS);
    let refused = it.ramp(&[]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    for part in [
        "up       echo up >> ran",
        "down     echo down >> ran",
        "add `--yes`",
    ] {
        assert!(said(&refused).contains(part), "{}", said(&refused));
    }
    assert_eq!(it.ran(), "");
    assert!(it.server.begun().is_empty());

    let agreed = it.ramp(&["--yes"]);
    assert_eq!(agreed.status.code(), Some(0), "{}", said(&agreed));
    assert!(
        said(&agreed).contains("echo up >> ran"),
        "it is shown all the same"
    );
    assert_eq!(it.ran(), "up\ndown\n");

    let again = it.ramp(&[]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert!(!said(&again).contains("echo up >> ran"), "{}", said(&again));
    assert_eq!(it.ran(), "up\ndown\nup\ndown\n");

    let file = it.path().join("mine.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("echo down", "echo out")).unwrap();
    let changed = it.ramp(&[]);
    assert_eq!(changed.status.code(), Some(2), "{}", said(&changed));
    assert_eq!(it.ran(), "up\ndown\nup\ndown\n");
}

#[test]
fn what_cannot_be_remembered_is_told_and_the_run_goes_on() {
    let it = Folder::new(COMMANDS);
    let mut command = it.command(&["--yes"]);
    command.env("XDG_STATE_HOME", it.path().join("mine.toml"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("cannot write ") && text.contains("will ask"),
        "{text}"
    );
    assert_eq!(it.ran(), "up\ndown\n");
}

#[test]
fn the_first_load_shows_what_will_be_sent_without_its_secrets() {
    let it = Folder::new("");
    let first = it.ramp(&[]);
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    let text = said(&first);
    let url = it.server.url();
    for part in [
        &format!("first load on {url} by this profile:"),
        &format!("POST   {url}/ask?token=***&user={{{{ vu }}}}"),
        "0 up to 2 VUs, as set by the stages",
        "at most 5 min 44 s (2 s of stages; the rest is for the target to start, recover, and \
         drain)",
    ] {
        assert!(text.contains(part), "no `{part}`:\n{text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
    let second = it.ramp(&[]);
    assert!(!said(&second).contains("first load"), "{}", said(&second));
    let elsewhere = Server::start();
    let third = it.ramp(&["--url", &elsewhere.url()]);
    assert!(said(&third).contains("first load"), "another target");
}

/// Runs on a terminal whose user answers.
fn asked(mut command: Command, answer: &str) -> (Option<i32>, String) {
    let pty = openpty(None, None).unwrap();
    command
        .stdin(Stdio::from(pty.slave.try_clone().unwrap()))
        .stderr(Stdio::from(pty.slave))
        .stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut master = File::from(pty.master);
    let mut shown = String::new();
    let mut bytes = [0; 4096];
    let mut answered = false;
    while let Ok(n @ 1..) = master.read(&mut bytes) {
        shown.push_str(&String::from_utf8_lossy(&bytes[..n]));
        if shown.contains("[y/N]") && !answered {
            master.write_all(answer.as_bytes()).unwrap();
            answered = true;
        }
    }
    (child.wait().unwrap().code(), shown)
}

#[test]
fn a_terminal_is_asked() {
    let it = Folder::new(COMMANDS);
    for no in ["n\n", "\n", "nonsense\n"] {
        let (code, shown) = asked(it.command(&[]), no);
        assert_eq!(code, Some(2), "{shown}");
        assert!(
            shown.contains("nothing was run and nothing was sent"),
            "{shown}"
        );
    }
    assert_eq!(it.ran(), "");
    let (code, shown) = asked(it.command(&[]), "y\n");
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(it.ran(), "up\ndown\n");
    assert_eq!(it.ramp(&[]).status.code(), Some(0), "it is remembered");
}
