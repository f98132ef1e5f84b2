//! Truths that are known already, as the text of a CSV file. Its key changes with everything that
//! the truth depends on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::seed;
use super::super::system::System;
use crate::report::lab::LabTruth;

/// Raised when the way of finding truths changes what comes out.
const METHOD_VERSION: u32 = 1;
/// The truths of the shipped systems, computed once.
const SHIPPED: &str = include_str!("../../../systems/truth.csv");

/// Why known truths cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("not a table of truths: {0}")]
pub struct CacheError(#[from] csv::Error);

/// Truths by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KnownTruths(BTreeMap<String, TruthLine>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TruthLine {
    key: String,
    system: String,
    vus: Option<u32>,
    from_above_vus: Option<u32>,
    se_pct: f64,
    how: String,
}

/// What names a system in all that its truth depends on.
pub fn key(system: &System) -> String {
    let text = format!("{METHOD_VERSION}\n{}", system.canonical());
    format!("{:016x}", seed::of_text(&text))
}

impl KnownTruths {
    /// The truths of the shipped systems.
    ///
    /// # Errors
    /// Never in a program whose tests pass.
    pub fn shipped() -> Result<Self, CacheError> {
        Self::read(SHIPPED.as_bytes())
    }

    /// Reads a table.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, CacheError> {
        let mut reader = csv::Reader::from_reader(bytes);
        let lines = reader
            .deserialize()
            .collect::<Result<Vec<TruthLine>, _>>()?;
        Ok(Self(
            lines.into_iter().map(|l| (l.key.clone(), l)).collect(),
        ))
    }

    /// The table, sorted by system.
    ///
    /// # Errors
    /// Never in practice: it writes to memory.
    pub fn bytes(&self) -> Result<Vec<u8>, CacheError> {
        let mut lines: Vec<&TruthLine> = self.0.values().collect();
        lines.sort_by(|a, b| (&a.system, &a.key).cmp(&(&b.system, &b.key)));
        let mut writer = csv::Writer::from_writer(Vec::new());
        for line in lines {
            writer.serialize(line)?;
        }
        writer
            .into_inner()
            .map_err(|e| CacheError(csv::Error::from(e.into_error())))
    }

    /// The truth of a system, when it is known.
    pub fn of(&self, system: &System) -> Option<LabTruth> {
        self.0.get(&key(system)).map(|line| LabTruth {
            unit: system.limits.unit,
            vus: line.vus,
            from_above_vus: line.from_above_vus,
            se_pct: line.se_pct,
            how: line.how.clone(),
        })
    }

    /// Adds or replaces the truth of a system.
    pub fn insert(&mut self, system: &System, truth: &LabTruth) {
        let key = key(system);
        let line = TruthLine {
            key: key.clone(),
            system: system.name.clone(),
            vus: truth.vus,
            from_above_vus: truth.from_above_vus,
            se_pct: (truth.se_pct * 1e4).round() / 1e4,
            how: truth.how.clone(),
        };
        self.0.insert(key, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::LevelUnit;

    #[test]
    fn what_is_written_reads_back_and_another_system_is_not_known() {
        let shipped = System::shipped();
        let truth = LabTruth {
            unit: LevelUnit::Vus,
            vus: Some(1040),
            from_above_vus: None,
            se_pct: 0.19,
            how: "simulated, a step".to_owned(),
        };
        let mut known = KnownTruths::default();
        known.insert(&shipped[0], &truth);
        let again = KnownTruths::read(&known.bytes().unwrap()).unwrap();
        assert_eq!(again.of(&shipped[0]), Some(truth));
        assert_eq!(again.of(&shipped[1]), None);
        assert!(KnownTruths::read(b"a,b\n1,2\n").is_err());
    }

    #[test]
    fn the_truth_of_every_shipped_system_is_committed() {
        let known = KnownTruths::shipped().unwrap();
        for system in System::shipped() {
            assert!(
                known.of(&system).is_some(),
                "systems/truth.csv lacks {} (key {}); run `breakpoint lab {} --runs 1` and add \
                 the line of its cache",
                system.name,
                key(&system),
                system.name,
            );
        }
    }
}
