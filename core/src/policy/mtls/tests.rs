//! Whose certificates are admitted, and which are not.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const AGENTS: &str = "CN=Agents CA,O=Example";

fn name(text: &str) -> DistinguishedName {
    DistinguishedName::parse(text).unwrap()
}

fn known(subject: &str, expires_at: Option<Timestamp>) -> Known {
    let identity = Identity::of_key(subject, &[], Map::new(), &[]).unwrap();
    Known { identity: identity.into(), expires_at, by_issuer: false }
}

fn policy(identity_from: IdentityFrom) -> Mtls {
    let issuer =
        Issuer { name: name(AGENTS), identity_from, roles: vec!["agent".to_owned()], metadata: Map::new() };
    let of = |issuer: Option<&str>, subject| Named {
        subject: name("CN=x,O=b"),
        issuer: issuer.map(name),
        known: known(subject, None),
    };
    Mtls::new(
        HashMap::from([([1; 32], known("pinned", None)), ([2; 32], known("for a while", Some(500)))]),
        vec![of(Some("CN=Root"), "of the root"), of(None, "of anybody")],
        vec![issuer],
        vec![("certificate_serial".to_owned(), HeaderName::from_static("x-serial"))],
    )
}

fn certificate(fingerprint: u8, subject: &str, issuer: &str) -> ClientCertificate {
    ClientCertificate {
        fingerprint: Some([fingerprint; 32]),
        subject: subject.to_owned(),
        issuer: issuer.to_owned(),
        serial: "0A".to_owned(),
        not_before: Some(100),
        not_after: Some(1_000),
        is_verified: true,
        is_revoked: false,
    }
}

fn user(policy: &Mtls, certificate: &ClientCertificate) -> Result<String, CertificateFault> {
    policy.admit(certificate, 400).map(|(known, _)| known.identity.subject.clone())
}

#[wasm_bindgen_test(unsupported = test)]
fn what_says_most_about_a_certificate_decides() {
    let policy = policy(IdentityFrom::CommonName);
    for (certificate, wanted) in [
        (certificate(1, "CN=x,O=b", AGENTS), "pinned"),
        (certificate(3, "cn=x,o=b", "CN=Root"), "of the root"),
        (certificate(4, "CN=x,O=b", AGENTS), "of anybody"),
        (certificate(5, "CN=a-7,O=b", "cn=Agents CA,o=Example"), "a-7"),
    ] {
        assert_eq!(user(&policy, &certificate).as_deref(), Ok(wanted));
        // And again, from memory.
        assert_eq!(user(&policy, &certificate).as_deref(), Ok(wanted));
    }
    for (subject, issuer) in [
        ("CN=X,O=b", "CN=Root"),
        ("O=b,CN=x", "CN=Root"),
        ("CN=y", "O=Example,CN=Agents CA"),
        ("CN=y", "CN=agents CA,O=Example"),
        ("CN=y", "CN=Agents CA,O=Example,C=CH"),
    ] {
        assert_eq!(user(&policy, &certificate(9, subject, issuer)), Err(CertificateFault::Unknown));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_certificate_is_good_only_if_verified_valid_and_not_revoked_remembered_or_not() {
    let policy = policy(IdentityFrom::CommonName);
    let good = certificate(1, "CN=x", "CN=y");
    assert!(policy.admit(&good, 400).is_ok());
    let cases = [
        (ClientCertificate { is_verified: false, ..good.clone() }, CertificateFault::Unverified),
        (ClientCertificate { is_revoked: true, ..good.clone() }, CertificateFault::Revoked),
        (ClientCertificate { fingerprint: None, ..good.clone() }, CertificateFault::Unreadable),
        (ClientCertificate { not_before: None, ..good.clone() }, CertificateFault::Unreadable),
        (ClientCertificate { not_after: None, ..good.clone() }, CertificateFault::Unreadable),
        (certificate(8, "CN=x", "no name"), CertificateFault::Unreadable),
        (certificate(8, "CN = x", AGENTS), CertificateFault::Unreadable),
    ];
    for (certificate, wanted) in cases {
        assert_eq!(user(&policy, &certificate), Err(wanted));
    }
    for (now, wanted) in [
        (99, Some(CertificateFault::NotYetValid)),
        (100, None),
        (1_000, None),
        (1_001, Some(CertificateFault::Expired)),
    ] {
        assert_eq!(policy.admit(&good, now).err(), wanted, "{now}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn whoever_is_not_known_any_more_is_let_in_by_no_issuer_either() {
    let policy = policy(IdentityFrom::CommonName);
    let certificate = certificate(2, "CN=a", AGENTS);
    assert_eq!(policy.admit(&certificate, 499).unwrap().1, 500);
    assert_eq!(policy.admit(&certificate, 500).err(), Some(CertificateFault::Ended));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_issuer_says_who_its_clients_are_and_is_part_of_that() {
    let certificate = certificate(7, "OU=q+CN=a\\,b,O=c", AGENTS);
    for (from, wanted) in [
        (IdentityFrom::CommonName, "a,b".to_owned()),
        (IdentityFrom::Subject, "CN=a\\,b+OU=q,O=c".to_owned()),
        (IdentityFrom::Fingerprint, format!("sha256:{}", "07".repeat(32))),
    ] {
        let (known, end) = policy(from).admit(&certificate, 400).unwrap();
        assert_eq!((&known.identity.subject, end), (&wanted, 1_000));
        assert_eq!(known.identity.roles, ["agent"]);
        assert!(known.identity.key.starts_with("certificate:CN=Agents%20CA%2CO=Example|"));
        assert_eq!(known.identity.claims["iss"], AGENTS);
        assert_eq!(known.identity.headers.last().unwrap().1, "0A");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_certificate_that_does_not_name_its_holder_is_nobodys() {
    let policy = policy(IdentityFrom::CommonName);
    for subject in ["", "O=c", "CN=", "CN=a,CN=b"] {
        let certificate = certificate(7, subject, AGENTS);
        assert_eq!(user(&policy, &certificate), Err(CertificateFault::Nameless), "{subject}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_proves_nothing_is_not_remembered() {
    let policy = policy(IdentityFrom::CommonName);
    for certificate in [certificate(9, "CN=a", "CN=another"), certificate(9, "O=nameless", AGENTS)] {
        assert!(policy.admit(&certificate, 400).is_err());
        assert!(policy.recent.get(&[9; 32]).is_none());
    }
}
