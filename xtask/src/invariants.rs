//! `cargo xtask invariants`: what core must not mention.
//!
//! Core decides; hosts have sockets, clocks, threads and files. The compiler would accept most of these
//! words in core on some platform, and the loss would show only on another, so they are looked for as text:
//! line by line, comments left out. It is a guard against slips, not against malice.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    command::root,
    report::{Outcome, Stop},
};

/// What is looked for, and what to do instead.
type Rule = (&'static str, &'static str);

const PLATFORM: Rule = ("cfg by platform", "core is one program everywhere; a difference belongs in a Host");

const OUTPUT: &str = "a host records, through Host::record";
const FILES: &str = "core reads no files and no environment; hand it in";
const SOCKETS: &str = "a host fetches, through Host::fetch";
const THREADS: &str = "a host runs work, through Host::defer";
const CLOCK: &str = "a host has the clock, through Host::now";
const MOVES: &str = "whether a future may change threads is inferred where a host calls core";

const WORDS: &[Rule] = &[
    ("unsafe", "core has no need that a safe crate does not meet"),
    ("Send", MOVES),
    ("Sync", MOVES),
    ("tokio", "core waits on its Host only, whatever runtime that has"),
    ("SystemTime", CLOCK),
    ("Instant::now", CLOCK),
    ("print!", OUTPUT),
    ("println!", OUTPUT),
    ("eprint!", OUTPUT),
    ("eprintln!", OUTPUT),
    ("dbg!", OUTPUT),
    // Both the path and its last part: `use std::{fs, io}` is followed by `fs::`.
    ("std::env", FILES),
    ("env::", FILES),
    ("std::fs", FILES),
    ("fs::", FILES),
    ("TcpStream", SOCKETS),
    ("TcpListener", SOCKETS),
    ("UdpSocket", SOCKETS),
    ("std::thread", THREADS),
    ("thread::", THREADS),
];

/// Fails with the place of everything found.
pub(crate) fn check() -> Outcome {
    let sources = root().join("core").join("src");
    let files = rust_files(&sources).map_err(|error| Stop::Failed(format!("core/src: {error}")))?;
    let mut found = 0;
    for file in &files {
        let shown = file.strip_prefix(root()).unwrap_or(file).display();
        let text = fs::read_to_string(file).map_err(|error| Stop::Failed(format!("{shown}: {error}")))?;
        for (line, (word, instead)) in findings(&text) {
            println!("{shown}:{line}: {word}: {instead}");
            found += 1;
        }
    }
    match found {
        // Looking at nothing finds nothing, and would do so for ever.
        0 if files.is_empty() => Err(Stop::Failed("core/src holds no Rust files".into())),
        0 => Ok(()),
        1 => Err(Stop::Failed("1 place breaks an invariant".into())),
        many => Err(Stop::Failed(format!("{many} places break an invariant"))),
    }
}

/// The `.rs` files below `directory`, in the order of their names.
fn rust_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What a source text mentions that it must not, with the number of its line.
fn findings(text: &str) -> impl Iterator<Item = (usize, Rule)> {
    text.lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim_start().starts_with("//"))
        .flat_map(|(line, number)| broken_by(line).map(move |rule| (number, rule)))
}

fn broken_by(line: &str) -> impl Iterator<Item = Rule> {
    let by_platform = asks_for_platform(line).then_some(PLATFORM);
    let words = WORDS.iter().copied().filter(|(word, _)| mentions(line, word));
    by_platform.into_iter().chain(words)
}

/// The one exception: properties are tested by a crate that is not there in WebAssembly. No program differs by it.
const PROPERTIES: &str = "#[cfg(all(test, not(target_family = \"wasm\")))]";

/// Whether a line is compiled, or compiles something, on some platforms only.
fn asks_for_platform(line: &str) -> bool {
    line != PROPERTIES
        && ["cfg(", "cfg!(", "cfg_attr("].iter().any(|cfg| mentions(line, cfg))
        && (line.contains("target_") || mentions(line, "unix") || mentions(line, "windows"))
}

/// Whether `word` stands in `line` by itself, not as a part of a longer name.
fn mentions(line: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let (before, rest) = line.split_at(start);
        let after = &rest[word.len()..];
        let begins = !(word.starts_with(in_name) && before.ends_with(in_name));
        let ends = !(word.ends_with(in_name) && after.starts_with(in_name));
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(usize, &'static str)> {
        findings(text).map(|(line, (word, _))| (line, word)).collect()
    }

    #[test]
    fn every_word_is_found_where_it_stands() {
        for (word, _) in WORDS {
            assert!(words(&format!("\n    {word} x")).iter().any(|found| found == &(2, *word)), "{word}");
        }
    }

    #[test]
    fn bounds_paths_and_macros_are_found() {
        assert_eq!(words("fn f<T: Send + 'static>() {}"), [(1, "Send")]);
        assert_eq!(words("impl<T> Foo for T where T: Clone+Sync {}"), [(1, "Sync")]);
        assert_eq!(words("let now = std::time::Instant::now();"), [(1, "Instant::now")]);
        assert_eq!(words("use std::{fs::File, io};"), [(1, "fs::")]);
        assert_eq!(words("use std::net::{IpAddr, TcpStream};"), [(1, "TcpStream")]);
        assert_eq!(words("    eprintln!(\"{x}\");"), [(1, "eprintln!")]);
    }

    #[test]
    fn a_difference_by_platform_is_found_however_it_is_written() {
        for line in [
            "#[cfg(target_arch = \"wasm32\")]",
            "#[cfg(not(target_family = \"wasm\"))]",
            "#[cfg_attr(target_os = \"linux\", inline)]",
            "if cfg!(target_pointer_width = \"32\") {",
            "#[cfg(all(test, unix))]",
        ] {
            assert_eq!(words(line), [(1, PLATFORM.0)], "{line}");
        }
    }

    #[test]
    fn only_tests_of_properties_may_be_left_out_somewhere() {
        assert_eq!(words(PROPERTIES), []);
        assert_eq!(words(&format!("{PROPERTIES} mod a;")), [(1, PLATFORM.0)]);
    }

    #[test]
    fn parts_of_names_are_not_words() {
        for line in [
            "#![forbid(unsafe_code)]",
            "use std::sync::Arc;",
            "let Sender = sync_all(SyncMap, resend, tokio_like);",
            "#[cfg(feature = \"verify\")]",
            "#[cfg(test)]",
            "let target_path = path.windows(2);",
            "offs::read(self::my_env::get());",
        ] {
            assert_eq!(words(line), [], "{line}");
        }
    }

    #[test]
    fn comments_may_say_anything() {
        assert_eq!(words("// unsafe\n    /// Send + Sync\n//! tokio::spawn\n    //println!"), []);
    }

    #[test]
    fn a_line_may_break_several() {
        assert_eq!(words("fn f(x: Box<dyn Fn() + Send + Sync>) {}"), [(1, "Send"), (1, "Sync")]);
    }
}
