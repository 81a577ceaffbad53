//! Requests signed as cases describe it (RFC 9421, `hmac-sha256`). Written apart from what the gateway checks
//! signatures with, so that the two can disagree.

use aws_lc_rs::{digest, hmac};
use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde_json::Value;

use crate::{play::Sent, span};

/// How a request is signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// The `keyid`.
    pub key: String,
    /// The secret: a text, or after `base64:` what it decodes to.
    pub secret: String,
    /// What is covered: names, or whole identifiers that begin with a quote.
    #[serde(default)]
    pub components: Option<Vec<String>>,
    /// The label.
    #[serde(default = "label")]
    pub label: String,
    /// When it was made: seconds since 1970, or relative to the clock; `null` leaves it out.
    #[serde(default = "at_once")]
    pub created: Value,
    /// When it ends, likewise.
    #[serde(default)]
    pub expires: Value,
    /// The algorithm that it names.
    #[serde(default)]
    pub alg: Option<String>,
    /// The tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// The method that is signed instead of the one that is sent.
    #[serde(default)]
    pub method: Option<String>,
    /// The target that is signed instead of the one that is sent.
    #[serde(default)]
    pub path: Option<String>,
}

fn label() -> String {
    "sig1".to_owned()
}

fn at_once() -> Value {
    "+0s".into()
}

impl Signing {
    /// Adds the signature to a request, made at `now`, and before it the digest of the body where that is covered.
    pub fn sign(&self, sent: &mut Sent, now: u64) -> Result<(), String> {
        let components = self.components(sent);
        let has_digest = sent.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-digest"));
        if components.iter().any(|name| name == "content-digest") && !has_digest {
            let digest = digest::digest(&digest::SHA256, &sent.pieces.concat());
            let value = format!("sha-256=:{}:", Base64::encode_string(digest.as_ref()));
            sent.headers.push(("content-digest".to_owned(), value));
        }
        let mut base = String::new();
        let mut identifiers = Vec::new();
        for name in &components {
            let identifier = if name.starts_with('"') { name.clone() } else { format!("\"{name}\"") };
            base.push_str(&format!("{identifier}: {}\n", self.value(sent, name)));
            identifiers.push(identifier);
        }
        let mut parameters = format!("({})", identifiers.join(" "));
        for (name, at) in [("created", &self.created), ("expires", &self.expires)] {
            if let Some(seconds) = moment(at, now)? {
                parameters.push_str(&format!(";{name}={seconds}"));
            }
        }
        parameters.push_str(&format!(";keyid=\"{}\"", self.key));
        for (name, text) in [("alg", &self.alg), ("tag", &self.tag)] {
            if let Some(text) = text {
                parameters.push_str(&format!(";{name}=\"{text}\""));
            }
        }
        base.push_str(&format!("\"@signature-params\": {parameters}"));
        let secret = match self.secret.strip_prefix("base64:") {
            Some(text) => Base64::decode_vec(text).map_err(|_| "the secret is no base64".to_owned())?,
            None => self.secret.clone().into_bytes(),
        };
        let signed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), base.as_bytes());
        let (label, signature) = (&self.label, Base64::encode_string(signed.as_ref()));
        sent.headers.push(("signature-input".to_owned(), format!("{label}={parameters}")));
        sent.headers.push(("signature".to_owned(), format!("{label}=:{signature}:")));
        Ok(())
    }

    /// What every signature of the gateway's default has to cover.
    fn components(&self, sent: &Sent) -> Vec<String> {
        let given = self.components.clone();
        given.unwrap_or_else(|| {
            let digest = (!sent.pieces.is_empty()).then_some("content-digest");
            ["@method", "@authority", "@path", "@query"]
                .into_iter()
                .chain(digest)
                .map(str::to_owned)
                .collect()
        })
    }

    fn value(&self, sent: &Sent, name: &str) -> String {
        let target = self.path.as_deref().unwrap_or(&sent.target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let field = |name: &str| {
            let lines = sent.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
            lines.map(|(_, value)| value.trim()).collect::<Vec<_>>().join(", ")
        };
        match name {
            "@method" => self.method.clone().unwrap_or_else(|| sent.method.clone()),
            "@authority" => field("host"),
            "@scheme" => "http".to_owned(),
            "@path" => path.to_owned(),
            "@query" => format!("?{query}"),
            "@target-uri" => format!("http://{}{target}", field("host")),
            other => field(other),
        }
    }
}

fn moment(at: &Value, now: u64) -> Result<Option<i64>, String> {
    match at {
        Value::Null => Ok(None),
        Value::Number(seconds) => Ok(seconds.as_i64()),
        Value::String(text) => {
            let offset =
                span::offset(text).ok_or_else(|| format!("`{text}` is no time relative to the clock"))?;
            Ok(i64::try_from(now.saturating_add_signed(offset) / 1000).ok())
        }
        _ => Err("a moment is a number of seconds, or relative to the clock".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_standard() {
        // RFC 9421 Appendix B.2.5.
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut sent = Sent {
            method: "POST".to_owned(),
            target: "/foo?param=Value&Pet=dog".to_owned(),
            headers: vec![
                field("Host", "example.com"),
                field("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
                field("Content-Type", "application/json"),
            ],
            pieces: Vec::new(),
            peer: [127, 0, 0, 1].into(),
            certificate: None,
            trailers: Vec::new(),
            over: Default::default(),
        };
        let secret =
            "base64:uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
        let signing: Signing = serde_json::from_value(serde_json::json!({
            "key": "test-shared-secret", "secret": secret, "label": "sig-b25", "created": 1_618_884_473,
            "components": ["date", "@authority", "content-type"],
        }))
        .unwrap();
        signing.sign(&mut sent, 0).unwrap();
        assert_eq!(sent.field("signature"), Some("sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"));
    }
}
