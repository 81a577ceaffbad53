//! Where cases are played: one stage a host. A stage lends a gateway its world, makes the requests of a case
//! and tells what came of each; what should have come is not its business.

pub mod fake;
pub mod native;
pub mod workers;

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
    /// The Worker, in workerd.
    Workers,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fake, Self::Native, Self::Workers];

    /// Those that need nothing but this process.
    pub const IN_PROCESS: [Self; 2] = [Self::Fake, Self::Native];

    /// The host's name in cases.
    pub const fn host(self) -> HostName {
        match self {
            Self::Fake => HostName::Fake,
            Self::Native => HostName::Native,
            Self::Workers => HostName::Workers,
        }
    }

    /// Why cases can't be played on it here, if they can't.
    pub fn unavailable(self) -> Option<String> {
        match self {
            Self::Fake | Self::Native => None,
            Self::Workers => workers::unavailable(),
        }
    }

    /// Those on which this machine can play. What it can't is said loudly, and is an error in CI.
    pub fn available(stages: Vec<Self>) -> Result<Vec<Self>, String> {
        let mut found = Vec::new();
        for stage in stages {
            match stage.unavailable() {
                None => found.push(stage),
                Some(why) if std::env::var_os("CI").is_some() => return Err(why),
                Some(why) => eprintln!("SKIPPED: the host `{}`: {why}", stage.host().name()),
            }
        }
        Ok(found)
    }

    /// Plays a case; what came of each of its requests.
    pub async fn play(self, scene: &Scene, play: &Play) -> Result<Vec<Raw>, String> {
        match self {
            Self::Fake => fake::play(scene, play).await,
            Self::Native => native::play(scene, play).await,
            Self::Workers => workers::play(scene, play).await,
        }
    }
}

/// Compiles the configuration of a case whose upstreams are at these URLs.
fn gateway(scene: &Scene, urls: &BTreeMap<String, String>, host: Host) -> Result<Gateway, String> {
    let filled = Filled::new(scene, urls);
    let (name, text) = filled.configuration()?;
    let variables = |name: &str| filled.variable(name);
    let loaded = config::load(&name, text, &tollgate::files::Disk, &variables, host);
    loaded.gateway.ok_or_else(|| format!("the configuration is not valid\n{}", loaded.report.render()))
}

/// The configuration of a case and what fills it in, once it is known where upstreams are.
struct Filled<'s> {
    scene: &'s Scene,
    variables: BTreeMap<String, String>,
}

impl<'s> Filled<'s> {
    fn new(scene: &'s Scene, urls: &BTreeMap<String, String>) -> Self {
        let upstreams: BTreeMap<String, &String> =
            urls.iter().map(|(name, url)| (variable(name), url)).collect();
        let fill = |text: &str| {
            upstreams
                .iter()
                .fold(text.to_owned(), |text, (name, url)| text.replace(&format!("${{{name}}}"), url))
        };
        let given = scene.case.given.vars.iter().map(|(name, value)| (name.clone(), fill(value)));
        let mut variables: BTreeMap<String, String> = given.collect();
        variables
            .entry("JWKS".to_owned())
            .or_insert_with(|| keys::set(&[Key::Main, Key::Ec, Key::Rsa]).to_string());
        variables.extend(upstreams.iter().map(|(name, url)| (name.clone(), (*url).clone())));
        Self { scene, variables }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// All of them.
    fn variables(&self) -> BTreeMap<String, String> {
        self.variables.clone()
    }

    /// Its name for people, and its text.
    fn configuration(&self) -> Result<(String, String), String> {
        match &self.scene.case.config {
            Some(Config::File(path)) => {
                let text = tollgate::files::Disk.read(path).map_err(|error| format!("{path}: {error}"))?;
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
fn authority(upstream: &str) -> String {
    format!("{upstream}.test")
}
