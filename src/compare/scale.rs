//! How capacity grows with size: recorded runs of known sizes in, a [`ScaleRecord`] out.

use std::collections::BTreeSet;

use super::run_estimate::{self, RunEstimate};
use super::{CompareError, Named, comparable, scale_gate};
use crate::record::{
    Cost, ForecastPoint, Reach, SCALE_SCHEMA_VERSION, ScaleLaw, ScaleRecord, ScaleRun, ScaleSize,
    ScaleTarget, SizeUnitRecord,
};
use crate::stats::scaling::{self, Known, LawKind, Posterior};
use crate::stats::usl::Sized;
use crate::units::{Size, SizeUnit};

pub use super::scale_gate::SizeCondition;

/// Points of the curve that a chart draws.
const CURVE_POINTS: u32 = 40;
/// Bytes that a price is of.
const GIB: f64 = 1_073_741_824.0;

/// A run with its size.
#[derive(Debug, Clone)]
pub struct SizedRun {
    /// Its size.
    pub size: Size,
    /// The run.
    pub run: Named,
}

/// What is asked of a sizing.
#[derive(Debug, Clone, Default)]
pub struct ScaleAsk {
    /// The level that must be carried.
    pub target: Option<u32>,
    /// The price of a unit.
    pub cost: Option<Cost>,
    /// The gates.
    pub gates: Vec<SizeCondition>,
}

/// Puts runs of several sizes beside each other.
///
/// # Errors
/// When they cannot be compared at all, or no run has a breakpoint with an interval.
pub fn scale(
    runs: &[SizedRun],
    ask: &ScaleAsk,
    made_at: String,
) -> Result<ScaleRecord, CompareError> {
    let named: Vec<Named> = runs.iter().map(|r| r.run.clone()).collect();
    let first = comparable(&named)?;
    let wrong = CompareError::Sizes;
    let labels: Vec<Size> = runs.iter().map(|r| r.size.clone()).collect();
    let unit = Size::unit_of_all(&labels).map_err(wrong)?;
    let confidence = named
        .iter()
        .map(|r| r.record.answer.confidence)
        .fold(0.0, f64::max);
    let mut notes = Vec::new();
    let mut points = Vec::new();
    for run in runs {
        match sized(run) {
            Ok(point) => points.push(point),
            Err(why) => notes.push(format!("size {}: {why}; it is left out", run.size.label)),
        }
    }
    let posterior = scaling::fit(&points, confidence)
        .ok_or_else(|| wrong(format!("no size has a breakpoint: {}", notes.join("; "))))?;
    let several = crate::stats::usl::distinct_sizes(&points).len() > 1;
    if !several {
        let note = "only one size has a breakpoint: nothing shows how capacity grows";
        notes.push(note.to_owned());
    }
    let sizes = sizes(runs, &points, ask.cost.as_ref(), confidence);
    notes.extend(shared_limit(&sizes));
    let grown = several.then_some(&posterior);
    let largest = points.iter().map(|p| p.size).fold(0.0, f64::max);
    let whole = unit == SizeUnit::Units;
    let mut record = ScaleRecord {
        schema_version: SCALE_SCHEMA_VERSION,
        breakpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at,
        profile: profiles(&named),
        slo: first.record.slo.clone(),
        unit: first.record.plan.unit,
        size_unit: unit_record(unit),
        confidence,
        sizes,
        runs: runs.iter().map(run_record).collect(),
        laws: grown.map(laws).unwrap_or_default(),
        fits_p: posterior.fits_p.filter(|_| several),
        curve: grown.map(|p| curve(p, &points)).unwrap_or_default(),
        forecast: grown.map(|p| point(2.0 * largest, p.at(2.0 * largest))),
        one_lost: grown
            .filter(|_| whole && largest > 1.0)
            .map(|p| point(largest - 1.0, p.at(largest - 1.0))),
        helps_up_to: grown.map(|p| reach(p.helps_up_to())),
        peak: grown.map(|p| reach(p.peak())),
        target: grown.and_then(|p| Some(target(p, ask.target?, unit, ask.cost.as_ref()))),
        cost: ask.cost.clone(),
        gates: Vec::new(),
        notes,
    };
    if record.fits_p.is_some_and(|p| p < 1.0 - confidence) {
        record.notes.push(
            "the sizes follow none of the laws: do not rely on what is said of other sizes"
                .to_owned(),
        );
    }
    record.gates = (ask.gates.iter())
        .map(|gate| scale_gate::judge(gate, grown, unit))
        .collect();
    Ok(record)
}

