//! `OidcLogin` compiled: the provider, the addresses at which the gateway itself answers, and the seal of its cookies.
//!
//! How ID tokens are judged is compiled as the same is for other tokens.

use std::sync::Arc;

use super::{Bench, Kinds};
use crate::{
    config::{
        node::{Node, Value},
        policy::{self as written, ClientAuth},
        problem::Problem,
        services::Services,
    },
    discovery::{self, Discovery},
    gateway::Door,
    path::NormalPath,
    policy::{
        jwt_validation::TokenSource,
        oidc_login::{MAX_SECRETS, MIN_SECRET_BYTES, OidcLogin, REMEMBERED, Seal, form::form},
    },
    provider::{Provider, Told, Written, browsable},
    recent::Recent,
    remote::Remote,
    route::normalised_host,
};

/// How long a provider may take to answer.
const PROVIDER_TIMEOUT_MS: u64 = 5_000;
/// A longer name leaves too little of a cookie for what is in it.
const MAX_NAME_BYTES: usize = 64;
/// What the gateway says at the provider itself.
const OWN_PARAMETERS: [&str; 11] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];
const SCOPES: [&str; 3] = ["openid", "profile", "email"];

impl Kinds {
    pub(super) fn oidc_login(
        &mut self,
        keys: &written::OidcLogin,
        name: &str,
        node: &Node,
        services: &mut Services,
        bench: &Bench<'_>,
    ) -> Option<Arc<OidcLogin>> {
        bench.not_blank(node, &["issuer", "client_id", "external_url", "after_logout", "role_claim"]);
        let provider = provider(keys, node, services, bench);
        // An ID token is a token like others; what it must say besides is asked when it comes.
        let id_token = self.jwt_validation(&keys.id_token(), node, services, bench);
        let client_secret = client_secret(keys, node, bench);
        let request = request(keys, node, bench);
        let origin = self.origin(keys, node, bench);
        let paths = paths(keys, node, bench);
        let after_logout = after_logout(keys, node, bench);
        let session_ms = session_ms(keys, node, bench);
        let seal = seal(keys, node, bench);

        let mut id_token = id_token?;
        let (origin, host) = origin?;
        paths?;
        client_secret?;
        after_logout?;
        let policy = OidcLogin {
            provider: provider?,
            client_secret: keys.client_secret.clone(),
            secret_in_content: keys.client_auth == ClientAuth::Post,
            issuer: keys.issuer.clone(),
            client_id: keys.client_id.clone(),
            audience: keys.audience.as_slice().to_vec(),
            request: request?,
            origin,
            host,
            callback_path: keys.callback_path.clone(),
            logout_path: keys.logout_path.clone(),
            after_logout: keys.after_logout.clone(),
            session_ms: session_ms?,
            source: TokenSource::Cookie(keys.cookie_name.clone()),
            cookie: keys.cookie_name.clone(),
            seal: seal?,
            required: std::mem::take(&mut id_token.required),
            role_claim: id_token.role_claim.clone(),
            forward: std::mem::take(&mut id_token.forward),
            // Each comes once.
            id_token: crate::policy::jwt_validation::JwtValidation { verified: Recent::new(1), ..id_token },
            sessions: Recent::new(REMEMBERED),
        };
        let policy = Arc::new(policy);
        self.open(&policy, name, node, bench).then_some(policy)
    }

    /// Scheme, host and port by which browsers know the gateway, and the host by itself.
    fn origin(&self, keys: &written::OidcLogin, node: &Node, bench: &Bench<'_>) -> Option<(String, String)> {
        let Some(url) = &keys.external_url else {
            let domain =
                self.public_domain.as_deref().and_then(|domain| Some((domain, normalised_host(domain)?)));
            if let Some((domain, host)) = domain {
                return Some((format!("https://{domain}"), host.into_owned()));
            }
            // A domain that is no host has been complained of.
            if self.public_domain.is_none() {
                let message = "by which address browsers know the gateway is not said, and no request is \
                               believed about it";
                let cure = "add `external_url: https://app.example.com`, or `public_domain: app.example.com` at \
                            the top";
                bench.note(Problem::error(node.span, message).cure(cure));
            }
            return None;
        };
        let at = node.get("external_url").unwrap_or(node);
        let refuse = |why: &str| {
            let message = format!("`{}` can't be the gateway's address: {why}", at.shown());
            bench.note(
                Problem::error(at.span, message)
                    .cure("write scheme and host, such as `https://app.example.com`"),
            );
        };
        let url = url.strip_suffix('/').unwrap_or(url);
        if let Err(why) = browsable(url) {
            refuse(why);
            return None;
        }
        let (scheme, authority) = url.split_once("://")?;
        let Some(host) = normalised_host(authority).filter(|_| !authority.contains(['/', '?'])) else {
            refuse("only a host and a port may follow the scheme");
            return None;
        };
        // Cookies that are `Secure` are sent to this machine without encryption, and to no other.
        let is_here =
            host == "localhost" || host.ends_with(".localhost") || host == "127.0.0.1" || host == "[::1]";
        if scheme != "https" && !is_here {
            refuse("browsers keep sessions for `https:` only");
            return None;
        }
        Some((url.to_owned(), host.into_owned()))
    }

