//! A second of all workers, as the plug-in tells it, made into a window. Values only.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ways::{self, WayData};
use crate::measure::{FailureCounts, GeneratorHealth, GeneratorWindow, Histogram, StepWindow};

/// One second.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct SecondData {
    /// Its number: whole seconds of the master's clock.
    pub(super) second: u64,
    /// Workers that should have told of it.
    pub(super) expected: Vec<String>,
    /// Those that did.
    pub(super) workers: BTreeMap<String, WorkerSecond>,
}

/// What one worker did in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerSecond {
    /// Of what is sent between plug-in and breakpoint.
    pub protocol: u32,
    /// The second's number.
    pub second: u64,
    /// Users at its end.
    pub users: u32,
    /// CPU, in cores.
    pub cpu: f64,
    /// CPU of its busiest thread, in cores: at 1.0 it has none left.
    pub cpu_share: f64,
    /// 99th percentile of how late it woke, seconds.
    pub lag_p99_s: Option<f64>,
    /// By name of the requests.
    pub steps: BTreeMap<String, StepSecond>,
}

/// What requests of one name did in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepSecond {
    /// (highest value of the bucket in microseconds, count).
    pub ok: Vec<(u64, u64)>,
    /// By [`crate::measure::FailureKind::name`].
    pub failed: BTreeMap<String, u64>,
    /// Refused by design.
    pub shed: u64,
    /// Ended by a client that does not say when it begins one.
    pub unseen: u64,
    /// Ages at the second's end of those in flight.
    pub in_flight: Vec<(u64, u64)>,
    /// The failed ones once more, told apart; none of a plug-in of an older version.
    #[serde(default)]
    pub ways: Vec<WayData>,
}

impl StepSecond {
    /// Adds all but how failures went, which all requests together would tell a second time.
    fn add_to(&self, step: &mut StepWindow) {
        step.latency
            .merge(&Histogram::of_buckets(self.ok.iter().copied()));
        step.in_flight
            .merge(&Histogram::of_buckets(self.in_flight.iter().copied()));
        step.shed += self.shed;
        let mut failed = FailureCounts::default();
        for (name, n) in &self.failed {
            failed.add_n(ways::kind(name), *n);
        }
        step.failed.merge(&failed);
    }

    fn ended(&self) -> u64 {
        self.ok.iter().map(|(_, n)| n).sum::<u64>() + self.failed.values().sum::<u64>() + self.shed
    }
}

/// All workers' part of a second.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Together {
    /// By name in the order asked for, and last all requests.
    pub(super) steps: Vec<StepWindow>,
    pub(super) users: u32,
    pub(super) generator: GeneratorWindow,
    /// Names that were not asked for.
    pub(super) late_names: BTreeSet<String>,
    /// Requests that ended, and those of them whose client does not say when it begins one.
    pub(super) ended: u64,
    pub(super) unseen: u64,
}

/// Puts the workers' parts together. `names` are the steps asked for, `workers` the workers that
/// carry the level.
pub(super) fn together(
    data: &SecondData,
    names: &[String],
    workers: &BTreeSet<String>,
) -> Together {
    let mut out = Together {
        steps: vec![StepWindow::default(); names.len() + 1],
        ..Together::default()
    };
    for worker in data.workers.values() {
        out.users += worker.users;
        out.generator = with_worker(out.generator, worker);
        for (name, step) in &worker.steps {
            step.add_to(&mut out.steps[names.len()]);
            out.ended += step.ended();
            out.unseen += step.unseen;
            match names.iter().position(|n| n == name) {
                Some(index) => {
                    step.add_to(&mut out.steps[index]);
                    for way in &step.ways {
                        out.steps[index].ways.add(way.way());
                    }
                }
                None => {
                    out.late_names.insert(name.clone());
                }
            }
        }
    }
    let silent = |id: &&String| !data.workers.contains_key(*id);
    let lost: BTreeSet<&String> = (workers.iter().chain(&data.expected))
        .filter(silent)
        .collect();
    out.generator.health.workers = count(data.workers.len());
    out.generator.health.workers_lost = count(lost.len());
    out
}

