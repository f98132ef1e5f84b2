//! One fault, met by one search.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use breakpoint::exit::Exit;
use breakpoint::measure::FailureKind;
use breakpoint::record::{ProbeRecord, RampRecord, RunRecord};
use breakpoint::report;
use breakpoint::slo::Verdict;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::certificates::Certificates;
use super::fault::{Answer, Facts, Fault, Outcome, Strike, Users, When};
use super::search::{self, Ended, Running};
use super::target::{self, Onset, Target};

/// Time that a search may take; it ends before that where there is an answer.
const BUDGET: Duration = Duration::from_secs(55);
/// The same with longer holds, of which the restart takes one.
const LONG_BUDGET: Duration = Duration::from_secs(75);
/// What it may take beyond that, on a machine that does much else: the target comes up and
/// recovers, reports are written.
const GRACE: Duration = Duration::from_secs(40);
/// A label of 64 letters is too long for a name, so that the answer is known without asking
/// anybody.
const NOWHERE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid";
/// A target by turns is up and down for so long, and down for so long when it restarts: more than
/// one second of a hold, which could be chance.
const UP: Duration = Duration::from_secs(1);
const DOWN: Duration = Duration::from_millis(500);
const RESTART: Duration = Duration::from_secs(2);

/// Users of the ramp.
pub(crate) const RAMP_VUS: u32 = 8;

/// What a run showed.
pub(crate) struct TrialOutcome {
    pub(crate) outcome: Outcome,
    pub(crate) record: RunRecord,
    pub(crate) ended: Ended,
    /// Bytes that the target got rid of beside answers.
    pub(crate) sent: u64,
}

/// A fault, and whether it is there from the first request on.
#[derive(Clone)]
pub(crate) struct Trial {
    pub(crate) fault: Fault,
    pub(crate) onset: Onset,
    pub(crate) certificates: Arc<Certificates>,
}

impl Trial {
    /// Runs a search of a target with the fault.
    ///
    /// # Errors
    /// When the program does not end in time, or leaves no record.
    pub(crate) async fn run(&self) -> Result<TrialOutcome, String> {
        let facts = self.fault.facts();
        let site = Site::start(&facts, self.onset, &self.certificates);
        let dir = TempDir::new().unwrap();
        let profile = profile(&self.url(&facts, &site), &facts, self.onset);
        fs::write(dir.path().join("fault.toml"), profile).unwrap();
        let live = free_port().await;
        let trusted = match self.fault {
            Fault::TlsStranger => &self.certificates.another_ca,
            _ => &self.certificates.ca,
        };
        let args = ["find", "fault.toml", "--serve", &live.to_string()];
        let running = Running::start(dir.path(), &args, trusted);
        let ended = tokio::select! {
            ended = running.end(budget(&facts) + GRACE) => ended?,
            () = site.go_through(facts.when, search::shows(live, search::HOLDS)) => {
            unreachable!("it never ends")
        }
        };
        let bytes = ended.record("result.json")?;
        let record = report::read(&bytes).map_err(|e| format!("{e}: {}", ended.said))?;
        Ok(TrialOutcome {
            outcome: outcome(&record, ended.code),
            record,
            ended,
            sent: site.target.sent(),
        })
    }

    fn url(&self, facts: &Facts, site: &Site) -> String {
        let scheme = if facts.tls { "https" } else { "http" };
        let host = match self.fault {
            Fault::NoName => NOWHERE,
            _ => "127.0.0.1",
        };
        format!("{scheme}://{host}:{}", site.port)
    }
}

/// A ramp over some users whose target restarts in the middle of its second stage.
///
/// # Errors
/// As [`Trial::run`].
pub(crate) async fn ramp_with_a_restart() -> Result<(RampRecord, Ended), String> {
    let facts = Fault::RestartsInAHold.facts();
    let certificates = Certificates::new();
    let site = Site::start(&facts, Onset::Beyond, &certificates);
    let dir = TempDir::new().unwrap();
    let profile = format!(
        "name = \"fault\"\nslo = [\"{}\"]\n[target]\nurl = \"http://127.0.0.1:{}\"\n\
         [scenario]\ntimeout = \"1s\"\n{}[[scenario.steps]]\nthink = \"200ms\"\n",
        facts.slo,
        site.port,
        steps(facts.users),
    );
    fs::write(dir.path().join("fault.toml"), profile).unwrap();
    let live = free_port().await;
    let served = live.to_string();
    let stages = format!("{RAMP_VUS}:1s,{RAMP_VUS}:16s");
    let args = [
        "ramp",
        "fault.toml",
        "--stages",
        &stages,
        "--serve",
        &served,
    ];
    let in_the_middle = async {
        search::shows(live, search::SECOND_STAGE).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    };
    let running = Running::start(dir.path(), &args, &certificates.ca);
    let ended = tokio::select! {
        ended = running.end(GRACE) => ended?,
        () = site.go_through(facts.when, in_the_middle) => unreachable!("it never ends"),
    };
    let record = report::read_ramp(&ended.record("ramp.json")?);
    let record = record.map_err(|e| format!("{e}: {}", ended.said))?;
    Ok((record, ended))
}

