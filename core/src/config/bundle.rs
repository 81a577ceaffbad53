//! A configuration in the form in which it travels to a host that reads no files and no YAML: the tree, with
//! its places, and the texts of the files it names. Variables are still placeholders; the host fills them in.

#[cfg(feature = "yaml")]
use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
#[cfg(feature = "yaml")]
use zeroize::Zeroizing;

use super::{
    Files, Gathered, Host, Loaded,
    findings::Findings,
    finish,
    node::{Key, Node, Scalar, Span, Value},
    problem::SourceFile,
    variables::Variables,
};

/// The form's number. A host refuses others: it would misread them.
const FORM: u32 = 1;

/// A configuration that travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    form: u32,
    /// Parts of core that not every build has, and that are needed to serve this: `expressions`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<String>,
    /// The names of the configuration's files, for places in messages.
    sources: Vec<String>,
    root: Compact,
    /// The texts of other files that the configuration names.
    files: BTreeMap<String, String>,
}

/// Why a bundle can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBundle {
    /// Not the JSON of a bundle.
    #[error("this is no configuration bundle: {0}")]
    Malformed(String),
    /// Made by another version.
    #[error("the bundle has form {0}, this version reads form {FORM}")]
    OtherForm(u32),
}

impl Bundle {
    /// Reads the JSON of a bundle.
    pub fn parse(json: &[u8]) -> Result<Self, BadBundle> {
        #[derive(Deserialize)]
        struct Formed {
            form: u32,
        }
        let malformed = |error: serde_json::Error| BadBundle::Malformed(error.to_string());
        let Formed { form } = serde_json::from_slice(json).map_err(malformed)?;
        if form != FORM {
            return Err(BadBundle::OtherForm(form));
        }
        serde_json::from_slice(json).map_err(malformed)
    }

    /// The JSON of the bundle.
    pub fn to_json(&self) -> String {
        // INVARIANT: all keys of its maps are texts, so there is nothing that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Checks and compiles, as [`super::load`] does from files.
    pub fn load(&self, variables: &dyn Variables, host: Host) -> Loaded {
        let sources = self.sources.iter().map(|name| SourceFile::new(name, String::new())).collect();
        // It was complete when it was made: with a file missing there would have been no bundle.
        let gathered = Gathered { root: self.root.clone().into_node(), complete: true };
        finish(Some(gathered), sources, Findings::default(), &Carried(&self.files), variables, host)
    }
}

/// Gathers, checks for `host` and bundles the configuration in `text`. The bundle is none when there are errors.
#[cfg(feature = "yaml")]
pub fn bundle(
    name: &str,
    text: String,
    files: &dyn Files,
    variables: &dyn Variables,
    host: Host,
) -> (Option<Bundle>, super::problem::Report) {
    let mut sources = vec![SourceFile::new(name, text)];
    let findings = Findings::default();
    let noted = Noted { files, read: RefCell::default() };
    let gathered = super::include::gather(&mut sources, files, variables, &findings);
    let compact = gathered.as_ref().map(|gathered| Compact::of(&gathered.root));
    let names = sources.iter().map(|source| source.name.clone()).collect();
    let loaded = finish(gathered, sources, findings, &noted, variables, host);
    let needed =
        loaded.gateway.iter().filter(|gateway| gateway.has_expressions()).map(|_| "expressions".to_owned());
    let parts = needed.collect();
    let bundle = loaded.gateway.and(compact).map(|root| Bundle {
        form: FORM,
        parts,
        sources: names,
        root,
        files: noted.read.into_inner(),
    });
    (bundle, loaded.report)
}

/// Notes the files that compiling reads.
#[cfg(feature = "yaml")]
struct Noted<'f> {
    files: &'f dyn Files,
    read: RefCell<BTreeMap<String, String>>,
}

#[cfg(feature = "yaml")]
impl Files for Noted<'_> {
    fn read(&self, name: &str) -> Result<String, String> {
        let text = self.files.read(name)?;
        self.read.borrow_mut().insert(name.to_owned(), text.clone());
        Ok(text)
    }

    /// What begins its parts says their kind, and nothing else of it travels.
    fn look(&self, name: &str) -> Result<Zeroizing<String>, String> {
        let text = self.files.look(name)?;
        let kinds: Vec<&str> = text.lines().filter(|line| line.starts_with("-----BEGIN ")).collect();
        self.read.borrow_mut().insert(name.to_owned(), kinds.join("\n"));
        Ok(text)
    }

    fn expand(&self, pattern: &str) -> Result<Vec<String>, String> {
        self.files.expand(pattern)
    }
}

