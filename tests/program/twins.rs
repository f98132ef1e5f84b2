//! Twins of services whose limits are known, each searched by the whole program over real sockets:
//! an autoscaler, limits of rate, of requests and of connections, and lines with one worker and
//! with four.
//!
//! It takes three quarters of an hour, and so runs only when asked for:
//!
//!     cargo test --release --test program twin -- --ignored --nocapture
//!
//! `TWINS=fifo,limit` takes those only whose names hold one of these words. Each prints its answer
//! beside its truth. Checked is whether the interval holds the truth, or whether the search said
//! why it names none where a twin allows that; one interval in twenty may miss, and a machine that
//! does much else takes capacity from the twins.

mod line;
mod server;
mod trial;
mod twin;

use breakpoint::record::CauseKind;
use breakpoint::stats::queue::{ClosedQueue, mmcn_tail};

use line::{Line, Service};
use server::{Limit, Server, Work};
use twin::Twin;

#[test]
#[ignore = "takes three quarters of an hour"]
fn every_interval_holds_the_truth_of_its_twin() {
    let wanted = std::env::var("TWINS").ok();
    let is_wanted = |twin: &Twin| {
        let words = wanted.as_deref().unwrap_or("");
        words
            .split(',')
            .any(|word| twin.facts().name.contains(word))
    };
    let twins: Vec<Twin> = Twin::ALL.into_iter().filter(is_wanted).collect();
    assert!(!twins.is_empty(), "TWINS={wanted:?} names no twin");
    let mut wrong = Vec::new();
    for twin in twins {
        let (facts, truth) = (twin.facts(), twin.truth());
        let (record, said) = trial::search(&facts);
        eprintln!("{said}\n{}", trial::told(&facts, truth, &record));
        if let Err(why) = trial::check(&facts, truth, &record) {
            wrong.push(format!("{}: {why}", facts.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a short search from so many VUs up names first; `None` where it came to no broken level, as
/// on a machine that keeps the generator waiting.
fn named(limit: Limit, work: Work, slo: &str, start: u32) -> Option<(CauseKind, String)> {
    let server = Server::start(limit, work);
    let (record, _) = trial::run(&format!(
        "name = \"cause\"\nslo = [\"{slo}\"]\n[target]\nurl = \"http://{}\"\n[[scenario.steps]]\nname = \"ask\"\nget = \"/\"\n\
         [[scenario.steps]]\nthink = {{ exponential = \"500ms\" }}\n\
         [search]\nstart-vus = {start}\nbudget = \"40s\"\nhold-min = \"4s\"\nhold-max = \
             \"6s\"\nsettle-max = \"6s\"\npace = 100\n",
        server.address
    ));
    let cause = record.answer.limiting_resource?;
    let kind = cause.kind?;
    (kind != CauseKind::Generator).then_some((kind, cause.evidence))
}

const CONFLICT: &str = "HTTP/1.1 409 Conflict\r\ncontent-length: 10\r\n\r\n6 jobs run";
const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 10\r\n\r\n6 jobs run";

fn unsaid(answer: &'static str) -> Limit {
    Limit::Unsaid { most: 6, answer }
}

#[test]
fn what_a_limit_turns_away_is_told_from_what_a_fixed_rate_makes_wait() {
    // All of them serve some 30/s: what 10 users ask for is less, and what twice that many, or four
    // times, ask for is more.
    let beside = |s| Work::Beside { s };
    let line = Work::Line {
        workers: 3,
        service: Service::Normal {
            mean_s: 0.1,
            sd_s: 0.001,
        },
        growth: None,
    };
    let tokens = Limit::Tokens {
        per_s: 30.0,
        burst: 5.0,
    };
    let cases = [
        (
            (tokens, beside(0.01), "errors<1%", 10),
            CauseKind::AdmissionLimit,
        ),
        (
            (Limit::Requests { most: 6 }, beside(0.2), "errors<1%", 10),
            CauseKind::AdmissionLimit,
        ),
        (
            (
                Limit::Connections { most: 12 },
                beside(0.01),
                "errors<1%",
                10,
            ),
            CauseKind::AdmissionLimit,
        ),
        (
            (unsaid(CONFLICT), beside(0.2), "errors<1%", 10),
            CauseKind::AdmissionLimit,
        ),
        (
            (unsaid(BROKEN), beside(0.2), "errors<1%", 10),
            CauseKind::ServiceErrors,
        ),
        (
            (Limit::Nothing, line, "p99<600ms", 20),
            CauseKind::Downstream,
        ),
    ];
    std::thread::scope(|scope| {
        let searches = cases.map(|((limit, work, slo, start), wanted)| {
            // A machine that does much else may keep the generator waiting through a whole search.
            let search = move || (0..3).find_map(|_| named(limit, work, slo, start));
            (limit, wanted, scope.spawn(search))
        });
        for (limit, wanted, search) in searches {
            let found = search.join().unwrap();
            let kind = found.as_ref().map(|(kind, _)| *kind);
            // What a service shows that fails by itself is told from a limit by a second level that
            // serves no more, if there was one.
            let or = (wanted == CauseKind::ServiceErrors).then_some(CauseKind::AdmissionLimit);
            let is_right = kind == Some(wanted) || or.is_some() && kind == or;
            assert!(is_right, "{limit:?}: {found:?}");
            if let (Limit::Unsaid { .. }, Some((_, evidence))) = (limit, &found) {
                assert!(evidence.contains("it says \"6 jobs run\""), "{evidence}");
            }
        }
    });
}

#[test]
fn the_simulated_line_is_that_of_the_closed_form() {
    let line = Line {
        workers: 4,
        service: Service::Exponential { mean_s: 0.05 },
        think_s: 1.0,
    };
    let queue = ClosedQueue {
        servers: 4,
        mu: 20.0,
        think_s: 1.0,
    };
    for users in [60, 90, 110] {
        let simulated = line.tail(users, 0.5, 1_000_000);
        let exact = mmcn_tail(&queue, users, 0.5);
        // Neighbouring responses are nearly one: a million tell what some ten thousand would.
        let spread = (exact * (1.0 - exact) / 10_000.0).sqrt();
        assert!(
            (simulated - exact).abs() < 4.0 * spread,
            "{users} users: {simulated} of {exact}"
        );
    }
}
