//! The keep-alive thread: breaks the silence of streams, so that proxies do not cut them and lost clients are noticed.

use super::event_writer::Stream;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;
use std::sync::Weak;
use std::time::{Duration, Instant};

/// How soon to look again at a stream that is being written.
const BUSY_RETRY: Duration = Duration::from_millis(100);
/// Shortest pause between two rounds, so that many streams share one.
const ROUND: Duration = Duration::from_millis(5);

/// What the thread is told.
pub(super) enum Watch {
    Stream(Weak<Mutex<Stream>>),
    Stop,
}

/// Runs until [`Watch::Stop`].
pub(super) fn run(watches: &Receiver<Watch>) {
    let mut streams: Vec<(Instant, Weak<Mutex<Stream>>)> = Vec::new();
    let mut next_round: Option<Instant> = None;
    loop {
        let told = match next_round {
            Some(due) => watches.recv_deadline(due),
            None => watches.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match told {
            Ok(Watch::Stream(stream)) => {
                let now = Instant::now();
                if let Some(due) = ping_if_due(&stream, now) {
                    next_round = Some(next_round.map_or(due, |round| round.min(due)));
                    streams.push((due, stream));
                }
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Watch::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        streams.retain_mut(|(due, stream)| {
            if *due > now {
                return stream.strong_count() > 0;
            }
            match ping_if_due(stream, now) {
                Some(next) => {
                    *due = next;
                    true
                }
                None => false,
            }
        });
        next_round = streams.iter().map(|(due, _)| *due).min().map(|due| due.max(now + ROUND));
    }
}

/// Pings the stream if that is due, and says when to look again; `None` when its answer is over.
fn ping_if_due(stream: &Weak<Mutex<Stream>>, now: Instant) -> Option<Instant> {
    let stream = stream.upgrade()?;
    // Held by its worker: it is being written, so it is not silent.
    let Some(mut stream) = stream.try_lock() else { return Some(now + BUSY_RETRY) };
    if stream.next_ping()? <= now {
        stream.ping();
    }
    // The first piece may come long before the first ping is due, and the silence after it is the shorter one.
    let next = stream.next_ping()?;
    Some(stream.longest_silence().map_or(next, |every| next.min(now + every)))
}
