//! What addresses mean: families, wildcards, which are the guest's own.
use crate::Result;
use crate::address::Address;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use linux_abi::Errno;
use linux_abi::raw::net::{AF_INET, AF_INET6};

/// The family of a socket. Addresses inside this module are *canonical*: an IPv4 address is never written as a
/// v4-mapped one, whatever the socket's family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::V4 => AF_INET,
            Self::V6 => AF_INET6,
        }
    }

    pub(crate) const fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    pub(crate) const fn loopback(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Self::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        }
    }

    /// A canonical address as a socket of this family shows it.
    pub(crate) fn show(self, address: SocketAddr) -> SocketAddr {
        match (self, address) {
            (Self::V6, SocketAddr::V4(v4)) => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            // An IPv6 socket that has no address yet is at `::`, so no IPv6 address meets an IPv4 socket.
            _ => address,
        }
    }

    /// An address that bind(2) or a TCP connect(2) got, made canonical.
    pub(crate) fn parse(self, address: &Address, v6_only: bool) -> Result<SocketAddr> {
        let Address::Inet(address) = address else {
            return Err(Errno::EAFNOSUPPORT);
        };
        match (self, address) {
            (Self::V4, SocketAddr::V6(_)) => Err(Errno::EAFNOSUPPORT),
            // Linux finds it too short.
            (Self::V6, SocketAddr::V4(_)) => Err(Errno::EINVAL),
            _ => {
                let canonical = canonical(*address);
                if v6_only && canonical.is_ipv4() && self == Self::V6 {
                    return Err(Errno::EINVAL);
                }
                Ok(canonical)
            }
        }
    }
}

/// v4-mapped becomes IPv4; of the rest only link-local and multicast addresses have a scope.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    let SocketAddr::V6(v6) = address else {
        return address;
    };
    match v6.ip().to_ipv4_mapped() {
        Some(v4) => SocketAddr::new(v4.into(), v6.port()),
        None if v6.ip().is_unicast_link_local() => {
            SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into()
        }
        None => SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0).into(),
    }
}

/// An unspecified destination is this machine.
pub(crate) fn destination(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(Family::of(address.ip()).loopback(), address.port())
    } else {
        address
    }
}

/// The limited broadcast address, or that of loopback's network; those of other networks are the interfaces' matter.
pub(crate) fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.is_broadcast() || v4 == Ipv4Addr::new(127, 255, 255, 255))
}

/// The destinations that a bound address covers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Cover {
    One(IpAddr),
    /// `0.0.0.0`
    AllV4,
    /// `::` with `IPV6_V6ONLY`
    AllV6,
    /// `::` without it
    All,
}

impl Cover {
    pub(crate) fn new(family: Family, ip: IpAddr, v6_only: bool) -> Self {
        match (ip.is_unspecified(), ip, family) {
            (false, ..) => Self::One(ip),
            (true, IpAddr::V4(_), _) => Self::AllV4,
            (true, IpAddr::V6(_), _) if v6_only => Self::AllV6,
            (true, IpAddr::V6(_), _) => Self::All,
        }
    }

    pub(crate) fn contains(self, ip: IpAddr) -> bool {
        match self {
            Self::One(own) => own == ip,
            Self::AllV4 => ip.is_ipv4(),
            Self::AllV6 => ip.is_ipv6(),
            Self::All => true,
        }
    }

    /// Whether some destination is covered by both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::One(ip), cover) | (cover, Self::One(ip)) => cover.contains(ip),
            (Self::All, _) | (_, Self::All) => true,
            _ => self == other,
        }
    }

    /// How well it fits a destination that it contains: lookups prefer the exact address, then the family.
    pub(crate) const fn rank(self) -> u32 {
        match self {
            Self::One(_) => 2,
            Self::AllV4 | Self::AllV6 => 1,
            Self::All => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(family: Family, ip: &str, v6_only: bool) -> Cover {
        Cover::new(family, ip.parse().unwrap(), v6_only)
    }

    #[test]
    fn wildcards_overlap_as_dual_stack_does() {
        let v4 = cover(Family::V4, "0.0.0.0", false);
        let dual = cover(Family::V6, "::", false);
        let v6 = cover(Family::V6, "::", true);
        let one = cover(Family::V4, "127.0.0.1", false);
        assert!(v4.overlaps(dual) && dual.overlaps(v6) && dual.overlaps(one) && one.overlaps(v4));
        assert!(!v4.overlaps(v6) && !v6.overlaps(one));
        assert!(!one.overlaps(cover(Family::V4, "127.0.0.2", false)));
        assert!(one.rank() > v4.rank() && v4.rank() > dual.rank());
    }

    #[test]
    fn mapped_addresses_are_ipv4_inside_and_ipv6_outside() {
        let mapped = Address::Inet("[::ffff:10.0.0.1]:80".parse().unwrap());
        let inside = Family::V6.parse(&mapped, false).unwrap();
        assert_eq!(inside, "10.0.0.1:80".parse().unwrap());
        assert_eq!(Address::Inet(Family::V6.show(inside)), mapped);
        assert_eq!(Family::V6.parse(&mapped, true), Err(Errno::EINVAL));
        assert_eq!(Family::V4.parse(&mapped, false), Err(Errno::EAFNOSUPPORT));
    }
}
