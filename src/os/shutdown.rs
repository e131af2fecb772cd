//! Waiting for the signals: the one that ends the program, and the one that has it read its files again.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// The signals that the program answers. Taken over before anything starts, so that none is lost: as process 1 of a
/// container the default would be to ignore them (docs/crates.md "Threads and signals").
pub struct Stop {
    signals: Signals,
}

impl Stop {
    /// Takes SIGTERM, SIGINT and SIGHUP over. The first is waited for with [`Stop::wait`]; a second one, while running
    /// answers drain, ends the process at once with status 1.
    pub fn install() -> io::Result<Stop> {
        let first_came = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the shutdown looks at the flag before the same signal sets it.
            flag::register_conditional_shutdown(signal, 1, first_came.clone())?;
            flag::register(signal, first_came.clone())?;
        }
        Ok(Stop { signals: Signals::new([SIGTERM, SIGINT, SIGHUP])? })
    }

    /// Blocks until one of them arrives.
    pub fn wait(&mut self) -> Wish {
        match self.signals.forever().next() {
            Some(SIGHUP) => Wish::Reload,
            _ => Wish::Stop,
        }
    }
}
