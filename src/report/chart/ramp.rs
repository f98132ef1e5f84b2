//! A ramp over time: the level, latency against the SLO, throughput, errors and sheds, the
//! monitors' memory.

use super::axis::{Quantity, Scale};
use super::panel::{Axis, Panel, RuleLine, Spec};
use super::scene::{Colour, Rect, Scene};
use super::{
    BLUE, GREEN, Key, Marker, ORANGE, PURPLE, SKY, VERMILION, above, beside, framed, keys_of,
    no_data, point, style_of, view,
};
use crate::measure::Histogram;
use crate::record::{RampEnding, RampRecord, RampSecond, StageRecord, StepSecond};
use crate::report::ramp;
use crate::slo::Verdict;
use crate::units;

/// Seconds over which the latency's line is taken: those of the reading.
const READING: usize = 10;
/// Memories that can be told apart in one panel.
const MOST_MEMORIES: usize = 4;
/// An axis of failures reaches at least so far, so that it counts whole ones.
const FEW: f64 = 4.0;
/// A line has a mark of its own every so many parts of the whole.
const MARKS: usize = 12;
/// Room at the right of the columns' plots, for the widest labels there: `find 1 019` and
/// `512 MiB`.
const LEFT_COLUMN: f64 = 190.0;
const RIGHT_COLUMN: f64 = 140.0;
const BORDER: Colour = Colour(165, 165, 165);
/// Mark and colour of the oldest request in flight.
const OLDEST: (Marker, Colour) = (Marker::Diamond, ORANGE);
const DOT: Colour = Colour(150, 150, 150);

pub(in crate::report) fn chart(record: &RampRecord) -> Scene {
    let mut scene = Scene::default();
    let ramp = Ramp::of(record);
    let slo = record.slo.join(", ");
    let title = format!("{}: {}", record.profile, title(record));
    let subtitle = format!("SLO {slo}  ·  ramp {}", ramp::headline(record));
    let room = framed(&mut scene, title, subtitle, &ramp.keys());
    if ramp.seconds.is_empty() {
        no_data(&mut scene, room, "no stage ran");
        return scene;
    }
    let (left, right) = beside(room, 0.5);
    let (upper, lower) = above(left, 0.45);
    ramp.level(&mut scene, upper);
    ramp.latency(&mut scene, lower);
    let memories = ramp.memories();
    let (first, rest) = above(right, if memories.is_empty() { 0.5 } else { 0.32 });
    ramp.throughput(&mut scene, first);
    if memories.is_empty() {
        ramp.failures(&mut scene, rest, true);
    } else {
        let (middle, last) = above(rest, 0.44);
        ramp.failures(&mut scene, middle, false);
        ramp.memory(&mut scene, last, &memories);
    }
    scene
}

fn title(record: &RampRecord) -> String {
    if let Some(breach) = &record.breach {
        let level = record.plan.unit.count(breach.level);
        let after = view::span(breach.t_s);
        return format!("the SLO first broke at {level}, after {after}");
    }
    let unsure = |s: &StageRecord| s.verdict == Verdict::Undecided;
    let text = match record.ending {
        _ if record.stages.is_empty() => "no stage ran",
        RampEnding::GeneratorLimited => "no result: the generator was the bottleneck in a stage",
        RampEnding::DataUsedUp => "rows used up; until then no window of 10 s broke the SLO",
        RampEnding::Interrupted => "interrupted; until then no window of 10 s broke the SLO",
        RampEnding::Aborted => "aborted; until then no window of 10 s broke the SLO",
        _ if record.stages.iter().any(unsure) => "no result: a stage was undecided",
        RampEnding::Complete | RampEnding::TargetDown => "no window of 10 s broke the SLO",
    };
    text.to_owned()
}

/// What is drawn, with the axis that all panels share.
struct Ramp<'a> {
    record: &'a RampRecord,
    seconds: Vec<&'a RampSecond>,
    /// Seconds of one unit of the axis, and its name.
    unit: (f64, &'static str),
    end_s: f64,
}

