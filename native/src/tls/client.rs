//! What core is told of a client's certificate that was verified in the handshake. Read once a connection; whose it is,
//! core judges.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use tollgate_core::certificate::ClientCertificate;
use x509_parser::{
    asn1_rs::Tag,
    parse_x509_certificate,
    x509::{AttributeTypeAndValue, X509Name},
};

use super::certificate::validity;

/// The facts of a certificate. What can't be read of it stays out, and core lets nobody in by it.
pub(super) fn facts(certificate: &CertificateDer<'_>) -> ClientCertificate {
    let fingerprint = digest(&SHA256, certificate).as_ref().try_into().ok();
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else {
        return ClientCertificate {
            fingerprint,
            subject: String::new(),
            issuer: String::new(),
            serial: String::new(),
            not_before: None,
            not_after: None,
            is_verified: true,
            is_revoked: false,
        };
    };
    let (begin, end) = validity(parsed.validity());
    let mut serial = String::new();
    hex(parsed.raw_serial(), &mut serial);
    ClientCertificate {
        fingerprint,
        subject: name(parsed.subject()),
        issuer: name(parsed.issuer()),
        serial,
        not_before: Some(begin),
        not_after: Some(end),
        // The handshake would have failed otherwise.
        is_verified: true,
        is_revoked: false,
    }
}

/// Attributes by the names that RFC 4514 and, beyond it, OpenSSL give them: from there people copy names.
const NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The text of a name (RFC 4514): what stands last in the certificate stands first.
fn name(name: &X509Name<'_>) -> String {
    let sets: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for (at, set) in sets.iter().rev().enumerate() {
        for (within, attribute) in set.iter().enumerate() {
            match (at, within) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            write_attribute(attribute, &mut text);
        }
    }
    text
}

fn write_attribute(attribute: &AttributeTypeAndValue<'_>, text: &mut String) {
    let id = attribute.attr_type().to_id_string();
    let known = NAMES.iter().find(|(own, _)| *own == id).map(|(_, name)| *name);
    text.push_str(known.unwrap_or(&id));
    text.push('=');
    let value = known.and_then(|_| value(attribute));
    match value {
        Some(value) => escape(&value, text),
        // An attribute without a name is written as it is encoded (§2.4), and so is what is no text.
        None => encoded(attribute, text),
    }
}

fn value(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.attr_value();
    match value.header.tag() {
        Tag::BmpString => {
            let (pairs, odd) = value.data.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            odd.is_empty().then(|| String::from_utf16(&units).ok()).flatten()
        }
        _ => attribute.as_str().ok().map(str::to_owned),
    }
}

fn escape(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            _ if c.is_ascii_control() => {
                let _ = write!(text, "\\{:02X}", u32::from(c));
            }
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            '#' if at == 0 => text.push_str("\\#"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            _ => text.push(c),
        }
    }
}

/// The value as DER, in hexadecimal.
fn encoded(attribute: &AttributeTypeAndValue<'_>, text: &mut String) {
    let value = attribute.attr_value();
    let constructed = u8::from(value.header.is_constructed()) << 5;
    let class = (value.header.class() as u8) << 6;
    let tag = u8::try_from(value.header.tag().0 & 0x1f).unwrap_or_default();
    let length = value.data.len();
    let mut head = vec![class | constructed | tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => head.push(short),
        _ => {
            let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            head.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            head.extend(digits);
        }
    }
    text.push('#');
    hex(&head, text);
    hex(value.data, text);
}

fn hex(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

    use super::*;

    fn subject(attributes: &[(DnType, DnValue)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (name, value) in attributes {
            params.distinguished_name.push(name.clone(), value.clone());
        }
        let key = KeyPair::generate().unwrap();
        facts(params.self_signed(&key).unwrap().der()).subject
    }

    #[test]
    fn a_name_is_written_as_openssl_writes_it() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        assert_eq!(
            subject(&[
                (DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap())),
                (DnType::OrganizationName, text("Example")),
                (DnType::CommonName, text("billing")),
            ]),
            "CN=billing,O=Example,C=DE"
        );
        assert_eq!(subject(&[]), "");
    }

    #[test]
    fn no_value_can_pretend_to_be_more_than_one() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        assert_eq!(subject(&[(DnType::CommonName, text("a,O=Admins+OU=b"))]), "CN=a\\,O=Admins\\+OU=b");
        assert_eq!(subject(&[(DnType::CommonName, text(" #\"\0 "))]), "CN=\\ #\\\"\\00\\ ");
        let bmp = DnValue::BmpString("é,".try_into().unwrap());
        assert_eq!(subject(&[(DnType::CommonName, bmp)]), "CN=é\\,");
    }

    #[test]
    fn what_has_no_name_is_written_as_it_is_encoded() {
        let own = DnType::CustomDnType(vec![1, 2, 3, 4]);
        assert_eq!(subject(&[(own, DnValue::Utf8String("ab".to_owned()))]), "1.2.3.4=#0C026162");
    }

    #[test]
    fn core_reads_every_name_that_is_written() {
        use tollgate_core::policy::mtls::name::DistinguishedName;
        for value in ["plain", " spaced ", "#hash", "a,b+c;d<e>f\"g\\h=i", "new\nline", "Łódź"] {
            let written = subject(&[(DnType::CommonName, DnValue::Utf8String(value.to_owned()))]);
            let read = DistinguishedName::parse(&written).unwrap();
            assert_eq!(read.common_name(), Some(value), "{written}");
        }
    }
}
