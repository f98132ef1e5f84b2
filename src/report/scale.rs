//! A sizing as text.

use super::summary::Lines;
use super::view::percent;
use crate::measure::{Level, LevelUnit};
use crate::record::{
    ForecastPoint, Gate, GateOutcome, Reach, ScaleLaw, ScaleRecord, ScaleSize, SizeUnitRecord,
};
use crate::units;

/// A band wider than this factor says nothing.
const WIDEST: f64 = 2.0;

/// The sizing as aligned lines, each with an end of line.
pub fn summary(record: &ScaleRecord) -> String {
    let mut lines = Lines::default();
    let slo = record.slo.join(", ");
    lines.add("scale", format!("{}     (SLO {slo})", headline(record)));
    for size in &record.sizes {
        lines.add("", size_text(record, size));
    }
    if !record.laws.is_empty() {
        lines.add("law", laws_text(&record.laws));
    }
    if let Some(point) = &record.forecast {
        lines.add("forecast", forecast_text(record, point));
    }
    if let Some(point) = &record.one_lost {
        lines.add("one unit lost", forecast_text(record, point));
    }
    lines.add("helps up to", helps_text(record));
    for (label, text) in target_texts(record) {
        lines.add(label, text);
    }
    for gate in &record.gates {
        lines.add("gate", gate_text(gate));
    }
    for note in &record.notes {
        lines.add("note", note);
    }
    lines.0
}

/// `1, 2, 4 units: 262, 515, 1 010 VUs`.
pub(super) fn headline(record: &ScaleRecord) -> String {
    let labels: Vec<&str> = record.sizes.iter().map(|s| &*s.label).collect();
    let found = record.sizes.iter();
    let found: Vec<String> = found
        .map(|s| s.breakpoint.map_or("-".to_owned(), count))
        .collect();
    format!(
        "{}, sizes {}: {} {}",
        record.profile,
        labels.join(", "),
        found.join(", "),
        record.unit.name()
    )
}

/// `size 2: 515 VUs (500 – 530), 258 per unit, efficiency 98 % (95 – 101), gateway memory`.
fn size_text(record: &ScaleRecord, size: &ScaleSize) -> String {
    let mut parts = vec![found(record, size)];
    parts.extend(per_unit(record, size).map(|v| format!("{v} {}", per_unit_name(record))));
    parts.extend(efficiency(size).map(|e| format!("efficiency {e}")));
    parts.extend(cost(record, size).map(|c| format!("{c} per 1 000")));
    parts.push(limited(size));
    format!("size {}: {}", size.label, parts.join(", "))
}

/// `515 VUs (500 – 530)`.
pub(super) fn found(record: &ScaleRecord, size: &ScaleSize) -> String {
    match (size.breakpoint, interval(size)) {
        (Some(found), Some(ends)) => {
            format!("{} ({ends})", record.unit.count(Level::nearest(found)))
        }
        _ => "no breakpoint".to_owned(),
    }
}

pub(super) fn interval(size: &ScaleSize) -> Option<String> {
    Some(format!("{} – {}", count(size.low?), count(size.high?)))
}

/// What one unit (core, GiB) of it carries.
pub(super) fn per_unit(record: &ScaleRecord, size: &ScaleSize) -> Option<String> {
    let units = match record.size_unit {
        SizeUnitRecord::Units | SizeUnitRecord::Cores => size.number,
        SizeUnitRecord::Bytes => size.number / 1_073_741_824.0,
    };
    Some(count(size.breakpoint? / units))
}

pub(super) fn per_unit_name(record: &ScaleRecord) -> &'static str {
    match record.size_unit {
        SizeUnitRecord::Units => "per unit",
        SizeUnitRecord::Cores => "per core",
        SizeUnitRecord::Bytes => "per GiB",
    }
}

pub(super) fn efficiency(size: &ScaleSize) -> Option<String> {
    let e = size.efficiency?;
    let text = |v: f64| format!("{:.0}", 100.0 * v);
    let (low, high) = (text(e.low), text(e.high));
    let estimate = text(e.estimate);
    Some(if low == high {
        format!("{estimate} %")
    } else {
        format!("{estimate} % ({low} – {high})")
    })
}

/// `23.10/month`.
pub(super) fn cost(record: &ScaleRecord, size: &ScaleSize) -> Option<String> {
    Some(price(record, size.cost_per_thousand?))
}

fn price(record: &ScaleRecord, amount: f64) -> String {
    let per = record.cost.as_ref().map_or("", |c| &c.per);
    match per {
        "" => format!("{amount:.2}"),
        per => format!("{amount:.2}/{per}"),
    }
}

pub(super) fn limited(size: &ScaleSize) -> String {
    match size.limited_by.as_slice() {
        [] => "no bottleneck identified".to_owned(),
        all => all.join(" or "),
    }
}

