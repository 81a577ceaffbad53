//! What a case takes out of one answer to say it again later: a cookie, a `state` out of a `Location`. No two hosts
//! make up the same, so wherever such a text shows again, its name is shown.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use crate::{
    case::{
        request::Signed,
        script::{Answer, Kind, Script},
        text::{Content, Fields},
    },
    observed::Raw,
    play::{Sending, Sent},
    setting,
    token::token,
};

/// Where a text is taken from, as cases write it.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// The field of the answer; of several lines, the first that holds `after`.
    pub header: Option<String>,
    /// An upstream: of what it was sent, the last that holds `after`.
    pub upstream: Option<String>,
    /// What stands before the text; its beginning when absent.
    #[serde(default)]
    pub after: String,
    /// What stands behind it; its end when absent.
    pub before: Option<String>,
}

/// The texts by name, those among them that are known from the beginning: where upstreams are.
#[derive(Debug, Default)]
pub struct Captured(BTreeMap<String, String>);

impl Captured {
    /// Nothing but where upstreams are.
    pub fn new(urls: &BTreeMap<String, String>) -> Self {
        Self(urls.iter().map(|(name, url)| (setting::variable(name), url.clone())).collect())
    }

    /// Takes what a request's answer is to give, and tells it in `raw`.
    pub fn take(&mut self, sending: &Sending, raw: &mut Raw) -> Result<(), String> {
        for (name, capture) in &*sending.capture {
            let found = capture
                .find(raw)
                .ok_or_else(|| format!("{}: there is nothing to be captured as `{name}`", sending.place))?;
            self.0.insert(name.clone(), found);
        }
        let made_up = self.0.iter().filter(|(name, text)| !name.starts_with("UPSTREAM_") && !text.is_empty());
        raw.captured = made_up.map(|(name, text)| (text.clone(), format!("<{name}>"))).collect();
        // A text within another is replaced after it.
        raw.captured.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Ok(())
    }

    /// A request in which texts stand for their names.
    pub fn sent(&self, sent: &Arc<Sent>) -> Arc<Sent> {
        let asks = |text: &str| text.contains("${");
        if !asks(&sent.target) && !sent.headers.iter().any(|(_, value)| asks(value)) {
            return sent.clone();
        }
        Arc::new(Sent {
            method: sent.method.clone(),
            target: self.fill(&sent.target),
            headers: sent.headers.iter().map(|(name, value)| (name.clone(), self.fill(value))).collect(),
            pieces: sent.pieces.clone(),
            peer: sent.peer,
            certificate: sent.certificate.clone(),
            trailers: sent.trailers.clone(),
            over: sent.over,
        })
    }

    /// The same of what upstreams answer, with tokens signed at `now`.
    pub fn scripts(
        &self,
        scripts: &BTreeMap<String, Script>,
        now: u64,
    ) -> Result<BTreeMap<String, Script>, String> {
        let script = |Script(answers): &Script| {
            let answers = answers.iter().map(|answer| self.answer(answer, now));
            answers.collect::<Result<_, _>>().map(Script)
        };
        scripts.iter().map(|(name, own)| Ok((name.clone(), script(own)?))).collect()
    }

    fn answer(&self, answer: &Answer, now: u64) -> Result<Answer, String> {
        let kind = match &answer.kind {
            Kind::Fixed(Some(Content::Text(text))) => Kind::Fixed(Some(Content::Text(self.fill(text)))),
            Kind::Fixed(Some(Content::Json(value))) => Kind::Fixed(Some(Content::Json(self.filled(value)))),
            Kind::IdToken(signed) => {
                let claims: Map<String, Value> =
                    signed.claims.iter().map(|(name, value)| (name.clone(), self.filled(value))).collect();
                let token = token(&Signed { claims, lies: signed.lies.clone() }, now)?;
                Kind::Fixed(Some(Content::Json(json!({
                    "access_token": "opaque", "token_type": "Bearer", "expires_in": 3600, "id_token": token,
                }))))
            }
            other => other.clone(),
        };
        let fields = answer.headers.0.iter().map(|(name, value)| (name.clone(), self.fill(value)));
        Ok(Answer { kind, headers: Fields(fields.collect()), ..answer.clone() })
    }

    fn fill(&self, text: &str) -> String {
        if !text.contains("${") {
            return text.to_owned();
        }
        self.0
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
    }

    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fill(text).into(),
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.filled(value))).collect()
            }
            other => other.clone(),
        }
    }
}

impl Capture {
    fn find(&self, raw: &Raw) -> Option<String> {
        let texts: Vec<&str> = match (&self.header, &self.upstream) {
            (Some(header), _) => {
                let lines = raw.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header));
                lines.map(|(_, value)| value.as_str()).collect()
            }
            (None, Some(upstream)) => {
                let seen = raw.seen.iter().rev().filter(|(name, _)| name == upstream);
                seen.filter_map(|(_, seen)| str::from_utf8(&seen.body).ok()).collect()
            }
            (None, None) => Vec::new(),
        };
        texts.iter().find_map(|text| {
            let (_, rest) = text.split_once(&self.after)?;
            let end = self.before.as_ref().and_then(|before| rest.find(before.as_str()));
            rest.get(..end.unwrap_or(rest.len())).map(str::to_owned)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_between_two_others() {
        let headers = [("set-cookie", "a=1; x"), ("set-cookie", "b=2"), ("location", "/?state=s&nonce=n")];
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let raw = Raw { headers: headers.iter().map(own).collect(), ..Raw::default() };
        let find = |text: &str| serde_saphyr::from_str::<Capture>(text).unwrap().find(&raw);
        assert_eq!(find("{header: Location, after: state=, before: '&'}").as_deref(), Some("s"));
        assert_eq!(find("{header: location, after: nonce=, before: '&'}").as_deref(), Some("n"));
        assert_eq!(find("{header: set-cookie, after: b=}").as_deref(), Some("2"));
        assert_eq!(find("{header: set-cookie, before: ;}").as_deref(), Some("a=1"));
        assert_eq!(find("{header: set-cookie, after: c=}"), None);
    }
}
