//! What systemd is told by a service of `Type=notify`: that it serves, that it ends, and now and then that it lives
//! (sd_notify(3), a datagram to the socket that the environment names). Without that socket nothing is told.

use std::env;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Sends `READY=1`, `STOPPING=1` or `WATCHDOG=1`.
pub(crate) fn tell(state: &str) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, state) {
        log::warn!("systemd cannot be told {state}: {error}");
    }
}

/// How often it wants to hear that the service lives: half of the time after which it would restart it.
pub(crate) fn watchdog() -> Option<Duration> {
    let micros: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let is_ours = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    Some(Duration::from_micros(micros / 2)).filter(|time| is_ours && !time.is_zero())
}

fn send(socket: &std::ffi::OsStr, state: &str) -> io::Result<()> {
    let datagram = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = std::os::unix::ffi::OsStrExt::as_bytes(socket).strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt as _;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return datagram.send_to_addr(state.as_bytes(), &address).map(drop);
    }
    datagram.send_to(state.as_bytes(), socket).map(drop)
}
