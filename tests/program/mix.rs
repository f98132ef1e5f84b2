//! What users of several kinds, and cycles with branches, really send: counted by the server.
#![expect(clippy::cast_precision_loss, reason = "counts of requests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output};

use breakpoint::record::{Ending, HoldEnd, RampEnding, RampRecord};
use breakpoint::report;
use tempfile::TempDir;

use crate::starved::{Starved, answered, repeated};
use crate::target_server::Server;

const MIX: &str = "[[population]]\nname = \"readers\"\nshare = 70\n\
    scenario = { steps = [{ name = \"home\", get = \"/home?{{ vu }}\" }, { think = \"200ms\" }] }\n\
    [[population]]\nname = \"buyers\"\nshare = 30\n\
    scenario = { main = \"buy\", steps = [{ name = \"look\", get = \"/look?{{ vu }}\" }, \
    { name = \"buy\", post = \"/buy?{{ vu }}\" }, { think = \"200ms\" }] }\n";

/// A command with a profile in a folder of its own.
fn run(folder: &TempDir, command: &str, profile: &str, arguments: &[&str]) -> Output {
    let file = folder.path().join("mix.toml");
    fs::write(&file, profile).unwrap();
    Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .current_dir(folder.path())
        .arg(command)
        .arg(&file)
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// How often each path was asked for, what stands behind `?` left out.
fn counts(server: &Server) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, path) in server.begun() {
        let path = path.split('?').next().unwrap_or_default().to_owned();
        *counts.entry(path).or_default() += 1;
    }
    counts
}

/// Who asked for a path: what stands behind `?`.
fn who(server: &Server, path: &str) -> BTreeSet<u32> {
    let begun = server.begun().into_iter();
    let asked = begun.filter_map(|(_, p)| p.strip_prefix(path)?.strip_prefix('?')?.parse().ok());
    asked.collect()
}

fn ramp(folder: &TempDir) -> RampRecord {
    let mut runs = fs::read_dir(folder.path().join("out/mix")).unwrap();
    let run = runs.next().unwrap().unwrap().path();
    report::read_ramp(&fs::read(run.join("ramp.json")).unwrap()).unwrap()
}

#[test]
fn a_level_is_dealt_to_the_kinds_of_a_mix_exactly() {
    repeated(|| {
        let (folder, server) = (TempDir::new().unwrap(), Server::start());
        let profile = format!(
            "slo = [\"p99<2s\", \"p99(readers.home)<2s\", \"errors(buyers)<5%\"]\n\
             [target]\nurl = \"{}\"\n{MIX}",
            server.url()
        );
        let arguments = ["--stages", "20:1s,20:3s", "--out", "out"];
        let output = answered(run(&folder, "ramp", &profile, &arguments))?;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let (readers, buyers) = (who(&server, "/home"), who(&server, "/buy"));
        if readers.len() + buyers.len() < 20 {
            return Err(Starved("not everybody came to ask".to_owned()));
        }
        assert_eq!((readers.len(), buyers.len()), (14, 6));
        let all: BTreeSet<u32> = readers.union(&buyers).copied().collect();
        assert_eq!(all, (0..20).collect(), "each has a number of its own");
        assert_eq!(who(&server, "/look"), buyers);
        let record = ramp(&folder);
        let steps: Vec<&str> = record.plan.steps.iter().map(String::as_str).collect();
        assert_eq!(
            steps,
            [
                "readers.home",
                "readers",
                "buyers.look",
                "buyers.buy",
                "buyers",
                "main",
                "cycle"
            ]
        );
        let completed = |name: &str| -> u64 {
            let at = steps.iter().position(|s| *s == name).unwrap();
            let seconds = record.stages.iter().map(|s| s.steps[at].completed);
            seconds.sum()
        };
        // The main step of a kind that names none is its cycle.
        assert_eq!(
            completed("main"),
            completed("readers") + completed("buyers.buy")
        );
        assert_eq!(
            completed("cycle"),
            completed("readers") + completed("buyers")
        );
        assert!(completed("main") > 0);
        Ok(())
    });
}

