//! Encryption asked of clients: where those are sent that come without it, and what those are told that come with it.
//! Whether a client came by TLS is told by the host, or by a proxy that is trusted.

use http::{HeaderValue, Uri};

/// What the configuration says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Https {
    pub(crate) redirect: Option<Redirect>,
    /// `Strict-Transport-Security` (RFC 6797 §6.1).
    pub(crate) hsts: Option<HeaderValue>,
}

/// Where requests without TLS are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// None for the one that `https:` has by itself.
    pub(crate) port: Option<u16>,
}

impl Redirect {
    /// The same at `https:`. `host` has no port; the target stays as it came.
    pub(crate) fn location(self, host: &str, uri: &Uri) -> String {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        match self.port {
            None => format!("https://{host}{target}"),
            Some(port) => format!("https://{host}:{port}{target}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn only_scheme_and_port_become_others() {
        for (port, host, target, wanted) in [
            (None, "a.test", "/x%2Fy/../z?q=1&r", "https://a.test/x%2Fy/../z?q=1&r"),
            (Some(8443), "[::1]", "/", "https://[::1]:8443/"),
            (None, "a.test", "//evil.test/", "https://a.test//evil.test/"),
            (None, "a.test", "http://b.test:80/x?y", "https://a.test/x?y"),
        ] {
            assert_eq!(Redirect { port }.location(host, &target.parse().unwrap()), wanted);
        }
    }
}
