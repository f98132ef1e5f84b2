//! Resources against levels, one panel each: the most that a hold showed, and the limit.

use std::collections::BTreeSet;

use super::axis::{Quantity, Scale};
use super::panel::{Axis, Panel, RuleLine, Spec};
use super::scene::{Rect, Scene};
use super::{
    Key, Marker, PURPLE, VERMILION, breakpoint_flag, frame, interval_band, interval_key,
    level_axis, level_title, no_data, point, style, verdict_keys,
};
use crate::measure::Reading;
use crate::measure::fields::is_counter;
use crate::record::{ProbeRecord, RunRecord, SecondRecord};

/// Panels that fit on one chart, the generator's two included.
const MOST: usize = 6;

/// One resource: its value per probe and its limit.
struct Resource {
    title: String,
    quantity: Quantity,
    /// Per probe, in order.
    values: Vec<Option<f64>>,
    limit: Option<f64>,
    /// Probes in which the kernel killed for memory.
    killed: Vec<bool>,
}

pub(in crate::report) fn chart(record: &RunRecord) -> Scene {
    let mut scene = Scene::default();
    let resources = chosen(record);
    let mut keys = verdict_keys(record);
    if resources.iter().any(|r| r.killed.contains(&true)) {
        let text = "OOM kill in this probe".to_owned();
        keys.push((Key::Point(Marker::Ring, PURPLE), text));
    }
    if resources.iter().any(|r| r.limit.is_some()) && !record.probes.is_empty() {
        keys.push((Key::Dashes(VERMILION), "limit".to_owned()));
    }
    keys.extend(interval_key(record));
    let unit = record.plan.unit.name();
    let what = &format!("peak of each hold against {unit}");
    let room = frame(&mut scene, record, what, &keys);
    if record.probes.is_empty() {
        no_data(&mut scene, room, "no level was visited");
        return scene;
    }
    let columns = if resources.len() > 2 { 2 } else { 1 };
    let rows = resources.len().div_ceil(columns);
    for (i, resource) in resources.iter().enumerate() {
        let (row, column) = (i / columns, i % columns);
        let place = Place {
            area: cell(room, (row, rows), (column, columns)),
            first: row == 0,
            last: i + columns >= resources.len(),
        };
        panel(&mut scene, record, resource, &place);
    }
    scene
}

fn cell(room: Rect, (row, rows): (usize, usize), (column, columns): (usize, usize)) -> Rect {
    let part = |i: usize, n: usize| {
        let whole = f64::from(u32::try_from(n).unwrap_or(1));
        f64::from(u32::try_from(i).unwrap_or(0)) / whole
    };
    Rect {
        left: room.left + room.width() * part(column, columns),
        top: room.top + room.height() * part(row, rows) + 4.0,
        right: room.left + room.width() * part(column + 1, columns) - 8.0,
        bottom: room.top + room.height() * part(row + 1, rows),
    }
}

/// Where a panel stands, and whether it begins or ends its column.
struct Place {
    area: Rect,
    first: bool,
    last: bool,
}

fn panel(scene: &mut Scene, record: &RunRecord, resource: &Resource, place: &Place) {
    let x = level_axis(record);
    let seen = || resource.values.iter().flatten().copied();
    let scale = Scale::from_zero(seen().chain(resource.limit)).with_foot(0.05);
    let limit = resource.limit.map(|limit| RuleLine {
        at: limit,
        text: resource.quantity.label(limit, limit),
        colour: VERMILION,
        dashed: true,
    });
    let flag = breakpoint_flag(record, false).map(|flag| RuleLine {
        text: if place.first {
            flag.text
        } else {
            String::new()
        },
        ..flag
    });
    let panel = Panel::draw(
        scene,
        &Spec {
            room: place.area,
            title: resource.title.clone(),
            x,
            y: Axis {
                scale,
                quantity: resource.quantity,
            },
            x_title: place.last.then(|| level_title(record, x.scale)),
            flags: flag.into_iter().collect(),
            limits: limit.into_iter().collect(),
            band: interval_band(record, x.scale),
            area: None,
            spans: Vec::new(),
            right_room: 0.0,
        },
    );
    for ((probe, value), killed) in record
        .probes
        .iter()
        .zip(&resource.values)
        .zip(&resource.killed)
    {
        let Some(value) = value else { continue };
        let at = panel.at(probe.level.0.into(), *value);
        let (marker, colour) = style(probe);
        point(scene, marker, at, 9.0, colour);
        if *killed {
            point(scene, Marker::Ring, at, 17.0, PURPLE);
        }
    }
    if seen().next().is_none() {
        panel.no_data(scene, "no reading");
    }
}

/// The resources nearest to their limits first, the generator's own last.
fn chosen(record: &RunRecord) -> Vec<Resource> {
    let mut fields: Vec<(String, String)> = fields(record).into_iter().collect();
    let nearness = |f: &(String, String)| {
        let top = held(record, f).into_iter().flatten().fold(0.0, f64::max);
        limit(record, f).map(|limit| top / limit)
    };
    fields.sort_by(|a, b| {
        let (a, b) = (nearness(a).unwrap_or(-1.0), nearness(b).unwrap_or(-1.0));
        b.total_cmp(&a)
    });
    let mut resources: Vec<Resource> = fields
        .iter()
        .take(MOST - 2)
        .map(|field| monitored(record, field))
        .collect();
    resources.extend(generator(record));
    resources
}

