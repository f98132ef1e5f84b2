//! Shapes cut to a rectangle, so that a curve leaves a plot where it leaves the scale and is not
//! bent along its edge.

use super::scene::Rect;

/// A side of a rectangle: how far inside of it a point lies, negative outside.
type Side = fn(&Rect, (f64, f64)) -> f64;

const SIDES: [Side; 4] = [
    |r, p| p.0 - r.left,
    |r, p| r.right - p.0,
    |r, p| p.1 - r.top,
    |r, p| r.bottom - p.1,
];

/// A polygon within a rectangle (Sutherland and Hodgman 1974): cut by one side after the other.
/// Empty where nothing is left.
pub(super) fn polygon(corners: &[(f64, f64)], to: &Rect) -> Vec<(f64, f64)> {
    let mut left: Vec<(f64, f64)> = finite(corners);
    for inside in SIDES {
        let before = std::mem::take(&mut left);
        let pairs = before.iter().zip(before.iter().cycle().skip(1));
        for (&a, &b) in pairs {
            let (in_a, in_b) = (inside(to, a), inside(to, b));
            if in_a >= 0.0 {
                left.push(a);
            }
            if (in_a >= 0.0) != (in_b >= 0.0) {
                left.push(between(a, b, in_a / (in_a - in_b)));
            }
        }
    }
    if left.len() < 3 { Vec::new() } else { left }
}

/// The pieces of a line that lie within a rectangle (Liang and Barsky 1984, segment by segment).
pub(super) fn line(points: &[(f64, f64)], to: &Rect) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    for pair in finite(points).windows(2) {
        let Some((from, until)) = segment(pair[0], pair[1], to) else {
            continue;
        };
        match pieces.last_mut() {
            Some(piece) if piece.last() == Some(&from) => piece.push(until),
            _ => pieces.push(vec![from, until]),
        }
    }
    pieces
}

/// The part of a segment within a rectangle.
fn segment(a: (f64, f64), b: (f64, f64), to: &Rect) -> Option<((f64, f64), (f64, f64))> {
    let (mut from, mut until) = (0.0_f64, 1.0_f64);
    for inside in SIDES {
        let (in_a, in_b) = (inside(to, a), inside(to, b));
        let crossing = in_a / (in_a - in_b);
        match (in_a >= 0.0, in_b >= 0.0) {
            (true, true) => {}
            (false, false) => return None,
            (false, true) => from = from.max(crossing),
            (true, false) => until = until.min(crossing),
        }
    }
    // The ends themselves, where they are inside, so that pieces join.
    let begin = if from > 0.0 { between(a, b, from) } else { a };
    let end = if until < 1.0 { between(a, b, until) } else { b };
    (from < until).then_some((begin, end))
}

fn between(a: (f64, f64), b: (f64, f64), part: f64) -> (f64, f64) {
    (a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part)
}

fn finite(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let known = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
    points.iter().filter(known).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Rect = Rect {
        left: 0.0,
        top: 0.0,
        right: 10.0,
        bottom: 10.0,
    };

    #[test]
    fn a_polygon_is_cut_at_every_side() {
        let diamond = [(5.0, -5.0), (15.0, 5.0), (5.0, 15.0), (-5.0, 5.0)];
        let cut = polygon(&diamond, &UNIT);
        // Its sides pass through the corners: the square is left.
        assert!(
            cut.iter().all(|(x, y)| {
                let near = |v: f64| v.abs() < 1e-9 || (v - 10.0).abs() < 1e-9;
                near(*x) && near(*y)
            }),
            "{cut:?}"
        );
        let inside = [(1.0, 1.0), (9.0, 1.0), (5.0, 9.0)];
        assert_eq!(polygon(&inside, &UNIT), inside);
        assert_eq!(polygon(&[(11.0, 1.0), (19.0, 1.0), (15.0, 9.0)], &UNIT), []);
        assert_eq!(
            polygon(&[(1.0, 1.0), (f64::NAN, 1.0), (5.0, 9.0)], &UNIT),
            []
        );
    }

    #[test]
    fn a_line_is_broken_where_it_leaves() {
        let zigzag = [(1.0, 5.0), (3.0, -5.0), (5.0, 5.0), (7.0, 6.0)];
        let pieces = line(&zigzag, &UNIT);
        assert_eq!(
            pieces,
            [
                vec![(1.0, 5.0), (2.0, 0.0)],
                vec![(4.0, 0.0), (5.0, 5.0), (7.0, 6.0)]
            ]
        );
        assert!(line(&[(11.0, 0.0), (20.0, 3.0)], &UNIT).is_empty());
        assert!(
            line(&[(-5.0, 8.0), (8.0, 21.0)], &UNIT).is_empty(),
            "past a corner"
        );
    }
}
