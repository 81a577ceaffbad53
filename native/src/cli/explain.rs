//! `tollgate explain`: how a request would be decided, without a server. The decision is the pipeline's own; what
//! surrounds the gateway is supposed, and told.

mod har;
mod raw;
mod request;
mod show;

use std::{net::IpAddr, path::PathBuf, process::ExitCode};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use serde_json::{Map, Value};
use tollgate_core::{gateway::Gateway, host::Peer};
use tollgate_rehearsal::{
    span,
    supposed::{self, Answer, Bearer, Supposed, World},
};

use super::Target;
use crate::clock::Clock;

/// A request is written as for curl. Unless said otherwise, services answer 200, the policy engine allows, a token's
/// signature is good if the issuer's keys are not at hand, and an issuer that is asked about a token says that it is
/// active.
///
/// Exit code 0: the request is explained, whatever came of it. 1: the configuration can't be used, or, with
/// --fail, the gateway refuses the request. 2: the request can't be read.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The URL, or just its path; then the host is the `public_domain`, or else `localhost`.
    #[arg(required_unless_present_any = ["har", "raw"])]
    url: Option<String>,
    /// The configuration.
    #[arg(short, long, default_value = "tollgate.yaml")]
    config: PathBuf,
    /// The host that the configuration is meant for.
    #[arg(long, value_enum, default_value = "native")]
    target: Target,
    /// The method; `GET`, or `POST` with data.
    #[arg(short = 'X', long)]
    request: Option<String>,
    /// A header, as `Name: value`.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The content.
    #[arg(short, long)]
    data: Option<String>,
    /// The request is in this file, as it goes over the wire (HTTP/1.1).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "har"])]
    raw: Option<PathBuf>,
    /// The request is in this recording of a browser.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    har: Option<PathBuf>,
    /// Which request of the recording, from 1.
    #[arg(long, default_value_t = 1, requires = "har")]
    entry: usize,
    /// Suppose that this user makes the request, with a token that says what the policy requires.
    #[arg(long, value_name = "SUBJECT")]
    as_user: Option<String>,
    /// More claims of that user's token, as JSON; `null` removes one.
    #[arg(long, value_name = "JSON", requires = "as_user")]
    claims: Option<String>,
    /// Where the request comes from.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    from: IpAddr,
    /// What time it is, as `2030-01-01T00:00:00Z`; now when absent.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// What the policy engine says.
    #[arg(long, value_enum, default_value = "allow")]
    engine: Engine,
    /// What issuers say that are asked about tokens.
    #[arg(long, value_enum, default_value = "active")]
    introspection: Introspection,
    /// What services answer; `down` for not at all.
    #[arg(long, value_name = "STATUS", default_value = "200")]
    upstream: String,
    /// A header of the services' answers, as `Name: value`.
    #[arg(long, value_name = "HEADER")]
    upstream_header: Vec<String>,
    /// The content of the services' answers.
    #[arg(long, value_name = "TEXT", default_value = "")]
    upstream_body: String,
    /// Make the request so many times; the last one is shown, or with --all each.
    #[arg(long, default_value_t = 1)]
    times: usize,
    /// Show each of several requests.
    #[arg(long)]
    all: bool,
    /// Print JSON, one object a request.
    #[arg(long)]
    json: bool,
    /// End with 1 where the gateway itself refuses the request.
    #[arg(long)]
    fail: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Engine {
    Allow,
    Deny,
    Down,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Introspection {
    Active,
    Inactive,
    Down,
}

impl Explain {
    pub(super) fn execute(self: Box<Self>) -> ExitCode {
        let loaded = match crate::files::load(&self.config, self.target.host()) {
            Ok(loaded) => loaded,
            Err(error) => return super::fail(1, error),
        };
        let Some(gateway) = loaded.gateway else { return super::fail(1, loaded.report.render()) };
        let (request, supposed) = match self.request(&gateway).and_then(|r| Ok((r, self.supposed()?))) {
            Ok(both) => both,
            Err(error) => return super::fail(2, error),
        };
        match self.explain(&gateway, &request, supposed) {
            Ok((text, refused)) => match super::print(text) {
                ExitCode::SUCCESS if refused && self.fail => ExitCode::from(1),
                code => code,
            },
            Err(error) => super::fail(2, error),
        }
    }

    /// What is to be printed, and whether the gateway itself refused the last request.
    fn explain(
        &self,
        gateway: &Gateway,
        request: &Request<Bytes>,
        supposed: Supposed,
    ) -> Result<(String, bool), String> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
        let world = World::new(gateway, supposed);
        let peer = Peer::new(self.from, false);
        let (mut text, mut refused) = (String::new(), false);
        let times = self.times.max(1);
        for time in 1..=times {
            let explained = runtime.block_on(world.explain(&peer, request.clone()))?;
            refused = show::refusal(&explained).is_some();
            if !self.all && time < times {
                continue;
            }
            if self.json {
                text.push_str(&show::json(&explained, gateway));
            } else {
                if self.all && times > 1 {
                    text.push_str(&format!("request {time} of {times}\n"));
                }
                text.push_str(&show::text(&explained, gateway, super::colours()));
            }
        }
        Ok((text, refused))
    }

    fn request(&self, gateway: &Gateway) -> Result<Request<Bytes>, String> {
        let host = gateway.public_domain().unwrap_or("localhost");
        if let Some(path) = &self.raw {
            return raw::request(path);
        }
        let mut request = match (&self.har, &self.url) {
            (Some(path), _) => har::request(path, self.entry)?,
            (None, Some(url)) => request::of_url(url, host)?,
            (None, None) => return Err("a URL is missing".to_owned()),
        };
        if let Some(data) = &self.data {
            request::add_content(&mut request, data);
        }
        if let Some(method) = &self.request {
            *request.method_mut() = request::method(method)?;
        }
        for header in &self.headers {
            let (name, value) = request::header(header)?;
            // As curl does it: a header that is given replaces what would be there by itself.
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    fn supposed(&self) -> Result<Supposed, String> {
        let now = match &self.at {
            None => Clock::System.now(),
            Some(text) => span::instant(text)
                .ok_or_else(|| format!("`{text}` is no time such as 2030-01-01T00:00:00Z"))?,
        };
        let claims: Map<String, Value> = match &self.claims {
            None => Map::new(),
            Some(text) => serde_json::from_str(text).map_err(|error| format!("the claims: {error}"))?,
        };
        let bearer = match &self.as_user {
            None => Bearer::AsSent,
            Some(subject) => Bearer::User { subject: subject.clone(), claims },
        };
        let engine = match self.engine {
            Engine::Allow => supposed::Engine::Allows,
            Engine::Deny => supposed::Engine::Denies,
            Engine::Down => supposed::Engine::Fails,
        };
        let issuer = match self.introspection {
            Introspection::Active => supposed::Issuer::Admits,
            Introspection::Inactive => supposed::Issuer::Refuses,
            Introspection::Down => supposed::Issuer::Fails,
        };
        Ok(Supposed { now, bearer, engine, issuer, answer: self.answer()? })
    }

    fn answer(&self) -> Result<Option<Answer>, String> {
        if self.upstream == "down" {
            return Ok(None);
        }
        let status = self
            .upstream
            .parse::<StatusCode>()
            .map_err(|_| format!("`{}` is neither a status nor `down`", self.upstream))?;
        let headers: Vec<(HeaderName, HeaderValue)> =
            self.upstream_header.iter().map(|text| request::header(text)).collect::<Result<_, _>>()?;
        Ok(Some(Answer { status, headers, body: Bytes::from(self.upstream_body.clone()) }))
    }
}
