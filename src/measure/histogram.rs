//! A latency histogram as a value: sparse, mergeable, with the buckets of HDR Histogram (3
//! significant digits).

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Significant decimal digits that the buckets keep: a value is known to 0.1 %.
const DIGITS: u8 = 3;
/// Longest latency that can be recorded; longer ones are counted as this.
const MAX_MICROS: u64 = 3_600_000_000;
/// Bits that tell values of one doubling apart: 2^11 is the first power of two above twice
/// 10^[`DIGITS`].
const SUB_BUCKET_BITS: u32 = 11;

/// Why an encoded histogram could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// Not base64.
    #[error("the histogram is not valid base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not an HDR histogram.
    #[error("the histogram is not in HDR V2 format: {0}")]
    Hdr(String),
}

/// Latencies counted in HDR buckets, microseconds, kept sparse so that a run's every window fits in
/// memory.
///
/// Serialises as the field's interchange format: base64 of HDR Histogram V2, deflated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Histogram {
    /// (highest value of the bucket in microseconds, count), ascending, no zero counts.
    buckets: Vec<(u64, u64)>,
}

impl Histogram {
    /// An empty recorder with this histogram's buckets, for the hot path; see [`Histogram::drain`].
    ///
    /// # Panics
    /// Never: the bounds are constants.
    pub fn recorder() -> Hdr<u64> {
        Hdr::new_with_bounds(1, MAX_MICROS, DIGITS).expect("constant bounds are valid")
    }

    /// Counts one latency in a recorder.
    pub fn record_into(recorder: &mut Hdr<u64>, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        recorder.saturating_record(micros.clamp(1, MAX_MICROS));
    }

    /// Takes what a recorder counted and empties it.
    pub fn drain(recorder: &mut Hdr<u64>) -> Self {
        let taken = Self::from_hdr(recorder);
        if !taken.is_empty() {
            recorder.reset();
        }
        taken
    }

    fn from_hdr(hdr: &Hdr<u64>) -> Self {
        let buckets = hdr
            .iter_recorded()
            .map(|b| (b.value_iterated_to(), b.count_since_last_iteration()))
            .collect();
        Self { buckets }
    }

    fn to_hdr(&self) -> Hdr<u64> {
        let mut hdr = Self::recorder();
        for &(value, count) in &self.buckets {
            hdr.saturating_record_n(value, count);
        }
        hdr
    }