/// A search of a target that hangs, whose users would wait for a minute, stopped as soon as the
/// target has got a request.
///
/// # Errors
/// As [`Trial::run`], after a third of that.
pub(crate) async fn interrupted_while_it_hangs() -> Result<(RunRecord, Ended), String> {
    let facts = Fault::HangsAfterAccept.facts();
    let certificates = Certificates::new();
    let site = Site::start(&facts, Onset::AtOnce, &certificates);
    let dir = TempDir::new().unwrap();
    let url = format!("http://127.0.0.1:{}", site.port);
    let profile = profile(&url, &facts, Onset::AtOnce).replace("\"1s\"", "\"60s\"");
    fs::write(dir.path().join("fault.toml"), profile).unwrap();
    let running = Running::start(dir.path(), &["find", "fault.toml"], &certificates.ca);
    while site.target.asked() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.interrupt().await;
    let ended = running.end(Duration::from_secs(20)).await?;
    let record = report::read(&ended.record("result.json")?);
    Ok((record.map_err(|e| format!("{e}: {}", ended.said))?, ended))
}

/// The target, and what stands before it.
struct Site {
    target: Target,
    /// Where the users go.
    port: u16,
    /// Another instance of the target that is always well, and what gives each of the two its
    /// connections.
    _other: Option<(Target, target::Task)>,
}

impl Site {
    fn start(facts: &Facts, onset: Onset, certificates: &Certificates) -> Self {
        let start = |strike| {
            let tls = facts.tls.then(|| Arc::clone(&certificates.server));
            let onset = match facts.when {
                When::Throughout => Onset::AtOnce,
                _ => onset,
            };
            Target::start(strike, onset, facts.users == Users::Stream, tls)
        };
        let target = start(facts.strike);
        if facts.when != When::ToOneOfTwo {
            return Self {
                port: target.port,
                target,
                _other: None,
            };
        }
        let other = start(Strike::Never);
        let (port, balancer) = target::balance([target.port, other.port]);
        Self {
            target,
            port,
            _other: Some((other, balancer)),
        }
    }

    /// Takes the target down and up as the fault says; never ends.
    async fn go_through(&self, when: When, hold: impl Future<Output = ()>) {
        match when {
            When::Beyond | When::Always | When::Throughout => {}
            When::ByTurns => loop {
                for (up, time) in [(true, UP), (false, DOWN)] {
                    self.target.set_up(up);
                    tokio::time::sleep(time).await;
                }
            },
            When::OnceInAHold => {
                hold.await;
                self.target.set_up(false);
                tokio::time::sleep(RESTART).await;
                self.target.set_up(true);
            }
            When::ToOneOfTwo => {
                hold.await;
                self.target.set_up(false);
            }
        }
        std::future::pending::<()>().await;
    }
}

/// An address on which nobody listens at this moment.
async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn steps(users: Users) -> String {
    let get = |more| format!("[[scenario.steps]]\nname = \"get\"\nget = \"/\"\n{more}");
    match users {
        Users::Get | Users::Follow | Users::GetTwo => get(""),
        Users::PostTwo => {
            "[[scenario.steps]]\nname = \"post\"\npost = \"/\"\nbody = \"hello\"\n".to_owned()
        }
        Users::GetJson => get("extract = { ok = \"/ok\" }\n"),
        Users::Stream => "[[scenario.steps]]\nname = \"open\"\nopen = \"/\"\n\
             [[scenario.steps]]\nname = \"tick\"\n\
             wait = { on = \"open\", event = \"tick\", expect = { \"/ok\" = \"true\" } }\n\
             [[scenario.steps]]\nclose = \"open\"\n"
            .to_owned(),
        Users::Socket => "[[scenario.steps]]\nname = \"connect\"\nconnect = \"/\"\n\
             [[scenario.steps]]\nname = \"tick\"\nwait = { match = { \"/ok\" = \"true\" } }\n\
             [[scenario.steps]]\nname = \"bye\"\nclose = \"connect\"\n"
            .to_owned(),
    }
}

