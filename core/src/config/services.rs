//! Services compiled: endpoints from URLs, trust from files, and URLs of policies to the services they name.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    Files, Host,
    document::{Endpoint as WrittenEndpoint, Item, Protocol, Service as Written, Whole},
    findings::Findings,
    node::{Node, Span, Value},
    places::Places,
    problem::Problem,
};
use crate::{
    remote::Remote,
    route::normalised_host,
    upstream::{ClientIdentity, Endpoint, Patience, Service, Tls},
};

/// All services that the configuration declares or implies.
pub(super) struct Services {
    declared: Arc<HashMap<String, Arc<Service>>>,
    implied: HashMap<String, Arc<Service>>,
    /// Names that are declared in a way that can't be read, or may be where nothing could be read.
    unread: Unread,
}

/// Which names may be those of services that could not be read.
enum Unread {
    These(HashSet<String>),
    All,
}

impl Services {
    pub(super) fn compile(
        whole: &Whole<'_>,
        complete: bool,
        folder: &dyn Fn(Span, &str) -> String,
        files: &dyn Files,
        host: Host,
        findings: &Findings,
    ) -> Self {
        let mut declared = HashMap::new();
        for (name, item) in &whole.services {
            let tls = trust(item, folder, files, host, findings);
            let mut endpoints = Vec::new();
            for (endpoint, node) in item.node.members("endpoints", &item.value.endpoints) {
                match base_of(endpoint.url(), &tls) {
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
                findings.push(
                    Problem::error(span, format!("the service `{name}` has no endpoint"))
                        .cure("add one, such as `http://127.0.0.1:9001`"),
                );
            }
            if let Some(span) = tls_in_vain(item) {
                findings.push(
                    Problem::note(span, "no endpoint of this service is spoken to by TLS")
                        .cure("write `https:` in its URL, or leave `tls` out"),
                );
            }
            check_platform(item.node, host, findings);
            let timeouts = &item.value.timeouts;
            for (key, value) in [
                ("connect_ms", timeouts.connect_ms),
                ("first_byte_ms", timeouts.first_byte_ms),
                ("idle_ms", timeouts.idle_ms),
            ] {
                if value == 0 {
                    let span =
                        item.node.get("timeouts").map_or(item.node.span, |timeouts| timeouts.span_of(key));
                    findings.push(Problem::error(span, format!("`{key}` must be at least 1")));
                }
            }
            let patience = Patience {
                connect_ms: timeouts.connect_ms,
                head_ms: timeouts.first_byte_ms,
                idle_ms: timeouts.idle_ms,
            };
            let service = Service::new(name.as_str().into(), endpoints, patience, item.node.span);
            let service = service
                .written(Places::of(item.node))
                .spoken(item.value.protocol)
                .told(item.value.identity_token);
            declared.insert(name.clone(), Arc::new(service));
        }
        let unread = match whole.root.get("services").map(|node| &node.value) {
            _ if !complete => Unread::All,
            None | Some(Value::Null) => Unread::These(HashSet::new()),
            Some(Value::Map(entries)) => {
                let names = entries.iter().map(|(key, _)| key.name.clone());
                Unread::These(names.filter(|name| !declared.contains_key(name)).collect())
            }
            Some(_) => Unread::All,
        };
        Self { declared: Arc::new(declared), implied: HashMap::new(), unread }
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
        if let Unread::These(names) = &self.unread
            && names.contains(name)
        {
            return None;
        }
        let Ok(endpoint) = endpoint_of(&format!("http://{name}"), &Trust::default()) else {
            findings.push(Problem::error(
                node.span,
                format!("`{}` can't be the name of a service", node.shown()),
            ));
            return None;
        };
        if matches!(self.unread, Unread::These(_)) {
            findings.push(self.not_declared(node, name, host));
        }
        let service = Arc::new(Service::new(name.into(), vec![endpoint], Patience::default(), node.span));
        self.implied.insert(name.to_owned(), service.clone());
        Some(service)
    }

    /// Whether there is a service of that name, be it one that can't be read.
    pub(super) fn declares(&self, name: &str) -> bool {
        let may_be = match &self.unread {
            Unread::These(names) => names.contains(name),
            Unread::All => true,
        };
        may_be || self.declared.contains_key(name)
    }

    fn not_declared(&self, node: &Node, name: &str, host: Host) -> Problem {
        let shown = node.shown();
        let how = match host {
            Host::Native => format!("it will be reached at `http://{shown}`"),
            Host::Workers if node.is_filled() => {
                "it will be reached by the service binding of its name".to_owned()
            }
            Host::Workers => {
                format!("it will be reached by the service binding or variable `SERVICE_{}`", upper(name))
            }
        };
        let note = Problem::note(node.span, format!("the service `{shown}` is not declared: {how}"));
        match super::problem::nearest(name, self.declared.keys().map(String::as_str)) {
            Some(near) => note.cure(format!("did you mean `{near}`?")),
            None => note,
        }
    }

    /// Where a policy's URL leads: through the declared service that has its host's name, or there directly.
    pub(super) fn remote(&mut self, url: &str, at: Span, head_ms: u64) -> Result<Remote, &'static str> {
        let remote = self.directory(at).remote(url, head_ms)?;
        if self.declared.contains_key(&*remote.service.name) {
            return Ok(remote);
        }
        // One service an origin, however many policies use it.
        let pool = remote.service.endpoints.first().map(|endpoint| endpoint.pool.to_string());
        let service = self.implied.entry(pool.unwrap_or_default()).or_insert(remote.service).clone();
        Ok(Remote { service, ..remote })
    }