/// The files that came along.
struct Carried<'b>(&'b BTreeMap<String, String>);

impl Files for Carried<'_> {
    fn read(&self, name: &str) -> Result<String, String> {
        self.0.get(name).cloned().ok_or_else(|| "it was not bundled".to_owned())
    }

    fn expand(&self, pattern: &str) -> Result<Vec<String>, String> {
        Err(format!("`{pattern}` was resolved when the bundle was made"))
    }
}

/// A node as JSON: its place as four numbers, then what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Compact([u32; 4], Content);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Content {
    /// Nothing.
    #[serde(rename = "n")]
    Null,
    /// A plain scalar.
    #[serde(rename = "p")]
    Plain(String),
    /// A quoted scalar.
    #[serde(rename = "q")]
    Quoted(String),
    /// A list.
    #[serde(rename = "l")]
    List(Vec<Compact>),
    /// A mapping: key, the key's place, value.
    #[serde(rename = "m")]
    Map(Vec<(String, [u32; 4], Compact)>),
}

impl Compact {
    #[cfg(feature = "yaml")]
    fn of(node: &Node) -> Self {
        let content = match &node.value {
            Value::Null => Content::Null,
            Value::Scalar(scalar) if scalar.plain => Content::Plain(scalar.text.clone()),
            Value::Scalar(scalar) => Content::Quoted(scalar.text.clone()),
            Value::List(items) => Content::List(items.iter().map(Self::of).collect()),
            Value::Map(entries) => Content::Map(
                entries
                    .iter()
                    .map(|(key, value)| (key.name.clone(), place(key.span), Self::of(value)))
                    .collect(),
            ),
        };
        Self(place(node.span), content)
    }

    fn into_node(self) -> Node {
        let scalar = |text, plain| Value::Scalar(Scalar { text, plain, written: None });
        let value = match self.1 {
            Content::Null => Value::Null,
            Content::Plain(text) => scalar(text, true),
            Content::Quoted(text) => scalar(text, false),
            Content::List(items) => Value::List(items.into_iter().map(Self::into_node).collect()),
            Content::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(name, at, value)| (Key { name, span: span(at) }, value.into_node()))
                    .collect(),
            ),
        };
        Node { span: span(self.0), value }
    }
}

#[cfg(feature = "yaml")]
fn place(span: Span) -> [u32; 4] {
    [u32::try_from(span.file).unwrap_or(u32::MAX), span.line, span.column, span.length]
}

fn span([file, line, column, length]: [u32; 4]) -> Span {
    Span { file: file as usize, line, column, length }
}

#[cfg(all(test, feature = "yaml"))]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::config::NoFiles;

    const PLATFORM: &str = include_str!("../../../examples/agent-platform/tollgate.yaml");

    #[wasm_bindgen_test(unsupported = test)]
    fn a_bundle_means_what_its_files_mean() {
        let none = |_: &str| None;
        let (bundle, report) = bundle("t.yaml", PLATFORM.to_owned(), &NoFiles, &none, Host::Workers);
        let bundle = bundle.unwrap_or_else(|| panic!("{}", report.render()));
        let read = Bundle::parse(bundle.to_json().as_bytes()).unwrap();
        assert_eq!(read, bundle);
        let loaded = read.load(&none, Host::Workers);
        let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
        let lines: Vec<u32> = gateway.router().routes().iter().map(|route| route.span.line).collect();
        assert_eq!(lines.len(), 5);
        assert!(lines.is_sorted() && lines[0] > 1, "{lines:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn variables_are_filled_in_where_the_bundle_is_loaded() {
        let text =
            "services: {s: {endpoints: ['${URL:-http://unset}']}}\nroutes: [{path: /, target_service: s}]";
        let (bundle, _) = bundle("t.yaml", text.to_owned(), &NoFiles, &|_: &str| None, Host::Workers);
        let variables = |name: &str| (name == "URL").then(|| "http://elsewhere".to_owned());
        let gateway = bundle.unwrap().load(&variables, Host::Workers).gateway.unwrap();
        let service = &gateway.router().routes()[0].service;
        assert_eq!(service.endpoints[0].authority, "elsewhere");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_wrong_is_not_bundled_and_another_form_is_not_read() {
        let none = |_: &str| None;
        let (bundle, report) = bundle("t.yaml", "routs: []".to_owned(), &NoFiles, &none, Host::Workers);
        assert!(bundle.is_none() && report.has_errors());
        assert_eq!(Bundle::parse(br#"{"form": 2}"#), Err(BadBundle::OtherForm(2)));
        assert!(matches!(Bundle::parse(b"[]"), Err(BadBundle::Malformed(_))));
    }
}