/// One monitor's memory.
struct Memory {
    monitor: String,
    values: Vec<(f64, Option<f64>)>,
    limit: Option<f64>,
    style: (Marker, Colour),
}

impl<'a> Ramp<'a> {
    fn of(record: &'a RampRecord) -> Self {
        let seconds: Vec<&RampSecond> = record.stages.iter().flat_map(|s| &s.seconds).collect();
        let asked_s = record.asked.last().map_or(0.0, |s| s.start_s + s.lasts_s);
        let end_s = seconds.last().map_or(asked_s, |s| s.seen.t_s.min(asked_s));
        let end_s = if end_s.is_finite() {
            end_s.max(1.0)
        } else {
            1.0
        };
        let unit = if end_s < 180.0 {
            (1.0, "seconds")
        } else {
            (60.0, "minutes")
        };
        Self {
            record,
            seconds,
            unit,
            end_s,
        }
    }

    fn keys(&self) -> Vec<(Key, String)> {
        let stages = self.record.stages.iter();
        let judged: Vec<_> = stages.map(|s| (s.end, s.verdict)).collect();
        let mut keys = Vec::new();
        for (key, text) in keys_of(&judged) {
            keys.push((key, format!("stage {text}")));
        }
        keys.push((Key::Area(BORDER.pale(0.4)), "level requested".to_owned()));
        keys.push((Key::Line(BLUE), "measured".to_owned()));
        keys.push((Key::Point(Marker::Circle, DOT), "one second".to_owned()));
        let oldest = Key::Point(OLDEST.0, OLDEST.1);
        keys.push((oldest, "oldest in flight".to_owned()));
        let any = |of: fn(&StepSecond) -> u64| {
            let mut cycles = self.seconds.iter().filter_map(|s| s.seen.overall());
            cycles.any(|c| of(c) > 0)
        };
        if any(|c| c.failed) {
            keys.push((Key::Point(Marker::Cross, VERMILION), "errors".to_owned()));
        }
        if any(|c| c.shed) {
            keys.push((Key::Point(Marker::Ring, PURPLE), "sheds".to_owned()));
        }
        if let Some(found) = &self.record.reference_run {
            let text = ramp::found_text(self.record, found);
            keys.push((Key::Dashes(GREEN), format!("`find`: {text}")));
        }
        keys
    }

    fn time(&self, seconds: f64) -> f64 {
        seconds / self.unit.0
    }

    /// The value of something in every second.
    fn series(&self, of: impl Fn(&RampSecond) -> Option<f64>) -> Vec<(f64, Option<f64>)> {
        let value = |s: &&RampSecond| {
            let value = of(s).filter(|v| v.is_finite());
            (self.time(s.seen.t_s), value)
        };
        self.seconds.iter().map(value).collect()
    }

