//! From a listener to connections, as many as there may be; one too many is turned away. Speaking with the client is
//! not done here.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use super::{
    bind::{Listening, Place},
    connection,
    handler::Handler,
    socket::Slot,
    stream::Io,
    worker::{Life, Phase, Worker},
};
use tokio::{
    select,
    time::{Instant, sleep},
};

/// How long to wait when the system has no connection to give: it is out of files or of memory.
const BACK_OFF: Duration = Duration::from_millis(100);
/// How often that is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Accepts until the server's end has begun.
pub(super) async fn run<H: Handler>(worker: Arc<Worker<H>>, listener: Listening, life: Life) {
    let mut phases = life.phases.clone();
    let mut over = pin!(Phase::Draining.reached(&mut phases));
    let mut told: Option<Instant> = None;
    loop {
        let accepted = select! {
            () = &mut over => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((io, from)) => welcome(&worker, &listener.at, io, from, &life),
            Err(error) if is_about_one_connection(&error) => worker.metrics.broken.up(),
            Err(error) => {
                worker.metrics.accept_failures.up();
                if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    told = Some(Instant::now());
                    crate::notice::say(format_args!("cannot accept a connection: {error}"));
                }
                select! {
                    () = &mut over => break,
                    () = sleep(BACK_OFF) => {}
                }
            }
        }
    }
    empty_queue(&worker, listener, &life);
}

fn welcome<H: Handler>(worker: &Arc<Worker<H>>, at: &Arc<Place>, io: Io, from: SocketAddr, life: &Life) {
    // Behind a proxy that tells whose connections are, they are counted when it has.
    let guest = match &at.listener.proxies {
        None => worker.crowd.enter(from.ip()),
        Some(_) => Ok(None),
    };
    let Ok(guest) = guest else {
        worker.metrics.crowded.up();
        return;
    };
    let Ok(permit) = worker.slots.clone().try_acquire_owned() else {
        worker.metrics.shed.up();
        let listener = &at.listener;
        let is_plain = at.tls.is_none() && listener.forward.is_none() && listener.proxies.is_none();
        worker.shed.turn_away(io, is_plain);
        return;
    };
    let gauge = worker.metrics.connection();
    let slot = Slot { _permit: permit, _gauge: gauge, _alive: life.alive.clone(), guest };
    tokio::spawn(connection::serve(worker.clone(), at.clone(), io, from, slot, life.clone()));
}

/// Clients whose connections were established but not accepted: they would be reset when the listener
/// closes, though the server still is at work for others.
fn empty_queue<H: Handler>(worker: &Arc<Worker<H>>, listener: Listening, life: &Life) {
    if *life.phases.borrow() != Phase::Draining {
        return;
    }
    let at = listener.at.clone();
    let Ok(queue) = listener.queue() else { return };
    while let Ok((io, from)) = queue.accept() {
        welcome(worker, &at, io, from, life);
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_out_of_files_is_given_time() {
        // EMFILE on Linux.
        assert!(!is_about_one_connection(&io::Error::from_raw_os_error(24)));
        assert!(is_about_one_connection(&io::ErrorKind::ConnectionAborted.into()));
    }
}
