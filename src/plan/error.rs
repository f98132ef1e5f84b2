//! Why there is no plan.

use crate::profile::ProfileError;
use crate::slo::SloError;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Something in the profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A flag's value.
    #[error("{}: {why}", crate::secret::masked(&format!("{flag} {value}")).trim_end())]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The size given by flag.
    #[error("{0}")]
    Size(String),
    /// An objective given by flag.
    #[error("--slo: {0}")]
    Slo(#[from] SloError),
    /// Nothing says what must hold, the script neither.
    #[error(
        "no SLO is given: there is no objective, and {0}; add one, in quotes: --slo 'p99<2s'  \
         (several are allowed: --slo 'errors<1%')"
    )]
    NoThreshold(String),
    /// Nothing says what must hold.
    #[error(
        "no SLO is given; add an objective, in quotes: --slo 'p99<2s'  (several are allowed: --slo \
         'errors<1%')"
    )]
    NoSlo,
}
