//! Standard output without waiting for it: who reads it may be slow or have stopped, and then lines are lost rather than
//! requests. The listener's thread writes lines too.

use crate::os::platform;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// How long a line may wait for its turn and for room.
const PATIENCE: Duration = Duration::from_millis(200);
/// After a loss no line waits for so long.
const IMPATIENCE: Duration = Duration::from_secs(5);

/// Held while a line is written. A part of the logger, which is global itself.
static TURN: Mutex<()> = Mutex::new(());
static LOSSES: Mutex<Losses> = Mutex::new(Losses { lines: 0, last: None });

struct Losses {
    lines: usize,
    last: Option<Instant>,
}

/// Has a line written by `write`, which is told how many were lost before it; or loses it.
pub(super) fn take_turn(write: impl FnOnce(usize)) {
    let is_impatient = LOSSES.lock().last.is_some_and(|last| last.elapsed() < IMPATIENCE);
    let patience = if is_impatient { Duration::ZERO } else { PATIENCE };
    let turn = TURN.try_lock_for(patience).filter(|_| platform::output_has_room(patience));
    let mut losses = LOSSES.lock();
    if turn.is_none() {
        losses.lines += 1;
        losses.last = Some(Instant::now());
        return;
    }
    let lost = std::mem::take(&mut losses.lines);
    drop(losses);
    write(lost);
}
