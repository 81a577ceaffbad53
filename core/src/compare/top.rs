//! What holds for the gateway as a whole: its host, its proxies, its bounds, and what hosts carry out.

use ipnet::IpNet;
use sha2::{Digest, Sha256};

use super::{
    Change, Kind, What, listeners,
    setting::{
        Leaning::{Ceiling, LessIsLooser, MoreIsLooser, Neutral},
        Setting, Value,
    },
    settings::differences,
};
use crate::{
    acme::{Acme, AcmeChallenge, Kept},
    config::document::{Admin, LogFormat, Store, StoreType, StoreUrl},
    gateway::Gateway,
    https::Https,
    identity_token::IdentityToken,
};

pub(super) fn compare(old: &Gateway, new: &Gateway) -> Vec<Change> {
    let (mut before, mut after) = (settings(old), settings(new));
    before.extend(listeners::settings(old, new));
    after.extend(listeners::settings(new, old));
    let mut changes = differences(What::GatewayChanged, (&before, &old.places), (&after, &new.places));
    changes.extend(proxies(old, new));
    changes.extend(store_url(old, new));
    changes.extend(secrets(old, new));
    changes
}

fn settings(gateway: &Gateway) -> Vec<Setting> {
    let (limits, host) = (&gateway.limits, &gateway.settings);
    let log = host.telemetry.access_log.as_ref();
    let format = log.map(|log| match log.format {
        LogFormat::Json => "Json",
        LogFormat::Text => "Text",
    });
    let store = match host.store.r#type {
        StoreType::Memory => "Memory",
        StoreType::Redis => "Redis",
    };
    let shared = Some(&host.store).filter(|store| store.r#type == StoreType::Redis);
    let mut settings = vec![
        Setting::neutral("public_domain", gateway.public_domain.clone()),
        Setting::new("enforce_domain", gateway.only_host.is_some(), LessIsLooser),
        Setting::new("limits.max_header_bytes", limits.max_header_bytes, MoreIsLooser),
        Setting::new("limits.max_target_bytes", limits.max_target_bytes, MoreIsLooser),
        Setting::new("limits.header_timeout_ms", limits.header_timeout_ms, MoreIsLooser),
        Setting::new("limits.max_body_bytes", limits.max_body_bytes, Ceiling),
        Setting::neutral("limits.handshake_timeout_ms", limits.handshake_timeout_ms),
        Setting::neutral("limits.idle_timeout_ms", limits.idle_timeout_ms),
        Setting::neutral("limits.min_bytes_per_second", limits.min_bytes_per_second),
        Setting::new("limits.max_connections", limits.max_connections, MoreIsLooser),
        Setting::new("limits.max_connections_per_address", limits.max_connections_per_address, Ceiling),
        Setting::new("limits.http2.max_streams", u64::from(limits.http2.max_streams), MoreIsLooser),
        Setting::new(
            "limits.http2.max_resets_per_minute",
            u64::from(limits.http2.max_resets_per_minute),
            MoreIsLooser,
        ),
        Setting::new(
            "limits.http2.max_control_frames",
            u64::from(limits.http2.max_control_frames),
            MoreIsLooser,
        ),
        Setting::new("limits.overload.max_requests", limits.overload.max_requests, Ceiling),
        Setting::neutral("limits.overload.adaptive", limits.overload.adaptive),
        Setting::new("limits.failed_auth_per_minute", limits.failed_auth_per_minute, Ceiling),
        Setting::neutral("limits.drain_timeout_ms", limits.drain_timeout_ms),
        Setting::neutral("listeners", Value::set(host.listeners.iter().map(|one| one.address.to_string()))),
        Setting::neutral("admin.address", host.admin.as_ref().map(|admin| admin.address.clone())),
        Setting::neutral("store.type", store),
        Setting::neutral("store.timeout_ms", shared.map(Store::patience_ms)),
        Setting::neutral("store.prefix", shared.map(|store| store.key_prefix().to_owned())),
        Setting::neutral("store.cluster", shared.is_some_and(|store| store.cluster)),
        Setting::neutral("store.max_counters", host.store.max_counters),
        Setting::neutral("store.max_cache_bytes", host.store.max_cache_bytes),
        Setting::neutral("telemetry.access_log", format),
        Setting::neutral("telemetry.access_log.path", log.map(|log| log.path.clone())),
        Setting::neutral("telemetry.prometheus", host.telemetry.prometheus),
    ];
    settings.extend(https(&gateway.https));
    settings.extend(tokens(gateway.identity_token.as_ref()));
    settings.extend(acme(host.acme.as_deref()));
    settings
}

/// Browsers that were told to come by TLS alone do so for as long as they were told.
fn https(https: &Https) -> Vec<Setting> {
    let hsts = https.hsts.as_ref().and_then(|hsts| hsts.to_str().ok()).map(str::to_owned);
    vec![
        Setting::new("https.redirect", https.redirect.is_some(), LessIsLooser),
        Setting::neutral("https.port", https.redirect.and_then(|redirect| redirect.port).map(u64::from)),
        Setting::neutral("https.hsts", hsts),
    ]
}

