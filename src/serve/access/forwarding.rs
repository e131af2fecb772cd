//! What proxies tell of those for whom they ask.

/// Whether a field of this name is one by which a proxy, a tunnel or a content network says that a request is not its own.
/// Generous: whoever sends one without need is only no longer certain to be on this machine.
pub(super) fn is_told_by(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "via",
        "forwarded",
        "client-ip",
        "cdn-loop",
        "x-amzn-trace-id",
        "x-remote-addr",
        "x-remote-ip",
        "x-originating-ip",
    ];
    const BEGINNINGS: [&str; 17] = [
        "x-forwarded",
        "forwarded-",
        "x-original-",
        "x-proxy",
        "cf-",
        "fly-",
        "fastly-",
        "tailscale-",
        "x-amz-cf-",
        "x-azure-",
        "x-envoy-",
        "x-vercel-",
        "x-arr-",
        "x-sucuri-",
        "x-akamai-",
        "x-nginx-",
        "x-cloud-trace-",
    ];
    const ENDINGS: [&str; 6] = ["-client-ip", "-clientip", "-user-ip", "-real-ip", "-connecting-ip", "-forwarded-for"];
    // Gateways of CGI write underscores.
    let name = name.to_ascii_lowercase().replace('_', "-");
    NAMES.contains(&name.as_str())
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::is_told_by;

    #[test]
    fn what_proxies_add_is_known_and_what_clients_send_is_not() {
        for name in [
            "Via",
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Server",
            "x-forwarded-prefix",
            "X-Real-IP",
            "True-Client-IP",
            "X-Cluster-Client-Ip",
            "Fastly-Client-IP",
            "Tailscale-User-Login",
            "CF-Ray",
            "CDN-Loop",
            "X-ProxyUser-Ip",
            "X-Envoy-External-Address",
            "X_Forwarded_For",
            "x_real_ip",
            "X-Sucuri-ClientIP",
            "X-Appengine-User-IP",
            "X-ARR-LOG-ID",
            "X-NginX-Proxy",
            "X-Cloud-Trace-Context",
        ] {
            assert!(is_told_by(name), "{name}");
        }
        for name in
            ["Host", "User-Agent", "Accept", "X-Request-ID", "x-goog-api-client", "X-Client-Name", "x-stainless-os"]
        {
            assert!(!is_told_by(name), "{name}");
        }
    }
}
