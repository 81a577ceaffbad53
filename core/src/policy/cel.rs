//! `Cel`: whether a request may be made, as an expression in the Common Expression Language says. It may where the
//! expression is `true`; where it is no truth value at all, that is a failure and not a "no".
//!
//! How expressions are read and kept small is `expression`'s, what they see of a request is `values`'s; `formula` is an
//! expression that is ready to be evaluated, here and wherever else a policy has one.

#[cfg(feature = "expressions")]
mod expression;
#[cfg_attr(not(feature = "expressions"), path = "cel/without.rs")]
pub(crate) mod formula;
pub(crate) mod terms;
#[cfg(feature = "expressions")]
mod values;

use self::formula::Formula;
use crate::{
    facts::Facts,
    trail::{Said, Verdict},
};

/// Whether a request may be made, as an expression says.
#[derive(Debug)]
pub struct Cel {
    formula: Formula,
    /// Go on when the expression can't be evaluated.
    pub(crate) fails_open: bool,
    /// Its "no" is recorded and not carried out.
    pub(crate) shadow: bool,
}

impl Cel {
    pub(crate) fn new(formula: Formula, fails_open: bool, shadow: bool) -> Self {
        Self { formula, fails_open, shadow }
    }

    /// The expression, as written.
    pub(crate) fn shown(&self) -> &str {
        self.formula.shown()
    }

    /// Whether the request may be made, or why that can't be told. The reason holds no value of the request's: it
    /// is for the log, where credentials have no place.
    pub(crate) fn judge(&self, facts: &Facts<'_>) -> Result<bool, String> {
        self.formula.truth(facts)
    }

    /// What explanations say of a judgement.
    pub(crate) fn said(&self, judged: &Result<bool, String>) -> Said {
        let said = match judged {
            Ok(true) => Said::new(Verdict::Pass, "the expression is true"),
            Ok(false) => Said::new(Verdict::Refuse, "the expression is false"),
            Err(reason) if self.fails_open => {
                Said::new(Verdict::Fail, format!("{reason}; `on_error: allow` goes on"))
            }
            Err(reason) => Said::new(Verdict::Refuse, format!("{reason}, and `on_error` is not `allow`")),
        };
        said.fact("expression", self.shown())
    }
}
