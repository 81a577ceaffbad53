//! Where cases are played: one stage a host. A stage lends a gateway its world, makes the requests of a case
//! and tells what came of each; what should have come is not its business.

pub mod fake;
pub mod native;

use std::collections::BTreeMap;

use tollgate_core::{
    config::{self, Files, Host},
    gateway::Gateway,
};

use crate::{
    case::{Config, HostName, read::Scene},
    keys::{self, Key},
    observed::Raw,
    play::Play,
};

/// A host that cases are played on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Everything in memory.
    Fake,
    /// The self-hosted server, with sockets on both sides.
    Native,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Fake, Self::Native];

    /// The host's name in cases.
    pub const fn host(self) -> HostName {
        match self {
            Self::Fake => HostName::Fake,
            Self::Native => HostName::Native,
        }
    }

    /// Plays a case; what came of each of its requests.
    pub async fn play(self, scene: &Scene, play: &Play) -> Result<Vec<Raw>, String> {
        match self {
            Self::Fake => fake::play(scene, play).await,
            Self::Native => native::play(scene, play).await,
        }
    }
}

/// Compiles the configuration of a case whose upstreams are at these URLs.
fn gateway(scene: &Scene, urls: &BTreeMap<String, String>, host: Host) -> Result<Gateway, String> {
    let upstreams: BTreeMap<String, &String> = urls.iter().map(|(name, url)| (variable(name), url)).collect();
    let fill = |text: &str| {
        upstreams.iter().fold(text.to_owned(), |text, (name, url)| text.replace(&format!("${{{name}}}"), url))
    };
    let vars = &scene.case.given.vars;
    let variables = |name: &str| match (upstreams.get(name), vars.get(name)) {
        (Some(url), _) => Some((*url).clone()),
        (None, Some(value)) => Some(fill(value)),
        (None, None) if name == "JWKS" => Some(keys::set(&[Key::Main, Key::Ec, Key::Rsa]).to_string()),
        (None, None) => None,
    };
    let (name, text) = match &scene.case.config {
        Some(Config::File(path)) => {
            (path.clone(), tollgate::files::Disk.read(path).map_err(|error| format!("{path}: {error}"))?)
        }
        Some(Config::Inline(value)) => (format!("the `config` of {}", scene.name()), format!("{value:#}")),
        None => return Err("there is no configuration".to_owned()),
    };
    let loaded = config::load(&name, text, &tollgate::files::Disk, &variables, host);
    loaded.gateway.ok_or_else(|| format!("the configuration is not valid\n{}", loaded.report.render()))
}

/// The name of the variable that holds the URL of an upstream.
fn variable(upstream: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("UPSTREAM_{}", upstream.chars().map(upper).collect::<String>())
}

/// The authority by which an upstream is known on every stage.
fn authority(upstream: &str) -> String {
    format!("{upstream}.test")
}
