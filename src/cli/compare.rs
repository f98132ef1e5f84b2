//! The flags of `breakpoint compare`.

use std::path::PathBuf;

use clap::Args;

use super::format;
use crate::compare::Condition;
use crate::report::OutputFormat;

pub(super) const EXAMPLES: &str = "\
Examples:
  breakpoint compare reports/gateway-512mb reports/gateway-1gb     the newest run of each profile
  breakpoint compare reports/a/2026-11-22T17-44-13Z reports/a/2026-11-23T09-10-00Z
  breakpoint compare before after --fail-if 'breakpoint<-5%' --fail-if 'p99>+20%'    a CI gate
  breakpoint compare before after --format md                      the report as Markdown
  breakpoint compare gateway-512mb gateway-1gb --repeat 3          six searches: A B, B A, A B
  breakpoint compare one two four --sizes 1,2,4                    a scaling law and a forecast

The first run is the base. Metrics: breakpoint, knee, throughput, p50, p99 (of the main step at the
highest level that both visited before queues formed). A gate fails when there is evidence of a
change beyond its bound. docs/compare.md describes the method and its error rates.

Exit codes: 0 compared and no gate failed, 2 invalid usage or runs of different SLOs,
3 the breakpoint (or the metric of a gate) cannot be compared, 99 a gate failed, 130 interrupted,
1 internal error or output cannot be written
";

/// `breakpoint compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Runs, the base first: folders, result.json files, or report folders of a profile, whose
    /// newest run is used. With --repeat, two profiles.
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    pub runs: Vec<String>,
    /// Search both profiles this many times in turn (A B, B A, A B), so that drift of the machine
    /// cancels out, and compare.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: Option<u32>,
    /// Sizes of the systems (instances, cores), one per run: fits the Universal Scalability Law.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', value_parser = size, conflicts_with_all = ["repeat", "fail_if"])]
    pub sizes: Vec<f64>,
    /// Exit 99 when there is evidence that a metric changed by more than this, in quotes:
    /// 'breakpoint<-5%', 'p99>+20%'; repeatable.
    #[arg(long = "fail-if", value_name = "CONDITION")]
    pub fail_if: Vec<Condition>,
    /// What must hold, for --repeat; repeatable, replaces the SLO of both profiles.
    #[arg(long, value_name = "OBJECTIVE", requires = "repeat")]
    pub slo: Vec<String>,
    /// Highest level of each search, for --repeat.
    #[arg(long, value_name = "N", requires = "repeat")]
    pub max_vus: Option<u32>,
    /// Half-width of the interval to reach in each search, for --repeat.
    #[arg(long, value_name = "SHARE", requires = "repeat")]
    pub precision: Option<String>,
    /// Time each search may take, for --repeat.
    #[arg(long, value_name = "TIME", requires = "repeat")]
    pub budget: Option<String>,
    /// Seed of the first search, for --repeat; each search has its own [default: 1].
    #[arg(long, value_name = "N", requires = "repeat")]
    pub seed: Option<u64>,
    /// Approve the commands of both profiles without a prompt, for --repeat.
    #[arg(long, requires = "repeat")]
    pub yes: bool,
    /// Folder for the reports [default: reports].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print only the results, no progress.
    #[arg(short, long)]
    pub quiet: bool,
    /// Format to print at the end instead of the summary; all files are still written.
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<OutputFormat>,
}

fn size(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(size) if f64::is_finite(size) && size > 0.0 => Ok(size),
        _ => Err("a size is a number above zero, such as 1 or 2.5".to_owned()),
    }
}
