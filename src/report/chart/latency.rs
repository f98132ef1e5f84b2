//! Latency against levels: every probe a point, the SLO as a line, the answer with its interval.

use super::axis::{Quantity, Scale};
use super::panel::{Axis, Panel, RuleLine, Spec};
use super::scene::{Colour, Rect, Scene};
use super::{
    Key, Marker, VERMILION, beside, breakpoint_flag, fitted, frame, interval_band, interval_key,
    level_axis, level_title, no_data, point, style, verdict_keys, view,
};
use crate::record::{ProbeRecord, RunRecord};
use view::MainMetric;

const MEDIAN: Colour = Colour(150, 150, 150);

pub(in crate::report) fn chart(record: &RunRecord) -> Scene {
    let mut scene = Scene::default();
    let metric = MainMetric::of(&record.slo, &record.plan);
    let room = frame(
        &mut scene,
        record,
        &format!(
            "{} of every probe against {}",
            metric.name,
            record.plan.unit.name()
        ),
        &keys(record, &metric),
    );
    if record.probes.is_empty() {
        no_data(&mut scene, room, "no level was visited");
        return scene;
    }
    let whole = level_axis(record);
    match view::near_crossing(record) {
        None => {
            let title = format!("{} (log scale)", metric.name);
            panel(
                &mut scene,
                record,
                &metric,
                &View {
                    room,
                    x: whole,
                    title,
                },
            );
        }
        Some((low, high)) => {
            let (left, right) = beside(room, 0.42);
            let title = format!("{}, all levels (log scale)", metric.name);
            let all = View {
                room: left,
                x: whole,
                title,
            };
            panel(&mut scene, record, &metric, &all);
            let near = Axis {
                scale: Scale::Linear(low, high),
                quantity: Quantity::Count,
            };
            let title = format!("{}, near the breakpoint (log scale)", metric.name);
            let near = View {
                room: right,
                x: near,
                title,
            };
            panel(&mut scene, record, &metric, &near);
        }
    }
    scene
}

fn keys(record: &RunRecord, metric: &MainMetric) -> Vec<(Key, String)> {
    let mut keys = verdict_keys(record);
    let any_median = record
        .probes
        .iter()
        .any(|p| metric.quantile(p, 0.5).is_some());
    if any_median {
        keys.push((Key::Point(Marker::Square, MEDIAN), "p50".to_owned()));
    }
    keys.extend(interval_key(record));
    keys.extend(fitted::of_latency(record, metric).map(|_| fitted::key(record)));
    if record.probes.iter().any(|p| metric.observed(p).is_none()) {
        keys.push((Key::Words, "at the top edge: nothing completed".to_owned()));
    }
    keys
}

struct View {
    room: Rect,
    x: Axis,
    title: String,
}

fn panel(scene: &mut Scene, record: &RunRecord, metric: &MainMetric, view: &View) {
    let shown: Vec<&ProbeRecord> = record
        .probes
        .iter()
        .filter(|p| view.x.scale.contains(p.level.0.into()))
        .collect();
    let bound = metric.objective.as_ref().map(|o| o.bound);
    let values = shown
        .iter()
        .flat_map(|p| [metric.observed(p), metric.quantile(p, 0.5)])
        .flatten()
        .chain(bound);
    let scale = Scale::log_around(values);
    let curve = fitted::of_latency(record, metric);
    let limits = metric.objective.as_ref().map(|o| RuleLine {
        at: o.bound,
        text: view::slo_label(o.bound),
        colour: VERMILION,
        dashed: true,
    });
    let panel = Panel::draw(
        scene,
        &Spec {
            room: view.room,
            title: view.title.clone(),
            x: view.x,
            y: Axis {
                scale: scale.unwrap_or(Scale::Log(0.001, 10.0)),
                quantity: Quantity::Seconds,
            },
            x_title: Some(level_title(record, view.x.scale)),
            flags: breakpoint_flag(record, true).into_iter().collect(),
            limits: limits.into_iter().collect(),
            band: interval_band(record, view.x.scale),
            area: curve.map(fitted::area),
            spans: Vec::new(),
            right_room: 0.0,
        },
    );
    if let Some(curve) = curve {
        fitted::line(scene, &panel, curve);
    }
    for probe in &shown {
        if let Some(median) = metric.quantile(probe, 0.5) {
            let at = panel.at(probe.level.0.into(), median);
            point(scene, Marker::Square, at, 6.0, MEDIAN);
        }
    }
    for probe in &shown {
        let (marker, colour) = style(probe);
        let at = match metric.observed(probe) {
            Some(value) => panel.at(probe.level.0.into(), value),
            None => (panel.px(probe.level.0.into()), panel.plot.top + 14.0),
        };
        point(scene, marker, at, 11.0, colour);
    }
    if shown.is_empty() {
        panel.no_data(scene, "no level visited here");
    }
}
