//! What expressions see of a request: values of their own, made for those variables only that are named.

use std::{collections::HashMap, sync::Arc};

use ::cel::{
    Context, Value,
    objects::{Key, Map},
};
use http::{HeaderMap, HeaderName};
use serde_json::Value as Json;

use super::{expression::Needs, terms::Answered};
use crate::{facts::Facts, identity::Identity, route::parameters};

/// Members of a list or a mapping at most: a loop goes through all of them.
const MAX_MEMBERS: usize = 256;

/// Lends a request to an expression. Fails where there is more of something than an expression may see: what it
/// decides must not depend on where the rest was cut off.
pub(super) fn lend(context: &mut Context<'_, '_>, needs: &Needs, facts: &Facts<'_>) -> Result<(), String> {
    if needs.any("request") {
        context.add_variable_from_value("request", request(needs, facts)?);
    }
    if needs.any("auth") {
        let auth = facts.identity.map(|identity| auth(needs, identity)).transpose()?;
        context.add_variable_from_value("auth", auth.unwrap_or(Value::Null));
    }
    if needs.any("route") {
        let path = ("path", text(facts.route.pattern.as_str()));
        let service = ("service", text(&facts.route.service.name));
        context.add_variable_from_value("route", mapping([path, service]));
    }
    if needs.any("now") {
        let seconds = i64::try_from(facts.now / 1000).unwrap_or(i64::MAX);
        context.add_variable_from_value("now", Value::Int(seconds));
    }
    Ok(())
}

/// Lends an answer to an expression. Fails as [`lend`] does.
pub(super) fn lend_answer(
    context: &mut Context<'_, '_>,
    needs: &Needs,
    answered: &Answered<'_>,
) -> Result<(), String> {
    let Answered { status, headers, usage, reserved } = *answered;
    if needs.any("response") {
        let mut fields = vec![("status", Value::Int(status.into()))];
        if needs.field("response", "headers") {
            let named = headers.keys().map(|name| (name.as_str(), text(&lines(headers, name))));
            fields.push(("headers", few(named, headers.keys_len(), "header fields")?));
        }
        context.add_variable_from_value("response", mapping(fields));
    }
    if needs.any("usage") {
        let fields = [
            ("input_tokens", usage.input_tokens),
            ("output_tokens", usage.output_tokens),
            ("total_tokens", usage.total_tokens),
            ("cached_tokens", usage.cached_tokens),
        ];
        let usage = mapping(fields.map(|(name, tokens)| (name, int(tokens))));
        context.add_variable_from_value("usage", usage);
    }
    if needs.any("reserved") {
        context.add_variable_from_value("reserved", int(reserved));
    }
    Ok(())
}

fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn request(needs: &Needs, facts: &Facts<'_>) -> Result<Value, String> {
    let mut fields = vec![
        ("method", text(facts.head.method.as_str())),
        ("path", text(facts.path)),
        ("host", text(facts.host)),
        ("client_ip", text(&facts.client.to_string())),
    ];
    if needs.field("request", "headers") {
        let headers = &facts.head.headers;
        let named = headers.keys().map(|name| (name.as_str(), text(&lines(headers, name))));
        fields.push(("headers", few(named, headers.keys_len(), "header fields")?));
    }
    if needs.field("request", "query") {
        fields.push(("query", query(facts.head.uri.query().unwrap_or_default())?));
    }
    Ok(mapping(fields))
}

/// All values of a parameter as one: services differ in which of several they take, so none may pass unseen.
fn query(written: &str) -> Result<Value, String> {
    let mut query: HashMap<String, String> = HashMap::new();
    for (name, value) in parameters(written) {
        match query.get_mut(&*name) {
            None => drop(query.insert(name.into_owned(), value.into_owned())),
            Some(known) => {
                known.push_str(", ");
                known.push_str(&value);
            }
        }
        bounded(query.len(), "query parameters")?;
    }
    Ok(mapping(query.iter().map(|(name, value)| (name.as_str(), text(value)))))
}

/// All lines of a field as one (RFC 9110 §5.3). Some platforms never show them otherwise, and a decision by the first
/// would let the others pass unseen.
fn lines(headers: &HeaderMap, name: &HeaderName) -> String {
    let mut joined = String::new();
    for (at, line) in headers.get_all(name).iter().enumerate() {
        if at > 0 {
            joined.push_str(", ");
        }
        joined.push_str(&String::from_utf8_lossy(line.as_bytes()));
    }
    joined
}

fn auth(needs: &Needs, identity: &Identity) -> Result<Value, String> {
    bounded(identity.roles.len(), "roles")?;
    let roles = identity.roles.iter().map(|role| text(role)).collect();
    let mut fields = vec![("user", text(&identity.subject)), ("roles", Value::List(Arc::new(roles)))];
    if needs.field("auth", "claims") {
        let claims = identity.claims.iter().map(|(name, claim)| Ok((name.as_str(), json(claim)?)));
        let claims = claims.collect::<Result<Vec<_>, String>>()?;
        let many = claims.len();
        fields.push(("claims", few(claims, many, "claims")?));
    }
    Ok(mapping(fields))
}

fn json(value: &Json) -> Result<Value, String> {
    Ok(match value {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        // A whole number is an `int` wherever it fits, as are those that expressions write.
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(whole)) => Value::UInt(whole),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(string) => text(string),
        Json::Array(list) => {
            bounded(list.len(), "members of a claim")?;
            Value::List(Arc::new(list.iter().map(json).collect::<Result<_, _>>()?))
        }
        Json::Object(fields) => {
            let named = fields.iter().map(|(name, value)| Ok((name.as_str(), json(value)?)));
            few(named.collect::<Result<Vec<_>, String>>()?, fields.len(), "members of a claim")?
        }
    })
}

fn few<'n>(
    fields: impl IntoIterator<Item = (&'n str, Value)>,
    many: usize,
    what: &str,
) -> Result<Value, String> {
    bounded(many, what).map(|()| mapping(fields))
}

fn bounded(many: usize, what: &str) -> Result<(), String> {
    match many > MAX_MEMBERS {
        true => Err(format!("there are more than {MAX_MEMBERS} {what}, too many for an expression")),
        false => Ok(()),
    }
}

fn mapping<'n>(fields: impl IntoIterator<Item = (&'n str, Value)>) -> Value {
    let map = fields.into_iter().map(|(name, value)| (key(name), value)).collect();
    Value::Map(Map { map: Arc::new(map) })
}

fn key(name: &str) -> Key {
    Key::String(Arc::new(name.to_owned()))
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}