    /// A histogram of the given latencies.
    pub fn of(latencies: impl IntoIterator<Item = Duration>) -> Self {
        let mut micros: Vec<u64> = latencies
            .into_iter()
            .map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX))
            .collect();
        Self::of_micros(&mut micros)
    }

    /// A histogram of latencies in microseconds, which are changed and sorted in place. A recorder
    /// takes hundreds of kilobytes; for the few latencies of a window, sorting is far cheaper.
    #[expect(
        clippy::stable_sort_primitive,
        reason = "ages in flight come nearly in order, and the stable sort merges ordered runs"
    )]
    pub fn of_micros(micros: &mut [u64]) -> Self {
        for value in &mut *micros {
            *value = bucket(*value);
        }
        micros.sort();
        let buckets = micros
            .chunk_by(|a, b| a == b)
            .map(|same| (same[0], same.len() as u64))
            .collect();
        Self { buckets }
    }

    /// A histogram of (value in microseconds, count), in any order; the highest values of buckets
    /// stay what they are, so that what was counted elsewhere in these buckets arrives without
    /// loss.
    pub fn of_buckets(buckets: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let counted = buckets.into_iter().filter(|&(_, n)| n > 0);
        Self::of_unsorted(counted.map(|(value, n)| (bucket(value), n)).collect())
    }

    /// Buckets in ascending order: (highest value, microseconds; count).
    pub fn buckets(&self) -> &[(u64, u64)] {
        &self.buckets
    }

    /// All of the given histograms together.
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let all = parts.into_iter().flat_map(|part| &part.buckets).copied();
        Self::of_unsorted(all.collect())
    }

    fn of_unsorted(mut all: Vec<(u64, u64)>) -> Self {
        all.sort_by_key(|&(value, _)| value);
        all.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        Self { buckets: all }
    }

    /// How many latencies were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, n)| n).sum()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// How many latencies are at or above `limit` (to the bucket's 0.1 %).
    pub fn count_at_or_above(&self, limit: Duration) -> u64 {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let first = self.buckets.partition_point(|&(v, _)| v < limit);
        self.buckets[first..].iter().map(|&(_, n)| n).sum()
    }

    /// The `q` quantile (0..=1), seconds: the smallest bucket that holds at least `q` of the counts
    /// at or below it. `None` when empty.
    pub fn quantile_s(&self, q: f64) -> Option<f64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank within the count"
        )]
        let rank = ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        for &(value, n) in &self.buckets {
            seen += n;
            if seen >= rank {
                return Some(seconds(value));
            }
        }
        None
    }

    /// The mean, seconds; `None` when empty.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn mean_s(&self) -> Option<f64> {
        let total = self.count();
        (total > 0).then(|| {
            self.buckets
                .iter()
                .map(|&(v, n)| seconds(v) * n as f64)
                .sum::<f64>()
                / total as f64
        })
    }

    /// The largest latency, seconds; `None` when empty.
    pub fn max_s(&self) -> Option<f64> {
        self.buckets.last().map(|&(v, _)| seconds(v))
    }

    /// Buckets in ascending order: (highest value, seconds; count).
    pub fn iter(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.buckets.iter().map(|&(v, n)| (seconds(v), n))
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        let mut merged = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        let (mut a, mut b) = (
            self.buckets.iter().peekable(),
            other.buckets.iter().peekable(),
        );
        loop {
            match (a.peek(), b.peek()) {
                (Some(&&(va, na)), Some(&&(vb, nb))) => {
                    if va <= vb {
                        a.next();
                    }
                    if vb <= va {
                        b.next();
                    }
                    merged.push(match va.cmp(&vb) {
                        std::cmp::Ordering::Less => (va, na),
                        std::cmp::Ordering::Greater => (vb, nb),
                        std::cmp::Ordering::Equal => (va, na + nb),
                    });
                }
                (Some(&&entry), None) => {
                    a.next();
                    merged.push(entry);
                }
                (None, Some(&&entry)) => {
                    b.next();
                    merged.push(entry);
                }
                (None, None) => break,
            }
        }
        self.buckets = merged;
    }
}

/// The highest value of a value's bucket: as HDR Histogram has them from 1 with 3 digits, 2 048
/// values of width 1 and then 1 024 of each doubled width.
fn bucket(micros: u64) -> u64 {
    let value = micros.clamp(1, MAX_MICROS);
    let width = (u64::BITS - value.leading_zeros()).saturating_sub(SUB_BUCKET_BITS);
    value | ((1 << width) - 1)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "at most an hour in microseconds"
)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

impl From<Histogram> for String {
    fn from(histogram: Histogram) -> Self {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&histogram.to_hdr(), &mut bytes)
            .expect("writing to memory cannot fail");
        STANDARD.encode(bytes)
    }
}

/// The most bytes that a histogram takes that is not deflated: a count of every bucket, each of the
/// most digits.
const MAX_INFLATED: u64 = 1 << 20;
/// Of the two kinds of the format, the one whose counts are deflated.
const DEFLATED: [u8; 4] = 0x1c84_9314_u32.to_be_bytes();

