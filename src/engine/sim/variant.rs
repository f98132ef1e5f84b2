//! Systems made of a system: with other servers, more capacity, as it is in the long run, or as a
//! queue with an exact answer.

use super::spec::{Discipline, SystemSpec, TimeShape};
use crate::measure::Arrivals;
use crate::stats::queue::{ClosedQueue, OpenQueue};

impl SystemSpec {
    /// The system as a closed queue with an exact answer: one line, exponential times, nothing
    /// else. `None` when it is anything more than that.
    pub fn closed_queue(&self) -> Option<ClosedQueue> {
        let think = self.think.as_ref()?;
        (think.kind == TimeShape::Exponential && self.is_plain()).then_some(())?;
        Some(ClosedQueue {
            servers: self.service.servers,
            mu: 1.0 / self.service.mean?.s(),
            think_s: think.mean?.s(),
        })
    }

    /// The system as an open queue with an exact answer, as [`Self::closed_queue`].
    pub fn open_queue(&self) -> Option<OpenQueue> {
        let poisson = self.arrivals.as_ref()?.kind == Arrivals::Poisson;
        (poisson && self.is_plain()).then_some(())?;
        Some(OpenQueue {
            servers: self.service.servers,
            mu: 1.0 / self.service.mean?.s(),
        })
    }

    /// One line, exponential service, nothing else.
    fn is_plain(&self) -> bool {
        self.service.discipline == Discipline::Fifo
            && self.service.kind == TimeShape::Exponential
            && self.population.is_empty()
            && self.users.is_empty()
            && self.pauses.is_none()
            && self.neighbour.is_none()
            && self.drift.is_none()
            && self.hysteresis.is_none()
            && self.modes.is_none()
            && self.memory.is_none()
            && self.leak.is_none()
            && self.errors.is_none()
            && self.shed.is_none()
            && self.timeout.is_none()
            && self.cliff.is_none()
            && self.warm_up.is_none()
            && self.growth.is_none()
            && self.token_bucket.is_none()
            && self.concurrency.is_none()
            && self.connections.is_none()
            && self.outages.is_none()
    }

    /// The system with its capacity times `factor`: what binds it is scaled, which is the level of
    /// a cliff or the memory above the base where there is one per VU, else the speed of its
    /// servers and the lengths at which a queue fails or sheds.
    #[must_use]
    pub fn with_capacity(&self, factor: f64) -> Self {
        let mut spec = self.clone();
        let times = |n: u32| crate::measure::Level::nearest(f64::from(n) * factor).get();
        if let Some(cliff) = &mut spec.cliff {
            cliff.above_vus = times(cliff.above_vus);
            return spec;
        }
        if let Some(connections) = &mut spec.connections {
            connections.most = times(connections.most);
            return spec;
        }
        if let Some(memory) = spec.memory.as_mut().filter(|m| m.per_vu.is_some()) {
            memory.limit = memory.limit.scaled_above(memory.base, factor);
            return spec;
        }
        let service = &mut spec.service;
        let mut spans = vec![&mut service.mean, &mut service.low, &mut service.high];
        for p in &mut spec.population {
            spans.extend([&mut p.mean, &mut p.low, &mut p.high]);
        }
        for users in &mut spec.users {
            let work = &mut users.service;
            spans.extend([&mut work.mean, &mut work.low, &mut work.high]);
        }
        for span in spans.into_iter().flatten() {
            *span = span.divided(factor);
        }
        if let Some(errors) = &mut spec.errors {
            errors.above_queue = times(errors.above_queue);
        }
        if let Some(shed) = &mut spec.shed {
            shed.above_queue = times(shed.above_queue);
        }
        if let Some(concurrency) = &mut spec.concurrency {
            concurrency.most = times(concurrency.most);
        }
        if let Some(bucket) = &mut spec.token_bucket {
            bucket.per_s = bucket.per_s.times(factor);
            bucket.burst = times(bucket.burst);
        }
        spec
    }

    /// The system as it is in the long run: warm and without the tokens that it had at the start.
    /// What can become cold again is left as it is.
    #[must_use]
    pub fn in_the_long_run(&self) -> Self {
        let mut spec = self.clone();
        if spec
            .warm_up
            .is_some_and(|w| !w.again || spec.memory.is_none())
        {
            spec.warm_up = None;
        }
        if let Some(bucket) = &mut spec.token_bucket {
            bucket.at_start = Some(0);
        }
        spec
    }

    /// The system with all the servers to which it may grow, for good; `None` when it does not
    /// grow, or shrinks again.
    pub fn fully_grown(&self) -> Option<Self> {
        let growth = self.growth.filter(|g| g.below.is_none())?;
        let mut spec = self.clone();
        spec.growth = None;
        spec.service.servers = growth.most;
        Some(spec)
    }

    /// Whether this many users keep the servers so busy that the system grows to its end: with the
    /// servers that it has before the last step, nobody waiting. Without growth, yes.
    pub fn grows_to_the_end_at(&self, level: u32) -> bool {
        let Some(growth) = self.growth else {
            return true;
        };
        let servers = f64::from(growth.before_last(self.service.servers));
        let busy = f64::from(level) * self.user_kinds().load_per_user();
        busy > growth.above.get() * servers
    }
}
