//! Runs that end for a reason of their own: logins that nobody passes.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use breakpoint::record::HoldEnd;
use breakpoint::report;
use breakpoint::slo::Verdict;
use tempfile::TempDir;

use crate::starved::{Starved, repeated, without_answer};
use crate::try_command::{answer, server};

/// Sessions that the server gives.
const SESSIONS: usize = 30;

/// A level at which nobody more can log in would take its whole time to settle: it is left as one
/// whose cycles all fail.
#[test]
fn a_level_whose_logins_all_fail_is_left_early_and_says_why() {
    repeated(|| {
        let given = AtomicUsize::new(0);
        let target = server(move |asked| {
            let is_login = asked.head.starts_with("POST /login");
            if is_login && given.fetch_add(1, Ordering::SeqCst) >= SESSIONS {
                return answer("503 Service Unavailable", "", "no session is left");
            }
            answer("200 OK", "", "ok")
        });
        let dir = TempDir::new().unwrap();
        let profile = format!(
            "name = 'p'\nslo = ['p99<1s']\n[target]\nurl = '{}'\n[scenario]\n\
             start = [{{ name = 'login', post = '/login' }}]\n\
             steps = [{{ name = 'home', get = '/' }}, {{ think = '200ms' }}]\n\
             [search]\nstart-vus = 10\nmax-vus = 80\nbudget = '60s'\nhold-min = '15s'\n\
             hold-max = '15s'\nsettle-max = '5s'\nreference-holds = false\n",
            target.url
        );
        fs::write(dir.path().join("p.toml"), profile).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_breakpoint"))
            .args(["find", "p.toml", "--out", "out", "--max-time", "3m"])
            .current_dir(dir.path())
            .env("XDG_STATE_HOME", dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let runs = fs::read_dir(dir.path().join("out/p")).expect(&said);
        let run = runs.flatten().next().expect("a run").path();
        let record = report::read(&fs::read(run.join("result.json")).unwrap()).unwrap();
        let broke = record.probes.iter().find(|p| p.verdict == Verdict::Broke);
        let Some(broke) = broke else {
            let why = without_answer(&record).map_or(said, |Starved(why)| why);
            return Err(Starved(why));
        };
        let (end, reason) = (broke.end, &broke.reason);
        assert_eq!(end, HoldEnd::LeftEarly, "{reason}");
        assert!(
            reason.contains("VUs could start: `login` failed"),
            "{reason}"
        );
        Ok(())
    });
}
