//! The open model against real sockets.

use std::sync::atomic::AtomicBool;

use super::*;

const THREADS: usize = 2;

fn arriving(scenario: &Arc<Scenario>, arrivals: Arrivals, most_vus: u32) -> NativeEngine {
    NativeEngine::start(NativeSpec {
        threads: THREADS,
        ..spec_of(scenario, LoadModel::Open { arrivals, most_vus })
    })
    .unwrap()
}

/// Windows until the level is reached, and the one after.
async fn reach(engine: &mut NativeEngine) {
    for _ in 0..100 {
        if engine.next_window().await.unwrap().at_level {
            return;
        }
    }
    panic!("the rate is never reached");
}

#[tokio::test]
async fn cycles_begin_at_the_rate_whatever_they_take() {
    let base = answering(OK).await;
    let scenario = compile(GET, &base);
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let mut engine = arriving(&scenario, arrivals, 500);
        engine.set_level(Level(300)).await.unwrap();
        reach(&mut engine).await;
        let mut span = 0.0;
        let seen = watch(&mut engine, |seen| {
            span += seen.last.span.as_secs_f64();
            span > 3.0
        })
        .await;
        engine.stop().await;
        let ended = f64::from(u32::try_from(seen.steps[1].completed()).unwrap());
        // 900 arrivals, with a standard deviation of 30 where they are random.
        let expected = 300.0 * span;
        assert!((ended / expected - 1.0).abs() < 0.2, "{ended} {expected}");
        assert_eq!(seen.last.level, Level(300));
        assert!(seen.last.vus < 300, "VUs are those within a cycle");
    }
}

#[tokio::test]
async fn a_stalled_target_does_not_slow_the_questions_down() {
    static STALLS: AtomicBool = AtomicBool::new(false);
    let base = server(|_, mut tcp| async move {
        while request(&mut tcp).await.is_some() {
            while STALLS.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if tcp.write_all(OK.as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await;
    let scenario = compile(GET, &base);
    let mut engine = arriving(&scenario, Arrivals::Constant, 500);
    engine.set_level(Level(100)).await.unwrap();
    reach(&mut engine).await;
    STALLS.store(true, Ordering::Relaxed);
    let stalled = watch(&mut engine, |seen| {
        seen.last.steps[0].in_flight.count() >= 100
    })
    .await;
    STALLS.store(false, Ordering::Relaxed);
    let after = watch(&mut engine, |seen| {
        seen.last.steps[0].in_flight.count() < 20
    })
    .await;
    engine.stop().await;
    assert!(stalled.last.vus >= 100);
    // The 100 arrivals of the second that it stood still waited from nothing up to all of it,
    // evenly.
    let slow = |ms| {
        let limit = Duration::from_millis(ms);
        after.steps[0].latency.count_at_or_above(limit)
            + stalled.steps[0].latency.count_at_or_above(limit)
    };
    assert!(slow(100) >= 70, "{}", slow(100));
    assert!((30..=75).contains(&slow(500)), "{}", slow(500));
}

#[tokio::test]
async fn an_arrival_without_a_free_vu_waits_and_that_is_the_generators_delay() {
    let base = server(|_, mut tcp| async move {
        while request(&mut tcp).await.is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if tcp.write_all(OK.as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await;
    let scenario = compile(GET, &base);
    // One VU a thread serves 20 a second.
    let mut engine = arriving(&scenario, Arrivals::Constant, 2);
    engine.set_level(Level(100)).await.unwrap();
    let seen = watch(&mut engine, |seen| {
        (seen.last.generator.lag_p99_s).is_some_and(|lag| lag > 0.5)
    })
    .await;
    engine.stop().await;
    assert!(seen.last.generator.lag_p99_s.unwrap() > 0.5);
    assert!(seen.last.generator.health.arrivals_waiting > 20);
    assert!(
        seen.last.steps[0].in_flight.count() > 20,
        "they wait, their clocks running"
    );
    assert!(seen.steps[0].latency.max_s().unwrap() > 0.2);
}

#[tokio::test]
async fn no_load_leaves_nobody_behind_and_load_comes_back() {
    let base = answering(OK).await;
    let scenario = compile(GET, &base);
    let mut engine = arriving(&scenario, Arrivals::Poisson, 500);
    for _ in 0..2 {
        engine.set_level(Level(200)).await.unwrap();
        let seen = watch(&mut engine, |seen| seen.steps[0].completed() > 50).await;
        assert!(seen.steps[0].completed() > 50);
        engine.set_level(Level::ZERO).await.unwrap();
        let rest = watch(&mut engine, |seen| seen.last.at_level && seen.last.vus == 0).await;
        assert!(rest.last.at_level && rest.last.vus == 0);
        let quiet = engine.next_window().await.unwrap();
        assert_eq!(quiet.steps[0].completed(), 0);
    }
    engine.stop().await;
}

#[tokio::test]
async fn who_has_nothing_left_to_do_does_not_think_about_it() {
    let base = answering(OK).await;
    let steps = "steps = [{ name = 'get', get = '/' }, { think = '60s' }]";
    let scenario = compile(steps, &base);
    let mut engine = arriving(&scenario, Arrivals::Constant, 2);
    engine.set_level(Level(50)).await.unwrap();
    let seen = watch(&mut engine, |seen| seen.steps[1].completed() > 40).await;
    engine.stop().await;
    assert!(seen.steps[1].completed() > 40, "two VUs are enough");
}

#[tokio::test]
async fn what_has_piled_up_is_finished_and_not_cut_off() {
    let base = server(|_, mut tcp| async move {
        while request(&mut tcp).await.is_some() {
            tokio::time::sleep(Duration::from_secs(3)).await;
            if tcp.write_all(OK.as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await;
    let scenario = compile(GET, &base);
    let mut engine = arriving(&scenario, Arrivals::Constant, 100);
    engine.set_level(Level(10)).await.unwrap();
    let busy = watch(&mut engine, |seen| seen.last.vus >= 5).await;
    assert_eq!(busy.steps[0].completed(), 0);
    engine.set_level(Level::ZERO).await.unwrap();
    let rest = watch(&mut engine, |seen| seen.last.vus == 0).await;
    engine.stop().await;
    // Longer than closed users are given.
    assert!(
        rest.steps[0].completed() >= 5,
        "{}",
        rest.steps[0].completed()
    );
}
