//! What one thread's VUs did since the last window was cut. Counting takes no lock: the recorder never leaves its thread.

use std::time::Duration;

use hdrhistogram::Histogram as Hdr;

use super::watch::Lateness;
use crate::measure::{FailureCounts, FailureKind, Histogram, StepWindow};

/// How a measured step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Completed(Duration),
    Failed(FailureKind),
    Shed,
}

struct StepRecorder {
    latency: Hdr<u64>,
    in_flight: Hdr<u64>,
    failed: FailureCounts,
    shed: u64,
}

pub(super) struct Recorder {
    steps: Vec<StepRecorder>,
    woke: Hdr<u64>,
    read: Hdr<u64>,
}

impl Recorder {
    pub(super) fn new(steps: usize) -> Self {
        let step = || StepRecorder {
            latency: Histogram::recorder(),
            in_flight: Histogram::recorder(),
            failed: FailureCounts::default(),
            shed: 0,
        };
        Self {
            steps: (0..steps).map(|_| step()).collect(),
            woke: Histogram::recorder(),
            read: Histogram::recorder(),
        }
    }

    pub(super) fn count(&mut self, step: usize, ending: Ending) {
        let step = &mut self.steps[step];
        match ending {
            Ending::Completed(latency) => Histogram::record_into(&mut step.latency, latency),
            Ending::Failed(kind) => step.failed.add(kind),
            Ending::Shed => step.shed += 1,
        }
    }

    /// Counts how late a VU, or the thread's own tick, woke.
    pub(super) fn lag(&mut self, late: Duration) {
        Histogram::record_into(&mut self.woke, late);
    }

    /// Counts how long an answer lay in the kernel before it was read.
    pub(super) fn read_late(&mut self, late: Duration) {
        Histogram::record_into(&mut self.read, late);
    }

    /// Counts the age of a step that is in flight while a window is cut.
    pub(super) fn in_flight(&mut self, step: usize, age: Duration) {
        Histogram::record_into(&mut self.steps[step].in_flight, age);
    }

    /// Takes what was counted and begins anew.
    pub(super) fn cut(&mut self) -> (Vec<StepWindow>, Lateness) {
        let steps = self
            .steps
            .iter_mut()
            .map(|s| StepWindow {
                latency: Histogram::drain(&mut s.latency),
                failed: std::mem::take(&mut s.failed),
                shed: std::mem::take(&mut s.shed),
                in_flight: Histogram::drain(&mut s.in_flight),
                bounds: None,
            })
            .collect();
        let lateness = Lateness {
            woke: Histogram::drain(&mut self.woke),
            read: Histogram::drain(&mut self.read),
        };
        (steps, lateness)
    }
}
