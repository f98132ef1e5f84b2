//! How unlike services are, from the latencies of visits: the tail fit and the edge of the capacity
//! rest on it.

use super::Search;

/// Completions from which a visit's latencies tell their variation.
const FEWEST_SERVICES: f64 = 50.0;
/// A visit is light when it serves at most this share of the most that was served.
pub(super) const LIGHT: f64 = 0.45;

impl Search {
    /// Squared coefficient of variation of the latencies where they are longest. In order of
    /// arrival a line makes all wait alike, so that it is small; servers that are shared by
    /// everybody stretch each request by its own size.
    pub(super) fn variability_in_line(&self) -> f64 {
        (self.complete_visits())
            .filter_map(|v| v.latency)
            .filter(|m| m.n >= FEWEST_SERVICES)
            .max_by(|a, b| a.mean_s.total_cmp(&b.mean_s))
            .map_or(0.0, |m| m.mean_square / m.mean_s.powi(2) - 1.0)
    }

    /// Half the sum of the squared coefficients of variation of gaps and services, where arrivals
    /// come at a rate: gaps are taken to be exponential, services are the latencies of the lightest
    /// visits, where hardly anybody waits.
    pub(super) fn variability(&self) -> Option<f64> {
        let known = || {
            (self.visits.iter().filter(|v| v.counts()))
                .filter_map(|v| Some((v.throughput?, v.latency?)))
                .filter(|(_, m)| m.n >= FEWEST_SERVICES)
        };
        // By what they served and not by their latencies: a visit is fast, too, where the long
        // requests did not happen to come.
        let most = known().map(|(per_s, _)| per_s).fold(0.0, f64::max);
        let light = || {
            known()
                .filter(|(per_s, _)| *per_s <= LIGHT * most)
                .map(|(_, m)| m)
        };
        let n: f64 = light().map(|m| m.n).sum();
        let mean_s = light().map(|m| m.n * m.mean_s).sum::<f64>() / n;
        let square = light().map(|m| m.n * m.mean_square).sum::<f64>() / n;
        let services = square / mean_s.powi(2) - 1.0;
        (self.spec.unit.is_open() && n > 0.0).then(|| f64::midpoint(1.0, services.max(0.0)))
    }
}
