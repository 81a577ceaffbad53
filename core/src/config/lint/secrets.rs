//! Secrets that stand in the file, where everybody who may read it can read them. Nothing that lint says shows one:
//! the lines that it quotes are veiled.

use super::{
    rule::Rule,
    subject::{Subject, with_ways},
};
use crate::config::{
    document::Whole,
    node::{Node, Span, Value},
    problem::{Problem, Severity, SourceFile},
};

pub(super) const RULES: &[Rule] = &[Rule {
    id: "secret-in-file",
    level: Severity::Warning,
    what: "a `token`, a `secret`, a `client_secret`, a private `key`, a `url` with a password or a credential in a route's `headers`, written out in the file",
    why: "The file lies in repositories, images and backups, and is read by more people than may know the secret. It \
          can't be changed without a new version of the file, and the old one stays in the history.",
    cure: "write `\"${NAME}\"`, without a default, and set the variable where the gateway runs",
    check: written_out,
}];

/// Request headers by which somebody proves who they are.
const CREDENTIALS: &[&str] = &["authorization", "cookie", "proxy-authorization", "x-api-key"];

fn is_credential(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    CREDENTIALS.contains(&&*name)
        || ["-token", "-secret", "-password", "-api-key"].iter().any(|end| name.ends_with(end))
}

/// The secrets that are written out, each with its key.
fn secrets<'s>(whole: &'s Whole<'_>) -> Vec<(&'s str, &'s Node)> {
    let of = |owner: &str, key: &'static str| Some((key, whole.root.get(owner)?.get(key)?));
    let mut secrets: Vec<(&str, &Node)> =
        [of("admin", "token"), of("explain", "secret")].into_iter().flatten().collect();
    // With a password, or what may be one.
    let holds = |url: &Node| url.text().is_some_and(|text| text.contains('@'));
    secrets.extend(of("store", "url").filter(|(_, url)| holds(url)));
    let keys = of("identity_token", "key").map_or(&[][..], |(_, key)| key.each());
    let is_file = |key: &Node| key.text().is_some_and(|text| text.starts_with("file:"));
    secrets.extend(keys.iter().filter(|key| !is_file(key)).map(|key| ("key", key)));
    for route in &whole.routes {
        let Some(Node { value: Value::Map(entries), .. }) = route.item.node.get("headers") else { continue };
        let credentials =
            entries.iter().filter(|(key, value)| is_credential(&key.name) && value.text() != Some("*"));
        secrets.extend(credentials.map(|(key, value)| (key.name.as_str(), value)));
    }
    let own = whole.policies.iter();
    let routes = whole.routes.iter().flat_map(|route| &route.policies);
    let overrides = whole.overrides.iter().flat_map(|on| &on.policies);
    for policy in own.chain(routes).chain(overrides) {
        secrets.extend(with_ways(policy.node).flat_map(agreed));
    }
    secrets.retain(|(_, node)| is_written_out(node));
    secrets
}

/// What was agreed on with others, and what is sealed with: a policy's own secrets, and those of its keys and issuers.
fn agreed<'s>(policy: &'s Node) -> impl Iterator<Item = (&'s str, &'s Node)> {
    let listed = ["keys", "issuers"].into_iter().filter_map(|list| policy.get(list)).flat_map(Node::items);
    let named = |node: &'s Node| {
        let keys = ["secret", "client_secret", "cookie_secret"].into_iter();
        let found = keys.filter_map(move |key| Some((key, node.get(key)?)));
        // One by itself, or a list of several.
        found.flat_map(|(key, node)| {
            let items = node.items().iter().chain(node.text().map(|_| node));
            items.map(move |node| (key, node))
        })
    };
    std::iter::once(policy).chain(listed).flat_map(named)
}

/// Whether the text itself holds the value: there is no variable, or one with a default.
fn is_written_out(node: &Node) -> bool {
    if node.text().is_none_or(str::is_empty) {
        return false;
    }
    let default = |shown: &str| shown.split_once(":-").is_some_and(|(_, rest)| !rest.starts_with('}'));
    !node.is_filled() || default(node.shown())
}

fn written_out(subject: &Subject<'_>) -> Vec<Problem> {
    let problem = |(key, node): (&str, &Node)| {
        let how = if node.is_filled() { "a default for" } else { "the value of" };
        Problem::note(node.span, format!("{how} `{key}` is written out in the file"))
    };
    secrets(subject.whole).into_iter().map(problem).collect()
}

/// The files with stars in the place of secrets, as many as there are characters, so that all places stay.
pub(super) fn veiled(sources: &[SourceFile], whole: &Whole<'_>) -> Vec<SourceFile> {
    let mut files = sources.to_vec();
    for (_, node) in secrets(whole) {
        if let Some(file) = files.get_mut(node.span.file) {
            file.text = veil(&file.text, node.span);
        }
    }
    files
}

fn veil(text: &str, span: Span) -> String {
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
