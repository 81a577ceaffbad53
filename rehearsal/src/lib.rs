//! Rehearsals: requests made of a gateway in memory, in a world that is written down.
//!
//! A case says what is given (a configuration, a clock, what upstreams answer), what happens, and what must
//! come of it. The rooms, in the order in which a case passes through them: [`case`] (as written), [`setting`]
//! (its configuration), [`play`] (made concrete), [`fake`] (core alone, with a host in memory), [`upstream`]
//! (what stands behind the gateway), [`observed`] (what came of it), [`judge`] (whether it should have).
//! [`rehearse`] leads cases through all of them, and [`coverage`] counts what they have shown.
//! [`supposed`] is the other way to use the same host: one request, explained, in a world that is supposed.
//! [`replay`] makes the requests of an access log again, of two gateways at once.
//! Nothing here opens a socket or waits: an hour of a case's time is an addition.

pub mod captured;
pub mod case;
pub mod coding;
pub mod coverage;
pub mod fake;
pub mod judge;
pub mod keys;
pub mod observed;
mod opaque;
pub mod pattern;
pub mod play;
pub mod rehearse;
pub mod replay;
pub mod setting;
pub mod signature;
pub mod span;
pub mod supposed;
pub mod tamper;
pub mod token;
pub mod upstream;
