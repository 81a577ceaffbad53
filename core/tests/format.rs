//! The canonical layout, rule by rule: what is written, and what becomes of it.
#![cfg(feature = "yaml")]

use tollgate_core::config::format::format;
use wasm_bindgen_test::wasm_bindgen_test;

/// The layout of `text`, which is its own layout.
#[track_caller]
fn formatted(text: &str) -> String {
    let once = format(text).unwrap_or_else(|problem| panic!("{problem:?}\n{text}"));
    let twice = format(&once).unwrap_or_else(|problem| panic!("{problem:?}\n{once}"));
    assert_eq!(twice, once);
    once
}

/// `text` is written as it should be.
#[track_caller]
fn stays(text: &str) {
    assert_eq!(formatted(text), text);
}

fn refusal(text: &str) -> String {
    format(text).unwrap_err().message
}

#[wasm_bindgen_test(unsupported = test)]
fn the_example_stays_as_it_is() {
    stays(include_str!("../../examples/agent-platform/tollgate.yaml"));
}

#[wasm_bindgen_test(unsupported = test)]
fn blocks_are_indented_by_two_spaces_and_list_items_below_their_key() {
    let text = "routes:\n- path:   /a\n  target_service: a\n  hosts:\n  - a\n  -   b\nservices:\n     a:\n        endpoints:\n          -   http://a\n";
    let expected = "routes:\n  - path: /a\n    hosts:\n      - a\n      - b\n    target_service: a\n\nservices:\n  a:\n    endpoints:\n      - http://a\n";
    assert_eq!(formatted(text), expected);
}

