use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::k6::{Declared, DeclaredKind, Function, MetricRow, OwnScript, Part, Runner, Script};
use crate::measure::{Arrivals, Level, LevelUnit, StepTable};
use crate::scenario::Scenario;

const DEMO: &str = "slo = [\"p99<2s\"]\n[target]\ndemo = true\n";

fn profile(text: &str) -> Profile {
    Profile::parse(text, "mine.toml", Path::new("/p")).unwrap_or_else(|e| panic!("{e}"))
}

fn plan(text: &str, flags: &FindFlags) -> Plan {
    Plan::resolve(Some(&profile(text)), flags).unwrap_or_else(|e| panic!("{e}"))
}

fn error(text: &str, flags: &FindFlags) -> String {
    Plan::resolve(Some(&profile(text)), flags)
        .expect_err(text)
        .to_string()
}

#[test]
fn flags_beat_the_profile_and_the_profile_beats_the_defaults() {
    let text = format!("{DEMO}[search]\nmax-vus = 300\npace = 20\n");
    let of_profile = plan(&text, &FindFlags::default());
    assert_eq!(of_profile.search.max, Level(300));
    assert!(of_profile.max_is_explicit);
    assert_eq!(of_profile.search.min, SearchSpec::default().min);
    assert!((of_profile.pace_per_s - 20.0).abs() < 1e-9);
    let flags = FindFlags {
        max_vus: Some(90),
        slo: vec!["errors<1%".to_owned()],
        seed: Some(u64::MAX),
        ..FindFlags::default()
    };
    let of_flags = plan(&text, &flags);
    assert_eq!(of_flags.search.max, Level(90));
    assert_eq!(of_flags.seed, u64::MAX);
    assert_eq!(of_flags.slo.objectives()[0].text, "errors<1%");
    assert_eq!(of_flags.slo.objectives().len(), 1, "--slo replaces");
    assert!(!plan(DEMO, &FindFlags::default()).max_is_explicit);
}

#[test]
fn without_a_profile_it_is_one_get_or_the_demo() {
    let url = FindFlags {
        url: Some("http://127.0.0.1:8080/api?x=1".to_owned()),
        ..FindFlags::default()
    };
    assert_eq!(Plan::resolve(None, &url).unwrap_err(), PlanError::NoSlo);
    let url = FindFlags {
        slo: vec!["p99<2s".to_owned()],
        ..url
    };
    let plan = Plan::resolve(None, &url).unwrap();
    assert_eq!(plan.name, "127.0.0.1-8080");
    assert_eq!(plan.target.kind.url(), Some("http://127.0.0.1:8080"));
    assert!(
        matches!(plan.scenario, ScenarioSource::SingleGet(u) if u == "http://127.0.0.1:8080/api?x=1")
    );
    let demo = Plan::resolve(None, &FindFlags::default()).unwrap();
    assert_eq!(demo.target.kind, TargetKind::Demo);
    assert_eq!(demo.name, "demo");
}

#[test]
fn every_profile_that_comes_with_the_program_makes_a_plan() {
    for builtin in profile::builtin::ALL {
        let profile = Profile::parse(builtin.text, builtin.name, Path::new("/p"))
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(profile.name, builtin.name);
        Plan::resolve(Some(&profile), &FindFlags::default()).unwrap_or_else(|e| panic!("{e}"));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let profile =
            Profile::parse(&text, &name, Path::new("/p")).unwrap_or_else(|e| panic!("{e}"));
        Plan::resolve(Some(&profile), &FindFlags::default()).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn the_profile_that_init_writes_makes_a_plan() {
    for (url, base, path) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "/"),
        (
            "https://shop.example/api?x=1",
            "https://shop.example",
            "/api?x=1",
        ),
    ] {
        let text = profile::template::render(url);
        let plan = plan(&text, &FindFlags::default());
        assert_eq!(plan.target.kind.url(), Some(base));
        let ScenarioSource::Spec(spec) = &plan.scenario else {
            panic!("no scenario");
        };
        assert_eq!(spec.steps[0].as_ref().get.as_deref(), Some(path));
        // The keys in comments are true as well: each is read when its `# ` is taken away.
        let all = text
            .lines()
            .map(|l| match l.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") || rest.starts_with("[[") => rest,
                _ => l,
            })
            .filter(|l| !l.starts_with("What") && !l.starts_with("Also") && !l.starts_with("Lines"))
            .collect::<Vec<_>>()
            .join("\n");
        let all = profile_with_defaults(&all);
        let defaults = SearchSpec::default();
        assert_eq!(
            all.search, defaults,
            "the values in comments are the defaults"
        );
        let names: Vec<&str> = all.monitors.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["host", "service", "metrics", "queries", "redis"]);
        let target = TargetPlan::default();
        assert_eq!(all.target.up_timeout, target.up_timeout);
        assert_eq!(all.target.reset_timeout, target.reset_timeout);
        assert_eq!(all.target.drain_timeout, target.drain_timeout);
        assert_eq!(all.target.canary_cycles, target.canary_cycles);
        assert_eq!(all.target.reset_when, target.reset_when);
    }
}

fn profile_with_defaults(text: &str) -> Plan {
    plan(text, &FindFlags::default())
}

#[test]
fn impossible_values_are_shown_where_they_stand() {
    for (tail, line, message) in [
        ("[search]\nmax-vus = 0", 5, "between 1 and"),
        ("[search]\nmin-vus = -4", 5, "between 1 and"),
        (
            "[search]\nmin-vus = 9\nmax-vus = 3",
            5,
            "min-vus 9 is above max-vus 3",
        ),
        (
            "[search]\nmin-vus = 6000",
            5,
            "5000 by default; set max-vus too",
        ),
        (
            "[search]\nmax-vus = 9\nstart-vus = 30",
            6,
            "start-vus 30 is outside min-vus 1 to max-vus 9",
        ),
        ("[search]\nprecision = \"0%\"", 5, "between 0 % and 100 %"),
        ("[search]\nprecision = \"100%\"", 5, "between 0 % and 100 %"),
        ("[search]\nprecision = \"5s\"", 5, "write it as 5%"),
        (
            "[search]\nconfidence = \"99.95%\"",
            5,
            "between 50 % and 99.9 %",
        ),
        (
            "[search]\nconfidence = \"95\"",
            5,
            "between 50 % and 99.9 %",
        ),
        ("[search]\nbudget = \"0\"", 5, "longer than zero"),
        ("[search]\nbudget = \"15\"", 5, "write it as 30s or 15m"),
        (
            "[search]\nbudget = \"20s\"\nhold-min = \"30s\"",
            5,
            "too short for one hold",
        ),
        (
            "[search]\nhold-min = \"40s\"\nhold-max = \"30s\"",
            5,
            "hold-min 40s is above hold-max 30s",
        ),
        ("[search]\nwarm-up = \"2\"", 5, "or 0 for none"),
        (
            "[search]\nbudget = \"60s\"\nwarm-up = \"50s\"",
            6,
            "too short for a warm-up of 50s and one hold of 15s",
        ),
        ("[search]\npace = 0", 5, "above 0 VUs per second"),
        ("[search]\npace = nan", 5, "above 0 VUs per second"),
        ("[search]\nseed = -1", 5, "at least 0"),
    ] {
        assert_shown(tail, line, message);
    }
}

