//! This program's own engine in a plan: it can do everything, and all that it does stands in the
//! profile.

use super::{Abilities, EngineFacts, EngineWords, VuCost};

/// This program's own engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NativePlan;

impl EngineFacts for NativePlan {
    fn name(&self) -> &'static str {
        "native"
    }

    fn abilities(&self) -> Abilities {
        Abilities::all()
    }

    fn words(&self) -> EngineWords {
        EngineWords {
            loads: "what the scenario says",
            ..EngineWords::default()
        }
    }

    fn vu_cost(&self) -> VuCost {
        VuCost::OfScenario
    }
}
