//! Which place of a configuration has which keys, in their canonical order: the order of the fields of the type that
//! reads them, so that it can't lag behind.

use std::collections::HashMap;

use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, Visitor, value::Error},
    forward_to_deserialize_any,
};

use super::super::{
    document::{
        AccessLog, Acme, Admin, CertificateFiles, ClientAuth, Document, ExternalAccount, Hsts, Http2Limits,
        Https, IdentityToken, Limits, Listener, ListenerTls, LongEndpoint, Overload, Override, ProxyProtocol,
        Route, Service, ServiceTls, Store, Tcp, Telemetry, Timeouts,
    },
    policy::{
        ApiKey, BasicAuth, Budget, Cel, Compression, Concurrency, FixedWindow, Head, Hmac, JwtValidation,
        Mtls, OAuthIntrospection, OidcLogin, Rbac, SlidingWindow, TokenBucket, TokenFrom, Ttl,
    },
};

/// A place in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Whole,
    Routes,
    Route,
    Overrides,
    Override,
    Policies,
    Policy,
    TokenFrom,
    Services,
    Service,
    Endpoints,
    Endpoint,
    Timeouts,
    Tls,
    Listeners,
    Listener,
    Acme,
    Certificate,
    Certificates,
    ClientAuth,
    ExternalAccount,
    Hsts,
    Https,
    ListenerTls,
    ProxyProtocol,
    Tcp,
    Admin,
    Limits,
    Http2Limits,
    Overload,
    IdentityToken,
    Store,
    Telemetry,
    AccessLog,
    /// Where users choose the names, or nothing is known.
    Elsewhere,
}

impl Place {
    /// The value of `key` here.
    pub(super) fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Whole, "routes") => Self::Routes,
            (Self::Whole, "route_overrides") => Self::Overrides,
            (Self::Whole | Self::Route | Self::Override | Self::Policy, "policies") => Self::Policies,
            (Self::Whole, "services") => Self::Services,
            (Self::Whole, "listeners") => Self::Listeners,
            (Self::Listener, "tls") => Self::ListenerTls,
            (Self::ListenerTls, "certificates") => Self::Certificates,
            (Self::ListenerTls, "client_auth") => Self::ClientAuth,
            (Self::Whole, "https") => Self::Https,
            (Self::Https, "hsts") => Self::Hsts,
            (Self::Whole, "acme") => Self::Acme,
            (Self::Acme, "external_account") => Self::ExternalAccount,
            (Self::Whole, "admin") => Self::Admin,
            (Self::Whole, "limits") => Self::Limits,
            (Self::Whole, "identity_token") => Self::IdentityToken,
            (Self::Whole, "store") => Self::Store,
            (Self::Whole, "telemetry") => Self::Telemetry,
            (Self::Telemetry, "access_log") => Self::AccessLog,
            (Self::Listener, "proxy_protocol") => Self::ProxyProtocol,
            (Self::Listener, "tcp") => Self::Tcp,
            (Self::Limits, "http2") => Self::Http2Limits,
            (Self::Limits, "overload") => Self::Overload,
            (Self::Policy, "token_from") => Self::TokenFrom,
            (Self::Services, _) => Self::Service,
            (Self::Service, "endpoints") => Self::Endpoints,
            (Self::Service, "timeouts") => Self::Timeouts,
            (Self::Service, "tls") => Self::Tls,
            _ => Self::Elsewhere,
        }
    }

    /// The members of the list here.
    pub(super) fn item(self) -> Self {
        match self {
            Self::Routes => Self::Route,
            Self::Overrides => Self::Override,
            Self::Policies => Self::Policy,
            Self::Endpoints => Self::Endpoint,
            Self::Listeners => Self::Listener,
            Self::Certificates => Self::Certificate,
            _ => Self::Elsewhere,
        }
    }

    /// Whether a blank line stands between the members of the list here.
    pub(super) fn is_spaced(self) -> bool {
        matches!(self, Self::Routes | Self::Overrides | Self::Policies)
    }

    /// The keys here, in order; those of a policy by its type.
    pub(super) fn keys(self, kind: Option<&str>) -> Keys {
        match self {
            Self::Whole => {
                let first = fields::<Document>().iter().filter(|field| !LAST.contains(field));
                Keys::new(first.chain(LAST))
            }
            Self::Route => with_policies(fields::<Route>()),
            Self::Override => with_policies(fields::<Override>()),
            Self::Policy => {
                let own = kind.map_or(&[][..], kind_fields);
                let head = fields::<Head>();
                let first = ["name", "type", "disabled"];
                // What it is for people and for which paths comes after what it does.
                Keys::new(first.iter().chain(own).chain(&["exclude_paths", "description"]).chain(head))
            }
            Self::TokenFrom => Keys::new(fields::<TokenFrom>()),
            Self::Service => Keys::new(fields::<Service>()),
            Self::Endpoint => Keys::new(fields::<LongEndpoint>()),
            Self::Timeouts => Keys::new(fields::<Timeouts>()),
            Self::Tls => Keys::new(fields::<ServiceTls>()),
            Self::Listener => Keys::new(fields::<Listener>()),
            Self::ListenerTls => Keys::new(fields::<ListenerTls>()),
            Self::Certificate => Keys::new(fields::<CertificateFiles>()),
            Self::ClientAuth => Keys::new(fields::<ClientAuth>()),
            Self::Https => Keys::new(fields::<Https>()),
            Self::Hsts => Keys::new(fields::<Hsts>()),
            Self::Acme => Keys::new(fields::<Acme>()),
            Self::ExternalAccount => Keys::new(fields::<ExternalAccount>()),
            Self::Admin => Keys::new(fields::<Admin>()),
            Self::ProxyProtocol => Keys::new(fields::<ProxyProtocol>()),
            Self::Tcp => Keys::new(fields::<Tcp>()),
            Self::Limits => Keys::new(fields::<Limits>()),
            Self::Http2Limits => Keys::new(fields::<Http2Limits>()),
            Self::Overload => Keys::new(fields::<Overload>()),
            Self::IdentityToken => Keys::new(fields::<IdentityToken>()),
            Self::Store => Keys::new(fields::<Store>()),
            Self::Telemetry => Keys::new(fields::<Telemetry>()),
            Self::AccessLog => Keys::new(fields::<AccessLog>()),
            Self::Routes
            | Self::Overrides
            | Self::Policies
            | Self::Services
            | Self::Endpoints
            | Self::Listeners
            | Self::Certificates
            | Self::Elsewhere => Keys::default(),
        }
    }
}

