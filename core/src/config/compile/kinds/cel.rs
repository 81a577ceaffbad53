//! `Cel` compiled: its expression read, and its mistakes shown where they stand in the file.

use crate::{
    config::{
        compile::Bench,
        node::{Node, Span, Value},
        policy::{Cel as Written, OnError},
        problem::Problem,
    },
    policy::cel::{
        Cel,
        formula::Formula,
        terms::{Fault, VARIABLES, Vocabulary},
    },
};

pub(super) fn cel(keys: &Written, node: &Node, bench: &Bench<'_>) -> Option<Cel> {
    let node = node.get("expression").unwrap_or(node);
    let formula = formula(&keys.expression, VARIABLES, node, bench)?;
    Some(Cel::new(formula, keys.on_error == OnError::Allow, keys.shadow))
}

/// An expression that stands at a node.
pub(super) fn formula(text: &str, variables: Vocabulary, node: &Node, bench: &Bench<'_>) -> Option<Formula> {
    bench.expressions.set(true);
    match Formula::read(text, variables, node.shown()) {
        Ok(formula) => Some(formula),
        // Any word of it may be the value of a variable.
        Err(_) if node.is_filled() && cfg!(feature = "expressions") => {
            let message = "this is no expression once it is filled in";
            bench.note(Problem::error(node.span, message).cure("take variables out of it to see why"));
            None
        }
        Err(faults) => {
            faults.into_iter().for_each(|fault| bench.note(problem(node, fault)));
            None
        }
    }
}

fn problem(node: &Node, fault: Fault) -> Problem {
    let Fault { message, cure, at } = fault;
    let problem = match at.map(|at| (at, within(node, at))) {
        None => Problem::error(node.span, message),
        Some((_, Some(span))) => Problem::error(span, message),
        Some(((line, column), None)) => {
            Problem::error(node.span, format!("{message} (line {line}, column {column} of it)"))
        }
    };
    match cure {
        Some(cure) => problem.cure(cure),
        None => problem,
    }
}

/// The place in the file of a place in a text, where the text stands in the file as it is.
fn within(node: &Node, (line, column): (u32, u32)) -> Option<Span> {
    let Value::Scalar(scalar) = &node.value else { return None };
    let bytes = usize::try_from(column).ok()?.checked_sub(1)?;
    let before = u32::try_from(scalar.text.get(..bytes)?.chars().count()).ok()?;
    let length = u32::try_from(scalar.text.chars().count()).ok()?;
    let quote = match node.span.length.checked_sub(length)? {
        0 => 0,
        2 if !scalar.plain => 1,
        _ => return None,
    };
    // Beyond the end the last character is shown.
    let before = before.min(length.saturating_sub(1));
    (line == 1 && !scalar.text.contains('\n')).then(|| Span {
        column: node.span.column + quote + before,
        length: 1,
        ..node.span
    })
}
