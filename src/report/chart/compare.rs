//! A comparison as a picture: the change of each metric with its interval, or the breakpoint
//! against the size.

use super::axis::{Quantity, Scale};
use super::panel::{Axis, Panel, RuleLine, SMALL, Spec};
use super::scene::{Align, Colour, Rect, Scene, TextLine, text_width};
use super::{BLUE, GREEN, Key, Marker, ORANGE, SKY, VERMILION, framed, no_data, point};
use crate::record::{Change, ChangeVerdict, CompareRecord, Scaling};
use crate::report::compare::{
    Style, forecast_text, heading, headline, peak_text, ratio_text, scaling_heading, short_name,
};

/// Changes that the axis has marks for, as ratios.
const TICKS: [f64; 21] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.5, 2.0, 5.0, 10.0,
    20.0, 50.0, 100.0,
];
/// Room at the right of the intervals, for their words.
const WORDS: f64 = 560.0;
/// Size of these words, and of a line of them.
const SIZE: f64 = 22.0;
const LINE: f64 = 29.0;
/// The axis reaches at least so far to both sides, as a ratio.
const LEAST_REACH: f64 = 1.12;
/// And at most so far; what lies beyond is put at its end.
const MOST_REACH: f64 = 120.0;

pub(in crate::report) fn chart(record: &CompareRecord) -> Scene {
    match &record.scaling {
        Some(scaling) => sizes(record, scaling),
        None => changes(record),
    }
}

/// One line of the picture.
struct Row<'a> {
    label: String,
    change: &'a Change,
}

fn changes(record: &CompareRecord) -> Scene {
    let mut scene = Scene::default();
    let slo = record.slo.join(", ");
    let (title, what) = match record.comparisons.as_slice() {
        [only] => (headline(record, only), heading(only)),
        many => (
            format!(
                "{} candidates compared to {}",
                many.len(),
                many.first().map_or("", |c| &c.base)
            ),
            format!(
                "change from base to candidate with its {:.0} % interval",
                100.0 * record.confidence
            ),
        ),
    };
    let subtitle = format!("SLO {slo}  ·  {what}");
    let room = framed(&mut scene, title, subtitle, &keys());
    let several = record.comparisons.len() > 1;
    let rows: Vec<Row<'_>> = record
        .comparisons
        .iter()
        .flat_map(|c| c.changes.iter().map(move |change| (c, change)))
        .map(|(comparison, change)| Row {
            label: if several {
                {
                    let name = short_name(record, &comparison.candidate);
                    format!("{name}  {}", change.metric.name())
                }
            } else {
                change.metric.name().to_owned()
            },
            change,
        })
        .collect();
    if rows.is_empty() {
        no_data(&mut scene, room, "nothing was compared");
        return scene;
    }
    let widest = rows
        .iter()
        .map(|r| text_width(&r.label, SMALL, true))
        .fold(0.0, f64::max)
        .min(460.0);
    let plot = Rect {
        left: room.left + widest + 40.0,
        top: room.top + 20.0,
        right: room.right - WORDS,
        bottom: room.bottom - 90.0,
    };
    let scale = scale(&rows);
    grid(&mut scene, plot, scale);
    #[expect(clippy::cast_precision_loss, reason = "a handful of lines")]
    let height = plot.height() / rows.len() as f64;
    let mut middle = plot.top + height / 2.0;
    for row in &rows {
        let label = TextLine::new(&row.label, (plot.left - 16.0, middle), SMALL)
            .align(Align::Right)
            .bold();
        scene.text(label.fit(widest, 12.0));
        interval(&mut scene, plot, scale, middle, row.change);
        let at = (plot.right + 20.0, middle);
        beside(
            &mut scene,
            at,
            height,
            &words(row.change, record.confidence),
        );
        middle += height;
    }
    scene
}

fn keys() -> [(Key, String); 4] {
    [
        (
            Key::Point(Marker::Circle, GREEN),
            "evidence of an improvement".to_owned(),
        ),
        (
            Key::Point(Marker::Triangle, VERMILION),
            "evidence of a regression".to_owned(),
        ),
        (
            Key::Point(Marker::Diamond, BLUE),
            "no evidence of a change".to_owned(),
        ),
        (Key::Dashes(Colour::INK), "no change".to_owned()),
    ]
}

fn style(change: &Change) -> (Marker, Colour) {
    let better = change.metric.more_is_better();
    match (change.verdict, better) {
        (ChangeVerdict::Rise, true) | (ChangeVerdict::Fall, false) => (Marker::Circle, GREEN),
        (ChangeVerdict::Rise, false) | (ChangeVerdict::Fall, true) => (Marker::Triangle, VERMILION),
        (ChangeVerdict::NoEvidence, _) => (Marker::Diamond, BLUE),
        (ChangeVerdict::CannotSay, _) => (Marker::Cross, Colour::GREY),
    }
}

