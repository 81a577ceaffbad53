//! Orders one certificate: the account, the challenge, the key, the chain. When, and what comes after a failure, is not
//! decided here.

use std::{fmt, sync::Arc, time::Duration};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error,
    ExternalAccountKey, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tollgate_core::acme::{Acme, AcmeChallenge};
use zeroize::Zeroizing;

use super::{
    authority::Authority,
    challenge::Challenges,
    renewal::{Why, Window},
    storage::{Record, Storage},
};
use crate::notice;

/// For all of an order, and for one thing within it.
const ORDER: Duration = Duration::from_secs(300);
const STEP: Duration = Duration::from_secs(120);
/// How often an authority is asked whether it is done.
const PACE: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(500)).backoff(1.5).timeout(STEP);
/// What an authority says is told to people, up to here.
const MAX_TOLD: usize = 600;

/// Why there is no certificate.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) why: Why,
    /// For people: what the authority said, if it did.
    pub(super) text: String,
    /// When the authority wants us to come back.
    pub(super) come_back_in: Option<Duration>,
    /// The account is not known any more.
    pub(super) is_of_account: bool,
    /// It was wrong to say which certificate is replaced.
    is_of_replacing: bool,
}

impl Trouble {
    fn new(why: Why, text: impl Into<String>) -> Self {
        Self { why, text: text.into(), come_back_in: None, is_of_account: false, is_of_replacing: false }
    }

    /// What the authority gave is not what was ordered.
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::new(Why::Refused, text)
    }

    /// Nothing is wrong with the authority: what is kept can't be reached.
    pub(super) fn of_storage(text: String) -> Self {
        Self::new(Why::Unreachable, text)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The account, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    account: AccountCredentials,
    /// What the authority was told.
    contact: Vec<String>,
}

/// Places orders, for one account.
pub(super) struct Orders {
    acme: Arc<Acme>,
    authority: Authority,
    storage: Arc<Storage>,
    challenges: Arc<Challenges>,
}

impl Orders {
    pub(super) fn new(acme: Arc<Acme>, storage: Arc<Storage>, challenges: Arc<Challenges>) -> Self {
        Self { authority: Authority::new(acme.clone()), acme, storage, challenges }
    }

    /// The account: the one that is kept, or a new one.
    pub(super) async fn account(&self) -> Result<Account, Trouble> {
        let bytes =
            self.storage.load_one(Record::Account).await.map_err(Trouble::of_storage)?.map(Zeroizing::new);
        let kept = match bytes.as_deref().map(|bytes| serde_json::from_slice::<Kept>(bytes)) {
            Some(Ok(kept)) => kept,
            None => return self.new_account().await,
            Some(Err(_)) => {
                notice::say("acme: the account that is kept can't be read; a new one is made");
                return self.new_account().await;
            }
        };
        let builder = Account::builder_with_http(Box::new(self.authority.clone()));
        let account = self.within(STEP, builder.from_credentials(kept.account)).await?;
        if kept.contact != self.acme.contact {
            self.within(STEP, account.update_contacts(&self.contact())).await?;
            // The credentials were taken by the account, and the rest of what is kept stays as it is.
            self.keep_contact(bytes.as_deref().map_or(&[][..], Vec::as_slice)).await?;
        }
        Ok(account)
    }

    /// Forgets the account, so that a new one is made.
    pub(super) async fn forget_account(&self) {
        let _ = self.storage.remove(Record::Account).await;
    }

    async fn new_account(&self) -> Result<Account, Trouble> {
        let external = self.acme.external_account.as_ref();
        let external =
            external.map(|external| ExternalAccountKey::new(external.key_id.clone(), &external.hmac_key));
        let contact = self.contact();
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let builder = Account::builder_with_http(Box::new(self.authority.clone()));
        let made = builder.create(&new, self.acme.directory_url.clone(), external.as_ref());
        let (account, credentials) = self.within(STEP, made).await?;
        let kept = Kept { account: credentials, contact: self.acme.contact.clone() };
        self.storage.save_json(Record::Account, &kept).await.map_err(Trouble::of_storage)?;
        notice::say(format_args!("acme: there is an account with {}", self.acme.directory_url));
        Ok(account)
    }

