//! The gateway that is served. Where its bundle comes from, and when, is JavaScript's (`js/configuration.mjs`).

use std::{cell::RefCell, rc::Rc};

use tollgate_core::{
    config::{Host, bundle::Bundle},
    gateway::Gateway,
};

use worker::Env;

use crate::platform;

thread_local! {
    static SERVED: RefCell<Option<Rc<Gateway>>> = const { RefCell::new(None) };
}

/// Serves what the bundle says from now on. Requests that are under way keep the gateway they began with.
pub(crate) fn load(bundle: &str, env: &Env) -> Result<(), String> {
    let bundle = Bundle::parse(bundle.as_bytes()).map_err(|error| error.to_string())?;
    let loaded = bundle.load(&|name: &str| variable(env, name), Host::Workers);
    let gateway = loaded.gateway.ok_or_else(|| loaded.report.render())?;
    platform::certify(gateway.asks_for_certificates());
    SERVED.set(Some(Rc::new(gateway)));
    Ok(())
}

/// A variable or a secret: the platform hands both over alike. Other bindings are none.
fn variable(env: &Env, name: &str) -> Option<String> {
    env.var(name).ok().map(|value| value.to_string())
}

/// What is served now.
pub(crate) fn served() -> Option<Rc<Gateway>> {
    SERVED.with_borrow(Option::clone)
}
