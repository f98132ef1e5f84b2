//! Charts of a run as PNG, and as SVG within a page: latency, the search, throughput and resources.
//!
//! Verdicts differ by shape and colour (the palette of Okabe and Ito, which colour-blind readers
//! can tell apart).

mod axis;
mod clip;
mod compare;
mod fitted;
mod lab;
mod latency;
mod panel;
mod ramp;
mod resources;
mod scale;
mod scene;
mod search;
mod svg;
#[cfg(test)]
mod tests;
mod throughput;

use axis::{Quantity, Scale};
use panel::{Axis, Band, RuleLine};
use scene::{Align, Colour, HEIGHT, Rect, TextLine, WIDTH, regular, text_width};

use super::view;
use crate::record::{Ending, HoldEnd, ProbeRecord, Purpose, RunRecord};
use crate::slo::Verdict;
use crate::units;

pub(super) use compare::chart as compared;
pub(super) use lab::charts as lab;
pub(super) use latency::chart as latency;
pub(super) use ramp::chart as ramp;
pub(super) use resources::chart as resources;
pub(super) use scale::chart as scale;
pub(super) use scene::Scene;
pub(super) use search::chart as search;
pub(super) use svg::Palette;
pub(super) use throughput::chart as throughput;

const BLUE: Colour = Colour(0, 114, 178);
const ORANGE: Colour = Colour(230, 159, 0);
const VERMILION: Colour = Colour(213, 94, 0);
const GREEN: Colour = Colour(0, 120, 90);
const PURPLE: Colour = Colour(150, 70, 125);
const SKY: Colour = Colour(86, 180, 233);

/// The name of the levels' axis.
fn level_title(record: &RunRecord, scale: Scale) -> String {
    let title = record.plan.unit.title();
    match scale {
        Scale::Linear(..) => title.to_owned(),
        Scale::Log(..) => format!("{title}, log scale"),
    }
}

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Circle,
    Diamond,
    Triangle,
    Square,
    Ring,
    Cross,
}

/// What stands before a legend's text.
enum Key {
    Point(Marker, Colour),
    Area(Colour),
    Line(Colour),
    Dashes(Colour),
    /// A line, and the band around it.
    Band(Colour, Colour),
    /// Words alone.
    Words,
}

/// Shape and colour of a probe's point.
fn style(probe: &ProbeRecord) -> (Marker, Colour) {
    if probe.purpose == Purpose::WarmUp {
        return (Marker::Ring, Colour::GREY);
    }
    style_of(probe.end, probe.verdict)
}

/// Shape and colour of what was judged.
fn style_of(end: HoldEnd, verdict: Verdict) -> (Marker, Colour) {
    if end == HoldEnd::Invalid {
        return (Marker::Cross, Colour::GREY);
    }
    match verdict {
        Verdict::Held => (Marker::Circle, BLUE),
        Verdict::Undecided => (Marker::Diamond, ORANGE),
        Verdict::Broke => (Marker::Triangle, VERMILION),
    }
}

/// The legend of the verdicts that occur.
fn verdict_keys(record: &RunRecord) -> Vec<(Key, String)> {
    let (warm_ups, others): (Vec<_>, Vec<_>) =
        (record.probes.iter()).partition(|p| p.purpose == Purpose::WarmUp);
    let judged: Vec<_> = others.iter().map(|p| (p.end, p.verdict)).collect();
    let mut keys = keys_of(&judged);
    if !warm_ups.is_empty() {
        let text = "warm-up (not judged)".to_owned();
        keys.push((Key::Point(Marker::Ring, Colour::GREY), text));
    }
    keys
}

fn keys_of(judged: &[(HoldEnd, Verdict)]) -> Vec<(Key, String)> {
    let valid = |v: Verdict| {
        let mut judged = judged.iter();
        judged.any(|(end, verdict)| *verdict == v && *end != HoldEnd::Invalid)
    };
    let mut keys = Vec::new();
    if valid(Verdict::Held) {
        keys.push((Key::Point(Marker::Circle, BLUE), "held".to_owned()));
    }
    if valid(Verdict::Undecided) {
        keys.push((Key::Point(Marker::Diamond, ORANGE), "undecided".to_owned()));
    }
    if valid(Verdict::Broke) {
        keys.push((Key::Point(Marker::Triangle, VERMILION), "broke".to_owned()));
    }
    if judged.iter().any(|(end, _)| *end == HoldEnd::Invalid) {
        let text = "not counted (generator)".to_owned();
        keys.push((Key::Point(Marker::Cross, Colour::GREY), text));
    }
    keys
}

