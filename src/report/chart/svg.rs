//! A scene as SVG for a page: colours are classes, so that the page's theme decides what they look
//! like.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::scene::{Align, Colour, HEIGHT, Scene, Shape, TextLine, WIDTH};
use crate::report::escape::markup;

/// The em of a text, as a share of its size: for the pictures a size is the height from the lowest
/// to the highest letter.
const EM: f64 = 0.859;
/// Half the height of capitals, in ems.
const HALF_CAPITAL: f64 = 0.365;
/// Ground of charts in the dark theme.
const DARK_GROUND: Colour = Colour(27, 30, 36);
/// Ink in the dark theme.
const DARK_INK: Colour = Colour(232, 234, 237);
/// A colour with at least so much of each is an area behind something.
const PALE: u8 = 130;
/// Contrast that shapes and words have at least on the dark ground.
const LEAST_CONTRAST: f64 = 4.5;

impl Scene {
    /// The picture as an element that a page holds. `id` is unique in the page.
    pub(in crate::report) fn to_svg(&self, id: &str, title: &str, about: &str) -> String {
        let mut out = format!(
            "<svg role=\"img\" aria-labelledby=\"{id}-t {id}-d\" viewBox=\"0 0 {WIDTH:.0} {HEIGHT:.0}\">\n\
             <title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n",
            markup(title),
            markup(about)
        );
        let mut shapes = self.shapes.iter().peekable();
        while let Some(shape) = shapes.next() {
            match shape {
                Shape::Polygon(points, fill) => {
                    let _ = write!(out, "<path class=\"f{}\" d=\"", name(*fill));
                    trace(&mut out, points);
                    out.push_str("Z\"/>\n");
                }
                Shape::Disc((x, y), r, fill) => {
                    let _ = writeln!(
                        out,
                        "<circle class=\"f{}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
                        name(*fill),
                        short(*x),
                        short(*y),
                        short(*r)
                    );
                }
                Shape::Line(points, width, colour) => {
                    let _ = write!(
                        out,
                        "<path class=\"s{}\" stroke-width=\"{}\" d=\"",
                        name(*colour),
                        short(*width)
                    );
                    trace(&mut out, points);
                    // The dashes of one line are one path.
                    while let Some(Shape::Line(more, w, c)) = shapes.peek()
                        && w.total_cmp(width).is_eq()
                        && c == colour
                    {
                        trace(&mut out, more);
                        shapes.next();
                    }
                    out.push_str("\"/>\n");
                }
                Shape::Text(text) => words(&mut out, text),
            }
        }
        out.push_str("</svg>");
        out
    }

    /// The colours that it uses.
    pub(in crate::report) fn colours(&self) -> BTreeSet<Colour> {
        let of = |shape: &Shape| match shape {
            Shape::Polygon(_, c) | Shape::Disc(_, _, c) | Shape::Line(_, _, c) => *c,
            Shape::Text(t) => t.colour,
        };
        self.shapes.iter().map(of).collect()
    }
}

/// The rules for the classes of these colours, and the variables behind them in light and dark.
pub(in crate::report) struct Palette {
    pub(in crate::report) rules: String,
    pub(in crate::report) light: String,
    pub(in crate::report) dark: String,
}

impl Palette {
    pub(in crate::report) fn of(colours: &BTreeSet<Colour>) -> Self {
        let mut palette = Self {
            rules: String::new(),
            light: String::new(),
            dark: String::new(),
        };
        for colour in colours {
            let id = name(*colour);
            let _ = writeln!(
                palette.rules,
                ".f{id}{{fill:var(--c{id})}}.s{id}{{stroke:var(--c{id})}}"
            );
            let _ = write!(palette.light, "--c{id}:#{id};");
            let _ = write!(palette.dark, "--c{id}:#{};", name(dark(*colour)));
        }
        palette
    }
}

/// The colour in the dark theme: greys are turned over, pale areas lie on the dark ground, the
/// others are lightened until they stand out from it.
fn dark(c: Colour) -> Colour {
    let (least, most) = (c.0.min(c.1).min(c.2), c.0.max(c.1).max(c.2));
    if least == most {
        // Ink becomes light and paper dark.
        let ink = f64::from(Colour::INK.0);
        let share = (255.0 - f64::from(least)) / (255.0 - ink);
        return mixed(DARK_INK, DARK_GROUND, share.min(1.0));
    }
    if least >= PALE {
        // What it would be without the white in it.
        let part = f64::from(255 - least) / 255.0;
        let full = |v: u8| byte(255.0 - (255.0 - f64::from(v)) / part);
        return mixed(Colour(full(c.0), full(c.1), full(c.2)), DARK_GROUND, part);
    }
    let mut light = c;
    for step in 1..=20 {
        if contrast(light, DARK_GROUND) >= LEAST_CONTRAST {
            break;
        }
        light = mixed(Colour::WHITE, c, f64::from(step) / 20.0);
    }
    light
}

