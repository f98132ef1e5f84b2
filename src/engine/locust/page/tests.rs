use super::*;
use crate::engine::locust::web::PageWorker;

/// As Locust 2.47 writes it.
const DOWNLOAD: &str = "\
Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,Max Response Time,\
Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%\r\n\
GET,/,100,0,20,23.1,19.6,412.5,2.0,33.0,0.0,20,21,22,23,25,27,45,410,410,410,410\r\n\
POST,/buy,4,1,21,300.0,20.0,2044.0,2.0,1.0,0.3,21,22,2000,2000,2000,2000,2000,2000,2000,2000,2000\r\n\
GET,/idle,0,0,N/A,0.0,0.0,0.0,0.0,0.0,0.0,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A\r\n\
,Aggregated,104,1,20,33.7,19.6,2044.0,2.0,34.0,0.3,20,21,22,23,25,27,410,2000,2000,2000,2000\r\n";

#[test]
fn the_download_is_read_and_what_is_none_is_refused() {
    let rows = rows(DOWNLOAD).unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!((rows[0].name.as_str(), rows[0].requests), ("/", 100));
    assert_eq!(rows[0].percentiles.len(), 11);
    assert_eq!(rows[0].percentiles[7], (0.99, 410.0));
    assert_eq!(rows[2].percentiles, []);
    for bad in ["", "<html>", "Type,Name\r\nGET,/\r\n"] {
        let why = super::rows(bad).unwrap_err();
        assert!(why.contains("cannot be read"), "{why}");
    }
}

#[test]
fn edges_are_those_of_rounding_to_two_digits() {
    for (rounded, low, high) in [
        (20.0, 19.5, 20.5),
        (100.0, 99.5, 105.0),
        (250.0, 245.0, 255.0),
        (1_000.0, 995.0, 1_050.0),
        (2_000.0, 1_950.0, 2_050.0),
        (10_000.0, 9_950.0, 10_500.0),
    ] {
        assert_eq!(edges(rounded), (low, high), "{rounded}");
    }
}

/// As Locust reckons percentiles, of latencies that are known here.
fn row_of(latencies: &[f64]) -> Row {
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rounded = |ms: f64| match ms {
        _ if ms < 100.0 => ms.round(),
        _ if ms < 1_000.0 => (ms / 10.0).round() * 10.0,
        _ => (ms / 100.0).round() * 100.0,
    };
    let n = sorted.len() as u64;
    let shares = [
        0.5, 0.66, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0,
    ];
    Row {
        method: String::new(),
        name: "/".to_owned(),
        requests: n,
        failures: 0,
        min_ms: sorted[0],
        max_ms: sorted[sorted.len() - 1],
        percentiles: shares
            .iter()
            .map(|&q| (q, rounded(sorted[usize::try_from(rank(n, q)).unwrap() - 1])))
            .collect(),
    }
}

fn one_by_one(sorted: &Sorted) -> Vec<f64> {
    let times = |n: u64| usize::try_from(n).unwrap();
    let each = sorted.0.iter();
    each.flat_map(|&(ms, n)| std::iter::repeat_n(ms, times(n)))
        .collect()
}

#[test]
fn many_take_no_more_than_few() {
    let mut row = row_of(&[10.0, 20.0, 30.0, 40.0, 50.0]);
    row.requests = 900_000_000_000;
    row.failures = 300_000_000_000;
    let likely = &row.latencies()[1];
    assert!(likely.0.len() < 12_000, "{}", likely.0.len());
    assert_eq!(likely.0.iter().map(|(_, n)| n).sum::<u64>(), row.requests);
    let step = row.step(&[]);
    assert_eq!(step.completed(), 600_000_000_000);
    let bounds = step.bounds.unwrap();
    assert_eq!(bounds.fastest.count(), 600_000_000_000);
    assert_eq!(bounds.slowest.count(), 600_000_000_000);
}

#[test]
fn every_third_of_ten_is_left_evenly() {
    let mut ten = Sorted(Vec::new());
    (0..10_u32).for_each(|i| ten.push(i.into(), 1));
    assert_eq!(one_by_one(&ten.thinned(4, 10)), [0.0, 2.0, 5.0, 7.0]);
    assert_eq!(one_by_one(&ten.between(8, 10)), [8.0, 9.0]);
    assert!(ten.thinned(0, 10).0.is_empty());
}

