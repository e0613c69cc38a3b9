//! `AF_INET` and `AF_INET6`: TCP, UDP and ICMP sockets, see ip(7), ipv6(7), tcp(7), udp(7), icmp(7).
//!
//! Ports, listeners and receivers are found by hashing, so nothing here costs more with more sockets. A TCP socket has a
//! [`Stream`](crate::Stream) once it is connected: one of `loopback`, or one of the uplink.
mod binding;
mod counters;
mod dgram;
mod ip;
mod loopback;
mod options;
mod own;
mod ports;
mod registry;
mod tcp;
#[cfg(test)]
mod testing;

pub use counters::{Counter, Counters};
pub use loopback::TcpState;
pub(crate) use options::buffer_size;
pub use registry::{InetProtocol, SocketEntry};

use crate::Result;
use crate::env::Env;
use crate::network::Network;
use crate::socket::{Socket, SocketOps, SocketType};
use alloc::boxed::Box;
use alloc::sync::Arc;
use binding::Protocol;
use dgram::{DgramSocket, Groups, Kind, Receivers};
use ip::Family;
use linux_abi::raw::net::AF_INET;
use linux_abi::{Capability, Errno};
use own::OwnAddresses;
use ports::Ports;
use registry::Registry;
use spin::Mutex;
use tcp::{Listeners, TcpSocket};
use vfs::Host;

/// `IPPROTO_*`, as numbers.
pub(crate) const IPPROTO_ICMP: u32 = 1;
pub(crate) const IPPROTO_TCP: u32 = 6;
pub(crate) const IPPROTO_UDP: u32 = 17;
pub(crate) const IPPROTO_ICMPV6: u32 = 58;
/// `IPPROTO_MAX`
const PROTOCOL_MAX: u32 = 263;

/// What all sockets of these families share.
pub(crate) struct Inet {
    ports: [Mutex<Ports>; Protocol::COUNT],
    pub listeners: Mutex<Listeners>,
    pub receivers: Mutex<Receivers>,
    pub groups: Mutex<Groups>,
    pub registry: Mutex<Registry>,
    pub counters: Arc<Counters>,
    own: Mutex<OwnAddresses>,
}

impl Inet {
    pub(crate) fn new(host: &dyn Host) -> Self {
        let ports = || {
            let mut seed = [0; 8];
            host.random(&mut seed);
            Mutex::new(Ports::new(u64::from_ne_bytes(seed)))
        };
        Self {
            ports: core::array::from_fn(|_| ports()),
            listeners: Mutex::default(),
            receivers: Mutex::default(),
            groups: Mutex::default(),
            registry: Mutex::default(),
            counters: Arc::default(),
            own: Mutex::default(),
        }
    }
}

/// socket(2) of these families.
pub(crate) fn socket(
    network: &Arc<Network>,
    domain: u32,
    kind: u32,
    protocol: u32,
    env: &dyn Env,
) -> Result<Arc<Socket>> {
    let family = if domain == AF_INET {
        Family::V4
    } else {
        Family::V6
    };
    let kind = SocketType::new(kind)?;
    if protocol >= PROTOCOL_MAX {
        return Err(Errno::EINVAL);
    }
    let uid = env.credentials().uid;
    let icmp = match family {
        Family::V4 => IPPROTO_ICMP,
        Family::V6 => IPPROTO_ICMPV6,
    };
    let dgram = |kind| Box::new(DgramSocket::new(network, family, kind, uid));
    let ops: Box<dyn SocketOps> = match (kind, protocol) {
        (SocketType::Stream, 0 | IPPROTO_TCP) => Box::new(TcpSocket::new(network, family, uid)),
        (SocketType::Datagram, 0 | IPPROTO_UDP) => dgram(Kind::Udp),
        (SocketType::Datagram, _) if protocol == icmp => dgram(Kind::Echo),
        (SocketType::Raw, 1..) if !env.can(Capability::NET_RAW) => return Err(Errno::EPERM),
        (SocketType::Raw, _) if protocol == icmp => dgram(Kind::Raw),
        (SocketType::Raw, 1..) => {
            env.unsupported_part("raw sockets of protocols other than ICMP");
            return Err(Errno::EPROTONOSUPPORT);
        }
        (SocketType::SeqPacket, _) => return Err(Errno::ESOCKTNOSUPPORT),
        _ => return Err(Errno::EPROTONOSUPPORT),
    };
    Ok(Socket::new(ops))
}
