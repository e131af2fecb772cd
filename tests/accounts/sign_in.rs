//! Signing in to the admin page with a form, and out of it: what browsers get, while scripts go on with HTTP Basic.

use crate::common::client::{Client, Reply};
use crate::common::google::FakeGoogle;
use crate::common::proxy::Proxy;
use serde_json::{Value, json};

/// Base64 of `chef:right & long=1`.
const BASIC: (&str, &str) = ("Authorization", "Basic Y2hlZjpyaWdodCAmIGxvbmc9MQ==");
const PAGE: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const OURS: (&str, &str) = ("X-Requested-With", "gemini-proxy");
const RIGHT: &str = "username=chef&password=right+%26+long%3D1";

fn locked(google: &FakeGoogle, more: Value) -> Proxy {
    Proxy::start(google, |config| {
        config["admin_username"] = json!("chef");
        config["admin_password"] = json!("right & long=1");
        let fields = more.as_object().cloned().unwrap_or_default();
        fields.into_iter().for_each(|(name, value)| config[name] = value);
    })
}

fn sign_in(client: &mut Client, form: &str, headers: &[(&str, &str)]) -> Reply {
    client.send("POST", "/admin/sign-in", headers, form).unwrap()
}

/// `name=value` of the cookie that an answer sets.
fn cookie(reply: &Reply) -> String {
    let set = reply.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {} {}", reply.status, reply.body));
    set.split(';').next().unwrap().to_owned()
}

#[test]
fn a_browser_gets_a_form_and_a_script_its_old_question() {
    let google = FakeGoogle::start();
    let proxy = locked(&google, json!({}));
    let mut client = Client::new(proxy.address());
    for (path, action) in [("/", "admin/sign-in"), ("/oauth2/login", "../admin/sign-in")] {
        let form = client.send("GET", path, &[PAGE, ("Accept-Language", "zh-CN")], "").unwrap();
        assert_eq!((form.status, form.header("www-authenticate")), (401, None), "{path}");
        assert_eq!(form.header("referrer-policy"), Some("same-origin"), "else a browser sends the form from nowhere");
        assert!(form.header("content-type").unwrap().starts_with("text/html"), "{path}");
        assert!(form.body.contains(&format!("action=\"{action}\"")) && form.body.contains("密码"), "{}", form.body);
        let style =
            form.body.split("href=\"").find_map(|rest| rest.split_once(".css\"")).unwrap().0.to_owned() + ".css";
        let style = client.get(&format!("/{}", style.trim_start_matches("../")));
        assert_eq!(style.status, 200, "the form may be looked at");
    }
    for (path, headers) in
        [("/", vec![]), ("/admin/keys", vec![]), ("/static/page.js", vec![]), ("/admin/keys", vec![("Accept", "*/*")])]
    {
        let refused = client.send("GET", path, &headers, "").unwrap();
        assert_eq!(refused.status, 401, "{path}");
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"admin\", charset=\"UTF-8\""), "{path}");
        assert_eq!(refused.json()["detail"], "Admin credentials are required", "{path}");
    }
    let asked_by_the_page = client.send("GET", "/admin/keys", &[OURS], "").unwrap();
    assert_eq!((asked_by_the_page.status, asked_by_the_page.header("www-authenticate")), (401, None));
    assert_eq!(client.send("GET", "/admin/keys", &[BASIC], "").unwrap().status, 200);
}

