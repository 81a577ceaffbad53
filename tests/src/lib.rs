//! One behaviour suite, played on every host: what is true of Tollgate is written once, as data, and shown to be
//! true wherever it runs.
//!
//! The rooms, in the order in which a case passes through them: [`case`] (as written), [`play`] (made
//! concrete), [`stage`] (a host and its world), [`upstream`] (what stands behind the gateway), [`observed`]
//! (what came of it), [`judge`] (whether it should have), [`suite`] (all cases on all stages, and the table).
//! `README.md` describes the cases.

pub mod case;
pub mod coding;
pub mod judge;
pub mod keys;
pub mod observed;
pub mod pattern;
pub mod play;
pub mod span;
pub mod stage;
pub mod suite;
pub mod token;
pub mod upstream;
