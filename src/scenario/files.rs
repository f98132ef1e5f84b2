//! What stands in files beside the profile, read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Feeder;

/// What stands in files beside the profile: rows by the feeder's name, bodies by the path as it is
/// written there.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The rows of every feeder.
    pub feeders: BTreeMap<String, Arc<Feeder>>,
    /// What is sent as it is.
    pub bodies: BTreeMap<String, Arc<[u8]>>,
}

impl From<BTreeMap<String, Arc<Feeder>>> for Files {
    fn from(feeders: BTreeMap<String, Arc<Feeder>>) -> Self {
        Self {
            feeders,
            bodies: BTreeMap::new(),
        }
    }
}
