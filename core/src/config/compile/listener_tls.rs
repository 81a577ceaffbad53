//! `tls` of a listener compiled: files found and looked at, names read. What is in the files is the host's to use; a
//! private key is only looked at for being one, and forgotten.

use super::Bench;
use crate::{
    config::{
        Host,
        document::{ClientAuth as WrittenAuth, ClientAuthMode, Listener, ListenerTls as Written, Whole},
        node::{Node, Span},
        problem::Problem,
    },
    listener_tls::{CertificateFiles, ClientAuth, ListenerTls},
};

/// What a PEM file has to hold, by the text that begins it, and what to call it.
struct Wanted {
    begin: &'static str,
    what: &'static str,
}

const CERTIFICATE: Wanted = Wanted { begin: "-----BEGIN CERTIFICATE-----", what: "certificate" };
/// Of any kind: `EC PRIVATE KEY`, `RSA PRIVATE KEY` and PKCS #8 end alike.
const KEY: Wanted = Wanted { begin: "PRIVATE KEY-----", what: "private key" };
const CRL: Wanted = Wanted { begin: "-----BEGIN X509 CRL-----", what: "revocation list" };

/// Whether any listener asks clients for certificates. What can't be read may.
pub(super) fn asks_clients(whole: &Whole<'_>) -> bool {
    let listeners = whole.root.get("listeners").map_or(&[][..], Node::items);
    listeners.iter().any(|listener| listener.get("tls").is_some_and(|tls| tls.get("client_auth").is_some()))
}

/// TLS of the listener at `node`. None where it has none, or where something is wrong, which is noted. Workers have no
/// listeners.
pub(super) fn listener_tls(
    written: &Listener,
    node: &Node,
    whole: &Whole<'_>,
    bench: &Bench<'_>,
) -> Option<ListenerTls> {
    let tls = written.tls.as_ref()?;
    let place = node.get("tls").unwrap_or(node);
    if bench.host == Host::Workers {
        return None;
    }
    bench.not_empty(place, "certificates");
    bench.not_empty(place, "acme");
    // All of it is looked at, so that every mistake is told.
    let certificates = certificates(tls, place, bench);
    let acme = acme_names(tls, place, whole, bench);
    let client_auth = match (&tls.client_auth, place.get("client_auth")) {
        (Some(auth), Some(node)) => Some(client_auth(auth, node, bench)),
        _ => None,
    };
    let names_none =
        ["cert_file", "key_file", "certificates", "acme"].iter().all(|key| place.get(key).is_none());
    if names_none {
        bench.miss(Problem::error(place.span, "there is no certificate to show to clients").cure(
            "add `cert_file` and `key_file`, or the names to order one for: `acme: [api.example.com]`",
        ));
    }
    Some(ListenerTls {
        certificates: certificates?,
        acme: acme?,
        strict_sni: tls.strict_sni,
        profile: tls.profile,
        client_auth: match client_auth {
            Some(auth) => Some(auth?),
            None => None,
        },
        session_tickets: tls.session_tickets,
        place: told(place.span, bench),
    })
}

fn certificates(tls: &Written, place: &Node, bench: &Bench<'_>) -> Option<Vec<CertificateFiles>> {
    let short = match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Some(pair(cert, key, place, bench)),
        (None, None) => None,
        (Some(_), None) => {
            lacks(place, "cert_file", "key_file", bench);
            Some(None)
        }
        (None, Some(_)) => {
            lacks(place, "key_file", "cert_file", bench);
            Some(None)
        }
    };
    let listed: Vec<_> = place
        .members("certificates", &tls.certificates)
        .map(|(files, node)| pair(&files.cert_file, &files.key_file, node, bench))
        .collect();
    short.into_iter().chain(listed).collect()
}

fn lacks(place: &Node, there: &str, missing: &str, bench: &Bench<'_>) {
    let problem =
        Problem::error(place.span_of(there), format!("this `{there}` has no `{missing}` beside it"));
    bench.note(problem.cure(format!("add `{missing}`: a certificate is of use only together with its key")));
}

fn pair(cert: &str, key: &str, node: &Node, bench: &Bench<'_>) -> Option<CertificateFiles> {
    let cert_file = file(cert, node.get("cert_file").unwrap_or(node), &CERTIFICATE, bench);
    let key_file = file(key, node.get("key_file").unwrap_or(node), &KEY, bench);
    Some(CertificateFiles {
        cert_file: cert_file?,
        key_file: key_file?,
        place: told(node.span_of("cert_file"), bench),
    })
}