/// Fields that explain others and are no resource.
const BESIDE: [&str; 4] = ["cpu_wait", "main_thread_wait", "processes", "threads"];

/// Fields worth a panel: no limits, and counters only when they moved.
fn fields(record: &RunRecord) -> BTreeSet<(String, String)> {
    let seconds = || record.probes.iter().flat_map(|p| &p.seconds);
    let all: BTreeSet<(String, String)> = seconds()
        .flat_map(|s| &s.readings)
        .filter(|r| r.value.is_some())
        .map(|r| (r.monitor.clone(), r.field.clone()))
        .collect();
    let worth = |f: &(String, String)| {
        let name = f.1.as_str();
        let is_limit = name.ends_with("limit") || name.starts_with("max");
        let is_kill = name == "oom_kills";
        let moved = !is_counter(name)
            || record
                .probes
                .iter()
                .any(|p| growth(p, f).is_some_and(|g| g > 0.0));
        !is_limit && !is_kill && moved && !BESIDE.contains(&name)
    };
    all.into_iter().filter(worth).collect()
}

fn monitored(record: &RunRecord, field: &(String, String)) -> Resource {
    let (monitor, name) = field;
    let words = name.replace('_', " ").replace("cpu", "CPU");
    let quantity = quantity(name);
    let unit = match (quantity, name.ends_with("cpu")) {
        (_, true) => ", cores",
        _ if is_counter(name) => ", growth during the probe",
        _ => "",
    };
    let kills = (monitor.clone(), "oom_kills".to_owned());
    let is_memory = quantity == Quantity::Bytes;
    Resource {
        title: format!("{monitor} {words}{unit}"),
        quantity,
        values: held(record, field),
        limit: limit(record, field),
        killed: record
            .probes
            .iter()
            .map(|p| is_memory && growth(p, &kills).is_some_and(|g| g > 0.0))
            .collect(),
    }
}

fn quantity(field: &str) -> Quantity {
    let has = |part: &str| field.contains(part);
    if field.ends_with("_s") && !has("per_s") {
        Quantity::Seconds
    } else if is_counter(field) {
        Quantity::Count
    } else if ["ratio", "share", "pressure", "utilization"]
        .into_iter()
        .any(has)
    {
        Quantity::Share
    } else if ["memory", "rss", "bytes", "heap", "output_buffer"]
        .into_iter()
        .any(has)
    {
        Quantity::Bytes
    } else if has("lag") || has("_p99") {
        Quantity::Seconds
    } else {
        Quantity::Count
    }
}

fn generator(record: &RunRecord) -> [Resource; 2] {
    let most = |of: fn(&SecondRecord) -> Option<f64>| -> Vec<Option<f64>> {
        record
            .probes
            .iter()
            .map(|p| top(hold(p).filter_map(of)))
            .collect()
    };
    let none = vec![false; record.probes.len()];
    let cpus = record.environment.cpus;
    [
        Resource {
            title: "generator CPU, cores".to_owned(),
            quantity: Quantity::Count,
            values: most(|s| s.generator.cpu_cores),
            limit: (cpus > 0).then(|| f64::from(cpus)),
            killed: none.clone(),
        },
        Resource {
            title: "generator scheduling lag, p99 of a second".to_owned(),
            quantity: Quantity::Seconds,
            values: most(|s| s.generator.lag_p99_s),
            limit: None,
            killed: none,
        },
    ]
}

fn hold(probe: &ProbeRecord) -> impl Iterator<Item = &SecondRecord> {
    probe.seconds.iter().filter(|s| s.hold)
}

/// Per probe what its hold showed at most; for a counter, how far it grew.
fn held(record: &RunRecord, field: &(String, String)) -> Vec<Option<f64>> {
    let of = |p: &ProbeRecord| {
        if is_counter(&field.1) {
            growth(p, field)
        } else {
            top(hold(p).filter_map(|s| value(s, field)))
        }
    };
    record.probes.iter().map(of).collect()
}

fn growth(probe: &ProbeRecord, field: &(String, String)) -> Option<f64> {
    let mut values = probe.seconds.iter().filter_map(|s| value(s, field));
    let first = values.next()?;
    Some(values.next_back().unwrap_or(first) - first)
}

fn value(second: &SecondRecord, field: &(String, String)) -> Option<f64> {
    let is_it = |r: &&Reading| r.monitor == field.0 && r.field == field.1;
    let found = second.readings.iter().find(is_it)?;
    found.value.filter(|v| v.is_finite())
}

fn limit(record: &RunRecord, field: &(String, String)) -> Option<f64> {
    let is_it = |r: &&Reading| r.monitor == field.0 && r.field == field.1;
    let found = record.plan.limits.iter().find(is_it)?;
    found.value.filter(|v| v.is_finite() && *v > 0.0)
}

fn top(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.filter(|v| v.is_finite()).reduce(f64::max)
}
