//! What is known of whoever makes a request, and the headers that tell services.

use std::collections::BTreeMap;

use http::HeaderName;

use crate::config::{
    compile::{Bench, told},
    node::Node,
};

/// A key whose members lead from names to headers.
pub(super) struct Forward<'k> {
    pub(super) key: &'k str,
    /// What such a header carries, in words.
    pub(super) carries: &'k str,
    /// A header that could.
    pub(super) example: &'k str,
}

/// Of what is written beside keys, users and secrets.
pub(super) const METADATA: Forward<'static> =
    Forward { key: "forward_metadata", carries: "metadata", example: "X-Plan" };
/// Of what stands in tokens.
pub(super) const CLAIMS: Forward<'static> =
    Forward { key: "forward_claims", carries: "a claim", example: "X-User-Email" };

impl Forward<'_> {
    /// The headers, which are also added to those that clients can't send.
    pub(super) fn compile(
        &self,
        written: &BTreeMap<String, String>,
        node: &Node,
        identity_headers: &mut Vec<HeaderName>,
        bench: &Bench<'_>,
    ) -> Vec<(String, HeaderName)> {
        let mut forward = Vec::new();
        for (name, header) in written {
            let node = node.get(self.key).and_then(|map| map.get(name)).unwrap_or(node);
            let cure = format!("use a name of its own, such as `{}`", self.example);
            if let Some(header) = told::field(header, node, self.carries, &cure, bench) {
                identity_headers.push(header.clone());
                forward.push((name.clone(), header));
            }
        }
        forward
    }
}
