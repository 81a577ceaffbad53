//! `${NAME}` and `${NAME:-default}`, filled in after parsing, so that no value can add structure.
//!
//! `$${` stands for a literal `${`. Values never appear in messages; the spelling with the name does.

use super::{
    node::{Node, Value},
    problem::Problem,
};

/// Where values come from: an environment, a Worker's variables and secrets.
pub trait Variables {
    /// The value of a variable, if there is one.
    fn get(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Variables for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// Fills in all variables below `node`.
pub(crate) fn fill(node: &mut Node, variables: &dyn Variables, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Null => {}
        Value::List(items) => items.iter_mut().for_each(|item| fill(item, variables, problems)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| fill(value, variables, problems)),
        Value::Scalar(scalar) => {
            if !scalar.text.contains("${") {
                return;
            }
            match filled(&scalar.text, variables) {
                Ok(text) => scalar.written = Some(std::mem::replace(&mut scalar.text, text)),
                Err(Unfilled::Missing(name)) => problems.push(
                    Problem::error(node.span, format!("the variable `{name}` is not set"))
                        .cure(format!("set it, or give a default: `${{{name}:-default}}`")),
                ),
                Err(Unfilled::Malformed) => problems.push(
                    Problem::error(node.span, format!("`{}` holds a malformed variable", scalar.text))
                        .cure("write `${NAME}` or `${NAME:-default}`; a literal `${` is written `$${`"),
                ),
            }
        }
    }
}

enum Unfilled {
    Missing(String),
    Malformed,
}

fn filled(text: &str, variables: &dyn Variables) -> Result<String, Unfilled> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        out.push_str(before);
        let inside = from.get(2..).unwrap_or_default();
        let (variable, after) = inside.split_once('}').ok_or(Unfilled::Malformed)?;
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        let wellformed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !wellformed {
            return Err(Unfilled::Malformed);
        }
        match (variables.get(name), default) {
            // As in the shell: `:-` also replaces an empty value.
            (Some(value), None) => out.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => return Err(Unfilled::Missing(name.to_owned())),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn check(text: &str, wanted: Option<&str>) {
        let variables = |name: &str| match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${A}".to_owned()),
            _ => None,
        };
        assert_eq!(filled(text, &variables).ok().as_deref(), wanted, "{text}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn variables_are_filled_in_once() {
        check("x${A}y${A}", Some("xoneyone"));
        check("${B:-two}", Some("two"));
        check("${EMPTY:-two}", Some("two"));
        check("${EMPTY}", Some(""));
        check("$${A}", Some("${A}"));
        check("${NESTED}", Some("${A}"));
        check("${B}", None);
        check("${", None);
        check("${a-b}", None);
    }
}
