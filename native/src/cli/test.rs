//! `tollgate test`: the tests of a configuration, played in memory and in virtual time. What a test is, and how it
//! is played, is the rehearsal's; here tests are chosen, reported and played again when a file changes.

mod coverage;
mod failure;
mod files;
mod github;
mod json;
mod junit;
mod text;
mod watch;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use tollgate_rehearsal::{
    case::{
        find,
        read::{self, Scene},
    },
    rehearse::{self, Outcome},
};

use self::{coverage::Covered, files::Watched};

/// Exit code 0: every case holds. 1: one does not. 2: a test or a configuration can't be read.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// Files of tests, or folders: all `*.test.yaml` in them and below, and all `*.yaml` in their `tests`.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// Only cases whose `file/name` contains this. Nothing is said of coverage then.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// The form of the report.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where to put the report. Unless it is the text, that goes to standard output then.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Play them again whenever a test, a configuration or a file that it names changes.
    #[arg(long)]
    watch: bool,
    /// Don't say which routes and policies no case asks.
    #[arg(long)]
    no_coverage: bool,
    /// Exit code 1 also where a route, an override or a policy was asked by no case.
    #[arg(long, conflicts_with_all = ["no_coverage", "filter"])]
    fail_uncovered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// XML, as CI systems read it.
    Junit,
    /// Annotations of the files, in a workflow of GitHub's.
    Github,
    /// Everything, for programs.
    Json,
}

/// What came of all tests, as all forms of the report tell it.
struct Report {
    outcome: Outcome,
    coverage: Option<Covered>,
    took: Duration,
}

impl Report {
    fn failed(&self) -> usize {
        self.outcome.verdicts.iter().filter(|verdict| !verdict.is_good()).count()
    }

    fn skipped(&self) -> usize {
        self.outcome.verdicts.iter().filter(|verdict| verdict.skipped.is_some()).count()
    }
}

impl Test {
    pub(super) fn execute(self) -> ExitCode {
        if self.watch {
            return watch::again_and_again(|files| self.once(files));
        }
        ExitCode::from(self.once(&Watched::default()))
    }

    /// Plays and reports once; says how it ended.
    fn once(&self, files: &Watched) -> u8 {
        let report = match self.play(files) {
            Ok(report) => report,
            Err(mistakes) => {
                mistakes.iter().for_each(crate::notice::say);
                return 2;
            }
        };
        if let Err(error) = self.tell(&report) {
            crate::notice::say(error);
            return 2;
        }
        let uncovered = report.coverage.as_ref().is_some_and(|coverage| !coverage.is_whole());
        u8::from(report.failed() > 0 || self.fail_uncovered && uncovered)
    }

    fn play(&self, files: &Watched) -> Result<Report, Vec<String>> {
        let started = Instant::now();
        let scenes = self.scenes(files)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| vec![format!("nothing can be played: {error}")])?;
        let mut outcome = runtime.block_on(rehearse::rehearse(scenes, files));
        if !outcome.mistakes.is_empty() {
            return Err(outcome.mistakes);
        }
        let wanted = !self.no_coverage && self.filter.is_none();
        let coverage = wanted.then(|| Covered::new(&std::mem::take(&mut outcome.coverage)));
        Ok(Report { outcome, coverage, took: started.elapsed() })
    }

    fn scenes(&self, files: &Watched) -> Result<Vec<Scene>, Vec<String>> {
        let (mut scenes, mut mistakes) = (Vec::new(), Vec::new());
        let mut found = Vec::new();
        for path in &self.paths {
            match find::tests(path) {
                Ok(tests) => {
                    found.extend(tests.into_iter().filter(|test| !found.contains(test)).collect::<Vec<_>>())
                }
                Err(error) => mistakes.push(error),
            }
        }
        files.look_in(&self.paths, &found);
        for test in &found {
            match read::tests(test) {
                Ok(read) => scenes.extend(read),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if let Some(filter) = &self.filter {
            scenes.retain(|scene| scene.name().contains(filter.as_str()));
        }
        if mistakes.is_empty() && scenes.is_empty() {
            mistakes.push(match &self.filter {
                Some(filter) => format!("no case's name contains `{filter}`"),
                None => "there are no tests here: they are in files named `*.test.yaml`".to_owned(),
            });
        }
        if mistakes.is_empty() { Ok(scenes) } else { Err(mistakes) }
    }

    fn tell(&self, report: &Report) -> Result<(), String> {
        let color = super::colours();
        let put = |text: String| super::put(text).map_err(|error| format!("can't write: {error}"));
        let Some(output) = &self.output else {
            return put(match self.format {
                Format::Text => text::render(report, color),
                other => other.render(report),
            });
        };
        fs::write(output, self.format.render(report))
            .map_err(|error| format!("can't write `{}`: {error}", output.display()))?;
        if self.format == Format::Text { Ok(()) } else { put(text::render(report, color)) }
    }
}

impl Format {
    fn render(self, report: &Report) -> String {
        match self {
            Self::Text => text::render(report, false),
            Self::Junit => junit::render(report),
            Self::Github => github::render(report),
            Self::Json => json::render(report),
        }
    }
}
