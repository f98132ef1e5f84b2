//! One coordinate system: its ticks, grid, lines across, and labels that keep out of each other's
//! way.
//!
//! Labels of vertical lines stand in rows above the plot, those of horizontal lines to its right:
//! data cannot hide them.

use super::axis::{Quantity, Scale};
use super::clip;
use super::scene::{Align, Colour, Rect, Scene, TextLine, text_width};

/// Size of tick labels and line labels.
pub(super) const SMALL: f64 = 25.0;
/// Size of titles of panels and axes.
const TITLE: f64 = 27.0;
const LEFT: f64 = 136.0;
const ROW: f64 = 36.0;
const MOST_ROWS: usize = 3;

/// A scale and what it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) quantity: Quantity,
}

/// A line across the plot with its label, at an x (flag) or a y (limit).
#[derive(Debug, Clone)]
pub(super) struct RuleLine {
    pub(super) at: f64,
    pub(super) text: String,
    pub(super) colour: Colour,
    pub(super) dashed: bool,
}

/// A shaded range of x.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) colour: Colour,
}

/// A shaded range of x with a name above the plot.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) from: f64,
    pub(super) to: f64,
    /// Empty where another one of its kind has the name.
    pub(super) text: String,
    pub(super) colour: Colour,
}

impl Span {
    /// Its name as if it were that of a line in its middle, so that both keep out of each other's
    /// way.
    fn flag(&self, scale: Scale) -> RuleLine {
        let (low, high) = scale.ends();
        RuleLine {
            at: f64::midpoint(self.from.max(low), self.to.min(high)),
            text: self.text.clone(),
            colour: self.colour,
            dashed: false,
        }
    }
}

/// A band between two curves: positions by ascending x, with its lower and its upper end.
#[derive(Debug, Clone)]
pub(super) struct Area {
    pub(super) points: Vec<(f64, f64, f64)>,
    pub(super) colour: Colour,
    /// Its colour where it lies on the panel's [`Spec::band`]: shapes are opaque.
    pub(super) on_band: Colour,
}

/// What a panel shows apart from its data.
pub(super) struct Spec {
    pub(super) room: Rect,
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// The x axis' name; none for a panel that stands on another.
    pub(super) x_title: Option<String>,
    pub(super) flags: Vec<RuleLine>,
    pub(super) limits: Vec<RuleLine>,
    pub(super) band: Option<Band>,
    /// Below everything else, so that grid and lines stay visible.
    pub(super) area: Option<Area>,
    /// Below everything else too.
    pub(super) spans: Vec<Span>,
    /// Room to keep free to the right of the plot, besides that of the limits' labels.
    pub(super) right_room: f64,
}

/// A drawn coordinate system, ready for data.
pub(super) struct Panel {
    pub(super) plot: Rect,
    x: Scale,
    y: Scale,
}

impl Panel {
    /// Draws everything but the data.
    pub(super) fn draw(scene: &mut Scene, spec: &Spec) -> Self {
        let flags = on_scale(&spec.flags, spec.x.scale);
        let limits = on_scale(&spec.limits, spec.y.scale);
        let area = spec.room;
        let widest = limits
            .iter()
            .map(|l| text_width(&l.text, SMALL, true))
            .fold(0.0, f64::max);
        let (left, right) = (
            area.left + LEFT,
            area.right - (widest + 20.0).max(52.0).max(spec.right_room),
        );
        let spans = spans_on(&spec.spans, spec.x.scale);
        let names = spans.iter().map(|s| s.flag(spec.x.scale));
        let labels: Vec<RuleLine> = flags.iter().cloned().chain(names).collect();
        let rows = flag_rows(&labels, spec.x.scale, left, right);
        let used = labels
            .iter()
            .zip(&rows)
            .filter(|(f, _)| !f.text.is_empty())
            .map(|(_, (row, _))| row + 1)
            .max()
            .unwrap_or(0);
        let plot = Rect {
            left,
            top: area.top + 54.0 + ROW * row_count(used),
            right,
            bottom: area.bottom - if spec.x_title.is_some() { 86.0 } else { 44.0 },
        };
        let panel = Self {
            plot,
            x: spec.x.scale,
            y: spec.y.scale,
        };
        let title = TextLine::new(&spec.title, (area.left + 8.0, area.top + 20.0), TITLE).bold();
        scene.text(title.fit(area.width() - 16.0, 20.0));
        panel.spans(scene, &spans);
        let band = panel.band(scene, spec.band);
        panel.area(scene, spec.area.as_ref(), band);
        panel.grid(scene, spec);
        panel.flags(scene, (&flags, &labels), &rows);
        panel.limits(scene, &limits);
        panel
    }

