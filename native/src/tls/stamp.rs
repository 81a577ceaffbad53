//! Whether files have changed, by what the system knows of them. Names are followed to what they lead to, so a link
//! that leads elsewhere is a change, as is the folder behind it that was exchanged (which is how Kubernetes does it).

use std::{fs, os::unix::fs::MetadataExt};

/// What files were like at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<File>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    /// Also what was given another time, or written within the same one, has changed then.
    changed: (i64, i64),
}

impl Stamp {
    /// Take it before reading: what changes while it is read is then seen next time.
    pub(super) fn of<'f>(files: impl IntoIterator<Item = &'f String>) -> Self {
        let file = |name: &String| {
            let about = fs::metadata(name).ok()?;
            Some(File {
                device: about.dev(),
                inode: about.ino(),
                length: about.len(),
                modified: (about.mtime(), about.mtime_nsec()),
                changed: (about.ctime(), about.ctime_nsec()),
            })
        };
        Self(files.into_iter().map(file).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{super::tests::Folder, *};

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = Folder::new();
        for one in ["1", "2"] {
            fs::create_dir(folder.0.join(one)).unwrap();
            fs::write(folder.0.join(one).join("a"), "same").unwrap();
        }
        let name = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
        symlink(name("1"), name("data")).unwrap();
        symlink(name("data/a"), name("a")).unwrap();
        let (before, again) = (Stamp::of(&[name("a")]), Stamp::of(&[name("a")]));
        assert_eq!(before, again);
        symlink(name("2"), name("next")).unwrap();
        fs::rename(name("next"), name("data")).unwrap();
        assert_ne!(Stamp::of(&[name("a")]), before);
    }

    #[test]
    fn what_comes_and_goes_has_changed() {
        let folder = Folder::new();
        let name = folder.0.join("a").to_str().unwrap().to_owned();
        let none = Stamp::of([&name]);
        fs::write(&name, "").unwrap();
        assert_ne!(Stamp::of([&name]), none);
        fs::remove_file(&name).unwrap();
        assert_eq!(Stamp::of([&name]), none);
    }
}
