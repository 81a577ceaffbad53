//! What each policy says, defaults filled in, as settings that can be compared: under the keys by which it is
//! written, each with the way in which it gets weaker.
//!
//! Every field of a policy is taken up by name, so that none is added without a word on how it is compared.

use sha2::{Digest, Sha256};

use super::{
    Authentication, Authorizer, Origin, Way,
    any_of::AnyOf,
    api_key::{ApiKey, Known},
    basic_auth::{BasicAuth, User},
    cel::Cel,
    compression::{Compression, MediaRange},
    hmac::{Hmac, SharedKey, component::Component},
    jwt_validation::{Issuer, JwtValidation, TokenSource},
    mtls::{self, Mtls, Named},
    oauth_introspection::OAuthIntrospection,
    oidc_login::OidcLogin,
    rbac::{Judge, Rbac, engine::Engine},
    ttl::Ttl,
};
use crate::{
    compare::setting::{
        Leaning::{Ceiling, Choices, LessIsLooser, MoreIsLooser},
        Setting, Value,
    },
    event::Rfc3339,
    host::Timestamp,
    identity::Identity,
    keys::Source,
    remote::Remote,
    verify::Algorithm,
};

/// What can be compared.
pub(crate) trait Settings {
    /// All that a policy says; `origin` tells where.
    fn settings(&self, origin: &Origin) -> Vec<Setting>;
}

impl Settings for JwtValidation {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self {
            issuers,
            typ,
            required,
            scopes,
            max_age_ms,
            leeway_ms,
            optional,
            source,
            forward,
            role_claim,
            verified: _,
        } = self;
        let mode = if *optional { Value::Rank(1, "optional") } else { Value::Rank(0, "required") };
        let mut settings = match issuers.as_slice() {
            [only] => only.settings(),
            several => {
                let names = several.iter().filter_map(|issuer| issuer.name.as_deref());
                let mut all = vec![Setting::new("issuers", Value::set(names), MoreIsLooser)];
                for issuer in several {
                    let owner = format!("issuers.{}", issuer.name.as_deref().unwrap_or_default());
                    all.extend(issuer.settings().into_iter().map(|setting| setting.within(&owner)));
                }
                all
            }
        };
        settings.extend([
            Setting::new("typ", typ.clone(), LessIsLooser),
            Setting::new("scopes", Value::set(scopes), LessIsLooser),
            Setting::new("max_age_seconds", max_age_ms.map_or(0, |most| most / 1000), Ceiling),
            Setting::new("leeway_seconds", leeway_ms / 1000, MoreIsLooser),
            Setting::new("mode", mode, MoreIsLooser),
            Setting::neutral("token_from", place(source)),
            Setting::neutral(
                "forward_claims",
                Value::set(forward.iter().map(|(claim, header)| format!("{claim}: {header}"))),
            ),
            Setting::neutral("role_claim", role_claim.as_str()),
        ]);
        settings.extend(required.iter().map(|required| {
            Setting::new(format!("required_claims.{}", required.claim), Value::set(&required.values), Choices)
        }));
        settings
    }
}

impl Issuer {
    fn settings(&self) -> Vec<Setting> {
        let Self { name, audience, algorithms, keys } = self;
        let mut settings = vec![
            match keys.source() {
                Source::Given => Setting::neutral("jwks", Value::set(keys.fingerprints())),
                Source::At(remote) => Setting::neutral("jwks_uri", remote.address()),
                Source::Discovered(_) => Setting::neutral("jwks_uri", "where the issuer says"),
            },
            Setting::new("issuer", name.clone(), LessIsLooser),
            Setting::new("audience", Value::set(audience), Choices),
            Setting::new(
                "algorithms",
                Value::set(algorithms.iter().map(|one| Algorithm::name(*one))),
                MoreIsLooser,
            ),
        ];
        if keys.is_remote() {
            settings.push(Setting::new("jwks_max_stale_seconds", keys.max_stale_ms() / 1000, MoreIsLooser));
        }
        settings
    }
}

