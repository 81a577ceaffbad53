//! `docs/configuration.md`: the reference of every key, written from the schema, so that it can't lag behind.

use std::fmt::Write;

use serde_json::{Map, Value};

const OPENING: &str = "\
# Configuration

Every key of `tollgate.yaml`. This page is written by `cargo xtask schema` from the types that read the file; how
the parts play together is in the [README](../README.md) and [ARCHITECTURE](../ARCHITECTURE.md).

Any value may hold `${NAME}` or `${NAME:-default}`, filled in after parsing from the environment; a literal `${` is
written `$${`. A path pattern is made of literal segments, `{name}` for one segment, and a final `*` for the prefix
itself and all below it. A policy of a later level (global, route, overrides from the least to the most specific)
replaces the earlier one of the same `name` whole; `{name: X, disabled: true}` removes it.
";

/// The page.
pub(crate) fn render(schema: &Value) -> String {
    let mut out = OPENING.to_owned();
    let none = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&none);
    section(&mut out, "Top level", schema, definitions);
    for name in ["Route", "Override", "Service"] {
        if let Some(definition) = definitions.get(name) {
            section(&mut out, name, definition, definitions);
        }
    }
    let alternatives =
        definitions.get("Policy").and_then(|policy| policy.get("oneOf")).and_then(Value::as_array);
    for alternative in alternatives.into_iter().flatten() {
        let title = alternative.get("title").and_then(Value::as_str).unwrap_or_default();
        section(&mut out, &format!("Policy: {title}"), alternative, definitions);
    }
    let rest = definitions
        .iter()
        .filter(|(name, _)| !["Route", "Override", "Service", "Policy", "Head"].contains(&name.as_str()));
    for (name, definition) in rest {
        section(&mut out, name, definition, definitions);
    }
    out
}

fn section(out: &mut String, title: &str, schema: &Value, definitions: &Map<String, Value>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let values = enumerated(schema);
    if properties.is_none() && values.is_empty() {
        return;
    }
    let _ = write!(out, "\n## {title}\n\n");
    if let Some(text) = schema.get("description").and_then(Value::as_str) {
        let _ = write!(out, "{}\n\n", one_line(text));
    }
    if !values.is_empty() {
        for (value, text) in values {
            let _ = writeln!(out, "- `{value}`: {text}");
        }
        return;
    }
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    out.push_str("| key | what | type | default |\n|---|---|---|---|\n");
    for (key, property) in properties.into_iter().flatten() {
        let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let default = match property.get("default") {
            _ if required.contains(&key.as_str()) => "**required**".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(Value::Object(_)) => String::new(),
            Some(value) => format!("`{value}`"),
        };
        let _ = writeln!(
            out,
            "| `{key}` | {} | {} | {default} |",
            one_line(text).replace('|', "\\|"),
            kind(property, definitions)
        );
    }
}

/// The values of an enumeration, with what they mean.
fn enumerated(schema: &Value) -> Vec<(String, String)> {
    let alternatives = schema.get("oneOf").and_then(Value::as_array);
    alternatives
        .into_iter()
        .flatten()
        .filter_map(|one| {
            let value = one.get("const")?.as_str()?.to_owned();
            let text = one.get("description").and_then(Value::as_str).unwrap_or_default();
            Some((value, one_line(text)))
        })
        .collect()
}

fn kind(property: &Value, definitions: &Map<String, Value>) -> String {
    if let Some(target) = property.get("$ref").and_then(Value::as_str) {
        let name = target.rsplit('/').next().unwrap_or_default();
        // Unions of plain forms have no section of their own.
        let described = definitions
            .get(name)
            .is_some_and(|own| own.get("properties").is_some() || !enumerated(own).is_empty());
        let linked = described || name == "Policy";
        return if linked {
            format!("[{name}](#{})", anchor(name))
        } else {
            union(definitions.get(name), definitions)
        };
    }
    if let Some(value) = property.get("const") {
        return format!("`{value}`");
    }
    if property.get("anyOf").is_some() {
        return union(Some(property), definitions);
    }
    match property.get("type") {
        // Where users choose the names, numbers are texts as well: that goes without saying.
        Some(Value::Array(kinds)) if kinds.contains(&Value::from("string")) => "string".to_owned(),
        Some(Value::Array(kinds)) => {
            let named: Vec<&str> =
                kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            named.join(" or ")
        }
        Some(Value::String(kind)) if kind == "array" => {
            format!(
                "list of {}",
                property.get("items").map_or_else(String::new, |items| self::kind(items, definitions))
            )
        }
        Some(Value::String(kind)) if kind == "object" => {
            let values = property.get("additionalProperties").map(|values| self::kind(values, definitions));
            values
                .filter(|text| !text.is_empty())
                .map_or_else(|| "mapping".to_owned(), |text| format!("mapping to {text}"))
        }
        Some(Value::String(kind)) => kind.clone(),
        _ => String::new(),
    }
}

fn union(schema: Option<&Value>, definitions: &Map<String, Value>) -> String {
    let alternatives = schema.and_then(|schema| schema.get("anyOf")).and_then(Value::as_array);
    let mut kinds: Vec<String> = alternatives
        .into_iter()
        .flatten()
        // A variable in place of a value goes without saying.
        .filter(|one| one.get("pattern").is_none() && one.get("type").and_then(Value::as_str) != Some("null"))
        .map(|one| kind(one, definitions))
        .collect();
    kinds.dedup();
    kinds.join(" or ")
}

fn anchor(title: &str) -> String {
    if title == "Policy" {
        "policy-jwt_validation".to_owned()
    } else {
        title.to_lowercase().replace(' ', "-")
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_a_row_with_its_comment_and_default() {
        let schema = json!({
            "properties": {
                "a": {"description": "What\nit is.", "type": "string", "default": "x"},
                "b": {"description": "Number.", "anyOf": [{"type": "integer"}, {"type": "string", "pattern": "v"}]},
            },
            "required": ["b"],
        });
        let page = render(&schema);
        assert!(page.contains("| `a` | What it is. | string | `\"x\"` |"), "{page}");
        assert!(page.contains("| `b` | Number. | integer | **required** |"), "{page}");
    }
}
