//! People at browsers, the gateway, and a real OpenID provider: logged in through its own pages, known to the service,
//! logged out at both. At home and at the edge.

mod browser;

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use tollgate::host::Settings;
use tollgate_core::config::{self, Host, NoFiles};
use tollgate_tests::stage::{native::start, workers};

use self::browser::{Browser, Page};
use crate::{around::serve, oidc::provider::Provider};

const APP: &str = "https://app.test";

async fn configuration(issuer: &str) -> String {
    let service = serve(|request| async move {
        let field =
            |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
        let shown = format!("{} for {}, cookies {}", request.uri(), field("x-user-id"), field("cookie"));
        Response::new(Full::new(Bytes::from(shown)).boxed())
    });
    format!(
        "public_domain: app.test\nservices: {{app: {{endpoints: ['http://{}']}}}}\n\
         routes: [{{path: '/*', target_service: app}}]\n\
         policies: [{{name: authentication, type: OidcLogin, issuer: '{issuer}', client_id: website, \
         client_secret: secret of the website, cookie_secret: 0123456789abcdef0123456789abcdef, \
         after_logout: /goodbye, exclude_paths: [/goodbye]}}]\n",
        service.await
    )
}

/// A browser that knows where the gateway and the provider are.
fn browser(gateway: SocketAddr, provider: &Provider) -> Browser {
    Browser::new(BTreeMap::from([(APP.to_owned(), gateway), (provider.issuer.clone(), provider.address())]))
}

/// Fills in the provider's pages until it sends the browser back.
async fn fill_in(browser: &mut Browser, mut page: Page, name: &str) -> Page {
    while page.body.contains("<form") {
        let form = match page.body.contains("name=\"password\"") {
            true => format!("prompt=login&login={name}&password=any"),
            false => "prompt=consent".to_owned(),
        };
        page = browser.submit(&page, &form).await;
    }
    page
}

async fn a_person_comes_and_goes(gateway: SocketAddr, mut provider: Provider) {
    let mut alice = browser(gateway, &provider);
    let asked = alice.open(&format!("{APP}/reports?year=2030&q=a%2Fb")).await;
    assert!(asked.url.starts_with(&provider.issuer), "{asked:?}");
    let page = fill_in(&mut alice, asked, "alice").await;
    assert_eq!(page.url, format!("{APP}/reports?year=2030&q=a%2Fb"));
    assert_eq!((page.status, &*page.body), (200, "/reports?year=2030&q=a%2Fb for alice, cookies -"));
    // No page of the provider's this time, and no login.
    let page = alice.open(&format!("{APP}/other")).await;
    assert_eq!((page.redirections, &*page.body), (0, "/other for alice, cookies -"));

    // Somebody else is somebody else.
    let mut bob = browser(gateway, &provider);
    let asked = bob.open(&format!("{APP}/x")).await;
    let page = fill_in(&mut bob, asked, "bob").await;
    assert_eq!(page.body, "/x for bob, cookies -");

    // Two tabs, and the first that was opened comes back last.
    let mut carol = browser(gateway, &provider);
    let first = carol.open(&format!("{APP}/first")).await;
    let second = carol.open(&format!("{APP}/second")).await;
    assert_eq!(fill_in(&mut carol, second, "carol").await.body, "/second for carol, cookies -");
    let first = fill_in(&mut carol, first, "carol").await;
    assert_eq!((first.status, &*first.body), (200, "/first for carol, cookies -"));

    // An address that was used is used up.
    let back = page_of_callback(&alice);
    let page = alice.open(&back).await;
    assert_eq!((page.status, page.redirections), (400, 0), "{page:?}");
    assert!(page.body.contains("oidc_login.unknown_login"), "{page:?}");

    // The provider asks whether it is meant.
    let page = alice.open(&format!("{APP}/.tollgate/logout")).await;
    assert!(page.url.starts_with(&provider.issuer), "{page:?}");
    let xsrf =
        page.body.split("name=\"xsrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let page = alice.submit(&page, &format!("xsrf={xsrf}&logout=yes")).await;
    assert_eq!((&*page.url, &*page.body), (&*format!("{APP}/goodbye"), "/goodbye for -, cookies -"));
    let page = alice.open(&format!("{APP}/reports")).await;
    assert!(page.url.starts_with(&provider.issuer) && page.body.contains("name=\"password\""), "{page:?}");

    // Whoever is logged in stays so when the provider is gone; nobody else comes in.
    let asked = browser(gateway, &provider).open(&format!("{APP}/x")).await;
    assert!(asked.url.starts_with(&provider.issuer));
    let callback = format!("{APP}/.tollgate/callback?state=none&code=none");
    provider.kill().await;
    assert_eq!(bob.open(&format!("{APP}/y")).await.body, "/y for bob, cookies -");
    assert_eq!(bob.open(&callback).await.status, 400);
}

/// The address with which the provider sent a browser back.
fn page_of_callback(browser: &Browser) -> String {
    let url = browser.visited.iter().find(|url| url.starts_with(&format!("{APP}/.tollgate/callback")));
    url.unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_home_a_person_logs_in_at_a_real_provider_and_out_again() {
    let Some(provider) = Provider::start().await else { return };
    let text = configuration(&provider.issuer).await;
    let loaded = config::load("test", text, &NoFiles, &|_: &str| None, Host::Native);
    let gateway = loaded.gateway.unwrap_or_else(|| panic!("{}", loaded.report.render()));
    let (running, _host) = start(gateway, Settings::default()).unwrap();
    a_person_comes_and_goes(running.addresses()[0], provider).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_edge_a_person_logs_in_at_a_real_provider_and_out_again() {
    let Some(provider) = Provider::start().await else { return };
    if let Some(why) = workers::unavailable() {
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("SKIPPED: {why}");
        return;
    }
    let worker = workers::start(&configuration(&provider.issuer).await).await.unwrap();
    a_person_comes_and_goes(worker.address(), provider).await;
}
