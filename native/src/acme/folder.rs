//! Records as files in a folder, which several gateways may share; a lock of the system on one of them is the right to
//! order, and ends with the process that has it.
//!
//! Files are for their owner alone, and are written beside their place and then moved to it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use tokio::{task::spawn_blocking, time::timeout};

use super::storage::MAX_BYTES;

/// A disk that takes longer hangs, as one in a network may.
const PATIENCE: Duration = Duration::from_secs(10);
/// What an authority was to find is of no use to anybody after this time.
const PASSING: Duration = Duration::from_secs(3_600);

/// A folder.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// The lock is the system's: it ends when the file is closed, and so with the process.
#[derive(Debug)]
pub(super) struct Lease {
    _locked: File,
}

impl Folder {
    /// What belongs to one account, in a folder of its own.
    pub(super) fn new(folder: &str, account: &str) -> Self {
        Self(Path::new(folder).join(account))
    }

    pub(super) async fn load(&self, paths: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, String> {
        self.blocking(move |folder| {
            paths
                .into_iter()
                .map(|path| load(&folder.join(&path)).map_err(|error| told(folder, &path, &error)))
                .collect()
        })
        .await
    }

    pub(super) async fn save(&self, path: String, bytes: Vec<u8>) -> Result<(), String> {
        self.blocking(move |folder| {
            save(&folder.join(&path), &bytes).map_err(|error| told(folder, &path, &error))
        })
        .await
    }

    pub(super) async fn remove(&self, path: String) -> Result<(), String> {
        self.blocking(move |folder| match fs::remove_file(folder.join(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(told(folder, &path, &error)),
            _ => Ok(()),
        })
        .await
    }

    pub(super) async fn lease(&self) -> Result<Option<Lease>, String> {
        self.blocking(|folder| {
            let lease = lock(&folder.join("lock")).map_err(|error| told(folder, "lock", &error))?;
            if lease.is_some() {
                sweep(&folder.join("challenges"));
            }
            Ok(lease)
        })
        .await
    }

    /// Off the runtime's threads, and not waited for without end.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let folder = self.0.clone();
        let done = timeout(PATIENCE, spawn_blocking(move || work(&folder))).await;
        let done = done.map_err(|_| format!("`{}`: the disk does not answer", self.0.display()))?;
        done.unwrap_or_else(|error| Err(error.to_string()))
    }
}

fn told(folder: &Path, path: &str, error: &io::Error) -> String {
    format!("`{}`: {error}", folder.join(path).display())
}

fn load(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Err(io::Error::other("it is too large to be of use"));
    }
    Ok(Some(bytes))
}

fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let parent = path.parent().ok_or_else(|| io::Error::other("it has no folder"))?;
    make(parent)?;
    // Other gateways, perhaps on other machines, may write the same at the same time.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = parent.join(format!(".{name}.{:08x}-{}-{number}", random(), std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        // A certificate counts against limits of the authority: it is not to be lost when the power is.
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The name, too. Some file systems know no such thing.
        let _ = File::open(parent).and_then(|folder| folder.sync_all());
        Ok(())
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}

fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn lock(path: &Path) -> io::Result<Option<Lease>> {
    if let Some(parent) = path.parent() {
        make(parent)?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lease { _locked: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What a process has left behind that ended while an authority was asking.
fn sweep(challenges: &Path) {
    let Ok(entries) = fs::read_dir(challenges) else { return };
    for entry in entries.flatten() {
        let written = entry.metadata().and_then(|about| about.modified());
        let is_old = |written| SystemTime::now().duration_since(written).is_ok_and(|age| age > PASSING);
        if written.is_ok_and(is_old) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("tollgate-folder-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            Self(folder)
        }

        fn folder(&self) -> Folder {
            Folder::new(self.0.to_str().unwrap(), "authority")
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_for_its_owner_alone() {
        let temporary = Temporary::new("owner");
        let folder = temporary.folder();
        folder.save("certificates/a.pem".to_owned(), b"one".to_vec()).await.unwrap();
        folder.save("certificates/a.pem".to_owned(), b"two".to_vec()).await.unwrap();
        let found = folder.load(vec!["certificates/a.pem".to_owned(), "b".to_owned()]).await.unwrap();
        assert_eq!(found, [Some(b"two".to_vec()), None]);
        let at = temporary.0.join("authority/certificates");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&at), mode(&at.join("a.pem"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&at).unwrap().count(), 1, "something was left beside it");
        folder.remove("certificates/a.pem".to_owned()).await.unwrap();
        folder.remove("certificates/a.pem".to_owned()).await.unwrap();
        assert_eq!(folder.load(vec!["certificates/a.pem".to_owned()]).await.unwrap(), [None]);
    }

    #[tokio::test]
    async fn one_at_a_time_may_order() {
        let temporary = Temporary::new("lease");
        let (one, other) = (temporary.folder(), temporary.folder());
        let lease = one.lease().await.unwrap();
        assert!(lease.is_some() && other.lease().await.unwrap().is_none());
        drop(lease);
        assert!(other.lease().await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_is_in_the_way_is_named() {
        let temporary = Temporary::new("way");
        fs::create_dir_all(&temporary.0).unwrap();
        fs::write(temporary.0.join("authority"), "").unwrap();
        let error = temporary.folder().save("a".to_owned(), Vec::new()).await.unwrap_err();
        assert!(error.contains("authority/a`: "), "{error}");
    }

    #[tokio::test]
    async fn challenges_that_were_left_behind_are_swept_away() {
        let temporary = Temporary::new("sweep");
        let folder = temporary.folder();
        for name in ["challenges/old", "challenges/new"] {
            folder.save(name.to_owned(), b"x".to_vec()).await.unwrap();
        }
        let old = File::options().write(true).open(temporary.0.join("authority/challenges/old")).unwrap();
        old.set_modified(SystemTime::now() - 2 * PASSING).unwrap();
        drop(folder.lease().await.unwrap());
        let found =
            folder.load(vec!["challenges/old".to_owned(), "challenges/new".to_owned()]).await.unwrap();
        assert_eq!(found, [None, Some(b"x".to_vec())]);
    }
}
