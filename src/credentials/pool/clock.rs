//! Both clocks of the machine, read together. The monotonic one stands still while a laptop sleeps, the wall clock is set
//! back and forth by people and NTP: an end that either of them has passed has come. Too early costs one more question to
//! Google; too late would be a token that is refused, or a rest that never ends.

use std::time::{Duration, Instant, SystemTime};

/// Longer than anything here lasts; a time beyond it is a clock or a file that was wrong.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) monotonic: Instant,
    pub(crate) wall: SystemTime,
}

impl Now {
    pub(crate) fn read() -> Now {
        Now { monotonic: Instant::now(), wall: SystemTime::now() }
    }
}

/// When something ends, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Deadline {
    monotonic: Instant,
    wall: SystemTime,
}

impl Deadline {
    pub(crate) fn after(now: Now, span: Duration) -> Deadline {
        let span = span.min(LONGEST);
        Deadline { monotonic: now.monotonic + span, wall: now.wall + span }
    }

    /// An end that is told by the wall clock, such as that of a token in the file.
    pub(crate) fn at(wall: SystemTime, now: Now) -> Deadline {
        Deadline::after(now, wall.duration_since(now.wall).unwrap_or_default())
    }

    pub(crate) fn is_over(&self, now: Now) -> bool {
        self.left(now).is_zero()
    }

    /// The one of both that comes later.
    #[cfg(feature = "replicas")]
    pub(super) fn later(self, other: Deadline) -> Deadline {
        Deadline { monotonic: self.monotonic.max(other.monotonic), wall: self.wall.max(other.wall) }
    }

    /// What the clock that ends first still shows.
    pub(crate) fn left(&self, now: Now) -> Duration {
        let wall = self.wall.duration_since(now.wall).unwrap_or_default();
        self.monotonic.saturating_duration_since(now.monotonic).min(wall)
    }

    /// The end as people read it.
    pub(crate) fn shown(&self, now: Now) -> SystemTime {
        now.wall + self.left(now)
    }
}

/// Puts ends in an order that lasts: both clocks go on together from one moment on, or have jumped.
pub(super) struct Clock {
    start: Now,
}

impl Clock {
    pub(super) fn new(start: Now) -> Clock {
        Clock { start }
    }

    /// Long over.
    pub(super) fn start(&self) -> Instant {
        self.start.monotonic
    }

    /// When the clock that ends first will be there, on the monotonic one.
    pub(super) fn end(&self, deadline: Deadline) -> Instant {
        let wall = deadline.wall.duration_since(self.start.wall).unwrap_or_default();
        deadline.monotonic.min(self.start.monotonic + wall)
    }

    /// Whether ends have to be put in order anew: one clock has left the other, also bit by bit as NTP does it.
    pub(super) fn has_jumped(&self, now: Now) -> bool {
        let gone_by = now.monotonic.saturating_duration_since(self.start.monotonic);
        let expected = self.start.wall + gone_by;
        let apart = now.wall.duration_since(expected).unwrap_or_else(|error| error.duration());
        apart > Duration::from_millis(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_end_comes_by_whichever_clock_is_first() {
        let start = Now::read();
        let end = Deadline::after(start, HOUR);
        let at = |monotonic: Duration, wall: SystemTime| Now { monotonic: start.monotonic + monotonic, wall };
        for (name, now, over) in [
            ("at once", start, false),
            ("both went on", at(HOUR, start.wall + HOUR), true),
            ("asleep for a day", at(Duration::ZERO, start.wall + 24 * HOUR), true),
            ("the clock was set back a year", at(HOUR, start.wall - 365 * 24 * HOUR), true),
            ("set back, and half an hour went by", at(HOUR / 2, start.wall - HOUR), false),
            ("set forward a year", at(Duration::ZERO, start.wall + 365 * 24 * HOUR), true),
        ] {
            assert_eq!(end.is_over(now), over, "{name}");
            assert!(end.left(now) <= HOUR, "{name}: a jump never makes it longer");
        }
        assert_eq!(end.shown(start), start.wall + HOUR);
    }

    #[test]
    fn an_absurd_end_is_cut() {
        let now = Now::read();
        let end = Deadline::at(now.wall + Duration::from_secs(1 << 40), now);
        assert_eq!(end.left(now), LONGEST);
        assert!(Deadline::at(now.wall - HOUR, now).is_over(now));
    }
}
