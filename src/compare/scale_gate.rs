//! Gates of a sizing: `units(5000)<=6`.

use std::str::FromStr;

use crate::record::{Gate, GateOutcome};
use crate::stats::scaling::Posterior;
use crate::units::{Size, SizeUnit};

/// A gate as it was typed.
#[derive(Debug, Clone, PartialEq)]
pub struct SizeCondition {
    /// The text.
    pub text: String,
    /// What must be carried.
    pub level: u32,
    /// The largest size that may be needed for it.
    pub most: Size,
}

impl FromStr for SizeCondition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a gate; write it, in quotes, as 'units(5000)<=6' (sizes of \
                 memory: 'units(5000)<=1g')"
            )
        };
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let inner = compact.strip_prefix("units(").ok_or_else(wrong)?;
        let (level, most) = inner.split_once(")<=").ok_or_else(wrong)?;
        let level: u32 = level.parse().map_err(|_| wrong())?;
        if level == 0 {
            return Err(wrong());
        }
        Ok(Self {
            most: Size::parse(most).map_err(|why| format!("{}: {why}", wrong()))?,
            level,
            text: compact,
        })
    }
}

/// Passed where the whole interval is within the bound, failed where all of it is beyond.
pub(super) fn judge(gate: &SizeCondition, posterior: Option<&Posterior>, unit: SizeUnit) -> Gate {
    let of = |outcome, reason: String| Gate {
        condition: gate.text.clone(),
        candidate: String::new(),
        outcome,
        reason,
    };
    let Some(posterior) = posterior else {
        let why = "one size shows nothing of others".to_owned();
        return of(GateOutcome::CannotSay, why);
    };
    let bytes = |u| u == SizeUnit::Bytes;
    if bytes(gate.most.unit) != bytes(unit) {
        let why = format!("{} is not a size of these runs", gate.most.label);
        return of(GateOutcome::CannotSay, why);
    }
    let needed = posterior.needed(gate.level.into(), unit == SizeUnit::Units);
    let most = gate.most.number * (1.0 + 1e-9);
    let text = |v: f64| match (v.is_finite(), unit) {
        (false, _) => "no size".to_owned(),
        (true, SizeUnit::Bytes) => crate::units::format_bytes(v),
        (true, _) => format!("{v:.1}").trim_end_matches(".0").to_owned(),
    };
    let (low, high) = (text(needed.ends.low), text(needed.ends.high));
    let level = gate.level;
    if needed.ends.high <= most {
        let why = format!("{level} need at most {high}");
        return of(GateOutcome::Passed, why);
    }
    if needed.ends.low > most {
        return of(GateOutcome::Failed, format!("{level} need at least {low}"));
    }
    let why = format!("{level} need between {low} and {high}");
    of(GateOutcome::CannotSay, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_read_as_it_is_typed() {
        let gate: SizeCondition = "units(5000) <= 6".parse().unwrap();
        assert_eq!((gate.level, gate.most.number), (5000, 6.0));
        assert_eq!(gate.text, "units(5000)<=6");
        for wrong in [
            "",
            "units",
            "units(5)<6",
            "units(x)<=6",
            "units(0)<=6",
            "units(5)<=x",
        ] {
            assert!(wrong.parse::<SizeCondition>().is_err(), "{wrong}");
        }
    }
}
