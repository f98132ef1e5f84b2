use super::*;

/// A script that exports `buy`.
pub(super) fn spec(script: PathBuf) -> K6Spec {
    K6Spec {
        binary: PathBuf::from("k6"),
        version: Version::read("k6 v2.2.1 (x)").unwrap(),
        shown: script.display().to_string(),
        script,
        functions: vec![("buy".to_owned(), 1.0)],
        arguments: vec!["-e".to_owned(), "A=B".to_owned()],
        blacklist: vec!["128.0.0.0/1".to_owned(), "::2/127".to_owned()],
        pace_per_s: 10.0,
        names: Vec::new(),
        look_vus: 1,
        max_vus: 7,
        longest: Duration::from_secs(90),
        left_out: Vec::new(),
        hidden: Hidden::default(),
    }
}

#[test]
fn k6_is_told_where_it_may_not_go_and_what_to_write() {
    let told = drive::arguments(&spec(PathBuf::from("x.js"))).join(" ");
    assert!(told.contains("--out json=- "), "{told}");
    assert!(
        told.contains("--blacklist-ip 128.0.0.0/1 --blacklist-ip ::2/127 -e A=B"),
        "{told}"
    );
    assert!(told.starts_with("run "), "{told}");
}

#[test]
fn a_look_around_waits_for_every_vu_but_not_for_ever() {
    assert!(!is_enough(4, 4, true));
    assert!(is_enough(5, 4, true));
    assert!(!is_enough(19, 3, true), "new names come up");
    assert!(is_enough(20, 0, true));
    assert!(!is_enough(59, 50, false), "a VU is in its first iteration");
    assert!(is_enough(60, 50, false));
}

#[test]
fn the_end_tells_what_was_strange() {
    let one = StepWindow {
        latency: crate::measure::Histogram::of([Duration::from_millis(5)]),
        ..StepWindow::default()
    };
    let slice = Slice {
        names: [
            ("/a".to_owned(), one.clone()),
            ("/b".to_owned(), one.clone()),
        ]
        .into(),
        requests: one.clone(),
        iterations: one,
        late: 2,
        partial: 3,
        threw: [("sold out".to_owned(), 4), ("no".to_owned(), 9)].into(),
        ..Slice::default()
    };
    let mut notes = Notes::default();
    assert!(notes.texts().is_empty());
    notes.add(&slice, &["/a".to_owned()]);
    let texts = notes.texts();
    assert!(
        texts[0].starts_with("requests named `/b` have no row"),
        "{texts:?}"
    );
    assert!(texts[1].contains("2 of 1 requests too late"), "{texts:?}");
    assert!(texts[2].contains("3 of 1 requests"), "{texts:?}");
    assert_eq!(texts[3], "13 of 1 iterations threw: no (9); sold out (4)");
}
