//! Windows from the plug-in: seconds of the master's clock.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::second::{SecondData, together};
use super::web::Web;
use super::{EngineError, UnplacedWindow, stopped};
use crate::measure::{Level, Window};

/// How often a question is asked again whose answer does not come.
const TRIES: u32 = 4;
/// Pause before that.
const PAUSE: Duration = Duration::from_secs(1);
/// Seconds that the master may take to begin what was ordered.
const BEGINS_IN_S: f64 = 5.0;

/// What the plug-in told, and what is still to be asked for.
#[derive(Debug)]
pub(super) struct Exact {
    web: Web,
    pending: VecDeque<SecondData>,
    /// Number of the last second that was given out.
    last: Option<u64>,
    /// Number of the first.
    zero: Option<u64>,
    /// The master's time at an instant.
    clock: Option<(Instant, f64)>,
    state: String,
    /// The master's time of the last order.
    ordered_at: f64,
    users_before: u32,
    reporting: BTreeSet<String>,
}

impl Exact {
    pub(super) fn new(web: Web) -> Self {
        Self {
            web,
            pending: VecDeque::new(),
            last: None,
            zero: None,
            clock: None,
            state: String::new(),
            ordered_at: 0.0,
            users_before: 0,
            reporting: BTreeSet::new(),
        }
    }

    /// Workers that told of the last second.
    pub(super) fn reporting(&self) -> &BTreeSet<String> {
        &self.reporting
    }

    /// Whether the master says that it has started all users that it will.
    pub(super) fn has_spawned(&self) -> bool {
        self.state == "running"
    }

    /// A level was asked for just now.
    pub(super) fn ordered(&mut self) {
        self.ordered_at = self.masters_time();
    }

    fn masters_time(&self) -> f64 {
        self.clock
            .map_or(0.0, |(at, time)| time + at.elapsed().as_secs_f64())
    }

    /// The next second.
    pub(super) async fn next(
        &mut self,
        level: Level,
        names: &[String],
        workers: &BTreeSet<String>,
    ) -> Result<UnplacedWindow, EngineError> {
        let data = self.next_second().await?;
        self.check_state(level)?;
        let second = data.second;
        let all = together(&data, names, workers);
        let zero = *self.zero.get_or_insert(second);
        let begun = number(second);
        // Every user there was at its beginning, and is still there at its end.
        let at_level = self.users_before == level.get()
            && all.users == level.get()
            && begun >= self.ordered_at;
        self.users_before = all.users;
        self.reporting = data.workers.into_keys().collect();
        let window = Window {
            start: Duration::from_secs(second.saturating_sub(zero)),
            span: Duration::from_secs(1),
            level,
            vus: all.users,
            at_level,
            steps: all.steps,
            generator: all.generator,
        };
        Ok(UnplacedWindow {
            window,
            late_names: all.late_names,
            ended: all.ended,
            unseen: all.unseen,
        })
    }

    async fn next_second(&mut self) -> Result<SecondData, EngineError> {
        loop {
            while let Some(data) = self.pending.pop_front() {
                // What was asked for twice is taken once.
                if self.last.is_none_or(|last| data.second > last) {
                    self.last = Some(data.second);
                    return Ok(data);
                }
            }
            self.ask().await?;
        }
    }

    async fn ask(&mut self) -> Result<(), EngineError> {
        let mut tries = 0;
        loop {
            match self.web.seconds_after(self.last).await {
                Ok(seconds) => {
                    self.clock = Some((Instant::now(), seconds.now));
                    self.state = seconds.state;
                    self.pending.extend(seconds.windows);
                    return Ok(());
                }
                Err(trouble) if tries + 1 >= TRIES => return Err(stopped(trouble)),
                Err(_) => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Whether the test still runs that was ordered.
    fn check_state(&self, level: Level) -> Result<(), EngineError> {
        let ends = matches!(self.state.as_str(), "stopping" | "stopped" | "ready");
        let begun = self.masters_time() > self.ordered_at + BEGINS_IN_S;
        if level != Level::ZERO && ends && begun {
            return Err(EngineError::Stopped(format!(
                "the Locust test is {}: it was stopped, or its last worker is gone",
                self.state
            )));
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 are far below 2^52"
)]
fn number(second: u64) -> f64 {
    second as f64
}