impl Settings for Authentication {
    fn settings(&self, origin: &Origin) -> Vec<Setting> {
        match self {
            Self::By(way) => way.settings(origin),
            Self::AnyOf(policy) => policy.settings(origin),
        }
    }
}

impl Settings for Way {
    fn settings(&self, origin: &Origin) -> Vec<Setting> {
        match self {
            Self::JwtValidation(policy) => policy.settings(origin),
            Self::ApiKey(policy) => policy.settings(origin),
            Self::BasicAuth(policy) => policy.settings(origin),
            Self::Hmac(policy) => policy.settings(origin),
            Self::OAuthIntrospection(policy) => policy.settings(origin),
            Self::OidcLogin(policy) => policy.settings(origin),
            Self::Mtls(policy) => policy.settings(origin),
        }
    }
}

impl Settings for OidcLogin {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self {
            provider,
            client_secret,
            secret_in_content,
            issuer,
            client_id,
            id_token,
            audience,
            request,
            origin,
            host: _,
            callback_path,
            logout_path,
            after_logout,
            session_ms,
            source,
            cookie: _,
            seal,
            required,
            role_claim,
            forward,
            sessions: _,
        } = self;
        let proof = match (client_secret, secret_in_content) {
            (None, _) => "none",
            (Some(_), false) => "basic",
            (Some(_), true) => "post",
        };
        let written = &provider.written;
        let mut settings = vec![
            Setting::neutral("issuer", issuer.as_str()),
            Setting::neutral("client_id", client_id.as_str()),
            Setting::neutral("client_auth", proof),
            Setting::neutral("external_url", origin.as_str()),
            Setting::neutral("authorization_parameters", Value::set(request.split('&'))),
            Setting::neutral("authorization_endpoint", written.authorization.clone()),
            Setting::neutral("token_endpoint", written.token.as_ref().map(Remote::address)),
            Setting::neutral("end_session_endpoint", written.end_session.clone()),
            Setting::neutral("callback_path", callback_path.as_str()),
            Setting::neutral("logout_path", logout_path.as_str()),
            Setting::neutral("after_logout", after_logout.clone()),
            Setting::new("session_seconds", session_ms / 1000, MoreIsLooser),
            Setting::neutral("cookie_name", place(source)),
            // Whoever knows one can make sessions.
            Setting::new("cookie_secret", Value::set(seal.marks()), MoreIsLooser),
            Setting::new("audience", Value::set(audience), MoreIsLooser),
            Setting::neutral("role_claim", role_claim.as_str()),
            Setting::neutral(
                "forward_claims",
                Value::set(forward.iter().map(|(claim, header)| format!("{claim}: {header}"))),
            ),
        ];
        // Where the keys are; the rest of it is said above.
        settings.extend(id_token.issuers.iter().filter_map(|issuer| issuer.settings().into_iter().next()));
        settings.extend(required.iter().map(|required| {
            Setting::new(format!("required_claims.{}", required.claim), Value::set(&required.values), Choices)
        }));
        settings
    }
}

impl Settings for ApiKey {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self { source, keys } = self;
        let shown = |(digest, known): (&[u8; 32], &Known)| {
            let Known { identity, expires_at } = known;
            let [first, second, third, fourth, ..] = digest;
            let end = expires_at.map_or("never".to_owned(), |end| Rfc3339(end).to_string());
            let roles = identity.roles.join("+");
            format!(
                "{}#{first:02x}{second:02x}{third:02x}{fourth:02x} ({roles}) until {end}",
                identity.subject
            )
        };
        // The more keys there are, the more may come in.
        vec![
            Setting::new("keys", Value::set(keys.iter().map(shown)), MoreIsLooser),
            Setting::neutral("key_from", place(source)),
        ]
    }
}

/// Somebody who may come in: who, by what, with which roles, until when.
fn holder(identity: &Identity, mark: &[u8], expires_at: Option<Timestamp>) -> String {
    let mark: String = mark.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let end = expires_at.map_or("never".to_owned(), |end| Rfc3339(end).to_string());
    format!("{}#{mark} ({}) until {end}", identity.subject, identity.roles.join("+"))
}

