//! Asks the listener of this machine whose certificate lies in a file: who shows that very one is it, whatever name, issuer
//! and end stand in it.

use super::json_client::{Login, basic};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};
use serde_json::Value;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// No answer that is asked for is longer.
const LARGEST: u64 = 64 << 10;

/// What is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// From the slash on.
    pub path: &'a str,
    /// User and password, where they are wanted.
    pub login: Login<'a>,
    /// What is posted; `None`: GET.
    pub body: Option<&'a Value>,
}

/// Asks what stands behind `base`, an address with `https://`. Status, and the body if it is JSON.
pub fn ask(base: &str, certificate: &Path, question: Question<'_>, patience: Duration) -> Result<(u16, Value), String> {
    let text = fs::read(certificate).map_err(|error| format!("{} cannot be read: {error}", certificate.display()))?;
    let known = CertificateDer::pem_slice_iter(&text).next().and_then(Result::ok);
    let known = known.ok_or_else(|| format!("there is no certificate in {}", certificate.display()))?;
    let host = base.trim_start_matches("https://");
    let answer = exchange(host, known, question, patience).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("the answer is not whole")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("the answer is not HTTP")?;
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

fn exchange(
    host: &str,
    known: CertificateDer<'static>,
    Question { path, login, body }: Question<'_>,
    patience: Duration,
) -> io::Result<Vec<u8>> {
    let listener = host.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let provider = Arc::new(crypto::ring::default_provider());
    let own = Own { known, provider: provider.clone() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(own))
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), ServerName::from(listener.ip())).map_err(io::Error::other)?;
    let socket = TcpStream::connect_timeout(&listener, patience)?;
    socket.set_read_timeout(Some(patience))?;
    let mut stream = StreamOwned::new(session, socket);
    let (method, body) = body.map_or_else(|| ("GET", String::new()), |body| ("POST", body.to_string()));
    let login = login.map(|login| format!("Authorization: {}\r\n", basic(login))).unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{login}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Takes one certificate and no other.
#[derive(Debug)]
struct Own {
    known: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *shown == self.known {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