#[test]
fn a_wrong_monitor_is_shown_where_it_stands() {
    for (tail, line, message) in [
        (
            "[[monitor]]\nredis = \"redis://h\"",
            4,
            "a monitor needs a name",
        ),
        ("[[monitor]]\nname = \"g\"", 4, "monitor `g` has no source"),
        (
            "[[monitor]]\nname = \"a.b\"\ndocker = \"x\"",
            5,
            "is not a valid name of a monitor",
        ),
        (
            "[[monitor]]\nname = \"g\"\ndocker = \"x\"\ncgroup = \"/y\"",
            4,
            "has several sources",
        ),
        (
            "[[monitor]]\nname = \"g\"\nredis = \"127.0.0.1\"",
            6,
            "not the address of a Redis server",
        ),
        (
            "[[monitor]]\nname = \"g\"\ndocker = \"x\"\nmemory-limit = \"lots\"",
            7,
            "does not start with a number",
        ),
        (
            "[[monitor]]\nname = \"g\"\ndocker = \"x\"\nlog-match = \"a(b\"",
            7,
            "unclosed group",
        ),
        (
            "[[monitor]]\nname = \"g\"\ncgroup = \"/x\"\nlog-match = \"a\"",
            7,
            "there is no log",
        ),
        (
            "[[monitor]]\nname = \"host\"\ndocker = \"x\"",
            5,
            "built-in monitor",
        ),
        (
            "[[monitor]]\nname = \"g\"\nprometheus = \"http://h/metrics\"",
            6,
            "`prometheus` without `metrics`",
        ),
        (
            "[[monitor]]\nname = \"g\"\nqueries = { x = \"up\" }",
            6,
            "`queries` without `prometheus-server`",
        ),
        (
            "[[monitor]]\nname = \"g\"\nprometheus = \"h:80\"\nmetrics = { x = \"up\" }",
            6,
            "write it as http://",
        ),
        (
            "[[monitor]]\nname = \"g\"\nprometheus = \"http://h\"\nmetrics = { x = \"rate(up)\" }",
            7,
            "names no metric",
        ),
        (
            "[[monitor]]\nname = \"g\"\nprometheus = \"http://h\"\nmetrics = { retransmits = \
             \"up\" }",
            7,
            "of another kind",
        ),
        (
            "[[monitor]]\nname = \"g\"\nprometheus = \"http://h\"\nmetrics = { \"a.b\" = \"up\" }",
            7,
            "is not a valid name of a field",
        ),
        (
            "[[monitor]]\nname = \"g\"\ndocker = \"x\"\n[[monitor]]\nname = \"g\"\ndocker = \"y\"",
            8,
            "two monitors named `g`",
        ),
    ] {
        assert_shown(tail, line, message);
    }
}

/// The tail of a profile is wrong in a line, with a message.
fn assert_shown(tail: &str, line: usize, message: &str) {
    let text = format!("{DEMO}{tail}\n");
    let error = error(&text, &FindFlags::default());
    assert!(error.starts_with(&format!("mine.toml:{line}: ")), "{error}");
    assert!(error.contains(message), "{error}");
    assert!(error.contains('^'), "{error}");
}