#[test]
fn arrivals_are_dealt_to_the_kinds_of_a_mix_exactly() {
    repeated(|| {
        let (folder, server) = (TempDir::new().unwrap(), Server::start());
        let profile = format!(
            "slo = [\"p99<2s\"]\n[target]\nurl = \"{}\"\n{MIX}\n[search]\nrate = \"poisson\"\n\
             start-rate = 40\nmin-rate = 40\nmax-rate = 40\nhold-min = \"4s\"\nhold-max = \"4s\"\n\
             settle-max = \"4s\"\nbudget = \"20s\"\nreference-holds = false\n",
            server.url()
        );
        let arguments = ["--quiet", "--out", "out", "--threads", "2"];
        // One level has no answer: what was sent is all that is looked at.
        let output = run(&folder, "find", &profile, &arguments);
        if !said(&output).contains("based on        1 probe;") {
            return Err(Starved(said(&output)));
        }
        let counts = counts(&server);
        // A canary is a cycle of each kind, and who was cut off between his two requests is one
        // off.
        let of = |path| counts.get(path).copied().unwrap_or(0) as f64;
        let (readers, buyers) = (of("/home"), of("/look"));
        let off = (0.3 * readers - 0.7 * buyers).abs();
        assert!(readers + buyers > 150.0, "{counts:?}");
        assert!(off <= 4.0, "{off}: {counts:?}");
        Ok(())
    });
}

/// The first profile of a document, at an address.
fn documented(document: &str, url: &str) -> String {
    let (_, rest) = document.split_once("```toml\n").unwrap();
    let (profile, _) = rest.split_once("```").unwrap();
    assert!(profile.contains("http://127.0.0.1:8000"));
    profile.replace("http://127.0.0.1:8000", url)
}

#[test]
fn the_profiles_of_the_documents_pass() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start());
    fs::write(
        folder.path().join("users.csv"),
        "name,password\nann,s3cret\n",
    )
    .unwrap();
    server.put(
        "/login",
        "<form><input type=hidden name=csrf value=t0k></form>",
    );
    server.put("/orders", "an order");
    for document in [
        include_str!("../../docs/login.md"),
        include_str!("../../docs/mix.md"),
    ] {
        let profile = documented(document, &server.url());
        let output = run(&folder, "try", &profile, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(!said(&output).contains("s3cret"), "{}", said(&output));
        let planned = run(&folder, "plan", &profile, &[]);
        assert_eq!(planned.status.code(), Some(0), "{}", said(&planned));
    }
    let raw = server.raw();
    assert!(raw.contains("csrf=t0k&name=ann&password=s3cret"), "{raw}");
}

#[test]
fn a_look_goes_through_a_cycle_of_each_kind() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start());
    let profile = format!("[target]\nurl = \"{}\"\n{MIX}", server.url());
    let both = run(&folder, "try", &profile, &[]);
    assert_eq!(both.status.code(), Some(0), "{}", said(&both));
    let paths = |server: &Server| counts(server).into_keys().collect::<Vec<_>>();
    assert_eq!(paths(&server), ["/buy", "/home", "/look"]);
    let alone = Server::start();
    let profile = format!("[target]\nurl = \"{}\"\n{MIX}", alone.url());
    let one = run(&folder, "try", &profile, &["--population", "readers"]);
    assert_eq!(one.status.code(), Some(0), "{}", said(&one));
    assert_eq!(paths(&alone), ["/home"]);
    let nobody = run(&folder, "try", &profile, &["--population", "users"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(
        said(&nobody).contains("available: readers, buyers"),
        "{}",
        said(&nobody)
    );
}

#[test]
fn good_cycles_of_a_mix_are_of_the_kinds_that_are_named() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start());
    let profile = format!("[target]\nurl = \"{}\"\n{MIX}", server.url());
    let plan = |slo: &str| run(&folder, "plan", &profile, &["--slo", slo]);
    for slo in [
        "good(buyers.buy<1s)>90%",
        "good(buyers.buy<1s,buyers.look<1s)>90%",
        "good(buyers.buy<1s,readers.home<1s)>90%",
        "good(cycle<1s)>90%",
    ] {
        let planned = plan(slo);
        assert_eq!(planned.status.code(), Some(0), "{slo}: {}", said(&planned));
    }
    for (slo, why) in [
        ("good(buy<1s)>90%", "a step is named with its kind"),
        ("good(buyers.pay<1s)>90%", "no measured step `pay`"),
    ] {
        let planned = plan(slo);
        assert_eq!(planned.status.code(), Some(2), "{slo}");
        assert!(said(&planned).contains(why), "{slo}: {}", said(&planned));
    }
    repeated(|| {
        let arguments = [
            "--slo",
            "good(buyers.buy<1s)>90%",
            "--stages",
            "10:0s,10:3s",
            "--out",
            "out",
        ];
        let output = answered(run(&folder, "ramp", &profile, &arguments))?;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let record = ramp(&folder);
        let at = |name: &str| record.plan.steps.iter().position(|s| s == name).unwrap();
        let (good, buyers) = (at("good(buyers.buy<1s)"), at("buyers"));
        for stage in &record.stages {
            assert_eq!(stage.steps[good].completed, stage.steps[buyers].completed);
        }
        assert!(record.stages.iter().any(|s| s.steps[good].completed > 0));
        Ok(())
    });
}

