//! What all replicas have used with a key, by their statistics. A meter is told so when somebody looks, and shows at least so much:
//! its own counts are those of all only where the last request came here.

use super::meter::{Counts, Reading};
use super::{Keys, Used};
use crate::calendar;
use std::collections::HashMap;

/// What was used of a day and of its month.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    day: u32,
    of_day: Used,
    of_month: Used,
}

impl Keys {
    /// Takes over what was used of this day (days since 1970) and of its month, by the marks of keys.
    pub fn tell_used(&self, day: u32, used: &HashMap<String, [Used; 2]>) {
        for key in self.list.read().iter() {
            if let Some(&[of_day, of_month]) = used.get(&*key.mark) {
                key.meter.counts.lock().own().told = Some(Told { day, of_day, of_month });
            }
        }
    }
}

impl Counts {
    /// Puts what others have used into what is shown, as far as it is of the same day and month.
    pub(super) fn with_told(&self, mut reading: Reading) -> Reading {
        let Some(told) = self.own.as_ref().and_then(|own| own.told) else { return reading };
        if told.day == self.day {
            raise(&mut reading.today, told.of_day);
        }
        if calendar::next_month(told.day) == self.next_month {
            raise(&mut reading.month, told.of_month);
        }
        reading
    }
}

fn raise(used: &mut Used, told: Used) {
    used.requests = used.requests.max(told.requests);
    used.tokens = used.tokens.max(told.tokens);
    used.cost = used.cost.max(told.cost);
}
