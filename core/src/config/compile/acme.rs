//! `acme` compiled: the authority, where things are kept, and the names that listeners want certificates for. Whether
//! those are names at all, their listeners are told where they are read.

use std::collections::BTreeSet;

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use super::Bench;
use crate::{
    acme::{self, Acme, AcmeChallenge, ExternalAccount, Kept, LETS_ENCRYPT},
    config::{
        Host,
        document::{Acme as Written, StoreType, Whole},
        node::Node,
        problem::Problem,
        services,
    },
    route::normalised_host,
};

pub(super) fn acme(whole: &Whole<'_>, bench: &Bench<'_>) -> Option<Acme> {
    let (written, node) = (whole.top.acme.as_ref()?, whole.root.get("acme")?);
    if bench.host == Host::Workers {
        let message = "`acme` has no effect on Workers, where the platform orders certificates itself";
        bench.note(Problem::note(node.span, message));
        return None;
    }
    bench.not_blank(node, &["directory_url", "contact", "folder", "ca_file"]);
    let names = names(whole);
    if names.is_empty() {
        bench.note(
            Problem::note(node.span, "no listener names anything that certificates would be ordered for")
                .cure("add `acme: [api.example.com]` to the `tls` of a listener, or leave `acme` out"),
        );
    } else if !written.terms_agreed {
        let message = "nothing is ordered before you agree to the authority's terms";
        bench.note(
            Problem::error(node.span_of("terms_agreed"), message)
                .cure("read them (the directory names their address), and write `terms_agreed: true`"),
        );
    }
    check_ports(whole, written, node, &names, bench);
    let directory_url = directory(written, node, bench);
    let contact = contact(written, node, bench);
    let kept = kept(whole, written, node, bench);
    let external_account = external_account(written, node, bench);
    let Ok(authorities) = authorities(written, node, bench) else { return None };
    let acme = Acme {
        directory_url: directory_url?,
        contact: contact?,
        challenge: written.challenge,
        kept: kept?,
        external_account: external_account?,
        names,
        authorities,
    };
    (!acme.names.is_empty() && written.terms_agreed).then_some(acme)
}

fn directory(written: &Written, node: &Node, bench: &Bench<'_>) -> Option<String> {
    let url = written.directory_url.as_deref().unwrap_or(LETS_ENCRYPT);
    match acme::endpoint(url, None) {
        Ok(_) => Some(url.to_owned()),
        // That it is empty was just said.
        Err(_) if url.is_empty() => None,
        Err(why) => {
            bench.note(
                Problem::error(node.span_of("directory_url"), format!("this is no directory: {why}"))
                    .cure(format!("write an `https:` URL, such as `{LETS_ENCRYPT}`")),
            );
            None
        }
    }
}

/// What listeners want certificates for. What is no name is complained of there.
fn names(whole: &Whole<'_>) -> Vec<String> {
    let listeners = whole.top.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let names = listeners.flat_map(|tls| &tls.acme).filter_map(|name| normalised_host(name));
    let names: BTreeSet<_> = names.map(std::borrow::Cow::into_owned).collect();
    names.into_iter().filter(|name| !name.contains('*')).collect()
}

/// An authority asks on port 80 without TLS where that is what it is to find.
fn check_ports(whole: &Whole<'_>, written: &Written, node: &Node, names: &[String], bench: &Bench<'_>) {
    let is_plain =
        whole.top.listeners.iter().any(|listener| listener.tls.is_none() && listener.tcp.is_none());
    if written.challenge == AcmeChallenge::Http01 && !names.is_empty() && !is_plain {
        let message = "for `Http01` the authority asks on port 80 without TLS, where no listener answers";
        bench.note(Problem::note(node.span_of("challenge"), message).cure(
            "add a listener, such as `{address: \"[::]:80\"}`, unless something in front brings it here",
        ));
    }
}

fn contact(written: &Written, node: &Node, bench: &Bench<'_>) -> Option<Vec<String>> {
    let mut good = true;
    for (contact, node) in node.members("contact", written.contact.as_slice()) {
        let address = contact.strip_prefix("mailto:").unwrap_or_default();
        // Neither header fields nor several addresses in one (RFC 8555 §7.3).
        let is_address =
            address.split_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty())
                && !address.contains(['?', ','])
                && address.chars().all(|c| c.is_ascii_graphic());
        if !is_address && !contact.is_empty() {
            bench.note(
                Problem::error(node.span, format!("`{}` is no address to write to", node.shown()))
                    .cure("write `mailto:` and one address, such as `mailto:ops@example.com`"),
            );
        }
        good &= is_address;
    }
    good.then(|| written.contact.as_slice().to_vec())
}

fn kept(whole: &Whole<'_>, written: &Written, node: &Node, bench: &Bench<'_>) -> Option<Kept> {
    let is_shared = whole.top.store.r#type == StoreType::Redis;
    match (&written.folder, written.in_store) {
        (Some(_), true) => {
            let problem = Problem::error(node.span_of("in_store"), "certificates are kept in one place");
            bench.note(
                problem
                    .related(node.span_of("folder"), "the other one is here")
                    .cure("leave one of `folder` and `in_store` out"),
            );
            None
        }
        (Some(folder), false) => Some(Kept::Folder(bench.beside(node.span_of("folder"), folder))),
        (None, true) if is_shared => Some(Kept::Store),
        (None, true) => {
            bench.note(
                Problem::error(
                    node.span_of("in_store"),
                    "the store is this process's memory, and keeps nothing",
                )
                .cure("write `store: {type: Redis, url: \"${REDIS_URL}\"}` at the top, or use a `folder`"),
            );
            None
        }
        (None, false) => {
            bench.note(
                Problem::error(node.span, "where certificates and their keys are kept is not said")
                    .cure("add `folder: /var/lib/tollgate/acme`, on a disk that outlives the gateway, or `in_store: true`"),
            );
            None
        }
    }
}

/// The key is never quoted.
fn external_account(written: &Written, node: &Node, bench: &Bench<'_>) -> Option<Option<ExternalAccount>> {
    let Some(account) = &written.external_account else { return Some(None) };
    let node = node.get("external_account").unwrap_or(node);
    bench.not_blank(node, &["key_id", "hmac_key"]);
    let text = account.hmac_key.reveal().trim_end_matches('=');
    if account.key_id.is_empty() || text.is_empty() {
        return None;
    }
    // Some authorities give it in the other alphabet.
    let text = Zeroizing::new(text.replace('+', "-").replace('/', "_"));
    let Ok(hmac_key) = Base64UrlUnpadded::decode_vec(&text) else {
        bench.note(
            Problem::error(node.span_of("hmac_key"), "this key is not in base64url")
                .cure("write it as the authority gives it: letters, digits, `-` and `_`"),
        );
        return None;
    };
    Some(Some(ExternalAccount { key_id: account.key_id.clone(), hmac_key: Zeroizing::new(hmac_key) }))
}

fn authorities(written: &Written, node: &Node, bench: &Bench<'_>) -> Result<Option<std::sync::Arc<str>>, ()> {
    let Some(name) = written.ca_file.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
    let span = node.span_of("ca_file");
    let read = services::authorities(bench.files, &bench.beside(span, name));
    read.map(Some).map_err(|what| bench.note(Problem::error(span, what)))
}
