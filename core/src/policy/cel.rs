//! `Cel`: whether a request may be made, as an expression in the Common Expression Language says. It may where the
//! expression is `true`; where it is no truth value at all, that is a failure and not a "no".
//!
//! How expressions are read and kept small is `expression`'s, what they see of a request is `values`'s.

pub(crate) mod expression;
mod values;

use std::{fmt, sync::Arc};

use ::cel::{Context, Env, Value};

use self::expression::Expression;
use crate::{
    facts::Facts,
    trail::{Said, Verdict},
};

/// Whether a request may be made, as an expression says.
pub struct Cel {
    expression: Expression,
    /// What expressions can do. Costly to make, and the same for all requests.
    env: Arc<Env>,
    /// As written, for explanations.
    shown: String,
    /// Go on when the expression can't be evaluated.
    pub(crate) fails_open: bool,
    /// Its "no" is recorded and not carried out.
    pub(crate) shadow: bool,
}

impl fmt::Debug for Cel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cel").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Cel {
    pub(crate) fn new(expression: Expression, shown: String, fails_open: bool, shadow: bool) -> Self {
        Self { expression, env: Arc::new(Env::stdlib()), shown, fails_open, shadow }
    }

    /// The expression, as written.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether the request may be made, or why that can't be told. The reason holds no value of the request's: it
    /// is for the log, where credentials have no place.
    pub(crate) fn judge(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let mut context = Context::with_env(self.env.clone());
        values::lend(&mut context, self.expression.needs(), facts)?;
        match self.expression.evaluate(&context) {
            Ok(Value::Bool(may)) => Ok(may),
            Ok(other) => Err(format!("the expression is a {}, not `true` or `false`", other.type_of())),
            Err(error) => Err(expression::reason(&error)),
        }
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
        said.fact("expression", self.shown.as_str())
    }
}