/// The same in the kind whose counts are not deflated.
///
/// Both kinds say after four bytes how long what follows is, and the library's reader believes it
/// before it reads: a damaged file would take gigabytes.
fn inflated(bytes: &[u8]) -> Result<Vec<u8>, HistogramError> {
    let Some(deflated) = bytes.strip_prefix(&DEFLATED) else {
        let counts = bytes.get(HEAD..).unwrap_or_default();
        return is_as_long_as_said(bytes, counts).map(|()| bytes.to_vec());
    };
    let deflated = deflated.get(4..).unwrap_or_default();
    is_as_long_as_said(bytes, deflated)?;
    let mut plain = Vec::new();
    ZlibDecoder::new(deflated)
        .take(MAX_INFLATED)
        .read_to_end(&mut plain)
        .map_err(|e| HistogramError::Hdr(e.to_string()))?;
    is_as_long_as_said(&plain, plain.get(HEAD..).unwrap_or_default())?;
    Ok(plain)
}

/// Bytes before the counts: kind, length, offset, digits, lowest, highest, ratio.
const HEAD: usize = 4 + 4 + 4 + 4 + 8 + 8 + 8;

fn is_as_long_as_said(bytes: &[u8], there: &[u8]) -> Result<(), HistogramError> {
    let said = bytes.get(4..8).and_then(|b| b.try_into().ok());
    let said = said.map_or(0, u32::from_be_bytes);
    if usize::try_from(said).is_ok_and(|said| said > there.len()) {
        let why = format!("it says that {said} bytes follow, and has {}", there.len());
        return Err(HistogramError::Hdr(why));
    }
    Ok(())
}

impl TryFrom<String> for Histogram {
    type Error = HistogramError;

    fn try_from(text: String) -> Result<Self, HistogramError> {
        let bytes = inflated(&STANDARD.decode(text)?)?;
        let hdr: Hdr<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|e| HistogramError::Hdr(format!("{e:?}")))?;
        Ok(Self::from_hdr(&hdr))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;

    fn ms(values: impl IntoIterator<Item = u64>) -> Histogram {
        Histogram::of(values.into_iter().map(Duration::from_millis))
    }

    #[test]
    fn a_length_that_is_not_there_is_not_believed() {
        let refused = |bytes: &[u8]| {
            let error = Histogram::try_from(STANDARD.encode(bytes)).unwrap_err();
            assert!(error.to_string().contains("bytes follow"), "{error}");
        };
        let written = STANDARD.decode(String::from(ms([1, 2, 3]))).unwrap();
        let mut outside = written.clone();
        outside[4] = 0xb0;
        refused(&outside);
        // The same within what is deflated.
        let mut plain = inflated(&written).unwrap();
        plain[4] = 0xb0;
        refused(&plain);
        let mut deflated = ZlibEncoder::new(Vec::new(), Compression::default());
        deflated.write_all(&plain).unwrap();
        let deflated = deflated.finish().unwrap();
        let length = u32::try_from(deflated.len()).unwrap().to_be_bytes();
        refused(&[&DEFLATED, &length, deflated.as_slice()].concat());
    }

    #[test]
    fn what_is_not_deflated_is_read_too() {
        let histogram = ms((0..2_000).map(|i| i * i));
        let written = STANDARD.decode(String::from(histogram.clone())).unwrap();
        let plain = inflated(&written).unwrap();
        assert_eq!(
            Histogram::try_from(STANDARD.encode(plain)).unwrap(),
            histogram
        );
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        let empty = Histogram::default();
        assert_eq!(empty.quantile_s(0.99), None);
        assert_eq!(empty.mean_s(), None);
        assert_eq!(empty.max_s(), None);
        assert_eq!(empty.count_at_or_above(Duration::ZERO), 0);
    }

    #[test]
    fn quantiles_match_the_sorted_values_to_a_tenth_of_a_percent() {
        let h = ms(1..=1000);
        for (q, want) in [
            (0.5, 0.5),
            (0.99, 0.99),
            (0.999, 0.999),
            (1.0, 1.0),
            (0.0, 0.001),
        ] {
            let got = h.quantile_s(q).unwrap();
            assert!((got / want - 1.0).abs() < 0.002, "{q}: {got} for {want}");
        }
        assert_eq!(h.count_at_or_above(Duration::from_millis(901)), 100);
    }

