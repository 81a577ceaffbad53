//! The JSON Schema (2020-12) of the configuration language, for editors: made from the very types that read
//! it, so it can't lag behind. Every key carries its comment.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    document::{Document, Override, Route, Service},
    policy::{Head, Kind},
};

/// The schema.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut document = object::<Document>(&mut generator);
    let mut route = object::<Route>(&mut generator);
    let mut on = object::<Override>(&mut generator);
    let service = object::<Service>(&mut generator);
    let policy = policy(&mut generator);

    let policies =
        |what: &str| json!({"type": "array", "description": what, "items": {"$ref": "#/$defs/Policy"}});
    put(&mut route, "policies", policies("Policies of this route."));
    put(&mut on, "policies", policies("Policies that replace or add to the others on these paths."));
    put(
        &mut document,
        "policies",
        policies("Policies for all requests, in the order of their kind's stage, not of the file."),
    );
    put(
        &mut document,
        "routes",
        json!({"type": "array", "description": "Which requests go where; the most specific wins.", "items": {"$ref": "#/$defs/Route"}}),
    );
    put(
        &mut document,
        "route_overrides",
        json!({"type": "array", "description": "What is different on some paths.", "items": {"$ref": "#/$defs/Override"}}),
    );
    put(
        &mut document,
        "services",
        json!({
            "type": "object",
            "description": "Where the services are. One that is not declared is reached at `http://NAME`.",
            "additionalProperties": {"$ref": "#/$defs/Service"},
        }),
    );
    let mut definitions: Map<String, Value> = generator.take_definitions(true);
    for (name, value) in [("Route", route), ("Override", on), ("Service", service), ("Policy", policy)] {
        definitions.insert(name.to_owned(), value);
    }
    for value in definitions.values_mut().chain([&mut document]) {
        close(value);
        forbid_null(value);
        admit_numbers(value);
        admit_variables(value);
    }
    if let Value::Object(fields) = &mut document {
        fields.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        fields.insert("title".to_owned(), json!("Tollgate configuration"));
        fields.insert("$defs".to_owned(), Value::Object(definitions));
    }
    document
}

fn object<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).to_value()
}

fn put(object: &mut Value, key: &str, property: Value) {
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.insert(key.to_owned(), property);
    }
}

/// A policy that needs no name, since nothing replaces it.
fn unnamed(mut policy: Value) -> Value {
    if let Some(Value::Array(required)) = policy.get_mut("required") {
        required.retain(|key| key != "name");
    }
    policy
}

/// One alternative for each type, and one for the removal of a policy.
fn policy(generator: &mut SchemaGenerator) -> Value {
    let head = object::<Head>(generator);
    let common = head.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut alternatives = Vec::new();
    for (name, own) in Kind::schemas(generator) {
        let mut schema = own.to_value();
        let Value::Object(fields) = &mut schema else { continue };
        let mut properties = common.clone();
        properties.insert("type".to_owned(), json!({"const": name}));
        if let Some(property) = properties.get_mut("disabled") {
            *property = disabled(false, property);
        }
        if let Some(Value::Object(own)) = fields.remove("properties") {
            properties.extend(own);
        }
        if name == "AnyOf" {
            let what =
                "The ways, each written as a policy for authentication; the first that is there decides.";
            // They stand before it among the kinds.
            let ways: Vec<Value> = alternatives.iter().cloned().map(unnamed).collect();
            let items = json!({"oneOf": ways});
            let list = json!({"type": "array", "description": what, "minItems": 1, "items": items});
            properties.insert("policies".to_owned(), list);
        }
        let mut required = vec![json!("name"), json!("type")];
        if let Some(Value::Array(own)) = fields.remove("required") {
            required.extend(own);
        }
        fields.insert("title".to_owned(), json!(name));
        fields.insert("properties".to_owned(), Value::Object(properties));
        fields.insert("required".to_owned(), Value::Array(required));
        alternatives.push(schema);
    }
    alternatives.push(json!({
        "title": "disabled",
        "description": "Removes the policy of this name.",
        "type": "object",
        "properties": {"name": {"type": "string"}, "disabled": disabled(true, &json!({})), "description": {"type": "string"}},
        "required": ["name", "disabled"],
    }));
    json!({"oneOf": alternatives})
}

/// What is removed has no type, and what has a type is not removed.
fn disabled(value: bool, described: &Value) -> Value {
    let mut property = Map::from_iter([("anyOf".to_owned(), json!([{"const": value}, variable()]))]);
    for key in ["description", "default"] {
        if let Some(text) = described.get(key) {
            property.insert(key.to_owned(), text.clone());
        }
    }
    Value::Object(property)
}

/// Calls `change` for `schema` and all schemas within.
fn for_each(schema: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| for_each(item, change)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|value| for_each(value, change));
            change(fields);
        }
        _ => {}
    }
}

/// Keys that are not named are mistakes, in nested mappings too.
fn close(schema: &mut Value) {
    for_each(schema, &|fields| {
        if fields.get("type").and_then(Value::as_str) == Some("object") && fields.contains_key("properties") {
            fields.insert("additionalProperties".to_owned(), json!(false));
        }
    });
}

