//! The one task that keeps certificates in service: it looks what is kept, puts what is new into service, and orders what
//! is due when it is this gateway's turn.
//!
//! Nothing that fails here takes a certificate out of service.

use std::{collections::HashMap, time::Duration};

use instant_acme::Account;
use tokio::{select, time::sleep};
use tollgate_core::host::Timestamp;
use zeroize::Zeroizing;

use super::{
    Acme,
    certificate::{Certificate, digest},
    order::Trouble,
    renewal::{self, DAY, SECOND, Why, Window},
    storage::{Attempts, Record, Renewal, read},
};
use crate::notice;

/// What is known of what is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    names: HashMap<String, Known>,
    /// How attempts fail for all names.
    standing: Option<Attempts>,
    /// What was said last about the place where things are kept, so that it is said once.
    told: Option<String>,
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Known {
    /// What is in service.
    served: Option<Certificate>,
    /// What is kept, where it is of no use, by its digest.
    broken: Option<String>,
    /// What is in service and could not be kept yet.
    unkept: Option<Zeroizing<Vec<u8>>>,
    attempts: Option<Attempts>,
    renewal: Option<Renewal>,
}

/// What is to be done for a name, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    order: Timestamp,
    /// When the authority is to be asked for its window.
    ask: Timestamp,
}

impl Known {
    fn due(&self, now: Timestamp) -> Due {
        let Some(served) = self.served.as_ref().filter(|_| self.broken.is_none()) else {
            return Due { order: self.attempt_at(now, 0), ask: Timestamp::MAX };
        };
        let renewal = self.renewal.as_ref().filter(|renewal| renewal.certificate == served.digest);
        let window = renewal.and_then(|renewal| renewal.window).map(|(start, end)| Window { start, end });
        let order = renewal::renew_at(served.validity, window, served.place);
        let ask = renewal.map_or(0, |renewal| renewal::not_before(renewal.ask_at, now));
        Due { order: self.attempt_at(now, order), ask }
    }

    fn attempt_at(&self, now: Timestamp, wanted: Timestamp) -> Timestamp {
        let not_before = self.attempts.as_ref().map(|attempts| renewal::not_before(attempts.not_before, now));
        wanted.max(not_before.unwrap_or(0))
    }
}

impl Acme {
    /// Puts what is kept into service. What can't be reached now is looked at again later.
    pub async fn load(&self) {
        let mut kept = self.kept.lock().await;
        self.look(&mut kept, &self.settings.names).await;
    }

    /// Keeps certificates in service for as long as it runs.
    pub async fn run(&self) {
        loop {
            let wait = self.round().await;
            select! {
                () = sleep(wait) => {}
                () = self.woken.notified() => {}
            }
        }
    }

    /// One look, and what it leads to. How long it is until the next.
    async fn round(&self) -> Duration {
        let mut kept = self.kept.lock().await;
        if !self.look(&mut kept, &self.settings.names).await {
            return self.pace.look;
        }
        if self.due(&kept).is_empty() {
            return self.wait(&kept);
        }
        let lease = match self.storage.lease().await {
            Ok(Some(lease)) => lease,
            Ok(None) => return self.pace.soon,
            Err(text) => {
                self.tell(&mut kept, Some(text));
                return self.pace.look;
            }
        };
        select! {
            () = self.work(&mut kept) => {}
            () = lease.lost() => {
                notice::say("acme: the right to order was lost to another gateway; it may go on");
            }
        }
        lease.release().await;
        self.wait(&kept)
    }

    /// Names that something is to be done for now.
    fn due(&self, kept: &Kept) -> Vec<String> {
        let now = self.clock.now();
        let standing = kept.standing.as_ref().map(|standing| renewal::not_before(standing.not_before, now));
        if standing.is_some_and(|standing| standing > now) {
            return Vec::new();
        }
        let is_due = |name: &&String| {
            kept.names
                .get(*name)
                .map(|known| known.due(now))
                .is_some_and(|due| due.order <= now || due.ask <= now)
        };
        self.settings.names.iter().filter(is_due).cloned().collect()
    }

    fn wait(&self, kept: &Kept) -> Duration {
        let now = self.clock.now();
        let standing = kept.standing.as_ref().map_or(0, |standing| standing.not_before);
        let next = kept.names.values().map(|known| known.due(now)).map(|due| due.order.min(due.ask)).min();
        let next = next.unwrap_or(Timestamp::MAX).max(standing).saturating_sub(now).max(SECOND);
        Duration::from_millis(next).min(self.pace.look)
    }

