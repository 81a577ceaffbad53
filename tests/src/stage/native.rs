//! The stage with sockets: the server that people run, with its own host, between a client and upstreams that
//! speak over loopback. Only its clock is turned by hand.

pub mod client;
pub mod events;
pub mod site;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::time::timeout;
use tollgate::{
    clock::Clock,
    host::{self, NativeHost},
    server::{self, Limits, Running, Server, Snapshot},
};
use tollgate_core::{config::Host, gateway::Gateway, listener::Listener};

use self::{events::Events, site::Sites};
use tollgate_rehearsal::{
    captured::Captured,
    case::{expect::UpstreamWish, read::Scene},
    observed::Raw,
    play::{Act, Play, Sending},
    setting::gateway,
    upstream::Upstreams,
};

/// Longer than anything in a case may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a server of one thread.
pub fn start(gateway: Gateway, settings: host::Settings) -> Result<(Running, NativeHost), String> {
    let host = NativeHost::new(settings);
    let server = Server::bind(&server::Settings {
        listeners: vec![Arc::new(Listener::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))],
        threads: 1,
        tls: None,
        limits: Limits::from(gateway.limits()),
    });
    let server = server.map_err(|error| error.to_string())?;
    let running = server
        .start(Snapshot::new(Arc::new(gateway).into()), host.clone())
        .map_err(|error| error.to_string())?;
    Ok((running, host))
}

/// Plays a case.
pub(super) async fn play(scene: &Scene, play: &Play) -> Result<Vec<Raw>, String> {
    if !scene.case.given.failing.is_empty() {
        return Err("nothing here can be made to fail; skip this host".to_owned());
    }
    if play.others.is_some() {
        return Err("only what is given has an address here; skip this host".to_owned());
    }
    let upstreams = Arc::new(Upstreams::new(&play.upstreams));
    let mut sites = Sites::open(upstreams.clone()).await.map_err(|error| format!("upstreams: {error}"))?;
    let urls: BTreeMap<String, String> = sites.urls();
    let mut captured = Captured::new(&urls);
    upstreams.change(&captured.scripts(&play.upstreams, play.start)?);
    let clock = Clock::manual(play.start);
    let (events, access_log) = Events::new(clock.clone())?;
    let settings = host::Settings { clock: clock.clone(), access_log, ..host::Settings::default() };
    let (server, host) = start(gateway(scene, &urls, &tollgate::files::Disk, Host::Native)?, settings)?;
    let Some(&address) = server.addresses().first() else {
        return Err("the server listens nowhere".to_owned());
    };

    let mut observed = Vec::new();
    for act in &play.acts {
        match act {
            Act::Advance(milliseconds) => clock.set(clock.now() + milliseconds),
            Act::Change(scripts, now) => {
                upstreams.change(&captured.scripts(scripts, *now)?);
                sites.follow().await.map_err(|error| format!("upstreams: {error}"))?;
            }
            Act::Send(sending) => {
                if sending.sent.certificate.is_some() {
                    return Err(
                        "nobody ends TLS here, so no certificate can be presented; skip this host".to_owned()
                    );
                }
                let sent = captured.sent(&sending.sent);
                let exchange = client::exchange(address, &sent);
                let mut raw = timeout(PATIENCE, exchange)
                    .await
                    .map_err(|_| format!("{}: no answer within {} s", sending.place, PATIENCE.as_secs()))?
                    .map_err(|error| format!("{}: {error}", sending.place))?;
                sites.name_in_trail(&mut raw);
                settle(&upstreams, sending).await;
                raw.seen = upstreams.take_seen();
                captured.take(sending, &mut raw)?;
                observed.push(raw);
            }
        }
    }
    drop(server);
    events.give_to(&mut observed, host).await;
    Ok(observed)
}

/// Waits for what the gateway asks in the background. If it does not come, the comparison will tell.
pub(super) async fn settle(upstreams: &Upstreams, sending: &Sending) {
    let wish = sending.expect.as_ref().map_or(&UpstreamWish::Unchecked, |expect| &expect.upstream);
    let _ = timeout(PATIENCE / 5, upstreams.satisfied(wish)).await;
}
