//! A picture as a list of shapes, and its way into a PNG.
//!
//! Charts build a [`Scene`] from numbers alone, so that a test can ask it whether labels overlap or
//! leave the picture. Shapes are opaque; what is drawn later covers what was drawn before.

use std::sync::OnceLock;

use plotters::backend::{BitMapBackend, DrawingBackend as _};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle, register_font,
};

use crate::report::ReportError;

/// Width of every chart, pixels: twice the size at which it is read in a document.
pub(crate) const WIDTH: f64 = 1920.0;
/// Height of every chart, pixels.
pub(crate) const HEIGHT: f64 = 1200.0;
/// Sub-pixels per pixel and direction: smooth edges without a backend that smooths.
const FINE: usize = 2;
const FONT: &str = "sans-serif";

/// An opaque colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::report) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8);

impl Colour {
    pub(super) const WHITE: Self = Self(255, 255, 255);
    pub(super) const INK: Self = Self(34, 34, 34);
    pub(super) const GREY: Self = Self(110, 110, 110);
    pub(super) const GRID: Self = Self(228, 228, 228);

    /// The colour mixed with white; `part` of it is left.
    pub(super) fn pale(self, part: f64) -> Self {
        let mix = |c: u8| {
            let v = 255.0 - (255.0 - f64::from(c)) * part;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and 255 for a part between 0 and 1"
            )]
            let mixed = v.round() as u8;
            mixed
        };
        Self(mix(self.0), mix(self.1), mix(self.2))
    }
}

/// Which end of a text stands at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// A rectangle, pixels, y downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rect {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    #[cfg(test)]
    fn meets(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// A line of text; `y` is the middle of its capitals.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TextLine {
    pub(super) at: (f64, f64),
    pub(super) align: Align,
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) colour: Colour,
    pub(super) words: String,
}

impl TextLine {
    pub(super) fn new(text: impl Into<String>, at: (f64, f64), size: f64) -> Self {
        Self {
            at,
            align: Align::Left,
            size,
            bold: false,
            colour: Colour::INK,
            words: text.into(),
        }
    }

    pub(super) fn align(mut self, align: Align) -> Self {
        self.align = align;
        self
    }

    pub(super) fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    pub(super) fn colour(mut self, colour: Colour) -> Self {
        self.colour = colour;
        self
    }

    /// Shrinks the text, then cuts it, until it is at most `width` wide.
    pub(super) fn fit(mut self, width: f64, smallest: f64) -> Self {
        while self.width() > width && self.size > smallest {
            self.size = (self.size - 1.0).max(smallest);
        }
        while self.width() > width && self.words.chars().count() > 1 {
            let mut chars: Vec<char> = self.words.trim_end_matches('…').chars().collect();
            chars.pop();
            self.words = chars.into_iter().chain(['…']).collect();
        }
        self
    }

    /// Width in pixels.
    pub(super) fn width(&self) -> f64 {
        text_width(&self.words, self.size, self.bold)
    }

    /// The box that its letters fill.
    pub(super) fn bounds(&self) -> Rect {
        let width = self.width();
        let left = match self.align {
            Align::Left => self.at.0,
            Align::Centre => self.at.0 - width / 2.0,
            Align::Right => self.at.0 - width,
        };
        Rect {
            left,
            top: self.at.1 - self.size * 0.45,
            right: left + width,
            bottom: self.at.1 + self.size * 0.45,
        }
    }
}

/// Width of a text in pixels.
pub(super) fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    let wide = fine(size);
    font(f64::from(wide), bold)
        .layout_box(text)
        .map_or(0.0, |((left, _), (right, _))| {
            f64::from(right - left) / fine_f64()
        })
}

