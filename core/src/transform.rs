//! What is done to heads on their way: targets rewritten, hop-by-hop fields removed, forwarding and tracing
//! fields written. One idea a file; bodies are never touched here, but what
//! follows them is looked at by a rule of this room.

pub(crate) mod cookies;
pub(crate) mod forwarded;
pub(crate) mod hop_by_hop;
pub(crate) mod hygiene;
pub mod interim;
pub(crate) mod rewrite;
pub(crate) mod trace_context;
pub mod trailers;
