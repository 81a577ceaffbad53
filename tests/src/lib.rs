//! One behaviour suite, played on every host: what is true of Tollgate is written once, as data, and shown to be
//! true wherever it runs.
//!
//! Cases are read and judged by `tollgate_rehearsal`, as those of users are. Here are [`stage`] (a host and its
//! world) and [`suite`] (all cases on all stages, and the table). `README.md` describes the cases.

pub mod stage;
pub mod suite;
pub mod wire;