fn font(size: f64, bold: bool) -> FontDesc<'static> {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        // The bytes are compiled in and known to be a font.
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
        let _ = register_font(FONT, FontStyle::Bold, dejavu::sans::bold());
    });
    let style = if bold {
        FontStyle::Bold
    } else {
        FontStyle::Normal
    };
    FontDesc::new(FontFamily::Name(FONT), size, style)
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Polygon(Vec<(f64, f64)>, Colour),
    /// Centre and radius.
    Disc((f64, f64), f64, Colour),
    Line(Vec<(f64, f64)>, f64, Colour),
    Text(TextLine),
}

/// Shapes in drawing order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::report) struct Scene {
    pub(super) shapes: Vec<Shape>,
}

impl Scene {
    pub(super) fn polygon(&mut self, points: Vec<(f64, f64)>, fill: Colour) {
        self.shapes.push(Shape::Polygon(points, fill));
    }

    pub(super) fn rect(&mut self, r: Rect, fill: Colour) {
        let corners = vec![
            (r.left, r.top),
            (r.right, r.top),
            (r.right, r.bottom),
            (r.left, r.bottom),
        ];
        self.polygon(corners, fill);
    }

    pub(super) fn disc(&mut self, centre: (f64, f64), radius: f64, fill: Colour) {
        self.shapes.push(Shape::Disc(centre, radius, fill));
    }

    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, width: f64, colour: Colour) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line(points, width, colour));
        }
    }

    /// A dashed straight line.
    pub(super) fn dashed(&mut self, from: (f64, f64), to: (f64, f64), width: f64, colour: Colour) {
        const DASH: f64 = 14.0;
        const GAP: f64 = 9.0;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let at = |d: f64| (from.0 + dx * d / length, from.1 + dy * d / length);
        let mut begin = 0.0;
        while begin < length {
            let end = (begin + DASH).min(length);
            self.line(vec![at(begin), at(end)], width, colour);
            begin += DASH + GAP;
        }
    }

    pub(super) fn text(&mut self, text: TextLine) {
        if !text.words.is_empty() {
            self.shapes.push(Shape::Text(text));
        }
    }

    /// A text on a white ground, for places where lines pass.
    pub(super) fn label(&mut self, text: TextLine) {
        let b = text.bounds();
        let ground = Rect {
            left: b.left - 6.0,
            top: b.top - 2.0,
            right: b.right + 6.0,
            bottom: b.bottom + 2.0,
        };
        self.rect(ground, Colour::WHITE);
        self.text(text);
    }

    /// Draws all shapes and encodes the picture.
    pub(in crate::report) fn to_png(&self) -> Result<Vec<u8>, ReportError> {
        let (width, height) = (fine(WIDTH).unsigned_abs(), fine(HEIGHT).unsigned_abs());
        let mut pixels = vec![255_u8; width as usize * height as usize * 3];
        {
            let mut backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
            for shape in &self.shapes {
                draw(&mut backend, shape).map_err(ReportError::Chart)?;
            }
            backend
                .present()
                .map_err(|e| ReportError::Chart(e.to_string()))?;
        }
        encode(&shrink(&pixels, width as usize), width, height)
    }

    #[cfg(test)]
    pub(super) fn texts(&self) -> impl Iterator<Item = &TextLine> {
        self.shapes.iter().filter_map(|s| match s {
            Shape::Text(t) => Some(t),
            Shape::Polygon(..) | Shape::Disc(..) | Shape::Line(..) => None,
        })
    }

    /// Texts that overlap another or leave the picture.
    #[cfg(test)]
    pub(super) fn spoiled_labels(&self) -> Vec<String> {
        let page = Rect {
            left: 8.0,
            top: 8.0,
            right: WIDTH - 8.0,
            bottom: HEIGHT - 8.0,
        };
        let texts: Vec<&TextLine> = self.texts().collect();
        let mut spoiled = Vec::new();
        for (i, a) in texts.iter().enumerate() {
            let b = a.bounds();
            if b.left < page.left
                || b.top < page.top
                || b.right > page.right
                || b.bottom > page.bottom
            {
                spoiled.push(format!("`{}` leaves the picture: {b:?}", a.words));
            }
            for other in &texts[i + 1..] {
                if b.meets(&other.bounds()) {
                    spoiled.push(format!("`{}` overlaps `{}`", a.words, other.words));
                }
            }
        }
        spoiled
    }
}

