//! What is claimed of Tollgate as a whole: the suite of cases, and what is no data because it is a matter of
//! when something happens, not only of what.

mod around;
mod connection;
mod edge;
mod edge_counters;
mod edge_metered;
mod engine;
mod explain;
mod http2;
mod interim;
mod introspection;
mod keys;
mod limits;
mod login;
mod oidc;
mod shutdown;
mod streaming;
mod suite;
mod tunnel;
mod wire;
