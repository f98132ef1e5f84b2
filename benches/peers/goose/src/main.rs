//! Goose as a peer: what every user does is named by `WORK` (`get`, `post`, `session`, `tokens`,
//! `sse` or `hold`), the rest by Goose's own options. Prints the percentiles of the main request in
//! the one-line form that the comparison reads.

use std::collections::BTreeMap;

use goose::goose::{GooseMethod, GooseResponse};
use goose::prelude::*;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let work = std::env::var("WORK").unwrap_or_default();
    let scenario = scenario!("peer");
    let scenario = match work.as_str() {
        "post" => scenario.register_transaction(transaction!(post)),
        "session" => scenario.register_transaction(transaction!(session)),
        "tokens" => scenario.register_transaction(transaction!(tokens)),
        "sse" => scenario.register_transaction(transaction!(sse)),
        "hold" => scenario.register_transaction(transaction!(hold)),
        "sleep" => scenario.register_transaction(transaction!(sleep)),
        _ => scenario.register_transaction(transaction!(get)),
    };
    let metrics = GooseAttack::initialize()?
        .register_scenario(scenario)
        .execute()
        .await?;
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for request in metrics.requests.values() {
        for (us, count) in &request.raw_data.times_us {
            *times.entry(*us).or_default() += count;
        }
    }
    if let (Some(p50), Some(p99)) = (quantile(&times, 0.5), quantile(&times, 0.99)) {
        println!("p50_ms={} p99_ms={}", ms(p50), ms(p99));
    }
    Ok(())
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

fn quantile(times: &BTreeMap<u64, usize>, q: f64) -> Option<u64> {
    let total: usize = times.values().sum();
    let rank = (q * total as f64).ceil() as usize;
    let mut seen = 0;
    times.iter().find_map(|(us, count)| {
        seen += count;
        (seen >= rank).then_some(*us)
    })
}

async fn get(user: &mut GooseUser) -> TransactionResult {
    drain(user.get("/get").await?).await;
    Ok(())
}

async fn sleep(user: &mut GooseUser) -> TransactionResult {
    drain(user.get("/sleep").await?).await;
    Ok(())
}

async fn hold(user: &mut GooseUser) -> TransactionResult {
    drain(user.get("/hold").await?).await;
    Ok(())
}

async fn post(user: &mut GooseUser) -> TransactionResult {
    drain(user.post_json("/post", &question()).await?).await;
    Ok(())
}

/// The answer comes event by event; it is read to its end.
async fn tokens(user: &mut GooseUser) -> TransactionResult {
    drain(user.post_json("/tokens", &question()).await?).await;
    Ok(())
}

/// Goose keeps the cookies; the answer is checked and the first item above 4 is looked for.
async fn session(user: &mut GooseUser) -> TransactionResult {
    let answer = user.post_json("/session", &question()).await?;
    let Ok(response) = answer.response else {
        return Ok(());
    };
    let Ok(body) = response.json::<serde_json::Value>().await else {
        return Ok(());
    };
    let items = body["items"].as_array().into_iter().flatten();
    let item = items.filter(|item| item["price"].as_f64() > Some(4.0)).next();
    std::hint::black_box((body["ok"].as_bool(), item));
    Ok(())
}

fn question() -> serde_json::Value {
    json!({
        "id": "6f1c0a52-5c1e-4a39-9d0e-3f6f0c1f7a11",
        "user": "u1",
        "text": "what breaks first?",
    })
}

/// The body has to be read, or the connection is not used again.
async fn drain(answer: GooseResponse) {
    if let Ok(answer) = answer.response {
        let _ = answer.bytes().await;
    }
}

/// One cycle: a held stream, a question, its answer on the stream.
async fn sse(user: &mut GooseUser) -> TransactionResult {
    let (name, id) = (
        format!("u{}", user.weighted_users_index),
        user.get_iterations().to_string(),
    );
    let request = user.get_request_builder(&GooseMethod::Get, &format!("/sse?user={name}"))?;
    let Ok(mut stream) = request.send().await else {
        return Ok(());
    };
    let body = json!({"id": id, "user": name, "text": "what breaks first?"});
    drain(user.post_json("/questions", &body).await?).await;
    let mut text = String::new();
    while let Ok(Some(chunk)) = stream.chunk().await {
        text.push_str(&String::from_utf8_lossy(&chunk));
        if text.contains("event: answer") && text.ends_with("\n\n") {
            break;
        }
    }
    Ok(())
}