    /// Opens the paths at which the policy answers itself. Policies that do the same share them.
    fn open(&mut self, policy: &Arc<OidcLogin>, name: &str, node: &Node, bench: &Bench<'_>) -> bool {
        let paths = |of: &OidcLogin| [of.callback_path.clone(), of.logout_path.clone()];
        for (key, path) in [("callback_path", &policy.callback_path), ("logout_path", &policy.logout_path)] {
            let taken = |door: &&Door| {
                door.policy.host == policy.host
                    && paths(&door.policy).contains(path)
                    && !door.policy.shares_logins_with(policy)
            };
            if let Some(door) = self.doors.iter().find(taken) {
                let message = format!("another login answers at `{path}` on `{}`", policy.host);
                let problem =
                    Problem::error(node.span_of(key), message).related(door.span, "the other one is here");
                bench.note(problem.cure(format!("give this one a `{key}` of its own, or the same settings")));
                return false;
            }
        }
        let shared = |door: &&Door| door.policy.shares_logins_with(policy);
        if self.doors.iter().find(shared).is_none() {
            self.doors.push(Door {
                policy: policy.clone(),
                name: name.to_owned(),
                span: node.span_of("name"),
            });
        }
        true
    }
}

fn provider(
    keys: &written::OidcLogin,
    node: &Node,
    services: &mut Services,
    bench: &Bench<'_>,
) -> Option<Provider> {
    let mut whole = true;
    let mut refuse = |key: &str, what: &str, why: &str| {
        whole = false;
        let at = node.get(key).unwrap_or(node);
        let problem = Problem::error(at.span, format!("`{}` is no {what}: {why}", at.shown()));
        bench.note(problem.cure("write `https://host/path`"));
    };
    for (key, address) in [
        ("authorization_endpoint", &keys.authorization_endpoint),
        ("end_session_endpoint", &keys.end_session_endpoint),
    ] {
        if let Some(Err(why)) = address.as_deref().map(browsable) {
            refuse(key, "address for browsers", why);
        }
    }
    let mut remote = |key: &str, address: &str, services: &mut Services| -> Option<Remote> {
        let found = services.remote(address, node.span_of(key), PROVIDER_TIMEOUT_MS);
        found.map_err(|why| refuse(key, "address of the provider", why)).ok()
    };
    let token = keys.token_endpoint.as_deref().map(|address| remote("token_endpoint", address, services));
    let written = Written {
        authorization: keys.authorization_endpoint.clone(),
        token: token.flatten(),
        end_session: keys.end_session_endpoint.clone(),
    };
    let asks = keys.authorization_endpoint.is_none() || keys.token_endpoint.is_none();
    let told = if asks && keys.issuer.contains(['?', '#']) {
        // Where it is to be asked for its keys too, that is said there.
        if keys.jwks_uri.is_some() {
            refuse("issuer", "provider that can be asked", "only a path may follow the host");
        }
        None
    } else if asks && !keys.issuer.is_empty() {
        let document = remote("issuer", &discovery::address(&keys.issuer), services);
        let directory = services.directory(node.span_of("issuer"));
        document.map(|document| Arc::new(Told::new(Discovery::new(keys.issuer.clone(), document, directory))))
    } else {
        None
    };
    (whole && !keys.issuer.is_empty() && !keys.client_id.is_empty()).then_some(Provider { written, told })
}

fn client_secret(keys: &written::OidcLogin, node: &Node, bench: &Bench<'_>) -> Option<()> {
    match &keys.client_secret {
        Some(secret) if secret.is_blank() => {
            let problem = Problem::error(node.span_of("client_secret"), "`client_secret` is empty");
            bench.note(problem.cure("give it a value, or leave the key out for a public client"));
            None
        }
        Some(_) => Some(()),
        None => {
            if let Some((key, _)) = node.entry("client_auth") {
                let message = "`client_auth` means nothing without a `client_secret`";
                bench.note(Problem::note(key.span, message));
            }
            Some(())
        }
    }
}