/// Words beside an interval, on as many lines as its row has room for.
fn beside(scene: &mut Scene, (x, middle): (f64, f64), height: f64, words: &str) {
    let mut lines: Vec<String> = Vec::new();
    let mut room = (height / LINE).floor();
    for word in words.split(' ') {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        let fits = |line: &String| text_width(line, SIZE, false) <= WORDS - 30.0;
        match (longer, lines.last_mut()) {
            // What has no room ends in an ellipsis on the last line.
            (Some(longer), Some(line)) if fits(&longer) || room < 2.0 => *line = longer,
            (Some(_), _) => {
                room -= 1.0;
                lines.push(word.to_owned());
            }
            (None, _) => lines.push(word.to_owned()),
        }
    }
    let above: f64 = lines.iter().skip(1).map(|_| LINE / 2.0).sum();
    let mut y = middle - above;
    for line in lines {
        scene.text(TextLine::new(line, (x, y), SIZE).fit(WORDS - 30.0, 16.0));
        y += LINE;
    }
}

/// The words without what the picture shows.
fn words(change: &Change, confidence: f64) -> String {
    match (change.ratio, change.low, change.high) {
        (Some(ratio), Some(low), Some(high)) => {
            let style = Style::of(change);
            let [ratio, low, high] = [ratio, low, high].map(|v| style.text(v));
            format!("{ratio}  ({low} to {high})")
        }
        _ => ratio_text(change, confidence),
    }
}

