//! What lies between the sockets and the world outside the guest. Implemented by `forward` (sockets of the host, reached
//! over shared rings) and by `stack` (TCP/IP over a network card).
use crate::Result;
use crate::network::Interface;
use crate::stack::Tap;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;
use vfs::{Sink, Source, WaitList};

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection {
    Connecting,
    Established,
    /// It could not be made, or broke; the error has been or will be told by `take_error`.
    Failed,
}

/// Options of a TCP connection that reach beyond the socket layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamOption {
    /// `TCP_NODELAY`
    NoDelay(bool),
    /// `TCP_CORK`
    Cork(bool),
    /// `TCP_QUICKACK`
    QuickAck(bool),
    /// `SO_KEEPALIVE` and its times, in seconds.
    KeepAlive {
        on: bool,
        idle: u32,
        interval: u32,
        count: u32,
    },
    /// `TCP_USER_TIMEOUT`, in milliseconds; 0: the system's.
    UserTimeout(u32),
    /// `IP_TTL`, `IPV6_UNICAST_HOPS`
    HopLimit(u8),
    /// `IP_TOS`, `IPV6_TCLASS`
    TrafficClass(u8),
    /// `SO_RCVBUF` and `SO_SNDBUF`: bytes to hold for a slow reader on this side or the other.
    ReceiveBuffer(u32),
    SendBuffer(u32),
    /// `TCP_MAXSEG`
    MaxSegment(u16),
}

/// A connection that is wanted.
pub struct ConnectRequest<'a> {
    /// Where bind(2) put the socket; port and address may be unspecified.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// What was set before.
    pub options: &'a [StreamOption],
    /// Whom the stream tells about changes.
    pub events: Arc<WaitList>,
}

/// One end of a TCP connection. Dropping it closes the connection in the background: what was sent is still delivered.
pub trait Stream: Send + Sync {
    /// Told whenever `poll` may answer something else.
    fn events(&self) -> &Arc<WaitList>;
    fn local(&self) -> SocketAddr;
    fn peer(&self) -> SocketAddr;
    fn connection(&self) -> Connection;

    /// The pending error, once (`SO_ERROR`).
    fn take_error(&self) -> Option<Errno>;

    /// Takes what there is room for. `EAGAIN`: no room now; `EPIPE`: shut down; the pending error, if there is one. `more`: hold
    /// a part of a segment back (`MSG_MORE`).
    fn send(&self, source: &mut dyn Source, more: bool) -> Result<usize>;

    /// Gives what there is; 0 at the end. `EAGAIN`: nothing now; the pending error comes after the data. `peek` leaves it.
    fn receive(&self, sink: &mut dyn Sink, peek: bool) -> Result<usize>;

    /// As for a stream socket: IN, OUT, RDHUP, HUP, ERR.
    fn poll(&self) -> u32;

    /// `FIONREAD`
    fn readable(&self) -> usize;

    /// `SIOCOUTQ`
    fn unsent(&self) -> usize;

    fn shutdown(&self, read: bool, write: bool) -> Result<()>;

    fn set_option(&self, option: StreamOption) -> Result<()>;

    /// `TCP_INFO`: the bytes of `struct tcp_info`. `EAGAIN`: asked for, `events` will tell.
    fn info(&self) -> Result<Vec<u8>>;

    /// Ends it at once with a reset (`SO_LINGER` with 0 seconds).
    fn abort(&self);
}

/// A listening socket, for the uplink that has a connection for it.
pub trait Acceptor: Send + Sync {
    /// How many more connections its backlog holds.
    fn room(&self) -> usize;

    /// Hands over an established connection. It is given back if there was no room.
    fn offer(&self, stream: Arc<dyn Stream>) -> core::result::Result<(), Arc<dyn Stream>>;
}

/// Held by a socket that listens beyond loopback; dropping it ends that.
pub trait Listening: Send + Sync {
    /// The program has accepted a connection: its backlog has room again.
    fn accepted(&self);
}

/// Which datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DatagramKind {
    Udp,
    /// Echo requests and replies of `SOCK_DGRAM` ICMP sockets: the local "port" is the identifier, the bytes start with the ICMP
    /// header.
    Echo,
    /// `SOCK_RAW` of a protocol: bytes without the IP header.
    Raw {
        protocol: u8,
    },
}

/// A socket that gets datagrams from outside.
pub trait DatagramReceiver: Send + Sync {
    /// A datagram came. `to` is its destination. One that finds no room is dropped.
    fn deliver(&self, from: SocketAddr, to: IpAddr, hop_limit: u8, bytes: &[u8]);

    /// An error came back for something sent to `remote` (ICMP unreachable and the like).
    fn error(&self, errno: Errno, remote: SocketAddr);

    /// There is room for sending again.
    fn writable(&self);
}

/// A socket's way out for datagrams. Dropping it closes it.
pub trait Datagrams: Send + Sync {
    /// Sends one datagram. `EAGAIN`: no room now, `writable` will tell; `EMSGSIZE`. `hop_limit` 0: the default.
    fn send(&self, source: &mut dyn Source, to: SocketAddr, hop_limit: u8) -> Result<usize>;

    /// The local address that a datagram to `remote` leaves from.
    fn source_for(&self, remote: IpAddr) -> Result<IpAddr>;

    /// `IP_ADD_MEMBERSHIP` and its kin; `join` false leaves.
    fn membership(&self, group: IpAddr, interface: u32, join: bool) -> Result<()>;
}

/// SYN cookies since boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SynCookies {
    pub sent: u64,
    /// Connections that came of them.
    pub received: u64,
    /// Acknowledgements that looked like one while there were some, and were not.
    pub failed: u64,
}

/// The way out of the guest.
pub trait Uplink: Send + Sync {
    /// The interfaces besides `lo`, with their addresses as they are now.
    fn interfaces(&self) -> Vec<Interface>;

    /// Shows `tap` all frames for as long as it lives. False: there are no frames.
    fn watch(&self, _tap: &Arc<dyn Tap>) -> bool {
        false
    }

    /// Sends a frame as it is. `EOPNOTSUPP`: there are no frames.
    fn transmit(&self, _frame: &[u8]) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// How it fares with floods of SYNs. Zeros: somebody else looks after that.
    fn syn_cookies(&self) -> SynCookies {
        SynCookies::default()
    }

    /// Begins a connection; the stream is `Connecting`. `ENETUNREACH`, `EACCES` (the user's rules forbid it).
    fn connect(&self, request: ConnectRequest<'_>) -> Result<Arc<dyn Stream>>;

    /// Connections to `local` (its address may be unspecified, its port is not 0) are wanted from now on.
    fn listen(
        &self,
        local: SocketAddr,
        backlog: usize,
        acceptor: Weak<dyn Acceptor>,
    ) -> Result<Box<dyn Listening>>;

    /// Datagrams for `local` (its address may be unspecified) are wanted, and will be sent.
    fn datagrams(
        &self,
        kind: DatagramKind,
        local: SocketAddr,
        receiver: Weak<dyn DatagramReceiver>,
    ) -> Result<Box<dyn Datagrams>>;
}
