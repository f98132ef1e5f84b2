//! The flags of a k6 script.

use std::path::PathBuf;

use clap::Args;

use crate::plan::FindFlags;

/// A k6 script, and what it is given.
#[derive(Debug, Clone, Default, Args)]
pub struct ScriptArgs {
    /// The k6 script to run, unchanged; no k6 is needed. Its thresholds are the SLO unless one is
    /// given.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Variable for the script (`__ENV.NAME`), such as BASE=http://127.0.0.1:8080; repeatable.
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Give the script the whole environment too.
    #[arg(long)]
    pub include_system_env_vars: bool,
}

impl ScriptArgs {
    /// The flags of a plan with what these say.
    pub fn added_to(&self, flags: FindFlags) -> FindFlags {
        FindFlags {
            script: self.script.clone(),
            env: self.env.clone(),
            include_system_env_vars: self.include_system_env_vars,
            ..flags
        }
    }
}
