//! The laboratory's pictures: errors around the truth per method, and error against cost.

use super::axis::{Quantity, Scale};
use super::panel::{Axis, Panel, SMALL, Spec};
use super::scene::{Align, Colour, Rect, Scene, TextLine, text_width};
use super::{BLUE, GREEN, Key, Marker, ORANGE, PURPLE, SKY, VERMILION, framed, no_data, point};
use crate::report::lab::found::{LabReport, LabSystem};
use crate::report::lab::summary::LabRow;

/// Most lines in one picture; more go to a picture per system.
const MOST_LINES: usize = 20;

/// The pictures with the names of their files.
pub(in crate::report) fn charts(report: &LabReport, rows: &[LabRow]) -> Vec<(String, Scene)> {
    let rows: Vec<&LabRow> = rows.iter().filter(|r| r.truth_vus.is_some()).collect();
    let one_picture = report.systems.len() == 1 || rows.len() <= MOST_LINES;
    if one_picture {
        let (title, truth) = match report.systems.as_slice() {
            [one] => (heading(one), one.truth.text()),
            many => (
                format!("{} systems", many.len()),
                "each with its own truth".to_owned(),
            ),
        };
        let named = report.systems.len() > 1;
        return vec![
            (
                "lab-errors.png".to_owned(),
                errors(&title, &truth, &rows, named),
            ),
            (
                "lab-cost.png".to_owned(),
                cost(&title, &truth, &rows, named),
            ),
        ];
    }
    let mut charts = Vec::new();
    for system in &report.systems {
        let of: Vec<&LabRow> = rows
            .iter()
            .copied()
            .filter(|r| r.system == system.name)
            .collect();
        let (title, truth) = (heading(system), system.truth.text());
        let name = file_part(&system.name);
        charts.push((
            format!("lab-errors-{name}.png"),
            errors(&title, &truth, &of, false),
        ));
        charts.push((
            format!("lab-cost-{name}.png"),
            cost(&title, &truth, &of, false),
        ));
    }
    charts
}

fn heading(system: &LabSystem) -> String {
    if system.title.is_empty() || system.title == system.name {
        system.name.clone()
    } else {
        format!("{}: {}", system.name, system.title)
    }
}

fn file_part(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '-' {
                c
            } else {
                '-'
            }
        })
        .collect()
}

fn name(row: &LabRow, with_system: bool) -> String {
    if with_system {
        format!("{}  {}", row.system, row.method)
    } else {
        row.method.to_owned()
    }
}

/// Shape and colour of a method.
fn style(method: &str) -> (Marker, Colour) {
    match method {
        "ours" => (Marker::Circle, GREEN),
        "bisect" => (Marker::Square, BLUE),
        "rfc2544" => (Marker::Diamond, BLUE),
        "stairs" => (Marker::Triangle, ORANGE),
        "ramp" => (Marker::Square, VERMILION),
        "ramp-cumulative" => (Marker::Diamond, VERMILION),
        "perf-analyzer" => (Marker::Triangle, PURPLE),
        "nighthawk" => (Marker::Circle, PURPLE),
        "mlr" => (Marker::Square, SKY),
        _ => (Marker::Diamond, SKY),
    }
}

/// Most of the errors lie within this share of the scale; the others are counted at its ends.
fn error_scale(rows: &[&LabRow]) -> Scale {
    let ends = rows
        .iter()
        .flat_map(|r| [0.02, 0.98].map(|q| r.error_quantile_pct(q)))
        .flatten()
        .filter(|e| e.is_finite());
    let (low, high) = ends.fold((-5.0_f64, 5.0_f64), |(a, b), e| (a.min(e), b.max(e)));
    let pad = 0.05 * (high - low);
    Scale::Linear(
        ((low - pad) / 100.0).max(-1.0),
        ((high + pad) / 100.0).min(1.5),
    )
}