fn profiles(runs: &[Named]) -> String {
    let names: BTreeSet<&str> = runs.iter().map(|r| &*r.record.profile).collect();
    names.into_iter().collect::<Vec<_>>().join("+")
}

fn unit_record(unit: SizeUnit) -> SizeUnitRecord {
    match unit {
        SizeUnit::Units => SizeUnitRecord::Units,
        SizeUnit::Cores => SizeUnitRecord::Cores,
        SizeUnit::Bytes => SizeUnitRecord::Bytes,
    }
}

fn run_record(run: &SizedRun) -> ScaleRun {
    let answer = &run.run.record.answer;
    ScaleRun {
        name: run.run.name.clone(),
        started_at: run.run.record.started_at.clone(),
        size: run.size.number,
        ending: answer.ending,
        breakpoint: answer.breakpoint,
        ci_low: answer.ci_low,
        ci_high: answer.ci_high,
        limiting_resource: answer.limiting_resource.clone(),
    }
}

fn sized(run: &SizedRun) -> Result<Sized, String> {
    match run_estimate::breakpoint(&run.run.record) {
        RunEstimate::Spread { spread, .. } | RunEstimate::Within(spread) => Ok(Sized {
            size: run.size.number,
            spread,
        }),
        RunEstimate::AtLeast(level) => Err(format!(
            "it never broke up to {level:.0}; raise the highest level"
        )),
        RunEstimate::AtMost(_) => Err("it broke even at the minimum".to_owned()),
        RunEstimate::Beside(_) => Err("its breakpoint has no interval".to_owned()),
        RunEstimate::Bare(_, why) | RunEstimate::Nothing(why) => Err(why),
    }
}

fn sizes(
    runs: &[SizedRun],
    points: &[Sized],
    cost: Option<&Cost>,
    confidence: f64,
) -> Vec<ScaleSize> {
    let efficiencies = scaling::efficiencies(points, confidence);
    let pooled = scaling::pooled(points, confidence);
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b;
    let mut sizes: Vec<&Size> = runs.iter().map(|r| &r.size).collect();
    sizes.sort_by(|a, b| a.number.total_cmp(&b.number));
    sizes.dedup_by(|b, a| near(a.number, b.number));
    let one = |size: &&Size| {
        let own = |r: &SizedRun| near(r.size.number, size.number);
        let indices = (0..runs.len()).filter(|i| own(&runs[*i])).collect();
        let mut limited: Vec<String> = Vec::new();
        for run in runs.iter().filter(|r| own(r)) {
            let cause = &run.run.record.answer.limiting_resource;
            let resource = cause.as_ref().map(|c| c.resource.clone());
            limited.extend(resource.filter(|r| !limited.contains(r)));
        }
        let found = pooled.iter().find(|(n, _)| near(*n, size.number));
        let found = found.map(|(_, known)| *known);
        let efficiency = efficiencies.iter().find(|(n, _)| near(*n, size.number));
        let price = cost.map(|c| c.amount * priced(size.number, size.unit));
        ScaleSize {
            label: size.label.clone(),
            number: size.number,
            runs: indices,
            breakpoint: found.map(|k| k.estimate),
            low: found.map(|k| k.ends.low),
            high: found.map(|k| k.ends.high),
            efficiency: efficiency.map(|(n, known)| point(*n, *known)),
            cost_per_thousand: price.zip(found).map(|(p, k)| 1000.0 * p / k.estimate),
            limited_by: limited,
        }
    };
    sizes.iter().map(one).collect()
}