#[test]
fn a_target_is_one_address_or_the_demo() {
    for (text, message) in [
        ("slo = [\"p99<1s\"]", "names no target"),
        (
            "slo = [\"p99<1s\"]\n[target]\nup = \"x\"",
            "names no target",
        ),
        (
            "slo = [\"p99<1s\"]\n[target]\ndemo = true\nurl = \"http://h\"",
            "either",
        ),
        (
            "slo = [\"p99<1s\"]\n[target]\nurl = \"localhost:8080\"",
            "http://",
        ),
        (
            "slo = [\"p99<1s\"]\n[target]\nurl = \"ftp://h\"",
            "cannot load ftp://",
        ),
        ("slo = [\"p99\"]\n[target]\ndemo = true", "has no bound"),
        ("slo = []\n[target]\ndemo = true", "--slo 'p99<2s'"),
        (
            "slo = [\"p99<1s\"]\n[target]\ndemo = true\nreset-when = \"alwys\"",
            "did you mean `always`?",
        ),
        (
            "slo = [\"p99<1s\"]\n[target]\ndemo = true\ncanary-cycles = -1",
            "canary cycles",
        ),
    ] {
        let error = error(text, &FindFlags::default());
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn a_wrong_flag_is_named_with_its_value() {
    let base = FindFlags::default;
    for (flags, message) in [
        (
            FindFlags {
                min_vus: Some(9),
                max_vus: Some(3),
                ..base()
            },
            "--min-vus 9: min-vus 9 is above max-vus 3",
        ),
        (
            FindFlags {
                precision: Some("0".into()),
                ..base()
            },
            "--precision 0: ",
        ),
        (
            FindFlags {
                confidence: Some("x".into()),
                ..base()
            },
            "--confidence x: ",
        ),
        (
            FindFlags {
                budget: Some("15".into()),
                ..base()
            },
            "--budget 15: ",
        ),
        (
            FindFlags {
                pace: Some(0.0),
                ..base()
            },
            "--pace 0: ",
        ),
        (
            FindFlags {
                threads: Some(0),
                ..base()
            },
            "--threads 0: ",
        ),
        (
            FindFlags {
                url: Some("127.0.0.1:80".into()),
                ..base()
            },
            "--url 127.0.0.1:80: ",
        ),
        (
            FindFlags {
                slo: vec!["p99".into()],
                ..base()
            },
            "--slo: `p99` has no bound",
        ),
    ] {
        let error = error(DEMO, &flags);
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn a_bad_value_in_the_profile_is_told_even_where_a_flag_beats_it() {
    let flags = FindFlags {
        max_vus: Some(10),
        ..FindFlags::default()
    };
    let text = format!("{DEMO}[search]\nmax-vus = 0\n");
    assert!(error(&text, &flags).starts_with("mine.toml:5: "));
}

#[test]
fn a_warm_up_is_asked_for_left_out_or_left_to_the_search() {
    let of = |in_profile: &str, flag: Option<&str>| {
        let flags = FindFlags {
            warm_up: flag.map(str::to_owned),
            ..FindFlags::default()
        };
        let text = format!("{DEMO}[search]\n{in_profile}\n");
        plan(&text, &flags).search.warm_up
    };
    assert_eq!(of("", None), None);
    let seconds = |s| Some(Duration::from_secs(s));
    assert_eq!(of("warm-up = \"2m\"", None), seconds(120));
    assert_eq!(of("warm-up = \"2m\"", Some("30s")), seconds(30));
    assert_eq!(of("warm-up = \"2m\"", Some("0")), seconds(0));
    assert_eq!(
        of("warm-up = \"2m\"\nrate = \"poisson\"", None),
        seconds(120)
    );
}

#[test]
fn times_that_are_not_given_shrink_with_the_budget() {
    let flags = FindFlags {
        budget: Some("40s".to_owned()),
        ..FindFlags::default()
    };
    let plan = plan(DEMO, &flags);
    assert_eq!(plan.search.hold_min, Duration::from_secs(10));
    assert_eq!(plan.search.hold_max, Duration::from_secs(20));
}

#[test]
fn relative_paths_start_from_the_profiles_folder() {
    let plan = plan(
        &format!(
            "{DEMO}[[monitor]]\nname = \"g\"\ndocker = \"c\"\npid-file = \
             \"run/g.pid\"\nmemory-limit = \"512MiB\"\nlog = \"run/g.log\"\n"
        ),
        &FindFlags::default(),
    );
    assert_eq!(
        plan.monitors[1..],
        [MonitorPlan {
            name: "g".to_owned(),
            source: MonitorSource::DockerOrPidFile("c".to_owned(), "/p/run/g.pid".into()),
            memory_limit: Some(512 * 1024 * 1024),
            log: Some("/p/run/g.log".into()),
            log_match: LogMatch::default(),
            connect: ConnectPlan::default(),
        }]
    );
    assert_eq!(plan.target.dir, Path::new("/p"));
}

#[test]
fn metrics_and_queries_become_fields() {
    let tail = "[[monitor]]\nname = \"m\"\nprometheus = \"http://127.0.0.1:1/metrics\"\nmetrics = { queue = 'depth{of=\"a\"}' }\n\
                [[monitor]]\nname = \"q\"\nprometheus-server = \"http://127.0.0.1:9090\"\nqueries \
                    = { rate = \"rate(x[1m])\" }\n";
    let plan = plan(&format!("{DEMO}{tail}"), &FindFlags::default());
    let sources: Vec<MonitorSource> = plan.monitors.into_iter().map(|m| m.source).collect();
    let series = Series::parse("depth{of=\"a\"}").unwrap();
    assert_eq!(
        sources,
        [
            MonitorSource::Host,
            MonitorSource::Prometheus(
                "http://127.0.0.1:1/metrics".to_owned(),
                vec![("queue".to_owned(), series)]
            ),
            MonitorSource::PromQl(
                "http://127.0.0.1:9090".to_owned(),
                vec![("rate".to_owned(), "rate(x[1m])".to_owned())]
            ),
        ]
    );
}

#[test]
fn an_objective_on_a_missing_step_or_monitor_is_shown_where_it_stands() {
    let steps = StepTable::of_cycle(["open".to_owned()], None);
    let text = "slo = [\"p99<2s\", \"p99(opn)<1s\"]\n[target]\ndemo = true\n";
    let error = plan(text, &FindFlags::default())
        .check_slo(&steps)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("mine.toml:1: "), "{error}");
    assert!(error.contains("no measured step `opn`"), "{error}");
    let flags = FindFlags {
        slo: vec!["gateway.oom_kills==0".to_owned()],
        ..FindFlags::default()
    };
    let error = plan(DEMO, &flags)
        .check_slo(&steps)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("--slo: "), "{error}");
}

#[test]
fn engines_that_know_no_cycles_refuse_good_ones_where_they_stand() {
    let good = "slo = [\"p99<2s\", \"good(request<1s)>99%\"]\n";
    let none = FindFlags::default();
    let steps = StepTable::of_requests(["request".to_owned()]);
    for (engine, part) in [
        ("kind = \"k6\"\nscript = \"s.js\"", "k6 does not say"),
        (
            "kind = \"locust\"\nurl = \"http://127.0.0.1:1\"",
            "requests and no cycles",
        ),
    ] {
        let plan = plan(&format!("{good}[engine]\n{engine}\n"), &none);
        let error = plan.check_slo(&steps).unwrap_err().to_string();
        assert!(error.starts_with("mine.toml:1: "), "{error}");
        assert!(error.contains(part), "{error}");
    }
    let mut scenario = Scenario::single_get("http://127.0.0.1:1/").unwrap();
    let native = plan(&format!("{good}[target]\ndemo = true\n"), &none);
    native.count_good(&mut scenario).unwrap();
    native.check_slo(scenario.table()).unwrap();
    let wrong = good.replace("request", "answer");
    let native = plan(&format!("{wrong}[target]\ndemo = true\n"), &none);
    let error = native.count_good(&mut scenario).unwrap_err().to_string();
    assert!(error.starts_with("mine.toml:1: "), "{error}");
    assert!(error.contains("there are: request, cycle"), "{error}");
}

#[test]
fn with_a_rate_levels_are_arrivals_and_vus_their_limit() {
    let rate = |kind: &str| FindFlags {
        rate: Some(kind.to_owned()),
        ..FindFlags::default()
    };
    let usual = plan(DEMO, &rate("poisson"));
    assert_eq!(usual.search.unit, LevelUnit::RequestsPerS);
    let (min, max, start) = (usual.search.min, usual.search.max, usual.search.start);
    assert_eq!((min, max, start), (Level(1), Level(20_000), Level(10)));
    let LoadPlan::Open(open) = usual.load else {
        panic!("not open");
    };
    assert_eq!((open.arrivals, open.most_vus), (Arrivals::Poisson, 5_000));
    assert!(!open.most_is_explicit);

    // Levels of VUs in a profile say nothing of rates; the most VUs stay a limit.
    let text = format!(
        "{DEMO}[search]\nrate = 'constant'\nstart-vus = 7\nmax-vus = 300\nmin-rate = \
         5\nstart-rate = 50\nmax-rate = 900\n"
    );
    let of_profile = plan(&text, &FindFlags::default());
    let search = &of_profile.search;
    let levels = (search.min, search.start, search.max);
    assert_eq!(levels, (Level(5), Level(50), Level(900)));
    let LoadPlan::Open(open) = of_profile.load else {
        panic!("not open");
    };
    assert_eq!((open.arrivals, open.most_vus), (Arrivals::Constant, 300));
    let LoadPlan::Open(open) = plan(&text, &rate("poisson")).load else {
        panic!("not open");
    };
    assert_eq!(
        open.arrivals,
        Arrivals::Poisson,
        "the flag beats the profile"
    );

    // Without a rate the rates of a profile say nothing of VUs.
    let text = format!("{DEMO}[search]\nmax-rate = 900\nstart-vus = 20\n");
    let closed = plan(&text, &FindFlags::default());
    assert_eq!(closed.load, LoadPlan::Closed);
    assert_eq!(closed.search.unit, LevelUnit::Vus);
    assert_eq!(closed.search.start, Level(20));
}

#[test]
fn a_rate_that_makes_no_sense_is_told() {
    let with = |change: fn(&mut FindFlags)| {
        let mut flags = FindFlags::default();
        change(&mut flags);
        error(DEMO, &flags)
    };
    let unknown = with(|f| f.rate = Some("poison".to_owned()));
    assert!(
        unknown.contains("--rate") && unknown.contains("`poisson`"),
        "{unknown}"
    );
    let lonely = with(|f| f.max_rate = Some(100));
    assert!(
        lonely.contains("--max-rate 100") && lonely.contains("--rate"),
        "{lonely}"
    );
    let mixed = with(|f| (f.rate, f.start_vus) = (Some("poisson".to_owned()), Some(5)));
    assert!(
        mixed.contains("--start-vus") && mixed.contains("--start-rate"),
        "{mixed}"
    );
    let upside_down = with(|f| {
        f.rate = Some("poisson".to_owned());
        (f.min_rate, f.max_rate) = (Some(50), Some(10));
    });
    assert!(
        upside_down.contains("min-rate 50 is above max-rate 10"),
        "{upside_down}"
    );
    let in_file = error(
        &format!("{DEMO}[search]\nrate = 'steady'\n"),
        &FindFlags::default(),
    );
    assert!(in_file.contains("use poisson or constant"), "{in_file}");
}

#[test]
fn local_addresses_are_those_of_the_flags_or_of_the_profile() {
    let text = format!("{DEMO}[search]\nlocal-addr = [\"127.0.0.2\", \"127.0.0.3\"]\n");
    let texts = |plan: &Plan| -> Vec<String> {
        let addresses = plan.local_addresses.iter();
        addresses.map(ToString::to_string).collect()
    };
    let of = |addresses: &[&str]| FindFlags {
        local_addr: addresses.iter().map(|a| (*a).to_owned()).collect(),
        ..FindFlags::default()
    };
    assert_eq!(texts(&plan(DEMO, &of(&[]))), [""; 0]);
    assert_eq!(texts(&plan(&text, &of(&[]))), ["127.0.0.2", "127.0.0.3"]);
    assert_eq!(texts(&plan(&text, &of(&["[::1]"]))), ["::1"]);
    for (given, what) in [
        (&["eth0"][..], "--local-addr eth0: `eth0` is not an address"),
        (&["127.0.0.2:80"], "without a port"),
        (&["0.0.0.0"], "leave it out to let the kernel choose"),
        (&["224.0.0.1"], "is a multicast address"),
        (&["127.0.0.2", "127.0.0.2"], "127.0.0.2 is given twice"),
        (&["127.0.0.2", "::1"], "use addresses of one family"),
    ] {
        let error = error(DEMO, &of(given));
        assert!(error.contains(what), "{error}");
    }
    let error = error(&text.replace("127.0.0.3", "here"), &of(&["127.0.0.9"]));
    assert!(error.starts_with("mine.toml:5: `here` is not"), "{error}");
}

const ABUSERS: &str = "[[population]]\nname = \"abusers\"\nscenario = { steps = [{ name = \
    \"fire\", post = \"/x\" }] }\n";

#[test]
fn another_population_runs_beside_the_users_or_is_searched_instead() {
    let none = FindFlags::default();
    let beside = plan(&format!("{DEMO}{ABUSERS}vus = 5\n"), &none).populations;
    assert_eq!(beside.users, Amount::Searched);
    assert_eq!(beside.others[0].name, "abusers");
    assert_eq!(beside.others[0].amount, Amount::Vus(Level(5)));
    let rate = plan(&format!("{DEMO}{ABUSERS}rate = 100\n"), &none).populations;
    assert_eq!(rate.others[0].amount, Amount::PerSecond(Level(100)));
    let searched = format!("{DEMO}{ABUSERS}[search]\npopulation = \"abusers\"\nusers = 100\n");
    let searched = plan(&searched, &none).populations;
    assert_eq!(searched.users, Amount::Vus(Level(100)));
    assert_eq!(searched.others[0].amount, Amount::Searched);
}

#[test]
fn populations_that_make_no_sense_are_refused_with_the_way_out() {
    for (rest, wanted) in [
        ("", "the size of population `abusers` is not set"),
        ("vus = 5\nrate = 9\n", "has both vus and rate"),
        ("vus = 0\n", "a level must be between 1"),
        (
            "vus = 5\n[search]\nusers = 9\n",
            "the number of users of [scenario] is what is searched",
        ),
        (
            "[search]\npopulation = \"abusers\"\n",
            "the number of users of [scenario] is not set",
        ),
        (
            "vus = 5\n[search]\npopulation = \"abusers\"\nusers = 9\n",
            "its number is the result",
        ),
        (
            "vus = 5\n[search]\npopulation = \"abuser\"\nusers = 9\n",
            "did you mean `abusers`?",
        ),
    ] {
        let text = format!("{DEMO}{ABUSERS}{rest}");
        let error = error(&text, &FindFlags::default());
        assert!(error.contains(wanted), "{rest}: {error}");
    }
    let twice = format!("{DEMO}{ABUSERS}vus = 5\n{ABUSERS}vus = 5\n");
    assert!(error(&twice, &FindFlags::default()).contains("two populations named `abusers`"));
    let pooled = ABUSERS.replace("\"abusers\"", "\"main\"");
    let pooled = error(&format!("{DEMO}{pooled}vus = 5\n"), &FindFlags::default());
    assert!(
        pooled.contains("a population cannot be named `main`"),
        "{pooled}"
    );
}

#[test]
fn a_service_is_watched_from_outside_and_asked_for_its_own_word_under_one_name() {
    let monitor = "[[monitor]]\nname = \"gateway\"\npid-file = \"g.pid\"\nlog = \
        \"g.log\"\nmemory-limit = \"1MiB\"\n";
    let page = "prometheus = \"http://127.0.0.1:1/metrics\"\nmetrics = { FIELD = \"x\" }\n";
    let both = |field: &str| format!("{DEMO}{monitor}{}", page.replace("FIELD", field));
    let none = FindFlags::default();
    let plan = plan(&both("eventloop_p99"), &none);
    let named: Vec<&MonitorPlan> = plan
        .monitors
        .iter()
        .filter(|m| m.name == "gateway")
        .collect();
    assert_eq!(named.len(), 2);
    assert!(matches!(named[0].source, MonitorSource::PidFile(_)));
    assert!(matches!(named[1].source, MonitorSource::Prometheus(..)));
    assert!(
        named[0].log.is_some() && named[1].log.is_none(),
        "its log is followed once"
    );
    assert!(named[0].memory_limit.is_some() && named[1].memory_limit.is_none());
    let taken = error(&both("memory"), &none);
    assert!(
        taken.contains("`memory` is a field that this monitor's other source has"),
        "{taken}"
    );
    let three = format!("{}cgroup = \"/sys/fs/cgroup/x\"\n", both("x"));
    let three = three.replacen(
        "prometheus =",
        "redis = \"redis://127.0.0.1\"\nprometheus =",
        1,
    );
    assert!(error(&three, &none).contains("has several sources"));
}

#[test]
fn an_address_may_have_placeholders_as_people_write_them() {
    let steps = |url: &str| {
        let flags = FindFlags {
            url: Some(url.to_owned()),
            slo: vec!["p99<1s".to_owned()],
            ..FindFlags::default()
        };
        let plan = Plan::resolve(None, &flags).unwrap_or_else(|e| panic!("{e}"));
        match plan.scenario {
            ScenarioSource::Spec(spec) => spec.steps[0].as_ref().get.clone().unwrap(),
            _ => String::new(),
        }
    };
    for path in [
        "/?u={{ vu }}",
        "/?u={{vu}}",
        "/{{ env.X }}/a",
        "/?n={{ random(1, 5) }}",
    ] {
        assert_eq!(steps(&format!("http://127.0.0.1:8080{path}")), path);
    }
    assert_eq!(steps("http://127.0.0.1:8080/a"), "", "a plain GET");
}

#[test]
fn what_stops_a_run_is_of_the_profile_and_of_flags() {
    let section = "[search]\nbudget = \"10m\"\nstop-file = \"stop\"\nmax-time = \"2h\"\nabort-if = [\"ai.sockets>9\"]\n\
                   [[monitor]]\nname = \"ai\"\npid-file = \"a\"\n";
    let text = format!("{DEMO}{section}");
    let profile = profile_with_defaults(&text);
    assert_eq!(profile.safety.abort_if.texts(), ["ai.sockets>9"]);
    let file = profile.safety.stop_file.clone().unwrap();
    assert_eq!(file, profile.dir.join("stop"));
    assert_eq!(profile.longest_run(), Duration::from_secs(7200));
    let flags = FindFlags {
        stop_file: Some(PathBuf::from("here")),
        abort_if: vec!["host.memory_available<2GiB".to_owned()],
        max_time: Some("1h".to_owned()),
        ..FindFlags::default()
    };
    let both = plan(&text, &flags);
    let texts = both.safety.abort_if.texts();
    assert_eq!(texts, ["ai.sockets>9", "host.memory_available<2GiB"]);
    assert_eq!(both.safety.stop_file, Some(PathBuf::from("here")));
    assert_eq!(both.longest_run(), Duration::from_secs(3600));
    // 10 s until it answers, two recoveries past the budget, and the end of the load.
    let default = profile_with_defaults(DEMO);
    let ramp_down = f64::from(default.search.max.get()) / default.pace_per_s;
    let around = Duration::from_secs(10 + 2 * (30 + 120) + 30);
    let after = Duration::from_secs_f64(default.search.references_s() + ramp_down);
    assert_eq!(
        default.longest_run(),
        default.search.budget + around + after
    );
    // `up` and a reset have their limits too, and what was brought up has longer to answer.
    let mut commands = profile_with_defaults(DEMO);
    commands.target.up = Some("./up".to_owned());
    commands.target.reset = Some("./reset".to_owned());
    let more = Duration::from_secs(120 + (120 - 10) + 2 * 120);
    assert_eq!(commands.longest_run(), default.longest_run() + more);
}

#[test]
fn a_limit_on_what_nobody_reads_is_no_limit() {
    let monitor = "[[monitor]]\nname = \"ai\"\nprometheus = \"http://127.0.0.1:1/m\"\nmetrics = { \
        queue = \"depth\" }\n";
    for (condition, wanted) in [
        ("p99<2s", "`p99<2s` is not about a monitor's field"),
        ("al.queue>9", "no monitor `al`; there are: host, ai"),
        (
            "ai.queu>9",
            "the monitor `ai` has no field `queu`; did you mean `queue`?",
        ),
        (
            "ai.xyz>9",
            "the monitor `ai` has no field `xyz`; it may have queue, scrape_s, scrape_failed",
        ),
        ("host.memory>9", "the monitor `host` has no field `memory`"),
    ] {
        let text = format!("{DEMO}[search]\nabort-if = [\"{condition}\"]\n{monitor}");
        let in_profile = error(&text, &FindFlags::default());
        assert!(in_profile.contains(wanted), "{in_profile}");
        let flags = FindFlags {
            abort_if: vec![condition.to_owned()],
            ..FindFlags::default()
        };
        let by_flag = error(&format!("{DEMO}{monitor}"), &flags);
        let flag = format!("--abort-if {condition}: ");
        assert!(
            by_flag.starts_with(&flag) && by_flag.contains(wanted),
            "{by_flag}"
        );
    }
}

#[test]
fn what_a_drained_target_reads_is_of_monitors_that_exist() {
    let target = DEMO.to_owned();
    let text = |condition: &str| {
        format!(
            "{target}drained-when = [\"host.time_wait<100\", \"{condition}\"]\n[[monitor]]\nname \
             = \"ai\"\npid-file = \"a\"\n"
        )
    };
    let none = FindFlags::default();
    let plan = plan(&text("ai.sockets==0"), &none);
    let wanted = ["host.time_wait<100", "ai.sockets==0"];
    assert_eq!(plan.target.drained_when.texts(), wanted);
    for (condition, wanted) in [
        ("p99<2s", "`p99<2s` is not about a monitor's field"),
        ("al.sockets==0", "no monitor `al`; there are: host, ai"),
    ] {
        let error = error(&text(condition), &none);
        assert!(error.contains(wanted), "{error}");
        let underlined = format!("{}{}", " ".repeat(38), "^".repeat(condition.len() + 2));
        assert!(error.contains(&underlined), "{error}");
    }
}

#[test]
fn containers_and_redis_servers_are_reset_without_a_command() {
    let text = format!(
        "{DEMO}[[monitor]]\nname = \"gateway\"\ndocker = \"gw\"\npid-file = \"g\"\nrestart = \"bloated\"\n\
         [[monitor]]\nname = \"redis\"\nredis = \"redis://127.0.0.1:1\"\nflush = true\n\
         [[monitor]]\nname = \"other\"\nredis = \"redis://127.0.0.1:2\"\nflush = false\n"
    );
    let none = FindFlags::default();
    let target = plan(&text, &none).target;
    let restart = RestartPlan {
        monitor: "gateway".to_owned(),
        container: "gw".to_owned(),
        when: RestartWhen::Bloated,
    };
    assert_eq!(target.restarts, [restart]);
    let flush = FlushPlan {
        monitor: "redis".to_owned(),
        url: "redis://127.0.0.1:1".to_owned(),
    };
    assert_eq!(target.flushes, [flush]);
    assert!(!target.resets_always());
    let always = text.replace("bloated", "always");
    assert!(plan(&always, &none).target.resets_always());
}

#[test]
fn what_cannot_be_reset_without_a_command_is_shown_where_it_stands() {
    for (keys, wanted) in [
        (
            "pid-file = \"a\"\nrestart = \"dead\"",
            "a process is restarted by the profile's reset command",
        ),
        (
            "redis = \"redis://127.0.0.1\"\nrestart = \"dead\"",
            "there is no container to restart",
        ),
        (
            "docker = \"a\"\nrestart = \"ded\"",
            "unknown value `ded`; did you mean `dead`?",
        ),
        (
            "docker = \"a\"\nrestart = \"sometimes\"",
            "unknown value `sometimes`; use dead or bloated or always",
        ),
        (
            "docker = \"a\"\nflush = true",
            "there is no Redis server to flush",
        ),
    ] {
        let text = format!("{DEMO}[[monitor]]\nname = \"it\"\n{keys}\n");
        let error = error(&text, &FindFlags::default());
        assert!(error.starts_with("mine.toml:7: "), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_gate_is_one_that_can_pass_and_that_fits_the_levels() {
    let flags = |require_vus, require_rate| FindFlags {
        require_vus,
        require_rate,
        ..FindFlags::default()
    };
    let none = FindFlags::default();
    assert_eq!(plan(DEMO, &none).required, None);
    assert_eq!(
        plan(DEMO, &flags(Some(500), None)).required,
        Some(Level(500))
    );
    let text = format!("{DEMO}[search]\nmax-vus = 900\nrequire-vus = 300\n");
    assert_eq!(plan(&text, &none).required, Some(Level(300)));
    // The flag beats the profile.
    assert_eq!(
        plan(&text, &flags(Some(900), None)).required,
        Some(Level(900))
    );
    let over = error(&text, &flags(Some(901), None));
    assert!(
        over.contains("require-vus 901 can never be proven: no level above max-vus 900 is visited"),
        "{over}"
    );
    let over = error(DEMO, &flags(Some(5001), None));
    assert!(over.contains("max-vus 5000, the default"), "{over}");
    assert!(error(DEMO, &flags(Some(0), None)).contains("--require-vus 0: a level must be"));

    // A gate of the other kind of level would be ignored, which is a gate that always passes.
    assert!(error(DEMO, &flags(None, Some(5))).contains("--require-rate 5: levels are VUs here"));
    let rate = FindFlags {
        rate: Some("poisson".to_owned()),
        ..FindFlags::default()
    };
    assert!(error(&text, &rate).contains("use require-rate here"));
    let both = FindFlags {
        require_rate: Some(70),
        ..rate.clone()
    };
    assert_eq!(plan(&text, &both).required, Some(Level(70)));
    let misplaced = FindFlags {
        require_vus: Some(70),
        ..rate
    };
    assert!(error(DEMO, &misplaced).contains("--require-vus 70: levels are rates here"));
    let text = format!("{DEMO}[search]\nrequire-rate = 3\n");
    assert!(error(&text, &none).contains("use require-vus here"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is a valid value arrives as it was written; one character more or less is an error
    /// that says where, or another plan.
    #[test]
    fn what_a_profile_says_is_what_is_planned(
        user in "[^{}\\r\\n]{1,20}",
        header in "[!-z]{0,20}",
        think_ms in 0_u32..100_000,
        (low, width) in (1_u32..500, 0_u32..5_000),
        budget_s in 60_u64..100_000,
        at in any::<prop::sample::Index>(),
        change in prop_oneof![Just(None), any::<char>().prop_map(Some)],
    ) {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let high = low + width;
        let text = format!(
            "slo = ['p99(one)<2s']\n[target]\nurl = 'http://127.0.0.1:8080'\n\
             [scenario]\nsteps = [{{ name = 'one', post = '/', json = {{ user = {} }}, headers = {{ x-a = {} }} }}, {{ think = '{think_ms}ms' }}]\n\
             [search]\nmin-vus = {low}\nstart-vus = {high}\nmax-vus = {high}\nbudget = '{budget_s}s'\n",
            quoted(&user), quoted(&header),
        );
        let planned = plan(&text, &FindFlags::default());
        prop_assert_eq!((planned.search.min, planned.search.max), (Level(low), Level(high)));
        prop_assert_eq!(planned.search.budget, Duration::from_secs(budget_s));
        let ScenarioSource::Spec(spec) = &planned.scenario else {
            return Err(TestCaseError::fail("no scenario"));
        };
        let step = spec.steps[0].as_ref();
        let sent = step.json.as_ref().and_then(|json| json.get("user")?.as_str());
            prop_assert_eq!(sent, Some(user.as_str()));
        prop_assert_eq!(step.headers.get("x-a").map(String::as_str), Some(header.as_str()));
        let mut damaged: Vec<char> = text.chars().collect();
        let at = at.index(damaged.len());
        match change {
            Some(c) => damaged.insert(at, c),
            None => drop(damaged.remove(at)),
        }
        let damaged: String = damaged.into_iter().collect();
        if let Err(error) = Profile::parse(&damaged, "mine.toml", Path::new("/p")) {
            let error = error.to_string();
            prop_assert!(error.contains("mine.toml:"), "{}", error);
        }
    }
}

fn of_script(json: &str) -> ScriptInfo {
    ScriptInfo {
        script: Script::of_json(json.as_bytes(), Runner::K6).unwrap(),
        crc32: 7,
    }
}

const THRESHOLDS: &str = r#"{"thresholds": {"http_req_duration": ["p(95)<500"], "checks": ["rate>0.9"]}, "blacklistIPs": ["127.0.0.9/32"],
    "scenarios": {"a": {"executor": "per-vu-iterations", "vus": 3, "iterations": 3, "exec": "browse"},
        "b": {"executor": "per-vu-iterations", "exec": "buy"}}}"#;

fn script_flags() -> FindFlags {
    FindFlags {
        script: Some("dir/my script.js".into()),
        engine: Some("k6".to_owned()),
        ..FindFlags::default()
    }
}

#[test]
fn a_script_by_flag_is_a_plan_of_its_own_with_its_thresholds() {
    let flags = script_flags();
    assert_eq!(Plan::resolve(None, &flags).unwrap_err(), PlanError::NoSlo);
    let plan = Plan::resolve_with(None, &flags, Some(&of_script(THRESHOLDS))).unwrap();
    assert_eq!(plan.name, "k6-my-script");
    assert_eq!(plan.slo.texts(), ["p95<500ms"]);
    assert_eq!(plan.search.max, Level(2000));
    assert!(!plan.max_is_explicit);
    let k6 = plan.engine.k6().unwrap();
    assert_eq!(k6.script, Path::new("dir/my script.js"));
    assert_eq!(k6.binary, Path::new("k6"));
    let functions: Vec<String> = k6.functions.iter().map(ToString::to_string).collect();
    assert_eq!(functions, ["browse=3", "buy=1"]);
    assert_eq!(
        (k6.blocked.len(), k6.crc32, k6.of_profile),
        (1, Some(7), false)
    );
    assert!(
        k6.notes[0].contains("cannot be an objective here: `checks: rate>0.9`"),
        "{:?}",
        k6.notes
    );
    assert_eq!(plan.scenario_kind(), "of the engine");
}

impl Plan {
    fn scenario_kind(&self) -> &'static str {
        match self.scenario {
            ScenarioSource::OfTheEngine => "of the engine",
            _ => "ours",
        }
    }
}

#[test]
fn objectives_of_flags_or_profile_stand_in_the_place_of_thresholds() {
    let flags = FindFlags {
        slo: vec!["p(99)<2000".to_owned()],
        k6_exec: Some("buy=2".to_owned()),
        max_vus: Some(3000),
        ..script_flags()
    };
    let info = of_script(THRESHOLDS);
    let plan = Plan::resolve_with(None, &flags, Some(&info)).unwrap();
    assert_eq!(
        plan.slo.objectives()[0].latency_limit(),
        Some(Duration::from_secs(2))
    );
    assert_eq!(plan.search.max, Level(3000));
    let k6 = plan.engine.k6().unwrap();
    assert_eq!(k6.functions, [Function::new("buy", 2).unwrap()]);
    let [note] = k6.notes.as_slice() else {
        panic!("{:?}", k6.notes)
    };
    assert!(
        note.contains("2 thresholds are not used") && note.contains("p95<500ms"),
        "{note}"
    );
    for (json, part) in [
        ("{}", "the script has no thresholds"),
        (
            r#"{"thresholds": {"checks": ["rate>0.9"]}}"#,
            "`checks: rate>0.9`",
        ),
    ] {
        let error = Plan::resolve_with(None, &script_flags(), Some(&of_script(json))).unwrap_err();
        assert!(
            error.to_string().contains(part) && error.to_string().contains("--slo 'p99<2s'"),
            "{error}"
        );
    }
}

#[test]
fn a_profile_names_script_program_functions_and_arguments() {
    let text = "slo = [\"p95<1s\"]\n[engine]\nscript = \"load/s.js\"\nbinary = \"./bin/k6\"\n\
                exec = { buy = 1, browse = 3 }\narguments = [\"-e\", \"TOKEN={{ env.TOKEN \
                    }}\"]\n[target]\nallow = [\"staging\"]\n";
    let flags = FindFlags {
        k6_env: vec!["BASE=http://127.0.0.1:1".to_owned()],
        ..FindFlags::default()
    };
    let ahead = Plan::ahead(Some(&profile(text)), &flags).unwrap().unwrap();
    assert_eq!(
        (ahead.name.as_str(), ahead.dir.as_path()),
        ("mine", Path::new("/p"))
    );
    assert!(ahead.engine.k6().unwrap().of_profile);
    let plan = plan(text, &flags);
    let k6 = plan.engine.k6().unwrap();
    assert_eq!(k6.script, Path::new("/p/load/s.js"));
    assert_eq!(k6.binary, Path::new("/p/./bin/k6"));
    assert_eq!(k6.shown, "load/s.js");
    assert_eq!(
        k6.arguments,
        [
            "-e",
            "TOKEN={{ env.TOKEN }}",
            "-e",
            "BASE=http://127.0.0.1:1"
        ]
    );
    assert_eq!(plan.target.allowed.hosts(), ["staging"]);
    assert_eq!(plan.target.kind, TargetKind::OfTheEngine);
    assert!(
        Plan::ahead(Some(&profile(DEMO)), &FindFlags::default())
            .unwrap()
            .is_none()
    );
    // A flag beats the profile, and what it names is what its user wants to run.
    let ahead = Plan::ahead(
        Some(&profile(DEMO.replace("demo = true", "").as_str())),
        &script_flags(),
    );
    let ahead = ahead.unwrap().unwrap();
    assert!(!ahead.engine.k6().unwrap().of_profile);
}

const OF_K6: &str = "slo = [\"p95<1s\"]\n[engine]\nkind = \"k6\"\nscript = \"s.js\"\n";

#[track_caller]
fn refused(text: &str, flags: &FindFlags, parts: &[&str]) {
    let error = error(text, flags);
    for part in parts {
        assert!(error.contains(part), "no `{part}`:\n{error}");
    }
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn what_in_a_profile_does_not_go_with_k6_is_refused_where_it_stands() {
    let steps = "steps = [{ name = \"x\", get = \"/\" }]";
    let population = format!("[[population]]\nname = \"b\"\nvus = 1\nscenario = {{ {steps} }}\n");
    for (more, line, part) in [
        ("exec = { a = 0 }\n", 5, "the weight of `a`"),
        (
            "arguments = [\"--vus\", \"3\"]\n",
            5,
            "`--vus` is not an argument",
        ),
        (
            "[search]\nrate = \"poisson\"\n",
            6,
            "VUs of k6, not arrivals",
        ),
        (&format!("[scenario]\n{steps}\n"), 6, "remove [scenario]"),
        (
            "[target]\ndemo = true\n",
            6,
            "the script of k6 does not know",
        ),
        (&population, 5, "k6 has the users of its script"),
    ] {
        let place = format!("mine.toml:{line}");
        refused(
            &format!("{OF_K6}{more}"),
            &FindFlags::default(),
            &[&place, part],
        );
    }
    for (more, part) in [
        (
            "kind = \"k6\"\n",
            "mine.toml:5: the engine `k6` needs a script",
        ),
        (
            "kind = \"native\"\nscript = \"s.js\"\n",
            "mine.toml:6: only the engines `script` and `k6` support this",
        ),
        (
            "kind = \"locust\"\nbinary = \"k6\"\n",
            "mine.toml:6: only the engines `script` and `k6` support this",
        ),
    ] {
        refused(
            &format!("{DEMO}[engine]\n{more}"),
            &FindFlags::default(),
            &[part],
        );
    }
}

#[test]
fn flags_that_do_not_go_with_k6_or_without_it_are_refused() {
    let none = FindFlags::default;
    let text = |text: &str| Some(text.to_owned());
    for (flags, parts) in [
        (
            FindFlags {
                threads: Some(2),
                ..none()
            },
            &["--threads 2"][..],
        ),
        (
            FindFlags {
                local_addr: vec!["127.0.0.2".to_owned()],
                ..none()
            },
            &["--local-addr 127.0.0.2", "`localIPs`"],
        ),
        (
            FindFlags {
                url: text("http://127.0.0.1:1"),
                ..none()
            },
            &["--url", "--k6-env BASE"],
        ),
        (
            FindFlags {
                k6_env: vec!["s3cret".to_owned()],
                ..none()
            },
            &["--k6-env ***", "NAME=VALUE"],
        ),
        (
            FindFlags {
                k6_exec: text("a"),
                ..none()
            },
            &["--k6-exec a", "browse=3,buy=1"],
        ),
    ] {
        refused(OF_K6, &flags, parts);
    }
    let exec = FindFlags {
        k6_exec: text("a=1"),
        ..none()
    };
    refused(DEMO, &exec, &["--k6-exec a=1", "only the engine `k6`"]);
    let native = FindFlags {
        engine: text("native"),
        ..script_flags()
    };
    refused(
        DEMO,
        &native,
        &[
            "--script dir/my script.js",
            "only the engines `script` and `k6`",
        ],
    );
}

/// What this program learns of a script that it runs itself.
fn of_own_script(options: &str, functions: &[&str]) -> ScriptInfo {
    let options = serde_json::from_str(options).unwrap();
    let options = breakpoint_script::options::options(&options).unwrap();
    let functions = functions.iter().map(|name| (*name).to_owned()).collect();
    let metric = |name: &str, kind| Declared {
        name: name.to_owned(),
        kind,
    };
    let metrics = vec![
        metric("login_time", DeclaredKind::Trend),
        metric("wrong", DeclaredKind::Rate),
        metric("orders", DeclaredKind::Counter),
    ];
    let own = OwnScript::new(functions, metrics, &options);
    ScriptInfo {
        script: Script::of_own(&options, own, Runner::Own, &|_| None).unwrap(),
        crc32: 9,
    }
}

fn own_script(plan: &Plan) -> &ScriptPlan {
    match &plan.engine {
        EnginePlan::Script(script) => script,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_is_run_by_this_program_and_its_thresholds_are_the_slo() {
    let flags = FindFlags {
        script: Some("dir/my script.js".into()),
        env: vec!["BASE=http://127.0.0.1:1".to_owned(), "A=b=c".to_owned()],
        ..FindFlags::default()
    };
    let options = r#"{"thresholds": {"http_req_duration": ["p(95)<500"], "checks": ["rate>0.99"],
        "login_time": ["p(90)<300", "avg<200"], "wrong": [{"threshold": "rate<=0.05"}],
        "orders": ["count>10"]}, "hosts": {"a": "127.0.0.1"}, "insecureSkipTLSVerify": true, "stages": [{"duration": "1m", "target": 9}], "setupTimeout": "5s"}"#;
    let info = of_own_script(options, &["default", "setup"]);
    let plan = Plan::resolve_with(None, &flags, Some(&info)).unwrap();
    assert_eq!(plan.name, "script-my-script");
    assert_eq!(
        plan.slo.texts(),
        [
            "errors(checks)<1%",
            "p95(http_req_duration)<500ms",
            "p90(login_time)<300ms",
            "avg(login_time)<200ms",
            "errors(wrong)<=5%"
        ]
    );
    let script = own_script(&plan);
    assert_eq!(
        script.metrics,
        [
            ("checks".to_owned(), MetricRow::PassIsOne),
            ("http_req_duration".to_owned(), MetricRow::Part(Part::Whole)),
            ("login_time".to_owned(), MetricRow::Time),
            ("wrong".to_owned(), MetricRow::PassIsZero)
        ]
    );
    assert_eq!(script.env[1], ("A".to_owned(), "b=c".to_owned()));
    assert_eq!((script.crc32, script.own.has("setup")), (Some(9), true));
    assert_eq!(script.setup_timeout(), Duration::from_secs(5));
    assert!(
        script
            .notes
            .iter()
            .any(|note| note.contains("`orders: count>10`"))
    );
    assert_eq!(script.left_out, ["stages"]);
    let told = |part: &str| script.notes.iter().any(|note| note.contains(part));
    assert!(told("`hosts` is ignored: set addresses"));
    assert!(plan.target.connect.insecure);
}

#[test]
fn who_says_how_k6_is_run_means_k6_and_who_only_names_a_script_does_not() {
    let named = |text: &str, flags: &FindFlags| plan(text, flags).engine.facts().name();
    let none = FindFlags::default();
    let engine = |more: &str| format!("slo = [\"p95<1s\"]\n[engine]\nscript = \"s.js\"\n{more}");
    for (more, name) in [
        ("", "script"),
        ("kind = \"script\"\n", "script"),
        ("env = { A = \"1\" }\nexec = { a = 2 }\n", "script"),
        ("kind = \"k6\"\n", "k6"),
        ("binary = \"k6\"\n", "k6"),
        ("mode = \"gate\"\n", "k6"),
        ("arguments = [\"-e\", \"A=1\"]\n", "k6"),
    ] {
        assert_eq!(named(&engine(more), &none), name, "{more}");
    }
    let by_flag = FindFlags {
        engine: Some("k6".to_owned()),
        ..FindFlags::default()
    };
    assert_eq!(named(&engine(""), &by_flag), "k6");
    let plain = plan(&engine("env = { A = \"1\", B = \"{{ env.B }}\" }\n"), &none);
    assert_eq!(own_script(&plain).script, Path::new("/p/s.js"));
    assert_eq!(own_script(&plain).env.len(), 2);
    for (more, part) in [
        (
            "kind = \"script\"\nbinary = \"k6\"\n",
            "this is for k6 itself",
        ),
        (
            "kind = \"script\"\nmode = \"gate\"\n",
            "this is for k6 itself",
        ),
        ("mode = \"restart\"\n", "no longer started anew"),
        ("mode = \"ramp\"\n", "there is only `gate`"),
        (
            "[scenario]\nsteps = [{ name = \"x\", get = \"/\" }]\n",
            "remove [scenario]",
        ),
    ] {
        refused(&engine(more), &none, &[part]);
    }
    let pair = FindFlags {
        env: vec!["s3cret".to_owned()],
        ..FindFlags::default()
    };
    refused(&engine(""), &pair, &["--env", "write NAME=VALUE"]);
}

#[test]
fn a_script_that_lacks_a_function_is_refused() {
    let flags = FindFlags {
        script: Some("s.js".into()),
        slo: vec!["p95<1s".to_owned()],
        ..FindFlags::default()
    };
    let options = r#"{"scenarios": {"a": {"executor": "shared-iterations", "exec": "browse"}}}"#;
    let error = Plan::resolve_with(None, &flags, Some(&of_own_script(options, &["default"])));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("no function `browse`; exported: default"),
        "{error}"
    );
}

const TWO: &str = r#"{"scenarios": {
    "users": {"executor": "ramping-vus", "stages": [{"duration": "1m", "target": 30}], "exec": "visit"},
    "abusers": {"executor": "constant-arrival-rate", "rate": 90, "timeUnit": "1m", "duration": "1m",
        "preAllocatedVUs": 5, "maxVUs": 10, "exec": "visit"}}}"#;

fn of_two(flags: FindFlags) -> Result<Plan, PlanError> {
    let flags = FindFlags {
        script: Some("s.js".into()),
        slo: vec!["p95<1s".to_owned()],
        ..flags
    };
    Plan::resolve_with(None, &flags, Some(&of_own_script(TWO, &["visit"])))
}

#[test]
fn all_scenarios_of_a_script_are_searched_unless_one_is_named() {
    let together = of_two(FindFlags::default()).unwrap();
    let script = own_script(&together);
    let [all] = &script.populations()[..] else {
        panic!("{:?}", script.populations());
    };
    let kinds: Vec<(&str, &str, u32)> = (all.kinds.iter())
        .map(|kind| (&*kind.scenario, &*kind.function, kind.share))
        .collect();
    assert_eq!(kinds, [("abusers", "visit", 1), ("users", "visit", 3)]);
    assert_eq!(
        (all.amount, together.load),
        (Amount::Searched, LoadPlan::Closed)
    );
    assert!(EngineFacts::populations(script).is_empty());
    assert!(
        script
            .notes
            .iter()
            .any(|note| note.contains("--population NAME"))
    );

    for (searched, beside, amount, is_open) in [
        ("users", "abusers", Amount::PerSecond(Level(2)), false),
        ("abusers", "users", Amount::Vus(Level(30)), true),
    ] {
        let plan = of_two(FindFlags {
            population: Some(searched.to_owned()),
            ..FindFlags::default()
        });
        let plan = plan.unwrap();
        let script = own_script(&plan);
        let told = EngineFacts::populations(script);
        let wanted = [
            (beside.to_owned(), amount),
            (searched.to_owned(), Amount::Searched),
        ];
        assert_eq!(told, wanted);
        assert_eq!(plan.searched_name().as_deref(), Some(searched));
        assert_eq!(plan.load != LoadPlan::Closed, is_open, "{searched}");
        let rounded = script
            .notes
            .iter()
            .any(|note| note.contains("is rounded to 2"));
        assert_eq!(rounded, !is_open, "{:?}", script.notes);
        let lines = script.words().outline;
        assert!(
            lines.contains(&("scenario", format!("{searched} (visit): set by the level"))),
            "{lines:?}"
        );
    }
    let of = |flags| of_two(flags).unwrap_err().to_string();
    let none = of(FindFlags {
        population: Some("bots".to_owned()),
        ..FindFlags::default()
    });
    assert!(
        none.contains("no such scenario; it has: abusers, users"),
        "{none}"
    );
    let elsewhere = Plan::resolve(
        None,
        &FindFlags {
            population: Some("bots".to_owned()),
            ..FindFlags::default()
        },
    );
    let elsewhere = elsewhere.unwrap_err().to_string();
    assert!(
        elsewhere.contains("write `population` in [search]"),
        "{elsewhere}"
    );
}

#[test]
fn arrival_rates_are_searched_as_such_unless_vus_are_asked_for() {
    let options = r#"{"scenarios": {"a": {"executor": "constant-arrival-rate", "rate": 9,
        "duration": "1m", "preAllocatedVUs": 5, "exec": "visit"}}}"#;
    let load = |flags: FindFlags| {
        let flags = FindFlags {
            script: Some("s.js".into()),
            slo: vec!["p95<1s".to_owned()],
            ..flags
        };
        let info = of_own_script(options, &["visit"]);
        Plan::resolve_with(None, &flags, Some(&info)).unwrap().load
    };
    let arrivals = |load| match load {
        LoadPlan::Open(open) => Some(open.arrivals),
        LoadPlan::Closed => None,
    };
    assert_eq!(
        arrivals(load(FindFlags::default())),
        Some(Arrivals::Poisson)
    );
    let most = FindFlags {
        max_vus: Some(700),
        rate: Some("constant".to_owned()),
        ..FindFlags::default()
    };
    let open = load(most);
    assert_eq!(arrivals(open), Some(Arrivals::Constant));
    assert!(matches!(open, LoadPlan::Open(open) if open.most_vus == 700));
    for closed in [
        FindFlags {
            start_vus: Some(5),
            ..FindFlags::default()
        },
        FindFlags {
            is_closed: true,
            ..FindFlags::default()
        },
    ] {
        assert_eq!(load(closed), LoadPlan::Closed);
    }
}
