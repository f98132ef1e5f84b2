//! Systems whose solution is known.

use super::*;

/// How many unknowns.
const D: usize = 8;

fn assert_near(got: f64, want: f64, what: &str) {
    assert!(
        (got - want).abs() <= 1e-12 * want.abs().max(1.0),
        "{what}: {got} for {want}"
    );
}

/// Two on the diagonal, minus one beside it: its inverse is `min(i, j) (D + 1 - max(i, j)) / (D +
/// 1)`, counted from 1.
fn second_differences() -> Matrix<D> {
    let mut m = [[0.0; D]; D];
    for a in 0..D {
        m[a][a] = 2.0;
        if a > 0 {
            m[a][a - 1] = -1.0;
            m[a - 1][a] = -1.0;
        }
    }
    m
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "small indices")]
fn systems_with_a_known_solution_are_solved() {
    let inverse = invert(&second_differences()).unwrap();
    let mut right = [0.0; D];
    right[D - 1] = 1.0;
    let x = solve(&second_differences(), right).unwrap();
    for (a, row) in inverse.iter().enumerate() {
        for (b, got) in row.iter().enumerate() {
            let (low, high) = (a.min(b) + 1, a.max(b) + 1);
            let want = (low * (D + 1 - high)) as f64 / (D + 1) as f64;
            assert_near(*got, want, "inverse");
        }
        assert_near(x[a], (a + 1) as f64 / (D + 1) as f64, "solution");
    }
    let mut saddle = second_differences();
    saddle[4][4] = -2.0;
    assert_eq!(invert(&saddle), None);
    saddle[4][4] = f64::NAN;
    assert_eq!(solve(&saddle, right), None);
}
