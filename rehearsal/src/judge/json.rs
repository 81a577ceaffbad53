//! JSON compared member by member, so that what differs is told with its path and not as two long texts.

use serde_json::Value;

use super::fault::{Fault, show};

/// Every member of `body` that is not as wanted. It may have more members; lists have to be as long as wanted.
pub(super) fn lacking(what: &str, wanted: &Value, body: &[u8]) -> Vec<Fault> {
    let mut faults = Vec::new();
    match serde_json::from_slice::<Value>(body) {
        Ok(found) => {
            Walk { what, strict: false, faults: &mut faults }.compare(Some(wanted), Some(&found), "")
        }
        Err(_) => faults.push(Fault {
            what: what.to_owned(),
            wanted: wanted.to_string(),
            found: format!("no JSON: {}", show(body)),
        }),
    }
    faults
}

/// Every member in which two documents differ; none where they do not, or where one is not a JSON document.
pub(super) fn unequal(what: &str, wanted: &[u8], found: &[u8]) -> Vec<Fault> {
    let document = |bytes: &[u8]| {
        let value = serde_json::from_slice::<Value>(bytes).ok();
        value.filter(|value| value.is_object() || value.is_array())
    };
    let mut faults = Vec::new();
    if let (Some(wanted), Some(found)) = (document(wanted), document(found)) {
        Walk { what, strict: true, faults: &mut faults }.compare(Some(&wanted), Some(&found), "");
    }
    faults
}

struct Walk<'w> {
    what: &'w str,
    /// Whether what is not wanted must not be there.
    strict: bool,
    faults: &'w mut Vec<Fault>,
}

impl Walk<'_> {
    fn compare(&mut self, wanted: Option<&Value>, found: Option<&Value>, path: &str) {
        match (wanted, found) {
            (Some(Value::Object(wanted)), Some(Value::Object(found))) => {
                for (name, value) in wanted {
                    self.compare(Some(value), found.get(name), &format!("{path}/{name}"));
                }
                for (name, value) in found.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
                    if self.strict {
                        self.compare(None, Some(value), &format!("{path}/{name}"));
                    }
                }
            }
            (Some(Value::Array(wanted)), Some(Value::Array(found))) => {
                for index in 0..wanted.len().max(found.len()) {
                    self.compare(wanted.get(index), found.get(index), &format!("{path}/{index}"));
                }
            }
            _ if wanted == found => {}
            _ => {
                let shown =
                    |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
                let what = format!("{} {path}", self.what).trim_end().to_owned();
                self.faults.push(Fault { what, wanted: shown(wanted), found: shown(found) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(wanted: Value, found: Value) -> Vec<String> {
        let faults = lacking("body", &wanted, found.to_string().as_bytes());
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn json_may_hold_more_than_is_wanted_but_lists_may_not() {
        assert!(told(json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}})).is_empty());
        assert_eq!(told(json!([1]), json!([1, 2])), ["body /1: absent | 2"]);
    }

    #[test]
    fn every_member_that_differs_is_told_with_its_path() {
        let wanted = json!({"a": {"b": 1, "c": [1, 2]}, "d": "x"});
        let found = json!({"a": {"c": [1, 3]}, "d": "y"});
        assert_eq!(
            told(wanted, found),
            ["body /a/b: 1 | absent", "body /a/c/1: 2 | 3", "body /d: \"x\" | \"y\""]
        );
    }

    #[test]
    fn of_two_whole_documents_members_too_many_are_told() {
        let faults = unequal("body", br#"{"a":1}"#, br#"{"a":1,"b":2}"#);
        assert_eq!(faults[0].to_string(), "body /b: absent | 2");
        assert!(unequal("body", b"{}", b"{ }").is_empty());
    }
}