    async fn keep_contact(&self, kept: &[u8]) -> Result<(), Trouble> {
        let mut kept: Kept =
            serde_json::from_slice(kept).map_err(|error| Trouble::of_storage(error.to_string()))?;
        kept.contact = self.acme.contact.clone();
        self.storage.save_json(Record::Account, &kept).await.map_err(Trouble::of_storage)
    }

    fn contact(&self) -> Vec<&str> {
        self.acme.contact.iter().map(String::as_str).collect()
    }

    /// A certificate for `name` with its chain and a fresh key, PEM. Which one it replaces the authority may be told.
    pub(super) async fn order(
        &self,
        account: &Account,
        name: &str,
        replaced: Option<&CertificateDer<'_>>,
    ) -> Result<Zeroizing<String>, Trouble> {
        let replaced = replaced.and_then(|certificate| CertificateIdentifier::try_from(certificate).ok());
        let identifiers = [Identifier::Dns(name.to_owned())];
        if let Some(replaced) = replaced {
            // A courtesy, and no reason to have no certificate: some authorities know no such thing after all.
            let new = NewOrder::new(&identifiers).replaces(replaced);
            match self.place_within(account, &new, name).await {
                Err(trouble) if trouble.is_of_replacing => {}
                ordered => return ordered,
            }
        }
        self.place_within(account, &NewOrder::new(&identifiers), name).await
    }

    async fn place_within(
        &self,
        account: &Account,
        new: &NewOrder<'_>,
        name: &str,
    ) -> Result<Zeroizing<String>, Trouble> {
        let mut token = None;
        let ordered = match timeout(ORDER, self.place(account, new, name, &mut token)).await {
            Ok(ordered) => ordered,
            Err(_) => Err(Trouble::refused(format!("no certificate within {} s", ORDER.as_secs()))),
        };
        if let Some(token) = token {
            self.challenges.hide(name, &token).await;
        }
        ordered
    }

    async fn place(
        &self,
        account: &Account,
        new: &NewOrder<'_>,
        name: &str,
        token: &mut Option<String>,
    ) -> Result<Zeroizing<String>, Trouble> {
        let mut order = self.within(STEP, account.new_order(new)).await?;
        let is_ready = self.prove(&mut order, name, token).await?;
        if !is_ready {
            let status = self.within(STEP * 2, order.poll_ready(&PACE)).await;
            match status {
                Ok(OrderStatus::Ready) => {}
                // The order says little; what was found wrong stands with the challenge.
                Ok(_) => return Err(self.reason(&mut order).await),
                Err(trouble) if trouble.why == Why::Refused => return Err(self.reason(&mut order).await),
                Err(trouble) => return Err(trouble),
            }
        }
        let key = Zeroizing::new(self.within(STEP, order.finalize()).await?);
        let chain = self.within(STEP * 2, order.poll_certificate(&PACE)).await?;
        Ok(Zeroizing::new(format!("{}\n{}", chain.trim_end(), *key)))
    }

    /// Shows that the name is ours, where the authority does not know it. Whether it does.
    async fn prove(
        &self,
        order: &mut Order,
        name: &str,
        token: &mut Option<String>,
    ) -> Result<bool, Trouble> {
        let kind = match self.acme.challenge {
            AcmeChallenge::Http01 => ChallengeType::Http01,
            AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        if order.state().status == OrderStatus::Ready {
            return Ok(true);
        }
        let mut authorizations = order.authorizations();
        // There is one for a name, and the order has one name.
        while let Some(authorization) = timeout(STEP, authorizations.next()).await.map_err(|_| late(STEP))? {
            let mut authorization = authorization.map_err(|error| self.trouble(error))?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                status => {
                    return Err(Trouble::refused(format!("the authorization is {status:?}")));
                }
            }
            let Some(mut challenge) = authorization.challenge(kind.clone()) else {
                return Err(Trouble::new(
                    Why::Refused,
                    format!("the authority offers no {kind:?} for this name"),
                ));
            };
            *token = Some(challenge.token.clone());
            let authorization = challenge.key_authorization();
            let shown = self.challenges.show(name, &challenge.token, authorization.as_str());
            shown.await.map_err(Trouble::of_storage)?;
            self.within(STEP, challenge.set_ready()).await?;
        }
        Ok(false)
    }

