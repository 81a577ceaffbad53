//! Where the account, certificates and what is going on with them are kept, so that a gateway goes on where it was and
//! several know the same: what is there and how it is called. How it gets to a disk or into Redis is [`folder`]'s and
//! [`redis`]'s.
//!
//! Everything read may be broken, or of another version: whoever reads it takes it for absent then, and says so.
//!
//! [`folder`]: super::folder
//! [`redis`]: super::redis

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tollgate_core::{
    acme::{Acme, Kept},
    config::document::Store,
    host::Timestamp,
};

use super::{
    folder::{self, Folder},
    redis::{self, Redis},
};

/// More is nothing that was ever put there.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Something that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record<'n> {
    /// The account with the authority.
    Account,
    /// How attempts fail that are nothing to do with a name.
    Standing,
    /// The certificate of a name with its chain and key, PEM.
    Certificate(&'n str),
    /// How attempts fail for a name.
    Attempts(&'n str),
    /// When the authority wants a certificate to be renewed.
    Renewal(&'n str),
    /// What is answered to an authority that asks for a token.
    Token(&'n str),
    /// What an authority is shown that asks for a name.
    Shown(&'n str),
}

impl Record<'_> {
    /// Its name, as a path.
    pub(super) fn path(self) -> String {
        match self {
            Self::Account => "account.json".to_owned(),
            Self::Standing => "attempts.json".to_owned(),
            Self::Certificate(name) => format!("certificates/{}.pem", plain(name)),
            Self::Attempts(name) => format!("attempts/{}.json", plain(name)),
            Self::Renewal(name) => format!("renewal/{}.json", plain(name)),
            Self::Token(token) => format!("challenges/http-{}", plain(token)),
            Self::Shown(name) => format!("challenges/tls-{}", plain(name)),
        }
    }

    /// Whether it is of no use to anybody after a while.
    pub(super) const fn is_passing(self) -> bool {
        matches!(self, Self::Token(_) | Self::Shown(_))
    }
}

/// No name leads out of its folder. Those that are used have none of what is replaced here.
fn plain(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().map(|c| if keep(c) { c } else { '_' }).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// What came of attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempts {
    /// Failures since the last success.
    pub(super) failures: u32,
    /// When the next may be made, in milliseconds since 1970.
    pub(super) not_before: Timestamp,
    /// What was wrong the last time, for people.
    pub(super) why: String,
}

/// When the authority wants a certificate to be renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Renewal {
    /// Which certificate that is.
    pub(super) certificate: String,
    /// From when until when, where the authority says so.
    pub(super) window: Option<(Timestamp, Timestamp)>,
    /// When it is to be asked again.
    pub(super) ask_at: Timestamp,
}

/// What is read as JSON. Nothing and nonsense are the same.
pub(super) fn read<T: DeserializeOwned>(bytes: Option<&[u8]>) -> Option<T> {
    serde_json::from_slice(bytes?).ok()
}

/// One of both places.
#[derive(Debug)]
pub(super) enum Storage {
    Folder(Folder),
    Redis(Box<Redis>),
}

impl Storage {
    pub(super) fn new(acme: &Acme, store: &Store) -> Result<Self, String> {
        match &acme.kept {
            Kept::Folder(folder) => Ok(Self::Folder(Folder::new(folder, &acme.account()))),
            Kept::Store => Ok(Self::Redis(Box::new(Redis::new(store, &acme.account())?))),
        }
    }

    /// What is kept, in order; `None` for what is not.
    pub(super) async fn load(&self, records: &[Record<'_>]) -> Result<Vec<Option<Vec<u8>>>, String> {
        let paths = records.iter().map(|record| record.path()).collect();
        match self {
            Self::Folder(folder) => folder.load(paths).await,
            Self::Redis(redis) => redis.load(paths).await,
        }
    }

    pub(super) async fn load_one(&self, record: Record<'_>) -> Result<Option<Vec<u8>>, String> {
        Ok(self.load(&[record]).await?.pop().flatten())
    }

    /// Keeps it: whoever reads finds the former or this, and never half of it.
    pub(super) async fn save(&self, record: Record<'_>, bytes: Vec<u8>) -> Result<(), String> {
        match self {
            Self::Folder(folder) => folder.save(record.path(), bytes).await,
            Self::Redis(redis) => redis.save(record.path(), bytes, record.is_passing()).await,
        }
    }

    pub(super) async fn save_json(&self, record: Record<'_>, value: &impl Serialize) -> Result<(), String> {
        let bytes = serde_json::to_vec_pretty(value).map_err(|error| error.to_string())?;
        self.save(record, bytes).await
    }

    /// What is not there is as good as removed.
    pub(super) async fn remove(&self, record: Record<'_>) -> Result<(), String> {
        match self {
            Self::Folder(folder) => folder.remove(record.path()).await,
            Self::Redis(redis) => redis.remove(record.path()).await,
        }
    }

    /// The right to order, which one has at a time. `None` while it is another's.
    pub(super) async fn lease(&self) -> Result<Option<Lease<'_>>, String> {
        match self {
            Self::Folder(folder) => Ok(folder.lease().await?.map(Lease::Folder)),
            Self::Redis(redis) => Ok(redis.lease().await?.map(Lease::Redis)),
        }
    }
}

/// The right to order. Another may have it when this is released or its process has ended.
#[derive(Debug)]
pub(super) enum Lease<'s> {
    Folder(folder::Lease),
    Redis(redis::Lease<'s>),
}

impl Lease<'_> {
    /// Keeps the right for as long as it can, and ends when it is lost.
    pub(super) async fn lost(&self) {
        match self {
            Self::Folder(_) => std::future::pending().await,
            Self::Redis(lease) => lease.lost().await,
        }
    }

    pub(super) async fn release(self) {
        match self {
            Self::Folder(lease) => drop(lease),
            Self::Redis(lease) => lease.release().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_elsewhere() {
        for name in ["../../etc/passwd", "a/b", "..", "a\0b"] {
            let path = Record::Certificate(name).path();
            assert_eq!(path.matches('/').count(), 1, "{path}");
            assert!(!path.contains("/.") && !path.contains('\0'), "{path}");
        }
        assert_eq!(Record::Certificate("a-b.example.com").path(), "certificates/a-b.example.com.pem");
        assert_eq!(Record::Token("a_b-C").path(), "challenges/http-a_b-C");
    }

    #[test]
    fn nonsense_is_read_as_nothing() {
        assert_eq!(read::<Attempts>(None), None);
        assert_eq!(read::<Attempts>(Some(b"{")), None);
        assert_eq!(read::<Attempts>(Some(b"{\"failures\": 1}")), None);
        let attempts = Attempts { failures: 1, not_before: 2, why: "x".to_owned() };
        assert_eq!(read(Some(&serde_json::to_vec(&attempts).unwrap())), Some(attempts));
    }
}