fn errors(title: &str, truth: &str, rows: &[&LabRow], with_system: bool) -> Scene {
    let mut scene = Scene::default();
    let keys = [
        (
            Key::Point(Marker::Circle, BLUE.pale(0.5)),
            "one run".to_owned(),
        ),
        (Key::Area(SKY.pale(0.45)), "middle half".to_owned()),
        (Key::Line(Colour::INK), "median".to_owned()),
        (Key::Dashes(GREEN), "truth".to_owned()),
        (
            Key::Words,
            "right: median, and mean absolute error".to_owned(),
        ),
    ];
    let what = format!("error of the reported level, % of the true breakpoint: {truth}");
    let room = framed(&mut scene, title.to_owned(), what, &keys);
    if rows.is_empty() {
        no_data(&mut scene, room, "no system here has a breakpoint");
        return scene;
    }
    let names: Vec<String> = rows.iter().map(|r| name(r, with_system)).collect();
    let widest = names
        .iter()
        .map(|n| text_width(n, SMALL, true))
        .fold(0.0, f64::max)
        .min(520.0);
    let plot = Rect {
        left: room.left + widest + 40.0,
        top: room.top + 20.0,
        right: room.right - 230.0,
        bottom: room.bottom - 90.0,
    };
    let scale = error_scale(rows);
    grid(&mut scene, plot, scale);
    #[expect(clippy::cast_precision_loss, reason = "a handful of lines")]
    let height = plot.height() / rows.len() as f64;
    for (row, name) in rows.iter().zip(&names) {
        let index = f64::from(u32::try_from(position(rows, row)).unwrap_or(0));
        let strip = Strip {
            plot,
            scale,
            middle: plot.top + height * (index + 0.5),
            half: (height * 0.36).min(46.0),
        };
        let label = TextLine::new(name, (plot.left - 16.0, strip.middle), SMALL)
            .align(Align::Right)
            .bold();
        scene.text(label.fit(widest, 14.0));
        strip.draw(&mut scene, row);
    }
    scene
}

fn position(rows: &[&LabRow], row: &LabRow) -> usize {
    rows.iter().position(|r| std::ptr::eq(*r, row)).unwrap_or(0)
}

fn grid(scene: &mut Scene, plot: Rect, scale: Scale) {
    let x = |v: f64| plot.left + scale.unit(v) * plot.width();
    for tick in scale.ticks(9, Quantity::Share.step_unit(1.0)) {
        scene.line(
            vec![(x(tick), plot.top), (x(tick), plot.bottom)],
            1.5,
            Colour::GRID,
        );
        let label = Quantity::Share.label(tick, 1.0);
        let label = if tick > 1e-9 {
            format!("+{label}")
        } else {
            label
        };
        scene.text(TextLine::new(label, (x(tick), plot.bottom + 28.0), SMALL).align(Align::Centre));
    }
    let corners = vec![(plot.left, plot.bottom), (plot.right, plot.bottom)];
    scene.line(corners, 2.5, Colour::GREY);
    scene.dashed((x(0.0), plot.top), (x(0.0), plot.bottom), 4.0, GREEN);
    let title = "below the truth  ←  error  →  above the truth";
    let at = (f64::midpoint(plot.left, plot.right), plot.bottom + 66.0);
    scene.text(TextLine::new(title, at, 27.0).align(Align::Centre));
}

/// The line of one method.
struct Strip {
    plot: Rect,
    scale: Scale,
    middle: f64,
    half: f64,
}

impl Strip {
    fn x(&self, error_pct: f64) -> f64 {
        self.plot.left + self.scale.unit(error_pct / 100.0) * self.plot.width()
    }

    fn draw(&self, scene: &mut Scene, row: &LabRow) {
        let quantile = |q| row.error_quantile_pct(q);
        let right = self.plot.right + 14.0;
        let (Some(low), Some(median), Some(high)) = (quantile(0.25), quantile(0.5), quantile(0.75))
        else {
            let text = TextLine::new("found nothing", (right, self.middle), 22.0);
            scene.text(text.colour(Colour::GREY));
            return;
        };
        let area = Rect {
            left: self.x(low) - 1.5,
            right: self.x(high) + 1.5,
            top: self.middle - self.half,
            bottom: self.middle + self.half,
        };
        scene.rect(area, SKY.pale(0.45));
        let radius = if row.errors_pct.len() > 150 { 3.5 } else { 5.5 };
        for (i, error) in row.errors_pct.iter().enumerate() {
            // Spread evenly over the strip's height, so that equal errors stay apart; the golden
            // ratio repeats nothing.
            #[expect(clippy::cast_precision_loss, reason = "a number of runs")]
            let spread = (i as f64 * 0.618_033_988_75).fract() - 0.5;
            let at = (self.x(*error), self.middle + spread * self.half * 1.7);
            let inside = self.scale.contains(error / 100.0);
            let (marker, colour) = if inside {
                (Marker::Circle, BLUE.pale(0.55))
            } else {
                (Marker::Triangle, VERMILION)
            };
            scene.polygon(super::outline(marker, at, radius), colour);
        }
        let x = self.x(median);
        let (top, bottom) = (self.middle - self.half, self.middle + self.half);
        scene.line(vec![(x, top), (x, bottom)], 5.0, Colour::INK);
        self.words(scene, row, median);
    }

