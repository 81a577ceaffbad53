//! Certificates ordered by ACME: from a real authority, Let's Encrypt's `pebble`, by as many gateways as there are.

#[path = "acme/around.rs"]
mod around;
#[path = "acme/orders.rs"]
mod orders;
#[path = "acme/process.rs"]
mod process;
#[path = "acme/shared.rs"]
mod shared;
