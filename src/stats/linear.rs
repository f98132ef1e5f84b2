//! Small linear algebra: vectors and symmetric matrices whose size is known when they are compiled.

/// A column of `D` numbers.
pub(super) type Vector<const D: usize> = [f64; D];
/// A square matrix, row by row.
pub(super) type Matrix<const D: usize> = [[f64; D]; D];

/// Adds `weight` times `matrix` to `sum`.
pub(super) fn add_scaled<const D: usize>(sum: &mut Matrix<D>, matrix: &Matrix<D>, weight: f64) {
    for (sum, row) in sum.iter_mut().zip(matrix) {
        for (sum, x) in sum.iter_mut().zip(row) {
            *sum += weight * x;
        }
    }
}

/// The trace of a product of two matrices.
pub(super) fn trace_of_product<const D: usize>(left: &Matrix<D>, right: &Matrix<D>) -> f64 {
    (0..D)
        .map(|a| (0..D).map(|b| left[a][b] * right[b][a]).sum::<f64>())
        .sum()
}

/// The variance of parameter `at` that a sandwich of `bread` around `filling` says: one entry of
/// the diagonal of their product.
pub(super) fn sandwiched<const D: usize>(bread: &Matrix<D>, filling: &Matrix<D>, at: usize) -> f64 {
    (0..D)
        .map(|a| {
            (0..D)
                .map(|b| bread[at][a] * filling[a][b] * bread[b][at])
                .sum::<f64>()
        })
        .sum()
}

/// Solves a symmetric positive system by Cholesky's decomposition.
pub(super) fn solve<const D: usize>(matrix: &Matrix<D>, right: Vector<D>) -> Option<Vector<D>> {
    let lower = cholesky(matrix)?;
    Some(substitute(&lower, right))
}

/// The inverse of a symmetric positive matrix; `None` where it is not positive.
pub(super) fn invert<const D: usize>(matrix: &Matrix<D>) -> Option<Matrix<D>> {
    let lower = cholesky(matrix)?;
    let mut out = [[0.0; D]; D];
    for (k, column) in out.iter_mut().enumerate() {
        let mut unit = [0.0; D];
        unit[k] = 1.0;
        *column = substitute(&lower, unit);
    }
    Some(out)
}

fn cholesky<const D: usize>(matrix: &Matrix<D>) -> Option<Matrix<D>> {
    let mut lower = [[0.0; D]; D];
    for a in 0..D {
        for b in 0..=a {
            let dot: f64 = (0..b).map(|k| lower[a][k] * lower[b][k]).sum();
            let rest = matrix[a][b] - dot;
            if a == b {
                if rest.is_nan() || rest <= 0.0 {
                    return None;
                }
                lower[a][a] = rest.sqrt();
            } else {
                lower[a][b] = rest / lower[b][b];
            }
        }
    }
    Some(lower)
}

fn substitute<const D: usize>(lower: &Matrix<D>, right: Vector<D>) -> Vector<D> {
    let mut x = right;
    for a in 0..D {
        let dot: f64 = (0..a).map(|k| lower[a][k] * x[k]).sum();
        x[a] = (x[a] - dot) / lower[a][a];
    }
    for a in (0..D).rev() {
        let dot: f64 = (a + 1..D).map(|k| lower[k][a] * x[k]).sum();
        x[a] = (x[a] - dot) / lower[a][a];
    }
    x
}

#[cfg(test)]
mod tests;