    /// To the right of the plot: median, mean, and what the plot does not show.
    fn words(&self, scene: &mut Scene, row: &LabRow, median: f64) {
        let right = self.plot.right + 14.0;
        let size = 22.0;
        let mean = row.mean_abs_error_pct().unwrap_or_default();
        let beyond = row
            .errors_pct
            .iter()
            .filter(|e| !self.scale.contains(**e / 100.0))
            .count();
        let mut lines = vec![format!("{median:+.1} %, mean {mean:.1} %")];
        if row.found_runs < row.runs {
            lines.push(format!("{} of {} found", row.found_runs, row.runs));
        }
        if beyond > 0 {
            lines.push(format!("{beyond} beyond"));
        }
        // Where the strips are low only the first line has room.
        lines.truncate(if self.half > 30.0 { 3 } else { 1 });
        #[expect(clippy::cast_precision_loss, reason = "at most three")]
        let first = self.middle - (lines.len() as f64 - 1.0) * 13.0;
        for (i, line) in lines.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "at most three")]
            let y = first + i as f64 * 26.0;
            scene.text(TextLine::new(line, (right, y), size).fit(204.0, 14.0));
        }
    }
}

fn cost(title: &str, truth: &str, rows: &[&LabRow], with_system: bool) -> Scene {
    let mut scene = Scene::default();
    let what = format!("mean absolute error against simulated seconds per search: {truth}");
    let room = framed(&mut scene, title.to_owned(), what, &cost_keys(rows));
    let points: Vec<(&LabRow, f64, f64)> = rows
        .iter()
        .filter_map(|r| Some((*r, r.cost_s?, r.mean_abs_error_pct()? / 100.0)))
        .collect();
    if points.is_empty() {
        no_data(&mut scene, room, "no method reported a number");
        return scene;
    }
    let axis = |scale: Option<Scale>, quantity| Axis {
        scale: scale.unwrap_or(Scale::Linear(0.0, 1.0)),
        quantity,
    };
    let spec = Spec {
        room,
        title: "mean absolute error, % of the true breakpoint (log scale)".to_owned(),
        x: axis(
            Scale::log_around(points.iter().map(|p| p.1)),
            Quantity::Count,
        ),
        y: axis(
            Scale::log_around(points.iter().map(|p| p.2.max(1e-4))),
            Quantity::Share,
        ),
        x_title: Some("simulated seconds per search, everything included (log scale)".to_owned()),
        flags: Vec::new(),
        limits: Vec::new(),
        band: None,
        area: None,
        spans: Vec::new(),
        right_room: 40.0,
    };
    let panel = Panel::draw(&mut scene, &spec);
    let mut taken: Vec<Rect> = Vec::new();
    for (row, cost_s, error) in &points {
        let at = panel.at(*cost_s, error.max(1e-4));
        let (marker, colour) = style(row.method);
        point(&mut scene, marker, at, 13.0, colour);
        taken.push(around(at, 15.0));
    }
    for (row, cost_s, error) in &points {
        let at = panel.at(*cost_s, error.max(1e-4));
        if let Some(text) = free_label(&name(row, with_system), at, panel.plot, &taken) {
            taken.push(text.bounds());
            scene.text(text);
        }
    }
    scene
}

fn cost_keys(rows: &[&LabRow]) -> Vec<(Key, String)> {
    let mut keys: Vec<(Key, String)> = Vec::new();
    for row in rows {
        if !keys.iter().any(|(_, text)| text == row.method) {
            let (marker, colour) = style(row.method);
            keys.push((Key::Point(marker, colour), row.method.to_owned()));
        }
    }
    keys
}

fn around(at: (f64, f64), r: f64) -> Rect {
    Rect {
        left: at.0 - r,
        top: at.1 - r,
        right: at.0 + r,
        bottom: at.1 + r,
    }
}

