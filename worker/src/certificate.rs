//! The client's certificate, as Cloudflare tells of it: the JSON of `request.cf.tlsClientAuth`. What can't be read is
//! left out or taken for the worse; core decides.

use std::sync::Arc;

use serde_json::Value;
use tollgate_core::{certificate::ClientCertificate, config::instant::instant, host::Timestamp};

/// Reads what JavaScript hands over where a certificate was presented.
pub(crate) fn told(json: &[u8]) -> Arc<ClientCertificate> {
    let fields: Value = serde_json::from_slice(json).unwrap_or_default();
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    ClientCertificate {
        fingerprint: ClientCertificate::read_fingerprint(text("certFingerprintSHA256")),
        subject: text("certSubjectDNRFC2253").to_owned(),
        issuer: text("certIssuerDNRFC2253").to_owned(),
        serial: text("certSerial").to_owned(),
        not_before: moment(text("certNotBefore")),
        not_after: moment(text("certNotAfter")),
        // Nothing but this word says so: there are `FAILED:…` and `NONE`, and there may be others.
        is_verified: text("certVerified") == "SUCCESS",
        is_revoked: text("certRevoked") != "0",
    }
    .into()
}

/// `Dec 22 19:39:00 2025 GMT`, or `Dec  2 …`, as OpenSSL prints it.
fn moment(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_ascii_whitespace();
    let (month, day, time) = (words.next()?, words.next()?, words.next()?);
    let (year, zone, end) = (words.next()?, words.next()?, words.next());
    if zone != "GMT" || end.is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    instant(&format!("{year}-{month}-{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As Cloudflare's documentation shows it.
    fn presented(more: Value) -> Vec<u8> {
        let mut fields = json!({
            "certPresented": "1",
            "certVerified": "SUCCESS",
            "certRevoked": "0",
            "certIssuerDN": "O=Example,CN=Agents CA",
            "certSubjectDN": "O=Example,CN=a",
            "certIssuerDNRFC2253": "CN=Agents CA,O=Example",
            "certSubjectDNRFC2253": "CN=a,O=Example",
            "certSerial": "00936EACBE07F201DF",
            "certFingerprintSHA256": "0a".repeat(32),
            "certFingerprintSHA1": "6b".repeat(20),
            "certNotBefore": "Dec 22 19:39:00 2025 GMT",
            "certNotAfter": "Jan  2 03:04:05 2030 GMT",
        });
        let more = more.as_object().unwrap().clone();
        fields.as_object_mut().unwrap().extend(more);
        fields.to_string().into()
    }

    #[test]
    fn a_certificate_is_what_the_platform_tells() {
        assert_eq!(
            *told(&presented(json!({}))),
            ClientCertificate {
                fingerprint: Some([0x0a; 32]),
                subject: "CN=a,O=Example".to_owned(),
                issuer: "CN=Agents CA,O=Example".to_owned(),
                serial: "00936EACBE07F201DF".to_owned(),
                not_before: instant("2025-12-22T19:39:00Z"),
                not_after: instant("2030-01-02T03:04:05Z"),
                is_verified: true,
                is_revoked: false,
            }
        );
    }

    #[test]
    fn only_one_word_says_that_a_certificate_is_verified_and_only_one_that_it_is_not_revoked() {
        for word in ["", "success", "SUCCESS ", "FAILED:unable to get issuer", "NONE", "1", "SUCCESS:x"] {
            assert!(!told(&presented(json!({"certVerified": word}))).is_verified, "{word}");
        }
        for word in [json!("1"), json!(""), json!("false"), json!("00"), json!(0), json!(null), json!(false)]
        {
            assert!(told(&presented(json!({"certRevoked": word}))).is_revoked, "{word}");
        }
        for bad in ["", "null", "[]", "{", "{}"] {
            let nothing = told(bad.as_bytes());
            assert!(!nothing.is_verified && nothing.is_revoked && nothing.fingerprint.is_none(), "{bad}");
        }
    }

    #[test]
    fn a_time_that_is_not_as_it_should_be_is_none() {
        for text in [
            "",
            "Dec 22 19:39:00 2025",
            "Dec 22 19:39:00 2025 CET",
            "Dec 22 19:39:00 2025 GMT x",
            "December 22 19:39:00 2025 GMT",
            "dec 22 19:39:00 2025 GMT",
            "Dec 0 19:39:00 2025 GMT",
            "Dec 22 19:39 2025 GMT",
            "Dec 22 24:39:00 2025 GMT",
            "2025-12-22T19:39:00Z",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