impl Settings for BasicAuth {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self { realm, users, .. } = self;
        let shown = |user: &User| {
            let User { hash, identity, expires_at } = user;
            // A digest of the hash, which is not shown: passwords can be guessed from it.
            holder(identity, &Sha256::digest(hash.to_string()), *expires_at)
        };
        vec![
            Setting::new("users", Value::set(users.values().map(shown)), MoreIsLooser),
            Setting::neutral("realm", realm.as_str()),
        ]
    }
}

impl Settings for Hmac {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self {
            keys,
            decoy: _,
            required,
            allows_unsigned_body,
            max_age_ms,
            leeway_ms,
            label,
            tag,
            wanted: _,
        } = self;
        let shown = |(id, key): (&String, &SharedKey)| {
            let SharedKey { secret, identity, expires_at } = key;
            format!("{id}: {}", holder(identity, &secret.fingerprint(), *expires_at))
        };
        vec![
            Setting::new("keys", Value::set(keys.iter().map(shown)), MoreIsLooser),
            Setting::new(
                "required_components",
                Value::set(required.iter().map(Component::name)),
                LessIsLooser,
            ),
            Setting::new("allow_unsigned_body", *allows_unsigned_body, MoreIsLooser),
            Setting::new("max_age_seconds", max_age_ms / 1000, MoreIsLooser),
            Setting::new("leeway_seconds", leeway_ms / 1000, MoreIsLooser),
            Setting::neutral("label", label.clone()),
            Setting::new("tag", tag.clone(), LessIsLooser),
        ]
    }
}

impl Settings for Mtls {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self { by_fingerprint, named, issuers, forward: _, recent: _ } = self;
        let holder = |known: &mtls::Known, certificate: String| {
            let mtls::Known { identity, expires_at, by_issuer: _ } = known;
            let end = expires_at.map_or("never".to_owned(), |end| Rfc3339(end).to_string());
            format!("{certificate}: {} ({}) until {end}", identity.subject, identity.roles.join("+"))
        };
        let pinned = by_fingerprint.iter().map(|(mark, known)| holder(known, mtls::shown(mark)));
        let named = named.iter().map(|Named { subject, issuer, known }| match issuer {
            Some(issuer) => holder(known, format!("{subject} by {issuer}")),
            None => holder(known, subject.to_string()),
        });
        let trusted = issuers.iter().map(|mtls::Issuer { name, identity_from, roles, metadata: _ }| {
            format!("{name}: {} ({})", identity_from.name(), roles.join("+"))
        });
        // The more certificates there are, the more may come in.
        vec![
            Setting::new("certificates", Value::set(pinned.chain(named)), MoreIsLooser),
            Setting::new("issuers", Value::set(trusted), MoreIsLooser),
        ]
    }
}

impl Settings for OAuthIntrospection {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self {
            remote,
            client,
            source,
            issuer,
            asked: _,
            audience,
            scopes,
            wanted: _,
            required,
            leeway_ms,
            forward,
            role_claim,
            memory,
            flights: _,
        } = self;
        let mut settings = vec![
            Setting::neutral("introspection_endpoint", remote.address()),
            Setting::neutral("client_id", client.id.as_str()),
            Setting::neutral("client_secret", Value::Veiled(client.digest.clone())),
            Setting::neutral("client_auth", client.way()),
            Setting::new("issuer", issuer.clone(), LessIsLooser),
            Setting::new("audience", Value::set(audience), Choices),
            Setting::new("scopes", Value::set(scopes), LessIsLooser),
            Setting::new("leeway_seconds", leeway_ms / 1000, MoreIsLooser),
            Setting::neutral("token_from", place(source)),
            Setting::neutral(
                "forward_claims",
                Value::set(forward.iter().map(|(claim, header)| format!("{claim}: {header}"))),
            ),
            Setting::neutral("role_claim", role_claim.as_str()),
            Setting::neutral("timeout_ms", remote.patience.head_ms),
            // For so long a token outlives its revocation.
            Setting::new("cache_ttl_seconds", memory.good_ms / 1000, MoreIsLooser),
            Setting::neutral("negative_ttl_seconds", memory.bad_ms / 1000),
            Setting::new("serve_stale_seconds", memory.stale_ms / 1000, MoreIsLooser),
        ];
        settings.extend(required.iter().map(|required| {
            Setting::new(format!("required_claims.{}", required.claim), Value::set(&required.values), Choices)
        }));
        settings
    }
}

