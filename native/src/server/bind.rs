//! Listening sockets: several for one address, so that each thread has its own; in the file system; handed over by
//! systemd. No accepting of clients as such here.

use std::{
    collections::HashMap,
    env, fs,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdTcp},
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener as StdUnix, UnixStream as StdUnixStream},
    },
    sync::Arc,
};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tollgate_core::listener::{Address, Listener};

use super::{Limits, ServerError, stream::Io};
use crate::tls::{Acceptor, Tls};

/// Connections that have been established and wait to be accepted. The system may allow fewer.
const BACKLOG: i32 = 4096;

/// Whose connections over sockets in the file system are: this machine's.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where clients come in, and how they are received there.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) listener: Arc<Listener>,
    /// What makes connections encrypted; without it they stay plain.
    pub(super) tls: Option<Acceptor>,
}

/// A socket that listens, and what is spoken there.
#[derive(Debug)]
pub(super) struct Bound {
    at: Arc<Place>,
    socket: Sock,
}

#[derive(Debug)]
enum Sock {
    Tcp(StdTcp),
    Unix(StdUnix),
}

/// The same within a runtime.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) at: Arc<Place>,
    socket: AsyncSock,
}

#[derive(Debug)]
enum AsyncSock {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// All that listens.
#[derive(Debug, Default)]
pub(super) struct All {
    /// IP addresses with the ports that the system chose.
    pub(super) addresses: Vec<SocketAddr>,
    /// All of them, as people are told of them.
    pub(super) shown: Vec<String>,
    /// What was made in the file system.
    pub(super) paths: Vec<String>,
    /// For each thread.
    pub(super) sockets: Vec<Vec<Bound>>,
}

/// A socket for each listener and each thread.
pub(super) fn all(
    listeners: &[Arc<Listener>],
    tls: Option<&Tls>,
    threads: usize,
    limits: &Limits,
) -> Result<All, ServerError> {
    let mut all = All { sockets: (0..threads).map(|_| Vec::new()).collect(), ..All::default() };
    let ips: Vec<SocketAddr> = listeners.iter().filter_map(|listener| ip(&listener.address)).collect();
    let mut handed = None;
    for (number, listener) in listeners.iter().enumerate() {
        let acceptor = tls.and_then(|tls| tls.acceptor(number));
        if listener.tls.is_some() && acceptor.is_none() {
            return Err(ServerError::NoTls { address: listener.address.clone() });
        }
        let place = Arc::new(Place { listener: listener.clone(), tls: acceptor });
        let fail = |source| ServerError::Listen { address: listener.address.clone(), source };
        let scheme = match (&listener.forward, &listener.tls) {
            (Some(_), _) => "tcp",
            (None, Some(_)) => "https",
            (None, None) => "http",
        };
        match &listener.address {
            Address::Ip(address) => {
                let address = tcp(&mut all, &place, *address, &ips, limits).map_err(fail)?;
                all.shown.push(format!("{scheme}://{address}"));
                all.addresses.push(address);
            }
            Address::Unix(path) => {
                let socket = unix(path).map_err(fail)?;
                for sockets in &mut all.sockets {
                    let socket = Sock::Unix(socket.try_clone().map_err(fail)?);
                    sockets.push(Bound { at: place.clone(), socket });
                }
                all.shown.push(format!("{scheme} over {path}"));
                all.paths.push(path.clone());
            }
            Address::Systemd(name) => {
                let handed = handed.get_or_insert_with(Handed::take);
                for socket in handed.named(name, limits).map_err(fail)? {
                    if let Sock::Tcp(socket) = &socket {
                        all.addresses.extend(socket.local_addr().ok());
                    }
                    for sockets in &mut all.sockets {
                        let socket = socket.try_clone().map_err(fail)?;
                        sockets.push(Bound { at: place.clone(), socket });
                    }
                }
                all.shown.push(format!("{scheme} on the socket `{name}` of systemd"));
            }
        }
    }
    Ok(all)
}

fn ip(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Ip(address) => Some(*address),
        Address::Unix(_) | Address::Systemd(_) => None,
    }
}

