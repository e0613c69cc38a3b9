//! The network of the guest: its interfaces, its name spaces, the way out; makes sockets.
use crate::Result;
use crate::env::Env;
use crate::inet::{self, Inet};
use crate::socket::Socket;
use crate::uplink::Uplink;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::net::IpAddr;
use linux_abi::Errno;
use linux_abi::raw::net::{AF_INET, AF_INET6};
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
    inet: Once<Inet>,
}

impl Network {
    #[must_use]
    pub fn new(host: Arc<dyn Host>) -> Arc<Self> {
        Arc::new(Self {
            host,
            uplink: Once::new(),
            inet: Once::new(),
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
            AF_INET | AF_INET6 => inet::socket(self, domain, kind, protocol, env),
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
            // Linux makes the sockets before it finds that they cannot be a pair.
            AF_INET | AF_INET6 => {
                inet::socket(self, domain, kind, protocol, env)?;
                Err(Errno::EOPNOTSUPP)
            }
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }
}
