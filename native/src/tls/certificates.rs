//! Which certificate a client gets, by the name it asks for. Tables are replaced as a whole, so no connection waits.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::certificate::Certificate;
use crate::acme::Challenges;

/// The protocol that an authority speaks which wants to see that a name is ours (RFC 8737).
pub(super) const ACME_TLS: &[u8] = b"acme-tls/1";

/// Certificates that serve the same names with keys of several kinds; mostly it is one.
type Candidates = Vec<Arc<CertifiedKey>>;

/// The certificates of one listener.
#[derive(Debug)]
pub(super) struct Certificates {
    table: ArcSwap<Table>,
    ordered: Arc<Ordered>,
    /// The names for which certificates are ordered here.
    acme: Vec<String>,
    strict: bool,
}

/// Those from files.
#[derive(Debug, Default)]
struct Table {
    exact: HashMap<String, Candidates>,
    /// By what stands after `*.`.
    below: HashMap<String, Candidates>,
    /// For those who ask for no name, or for one that nobody has.
    first: Candidates,
}

impl Table {
    fn new(certificates: &[Certificate]) -> Self {
        let mut table = Self::default();
        for Certificate { key, names, .. } in certificates {
            for name in names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(below) => (&mut table.below, below),
                    None => (&mut table.exact, name.as_str()),
                };
                map.entry(name.to_owned()).or_default().push(key.clone());
            }
        }
        if let Some(first) = certificates.first() {
            let mate = |other: &&Certificate| other.names == first.names;
            table.first = certificates.iter().filter(mate).map(|mate| mate.key.clone()).collect();
        }
        table
    }

    /// A wildcard stands for one label (RFC 9525 §6.3).
    fn below(&self, name: &str) -> Option<&Candidates> {
        let (label, rest) = name.split_once('.')?;
        self.below.get(rest).filter(|_| !label.is_empty())
    }
}

impl Certificates {
    pub(super) fn new(
        certificates: &[Certificate],
        acme: &[String],
        strict: bool,
        ordered: Arc<Ordered>,
    ) -> Self {
        let table = ArcSwap::from_pointee(Table::new(certificates));
        Self { table, ordered, acme: acme.to_vec(), strict }
    }

    /// Puts these in the place of all from files.
    pub(super) fn replace(&self, certificates: &[Certificate]) {
        self.table.store(Arc::new(Table::new(certificates)));
    }

    /// The certificate for a name in lower case that a client with such a key can check.
    fn find(&self, name: Option<&str>, fits: impl Fn(&CertifiedKey) -> bool) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let choose = |candidates: &Candidates| {
            // Where none fits the handshake fails, and says better why.
            candidates.iter().find(|key| fits(key)).or(candidates.first()).cloned()
        };
        let Some(name) = name else { return self.first(&table, choose) };
        if let Some(found) = table.exact.get(name).and_then(choose) {
            return Some(found);
        }
        if !self.acme.is_empty()
            && self.acme.iter().any(|own| own == name)
            && let Some(ordered) = self.ordered.certificate(name)
        {
            return Some(ordered);
        }
        if let Some(found) = table.below(name).and_then(choose) {
            return Some(found);
        }
        if self.strict { None } else { self.first(&table, choose) }
    }

    fn first(
        &self,
        table: &Table,
        choose: impl Fn(&Candidates) -> Option<Arc<CertifiedKey>>,
    ) -> Option<Arc<CertifiedKey>> {
        choose(&table.first).or_else(|| self.ordered.certificate(self.acme.first()?))
    }
}

impl Certificates {
    /// What an authority is to be shown that asks for a name, where it is not this process that orders.
    pub(super) async fn challenge_elsewhere(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        if self.ordered.challenge(name).is_some() {
            return None;
        }
        self.ordered.elsewhere.get()?.certificate(name).await
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        if is_challenge(&hello) {
            return self.ordered.challenge(name?);
        }
        let schemes = hello.signature_schemes();
        self.find(name, |key| key.key.choose_scheme(schemes).is_some())
    }
}

/// Whether this is an authority that wants to see that a name is ours: it offers that protocol and no other.
pub(super) fn is_challenge(hello: &ClientHello<'_>) -> bool {
    let Some(mut offered) = hello.alpn() else { return false };
    offered.next() == Some(ACME_TLS) && offered.next().is_none()
}

