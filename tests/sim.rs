//! Every key of a system file does what docs/lab-systems.md says, checked against theory or an invariant.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::cast_precision_loss, reason = "counts of a simulation")]

use std::time::Instant;

use breakpoint::engine::Engine;
use breakpoint::engine::sim::{SimEngine, SystemSpec, shipped};
use breakpoint::measure::Level;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn ship(name: &str) -> SystemSpec {
    let (_, text) = shipped().iter().find(|(n, _)| *n == name).unwrap();
    SystemSpec::from_toml(text).unwrap()
}

/// Not a test: how fast the simulation is. `cargo test --release --test sim -- --ignored --nocapture`
#[test]
#[ignore = "prints the speed of the simulation"]
fn speed() {
    for (name, level, seconds) in [
        ("a", 1_040, 9_000_u32),
        ("a", 2_000, 9_000),
        ("b", 88, 90_000),
    ] {
        let mut engine = SimEngine::new(ship(name), 1);
        let began = Instant::now();
        let (mut requests, mut ages) = (0, 0);
        block_on(async {
            engine.set_level(Level(level)).await.unwrap();
            for _ in 0..seconds {
                let window = engine.next_window().await.unwrap();
                requests += window.steps[0].completed();
                ages += window.steps[0].in_flight.count();
            }
        });
        let wall = began.elapsed().as_secs_f64();
        println!(
            "{name} at {level} VUs: {:.1} ms for 900 s, {:.2} million events/s, {} in flight",
            1e3 * wall * 900.0 / f64::from(seconds),
            // A request asks and is answered.
            2.0 * requests as f64 / wall / 1e6,
            ages / u64::from(seconds),
        );
    }
}
