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
    for value in definitions.values_mut() {
        admit_variables(value);
    }
    admit_variables(&mut document);
    if let Value::Object(fields) = &mut document {
        fields.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        fields.insert("title".to_owned(), json!("Tollgate configuration"));
        fields.insert("$defs".to_owned(), Value::Object(definitions));
    }
    document
}

fn object<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let mut value = T::json_schema(generator).to_value();
    if let Value::Object(fields) = &mut value {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    value
}

fn put(object: &mut Value, key: &str, property: Value) {
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.insert(key.to_owned(), property);
    }
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
        if let Some(Value::Object(own)) = fields.remove("properties") {
            properties.extend(own);
        }
        let mut required = vec![json!("name"), json!("type")];
        if let Some(Value::Array(own)) = fields.remove("required") {
            required.extend(own);
        }
        fields.insert("title".to_owned(), json!(name));
        fields.insert("properties".to_owned(), Value::Object(properties));
        fields.insert("required".to_owned(), Value::Array(required));
        fields.insert("additionalProperties".to_owned(), json!(false));
        alternatives.push(schema);
    }
    alternatives.push(json!({
        "title": "disabled",
        "description": "Removes the policy of this name.",
        "type": "object",
        "properties": {"name": {"type": "string"}, "disabled": {"const": true}, "description": {"type": "string"}},
        "required": ["name", "disabled"],
        "additionalProperties": false,
    }));
    json!({"oneOf": alternatives})
}

/// Numbers and truth values may be given as `${NAME}`, so a text of that form is no mistake there.
fn admit_variables(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        if let Value::Array(items) = schema {
            items.iter_mut().for_each(admit_variables);
        }
        return;
    };
    fields.values_mut().for_each(admit_variables);
    let names = |kind: &Value| matches!(kind.as_str(), Some("integer" | "number" | "boolean"));
    let wants = match fields.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(names),
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
        let variable = json!({"type": "string", "pattern": "\\$\\{[A-Za-z0-9_]+(:-[^}]*)?\\}"});
        fields.insert("anyOf".to_owned(), json!([plain, variable]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
