//! A table per day or per hour: the newest in detail, older ones smaller, the oldest forgotten.

use super::Table;
use std::sync::Arc;

/// How many periods are kept, and how many rows each may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Periods in all.
    pub(super) periods: usize,
    /// Rows of a period that is not over.
    pub(super) now: usize,
    /// Rows of one that is over.
    pub(super) over: usize,
    /// This many periods keep [`Bounds::over`] rows; those before them keep [`Bounds::old`].
    pub(super) detailed: usize,
    /// Rows of an old one.
    pub(super) old: usize,
}

/// Periods in order of time. Tables are shared with whoever reads them and copied when they change meanwhile, so that
/// reading takes no lock.
#[derive(Clone, Debug)]
pub(super) struct Series {
    bounds: Bounds,
    periods: Vec<(u32, Arc<Table>)>,
}

impl Series {
    pub(super) fn new(bounds: Bounds) -> Series {
        Series { bounds, periods: Vec::new() }
    }

    /// Puts back what was kept.
    pub(super) fn restore(&mut self, mut periods: Vec<(u32, Table)>) {
        periods.sort_unstable_by_key(|(number, _)| *number);
        self.periods = periods.into_iter().map(|(number, table)| (number, Arc::new(table))).collect();
        self.tidy();
    }

    pub(super) fn clear(&mut self) {
        self.periods.clear();
    }

    pub(super) fn periods(&self) -> &[(u32, Arc<Table>)] {
        &self.periods
    }

    /// The table of a period, and how many rows it may have. A clock that was set back finds or makes its old period: to
    /// make room, the last one that it had not reached yet goes. Older than all that is kept is a clock that does not
    /// know the time yet; what it counts is added to the oldest.
    pub(super) fn table(&mut self, number: u32) -> (&mut Table, usize) {
        let is_full = self.periods.len() >= self.bounds.periods;
        let mut at = self.periods.partition_point(|(other, _)| *other < number);
        if self.periods.get(at).is_none_or(|(other, _)| *other != number) && !(is_full && at == 0) {
            if is_full && at < self.periods.len() {
                self.periods.pop();
            }
            self.periods.insert(at, (number, Arc::default()));
            let before = self.periods.len();
            self.tidy();
            at -= before - self.periods.len();
        }
        (Arc::make_mut(&mut self.periods[at].1), self.bounds.now)
    }

    fn tidy(&mut self) {
        let excess = self.periods.len().saturating_sub(self.bounds.periods);
        self.periods.drain(..excess);
        for (age, (_, table)) in self.periods.iter_mut().rev().enumerate() {
            let most = match age {
                0 => self.bounds.now,
                _ if age < self.bounds.detailed => self.bounds.over,
                _ => self.bounds.old,
            };
            if table.rows().len() > most {
                Arc::make_mut(table).fold(most);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::*;

    #[test]
    fn old_periods_shrink_and_the_oldest_go() {
        let mut series = Series::new(Bounds { periods: 5, now: 40, over: 20, detailed: 3, old: 4 });
        for number in 0..8 {
            let (table, most) = series.table(number);
            for model in 0..100 {
                table.row(&Line::new("k", "c", &format!("m{model}")), most).fail("429", 1);
            }
        }
        let sizes: Vec<(u32, usize)> = series.periods().iter().map(|(number, t)| (*number, t.rows().len())).collect();
        assert_eq!(sizes.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        for ((number, rows), most) in sizes.iter().zip([4, 4, 20, 20, 40]) {
            assert!(rows <= &most, "period {number} has {rows} rows");
        }
        let failures = |table: &Table| table.rows().iter().map(|(_, counts)| counts.failures()).sum::<u64>();
        assert!(series.periods().iter().all(|(_, table)| failures(table) == 100));
    }

    #[test]
    fn a_clock_that_is_set_back_finds_its_period() {
        let mut series = Series::new(Bounds { periods: 5, now: 40, over: 20, detailed: 3, old: 4 });
        for number in [5, 4, 5, 3] {
            let (table, most) = series.table(number);
            table.row(&Line::new("k", "c", "m"), most).fail("429", 1);
        }
        let numbers: Vec<u32> = series.periods().iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [3, 4, 5]);
    }

    #[test]
    fn a_clock_that_was_wrong_leaves_no_more_periods_than_there_may_be() {
        let mut series = Series::new(Bounds { periods: 3, now: 40, over: 20, detailed: 3, old: 4 });
        let mut put = |number| {
            let (table, most) = series.table(number);
            table.row(&Line::new("k", "c", "m"), most).fail("429", 1);
            series.periods().iter().map(|(number, _)| *number).collect::<Vec<u32>>()
        };
        (10..13).for_each(|number| _ = put(number));
        assert_eq!(put(9000), [11, 12, 9000], "a year ahead");
        assert_eq!(put(13), [11, 12, 13], "put right");
        assert_eq!(put(14), [12, 13, 14]);
        assert_eq!(put(2), [12, 13, 14], "a clock far behind");
        assert_eq!(series.table(12).0.rows()[0].1.failures(), 2);
    }
}
