//! What is asked of a script that k6 runs before any load, which needs no k6: plans, consent,
//! errors, profiles made of scripts. And runs with a stand-in that repeat no secret.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// No such program is there, and none is needed.
const K6: &str = "/no/such/k6";

const OPTIONS: &str = "import http from 'k6/http';
export const options = {
  thresholds: {
    'http_req_duration{name:work}': ['p(95)<500'],
    http_req_failed: ['rate<0.01'],
    checks: ['rate>0.9'],
  },
  rps: 50,
  scenarios: {
    a: { executor: 'constant-vus', duration: '1m', vus: 30, exec: 'browse' },
    b: { executor: 'constant-vus', duration: '1m', vus: 10, exec: 'buy' },
  },
};
export function browse() {}
export function buy() {}
";

/// A folder with a script.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(script: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put("script.js", script);
        folder
    }

    fn with_options() -> Self {
        Self::new(OPTIONS)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
        command
            .args(args)
            .current_dir(self.path())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// With the exit code that it must have; what was printed and said.
    fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{text}");
        text
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn the_plan_tells_the_engine_its_functions_and_what_becomes_of_thresholds() {
    let it = Folder::with_options();
    let text = it.ends(0, &["plan", "--script", "script.js", "--engine", "k6"]);
    has(
        &text,
        &[
            "profile      k6-script\n",
            "target       what the script of k6 loads\n",
            "engine       k6 with script.js\n",
            "functions    browse=3  buy=1\n",
            "SLO          p95(work)<500ms  errors<1%\n",
            "1 to 2 000 VUs",
            "`checks: rate>0.9` (line 6: checks are not seen",
            "`rps` (50) (line 8) is ignored",
            "memory       about 564 MiB for the generator",
        ],
    );
    let args = [
        "plan",
        "--script",
        "script.js",
        "--k6",
        K6,
        "--slo",
        "p(99)<2000",
        "--k6-exec",
        "buy=1",
    ];
    let text = it.ends(0, &args);
    has(
        &text,
        &[
            "SLO          p(99)<2000\n",
            "functions    buy=1\n",
            "3 thresholds are not used",
        ],
    );
}

/// Scripts in the manner of public ones, which only k6 can run.
const ONLY_K6: [(&str, &str, &[&str]); 3] = [
    (
        "import { Client, StatusOK } from 'k6/net/grpc';
import { check, sleep } from 'k6';

const client = new Client();
client.load(['definitions'], 'hello.proto');

export const options = { vus: 3, duration: '1m', thresholds: { grpc_req_duration: ['p(95)<200'] } };

export default () => {
  client.connect('127.0.0.1:50051', { plaintext: true });
  const response = client.invoke('hello.HelloService/SayHello', { greeting: 'Bert' });
  check(response, { ok: (r) => r && r.status === StatusOK });
  client.close();
  sleep(1);
};
",
        "script.js:1: `k6/net/grpc` cannot be imported: gRPC is not supported; use --engine k6",
        &["SLO          p95<200ms\n", "functions    default=1\n"],
    ),
    (
        "import { check } from 'https://jslib.k6.io/k6-utils/1.5.0/index.js';
import { browser } from 'k6/browser';

export const options = {
  scenarios: {
    ui: { executor: 'shared-iterations', exec: 'shop', options: { browser: { type: 'chromium' } } },
  },
  thresholds: { browser_web_vital_lcp: ['p(90) < 1000'], browser_http_req_failed: ['rate<0.05'] },
};

export async function shop() {
  const page = await browser.newPage();
  await page.goto('http://127.0.0.1:8080/');
  await page.close();
}
",
        "script.js:2: `k6/browser` cannot be imported: browsers are not supported; use --engine k6",
        &[
            "SLO          errors<5%\n",
            "functions    shop=1\n",
            "`browser_web_vital_lcp: p(90) < 1000` (line 8: ",
            "1 to 20 VUs",
            "may start one for each VU up to --max-vus",
        ],
    ),
    (
        "import sql from 'k6/x/sql';
import driver from 'k6/x/sql/driver/sqlite3';

const db = sql.open(driver, './test.db');
export const options = { iterations: 10, vsu: 2, thresholds: { iteration_duration: ['med<50'] } };
export function setup() { db.exec('CREATE TABLE t (id integer)'); }
export default function () { for (const row of db.query('SELECT 1')) console.log(row); }
",
        "script.js:2: `k6/x/sql/driver/sqlite3` cannot be imported: extensions",
        &[
            "SLO          p50(iteration)<50ms\n",
            "functions    default=1\n",
        ],
    ),
];

#[test]
fn scripts_that_only_k6_can_run_have_plans_without_it() {
    for (script, refused, parts) in ONLY_K6 {
        let it = Folder::new(script);
        has(
            &it.ends(0, &["plan", "--script", "script.js", "--engine", "k6"]),
            parts,
        );
        let text = it.ends(2, &["plan", "--script", "script.js"]);
        has(
            &text,
            &["cannot run script.js: script.js:", refused, "--engine k6"],
        );
    }
}

#[test]
fn without_a_k6_that_can_be_used_the_way_out_is_told() {
    let it = Folder::with_options();
    let with = |k6: &str| it.ends(2, &["find", "--script", "script.js", "--k6", k6, "--quiet"]);
    has(
        &with("./no-such-k6"),
        &[
            "k6 was not found (`./no-such-k6`)",
            "install-k6",
            "--k6 PATH",
        ],
    );
    has(
        &with("./script.js"),
        &["`./script.js` cannot be run as k6", "ermission denied"],
    );
    has(
        &with("echo"),
        &[
            "`echo` cannot be used",
            "it does not identify itself as k6 but says: version",
        ],
    );
}

#[test]
fn a_script_that_is_missing_throws_or_runs_nothing_is_told() {
    let it = Folder::new("\nexport const options = { vus: x };\n");
    let plan = |script: &str| it.ends(2, &["plan", "--script", script, "--engine", "k6"]);
    has(
        &plan("script.js"),
        &[
            "cannot read the options of script.js: script.js:2",
            "x is not defined",
        ],
    );
    has(
        &plan("none.js"),
        &[
            "cannot read the script none.js: No such file",
            "--script FILE",
        ],
    );
    let text = it.ends(2, &["plan", "--engine", "k6"]);
    has(&text, &["--engine k6: the engine `k6` needs a script"]);
    for (script, parts) in [
        (
            "export const options = {\n  vus: 'many',\n};\n",
            &["script.js:2: the script's option `vus` is \"many\"; it must be a whole number"][..],
        ),
        (
            "export const options = { thresholds: {\n http_reqs: [\n  'rate>1', 'p(95)<5'] } };\n",
            &["script.js:3: the script's option `thresholds.http_reqs[1]` is not a threshold"],
        ),
        (
            "export default function () {}\n",
            &["the script has no thresholds", "--slo 'p99<2s'"],
        ),
        (
            "export const options = { scenarios: { a: { executor: 'shared-iterations', exec: 'a b' } } };",
            &[
                "no function that can be run",
                "`a b` is not a valid name of an exported function",
            ],
        ),
    ] {
        it.put("script.js", script);
        has(&plan("script.js"), parts);
    }
}

#[test]
fn what_k6_cannot_carry_or_may_not_reach_is_refused_before_any_load() {
    let it = Folder::with_options();
    let base = ["plan", "--script", "script.js", "--k6", K6];
    let with = |code, more: &[&str]| it.ends(code, &[&base[..], more].concat());
    has(
        &with(4, &["--max-vus", "1000000"]),
        &["1000000 VUs need", "or request fewer: --max-vus"],
    );
    has(
        &with(2, &["--allow-target", "no.such.host.invalid"]),
        &["`no.such.host.invalid` is allowed", "does not resolve"],
    );
    has(&with(2, &["--rate"]), &["VUs of k6, not arrivals"]);
}

const PROFILE: &str = "[engine]\nscript = 'script.js'\nbinary = '@K6@'\narguments = ['-e', 'TOKEN={{ env.TOKEN }}']\n\
                       [target]\nup = 'echo up'\n";

#[test]
fn the_script_of_a_profile_is_looked_at_only_when_that_was_agreed_to_and_again_when_it_changes() {
    let it = Folder::with_options();
    it.put("mine.toml", &PROFILE.replace("@K6@", K6));
    let plan = |more: &[&str]| {
        let mut command = it.command(&[&["plan", "mine.toml"], more].concat());
        let output = command.env("TOKEN", "s3cr3t").output().unwrap();
        (output.status.code(), said(&output))
    };
    let (code, text) = plan(&[]);
    assert_eq!(code, Some(2), "{text}");
    let run =
        format!("script   {K6} run script.js -e TOKEN={{{{ env.TOKEN }}}}\n    up       echo up");
    has(
        &text,
        &["the profile `mine` runs this in ", &run, "add `--yes`"],
    );
    let (code, text) = plan(&["--yes"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("s3cr3t"), "{text}");
    assert_eq!(plan(&[]).0, Some(0), "it is remembered");
    let script = fs::read_to_string(it.path().join("script.js")).unwrap();
    it.put("script.js", &format!("{script}// more\n"));
    assert_eq!(plan(&[]).0, Some(2), "another script was not agreed to");
    it.put(
        "script.js",
        "throw new Error(`the token ${__ENV.TOKEN} is wrong`);\n",
    );
    let (code, text) = plan(&["--yes"]);
    assert_eq!(code, Some(2), "{text}");
    has(&text, &["the token *** is wrong"]);
    assert!(!text.contains("s3cr3t"), "{text}");
    // What a user types is what he wants.
    it.put("script.js", &script);
    let text = it.ends(0, &["plan", "--script", "script.js", "--k6", K6]);
    assert!(!text.contains("with your permissions"), "{text}");
}

#[test]
fn a_profile_is_made_of_a_script_and_makes_the_same_plan() {
    let it = Folder::with_options();
    let text = it.ends(
        0,
        &[
            "init",
            "--from-k6",
            "script.js",
            "--k6",
            K6,
            "--out",
            "mine.toml",
        ],
    );
    has(&text, &["wrote mine.toml"]);
    let profile = fs::read_to_string(it.path().join("mine.toml")).unwrap();
    has(
        &profile,
        &[
            "slo = [\"p95(work)<500ms\", \"errors<1%\"]",
            "script = \"script.js\"",
            "exec = { \"browse\" = 3, \"buy\" = 1 }",
            "#   `checks: rate>0.9` (line 6:",
            "# * the script's option `rps` (50) (line 8)",
        ],
    );
    let text = it.ends(0, &["plan", "mine.toml", "--yes"]);
    has(
        &text,
        &[
            "functions    browse=3  buy=1",
            "SLO          p95(work)<500ms  errors<1%",
        ],
    );
    has(
        &it.ends(
            2,
            &[
                "init",
                "--from-k6",
                "script.js",
                "--k6",
                K6,
                "--out",
                "mine.toml",
            ],
        ),
        &["is not overwritten"],
    );
    it.ends(2, &["init"]);
    it.ends(
        2,
        &[
            "init",
            "--from-k6",
            "script.js",
            "--url",
            "http://127.0.0.1:1",
        ],
    );
}

/// Answers every request, also those that it is not asked for long.
fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                // None of the requests has a body or is longer than a piece.
                while stream.read(&mut piece).is_ok_and(|n| n > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A stand-in that runs scripts, which needs Node.
fn running_k6() -> Option<&'static str> {
    let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/k6/k6");
    let works = Command::new(stand_in).arg("version").output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(stand_in);
    }
    let ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false");
    assert!(!ci, "Node 20 is not here, and CI must have it");
    println!("skipped: no Node");
    None
}

const SCRIPT: &str = "import http from 'k6/http';
import { sleep } from 'k6';
export const options = { vus: 5, duration: '1s', thresholds: { http_req_failed: ['rate<0.5'], checks: ['rate>0.9'] } };
let n = 0;
export default function () {
  http.get(`${__ENV.BASE}/work?x=${__ENV.TOKEN}`);
  sleep(0.2);
  n += 1;
  if (n % 5 === 0) throw new Error(`the token ${__ENV.TOKEN} is tired`);
}
";

/// Every file below a folder but those of the test.
fn written(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            written(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn a_run_repeats_no_secret_of_a_script_that_tells_it_everywhere() {
    let Some(k6) = running_k6() else { return };
    let it = Folder::new(SCRIPT);
    let base = format!("BASE={}", service());
    let ramp = [
        "ramp",
        "--stages",
        "2:0s,2:4s",
        "--script",
        "script.js",
        "--k6",
        k6,
        "--k6-env",
        &base,
        "--k6-env",
        "TOKEN={{ env.TOKEN }}",
        "--out",
        "reports",
    ];
    let output = it.command(&ramp).env("TOKEN", "s3cr3t").output().unwrap();
    let text = said(&output);
    // A machine on which others work may be the limit.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{text}");
    has(
        &text,
        &[
            "first load by k6 with script.js:",
            "as defined by the script, only to this machine",
            "`checks: rate>0.9`",
            "the token *** is tired",
        ],
    );
    let mut files = Vec::new();
    written(&it.path().join("reports"), &mut files);
    let read = |path: &PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let record = files.iter().find(|f| f.ends_with("ramp.json")).unwrap();
    has(
        &read(record),
        &[
            "\"engine\": \"k6\"",
            "\"target\": \"script.js\"",
            "/work?x=***",
            "errors<50%",
        ],
    );
    for text in files.iter().map(read).chain([text]) {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}

#[test]
fn a_search_goes_on_with_the_same_script_only() {
    let Some(k6) = running_k6() else { return };
    let it = Folder::new(&SCRIPT.replace("?x=${__ENV.TOKEN}", ""));
    let base = format!("BASE={}", service());
    let find = [
        "find",
        "--script",
        "script.js",
        "--k6",
        k6,
        "--k6-env",
        &base,
        "--max-vus",
        "4",
        "--start-vus",
        "2",
        "--budget",
        "8s",
        "--out",
        "reports",
        "--quiet",
    ];
    let output = it.run(&find);
    let text = said(&output);
    let mut files = Vec::new();
    written(&it.path().join("reports"), &mut files);
    let run = files.iter().find(|f| f.ends_with("journal.jsonl"));
    let run = run
        .unwrap_or_else(|| panic!("{text}"))
        .parent()
        .unwrap()
        .to_str()
        .unwrap();
    let probes = || {
        let journal = fs::read_to_string(Path::new(run).join("journal.jsonl")).unwrap();
        journal.lines().count() - 1
    };
    let before = probes();
    assert!(before > 0, "{text}");
    let script = fs::read_to_string(it.path().join("script.js")).unwrap();
    it.put("script.js", &format!("{script}// another\n"));
    has(
        &it.ends(2, &["resume", run, "--budget", "22s"]),
        &["the script script.js has changed since"],
    );
    it.put("script.js", &script);
    let output = it.run(&["resume", run, "--budget", "22s", "--quiet"]);
    assert!(probes() > before, "{}", said(&output));
}

#[test]
fn a_value_that_may_be_a_secret_is_not_recorded_and_a_run_with_it_does_not_go_on() {
    let Some(k6) = running_k6() else { return };
    let it = Folder::new(&SCRIPT.replace("throw", "return;"));
    let base = format!("BASE={}", service());
    let find = [
        "find",
        "--script",
        "script.js",
        "--k6",
        k6,
        "--k6-env",
        &base,
        "--k6-env=TOKEN=s3cr3t",
        "--max-vus",
        "1",
        "--budget",
        "4s",
        "--out",
        "reports",
        "--quiet",
    ];
    let text = said(&it.run(&find));
    let mut files = Vec::new();
    written(&it.path().join("reports"), &mut files);
    let run = files.iter().find(|f| f.ends_with("journal.jsonl"));
    let run = run.unwrap_or_else(|| panic!("{text}"));
    let head = fs::read_to_string(run).unwrap();
    has(&head, &["--k6-env=TOKEN=***", &base]);
    let folder = run.parent().unwrap().to_str().unwrap();
    let text = it.ends(2, &["resume", folder, "--budget", "30s"]);
    has(&text, &["may have been a secret and is not recorded"]);
}
