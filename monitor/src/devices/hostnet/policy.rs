//! Which destinations the guest may reach: `--allow-net`.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;

use rustc_hash::FxHashSet;

use super::addresses::{self, Destination};
use crate::error::{Error, Result};
use crate::terminal;

/// Destinations named on stderr; a guest that tries more is told of no further.
const MOST_TOLD: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    Any,
    /// Addresses whose first bits are these.
    Network(IpAddr, u8),
}

/// What one `--allow-net` allows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    NameServer,
    Reach(Hosts, RangeInclusive<u16>),
}

/// Without a rule everything is allowed.
#[derive(Debug, Default)]
pub struct Policy {
    rules: Option<Vec<Rule>>,
    told: FxHashSet<SocketAddr>,
}

impl Policy {
    /// `texts`: the values of `--allow-net`. Names are resolved now.
    pub fn new(texts: &[String]) -> Result<Self> {
        let mut rules = Vec::new();
        for text in texts {
            match text.as_str() {
                "none" => {}
                "dns" => rules.push(Rule::NameServer),
                _ => parse(text, &mut rules)?,
            }
        }
        Ok(Self {
            rules: (!texts.is_empty()).then_some(rules),
            told: FxHashSet::default(),
        })
    }

    pub fn is_restricted(&self) -> bool {
        self.rules.is_some()
    }

    pub fn allows(&self, to: Destination) -> bool {
        self.rules
            .as_ref()
            .is_none_or(|rules| rules.iter().any(|rule| rule.matches(to)))
    }

    /// As `allows`; what is refused is told once.
    pub fn check(&mut self, to: Destination, shown: SocketAddr) -> bool {
        if self.allows(to) {
            return true;
        }
        if self.told.len() < MOST_TOLD && self.told.insert(shown) {
            let (last, host) = (self.told.len() == MOST_TOLD, shown.ip());
            let what = match (host, shown.port()) {
                (host, 0) => format!("'{host}:*'"),
                _ => format!("'{shown}'"),
            };
            let rest = if last { " (and no more is told)" } else { "" };
            terminal::message(
                format!("compat-monitor: refused by --allow-net: {shown}; --allow-net {what} would allow it{rest}\n")
                    .as_bytes(),
            );
        }
        false
    }
}

impl Rule {
    fn matches(&self, to: Destination) -> bool {
        match self {
            Self::NameServer => to.is_dns,
            Self::Reach(hosts, ports) => {
                hosts.contain(to.host.ip()) && ports.contains(&to.host.port())
            }
        }
    }
}

impl Hosts {
    fn contain(&self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Network(network, bits) => {
                let (a, width) = as_bits(*network);
                let (b, other) = as_bits(ip);
                let bits = u32::from(*bits).min(width);
                width == other && (bits == 0 || (a ^ b) >> (width - bits) == 0)
            }
        }
    }
}

/// An address as a number, and its width in bits.
fn as_bits(ip: IpAddr) -> (u128, u32) {
    match ip {
        IpAddr::V4(v4) => (v4.to_bits().into(), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// HOST:PORT
fn parse(text: &str, rules: &mut Vec<Rule>) -> Result<()> {
    let bad = |why: &str| Error::Usage(format!("--allow-net '{text}': {why}"));
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| bad("not HOST:PORT, 'dns' or 'none'"))?;
    let ports = ports(port).ok_or_else(|| bad("not a port, a range of ports or '*'"))?;
    if host == "*" {
        rules.push(Rule::Reach(Hosts::Any, ports));
        return Ok(());
    }
    if let Some((ip, bits)) = host.split_once('/') {
        let ip: IpAddr = bare(ip).parse().map_err(|_| bad("not an address"))?;
        let bits = bits
            .parse()
            .ok()
            .filter(|bits| u32::from(*bits) <= as_bits(ip).1);
        let bits = bits.ok_or_else(|| bad("not a number of bits"))?;
        rules.push(Rule::Reach(Hosts::Network(ip, bits), ports));
        return Ok(());
    }
    let host = bare(host);
    let found: Vec<IpAddr> = match host.parse() {
        Ok(ip) => vec![ip],
        Err(_) => (host, 0)
            .to_socket_addrs()
            .map_err(|e| bad(&format!("cannot resolve the name: {e}")))?
            .map(|address| address.ip())
            .collect(),
    };
    for ip in found {
        let ip = host_side(ip);
        let bits = as_bits(ip).1 as u8;
        rules.push(Rule::Reach(Hosts::Network(ip, bits), ports.clone()));
    }
    Ok(())
}

/// Without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Rules are about the host's addresses; the gateway is its loopback.
fn host_side(ip: IpAddr) -> IpAddr {
    let is_gateway = ip == addresses::gateway(ip.is_ipv6());
    if is_gateway {
        addresses::loopback(ip.is_ipv6())
    } else {
        ip
    }
}

/// A number, `FIRST-LAST`, or `*`.
fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    if text == "*" {
        return Some(0..=u16::MAX);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.parse().ok()?..=last.parse().ok()?;
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::super::addresses::Addresses;
    use super::*;

    fn allowed(rules: &[&str], to: &str) -> bool {
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        let addresses = Addresses {
            server: Some("9.9.9.9".parse().unwrap()),
        };
        let to = addresses.destination(to.parse().unwrap()).unwrap();
        Policy::new(&rules).unwrap().allows(to)
    }

    #[test]
    fn rules_name_hosts_and_ports() {
        for (rules, to, expected) in [
            (&[][..], "1.2.3.4:5", true),
            (&["none"], "1.2.3.4:5", false),
            (&["1.2.3.4:5"], "1.2.3.4:5", true),
            (&["1.2.3.4:5"], "1.2.3.4:6", false),
            (&["1.2.3.4:5"], "1.2.3.5:5", false),
            (&["1.2.3.4:5", "*:80"], "7.7.7.7:80", true),
            (&["1.2.0.0/16:1-9"], "1.2.255.1:9", true),
            (&["1.2.0.0/16:1-9"], "1.3.0.1:9", false),
            (&["0.0.0.0/0:*"], "1.3.0.1:9", true),
            (&["0.0.0.0/0:*"], "[2001:db8::1]:9", false),
            (&["[2001:db8::]/32:*"], "[2001:db8::1]:9", true),
            (&["[2001:db8::1]:443"], "[2001:db8::1]:443", true),
            (&["dns"], "10.0.2.3:53", true),
            (&["dns"], "9.9.9.9:53", false),
            (&["9.9.9.9:53"], "10.0.2.3:53", true),
        ] {
            assert_eq!(allowed(rules, to), expected, "{rules:?} {to}");
        }
    }

    #[test]
    fn the_gateway_is_the_hosts_loopback() {
        assert!(allowed(&["localhost:5432"], "10.0.2.2:5432"));
        assert!(allowed(&["10.0.2.2:5432"], "10.0.2.2:5432"));
        assert!(!allowed(&["10.0.0.0/8:5432"], "10.0.2.2:5432"));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "x",
            "1.2.3.4",
            "1.2.3.4:x",
            "1.2.3.4:9-1",
            "1.2.3.4/33:1",
            "1.2.3/8:1",
            "no.such.host.invalid:1",
        ] {
            assert!(Policy::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_is_told_once() {
        let mut policy = Policy::new(&["none".to_owned()]).unwrap();
        let shown = "1.2.3.4:5".parse().unwrap();
        let to = Destination {
            host: shown,
            is_dns: false,
        };
        assert!(!policy.check(to, shown) && !policy.check(to, shown));
        assert_eq!(policy.told.len(), 1);
    }
}