/// A label beside its point where nothing else stands; none when everything around is taken: the
/// legend has it too.
fn free_label(name: &str, at: (f64, f64), plot: Rect, taken: &[Rect]) -> Option<TextLine> {
    let places = [
        ((24.0, 0.0), Align::Left),
        ((-24.0, 0.0), Align::Right),
        ((0.0, -32.0), Align::Centre),
        ((0.0, 32.0), Align::Centre),
        ((20.0, -28.0), Align::Left),
        ((20.0, 28.0), Align::Left),
        ((-20.0, -28.0), Align::Right),
        ((-20.0, 28.0), Align::Right),
    ];
    places
        .into_iter()
        .map(|((dx, dy), align)| TextLine::new(name, (at.0 + dx, at.1 + dy), 24.0).align(align))
        .find(|text| {
            let b = text.bounds();
            b.left > plot.left
                && b.right < plot.right
                && b.top > plot.top
                && b.bottom < plot.bottom
                && taken.iter().all(|t| !meets(&b, t))
        })
}

fn meets(a: &Rect, b: &Rect) -> bool {
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::lab::found::{LabRun, LabTruth};
    use crate::report::lab::summary::rows;

    const METHODS: [&str; 10] = [
        "ours",
        "bisect",
        "rfc2544",
        "stairs",
        "ramp",
        "ramp-cumulative",
        "perf-analyzer",
        "nighthawk",
        "mlr",
        "mlr-long",
    ];

    /// Thirty runs of each method, the later methods the worse; every fifth of the last finds
    /// nothing.
    fn system(name: &str, truth: Option<u32>, methods: &[&'static str]) -> LabSystem {
        let mut runs = Vec::new();
        for (i, method) in (0..).zip(methods) {
            for run in 0..30_u32 {
                let found = i < 9 || run % 5 > 0;
                runs.push(LabRun {
                    method,
                    run,
                    seed: 1,
                    ending: if found { "found" } else { "none" },
                    vus: found.then_some(1000 + run * (i + 1) - 10 * i),
                    interval: None,
                    cost_s: 600.0 + f64::from(i),
                    visits: 9,
                    named_as_expected: None,
                    without_reserve: true,
                    cpu_ms: 1.0,
                });
            }
        }
        LabSystem {
            name: name.to_owned(),
            title: "servers ".repeat(30),
            slo: vec!["p99<2s".to_owned()],
            truth: LabTruth {
                unit: crate::measure::LevelUnit::Vus,
                vus: truth,
                from_above_vus: Some(900),
                se_pct: 0.17,
                how: "simulated".to_owned(),
            },
            budget_s: 900.0,
            runs,
        }
    }

    fn drawn(systems: Vec<LabSystem>) -> Vec<(String, Scene)> {
        let report = LabReport {
            systems,
            precision: 0.05,
        };
        charts(&report, &rows(&report))
    }

    #[test]
    fn no_label_overlaps_another_or_leaves_the_picture() {
        let many: Vec<LabSystem> = (0..19)
            .map(|i| system(&format!("a-system-{i}"), Some(1000), &METHODS[..1]))
            .collect();
        for (what, systems) in [
            ("one", vec![system("a", Some(1000), &METHODS)]),
            ("never breaks", vec![system("a", None, &METHODS)]),
            ("many", many),
            ("nothing", Vec::new()),
        ] {
            for (name, scene) in drawn(systems) {
                let spoiled = scene.spoiled_labels();
                assert!(spoiled.is_empty(), "{name} of {what}: {spoiled:#?}");
            }
        }
    }

    #[test]
    fn many_lines_go_to_a_picture_per_system() {
        let names =
            |systems| -> Vec<String> { drawn(systems).into_iter().map(|(n, _)| n).collect() };
        let one = || system("a", Some(1000), &METHODS);
        assert_eq!(names(vec![one()]), ["lab-errors.png", "lab-cost.png"]);
        let three = vec![
            one(),
            system("b c", Some(1000), &METHODS),
            system("d", Some(9), &METHODS),
        ];
        let names = names(three);
        assert_eq!(names.len(), 6);
        assert!(names.contains(&"lab-cost-b-c.png".to_owned()), "{names:?}");
    }
}