    /// For URLs that become known only while serving, because somebody is asked for them.
    pub(super) fn directory(&self, at: Span) -> Directory {
        Directory { declared: self.declared.clone(), at }
    }
}

/// The declared services, by which URLs find their way.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    declared: Arc<HashMap<String, Arc<Service>>>,
    /// Where that stands for which a URL is looked up.
    at: Span,
}

impl Directory {
    /// Where a URL leads: through the declared service that has its host's name, or there directly.
    pub(crate) fn remote(&self, url: &str, head_ms: u64) -> Result<Remote, &'static str> {
        let mut origin = endpoint_of(url, &Trust::default())?;
        if origin.is_raw {
            return Err("only `http:` and `https:` are spoken");
        }
        let uri: Uri = url.parse().map_err(|_| "it is no URL")?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let host = origin.authority.host().to_owned();
        origin.base_path = String::new();
        let service = match self.declared.get(&host) {
            Some(service) => service.clone(),
            None => Arc::new(Service::new(host.as_str().into(), vec![origin], Patience::default(), self.at)),
        };
        let patience = Patience { head_ms, ..service.patience };
        Ok(Remote { service, target, patience })
    }
}

fn upper(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Workers give a connection and a silent stream the time that the platform gives them, and speak what it speaks.
fn check_platform(service: &Node, host: Host, findings: &Findings) {
    if host != Host::Workers {
        return;
    }
    if let Some((written, _)) = service.entry("protocol") {
        let message =
            "`protocol` has no effect on Workers, where the platform chooses the HTTP that is spoken";
        findings.push(Problem::note(written.span, message));
    }
    let Some(timeouts) = service.get("timeouts") else { return };
    for key in ["connect_ms", "idle_ms"] {
        if let Some((written, _)) = timeouts.entry(key) {
            let message = format!("`{key}` has no effect on Workers, where the platform's own time holds");
            findings.push(Problem::note(written.span, message));
        }
    }
}

/// How the endpoints of a service are spoken to.
#[derive(Default)]
struct Trust {
    protocol: Protocol,
    authorities: Option<Arc<str>>,
    server_name: Option<String>,
    identity: Option<Arc<ClientIdentity>>,
}

/// Where `tls` stands that no endpoint makes use of.
fn tls_in_vain(item: &Item<'_, Written>) -> Option<Span> {
    let plain = |endpoint: &WrittenEndpoint| endpoint.url().starts_with("http:");
    let (key, _) = item.node.entry("tls").filter(|(_, tls)| tls.value != Value::Null)?;
    (!item.value.endpoints.is_empty() && item.value.endpoints.iter().all(plain)).then_some(key.span)
}

fn trust(
    item: &Item<'_, Written>,
    folder: &dyn Fn(Span, &str) -> String,
    files: &dyn Files,
    host: Host,
    findings: &Findings,
) -> Trust {
    let written = &item.value.tls;
    let mut trust = Trust {
        protocol: item.value.protocol,
        server_name: written.server_name.clone(),
        identity: identity(item, folder, files, host, findings),
        ..Trust::default()
    };
    if let Some(name) = item.node.get("tls").and_then(|tls| tls.get("server_name"))
        && name.text().is_some_and(|text| normalised_host(text).as_deref() != Some(text))
    {
        findings.push(
            Problem::error(name.span, format!("`{}` is no name of a server", name.shown()))
                .cure("write a name in lower case without port, such as `agents.example.com`"),
        );
    }
    if let Some(name) = &written.ca_file {
        let span = item.node.get("tls").map_or(item.node.span, |tls| tls.span_of("ca_file"));
        if host == Host::Workers {
            findings.push(
                Problem::error(span, "authorities of your own can't be trusted on Workers")
                    .cure("use a service binding, or a certificate that the platform trusts"),
            );
            return trust;
        }
        match authorities(files, &folder(span, name)) {
            Ok(pem) => trust.authorities = Some(pem),
            Err(what) => findings.push(Problem::error(span, what)),
        }
    }
    trust
}

/// The certificates in a file, or what is wrong with it.
pub(super) fn authorities(files: &dyn Files, name: &str) -> Result<Arc<str>, String> {
    match files.read(name) {
        Ok(pem) if pem.contains("BEGIN CERTIFICATE") => Ok(pem.into()),
        Ok(_) => Err("this file holds no certificate in PEM form".to_owned()),
        Err(error) => Err(format!("this file can't be read: {error}")),
    }
}

/// Where a URL leads by itself, and what to ask for there.
pub(crate) fn origin(
    url: &str,
    authorities: Option<Arc<str>>,
) -> Result<(Endpoint, PathAndQuery), &'static str> {
    let mut endpoint = endpoint_of(url, &Trust { authorities, ..Trust::default() })?;
    endpoint.base_path = String::new();
    let uri: Uri = url.parse().map_err(|_| "it is no URL")?;
    let target = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Ok((endpoint, target))
}

