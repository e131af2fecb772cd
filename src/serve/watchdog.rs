//! Tells systemd that the program lives, as long as its listener answers: a hung front would be restarted.

use crate::config::Config;
use crate::http;
use crate::os::notify;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use std::io;
use std::net::SocketAddr;
use std::thread::{Builder, JoinHandle};

/// The thread.
pub(super) struct Watchdog {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    /// Starts it where systemd asks for it.
    pub(super) fn start(listener: SocketAddr, config: &Config) -> io::Result<Option<Watchdog>> {
        let Some(every) = notify::watchdog() else { return Ok(None) };
        let begins_with_a_request = config.tls.is_none() && !config.proxy_protocol;
        let lives = if begins_with_a_request { http::answers } else { http::closes };
        let (stop, stopped) = bounded(0);
        let thread = Builder::new().name("watchdog".into()).spawn(move || {
            loop {
                match lives(listener, every) {
                    Ok(()) => notify::tell("WATCHDOG=1"),
                    Err(error) => log::error!("watchdog: the listener does not answer: {error}"),
                }
                if stopped.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Some(Watchdog { stop, thread }))
    }

    /// Ends it.
    pub(super) fn stop(self) {
        drop(self.stop);
        // A panic was reported by the panic hook already.
        let _ = self.thread.join();
    }
}
