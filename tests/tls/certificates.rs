//! Which certificate is shown, and when it is another.

use super::{Tls, connect, files, fixture, start_as};
use crate::common::program::Folder;
use crate::listener::harness::{Client, limits};
use gemini_openai_proxy::http::Certificates;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

/// The certificate that a new connection is shown, and the connection.
fn shown(address: SocketAddr) -> (Vec<u8>, Client<Tls>) {
    let mut client = connect(address);
    client.get("/echo");
    assert_eq!(client.answer().status, 200);
    (client.socket.conn.peer_certificates().unwrap()[0].to_vec(), client)
}

#[test]
fn a_renewed_certificate_is_taken_over_without_a_lost_connection() {
    let folder = Folder::new("renewed");
    let [certificate, key] = files(&folder, "first");
    let certificates = Arc::new(Certificates::load(&certificate, &key).unwrap());
    let rig = start_as("127.0.0.1", limits(), |server| server.with_tls(certificates.clone()));
    let (first, mut open) = shown(rig.address);
    // Between the writes of one file and the other they do not fit together.
    fs::copy(fixture("second.pem"), &certificate).unwrap();
    certificates.refresh();
    assert_eq!(shown(rig.address).0, first);
    fs::copy(fixture("second.key"), &key).unwrap();
    certificates.refresh();
    let (second, _) = shown(rig.address);
    assert_ne!(second, first);
    for bad in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&certificate, bad).unwrap();
        certificates.refresh();
        assert_eq!(shown(rig.address).0, second, "{bad:?}");
    }
    fs::remove_file(&certificate).unwrap();
    certificates.refresh();
    assert_eq!(shown(rig.address).0, second);
    open.get("/echo");
    assert_eq!(open.answer().status, 200, "the first connection goes on");
}

#[test]
fn a_pair_that_cannot_be_used_is_said_in_words() {
    let folder = Folder::new("pairs");
    let empty = folder.join("empty");
    fs::write(&empty, "").unwrap();
    let encrypted = folder.join("encrypted");
    fs::write(&encrypted, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
        .unwrap();
    let broken = folder.join("broken");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
    let [first, first_key, second_key] = ["first.pem", "first.key", "second.key"].map(fixture);
    for (certificate, key, expected) in [
        (&folder.join("none"), &first_key, "none cannot be read: No such file"),
        (&first, &folder.join("none"), "none cannot be read: No such file"),
        (&empty, &first_key, "there is no certificate in"),
        (&broken, &first_key, "broken is not valid PEM"),
        (&first, &first, "there is no private key in"),
        (&first, &encrypted, "that is not encrypted"),
        (&first, &second_key, "second.key is not the key of the certificate in"),
    ] {
        let sentence = Certificates::load(certificate, key).unwrap_err();
        assert!(sentence.contains(expected), "{sentence}");
    }
}