/// What stands in tokens and who believes them; of keys their names alone.
fn tokens(token: Option<&IdentityToken>) -> Vec<Setting> {
    let published = token.and_then(|token| token.published.as_ref());
    vec![
        Setting::neutral("identity_token.issuer", token.map(|token| token.issuer.clone())),
        Setting::neutral(
            "identity_token.key",
            token.map_or(Value::Nothing, |token| Value::list(token.keys.iter().map(|key| &key.kid))),
        ),
        Setting::neutral(
            "identity_token.ttl_seconds",
            token.map_or(Value::Nothing, |token| Value::from(token.ttl_ms / 1000)),
        ),
        Setting::neutral("identity_token.header", token.map(|token| token.header.to_string())),
        Setting::neutral(
            "identity_token.claims",
            token.map_or(Value::Nothing, |token| Value::set(&token.claims)),
        ),
        Setting::neutral("identity_token.publish_at", published.map(|published| published.path.clone())),
    ]
}

/// Who issues certificates, and how. For which names is the listeners' to say.
fn acme(acme: Option<&Acme>) -> Vec<Setting> {
    let challenge = acme.map(|acme| match acme.challenge {
        AcmeChallenge::TlsAlpn01 => "TlsAlpn01",
        AcmeChallenge::Http01 => "Http01",
    });
    let folder = acme.and_then(|acme| match &acme.kept {
        Kept::Folder(folder) => Some(folder.clone()),
        Kept::Store => None,
    });
    let external = acme.and_then(|acme| acme.external_account.as_ref());
    vec![
        Setting::neutral("acme.directory_url", acme.map(|acme| acme.directory_url.clone())),
        Setting::neutral("acme.contact", acme.map_or(Value::Nothing, |acme| Value::set(&acme.contact))),
        Setting::neutral("acme.challenge", challenge),
        Setting::neutral("acme.folder", folder),
        Setting::neutral("acme.in_store", acme.is_some_and(|acme| acme.kept == Kept::Store)),
        Setting::neutral("acme.ca_file", acme.and_then(Acme::trusted)),
        Setting::neutral("acme.external_account.key_id", external.map(|external| external.key_id.clone())),
    ]
}

/// Networks count by the addresses in them, not by how they are listed.
fn proxies(old: &Gateway, new: &Gateway) -> Option<Change> {
    let within = |inner: &[IpNet], outer: &[IpNet]| {
        inner.iter().all(|inner| outer.iter().any(|outer| outer.contains(inner)))
    };
    let (before, after) = (&*old.trusted.0, &*new.trusted.0);
    let kind = match (within(after, before), within(before, after)) {
        (true, true) => return None,
        (false, _) => Kind::Loosened,
        (true, false) => Kind::Tightened,
    };
    let key = "trusted_proxies";
    let shown = |gateway: &Gateway| {
        let written = gateway.places.written(key).map(str::to_owned);
        written.unwrap_or_else(|| Value::list(&gateway.trusted.0).to_string())
    };
    let change = Change::new(kind, What::GatewayChanged, old.places.at(key), new.places.at(key));
    Some(change.key(key).values(Some(shown(old)), Some(shown(new))))
}

/// Of an address with a password only the address is shown, also where it is written as a variable with a default.
fn store_url(old: &Gateway, new: &Gateway) -> Option<Change> {
    let url = |gateway: &Gateway| gateway.settings.store.url.clone();
    let (before, after) = (url(old), url(new));
    if before == after {
        return None;
    }
    let shown = |url: &StoreUrl| url.shown();
    let (old_shown, mut new_shown) = (before.as_ref().map(shown), after.as_ref().map(shown));
    if old_shown == new_shown {
        new_shown = new_shown.map(|shown| format!("{shown}, with another password"));
    }
    let key = "store.url";
    let change = Change::new(Kind::Changed, What::GatewayChanged, old.places.at(key), new.places.at(key));
    Some(change.key(key).values(old_shown, new_shown))
}

/// Secrets are compared and never shown.
fn secrets(old: &Gateway, new: &Gateway) -> impl Iterator<Item = Change> {
    let token =
        |gateway: &Gateway| gateway.settings.admin.as_ref().and_then(|admin: &Admin| admin.token.clone());
    // Whoever signs alike has the same secret.
    let explain = |gateway: &Gateway| gateway.guard.as_ref().map(|guard| guard.pass(0));
    // Without an admin listener there is nothing that a token protects.
    let listens = old.settings.admin.is_some() && new.settings.admin.is_some();
    let admin = listens.then(|| secret("admin.token", LessIsLooser, (token(old), token(new))));
    let explain = secret("explain.secret", MoreIsLooser, (explain(old), explain(new)));
    // It is used once, when the account is made, and protects nothing here.
    let bound = |gateway: &Gateway| {
        let external = gateway.settings.acme.as_ref()?.external_account.as_ref()?;
        Some(format!("{:x}", Sha256::digest(&external.hmac_key)))
    };
    let external = secret("acme.external_account.hmac_key", Neutral, (bound(old), bound(new)));
    admin.into_iter().flatten().chain(explain).chain(external).map(|(key, kind, before, after)| {
        let change = Change::new(kind, What::GatewayChanged, old.places.at(key), new.places.at(key));
        change.key(key).values(before, after)
    })
}

type Secret = (&'static str, Kind, Option<String>, Option<String>);

fn secret(
    key: &'static str,
    leaning: super::setting::Leaning,
    (old, new): (Option<String>, Option<String>),
) -> Option<Secret> {
    if old == new {
        return None;
    }
    let kind = leaning.judge(&Value::from(old.clone()), &Value::from(new.clone()));
    let another = old.is_some();
    let shown = old.map(|_| "a secret".to_owned());
    Some((key, kind, shown, new.map(|_| if another { "another secret" } else { "a secret" }.to_owned())))
}
