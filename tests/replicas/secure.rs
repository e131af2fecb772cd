//! A store behind TLS, with a certificate of the operator's own authority.

use super::redis::Redis;
use super::*;
use crate::common::program::{Folder, Program, free_port, run};

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server with a certificate for localhost and 127.0.0.1, which is reached by 127.0.0.2, too; and its port.
fn start() -> (Redis, u16) {
    let port = free_port();
    let (text, certificate, key, ca) =
        (port.to_string(), fixture("tls/localhost.pem"), fixture("tls/localhost.key"), fixture("tls/ca.pem"));
    let redis = Redis::start_with(&[
        "--bind",
        "127.0.0.1",
        "127.0.0.2",
        "--tls-port",
        &text,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ]);
    (redis, port)
}

#[test]
fn a_store_behind_tls_is_used_with_its_own_authority() {
    let (google, (redis, port)) = (google(), start());
    let limits = json!({"requests_per_day": 3});
    let store = json!({"url": format!("rediss://127.0.0.1:{port}"), "ca_file": fixture("tls/ca.pem")});
    let far = replica(&google, "far", store, &limits);
    let near = replica(&google, "near", json!({"url": redis.url()}), &limits);
    let statuses: Vec<u16> = [&far, &near, &far, &near, &far].map(|replica| chat(replica, LIMITED).status).into();
    assert_eq!(statuses, [200, 200, 200, 429, 429], "it is one store");
    wait_for("two replicas", || health(&far)["replicas"] == 2);
}

#[test]
fn a_server_whose_certificate_is_not_good_is_told_why_and_nothing_is_written() {
    let (google, (redis, port)) = (google(), start());
    let unknown = "its certificate is of an authority that is not trusted; give that authority's in store.ca_file";
    let config = |host: &str, ca: Option<&str>| {
        json!({
            "server": {"host": "127.0.0.1", "port": 0},
            "auth_keys": [{"key": LIMITED, "requests_per_day": 5}, FREE],
            "gemini_api_keys": [GEMINI_KEY],
            "endpoints": google.endpoints_json(),
            "store": {"url": format!("rediss://{host}:{port}"), "ca_file": ca.map(fixture)},
        })
    };
    let folder = Folder::new("replica");
    let is_told = |config: &Value, why: &str| {
        folder.write("looked.json", config.to_string());
        // On a machine that is too busy for a handshake the answer is late.
        wait_for(why, || {
            let output = run(&folder, &["check", "-c", "looked.json", "-ek", SEAL]);
            let said = String::from_utf8(output.stdout).unwrap();
            said.lines().any(|line| line.starts_with("[ERROR] store") && line.ends_with(why))
        });
    };
    let other = config("127.0.0.1", Some("tls_listener/ca.pem"));
    is_told(&other, unknown);
    is_told(&config("127.0.0.1", None), unknown);
    is_told(&config("127.0.0.2", Some("tls/ca.pem")), "its certificate is for other names than the one in store.url");
    let program = Program::start_in(&folder, &other, &["-ek", SEAL], &[]);
    program.has_said(unknown);
    let mut client = Client::new(([127, 0, 0, 1], program.port).into());
    assert_eq!(client.get("/readyz").status, 503);
    assert_eq!(client.chat(LIMITED, MODEL).unwrap().json()["error"]["code"], "store_unavailable");
    assert_eq!(client.chat(FREE, MODEL).unwrap().status, 200);
    assert_eq!(redis.cli(&["config", "set", "tls-auth-clients", "yes"]), "OK");
    is_told(
        &config("127.0.0.1", Some("tls/ca.pem")),
        "it wants a certificate of its client, and there is none to give; set tls-auth-clients no there",
    );
    assert_eq!(redis.names(), Vec::<String>::new());
}
