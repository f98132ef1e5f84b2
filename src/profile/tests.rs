use std::path::Path;

use super::*;

fn error(text: &str) -> ProfileError {
    Profile::parse(text, "mine.toml", Path::new("/p")).expect_err(text)
}

#[test]
fn an_unknown_key_is_shown_with_its_line_and_the_nearest_key() {
    let text = "slo = [\"p99<2s\"]\n\n[search]\nmax-vuss = 300\n";
    assert_eq!(
        error(text).to_string(),
        "mine.toml:4: unknown key `max-vuss`\n  |\n4 | max-vuss = 300\n  | ^^^^^^^^ did you mean `max-vus`?\n  \
         = known here: population, users, min-vus, max-vus, start-vus, rate, min-rate, max-rate, start-rate, require-vus, require-rate, precision, confidence, budget, hold-min, hold-max, settle-max, warm-up, reference-holds, pace, local-addr, seed, stop-file, abort-if, max-time"
    );
}

#[test]
fn every_table_names_the_nearest_key() {
    for (text, line, near) in [
        ("slos = []", 1, "slo"),
        ("[targt]\nurl = 'x'", 1, "target"),
        ("[target]\nulr = 'x'", 2, "url"),
        ("[target]\nreset_when = 'always'", 2, "reset-when"),
        ("[search]\nMax-VUs = 3", 2, "max-vus"),
        ("[search]\nmaxvus = 3", 2, "max-vus"),
        ("[search]\nbudgt = '3m'", 2, "budget"),
        ("[[monitor]]\npid = 'x'", 2, "pid-file"),
        ("[[monitor]]\nname = 'a'\npidfile = 'x'", 3, "pid-file"),
        ("[scenario]\nstep = []", 2, "steps"),
        ("[[scenario.steps]]\nname = 'a'\ngett = '/'", 3, "get"),
        ("[[scenario.steps]]\nwait = { evnt = 'answer' }", 2, "event"),
        (
            "[scenario]\nconnections = 'keepalive'\nsteps = []",
            2,
            "keep-alive",
        ),
    ] {
        let error = error(text);
        assert_eq!(error.place.as_ref().map(|p| p.line), Some(line), "{text}");
        let label = error.label.clone().unwrap_or_default();
        assert!(label.contains(&format!("`{near}`")), "{text}: {error}");
    }
}

#[test]
fn wrong_types_and_broken_toml_point_at_the_value() {
    for (text, line, column, message) in [
        ("[search]\nmax-vus = \"300\"", 2, 11, "expected i64"),
        ("[search]\nprecision = 5", 2, 13, "expected a string"),
        ("slo = \"p99<2s\"", 1, 7, "expected a sequence"),
        ("[target]\ndemo = 1", 2, 8, "expected a boolean"),
        ("[search\nmax-vus = 3", 1, 8, ""),
        ("name = \"a/b\"", 1, 8, "is not a valid name for a folder"),
        (
            "[[scenario.steps]]\nthink = 3",
            2,
            9,
            "not one of the forms a think time has",
        ),
    ] {
        let error = error(text);
        let place = error
            .place
            .clone()
            .unwrap_or_else(|| panic!("{text}: {error}"));
        assert_eq!((place.line, place.column), (line, column), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn the_underline_stays_within_the_line_and_counts_characters() {
    let source = Source {
        file: "f".to_owned(),
        text: "a = \"é\" # ü\nb = [\n1,\n]\n".to_owned(),
    };
    let place = |span| source.error(Some(span), "x").place.expect("a place");
    let accent = place(4..8);
    assert_eq!((accent.line, accent.column, accent.width), (1, 5, 3));
    let list = place(18..24);
    assert_eq!((list.line, list.column, list.width), (2, 5, 1));
    let end = place(1000..2000);
    assert_eq!(end.width, 1, "a span behind the end is no panic");
}

#[test]
fn a_long_line_is_quoted_around_what_is_wrong_and_a_long_value_cut() {
    let padding = "x".repeat(100_000);
    for text in [
        format!("{padding} = 1"),
        format!("a = '{padding}'"),
        format!("slo = ['{padding}', 7, '{padding}']"),
        format!("[search]\nbudget = {{ '{padding}' = 1 }}"),
        format!("# {padding}\nname = '{padding}\n"),
    ] {
        let error = Profile::parse(&text, "f", Path::new(".")).unwrap_err();
        let shown = error.to_string();
        assert!(shown.len() < 3000, "{} bytes", shown.len());
        let lines: Vec<&str> = shown.lines().collect();
        let quoted = lines.iter().position(|l| {
            l.contains(" | \u{2026}") || l.starts_with("1 |") || l.starts_with("2 |")
        });
        let (quoted, below) = (lines[quoted.unwrap()], lines[quoted.unwrap() + 1]);
        let at = below.chars().take_while(|c| *c != '^').count();
        assert!(at <= quoted.chars().count(), "{shown}");
    }
    // The underline is where it was.
    let text = format!("slo = ['{padding}', 7, '{padding}']");
    let error = Profile::parse(&text, "f", Path::new("."))
        .unwrap_err()
        .to_string();
    let lines: Vec<Vec<char>> = error.lines().map(|l| l.chars().collect()).collect();
    let caret = lines[3].iter().position(|c| *c == '^').unwrap();
    assert_eq!(lines[2][caret], '7', "{error}");
}

#[test]
fn the_name_is_the_key_or_the_files() {
    let named = Profile::parse("name = \"shop\"", "x/mine.toml", Path::new(".")).unwrap();
    assert_eq!(named.name, "shop");
    let unnamed = Profile::parse("", "x/mine.toml", Path::new(".")).unwrap();
    assert_eq!(unnamed.name, "mine");
}

#[test]
fn the_nearest_name_is_similar_or_there_is_none() {
    let names = ["demo", "gateway-512mb", "redis-512mb"];
    for (text, want) in [
        ("gatway", Some("gateway-512mb")),
        ("gateway-512", Some("gateway-512mb")),
        ("reddis-512mb", Some("redis-512mb")),
        ("Demo", Some("demo")),
        ("shop", None),
    ] {
        assert_eq!(nearest(text, names), want, "{text}");
    }
}