    /// Where a value pair lies; beyond the ends it is put at them.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.px(x), self.py(y))
    }

    pub(super) fn px(&self, x: f64) -> f64 {
        self.plot.left + self.x.unit(x) * self.plot.width()
    }

    pub(super) fn py(&self, y: f64) -> f64 {
        self.plot.bottom - self.y.unit(y) * self.plot.height()
    }

    /// A horizontal line across the plot, its label beginning at `label_x`.
    pub(super) fn mark(&self, scene: &mut Scene, mark: &RuleLine, label_x: f64) {
        let y = self.py(mark.at);
        stroke(scene, mark, (self.plot.left, y), (self.plot.right, y));
        let text = TextLine::new(&mark.text, (label_x, y), SMALL).bold();
        scene.text(text.colour(mark.colour));
    }

    /// Says that there is nothing to draw.
    pub(super) fn no_data(&self, scene: &mut Scene, why: &str) {
        let middle = (
            f64::midpoint(self.plot.left, self.plot.right),
            f64::midpoint(self.plot.top, self.plot.bottom),
        );
        let text = TextLine::new(why, middle, 28.0)
            .align(Align::Centre)
            .colour(Colour::GREY);
        scene.text(text.fit(self.plot.width() - 20.0, 18.0));
    }

    fn band(&self, scene: &mut Scene, band: Option<Band>) -> Option<Rect> {
        let band = band?;
        let rect = self.upright(band.from, band.to);
        scene.rect(rect, band.colour);
        Some(rect)
    }

    /// A range of x over the whole height; a narrow one still has to be seen.
    fn upright(&self, from: f64, to: f64) -> Rect {
        let (from, to) = (self.px(from), self.px(to));
        let pad = ((3.0 - (to - from)) / 2.0).max(0.0);
        Rect {
            left: (from - pad).max(self.plot.left),
            right: (to + pad).min(self.plot.right),
            ..self.plot
        }
    }

    fn spans(&self, scene: &mut Scene, spans: &[Span]) {
        for span in spans {
            scene.rect(self.upright(span.from, span.to), span.colour.pale(0.13));
        }
        self.edges(scene, spans);
    }

    /// The sides of spans: those that overlap, or that something was drawn on, are told apart by
    /// them.
    pub(super) fn edges(&self, scene: &mut Scene, spans: &[Span]) {
        for span in &spans_on(spans, self.x) {
            let rect = self.upright(span.from, span.to);
            for x in [rect.left, rect.right] {
                let edge = vec![(x, rect.top), (x, rect.bottom)];
                scene.line(edge, 2.0, span.colour.pale(0.45));
            }
        }
    }

    fn area(&self, scene: &mut Scene, area: Option<&Area>, band: Option<Rect>) {
        let Some(area) = area else { return };
        let place = |x: f64, y: f64| self.beyond(x, y);
        let there = area.points.iter().map(|(x, low, _)| place(*x, *low));
        let back = area
            .points
            .iter()
            .rev()
            .map(|(x, _, high)| place(*x, *high));
        let outline: Vec<(f64, f64)> = there.chain(back).collect();
        scene.polygon(clip::polygon(&outline, &self.plot), area.colour);
        if let Some(band) = band {
            scene.polygon(clip::polygon(&outline, &band), area.on_band);
        }
    }

    /// A curve through value pairs by ascending x; what lies beyond the ends of the scales is left
    /// out.
    pub(super) fn curve(
        &self,
        scene: &mut Scene,
        points: &[(f64, f64)],
        width: f64,
        colour: Colour,
    ) {
        let placed: Vec<(f64, f64)> = points.iter().map(|(x, y)| self.beyond(*x, *y)).collect();
        for piece in clip::line(&placed, &self.plot) {
            scene.line(piece, width, colour);
        }
    }

    /// Where a value pair lies, also beyond the ends of the scales.
    fn beyond(&self, x: f64, y: f64) -> (f64, f64) {
        (
            self.plot.left + self.x.place(x) * self.plot.width(),
            self.plot.bottom - self.y.place(y) * self.plot.height(),
        )
    }

    fn grid(&self, scene: &mut Scene, spec: &Spec) {
        let p = self.plot;
        for (y, label) in self.y_ticks(spec.y) {
            scene.line(vec![(p.left, y), (p.right, y)], 1.5, Colour::GRID);
            let text = TextLine::new(label, (p.left - 14.0, y), SMALL).align(Align::Right);
            scene.text(text.fit(LEFT - 20.0, 14.0));
        }
        for (x, label) in self.x_ticks(spec.x) {
            scene.line(vec![(x, p.top), (x, p.bottom)], 1.5, Colour::GRID);
            scene.line(vec![(x, p.bottom), (x, p.bottom + 8.0)], 2.0, Colour::GREY);
            scene.text(TextLine::new(label, (x, p.bottom + 28.0), SMALL).align(Align::Centre));
        }
        let corners = vec![(p.left, p.top), (p.left, p.bottom), (p.right, p.bottom)];
        scene.line(corners, 2.5, Colour::GREY);
        if let Some(title) = &spec.x_title {
            let middle = (f64::midpoint(p.left, p.right), p.bottom + 66.0);
            scene.text(TextLine::new(title, middle, TITLE).align(Align::Centre));
        }
    }

    fn y_ticks(&self, axis: Axis) -> Vec<(f64, String)> {
        let top = axis.scale.ends().1;
        let unit = axis.quantity.step_unit(top);
        let place = |count: u32| -> Vec<(f64, String)> {
            let ticks = axis.scale.ticks(count, unit);
            let label = |t: &f64| (self.py(*t), axis.quantity.label(*t, top));
            ticks.iter().map(label).collect()
        };
        thinned(place, 7, |a, b| (a.0 - b.0).abs() > SMALL * 1.5)
    }

    fn x_ticks(&self, axis: Axis) -> Vec<(f64, String)> {
        let top = axis.scale.ends().1;
        let unit = axis.quantity.step_unit(top);
        let place = |count: u32| -> Vec<(f64, String)> {
            let ticks = axis.scale.ticks(count, unit);
            let label = |t: &f64| (self.px(*t), axis.quantity.label(*t, top));
            ticks.iter().map(label).collect()
        };
        thinned(place, 10, |a, b| {
            let width = |text: &str| text_width(text, SMALL, false);
            (a.0 - b.0).abs() > f64::midpoint(width(&a.1), width(&b.1)) + 24.0
        })
    }

    /// Lines with their names, and behind them in `labels` names without a line.
    fn flags(
        &self,
        scene: &mut Scene,
        (flags, labels): (&[RuleLine], &[RuleLine]),
        rows: &[(usize, f64)],
    ) {
        let row_y = |row: usize| self.plot.top - 18.0 - ROW * row_count(row);
        // Lines first: a label's white ground then covers the lines that pass behind it.
        for (flag, (row, _)) in flags.iter().zip(rows) {
            let x = self.px(flag.at);
            let top = if flag.text.is_empty() {
                self.plot.top
            } else {
                row_y(*row)
            };
            let (from, to) = ((x, top), (x, self.plot.bottom));
            stroke(scene, flag, from, to);
        }
        // A name in a higher row hangs on a thread, which says whose it is.
        let names = labels.iter().zip(rows).skip(flags.len());
        for (name, (row, middle)) in names.filter(|(l, (row, _))| *row > 0 && !l.text.is_empty()) {
            let thread = vec![(*middle, row_y(*row)), (*middle, self.plot.top)];
            scene.line(thread, 2.0, name.colour.pale(0.45));
        }
        for (flag, (row, middle)) in labels.iter().zip(rows) {
            let text = TextLine::new(&flag.text, (*middle, row_y(*row)), SMALL)
                .align(Align::Centre)
                .bold()
                .colour(flag.colour);
            if !flag.text.is_empty() {
                scene.label(text.fit(self.plot.width(), 14.0));
            }
        }
    }

    fn limits(&self, scene: &mut Scene, limits: &[RuleLine]) {
        let mut marks: Vec<(f64, &RuleLine)> = limits.iter().map(|l| (self.py(l.at), l)).collect();
        marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut ys: Vec<f64> = marks.iter().map(|(y, _)| *y).collect();
        spread(&mut ys, SMALL * 1.2);
        for ((y, mark), label_y) in marks.iter().zip(ys) {
            stroke(scene, mark, (self.plot.left, *y), (self.plot.right, *y));
            let at = (self.plot.right + 12.0, label_y);
            let text = TextLine::new(&mark.text, at, SMALL)
                .bold()
                .colour(mark.colour);
            scene.text(text);
        }
    }
}

