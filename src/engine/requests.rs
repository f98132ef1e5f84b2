//! What engines share that know requests by name and no cycles.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Canary;
use crate::measure::{Failure, StepTable, StepWindow};
use crate::secret::masked;

/// Names of requests that get rows of their own. Beyond that they are most likely addresses with a
/// number in each.
pub(super) const MOST_NAMES: usize = 40;
/// Names that a message lists.
pub(super) const MOST_TOLD: usize = 5;

/// The names of the rows: those `wanted` by objectives first, as they were `seen`, and then the
/// others that were seen. Those that are `taken` mean something else.
pub(super) fn rows(seen: BTreeSet<String>, wanted: &[String], taken: &[&str]) -> Vec<String> {
    let seen: Vec<String> = seen.into_iter().collect();
    let known = StepTable::of_requests(seen.iter().cloned());
    let spelt = |wanted: &String| {
        let at = known.index(Some(wanted)).filter(|at| *at < seen.len());
        at.map_or_else(|| wanted.clone(), |at| seen[at].clone())
    };
    let free = |name: &&String| !taken.contains(&name.as_str());
    let mut names: Vec<String> = wanted.iter().filter(free).map(spelt).collect();
    let new = seen.iter().filter(free).filter(|n| !names.contains(n));
    let new: Vec<String> = new
        .take(MOST_NAMES.saturating_sub(names.len()))
        .cloned()
        .collect();
    names.extend(new);
    names.dedup();
    names
}

/// Mean time between a user's requests, by Little's law; `user_s` is the time that all users had.
#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
pub(super) fn think_s(user_s: f64, all: &StepWindow) -> f64 {
    let ended = all.completed() + all.failed.of_target() + all.shed;
    if ended == 0 {
        return 0.0;
    }
    (user_s / ended as f64 - all.latency.mean_s().unwrap_or(0.0)).max(0.0)
}

/// How the requests of a single user went; the fastest stands for them, because kinds of requests
/// differ in what they take.
pub(super) fn canary_of(all: &StepWindow) -> Option<Canary> {
    let (ok, failed) = (all.completed(), all.failed.of_target());
    if ok == 0 && failed == 0 && all.shed == 0 {
        return None;
    }
    if all.shed > ok {
        return Some(Canary::Shed);
    }
    let most = all.failed.iter().max_by_key(|(_, n)| *n);
    match most {
        Some((kind, _)) if failed > ok => Some(Canary::failed(kind)),
        _ => {
            let fastest = all.latency.quantile_s(0.0).unwrap_or(0.0);
            Some(Canary::Passed(Duration::from_secs_f64(fastest)))
        }
    }
}

/// How a canary failed, in the words of a request that failed so.
pub(super) fn told<'a>(
    canary: Canary,
    names: impl IntoIterator<Item = (&'a String, &'a StepWindow)>,
) -> Canary {
    let Canary::Failed(failure) = canary else {
        return canary;
    };
    let each = names.into_iter();
    let ways = each.flat_map(|(name, step)| step.ways.iter().map(move |way| (name, way)));
    let alike = ways.filter(|(_, way)| way.kind == failure.kind);
    Canary::Failed(match alike.max_by_key(|(_, way)| way.count) {
        Some((name, way)) => Box::new(Failure {
            step: Some(masked(name)),
            status: way.status,
            message: way.message.clone(),
            ..*failure
        }),
        None => failure,
    })
}

/// The first of some names, and how many more there are.
pub(super) fn few(names: &BTreeSet<String>) -> String {
    let told: Vec<String> = names
        .iter()
        .take(MOST_TOLD)
        .map(|n| format!("`{n}`"))
        .collect();
    let more = names.len().saturating_sub(MOST_TOLD);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_have_their_rows_whatever_else_is_seen() {
        let seen = (0..100).map(|n| format!("/{n:03}"));
        let seen: BTreeSet<String> = seen
            .chain(["put into cart", "requests"].map(str::to_owned))
            .collect();
        let wanted = ["put  into cart", "requests", "/never"].map(str::to_owned);
        let names = rows(seen, &wanted, &["requests"]);
        assert_eq!(names[..3], ["put into cart", "/never", "/000"]);
        assert_eq!(names.len(), MOST_NAMES);
        assert!(!names.contains(&"requests".to_owned()));
    }

    #[test]
    fn a_canary_that_failed_is_told_in_the_words_of_its_request() {
        let mut step = StepWindow::default();
        step.ways.add(crate::measure::FailureWay {
            count: 1,
            kind: crate::measure::FailureKind::Status,
            status: Some(401),
            message: String::new(),
            request: None,
            excerpt: String::new(),
        });
        let names = [("http://h/?token=x".to_owned(), step)];
        let failed = Canary::failed(crate::measure::FailureKind::Status);
        let Canary::Failed(failure) = told(failed, names.iter().map(|(n, s)| (n, s))) else {
            panic!("it failed");
        };
        assert!(failure.is_definite());
        assert!(
            failure
                .sentence()
                .starts_with("step `http://h/?token=***` was answered with 401")
        );
    }

    #[test]
    fn the_fastest_request_is_the_canary() {
        let mut all = StepWindow::default();
        assert_eq!(canary_of(&all), None);
        all.failed.add(crate::measure::FailureKind::Status);
        assert_eq!(
            canary_of(&all),
            Some(Canary::failed(crate::measure::FailureKind::Status))
        );
        all.shed = 1;
        assert_eq!(canary_of(&all), Some(Canary::Shed));
    }
}
