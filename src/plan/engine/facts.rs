//! What the rest of the program asks of an engine before it has started, whichever it is.

// `core`, not `std`: an address is a value here.
use core::net::IpAddr;
use std::path::Path;

use crate::k6::ScriptInfo;
use crate::measure::{Arrivals, Level};
use crate::plan::{Amount, ConnectPlan, FindFlags, PlanError};
use crate::profile::Profile;

/// Whether an engine can do something; if not, why it is refused.
pub type Ability = Result<(), String>;

/// What an engine can do. Every one can search over levels that it holds, with a warm-up before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// It runs the scenarios of the profile, so that steps, think times and needs are known before
    /// it starts; else its own files say what VUs do.
    pub runs_scenarios: bool,
    /// It connects to the target as the plan says, though its own files say where that is.
    pub own_connections: bool,
    /// It must be told which addresses it may not reach, because it makes the connections on this
    /// machine itself.
    pub is_confined: bool,
    /// The open model: arrivals per second in place of VUs.
    pub open_model: Ability,
    /// Users of several kinds side by side.
    pub populations: Ability,
    /// Counting the cycles that meet several limits at once: `good(..)`.
    pub good_cycles: Ability,
    /// A ramp, whose level moves while it is measured.
    pub ramp: Ability,
    /// One cycle that is shown line by line: `try`.
    pub one_cycle: Ability,
    /// Being told how many threads it has.
    pub threads: Ability,
    /// Being told where its connections come from.
    pub local_addresses: Ability,
    /// Being told by flags how a connection is made and whom it trusts.
    pub connection_flags: Ability,
}

impl Abilities {
    /// Those of an engine that can do everything.
    pub fn all() -> Self {
        Self {
            runs_scenarios: true,
            own_connections: true,
            is_confined: false,
            open_model: Ok(()),
            populations: Ok(()),
            good_cycles: Ok(()),
            ramp: Ok(()),
            one_cycle: Ok(()),
            threads: Ok(()),
            local_addresses: Ok(()),
            connection_flags: Ok(()),
        }
    }
}

/// What a VU takes of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VuCost {
    /// As much as its scenario needs connections.
    OfScenario,
    /// So much, whatever it does.
    Fixed {
        /// Connections at once.
        connections: u64,
        /// Memory, bytes.
        memory: u64,
    },
    /// Nothing: it runs elsewhere.
    Nothing,
}

/// How an engine is spoken of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineWords {
    /// What is loaded where the engine's own files say it.
    pub loads: &'static str,
    /// The lines of `plan`: their names and what they say. None for this program.
    pub outline: Vec<(&'static str, String)>,
    /// Before the first load: the program that makes it, where that is told.
    pub by: Option<&'static str>,
    /// Before the first load: what is sent, where its own files say it.
    pub requests: Option<&'static str>,
    /// What has become of it when its start was broken off; `None` where it starts at once.
    pub broken_off: Option<&'static str>,
    /// Who would not know the free port of the demo, and who is to be given an address in its
    /// place; `None` where the demo can be loaded.
    pub demo: Option<(&'static str, &'static str)>,
}

/// A script that says what VUs do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFacts<'a> {
    /// The script.
    pub file: &'a Path,
    /// The script as it was named.
    pub shown: &'a str,
    /// Checksum of its text, once it was looked at.
    pub crc32: Option<u32>,
    /// Folder and files of programs that are run with it, itself included.
    pub runs: Vec<&'a Path>,
    /// How it is run, for people.
    pub command: String,
    /// Whether something that is run comes from the profile: whoever runs it must have agreed to
    /// that.
    pub of_profile: bool,
}

/// A page that is asked beside the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFacts<'a> {
    /// Whose it is: "the Locust master".
    pub of: &'static str,
    /// Its address, perhaps with placeholders.
    pub url: &'a str,
    /// Headers that are sent along.
    pub headers: &'a [(String, String)],
    /// How it is connected to.
    pub connect: &'a ConnectPlan,
}

/// Fills in the secrets of a text, which the second one names in errors.
pub type Secrets<'a> = dyn Fn(&str, &str) -> Result<String, String> + 'a;

/// What is asked of whoever makes the load, before it has started. What is not answered is so with
/// this program's own engine.
pub trait EngineFacts {
    /// What records call it as far as is known by now.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// How it is spoken of.
    fn words(&self) -> EngineWords;

    /// What a VU takes of this machine.
    fn vu_cost(&self) -> VuCost;

    /// The highest level when nothing else is said; `None` for the usual one.
    fn highest_level(&self) -> Option<Level> {
        None
    }

    /// How cycles arrive when nothing else is said; `None` for the closed model.
    fn arrivals(&self) -> Option<Arrivals> {
        None
    }

    /// Everybody who loads the target where its own files say that, by name, those who are searched
    /// last; nothing where they are alone.
    fn populations(&self) -> Vec<(String, Amount)> {
        Vec::new()
    }

    /// What stands for the target, where its own files say what that is.
    fn target(&self) -> Option<&str> {
        None
    }

    /// The folder under the reports for a run without a profile; `None` where such a run needs an
    /// address.
    ///
    /// # Errors
    /// When something that was typed gives no name.
    fn run_name(&self) -> Result<Option<String>, PlanError> {
        Ok(None)
    }

    /// The script, where there is one.
    fn script(&self) -> Option<ScriptFacts<'_>> {
        None
    }

    /// The page that it asks, where it asks one.
    fn page(&self) -> Option<PageFacts<'_>> {
        None
    }

    /// Whether the address of a service may be given without a profile.
    ///
    /// # Errors
    /// When its own files say what is loaded.
    fn check_url(&self, _url: &str) -> Result<(), PlanError> {
        Ok(())
    }

    /// Whether nothing was asked for that its own files say.
    ///
    /// # Errors
    /// Says which.
    fn check(&self, _profile: Option<&Profile>, _flags: &FindFlags) -> Result<(), PlanError> {
        Ok(())
    }

    /// Takes over what was learned of its script.
    ///
    /// # Errors
    /// When the script cannot be run as it was asked.
    fn learn(&mut self, _looked: &ScriptInfo) -> Result<(), PlanError> {
        Ok(())
    }

    /// Fills in the secrets of what it is told.
    ///
    /// # Errors
    /// When one of them is not there.
    fn fill(&mut self, _secrets: &Secrets<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Hides values of the environment, where it is given that; whether it is.
    fn hide_of_environment(&mut self, _values: &[String]) -> bool {
        false
    }

    /// Keeps it from every address but this machine's and these.
    fn confine(&mut self, _allowed: &[IpAddr]) {}

    /// Keeps something that a reader must know.
    fn note(&mut self, _text: String) {}

    /// What it does follows stages, which may be its own, instead of a search.
    fn follows_stages(&mut self) {}

    /// Takes what a reader must know.
    fn take_notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}