fn with_worker(so_far: GeneratorWindow, worker: &WorkerSecond) -> GeneratorWindow {
    GeneratorWindow {
        lag_p99_s: max(so_far.lag_p99_s, worker.lag_p99_s),
        cpu_cores: Some(so_far.cpu_cores.unwrap_or(0.0) + worker.cpu),
        health: GeneratorHealth {
            thread_cpu: max(so_far.health.thread_cpu, Some(worker.cpu_share)),
            woke_late_p99_s: max(so_far.health.woke_late_p99_s, worker.lag_p99_s),
            ..so_far.health
        },
        ..so_far
    }
}

fn max(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::FailureKind;

    fn worker(users: u32, cpu: f64, ok: &[(u64, u64)]) -> WorkerSecond {
        let step = StepSecond {
            ok: ok.to_vec(),
            failed: [("status".to_owned(), 1), ("never heard of".to_owned(), 2)].into(),
            in_flight: vec![(5_000_000, 1)],
            unseen: 1,
            ways: vec![WayData {
                count: 1,
                kind: "status".to_owned(),
                status: Some(429),
                message: "429 Client Error: Too Many Requests for url: /a".to_owned(),
                request: Some("GET /a".to_owned()),
            }],
            ..StepSecond::default()
        };
        WorkerSecond {
            users,
            cpu,
            cpu_share: cpu,
            lag_p99_s: Some(cpu / 100.0),
            steps: [("/a".to_owned(), step.clone()), ("/new".to_owned(), step)].into(),
            ..WorkerSecond::default()
        }
    }

    #[test]
    fn workers_add_up_without_loss() {
        let data = SecondData {
            second: 7,
            expected: vec!["one".to_owned(), "two".to_owned(), "dead".to_owned()],
            workers: [
                ("one".to_owned(), worker(10, 0.5, &[(20_367, 3)])),
                (
                    "two".to_owned(),
                    worker(5, 0.95, &[(20_367, 1), (2_000_895, 2)]),
                ),
            ]
            .into(),
        };
        let names = ["/a".to_owned(), "/never".to_owned()];
        let workers = ["one", "two", "gone"].map(str::to_owned).into();
        let all = together(&data, &names, &workers);
        assert_eq!(all.users, 15);
        assert_eq!(all.steps[0].latency.count(), 6);
        assert_eq!(all.steps[0].latency.quantile_s(1.0), Some(2.000_895));
        assert_eq!(all.steps[0].failed.get(FailureKind::Status), 2);
        assert_eq!(all.steps[0].failed.get(FailureKind::Protocol), 4);
        let told = all.steps[0].ways.most(3);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].count, told[0].status), (2, Some(429)));
        assert_eq!(told[0].message, "Client Error: Too Many Requests");
        assert_eq!(all.steps[2].ways.iter().count(), 0, "not told twice");
        assert_eq!(all.steps[1], StepWindow::default());
        // The last is about all requests, those without a row of their own too.
        assert_eq!(all.steps[2].completed(), 12);
        assert_eq!(all.steps[2].in_flight.count(), 4);
        assert_eq!(all.late_names, ["/new".to_owned()].into());
        assert_eq!((all.ended, all.unseen), (24, 4));
        let generator = all.generator;
        assert!((generator.cpu_cores.unwrap() - 1.45).abs() < 1e-9);
        assert_eq!(generator.health.thread_cpu, Some(0.95));
        assert_eq!(generator.lag_p99_s, Some(0.0095));
        assert_eq!(generator.health.workers, 2);
        // One that should have told, and one that carried the level and is not expected any more.
        assert_eq!(generator.health.workers_lost, 2);
    }
}
