//! Bytes as they come from clients, before anybody acts on them. Pure: no sockets, no clock, no tasks; whatever comes
//! in, in whatever pieces, the same comes out.
//!
//! The rooms: [`check`] (the bytes of an HTTP/1 connection, and what of them hyper is given), [`section`] (lines up to
//! an empty one), [`head`] (the lines of a request's head), [`request_line`], [`field`] and [`framing`] (what each may
//! say), [`chunks`] (the lines between content), [`trailers`] (the lines after it), [`verdict`] (what check and server
//! tell one another); [`proxy_header`] (whose a connection is, told by a proxy), [`server_name`] (which name a TLS
//! client asks for).

pub mod check;
mod chunks;
mod field;
mod framing;
mod head;
pub mod proxy_header;
mod request_line;
mod section;
pub mod server_name;
mod trailers;
pub mod verdict;
