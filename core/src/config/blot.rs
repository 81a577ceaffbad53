//! Secrets that stand in a file itself, blotted out where its lines are shown: what a mistake is about is shown to
//! people and logs, and a secret on that line is nobody's business.
//!
//! Values of variables are never in a line; those are `${VAR}` there.

use super::{
    node::{Node, Scalar, Span, Value},
    problem::SourceFile,
};

/// Whether the value of this key is a secret. A set of keys is one when it holds one.
fn is_secret(key: &str, text: &str) -> bool {
    // A `hash` may be the key itself, by mistake; a private `key` may be written as a mapping with `d`.
    matches!(
        key,
        "secret" | "client_secret" | "cookie_secret" | "hmac_key" | "password" | "token" | "hash" | "d"
    ) || key == "key" && !text.starts_with("file:")
        || key == "jwks" && text.contains("\"oct\"")
        || key == "url" && text.contains('@')
}

/// Blots out what stands at such keys.
pub(super) fn secrets(node: &Node, files: &mut [SourceFile]) {
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                match &value.value {
                    Value::Scalar(scalar) if is_secret(&key.name, &scalar.text) => {
                        blot(scalar, value.span, files);
                    }
                    // One secret, or a list of them.
                    Value::List(items) => items.iter().for_each(|item| match &item.value {
                        Value::Scalar(scalar) if is_secret(&key.name, &scalar.text) => {
                            blot(scalar, item.span, files);
                        }
                        _ => secrets(item, files),
                    }),
                    _ => secrets(value, files),
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| secrets(item, files)),
        Value::Null | Value::Scalar(_) => {}
    }
}

fn blot(scalar: &Scalar, at: Span, files: &mut [SourceFile]) {
    let Some(file) = files.get_mut(at.file).filter(|_| scalar.written.is_none()) else { return };
    let first = at.line.saturating_sub(1) as usize;
    let (from, to) = (at.column.saturating_sub(1), (at.column + at.length).saturating_sub(1));
    let lines = file.text.split_inclusive('\n').enumerate().map(|(number, line)| {
        // A text of several lines has each of its lines blotted, wherever its place is said to end.
        let own = number >= first && !line.trim().is_empty() && scalar.text.contains(line.trim());
        let inside = |column: usize| number == first && (from as usize..to as usize).contains(&column);
        let hide = |(column, c): (usize, char)| {
            if !c.is_whitespace() && (own || inside(column)) { '•' } else { c }
        };
        line.chars().enumerate().map(hide).collect::<String>()
    });
    file.text = lines.collect();
}

#[cfg(all(test, feature = "yaml"))]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use crate::config::{self, Host, NoFiles};

    fn told(secret: &str) -> String {
        let text = format!(
            "services: {{a: {{endpoints: [\"http://a\"]}}}}\nroutes: [{{path: /, target_service: a}}]\npolicies:\n- \
             {{name: authentication, type: JWT_Validation, wrong: 1, secret: {secret}}}\n"
        );
        config::load("t.yaml", text, &NoFiles, &|_: &str| None, Host::Native).report.render()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_secret_is_in_no_report() {
        for secret in ["hunter2", "\"hunter2\"", "'hunter2'", "\"hun\\u0074er2\""] {
            let report = told(secret);
            assert!(report.contains("wrong: 1, secret: ") && report.contains("too short"), "{report}");
            assert!(!report.contains("hun") && report.contains("•"), "{report}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_secret_of_several_lines_is_in_no_report() {
        let text = "policies:\n- name: authentication\n  type: JWT_Validation\n  secret: |\n    hunter2\n    swordfish\n";
        let loaded = config::load("t.yaml", text.to_owned(), &NoFiles, &|_: &str| None, Host::Native);
        let shown = format!("{}{:?}", loaded.report.render(), loaded.report.files);
        assert!(!shown.contains("hunter") && !shown.contains("fish"), "{shown}");
    }
}