fn scale(rows: &[Row<'_>]) -> Scale {
    let values = rows
        .iter()
        .flat_map(|r| [r.change.low, r.change.high, r.change.ratio])
        .flatten()
        .filter(|v| v.is_finite() && *v > 0.0);
    let reach = values.fold(LEAST_REACH, |reach, v| reach.max(v).max(1.0 / v));
    let reach = (reach * 1.04).min(MOST_REACH);
    Scale::Log(1.0 / reach, reach)
}

fn grid(scene: &mut Scene, plot: Rect, scale: Scale) {
    let x = |v: f64| plot.left + scale.unit(v) * plot.width();
    let style = Style::of_all(TICKS.into_iter().filter(|t| scale.contains(*t)));
    let mut free_from = f64::NEG_INFINITY;
    for tick in TICKS.into_iter().filter(|t| scale.contains(*t)) {
        let label = match style {
            Style::Percent if (tick - 1.0_f64).abs() < 1e-9 => "0 %".to_owned(),
            Style::Percent => style.text(tick).replace(".0 %", " %"),
            Style::Times => format!("{tick}×"),
        };
        let half = text_width(&label, SMALL, false) / 2.0;
        if x(tick) - half < free_from {
            continue;
        }
        free_from = x(tick) + half + 18.0;
        let ends = vec![(x(tick), plot.top), (x(tick), plot.bottom)];
        scene.line(ends, 1.5, Colour::GRID);
        let at = (x(tick), plot.bottom + 28.0);
        scene.text(TextLine::new(label, at, SMALL).align(Align::Centre));
    }
    let corners = vec![(plot.left, plot.bottom), (plot.right, plot.bottom)];
    scene.line(corners, 2.5, Colour::GREY);
    scene.dashed((x(1.0), plot.top), (x(1.0), plot.bottom), 4.0, Colour::INK);
    let title = "less  ←  change  →  more";
    let at = (f64::midpoint(plot.left, plot.right), plot.bottom + 66.0);
    scene.text(TextLine::new(title, at, 27.0).align(Align::Centre));
}

/// The interval as a line with its estimate; without an end it reaches to that of the scale.
fn interval(scene: &mut Scene, plot: Rect, scale: Scale, y: f64, change: &Change) {
    let (marker, colour) = style(change);
    if change.low.is_none() && change.high.is_none() {
        return;
    }
    let (bottom, top) = scale.ends();
    let x = |v: f64| plot.left + scale.unit(v) * plot.width();
    let (from, to) = (
        x(change.low.unwrap_or(bottom)),
        x(change.high.unwrap_or(top)),
    );
    scene.line(vec![(from, y), (to, y)], 8.0, colour.pale(0.6));
    for (end, at) in [(change.low, from), (change.high, to)] {
        if end.is_some() {
            scene.line(vec![(at, y - 14.0), (at, y + 14.0)], 4.0, colour.pale(0.6));
        }
    }
    if let Some(ratio) = change.ratio {
        point(scene, marker, (x(ratio), y), 13.0, colour);
    }
}

/// The breakpoint against the size, the law with its band, and the forecast.
fn sizes(record: &CompareRecord, scaling: &Scaling) -> Scene {
    let mut scene = Scene::default();
    let slo = record.slo.join(", ");
    let subtitle = format!(
        "SLO {slo}  ·  scales up to {}  ·  forecast {}",
        peak_text(&scaling.peak_size),
        forecast_text(record.unit, &scaling.forecast, record.confidence)
    );
    let keys = [
        (
            Key::Point(Marker::Circle, BLUE),
            "found, with its interval".to_owned(),
        ),
        (Key::Line(GREEN), "scaling law".to_owned()),
        (
            Key::Area(SKY.pale(0.38)),
            format!("its {:.0} % band", 100.0 * record.confidence),
        ),
        (Key::Point(Marker::Diamond, ORANGE), "forecast".to_owned()),
        (Key::Dashes(Colour::GREY), "linear from size 1".to_owned()),
    ];
    let room = framed(
        &mut scene,
        scaling_heading(record, scaling),
        subtitle,
        &keys,
    );
    let tops = scaling.curve.iter().map(|p| p.high);
    let tops = tops.chain(scaling.points.iter().map(|p| p.high));
    let spec = Spec {
        room,
        title: format!("breakpoint, {}", record.unit.name()),
        x: Axis {
            scale: Scale::from_zero([scaling.forecast.size]),
            quantity: Quantity::Count,
        },
        y: Axis {
            scale: Scale::from_zero(tops),
            quantity: Quantity::Count,
        },
        x_title: Some("size (instances, cores)".to_owned()),
        flags: peak_flag(scaling).into_iter().collect(),
        limits: Vec::new(),
        band: None,
        area: None,
        spans: Vec::new(),
        right_room: 40.0,
    };
    let panel = Panel::draw(&mut scene, &spec);
    law(&mut scene, &panel, scaling);
    for p in &scaling.points {
        bar(&mut scene, &panel, (p.size, p.low, p.high), BLUE);
        point(
            &mut scene,
            Marker::Circle,
            panel.at(p.size, p.breakpoint),
            12.0,
            BLUE,
        );
    }
    let f = &scaling.forecast;
    bar(&mut scene, &panel, (f.size, f.low, f.high), ORANGE);
    point(
        &mut scene,
        Marker::Diamond,
        panel.at(f.size, f.estimate),
        13.0,
        ORANGE,
    );
    scene
}

/// The scaling law with its band, over what is proportional to the size.
fn law(scene: &mut Scene, panel: &Panel, scaling: &Scaling) {
    let side = |of: fn(&crate::record::ForecastPoint) -> f64| -> Vec<(f64, f64)> {
        let at = |p| panel.at(p, 0.0).0;
        scaling
            .curve
            .iter()
            .map(|p| (at(p.size), panel.py(of(p))))
            .collect()
    };
    let mut area = side(|p| p.high);
    area.extend(side(|p| p.low).into_iter().rev());
    scene.polygon(area, SKY.pale(0.38));
    proportional(scene, panel, scaling);
    scene.line(side(|p| p.estimate), 5.0, GREEN);
}

fn bar(scene: &mut Scene, panel: &Panel, (size, low, high): (f64, f64, f64), colour: Colour) {
    scene.line(vec![panel.at(size, low), panel.at(size, high)], 5.0, colour);
}

/// What size 1 carries, times the size, as far as the plot reaches.
fn proportional(scene: &mut Scene, panel: &Panel, scaling: &Scaling) {
    let Some(lambda) = scaling.lambda.estimate.filter(|l| *l > 0.0) else {
        return;
    };
    let top = scaling.curve.iter().map(|p| p.high).fold(0.0, f64::max);
    let end = scaling.forecast.size.min(top / lambda);
    scene.dashed(
        panel.at(0.0, 0.0),
        panel.at(end, lambda * end),
        3.5,
        Colour::GREY,
    );
}

fn peak_flag(scaling: &Scaling) -> Option<RuleLine> {
    let at = scaling.peak_size.estimate?;
    Some(RuleLine {
        at,
        text: format!("scales up to size {at:.1}"),
        colour: VERMILION,
        dashed: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{self, Design, Named};
    use crate::samples;

    fn drawn(design: &Design, factors: &[f64], name: &str) -> Scene {
        let runs: Vec<Named> = (1..)
            .zip(factors)
            .map(|(i, factor)| {
                let mut record = samples::found();
                for (level, _) in &mut record.answer.distribution {
                    *level *= factor;
                }
                for end in [&mut record.answer.ci_low, &mut record.answer.ci_high] {
                    *end = end.map(|e| crate::measure::Level::nearest(f64::from(e) * factor).0);
                }
                Named {
                    name: format!("{name} {i}"),
                    record,
                    size: Some(f64::from(i)),
                }
            })
            .collect();
        chart(&compare::compare(&runs, design, &[], String::new()).unwrap())
    }

    #[test]
    fn no_label_overlaps_another_or_leaves_the_picture() {
        for (design, factors) in [
            (Design::EachWithFirst, &[1.0, 1.0][..]),
            (Design::EachWithFirst, &[1.0, 1.1, 0.3, 4.0, 1.02]),
            (Design::Sizes, &[1.0, 1.9, 2.6]),
            (Design::Sizes, &[1.0, 2.0, 3.0, 4.0]),
            (Design::Sizes, &[1.0, 1.8, 2.2, 1.9]),
        ] {
            for name in ["run", &"a-very-long-name-of-a-folder".repeat(6)] {
                let spoiled = drawn(&design, factors, name).spoiled_labels();
                assert!(spoiled.is_empty(), "{design:?} {factors:?}: {spoiled:#?}");
            }
        }
    }
}
