//! Where the tests of a configuration are: their files, and the configuration that they mean when they name none.
//!
//! Nothing is read here but folders.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// Folders within folders, at most.
const MAX_DEPTH: usize = 8;
/// Folders that hold nothing of the user's own.
const FOREIGN: [&str; 2] = ["target", "node_modules"];
/// What a configuration is called where nothing says otherwise.
const CONFIGURATION: &str = "tollgate.yaml";

/// The test files at `path`, sorted: the file itself, or in a folder every `*.test.yaml` in it and below, and
/// every `*.yaml` below its `tests`, which it may be itself.
pub fn tests(path: &Path) -> Result<Vec<PathBuf>, String> {
    let metadata = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if metadata.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let is_test = |path: &Path| path.to_string_lossy().ends_with(".test.yaml");
    walk(path, MAX_DEPTH, &is_test, &mut found)?;
    let folder = if path.ends_with("tests") { path.to_owned() } else { path.join("tests") };
    if folder.is_dir() {
        walk(&folder, MAX_DEPTH, &|path| path.extension().is_some_and(|own| own == "yaml"), &mut found)?;
    }
    let mut found: Vec<PathBuf> = found.iter().map(|path| plain(path)).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

fn walk(
    folder: &Path,
    depth: usize,
    wanted: &dyn Fn(&Path) -> bool,
    found: &mut Vec<PathBuf>,
) -> Result<(), String> {
    let listed = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in listed.filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // A link to a folder is not followed, as it may lead back.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder {
            if depth > 0 && !name.starts_with('.') && !FOREIGN.contains(&&*name) {
                walk(&path, depth - 1, wanted, found)?;
            }
        } else if wanted(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// The configuration that a test file means when it names none: the one beside it, or one folder up.
pub(super) fn configuration(file: &Path) -> Option<String> {
    let folder = file.parent()?;
    let places = [folder.join(CONFIGURATION), folder.join("..").join(CONFIGURATION)];
    let found = places.iter().find(|path| path.is_file())?;
    Some(plain(found).display().to_string())
}

/// The same path without detours, so that a file has one name.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut parts: Vec<Component<'_>> = Vec::new();
    for part in path.components() {
        match (part, parts.last()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_by_their_names_and_below_the_folder_for_them() {
        let root = std::env::temp_dir().join(format!("tollgate-find-{}", std::process::id()));
        for folder in ["tests/deep", "services/shop", ".hidden", "node_modules"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let files = ["tollgate.yaml", "b.test.yaml", "tests/deep/a.yaml", "services/shop/c.test.yaml"];
        for file in files.into_iter().chain([".hidden/d.test.yaml", "node_modules/e.test.yaml"]) {
            fs::write(root.join(file), "").unwrap();
        }
        let found = tests(&root).unwrap();
        let names: Vec<_> = found.iter().filter_map(|path| path.strip_prefix(&root).ok()?.to_str()).collect();
        assert_eq!(names, ["b.test.yaml", "services/shop/c.test.yaml", "tests/deep/a.yaml"]);
        assert_eq!(tests(&root.join("tests")).unwrap().len(), 1);
        assert_eq!(configuration(&root.join("b.test.yaml")), configuration(&root.join("tests/a.yaml")));
        assert_eq!(configuration(&root.join("services/shop/c.test.yaml")), None);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_path_has_no_detours() {
        for (path, wanted) in
            [("./a/../b.yaml", "b.yaml"), ("../a", "../a"), ("a/./b/../../c", "c"), ("/a/../b", "/b")]
        {
            assert_eq!(plain(Path::new(path)), Path::new(wanted), "{path}");
        }
    }
}
