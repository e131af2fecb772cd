//! Which page a browser calls for. Browsers send the stored login with requests that other pages make, and any page knows
//! the keys of examples; this is what tells them apart.

use super::is_loopback_name;
use crate::http::{Request, Response};
use serde_json::json;

/// The page's own header. A cross-site page cannot set it without a preflight, which the admin routes do not grant.
const HEADER: (&str, &str) = ("x-requested-with", "gemini-proxy");

/// Lets a changing call pass when it comes from the page or from no browser at all (scripts send neither `Origin` nor
/// `Sec-Fetch-Site`, browsers send at least one of them with every call that is not a GET); else the 403 to answer.
pub fn same_origin(request: &Request) -> Result<(), Response> {
    let origin = request.headers.get("origin");
    let site = request.headers.get("sec-fetch-site");
    if origin.is_none() && site.is_none() {
        return Ok(());
    }
    let refused = |detail: &str| Err(Response::json(403, &json!({"detail": detail})));
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return refused("This call comes from another site.");
    }
    // Where the browser itself says so, `Host` is not asked: a proxy before this program may have changed it.
    if site != Some("same-origin") && origin.is_some_and(|origin| !is_own(origin, request)) {
        return refused("This call comes from a page of another address.");
    }
    if request.headers.get(HEADER.0) != Some(HEADER.1) {
        return refused("The header X-Requested-With: gemini-proxy is missing.");
    }
    Ok(())
}

/// Whether a browser makes the call for a page of another site, or for one that hides where it is from. Pages of this
/// machine are not foreign, whatever their port.
pub(super) fn is_foreign(request: &Request) -> bool {
    let is_near = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| is_loopback_name(host));
    let mut origins = request.headers.all("origin").peekable();
    match origins.peek() {
        Some(_) => !origins.all(|origin| is_near(origin) || is_own(origin, request)),
        // A GET of a page's picture or script has no origin.
        None => request.headers.all("sec-fetch-site").any(|site| site.eq_ignore_ascii_case("cross-site")),
    }
}

/// Whether an origin names the host that was asked. The scheme may differ: a proxy before this program ends TLS.
fn is_own(origin: &str, request: &Request) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let plain = |host: &str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    request.headers.get("host").is_some_and(|host| plain(host) == plain(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        Request::sample("POST", "/admin/usage/reset", headers)
    }

    #[test]
    fn pages_of_other_sites_are_foreign_and_those_of_this_machine_are_not() {
        let host = ("Host", "127.0.0.1:8889");
        for (headers, foreign) in [
            (vec![host], false),
            (vec![host, ("Origin", "http://localhost:3000"), ("Sec-Fetch-Site", "cross-site")], false),
            (vec![host, ("Origin", "http://[::1]:3000")], false),
            (vec![host, ("Origin", "tauri://localhost")], false),
            (vec![("Host", "p.example"), ("Origin", "https://p.example")], false),
            (vec![host, ("Sec-Fetch-Site", "none")], false),
            (vec![host, ("Sec-Fetch-Site", "same-site")], false),
            (vec![host, ("Origin", "https://evil.example")], true),
            (vec![host, ("Origin", "null")], true),
            (vec![host, ("Origin", "")], true),
            (vec![host, ("Origin", "http://localhost.evil.example")], true),
            (vec![host, ("Origin", "http://localhost:3000"), ("Origin", "https://evil.example")], true),
            (vec![host, ("Origin", "http://localhost@evil.example")], true),
            (vec![host, ("Sec-Fetch-Site", "Cross-Site")], true),
        ] {
            assert_eq!(is_foreign(&request(&headers)), foreign, "{headers:?}");
        }
    }

    #[test]
    fn only_the_page_and_scripts_may_change_things() {
        let host = ("Host", "localhost:8889");
        let own = ("Origin", "http://localhost:8889");
        let mark = ("X-Requested-With", "gemini-proxy");
        for (headers, allowed) in [
            (vec![host], true),
            (vec![host, mark, own, ("Sec-Fetch-Site", "same-origin")], true),
            (vec![host, mark, own], true),
            (vec![("Host", "backend"), mark, own, ("Sec-Fetch-Site", "same-origin")], true),
            (vec![("Host", "backend"), mark, own], false),
            (vec![("Host", "p.example"), mark, ("Origin", "https://p.example:443")], true),
            (vec![host, own, ("Sec-Fetch-Site", "same-origin")], false),
            (vec![host, mark, ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")], false),
            (vec![host, mark, ("Origin", "http://localhost:9999"), ("Sec-Fetch-Site", "same-site")], false),
            (vec![host, mark, ("Origin", "http://localhost:9999")], false),
            (vec![host, mark, ("Origin", "null")], false),
            (vec![host, ("Sec-Fetch-Site", "cross-site")], false),
            (vec![mark, own], false),
        ] {
            assert_eq!(same_origin(&request(&headers)).is_ok(), allowed, "{headers:?}");
        }
    }
}
