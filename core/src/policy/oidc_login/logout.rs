//! Where a browser goes that was logged out (OpenID Connect RP-Initiated Logout 1.0 §2).

use super::{OidcLogin, form::form};

impl OidcLogin {
    /// Where to, if anywhere; `end_session` is where the provider logs people out.
    pub(crate) fn departure(&self, end_session: Option<&str>) -> Option<String> {
        let after = self.after_logout.as_deref();
        let Some(endpoint) = end_session else { return after.map(str::to_owned) };
        let absolute = after.map(|after| match after.starts_with('/') {
            true => format!("{}{after}", self.origin),
            false => after.to_owned(),
        });
        let mut pairs = vec![("client_id", self.client_id.as_str())];
        pairs.extend(absolute.as_deref().map(|after| ("post_logout_redirect_uri", after)));
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        Some(format!("{endpoint}{separator}{}", form(&pairs)))
    }
}
