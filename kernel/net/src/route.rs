//! Where packets would go: the routes that follow from the interfaces' addresses and gateways.
use crate::network::{Interface, InterfaceFlags};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One line of `ip route`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    pub destination: IpAddr,
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
    /// The address that such packets leave from.
    pub source: Option<IpAddr>,
    /// The interface.
    pub index: u32,
    /// The destination is the guest itself.
    pub local: bool,
}

impl Route {
    fn matches(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.destination.is_ipv4()
            && network_of(address, self.prefix) == self.destination
    }
}

/// The address with the host's bits cleared.
#[must_use]
pub fn network_of(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & netmask(prefix).to_bits()).into(),
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix.into()))
                .unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

#[must_use]
pub fn netmask(prefix: u8) -> Ipv4Addr {
    let mask = u32::MAX
        .checked_shl(32_u32.saturating_sub(prefix.into()))
        .unwrap_or(0);
    Ipv4Addr::from_bits(mask)
}

/// The broadcast address of a network that has one.
#[must_use]
pub fn broadcast(address: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
    (prefix < 31).then(|| Ipv4Addr::from_bits(address.to_bits() | !netmask(prefix).to_bits()))
}

/// All routes: those to the guest itself, to the networks it is on, and the default ones.
#[must_use]
pub fn table(interfaces: &[Interface]) -> Vec<Route> {
    let mut routes = Vec::new();
    for interface in interfaces {
        let loopback = interface.flags.contains(InterfaceFlags::LOOPBACK);
        for &(address, prefix) in &interface.addresses {
            let route = Route {
                destination: network_of(address, prefix),
                prefix,
                gateway: None,
                source: Some(address),
                index: interface.index,
                local: loopback,
            };
            if !loopback {
                let full = if address.is_ipv4() { 32 } else { 128 };
                routes.push(Route {
                    destination: address,
                    prefix: full,
                    local: true,
                    ..route
                });
            }
            routes.push(route);
        }
        for &gateway in &interface.gateways {
            let any = match gateway {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            let source = interface
                .addresses
                .iter()
                .map(|(address, _)| *address)
                .find(|address| address.is_ipv4() == gateway.is_ipv4());
            routes.push(Route {
                destination: any,
                prefix: 0,
                gateway: Some(gateway),
                source,
                index: interface.index,
                local: false,
            });
        }
    }
    routes
}

/// The route to `address`: the longest match.
#[must_use]
pub fn lookup(interfaces: &[Interface], address: IpAddr) -> Option<Route> {
    table(interfaces)
        .into_iter()
        .filter(|route| route.matches(address))
        .max_by_key(|route| route.prefix)
}
