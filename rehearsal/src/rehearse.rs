//! Cases played in memory and judged, each with all that a report about it needs. How it is reported is the
//! caller's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tollgate_core::{config::Files, trail::Trail};

use crate::{
    case::{Config, HostName, read::Scene},
    coverage::Coverage,
    fake,
    judge::{self, Fault},
    observed::Observed,
    play::{Place, Play, Sent},
    setting::Library,
};

/// What came of all cases.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One a case, in their order.
    pub verdicts: Vec<Verdict>,
    /// What they have shown of their configurations.
    pub coverage: Coverage,
    /// Cases and configurations that can't be read.
    pub mistakes: Vec<String>,
}

/// What came of a case.
#[derive(Debug)]
pub struct Verdict {
    /// The case.
    pub scene: Scene,
    /// Why it was not played, if it was not.
    pub skipped: Option<String>,
    /// The requests that did not go as they should.
    pub failures: Vec<Failure>,
    /// The names of the configuration's files, by the numbers that places have.
    pub files: Vec<String>,
    /// How long it took, in real time.
    pub took: Duration,
}

/// A request that did not go as it should.
#[derive(Debug)]
pub struct Failure {
    /// Where it is written.
    pub place: Place,
    /// The request.
    pub sent: Arc<Sent>,
    /// Services that were asked though nothing is given for them.
    pub unknown: Vec<String>,
    /// In what the rest is not as wished for.
    pub faults: Vec<Fault>,
    /// How it was decided.
    pub trail: Option<Trail>,
}

impl Verdict {
    /// Whether the case holds, or was not played.
    pub fn is_good(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Plays these cases one after another; `files` reads their configurations.
pub async fn rehearse(scenes: Vec<Scene>, files: &dyn Files) -> Outcome {
    let library = Library::new(files);
    let mut outcome = Outcome::default();
    for scene in scenes {
        match one(scene, &library, &mut outcome.coverage).await {
            Ok(verdict) => outcome.verdicts.push(verdict),
            Err(mistake) if outcome.mistakes.contains(&mistake) => {}
            Err(mistake) => outcome.mistakes.push(mistake),
        }
    }
    outcome
}

async fn one(scene: Scene, library: &Library<'_>, coverage: &mut Coverage) -> Result<Verdict, String> {
    let started = Instant::now();
    if let Some(why) = scene.case.skip.get(&HostName::Fake) {
        let skipped = Some(why.clone());
        return Ok(Verdict { scene, skipped, failures: Vec::new(), files: Vec::new(), took: Duration::ZERO });
    }
    let play = Play::new(&scene)?;
    // A gateway remembers keys, tokens, decisions and turns, so each case has one that remembers nothing.
    let gateway = library.gateway(&scene, &fake::urls(&play))?;
    let raw = fake::play_on(&gateway, &scene, &play).await?;
    let observed: Vec<Observed> =
        play.sendings().zip(raw).map(|(sending, raw)| Observed::new(&sending.sent, raw)).collect();
    // A configuration that stands in a test is a means; those in files are what is tested.
    if let Some(Config::File(configuration)) = &scene.case.config {
        coverage.add(configuration, &gateway);
        for trail in observed.iter().filter_map(|observed| observed.trail.as_ref()) {
            coverage.see(configuration, trail);
        }
    }
    let failures = play.sendings().zip(observed).filter_map(|(sending, observed)| {
        let faults = sending.expect.as_ref().map(|expect| judge::judge(expect, &observed));
        let Observed { unknown, trail, .. } = observed;
        let faults = faults.unwrap_or_default();
        let (place, sent) = (sending.place.clone(), sending.sent.clone());
        let fine = faults.is_empty() && unknown.is_empty();
        (!fine).then_some(Failure { place, sent, unknown, faults, trail })
    });
    let failures = failures.collect();
    let files = gateway.files().to_vec();
    Ok(Verdict { scene, skipped: None, failures, files, took: started.elapsed() })
}