    /// Looks at what is kept, and puts what is new into service. Whether it could be looked at.
    async fn look(&self, kept: &mut Kept, names: &[String]) -> bool {
        for (name, known) in kept.names.iter_mut().filter(|(_, known)| known.unkept.is_some()) {
            // A failure shows when the rest is looked at, or is told already.
            let _ = self.keep(name, known).await;
        }
        let mut records = vec![Record::Standing];
        for name in names {
            records.extend([Record::Certificate(name), Record::Attempts(name), Record::Renewal(name)]);
        }
        let found = match self.storage.load(&records).await {
            Ok(found) => found,
            Err(text) => {
                self.tell(kept, Some(text));
                return false;
            }
        };
        self.tell(kept, None);
        let mut found = found.into_iter();
        kept.standing = read(found.next().flatten().as_deref());
        for name in names {
            let (pem, attempts, renewal) = (found.next(), found.next(), found.next());
            let known = kept.names.entry(name.clone()).or_default();
            known.renewal = read(renewal.flatten().as_deref());
            if known.unkept.is_none() {
                known.attempts = read(attempts.flatten().as_deref());
                self.put(name, known, pem.flatten().as_deref());
            }
        }
        true
    }

    /// Says what is wrong with where things are kept, or that nothing is any more.
    fn tell(&self, kept: &mut Kept, text: Option<String>) {
        match &text {
            Some(text) if kept.told.as_ref() != Some(text) => {
                notice::say(format_args!("acme: what is kept can't be reached: {text}"));
            }
            None if kept.told.is_some() => notice::say("acme: what is kept can be reached again"),
            _ => {}
        }
        kept.told = text;
    }

    /// Puts what is kept for a name into service, unless it is already.
    fn put(&self, name: &str, known: &mut Known, pem: Option<&[u8]>) {
        let Some(pem) = pem else {
            // It was removed, perhaps for there to be another: what is in service stays there until there is.
            known.broken = known.served.as_ref().map(|served| served.digest.clone());
            return;
        };
        let digest = digest(pem);
        if known.served.as_ref().is_some_and(|served| served.digest == digest) {
            known.broken = None;
            return;
        }
        if known.broken.as_ref() == Some(&digest) {
            return;
        }
        match Certificate::read(pem, name) {
            Ok(certificate) => {
                let now = self.clock.now();
                if certificate.validity.until <= now {
                    notice::say(format_args!("acme: the certificate that is kept for `{name}` has expired"));
                }
                self.shelf.put(&[name.to_owned()], certificate.key.clone());
                self.metrics.serves(name, Some(certificate.validity.until));
                known.served = Some(certificate);
                known.broken = None;
            }
            Err(what) => {
                notice::say(format_args!(
                    "acme: what is kept for `{name}` is of no use, and is taken for nothing: {what}"
                ));
                known.broken = Some(digest);
            }
        }
    }

    /// Does what is due, while it is this gateway's turn.
    async fn work(&self, kept: &mut Kept) {
        // Whoever had the turn before may have done it all.
        let due = self.due(kept);
        if !self.look(kept, &due).await {
            return;
        }
        let due = self.due(kept);
        if due.is_empty() {
            return;
        }
        let mut account = match self.orders.account().await {
            Ok(account) => account,
            Err(trouble) => return self.stand_off(kept, &trouble).await,
        };
        let mut limited = 0;
        for name in &due {
            self.ask(&account, kept, name).await;
            let now = self.clock.now();
            let Some(known) = kept.names.get(name).filter(|known| known.due(now).order <= now) else {
                continue;
            };
            // A second attempt goes without: it is a courtesy, and may be what was wrong.
            let is_first = known.attempts.as_ref().is_none_or(|attempts| attempts.failures == 0);
            let replaced = known.served.as_ref().filter(|_| is_first);
            let has_window = known.renewal.as_ref().is_some_and(|renewal| renewal.window.is_some());
            let replaced = replaced.filter(|_| has_window).and_then(Certificate::first).cloned();
            let mut ordered = self.orders.order(&account, name, replaced.as_ref()).await;
            if ordered.as_ref().is_err_and(|trouble| trouble.is_of_account) {
                notice::say("acme: the authority does not know the account any more; a new one is made");
                self.orders.forget_account().await;
                account = match self.orders.account().await {
                    Ok(account) => account,
                    Err(trouble) => return self.stand_off(kept, &trouble).await,
                };
                ordered = self.orders.order(&account, name, None).await;
            }
            let trouble = match ordered {
                Ok(pem) => {
                    limited = 0;
                    self.issued(kept, name, pem.as_bytes()).await.err()
                }
                Err(trouble) => Some(trouble),
            };
            let Some(trouble) = trouble else { continue };
            self.metrics.failed.up();
            // What is wrong with all names is not found out for each.
            limited = if trouble.why == Why::Limited { limited + 1 } else { 0 };
            if trouble.why == Why::Unreachable || trouble.is_of_account || limited > 1 {
                return self.stand_off(kept, &trouble).await;
            }
            self.put_off(kept, name, &trouble).await;
        }
        if kept.standing.take().is_some() {
            let _ = self.storage.remove(Record::Standing).await;
        }
    }

