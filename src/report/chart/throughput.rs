//! Throughput against levels with the knee, and below it the shares of errors and sheds; above it
//! where the SLO is of errors alone.

use super::axis::{Quantity, Scale};
use super::panel::{Axis, Panel, RuleLine, Spec};
use super::scene::{Colour, Rect, Scene};
use super::{
    Key, Marker, PURPLE, VERMILION, above, breakpoint_flag, fitted, frame, interval_band,
    interval_key, level_axis, level_title, no_data, point, style, verdict_keys, view,
};
use crate::record::RunRecord;
use crate::units;

pub(in crate::report) fn chart(record: &RunRecord) -> Scene {
    let mut scene = Scene::default();
    let mut keys = verdict_keys(record);
    if !record.probes.is_empty() {
        keys.push((Key::Point(Marker::Cross, VERMILION), "errors".to_owned()));
    }
    if sheds(record) {
        let text = "sheds (refused by design)".to_owned();
        keys.push((Key::Point(Marker::Ring, PURPLE), text));
    }
    keys.extend(interval_key(record));
    keys.extend(fitted::of_errors(record).map(|_| fitted::key(record)));
    let errors_first = view::errors_first(&record.slo);
    let unit = record.plan.unit.name();
    let what = if errors_first {
        "errors and throughput"
    } else {
        "throughput and errors"
    };
    let what = &format!("{what} of every probe against {unit}");
    let room = frame(&mut scene, record, what, &keys);
    if record.probes.is_empty() {
        no_data(&mut scene, room, "no level was visited");
        return scene;
    }
    // What the SLO is of stands above and has more room.
    let (upper, lower) = above(room, 0.6);
    if errors_first {
        shares(&mut scene, record, upper, Place::Upper);
        rates(&mut scene, record, lower, Place::Lower);
    } else {
        rates(&mut scene, record, upper, Place::Upper);
        shares(&mut scene, record, lower, Place::Lower);
    }
    scene
}

/// Where a panel stands: the upper has the name of the breakpoint, the lower that of the levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Upper,
    Lower,
}

/// A panel against the levels.
fn spec(record: &RunRecord, room: Rect, place: Place, title: String, y: Axis) -> Spec {
    let x = level_axis(record);
    let upper = place == Place::Upper;
    Spec {
        room,
        title,
        x,
        y,
        x_title: (!upper).then(|| level_title(record, x.scale)),
        flags: (upper.then(|| breakpoint_flag(record, true)).flatten())
            .into_iter()
            .collect(),
        limits: Vec::new(),
        band: interval_band(record, x.scale),
        area: None,
        spans: Vec::new(),
        right_room: 0.0,
    }
}

/// The throughput with the knee.
fn rates(scene: &mut Scene, record: &RunRecord, room: Rect, place: Place) {
    let counted = record.plan.counted().name();
    let rates = record.probes.iter().filter_map(|p| p.throughput_per_s);
    let y = Axis {
        scale: Scale::from_zero(rates).with_foot(0.03),
        quantity: Quantity::Count,
    };
    let title = format!("throughput, completed {counted} per second");
    let mut spec = spec(record, room, place, title, y);
    spec.flags.extend(record.answer.knee.map(|vus| RuleLine {
        at: vus.into(),
        text: format!("knee {}", units::format_count(vus.into())),
        colour: PURPLE,
        dashed: true,
    }));
    let panel = Panel::draw(scene, &spec);
    for probe in &record.probes {
        let (marker, colour) = style(probe);
        if let Some(rate) = probe.throughput_per_s {
            let at = panel.at(probe.level.0.into(), rate);
            point(scene, marker, at, 11.0, colour);
        }
    }
}

/// The share of cycles that may fail, where failures alone are judged.
fn error_limit(record: &RunRecord) -> Option<f64> {
    let tightest = (view::objectives(&record.slo).into_iter())
        .map(|o| o.bound)
        .reduce(f64::min);
    tightest.filter(|_| view::errors_first(&record.slo))
}

fn sheds(record: &RunRecord) -> bool {
    let any = |p| view::shed_ratio(p).is_some_and(|s| s > 0.0);
    record.probes.iter().any(any)
}

/// The shares of errors and sheds.
fn shares(scene: &mut Scene, record: &RunRecord, room: Rect, place: Place) {
    let counted = record.plan.counted().name();
    let ratios = (record.probes.iter())
        .flat_map(|p| [view::error_ratio(p), view::shed_ratio(p)])
        .flatten();
    let limit = error_limit(record);
    let y = Axis {
        // A flat zero line must not look like a mountain: at least one percent.
        scale: Scale::from_zero(ratios.chain(limit).chain([0.01])).with_foot(0.06),
        quantity: Quantity::Share,
    };
    let title = format!("share of {counted} that failed or were shed");
    let mut spec = spec(record, room, place, title, y);
    spec.area = fitted::of_errors(record).map(fitted::area);
    spec.limits.extend(limit.map(|bound| RuleLine {
        at: bound,
        text: format!("SLO {} %", view::percent(bound)),
        colour: VERMILION,
        dashed: true,
    }));
    let panel = Panel::draw(scene, &spec);
    if let Some(curve) = fitted::of_errors(record) {
        fitted::line(scene, &panel, curve);
    }
    let mut drawn = false;
    for probe in &record.probes {
        let x = probe.level.0.into();
        if let Some(shed) = view::shed_ratio(probe).filter(|s| *s > 0.0) {
            point(scene, Marker::Ring, panel.at(x, shed), 11.0, PURPLE);
            drawn = true;
        }
        if let Some(errors) = view::error_ratio(probe) {
            let colour = if errors > 0.0 {
                VERMILION
            } else {
                Colour::GREY
            };
            point(scene, Marker::Cross, panel.at(x, errors), 11.0, colour);
            drawn = true;
        }
    }
    if !drawn {
        panel.no_data(scene, "no cycle ended");
    }
}
