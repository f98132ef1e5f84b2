//! What stands for the whole in a record: the last of its steps, which is the cycle or all
//! requests.

use super::{ProbeRecord, SecondRecord, StageRecord, StepRecord, StepSecond};

impl ProbeRecord {
    /// All cycles, or all requests, of the hold; `None` for a record without steps.
    pub fn overall(&self) -> Option<&StepRecord> {
        self.steps.last()
    }
}

impl StageRecord {
    /// All cycles, or all requests, of the stage; `None` for a record without steps.
    pub fn overall(&self) -> Option<&StepRecord> {
        self.steps.last()
    }
}

impl SecondRecord {
    /// All cycles, or all requests, of the second; `None` for a record without steps.
    pub fn overall(&self) -> Option<&StepSecond> {
        self.steps.last()
    }
}
