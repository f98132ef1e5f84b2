//! Throughput against levels with the knee, and below it the shares of errors and sheds.

use super::axis::{Quantity, Scale};
use super::panel::{Axis, Mark, Panel, Spec};
use super::scene::{Colour, Scene};
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
    let unit = record.plan.unit.name();
    let counted = record.plan.counted().name();
    let what = &format!("throughput and errors of every probe against {unit}");
    let room = frame(&mut scene, record, what, &keys);
    if record.probes.is_empty() {
        no_data(&mut scene, room, "no level was visited");
        return scene;
    }
    let (upper, lower) = above(room, 0.6);
    let x = level_axis(record);
    let rates = record.probes.iter().filter_map(|p| p.throughput_per_s);
    let knee = record.answer.knee.map(|vus| Mark {
        at: vus.into(),
        text: format!("knee {}", units::format_count(vus.into())),
        colour: PURPLE,
        dashed: true,
    });
    let spec = Spec {
        room: upper,
        title: format!("throughput, completed {counted} per second"),
        x,
        y: Axis {
            scale: Scale::from_zero(rates).with_foot(0.03),
            quantity: Quantity::Count,
        },
        x_title: None,
        flags: breakpoint_flag(record, true)
            .into_iter()
            .chain(knee)
            .collect(),
        limits: Vec::new(),
        band: interval_band(record, x.scale),
        area: None,
        spans: Vec::new(),
        right_room: 0.0,
    };
    let panel = Panel::draw(&mut scene, &spec);
    for probe in &record.probes {
        let (marker, colour) = style(probe);
        if let Some(rate) = probe.throughput_per_s {
            let at = panel.at(probe.level.0.into(), rate);
            point(&mut scene, marker, at, 11.0, colour);
        }
    }
    let ratios = record
        .probes
        .iter()
        .flat_map(|p| [view::error_ratio(p), view::shed_ratio(p)])
        .flatten();
    let mut spec = Spec {
        room: lower,
        title: format!("share of {counted} that failed or were shed"),
        // A flat zero line must not look like a mountain: at least one percent.
        y: Axis {
            scale: Scale::from_zero(ratios.chain([0.01])).with_foot(0.06),
            quantity: Quantity::Share,
        },
        x_title: Some(level_title(record, x.scale)),
        ..spec
    };
    spec.flags.clear();
    spec.area = fitted::of_errors(record).map(fitted::area);
    shares(&mut scene, record, &spec);
    scene
}

fn sheds(record: &RunRecord) -> bool {
    let any = |p| view::shed_ratio(p).is_some_and(|s| s > 0.0);
    record.probes.iter().any(any)
}

fn shares(scene: &mut Scene, record: &RunRecord, spec: &Spec) {
    let panel = Panel::draw(scene, spec);
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