/// The certificate that is presented to endpoints. Whether key and certificate belong together shows the first
/// connection: nothing here can calculate.
fn identity(
    item: &Item<'_, Written>,
    folder: &dyn Fn(Span, &str) -> String,
    files: &dyn Files,
    host: Host,
    findings: &Findings,
) -> Option<Arc<ClientIdentity>> {
    let written = &item.value.tls;
    let tls = item.node.get("tls")?;
    let (chain, key) = match (&written.client_cert_file, &written.client_key_file) {
        (None, None) => return None,
        _ if host == Host::Workers => {
            let first = ["client_cert_file", "client_key_file"].into_iter().find_map(|key| tls.entry(key))?;
            findings.push(
                Problem::error(first.0.span, "certificates of your own can't be presented from Workers")
                    .cure("use an mTLS binding of Cloudflare's, as the binding of the service's name"),
            );
            return None;
        }
        (Some(chain), Some(key)) => (chain, key),
        (chain, _) => {
            let (is, lacks) = match chain {
                Some(_) => ("client_cert_file", "client_key_file"),
                None => ("client_key_file", "client_cert_file"),
            };
            let problem = Problem::error(tls.span_of(is), format!("`{is}` needs `{lacks}` beside it"));
            findings.push(problem.cure(format!("add `{lacks}: PATH`")));
            return None;
        }
    };
    let read = |key: &str, name: &str, mark: &str, what: &str| {
        let span = tls.span_of(key);
        match files.read(&folder(span, name)) {
            Ok(pem) if is_marked(&pem, mark) => return Some(pem),
            Ok(pem) => {
                drop(Zeroizing::new(pem));
                findings.push(Problem::error(span, format!("this file holds no {what} in PEM form")));
            }
            Err(error) => findings.push(Problem::error(span, format!("this file can't be read: {error}"))),
        }
        None
    };
    let chain = read("client_cert_file", chain, "CERTIFICATE-----", "certificate");
    let key = read("client_key_file", key, "PRIVATE KEY-----", "private key").map(Zeroizing::new);
    Some(Arc::new(ClientIdentity { chain: chain?, key: key? }))
}

/// Whether a text has a PEM block whose label ends so.
fn is_marked(pem: &str, label: &str) -> bool {
    pem.lines().any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(label))
}

/// An endpoint is the front of a URL, to which requests add the rest.
fn base_of(url: &str, trust: &Trust) -> Result<Endpoint, &'static str> {
    if url.contains(['?', '#']) {
        return Err("only a path may follow the host");
    }
    endpoint_of(url, trust)
}

/// `Err` says why it is none, and quotes nothing: a URL may hold the value of a variable.
fn endpoint_of(url: &str, trust: &Trust) -> Result<Endpoint, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL")?;
    let encrypted = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some("tcp") => false,
        Some(_) => return Err("only `http:` and `https:` are spoken"),
        None => return Err("the scheme is missing"),
    };
    let authority: Authority = uri.authority().cloned().ok_or("the host is missing")?;
    if authority.as_str().contains('@') {
        return Err("credentials don't belong into a URL");
    }
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if !port.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("its port is no number from 1 to 65535");
    }
    let is_raw = uri.scheme_str() == Some("tcp");
    if is_raw && port.is_empty() {
        return Err("`tcp:` needs a port");
    }
    if is_raw && !matches!(uri.path(), "" | "/") {
        return Err("`tcp:` has no path");
    }
    if authority.host().is_empty() || normalised_host(authority.as_str()).is_none() {
        return Err("its host is neither a name nor an address");
    }
    let tls = encrypted.then(|| Tls {
        authorities: trust.authorities.clone(),
        server_name: trust.server_name.clone(),
        identity: trust.identity.clone(),
    });
    let protocol = match (trust.protocol, encrypted) {
        // There is nobody to ask which it may be.
        (Protocol::Auto, false) => Protocol::Http1,
        (protocol, _) => protocol,
    };
    let pool = match &tls {
        None if is_raw => format!("tcp://{authority}"),
        None => format!("http://{authority} {}", protocol.name()),
        Some(tls) => {
            let name = tls.server_name.as_deref().unwrap_or_default();
            // Digests: others with other authorities, or who present another certificate, must not inherit connections.
            let trusted = Sha256::digest(tls.authorities.as_deref().unwrap_or_default());
            let presented = Sha256::digest(tls.identity.as_ref().map_or("", |own| &own.chain));
            format!("https://{authority} {} {name} {trusted:x} {presented:x}", protocol.name())
        }
    };
    Ok(Endpoint {
        // The service that takes it puts its name there.
        service: Arc::default(),
        host: HeaderValue::from_str(authority.as_str())
            .map_err(|_| "its host is neither a name nor an address")?,
        base_path: uri.path().trim_end_matches('/').to_owned(),
        pool: pool.into(),
        is_raw,
        protocol,
        authority,
        tls,
    })
}
