//! As much of a browser as a login needs: it keeps cookies by origin and path, follows redirections, and submits forms. Where
//! origins are, it is told.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;
use tollgate_rehearsal::play::Sent;
use tollgate_tests::stage::native::client::exchange;

use crate::around::soon;

/// Redirections in a row, before it looks like a loop.
const MOST_REDIRECTIONS: usize = 12;

/// A browser.
pub(super) struct Browser {
    origins: BTreeMap<String, SocketAddr>,
    /// By origin, path and name.
    cookies: HashMap<(String, String, String), String>,
    /// Every address that it was sent to.
    pub(super) visited: Vec<String>,
}

/// What is shown in the end.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) body: String,
    /// How many times it was sent elsewhere before that.
    pub(super) redirections: usize,
}

impl Browser {
    pub(super) fn new(origins: BTreeMap<String, SocketAddr>) -> Self {
        Self { origins, cookies: HashMap::new(), visited: Vec::new() }
    }

    /// Opens an address.
    pub(super) async fn open(&mut self, url: &str) -> Page {
        self.go("GET", url, String::new()).await
    }

    /// Submits the form of a page.
    pub(super) async fn submit(&mut self, page: &Page, form: &str) -> Page {
        let action = page.body.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
        let action = action.unwrap_or_else(|| panic!("there is no form: {page:?}"));
        let url = self.resolved(&page.url, action);
        self.go("POST", &url, form.to_owned()).await
    }

    async fn go(&mut self, method: &str, url: &str, form: String) -> Page {
        let (mut method, mut url, mut form) = (method.to_owned(), url.to_owned(), form);
        for redirections in 0..MOST_REDIRECTIONS {
            self.visited.push(url.clone());
            let (status, location, body) = self.request(&method, &url, form).await;
            let Some(location) = location else { return Page { url, status, body, redirections } };
            url = self.resolved(&url, &location);
            (method, form) = ("GET".to_owned(), String::new());
        }
        panic!("it is sent around: {:?}", self.visited);
    }

    /// Status, where it is sent to, and content.
    async fn request(&mut self, method: &str, url: &str, form: String) -> (u16, Option<String>, String) {
        let origin = self.origin(url);
        let target = &url[origin.len()..];
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((own, path, _), _)| *own == origin && is_below(target, path))
            .map(|((_, _, name), value)| format!("{name}={value}"))
            .collect();
        let mut headers = vec![
            ("host", origin.split_once("://").unwrap().1.to_owned()),
            ("accept", "text/html,application/xhtml+xml".to_owned()),
            ("sec-fetch-mode", "navigate".to_owned()),
            ("cookie", cookies.join("; ")),
        ];
        if method == "POST" {
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
            headers.push(("content-length", form.len().to_string()));
        }
        headers.retain(|(_, value)| !value.is_empty());
        let sent = Sent {
            method: method.to_owned(),
            target: if target.is_empty() { "/".to_owned() } else { target.to_owned() },
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            pieces: if form.is_empty() { Vec::new() } else { vec![Bytes::from(form)] },
            peer: Ipv4Addr::LOCALHOST.into(),
            certificate: None,
            trailers: Vec::new(),
            over: Default::default(),
        };
        let raw = soon("an answer comes", exchange(self.origins[&origin], &sent)).await.unwrap();
        for (_, line) in raw.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let path = line
                .split(';')
                .filter_map(|part| part.trim().split_once('='))
                .find_map(|(name, value)| name.eq_ignore_ascii_case("path").then_some(value));
            let key = (origin.clone(), path.unwrap_or("/").to_owned(), name.to_owned());
            match value {
                "" => drop(self.cookies.remove(&key)),
                value => drop(self.cookies.insert(key, value.to_owned())),
            }
        }
        let location =
            raw.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.clone());
        let location = location.filter(|_| (300..400).contains(&raw.status));
        (raw.status, location, String::from_utf8_lossy(&raw.body).into_owned())
    }

    fn origin(&self, url: &str) -> String {
        let found = self.origins.keys().find(|origin| {
            url.strip_prefix(origin.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        found.unwrap_or_else(|| panic!("nobody is at {url}")).clone()
    }

    fn resolved(&self, base: &str, reference: &str) -> String {
        match reference.starts_with('/') {
            true => format!("{}{reference}", self.origin(base)),
            false => reference.to_owned(),
        }
    }
}

/// Whether cookies of a path are sent with a target (RFC 6265 §5.1.4).
fn is_below(target: &str, path: &str) -> bool {
    let own = target.split('?').next().unwrap_or_default();
    match own.strip_prefix(path) {
        Some(rest) => rest.is_empty() || path.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}
