//! Multicast groups: joining, leaving, and who hears them.
use super::Dgram;
use crate::Result;
use crate::inet::ip::Family;
use crate::inet::options::Slot;
use crate::inet::own::LOOPBACK_INDEX;
use crate::network::Network;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use hashbrown::HashMap;
use linux_abi::Errno;
use linux_abi::raw::net::{
    IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IPV6_ADD_MEMBERSHIP, MCAST_JOIN_GROUP,
};
use rustc_hash::FxBuildHasher;

/// `struct group_req`: where the address begins.
const GROUP_REQ_ADDRESS: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Membership {
    pub group: IpAddr,
    pub interface: u32,
}

/// How many sockets are in each group.
#[derive(Default)]
pub(crate) struct Groups(HashMap<IpAddr, usize, FxBuildHasher>);

fn field<const N: usize>(value: &[u8], at: usize) -> Option<[u8; N]> {
    value.get(at..)?.first_chunk().copied()
}

impl Network {
    /// Where a group is joined, or multicast sent, when nobody says: at the default route.
    pub(super) fn first_interface(&self) -> u32 {
        let interfaces = self.uplink().map(|uplink| uplink.interfaces());
        let first = interfaces.iter().flatten().map(|one| one.index);
        first.min().unwrap_or(0)
    }
}

impl Dgram {
    /// Whether a datagram to this address, if it is a group's, is for this socket.
    pub(super) fn admits(&self, to: IpAddr) -> bool {
        if !to.is_multicast() {
            return true;
        }
        let joined = self.state.lock().groups.iter().any(|own| own.group == to);
        // `IP_MULTICAST_ALL`: what any socket of the machine has joined.
        let slot = match to {
            IpAddr::V4(_) => Slot::MulticastAll,
            IpAddr::V6(_) => Slot::MulticastAll6,
        };
        joined || (self.option(slot) != 0 && self.network.inet().groups.lock().0.contains_key(&to))
    }

    /// The membership that a value of a setsockopt(2) names. `EINVAL`, `ENODEV`
    pub(super) fn membership(&self, name: u32, value: &[u8]) -> Result<(bool, Membership)> {
        let joins = matches!(
            name,
            IP_ADD_MEMBERSHIP | IPV6_ADD_MEMBERSHIP | MCAST_JOIN_GROUP
        );
        let parsed = match name {
            IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP => self.mreq(value),
            MCAST_JOIN_GROUP | linux_abi::raw::net::MCAST_LEAVE_GROUP => group_req(value),
            _ => ipv6_mreq(value),
        };
        let (group, interface) = parsed.ok_or(Errno::EINVAL)?;
        if !group.is_multicast() {
            return Err(Errno::EINVAL);
        }
        let interface = match interface {
            0 => self.network.first_interface(),
            index if self.network.device_name(index).is_empty() => 0,
            index => index,
        };
        if interface == 0 && joins {
            return Err(Errno::ENODEV);
        }
        Ok((joins, Membership { group, interface }))
    }

    /// `struct ip_mreq` or `ip_mreqn`
    fn mreq(&self, value: &[u8]) -> Option<(IpAddr, u32)> {
        let group = Ipv4Addr::from(field::<4>(value, 0)?);
        let address = Ipv4Addr::from(field::<4>(value, 4)?);
        let index = field(value, 8).map_or(0, u32::from_ne_bytes);
        let interface = match (index, address.is_unspecified()) {
            (0, true) => 0,
            // An address of nobody is an interface that is not there.
            (0, false) => match self.network.interface_of(IpAddr::V4(address)) {
                0 => u32::MAX,
                known => known,
            },
            (index, _) => index,
        };
        Some((IpAddr::V4(group), interface))
    }

    pub(super) fn change_membership(&self, joins: bool, which: Membership) -> Result<()> {
        let way = {
            let mut state = self.state.lock();
            let known = state.groups.iter().position(|own| {
                own.group == which.group
                    && (own.interface == which.interface || (!joins && which.interface == 0))
            });
            match (joins, known) {
                (true, Some(_)) => return Err(Errno::EADDRINUSE),
                (true, None) => state.groups.push(which),
                (false, Some(at)) => drop(state.groups.swap_remove(at)),
                (false, None) => return Err(Errno::EADDRNOTAVAIL),
            }
            let index = usize::from(Family::of(which.group) == Family::V6);
            let own = state.ways.get(index).and_then(Clone::clone);
            // One that serves both families lies with IPv6.
            own.or_else(|| state.ways.get(1).and_then(Clone::clone))
        };
        self.count(joins, which.group);
        // Without a way out yet, the group is joined when there is one.
        match way {
            Some(way) if which.interface != LOOPBACK_INDEX => {
                way.membership(which.group, which.interface, joins)
            }
            _ => Ok(()),
        }
    }

    fn count(&self, joins: bool, group: IpAddr) {
        let mut groups = self.network.inet().groups.lock();
        let members = groups.0.entry(group).or_insert(0);
        *members = if joins {
            *members + 1
        } else {
            members.saturating_sub(1)
        };
        if *members == 0 {
            groups.0.remove(&group);
        }
    }

    /// The socket is closed; the uplink hears of it by the end of the way out.
    pub(super) fn leave_all(&self) {
        let groups = core::mem::take(&mut self.state.lock().groups);
        for membership in groups {
            self.count(false, membership.group);
        }
    }
}

fn ipv6_mreq(value: &[u8]) -> Option<(IpAddr, u32)> {
    let group = Ipv6Addr::from(field::<16>(value, 0)?);
    let interface = u32::from_ne_bytes(field(value, 16)?);
    Some((IpAddr::V6(group), interface))
}

fn group_req(value: &[u8]) -> Option<(IpAddr, u32)> {
    let interface = u32::from_ne_bytes(field(value, 0)?);
    let address = crate::Address::parse(value.get(GROUP_REQ_ADDRESS..)?).ok()?;
    match address {
        crate::Address::Inet(address) => Some((address.ip(), interface)),
        _ => None,
    }
}
