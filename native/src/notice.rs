//! Notices to the operator on standard error: few, and never about single requests.

use std::{
    fmt::Display,
    io::{Write, stderr},
};

/// Says something. Where nobody listens on standard error any more, there is no place left to say that: unlike
/// `eprintln!`, this does not panic then.
pub(crate) fn say(message: impl Display) {
    let _ = writeln!(stderr(), "tollgate: {message}");
}
