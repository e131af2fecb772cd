//! Durations in fixed buckets on a log scale: each bound is twice the one before, so that histograms of different days and
//! rows add up, and a quantile is off by less than a factor of two.

use std::time::Duration;

/// Upper bounds in milliseconds: 4 ms to 4 min 22 s. What takes longer is in one more bucket without a bound.
pub const BOUNDS_MS: [u64; 17] =
    [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144];

/// How often what took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u32; BOUNDS_MS.len() + 1],
    sum_ms: u64,
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < ms);
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    /// Adds all of another one.
    pub fn add(&mut self, other: &Histogram) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = mine.saturating_add(theirs);
        }
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }

    /// Puts in place what was counted elsewhere; a bucket that there is not is left out.
    pub(super) fn set(&mut self, bucket: usize, count: u64) {
        if let Some(known) = self.counts.get_mut(bucket) {
            *known = u32::try_from(count).unwrap_or(u32::MAX);
        }
    }

    pub(super) fn set_sum(&mut self, ms: u64) {
        self.sum_ms = ms;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// Their sum in milliseconds.
    pub fn sum_ms(&self) -> u64 {
        self.sum_ms
    }

    /// Counts by bucket; the last has no bound.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The time in milliseconds below which `part` (0 to 1) of all stay, placed inside its bucket as if the bucket's
    /// entries were spread evenly on the log scale. `None` when nothing was counted; the last bound for what is beyond it.
    pub fn quantile_ms(&self, part: f64) -> Option<u64> {
        let rank = part * self.count() as f64;
        let mut below = 0.0;
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = f64::from(*count);
            if below + count >= rank {
                let Some(upper) = BOUNDS_MS.get(bucket) else { break };
                let lower = if bucket == 0 { 1.0 } else { *upper as f64 / 2.0 };
                let inside = ((rank - below) / count).clamp(0.0, 1.0);
                return Some((lower * (*upper as f64 / lower).powf(inside)).round() as u64);
            }
            below += count;
        }
        (self.count() > 0).then_some(BOUNDS_MS[BOUNDS_MS.len() - 1])
    }

    /// As the state file has it: the sum, then bucket and count of those that are not empty.
    pub(super) fn write(&self, text: &mut String) {
        if self.count() == 0 {
            return;
        }
        text.push_str(&self.sum_ms.to_string());
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            text.push_str(&format!(" {bucket} {count}"));
        }
    }

    /// The reverse of [`Histogram::write`].
    pub(super) fn read(text: &str) -> Option<Histogram> {
        let mut histogram = Histogram::default();
        let mut numbers = text.split_ascii_whitespace();
        let Some(sum) = numbers.next() else { return Some(histogram) };
        histogram.sum_ms = sum.parse().ok()?;
        while let Some(bucket) = numbers.next() {
            let count = numbers.next()?.parse().ok()?;
            *histogram.counts.get_mut(bucket.parse::<usize>().ok()?)? = count;
        }
        Some(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        milliseconds.iter().for_each(|ms| histogram.record(Duration::from_millis(*ms)));
        histogram
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        for (ms, bucket) in [(0, 0), (4, 0), (5, 1), (8, 1), (262_144, 16), (262_145, 17), (u64::MAX, 17)] {
            assert_eq!(of(&[ms]).counts()[bucket], 1, "{ms} ms");
        }
    }

    #[test]
    fn quantiles_stay_within_a_factor_of_two() {
        let times: Vec<u64> = (1..=1000).collect();
        let histogram = of(&times);
        for (part, exact) in [(0.5, 500.0), (0.95, 950.0), (0.01, 10.0)] {
            let found = histogram.quantile_ms(part).unwrap() as f64;
            assert!(found > exact / 2.0 && found < exact * 2.0, "{part}: {found}");
        }
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
        assert_eq!(of(&[900_000]).quantile_ms(0.5), Some(262_144));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for histogram in [of(&[]), of(&[3]), of(&[1, 100, 100, 5000, 999_999])] {
            let mut text = String::new();
            histogram.write(&mut text);
            assert_eq!(Histogram::read(&text), Some(histogram), "{text}");
        }
        for broken in ["x", "1 2", "1 99 1", "1 0 x"] {
            assert_eq!(Histogram::read(broken), None, "{broken}");
        }
    }
}