fn stroke(scene: &mut Scene, mark: &RuleLine, from: (f64, f64), to: (f64, f64)) {
    if mark.dashed {
        scene.dashed(from, to, 3.5, mark.colour);
    } else {
        scene.line(vec![from, to], 4.0, mark.colour);
    }
}

fn on_scale(marks: &[RuleLine], scale: Scale) -> Vec<RuleLine> {
    marks
        .iter()
        .filter(|m| scale.contains(m.at))
        .cloned()
        .collect()
}

/// Those of which a part lies on the scale.
fn spans_on(spans: &[Span], scale: Scale) -> Vec<Span> {
    let (low, high) = scale.ends();
    let shown = |s: &&Span| s.from <= high && s.to >= low && s.from <= s.to;
    spans.iter().filter(shown).cloned().collect()
}

/// Ticks as many as can stand without touching; fewer are tried until they do.
fn thinned(
    place: impl Fn(u32) -> Vec<(f64, String)>,
    most: u32,
    apart: impl Fn(&(f64, String), &(f64, String)) -> bool,
) -> Vec<(f64, String)> {
    (1..=most)
        .rev()
        .map(&place)
        .find(|ticks| ticks.windows(2).all(|pair| apart(&pair[0], &pair[1])))
        .unwrap_or_else(|| place(1).into_iter().take(1).collect())
}

