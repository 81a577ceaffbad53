//! Tollgate on Cloudflare Workers: the host that lends core what JavaScript has.
//!
//! What the runtime calls is `js/index.mjs`; it holds one instance of this module and calls the functions
//! below. `platform` lists what this side calls of that one. No decision is made on either side of the two:
//! what a request may do, and what becomes of it, is core's.

// Names that begin with `__wasm_bindgen` are made by the attribute.
#![allow(unsafe_code, reason = "what `#[wasm_bindgen]` writes is unsafe; nothing else here is")]

mod body;
mod cache;
mod certificate;
mod clock;
mod configuration;
mod counter;
mod host;
mod message;
mod metered;
mod platform;
mod random;
mod sign;
mod task;
mod verify;

use tollgate_core::counter::numbers;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use worker::Env;

use crate::platform::Call;

/// Called once an instance, before anything else.
#[wasm_bindgen]
pub fn start() {
    std::panic::set_hook(Box::new(|panicked| platform::trapped(&panicked.to_string())));
}

/// Serves the configuration in a bundle's JSON from now on. What is wrong with it comes back, and then nothing
/// has changed; an empty text says that all is well.
#[wasm_bindgen]
pub fn load(bundle: &str, env: &Env) -> String {
    configuration::load(bundle, env).err().unwrap_or_default()
}

/// Takes a request through its life. The answer goes to the call, which waits for it.
#[wasm_bindgen]
pub fn handle(call: Call) {
    task::spawn(async move { host::answer(&call).await });
}

/// Hands over the outcome of something that was begun with a ticket.
#[wasm_bindgen]
pub fn settle(ticket: u32, value: JsValue) {
    task::settle(ticket, value);
}

/// Asks a counter, for the Durable Object that keeps its state: the answer's numbers come back, then those of the state
/// as it is now; none at all when the question means nothing (`tollgate_core::counter::numbers`).
#[wasm_bindgen]
pub fn count(state: &[f64], asked: &[f64]) -> Box<[f64]> {
    numbers::carry_out(state, asked).unwrap_or_default().into()
}

/// Shows a meter a piece of the body that it watches.
#[wasm_bindgen]
pub fn seen(id: u32, piece: &[u8]) {
    metered::seen(id, piece);
}

/// Renews what a meter holds, while its body lasts.
#[wasm_bindgen]
pub fn renew(id: u32) {
    metered::renew(id);
}

/// Tells a meter that its body has ended: 0 for the whole of it, 1 when it broke off, 2 when nobody wants the rest.
#[wasm_bindgen]
pub fn ended(id: u32, how: u8) {
    metered::ended(id, how);
}
