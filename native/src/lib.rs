//! Tollgate on its own machine: the host that lends core sockets, threads, memory and time.
//!
//! No decision is made here. What a request may do, and what becomes of it, is core's; this crate moves bytes,
//! keeps what core wants kept, and runs the commands.

#![allow(rustdoc::private_intra_doc_links, reason = "whoever reads about a room wants to find its parts")]

pub mod acme;
pub mod admin;
pub mod body;
pub mod cache;
mod cause;
pub mod cli;
pub mod client;
pub mod clock;
mod compress;
pub mod counter;
pub mod files;
mod flow;
pub mod host;
mod idle;
mod interim;
pub mod log;
pub mod metrics;
mod notice;
mod password;
pub mod server;
pub mod sign;
mod store;
pub mod tls;
pub mod trails;
pub mod verify;
pub mod wire;