/// For each flag the row above the plot (0 = lowest) and the middle of its label, so that no two
/// overlap.
fn flag_rows(flags: &[RuleLine], scale: Scale, left: f64, right: f64) -> Vec<(usize, f64)> {
    let mut taken: Vec<(usize, f64, f64)> = Vec::new();
    let mut places = Vec::new();
    for flag in flags {
        let half = text_width(&flag.text, SMALL, true).min(right - left) / 2.0 + 8.0;
        let wish = left + scale.unit(flag.at) * (right - left);
        let middle = wish.clamp(
            (left + half).min(right - half),
            (right - half).max(left + half),
        );
        let (from, to) = (middle - half, middle + half);
        let free = |row: usize| {
            !taken
                .iter()
                .any(|(r, a, b)| *r == row && from < *b && *a < to)
        };
        let row = (0..MOST_ROWS).find(|r| free(*r)).unwrap_or(MOST_ROWS);
        taken.push((row, from, to));
        places.push((row, middle));
    }
    places
}

fn row_count(rows: usize) -> f64 {
    f64::from(u32::try_from(rows).unwrap_or(0))
}

/// Moves ascending positions apart to at least `distance`, as little as a single pass allows.
fn spread(ys: &mut [f64], distance: f64) {
    let Some(&first) = ys.first() else { return };
    let wish = ys.to_vec();
    let mut last = first - distance;
    for y in ys.iter_mut() {
        *y = y.max(last + distance);
        last = *y;
    }
    // What was pushed down only is moved back up by half.
    let moved = ys.iter().zip(&wish).map(|(y, w)| y - w);
    let shift = moved.fold(0.0, f64::max) / 2.0;
    for y in ys {
        *y -= shift;
    }
}
