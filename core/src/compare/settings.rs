//! Two lists of settings, key by key.

use super::{
    Change, What,
    setting::{Setting, Value},
};
use crate::config::places::Places;

/// The differences between what two sides say, each at its place.
pub(super) fn differences(what: What, old: (&[Setting], &Places), new: (&[Setting], &Places)) -> Vec<Change> {
    let ((old, old_places), (new, new_places)) = (old, new);
    let find = |list: &[Setting], key: &str| list.iter().position(|setting| setting.key == key);
    let gone = old.iter().filter(|setting| find(new, &setting.key).is_none());
    let mut changes = Vec::new();
    for setting in new.iter().chain(gone) {
        let value = |list: &[Setting]| {
            let found = find(list, &setting.key).and_then(|at| list.get(at));
            found.map_or(Value::Nothing, |setting| setting.value.clone())
        };
        let (before, after) = (value(old), value(new));
        if before == after {
            continue;
        }
        let key = &setting.key;
        let shown = |value: &Value, places: &Places| {
            let written = places.written(key).map(str::to_owned);
            value.shown().map(|shown| written.unwrap_or(shown))
        };
        let kind = setting.leaning.judge(&before, &after);
        let change = Change::new(kind, what, old_places.at(key), new_places.at(key)).key(key);
        changes.push(change.values(shown(&before, old_places), shown(&after, new_places)));
    }
    changes
}
