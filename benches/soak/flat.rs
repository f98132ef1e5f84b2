//! Whether something grew.

use std::fs::File;
use std::io::Write;

use anyhow::Context as _;
use breakpoint::measure::Window;
use procfs::process::Process;

/// What the generator takes in a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    at_s: f64,
    rss_mib: f64,
    descriptors: f64,
    lag_ms: f64,
    cpu_cores: f64,
}

impl Sample {
    #[expect(
        clippy::cast_precision_loss,
        reason = "KiB and descriptors are far below 2^52"
    )]
    pub(crate) fn of(window: &Window) -> anyhow::Result<Self> {
        let rss = Process::myself()?.status()?.vmrss.context("no VmRSS")?;
        let seen = &window.generator;
        Ok(Self {
            at_s: (window.start + window.span).as_secs_f64(),
            rss_mib: rss as f64 / 1024.0,
            descriptors: seen.descriptors.context("no descriptors")? as f64,
            lag_ms: 1e3 * seen.lag_p99_s.context("no lag")?,
            cpu_cores: seen.cpu_cores.context("no CPU")?,
        })
    }
}

/// What shall not grow.
struct Limit {
    what: &'static str,
    of: fn(&Sample) -> f64,
    /// How far its median may lie above what it was.
    by: f64,
    unit: &'static str,
}

const LIMITS: [Limit; 3] = [
    Limit {
        what: "memory",
        of: |s| s.rss_mib,
        by: 1.0,
        unit: "MiB",
    },
    Limit {
        what: "descriptors",
        of: |s| s.descriptors,
        by: 2.0,
        unit: "",
    },
    Limit {
        what: "lag, p99 of a second",
        of: |s| s.lag_ms,
        by: 1.0,
        unit: "ms",
    },
];

/// All samples, which go to a file too.
pub(crate) struct Series {
    all: Vec<Sample>,
    out: File,
}

impl Series {
    pub(crate) fn new(mut out: File) -> anyhow::Result<Self> {
        writeln!(out, "at_s,rss_mib,descriptors,lag_p99_ms,cpu_cores")?;
        Ok(Self {
            all: Vec::new(),
            out,
        })
    }

    pub(crate) fn add(&mut self, s: Sample) -> anyhow::Result<()> {
        writeln!(
            self.out,
            "{:.1},{:.2},{},{:.3},{:.3}",
            s.at_s, s.rss_mib, s.descriptors, s.lag_ms, s.cpu_cores
        )?;
        self.all.push(s);
        Ok(())
    }

    /// The medians of each sixth of the time, and whether the last is no higher than the second: in
    /// the first, buffers and pools take the size that they need.
    pub(crate) fn report(&self, out: &mut impl Write) -> anyhow::Result<bool> {
        let part = self.all.len().div_ceil(6).max(1);
        let mut flat = true;
        for Limit { what, of, by, unit } in LIMITS {
            let medians: Vec<f64> = self
                .all
                .chunks(part)
                .map(|c| median(c.iter().map(of)))
                .collect();
            let (Some(second), Some(last)) = (medians.get(1), medians.last()) else {
                anyhow::bail!("too short to say anything");
            };
            let grew = last - second;
            let told: Vec<String> = medians.iter().map(|m| format!("{m:.2}")).collect();
            writeln!(out, "{what:<22} {} {unit}: {grew:+.2}", told.join("  "))?;
            flat &= grew <= by;
        }
        Ok(flat)
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
