//! Counters that survive a restart of what they count, and rates.

use tokio::time::Instant;

/// A counter that starts at zero when it is first seen and never falls: when its source starts
/// again from zero, what the source then shows is added.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter {
    total: f64,
    last: Option<(String, f64)>,
}

impl Counter {
    /// Takes the source's value; `source` names the incarnation (a process id, a container's
    /// start).
    pub(super) fn update(&mut self, source: &str, raw: f64) -> f64 {
        if let Some((last_source, last)) = &self.last {
            let same = last_source == source && raw >= *last;
            self.total += if same { raw - last } else { raw };
        }
        self.last = Some((source.to_owned(), raw));
        self.total
    }

    /// The total so far; `None` while nothing was seen.
    pub(super) fn total(&self) -> Option<f64> {
        self.last.as_ref().map(|_| self.total)
    }
}

/// Counts how often an identity changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    count: f64,
    last: Option<String>,
}

impl Changes {
    /// Takes the identity that is there now.
    pub(super) fn update(&mut self, identity: &str) -> f64 {
        if self.last.as_ref().is_some_and(|last| last != identity) {
            self.count += 1.0;
        }
        self.last = Some(identity.to_owned());
        self.count
    }

    /// The count so far; `None` while nothing was seen.
    pub(super) fn count(&self) -> Option<f64> {
        self.last.as_ref().map(|_| self.count)
    }
}

/// The growth of a value per second.
#[derive(Debug, Clone, Default)]
pub(super) struct Rate {
    last: Option<(String, Instant, f64)>,
}

impl Rate {
    /// Takes a value; `None` for the first of a source, and when it fell.
    pub(super) fn update(&mut self, source: &str, now: Instant, value: f64) -> Option<f64> {
        let last = self.last.replace((source.to_owned(), now, value))?;
        let (last_source, then, before) = last;
        let seconds = (now - then).as_secs_f64();
        (last_source == source && value >= before && seconds > 0.0)
            .then(|| (value - before) / seconds)
    }
}

/// A count or size as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and sizes are far below 2^52"
)]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_counter_grows_on_over_restarts() {
        let mut counter = Counter::default();
        assert_eq!(counter.total(), None);
        let seen: Vec<f64> = [("a", 3.0), ("a", 4.0), ("b", 0.0), ("b", 2.0), ("b", 1.0)]
            .into_iter()
            .map(|(source, raw)| counter.update(source, raw))
            .collect();
        assert_eq!(seen, [0.0, 1.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    fn a_rate_needs_two_values_of_one_source() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut rate = Rate::default();
        assert_eq!(rate.update("a", at(0), 5.0), None);
        assert_eq!(rate.update("a", at(2), 6.0), Some(0.5));
        assert_eq!(rate.update("b", at(3), 9.0), None, "another process");
        assert_eq!(rate.update("b", at(4), 1.0), None, "it fell");
    }

    #[test]
    fn changes_are_counted_from_the_first_identity() {
        let mut changes = Changes::default();
        assert_eq!(changes.count(), None);
        let seen: Vec<f64> = ["1", "1", "2", "3", "3"].map(|i| changes.update(i)).into();
        assert_eq!(seen, [0.0, 0.0, 1.0, 2.0, 2.0]);
    }
}
