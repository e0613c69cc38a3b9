//! Which addresses are the guest's, and which of them a packet leaves from.
use super::ip::Family;
use crate::Result;
use crate::network::{Interface, Network};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use linux_abi::Errno;

/// How long what the uplink said is good for, in nanoseconds: addresses change with a DHCP lease, not with a packet.
const GOOD_FOR: u64 = 1_000_000_000;
const MONOTONIC: u32 = 1;
/// `lo`
pub(crate) const LOOPBACK_INDEX: u32 = 1;

/// An address of an interface.
#[derive(Clone, Copy)]
struct Own {
    ip: IpAddr,
    prefix: u8,
    interface: u32,
}

/// The addresses besides loopback's, as last asked.
#[derive(Default)]
pub(crate) struct OwnAddresses {
    list: Arc<Vec<Own>>,
    asked: Option<u64>,
}

fn addresses(interface: &Interface) -> impl Iterator<Item = Own> {
    interface.addresses.iter().map(|(ip, prefix)| Own {
        ip: *ip,
        prefix: *prefix,
        interface: interface.index,
    })
}

impl Network {
    fn own(&self) -> Arc<Vec<Own>> {
        let Some(uplink) = self.uplink() else {
            return Arc::default();
        };
        let now = self.host().clock(MONOTONIC);
        {
            let own = self.inet().own.lock();
            if own
                .asked
                .is_some_and(|asked| now.wrapping_sub(asked) < GOOD_FOR)
            {
                return own.list.clone();
            }
        }
        let list = Arc::new(uplink.interfaces().iter().flat_map(addresses).collect());
        let mut own = self.inet().own.lock();
        own.list = Arc::clone(&list);
        own.asked = Some(now);
        list
    }

    /// Whether a packet to `ip` stays inside.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.own().iter().any(|own| own.ip == ip)
    }

    /// The same, also for an address that came a moment ago.
    pub(crate) fn is_own_now(&self, ip: IpAddr) -> bool {
        self.is_own(ip) || {
            self.inet().own.lock().asked = None;
            self.is_own(ip)
        }
    }

    /// Whether it is the broadcast address of an interface's network.
    pub(crate) fn is_own_broadcast(&self, ip: IpAddr) -> bool {
        let IpAddr::V4(v4) = ip else {
            return false;
        };
        if v4.is_loopback() {
            return false;
        }
        self.own().iter().any(|own| match own.ip {
            IpAddr::V4(base) if own.prefix < 31 => {
                let hosts = u32::MAX.checked_shr(u32::from(own.prefix)).unwrap_or(0);
                v4 == Ipv4Addr::from_bits(base.to_bits() | hosts)
            }
            _ => false,
        })
    }

    /// The interface that has the address; 0: none.
    pub(crate) fn interface_of(&self, ip: IpAddr) -> u32 {
        if ip.is_loopback() {
            return LOOPBACK_INDEX;
        }
        let own = self.own();
        let known = own.iter().find(|own| own.ip == ip);
        known.map_or(0, |own| own.interface)
    }

    /// The first address of an interface (0: of any but `lo`).
    pub(crate) fn address_of(&self, interface: u32, family: Family) -> Option<IpAddr> {
        if interface == LOOPBACK_INDEX {
            return Some(family.loopback());
        }
        let own = self.own();
        let fits = |own: &&Own| {
            Family::of(own.ip) == family && (interface == 0 || own.interface == interface)
        };
        // A link-local address goes nowhere but to its neighbours.
        let is_local = |ip: IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let mut all = own.iter().filter(fits);
        let best = all.clone().find(|own| !is_local(own.ip));
        best.or_else(|| all.next()).map(|own| own.ip)
    }

    /// Where a packet to `remote` leaves from, from a socket bound to `bound` and perhaps to a device. `ENETUNREACH`: there is no
    /// way; `EINVAL`: not from that address.
    pub(crate) fn source_for(&self, bound: IpAddr, remote: IpAddr, device: u32) -> Result<IpAddr> {
        let family = Family::of(remote);
        let own = if bound.is_unspecified() || Family::of(bound) != family {
            None
        } else {
            Some(bound)
        };
        if remote.is_loopback() {
            return if device > LOOPBACK_INDEX {
                Err(Errno::ENETUNREACH)
            } else {
                Ok(own.unwrap_or(family.loopback()))
            };
        }
        if self.is_own(remote) {
            return Ok(own.unwrap_or(remote));
        }
        if device == LOOPBACK_INDEX {
            return Err(Errno::ENETUNREACH);
        }
        let source = self.address_of(device, family).ok_or(Errno::ENETUNREACH)?;
        match own {
            Some(own) if own.is_loopback() => Err(Errno::EINVAL),
            Some(own) => Ok(own),
            None => Ok(source),
        }
    }

    /// The index of an interface by name, for `SO_BINDTODEVICE`.
    pub(crate) fn device_named(&self, name: &[u8]) -> Option<u32> {
        if name == b"lo" {
            return Some(LOOPBACK_INDEX);
        }
        let interfaces = self.uplink()?.interfaces();
        interfaces
            .iter()
            .find(|interface| interface.name.as_bytes() == name)
            .map(|interface| interface.index)
    }

    /// The name of an interface; empty: there is none.
    pub(crate) fn device_name(&self, index: u32) -> Vec<u8> {
        if index == LOOPBACK_INDEX {
            return b"lo".to_vec();
        }
        let interfaces = self.uplink().map(|uplink| uplink.interfaces());
        interfaces
            .iter()
            .flatten()
            .find(|interface| interface.index == index)
            .map_or(Vec::new(), |interface| interface.name.as_bytes().to_vec())
    }
}
