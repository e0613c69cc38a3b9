//! The network of the guest: its interfaces, its name spaces, the way out; makes sockets.
use crate::Result;
use crate::env::Env;
use crate::inet::{self, Inet};
use crate::netlink;
use crate::packet::{self, Observers};
use crate::socket::{Socket, SocketType};
use crate::unix::{self, Names, UnixEntry};
use crate::uplink::Uplink;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use linux_abi::Errno;
use linux_abi::raw::net::{AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX};
use spin::Once;
use vfs::Host;

bitflags! {
    /// `IFF_*` of netdevice(7).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct InterfaceFlags: u32 {
        const UP = 0x1;
        const BROADCAST = 0x2;
        const LOOPBACK = 0x8;
        const RUNNING = 0x40;
        const PROMISC = 0x100;
        const MULTICAST = 0x1000;
        const LOWER_UP = 0x10000;
    }
}

/// A network interface, see netdevice(7).
#[derive(Clone, Debug)]
pub struct Interface {
    /// `ifi_index`, from 1 (`lo`) on.
    pub index: u32,
    pub name: String,
    pub flags: InterfaceFlags,
    pub mtu: u32,
    /// `ARPHRD_*`
    pub hardware_type: u16,
    pub hardware_address: [u8; 6],
    /// Addresses with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Default routes through this interface.
    pub gateways: Vec<IpAddr>,
    /// Since boot: packets, bytes, errors and drops, received and sent.
    pub received: [u64; 4],
    pub sent: [u64; 4],
}

/// One for the machine.
pub struct Network {
    host: Arc<dyn Host>,
    uplink: Once<Arc<dyn Uplink>>,
    unix: Arc<Names>,
    pub(crate) netlink_ports: netlink::Ports,
    inet: Once<Inet>,
    /// Who watches the interfaces.
    pub(crate) observers: Arc<Observers>,
}

/// `ARPHRD_LOOPBACK`
const ARPHRD_LOOPBACK: u16 = 772;

/// The interface that every guest has.
fn loopback(traffic: [u64; 4]) -> Interface {
    Interface {
        index: 1,
        name: String::from("lo"),
        flags: InterfaceFlags::UP
            | InterfaceFlags::LOOPBACK
            | InterfaceFlags::RUNNING
            | InterfaceFlags::LOWER_UP,
        mtu: 65536,
        hardware_type: ARPHRD_LOOPBACK,
        hardware_address: [0; 6],
        addresses: Vec::from([
            (IpAddr::V4(Ipv4Addr::LOCALHOST), 8),
            (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        ]),
        gateways: Vec::new(),
        received: traffic,
        sent: traffic,
    }
}

impl Network {
    #[must_use]
    pub fn new(host: Arc<dyn Host>) -> Arc<Self> {
        Arc::new(Self {
            unix: Names::new(host.clone()),
            host,
            uplink: Once::new(),
            netlink_ports: netlink::Ports::default(),
            inet: Once::new(),
            observers: Arc::default(),
        })
    }

    #[must_use]
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Gives the guest a way out. Once, at boot.
    pub fn set_uplink(&self, uplink: Arc<dyn Uplink>) {
        self.uplink.call_once(|| uplink);
    }

    #[must_use]
    pub fn uplink(&self) -> Option<&Arc<dyn Uplink>> {
        self.uplink.get()
    }

    /// All interfaces, `lo` first.
    #[must_use]
    pub fn interfaces(&self) -> Vec<Interface> {
        let outside = self.uplink.get().map(|uplink| uplink.interfaces());
        // What is sent there is received there.
        let inside = self.inet.get().map_or([0; 4], |inet| {
            let counters = &inet.counters;
            let [packets, bytes] = [&counters.loopback_packets, &counters.loopback_bytes];
            [packets.get(), bytes.get(), 0, 0]
        });
        let mut all = Vec::from([loopback(inside)]);
        all.extend(outside.into_iter().flatten());
        all
    }

    /// What the sockets of the Internet families share.
    pub(crate) fn inet(&self) -> &Inet {
        self.inet.call_once(|| Inet::new(&*self.host))
    }

    /// socket(2): `kind` without its flags.
    pub fn socket(
        self: &Arc<Self>,
        domain: u32,
        kind: u32,
        protocol: u32,
        env: &dyn Env,
    ) -> Result<Arc<Socket>> {
        match domain {
            AF_UNIX => unix::socket(&self.unix, kind, protocol, env),
            AF_NETLINK => netlink::socket(self, SocketType::new(kind)?, protocol, env),
            AF_INET | AF_INET6 => inet::socket(self, domain, kind, protocol, env),
            AF_PACKET => packet::socket(self, SocketType::new(kind)?, protocol, env),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// socketpair(2)
    pub fn pair(
        self: &Arc<Self>,
        domain: u32,
        kind: u32,
        protocol: u32,
        env: &dyn Env,
    ) -> Result<[Arc<Socket>; 2]> {
        match domain {
            AF_UNIX => unix::pair(&self.unix, kind, protocol, env),
            // Linux makes the sockets before it finds that they cannot be a pair.
            AF_INET | AF_INET6 => {
                inet::socket(self, domain, kind, protocol, env)?;
                Err(Errno::EOPNOTSUPP)
            }
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// The lines of /proc/net/unix.
    #[must_use]
    pub fn unix_sockets(&self) -> Vec<UnixEntry> {
        self.unix.entries()
    }
}
