//! What the machine's configuration means for a card.
use super::ether::{Lease, Setup};
use crate::netconf::NetConfig;
use core::net::{IpAddr, Ipv4Addr};

fn is_unicast(address: IpAddr) -> bool {
    !address.is_multicast()
        && !address.is_unspecified()
        && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

impl Setup {
    /// Without an IPv4 address DHCP is asked for one; and then routers are listened to for IPv6, unless there is an address.
    #[must_use]
    pub fn new(config: &NetConfig) -> Self {
        let usable = config.addresses.iter().filter(|(ip, _)| is_unicast(*ip));
        let addresses: alloc::vec::Vec<_> = usable.copied().collect();
        let has = |v6: bool| addresses.iter().any(|(ip, _)| ip.is_ipv6() == v6);
        let dhcp = !has(false);
        Self {
            slaac: dhcp && !has(true),
            dhcp,
            gateways: config.gateways.clone(),
            addresses,
        }
    }
}

impl Lease {
    /// Adds to the configuration what the lease gives, for the files that programs read.
    pub fn complete(&self, config: &mut NetConfig) {
        config.addresses.insert(0, self.address);
        config.gateways.extend(self.router);
        config.dns.extend(&self.dns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(text: &str) -> Setup {
        Setup::new(&NetConfig::parse(text).unwrap())
    }

    #[test]
    fn dhcp_is_asked_where_there_is_no_address() {
        let all = setup("mode=card ip=dhcp");
        assert!(all.dhcp && all.slaac);
        let own = setup("mode=card ip=10.0.0.2/24 gateway=10.0.0.1");
        assert!(!own.dhcp && !own.slaac);
        assert_eq!(own.gateways.len(), 1);
        let six = setup("mode=card ip=dhcp ip=fd00::2/64");
        assert!(six.dhcp && !six.slaac);
        // smoltcp would not have these.
        assert!(
            setup("mode=card ip=224.0.0.1/4 ip=255.255.255.255/8")
                .addresses
                .is_empty()
        );
    }

    #[test]
    fn a_lease_completes_the_configuration() {
        let mut config = NetConfig::parse("mode=card dns=1.1.1.1").unwrap();
        let lease = Lease {
            address: ("10.0.2.15".parse().unwrap(), 24),
            router: Some("10.0.2.2".parse().unwrap()),
            dns: ["10.0.2.3".parse().unwrap()].to_vec(),
        };
        lease.complete(&mut config);
        let text = "nameserver 1.1.1.1\nnameserver 10.0.2.3\n";
        assert_eq!(config.resolv_conf().unwrap(), text);
    }
}
