//! The k6 scripts that come with the program: each is run by it as its users would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::script_shop::Shop;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/scripts")
}

/// All scripts that are run by themselves.
fn scripts() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().flatten();
    let names = files.map(|f| f.file_name().to_string_lossy().into_owned());
    let is_script = |name: &String| {
        let path = Path::new(name);
        path.extension().is_some_and(|e| e == "js" || e == "ts")
    };
    let mut names: Vec<String> = names.filter(is_script).collect();
    names.sort();
    names
}

fn breakpoint(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// One iteration of a script with its checks, against a shop of its own.
fn tried(name: &str) -> (Shop, String, Option<i32>) {
    let shop = Shop::open();
    let script = folder().join(name).display().to_string();
    let base = format!("BASE_URL={}", shop.url());
    let output = breakpoint(&["try", "--script", &script, "-e", &base]);
    (shop, said(&output), output.status.code())
}

#[test]
fn the_list_of_the_scripts_is_whole() {
    let list = fs::read_to_string(folder().join("README.md")).unwrap();
    let scripts = scripts();
    assert!(scripts.len() >= 20, "{scripts:?}");
    for name in scripts {
        assert!(
            list.contains(&format!("| `{name}` |")),
            "{name} is not in the list"
        );
    }
}

#[test]
fn a_check_that_fails_fails_the_look_and_an_endless_script_ends() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("bad.js");
    let shop = Shop::open();
    let base = format!("BASE_URL={}", shop.url());
    let look = |text: &str| {
        fs::write(&script, text).unwrap();
        let output = breakpoint(&[
            "try",
            "--script",
            &script.display().to_string(),
            "-e",
            &base,
        ]);
        (said(&output), output.status.code())
    };
    let (told, code) = look(
        "import http from 'k6/http'; import { check } from 'k6';\n\
         export default () => check(http.get(`${__ENV.BASE_URL}/`), {\n\
         'is 201': (r) => r.status === 201, 'is 200': (r) => r.status === 200 });",
    );
    assert_eq!(code, Some(5), "{told}");
    assert!(
        told.contains("check failed: is 201") && told.contains("check: is 200"),
        "{told}"
    );
    let (told, code) = look("export default () => { for (;;) try { for (;;); } finally {} }");
    assert_eq!(code, Some(5), "{told}");
    assert!(
        told.contains("without waiting") && told.contains("bad.js:1"),
        "{told}"
    );
}

#[test]
fn every_script_passes_with_all_of_its_checks() {
    let mut failed = Vec::new();
    for name in scripts() {
        let (shop, said, code) = tried(&name);
        if code != Some(0) {
            failed.push(format!("--- {name}: {code:?}\n{said}"));
        }
        if shop.asked().is_empty() {
            failed.push(format!("--- {name} asked for nothing\n{said}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
