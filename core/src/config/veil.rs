//! Source lines without the secrets in them, so that a message can quote a line.

use super::{
    node::{Node, Span, Value},
    problem::SourceFile,
};

/// The files with stars in the place of private keys that are written out, wherever in `identity_token` they stand.
pub(super) fn private_keys(mut sources: Vec<SourceFile>, root: &Node) -> Vec<SourceFile> {
    let mut veil_at = |span: Span| {
        if let Some(file) = sources.get_mut(span.file) {
            file.text = veil(&file.text, span);
        }
    };
    if let Some(written) = root.get("identity_token") {
        find(written, false, &mut veil_at);
    }
    sources
}

/// A private key is text of its JSON, or a mapping with `d`, or whatever stands where one belongs.
fn find(node: &Node, is_key: bool, found: &mut impl FnMut(Span)) {
    match &node.value {
        Value::Map(entries) => {
            for (name, value) in entries {
                find(value, is_key || matches!(&*name.name, "key" | "keys" | "d"), found);
            }
        }
        Value::List(items) => items.iter().for_each(|item| find(item, is_key, found)),
        Value::Scalar(scalar) => {
            let holds_one = scalar.text.contains("\"d\"") || (is_key && !scalar.text.starts_with("file:"));
            if holds_one && !node.is_filled() {
                found(node.span);
            }
        }
        Value::Null => {}
    }
}

/// Stars, as many as there are characters, so that all places stay.
pub(super) fn veil(text: &str, span: Span) -> String {
    let (line, first) = (span.line as usize, span.column as usize);
    let hidden = |column: usize| (first..first + span.length as usize).contains(&column);
    let star = |(column, c): (usize, char)| if hidden(column) && !c.is_whitespace() { '*' } else { c };
    let lines = (1..).zip(text.split_inclusive('\n'));
    lines
        .map(|(number, content)| match number == line {
            true => (1..).zip(content.chars()).map(star).collect(),
            false => content.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_veil_moves_nothing() {
        let text = "a: 1\r\nb: \"sé cret\" # why\n";
        let span = Span { file: 0, line: 2, column: 4, length: 9 };
        assert_eq!(veil(text, span), "a: 1\r\nb: *** ***** # why\n");
    }
}
