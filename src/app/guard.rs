//! Looks after a run from beside it, whatever it is doing: the stop file, the conditions of
//! `abort-if`, the machines' memory, and the longest time. Decides nothing itself: `safety` and
//! `slo` do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::signals::Signals;
use super::{CommandError, Exit};
use crate::measure::Reading;
use crate::monitor::MonitorHub;
use crate::plan::{HOST, Plan};
use crate::run::{Halt, Interrupt};
use crate::safety::{self, Machine};
use crate::slo::Condition;

/// Time between two looks for the stop file.
const LOOK: Duration = Duration::from_millis(200);

/// What looks after one run; it ends with this value.
pub(super) struct Guard {
    interrupt: Interrupt,
    tasks: Vec<JoinHandle<()>>,
}

/// A stop file that is there before the run would end it at once, and was perhaps forgotten.
pub(super) fn check_stop_file(plan: &Plan) -> Result<(), CommandError> {
    let Some(file) = plan.safety.stop_file.as_deref().filter(|f| is_there(f)) else {
        return Ok(());
    };
    let message = format!(
        "the stop file {} already exists: a run would end at once. Delete it, or use another one \
         (`--stop-file`)",
        file.display()
    );
    Err(CommandError::new(Exit::Usage, message))
}

/// A link that leads nowhere is there too.
fn is_there(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok()
}

impl Guard {
    /// Looks after a run from its very beginning: file and time.
    pub(super) fn of(plan: &Plan, signals: &Signals) -> Self {
        let interrupt = signals.interrupt.clone();
        let mut tasks = vec![tokio::spawn(time(plan.longest_run(), interrupt.clone()))];
        if let Some(path) = plan.safety.stop_file.clone() {
            tasks.push(tokio::spawn(file(path, interrupt.clone())));
        }
        Self { interrupt, tasks }
    }

    /// From now on after what the monitors read, too.
    pub(super) fn watch(&mut self, plan: &Plan, hub: &MonitorHub, memory_bytes: Option<u64>) {
        let conditions = plan.safety.abort_if.clone();
        let own = Machine::new(HOST, memory_bytes);
        let view = hub.view();
        let read = move || view.snapshot();
        let watching = readings(read, conditions, own, self.interrupt.clone());
        self.tasks.push(tokio::spawn(watching));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn time(longest: Duration, interrupt: Interrupt) {
    tokio::time::sleep(longest).await;
    interrupt.halt(Halt::TooLong(longest));
}

async fn file(path: PathBuf, interrupt: Interrupt) {
    while !is_there(&path) {
        tokio::time::sleep(LOOK).await;
    }
    interrupt.halt(Halt::StopFile(path.display().to_string()));
}

async fn readings(
    mut read: impl FnMut() -> Vec<Reading>,
    conditions: Condition,
    mut own: Machine,
    interrupt: Interrupt,
) {
    let others = safety::others(&read(), HOST);
    let mut others: Vec<(String, Machine)> = others
        .into_iter()
        .map(|name| (name.clone(), Machine::new(&name, None)))
        .collect();
    loop {
        let readings = read();
        let met = conditions.met(&readings).map(Halt::Condition);
        let other = |(name, machine): &mut (String, Machine)| {
            let how = machine.look(&readings)?;
            Some(Halt::TargetHost(format!("(monitor `{name}`) {how}")))
        };
        let halt = met
            .or_else(|| own.look(&readings).map(Halt::GeneratorHost))
            .or_else(|| others.iter_mut().find_map(other));
        if let Some(halt) = halt {
            interrupt.halt(halt);
            return;
        }
        tokio::time::sleep(safety::EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(monitor: &str, field: &str, value: f64) -> Reading {
        Reading {
            monitor: monitor.to_owned(),
            field: field.to_owned(),
            value: Some(value),
        }
    }

    /// Why a run ended whose monitors read these values of this machine's memory, another's, and a
    /// queue, MiB and numbers.
    async fn ended_by(seen: &[(f64, f64, f64)]) -> Option<Halt> {
        let mib = |n: f64| n * 1024.0 * 1024.0;
        let mut left = seen.iter().copied();
        let mut last = seen[0];
        let read = move || {
            last = left.next().unwrap_or(last);
            vec![
                reading(HOST, safety::AVAILABLE, mib(last.0)),
                reading("db", safety::AVAILABLE, mib(last.1)),
                reading("ai", "queue", last.2),
            ]
        };
        let mut conditions = Condition::default();
        conditions.add("ai.queue>100", &["ai".to_owned()]).unwrap();
        let interrupt = Interrupt::default();
        let own = Machine::new(HOST, Some(16 << 30));
        let looking = readings(read, conditions, own, interrupt.clone());
        let looked = tokio::time::timeout(Duration::from_secs(2), looking).await;
        assert_eq!(looked.is_ok(), interrupt.is_set());
        interrupt.why().cloned()
    }

    #[tokio::test]
    async fn the_first_limit_that_is_passed_ends_the_run_and_says_which() {
        let well = (9000.0, 500.0, 3.0);
        assert_eq!(ended_by(&[well]).await, None);
        let queue = ended_by(&[well, well, (9000.0, 500.0, 101.0)]).await;
        let met = "ai.queue>100: it reads 101".to_owned();
        assert_eq!(queue, Some(Halt::Condition(met)));
        let own = ended_by(&[well, (300.0, 500.0, 3.0)]).await.unwrap();
        assert!(matches!(own, Halt::GeneratorHost(_)), "{own:?}");
        assert!(
            own.reason()
                .starts_with("emergency stop: this machine has 300 MiB")
        );
        let other = ended_by(&[well, (9000.0, 50.0, 3.0)]).await.unwrap();
        let said = "emergency stop: the target's machine (monitor `db`) has 50 MiB";
        assert!(other.reason().starts_with(said), "{}", other.reason());
    }
}
