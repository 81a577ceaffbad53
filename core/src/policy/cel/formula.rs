//! An expression that is ready to be evaluated, and what comes out of it: a number, a text, or whatever it is.

use std::{fmt, sync::Arc};

use ::cel::{Context, Env, Value};

use super::{
    expression::{self, Expression},
    values::{self, Answered},
};
use crate::facts::Facts;

/// An expression and what it can do.
pub(crate) struct Formula {
    expression: Expression,
    /// What expressions can do. Costly to make, and the same for all requests.
    env: Arc<Env>,
    /// As written, for explanations.
    shown: String,
}

impl Formula {
    pub(crate) fn new(expression: Expression, shown: String) -> Self {
        Self { expression, env: Arc::new(Env::stdlib()), shown }
    }

    /// The expression, as written.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether it names a variable.
    pub(crate) fn names(&self, variable: &str) -> bool {
        self.expression.needs().any(variable)
    }

    /// What it is for a request. Why it is nothing holds no value of the request's: it is for the log, where
    /// credentials have no place.
    pub(crate) fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, String> {
        let mut context = Context::with_env(self.env.clone());
        values::lend(&mut context, self.expression.needs(), facts)?;
        self.expression.evaluate(&context).map_err(|error| expression::reason(&error))
    }

    /// What it is for an answer, where it is an expression over one.
    pub(crate) fn evaluate_answer(&self, answered: &Answered<'_>) -> Result<Value, String> {
        let mut context = Context::with_env(self.env.clone());
        values::lend_answer(&mut context, self.expression.needs(), answered)?;
        self.expression.evaluate(&context).map_err(|error| expression::reason(&error))
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.shown == other.shown
    }
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Formula").field(&self.shown).finish()
    }
}

/// A value as a whole number that is not negative; a broken one is rounded up.
pub(crate) fn number(value: &Value) -> Result<u64, String> {
    match value {
        Value::Int(number) => {
            u64::try_from(*number).map_err(|_| "the expression is a negative number".to_owned())
        }
        Value::UInt(number) => Ok(*number),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked, and saturates")]
        Value::Float(number) if *number >= 0.0 && number.is_finite() => Ok(number.ceil() as u64),
        Value::Float(_) => Err("the expression is negative, or no number".to_owned()),
        other => Err(format!("the expression is a {}, not a number", other.type_of())),
    }
}

/// A value as a text: of a number its digits.
pub(crate) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        Value::Int(number) => Ok(number.to_string()),
        Value::UInt(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!("the expression is a {}, not a text", other.type_of())),
    }
}
