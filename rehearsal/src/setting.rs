//! The configuration of a case and what fills it in, once it is known where upstreams are.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fmt,
};

use tollgate_core::{
    config::{
        self, Files, Host,
        bundle::{self, Bundle},
        problem::Report,
    },
    gateway::Gateway,
};

use crate::{
    case::{Config, read::Scene},
    keys::{self, Key},
};

/// Compiles the configuration of a case whose upstreams are at these URLs.
pub fn gateway(
    scene: &Scene,
    urls: &BTreeMap<String, String>,
    files: &dyn Files,
    host: Host,
) -> Result<Gateway, String> {
    let filled = Filled::new(scene, urls);
    let (name, text) = filled.configuration(files)?;
    let variables = |name: &str| filled.variable(name);
    let loaded = config::load(&name, text, files, &variables, host);
    loaded.gateway.ok_or_else(|| invalid(&loaded.report))
}

/// The configurations of many cases, of which each file is read and parsed once.
pub struct Library<'f> {
    files: &'f dyn Files,
    read: RefCell<HashMap<Title, Bundle>>,
}

/// Names a configuration: its file, the host it is for, and the variables on which may depend what it includes.
type Title = (String, bool, BTreeMap<String, String>);

impl<'f> Library<'f> {
    /// Nothing is read yet.
    pub fn new(files: &'f dyn Files) -> Self {
        Self { files, read: RefCell::default() }
    }

    /// Compiles the configuration of a case whose upstreams are at these URLs.
    pub fn gateway(&self, scene: &Scene, urls: &BTreeMap<String, String>) -> Result<Gateway, String> {
        let Some(Config::File(path)) = &scene.case.config else {
            return gateway(scene, urls, self.files, scene.case.target());
        };
        let filled = Filled::new(scene, urls);
        let variables = |name: &str| filled.variable(name);
        let target = scene.case.target();
        let title = (path.clone(), target == Host::Workers, filled.variables.clone());
        let mut read = self.read.borrow_mut();
        let bundle = match read.entry(title) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let (name, text) = filled.configuration(self.files)?;
                let (bundle, report) = bundle::bundle(&name, text, self.files, &variables, target);
                place.insert(bundle.ok_or_else(|| invalid(&report))?)
            }
        };
        let loaded = bundle.load(&variables, target);
        loaded.gateway.ok_or_else(|| invalid(&loaded.report))
    }
}

impl fmt::Debug for Library<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("read", &self.read.borrow().keys()).finish_non_exhaustive()
    }
}

fn invalid(report: &Report) -> String {
    format!("the configuration is not valid\n{}", report.render())
}

/// The configuration of a case and what fills it in, once it is known where upstreams are.
#[derive(Debug)]
pub struct Filled<'s> {
    scene: &'s Scene,
    variables: BTreeMap<String, String>,
}

impl<'s> Filled<'s> {
    /// The configuration of a case whose upstreams are at these URLs.
    pub fn new(scene: &'s Scene, urls: &BTreeMap<String, String>) -> Self {
        let upstreams: BTreeMap<String, &String> =
            urls.iter().map(|(name, url)| (variable(name), url)).collect();
        let fill = |text: &str| {
            upstreams
                .iter()
                .fold(text.to_owned(), |text, (name, url)| text.replace(&format!("${{{name}}}"), url))
        };
        let given = scene.case.given.vars.iter().map(|(name, value)| (name.clone(), fill(value)));
        let mut variables: BTreeMap<String, String> = given.collect();
        variables.extend(upstreams.iter().map(|(name, url)| (name.clone(), (*url).clone())));
        Self { scene, variables }
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<String> {
        // Made when it is asked for: a key pair of RSA takes longer than all else that a case does.
        self.variables.get(name).cloned().or_else(|| key_material(name))
    }

    /// All of them.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = self.variables.clone();
        for (name, value) in KEY_MATERIAL.iter().filter_map(|name| Some((*name, key_material(name)?))) {
            variables.entry(name.to_owned()).or_insert(value);
        }
        variables
    }

    /// Its name for people, and its text.
    pub fn configuration(&self, files: &dyn Files) -> Result<(String, String), String> {
        match &self.scene.case.config {
            Some(Config::File(path)) => {
                let text = files.read(path).map_err(|error| format!("{path}: {error}"))?;
                Ok((path.clone(), text))
            }
            Some(Config::Inline(value)) => {
                Ok((format!("the `config` of {}", self.scene.name()), format!("{value:#}")))
            }
            None => Err("there is no configuration".to_owned()),
        }
    }
}

/// The variables that hold keys, unless a case gives them values of its own.
const KEY_MATERIAL: [&str; 7] =
    ["JWKS", "JWKS_ALL", "JWKS_SECRET", "JWKS_MIXED", "SECRET_HS256", "SECRET_HS384", "SECRET_HS512"];

fn key_material(name: &str) -> Option<String> {
    let set = |keys: &[Key]| Some(keys::set(keys).to_string());
    let [hs256, hs384, hs512] = Key::SHARED;
    match name {
        "JWKS" => set(&[Key::Main, Key::Ec, Key::Rsa]),
        "JWKS_ALL" => set(&Key::PUBLIC),
        "JWKS_SECRET" => set(&Key::SHARED),
        "JWKS_MIXED" => set(&[&Key::PUBLIC[..], &Key::SHARED].concat()),
        "SECRET_HS256" => hs256.secret().map(str::to_owned),
        "SECRET_HS384" => hs384.secret().map(str::to_owned),
        "SECRET_HS512" => hs512.secret().map(str::to_owned),
        _ => None,
    }
}

/// The name of the variable that holds the URL of an upstream.
pub(crate) fn variable(upstream: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("UPSTREAM_{}", upstream.chars().map(upper).collect::<String>())
}

/// What the authorities of upstreams end with (RFC 6761 §6.2: never anybody else's).
pub(crate) const SUFFIX: &str = ".test";

/// The authority by which an upstream is known on every stage.
pub fn authority(upstream: &str) -> String {
    format!("{upstream}{SUFFIX}")
}