    /// Keeps what was ordered, and puts it into service.
    async fn issued(&self, kept: &mut Kept, name: &str, pem: &[u8]) -> Result<(), Trouble> {
        let certificate = Certificate::read(pem, name)
            .map_err(|what| Trouble::refused(format!("the authority's certificate is of no use: {what}")))?;
        let validity = certificate.validity;
        let known = kept.names.entry(name.to_owned()).or_default();
        // In service it is in any case; to keep it is tried until it is.
        self.put(name, known, Some(pem));
        let now = self.clock.now();
        let rest = renewal::rest(validity);
        known.attempts =
            Some(Attempts { failures: 0, not_before: now.saturating_add(rest), why: String::new() });
        self.metrics.issued.up();
        let good_for = shown(validity.until.saturating_sub(now));
        notice::say(format_args!("acme: there is a new certificate for `{name}`, good for {good_for}"));
        known.unkept = Some(Zeroizing::new(pem.to_vec()));
        if let Err(text) = self.keep(name, known).await {
            notice::say(format_args!("acme: the certificate for `{name}` can't be kept yet: {text}"));
        }
        Ok(())
    }

    /// Keeps what is in service already, and until when nothing is ordered in its place.
    async fn keep(&self, name: &str, known: &mut Known) -> Result<(), String> {
        let Some(pem) = &known.unkept else { return Ok(()) };
        self.storage.save(Record::Certificate(name), pem.to_vec()).await?;
        if let Some(attempts) = &known.attempts {
            self.storage.save_json(Record::Attempts(name), attempts).await?;
        }
        known.unkept = None;
        Ok(())
    }

    /// Asks the authority when it wants a certificate to be renewed, where it is time to.
    async fn ask(&self, account: &Account, kept: &mut Kept, name: &str) {
        let now = self.clock.now();
        let Some(known) = kept.names.get_mut(name).filter(|known| known.due(now).ask <= now) else { return };
        let Some(served) = &known.served else { return };
        let Some(first) = served.first() else { return };
        let former = known.renewal.as_ref().filter(|renewal| renewal.certificate == served.digest);
        let (window, again) = match self.orders.window(account, first).await {
            Ok(Some((window, again))) => {
                let told = u64::try_from(again.as_millis()).ok();
                (Some((window.start, window.end)), renewal::ask_again_in(told))
            }
            Ok(None) => (None, DAY),
            // What it said before holds on.
            Err(_) => (former.and_then(|former| former.window), renewal::ASK_AGAIN),
        };
        let renewal =
            Renewal { certificate: served.digest.clone(), window, ask_at: now.saturating_add(again) };
        let _ = self.storage.save_json(Record::Renewal(name), &renewal).await;
        known.renewal = Some(renewal);
    }

    /// After a failure for one name.
    async fn put_off(&self, kept: &mut Kept, name: &str, trouble: &Trouble) {
        let known = kept.names.entry(name.to_owned()).or_default();
        let attempts = self.after(known.attempts.as_ref(), trouble);
        let wait = shown(attempts.not_before.saturating_sub(self.clock.now()));
        notice::say(format_args!("acme: no certificate for `{name}`: {trouble}; tried again in {wait}"));
        let _ = self.storage.save_json(Record::Attempts(name), &attempts).await;
        known.attempts = Some(attempts);
    }

    /// After a failure that is nothing to do with a name.
    async fn stand_off(&self, kept: &mut Kept, trouble: &Trouble) {
        let attempts = self.after(kept.standing.as_ref(), trouble);
        let wait = shown(attempts.not_before.saturating_sub(self.clock.now()));
        notice::say(format_args!("acme: nothing can be ordered: {trouble}; tried again in {wait}"));
        let _ = self.storage.save_json(Record::Standing, &attempts).await;
        kept.standing = Some(attempts);
    }

    fn after(&self, former: Option<&Attempts>, trouble: &Trouble) -> Attempts {
        let failures = former.map_or(0, |former| former.failures).saturating_add(1);
        let told = trouble.come_back_in.and_then(|told| u64::try_from(told.as_millis()).ok());
        let random = getrandom::u64().unwrap_or_default();
        let pause = renewal::pause(trouble.why, failures, told, random);
        Attempts { failures, not_before: self.clock.now().saturating_add(pause), why: trouble.text.clone() }
    }
}

fn shown(ms: u64) -> String {
    match ms / SECOND {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
