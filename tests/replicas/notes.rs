//! What is begun on one replica and goes on at another: logins with Google, uploads in pieces.

use super::redis::Redis;
use super::*;
use crate::common::google::User;

/// Fetches an address, whoever serves it, without following where it leads.
pub(super) fn get(address: &str) -> Reply {
    let (authority, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
    Client::new(authority.parse().unwrap()).get(&format!("/{path}"))
}

/// Where Google sends the browser after a login that this replica began.
pub(super) fn agreed(replica: &Proxy) -> String {
    let consent = get(&format!("{}/oauth2/login", replica.base()));
    assert_eq!(consent.status, 302, "{}", consent.body);
    let back = get(consent.header("location").unwrap());
    assert_eq!(back.status, 302, "{}", back.body);
    back.header("location").unwrap().strip_prefix(&replica.base()).expect("back to where it began").to_owned()
}

#[test]
fn a_login_that_began_on_one_replica_ends_on_another_once() {
    let (google, mut redis) = (google(), Redis::start());
    google.add_user(User::licensed("ada@example.com", "project-1"));
    let [one, other] = ["a", "b"].map(|name| replica(&google, name, json!({"url": redis.url()}), &json!({})));
    let back = agreed(&one);
    let held = redis.names().into_iter().find(|name| name.starts_with("gop:{n:")).expect("the login is there");
    let (written, state) = (redis.cli(&["hgetall", &held]), back.split("state=").nth(1).unwrap());
    assert!(!written.contains("127.0.0.1") && !held.contains(&state[..16]), "sealed, under a name that tells nothing");
    assert!(redis.cli(&["pttl", &held]).parse::<u64>().unwrap() > 600_000);
    let done = get(&format!("{}{back}", other.base()));
    assert_eq!(done.status, 200, "{}", done.body);
    for replica in [&one, &other] {
        let again = get(&format!("{}{back}", replica.base()));
        assert!(again.status == 400 && again.body.contains("completed already"), "{}", again.body);
    }
    let made_up = get(&format!("{}/oauth2/callback?code=x&state=made-up", one.base()));
    assert!(made_up.status == 400 && !made_up.body.contains("completed already"), "{}", made_up.body);
    // Pasted, with and without the state.
    let mut clients = [&one, &other].map(|replica| Client::new(replica.address()));
    let mut post = |at: usize, path: &str, body: Value| clients[at].send("POST", path, &[], &body.to_string()).unwrap();
    let started = post(0, "/admin/oauth/start", json!({"mode": "redirect"})).json();
    let back = get(started["url"].as_str().unwrap());
    let (text, state) = (back.header("location").unwrap(), &started["state"]);
    let code = text.split("code=").nth(1).unwrap().split('&').next().unwrap();
    assert_eq!(post(1, "/admin/oauth/finish", json!({"text": code, "state": state})).status, 200);
    let again = post(0, "/admin/oauth/finish", json!({"text": text}));
    assert!(again.status == 400 && again.body.contains("completed already"), "{}", again.body);
    // Nobody can say, so nobody is told that it is over.
    let back = agreed(&one);
    redis.kill();
    wait_for("the outage", || health(&other)["state"] == "down");
    let away = get(&format!("{}{back}", other.base()));
    assert!(away.status == 503 && away.body.contains("nothing was changed"), "{}", away.body);
    wait_for("the outage", || health(&one)["state"] == "down");
    assert_eq!(get(&format!("{}/oauth2/login", one.base())).status, 503);
    assert_eq!(post(0, "/admin/oauth/start", json!({})).status, 503);
    redis.begin();
    wait_for("the login", || get(&format!("{}{back}", other.base())).status == 200);
}

#[test]
fn an_upload_that_began_on_one_replica_goes_on_at_another() {
    let (google, mut redis) = (google(), Redis::start());
    let [one, other] = ["a", "b"].map(|name| replica(&google, name, json!({"url": redis.url()}), &json!({})));
    let mut here = Client::new(one.address());
    let made = here.send("POST", "/admin/keys", &[], r#"{"name":"loader"}"#).unwrap().json();
    let key = made["key"].as_str().unwrap();
    wait_for("the key", || Client::new(other.address()).chat(key, MODEL).unwrap().status == 200);
    let mut begin = |key: &str| {
        let start = [
            ("Authorization", &*format!("Bearer {key}")),
            ("X-Goog-Upload-Command", "start"),
            ("X-Goog-Upload-Protocol", "resumable"),
            ("X-Goog-Upload-Header-Content-Type", "text/plain"),
        ];
        let body = r#"{"file":{"display_name":"notes"}}"#;
        let begun = here.send("POST", "/upload/v1beta/files", &start, body).unwrap();
        assert_eq!(begun.status, 200, "{}", begun.body);
        let address = begun.header("x-goog-upload-url").unwrap();
        assert!(!address.contains(key));
        address.strip_prefix(&one.base()).expect("the address is ours").to_owned()
    };
    let piece = [("X-Goog-Upload-Command", "upload, finalize"), ("X-Goog-Upload-Offset", "0")];
    let send = |target: &str| Client::new(other.address()).send("POST", target, &piece, "hello").unwrap();
    let target = begin(FREE);
    let done = send(&target);
    assert_eq!((done.status, done.header("x-goog-upload-status")), (200, Some("final")), "{}", done.body);
    google.requests().iter().for_each(|request| assert!(!format!("{:?}", request.query).contains("proxy_upload")));
    // Also while the store is away.
    let (of_page, target) = (begin(key), begin(FREE));
    redis.kill();
    wait_for("the outage", || health(&other)["state"] == "down");
    assert_eq!(send(&target).status, 200);
    redis.begin();
    // What nobody has given out, and what belongs to a key that is revoked.
    let (before, voucher) = target.split_once("proxy_upload=").unwrap();
    let (mark, rest) = voucher.split_once('.').unwrap();
    let (until, proof) = rest.split_once('.').unwrap();
    let later = until.parse::<u64>().unwrap() + 1;
    let flipped = proof.replace(['0', '1'], "2");
    for made_up in [
        before.trim_end_matches('&').to_owned(),
        format!("{before}proxy_upload={mark}.{later}.{proof}"),
        format!("{before}proxy_upload={mark}.{until}.{flipped}2"),
        format!(
            "{before}proxy_upload={}.{rest}",
            of_page.split_once("proxy_upload=").unwrap().1.split('.').next().unwrap()
        ),
        target.replace("upload_id=", "upload_id=x"),
        target.replace("/upload/v1beta/files", "/v1beta/files"),
    ] {
        assert_eq!(send(&made_up).status, 401, "{made_up}");
    }
    let path = format!("/admin/keys/{}", made["id"].as_str().unwrap());
    wait_for("the store", || Client::new(one.address()).send("DELETE", &path, &[], "").unwrap().status == 200);
    wait_for("the revocation", || send(&of_page).status == 401);
}
