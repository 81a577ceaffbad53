//! The configuration of a case and what fills it in, once it is known where upstreams are.

use std::collections::BTreeMap;

use tollgate_core::{
    config::{self, Files, Host},
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
    loaded.gateway.ok_or_else(|| format!("the configuration is not valid\n{}", loaded.report.render()))
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
        let mixed: Vec<Key> = Key::PUBLIC.into_iter().chain(Key::SHARED).collect();
        for (name, keys) in [
            ("JWKS", &[Key::Main, Key::Ec, Key::Rsa][..]),
            ("JWKS_ALL", &Key::PUBLIC),
            ("JWKS_SECRET", &Key::SHARED),
            ("JWKS_MIXED", &mixed),
        ] {
            variables.entry(name.to_owned()).or_insert_with(|| keys::set(keys).to_string());
        }
        for key in Key::SHARED {
            let name = format!("SECRET_{}", key.algorithm());
            variables.entry(name).or_insert_with(|| key.secret().unwrap_or_default().to_owned());
        }
        variables.extend(upstreams.iter().map(|(name, url)| (name.clone(), (*url).clone())));
        Self { scene, variables }
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// All of them.
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.variables.clone()
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

/// The name of the variable that holds the URL of an upstream.
fn variable(upstream: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("UPSTREAM_{}", upstream.chars().map(upper).collect::<String>())
}

/// The authority by which an upstream is known on every stage.
pub fn authority(upstream: &str) -> String {
    format!("{upstream}.test")
}