#[wasm_bindgen_test(unsupported = test)]
fn one_blank_line_stands_between_blocks_and_between_routes() {
    let text = "\n\npublic_domain: a.example\nenforce_domain: true\nroutes:\n\n  - path: /a\n    target_service: a\n  - path: /b\n    target_service: b\n\n\n\n  - {path: /c, target_service: c}\n  - {path: /d, target_service: d}\nlimits:\n  max_body_bytes: 1\n\n\n  max_target_bytes: 2\n\n\n";
    let expected = "public_domain: a.example\nenforce_domain: true\n\nlimits:\n  max_target_bytes: 2\n  max_body_bytes: 1\n\nroutes:\n  - path: /a\n    target_service: a\n\n  - path: /b\n    target_service: b\n\n  - {path: /c, target_service: c}\n  - {path: /d, target_service: d}\n";
    assert_eq!(formatted(text), expected);
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_come_in_the_order_of_their_type() {
    let text = "services: {}\npolicies:\n  - description: d\n    rate: 1\n    mine: 1\n    type: FixedWindow\n    per: ip\n    exclude_paths: []\n    name: n\n  - on_error: allow\n    policy_engine_endpoint: http://e\n    type: \"RBAC\"\n    name: m\nroutes: []\nunknown: 1\npublic_domain: x\n";
    let expected = "public_domain: x\nroutes: []\n\npolicies:\n  - name: n\n    type: FixedWindow\n    rate: 1\n    per: ip\n    exclude_paths: []\n    description: d\n    mine: 1\n\n  - name: m\n    type: \"RBAC\"\n    policy_engine_endpoint: http://e\n    on_error: allow\n\nservices: {}\nunknown: 1\n";
    assert_eq!(formatted(text), expected);
}

#[wasm_bindgen_test(unsupported = test)]
fn comments_stay_with_what_they_are_about() {
    let text = "# About the file.\n\n# About services.\nservices:\n    # About a.\n    a:  # Behind a.\n        endpoints: [x]   # Behind endpoints.\n    # At the end of services.\n# About routes.\nroutes:\n- target_service: a # The service.\n  # The path.\n  path: /a # Behind the path.\n  # At the end of the route.\n# At the end.\n";
    let expected = "# About the file.\n\n# About routes.\nroutes:\n  # The path.\n  - path: /a # Behind the path.\n    target_service: a # The service.\n    # At the end of the route.\n\n# About services.\nservices:\n  # About a.\n  a: # Behind a.\n    endpoints: [x] # Behind endpoints.\n  # At the end of services.\n# At the end.\n";
    assert_eq!(formatted(text), expected);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_commented_out_stays_in_its_block() {
    stays("routes:\n  # - path: /a\n  #   target_service: a\n\npolicies: []\n");
    stays(
        "routes:\n  - path: /a\n    target_service: a\n    # timeout_ms: 5\n\n  # - path: /b\n\npolicies: []\n",
    );
    stays("# Nothing yet.\n");
    stays("");
    stays("routes:\n  - # Behind the dash.\n    path: /a\n    target_service: a\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn scalars_keep_their_spelling() {
    stays(
        "services:\n  no: {endpoints: ['0755', \"1.0\", 1.0, ~, null, 0x1F, 1_000, .inf, yes]}\n  'it''s': {endpoints: [\"a\\tb\\\"c\"]}\n  \"quoted key\":\n    endpoints:\n      - http://a#b\n      - 'c: d # e'\n",
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn collections_in_brackets_have_one_spacing() {
    let text = "a: {b : c,d: [ e,f ] , }\ng: [ ]\nh: {  }\ni: [\n  j,\n  k\n]\nl: {\"m\":n, o, p: , q: !!str r, \"s\":[t]}\nu: [v: w, 'x':y]\n";
    let expected = "a: {b: c, d: [e, f]}\ng: []\nh: {}\ni: [j, k]\nl: {\"m\": n, o, p:, q: !!str r, \"s\": [t]}\nu: [v: w, 'x': y]\n";
    assert_eq!(formatted(text), expected);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_too_long_for_a_line_is_broken_into_blocks() {
    let long = "x".repeat(50);
    let text = format!(
        "routes:\n  - {{target_service: {long}, path: /{long}, hosts: [a, b]}} # c\nlist: [{long}, {{a: {long}}}, b]\nfits: {{a: {long}}}\n"
    );
    let expected = format!(
        "routes:\n  - # c\n    path: /{long}\n    hosts: [a, b]\n    target_service: {long}\n\nlist:\n  - {long}\n  - {{a: {long}}}\n  - b\n\nfits: {{a: {long}}}\n"
    );
    assert_eq!(formatted(&text), expected);
    // An anchor may be meant for what follows on the line.
    stays(&format!("a: [&x {long}, {long}]\nb: *x\n"));
}

#[wasm_bindgen_test(unsupported = test)]
fn brackets_with_comments_stay_on_their_lines() {
    let text = "exclude:\n    a: [\n            b, # about b\n      # about c\n       c,\n        {d:   e,\n  f: g}\n    ]   # end\n";
    let expected =
        "exclude:\n  a: [\n    b, # about b\n    # about c\n    c,\n    {d:   e,\n      f: g}\n  ] # end\n";
    assert_eq!(formatted(text), expected);
}

#[wasm_bindgen_test(unsupported = test)]
fn block_scalars_keep_their_text() {
    stays(
        "a:\n  b: |\n    text\n      more  \n\n    end\n  c: >-\n    folded\n    text\n\nd: |2\n    two spaces in front\n\ne: 1\n",
    );
    let text =
        "a:\n      b: | # c\n          text\n            more\n\n\n\n# d\ne: |+\n  kept\n\n\nroutes: []\n";
    let expected = "routes: []\n\na:\n  b: | # c\n    text\n      more\n\n# d\ne: |+\n  kept\n\n\n";
    assert_eq!(formatted(text), expected);
}

#[wasm_bindgen_test(unsupported = test)]
fn block_scalars_without_text_stay_empty() {
    assert_eq!(formatted("routes:\n a: |-\n   \nlimits: a\n"), "limits: a\n\nroutes:\n  a: |-\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn anchors_and_tags_of_the_document_stay() {
    stays("&a !!map # c\nroutes: []\n");
    stays("--- # c\n!!str # d\n# e\nf # g\n");
    stays("&a # c\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn scalars_of_several_lines_keep_their_lines() {
    let text = "a: one\n      two\n\n      three # c\nb: \"one\n  two \\\n     three\\ \n   four\"\nc:\n    'one\n\n    two'\n";
    let expected =
        "a: one\n  two\n\n  three # c\n\nb: \"one\n  two \\\n  three\\ \n  four\"\n\nc: 'one\n\n  two'\n";
    assert_eq!(formatted(text), expected);
}

#[wasm_bindgen_test(unsupported = test)]
fn anchors_come_before_their_aliases() {
    stays(
        "services:\n  a: &a\n    endpoints: [http://a]\n  b:\n    <<: *a\n    timeouts: &t {idle_ms: 1}\n\nroutes:\n  - target_service: &s a\n    path: /a\n\n  - path: /b\n    target_service: *s\n",
    );
    let text = "a: &x\n    b: 1\nc:\n   &y\n   - 1\n*x : 2\n";
    assert!(format(text).is_err());
    assert_eq!(
        formatted("c:\n   &y\n   - 1\nd: [ *y ]\n&k e: !!str\n   1\n"),
        "c: &y\n  - 1\n\nd: [*y]\n&k e: !!str 1\n"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_within_lists_stay_on_one_line() {
    let text = "a:\n-   -  b\n    -\n      c\n-\n    d: e\n    f: g\n-\n";
    assert_eq!(formatted(text), "a:\n  - - b\n    - c\n  - d: e\n    f: g\n  -\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn marks_of_a_document_stay() {
    let text = "# before\n\n--- # start\n\na:   1\n...\n\n\n# after\n";
    assert_eq!(formatted(text), "# before\n\n--- # start\n\na: 1\n...\n\n# after\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn line_ends_of_every_kind_and_byte_order_marks_become_line_feeds() {
    assert_eq!(
        formatted("\u{feff}a:  1\r\nb: |\r\n  x\r\n\r\n  y\r\nc: 'ü\r\n  日本'\r\n"),
        "a: 1\n\nb: |\n  x\n\n  y\n\nc: 'ü\n  日本'\n"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_last_line_ends_and_no_line_ends_in_white_space() {
    assert_eq!(formatted("a: 1  \nb:\t2\t# c \n   \n# d\t\nc: 3"), "a: 1\nb: 2 # c\n\n# d\nc: 3\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_comment_between_a_key_and_its_value_keeps_them_apart() {
    stays("a:\n  # c\n  b\n\nc: # d\n  # e\n  [f] # g\n");
    assert_eq!(formatted("a:\n\n  b\n"), "a: b\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn json_stays_json() {
    stays("{\"routes\":   [\n]}");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_yaml_is_refused_at_its_place() {
    let problem = format("a: [1\nb: 2\n").unwrap_err();
    assert!(problem.message.starts_with("this is not YAML"), "{}", problem.message);
    assert!(problem.span.line > 0);
    assert_eq!(refusal("a: 1\n---\nb: 2\n"), "a second YAML document begins here");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_known_is_refused_at_its_place() {
    let problem = format("a:\n  ? b\n  : c\n").unwrap_err();
    assert_eq!(problem.message, "the file can't be laid out: a key is marked by `?`");
    assert_eq!((problem.span.line, problem.span.column), (2, 3));
}
