//! How clients are spoken to at the listeners that both sides have: TLS, and whom of clients it believes.

use super::setting::{
    Leaning::{LessIsLooser, MoreIsLooser},
    Setting, Value,
};
use crate::{
    gateway::Gateway,
    listener::Listener,
    listener_tls::{ListenerTls, TlsProfile},
};

/// What `gateway` says of those listeners that `other` has, too.
pub(super) fn settings(gateway: &Gateway, other: &Gateway) -> Vec<Setting> {
    let is_there = |one: &&std::sync::Arc<Listener>| {
        other.settings.listeners.iter().any(|other| other.address == one.address)
    };
    gateway.settings.listeners.iter().filter(is_there).flat_map(|one| of(one)).collect()
}

fn of(listener: &Listener) -> Vec<Setting> {
    let tls = listener.tls.as_deref();
    let auth = tls.and_then(|tls| tls.client_auth.as_ref());
    let files = |files: Option<&[String]>| files.map_or(Value::Nothing, Value::set);
    let mut settings = vec![Setting::new("tls", tls.is_some(), LessIsLooser)];
    settings.extend(tls.into_iter().flat_map(ended));
    settings.push(Setting::new(
        "tls.client_auth",
        match auth.map(|auth| auth.required) {
            None => Value::Rank(0, "none"),
            Some(false) => Value::Rank(1, "Optional"),
            Some(true) => Value::Rank(2, "Required"),
        },
        LessIsLooser,
    ));
    if let Some(auth) = auth {
        settings.push(Setting::new("tls.client_auth.ca_file", files(Some(&auth.ca_files)), MoreIsLooser));
        settings.push(Setting::new("tls.client_auth.crl_file", files(Some(&auth.crl_files)), LessIsLooser));
    }
    let owner = format!("listeners.{}", listener.address);
    settings.into_iter().map(|setting| setting.within(&owner)).collect()
}

fn ended(tls: &ListenerTls) -> [Setting; 5] {
    let profile = match tls.profile {
        TlsProfile::Intermediate => Value::Rank(0, "Intermediate"),
        TlsProfile::Modern => Value::Rank(1, "Modern"),
    };
    [
        Setting::new("tls.profile", profile, LessIsLooser),
        Setting::new("tls.strict_sni", tls.strict_sni, LessIsLooser),
        Setting::neutral("tls.session_tickets", tls.session_tickets),
        Setting::neutral("tls.certificates", Value::list(tls.certificates.iter().map(|one| &one.cert_file))),
        Setting::neutral("tls.acme", Value::set(&tls.acme)),
    ]
}
