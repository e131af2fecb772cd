//! What is done when nobody asks for it: Google's model list is fetched every few hours, and while the server is idle
//! its credentials are checked one by one. One thread; no request and no start ever waits for it.

use crate::gemini::models::Listed;
use crate::serve::app::Current;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A ureq call through rustls needs up to 192 KiB in debug builds (docs/crates.md "Stacks of threads").
const STACK: usize = 512 * 1024;

/// How often what is done.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// The model list.
    pub models: Duration,
    /// The model list again, after a failure or without a key.
    pub models_again: Duration,
    /// Whether anything is due.
    pub check: Duration,
    /// Whether there is something to tell a person.
    pub alerts: Duration,
}

impl Default for Intervals {
    fn default() -> Intervals {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Intervals {
            models: minutes(180),
            models_again: minutes(10),
            check: Duration::from_secs(15),
            alerts: Duration::from_secs(10),
        }
    }
}

/// The thread.
pub struct Maintenance {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Maintenance {
    /// Starts it.
    pub fn start(current: Arc<Current>, intervals: Intervals) -> io::Result<Maintenance> {
        let (stop, stopped) = bounded(0);
        let thread = std::thread::Builder::new().name("maintenance".into()).stack_size(STACK);
        let thread = thread.spawn(move || maintain(&current, intervals, &stopped))?;
        Ok(Maintenance { stop, thread })
    }

    /// Ends it; a call to Google that is under way is waited for, so shut the agent down first.
    pub fn stop(self) {
        drop(self.stop);
        // A panic was reported by the panic hook already.
        let _ = self.thread.join();
    }
}

fn maintain(current: &Current, intervals: Intervals, stopped: &Receiver<()>) {
    let mut models_due = Instant::now();
    loop {
        if Instant::now() >= models_due {
            models_due = Instant::now() + if list_models(current) { intervals.models } else { intervals.models_again };
        }
        let app = current.get();
        if let Some(certificates) = &app.certificates {
            certificates.refresh();
        }
        app.pool.check_idle();
        if stopped.recv_timeout(intervals.check) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Whether there is a new list.
fn list_models(current: &Current) -> bool {
    let list: Vec<Listed> = match current.get().pool.list_models() {
        Ok(Some(list)) => list.iter().filter_map(Listed::read).collect(),
        Ok(None) => return false,
        Err(reason) => {
            log::debug!("models: Google's list did not come: {reason}");
            return false;
        }
    };
    // An empty list is an accident, not a wish to forget.
    if list.is_empty() {
        return false;
    }
    if *current.get().listed != list {
        log::info!("models: Google lists {} that generate", list.len());
        current.learn(list);
    }
    true
}