/// How many of what a price is of: units, cores, GiB.
fn priced(number: f64, unit: SizeUnit) -> f64 {
    match unit {
        SizeUnit::Units | SizeUnit::Cores => number,
        SizeUnit::Bytes => number / GIB,
    }
}

/// What limits each size: where it is one and the same shared resource more of the target brings
/// nothing, and where it changes the small sizes do not speak for the large ones.
fn shared_limit(sizes: &[ScaleSize]) -> Vec<String> {
    let of = |s: &ScaleSize| s.limited_by.first().map(|r| (s.label.clone(), r.clone()));
    let known: Vec<(String, String)> = sizes.iter().filter_map(of).collect();
    let mut notes = Vec::new();
    // `gateway-1 memory` and `gateway-2 memory` are the same kind of thing.
    let kind = |r: &str| r.replace(|c: char| c.is_ascii_digit(), "");
    if let Some(pair) = known.windows(2).find(|w| kind(&w[0].1) != kind(&w[1].1)) {
        let [(small, before), (large, now)] = pair else {
            return notes;
        };
        notes.push(format!(
            "the bottleneck changes from {before} (size {small}) to {now} (size {large}): smaller \
             sizes do not show how the system grows from there"
        ));
    }
    let efficient = |s: &ScaleSize| s.efficiency.is_none_or(|e| e.high >= 0.8);
    let last = sizes.last().filter(|s| !efficient(s));
    if let Some((last, resource)) = last.and_then(|s| Some((s, s.limited_by.first()?))) {
        let same = known.iter().filter(|(_, r)| r == resource).count();
        if same > 1 {
            notes.push(format!(
                "{resource} limits {same} sizes, up to {}, and capacity does not grow with the \
                 size: it is shared, and more of the target does not help; enlarge {resource}",
                last.label
            ));
        }
    }
    notes
}

fn laws(posterior: &Posterior) -> Vec<ScaleLaw> {
    let one = |(kind, weight, supported): (LawKind, f64, bool)| ScaleLaw {
        name: law_name(kind).to_owned(),
        weight,
        supported,
    };
    posterior.laws().map(one).into()
}

fn law_name(kind: LawKind) -> &'static str {
    match kind {
        LawKind::Line => "line",
        LawKind::Amdahl => "amdahl",
        LawKind::Usl => "usl",
        LawKind::Power => "power",
        LawKind::FixedPart => "fixed_part",
        LawKind::Ceiling => "ceiling",
    }
}

fn curve(posterior: &Posterior, points: &[Sized]) -> Vec<ForecastPoint> {
    let smallest = points.iter().map(|p| p.size).fold(f64::INFINITY, f64::min);
    let largest = points.iter().map(|p| p.size).fold(0.0, f64::max);
    let at = |i: u32| {
        let part = f64::from(i) / f64::from(CURVE_POINTS);
        let size = smallest * (2.0 * largest / smallest).powf(part);
        point(size, posterior.at(size))
    };
    (0..=CURVE_POINTS).map(at).collect()
}

fn point(size: f64, known: Known) -> ForecastPoint {
    ForecastPoint {
        size,
        estimate: known.estimate,
        low: known.ends.low,
        high: known.ends.high,
    }
}

/// Infinite is what no size has.
pub(super) fn reach(known: Known) -> Reach {
    let finite = |v: f64| Some(v).filter(|v| v.is_finite());
    Reach {
        estimate: finite(known.estimate),
        low: finite(known.ends.low),
        high: finite(known.ends.high),
    }
}

fn target(posterior: &Posterior, level: u32, unit: SizeUnit, cost: Option<&Cost>) -> ScaleTarget {
    let whole = unit == SizeUnit::Units;
    let needed = reach(posterior.needed(level.into(), whole));
    let more = |v: Option<f64>| v.map(|v| v + 1.0);
    let price = |size: f64| Some(cost?.amount * priced(size, unit));
    ScaleTarget {
        level,
        needed,
        with_one_lost: whole.then(|| Reach {
            estimate: more(needed.estimate),
            low: more(needed.low),
            high: more(needed.high),
        }),
        cost: needed.estimate.and_then(price),
    }
}

#[cfg(test)]
mod tests;
