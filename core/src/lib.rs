//! The portable decision engine of the Tollgate API gateway.
//!
//! No sockets, no clock, no threads, no environment: a platform lends those through [`host::Host`], and
//! [`pipeline::handle`] takes one request through its whole life, the same on every platform.
//!
//! The rooms, in the order a request sees them: [`path`] (normalisation), [`route`] (which route, which
//! policies), [`policy`] (one file a policy type), `transform` (headers and targets), [`upstream`]
//! (endpoints), [`refusal`] (every "no"), [`event`] (what is recorded). [`config`] turns a file into a
//! [`gateway::Gateway`], which can't be invalid.

#![warn(missing_docs)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod acme;
pub mod body;
pub mod cache;
pub mod certificate;
pub mod compare;
pub mod config;
pub mod content_digest;
pub mod counter;
mod discovery;
pub mod event;
pub mod facts;
mod failures;
pub mod gateway;
pub mod host;
mod https;
pub mod identity;
mod identity_token;
pub mod job;
pub mod keys;
pub mod listener;
pub mod listener_tls;
pub mod malformed;
pub mod meter;
mod overload;
pub mod password;
pub mod path;
pub mod pattern;
pub mod pipeline;
pub mod policy;
pub mod provider;
mod recent;
mod refreshing;
pub mod refusal;
pub mod remote;
pub mod route;
pub mod signing;
pub mod trail;
mod transform;
pub mod upstream;
pub mod usage;
pub mod verify;

pub use self::transform::{interim, trailers};
