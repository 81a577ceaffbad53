//! All cases on all stages: played side by side, judged one by one, and laid out as a table.

use std::{collections::BTreeMap, fmt::Write, path::Path, sync::Arc};

use tokio::{sync::Semaphore, task::JoinSet};

use tollgate_rehearsal::{
    case::{
        HostName,
        read::{self, Scene},
    },
    judge,
    observed::Observed,
    play::Play,
};

use crate::stage::Stage;

/// Cases that are played at the same time. Each has a server and upstreams of its own.
const AT_ONCE: usize = 8;

/// What is to be played.
#[derive(Debug, Clone)]
pub struct Program {
    /// Only cases whose topic and name contain this.
    pub filter: String,
    /// On these stages.
    pub stages: Vec<Stage>,
}

impl Default for Program {
    fn default() -> Self {
        Self { filter: String::new(), stages: Stage::IN_PROCESS.to_vec() }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    verdicts: Vec<Verdict>,
    stages: Vec<HostName>,
}

/// What came of one case.
#[derive(Debug)]
struct Verdict {
    index: usize,
    name: String,
    /// By host: nothing where it was skipped, otherwise what was wrong.
    hosts: BTreeMap<HostName, Option<Vec<String>>>,
    differences: Vec<String>,
}

/// Plays the cases of `folder`. An error is a mistake in the cases themselves.
pub async fn run(folder: &Path, program: &Program) -> Result<Outcome, String> {
    let mut scenes = read::folder(folder)?;
    scenes.retain(|scene| scene.name().contains(&program.filter));
    play(scenes, &program.stages).await
}

/// Plays these cases on these stages.
pub async fn play(scenes: Vec<Scene>, stages: &[Stage]) -> Result<Outcome, String> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut playing = JoinSet::new();
    for (index, scene) in scenes.into_iter().enumerate() {
        let (room, stages) = (room.clone(), stages.to_vec());
        let play = Play::new(&scene)?;
        playing.spawn(async move {
            let _room = room.acquire().await;
            verdict(index, &scene, &play, &stages).await
        });
    }
    let mut verdicts = Vec::new();
    while let Some(verdict) = playing.join_next().await {
        verdicts.push(verdict.map_err(|error| format!("a case could not be played to its end: {error}"))?);
    }
    verdicts.sort_by_key(|verdict| verdict.index);
    Ok(Outcome { verdicts, stages: stages.iter().map(|stage| stage.host()).collect() })
}

async fn verdict(index: usize, scene: &Scene, play: &Play, stages: &[Stage]) -> Verdict {
    let mut hosts = BTreeMap::new();
    let mut played: Vec<(HostName, Vec<Observed>)> = Vec::new();
    for stage in stages {
        if scene.case.skip.contains_key(&stage.host()) {
            hosts.insert(stage.host(), None);
            continue;
        }
        let faults = match stage.play(scene, play).await {
            Err(why) => vec![why],
            Ok(raw) => {
                let observed: Vec<Observed> = play
                    .sendings()
                    .zip(raw)
                    .map(|(sending, raw)| Observed::new(&sending.sent, raw))
                    .collect();
                let faults = faults(play, &observed);
                played.push((stage.host(), observed));
                faults
            }
        };
        hosts.insert(stage.host(), Some(faults));
    }
    let mut differences = Vec::new();
    if let Some(((first, ours), others)) = played.split_first() {
        for (second, theirs) in others {
            for ((sending, ours), theirs) in play.sendings().zip(ours).zip(theirs) {
                for difference in judge::compare(ours, theirs) {
                    let hosts = format!("{} | {}", first.name(), second.name());
                    differences.push(format!("{}: {hosts}: {difference}", sending.place));
                }
            }
        }
    }
    Verdict { index, name: scene.name(), hosts, differences }
}

fn faults(play: &Play, observed: &[Observed]) -> Vec<String> {
    let mut faults = Vec::new();
    for (sending, observed) in play.sendings().zip(observed) {
        let found = sending.expect.as_ref().map(|expect| judge::judge(expect, observed)).unwrap_or_default();
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", sending.place)));
    }
    faults
}

impl Outcome {
    /// Whether every case held everywhere and no two hosts differed.
    pub fn is_good(&self) -> bool {
        !self.verdicts.is_empty() && self.failures() == 0 && self.differences() == 0
    }

    /// How often a case did not hold on a host.
    pub fn failures(&self) -> usize {
        let cells = self.verdicts.iter().flat_map(|verdict| verdict.hosts.values());
        cells.filter(|cell| cell.as_ref().is_some_and(|faults| !faults.is_empty())).count()
    }

    /// In how many cases two hosts differed.
    pub fn differences(&self) -> usize {
        self.verdicts.iter().filter(|verdict| !verdict.differences.is_empty()).count()
    }

    /// How often a case was not played on a host.
    pub fn skips(&self) -> usize {
        self.verdicts.iter().flat_map(|verdict| verdict.hosts.values()).filter(|cell| cell.is_none()).count()
    }

    /// What was wrong, and the table.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for verdict in &self.verdicts {
            let faults = verdict.hosts.iter().flat_map(|(host, cell)| {
                cell.iter().flatten().map(move |fault| format!("{}: wanted | found: {fault}", host.name()))
            });
            let faults: Vec<String> = faults.chain(verdict.differences.iter().cloned()).collect();
            if !faults.is_empty() {
                let _ = writeln!(out, "{}\n    {}\n", verdict.name, faults.join("\n    "));
            }
        }
        let width = self.verdicts.iter().map(|verdict| verdict.name.len()).max().unwrap_or_default().max(4);
        let mut line = |name: &str, cells: Vec<&str>, end: &str| {
            let cells: String = cells.into_iter().map(|cell| format!("  {cell:<7}")).collect();
            let _ = writeln!(out, "{}", format!("{name:<width$}{cells}{end}").trim_end());
        };
        line("case", self.stages.iter().map(|host| host.name()).collect(), "");
        for verdict in &self.verdicts {
            let cell = |host: &HostName| match verdict.hosts.get(host) {
                Some(Some(faults)) if faults.is_empty() => "ok",
                Some(Some(_)) => "FAIL",
                Some(None) | None => "skip",
            };
            let end = if verdict.differences.is_empty() { "" } else { "  DIFFER" };
            line(&verdict.name, self.stages.iter().map(cell).collect(), end);
        }
        let _ = writeln!(
            out,
            "\n{} cases × {} hosts, {} failures, {} differences, {} skips",
            self.verdicts.len(),
            self.stages.len(),
            self.failures(),
            self.differences(),
            self.skips(),
        );
        out
    }
}