/// `Option` stands for a key that may be left out; a key without value is a mistake, but for those that `null`
/// turns off, which the comment says.
fn forbid_null(schema: &mut Value) {
    let off_by_null = |fields: &Map<String, Value>| {
        fields.get("description").and_then(Value::as_str).is_some_and(|text| text.contains("`null`"))
    };
    for_each(schema, &|fields| {
        if off_by_null(fields) {
            return;
        }
        if fields.get("default") == Some(&Value::Null) {
            fields.remove("default");
        }
        if let Some(Value::Array(kinds)) = fields.get_mut("type") {
            kinds.retain(|kind| kind != "null");
            if let [only] = kinds.as_slice() {
                let only = only.clone();
                fields.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(alternatives)) = fields.get_mut("anyOf") {
            alternatives.retain(|one| one.get("type").is_none_or(|kind| kind != "null"));
            if let [Value::Object(only)] = alternatives.as_slice() {
                let only = only.clone();
                fields.remove("anyOf");
                // What is said of the key comes before what is said of its type.
                for (key, value) in only {
                    fields.entry(key).or_insert(value);
                }
            }
        }
    });
}

/// Where users choose the names, numbers are texts as well: `headers: {x-version: 2}`.
fn admit_numbers(schema: &mut Value) {
    let admit = |text: &mut Value| {
        if let Value::Object(fields) = text
            && fields.get("type").and_then(Value::as_str) == Some("string")
        {
            fields.insert("type".to_owned(), json!(["string", "number", "boolean"]));
        }
    };
    for_each(schema, &|fields| {
        fields.get_mut("additionalProperties").map(admit);
        // One text or a list of them.
        if let Some(Value::Array(alternatives)) = fields.get_mut("anyOf")
            && let [one @ Value::Object(_), Value::Object(many)] = alternatives.as_mut_slice()
            && let Some(items) = many.get_mut("items")
            && one.get("type") == items.get("type")
        {
            admit(one);
            admit(items);
        }
    });
}

fn variable() -> Value {
    json!({"type": "string", "pattern": "\\$\\{[A-Za-z0-9_]+(:-[^}]*)?\\}"})
}

/// Numbers, truth values and words may be given as `${NAME}`, so a text of that form is no mistake there.
fn admit_variables(schema: &mut Value) {
    for_each(schema, &admit_variable);
}

fn admit_variable(fields: &mut Map<String, Value>) {
    let word = |one: &Value| one.get("const").is_some_and(Value::is_string);
    if let Some(Value::Array(words)) = fields.get_mut("oneOf")
        && words.iter().all(word)
    {
        words.push(variable());
        return;
    }
    let names = |kind: &Value| matches!(kind.as_str(), Some("integer" | "number" | "boolean"));
    let wants = match fields.get("type") {
        // What may be a text may hold a variable.
        Some(Value::Array(kinds)) => kinds.iter().any(names) && kinds.iter().all(|kind| kind != "string"),
        Some(kind) => names(kind),
        None => false,
    };
    if wants {
        let mut plain = Map::new();
        for key in ["type", "format", "minimum", "maximum"] {
            if let Some(value) = fields.remove(key) {
                plain.insert(key.to_owned(), value);
            }
        }
        fields.insert("anyOf".to_owned(), json!([plain, variable()]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(value: &Value, see: &mut impl FnMut(&Map<String, Value>)) {
        match value {
            Value::Object(fields) => {
                see(fields);
                fields.values().for_each(|value| visit(value, see));
            }
            Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
            _ => {}
        }
    }

    #[test]
    fn every_mapping_is_closed_and_no_key_may_be_null_but_those_that_say_so() {
        visit(&schema(), &mut |fields| {
            let object = fields.get("type").and_then(Value::as_str) == Some("object");
            assert!(!object || fields.contains_key("additionalProperties"), "{fields:#?}");
        });
        let schema = schema();
        let mut nullable = Vec::new();
        for definition in schema["$defs"].as_object().unwrap().values().chain([&schema]) {
            for (name, key) in definition["properties"].as_object().into_iter().flatten() {
                visit(key, &mut |fields| {
                    let null = |kind: &Value| {
                        *kind == "null" || kind.as_array().is_some_and(|kinds| kinds.contains(&json!("null")))
                    };
                    if fields.get("type").is_some_and(null) {
                        nullable.push(name.clone());
                    }
                });
            }
        }
        assert_eq!(nullable, ["access_log"]);
    }

    #[test]
    fn no_definition_leads_to_itself_without_going_deeper() {
        fn alternatives<'s>(schema: &'s Value, value: &'s Value, depth: usize) {
            assert!(depth < 16, "{value}");
            if let Some(name) = value["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
                alternatives(schema, &schema["$defs"][name], depth + 1);
            }
            for key in ["anyOf", "oneOf"] {
                for one in value[key].as_array().into_iter().flatten() {
                    alternatives(schema, one, depth + 1);
                }
            }
        }
        let schema = schema();
        for definition in schema["$defs"].as_object().unwrap().values() {
            alternatives(&schema, definition, 0);
        }
    }

    #[test]
    fn every_key_is_documented() {
        fn visit(path: &str, value: &Value, missing: &mut Vec<String>) {
            if let Some(properties) = value.get("properties").and_then(Value::as_object) {
                for (name, property) in properties {
                    let documented =
                        ["description", "$ref", "const"].iter().any(|key| property.get(key).is_some());
                    if !documented && !path.ends_with("disabled") {
                        missing.push(format!("{path}/{name}"));
                    }
                }
            }
            match value {
                Value::Object(fields) => {
                    for (name, inner) in fields {
                        let title = inner.get("title").and_then(Value::as_str).unwrap_or(name);
                        visit(&format!("{path}/{title}"), inner, missing);
                    }
                }
                Value::Array(items) => {
                    for item in items {
                        let title = item.get("title").and_then(Value::as_str).unwrap_or("-");
                        visit(&format!("{path}/{title}"), item, missing);
                    }
                }
                _ => {}
            }
        }
        let mut missing = Vec::new();
        visit("", &schema(), &mut missing);
        assert!(missing.is_empty(), "{missing:#?}");
    }
}
