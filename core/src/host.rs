//! All that a platform lends to core: the boundary between decisions and the world.
//!
//! Nothing here says whether futures may change threads: the compiler finds that out where a concrete
//! host calls [`crate::pipeline::handle`]. Background work is data ([`Job`]), never a future.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderValue, Request, Response, request, response};
use thiserror::Error;

use crate::{
    body::Body,
    cache::{CacheKey, Lifetime, Stored},
    counter::{Draw, Quota, Settlement, memory::Counters, slices::Slices},
    event::Event,
    job::Job,
    listener::ServedHosts,
    meter::Meter,
    password::PasswordHash,
    signing::PrivateKey,
    upstream::{Endpoint, Patience},
    verify::{Algorithm, PublicKey},
};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Timestamp = u64;

/// What a platform has and core has not.
///
/// Every failure is a [`HostError`]; the rule that turns it into an answer (fail open or closed) is core's
/// and comes from the configuration.
#[expect(
    async_fn_in_trait,
    reason = "whether the future may change threads is decided by each concrete host"
)]
pub trait Host: Sized {
    /// How this platform represents a message body.
    type Body: Body;

    /// Wall-clock time. Cheap; may stand still while code runs (Workers), so it never measures CPU.
    fn now(&self) -> Timestamp;

    /// 128 random bits, good enough for identifiers. Not for keys.
    fn random(&self) -> u128;

    /// 32 random bytes that nobody can guess, whatever they have seen of others: for keys and what must stay secret.
    fn unguessable(&self) -> Result<[u8; 32], HostError>;

    /// Waits. Used between polls of a shared refresh, never on the plain path.
    async fn sleep(&self, milliseconds: u64);

    /// Sends `request` (its target in origin form, its `Host` set) to `endpoint`, returns when the response's
    /// head has arrived, and cancels for real when `patience` ends or the returned future is dropped.
    /// A `101 Switching Protocols` is tunnelled by the host itself.
    async fn fetch(
        &self,
        endpoint: &Endpoint,
        request: Request<Self::Body>,
        patience: Patience,
    ) -> Result<Response<Self::Body>, HostError>;

    /// Takes from several counters at once: all of them or, when one refuses, none.
    /// One quota a draw, in the same order. [`HostErrorKind::Connect`] says that nothing was drawn for certain.
    async fn draw(&self, draws: &[Draw]) -> Result<Vec<Quota>, HostError>;

    /// Puts right what was drawn, each for itself: one that fails keeps none of the others from being settled.
    async fn settle(&self, settlements: &[Settlement]) -> Result<(), HostError>;

    /// Counters in the memory of this instance, which never fail and are shared with nobody.
    fn counters(&self) -> &Counters;

    /// Slices of shared limits that this instance holds (`accuracy: leased`).
    fn slices(&self) -> &Slices;

    /// The same body, shown to `meter` while it passes. When it has ended, broken off or been given up, the meter is
    /// [told](Meter::end), and while it lasts its leases are renewed.
    fn metered(&self, meter: Meter, body: Self::Body) -> Self::Body;

    /// A stored response, fresh or not. `None` when there is none.
    async fn load(&self, key: &CacheKey) -> Result<Option<Stored<Self::Body>>, HostError>;

    /// Keeps a copy of `body` while it streams to the client, and stores it under `key` when it has ended
    /// well and stayed within `max_bytes`. An empty body is stored before this returns.
    fn store(
        &self,
        key: CacheKey,
        lifetime: Lifetime,
        head: &response::Parts,
        body: Self::Body,
        max_bytes: u64,
    ) -> Self::Body;

    /// Whether `signature` over `message` was made by the owner of `key`. An unusable key is an error. Asked only
    /// about what can be a signature by that key at all, and never about HMAC.
    async fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, HostError>;

    /// Whether a password is the one of this hash. It costs what the hash says, so a host bounds how many are checked
    /// at once, and is [`HostErrorKind::Unavailable`] for further ones. When the turn of this check has come,
    /// `is_known` tells whether another has found out meanwhile that the password is right.
    ///
    /// Only hosts for which `BasicAuth` can be configured are asked.
    async fn check_password(
        &self,
        _hash: &PasswordHash,
        _password: &[u8],
        _is_known: impl Fn() -> bool,
    ) -> Result<bool, HostError> {
        Err(HostError::new(HostErrorKind::Unavailable, "passwords are not checked here"))
    }

    /// A signature over `message`, made with `key`. An unusable key is an error.
    async fn sign(&self, key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, HostError>;

    /// Work that outlives the response. The host runs [`crate::job::run`] when it sees fit.
    fn defer(&self, job: Job);

    /// Whether somebody who may wants to know how this request is decided. Cheap: it is asked each time.
    fn wants_trail(&self, _: &request::Parts) -> bool {
        false
    }

    /// Notes what happened to one request. Must not block; may drop under pressure, and counts what it drops.
    fn record(&self, event: Event<'_>);
}

/// The platform failed.
#[derive(Debug, Clone, Error)]
#[error("{kind}: {detail}")]
pub struct HostError {
    /// What failed, and so what may be done about it.
    pub kind: HostErrorKind,
    /// For the log. Never for the client.
    pub detail: String,
}

impl HostError {
    /// An error of `kind`; `detail` is what the log shall say.
    pub fn new(kind: HostErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

/// The ways in which a platform fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HostErrorKind {
    /// No connection: refused, unreachable, no such name, TLS not agreed. Nothing was sent.
    #[error("cannot connect")]
    Connect,
    /// The connection ended before the response's head.
    #[error("connection reset")]
    Reset,
    /// What came back is not HTTP.
    #[error("not HTTP")]
    Protocol,
    /// The deadline passed before the response's head.
    #[error("timed out")]
    Timeout,
    /// The client's body exceeded its limit while it was being sent on.
    #[error("request body too large")]
    RequestTooLarge,
    /// The client's body broke off while it was being sent on.
    #[error("request body broke off")]
    RequestBroken,
    /// The client's body is not the one that was signed.
    #[error("request body not as signed")]
    RequestUnproven,
    /// A store or another facility of the platform can't be reached.
    #[error("unavailable")]
    Unavailable,
}

/// Who is at the other end of the connection. Made once a connection, so its texts are prepared.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address the connection comes from.
    pub address: IpAddr,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// The address as `X-Forwarded-For` has it.
    pub(crate) text: HeaderValue,
    /// The address as `Forwarded` has it (RFC 7239 §6).
    pub(crate) node: String,
    /// Which hosts are served where it came in; all when absent.
    pub(crate) served: Option<Arc<ServedHosts>>,
}

impl Peer {
    /// A peer at `address`; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn new(address: IpAddr, encrypted: bool) -> Self {
        let address = address.to_canonical();
        let text = HeaderValue::try_from(address.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        let node = match address {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        };
        Self { address, encrypted, text, node, served: None }
    }

    /// The same peer at a listener that serves these hosts alone.
    #[must_use]
    pub fn asking(self, served: Option<Arc<ServedHosts>>) -> Self {
        Self { served, ..self }
    }
}