const BRANCHES: &str = "[scenario]\nmain = \"poll\"\nsteps = [\n\
    { name = \"home\", get = \"/home\", extract = { state = \"body\" } },\n\
    { choose = [\n\
      { weight = 3, steps = [{ name = \"look\", get = \"/look\" }] },\n\
      { weight = 1, steps = [{ name = \"buy\", post = \"/buy\" }] },\n\
    ] },\n\
    { name = \"never\", get = \"/never\", if = \"{{ state }} != ok\" },\n\
    { if = \"{{ state }} == ok\", repeat = 2, steps = [{ name = \"poll\", get = \"/poll\" }] },\n\
    { name = \"poll\", get = \"/poll\" },\n\
    { think = \"50ms\" },\n]\n";

#[test]
fn cycles_go_the_ways_that_their_steps_say() {
    repeated(|| {
        let (folder, server) = (TempDir::new().unwrap(), Server::start());
        let url = server.url();
        let profile = format!(
            "slo = [\"errors<1%\", \"p99(poll)<2s\"]\n[target]\nurl = \"{url}\"\n{BRANCHES}"
        );
        let arguments = ["--stages", "20:0s,20:6s", "--out", "out"];
        let output = answered(run(&folder, "ramp", &profile, &arguments))?;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let counts = counts(&server);
        let of = |path| counts.get(path).copied().unwrap_or(0) as f64;
        let cycles = of("/home");
        assert!(cycles > 300.0, "{counts:?}");
        assert!(of("/never") < 1.0, "{counts:?}");
        // Whoever was cut off did not come to the end of his cycle.
        let near = |seen: f64, wanted: f64, room: f64| {
            assert!(
                (seen - wanted).abs() <= room,
                "{seen} for {wanted}: {counts:?}"
            );
        };
        near(of("/poll"), 3.0 * cycles, 80.0);
        near(of("/look") + of("/buy"), cycles, 25.0);
        // Four standard deviations of the draw.
        near(
            of("/buy"),
            0.25 * cycles,
            4.0 * (cycles * 0.25 * 0.75).sqrt() + 25.0,
        );
        let steps: Vec<String> = ramp(&folder).plan.steps;
        assert_eq!(steps, ["home", "look", "buy", "never", "poll", "cycle"]);
        Ok(())
    });
}

