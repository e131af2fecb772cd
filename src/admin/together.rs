//! Work that asks Google once for each of many things: some of it together, for a while.

use crate::dispatch;
use crate::http::CancelToken;
use crossbeam_channel::{RecvTimeoutError, bounded};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What is under way at a time.
const TOGETHER: usize = 8;
/// A ureq call through rustls needs up to 192 KiB in debug builds (docs/crates.md "Stacks of threads").
const STACK: usize = 512 * 1024;
/// How soon it is noticed that the client is gone.
const SLICE: Duration = Duration::from_millis(250);

/// What the work on each item came to; `None` for those that were not done in time, or before the client left. The work
/// itself says `None` when the token that it is given cut it short.
pub(super) fn together<T: Sync, R: Send>(
    items: &[T],
    client: &CancelToken,
    span: Duration,
    work: impl Fn(&T, &CancelToken) -> Option<R> + Sync,
) -> Vec<Option<R>> {
    let end = Instant::now() + span;
    let late = CancelToken::default();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(items.iter().map(|_| None).collect::<Vec<_>>());
    let (done, finished) = bounded::<()>(0);
    thread::scope(|scope| {
        for number in 0..TOGETHER.min(items.len()) {
            let (late, next, results, work, done) = (&late, &next, &results, &work, done.clone());
            let work = move || {
                let _done = done;
                let _scope = dispatch::watch(late);
                while !late.is_cancelled() {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item, late);
                    results.lock()[at] = result;
                }
            };
            let thread = thread::Builder::new().name(format!("together-{number}")).stack_size(STACK);
            if let Err(error) = thread.spawn_scoped(scope, work) {
                log::warn!("admin: no thread to ask Google: {error}");
            }
        }
        drop(done);
        while finished.recv_timeout(SLICE) == Err(RecvTimeoutError::Timeout) {
            if client.is_cancelled() || Instant::now() >= end {
                late.cancel();
            }
        }
    });
    results.into_inner()
}
