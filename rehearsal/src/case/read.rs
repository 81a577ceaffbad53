//! Files of cases into cases that are complete: what the file gives is given in each of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Case, Config, File, Given, find};

/// A case that can be played.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The name of its file, without folder and extension.
    pub topic: String,
    /// The file.
    pub file: PathBuf,
    /// The line in which it begins.
    pub line: u64,
    /// The case; its `config` is there, and its `given` holds what the file gives.
    pub case: Case,
}

impl Scene {
    /// Topic and claim.
    pub fn name(&self) -> String {
        format!("{}/{}", self.topic, self.case.name)
    }
}

/// All cases of all `*.yaml` in `folder`, in the order of the files' names.
pub fn folder(folder: &Path) -> Result<Vec<Scene>, String> {
    let listed = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut scenes = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        scenes.extend(file(&path, &text)?);
    }
    Ok(scenes)
}

/// The cases of a file of tests, which mean the configuration nearby where they name none.
pub fn tests(path: &Path) -> Result<Vec<Scene>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    scenes(path, &text, find::configuration(path).map(Config::File))
}

/// The cases of one file.
pub fn file(path: &Path, text: &str) -> Result<Vec<Scene>, String> {
    scenes(path, text, None)
}

fn scenes(path: &Path, text: &str, nearby: Option<Config>) -> Result<Vec<Scene>, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| {
        let place =
            error.location().map_or(String::new(), |place| format!("{}:{}:", place.line(), place.column()));
        // The library tells the place in its own words too, and shows the lines.
        let what = error.without_snippet().to_string();
        format!("{}:{place} {}", path.display(), what.split(" at line ").next().unwrap_or_default())
    })?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("cases");
    let topic = stem.strip_suffix(".test").unwrap_or(stem).to_owned();
    let mut scenes: Vec<Scene> = Vec::new();
    for spanned in file.cases {
        let (mut case, at) = (spanned.value, spanned.referenced);
        let (line, column) = (at.line(), at.column());
        let at = |what: &str| format!("{}:{line}:{column}: {what}", path.display());
        if scenes.iter().any(|scene| scene.case.name == case.name) {
            return Err(at(&format!("there are two cases named `{}`", case.name)));
        }
        case.given = over(file.given.clone(), case.given);
        case.config = match case.config.take().or_else(|| file.config.clone()) {
            Some(Config::File(name)) => Some(Config::File(beside(path, &name))),
            Some(inline @ Config::Inline(_)) => Some(inline),
            None => nearby.clone(),
        };
        if case.config.is_none() {
            return Err(at("neither the case nor the file has a `config`, and no `tollgate.yaml` is nearby"));
        }
        scenes.push(Scene { topic: topic.clone(), file: path.to_owned(), line, case });
    }
    Ok(scenes)
}

fn over(base: Given, own: Given) -> Given {
    let mut given = base;
    given.time = own.time.or(given.time);
    given.upstreams.extend(own.upstreams);
    given.default_upstream = own.default_upstream.or(given.default_upstream);
    given.vars.extend(own.vars);
    given.failing.extend(own.failing);
    given
}

fn beside(file: &Path, name: &str) -> String {
    let joined = file.parent().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
    find::plain(&joined).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        file(Path::new("cases/x.yaml"), text).unwrap_err()
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line() {
        let error = error("cases:\n  - name: a\n    config: {routes: []}\n    stepps: []\n");
        assert!(error.starts_with("cases/x.yaml:4:5: unknown field `stepps`"), "{error}");
    }

    #[test]
    fn a_mistake_deep_inside_is_told_with_its_line() {
        let text = "given:\n  upstreams:\n    a:\n      - status: 200\n      - {statuz: 404}\ncases: []\n";
        let error = error(text);
        assert!(error.starts_with("cases/x.yaml:5:") && error.contains("statuz"), "{error}");
    }

    #[test]
    fn a_case_has_what_its_file_gives_and_may_replace_it() {
        let text = "config: {file: ../a.yaml}\n\
                    given: {upstreams: {a: {status: 201}, b: {status: 202}}}\n\
                    cases: [{name: x, given: {upstreams: {b: {status: 404}}}, steps: []}]\n";
        let scenes = file(Path::new("cases/x.yaml"), text).unwrap();
        let given = &scenes[0].case.given.upstreams;
        assert_eq!((given["a"].0[0].status, given["b"].0[0].status), (201, 404));
        assert!(matches!(&scenes[0].case.config, Some(Config::File(path)) if path == "a.yaml"));
    }

    #[test]
    fn a_step_is_one_thing() {
        let error = error("cases:\n  - name: a\n    steps:\n      - {advance: 1s, repeat: 2}\n");
        assert!(error.starts_with("cases/x.yaml:4:") && error.contains("a step is one of"), "{error}");
    }

    #[test]
    fn two_cases_never_share_a_name() {
        let text = "config: {}\ncases:\n  - {name: a, steps: []}\n  - {name: a, steps: []}\n";
        assert_eq!(error(text), "cases/x.yaml:4:5: there are two cases named `a`");
    }
}
