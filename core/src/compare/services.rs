//! Services: where they are, how they are trusted, how long they are waited for. One that a side does not use
//! means nothing there; which one is used, routes and policies say.

use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest, Sha256};

use super::{
    Change, What,
    routes::transport,
    setting::{Leaning::LessIsLooser, Setting, Value},
    settings::differences,
};
use crate::{
    gateway::Gateway,
    policy::Way,
    upstream::{Endpoint, Service, Tls},
};

pub(super) fn compare(old: &Gateway, new: &Gateway) -> Vec<Change> {
    let (old, new) = (services(old), services(new));
    let both = old.into_iter().filter_map(|(name, before)| Some((before, *new.get(name)?)));
    both.flat_map(|(before, after)| between(before, after)).collect()
}

/// All that routes and policies use.
fn services(gateway: &Gateway) -> BTreeMap<&str, &Service> {
    let routes = gateway.router().routes().iter().map(|route| &route.service);
    let keys = gateway.rings.iter().filter_map(|ring| ring.service());
    let engines = gateway.router().plans().flat_map(|placed| &placed.plan.authorization);
    let engines = engines.filter_map(|applied| applied.engine()).map(|engine| &engine.remote.service);
    let issuers = gateway.router().plans().filter_map(|placed| placed.plan.authentication.as_ref());
    let issuers = issuers.flat_map(|applied| applied.ways()).filter_map(Way::remote);
    let issuers = issuers.map(|remote| &remote.service);
    let providers = gateway.doors.iter().flat_map(|door| door.policy.provider.services());
    let asked = keys.chain(engines).chain(issuers).chain(providers);
    routes.chain(asked).map(|service: &Arc<Service>| (&*service.name, &**service)).collect()
}

fn between(old: &Service, new: &Service) -> Vec<Change> {
    let (before, after) = (settings(old), settings(new));
    let mut changes = differences(What::ServiceChanged, (&before, &old.places), (&after, &new.places));
    for change in changes.iter_mut().filter(|change| change.key.as_deref() == Some("endpoints")) {
        change.kind = transport(old, new);
    }
    changes.into_iter().map(|change| change.service(&new.name)).collect()
}

fn settings(service: &Service) -> Vec<Setting> {
    let tls = service.endpoints.iter().find_map(|endpoint| endpoint.tls.as_ref());
    let digits =
        |pem: &str| Sha256::digest(pem).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
    let authorities = tls.and_then(|tls| tls.authorities.as_deref());
    let authorities = authorities.map(|pem| format!("authorities of its own, {}", digits(pem)));
    let presented = tls.and_then(|tls| tls.identity.as_ref()).map(|own| digits(&own.chain));
    let patience = service.patience;
    vec![
        Setting::neutral("endpoints", Value::set(service.endpoints.iter().map(url))),
        Setting::new("identity_token", service.is_told, LessIsLooser),
        Setting::neutral("protocol", service.protocol.name().to_owned()),
        Setting::neutral("tls.ca_file", authorities),
        Setting::neutral(
            "tls.client_cert_file",
            presented.map(|digits| format!("a certificate of its own, {digits}")),
        ),
        Setting::neutral("tls.server_name", tls.and_then(|tls: &Tls| tls.server_name.clone())),
        Setting::neutral("timeouts.connect_ms", patience.connect_ms),
        Setting::neutral("timeouts.first_byte_ms", patience.head_ms),
        Setting::neutral("timeouts.idle_ms", patience.idle_ms),
    ]
}

fn url(endpoint: &Endpoint) -> String {
    let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}:{}{}", endpoint.hostname(), endpoint.port(), endpoint.base_path)
}