    fn main<'s>(&self, second: &'s RampSecond) -> Option<&'s StepSecond> {
        second.seen.steps.get(self.record.plan.main_step)
    }

    /// A panel over time, with the borders of the stages and the moment of the breach.
    fn panel(&self, scene: &mut Scene, frame: Frame) -> Panel {
        let borders = self.record.asked.iter().skip(1).map(|s| RuleLine {
            at: self.time(s.start_s),
            text: String::new(),
            colour: BORDER,
            dashed: true,
        });
        let breach = self.record.breach.as_ref().map(|b| RuleLine {
            at: self.time(b.t_s),
            text: if frame.names_breach {
                format!("broke at {}", self.record.plan.unit.count(b.level))
            } else {
                String::new()
            },
            colour: VERMILION,
            dashed: false,
        });
        let end = self.time(self.end_s);
        let spec = Spec {
            room: frame.area,
            title: frame.title,
            x: Axis {
                scale: Scale::Linear(-0.01 * end, end * 1.02),
                quantity: Quantity::Time,
            },
            y: frame.y,
            x_title: frame
                .last
                .then(|| format!("{} since the ramp started", self.unit.1)),
            flags: borders.chain(breach).collect(),
            limits: frame.limits,
            band: None,
            area: None,
            spans: Vec::new(),
            right_room: frame.right_room,
        };
        Panel::draw(scene, &spec)
    }

    fn level(&self, scene: &mut Scene, area: Rect) {
        let found = self.record.reference_run.as_ref();
        let unit = self.record.plan.unit;
        let asked = self.series(|s| Some(s.level.get().into()));
        let vus = self.series(|s| Some(s.seen.vus.into()));
        let values = asked.iter().chain(&vus).filter_map(|(_, v)| *v);
        let panel = self.panel(
            scene,
            Frame {
                area,
                title: format!("level, {}", unit.name()),
                y: Axis {
                    scale: Scale::from_zero(values),
                    quantity: Quantity::Count,
                },
                limits: found
                    .map(|f| RuleLine {
                        at: f.breakpoint.get().into(),
                        text: format!("find {}", units::format_count(f.breakpoint.get().into())),
                        colour: GREEN,
                        dashed: true,
                    })
                    .into_iter()
                    .collect(),
                names_breach: true,
                last: false,
                right_room: LEFT_COLUMN,
            },
        );
        self.area(scene, &panel);
        if let Some((low, high)) = found.and_then(|f| f.ci_low.zip(f.ci_high)) {
            let band = Rect {
                top: panel.py(high.get().into()),
                bottom: panel.py(low.get().into()),
                ..panel.plot
            };
            scene.rect(band, SKY.pale(0.38));
        }
        if let Some(found) = found {
            // Again, where the interval covers it.
            let y = panel.py(found.breakpoint.get().into());
            let (from, to) = ((panel.plot.left, y), (panel.plot.right, y));
            scene.dashed(from, to, 3.5, GREEN);
        }
        draw(scene, &panel, &vus, BLUE);
        for stage in &self.record.stages {
            let Some(last) = stage.seconds.last() else {
                continue;
            };
            let (marker, colour) = style_of(stage.end, stage.verdict);
            let at = panel.at(self.time(last.seen.t_s), last.level.get().into());
            point(scene, marker, at, 11.0, colour);
        }
    }

    /// The level asked for, second by second.
    fn area(&self, scene: &mut Scene, panel: &Panel) {
        let mut line = Vec::new();
        for second in &self.seconds {
            let (end, level) = (second.seen.t_s, second.level.get().into());
            let begin = end - second.seen.span_s;
            line.push(panel.at(self.time(begin), level));
            line.push(panel.at(self.time(end), level));
        }
        let (Some(first), Some(last)) = (line.first().copied(), line.last().copied()) else {
            return;
        };
        let mut outline = line.clone();
        outline.extend([(last.0, panel.plot.bottom), (first.0, panel.plot.bottom)]);
        scene.polygon(outline, BORDER.pale(0.4));
        scene.line(line, 2.5, Colour::GREY);
    }

    fn latency(&self, scene: &mut Scene, area: Rect) {
        let metric = view::MainMetric::of(&self.record.slo, &self.record.plan);
        let main = metric.quantile_of(self.record.plan.main_step);
        let (q, bound) = main.unzip();
        let q = q.unwrap_or(0.99);
        let name = match bound {
            Some(_) => metric.name,
            None => view::p99_name(&self.record.plan),
        };
        let one = self.series(|s| s.seen.main_latency.quantile_s(q));
        let over = self.over_the_last(q);
        let oldest = self.series(|s| self.main(s)?.oldest_in_flight_s);
        let drawn = one.iter().chain(&over).filter_map(|(_, v)| *v);
        let old = oldest.iter().filter_map(|(_, v)| *v).fold(0.0, f64::max);
        let scale = Scale::log_around(drawn.chain(bound).chain([old]));
        let panel = self.panel(
            scene,
            Frame {
                area,
                title: format!("{name} over the last 10 s (log scale)"),
                y: Axis {
                    scale: scale.unwrap_or(Scale::Log(0.001, 10.0)),
                    quantity: Quantity::Seconds,
                },
                limits: bound.map(slo_mark).into_iter().collect(),
                names_breach: false,
                last: true,
                right_room: LEFT_COLUMN,
            },
        );
        for (t, value) in &one {
            if let Some(value) = value {
                point(scene, Marker::Circle, panel.at(*t, *value), 4.0, DOT);
            }
        }
        draw_marked(scene, &panel, &oldest, OLDEST);
        draw(scene, &panel, &over, BLUE);
        if one.iter().all(|(_, v)| v.is_none()) {
            panel.no_data(scene, "none completed");
        }
    }

    fn over_the_last(&self, q: f64) -> Vec<(f64, Option<f64>)> {
        let ends = 1..=self.seconds.len();
        let last = ends.map(|end| &self.seconds[end.saturating_sub(READING)..end]);
        let value = |seconds: &[&RampSecond]| {
            let sum = Histogram::sum(seconds.iter().map(|s| &s.seen.main_latency));
            let t = seconds.last().map_or(0.0, |s| s.seen.t_s);
            (self.time(t), sum.quantile_s(q))
        };
        last.map(value).collect()
    }

    fn throughput(&self, scene: &mut Scene, area: Rect) {
        let rate = self.series(|s| {
            let completed = s.seen.overall()?.completed;
            #[expect(clippy::cast_precision_loss, reason = "cycles of one second")]
            (s.seen.span_s > 0.0).then(|| completed as f64 / s.seen.span_s)
        });
        let panel = self.panel(
            scene,
            Frame {
                area,
                title: format!(
                    "throughput, completed {} per second",
                    self.record.plan.counted().name()
                ),
                y: counts(&rate, 0.0),
                limits: Vec::new(),
                names_breach: false,
                last: false,
                right_room: RIGHT_COLUMN,
            },
        );
        draw(scene, &panel, &rate, BLUE);
    }

    fn failures(&self, scene: &mut Scene, area: Rect, last: bool) {
        #[expect(clippy::cast_precision_loss, reason = "cycles of one second")]
        let counted = |of: fn(&StepSecond) -> u64| {
            let value = move |s: &RampSecond| s.seen.overall().map(|c| of(c) as f64);
            self.series(value)
        };
        let (failed, shed) = (counted(|c| c.failed), counted(|c| c.shed));
        let all: Vec<_> = failed.iter().chain(&shed).copied().collect();
        let panel = self.panel(
            scene,
            Frame {
                area,
                title: format!(
                    "{} that failed or were shed, per second",
                    self.record.plan.counted().name()
                ),
                y: counts(&all, FEW),
                limits: Vec::new(),
                names_breach: false,
                last,
                right_room: RIGHT_COLUMN,
            },
        );
        for (series, marker, colour) in [
            (&shed, Marker::Ring, PURPLE),
            (&failed, Marker::Cross, VERMILION),
        ] {
            for (t, value) in series {
                if let Some(n) = value.filter(|n| *n > 0.0) {
                    point(scene, marker, panel.at(*t, n), 7.0, colour);
                }
            }
        }
        if all.iter().all(|(_, v)| v.is_none_or(|n| n <= 0.0)) {
            panel.no_data(scene, "no failures, no sheds");
        }
    }

    /// The monitors' memories, in the order in which they are read.
    fn memories(&self) -> Vec<Memory> {
        let mut names: Vec<&str> = Vec::new();
        for reading in self.seconds.iter().flat_map(|s| &s.seen.readings) {
            let known = names.contains(&reading.monitor.as_str());
            if reading.field == "memory" && reading.value.is_some() && !known {
                names.push(&reading.monitor);
            }
        }
        let styles = [
            (Marker::Circle, BLUE),
            (Marker::Square, ORANGE),
            (Marker::Triangle, PURPLE),
            (Marker::Diamond, GREEN),
        ];
        let with_style = names.into_iter().take(MOST_MEMORIES).zip(styles);
        with_style
            .map(|(name, style)| Memory {
                monitor: name.to_owned(),
                values: self.series(|s| memory_of(&s.seen.readings, name)),
                limit: memory_of(&self.record.plan.limits, name).filter(|l| *l > 0.0),
                style,
            })
            .collect()
    }

    fn memory(&self, scene: &mut Scene, area: Rect, memories: &[Memory]) {
        let values = memories.iter().flat_map(|m| &m.values);
        let values = values.filter_map(|(_, v)| *v);
        let limits = memories.iter().filter_map(|m| m.limit);
        let marks = memories.iter().filter_map(|m| {
            let limit = m.limit?;
            Some(RuleLine {
                at: limit,
                text: Quantity::Bytes.label(limit, limit),
                colour: m.style.1,
                dashed: true,
            })
        });
        let mut marks: Vec<RuleLine> = marks.collect();
        // Two that have the same limit need one line.
        marks.dedup_by(|a, b| a.text == b.text);
        let panel = self.panel(
            scene,
            Frame {
                area,
                title: "memory (dashed: limit)".to_owned(),
                y: Axis {
                    scale: Scale::from_zero(values.chain(limits)),
                    quantity: Quantity::Bytes,
                },
                limits: marks,
                names_breach: false,
                last: true,
                right_room: RIGHT_COLUMN,
            },
        );
        for memory in memories {
            draw_marked(scene, &panel, &memory.values, memory.style);
        }
        panel_keys(scene, area, memories);
    }
}

