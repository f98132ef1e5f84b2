//! The flags of `breakpoint scale`.

use std::path::PathBuf;

use clap::Args;

use super::{SafetyArgs, format};
use crate::compare::scale::SizeCondition;
use crate::record::Cost;
use crate::report::OutputFormat;
use crate::units::Size;

pub(super) const EXAMPLES: &str = "\
Examples:
  breakpoint scale mine.toml --sizes 1,2,4                         what each size carries
  breakpoint scale mine.toml --sizes 1,2,4 --target-vus 5000 --cost 12/month
  breakpoint scale mine.toml --sizes 256m,512m,1g --repeat 2       six searches, in turn
  breakpoint scale mine.toml --sizes 1,2,4 --require 'units(5000)<=6'    a CI gate
  breakpoint resume reports/scale/RUN                              after Ctrl-C or a crash

The profile brings the target up at each size: {{ size }} in up, reset, down, url, and monitors, and
BREAKPOINT_SIZE in the environment of the commands. docs/scale.md describes the method and its error
rates.

Exit codes: 0 sized and no gate failed, 2 invalid usage or profile, 3 a gate cannot be decided or a
size has no breakpoint, 99 a gate failed, 130 interrupted, 5 target down,
1 internal error or output cannot be written
";

/// `breakpoint scale`.
#[derive(Debug, Clone, Args)]
pub struct ScaleArgs {
    /// Profile by name or path.
    #[arg(value_name = "PROFILE")]
    pub profile: String,
    /// Sizes to search, in order: units (1,2,4), cores (0.5,1,2), or memory (256m,512m,1g).
    #[arg(long, value_name = "SIZES", value_delimiter = ',', required = true, value_parser = Size::parse)]
    pub sizes: Vec<Size>,
    /// Users that must be carried: tells the size that is needed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub target_vus: Option<u32>,
    /// The same with --rate: arrivals per second.
    #[arg(long, value_name = "N", requires = "rate", conflicts_with = "target_vus", value_parser = clap::value_parser!(u32).range(1..))]
    pub target_rate: Option<u32>,
    /// Price of one unit, one core, or one GiB: 12, 12/month.
    #[arg(long, value_name = "PRICE", value_parser = cost)]
    pub cost: Option<Cost>,
    /// Search every size this many times in turn (1 2 4, 4 2 1), so that drift of the machine
    /// cancels out.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub repeat: u32,
    /// Exit 99 when more than this is needed, in quotes: 'units(5000)<=6'; repeatable.
    #[arg(long, value_name = "CONDITION")]
    pub require: Vec<SizeCondition>,
    /// What must hold; repeatable, replaces the profile's SLO.
    #[arg(long, value_name = "OBJECTIVE")]
    pub slo: Vec<String>,
    /// Search over arrivals per second instead of VUs.
    #[arg(long, value_name = "ARRIVALS", num_args = 0..=1, require_equals = true, default_missing_value = "poisson")]
    pub rate: Option<String>,
    /// Highest level of each search.
    #[arg(long, value_name = "N")]
    pub max_vus: Option<u32>,
    /// Highest rate of each search, with --rate.
    #[arg(long, value_name = "N", requires = "rate")]
    pub max_rate: Option<u32>,
    /// Half-width of the interval to reach in each search.
    #[arg(long, value_name = "SHARE")]
    pub precision: Option<String>,
    /// Time each search may take.
    #[arg(long, value_name = "TIME")]
    pub budget: Option<String>,
    /// Seed of the first search; each search has its own [default: 1].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Folder for the reports [default: reports].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What stops each search.
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// Print only the results, no progress.
    #[arg(short, long)]
    pub quiet: bool,
    /// Format to print at the end instead of the summary; all files are still written.
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<OutputFormat>,
}

impl ScaleArgs {
    /// The command line of one of its searches: each is a `find` at a size, with a seed of its own.
    pub fn search(&self, size: &Size, place: usize) -> Vec<String> {
        let mut command = vec!["find".to_owned(), self.profile.clone()];
        let seed = self.seed.unwrap_or(1).wrapping_add(place as u64);
        let mut add = |flag: &str, value: Option<String>| {
            command.extend(value.map(|value| format!("--{flag}={value}")));
        };
        let path = |p: &PathBuf| p.display().to_string();
        add("size", Some(size.label.clone()));
        add("seed", Some(seed.to_string()));
        for slo in &self.slo {
            add("slo", Some(slo.clone()));
        }
        add("rate", self.rate.clone());
        add("max-vus", self.max_vus.map(|n| n.to_string()));
        add("max-rate", self.max_rate.map(|n| n.to_string()));
        add("precision", self.precision.clone());
        add("budget", self.budget.clone());
        add("out", self.out.as_ref().map(path));
        add("stop-file", self.safety.stop_file.as_ref().map(path));
        for condition in &self.safety.abort_if {
            add("abort-if", Some(condition.clone()));
        }
        add("max-time", self.safety.max_time.clone());
        command
    }

    /// Places in the sizes, in the order of the searches: 1 2 4, 4 2 1.
    pub fn order(&self) -> Vec<usize> {
        let sizes = 0..self.sizes.len();
        let rounds = (0..self.repeat).flat_map(|round| {
            let there = sizes.clone();
            if round.is_multiple_of(2) {
                there.collect::<Vec<_>>()
            } else {
                there.rev().collect()
            }
        });
        rounds.collect()
    }
}

fn cost(text: &str) -> Result<Cost, String> {
    let (amount, per) = text.split_once('/').unwrap_or((text, ""));
    match amount.trim().parse::<f64>() {
        Ok(amount) if amount.is_finite() && amount > 0.0 && per.len() <= 20 => Ok(Cost {
            amount,
            per: per.trim().to_owned(),
        }),
        _ => Err("a price is a number above zero, such as 12 or 12/month".to_owned()),
    }
}
