//! `--net tap...`, as text.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use crate::error::{Error, Result};

/// `IFNAMSIZ` without the NUL.
const LONGEST_NAME: usize = 15;
/// What IPv4 asks for (RFC 791), and what an Ethernet frame of a tap may hold.
const MTU: std::ops::RangeInclusive<u16> = 68..=65521;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TapOptions {
    pub name: Option<String>,
    dhcp: bool,
    addresses: Vec<(IpAddr, u8)>,
    gateways: Vec<IpAddr>,
    dns: Vec<IpAddr>,
    mac: Option<[u8; 6]>,
    pub mtu: Option<u16>,
    pub bridge: Option<String>,
}

fn bad(what: &str, text: &str) -> Error {
    Error::Usage(format!("--net tap: {what}: '{text}'"))
}

impl TapOptions {
    /// What is left of `tap...`; None: another kind of network.
    pub fn parse(text: &str) -> Option<Result<Self>> {
        let rest = text.strip_prefix("tap")?;
        match rest.bytes().next() {
            None | Some(b':' | b',') => Some(Self::parse_rest(rest)),
            Some(_) => None,
        }
    }

    /// The card's, as it is given or follows from the IPv4 address; none with DHCP, which tells machines apart by it.
    pub fn mac(&self) -> Option<[u8; 6]> {
        let first = self.addresses.iter().find_map(|(ip, _)| match ip {
            IpAddr::V4(ip) => Some(mac_of(*ip)),
            IpAddr::V6(_) => None,
        });
        self.mac.or(first)
    }

    fn parse_rest(rest: &str) -> Result<Self> {
        let mut options = Self::default();
        let mut words = rest.split(',');
        if let Some(name) = words.next().and_then(|first| first.strip_prefix(':')) {
            options.name = Some(interface(name)?);
        }
        for word in words {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| bad("not KEY=VALUE", word))?;
            options.set(key, value)?;
        }
        options.dhcp |= !options.addresses.iter().any(|(ip, _)| ip.is_ipv4());
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let address = || value.parse().map_err(|_| bad("not an address", value));
        match key {
            "ip" if value == "dhcp" => self.dhcp = true,
            "ip" => {
                let new = network(value).ok_or_else(|| bad("not ADDRESS/PREFIX or dhcp", value))?;
                let taken = |(ip, _): &(IpAddr, u8)| ip.is_ipv4() == new.0.is_ipv4();
                if self.addresses.iter().any(taken) {
                    return Err(bad("a second address of its kind", value));
                }
                self.addresses.push(new);
            }
            "gateway" => {
                let new: IpAddr = address()?;
                if self.gateways.iter().any(|ip| ip.is_ipv4() == new.is_ipv4()) {
                    return Err(bad("a second gateway of its kind", value));
                }
                self.gateways.push(new);
            }
            "dns" => self.dns.push(address()?),
            "mac" => {
                self.mac = Some(mac(value).ok_or_else(|| bad("not a MAC of one card", value))?)
            }
            "mtu" => {
                let mtu = value.parse().ok().filter(|mtu| MTU.contains(mtu));
                self.mtu = Some(mtu.ok_or_else(|| bad("not an MTU from 68 to 65521", value))?);
            }
            "bridge" => self.bridge = Some(interface(value)?),
            _ => return Err(bad("unknown key", key)),
        }
        if self.dhcp && self.addresses.iter().any(|(ip, _)| ip.is_ipv4()) {
            return Err(bad("both dhcp and an IPv4 address", value));
        }
        Ok(())
    }

    /// The guest's part, see [`boot_abi::netconf`].
    pub fn record(&self, mtu: u16) -> String {
        let mut text = "mode=card".to_owned();
        if self.dhcp {
            text += " ip=dhcp";
        }
        // Writing to a string cannot fail.
        for (ip, prefix) in &self.addresses {
            let _ = write!(text, " ip={ip}/{prefix}");
        }
        for (key, list) in [("gateway", &self.gateways), ("dns", &self.dns)] {
            for ip in list {
                let _ = write!(text, " {key}={ip}");
            }
        }
        let _ = write!(text, " mtu={mtu}");
        text
    }
}