fn budget(facts: &Facts) -> Duration {
    match facts.when {
        When::OnceInAHold => LONG_BUDGET,
        _ => BUDGET,
    }
}

/// A search between 10 requests a second, which the target carries, and 20, which it does not. At a
/// rate nobody backs off, so that the same share fails in every second.
fn profile(url: &str, facts: &Facts, onset: Onset) -> String {
    let redirects = if facts.users == Users::Follow { 3 } else { 0 };
    let timeout = match facts.strike {
        Strike::Answer(Answer::Late | Answer::Lossy) => "3s",
        _ => "1s",
    };
    let http = match facts.users {
        Users::GetTwo | Users::PostTwo => "2",
        _ => "1.1",
    };
    let hold = match facts.when {
        When::OnceInAHold | When::ToOneOfTwo => "6s",
        When::Beyond | When::Always | When::Throughout | When::ByTurns => "3s",
    };
    // One level is enough for what does not depend on it.
    let most = match facts.when {
        When::OnceInAHold => 10,
        _ => 20,
    };
    // A target that never answers is not waited for; one that was loaded is.
    let well_within = match onset {
        Onset::AtOnce => "1s",
        Onset::Beyond => "10s",
    };
    format!(
        "name = \"fault\"\nslo = [\"{}\"]\n\
         [target]\nurl = \"{url}\"\nreset-timeout = \"{well_within}\"\ndrain-timeout = \"3s\"\n\
         canary-cycles = 1\nhttp = \"{http}\"\n\
         [scenario]\ntimeout = \"{timeout}\"\nconnections = \"per-cycle\"\nredirects = {redirects}\n{}\
         [search]\nrate = \"constant\"\nmin-rate = 10\nstart-rate = 10\nmax-rate = {most}\n\
         budget = \"{}s\"\nhold-min = \"{hold}\"\nhold-max = \"{hold}\"\nsettle-max = \"8s\"\n\
         precision = \"30%\"\n",
        facts.slo,
        steps(facts.users),
        budget(facts).as_secs(),
    )
}

/// What a record says of a fault.
fn outcome(record: &RunRecord, code: Option<i32>) -> Outcome {
    let worst = record.probes.iter().max_by_key(|p| {
        let broke = p.verdict == Verdict::Broke;
        (
            failures(p).iter().map(|(_, n)| n).sum::<u64>(),
            p.level,
            broke,
        )
    });
    Outcome {
        kind: main_kind(record).or_else(|| kind_of_canary(&record.answer.reason)),
        verdict: worst.map(|p| p.verdict),
        ending: record.answer.ending,
        exit: exit(code),
    }
}

fn exit(code: Option<i32>) -> Exit {
    let known = |exit: &Exit| Some(i32::from(exit.code())) == code;
    Exit::ALL.into_iter().find(known).unwrap_or(Exit::Failure)
}

/// Failed cycles of a probe by kind.
fn failures(probe: &ProbeRecord) -> &[(FailureKind, u64)] {
    probe.steps.last().map_or(&[], |cycle| &cycle.failed)
}

/// Failed cycles of all probes by kind.
pub(crate) fn all_failures(record: &RunRecord) -> Vec<(FailureKind, u64)> {
    let of = |kind| {
        let all = record.probes.iter().flat_map(failures);
        all.filter(|(k, _)| *k == kind).map(|(_, n)| n).sum::<u64>()
    };
    let counted = FailureKind::ALL.into_iter().map(|kind| (kind, of(kind)));
    counted.filter(|(_, n)| *n > 0).collect()
}

fn main_kind(record: &RunRecord) -> Option<FailureKind> {
    let all = all_failures(record);
    all.into_iter()
        .max_by_key(|(_, n)| *n)
        .map(|(kind, _)| kind)
}

/// What a search that did not begin says of the single cycle that it tried.
fn kind_of_canary(reason: &str) -> Option<FailureKind> {
    let Some((_, rest)) = reason.split_once(" failed with `") else {
        let refused = reason.contains("was answered with ");
        return refused.then_some(FailureKind::Status);
    };
    let (name, _) = rest.split_once('`')?;
    FailureKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
}
