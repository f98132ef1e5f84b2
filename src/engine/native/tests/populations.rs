//! Several kinds of users in one engine.

use super::*;

/// Users who think, beside some of whom there are always as many and some who come at a rate of
/// their own.
fn beside(base: &str) -> NativeEngine {
    let thinking = |think: &str| {
        let toml = format!("steps = [{{ name = 'get', get = '/' }}, {{ think = '{think}' }}]");
        compile(&toml, base)
    };
    let users = PopulationSpec::users(thinking("100ms"), LoadModel::closed(1000.0), 7);
    let others = PopulationSpec {
        number: Number::Fixed(Level(5)),
        ..PopulationSpec::users(thinking("50ms"), LoadModel::closed(1000.0), 8)
    };
    let arriving = PopulationSpec {
        number: Number::Fixed(Level(60)),
        load: LoadModel::Open {
            arrivals: Arrivals::Constant,
            most_vus: 50,
        },
        ..PopulationSpec::users(compile(GET, base), LoadModel::closed(1.0), 9)
    };
    NativeEngine::start(NativeSpec {
        populations: vec![others, arriving, users],
        ..spec(&compile(GET, base))
    })
    .unwrap()
}

#[tokio::test]
async fn one_kind_follows_the_level_and_the_others_keep_theirs_while_there_is_load() {
    let base = answering(OK).await;
    let mut engine = beside(&base);
    engine.set_level(Level(40)).await.unwrap();
    let mut windows: Vec<Window> = Vec::new();
    // The rate is reached after three seconds; then one in which all of it is counted.
    while windows.iter().filter(|w| w.at_level).count() < 20 {
        windows.push(engine.next_window().await.unwrap());
        assert!(windows.len() < 300, "the level is never reached");
    }
    let level: Vec<&Window> = windows.iter().filter(|w| w.at_level).collect();
    let last = level.last().unwrap();
    assert_eq!((last.level, last.vus), (Level(40), 40), "the searched");
    assert_eq!(last.steps.len(), 6);
    let seconds: f64 = level.iter().map(|w| w.span.as_secs_f64()).sum();
    let per_s = |row: usize| {
        let completed: u64 = level.iter().map(|w| w.steps[row].completed()).sum();
        f64::from(u32::try_from(completed).unwrap()) / seconds
    };
    // What an answer takes makes cycles slower than their think times alone, never faster.
    assert!((30.0..=101.0).contains(&per_s(1)), "others: {}", per_s(1));
    assert!((50.0..=70.0).contains(&per_s(3)), "rate: {}", per_s(3));
    assert!((120.0..=401.0).contains(&per_s(5)), "users: {}", per_s(5));
    engine.set_level(Level::ZERO).await.unwrap();
    let mut window = engine.next_window().await.unwrap();
    for _ in 0..100 {
        if window.vus == 0 && window.at_level {
            break;
        }
        window = engine.next_window().await.unwrap();
    }
    assert_eq!(window.vus, 0, "in a drain everybody is waited for");
    let window = engine.next_window().await.unwrap();
    assert!(window.steps.iter().all(|s| s.completed() == 0));
    engine.stop().await;
}

#[tokio::test]
async fn a_canary_is_one_of_the_users() {
    let (heard, base) = paths().await;
    let other = compile("steps = [{ name = 'get', get = '/others' }]", &base);
    let own = compile("steps = [{ name = 'get', get = '/users' }]", &base);
    let load = LoadModel::closed(1000.0);
    let others = PopulationSpec {
        number: Number::Fixed(Level(5)),
        ..PopulationSpec::users(other, load, 8)
    };
    let users = PopulationSpec::users(own, load, 7);
    let mut engine = NativeEngine::start(NativeSpec {
        populations: vec![others, users],
        ..spec(&compile(GET, &base))
    })
    .unwrap();
    assert!(matches!(engine.canary().await.unwrap(), Canary::Passed(_)));
    engine.stop().await;
    assert_eq!(*heard.lock().unwrap(), ["/users"]);
}

/// A server that answers, and what was asked for.
async fn paths() -> (Arc<Mutex<Vec<String>>>, String) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    let base = server(move |_, mut tcp| {
        let kept = Arc::clone(&kept);
        async move {
            while let Some(text) = request(&mut tcp).await {
                let path = text.split(' ').nth(1).unwrap_or("").to_owned();
                kept.lock().unwrap().push(path);
                tcp.write_all(OK.as_bytes()).await.ok();
            }
        }
    })
    .await;
    (heard, base)
}
