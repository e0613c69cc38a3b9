//! Which address of the host stands behind an address of the guest, and the other way round.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use boot_abi::netconf::{
    DNS_V4, DNS_V6, GATEWAY_V4, GATEWAY_V6, GUEST_V4, GUEST_V6, PREFIX_V4, PREFIX_V6,
};

pub const DNS_PORT: u16 = 53;
const NETWORK_UNREACHABLE: u32 = libc::ENETUNREACH as u32;

fn v4(octets: [u8; 4]) -> IpAddr {
    Ipv4Addr::from(octets).into()
}

fn v6(segments: [u16; 8]) -> IpAddr {
    Ipv6Addr::from(segments).into()
}

pub fn gateway(ipv6: bool) -> IpAddr {
    if ipv6 { v6(GATEWAY_V6) } else { v4(GATEWAY_V4) }
}

pub fn guest(ipv6: bool) -> IpAddr {
    if ipv6 { v6(GUEST_V6) } else { v4(GUEST_V4) }
}

pub fn loopback(ipv6: bool) -> IpAddr {
    if ipv6 {
        Ipv6Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::LOCALHOST.into()
    }
}

/// The address where the guest finds the host's name server.
pub fn is_dns(ip: IpAddr) -> bool {
    ip == v4(DNS_V4) || ip == v6(DNS_V6)
}

/// What the host knows about names.
#[derive(Debug, Default, Clone)]
pub struct Resolver {
    pub server: Option<IpAddr>,
    pub search: Vec<String>,
}

impl Resolver {
    /// `text` is that of resolv.conf(5). Usable is an address without a zone.
    pub fn read(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if resolver.server.is_none() => {
                    resolver.server = words.next().and_then(|word| word.parse().ok());
                }
                // The last one counts.
                Some("search" | "domain") => {
                    resolver.search = words.map(str::to_owned).collect();
                }
                _ => {}
            }
        }
        resolver
    }
}

/// A destination, as the guest names it and as the host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    pub host: SocketAddr,
    /// It is the name server.
    pub is_dns: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Addresses {
    pub server: Option<IpAddr>,
}

impl Addresses {
    /// Where something for `to` goes; an errno if nowhere. The guest's own loopback never leaves it, and the unspecified address
    /// would be the host's loopback.
    pub fn destination(&self, to: SocketAddr) -> Result<Destination, u32> {
        let ip = to.ip().to_canonical();
        let at = |ip| SocketAddr::new(ip, to.port());
        if ip.is_loopback() || ip.is_unspecified() {
            return Err(NETWORK_UNREACHABLE);
        }
        let is_dns = is_dns(ip) && to.port() == DNS_PORT;
        let host = if is_dns {
            at(self.server.ok_or(NETWORK_UNREACHABLE)?)
        } else if ip == gateway(false) || ip == gateway(true) {
            at(loopback(ip.is_ipv6()))
        } else {
            at(ip)
        };
        Ok(Destination { host, is_dns })
    }

    /// How the guest knows the host's `peer`, with which it talks by datagrams. `dns`: as which it has addressed the name server.
    pub fn shown_peer(&self, peer: SocketAddr, dns: Option<IpAddr>) -> SocketAddr {
        let ip = peer.ip().to_canonical();
        let shown = match dns {
            Some(dns) if peer.port() == DNS_PORT && Some(ip) == self.server => dns,
            _ if ip.is_loopback() => gateway(ip.is_ipv6()),
            _ => ip,
        };
        SocketAddr::new(shown, peer.port())
    }
}

/// Peer and local address of a connection to a published port, as a listener at `listener` sees them.
pub fn shown_connection(peer: SocketAddr, listener: IpAddr, port: u16) -> (SocketAddr, SocketAddr) {
    let ip = peer.ip().to_canonical();
    let ipv6 = match listener {
        IpAddr::V4(_) => false,
        IpAddr::V6(own) => !own.is_unspecified() || ip.is_ipv6(),
    };
    let (shown, local) = if ip.is_loopback() {
        (loopback(ipv6), loopback(ipv6))
    } else if ip.is_ipv6() == ipv6 {
        (ip, guest(ipv6))
    } else {
        (gateway(ipv6), guest(ipv6))
    };
    (
        SocketAddr::new(shown, peer.port()),
        SocketAddr::new(local, port),
    )
}

/// Text of the configuration record [`NET`](boot_abi::config::NET).
pub fn configuration(ipv6: bool, search: &[String]) -> String {
    let mut words = Vec::new();
    for version6 in [false, true].into_iter().take(1 + usize::from(ipv6)) {
        let prefix = if version6 { PREFIX_V6 } else { PREFIX_V4 };
        let dns = if version6 { v6(DNS_V6) } else { v4(DNS_V4) };
        words.push(format!(
            "ip={}/{prefix} gateway={} dns={dns}",
            guest(version6),
            gateway(version6)
        ));
    }
    words.extend(search.iter().map(|domain| format!("search={domain}")));
    format!("mode=forward {}", words.join(" "))
}

