//! Expressions read: what they need of a request, and that they are small enough to be evaluated for each.
//!
//! There is no budget while an expression is evaluated, so what could take long is not let in: its size is bounded,
//! loops are few and don't stand in one another, and [`super::values`] lends no list that is long.

mod walk;

use std::collections::BTreeSet;

use ::cel::{Context, ExecutionError, IdedExpr, ResolveResult, Value, parser::PrattParser};

use super::terms::{Fault, Vocabulary};

/// Bytes of an expression at most.
pub(crate) const MAX_BYTES: usize = 4_096;
/// Operators, names, literals and calls of an expression at most, macros expanded.
pub(crate) const MAX_NODES: usize = 512;
/// How deep it may be nested.
const MAX_DEPTH: u16 = 48;
/// `all`, `exists`, `exists_one`, `map`, `filter` in an expression at most.
pub(crate) const MAX_LOOPS: usize = 4;

/// What expressions can call, besides operators and macros.
pub(crate) const FUNCTIONS: [&str; 10] =
    ["size", "contains", "startsWith", "endsWith", "string", "int", "uint", "double", "bool", "dyn"];

/// An expression that can be evaluated.
pub(crate) struct Expression {
    root: IdedExpr,
    needs: Needs,
}

/// Which variables an expression names, and which of their fields: no others are lent to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs(BTreeSet<(&'static str, &'static str)>);

impl Needs {
    /// Whether a variable is named at all.
    pub(crate) fn any(&self, variable: &str) -> bool {
        self.0.iter().any(|(name, _)| *name == variable)
    }

    /// Whether a field of it is.
    pub(crate) fn field(&self, variable: &'static str, field: &'static str) -> bool {
        self.0.contains(&(variable, field))
    }
}

impl Expression {
    /// Reads an expression over what can be named, and tells all that is wrong with it.
    pub(crate) fn over(variables: Vocabulary, text: &str) -> Result<Self, Vec<Fault>> {
        if text.len() > MAX_BYTES {
            return Err(vec![Fault::new(format!("the expression has more than {MAX_BYTES} bytes"))]);
        }
        let parser = PrattParser::new().max_recursion_depth(MAX_DEPTH).error_reporting_limit(1);
        let root = parser.parse(text).map_err(|errors| {
            let fault = |error: &::cel::ParseError| {
                let at = |n: isize| u32::try_from(n).ok().filter(|n| *n > 0);
                let at = at(error.pos.0).zip(at(error.pos.1));
                Fault { at, ..Fault::new(format!("the expression can't be read: {}", plain(&error.msg))) }
            };
            errors.errors.iter().take(1).map(fault).collect::<Vec<_>>()
        })?;
        let needs = walk::walk(&root, variables)?;
        Ok(Self { root, needs })
    }

    pub(crate) fn needs(&self) -> &Needs {
        &self.needs
    }

    pub(crate) fn evaluate(&self, context: &Context<'_, '_>) -> ResolveResult {
        Value::resolve(&self.root, context)
    }
}

/// What a parser says, in the words of this place.
fn plain(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    text.trim_start_matches("Syntax error: ").replace("'<EOF>'", "the end").replace("<EOF>", "the end")
}

/// Why an expression could not be evaluated, without the values it was evaluated with: they may be credentials.
pub(crate) fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("the expression looks for `{key}`, which is not there"),
        ExecutionError::UndeclaredReference(name) => {
            format!("the expression looks for `{name}`, which is not there")
        }
        ExecutionError::IndexOutOfBounds(_) => {
            "the expression looks for a member beyond the end of a list".to_owned()
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "the expression divides by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number of the expression becomes too large".to_owned(),
        _ => "the expression does something with a value that is not of a type for it".to_owned(),
    }
}

#[cfg(test)]
mod tests;
