//! Twins of services whose limits are known, each searched by the whole program over real sockets: an autoscaler, limits of rate,
//! of requests and of connections, and lines with one worker and with four.
//!
//! It takes three quarters of an hour, and so runs only when asked for:
//!
//!     cargo test --release --test twins -- --ignored --nocapture
//!
//! `TWINS=fifo,limit` takes those only whose names hold one of these words. Each prints its answer beside its truth. Checked is
//! whether the interval holds the truth, or whether the search said why it names none where a twin allows that; one interval in
//! twenty may miss, and a machine that does much else takes capacity from the twins.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "twins/line.rs"]
mod line;
#[path = "twins/server.rs"]
mod server;
#[path = "twins/trial.rs"]
mod trial;
#[path = "twins/twin.rs"]
mod twin;

use breakpoint::stats::queue::{ClosedQueue, mmcn_tail};

use line::{Line, Service};
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
