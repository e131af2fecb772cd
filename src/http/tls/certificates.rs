//! The certificate and its key, as two PEM files say. Whoever renews them writes them one after the other, so they are
//! taken over once they fit together, and until then the old ones stay.

use super::Session;
use parking_lot::{Mutex, RwLock};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, crypto};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

/// HTTP/1.1 and what HTTP/1.0 clients offer; HTTP/2 is not spoken.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// What clients of the listener are shown.
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
    /// What the files held when they were read last, so that each state of them is told once.
    seen: Mutex<Pair>,
}

/// Both files, or why one of them cannot be read.
#[derive(PartialEq)]
struct Pair(Result<(Vec<u8>, Vec<u8>), String>);

impl Certificates {
    /// Reads both files. The error is a sentence for the operator.
    pub fn load(certificate: &Path, key: &Path) -> Result<Certificates, String> {
        let pair = Pair::read(certificate, key);
        let current = RwLock::new(Arc::new(pair.config(certificate, key)?));
        Ok(Certificates { certificate: certificate.into(), key: key.into(), current, seen: Mutex::new(pair) })
    }

    /// Takes over the files where they have changed. Connections that are open keep what they were shown.
    pub fn refresh(&self) {
        let pair = Pair::read(&self.certificate, &self.key);
        let mut seen = self.seen.lock();
        if *seen == pair {
            return;
        }
        match pair.config(&self.certificate, &self.key) {
            Ok(config) => {
                *self.current.write() = Arc::new(config);
                log::info!(
                    "tls: new connections are shown the certificate that is now in {}",
                    self.certificate.display()
                );
            }
            Err(sentence) => log::error!("tls: the old certificate stays in use: {sentence}"),
        }
        *seen = pair;
    }

    /// A session for a client that begins a handshake.
    pub(in crate::http) fn session(&self) -> Option<Session> {
        // It fails for reasons that the config gives, and this one was tried.
        ServerConnection::new(self.current.read().clone()).ok().map(Session::new)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.certificate.display())
    }
}

impl Pair {
    fn read(certificate: &Path, key: &Path) -> Pair {
        let read = |path: &Path| fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
        Pair(read(certificate).and_then(|certificate| Ok((certificate, read(key)?))))
    }

    fn config(&self, certificate: &Path, key: &Path) -> Result<ServerConfig, String> {
        let (chain, secret) = self.0.as_ref().map_err(String::clone)?;
        let (certificate, key) = (certificate.display(), key.display());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|_| format!("{certificate} is not valid PEM"))?;
        if chain.is_empty() {
            return Err(format!("there is no certificate in {certificate}"));
        }
        let secret = PrivateKeyDer::from_pem_slice(secret).map_err(|error| match error {
            pem::Error::NoItemsFound => format!("there is no private key in {key} that is not encrypted"),
            _ => format!("{key} is not valid PEM"),
        })?;
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    format!("{key} is not the key of the certificate in {certificate}")
                }
                error => format!("{certificate} and {key} cannot be used: {error}"),
            })?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(config)
    }
}
