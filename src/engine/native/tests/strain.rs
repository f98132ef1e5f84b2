//! What the generator says of itself while it makes load over real sockets.

use super::*;
use crate::measure::Strain;

/// The sum over windows, up to the first that has `enough`.
async fn strains(scenario: &Arc<Scenario>, enough: impl Fn(&Strain) -> bool) -> Strain {
    let mut engine = engine(scenario);
    engine.set_level(Level(2)).await.unwrap();
    let mut total = Strain::default();
    for _ in 0..100 {
        let strain = engine.next_window().await.unwrap().generator.strain;
        total = Strain {
            sends: total.sends + strain.sends,
            sends_held_up: total.sends_held_up + strain.sends_held_up,
            ..strain
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
    let busy = |s: &Strain| s.sends > 100 && s.thread_cpu.is_some_and(|cores| cores > 0.0);
    let strain = strains(&compile(GET, &base), busy).await;
    assert!(busy(&strain), "{strain:?}");
    assert!(strain.read_late_p99_s.is_some(), "{strain:?}");
    assert!(strain.woke_late_p99_s.is_some(), "{strain:?}");
    // The segments are those of the whole machine: at least ours are among them.
    assert!(strain.segments_out.is_some_and(|n| n > 0), "{strain:?}");
    assert!(strain.retransmits.is_some(), "{strain:?}");
    assert_eq!(strain.sends_held_up, 0, "small requests are taken at once");
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
    let strain = strains(&compile(&toml, &base), |s| s.sends_held_up > 0).await;
    assert!(strain.sends_held_up > 0, "{strain:?}");
}
