//! Whether a listener lives, as a client sees it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// The address of the listener as one can connect to it.
fn reachable(mut listener: SocketAddr) -> SocketAddr {
    match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listener.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listener.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listener
}

/// Whether the front closes what has ended: all that can be asked where a connection does not begin with a request.
pub fn closes(listener: SocketAddr, patience: Duration) -> io::Result<()> {
    let mut socket = TcpStream::connect_timeout(&reachable(listener), patience)?;
    socket.set_read_timeout(Some(patience))?;
    socket.shutdown(Shutdown::Write)?;
    socket.read(&mut [0]).map(drop)
}

/// Whether the front answers. A full one says 503 or closes at once, and lives as well.
pub fn answers(listener: SocketAddr, patience: Duration) -> io::Result<()> {
    let mut socket = TcpStream::connect_timeout(&reachable(listener), patience)?;
    socket.set_read_timeout(Some(patience))?;
    socket.write_all(b"GET /livez HTTP/1.0\r\n\r\n")?;
    socket.read(&mut [0; 16]).map(drop)
}
