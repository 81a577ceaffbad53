//! Configuration files on disk, for core, which reads none itself.

use std::{fs, path::Path};

use tollgate_core::config::{
    self, Files, Loaded,
    bundle::Bundle,
    lint::{self, Linted},
    problem::Report,
};

/// Larger files are no configuration.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The file system, with names as written: relative ones belong to the working directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, name: &str) -> Result<String, String> {
        let length = fs::metadata(name).map_err(|error| error.to_string())?.len();
        if length > MAX_BYTES {
            return Err(format!("it has {length} bytes, more than {MAX_BYTES}"));
        }
        fs::read_to_string(name).map_err(|error| error.to_string())
    }

    fn expand(&self, pattern: &str) -> Result<Vec<String>, String> {
        if !pattern.contains(['*', '?', '[']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let found = glob::glob(pattern).map_err(|error| error.to_string())?;
        let mut names = Vec::new();
        for path in found {
            let path = path.map_err(|error| error.to_string())?;
            names.push(path.to_str().ok_or("a file's name is not UTF-8")?.to_owned());
        }
        names.sort();
        Ok(names)
    }
}

/// Reads, checks and compiles the configuration in `path`, variables taken from the environment.
pub fn load(path: &Path, host: config::Host) -> Result<Loaded, String> {
    let (name, text) = open(path)?;
    Ok(config::load(name, text, &Disk, &environment, host))
}

/// Reads, checks and looks at the configuration in `path`.
pub fn lint(path: &Path, host: config::Host) -> Result<Linted, String> {
    let (name, text) = open(path)?;
    Ok(lint::lint(name, text, &Disk, &environment, host))
}

/// Reads, checks and bundles the configuration in `path`. Variables are taken from the environment for the
/// check; in the bundle they stay open.
pub fn bundle(path: &Path, host: config::Host) -> Result<(Option<Bundle>, Report), String> {
    let (name, text) = open(path)?;
    Ok(config::bundle::bundle(name, text, &Disk, &environment, host))
}

fn open(path: &Path) -> Result<(&str, String), String> {
    let name = path.to_str().ok_or("the file's name is not UTF-8")?;
    let text = Disk.read(name).map_err(|error| format!("can't read `{name}`: {error}"))?;
    Ok((name, text))
}

fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}
