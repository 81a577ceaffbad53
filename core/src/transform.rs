//! What is done to heads on their way: targets rewritten, hop-by-hop fields removed, forwarding and tracing
//! fields written. One idea a file; bodies are never touched here.

pub(crate) mod forwarded;
pub(crate) mod hop_by_hop;
pub(crate) mod hygiene;
pub(crate) mod rewrite;
pub(crate) mod trace_context;
