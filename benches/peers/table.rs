//! Samples as tables for a document. Pure.

use std::fmt::Write as _;

use super::samples::{Metric, Sample};
use super::tool::Tool;
use super::work::Work;

/// The middle of some figures, and their ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Middle {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Middle {
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (low, high) = (*figures.first()?, *figures.last()?);
        let half = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[half]
        } else {
            f64::midpoint(figures[half - 1], figures[half])
        };
        Some(Self { median, low, high })
    }
}

/// The figures of one generator in one cell.
pub(crate) fn figures(
    samples: &[Sample],
    work: Work,
    vus: u32,
    tool: Tool,
    metric: Metric,
) -> Option<Middle> {
    let of_cell = samples
        .iter()
        .filter(|s| (s.work, s.vus, s.tool, s.metric) == (work, vus, tool, metric));
    Middle::of(of_cell.map(|s| s.value).collect())
}

/// A generator's rates over those of another in the same repeat.
pub(crate) fn ratio(
    samples: &[Sample],
    work: Work,
    vus: u32,
    tool: Tool,
    base: Tool,
) -> Option<Middle> {
    let rates = |of: Tool| {
        samples
            .iter()
            .filter(move |s| (s.work, s.vus, s.tool, s.metric) == (work, vus, of, Metric::PerCpuS))
    };
    let paired = rates(tool).filter_map(|s| {
        let other = rates(base).find(|b| b.repeat == s.repeat)?;
        Some(s.value / other.value)
    });
    Middle::of(paired.collect())
}

/// Whose rate is 1 in the tables.
pub(crate) fn base(work: Work) -> Tool {
    match work {
        Work::Template | Work::Session => Tool::OursFixed,
        Work::Sse => Tool::Goose,
        Work::Http2 => Tool::H2load,
        _ => Tool::Wrk,
    }
}

/// All tables, one a kind of work.
pub(crate) fn markdown(samples: &[Sample]) -> String {
    let mut text = String::new();
    for work in Work::all() {
        let of_work: Vec<Sample> = samples.iter().filter(|s| s.work == work).copied().collect();
        if !of_work.is_empty() {
            write!(text, "### {}\n\n{}\n", title(work), table(&of_work, work))
                .expect("writing to a string cannot fail");
        }
    }
    text
}

fn title(work: Work) -> &'static str {
    match work {
        Work::Get => "GET: requests per CPU second of the generator",
        Work::Http2 => "GET over HTTP/2 with TLS: requests per CPU second of the generator",
        Work::Post => "POST of a small JSON body: requests per CPU second of the generator",
        Work::Template => "POST with templates: requests per CPU second of the generator",
        Work::Session => "POST with a cookie jar, a check and a value by JSONPath: per CPU second",
        Work::Tokens => "POST answered by a stream of 50 events: answers per CPU second",
        Work::Script => "A script, one GET and one check: requests per CPU second",
        Work::Typical => "A script, a POST with four checks and a GET: requests per CPU second",
        Work::MemoryScript => "VUs of a script that wait: memory per VU, time to start",
        Work::Sse => "Event streams: cycles per CPU second of the generator",
        Work::Memory => "Idle VUs, one connection each: memory per VU, time to start",
        Work::MemorySse => "Held streams, two connections a VU: memory per VU, time to start",
        Work::Clock => "Reported minus true latency, ms",
    }
}

fn table(samples: &[Sample], work: Work) -> String {
    let mut levels: Vec<u32> = samples.iter().map(|s| s.vus).collect();
    levels.sort_unstable();
    levels.dedup();
    let mut rows = vec![heads(work, &levels)];
    rows.push(vec!["---".to_owned(); rows[0].len()]);
    for tool in ranked(samples, work, &levels) {
        let mut row = vec![tool.to_string()];
        for vus in &levels {
            row.extend(cells(samples, work, *vus, tool));
        }
        rows.push(row);
    }
    let lines: Vec<String> = rows
        .iter()
        .map(|row| format!("| {} |", row.join(" | ")))
        .collect();
    lines.join("\n") + "\n"
}

fn heads(work: Work, levels: &[u32]) -> Vec<String> {
    let kinds: Vec<String> = match work {
        Work::Memory | Work::MemoryScript | Work::MemorySse => {
            vec!["KiB per VU".to_owned(), "start, s".to_owned()]
        }
        Work::Clock => vec!["p50".to_owned(), "p99".to_owned()],
        _ => vec!["per CPU s".to_owned(), format!("x {}", base(work))],
    };
    let of_levels = levels
        .iter()
        .flat_map(|vus| kinds.iter().map(move |kind| format!("{vus} VUs: {kind}")));
    std::iter::once(String::new()).chain(of_levels).collect()
}

/// Generators in the order of their first figure, the best on top.
fn ranked(samples: &[Sample], work: Work, levels: &[u32]) -> Vec<Tool> {
    let mut tools: Vec<(Tool, f64)> = Tool::all()
        .filter(|tool| samples.iter().any(|s| s.tool == *tool))
        .map(|tool| {
            let (metric, sign) = match work {
                Work::Memory | Work::MemoryScript | Work::MemorySse => (Metric::KibPerVu, 1.0),
                Work::Clock => (Metric::P99ErrorMs, 1.0),
                _ => (Metric::PerCpuS, -1.0),
            };
            let first = levels
                .iter()
                .find_map(|vus| figures(samples, work, *vus, tool, metric));
            (tool, first.map_or(f64::MAX, |m| sign * m.median.abs()))
        })
        .collect();
    tools.sort_by(|a, b| a.1.total_cmp(&b.1));
    tools.into_iter().map(|(tool, _)| tool).collect()
}

fn cells(samples: &[Sample], work: Work, vus: u32, tool: Tool) -> [String; 2] {
    let of = |metric| figures(samples, work, vus, tool, metric);
    match work {
        Work::Memory | Work::MemoryScript | Work::MemorySse => [
            shown(of(Metric::KibPerVu), |v| format!("{v:.1}")),
            shown(of(Metric::StartS), |v| format!("{v:.2}")),
        ],
        Work::Clock => [Metric::P50ErrorMs, Metric::P99ErrorMs]
            .map(|metric| shown(of(metric), |v| format!("{v:+.2}"))),
        _ => [
            shown(of(Metric::PerCpuS), |v| {
                format!("{:.0}", (v / 10.0).round() * 10.0)
            }),
            shown(ratio(samples, work, vus, tool, base(work)), |v| {
                format!("{v:.2}")
            }),
        ],
    }
}

fn shown(middle: Option<Middle>, figure: impl Fn(f64) -> String) -> String {
    middle.map_or_else(
        || "-".to_owned(),
        |m| {
            let (low, high) = (figure(m.low), figure(m.high));
            if low == high {
                figure(m.median)
            } else {
                format!("{} ({low} .. {high})", figure(m.median))
            }
        },
    )
}