/// Does the host have IPv6 addresses besides link-local ones? `text` is that of /proc/net/if_inet6.
pub fn has_ipv6(text: &str) -> bool {
    const GLOBAL: &str = "00";
    const HOST: &str = "10";
    text.lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(3))
        .any(|scope| scope == GLOBAL || scope == HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_usable_name_server_counts() {
        let text =
            "# x\nnameserver fe80::1%eth0\nnameserver 9.9.9.9\nnameserver 1.1.1.1\nsearch a.b c\n";
        let resolver = Resolver::read(text);
        assert_eq!(resolver.server, Some("9.9.9.9".parse().unwrap()));
        assert_eq!(resolver.search, ["a.b", "c"]);
        assert_eq!(Resolver::read("").server, None);
    }

    #[test]
    fn gateway_and_name_server_are_the_hosts() {
        let addresses = Addresses {
            server: Some("9.9.9.9".parse().unwrap()),
        };
        let to = |text| addresses.destination(at(text)).map(|d| d.host);
        assert_eq!(to("10.0.2.2:80"), Ok(at("127.0.0.1:80")));
        assert_eq!(to("[::ffff:10.0.2.2]:80"), Ok(at("127.0.0.1:80")));
        assert_eq!(to("[fd00:c0::2]:80"), Ok(at("[::1]:80")));
        assert_eq!(to("10.0.2.3:53"), Ok(at("9.9.9.9:53")));
        assert_eq!(to("[fd00:c0::3]:53"), Ok(at("9.9.9.9:53")));
        assert_eq!(to("10.0.2.3:54"), Ok(at("10.0.2.3:54")));
        assert_eq!(to("1.2.3.4:5"), Ok(at("1.2.3.4:5")));
        for refused in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "0.0.0.0:1",
            "[::]:1",
        ] {
            assert_eq!(to(refused), Err(NETWORK_UNREACHABLE), "{refused}");
        }
        assert_eq!(to("[::ffff:127.0.0.1]:1"), Err(NETWORK_UNREACHABLE));
        let none = Addresses::default();
        assert_eq!(
            none.destination(at("10.0.2.3:53")),
            Err(NETWORK_UNREACHABLE)
        );
    }

    #[test]
    fn answers_come_from_where_the_guest_sent_to() {
        let addresses = Addresses {
            server: Some("127.0.0.53".parse().unwrap()),
        };
        let dns = Some(v4(DNS_V4));
        let shown = |text, dns| addresses.shown_peer(at(text), dns);
        assert_eq!(shown("127.0.0.53:53", dns), at("10.0.2.3:53"));
        assert_eq!(shown("127.0.0.53:53", None), at("10.0.2.2:53"));
        assert_eq!(shown("127.0.0.1:99", dns), at("10.0.2.2:99"));
        assert_eq!(shown("[::1]:99", dns), at("[fd00:c0::2]:99"));
        assert_eq!(shown("8.8.8.8:53", dns), at("8.8.8.8:53"));
    }

    #[test]
    fn peers_are_shown_in_the_family_of_the_listener() {
        let shown = |peer, listener: &str| {
            let (peer, local) = shown_connection(at(peer), listener.parse().unwrap(), 80);
            format!("{peer} {local}")
        };
        for (peer, listener, expected) in [
            ("127.0.0.1:9", "0.0.0.0", "127.0.0.1:9 127.0.0.1:80"),
            ("127.0.0.1:9", "::", "127.0.0.1:9 127.0.0.1:80"),
            ("127.0.0.1:9", "::1", "[::1]:9 [::1]:80"),
            ("[::1]:9", "::", "[::1]:9 [::1]:80"),
            ("[::1]:9", "127.0.0.1", "127.0.0.1:9 127.0.0.1:80"),
            ("7.7.7.7:9", "0.0.0.0", "7.7.7.7:9 10.0.2.15:80"),
            (
                "7.7.7.7:9",
                "fd00:c0::15",
                "[fd00:c0::2]:9 [fd00:c0::15]:80",
            ),
            ("[2001:db8::1]:9", "0.0.0.0", "10.0.2.2:9 10.0.2.15:80"),
            ("[2001:db8::1]:9", "::", "[2001:db8::1]:9 [fd00:c0::15]:80"),
        ] {
            assert_eq!(shown(peer, listener), expected, "{peer} {listener}");
        }
    }

    #[test]
    fn the_record_says_what_the_guest_has() {
        assert_eq!(
            configuration(false, &["a.b".to_owned()]),
            "mode=forward ip=10.0.2.15/24 gateway=10.0.2.2 dns=10.0.2.3 search=a.b"
        );
        assert!(
            configuration(true, &[])
                .ends_with(" ip=fd00:c0::15/64 gateway=fd00:c0::2 dns=fd00:c0::3")
        );
        assert!(has_ipv6("0001 01 80 10 80 lo\n"));
        assert!(!has_ipv6("fe80 02 40 20 80 eth0\n"));
    }
}
