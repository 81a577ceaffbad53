//! Hostile bytes on raw sockets: cases, as data, with a service that keeps what reaches it. Played against the native
//! server by `tests/behaviour/wire.rs`, and against others beside it by the program `wire_compare`.

pub mod cases;
pub mod client;
pub mod h2;
pub mod judge;
pub mod peers;
pub mod recorder;
pub mod strict;