/// A socket for each thread. The address, with the port that the system chose.
fn tcp(
    all: &mut All,
    place: &Arc<Place>,
    address: SocketAddr,
    ips: &[SocketAddr],
    limits: &Limits,
) -> io::Result<SocketAddr> {
    let alone = is_ipv6_beside_ipv4(address, ips);
    if address.port() != 0 {
        // Sockets that share an address don't notice each other, be it another process of ours. One that
        // does not share does.
        drop(open(address, alone, false)?);
    }
    let mut actual = address;
    for sockets in &mut all.sockets {
        let socket = open(actual, alone, true)?;
        listen(&socket, limits)?;
        let socket = StdTcp::from(socket);
        actual = socket.local_addr()?;
        sockets.push(Bound { at: place.clone(), socket: Sock::Tcp(socket) });
    }
    Ok(actual)
}

/// A socket in the file system. One that a former process has left behind is replaced.
fn unix(path: &str) -> io::Result<StdUnix> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        match StdUnixStream::connect(path) {
            Ok(_) => return Err(io::Error::new(ErrorKind::AddrInUse, "somebody listens there")),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
        }
    }
    let socket = StdUnix::bind(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The sockets that systemd has handed over (`sd_listen_fds(3)`).
struct Handed {
    sockets: ListenFd,
    /// Numbers by name.
    names: HashMap<String, Vec<usize>>,
}

impl Handed {
    fn take() -> Self {
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, name) in env::var("LISTEN_FDNAMES").unwrap_or_default().split(':').enumerate() {
            names.entry(name.to_owned()).or_default().push(number);
        }
        Self { sockets: ListenFd::from_env(), names }
    }

    fn named(&mut self, name: &str, limits: &Limits) -> io::Result<Vec<Sock>> {
        let mut found = Vec::new();
        for &number in self.names.get(name).into_iter().flatten() {
            if let Ok(Some(socket)) = self.sockets.take_tcp_listener(number) {
                cut_off_stalled(SockRef::from(&socket), limits)?;
                socket.set_nonblocking(true)?;
                found.push(Sock::Tcp(socket));
            } else if let Ok(Some(socket)) = self.sockets.take_unix_listener(number) {
                socket.set_nonblocking(true)?;
                found.push(Sock::Unix(socket));
            }
        }
        if found.is_empty() {
            let message = "systemd has handed over no listening socket of that name (`FileDescriptorName`)";
            return Err(io::Error::new(ErrorKind::NotFound, message));
        }
        Ok(found)
    }
}

impl Sock {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }
}

impl Bound {
    /// Listens within the runtime of this thread.
    pub(super) fn listen(self) -> io::Result<Listening> {
        let socket = match self.socket {
            Sock::Tcp(socket) => AsyncSock::Tcp(TcpListener::from_std(socket)?),
            Sock::Unix(socket) => AsyncSock::Unix(UnixListener::from_std(socket)?),
        };
        Ok(Listening { at: self.at, socket })
    }
}

impl Listening {
    /// The next connection, and where it comes from.
    pub(super) async fn accept(&self) -> io::Result<(Io, SocketAddr)> {
        match &self.socket {
            AsyncSock::Tcp(socket) => {
                let (stream, from) = socket.accept().await?;
                // Without it an answer in two pieces may wait for the client's acknowledgement. It fails where the
                // client has left already, which reading will tell.
                let _ = stream.set_nodelay(true);
                Ok((Io::Tcp(stream), from))
            }
            AsyncSock::Unix(socket) => socket.accept().await.map(|(stream, _)| (Io::Unix(stream), HERE)),
        }
    }

    /// Listens no more. What was established and not accepted, as blocking sockets are asked for it: the runtime may not
    /// have heard of it yet.
    pub(super) fn queue(self) -> io::Result<Queue> {
        Ok(Queue(match self.socket {
            AsyncSock::Tcp(socket) => Sock::Tcp(socket.into_std()?),
            AsyncSock::Unix(socket) => Sock::Unix(socket.into_std()?),
        }))
    }
}

