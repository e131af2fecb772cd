//! What stands in the place of `tls` in a program that was built without it: values that there cannot be.

use mio::net::TcpStream;
use std::io::{self, IoSlice};
use std::path::Path;

pub(super) const HANDSHAKE: u8 = 22;

/// What clients of the listener are shown.
#[derive(Debug)]
pub enum Certificates {}

impl Certificates {
    /// Says that there is no TLS.
    pub fn load(_: &Path, _: &Path) -> Result<Certificates, String> {
        Err("this program was built without TLS (its feature `tls`)".into())
    }

    /// There is nothing to take over.
    pub fn refresh(&self) {
        match *self {}
    }

    pub(super) fn session(&self) -> Option<Session> {
        match *self {}
    }
}

pub(super) enum Session {}

impl Session {
    pub(super) fn shake(&self, _: &TcpStream) -> io::Result<bool> {
        match *self {}
    }

    pub(super) fn is_agreed(&self) -> bool {
        match *self {}
    }

    pub(super) fn read(&self, _: &TcpStream, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn write_vectored(&self, _: &TcpStream, _: &[IoSlice]) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn flush(&self, _: &TcpStream) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn be_silent(&self) {
        match *self {}
    }

    pub(super) fn say_goodbye(&self, _: &TcpStream) {
        match *self {}
    }
}