fn interface(name: &str) -> Result<String> {
    let fine = !matches!(name, "" | "." | "..")
        && name.len() <= LONGEST_NAME
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%'));
    if fine {
        Ok(name.to_owned())
    } else {
        Err(bad("not a name for an interface", name))
    }
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, prefix) = text.split_once('/')?;
    let ip: IpAddr = ip.parse().ok()?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.parse().ok().filter(|bits| *bits <= longest)?;
    Some((ip, prefix))
}

/// Six bytes in hexadecimal; not of a group, and not all zero.
/// Locally administered, and always the same for an address: who talked to the machine that had it before finds the next one at once.
fn mac_of(ip: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = ip.octets();
    [0x02, 0x43, a, b, c, d]
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> = text
        .split(':')
        .map(|part| {
            let hexadecimal = part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
            u8::from_str_radix(part, 16).ok().filter(|_| hexadecimal)
        })
        .collect::<Option<_>>()?;
    let mac: [u8; 6] = bytes.try_into().ok()?;
    (mac[0] & 1 == 0 && mac != [0; 6]).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TapOptions> {
        TapOptions::parse(text).unwrap()
    }

    #[test]
    fn the_card_follows_from_the_first_ipv4_address() {
        let mac = |text| parse(text).unwrap().mac();
        assert_eq!(
            mac("tap,ip=fd00::2/64,ip=10.1.0.2/16"),
            Some([2, 0x43, 10, 1, 0, 2])
        );
        assert_eq!(mac("tap"), None);
    }

    #[test]
    fn everything_that_can_be_said() {
        let text = "tap:t0,ip=10.1.0.2/16,ip=fd00::2/64,gateway=10.1.0.1,gateway=fd00::1,dns=10.1.0.1,dns=1.1.1.1,\
                    mac=02:00:5E:00:00:01,mtu=1400,bridge=br0";
        let options = parse(text).unwrap();
        assert_eq!(
            (options.name.as_deref(), options.bridge.as_deref()),
            (Some("t0"), Some("br0"))
        );
        assert_eq!(options.mac(), Some([2, 0, 0x5e, 0, 0, 1]));
        assert_eq!(
            options.record(1400),
            "mode=card ip=10.1.0.2/16 ip=fd00::2/64 gateway=10.1.0.1 gateway=fd00::1 dns=10.1.0.1 dns=1.1.1.1 mtu=1400"
        );
    }

    #[test]
    fn dhcp_unless_there_is_an_ipv4_address() {
        assert_eq!(
            parse("tap").unwrap().record(1500),
            "mode=card ip=dhcp mtu=1500"
        );
        assert_eq!(
            parse("tap,ip=fd00::2/64").unwrap().record(9000),
            "mode=card ip=dhcp ip=fd00::2/64 mtu=9000"
        );
    }

    #[test]
    fn nonsense_is_named() {
        for (text, expected) in [
            ("tap,what=1", "unknown key: 'what'"),
            ("tap,ip", "not KEY=VALUE"),
            ("tap,", "not KEY=VALUE"),
            ("tap:", "not a name"),
            ("tap:a/b", "not a name"),
            ("tap:%d", "not a name"),
            ("tap:sixteen-letters-", "not a name"),
            ("tap,bridge=", "not a name"),
            ("tap,ip=10.0.0.1", "not ADDRESS/PREFIX"),
            ("tap,ip=10.0.0.1/33", "not ADDRESS/PREFIX"),
            ("tap,ip=10.0.0.1/8,ip=10.0.0.2/8", "a second address"),
            ("tap,ip=10.0.0.1/8,ip=dhcp", "both dhcp"),
            ("tap,gateway=x", "not an address"),
            ("tap,gateway=1.1.1.1,gateway=1.1.1.2", "a second gateway"),
            ("tap,dns=1.1.1.1/8", "not an address"),
            ("tap,mac=01:00:00:00:00:00", "not a MAC"),
            ("tap,mac=02:00:00:00:00", "not a MAC"),
            ("tap,mac=02:00:00:00:00:+1", "not a MAC"),
            ("tap,mac=00:00:00:00:00:00", "not a MAC"),
            ("tap,mtu=67", "not an MTU"),
            ("tap,mtu=65522", "not an MTU"),
        ] {
            let shown = parse(text).unwrap_err().to_string();
            assert!(shown.contains(expected), "{text}: {shown}");
        }
        assert!(TapOptions::parse("tape").is_none() && TapOptions::parse("none").is_none());
    }
}
