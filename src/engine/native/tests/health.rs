//! What the generator says of itself while it makes load over real sockets.

use super::*;
use crate::measure::GeneratorHealth;

/// The sum over windows, up to the first that has `enough`.
async fn health_once(
    scenario: &Arc<Scenario>,
    enough: impl Fn(&GeneratorHealth) -> bool,
) -> GeneratorHealth {
    let mut engine = engine(scenario);
    engine.set_level(Level(2)).await.unwrap();
    let mut total = GeneratorHealth::default();
    for _ in 0..100 {
        let health = engine.next_window().await.unwrap().generator.health;
        total = GeneratorHealth {
            sends: total.sends + health.sends,
            sends_held_up: total.sends_held_up + health.sends_held_up,
            ..health
        };
        if enough(&total) {
            break;
        }
    }
    engine.stop().await;
    total
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_load_thread_reports_its_cpu_its_sends_and_its_lateness() {
    let base = answering(OK).await;
    let busy = |s: &GeneratorHealth| s.sends > 100 && s.thread_cpu.is_some_and(|cores| cores > 0.0);
    let health = health_once(&compile(GET, &base), busy).await;
    assert!(busy(&health), "{health:?}");
    assert!(health.read_late_p99_s.is_some(), "{health:?}");
    assert!(health.woke_late_p99_s.is_some(), "{health:?}");
    // The segments are those of the whole machine: at least ours are among them.
    assert!(health.segments_out.is_some_and(|n| n > 0), "{health:?}");
    assert!(health.retransmits.is_some(), "{health:?}");
    assert_eq!(health.sends_held_up, 0, "small requests are taken at once");
}

#[tokio::test]
async fn a_target_that_does_not_read_holds_sends_up() {
    // Far more than the buffers of both ends hold.
    let body = "x".repeat(16 << 20);
    let toml =
        format!("timeout = '300ms'\nsteps = [{{ name = 'put', put = '/', body = '{body}' }}]");
    let base = server(|_, tcp| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        drop(tcp);
    })
    .await;
    // The step ends by its time limit.
    let health = health_once(&compile(&toml, &base), |s| s.sends_held_up > 0).await;
    assert!(health.sends_held_up > 0, "{health:?}");
}
