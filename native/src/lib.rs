pub mod body;
mod cause;
pub mod client;
mod compress;
mod idle;