impl Settings for AnyOf {
    fn settings(&self, origin: &Origin) -> Vec<Setting> {
        let Self { ways } = self;
        let names = Value::list(ways.iter().map(Way::name));
        let mut settings = vec![Setting::new("policies", names, MoreIsLooser)];
        for (number, each) in (1..).zip(ways) {
            let own = each.settings(origin).into_iter();
            settings.extend(own.map(|setting| setting.within(&format!("policies.{number}"))));
        }
        settings
    }
}

fn place(source: &TokenSource) -> String {
    match source {
        TokenSource::Bearer => "Authorization: Bearer".to_owned(),
        TokenSource::Header(name) => format!("header: {name}"),
        TokenSource::Cookie(name) => format!("cookie: {name}"),
        TokenSource::Query(name) => format!("query: {name}"),
    }
}

fn on_error(fails_open: bool) -> Setting {
    let value = if fails_open { Value::Rank(1, "allow") } else { Value::Rank(0, "deny") };
    Setting::new("on_error", value, MoreIsLooser)
}

impl Settings for Authorizer {
    fn settings(&self, origin: &Origin) -> Vec<Setting> {
        match self {
            Self::Rbac(policy) => policy.settings(origin),
            Self::Cel(policy) => policy.settings(origin),
        }
    }
}

impl Settings for Rbac {
    fn settings(&self, origin: &Origin) -> Vec<Setting> {
        let Self { judge, include_anonymous, shadow } = self;
        let mut settings = vec![
            Setting::new("include_anonymous", *include_anonymous, LessIsLooser),
            Setting::new("shadow", *shadow, MoreIsLooser),
        ];
        match judge {
            Judge::Engine(engine) => settings.extend(engine.settings(origin)),
            Judge::Roles(roles) => {
                let granted = roles.all().map(|(role, permission)| format!("{role}: {permission}"));
                settings.push(Setting::new("roles", Value::set(granted), MoreIsLooser));
            }
        }
        settings
    }
}

impl Settings for Engine {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self { remote, cache_ms, cache_key, headers, fails_open, decided: _ } = self;
        let declared = headers.iter().flatten();
        vec![
            Setting::neutral("policy_engine_endpoint", remote.address()),
            Setting::neutral("timeout_ms", remote.patience.head_ms),
            // For so long a permission outlives its end.
            Setting::new("cache_seconds", cache_ms / 1000, MoreIsLooser),
            // The fewer parts tell answers apart, the more requests share one.
            Setting::new("cache_key", Value::set(cache_key.words()), LessIsLooser),
            Setting::neutral("headers", Value::set(declared)),
            on_error(*fails_open),
        ]
    }
}

impl Settings for Cel {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        vec![
            Setting::neutral("expression", self.shown()),
            Setting::new("shadow", self.shadow, MoreIsLooser),
            on_error(self.fails_open),
        ]
    }
}

impl Settings for Ttl {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self { id: _, ttl_ms, shared, force, vary_by, max_bytes } = self;
        vec![
            Setting::neutral("ttl_seconds", ttl_ms / 1000),
            Setting::new("shared", *shared, MoreIsLooser),
            Setting::new("force", *force, MoreIsLooser),
            // The fewer fields tell answers apart, the more requests share one.
            Setting::new("vary_by", Value::set(vary_by), LessIsLooser),
            Setting::neutral("max_bytes", *max_bytes),
        ]
    }
}

impl Settings for Compression {
    fn settings(&self, _: &Origin) -> Vec<Setting> {
        let Self { codings, min_bytes, types } = self;
        vec![
            Setting::neutral("algorithms", Value::list(codings.iter().map(|coding| coding.token()))),
            Setting::neutral("min_bytes", *min_bytes),
            Setting::neutral("content_types", Value::set(types.iter().map(MediaRange::as_str))),
        ]
    }
}
