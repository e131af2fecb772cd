//! Whether a changing call comes from the admin page itself. Browsers send the stored login with requests that other
//! pages make; this is what tells them apart.

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