/// What a file is about comes after what it needs for that, whichever type reads it, and then what serves it.
const LAST: &[&str] = &["routes", "policies", "route_overrides", "explain", "identity_token", "services"];

/// Keys in their order.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<&'static str, usize>);

impl Keys {
    fn new<'k>(keys: impl IntoIterator<Item = &'k &'static str>) -> Self {
        let mut ranks = HashMap::new();
        for (rank, key) in keys.into_iter().enumerate() {
            ranks.entry(*key).or_insert(rank);
        }
        Self(ranks)
    }

    /// Where a key belongs: behind the others, if it is not known.
    pub(super) fn rank(&self, key: &str) -> usize {
        self.0.get(key).copied().unwrap_or(usize::MAX)
    }
}

/// Policies are read apart from their route. They belong before the key that is short for one.
fn with_policies(fields: &'static [&'static str]) -> Keys {
    let at = fields.iter().position(|field| *field == "enable_compression").unwrap_or(fields.len());
    let (before, after) = fields.split_at(at);
    Keys::new(before.iter().chain(&["policies"]).chain(after))
}

/// The keys that a type of policy adds.
fn kind_fields(kind: &str) -> &'static [&'static str] {
    match kind {
        "JWT_Validation" => fields::<JwtValidation>(),
        "ApiKey" => fields::<ApiKey>(),
        "BasicAuth" => fields::<BasicAuth>(),
        "Hmac" => fields::<Hmac>(),
        "Mtls" => fields::<Mtls>(),
        "OAuthIntrospection" => fields::<OAuthIntrospection>(),
        "OidcLogin" => fields::<OidcLogin>(),
        // They are read by hand.
        "AnyOf" => &["policies"],
        "FixedWindow" => fields::<FixedWindow>(),
        "SlidingWindow" => fields::<SlidingWindow>(),
        "TokenBucket" => fields::<TokenBucket>(),
        "Concurrency" => fields::<Concurrency>(),
        "Budget" => fields::<Budget>(),
        "Cel" => fields::<Cel>(),
        "RBAC" => fields::<Rbac>(),
        "TTL" => fields::<Ttl>(),
        "Compression" => fields::<Compression>(),
        _ => &[],
    }
}

/// The names of the fields of a type, as it tells them to whoever reads it.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &[&str] = &[];
    let _ = T::deserialize(Asked(&mut fields));
    fields
}

/// Notes what a type asks for, and gives it nothing.
struct Asked<'f>(&'f mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("this is no structure"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("only the names were asked for"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{super::super::policy::Kind, *};

    #[wasm_bindgen_test(unsupported = test)]
    fn every_type_of_policy_has_keys() {
        for kind in Kind::TYPES {
            assert!(!kind_fields(kind).is_empty(), "{kind}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_structure_names_its_keys() {
        let structures = [
            (Place::Whole, "public_domain"),
            (Place::Route, "path"),
            (Place::Override, "path"),
            (Place::Policy, "name"),
            (Place::TokenFrom, "header"),
            (Place::Service, "endpoints"),
            (Place::Endpoint, "url"),
            (Place::Timeouts, "connect_ms"),
            (Place::Tls, "ca_file"),
            (Place::Listener, "address"),
            (Place::ListenerTls, "cert_file"),
            (Place::Certificate, "cert_file"),
            (Place::ClientAuth, "mode"),
            (Place::Https, "redirect"),
            (Place::Hsts, "max_age_seconds"),
            (Place::Acme, "directory_url"),
            (Place::ExternalAccount, "key_id"),
            (Place::Admin, "address"),
            (Place::ProxyProtocol, "from"),
            (Place::Tcp, "target_service"),
            (Place::Limits, "max_header_bytes"),
            (Place::Http2Limits, "max_streams"),
            (Place::Overload, "max_requests"),
            (Place::IdentityToken, "issuer"),
            (Place::Store, "type"),
            (Place::Telemetry, "access_log"),
            (Place::AccessLog, "format"),
        ];
        for (place, first) in structures {
            assert_eq!(place.keys(None).rank(first), 0, "{place:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_a_route_does_comes_before_its_policies() {
        let keys = Place::Route.keys(None);
        let ranks = ["path", "target_service", "timeout_ms", "policies", "enable_compression", "unknown"];
        assert!(ranks.is_sorted_by_key(|key| keys.rank(key)));
    }
}
