//! Which hosts are near: in this machine or in a network of one's own, where plain text may be what is wanted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Ends of names that public DNS does not know (RFC 6761, RFC 6762, RFC 8375, ICANN's `.internal`), and what
/// Kubernetes puts behind the names of services.
const NEAR: &[&str] = &[
    ".internal",
    ".local",
    ".localhost",
    ".test",
    ".home.arpa",
    ".svc",
    ".cluster.local",
    ".lan",
    ".intranet",
];

/// Whether a host of a URL is near: a loopback or private address, a name without dots, or one of such an end.
pub(super) fn is_near(host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = name.parse::<IpAddr>() {
        return is_own(address);
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    !name.contains('.') || NEAR.iter().any(|end| name.ends_with(end))
}

fn is_own(address: IpAddr) -> bool {
    match address.to_canonical() {
        // RFC 6598: shared by the hosts behind one translator, and by overlay networks.
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_between(v4, [100, 64], [100, 127])
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn is_between(address: Ipv4Addr, first: [u8; 2], last: [u8; 2]) -> bool {
    let [a, b, ..] = address.octets();
    (first..=last).contains(&[a, b])
}

/// Whether others than this machine can reach a listener.
pub(super) fn is_reachable(listener: &str) -> bool {
    listener.parse::<SocketAddr>().is_ok_and(|at| !at.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn near_is_what_does_not_cross_the_internet() {
        for near in [
            "127.0.0.1",
            "[::1]",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "localhost",
            "policy-service",
            "a.INTERNAL",
            "a.local.",
            "opa.policies.svc",
            "opa.policies.svc.cluster.local",
        ] {
            assert!(is_near(near), "{near}");
        }
        for far in ["8.8.8.8", "100.63.0.1", "[2001:db8::1]", "api.example.com", "internal.example.com"] {
            assert!(!is_near(far), "{far}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn loopback_is_reached_by_this_machine_alone() {
        assert!(!is_reachable("127.0.0.1:80") && !is_reachable("[::1]:80"));
        assert!(is_reachable("0.0.0.0:80") && is_reachable("[::]:80") && is_reachable("10.0.0.1:80"));
    }
}
