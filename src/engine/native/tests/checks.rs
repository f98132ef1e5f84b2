//! A right status is not always a right answer.

use super::*;

const ERRORS: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 38\r\n\r\n{\"data\":null,\"errors\":[{\"code\":\"no\"}]}";

#[tokio::test]
async fn an_answer_that_does_not_pass_its_check_is_a_failure_of_its_own_kind() {
    let base = answering(ERRORS).await;
    let toml = "steps = [{ name = 'graph', post = '/', json = { query = '{}' }, check = { json = \
        { '/errors' = 'absent' } } }]";
    let mut engine = engine(&compile(toml, &base));
    let Canary::Failed(failure) = engine.canary().await.unwrap() else {
        panic!("it has errors");
    };
    assert_eq!(failure.kind, FailureKind::Check);
    let wanted = "the JSON has `[{\"code\":\"no\"}]` at `/errors`, where nothing may stand";
    assert!(failure.message.contains(wanted), "{}", failure.message);
    engine.set_level(Level(1)).await.unwrap();
    let seen = watch(&mut engine, |s| s.steps[1].failed.of_target() >= 2).await;
    engine.stop().await;
    assert!(seen.failed(0, FailureKind::Check) >= 2);
    assert_eq!(seen.steps[0].completed(), 0);
    let ways = &seen.steps[0].ways;
    assert!(
        ways.iter()
            .any(|way| way.message.contains("where nothing may stand"))
    );
}

#[tokio::test]
async fn what_is_checked_and_taken_may_be_packed_and_long() {
    let base = answering(ERRORS).await;
    let toml = "steps = [{ name = 'graph', get = '/', check = { contains = 'errors', max-bytes = 38 }, \
        extract = { code = '$.errors[0].code', status = 'status' } }, \
        { name = 'next', get = '/{{ code }}/{{ status }}', check = { json = { '$.errors[0].code' = '{{ code }}' } } }]";
    let mut engine = engine(&compile(toml, &base));
    let canary = engine.canary().await.unwrap();
    engine.stop().await;
    assert!(matches!(canary, Canary::Passed(_)), "{canary:?}");
}
