//! Hostile bytes on raw sockets: cases, as data, with a service that keeps what reaches it. Played against the native
//! server by `tests/behaviour/wire.rs`.

pub mod cases;
pub mod client;
pub mod recorder;