/// A regular polygon with a corner at the top.
pub(super) fn regular((x, y): (f64, f64), r: f64, corners: u32) -> Vec<(f64, f64)> {
    (0..corners)
        .map(|i| {
            let angle = std::f64::consts::TAU * f64::from(i) / f64::from(corners);
            (x + r * angle.sin(), y - r * angle.cos())
        })
        .collect()
}

fn draw(backend: &mut BitMapBackend<'_>, shape: &Shape) -> Result<(), String> {
    match shape {
        Shape::Polygon(points, fill) => backend
            .fill_polygon(points.iter().map(|&p| fine_point(p)), &rgb(*fill))
            .map_err(|e| e.to_string()),
        Shape::Disc(centre, radius, fill) => backend
            .fill_polygon(
                regular(*centre, *radius, 32).into_iter().map(fine_point),
                &rgb(*fill),
            )
            .map_err(|e| e.to_string()),
        Shape::Line(points, width, colour) => {
            let style = ShapeStyle {
                color: rgb(*colour).into(),
                filled: false,
                stroke_width: fine(*width).unsigned_abs().max(1),
            };
            backend
                .draw_path(points.iter().map(|&p| fine_point(p)), &style)
                .map_err(|e| e.to_string())
        }
        Shape::Text(t) => {
            let size = f64::from(fine(t.size));
            let h = match t.align {
                Align::Left => HPos::Left,
                Align::Centre => HPos::Center,
                Align::Right => HPos::Right,
            };
            let colour = rgb(t.colour);
            let style = TextStyle::from(font(size, t.bold))
                .color(&colour)
                .pos(Pos::new(h, VPos::Center));
            // The backend centres a box that begins above the capitals.
            let (x, y) = fine_point(t.at);
            backend
                .draw_text(&t.words, &style, (x, y + fine(t.size * 0.1)))
                .map_err(|e| e.to_string())
        }
    }
}

fn rgb(c: Colour) -> RGBColor {
    RGBColor(c.0, c.1, c.2)
}

fn fine_point((x, y): (f64, f64)) -> (i32, i32) {
    (fine(x), fine(y))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and positions are a few thousand pixels"
)]
fn fine(pixels: f64) -> i32 {
    (pixels * fine_f64()).round() as i32
}

fn fine_f64() -> f64 {
    f64::from(u32::try_from(FINE).unwrap_or(1))
}

/// Averages every block of fine pixels into one.
fn shrink(pixels: &[u8], width: usize) -> Vec<u8> {
    let out_width = width / FINE;
    let mut out = Vec::with_capacity(pixels.len() / (FINE * FINE));
    let mut sums = vec![0_u16; out_width * 3];
    for rows in pixels.chunks_exact(width * 3 * FINE) {
        sums.fill(0);
        for row in rows.chunks_exact(width * 3) {
            for (block, sum) in row.chunks_exact(3 * FINE).zip(sums.chunks_exact_mut(3)) {
                for pixel in block.chunks_exact(3) {
                    for (s, &c) in sum.iter_mut().zip(pixel) {
                        *s += u16::from(c);
                    }
                }
            }
        }
        let n = u16::try_from(FINE * FINE).unwrap_or(1);
        out.extend(
            sums.iter()
                .map(|s| u8::try_from((s + n / 2) / n).unwrap_or(255)),
        );
    }
    out
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, ReportError> {
    let scale = u32::try_from(FINE).unwrap_or(1);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width / scale, height / scale);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_filter(png::FilterType::Sub);
    encoder.set_compression(png::Compression::Best);
    let failed = |e: png::EncodingError| ReportError::Chart(e.to_string());
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}
