//! Several populations of users on one target: an engine for each, one of which follows the level.
//!
//! Its windows hold the steps of all: those of the others first, each population's cycle under the population's name, the
//! users' own last, so that a bare objective is about the users whoever is searched.

use super::{Canary, Engine, EngineError};
use crate::measure::{GeneratorWindow, Level, LoadedAddress, StepWindow, Strain, Window};

/// One population and how many there are of it.
#[derive(Debug)]
pub struct Member<E> {
    /// Its name; the users have none.
    pub name: String,
    /// What makes its load.
    pub engine: E,
    /// Its level while there is any load at all; `None` for the one that follows the search.
    pub level: Option<Level>,
}

/// All populations of a run.
#[derive(Debug)]
pub struct Populations<E> {
    others: Vec<Member<E>>,
    users: Member<E>,
}

impl<E: Engine> Populations<E> {
    /// Puts them together; exactly one of them has no level of its own.
    pub fn new(others: Vec<Member<E>>, users: Member<E>) -> Self {
        Self { others, users }
    }

    /// The engines, to stop them.
    pub fn into_engines(self) -> impl Iterator<Item = E> {
        self.others
            .into_iter()
            .chain([self.users])
            .map(|m| m.engine)
    }

    fn members(&mut self) -> impl Iterator<Item = &mut Member<E>> {
        self.others.iter_mut().chain([&mut self.users])
    }
}

impl<E: Engine> Engine for Populations<E> {
    async fn set_level(&mut self, level: Level) -> Result<(), EngineError> {
        for member in self.members() {
            let own = match member.level {
                Some(fixed) if level != Level::ZERO => fixed,
                _ => level,
            };
            member.engine.set_level(own).await?;
        }
        Ok(())
    }

    async fn next_window(&mut self) -> Result<Window, EngineError> {
        let mut all: Option<Window> = None;
        let mut searched: Option<(Level, u32)> = None;
        let mut everybody = 0;
        for member in self.members() {
            let window = member.engine.next_window().await?;
            everybody += window.vus;
            if member.level.is_none() {
                searched = Some((window.level, window.vus));
            }
            all = Some(match all {
                None => window,
                Some(before) => joined(before, window),
            });
        }
        let mut window = all.ok_or_else(|| EngineError::Stopped("there is nobody".to_owned()))?;
        if let Some((level, vus)) = searched {
            // In a drain the others are waited for too.
            let vus = if level == Level::ZERO { everybody } else { vus };
            (window.level, window.vus) = (level, vus);
        }
        Ok(window)
    }

    async fn canary(&mut self) -> Result<Canary, EngineError> {
        self.users.engine.canary().await
    }

    fn addresses(&self) -> Vec<LoadedAddress> {
        let mut all: Vec<LoadedAddress> = Vec::new();
        for member in self.others.iter().chain([&self.users]) {
            LoadedAddress::add(&mut all, member.engine.addresses());
        }
        all
    }

    async fn halt(&mut self) -> Result<(), EngineError> {
        for member in self.members() {
            member.engine.halt().await?;
        }
        Ok(())
    }
}

/// Two populations' windows of the same time. Each engine cuts its windows by itself, some milliseconds apart.
fn joined(mut all: Window, next: Window) -> Window {
    all.steps.extend::<Vec<StepWindow>>(next.steps);
    all.at_level &= next.at_level;
    all.generator = worse(all.generator, next.generator);
    // The users come last: their clock is the run's.
    all.start = next.start;
    all.span = next.span;
    all
}

/// The health of the generator over two of its parts: they share the process, the threads are each one's own.
fn worse(a: GeneratorWindow, b: GeneratorWindow) -> GeneratorWindow {
    GeneratorWindow {
        lag_p99_s: max(a.lag_p99_s, b.lag_p99_s),
        cpu_cores: max(a.cpu_cores, b.cpu_cores),
        descriptors: a.descriptors.max(b.descriptors),
        strain: Strain {
            thread_cpu: max(a.strain.thread_cpu, b.strain.thread_cpu),
            woke_late_p99_s: max(a.strain.woke_late_p99_s, b.strain.woke_late_p99_s),
            read_late_p99_s: max(a.strain.read_late_p99_s, b.strain.read_late_p99_s),
            sends: a.strain.sends + b.strain.sends,
            sends_held_up: a.strain.sends_held_up + b.strain.sends_held_up,
            arrivals_waiting: a.strain.arrivals_waiting + b.strain.arrivals_waiting,
            ..b.strain
        },
    }
}

fn max(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sim::{SimEngine, SystemSpec};

    fn member(name: &str, level: Option<Level>) -> Member<SimEngine> {
        let text = "name = 'x'\ntitle = 'x'\nslo = ['p99<2s']\npace_per_s = 1000\n\
                    [think]\nkind = 'constant'\nmean = '100ms'\n\
                    [service]\nservers = 99\nkind = 'constant'\nmean = '10ms'\n";
        Member {
            name: name.to_owned(),
            engine: SimEngine::new(SystemSpec::from_toml(text).unwrap(), 1),
            level,
        }
    }

    #[tokio::test]
    async fn one_follows_the_level_and_the_others_keep_theirs_while_there_is_load() {
        let mut all = Populations::new(vec![member("abusers", Some(Level(5)))], member("", None));
        all.set_level(Level(40)).await.unwrap();
        let mut window = all.next_window().await.unwrap();
        for _ in 0..3 {
            window = all.next_window().await.unwrap();
        }
        assert_eq!(
            (window.level, window.vus),
            (Level(40), 40),
            "those of the searched"
        );
        assert_eq!(window.steps.len(), 4);
        let completed: Vec<u64> = window.steps.iter().map(StepWindow::completed).collect();
        // A cycle takes 110 ms.
        assert!((40..=50).contains(&completed[0]), "{completed:?}");
        assert!((340..=380).contains(&completed[2]), "{completed:?}");
        all.set_level(Level::ZERO).await.unwrap();
        window = all.next_window().await.unwrap();
        assert!(window.vus <= 45, "whoever still leaves: {}", window.vus);
        for _ in 0..3 {
            window = all.next_window().await.unwrap();
        }
        assert!(
            window.steps.iter().all(|s| s.completed() == 0),
            "a drain is for all"
        );
        assert_eq!(window.vus, 0);
    }
}
