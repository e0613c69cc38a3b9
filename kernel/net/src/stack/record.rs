//! The configuration record of the network, as far as a card is concerned.
use super::ether::Setup;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use boot_abi::netconf::values;
use core::net::IpAddr;

/// What the record says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    pub setup: Setup,
    /// Name servers; DHCP may give others, which come after these.
    pub dns: Vec<IpAddr>,
    pub search: Vec<String>,
    pub mtu: Option<usize>,
}

fn prefixed(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let is_unicast = !address.is_multicast()
        && !address.is_unspecified()
        && address != IpAddr::V4(core::net::Ipv4Addr::BROADCAST);
    (prefix <= most && is_unicast).then_some((address, prefix))
}

impl Record {
    /// `complain` gets the words that cannot be understood; they are left out.
    pub fn parse(text: &str, complain: &mut dyn FnMut(&str)) -> Self {
        /// What an IPv4 host must be able to receive (RFC 791), and the largest packet.
        const MTU: core::ops::RangeInclusive<usize> = 576..=65535;
        let mut record = Self::default();
        for value in values(text, "ip") {
            match (value, prefixed(value)) {
                ("dhcp", _) => record.setup.dhcp = true,
                ("auto", _) => record.setup.slaac = true,
                (_, Some(address)) => record.setup.addresses.push(address),
                _ => complain(value),
            }
        }
        let mut addresses = |key, into: &mut Vec<IpAddr>| {
            for value in values(text, key) {
                match value.parse() {
                    Ok(address) => into.push(address),
                    Err(_) => complain(value),
                }
            }
        };
        addresses("gateway", &mut record.setup.gateways);
        addresses("dns", &mut record.dns);
        record.search = values(text, "search").map(ToString::to_string).collect();
        for value in values(text, "mtu") {
            match value.parse() {
                Ok(mtu) if MTU.contains(&mtu) => record.mtu = Some(mtu),
                _ => complain(value),
            }
        }
        // Routers announce IPv6 to whoever has nothing else.
        let has_v6 = record.setup.addresses.iter().any(|(ip, _)| ip.is_ipv6());
        record.setup.slaac |= record.setup.dhcp && !has_v6;
        record
    }

    /// The text of /etc/resolv.conf. `more`: name servers that DHCP has given. None: there is no name server.
    #[must_use]
    pub fn resolver(&self, more: &[IpAddr]) -> Option<String> {
        /// `MAXNS` of resolv.conf(5)
        const MOST: usize = 3;
        let servers = self.dns.iter().chain(more).take(MOST);
        let mut text: String = servers
            .map(|ip| alloc::format!("nameserver {ip}\n"))
            .collect();
        if text.is_empty() {
            return None;
        }
        if !self.search.is_empty() {
            text += &alloc::format!("search {}\n", self.search.join(" "));
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_understood() {
        let mut odd = Vec::new();
        let text = "mode=card ip=10.0.0.2/24 ip=fd00::2/64 gateway=10.0.0.1 dns=1.1.1.1 dns=nonsense \
                    search=a.example search=b.example mtu=9000 mtu=5 ip=224.0.0.1/4 ip=1.2.3.4";
        let record = Record::parse(text, &mut |word| odd.push(word.to_string()));
        assert_eq!(
            record.setup.addresses,
            [("10.0.0.2", 24), ("fd00::2", 64)].map(|(ip, prefix)| (ip.parse().unwrap(), prefix))
        );
        assert_eq!(record.mtu, Some(9000));
        assert!(!record.setup.dhcp && !record.setup.slaac);
        assert_eq!(odd, ["224.0.0.1/4", "1.2.3.4", "nonsense", "5"]);
        let more = ["8.8.8.8".parse().unwrap()];
        assert_eq!(
            record.resolver(&more).unwrap(),
            "nameserver 1.1.1.1\nnameserver 8.8.8.8\nsearch a.example b.example\n"
        );
    }

    #[test]
    fn dhcp_takes_ipv6_from_routers() {
        let record = Record::parse("ip=dhcp", &mut |_| panic!());
        assert!(record.setup.dhcp && record.setup.slaac);
        assert_eq!(record.resolver(&[]), None);
    }
}