#[test]
fn files_rows_and_links_are_sent_as_they_stand() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start());
    server.put("/first", "/next?page=2&q=a%20b");
    fs::write(folder.path().join("photo.bin"), b"\x00photo\r\n").unwrap();
    fs::write(
        folder.path().join("users.jsonl"),
        "{\"id\": 7, \"name\": \"Ann \\\"A\\\"\", \"tags\": [1, true]}\n",
    )
    .unwrap();
    let profile = format!(
        "[target]\nurl = \"{}\"\n[scenario]\nfeeders = {{ users = {{ file = \"users.jsonl\", order = \"unique\" }} }}\n\
         steps = [\n\
         {{ name = \"raw\", put = \"/raw\", body-file = \"photo.bin\" }},\n\
         {{ name = \"form\", post = \"/form\", multipart = [\
           {{ name = \"title\", text = \"of {{{{ users.name }}}}\" }}, \
           {{ name = \"photo\", file = \"photo.bin\", type = \"image/png\" }}] }},\n\
         {{ name = \"json\", post = \"/json\", json = {{ id = \"{{{{ users.id }}}}\", name = \"{{{{ users.name }}}}\", \
            tags = \"{{{{ users.tags }}}}\", text = \"{{{{ text(users.id) }}}}\" }} }},\n\
         {{ name = \"first\", get = \"/first\", extract = {{ next = \"body\" }} }},\n\
         {{ name = \"next\", get = \"{{{{ raw(next) }}}}\" }},\n]\n",
        server.url()
    );
    let output = run(&folder, "try", &profile, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let raw = server.raw();
    for wanted in [
        "content-type: application/octet-stream\r\ncontent-length: 8\r\n\r\n\u{0}photo\r\n",
        "content-disposition: form-data; name=\"title\"\r\n\r\nof Ann \"A\"\r\n--breakpoint-",
        "name=\"photo\"; filename=\"photo.bin\"\r\ncontent-type: \
         image/png\r\n\r\n\u{0}photo\r\n\r\n--",
        "{\"id\":7,\"name\":\"Ann \\\"A\\\"\",\"tags\":[1,true],\"text\":\"7\"}",
        "GET /next?page=2&q=a%20b HTTP/1.1\r\n",
    ] {
        assert!(raw.contains(wanted), "{wanted}\n{raw}");
    }
}

#[test]
fn a_run_whose_unique_rows_are_used_up_ends_and_keeps_what_it_has() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start());
    let rows: Vec<String> = (0..100).map(|n| format!("user{n}")).collect();
    let rows = rows.join("\n");
    fs::write(folder.path().join("users.csv"), format!("name\n{rows}\n")).unwrap();
    let profile = format!(
        "slo = [\"p99<2s\"]\n[target]\nurl = \"{}\"\n[scenario]\n\
         feeders = {{ users = {{ file = \"users.csv\", order = \"unique\" }} }}\n\
         steps = [{{ name = \"one\", get = \"/one?{{{{ users.name }}}}\" }}, {{ think = \"100ms\" \
             }}]\n",
        server.url()
    );
    let arguments = ["--stages", "10:0s,10:60s", "--out", "out"];
    let output = run(&folder, "ramp", &profile, &arguments);
    let text = said(&output);
    assert!(
        text.contains(
            "feeder `users` has no rows left after 100 cycles (`order = \"unique\"`); add rows or \
             use `order = \"random\"`"
        ),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(3), "{text}");
    let asked: Vec<String> = server.begun().into_iter().map(|(_, path)| path).collect();
    let different: BTreeSet<&String> = asked.iter().collect();
    assert_eq!(different.len(), asked.len(), "no row came twice");
    assert!(asked.len() <= 100 && asked.len() > 50, "{}", asked.len());
    let record = ramp(&folder);
    assert_eq!(record.ending, RampEnding::DataUsedUp);
    assert!(
        record.stages.iter().any(|s| s.steps[0].completed > 0),
        "what was seen is kept"
    );
    // A search keeps the probe that was going on, and says so wherever it is rendered.
    let profile = profile.replace("[target]", "[search]\nmin-vus = 2\nmax-vus = 20\n[target]");
    let output = run(&folder, "find", &profile, &["--out", "found"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("rows used up"), "{text}");
    let mut runs = fs::read_dir(folder.path().join("found/mix")).unwrap();
    let run = runs.next().unwrap().unwrap().path();
    let record = report::read(&fs::read(run.join("result.json")).unwrap()).unwrap();
    assert_eq!(record.answer.ending, Ending::DataUsedUp);
    let last = record.probes.last().expect("the first probe is kept");
    assert_eq!(last.end, HoldEnd::Interrupted);
    assert!(record.answer.reason.contains("`users` has no rows left"));
}