#[test]
fn the_truth_lies_between_the_fastest_and_the_slowest() {
    for n in [1, 2, 3, 7, 50, 99, 100, 101, 1_000, 2_345] {
        let truth: Vec<f64> = (0..n)
            .map(|i| 3.0 * 1.3_f64.powf(20.0 * f64::from(i) / f64::from(n)))
            .collect();
        let [fastest, likely, slowest] = row_of(&truth).latencies().map(|s| one_by_one(&s));
        assert_eq!(fastest.len(), truth.len());
        assert_eq!(likely.len(), truth.len());
        assert_eq!(slowest.len(), truth.len());
        for (i, ms) in truth.iter().enumerate() {
            assert!(fastest[i] <= ms + 1e-9, "{n} {i}: {} {ms}", fastest[i]);
            assert!(slowest[i] >= ms - 1e-9, "{n} {i}: {} {ms}", slowest[i]);
        }
        let (last, slowest) = (truth[truth.len() - 1], slowest[slowest.len() - 1]);
        assert!((slowest - last).abs() < 1e-9, "{slowest} {last}");
    }
}

#[test]
fn a_limit_within_a_bucket_is_not_decided() {
    use std::time::Duration;
    let row = row_of(&[1_960.0; 200]);
    let mut exact = row.clone();
    // Two that are known exactly make no difference for the others.
    exact.min_ms = 100.0;
    exact.max_ms = 2_040.0;
    let step = exact.step(&[]);
    let bounds = step.bounds.unwrap();
    let over = |h: &Histogram, ms| h.count_at_or_above(Duration::from_millis(ms));
    assert!(over(&bounds.fastest, 2_000) <= 1, "all may be below 2 s");
    assert!(over(&bounds.slowest, 2_000) >= 198, "all may be above");
    assert_eq!(over(&bounds.slowest, 2_100), 0);
    assert!(over(&bounds.fastest, 1_950) >= 99, "half of them surely");
}

#[test]
fn names_failures_and_all_of_them_together() {
    let rows = rows(DOWNLOAD).unwrap();
    let error = |method: &str, error: &str| PageError {
        method: method.to_owned(),
        name: "/buy".to_owned(),
        error: error.to_owned(),
        occurrences: 1,
    };
    let errors = [
        error("GET", "ConnectionRefusedError(111, 'Connection refused')"),
        error("POST", "HTTPError('500 Server Error: Oh for url: /buy')"),
    ];
    let (steps, late_names) = together(&rows, &["/buy".to_owned()], &errors);
    assert_eq!(late_names, ["/".to_owned()].into());
    assert_eq!(steps[0].completed(), 3);
    assert_eq!(steps[0].failed.get(FailureKind::Status), 1);
    let told = steps[0].ways.most(3);
    assert_eq!(
        told.len(),
        1,
        "that of another method is another row's: {told:?}"
    );
    assert_eq!(
        (told[0].name(), &*told[0].message),
        ("500".to_owned(), "Server Error: Oh")
    );
    assert_eq!(told[0].request.as_deref(), Some("POST /buy"));
    assert_eq!(steps[1].ways.iter().count(), 0, "not told twice");
    assert_eq!(steps[1].completed(), 103);
    assert_eq!(steps[1].failed.of_target(), 1);
    let bounds = steps[0].bounds.as_ref().unwrap();
    // The failed one may have been the slow one, or a fast one.
    assert!(bounds.fastest.max_s().unwrap() < 2.0);
    assert!(bounds.slowest.max_s().unwrap() > 2.0);
}

#[test]
fn texts_of_errors_tell_what_failed() {
    for (text, kind) in [
        (
            "ConnectionRefusedError(111, 'Connection refused')",
            FailureKind::ConnectRefused,
        ),
        (
            "HTTPError('404 Client Error: Not Found for url: /x')",
            FailureKind::Status,
        ),
        (
            "ReadTimeout(ReadTimeoutError(\"Read timed out.\"))",
            FailureKind::Timeout,
        ),
        (
            "OSError(24, 'Too many open files')",
            FailureKind::NoDescriptors,
        ),
        ("LocustBadStatusCode(code=404)", FailureKind::Status),
        ("something else", FailureKind::Protocol),
    ] {
        assert_eq!(kind_of_text(text), kind, "{text}");
    }
}

#[test]
fn a_worker_that_is_missing_is_lost() {
    let worker = |id: &str, state: &str, cpu_usage| PageWorker {
        id: id.to_owned(),
        state: state.to_owned(),
        cpu_usage,
    };
    let page = Page {
        state: "running".to_owned(),
        user_count: 10,
        workers: Some(vec![
            worker("one", "running", 95.0),
            worker("two", "missing", 10.0),
        ]),
        errors: Vec::new(),
    };
    let workers = ["one", "two", "three"].map(str::to_owned).into();
    let health = generator(&page, &workers).health;
    assert_eq!((health.workers, health.workers_lost), (1, 2));
    assert_eq!(health.thread_cpu, Some(0.95));
}