/// Certificates that were ordered, for all listeners, and those that show an authority that a name is ours.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    names: ArcSwap<Names>,
    /// Knows what others show who order for the same names.
    elsewhere: OnceLock<Arc<Challenges>>,
}

#[derive(Debug, Default, Clone)]
struct Names {
    certificates: HashMap<String, Arc<CertifiedKey>>,
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

impl Ordered {
    pub(super) fn put(&self, names: &[String], key: &Arc<CertifiedKey>) {
        self.change(|all| {
            all.certificates.extend(names.iter().map(|name| (name.to_ascii_lowercase(), key.clone())));
        });
    }

    pub(super) fn put_challenge(&self, name: &str, key: &Arc<CertifiedKey>) {
        self.change(|all| {
            all.challenges.insert(name.to_ascii_lowercase(), key.clone());
        });
    }

    pub(super) fn withdraw(&self, name: &str) {
        self.change(|all| {
            all.challenges.remove(&name.to_ascii_lowercase());
        });
    }

    /// From now on what is not known here is looked for there. Only the first counts.
    pub(super) fn look_at(&self, challenges: Arc<Challenges>) {
        let _ = self.elsewhere.set(challenges);
    }

    fn change(&self, change: impl Fn(&mut Names)) {
        self.names.rcu(|all| {
            let mut all = Names::clone(all);
            change(&mut all);
            all
        });
    }

    fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.names.load().certificates.get(name).cloned()
    }

    fn challenge(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.names.load().challenges.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::made, *};

    fn found(table: &Certificates, name: Option<&str>) -> Option<Vec<String>> {
        let key = table.find(name, |_| true)?;
        Some(Certificate::of(key).unwrap().names)
    }

    fn certificate(names: &[&str]) -> Certificate {
        Certificate::of(made(names).certified()).unwrap()
    }

    #[test]
    fn the_most_specific_certificate_serves() {
        let all = [
            certificate(&["first.test"]),
            certificate(&["*.a.test"]),
            certificate(&["own.a.test", "Other.Test"]),
        ];
        let table = Certificates::new(&all, &[], false, Arc::default());
        for (name, wanted) in [
            (Some("own.a.test"), "own.a.test"),
            (Some("other.test"), "own.a.test"),
            (Some("x.a.test"), "*.a.test"),
            (Some("a.test"), "first.test"),
            (Some("x.y.a.test"), "first.test"),
            (Some("unknown.test"), "first.test"),
            (None, "first.test"),
        ] {
            assert_eq!(found(&table, name).unwrap()[0], wanted, "{name:?}");
        }
    }

    #[test]
    fn where_names_are_asked_for_strictly_nobody_gets_a_certificate_of_another_name() {
        let table = Certificates::new(&[certificate(&["a.test"])], &[], true, Arc::default());
        assert!(found(&table, Some("b.test")).is_none());
        assert!(found(&table, Some("a.test")).is_some());
        assert!(found(&table, None).is_some(), "who asks for none gets the first");
    }

    #[test]
    fn an_ordered_certificate_serves_where_its_name_is_written_and_before_wildcards() {
        let ordered = Arc::new(Ordered::default());
        let wildcard = [certificate(&["*.test"])];
        let here = Certificates::new(&wildcard, &["a.test".to_owned()], false, ordered.clone());
        let elsewhere = Certificates::new(&wildcard, &[], false, ordered.clone());
        assert_eq!(found(&here, Some("a.test")).unwrap(), ["*.test"]);
        ordered.put(&["a.test".to_owned()], &made(&["a.test"]).certified());
        assert_eq!(found(&here, Some("a.test")).unwrap(), ["a.test"]);
        assert_eq!(found(&elsewhere, Some("a.test")).unwrap(), ["*.test"]);
    }

    #[test]
    fn without_files_the_first_ordered_certificate_is_for_all() {
        let ordered = Arc::new(Ordered::default());
        let table = Certificates::new(&[], &["a.test".to_owned()], false, ordered.clone());
        assert!(found(&table, None).is_none());
        ordered.put(&["a.test".to_owned()], &made(&["a.test"]).certified());
        assert_eq!(found(&table, None).unwrap(), ["a.test"]);
    }
}
