//! Properties of the layout, over documents of every form and over hostile bytes: nothing is lost, and what is laid
//! out stays so.
#![cfg(all(feature = "yaml", not(target_family = "wasm")))]

use std::{fs, path::Path, time::Instant};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tollgate_core::config::format::format;

/// A scalar as it may stand behind a key, without a comment.
fn scalar() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "no",
        "0755",
        "1.0",
        "~",
        "1_000",
        "http://a:1/b#c",
        "\"q: [ # \\\" \"",
        "'it''s # {'",
        "''",
        "*",
        "x y",
        "ü日本",
        "-1",
        "a:b",
    ])
    .prop_map(|text| if text == "*" { "'*'".to_owned() } else { text.to_owned() })
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "routes",
        "policies",
        "route_overrides",
        "services",
        "public_domain",
        "name",
        "type",
        "path",
        "target_service",
        "description",
        "endpoints",
        "timeout_ms",
        "enable_compression",
        "\"quoted: key\"",
        "'k'",
        "own key",
        "limits",
        "max_body_bytes",
        "max_target_bytes",
        "0755",
        "ü",
    ])
    .prop_map(str::to_owned)
}

/// White space between a mark and what follows.
fn gap() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![" ", " ", " ", "  ", "    ", "\t"])
}

/// The end of a line: perhaps a comment.
fn end() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\n", "\n", "\n", " # c\n", "   # - x: 'y'\n", "  \n", " #\n"])
}

/// Lines between others; the comments are indented by what is put for `@`.
fn between() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "",
        "",
        "",
        "\n",
        "\n\n\n",
        "@# own\n",
        "@# one\n@# two\n",
        "\n@# apart\n\n",
        "  @# deep\n",
        "# shallow\n",
        "   \n",
        "        # far\n@# near\n",
    ])
}

