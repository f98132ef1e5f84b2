//! What a probe sees of the run around it.

use std::future::Future;
use std::time::Duration;

use super::shown::tick;
use super::{Halt, Interrupt, RunEnvironment, RunSpec};
use crate::event::{Event, Phase, ShownLatency, Tick};
use crate::measure::{LogLine, Measurement, Reading, Second};
use crate::probe::Observer;
use crate::record::Band;
use crate::slo::Patience;

/// What a probe sees of the run around it.
pub(super) struct Watch<'a, S> {
    pub(super) spec: &'a RunSpec,
    pub(super) surroundings: &'a mut S,
    pub(super) interrupt: &'a Interrupt,
    pub(super) sink: &'a mut (dyn FnMut(Event) + Send),
    pub(super) began: Option<Duration>,
    pub(super) estimate: Option<Band>,
    pub(super) latency: ShownLatency,
    pub(super) patience: Patience,
    /// Whether it is a warm-up, which goes on whatever the target does.
    pub(super) warms_up: bool,
    /// Whether it goes up to find the first level that breaks: an overload on the way is enough, it
    /// need not be held.
    pub(super) way_up: bool,
}

impl<S: RunEnvironment> Observer for Watch<'_, S> {
    fn readings(&mut self) -> Vec<Reading> {
        self.surroundings.readings()
    }

    fn lines(&mut self) -> Vec<LogLine> {
        self.surroundings.lines()
    }

    fn second(&mut self, second: &Second, phase: Phase) {
        let window = &second.window;
        let began = *self.began.get_or_insert(window.start);
        (self.sink)(Event::Tick(Tick {
            estimate: self.estimate,
            ..tick(second, &self.spec.steps, &self.latency, began, phase)
        }));
    }

    fn interrupted(&self) -> bool {
        self.interrupt.is_set()
    }

    fn halted(&self) -> impl Future<Output = ()> + Send + 'static {
        self.interrupt.wait()
    }

    fn is_hopeless(&self, hold: &Measurement) -> bool {
        let slo = &self.spec.slo;
        !self.warms_up && slo.is_hopeless(hold, &self.spec.steps, self.patience)
    }

    fn used_up(&mut self, which: &str) {
        self.interrupt.halt(Halt::UsedUp(which.to_owned()));
    }

    fn aborted(&mut self, why: &str) {
        self.interrupt.halt(Halt::Load(why.to_owned()));
    }

    fn is_failing(&self, recent: &Measurement) -> bool {
        !self.warms_up && self.spec.slo.is_failing(recent, &self.spec.steps)
            || self.way_up && self.is_hopeless(recent)
    }
}
