//! Waiting for the signal that ends the program.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The signals that end the program. Taken over before anything starts, so that none is lost: as process 1 of a container
/// the default would be to ignore them (crate_notes.md 11, row 18).
pub struct Stop {
    signals: Signals,
}

impl Stop {
    /// Takes SIGTERM and SIGINT over. The first one is waited for with [`Stop::wait`]; a second one, while running
    /// answers drain, ends the process at once with status 1.
    pub fn install() -> io::Result<Stop> {
        let first_came = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the shutdown looks at the flag before the same signal sets it.
            flag::register_conditional_shutdown(signal, 1, first_came.clone())?;
            flag::register(signal, first_came.clone())?;
        }
        Ok(Stop { signals: Signals::new([SIGTERM, SIGINT])? })
    }

    /// Blocks until one of them arrives.
    pub fn wait(&mut self) {
        self.signals.forever().next();
    }
}
