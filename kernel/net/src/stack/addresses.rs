//! The card's addresses, and who is reached through it and how.
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

/// What goes out, and to whom first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hop {
    /// To this neighbour, whose hardware address must be found.
    Neighbour(IpAddr),
    /// To this hardware address.
    Hardware([u8; 6]),
}

/// Addresses with their prefix lengths, and default routers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    pub own: Vec<(IpAddr, u8)>,
    pub gateways: Vec<IpAddr>,
}

const BROADCAST: [u8; 6] = [0xff; 6];

impl Addresses {
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.own.iter().any(|(own, _)| *own == address)
    }

    pub fn is_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else {
            return false;
        };
        address.is_broadcast()
            || self.own.iter().any(|(own, prefix)| match own {
                IpAddr::V4(own) if *prefix < 31 => {
                    let host = u32::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
                    u32::from(*own) | host == u32::from(address)
                }
                _ => false,
            })
    }

    pub fn is_on_link(&self, address: IpAddr) -> bool {
        self.own
            .iter()
            .any(|(own, prefix)| has_prefix(*own, *prefix, address))
    }

    /// None: nobody there can be reached.
    pub fn next_hop(&self, destination: IpAddr) -> Option<Hop> {
        if destination.is_multicast() {
            return Some(Hop::Hardware(multicast_hardware(destination)));
        }
        if self.is_broadcast(destination) {
            return Some(Hop::Hardware(BROADCAST));
        }
        if self.is_on_link(destination) || is_link_local(destination) {
            return Some(Hop::Neighbour(destination));
        }
        self.gateways
            .iter()
            .find(|gateway| gateway.is_ipv4() == destination.is_ipv4())
            .map(|gateway| Hop::Neighbour(*gateway))
    }

    /// The own address that packets to `destination` leave from. None: there is none of its family, or no way there.
    pub fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        self.next_hop(destination)?;
        let family = || {
            self.own
                .iter()
                .filter(|(own, _)| own.is_ipv4() == destination.is_ipv4())
        };
        let wants_link_local = is_link_local(destination)
            || matches!(destination, IpAddr::V6(group) if group.is_multicast() && group.octets()[1] & 15 == 2);
        family()
            .find(|(own, prefix)| has_prefix(*own, *prefix, destination))
            .or_else(|| family().find(|(own, _)| is_link_local(*own) == wants_link_local))
            .or_else(|| family().next())
            .map(|(own, _)| *own)
    }
}

pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn has_prefix(own: IpAddr, prefix: u8, address: IpAddr) -> bool {
    match (own, address) {
        (IpAddr::V4(own), IpAddr::V4(address)) => {
            let differing = u32::from(own) ^ u32::from(address);
            differing.leading_zeros() >= u32::from(prefix)
        }
        (IpAddr::V6(own), IpAddr::V6(address)) => {
            let differing = u128::from(own) ^ u128::from(address);
            differing.leading_zeros() >= u32::from(prefix)
        }
        _ => false,
    }
}

fn multicast_hardware(group: IpAddr) -> [u8; 6] {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

/// `fe80::` with the interface identifier that RFC 4291 makes of a hardware address.
pub fn link_local(hardware: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = hardware;
    Ipv6Addr::from([
        0xfe,
        0x80,
        0,
        0,
        0,
        0,
        0,
        0,
        a ^ 2,
        b,
        c,
        0xff,
        0xfe,
        d,
        e,
        f,
    ])
}

/// The group that neighbour solicitations for `address` go to.
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        Addresses {
            own: [("10.1.2.3", 24), ("fe80::1", 64), ("2001:db8::5", 64)]
                .map(|(own, prefix)| (own.parse().unwrap(), prefix))
                .to_vec(),
            gateways: ["10.1.2.1", "fe80::9"]
                .map(|ip| ip.parse().unwrap())
                .to_vec(),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_hop_is_a_neighbour_the_router_or_everybody() {
        let all = addresses();
        let neighbour = |text| Some(Hop::Neighbour(ip(text)));
        assert_eq!(all.next_hop(ip("10.1.2.200")), neighbour("10.1.2.200"));
        assert_eq!(all.next_hop(ip("10.1.3.200")), neighbour("10.1.2.1"));
        assert_eq!(all.next_hop(ip("2001:db8:1::1")), neighbour("fe80::9"));
        assert_eq!(all.next_hop(ip("fe80::77")), neighbour("fe80::77"));
        assert_eq!(
            all.next_hop(ip("10.1.2.255")),
            Some(Hop::Hardware([255; 6]))
        );
        assert_eq!(
            all.next_hop(ip("224.1.2.3")),
            Some(Hop::Hardware([1, 0, 0x5e, 1, 2, 3]))
        );
        assert_eq!(Addresses::default().next_hop(ip("10.1.2.1")), None);
    }

    #[test]
    fn the_source_fits_the_destination() {
        let all = addresses();
        let source = |text| all.source_for(ip(text)).unwrap();
        assert_eq!(source("8.8.8.8"), ip("10.1.2.3"));
        assert_eq!(source("fe80::77"), ip("fe80::1"));
        assert_eq!(source("2001:db8:7::1"), ip("2001:db8::5"));
        assert_eq!(source("ff02::fb"), ip("fe80::1"));
    }
}
