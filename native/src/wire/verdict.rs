//! What the check of a connection and its server tell one another: which head is refused, and how far the answers are.
//!
//! hyper asks its service once for each head, in their order. So counting is enough to tell the head that the check
//! has put in the place of a refused one.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use tollgate_core::malformed::Fault;

/// Shared by the check of a connection, which sees bytes, and its service, which sees requests.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The head that stands for a refused one, counted from 1, and what was wrong.
    refused: OnceLock<(u64, Fault)>,
    asked: AtomicU64,
    answered: AtomicU64,
    switched: AtomicBool,
}

impl Verdict {
    /// The service is asked the next request. What was wrong with it, if it stands for one that was refused.
    pub fn next(&self) -> Option<Fault> {
        let number = self.asked.fetch_add(1, Relaxed) + 1;
        self.refused.get().filter(|(refused, _)| *refused == number).map(|(_, fault)| *fault)
    }

    /// The head of an answer is there. `switched`: with it the connection leaves HTTP.
    pub fn answered(&self, switched: bool) {
        if switched {
            self.switched.store(true, Relaxed);
        }
        self.answered.fetch_add(1, Relaxed);
    }

    /// What comes now is no HTTP.
    pub(super) fn is_switched(&self) -> bool {
        self.switched.load(Relaxed)
    }

    /// Whether request `number` has its answer.
    pub(super) fn has_answered(&self, number: u64) -> bool {
        self.answered.load(Relaxed) >= number
    }

    pub(super) fn refuse(&self, number: u64, fault: Fault) {
        // Nothing is looked at after the first.
        let _ = self.refused.set((number, fault));
    }
}
