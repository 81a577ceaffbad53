//! What serving commands share: a gateway put on its listeners, and taken off them again in good order.

use std::{
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};
use tollgate_core::{config::document::LogFormat, gateway::Gateway, listener::Listener};

use crate::{
    acme::Acme,
    admin::{Admin, MetricsPage},
    clock::Clock,
    host::{self, NativeHost},
    log::{AccessLog, Format},
    server::{self, Limits, Running, Server, Snapshot},
    tls::Tls,
};

/// What a command line may say differently from the configuration.
pub(super) struct Options {
    pub(super) listen: Option<SocketAddr>,
    pub(super) threads: Option<usize>,
}

/// Serves until told to stop.
pub(super) fn serve(gateway: Gateway, options: &Options) -> ExitCode {
    match Serving::start(gateway, options) {
        Ok(serving) => {
            for place in serving.running.places() {
                crate::notice::say(format_args!("listening on {place}"));
            }
            serving.until_stopped()
        }
        Err(error) => super::fail(1, error),
    }
}

/// A gateway that serves.
pub(super) struct Serving {
    /// For signals and the admin listener; requests have threads of their own.
    runtime: Runtime,
    running: Running,
    host: NativeHost,
    ready: Arc<AtomicBool>,
    drain: Duration,
}

impl Serving {
    pub(super) fn start(gateway: Gateway, options: &Options) -> Result<Self, String> {
        let settings = gateway.settings.clone();
        let limits = gateway.limits().clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        let clock = Clock::System;
        let access_log = match &settings.telemetry.access_log {
            None => AccessLog::off(),
            Some(log) => {
                let format = match log.format {
                    LogFormat::Json => Format::Json,
                    LogFormat::Text => Format::Text,
                };
                AccessLog::open(&log.path, format, clock.clone())
                    .map_err(|error| format!("can't write the access log `{}`: {error}", log.path))?
            }
        };
        let host = NativeHost::new(host::Settings {
            clock: clock.clone(),
            access_log,
            cache_bytes: settings.store.max_cache_bytes,
            counter_capacity: bounded(settings.store.max_counters),
        });
        host.count_in(&settings.store)?;
        let listeners = match options.listen {
            Some(address) => vec![Arc::new(Listener::plain(address))],
            None => settings.listeners.clone(),
        };
        let tls = Arc::new(Tls::new(&listeners, clock.clone(), host.metrics().clone())?);
        let server = Server::bind(&server::Settings {
            tls: Some(tls.clone()),
            listeners,
            limits: Limits::from(&limits),
            threads: options.threads.unwrap_or(0),
        })
        .map_err(|error| error.to_string())?;
        let (server, acme) = match &settings.acme {
            // The command line may have it that nothing is encrypted.
            Some(acme) if tls.is_used() => {
                let metrics = host.metrics().acme().clone();
                let acme = Acme::new(acme.clone(), &settings.store, clock.clone(), metrics, tls.clone())?;
                tls.look_at(acme.challenges().clone());
                // What is kept serves from the first handshake on.
                runtime.block_on(acme.load());
                (server.with_challenges(acme.challenges().clone()), Some(acme))
            }
            _ => (server, None),
        };
        if tls.is_used() {
            runtime.spawn(tls.watch());
        }
        let gateway: Snapshot = Arc::new(ArcSwap::from_pointee(gateway));
        let ready = Arc::new(AtomicBool::new(true));
        if let Some(admin) = &settings.admin {
            let (listener, address) = runtime.block_on(Admin::bind(&admin.address)).map_err(|error| {
                format!("can't listen on `{}` for administration: {error}", admin.address)
            })?;
            crate::notice::say(format_args!("administration on http://{address}"));
            let metrics = settings.telemetry.prometheus.then(|| MetricsPage {
                metrics: host.metrics().clone(),
                gateway: gateway.clone(),
                clock: clock.clone(),
            });
            let admin = Admin::new(admin, metrics, host.trails().clone(), ready.clone());
            runtime.spawn(async move {
                if let Err(error) = admin.serve(listener).await {
                    crate::notice::say(format_args!("the admin listener ended: {error}"));
                }
            });
        }
        // Keys are fetched before the first request needs them; a failure shows when one does.
        for job in gateway.load().warm_up() {
            let host = host.clone();
            runtime.spawn(async move {
                if let Err(why) = tollgate_core::job::run(&host, job).await {
                    crate::notice::say(why);
                }
            });
        }
        let running = server.start(gateway, host.clone()).map_err(|error| error.to_string())?;
        if let Some(acme) = acme {
            runtime.spawn(async move { acme.run().await });
        }
        Ok(Self { runtime, running, host, ready, drain: Duration::from_millis(limits.drain_timeout_ms) })
    }

    /// Where requests are taken.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        self.running.addresses()
    }

    /// Waits for a signal, then lets requests in flight finish. A second signal does not wait for them.
    pub(super) fn until_stopped(self) -> ExitCode {
        let Self { runtime, running, host, ready, drain } = self;
        let cut = runtime.block_on(async move {
            wait_for_signal().await?;
            ready.store(false, Ordering::Relaxed);
            crate::notice::say(format_args!(
                "finishing requests in flight, for {} s at most",
                drain.as_secs()
            ));
            tokio::select! {
                cut = running.shutdown(drain) => Ok(cut),
                again = wait_for_signal() => again.map(|()| usize::MAX),
            }
        });
        host.close();
        match cut {
            Ok(0) => ExitCode::SUCCESS,
            Ok(usize::MAX) => super::fail(1, "stopped at once, as told twice"),
            Ok(cut) => super::fail(1, format_args!("{cut} connections had to be cut")),
            Err(error) => super::fail(1, format_args!("signals can't be waited for: {error}")),
        }
    }
}

fn bounded(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
