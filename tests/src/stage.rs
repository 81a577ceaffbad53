//! Where cases are played: one stage a host. A stage lends a gateway its world, makes the requests of a case
//! and tells what came of each; what should have come is not its business.

pub mod native;
pub mod workers;

use tollgate::files::Disk;
use tollgate_rehearsal::{
    case::{HostName, read::Scene},
    fake,
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
            Self::Fake => fake::play(scene, play, &Disk).await,
            Self::Native => native::play(scene, play).await,
            Self::Workers => workers::play(scene, play).await,
        }
    }
}
