//! What looks at an answer's body while it passes, and says in the end what is to be settled with the limits: leases
//! that were held as long, and costs that only the answer tells. It keeps nothing back and holds no bytes.

use crate::counter::{Draw, Outcome, Settlement};
use crate::host::Timestamp;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it has passed.
    Whole,
    /// Its sender stopped, or it did not keep to what it had said.
    Broken,
    /// Nobody wants the rest: the client has left.
    Left,
}

/// Watches one body.
#[derive(Debug)]
pub struct Meter {
    pub(crate) held: Vec<Held>,
}

/// What was drawn, and is not yet settled.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) draw: Draw,
    pub(crate) at: Timestamp,
}

impl Meter {
    /// Whether it wants to see the bytes; otherwise it only wants to know when they end, and how.
    pub fn reads(&self) -> bool {
        false
    }

    /// Takes notice of a piece.
    pub fn see(&mut self, _piece: &[u8]) {}

    /// How often leases have to be renewed while the body lasts, in milliseconds. `None` when there are none.
    pub fn renews_every_ms(&self) -> Option<u64> {
        None
    }

    /// What renews the leases.
    pub fn renewals(&self) -> Vec<Settlement> {
        Vec::new()
    }

    /// What is to be settled, now that the body has ended.
    pub fn end(self, _end: End) -> Vec<Settlement> {
        let over = |Held { draw, at }: Held| Settlement { draw, at, outcome: Outcome::Used(0) };
        self.held.into_iter().map(over).collect()
    }
}