    /// Why an order has failed: what the authority found wrong when it looked.
    async fn reason(&self, order: &mut Order) -> Trouble {
        let fallback = order.state().error.as_ref().map(ToString::to_string);
        let mut authorizations = order.authorizations();
        while let Ok(Some(Ok(mut authorization))) = timeout(STEP, authorizations.next()).await {
            let Ok(Ok(state)) = timeout(STEP, authorization.refresh()).await else { break };
            if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
                return self.trouble(Error::Api(problem.clone()));
            }
        }
        let fallback = fallback.unwrap_or_else(|| "the authority refused, and did not say why".to_owned());
        Trouble::refused(told(&fallback))
    }

    /// When the authority wants a certificate to be renewed, and when it is to be asked again. `None` where it has no
    /// opinion.
    pub(super) async fn window(
        &self,
        account: &Account,
        certificate: &CertificateDer<'_>,
    ) -> Result<Option<(Window, Duration)>, Trouble> {
        let Ok(identifier) = CertificateIdentifier::try_from(certificate) else { return Ok(None) };
        match timeout(STEP, account.renewal_info(&identifier)).await {
            Err(_) => Err(late(STEP)),
            Ok(Err(Error::Unsupported(_))) => Ok(None),
            Ok(Err(error)) => Err(self.trouble(error)),
            Ok(Ok((info, again))) => {
                let time = |at: i64| u64::try_from(at).unwrap_or(0).saturating_mul(1_000);
                let window = info.suggested_window;
                let (start, end) = (window.start.unix_timestamp(), window.end.unix_timestamp());
                Ok(Some((Window { start: time(start), end: time(end) }, again)))
            }
        }
    }

    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Trouble> {
        match timeout(limit, work).await {
            Ok(done) => done.map_err(|error| self.trouble(error)),
            Err(_) => Err(late(limit)),
        }
    }

    fn trouble(&self, error: Error) -> Trouble {
        let come_back_in = self.authority.come_back_in();
        let (why, is_of_account) = match &error {
            Error::Api(problem) => {
                let kind = problem.r#type.as_deref().unwrap_or_default();
                let kind = kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or_default();
                match kind {
                    "rateLimited" => (Why::Limited, false),
                    "serverInternal" => (Why::Unreachable, false),
                    "accountDoesNotExist" => (Why::Refused, true),
                    _ => (Why::Refused, false),
                }
            }
            // It went on for too long, and may come of it yet: another order at once would be one more.
            Error::Timeout(_) => (Why::Refused, false),
            _ => (Why::Unreachable, false),
        };
        let is_of_replacing = match &error {
            Error::Api(problem) => {
                problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":alreadyReplaced"))
            }
            Error::Other(error) => error.to_string().starts_with("replaces field mismatch"),
            error => matches!(error, Error::Unsupported(_)),
        };
        Trouble { why, text: told(&error.to_string()), come_back_in, is_of_account, is_of_replacing }
    }
}

fn late(limit: Duration) -> Trouble {
    Trouble::new(Why::Unreachable, format!("the authority has not answered within {} s", limit.as_secs()))
}

/// What somebody else has written, for a line of ours.
fn told(text: &str) -> String {
    let text = text.strip_prefix("API error: ").unwrap_or(text);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_authority_says_stays_one_line() {
        assert_eq!(told("API error: no\r\nsuch\u{1b}[31m name"), "no  such [31m name");
        assert_eq!(told(&"x".repeat(10_000)).len(), MAX_TOLD);
    }
}