/// What is the same in all requests for a login.
fn request(keys: &written::OidcLogin, node: &Node, bench: &Bench<'_>) -> Option<String> {
    bench.not_empty(node, "scopes");
    let mut whole = true;
    for (name, at) in keys
        .authorization_parameters
        .keys()
        .filter_map(|name| node.get("authorization_parameters")?.entry(name).map(|(key, _)| (name, key.span)))
    {
        if OWN_PARAMETERS.contains(&name.as_str()) {
            whole = false;
            let message = format!("`{name}` is said by the gateway itself");
            bench.note(Problem::error(at, message).cure("leave it out"));
        }
    }
    let scopes: Vec<&str> = match keys.scopes.as_slice() {
        [] => SCOPES.to_vec(),
        scopes => {
            scopes.iter().flat_map(|scope| scope.split(' ')).filter(|scope| !scope.is_empty()).collect()
        }
    };
    if !scopes.contains(&"openid") {
        whole = false;
        let problem = Problem::error(
            node.span_of("scopes"),
            "without the scope `openid` nobody says who has logged in",
        );
        bench.note(problem.cure("add `openid`"));
    }
    let scopes = scopes.join(" ");
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", keys.client_id.as_str()),
        ("scope", scopes.as_str()),
        ("code_challenge_method", "S256"),
    ];
    pairs.extend(keys.authorization_parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    whole.then(|| form(&pairs))
}

fn paths(keys: &written::OidcLogin, node: &Node, bench: &Bench<'_>) -> Option<()> {
    let mut whole = true;
    for (key, path) in [("callback_path", &keys.callback_path), ("logout_path", &keys.logout_path)] {
        let is_one = path.starts_with('/')
            && !path.contains(['*', '{', '}', '?', '#'])
            && NormalPath::new(path).is_ok_and(|normal| normal.text == path.as_str());
        if !is_one {
            whole = false;
            let at = node.get(key).unwrap_or(node);
            let problem = Problem::error(at.span, format!("`{}` is no single path", at.shown()));
            bench.note(problem.cure("write one without `*`, `{…}` and query, such as `/.tollgate/callback`"));
        }
    }
    if whole && keys.callback_path == keys.logout_path {
        whole = false;
        let key = if node.get("logout_path").is_some() { "logout_path" } else { "callback_path" };
        let message = "`callback_path` and `logout_path` are the same";
        bench.note(Problem::error(node.span_of(key), message).cure("give one of them another path"));
    }
    whole.then_some(())
}

fn after_logout(keys: &written::OidcLogin, node: &Node, bench: &Bench<'_>) -> Option<()> {
    let Some(after) = keys.after_logout.as_deref().filter(|after| !after.is_empty()) else { return Some(()) };
    let is_path = after.starts_with('/') && !after.starts_with("//") && !after.contains('\\');
    let good =
        after.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) && (is_path || browsable(after).is_ok());
    if !good {
        let at = node.get("after_logout").unwrap_or(node);
        let problem = Problem::error(at.span, format!("`{}` is nowhere to go after a logout", at.shown()));
        bench.note(problem.cure("write a path such as `/goodbye`, or a URL"));
    }
    good.then_some(())
}

fn session_ms(keys: &written::OidcLogin, node: &Node, bench: &Bench<'_>) -> Option<u64> {
    if keys.session_seconds == 0 {
        let problem =
            Problem::error(node.span_of("session_seconds"), "a `session_seconds` of 0 would be no session");
        bench.note(problem.cure("write how long people stay logged in, such as `28800` for eight hours"));
        return None;
    }
    Some(keys.session_seconds.saturating_mul(1000))
}

fn seal(keys: &written::OidcLogin, node: &Node, bench: &Bench<'_>) -> Option<Seal> {
    let secrets = &keys.cookie_secret.0;
    let list = node.get("cookie_secret").unwrap_or(node);
    let mut whole = true;
    let mut refuse = |span, message: String, cure: &str| {
        whole = false;
        bench.note(Problem::error(span, message).cure(cure));
    };
    if secrets.is_empty() && matches!(list.value, Value::List(_)) {
        refuse(list.span, "`cookie_secret` is empty".to_owned(), "use what `openssl rand -hex 32` prints");
    }
    if secrets.len() > MAX_SECRETS {
        let message = format!("{} secrets are more than are looked at: {MAX_SECRETS}", secrets.len());
        refuse(list.span, message, "leave those out that no session is sealed with any more");
    }
    for (secret, at) in node.members("cookie_secret", secrets) {
        if secret.bytes().len() < MIN_SECRET_BYTES || secret.is_blank() {
            let message = format!(
                "this `cookie_secret` is too short: it could be guessed, so {MIN_SECRET_BYTES} bytes are the least"
            );
            refuse(at.span, message, "use what `openssl rand -hex 32` prints");
        }
    }
    let name = &keys.cookie_name;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_token) {
        let at = node.get("cookie_name").unwrap_or(node);
        refuse(
            at.span,
            format!("`{}` is no name for the cookie", at.shown()),
            "write letters, digits, `-` and `_`, such as `__Host-session`",
        );
    } else if !name.starts_with("__Host-") {
        let message = "other hosts of the same domain can set a cookie of this name";
        let problem = Problem::note(node.span_of("cookie_name"), message);
        bench.note(problem.cure(format!("begin it with `__Host-`: `__Host-{name}`")));
    }
    if !whole {
        return None;
    }
    Seal::new(secrets, &[name, &keys.issuer, &keys.client_id])
}
