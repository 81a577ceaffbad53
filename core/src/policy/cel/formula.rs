//! An expression that is ready to be evaluated, and what comes out of it: a number, a text, or whatever it is.

use std::{fmt, sync::Arc};

use ::cel::{Context, Env, Value};

use super::{
    expression::{self, Expression},
    terms::{Answered, Fault, Vocabulary},
    values,
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
    /// Reads an expression, which is shown as it is written. All that is wrong with it is told.
    pub(crate) fn read(text: &str, variables: Vocabulary, shown: &str) -> Result<Self, Vec<Fault>> {
        let expression = Expression::over(variables, text)?;
        Ok(Self { expression, env: Arc::new(Env::stdlib()), shown: shown.to_owned() })
    }

    /// The expression, as written.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether it names a variable.
    pub(crate) fn names(&self, variable: &str) -> bool {
        self.expression.needs().any(variable)
    }

    /// Whether it is true of a request. Why it is neither holds no value of the request's, here and below: it is for the
    /// log, where credentials have no place.
    pub(crate) fn truth(&self, facts: &Facts<'_>) -> Result<bool, String> {
        match self.evaluate(facts)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(format!("the expression is a {}, not `true` or `false`", other.type_of())),
        }
    }

    /// What number it is for a request.
    pub(crate) fn number(&self, facts: &Facts<'_>) -> Result<u64, String> {
        number(&self.evaluate(facts)?)
    }

    /// What text it is for a request.
    pub(crate) fn text(&self, facts: &Facts<'_>) -> Result<String, String> {
        text(&self.evaluate(facts)?)
    }

    /// What number it is for an answer, where it is an expression over one.
    pub(crate) fn number_of_answer(&self, answered: &Answered<'_>) -> Result<u64, String> {
        let mut context = Context::with_env(self.env.clone());
        values::lend_answer(&mut context, self.expression.needs(), answered)?;
        number(&self.expression.evaluate(&context).map_err(|error| expression::reason(&error))?)
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, String> {
        let mut context = Context::with_env(self.env.clone());
        values::lend(&mut context, self.expression.needs(), facts)?;
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
fn number(value: &Value) -> Result<u64, String> {
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
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        Value::Int(number) => Ok(number.to_string()),
        Value::UInt(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!("the expression is a {}, not a text", other.type_of())),
    }
}