/// `part` of one colour over another.
fn mixed(over: Colour, under: Colour, part: f64) -> Colour {
    let mix = |a: u8, b: u8| byte(f64::from(a) * part + f64::from(b) * (1.0 - part));
    Colour(
        mix(over.0, under.0),
        mix(over.1, under.1),
        mix(over.2, under.2),
    )
}

fn byte(value: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to a byte"
    )]
    let byte = value.round().clamp(0.0, 255.0) as u8;
    byte
}

/// The contrast ratio of WCAG 2.
fn contrast(a: Colour, b: Colour) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(c: Colour) -> f64 {
    let linear = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.040_45 {
            v / 12.92
        } else {
            ((v + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(c.0) + 0.7152 * linear(c.1) + 0.0722 * linear(c.2)
}

/// `0072b2`.
fn name(c: Colour) -> String {
    format!("{:02x}{:02x}{:02x}", c.0, c.1, c.2)
}

fn trace(out: &mut String, points: &[(f64, f64)]) {
    for (i, (x, y)) in points.iter().enumerate() {
        let command = if i == 0 { 'M' } else { 'L' };
        let _ = write!(out, "{command}{} {}", short(*x), short(*y));
    }
}

fn words(out: &mut String, text: &TextLine) {
    let anchor = match text.align {
        Align::Left => "",
        Align::Centre => " text-anchor=\"middle\"",
        Align::Right => " text-anchor=\"end\"",
    };
    let em = text.size * EM;
    let bold = if text.bold {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "<text class=\"f{}\" x=\"{}\" y=\"{}\" font-size=\"{}\"{anchor}{bold}>{}</text>",
        name(text.colour),
        short(text.at.0),
        short(text.at.1 + em * HALF_CAPITAL),
        short(em),
        markup(&text.words)
    );
}

/// One decimal at most: a tenth of a pixel is fine enough.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0" } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::scene::Rect;
    use super::super::{BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION};
    use super::*;

    #[test]
    fn every_shape_has_its_element_and_words_are_escaped() {
        let mut scene = Scene::default();
        let area = Rect {
            left: 0.0,
            top: 0.0,
            right: 10.0,
            bottom: 5.25,
        };
        scene.rect(area, SKY.pale(0.38));
        scene.dashed((0.0, 0.0), (40.0, 0.0), 4.0, VERMILION);
        scene.disc((1.0, 2.0), 3.0, BLUE);
        scene.text(TextLine::new("<script>&\"", (5.0, 5.0), 20.0).bold());
        let svg = scene.to_svg("c1", "a<b", "d>e");
        assert!(svg.contains("d=\"M0 0L10 0L10 5.2L0 5.2Z\""), "{svg}");
        assert!(svg.contains("d=\"M0 0L14 0M23 0L37 0\""), "{svg}");
        assert!(svg.contains("<circle class=\"f0072b2\" cx=\"1\" cy=\"2\" r=\"3\"/>"));
        assert!(svg.contains("&lt;script&gt;&amp;&quot;</text>"), "{svg}");
        assert!(svg.contains("<title id=\"c1-t\">a&lt;b</title>"));
        assert_eq!(scene.colours().len(), 4);
    }

    #[test]
    fn colours_are_readable_on_the_dark_ground() {
        for colour in [BLUE, ORANGE, VERMILION, GREEN, PURPLE, SKY] {
            let ratio = contrast(dark(colour), DARK_GROUND);
            assert!(ratio >= LEAST_CONTRAST, "{colour:?}: {ratio}");
        }
        for grey in [Colour::INK, Colour::GREY] {
            assert!(contrast(dark(grey), DARK_GROUND) >= LEAST_CONTRAST);
        }
        assert_eq!(dark(Colour::WHITE), DARK_GROUND);
        // An area stays behind the words on it.
        let area = dark(SKY.pale(0.38));
        assert!(
            contrast(dark(Colour::INK), area) >= LEAST_CONTRAST,
            "{area:?}"
        );
        assert!((contrast(Colour(0, 0, 0), Colour::WHITE) - 21.0).abs() < 1e-6);
    }
}