/// A collection in brackets.
fn flow() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![4 => scalar(), 1 => Just("[]".to_owned()), 1 => Just("{ }".to_owned())];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let space = || prop::sample::select(vec!["", " ", "  ", "\n            ", " # in\n            "]);
        prop_oneof![
            (prop::collection::vec((inner.clone(), space()), 1..6), space()).prop_map(|(items, first)| {
                let items: Vec<String> =
                    items.into_iter().map(|(item, space)| format!("{item}{space}")).collect();
                format!("[{first}{}]", items.join(", "))
            }),
            prop::collection::vec((key(), space(), inner), 1..6).prop_map(|pairs| {
                let pairs: Vec<String> = pairs
                    .into_iter()
                    .map(|(key, space, value)| format!("{key}: {}{value}", space.replace('\n', "\n ")))
                    .collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}

/// A block, not yet indented: lines in which `@` stands for the indentation of the block.
#[derive(Debug, Clone)]
enum Block {
    Line(String),
    /// A scalar of several lines, whose later lines stand further in.
    Lines(String),
    Mapping(Vec<(String, &'static str, &'static str, &'static str, Self)>, usize, &'static str),
    Sequence(Vec<(&'static str, &'static str, Self)>, usize, &'static str),
    Nothing,
}

fn lines() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "|\n@text\n@  more  \n\n@end\n",
        "|+ # kept\n@text\n\n\n",
        ">-\n\n@folded\n@text # no comment\n",
        "|-\n",
        "one\n@two\n\n@ three\n",
        "\"one\n@two \\\n@  three\\ \n@# four\"\n",
        "'one\n\n\n@ two'   # c\n",
    ])
    .prop_map(str::to_owned)
}

fn block() -> impl Strategy<Value = Block> {
    let leaf = prop_oneof![
        6 => (scalar(), end()).prop_map(|(text, end)| Block::Line(format!("{text}{end}"))),
        3 => (flow(), end()).prop_map(|(text, end)| Block::Line(format!("{text}{end}"))),
        2 => lines().prop_map(Block::Lines),
        1 => Just(Block::Nothing),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let entry = (key(), gap(), end(), between(), inner.clone());
        let item = (gap(), between(), inner);
        prop_oneof![
            (prop::collection::vec(entry, 1..6), 1usize..5, between())
                .prop_map(|(entries, indent, tail)| Block::Mapping(entries, indent, tail)),
            (prop::collection::vec(item, 1..5), 0usize..4, between())
                .prop_map(|(items, indent, tail)| Block::Sequence(items, indent, tail)),
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    let entry = (key(), gap(), end(), between(), block());
    let start = prop::sample::select(vec!["", "", "", "# File.\n\n", "\n---\n", "\u{feff}"]);
    let stop = prop::sample::select(vec!["", "", "# end", "\n\n# end\n\n", "   # end\n"]);
    (start, prop::collection::vec(entry, 0..7), between(), stop, any::<bool>()).prop_map(
        |(start, entries, tail, stop, crlf)| {
            let mut out = start.to_owned();
            write(&mut out, &Block::Mapping(entries, 0, tail), 0);
            out.push_str(stop);
            if crlf { out.replace('\n', "\r\n") } else { out }
        },
    )
}

fn indented(text: &str, indent: usize) -> String {
    text.replace('@', &" ".repeat(indent))
}

/// Writes what stands in a block at `indent`, from the beginning of a line on.
fn write(out: &mut String, block: &Block, indent: usize) {
    match block {
        Block::Mapping(entries, _, tail) => {
            for (key, gap, end, between, value) in entries {
                out.push_str(&indented(between, indent));
                out.push_str(&" ".repeat(indent));
                out.push_str(&format!("{key}:"));
                behind(out, gap, end, value, indent);
            }
            out.push_str(&indented(tail, indent));
        }
        Block::Sequence(items, _, tail) => {
            for (gap, between, value) in items {
                out.push_str(&indented(between, indent));
                out.push_str(&" ".repeat(indent));
                out.push('-');
                let compact = matches!(value, Block::Mapping(_, 1..3, _)) && *gap != "\t";
                if compact {
                    let mut inner = String::new();
                    write(&mut inner, value, indent + 1 + gap.len());
                    // A block that begins with a key can begin behind the dash.
                    let fits = inner.starts_with(&" ".repeat(indent + 1 + gap.len()))
                        && !inner.trim_start().starts_with('#');
                    if fits {
                        out.push_str(gap);
                        out.push_str(inner.trim_start());
                        continue;
                    }
                }
                behind(out, gap, "\n", value, indent);
            }
            out.push_str(&indented(tail, indent));
        }
        Block::Line(text) | Block::Lines(text) => out.push_str(text),
        Block::Nothing => {}
    }
}

fn behind(out: &mut String, gap: &str, end: &str, value: &Block, indent: usize) {
    match value {
        Block::Nothing => out.push_str(end),
        Block::Line(text) => out.push_str(&format!("{gap}{text}")),
        Block::Lines(text) => out.push_str(&format!("{gap}{}", indented(text, indent + 3))),
        Block::Mapping(_, more, _) => {
            out.push_str(end);
            write(out, value, indent + more.max(&1));
        }
        Block::Sequence(_, more, _) => {
            out.push_str(end);
            write(out, value, indent + more.max(&1));
        }
    }
}

/// Checks everything that holds of every layout, and returns it.
fn check(text: &str) -> Result<Option<String>, TestCaseError> {
    // That nothing is lost is checked on every call, so it would be a refusal here.
    let once = match format(text) {
        Ok(once) => once,
        Err(problem) => {
            prop_assert!(!problem.message.contains("without changing"), "{}\n{}", problem.message, text);
            return Ok(None);
        }
    };
    let twice =
        format(&once).map_err(|problem| TestCaseError::fail(format!("{}\n{once}", problem.message)))?;
    prop_assert_eq!(&twice, &once, "of {:?}", text);
    Ok(Some(once))
}

proptest! {
    #![proptest_config(ProptestConfig { ..ProptestConfig::default() })]

    #[test]
    fn what_is_laid_out_is_its_own_layout(text in document()) {
        if let Some(formatted) = check(&text)? {
            prop_assert!(formatted.is_empty() || formatted.ends_with('\n'));
            prop_assert!(!formatted.starts_with('\n') && !formatted.contains('\r'));
        }
    }

    #[test]
    fn anything_may_be_given_as_a_file(text in "[a-c:\\-#\"'|>&*!?{}\\[\\], \t\r\n%.~<\u{e9}\u{feff}]{0,60}") {
        check(&text)?;
    }
}

#[test]
fn most_documents_are_laid_out() {
    let runner = &mut TestRunner::deterministic();
    let texts: Vec<String> =
        (0..200).map(|_| document().new_tree(runner).expect("a value").current()).collect();
    let good = texts.iter().filter(|text| format(text).is_ok()).count();
    assert!(good > 190, "{good}");
}

/// Every configuration that is at hand, with its name.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("core/tests/broken"), root.join("tests/cases"), root.join("examples")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                files.push((path.display().to_string(), fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    files
}

#[test]
fn every_file_at_hand_keeps_what_it_says() {
    let files = files();
    assert!(files.len() > 60, "{}", files.len());
    let mut laid_out = 0;
    for (name, text) in &files {
        match check(text) {
            Ok(formatted) => laid_out += usize::from(formatted.is_some()),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert!(laid_out > 50, "{laid_out}");
}

/// Small numbers that look random and are the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }
}

#[test]
fn mutated_files_are_laid_out_or_refused() {
    const PIECES: [&str; 20] = [
        ":", "- ", "\n", "  ", "#", " # c", "\"", "'", "[", "]", "{", "}", ", ", "|", ">+\n", "&a ", "*a",
        "!!str ", "\t", "---\n",
    ];
    let files = files();
    let mut dice = Dice(7);
    for round in 0..1_500 {
        let (_, text) = &files[dice.roll(files.len())];
        let mut bytes: Vec<u8> = text.bytes().take(3_000).collect();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(bytes.len() + 1);
            match dice.roll(4) {
                0 => drop(bytes.splice(at..at, PIECES[dice.roll(PIECES.len())].bytes())),
                1 => drop(bytes.drain(at..(at + dice.roll(12)).min(bytes.len()))),
                2 => bytes.truncate(at.max(bytes.len() / 2)),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = u8::try_from(dice.roll(256)).expect("a byte");
                    }
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(error) = check(&text) {
            panic!("round {round}: {error}");
        }
    }
}

#[test]
fn a_large_file_is_laid_out_in_time() {
    let route = "- target_service:   a # c\n  # d\n  path: /a\n  policies:\n  - {type: TTL, name: caching, ttl_seconds: 5}\n";
    let blocks = format!("routes:\n{}", route.repeat((1 << 20) / route.len()));
    let flow = format!("routes: [{}]\n", "{path: /a, target_service: a}, ".repeat((1 << 20) / 31));
    let line = format!("a: {}\n", "x ".repeat(1 << 19));
    let comments = format!("a:\n{}", "  # c\n".repeat((1 << 20) / 6));
    for text in [blocks, flow, line, comments] {
        let begun = Instant::now();
        assert!(format(&text).is_ok());
        let taken = begun.elapsed();
        // Generous: machines that test are busy. Anything quadratic takes minutes.
        assert!(taken.as_secs() < 20, "{taken:?}");
    }
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let indented: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000), indented] {
        assert!(format(&text).is_err());
    }
}
