//! When a machine is at its end: what its kernel says of memory and swap decides whether the load
//! must stop at once.
//!
//! Values in, decision out: who reads them and what ends then is the business of others.

use std::collections::VecDeque;
use std::time::Duration;

use crate::measure::Reading;
use crate::units;

/// Time between two looks.
pub const EVERY: Duration = Duration::from_millis(250);
/// Looks over which swapping is counted: five seconds.
const LOOKS: usize = 20;
/// Of them so many must have seen more of it: monitors read once a second, and one burst is no
/// trouble.
const BUSY_LOOKS: usize = 3;
/// Pages in and out within those looks that are too many: 1 MiB per second where a page has 4 KiB.
const PAGES: f64 = 5.0 * 256.0;
/// Memory that must be left: at least so many bytes, and such a share of all.
const FLOOR_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
const FLOOR_SHARE: f64 = 0.02;
/// Swapping does not count as long as such a share of memory is left: then it is a control group at
/// its own limit that swaps, which may be the very thing that a search looks for.
const AMPLE_SHARE: f64 = 0.10;

/// The fields that tell of a machine; those of the monitor of this one, and of any other that a
/// profile gives these names.
pub const AVAILABLE: &str = "memory_available";
/// Memory of the machine in all.
pub const TOTAL: &str = "memory_total";
/// Pages swapped in and out, counters of the monitor of this machine.
pub const SWAPPED: [&str; 2] = ["swap_in", "swap_out"];
/// Pages swapped in and out per second, of any other: what a profile names is never a counter.
pub const SWAPPED_PER_S: &str = "swap_pages_per_s";

/// One machine, looked at again and again.
#[derive(Debug, Clone)]
pub struct Machine {
    monitor: String,
    /// Where it is known before; else the monitor may read it.
    total: Option<f64>,
    /// Pages swapped in and out by each of the last looks.
    swapped: VecDeque<f64>,
    /// The same since the first look, where only a rate is read.
    pages: f64,
}

impl Machine {
    /// The machine that a monitor tells of.
    pub fn new(monitor: &str, total_bytes: Option<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "bytes of a machine")]
        Self {
            monitor: monitor.to_owned(),
            total: total_bytes.map(|b| b as f64),
            swapped: VecDeque::new(),
            pages: 0.0,
        }
    }

    /// Looks once more, every [`EVERY`]; says how it shows that the machine is at its end, if it
    /// is.
    pub fn look(&mut self, readings: &[Reading]) -> Option<String> {
        let read = |field: &str| {
            let is_it = |r: &&Reading| r.monitor == self.monitor && r.field == field;
            readings.iter().find(is_it).and_then(|r| r.value)
        };
        let (available, total) = (read(AVAILABLE), self.total.or_else(|| read(TOTAL)));
        let counted: Vec<f64> = SWAPPED.into_iter().filter_map(read).collect();
        let rate = read(SWAPPED_PER_S);
        self.pages += rate.unwrap_or(0.0).max(0.0) * EVERY.as_secs_f64();
        // A gap says nothing, and the counters may begin anew after it.
        match (counted.is_empty(), rate) {
            (true, None) => self.swapped.clear(),
            (true, Some(_)) => self.swapped.push_back(self.pages),
            (false, _) => self.swapped.push_back(counted.iter().sum()),
        }
        if self.swapped.len() > LOOKS {
            self.swapped.pop_front();
        }
        short_of_memory(available, total).or_else(|| self.swaps(available, total))
    }

    fn swaps(&self, available: Option<f64>, total: Option<f64>) -> Option<String> {
        let ample = available
            .zip(total)
            .is_some_and(|(a, t)| a > t * AMPLE_SHARE);
        let pages = self.swapped.back()? - self.swapped.front()?;
        let pairs = self.swapped.iter().zip(self.swapped.iter().skip(1));
        let busy = pairs.filter(|(before, after)| after > before).count();
        if ample || busy < BUSY_LOOKS || pages < PAGES {
            return None;
        }
        let left = available.map_or_else(String::new, |a| {
            format!(
                " with {} of memory left{}",
                units::format_bytes(a),
                of_all(total)
            )
        });
        Some(format!(
            "is swapping: {pages:.0} pages in and out within five seconds{left}"
        ))
    }
}

fn short_of_memory(available: Option<f64>, total: Option<f64>) -> Option<String> {
    let floor = total.map_or(FLOOR_BYTES, |t| FLOOR_BYTES.max(t * FLOOR_SHARE));
    let left = available.filter(|a| *a < floor)?;
    Some(format!(
        "has {} of memory left{}, less than the minimum of {}",
        units::format_bytes(left),
        of_all(total),
        units::format_bytes(floor)
    ))
}

fn of_all(total: Option<f64>) -> String {
    total.map_or_else(String::new, |t| format!(" of {}", units::format_bytes(t)))
}

