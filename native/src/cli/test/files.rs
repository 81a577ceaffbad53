//! The files that tests depend on, noted while they are read, so that a change of one can be seen.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use tollgate_core::config::Files;
use tollgate_rehearsal::case::find;

use crate::files::Disk;

/// The file system, and what was read of it.
#[derive(Debug, Default)]
pub(super) struct Watched {
    read: RefCell<BTreeMap<PathBuf, Like>>,
    /// Where tests are looked for.
    paths: RefCell<Vec<PathBuf>>,
}

/// What a file was like; none for one that is not there.
type Like = Option<(SystemTime, u64)>;

impl Watched {
    /// Notes where tests are looked for, and which were found.
    pub(super) fn look_in(&self, paths: &[PathBuf], found: &[PathBuf]) {
        self.paths.replace(paths.to_vec());
        found.iter().for_each(|path| self.note(path));
    }

    /// Whether a file is not as it was when it was read, or there is a test that was not there.
    pub(super) fn have_changed(&self) -> bool {
        let read = self.read.borrow();
        let paths = self.paths.borrow();
        let mut tests = paths.iter().flat_map(|path| find::tests(path).unwrap_or_default());
        read.iter().any(|(path, before)| like(path) != *before) || tests.any(|test| !read.contains_key(&test))
    }

    /// Before it is read, so that no change is missed.
    fn note(&self, path: &Path) {
        self.read.borrow_mut().entry(path.to_owned()).or_insert_with(|| like(path));
    }
}

impl Files for Watched {
    fn read(&self, name: &str) -> Result<String, String> {
        self.note(Path::new(name));
        Disk.read(name)
    }

    fn expand(&self, pattern: &str) -> Result<Vec<String>, String> {
        Disk.expand(pattern)
    }
}

fn like(path: &Path) -> Like {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_read_and_changes_is_noticed() {
        let path = std::env::temp_dir().join(format!("tollgate-watched-{}.yaml", std::process::id()));
        fs::write(&path, "a").unwrap();
        let files = Watched::default();
        files.read(path.to_str().unwrap()).unwrap();
        assert!(!files.have_changed());
        fs::write(&path, "ab").unwrap();
        assert!(files.have_changed());
        fs::write(&path, "a").unwrap();
        fs::remove_file(&path).unwrap();
        assert!(files.have_changed());
    }
}
