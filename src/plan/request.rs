//! What flags say of the request to `--url`: a scenario like that of a profile.

use serde::Deserialize;

use super::{EngineFacts, FindFlags, PlanError, ScenarioSource};
use crate::import::{self, RequestFlags};
use crate::profile::Profile;
use crate::scenario::spec::ScenarioSpec;

/// Whether anybody sends what the flags say.
pub(super) fn check(
    profile: Option<&Profile>,
    flags: &FindFlags,
    engine: &dyn EngineFacts,
) -> Result<(), PlanError> {
    let Some(flag) = flags.request.first() else {
        return Ok(());
    };
    let why = if !engine.abilities().runs_scenarios {
        let who = engine.name();
        format!("the engine `{who}` sends what its own files say; remove it")
    } else if profile.is_some() {
        "what is sent is in the profile's [scenario]; change it there, or use --url without a \
        profile"
            .to_owned()
    } else if flags.url.is_none() {
        "it says what is sent to an address; add --url".to_owned()
    } else {
        return Ok(());
    };
    // The value may be a secret.
    Err(wrong(flag, why))
}

/// One request per cycle to an address.
pub(super) fn scenario(url: &str, flags: &RequestFlags) -> Result<ScenarioSource, PlanError> {
    #[derive(Deserialize)]
    struct Only {
        scenario: ScenarioSpec,
    }
    // What is filled in is filled in as in a profile.
    if flags.first().is_none() && !url.contains("{{") {
        return Ok(ScenarioSource::SingleGet(url.to_owned()));
    }
    let call = flags.call(url).map_err(|(flag, why)| wrong(flag, why))?;
    // One way from texts to a scenario: that of a profile.
    let only: Only = toml::from_str(&import::scenario(&call))
        .map_err(|e| wrong("--url", e.message().to_owned()))?;
    Ok(ScenarioSource::Spec(Box::new(only.scenario)))
}

fn wrong(flag: &'static str, why: String) -> PlanError {
    PlanError::Flag {
        flag,
        value: String::new(),
        why,
    }
}
