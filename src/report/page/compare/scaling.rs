//! The scaling law: its parameters, and what it says beside what was found.

use super::super::{Cell, Column, Fact, Part, Section, Table};
use crate::record::{CompareRecord, ForecastPoint, Scaling};
use crate::report::compare::{self, count};

pub(super) fn section(record: &CompareRecord, scaling: &Scaling) -> Section {
    Section {
        title: "The scaling law",
        parts: vec![
            Part::Facts(law(record, scaling)),
            Part::Table(sizes(record, scaling)),
        ],
    }
}

fn law(record: &CompareRecord, scaling: &Scaling) -> Vec<Fact> {
    vec![
        Fact::new("Per unit", compare::of_one(record, scaling)),
        Fact::new("Contention", compare::contention(scaling)),
        Fact::new("Coherency", compare::coherency(scaling)),
    ]
}

/// What was found at each size, and what the law says of it.
fn sizes(record: &CompareRecord, scaling: &Scaling) -> Table {
    let ends = |low: f64, high: f64| Cell::text(format!("{} – {}", count(low), count(high)));
    let law = |point: Option<ForecastPoint>| match point {
        Some(p) => [
            Cell::number(p.estimate, count(p.estimate)),
            ends(p.low, p.high),
        ],
        None => [Cell::default(), Cell::default()],
    };
    let size = |size: f64| Cell::number(size, compare::size(size));
    let found = scaling.points.iter().map(|p| {
        let name = record.runs.get(p.run).map_or("", |r| &r.name);
        let cells = [
            size(p.size),
            Cell::number(p.breakpoint, count(p.breakpoint)),
            ends(p.low, p.high),
        ];
        let run = [Cell::text(name)];
        cells
            .into_iter()
            .chain(law(on_curve(&scaling.curve, p.size)))
            .chain(run)
            .collect()
    });
    let forecast = [
        size(scaling.forecast.size),
        Cell::default(),
        Cell::default(),
    ];
    let forecast = forecast
        .into_iter()
        .chain(law(Some(scaling.forecast)))
        .chain([Cell::text("forecast")])
        .collect();
    let unit = record.unit.name();
    Table {
        caption: "Breakpoint of each size, found and by the scaling law".to_owned(),
        head: vec![
            Column::number("size"),
            Column::number(format!("found, {unit}")),
            Column::text("interval"),
            Column::number(format!("law, {unit}")),
            Column::text("band"),
            Column::text("run"),
        ],
        rows: found.chain([forecast]).collect(),
    }
}

/// What the law says of a size: between the points of its curve, which lie close to each other, in
/// a straight line.
fn on_curve(curve: &[ForecastPoint], size: f64) -> Option<ForecastPoint> {
    let around = curve.windows(2).find_map(|pair| match pair {
        [a, b] if a.size <= size && size <= b.size && a.size < b.size => Some((a, b)),
        _ => None,
    });
    let (a, b) = around?;
    let share = (size - a.size) / (b.size - a.size);
    let between = |of: fn(&ForecastPoint) -> f64| of(a) + share * (of(b) - of(a));
    Some(ForecastPoint {
        size,
        estimate: between(|p| p.estimate),
        low: between(|p| p.low),
        high: between(|p| p.high),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_is_read_between_the_points_of_its_curve() {
        let point = |size: f64| ForecastPoint {
            size,
            estimate: 100.0 * size,
            low: 90.0 * size,
            high: 120.0 * size,
        };
        let curve = [point(1.0), point(1.5), point(4.0)];
        let read = on_curve(&curve, 2.0).unwrap();
        assert_eq!((read.estimate, read.low, read.high), (200.0, 180.0, 240.0));
        assert_eq!(on_curve(&curve, 4.0), Some(point(4.0)));
        assert_eq!(on_curve(&curve, 5.0), None);
    }
}
