//! A file's content replaced at once: whoever reads it sees the old text or the new one, and after a crash too.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{Error, ErrorKind, Result, Write},
    path::{Path, PathBuf},
};

/// Replaces the content of `path`; where that is a symbolic link, of the file it leads to.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let target = fs::canonicalize(path)?;
    let metadata = fs::metadata(&target)?;
    // The folder would let it be replaced, but who made it read-only did so for a reason.
    if metadata.permissions().readonly() {
        return Err(Error::new(ErrorKind::PermissionDenied, "it is read-only"));
    }
    let beside = beside(&target)?;
    let done = write(&beside, text, &metadata).and_then(|()| fs::rename(&beside, &target));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
        return done;
    }
    // The new name is safe once its folder is; where a folder can't be synced, nothing better is to be had.
    if let Some(folder) = target.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

/// A name in the same folder, as a file can only be renamed within its file system.
fn beside(target: &Path) -> Result<PathBuf> {
    let name = target.file_name().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "it is no file"))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    Ok(target.with_file_name(hidden))
}

fn write(path: &Path, text: &str, like: &Metadata) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    owned_like(&file, like)?;
    file.set_permissions(like.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A file that an administrator formats stays its owner's.
#[cfg(unix)]
fn owned_like(file: &File, like: &Metadata) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(file, Some(like.uid()), Some(like.gid()))
}

#[cfg(not(unix))]
fn owned_like(_: &File, _: &Metadata) -> Result<()> {
    Ok(())
}
