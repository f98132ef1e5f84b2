//! The size at which a target is brought up.

use toml::Spanned;

use super::{FindFlags, PlanError};
use crate::profile::Profile;
use crate::units::Size;

/// A profile with its size filled in.
pub(super) struct Filled {
    pub(super) profile: Profile,
    pub(super) label: Option<String>,
}

/// The profile at the size that was typed, else at its own.
pub(super) fn filled(
    profile: Option<&Profile>,
    flags: &FindFlags,
) -> Result<Option<Filled>, PlanError> {
    if let Some(typed) = &flags.size {
        Size::parse(typed).map_err(|why| PlanError::Size(format!("--size: {why}")))?;
        if profile.is_none() {
            let message = "--size is for a profile, whose commands bring the target up".to_owned();
            return Err(PlanError::Size(message));
        }
    }
    let Some(profile) = profile else {
        return Ok(None);
    };
    let own = (profile.target.as_ref()).and_then(|t| t.as_ref().size.as_ref());
    if let Some(own) = own {
        let read = Size::parse(own.as_ref());
        read.map_err(|why| profile.source.error(Some(Spanned::span(own)), why))?;
    }
    let (profile, label) = profile.at_size(flags.size.as_deref())?;
    Ok(Some(Filled { profile, label }))
}
