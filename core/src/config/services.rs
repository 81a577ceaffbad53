//! Services compiled: endpoints from URLs, trust from files, and URLs of policies to the services they name.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderValue, Uri, uri::Authority};
use sha2::{Digest, Sha256};

use super::{
    Files, Host,
    decode::Findings,
    document::{Item, Service as Written},
    node::{Node, Span},
    problem::Problem,
};
use crate::{
    remote::Remote,
    upstream::{Endpoint, Patience, Service, Tls},
};

/// All services that the configuration declares or implies.
pub(super) struct Services {
    declared: HashMap<String, Arc<Service>>,
    implied: HashMap<String, Arc<Service>>,
}

impl Services {
    pub(super) fn compile(
        written: &[(String, Item<'_, Written>)],
        folder: &dyn Fn(Span, &str) -> String,
        files: &dyn Files,
        host: Host,
        findings: &Findings,
    ) -> Self {
        let mut declared = HashMap::new();
        for (name, item) in written {
            let tls = trust(item, folder, files, host, findings);
            let mut endpoints = Vec::new();
            let list = item.node.get("endpoints").map_or(&[][..], Node::items);
            for (endpoint, node) in item.value.endpoints.iter().zip(list) {
                match endpoint_of(endpoint.url(), &tls) {
                    Ok(endpoint) => endpoints.push(endpoint),
                    Err(why) => {
                        let node = node.get("url").unwrap_or(node);
                        findings.push(
                            Problem::error(node.span, format!("this is no endpoint: {why}"))
                                .cure("write `http://host:port` or `https://host`, with a path if need be"),
                        );
                    }
                }
            }
            if item.value.endpoints.is_empty() {
                let span = item.node.span_of("endpoints");
                findings.push(Problem::error(span, format!("the service `{name}` has no endpoint")));
            }
            let timeouts = &item.value.timeouts;
            let patience = Patience {
                connect_ms: timeouts.connect_ms,
                head_ms: timeouts.first_byte_ms,
                idle_ms: timeouts.idle_ms,
            };
            declared.insert(name.clone(), Arc::new(Service::new(name.as_str().into(), endpoints, patience)));
        }
        Self { declared, implied: HashMap::new() }
    }

    /// The service of that name. One that is not declared is found by DNS, or by binding on Workers.
    pub(super) fn named(
        &mut self,
        node: &Node,
        name: &str,
        host: Host,
        findings: &Findings,
    ) -> Option<Arc<Service>> {
        if let Some(service) = self.declared.get(name).or_else(|| self.implied.get(name)) {
            return Some(service.clone());
        }
        let url = format!("http://{name}");
        let Ok(endpoint) = endpoint_of(&url, &Trust::default()) else {
            findings.push(Problem::error(node.span, format!("`{name}` can't be the name of a service")));
            return None;
        };
        let near = super::problem::nearest(name, self.declared.keys().map(String::as_str));
        let how = match host {
            Host::Native => format!("it will be reached at `{url}`"),
            Host::Workers => {
                format!("it will be reached by the service binding or variable `SERVICE_{}`", upper(name))
            }
        };
        let note = Problem::note(node.span, format!("the service `{name}` is not declared: {how}"));
        findings.push(match near {
            Some(near) => note.cure(format!("did you mean `{near}`?")),
            None => note,
        });
        let service = Arc::new(Service::new(name.into(), vec![endpoint], Patience::default()));
        self.implied.insert(name.to_owned(), service.clone());
        Some(service)
    }

    /// Where a policy's URL leads: through the declared service that has its host's name, or there directly.
    pub(super) fn remote(&mut self, url: &str, head_ms: u64) -> Result<Remote, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let host = uri.host().ok_or("it names no host")?.to_owned();
        let mut origin = endpoint_of(url, &Trust::default())?;
        origin.base_path = String::new();
        let service = match self.declared.get(&host) {
            Some(service) => service.clone(),
            None => {
                let key = format!("{}://{}", uri.scheme_str().unwrap_or_default(), origin.authority);
                let fresh =
                    || Arc::new(Service::new(host.as_str().into(), vec![origin], Patience::default()));
                self.implied.entry(key).or_insert_with(fresh).clone()
            }
        };
        let patience = Patience { head_ms, ..service.patience };
        Ok(Remote { service, target, patience })
    }
}

fn upper(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// How the endpoints of a service are trusted.
#[derive(Default)]
struct Trust {
    authorities: Option<Arc<str>>,
    server_name: Option<String>,
}

fn trust(
    item: &Item<'_, Written>,
    folder: &dyn Fn(Span, &str) -> String,
    files: &dyn Files,
    host: Host,
    findings: &Findings,
) -> Trust {
    let written = &item.value.tls;
    let mut trust = Trust { authorities: None, server_name: written.server_name.clone() };
    if let Some(name) = &written.ca_file {
        let span = item.node.get("tls").map_or(item.node.span, |tls| tls.span_of("ca_file"));
        if host == Host::Workers {
            findings.push(
                Problem::error(span, "authorities of your own can't be trusted on Workers")
                    .cure("use a service binding, or a certificate that the platform trusts"),
            );
            return trust;
        }
        match files.read(&folder(span, name)) {
            Ok(pem) if pem.contains("BEGIN CERTIFICATE") => trust.authorities = Some(pem.into()),
            Ok(_) => {
                findings.push(Problem::error(span, format!("`{name}` holds no certificate in PEM form")))
            }
            Err(error) => findings.push(Problem::error(span, format!("can't read `{name}`: {error}"))),
        }
    }
    trust
}

fn endpoint_of(url: &str, trust: &Trust) -> Result<Endpoint, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    let encrypted = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some(other) => return Err(format!("`{other}` is not spoken")),
        None => return Err("the scheme is missing".to_owned()),
    };
    let authority: Authority = uri.authority().cloned().ok_or("the host is missing")?;
    if authority.as_str().contains('@') {
        return Err("credentials don't belong into a URL".to_owned());
    }
    let host = authority.host();
    if host.is_empty() || crate::route::normalised_host(authority.as_str()).is_none() {
        return Err(format!("`{authority}` is no host"));
    }
    let tls = encrypted
        .then(|| Tls { authorities: trust.authorities.clone(), server_name: trust.server_name.clone() });
    let pool = match &tls {
        None => format!("http://{authority}"),
        Some(tls) => {
            let name = tls.server_name.as_deref().unwrap_or_default();
            // A digest: other authorities under the same name must not inherit connections.
            let trusted = Sha256::digest(tls.authorities.as_deref().unwrap_or_default());
            format!("https://{authority} {name} {trusted:x}")
        }
    };
    Ok(Endpoint {
        host: HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?,
        base_path: uri.path().trim_end_matches('/').to_owned(),
        pool: pool.into(),
        authority,
        tls,
    })
}
