//! The search over time: when each level was visited, what its verdict was, and how the estimate
//! narrowed.

use super::axis::{Quantity, Scale};
use super::panel::{Axis, Panel, RuleLine, SMALL, Span, Spec};
use super::scene::{Colour, Rect, Scene, TextLine};
use super::{GREEN, Key, PURPLE, SKY, above, frame, no_data, point, style, verdict_keys, view};
use crate::record::{Ending, Noticed, RunRecord};
use crate::units;

pub(in crate::report) fn chart(record: &RunRecord) -> Scene {
    let mut scene = Scene::default();
    let mut keys = verdict_keys(record);
    if !record.probes.is_empty() {
        keys.push((Key::Line(Colour::GREY), "ramping, settling".to_owned()));
    }
    if record.probes.iter().any(|p| p.estimate.is_some()) {
        let text = "estimate so far with its interval".to_owned();
        keys.push((Key::Area(SKY.pale(0.38)), text));
    }
    if record.answer.ci_low.is_some() {
        let confidence = view::percent(record.answer.confidence);
        let key = if record.answer.breakpoint.is_some() {
            (
                Key::Dashes(GREEN),
                format!("breakpoint, {confidence} % CI at the right"),
            )
        } else {
            (Key::Line(GREEN), format!("{confidence} % CI at the right"))
        };
        keys.push(key);
    }
    let what = "levels visited over time; a bar is a hold, its mark the verdict";
    let room = frame(&mut scene, record, what, &keys);
    if record.probes.is_empty() {
        no_data(&mut scene, room, "no level was visited");
        return scene;
    }
    let top = record
        .probes
        .iter()
        .map(|p| f64::from(p.level.0))
        .chain(record.answer.breakpoint.map(f64::from))
        .chain(record.answer.ci_high.map(f64::from))
        .fold(0.0, f64::max);
    let all = Scale::Linear(-0.04 * top.max(1.0), 1.08 * top.max(1.0));
    let unit = record.plan.unit.name();
    let all_title = format!("level, {unit}");
    match view::near_crossing(record) {
        None => panel(&mut scene, record, &all_title, room, all, Place::Alone),
        Some((low, high)) => {
            let (upper, lower) = above(room, 0.42);
            panel(&mut scene, record, &all_title, upper, all, Place::Upper);
            let near = Scale::Linear(low, high);
            let title = format!("level near the breakpoint, {unit}");
            panel(&mut scene, record, &title, lower, near, Place::Lower);
        }
    }
    scene
}

/// Where a panel stands: the lowest has the axis of time, the highest the names of what was
/// noticed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Alone,
    Upper,
    Lower,
}

fn panel(scene: &mut Scene, record: &RunRecord, title: &str, area: Rect, y: Scale, place: Place) {
    let begin = record.probes.first().map_or(0.0, |p| p.start_s);
    let end = record
        .probes
        .iter()
        .map(view::end_s)
        .fold(begin + 1.0, f64::max);
    // A short search is told in seconds.
    let (unit, unit_s) = if end - begin < 180.0 {
        ("seconds", 1.0)
    } else {
        ("minutes", 60.0)
    };
    let time = |s: f64| (s - begin) / unit_s;
    let spans = noticed(record, place != Place::Lower, &time);
    let panel = Panel::draw(
        scene,
        &Spec {
            room: area,
            title: title.to_owned(),
            x: Axis {
                scale: Scale::Linear(-0.01 * time(end), time(end) * 1.01),
                quantity: Quantity::Time,
            },
            y: Axis {
                scale: y,
                quantity: Quantity::Count,
            },
            x_title: (place != Place::Upper)
                .then(|| format!("{unit} since the first probe started")),
            flags: Vec::new(),
            limits: Vec::new(),
            band: None,
            area: None,
            spans: spans.clone(),
            right_room: 130.0,
        },
    );
    estimates(scene, record, &panel, &time, end);
    panel.edges(scene, &spans);
    answer(scene, record, &panel, y);
    for probe in &record.probes {
        let level = f64::from(probe.level.0);
        if !y.contains(level) {
            continue;
        }
        let (marker, colour) = style(probe);
        let ready = probe.start_s + probe.ramp_s + probe.settle_s;
        let (from, ready, to) = (
            panel.at(time(probe.start_s), level),
            panel.at(time(ready), level),
            panel.at(time(view::end_s(probe)), level),
        );
        scene.line(vec![from, ready], 3.0, Colour::GREY);
        scene.line(vec![ready, to], 9.0, colour.pale(0.75));
        point(scene, marker, to, 10.0, colour);
    }
}