/// A point with a white rim, so that points on top of each other can be counted.
fn point(scene: &mut Scene, marker: Marker, at: (f64, f64), radius: f64, colour: Colour) {
    match marker {
        Marker::Ring => {
            let ring = regular(at, radius, 32);
            let closed = ring.iter().chain(ring.first()).copied().collect();
            scene.line(closed, 4.0, colour);
        }
        Marker::Cross => {
            let r = radius * 0.8;
            let (x, y) = at;
            scene.line(vec![(x - r, y - r), (x + r, y + r)], 4.0, colour);
            scene.line(vec![(x - r, y + r), (x + r, y - r)], 4.0, colour);
        }
        Marker::Circle => {
            scene.disc(at, radius + 2.5, Colour::WHITE);
            scene.disc(at, radius, colour);
        }
        Marker::Diamond | Marker::Triangle | Marker::Square => {
            scene.polygon(outline(marker, at, radius + 2.5), Colour::WHITE);
            scene.polygon(outline(marker, at, radius), colour);
        }
    }
}

fn outline(marker: Marker, (x, y): (f64, f64), r: f64) -> Vec<(f64, f64)> {
    match marker {
        Marker::Circle | Marker::Ring | Marker::Cross => regular((x, y), r, 32),
        Marker::Diamond => regular((x, y), r * 1.2, 4),
        Marker::Triangle => vec![
            (x, y - r * 1.2),
            (x + r * 1.1, y + r * 0.85),
            (x - r * 1.1, y + r * 0.85),
        ],
        Marker::Square => vec![
            (x - r * 0.8, y - r * 0.8),
            (x + r * 0.8, y - r * 0.8),
            (x + r * 0.8, y + r * 0.8),
            (x - r * 0.8, y + r * 0.8),
        ],
    }
}

/// Title, SLO and legend; returns the room that is left.
fn frame(scene: &mut Scene, record: &RunRecord, what: &str, keys: &[(Key, String)]) -> Rect {
    let title = format!("{}: {}", record.profile, view::headline(record));
    let slo = record.slo.join(", ");
    framed(scene, title, format!("SLO {slo}  ·  {what}"), keys)
}

/// A picture's title, subtitle and legend; returns the room that is left.
fn framed(scene: &mut Scene, title: String, subtitle: String, keys: &[(Key, String)]) -> Rect {
    let room = WIDTH - 80.0;
    scene.text(
        TextLine::new(title, (40.0, 48.0), 44.0)
            .bold()
            .fit(room, 26.0),
    );
    let subtitle = TextLine::new(subtitle, (40.0, 104.0), 29.0);
    scene.text(subtitle.colour(Colour::GREY).fit(room, 20.0));
    legend(scene, keys, 156.0);
    Rect {
        left: 24.0,
        top: 188.0,
        right: WIDTH - 24.0,
        bottom: HEIGHT - 18.0,
    }
}

fn legend(scene: &mut Scene, keys: &[(Key, String)], y: f64) {
    const GAP: f64 = 44.0;
    const KEY: f64 = 44.0;
    let width = |size: f64| -> f64 {
        keys.iter()
            .map(|(_, text)| KEY + text_width(text, size, false) + GAP)
            .sum()
    };
    let size = (18..=27)
        .rev()
        .map(f64::from)
        .find(|s| width(*s) < WIDTH - 80.0)
        .unwrap_or(16.0);
    let mut x = 40.0;
    for (key, text) in keys {
        match key {
            Key::Point(marker, colour) => point(scene, *marker, (x + 16.0, y), 11.0, *colour),
            Key::Area(colour) => scene.rect(key_area(x, y), *colour),
            Key::Band(line, band) => {
                scene.rect(key_area(x, y), *band);
                scene.line(vec![(x, y), (x + 32.0, y)], 4.0, *line);
            }
            Key::Words => x -= KEY,
            Key::Dashes(colour) => scene.dashed((x, y), (x + 36.0, y), 4.0, *colour),
            Key::Line(colour) => scene.line(vec![(x, y), (x + 32.0, y)], 4.0, *colour),
        }
        let label = TextLine::new(text, (x + KEY, y), size);
        x += KEY + label.width() + GAP;
        scene.text(label);
    }
}