/// What tells one panel from another.
struct Frame {
    area: Rect,
    title: String,
    y: Axis,
    limits: Vec<RuleLine>,
    names_breach: bool,
    /// Whether it is the lowest of its column, which names the axis.
    last: bool,
    /// Room for labels at the right, the same for all of a column so that their times stand below
    /// each other.
    right_room: f64,
}

fn slo_mark(bound: f64) -> RuleLine {
    RuleLine {
        at: bound,
        text: view::slo_label(bound),
        colour: VERMILION,
        dashed: true,
    }
}

/// An axis that reaches at least so far.
fn counts(values: &[(f64, Option<f64>)], least: f64) -> Axis {
    Axis {
        scale: Scale::from_zero(values.iter().filter_map(|(_, v)| *v).chain([least])),
        quantity: Quantity::Count,
    }
}

fn memory_of(readings: &[crate::measure::Reading], monitor: &str) -> Option<f64> {
    let mut readings = readings.iter();
    let found = readings.find(|r| r.monitor == monitor && r.field == "memory")?;
    found.value.filter(|v| v.is_finite())
}

/// A line with a gap wherever a value is missing.
fn draw(scene: &mut Scene, panel: &Panel, values: &[(f64, Option<f64>)], colour: Colour) {
    for run in values.split(|(_, v)| v.is_none()) {
        let points: Vec<(f64, f64)> = run
            .iter()
            .filter_map(|(t, v)| Some(panel.at(*t, (*v)?)))
            .collect();
        match points.as_slice() {
            [alone] => point(scene, Marker::Circle, *alone, 4.0, colour),
            _ => scene.line(points, 4.0, colour),
        }
    }
}

/// The same with marks on it, which tell it from others without its colour.
fn draw_marked(
    scene: &mut Scene,
    panel: &Panel,
    values: &[(f64, Option<f64>)],
    (marker, colour): (Marker, Colour),
) {
    draw(scene, panel, values, colour);
    let every = values.len().div_ceil(MARKS).max(1);
    for (t, value) in values.iter().step_by(every) {
        if let Some(value) = value {
            point(scene, marker, panel.at(*t, *value), 8.0, colour);
        }
    }
}

/// Which line of the memory panel is whose, beside its title.
fn panel_keys(scene: &mut Scene, area: Rect, memories: &[Memory]) {
    use super::panel::SMALL;
    use super::scene::TextLine;
    let mut x = area.left + 380.0;
    for memory in memories {
        let y = area.top + 20.0;
        let (marker, colour) = memory.style;
        point(scene, marker, (x, y), 9.0, colour);
        let text = TextLine::new(&memory.monitor, (x + 20.0, y), SMALL);
        let text = text.fit((area.right - x - 30.0).max(10.0), 14.0);
        x += 20.0 + text.width() + 36.0;
        scene.text(text);
    }
}