/// What was noticed, when. Of a kind that came several times the longest has the name.
fn noticed(record: &RunRecord, named: bool, time: &impl Fn(f64) -> f64) -> Vec<Span> {
    let all = &record.answer.noticed;
    let lasts = |n: &Noticed| n.to_s - n.from_s;
    let is_longest = |at: usize, n: &Noticed| {
        let mut others = all.iter().enumerate().filter(|(_, o)| o.kind == n.kind);
        others.all(|(i, o)| lasts(o) < lasts(n) || (lasts(o) <= lasts(n) && i >= at))
    };
    (all.iter().enumerate())
        .map(|(i, n)| Span {
            from: time(n.from_s),
            to: time(n.to_s),
            text: if named && is_longest(i, n) {
                n.kind.label().to_owned()
            } else {
                String::new()
            },
            colour: PURPLE,
        })
        .collect()
}

/// The estimate after each probe, as steps: it holds until the next one.
fn estimates(
    scene: &mut Scene,
    record: &RunRecord,
    panel: &Panel,
    time: &impl Fn(f64) -> f64,
    end: f64,
) {
    let ends = || record.probes.iter().map(view::end_s);
    let until = ends().skip(1).chain(std::iter::once(end));
    let steps = record.probes.iter().zip(ends().zip(until));
    let mut middle = Vec::new();
    for (probe, (from, until)) in steps {
        let Some(now) = probe.estimate else {
            // What was believed before is not believed any more.
            scene.line(std::mem::take(&mut middle), 3.0, SKY);
            continue;
        };
        let rect = Rect {
            left: panel.px(time(from)),
            top: panel.py(now.high),
            right: panel.px(time(until)),
            bottom: panel.py(now.low),
        };
        scene.rect(rect, SKY.pale(0.38));
        middle.extend([from, until].map(|at| panel.at(time(at), now.estimate)));
    }
    scene.line(middle, 3.0, SKY);
}

/// The answer and its interval, drawn at the right edge and labelled beyond it.
fn answer(scene: &mut Scene, record: &RunRecord, panel: &Panel, y: Scale) {
    let a = &record.answer;
    let x = panel.plot.right + 14.0;
    if let (Some(low), Some(high)) = (a.ci_low, a.ci_high) {
        let (top, bottom) = (panel.py(high.into()), panel.py(low.into()));
        scene.line(vec![(x, top), (x, bottom)], 4.0, GREEN);
        for end in [top, bottom] {
            scene.line(vec![(x - 8.0, end), (x + 8.0, end)], 4.0, GREEN);
        }
    }
    if a.ending == Ending::Bracketed {
        ends(scene, record, panel, x + 14.0);
    }
    if let Some(vus) = a.breakpoint
        && y.contains(vus.into())
    {
        let mark = RuleLine {
            at: vus.into(),
            text: units::format_count(vus.into()),
            colour: GREEN,
            dashed: true,
        };
        panel.mark(scene, &mark, x + 14.0);
    }
}

/// The ends of an interval without a number in it, labelled beside it.
fn ends(scene: &mut Scene, record: &RunRecord, panel: &Panel, label_x: f64) {
    let (Some(low), Some(high)) = (record.answer.ci_low, record.answer.ci_high) else {
        return;
    };
    let (top, bottom) = (panel.py(high.into()), panel.py(low.into()));
    // A narrow interval's labels stand apart all the same.
    let apart = ((1.2 * SMALL - (bottom - top)) / 2.0).max(0.0);
    for (level, y) in [(high, top - apart), (low, bottom + apart)] {
        let text = TextLine::new(units::format_count(level.into()), (label_x, y), SMALL).bold();
        scene.text(text.colour(GREEN));
    }
}
