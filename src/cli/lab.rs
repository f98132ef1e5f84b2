//! The flags of `breakpoint lab`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::lab::method::Method;

pub(super) const EXAMPLES: &str = "\
Examples:
  breakpoint lab --runs 100                       our search against every shipped system
  breakpoint lab a b --method all --runs 200      all methods against two of them
  breakpoint lab ./mine.toml --runs 400 --precision 2% --budget 30m
  breakpoint lab a b --compare 0%,10% --runs 200   false alarms and power of `breakpoint compare`

It runs in virtual time: an hour of search takes a fraction of a second. docs/lab.md explains the
columns, how the true breakpoint is computed, and how faithful the other methods are.
";

/// `breakpoint lab`.
#[derive(Debug, Clone, Args)]
pub struct LabArgs {
    /// Systems, by name of a shipped one or by path of a TOML file [default: all shipped ones].
    #[arg(value_name = "SYSTEM")]
    pub systems: Vec<String>,
    /// Searches of each method against each system.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Seed of all random draws: the same seed gives the same table.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Virtual time of one of our searches; several, such as 3m,6m,15m, give one row each [default:
    /// the system's, else 15m; with --random 3m,4m,6m,8m,10m,15m,30m in turn].
    #[arg(long = "budget", value_name = "TIMES", value_delimiter = ',', value_parser = crate::units::parse_duration)]
    pub budgets: Vec<Duration>,
    /// Half-width of the interval requested from our search.
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = precision)]
    pub precision: f64,
    /// How to search; repeatable [default: ours].
    #[arg(long = "method", value_name = "METHOD", value_parser = PossibleValuesParser::new(methods()))]
    pub methods: Vec<String>,
    /// Compare pairs of searches instead: of a system with itself (0%), or with this much more
    /// capacity, such as 0%,10%; --runs is then the number of pairs.
    #[arg(long, value_name = "CHANGES", value_delimiter = ',', value_parser = capacity_change, conflicts_with = "methods")]
    pub compare: Vec<f64>,
    /// Search this many systems drawn at random with the seed, instead of shipped ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with_all = ["systems", "methods", "compare"])]
    pub random: Option<u32>,
    /// Of the drawn systems, only those with an even number (calibrate), to tune a search on, or an
    /// odd one (judge), to judge it [default: both].
    #[arg(long, value_name = "HALF", requires = "random")]
    pub half: Option<Half>,
    /// Folder for the tables and charts.
    #[arg(long, value_name = "DIR", default_value = "reports/lab")]
    pub out: PathBuf,
    /// Cache folder for computed true breakpoints [default: breakpoint/ in the user's cache
    /// folder].
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Print only the table, no progress.
    #[arg(short, long)]
    pub quiet: bool,
}

/// A half of the systems drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Half {
    /// Those with an even number.
    Calibrate,
    /// Those with an odd number.
    Judge,
}

impl Half {
    /// Whether it has the system with this number.
    pub fn has(self, index: u32) -> bool {
        (self == Self::Judge) == (index % 2 == 1)
    }
}

/// The values of `--method`.
fn methods() -> Vec<&'static str> {
    let mut names: Vec<&str> = Method::ALL.map(Method::name).to_vec();
    names.push("all");
    names
}

fn precision(text: &str) -> Result<f64, String> {
    let share = crate::units::parse_ratio(text).map_err(|e| e.to_string())?;
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err("a share between 0 and 100 %, such as 5%".to_owned())
    }
}

fn capacity_change(text: &str) -> Result<f64, String> {
    let share = crate::units::parse_ratio(text).map_err(|e| e.to_string())?;
    if (0.0..=10.0).contains(&share) {
        Ok(share)
    } else {
        Err("a share between 0 and 1000 %, such as 10%".to_owned())
    }
}

impl LabArgs {
    /// The methods asked for, in the table's order, each once.
    pub fn chosen(&self) -> Vec<Method> {
        let asked = |m: &Method| self.methods.iter().any(|a| a == m.name() || a == "all");
        let chosen: Vec<Method> = Method::ALL.into_iter().filter(asked).collect();
        if chosen.is_empty() {
            vec![Method::Ours]
        } else {
            chosen
        }
    }
}