#[test]
fn a_session_lasts_until_signing_out() {
    let google = FakeGoogle::start();
    let proxy = locked(&google, json!({}));
    let mut client = Client::new(proxy.address());
    let own = format!("http://{}", proxy.address());
    let entered = sign_in(&mut client, RIGHT, &[("Origin", &own)]);
    assert_eq!((entered.status, entered.header("location")), (303, Some("..")), "{}", entered.body);
    let set = entered.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure"), "plain HTTP would lose it: {set}");
    let cookie = cookie(&entered);
    let mine = ("Cookie", cookie.as_str());
    let (page, keys) =
        (client.send("GET", "/", &[PAGE, mine], "").unwrap(), client.send("GET", "/admin/keys", &[mine], "").unwrap());
    assert!(page.status == 200 && page.body.contains("data-t=") && keys.status == 200);
    let made =
        client.send("POST", "/admin/keys", &[mine, ("Origin", &own), OURS], r#"{"name":"by a session"}"#).unwrap();
    assert_eq!(made.status, 200, "{}", made.body);
    for (headers, status) in [
        (vec![mine, ("Origin", "http://evil.example"), OURS], 403),
        (vec![mine, ("Origin", own.as_str())], 403),
        (vec![("Cookie", "gemini_proxy_0=guessed"), OURS], 401),
        (vec![("Cookie", &cookie[..cookie.len() - 1]), OURS], 401),
    ] {
        assert_eq!(client.send("POST", "/admin/keys", &headers, r#"{"name":"x"}"#).unwrap().status, status);
    }
    // A second browser is another session.
    let other = self::cookie(&sign_in(&mut client, RIGHT, &[]));
    let out = client.send("POST", "/admin/sign-out", &[mine, ("Origin", &own), OURS], "").unwrap();
    assert_eq!((out.status, &out.json()["session"]), (200, &json!(true)), "{}", out.body);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(
        client.send("GET", "/admin/keys", &[mine], "").unwrap().status,
        401,
        "the cookie is worth nothing any more"
    );
    assert_eq!(client.send("GET", "/admin/keys", &[("Cookie", &other)], "").unwrap().status, 200);
    let basic = client.send("POST", "/admin/sign-out", &[BASIC], "").unwrap();
    assert_eq!((basic.status, &basic.json()["session"]), (200, &json!(false)));
}

#[test]
fn guessing_in_the_form_is_braked_but_who_is_in_stays_in() {
    let google = FakeGoogle::start();
    let proxy = locked(&google, json!({}));
    let mut client = Client::new(proxy.address());
    let entered = cookie(&sign_in(&mut client, RIGHT, &[]));
    for _ in 0..5 {
        let wrong = sign_in(&mut client, "username=chef&password=guessed", &[PAGE]);
        assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
        assert!(wrong.body.contains("Wrong user name or password"), "{}", wrong.body);
    }
    let braked = sign_in(&mut client, RIGHT, &[]);
    assert_eq!((braked.status, braked.header("set-cookie")), (429, None));
    assert!(braked.body.contains("Too many wrong passwords"), "{}", braked.body);
    assert_eq!(client.send("GET", "/admin/keys", &[("Cookie", &entered)], "").unwrap().status, 200);
}

#[test]
fn the_form_takes_little_and_nothing_from_other_sites() {
    let google = FakeGoogle::start();
    let proxy = locked(&google, json!({}));
    let mut client = Client::new(proxy.address());
    let foreign = sign_in(&mut client, RIGHT, &[("Origin", "https://evil.example")]);
    assert_eq!((foreign.status, foreign.header("set-cookie")), (403, None));
    let long = format!("{RIGHT}&{}", "x".repeat(5000));
    assert_eq!(sign_in(&mut client, &long, &[]).status, 413);
    let mut client = Client::new(proxy.address());
    for form in ["", "username=chef", "password=right+%26+long%3D1", "%%%", "username=chef&password="] {
        let refused = sign_in(&mut client, form, &[]);
        assert!(
            matches!(refused.status, 401 | 429) && refused.header("set-cookie").is_none(),
            "{form}: {}",
            refused.status
        );
    }
    let https = locked(&google, json!({"public_url": "https://proxy.example"}));
    let mut client = Client::new(https.address());
    let behind = sign_in(&mut client, RIGHT, &[("X-Forwarded-Proto", "https")]);
    assert!(behind.header("set-cookie").unwrap().contains("; Secure"));
    let open = Proxy::start(&google, |_| {});
    assert_eq!(sign_in(&mut Client::new(open.address()), RIGHT, &[]).status, 403, "there is no password to know");
}
