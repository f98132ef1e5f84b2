//! The picture of a comparison: bars for rates, memory and the error of the clock.

use anyhow::anyhow;
use plotters::backend::{BitMapBackend, DrawingBackend as _};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    FontDesc, FontFamily, FontStyle, IntoTextStyle as _, RGBColor, TextStyle, register_font,
};

use super::samples::{Metric, Sample};
use super::table::{base, figures, ratio};
use super::tool::Tool;
use super::work::Work;

const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1400;
const FONT: &str = "peers";
const INK: RGBColor = RGBColor(34, 34, 34);
const GREY: RGBColor = RGBColor(110, 110, 110);
const OURS: RGBColor = RGBColor(0, 114, 178);
const OTHERS: RGBColor = RGBColor(180, 190, 198);

/// Where a panel stands.
#[derive(Clone, Copy)]
struct Room {
    left: i32,
    top: i32,
    width: i32,
    height: i32,
}

struct Bar {
    name: String,
    value: f64,
    label: String,
    ours: bool,
}

struct Panel {
    title: String,
    bars: Vec<Bar>,
}

/// Draws all panels for which there are samples.
pub(crate) fn png(samples: &[Sample]) -> anyhow::Result<Vec<u8>> {
    // The bytes are compiled in and known to be a font.
    let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
    let mut pixels = vec![255; (WIDTH * HEIGHT * 3) as usize];
    {
        let mut canvas = BitMapBackend::with_buffer(&mut pixels, (WIDTH, HEIGHT));
        for (i, panel) in (0..).zip(panels(samples)) {
            let room = Room {
                left: 40 + (i % 2) * 950,
                top: 30 + (i / 2) * 460,
                width: 890,
                height: 430,
            };
            draw(&mut canvas, &panel, room).map_err(|e| anyhow!("cannot draw: {e}"))?;
        }
        canvas.present()?;
    }
    encode(&pixels)
}

fn encode(pixels: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Best);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

fn panels(samples: &[Sample]) -> Vec<Panel> {
    let rates = |work, vus| {
        move |tool| {
            let rate = figures(samples, work, vus, tool, Metric::PerCpuS)?;
            let times = ratio(samples, work, vus, tool, base(work));
            let times = times.map_or_else(String::new, |r| format!(" ({:.2})", r.median));
            Some((rate.median, format!("{:.0}{times}", rate.median)))
        }
    };
    let memory = |work, vus| {
        move |tool| {
            let kib = figures(samples, work, vus, tool, Metric::KibPerVu)?.median;
            Some((kib, format!("{kib:.1}")))
        }
    };
    let clock = |tool| {
        let error = figures(samples, Work::Clock, 1_000, tool, Metric::P99ErrorMs)?.median;
        Some((logarithm(error), format!("{error:+.2}")))
    };
    let all = [
        panel(
            "GET, 50 VUs: requests per CPU s (x wrk)",
            false,
            rates(Work::Get, 50),
        ),
        panel(
            "POST, 500 VUs: requests per CPU s (x wrk)",
            false,
            rates(Work::Post, 500),
        ),
        panel(
            "SSE, 500 streams: cycles per CPU s",
            false,
            rates(Work::Sse, 500),
        ),
        panel(
            "1 000 VUs, reported p99 minus the truth, ms (log)",
            true,
            clock,
        ),
        panel(
            "idle VU of 1 000: memory, KiB",
            true,
            memory(Work::Memory, 1_000),
        ),
        panel(
            "VU with a stream of 1 000: memory, KiB",
            true,
            memory(Work::MemorySse, 1_000),
        ),
    ];
    all.into_iter().filter(|p| !p.bars.is_empty()).collect()
}

/// Length of a bar for an error in milliseconds: 0 up to a hundredth, then one more for each power
/// of ten.
fn logarithm(error: f64) -> f64 {
    (error.abs() / 0.01).max(1.0).log10()
}

fn panel(
    title: &str,
    less_is_better: bool,
    value: impl Fn(Tool) -> Option<(f64, String)>,
) -> Panel {
    let mut bars: Vec<Bar> = Tool::all()
        .filter_map(|tool| {
            let (value, label) = value(tool)?;
            let ours = tool.is_ours();
            let name = if ours {
                "breakpoint".to_owned()
            } else {
                tool.to_string()
            };
            Some(Bar {
                name,
                value,
                label,
                ours,
            })
        })
        .collect();
    bars.sort_by(|a, b| b.value.total_cmp(&a.value));
    if less_is_better {
        bars.reverse();
    }
    let hint = if less_is_better {
        "less is better"
    } else {
        "more is better"
    };
    Panel {
        title: format!("{title}: {hint}"),
        bars,
    }
}

fn draw(
    canvas: &mut BitMapBackend<'_>,
    panel: &Panel,
    room: Room,
) -> Result<(), Box<dyn std::error::Error>> {
    let heading = style(26.0, INK, HPos::Left);
    canvas.draw_text(&panel.title, &heading, (room.left, room.top + 14))?;
    let longest = panel.bars.iter().map(|b| b.value).fold(0.0, f64::max);
    let (names, labels, top) = (140, 190, room.top + 50);
    let bars = i32::try_from(panel.bars.len())?;
    let step = ((room.height - 60) / bars).min(52);
    let zero = room.left + names;
    for (i, bar) in (0..).zip(&panel.bars) {
        let (y, height) = (top + i * step, step * 7 / 10);
        let length =
            f64::from(room.width - names - labels) * bar.value / longest.max(f64::MIN_POSITIVE);
        #[expect(clippy::cast_possible_truncation, reason = "at most the panel's width")]
        let end = zero + (length.round() as i32).max(2);
        let colour = if bar.ours { OURS } else { OTHERS };
        canvas.draw_rect((zero, y), (end, y + height), &colour, true)?;
        let middle = y + height / 2;
        let name = style(22.0, if bar.ours { OURS } else { INK }, HPos::Right);
        canvas.draw_text(&bar.name, &name, (zero - 12, middle))?;
        canvas.draw_text(
            &bar.label,
            &style(22.0, GREY, HPos::Left),
            (end + 10, middle),
        )?;
    }
    Ok(())
}

fn style(size: f64, colour: RGBColor, side: HPos) -> TextStyle<'static> {
    FontDesc::new(FontFamily::Name(FONT), size, FontStyle::Normal)
        .color(&colour)
        .into_text_style(&(WIDTH, HEIGHT))
        .pos(Pos::new(side, VPos::Center))
}