/// The monitors that tell of machines other than this one, by what they read; each once.
pub fn others(readings: &[Reading], own: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for reading in readings {
        let tells = [AVAILABLE, SWAPPED_PER_S].contains(&reading.field.as_str());
        if tells && reading.monitor != own && !found.contains(&reading.monitor) {
            found.push(reading.monitor.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

    fn readings(monitor: &str, values: &[(&str, Option<f64>)]) -> Vec<Reading> {
        let reading = |(field, value): &(&str, Option<f64>)| Reading {
            monitor: monitor.to_owned(),
            field: (*field).to_owned(),
            value: *value,
        };
        values.iter().map(reading).collect()
    }

    fn memory(available: f64) -> Vec<Reading> {
        readings("host", &[("cpu", Some(1.0)), (AVAILABLE, Some(available))])
    }

    /// What a machine of 16 GiB says after `seconds` of swapping so many pages each, with so much
    /// memory left.
    fn swapping(seconds: u32, pages_per_s: f64, available: f64) -> Option<String> {
        let mut machine = Machine::new("host", Some(16 << 30));
        let mut found = None;
        for second in 0..seconds {
            for _ in 0..4 {
                let swapped = f64::from(second) * pages_per_s;
                let values = [
                    (AVAILABLE, Some(available)),
                    ("swap_in", Some(swapped / 2.0)),
                    ("swap_out", Some(swapped / 2.0)),
                ];
                found = found.or(machine.look(&readings("host", &values)));
            }
        }
        found
    }

    #[test]
    fn little_memory_stops_at_once_whatever_else_is_read() {
        let mut machine = Machine::new("host", Some(16 << 30));
        assert_eq!(machine.look(&memory(0.33 * GIB)), None, "2 % are 0.32 GiB");
        let said = machine.look(&memory(0.31 * GIB)).unwrap();
        assert_eq!(
            said,
            "has 317 MiB of memory left of 16 GiB, less than the minimum of 328 MiB"
        );
        let mut small = Machine::new("host", Some(256 << 20));
        let mib = |n: f64| memory(n * GIB / 1024.0);
        assert_eq!(small.look(&mib(65.0)), None);
        assert!(small.look(&mib(63.0)).is_some(), "64 MiB of a small one");
        let mut unknown = Machine::new("host", None);
        assert_eq!(unknown.look(&mib(65.0)), None);
        assert!(unknown.look(&mib(63.0)).is_some());
    }

    #[test]
    fn gaps_and_other_monitors_say_nothing() {
        let mut machine = Machine::new("host", Some(16 << 30));
        assert_eq!(machine.look(&[]), None);
        assert_eq!(machine.look(&readings("host", &[(AVAILABLE, None)])), None);
        assert_eq!(
            machine.look(&readings("db", &[(AVAILABLE, Some(1.0))])),
            None
        );
    }

    #[test]
    fn swapping_stops_when_it_lasts_and_memory_is_scarce() {
        let said = swapping(6, 400.0, GIB).unwrap();
        assert!(said.starts_with("is swapping: "), "{said}");
        assert!(
            said.ends_with("with 1.0 GiB of memory left of 16 GiB"),
            "{said}"
        );
        assert_eq!(swapping(60, 200.0, GIB), None, "a little");
        assert_eq!(swapping(3, 5000.0, GIB), None, "a burst");
        assert_eq!(
            swapping(60, 5000.0, 4.0 * GIB),
            None,
            "a group at its limit"
        );
    }

    #[test]
    fn what_is_not_known_of_another_machine_does_not_excuse_its_swapping() {
        let after_six_seconds_of = |rate: f64| {
            let mut machine = Machine::new("db", None);
            let mut look = || machine.look(&readings("db", &[(SWAPPED_PER_S, Some(rate))]));
            (0..24).find_map(|_| look())
        };
        assert!(
            after_six_seconds_of(300.0)
                .unwrap()
                .starts_with("is swapping: ")
        );
        assert_eq!(after_six_seconds_of(250.0), None);
        // Counters that began anew after a gap are no swapping.
        let mut machine = Machine::new("db", None);
        for pages in [Some(9e9), None, Some(0.0), Some(1.0), Some(2.0), Some(3.0)] {
            assert_eq!(machine.look(&readings("db", &[("swap_out", pages)])), None);
        }
    }

    #[test]
    fn machines_are_found_by_the_names_of_fields() {
        let mut all = memory(1.0);
        all.extend(readings("db", &[(SWAPPED_PER_S, None), (AVAILABLE, None)]));
        all.extend(readings("redis", &[("memory", Some(1.0))]));
        assert_eq!(others(&all, "host"), ["db"]);
    }

    #[test]
    fn the_total_may_be_read_too() {
        let mut machine = Machine::new("db", None);
        let values = [(AVAILABLE, Some(GIB)), (TOTAL, Some(100.0 * GIB))];
        assert!(machine.look(&readings("db", &values)).is_some());
    }
}
