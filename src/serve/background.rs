//! What is done when nobody asks for it: Google's model list is fetched every few hours, and while the server is idle its
//! credentials are looked at one by one. One thread; no request and no start ever waits for it.

use crate::gemini::models::Listed;
use crate::serve::app::Current;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A ureq call through rustls needs up to 192 KiB in debug builds (crate_notes.md 3).
const STACK: usize = 512 * 1024;

/// How often what is done.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// The model list.
    pub models: Duration,
    /// The model list again, after a failure or without a key.
    pub models_again: Duration,
    /// A look whether anything is due.
    pub look: Duration,
}

impl Default for Rounds {
    fn default() -> Rounds {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Rounds { models: minutes(180), models_again: minutes(10), look: Duration::from_secs(15) }
    }
}

/// The thread.
pub struct Caretaker {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Caretaker {
    /// Starts it.
    pub fn start(current: Arc<Current>, rounds: Rounds) -> io::Result<Caretaker> {
        let (stop, stopped) = bounded(0);
        let thread = std::thread::Builder::new().name("caretaker".into()).stack_size(STACK);
        let thread = thread.spawn(move || care(&current, rounds, &stopped))?;
        Ok(Caretaker { stop, thread })
    }

    /// Ends it; a call to Google that is under way is waited for, so shut the agent down first.
    pub fn stop(self) {
        drop(self.stop);
        // A panic was reported by the panic hook already.
        let _ = self.thread.join();
    }
}

fn care(current: &Current, rounds: Rounds, stopped: &Receiver<()>) {
    let mut models_due = Instant::now();
    loop {
        if Instant::now() >= models_due {
            models_due = Instant::now() + if list_models(current) { rounds.models } else { rounds.models_again };
        }
        current.get().pool.check_idle();
        if stopped.recv_timeout(rounds.look) != Err(RecvTimeoutError::Timeout) {
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
