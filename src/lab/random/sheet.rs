//! A drawn system on its way to be a file: what is known of it in numbers, and the tables written
//! so far.

use std::fmt::Write as _;

use super::SystemKind;
use super::law::{Law, quantile};

/// Highest level of a drawn system: the default of a search.
pub(super) const MAX_LEVEL: f64 = 5_000.0;

/// A number in three digits, for what people choose.
pub(super) fn round3(value: f64) -> f64 {
    let scale = 10_f64.powf(2.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}

/// The numbers and the tables of a system.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sheet {
    pub(super) kind: SystemKind,
    pub(super) servers: u32,
    pub(super) sharing: bool,
    /// `[service]` first, then the populations; the shares add up to 1.
    pub(super) kinds: Vec<(f64, Law)>,
    /// `None` in the open model.
    pub(super) think: Option<Law>,
    /// Objectives.
    pub(super) slo: Vec<String>,
    /// Further tables.
    pub(super) tables: String,
    /// Servers that it may come to have, as a multiple of those of the start.
    pub(super) grows_by: u32,
    /// Limit of the first latency objective, seconds; 0 without one.
    pub(super) limit_s: f64,
    /// Seconds that the system needs to forget its start, beyond those of its queue.
    pub(super) memory_s: f64,
}

impl Sheet {
    /// Mean service time over all kinds, seconds.
    pub(super) fn service_s(&self) -> f64 {
        self.kinds.iter().map(|(share, law)| share * law.mean).sum()
    }

    /// Mean think time, seconds.
    pub(super) fn think_s(&self) -> f64 {
        self.think.map_or(0.0, |law| law.mean)
    }

    /// Requests per second that all servers carry.
    pub(super) fn capacity_per_s(&self) -> f64 {
        f64::from(self.servers * self.grows_by) / self.service_s()
    }

    /// The level at which the servers are just busy.
    pub(super) fn saturation(&self) -> f64 {
        match self.think {
            Some(_) => self.capacity_per_s() * (self.think_s() + self.service_s()),
            None => self.capacity_per_s(),
        }
    }

    /// The `q` quantile of the latency when nobody waits, seconds.
    pub(super) fn light_s(&self, q: f64) -> f64 {
        quantile(&self.kinds, q)
    }

    /// The file.
    pub(super) fn text(&self, name: &str) -> String {
        let mut text = format!(
            "name = \"{name}\"\ntitle = \"drawn: {}\"\n",
            self.kind.name()
        );
        let slo: Vec<String> = self.slo.iter().map(|o| format!("\"{o}\"")).collect();
        let _ = writeln!(text, "slo = [{}]", slo.join(", "));
        match &self.think {
            Some(law) => {
                let _ = write!(text, "\n[think]\n{}", law.keys(("cv", false)));
            }
            None => text.push_str("\n[arrivals]\nkind = \"poisson\"\n"),
        }
        let _ = writeln!(text, "\n[service]\nservers = {}", self.servers);
        if self.sharing {
            text.push_str("discipline = \"processor_sharing\"\n");
        }
        for (index, (share, law)) in self.kinds.iter().enumerate() {
            if index > 0 {
                let _ = writeln!(text, "\n[[population]]\nshare = {share:.6}");
            }
            text.push_str(&law.keys(("cv2", true)));
        }
        text + &self.tables
    }
}