fn client_auth(auth: &WrittenAuth, node: &Node, bench: &Bench<'_>) -> Option<ClientAuth> {
    bench.not_empty(node, "ca_file");
    bench.not_empty(node, "crl_file");
    let files = |key: &str, names: &[String], wanted: &Wanted| -> Option<Vec<String>> {
        let found: Vec<_> =
            node.members(key, names).map(|(name, node)| file(name, node, wanted, bench)).collect();
        found.into_iter().collect()
    };
    let ca_files = files("ca_file", auth.ca_file.as_slice(), &CERTIFICATE);
    let crl_files = files("crl_file", auth.crl_file.as_slice(), &CRL);
    Some(ClientAuth {
        required: auth.mode == ClientAuthMode::Required,
        ca_files: ca_files?,
        crl_files: crl_files?,
        place: told(node.span, bench),
    })
}

/// The name of a file that holds what is wanted.
fn file(name: &str, node: &Node, wanted: &Wanted, bench: &Bench<'_>) -> Option<String> {
    let path = bench.beside(node.span, name);
    // It may be a key, also where none is wanted.
    let text = match bench.files.look(&path) {
        Ok(text) => text,
        Err(error) => {
            bench.note(Problem::error(node.span, format!("this file can't be read: {error}")));
            return None;
        }
    };
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        bench.note(
            Problem::error(
                node.span,
                "the private key in this file is encrypted, and nobody could unlock it",
            )
            .cure("write it out in plain, readable by the gateway alone: `openssl pkey -in KEY -out PLAIN`"),
        );
        return None;
    }
    if text.contains(wanted.begin) {
        return Some(path);
    }
    let problem = Problem::error(node.span, format!("this file holds no {} in PEM form", wanted.what));
    let other = [CERTIFICATE, KEY, CRL].into_iter().find(|other| text.contains(other.begin));
    bench.note(match other {
        Some(other) => problem.cure(format!("it holds a {}: are two names mixed up?", other.what)),
        None => problem.cure("convert it: `openssl x509`, `openssl pkey` and `openssl crl` write PEM"),
    });
    None
}

fn acme_names(tls: &Written, place: &Node, whole: &Whole<'_>, bench: &Bench<'_>) -> Option<Vec<String>> {
    if let Some(node) = place.get("acme").filter(|_| !tls.acme.is_empty() && whole.root.get("acme").is_none())
    {
        bench.miss(
            Problem::error(node.span, "certificates are to be ordered, and nothing says where")
                .cure("say so at the top: `acme: {terms_agreed: true, folder: /var/lib/tollgate/acme}`"),
        );
    }
    let mut names: Vec<String> = Vec::new();
    let mut whole = true;
    for (name, node) in place.members("acme", &tls.acme) {
        match acme_name(name) {
            Ok(name) if names.contains(&name) => {
                bench.note(Problem::error(node.span, format!("`{}` stands here twice", node.shown())));
                whole = false;
            }
            Ok(name) => names.push(name),
            Err((why, cure)) => {
                bench.note(Problem::error(node.span, format!("`{}` {why}", node.shown())).cure(cure));
                whole = false;
            }
        }
    }
    whole.then_some(names)
}

fn acme_name(written: &str) -> Result<String, (&'static str, &'static str)> {
    if written.starts_with("*.") {
        return Err((
            "is a wildcard, for which certificates are not ordered: authorities want a DNS record for it",
            "list the names one by one, or bring a certificate in `cert_file`",
        ));
    }
    if is_public(written) {
        return Ok(written.to_ascii_lowercase());
    }
    Err((
        "is no name that a certificate can be ordered for",
        "write a public name without port, such as `api.example.com`",
    ))
}

/// Whether it is a name of several labels (RFC 1123 §2.1), the last of which is no number: that would be an address.
fn is_public(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let last = name.rsplit_once('.').map(|(_, last)| last);
    name.len() <= 253
        && name.split('.').all(is_label)
        && last.is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}

fn told(span: Span, bench: &Bench<'_>) -> String {
    let file = bench.sources.get(span.file).map_or("", |source| source.name.as_str());
    format!("{file}:{}", span.line)
}