pub(super) fn law_name(name: &str) -> &str {
    match name {
        "line" => "straight line",
        "amdahl" => "Amdahl",
        "usl" => "USL",
        "power" => "power",
        "fixed_part" => "fixed part per size",
        "ceiling" => "line up to a shared limit",
        other => other,
    }
}

/// Which laws the data support and which they cannot tell apart.
pub(super) fn laws_text(laws: &[ScaleLaw]) -> String {
    let text = |l: &ScaleLaw| format!("{} {:.0} %", law_name(&l.name), 100.0 * l.weight);
    let some = |supported: bool| -> Vec<String> {
        let all = laws.iter().filter(|l| l.supported == supported);
        all.map(text).collect()
    };
    let (yes, no) = (some(true), some(false));
    let mut words = match yes.as_slice() {
        [one] => format!("the data support {one}"),
        many => format!("the data cannot tell apart: {}", many.join(", ")),
    };
    if !no.is_empty() {
        words.push_str("; not supported: ");
        words.push_str(&no.join(", "));
    }
    words
}

/// A size as its runs are named: `6`, `1.5`, `768.0 MiB`.
pub(super) fn size(record: &ScaleRecord, size: f64) -> String {
    match record.size_unit {
        SizeUnitRecord::Bytes => units::format_bytes(size),
        SizeUnitRecord::Units | SizeUnitRecord::Cores => {
            let text = format!("{size:.1}");
            text.trim_end_matches(".0").to_owned()
        }
    }
}

/// A forecast with its band; where the band is too wide, nothing else.
pub(super) fn forecast_text(record: &ScaleRecord, point: &ForecastPoint) -> String {
    let band = format!(
        "{} % band {} – {}",
        percent(record.confidence),
        count(point.low),
        record.unit.count(Level::nearest(point.high))
    );
    let size = size(record, point.size);
    if is_too_wide(point) {
        return format!("size {size}: cannot tell: the {band} is wider than a factor of two");
    }
    let estimate = record.unit.count(Level::nearest(point.estimate));
    format!("size {size}: {estimate} ({band})")
}

/// Whether a band says nothing.
pub(super) fn is_too_wide(point: &ForecastPoint) -> bool {
    point.low <= 0.0 || point.high > WIDEST * point.low
}

/// The size that a reach names: none where it may be unbounded, or is as good as not known.
pub(super) fn reach_number(reach: &Reach) -> Option<f64> {
    let (low, high) = (reach.low?, reach.high?);
    reach.estimate.filter(|_| high <= WIDEST * low)
}

/// `6 (5 – 8)`, `no size (at least 9)`.
pub(super) fn reach_text(record: &ScaleRecord, reach: &Reach) -> String {
    let text = |v: f64| size(record, v);
    match (reach.estimate, reach.low, reach.high) {
        (Some(estimate), Some(low), Some(high)) if high > WIDEST * low => format!(
            "cannot tell: between {} and {} (best guess {})",
            text(low),
            text(high),
            text(estimate)
        ),
        (Some(estimate), Some(low), Some(high)) => {
            format!("{} ({} – {})", text(estimate), text(low), text(high))
        }
        (_, Some(low), None) => format!("at least {}; possibly no size at all", text(low)),
        _ => "no size".to_owned(),
    }
}

/// From where on more of it hardly helps.
pub(super) fn helps_text(record: &ScaleRecord) -> String {
    let Some(helps) = &record.helps_up_to else {
        return "not known from one size".to_owned();
    };
    match helps.low {
        None => "no limit seen".to_owned(),
        Some(low) if helps.high.is_none() => {
            format!("at least size {}; no limit is sure", size(record, low))
        }
        Some(_) => format!("size {}", reach_text(record, helps)),
    }
}

/// What the target needs, as labels and texts.
pub(super) fn target_texts(record: &ScaleRecord) -> Vec<(&'static str, String)> {
    let Some(target) = &record.target else {
        return Vec::new();
    };
    let level = record.unit.count(Level(target.level));
    let mut texts = vec![(
        "target",
        format!("{level} need size {}", reach_text(record, &target.needed)),
    )];
    if let Some(spare) = &target.with_one_lost {
        let words = reach_text(record, spare);
        texts.push(("with one lost", format!("size {words} (N+1)")));
    }
    let cost = target
        .cost
        .filter(|_| reach_number(&target.needed).is_some());
    texts.extend(cost.map(|cost| ("cost", price(record, cost))));
    texts
}

/// `units(5000)<=6: passed: 5000 need at most 5`.
pub(super) fn gate_text(gate: &Gate) -> String {
    let word = match gate.outcome {
        GateOutcome::Passed => "passed",
        GateOutcome::Failed => "FAILED",
        GateOutcome::CannotSay => "inconclusive",
    };
    format!("{}: {word}: {}", gate.condition, gate.reason)
}

pub(super) fn count(value: f64) -> String {
    units::format_count(Level::nearest(value).get().into())
}

/// What the axis of levels is.
pub(super) fn axis(unit: LevelUnit) -> String {
    format!("breakpoint, {}", unit.name())
}