/// Connections that nobody has accepted.
pub(super) struct Queue(Sock);

impl Queue {
    /// The next one. An error when there is none.
    pub(super) fn accept(&self) -> io::Result<(Io, SocketAddr)> {
        match &self.0 {
            Sock::Tcp(socket) => {
                let (stream, from) = socket.accept()?;
                stream.set_nonblocking(true)?;
                let _ = stream.set_nodelay(true);
                Ok((Io::Tcp(TcpStream::from_std(stream)?), from))
            }
            Sock::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Io::Unix(UnixStream::from_std(stream)?), HERE))
            }
        }
    }
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
    cut_off_stalled(SockRef::from(socket), limits)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)
}

/// Accepted connections inherit it. A client that reads nothing is cut off, however long it keeps the
/// connection alive.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn cut_off_stalled(socket: SockRef<'_>, limits: &Limits) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(crate::idle::span(limits.stall_timeout_ms)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn cut_off_stalled(_: SockRef<'_>, _: &Limits) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_PORT: SocketAddr = HERE;

    fn at(address: &Address) -> Arc<Listener> {
        Arc::new(Listener { address: address.clone(), ..Listener::plain(ANY_PORT) })
    }

    fn listeners(addresses: &[SocketAddr]) -> Vec<Arc<Listener>> {
        addresses.iter().map(|address| at(&Address::Ip(*address))).collect()
    }

    fn bind(addresses: &[SocketAddr], threads: usize) -> Result<All, ServerError> {
        all(&listeners(addresses), None, threads, &Limits::default())
    }

    #[test]
    fn all_threads_listen_on_the_port_that_the_system_chose() {
        let all = bind(&[ANY_PORT], 3).unwrap();
        assert_ne!(all.addresses[0].port(), 0);
        assert_eq!(all.sockets.len(), 3);
        let local = |bound: &Bound| match &bound.socket {
            Sock::Tcp(socket) => socket.local_addr().unwrap(),
            Sock::Unix(_) => unreachable!(),
        };
        assert!(all.sockets.iter().flatten().all(|bound| local(bound) == all.addresses[0]));
    }

    #[test]
    fn an_address_in_use_is_an_error_that_names_it() {
        let first = bind(&[ANY_PORT], 2).unwrap();
        let error = bind(&first.addresses, 2).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {}: ", first.addresses[0])), "{error}");
    }

    #[test]
    fn an_address_given_twice_is_in_use() {
        let addresses = bind(&[ANY_PORT], 1).unwrap().addresses;
        assert!(bind(&[addresses[0], addresses[0]], 1).is_err());
    }

    #[test]
    fn both_families_can_have_the_same_port() {
        let port = bind(&[ANY_PORT], 1).unwrap().addresses[0].port();
        match bind(&[([0, 0, 0, 0], port).into(), (Ipv6Addr::UNSPECIFIED, port).into()], 2) {
            Ok(both) => assert_eq!(both.addresses.len(), 2),
            // A machine without IPv6.
            Err(error) => assert!(error.to_string().contains("not supported"), "{error}"),
        }
    }

    #[test]
    fn a_socket_that_nobody_listens_on_any_more_is_replaced_and_a_file_is_not() {
        let folder = env::temp_dir().join(format!("tollgate-bind-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket").to_str().unwrap().to_owned();
        let listener = at(&Address::Unix(path.clone()));
        let first = all(std::slice::from_ref(&listener), None, 2, &Limits::default()).unwrap();
        assert!(all(std::slice::from_ref(&listener), None, 2, &Limits::default()).is_err());
        drop(first);
        assert!(all(std::slice::from_ref(&listener), None, 2, &Limits::default()).is_ok());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(all(&[listener], None, 2, &Limits::default()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_socket_that_systemd_has_not_handed_over_is_an_error() {
        let error = all(&[at(&Address::Systemd("web".to_owned()))], None, 1, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("systemd"), "{error}");
    }
}
