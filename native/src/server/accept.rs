//! From a listener to connections, as many as there may be. Speaking with the client is not done here.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};
use tollgate_core::host::Peer;

use super::{
    connection,
    handler::Handler,
    socket::Slot,
    worker::{Life, Phase, Worker},
};

/// How long to wait when the system has no connection to give: it is out of files or of memory.
const BACK_OFF: Duration = Duration::from_millis(100);
/// How often that is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Accepts until the server's end has begun.
pub(super) async fn run<H: Handler>(worker: Arc<Worker<H>>, listener: TcpListener, life: Life) {
    let mut phases = life.phases.clone();
    let mut over = pin!(Phase::Draining.reached(&mut phases));
    let mut told: Option<Instant> = None;
    loop {
        let accepted = select! {
            () = &mut over => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                // The slot comes after the connection: a listener that held one while it waits would keep
                // it from one to which a client has come.
                let permit = select! {
                    () = &mut over => break,
                    permit = worker.slots.clone().acquire_owned() => permit,
                };
                // Nobody closes the semaphore; if it were, there would be no slots.
                let Ok(permit) = permit else { break };
                welcome(&worker, stream, address, permit, &life);
            }
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

fn welcome<H: Handler>(
    worker: &Arc<Worker<H>>,
    stream: TcpStream,
    address: SocketAddr,
    permit: OwnedSemaphorePermit,
    life: &Life,
) {
    // Without it an answer in two pieces may wait for the client's acknowledgement. It fails where the
    // client has left already, which reading will tell.
    let _ = stream.set_nodelay(true);
    let peer = Arc::new(Peer::new(address.ip(), false));
    let slot = Slot { _permit: permit, _gauge: worker.metrics.connection(), _alive: life.alive.clone() };
    tokio::spawn(connection::serve(worker.clone(), stream, peer, slot, life.phases.clone()));
}

/// Clients whose connections were established but not accepted: they would be reset when the listener
/// closes, though the server still is at work for others.
fn empty_queue<H: Handler>(worker: &Arc<Worker<H>>, listener: TcpListener, life: &Life) {
    if *life.phases.borrow() != Phase::Draining {
        return;
    }
    let Ok(listener) = listener.into_std() else { return };
    while let Ok(permit) = worker.slots.clone().try_acquire_owned()
        && let Ok((stream, address)) = listener.accept()
    {
        match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => welcome(worker, stream, address, permit, life),
            Err(_) => worker.metrics.accept_failures.up(),
        }
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
