//! Whether two trees say the same: keys, values and spellings. Places don't count, and neither does the order of keys.

use super::super::node::{Key, Node, Value};

/// Whether they do.
pub(super) fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar(one), Value::Scalar(other)) => {
            // An empty text has quotes or is a block scalar, whose place is that of what follows it.
            one.text == other.text && (one.plain == other.plain || one.text.is_empty())
        }
        (Value::List(ones), Value::List(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| same(one, other))
        }
        (Value::Map(ones), Value::Map(others)) => {
            // Of a key given twice, which comes first counts: the sort is stable.
            let by_name = |entries: &[(Key, Node)]| {
                let mut order: Vec<usize> = (0..entries.len()).collect();
                order.sort_by_key(|at| entries.get(*at).map(|(key, _)| key.name.clone()));
                order
            };
            ones.len() == others.len()
                && by_name(ones).into_iter().zip(by_name(others)).all(|(one, other)| {
                    match (ones.get(one), others.get(other)) {
                        (Some((key, one)), Some((other_key, other))) => {
                            key.name == other_key.name && same(one, other)
                        }
                        _ => false,
                    }
                })
        }
        _ => false,
    }
}
