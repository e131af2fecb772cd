//! TLS on the listener: the handshake in any shape, what clients do with it, and the certificate that is shown.

mod certificates;
mod handshake;
mod hostile;
mod programs;
mod streams;

use crate::common::program::Folder;
use crate::listener::harness::{Client, PATIENCE, Rig, start_as};
use gemini_openai_proxy::http::{Certificates, Limits};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, crypto};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls_listener").join(name)
}

fn certificates() -> Arc<Certificates> {
    Arc::new(Certificates::load(&fixture("first.pem"), &fixture("first.key")).unwrap())
}

fn start(limits: Limits) -> Rig {
    start_as("127.0.0.1", limits, |server| server.with_tls(certificates()))
}

/// What a client trusts and speaks.
fn client_config(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

fn session(config: ClientConfig, name: &str) -> ClientConnection {
    ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap()
}

fn socket(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn connect_with(address: SocketAddr, config: ClientConfig, name: &str) -> Client<Tls> {
    Client::over(StreamOwned::new(session(config, name), socket(address)))
}

fn connect(address: SocketAddr) -> Client<Tls> {
    connect_with(address, client_config(rustls::ALL_VERSIONS), "localhost")
}

/// The files of a certificate that will be renewed.
fn files(folder: &Folder, name: &str) -> [PathBuf; 2] {
    ["pem", "key"].map(|kind| {
        let file = folder.join(&format!("listener.{kind}"));
        std::fs::copy(fixture(&format!("{name}.{kind}")), &file).unwrap();
        file
    })
}
