//! Listening sockets: several for one address, so that each thread has its own. No accepting here.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::{Limits, ServerError};

/// Connections that have been established and wait to be accepted. The system may allow fewer.
const BACKLOG: i32 = 4096;

/// For each thread, a listener for each address; and the addresses with the ports that the system chose.
pub(super) fn all(
    addresses: &[SocketAddr],
    threads: usize,
    limits: &Limits,
) -> Result<(Vec<SocketAddr>, Vec<Vec<TcpListener>>), ServerError> {
    let mut bound = Vec::with_capacity(addresses.len());
    let mut listeners: Vec<Vec<TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
    for &address in addresses {
        let fail = |source| ServerError::Listen { address, source };
        let alone = is_ipv6_beside_ipv4(address, addresses);
        if address.port() != 0 {
            // Sockets that share an address don't notice each other, be it another process of ours. One that
            // does not share does.
            drop(open(address, alone, false).map_err(fail)?);
        }
        let mut actual = address;
        for listeners in &mut listeners {
            let socket = open(actual, alone, true).map_err(fail)?;
            listen(&socket, limits).map_err(fail)?;
            let listener = TcpListener::from(socket);
            actual = listener.local_addr().map_err(fail)?;
            listeners.push(listener);
        }
        bound.push(actual);
    }
    Ok((bound, listeners))
}

/// Whether `[::]` is to leave IPv4 alone: it would take that port as well, which is asked for by itself.
fn is_ipv6_beside_ipv4(address: SocketAddr, all: &[SocketAddr]) -> bool {
    address.ip() == Ipv6Addr::UNSPECIFIED
        && all.iter().any(|other| other.is_ipv4() && other.port() == address.port())
}

fn open(address: SocketAddr, only_v6: bool, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if only_v6 {
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier process that linger don't keep the address from us.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(socket: &Socket, limits: &Limits) -> io::Result<()> {
    cut_off_stalled(socket, limits)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)
}

/// Accepted connections inherit it. A client that reads nothing is cut off, however long it keeps the
/// connection alive.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn cut_off_stalled(socket: &Socket, limits: &Limits) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(crate::idle::span(limits.stall_timeout_ms)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn cut_off_stalled(_: &Socket, _: &Limits) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    fn bind(addresses: &[SocketAddr], threads: usize) -> Result<Vec<SocketAddr>, ServerError> {
        all(addresses, threads, &Limits::default()).map(|(addresses, _)| addresses)
    }

    #[test]
    fn all_threads_listen_on_the_port_that_the_system_chose() {
        let (addresses, listeners) = all(&[ANY_PORT], 3, &Limits::default()).unwrap();
        assert_ne!(addresses[0].port(), 0);
        assert_eq!(listeners.len(), 3);
        assert!(listeners.iter().flatten().all(|listener| listener.local_addr().unwrap() == addresses[0]));
    }

    #[test]
    fn an_address_in_use_is_an_error_that_names_it() {
        let (addresses, _listeners) = all(&[ANY_PORT], 2, &Limits::default()).unwrap();
        let error = bind(&addresses, 2).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {}: ", addresses[0])), "{error}");
    }

    #[test]
    fn an_address_given_twice_is_in_use() {
        let addresses = bind(&[ANY_PORT], 1).unwrap();
        assert!(bind(&[addresses[0], addresses[0]], 1).is_err());
    }

    #[test]
    fn both_families_can_have_the_same_port() {
        let port = bind(&[ANY_PORT], 1).unwrap()[0].port();
        match bind(&[([0, 0, 0, 0], port).into(), (Ipv6Addr::UNSPECIFIED, port).into()], 2) {
            Ok(both) => assert_eq!(both.len(), 2),
            // A machine without IPv6.
            Err(error) => assert!(error.to_string().contains("not supported"), "{error}"),
        }
    }
}