    #[test]
    fn merging_equals_recording_together() {
        let (a, b) = (ms((1..500).step_by(3)), ms((1..700).step_by(2)));
        let mut merged = a.clone();
        merged.merge(&b);
        assert_eq!(merged, ms((1..500).step_by(3).chain((1..700).step_by(2))));
        merged.merge(&Histogram::default());
        assert_eq!(merged.count(), a.count() + b.count());
    }

    #[test]
    fn sorting_gives_the_buckets_of_a_recorder() {
        let mut values: Vec<u64> = (0..5_000).collect();
        for shift in 10..64 {
            let power = 1_u64 << shift;
            values.extend((0..40).map(|k| power - 20 + k));
            values.extend((0..200).map(|k| power + (power / 200).wrapping_mul(k)));
        }
        values.extend([MAX_MICROS - 1, MAX_MICROS, MAX_MICROS + 1, u64::MAX]);
        let mut recorder = Histogram::recorder();
        for &value in &values {
            Histogram::record_into(&mut recorder, Duration::from_micros(value));
            let mut alone = Histogram::recorder();
            Histogram::record_into(&mut alone, Duration::from_micros(value));
            assert_eq!(
                Histogram::of_micros(&mut [value]),
                Histogram::drain(&mut alone),
                "{value}"
            );
        }
        assert_eq!(
            Histogram::of_micros(&mut values),
            Histogram::drain(&mut recorder)
        );
        assert_eq!(Histogram::of_micros(&mut []), Histogram::default());
    }

    #[test]
    fn buckets_that_travel_arrive_as_they_were() {
        let h = ms((1..4000).step_by(7));
        let mut travelled = h.buckets().to_vec();
        travelled.reverse();
        travelled.push((5, 0));
        assert_eq!(Histogram::of_buckets(travelled), h);
        let raw = [(20_000, 1), (19_990, 1), (0, 1), (u64::MAX, 1)];
        let mut values = raw.map(|(v, _)| v);
        assert_eq!(
            Histogram::of_buckets(raw),
            Histogram::of_micros(&mut values)
        );
    }

    #[test]
    fn a_sum_equals_merging_one_by_one() {
        let parts = [
            ms((1..500).step_by(3)),
            Histogram::default(),
            ms([7, 7]),
            ms((1..700).step_by(2)),
        ];
        let mut merged = Histogram::default();
        for part in &parts {
            merged.merge(part);
        }
        assert_eq!(Histogram::sum(&parts), merged);
        assert_eq!(Histogram::sum([]), Histogram::default());
    }

    #[test]
    fn a_written_histogram_reads_back_the_same() {
        for h in [Histogram::default(), ms([1]), ms((1..4000).step_by(7))] {
            let text = String::from(h.clone());
            assert_eq!(Histogram::try_from(text).unwrap(), h);
        }
        assert!(Histogram::try_from("not base64!".to_owned()).is_err());
        assert!(Histogram::try_from("AAAA".to_owned()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_histogram_is_read_as_it_was_written(
            micros in prop::collection::vec((0_u64..u64::MAX, 1_u64..1 << 40), 0..200),
            damaged in any::<prop::sample::Index>(),
            by in 1_u8..=255,
        ) {
            let histogram = Histogram::of_buckets(micros);
            let text = String::from(histogram.clone());
            prop_assert_eq!(&Histogram::try_from(text.clone()).unwrap(), &histogram);
            // Damage is refused, or is a histogram; it never is a panic.
            let mut bytes = STANDARD.decode(text).unwrap();
            let at = damaged.index(bytes.len());
            bytes[at] ^= by;
            if let Ok(other) = Histogram::try_from(STANDARD.encode(bytes)) {
                prop_assert_eq!(Histogram::try_from(String::from(other.clone())).unwrap(), other);
            }
        }
    }
}
