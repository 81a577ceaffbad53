//! `${NAME}` and `${NAME:-default}`, filled in after parsing, so that no value can add structure.
//!
//! `$${` stands for a literal `${`. Values never appear in messages; the spelling with the name does.

use super::{
    findings::Findings,
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
pub(crate) fn fill(node: &mut Node, variables: &dyn Variables, findings: &Findings) {
    match &mut node.value {
        Value::Null => {}
        Value::List(items) => items.iter_mut().for_each(|item| fill(item, variables, findings)),
        Value::Map(entries) => {
            for (key, value) in entries {
                if key.name.contains("${") {
                    let problem =
                        Problem::error(key.span, format!("the key `{}` holds a variable", key.name));
                    findings.push(problem.cure("variables stand in values only"));
                }
                fill(value, variables, findings);
            }
        }
        Value::Scalar(scalar) => {
            if !scalar.text.contains("${") {
                return;
            }
            let mut missing = Vec::new();
            match filled(&scalar.text, variables, &mut missing) {
                Some(text) => scalar.written = Some(std::mem::replace(&mut scalar.text, text)),
                None => {
                    let problem =
                        Problem::error(node.span, format!("`{}` holds a malformed variable", scalar.text));
                    let cure = "write `${NAME}` or `${NAME:-default}`; a literal `${` is written `$${`";
                    findings.unreadable(node.span, problem.cure(cure));
                }
            }
            for name in missing {
                let problem = Problem::error(node.span, format!("the variable `{name}` is not set"));
                let cure = format!("set it, or give a default: `${{{name}:-default}}`");
                findings.unreadable(node.span, problem.cure(cure));
            }
        }
    }
}

/// The text with all variables put in; `None` for one that is malformed. Variables without value are `missing`.
fn filled(text: &str, variables: &dyn Variables, missing: &mut Vec<String>) -> Option<String> {
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
        let (variable, after) = inside.split_once('}')?;
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        let wellformed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !wellformed {
            return None;
        }
        match (variables.get(name), default) {
            // As in the shell: `:-` also replaces an empty value.
            (Some(value), None) => out.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => missing.push(name.to_owned()),
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
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
        let mut missing = Vec::new();
        let filled = filled(text, &variables, &mut missing).filter(|_| missing.is_empty());
        assert_eq!(filled.as_deref(), wanted, "{text}");
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
