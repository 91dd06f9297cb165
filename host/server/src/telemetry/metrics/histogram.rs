//! Histograms without a lock. Those of the library lock a mutex at every observation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds for durations, in nanoseconds: from 100 µs to 10 s.
const DURATIONS: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Upper bounds for the number of deletes in a batch.
const BATCHES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// Counts values by their size.
pub(super) struct Histogram {
    /// The upper bounds of the buckets but the last, which has none.
    bounds: &'static [u64],
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    /// How many of the unit of the values are one of the unit of the metric.
    scale: f64,
}

/// A histogram when it was read, in the unit of the metric.
pub(super) struct HistogramValue {
    pub(super) sum: f64,
    pub(super) count: u64,
    /// The upper bound and the number of values of each bucket, without those of smaller buckets.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// A histogram of durations.
    pub(super) fn of_durations() -> Self {
        Self::new(DURATIONS, NANOSECONDS_PER_SECOND)
    }

    /// A histogram of numbers of deletes.
    pub(super) fn of_batches() -> Self {
        Self::new(BATCHES, 1.0)
    }

    fn new(bounds: &'static [u64], scale: f64) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0), scale }
    }

    pub(super) fn observe(&self, value: u64) {
        let index = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
            self.sum.fetch_add(value, Ordering::Relaxed);
        }
    }

    pub(super) fn observe_duration(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Reads the histogram. The count is that of the buckets; an observation at the same time can be missing in the sum.
    #[expect(clippy::cast_precision_loss, reason = "a sum of more than 2^53 loses its last digits only")]
    pub(super) fn value(&self) -> HistogramValue {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / self.scale).chain([f64::INFINITY]);
        HistogramValue {
            sum: self.sum.load(Ordering::Relaxed) as f64 / self.scale,
            count: counts.iter().sum(),
            buckets: bounds.zip(counts).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Histogram};

    #[test]
    fn value_at_a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::of_durations();
        for microseconds in [0, 100, 101, 10_000_000, 10_000_001] {
            histogram.observe_duration(Duration::from_micros(microseconds));
        }
        let value = histogram.value();
        let filled: Vec<_> = value.buckets.iter().copied().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.0001, 2), (0.00025, 1), (10.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(value.count, 5);
        assert!((value.sum - 20.000_202).abs() < 1e-9, "{}", value.sum);
    }
}