/// The area before a legend's text.
fn key_area(x: f64, y: f64) -> Rect {
    Rect {
        left: x,
        top: y - 12.0,
        right: x + 32.0,
        bottom: y + 12.0,
    }
}

/// The whole range of levels; logarithmic when what matters would be squeezed into the left edge.
fn level_axis(record: &RunRecord) -> Axis {
    let mut levels: Vec<f64> = record.probes.iter().map(|p| p.level.0.into()).collect();
    levels.sort_by(f64::total_cmp);
    let answer = &record.answer;
    let shown = [answer.breakpoint, answer.knee, answer.ci_high];
    let shown = shown.into_iter().flatten().map(f64::from);
    let top = levels.iter().copied().chain(shown).fold(0.0, f64::max);
    let bottom = levels.iter().copied().find(|l| *l > 0.0).unwrap_or(1.0);
    let matters = record
        .answer
        .breakpoint
        .map(f64::from)
        .or(middle_of_interval(record))
        .or(levels.get(levels.len() / 2).copied())
        .unwrap_or(top);
    let scale = if top <= 0.0 {
        Scale::Linear(0.0, 1.0)
    } else if matters < 0.08 * top && bottom < top {
        Scale::Log((bottom / 1.3).max(0.5), top * 1.2)
    } else {
        // Room on the left, so that the first point stands clear of the axis.
        Scale::Linear(-0.02 * top, top * 1.05)
    };
    Axis {
        scale,
        quantity: Quantity::Count,
    }
}

/// Where an interval without a number in it lies.
fn middle_of_interval(record: &RunRecord) -> Option<f64> {
    let (low, high) = (record.answer.ci_low?, record.answer.ci_high?);
    (record.answer.ending == Ending::Bracketed).then(|| f64::midpoint(low.into(), high.into()))
}

/// The breakpoint as a vertical line.
fn breakpoint_flag(record: &RunRecord, with_interval: bool) -> Option<RuleLine> {
    let a = &record.answer;
    let number = units::format_count(a.breakpoint?.into());
    let interval = match (a.ci_low, a.ci_high) {
        (Some(low), Some(high)) if with_interval => format!(
            " ({} – {})",
            units::format_count(low.into()),
            units::format_count(high.into())
        ),
        _ => String::new(),
    };
    let name = if a.ending == Ending::Found {
        "breakpoint"
    } else {
        "estimate"
    };
    Some(RuleLine {
        at: a.breakpoint?.into(),
        text: format!("{name} {number}{interval}"),
        colour: GREEN,
        dashed: false,
    })
}

/// The interval as a shaded range; without an end it reaches to the end of the scale.
fn interval_band(record: &RunRecord, scale: Scale) -> Option<Band> {
    let (low, high) = (record.answer.ci_low, record.answer.ci_high);
    low.or(high)?;
    let low = low.map_or(scale.ends().0, f64::from);
    let high = high.map_or(scale.ends().1, f64::from);
    let on_scale = high >= scale.ends().0 && low <= scale.ends().1;
    on_scale.then_some(Band {
        from: low,
        to: high,
        colour: SKY.pale(0.38),
    })
}

fn interval_key(record: &RunRecord) -> Option<(Key, String)> {
    let text = view::interval(&record.answer)?;
    Some((Key::Area(SKY.pale(0.38)), text))
}

/// Says in the middle of a chart that there is nothing to draw.
fn no_data(scene: &mut Scene, room: Rect, why: &str) {
    let middle = (
        f64::midpoint(room.left, room.right),
        f64::midpoint(room.top, room.bottom),
    );
    let text = TextLine::new(format!("no data: {why}"), middle, 36.0)
        .align(Align::Centre)
        .colour(Colour::GREY);
    scene.text(text.fit(room.width(), 20.0));
}

/// Splits a rectangle at a share of its width.
fn beside(room: Rect, share: f64) -> (Rect, Rect) {
    let middle = room.left + room.width() * share;
    let (mut a, mut b) = (room, room);
    a.right = middle - 10.0;
    b.left = middle + 10.0;
    (a, b)
}

/// Splits a rectangle at a share of its height.
fn above(room: Rect, share: f64) -> (Rect, Rect) {
    let middle = room.top + room.height() * share;
    let (mut a, mut b) = (room, room);
    a.bottom = middle - 6.0;
    b.top = middle + 6.0;
    (a, b)
}
