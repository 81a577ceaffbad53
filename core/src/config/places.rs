//! Where the keys of a mapping are written, for comparisons that are made when the tree is gone. What stands
//! there is kept only where no message may show its meaning: where the value of a variable was filled in.

use super::node::{Node, Span, Value};

/// Keys whose members have places of their own.
const ELSEWHERE: [&str; 4] = ["routes", "policies", "route_overrides", "services"];

/// The places of a mapping's keys, and of the keys of the mappings in it (`timeouts.idle_ms`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    whole: Span,
    keys: Vec<Placed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Placed {
    name: String,
    span: Span,
    /// The value as written, where its meaning is the value of a variable.
    written: Option<String>,
    /// Its own keys have places of theirs.
    is_map: bool,
}

impl Places {
    /// The places of a mapping that is not written, but implied by what stands at `span`.
    pub(crate) fn implied(span: Span) -> Self {
        Self { whole: span, keys: Vec::new() }
    }

    /// The places of what stands in a mapping.
    pub(crate) fn of(node: &Node) -> Self {
        let mut places = Self::implied(node.span);
        places.add("", node);
        places
    }

    fn add(&mut self, front: &str, node: &Node) {
        let Value::Map(entries) = &node.value else { return };
        for (key, value) in entries {
            let name = format!("{front}{}", key.name);
            let is_elsewhere = ELSEWHERE.contains(&name.as_str());
            let written = (!is_elsewhere && value.holds_filled()).then(|| value.spelled());
            let is_map = matches!(value.value, Value::Map(_));
            self.keys.push(Placed { name: name.clone(), span: key.span, written, is_map });
            if front.is_empty() && !is_elsewhere {
                self.add(&format!("{name}."), value);
            }
        }
    }

    /// Where the key is written, or else the mapping that it would stand in.
    pub(crate) fn at(&self, key: &str) -> Span {
        let found = self.find(key).or_else(|| self.find(key.split_once('.')?.0));
        found.map_or(self.whole, |placed| placed.span)
    }

    /// The value as written, where its meaning must not be shown.
    pub(crate) fn written(&self, key: &str) -> Option<&str> {
        let list = || self.find(key.split_once('.')?.0).filter(|placed| !placed.is_map);
        self.find(key).or_else(list)?.written.as_deref()
    }

    fn find(&self, key: &str) -> Option<&Placed> {
        self.keys.iter().find(|placed| placed.name == key)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::config::node::{Key, Scalar};

    fn at(line: u32) -> Span {
        Span { line, ..Span::default() }
    }

    fn scalar(text: &str, written: Option<&str>, line: u32) -> Node {
        let value = Scalar { text: text.into(), plain: true, written: written.map(str::to_owned) };
        Node { span: at(line), value: Value::Scalar(value) }
    }

    fn map(line: u32, entries: Vec<(&str, Node)>) -> Node {
        let entry = |(name, node): (&str, Node)| (Key { name: name.into(), span: node.span }, node);
        Node { span: at(line), value: Value::Map(entries.into_iter().map(entry).collect()) }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_that_is_not_written_has_the_place_of_what_it_would_stand_in() {
        let inner = map(3, vec![("idle_ms", scalar("5", None, 4))]);
        let places = Places::of(&map(
            1,
            vec![("timeouts", inner), ("routes", map(9, vec![("x", scalar("x", None, 9))]))],
        ));
        let keys = ["timeouts.idle_ms", "timeouts.connect_ms", "tls", "routes"];
        assert_eq!(keys.map(|key| places.at(key).line), [4, 3, 1, 9]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_the_values_of_variables_are_kept_as_written() {
        let secret = scalar("hush", Some("${SECRET}"), 2);
        let places = Places::of(&map(1, vec![("plain", scalar("seen", None, 2)), ("filled", secret)]));
        assert_eq!((places.written("plain"), places.written("filled")), (None, Some("${SECRET}")));
    }
}
