//! The curve that was fitted to the visits, with its band, through the points of a chart.

use super::panel::{Area, Panel};
use super::scene::{Colour, Scene};
use super::{Key, PURPLE, view};
use crate::record::{Curve, CurveScale, RunRecord};

/// Width of the curve, pixels.
const WIDTH: f64 = 4.0;

/// That of the latency which a chart shows.
pub(super) fn of_latency<'a>(
    record: &'a RunRecord,
    metric: &view::MainMetric,
) -> Option<&'a Curve> {
    let objective = metric.objective.as_ref()?;
    let index = record.slo.iter().position(|text| *text == objective.text)?;
    find(record, index, CurveScale::Latency)
}

/// That of the share of failed cycles.
pub(super) fn of_errors(record: &RunRecord) -> Option<&Curve> {
    let mut objectives = record.slo.iter();
    let index = objectives.position(|text| view::is_of_failed_cycles(text))?;
    find(record, index, CurveScale::Share)
}

/// A curve needs two points.
fn find(record: &RunRecord, objective: usize, scale: CurveScale) -> Option<&Curve> {
    let fits = |c: &&Curve| c.objective == objective && c.scale == scale && c.points.len() > 1;
    record.answer.curves.iter().find(fits)
}

/// Its band, which lies below everything else in a panel.
pub(super) fn area(curve: &Curve) -> Area {
    Area {
        points: (curve.points.iter())
            .map(|p| (p.level, p.band.low, p.band.high))
            .collect(),
        colour: band_colour(),
        on_band: over_interval(),
    }
}

/// Its middle.
pub(super) fn line(scene: &mut Scene, panel: &Panel, curve: &Curve) {
    let middle: Vec<(f64, f64)> = (curve.points.iter())
        .map(|p| (p.level, p.band.estimate))
        .collect();
    panel.curve(scene, &middle, WIDTH, PURPLE);
}

/// The entry of the legend.
pub(super) fn key(record: &RunRecord) -> (Key, String) {
    let confidence = view::percent(record.answer.confidence);
    let key = Key::Band(PURPLE, band_colour());
    (key, format!("fit near the breakpoint, {confidence} % band"))
}

fn band_colour() -> Colour {
    PURPLE.pale(0.2)
}

/// The band's colour where it lies over the interval's: as of two films, each takes its part of the
/// light.
fn over_interval() -> Colour {
    let (a, b) = (band_colour(), super::SKY.pale(0.38));
    let mix = |a: u8, b: u8| u8::try_from(u16::from(a) * u16::from(b) / 255).unwrap_or(u8::MAX);
    Colour(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}
