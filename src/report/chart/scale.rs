//! A sizing as a picture: capacity against size with the band over all laws.

use super::axis::{Quantity, Scale};
use super::panel::{Axis, Panel, RuleLine, Spec};
use super::scene::{Colour, Scene};
use super::{BLUE, GREEN, Key, Marker, ORANGE, SKY, VERMILION, framed, point};
use crate::record::{ForecastPoint, ScaleRecord, SizeUnitRecord};
use crate::report::scale::{axis, forecast_text, headline, helps_text, is_too_wide};

/// A band that says nothing has no point in it.
fn key_of_forecast(record: &ScaleRecord) -> (Key, String) {
    match &record.forecast {
        Some(forecast) if is_too_wide(forecast) => {
            (Key::Line(ORANGE), "band of the forecast".to_owned())
        }
        _ => (Key::Point(Marker::Diamond, ORANGE), "forecast".to_owned()),
    }
}

pub(in crate::report) fn chart(record: &ScaleRecord) -> Scene {
    let mut scene = Scene::default();
    let forecast = record.forecast.as_ref();
    let forecast = forecast.map_or_else(String::new, |p| {
        format!("  ·  forecast {}", forecast_text(record, p))
    });
    let subtitle = format!("helps up to {}{forecast}", helps_text(record));
    let keys = [
        (
            Key::Point(Marker::Circle, BLUE),
            "found, with its interval".to_owned(),
        ),
        (Key::Line(GREEN), "median of all laws".to_owned()),
        (
            Key::Area(SKY.pale(0.38)),
            format!("{:.0} % band of all laws", 100.0 * record.confidence),
        ),
        key_of_forecast(record),
        (
            Key::Dashes(Colour::GREY),
            "linear from the smallest".to_owned(),
        ),
    ];
    let room = framed(&mut scene, headline(record), subtitle, &keys);
    let tops = record.curve.iter().map(|p| p.high);
    let tops = tops.chain(record.sizes.iter().filter_map(|s| s.high));
    let top = tops.fold(1.0, f64::max);
    let widest = record.sizes.iter().map(|s| s.number);
    let widest = widest
        .chain(record.forecast.iter().map(|p| p.size))
        .fold(0.0, f64::max);
    let bytes = record.size_unit == SizeUnitRecord::Bytes;
    let (quantity, x_title) = if bytes {
        (Quantity::Bytes, "size (memory)")
    } else {
        (Quantity::Count, "size (units, cores)")
    };
    let spec = Spec {
        room,
        title: axis(record.unit),
        x: Axis {
            scale: Scale::from_zero([widest]),
            quantity,
        },
        y: Axis {
            scale: Scale::from_zero([top]),
            quantity: Quantity::Count,
        },
        x_title: Some(x_title.to_owned()),
        flags: flag(record, widest).into_iter().collect(),
        limits: Vec::new(),
        band: None,
        area: None,
        spans: Vec::new(),
        right_room: 40.0,
    };
    let panel = Panel::draw(&mut scene, &spec);
    law(&mut scene, &panel, record, (widest, top));
    found(&mut scene, &panel, record);
    scene
}

/// What was found at each size, and the forecast.
fn found(scene: &mut Scene, panel: &Panel, record: &ScaleRecord) {
    for size in &record.sizes {
        if let (Some(found), Some(low), Some(high)) = (size.breakpoint, size.low, size.high) {
            let ends = vec![panel.at(size.number, low), panel.at(size.number, high)];
            scene.line(ends, 5.0, BLUE);
            point(
                scene,
                Marker::Circle,
                panel.at(size.number, found),
                12.0,
                BLUE,
            );
        }
    }
    if let Some(p) = &record.forecast {
        let ends = vec![panel.at(p.size, p.low), panel.at(p.size, p.high)];
        scene.line(ends, 5.0, ORANGE);
        if !is_too_wide(p) {
            point(
                scene,
                Marker::Diamond,
                panel.at(p.size, p.estimate),
                13.0,
                ORANGE,
            );
        }
    }
}

fn law(scene: &mut Scene, panel: &Panel, record: &ScaleRecord, (widest, top): (f64, f64)) {
    let side = |of: fn(&ForecastPoint) -> f64| -> Vec<(f64, f64)> {
        let points = record.curve.iter();
        points.map(|p| panel.at(p.size, of(p))).collect()
    };
    if record.curve.is_empty() {
        return;
    }
    let mut area = side(|p| p.high);
    area.extend(side(|p| p.low).into_iter().rev());
    scene.polygon(area, SKY.pale(0.38));
    let first = record
        .sizes
        .iter()
        .find_map(|s| Some(s.breakpoint? / s.number));
    if let Some(slope) = first.filter(|s| *s > 0.0) {
        let end = widest.min(top / slope);
        let to = panel.at(end, slope * end);
        scene.dashed(panel.at(0.0, 0.0), to, 3.5, Colour::GREY);
    }
    scene.line(side(|p| p.estimate), 5.0, GREEN);
}

/// Where more hardly helps, if the picture reaches so far.
fn flag(record: &ScaleRecord, widest: f64) -> Option<RuleLine> {
    let at = record.helps_up_to?.estimate.filter(|at| *at <= widest)?;
    Some(RuleLine {
        at,
        text: "more hardly helps".to_owned(),
        colour: VERMILION,
        dashed: true,
    })
}
