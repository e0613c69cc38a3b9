//! The network's configuration: the text of [`boot_abi::netconf`], and what programs read of it.
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use boot_abi::netconf::values;
use core::net::IpAddr;

/// How the guest reaches the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetMode {
    /// Sockets of the host.
    Forward,
    /// A network card.
    Card,
}

/// What the configuration says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetConfig {
    pub mode: NetMode,
    /// Addresses with their prefix lengths. None: asked for by DHCP.
    pub addresses: Vec<(IpAddr, u8)>,
    pub gateways: Vec<IpAddr>,
    pub dns: Vec<IpAddr>,
    pub search: Vec<String>,
    pub mtu: Option<u32>,
}

/// What is wrong with a text: the word that cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadWord(pub String);

fn parse<T: core::str::FromStr>(word: &str) -> Result<T, BadWord> {
    word.parse().map_err(|_| BadWord(word.to_string()))
}

fn parse_network(word: &str) -> Result<(IpAddr, u8), BadWord> {
    let (address, prefix) = word
        .split_once('/')
        .ok_or_else(|| BadWord(word.to_string()))?;
    let address: IpAddr = parse(address)?;
    let prefix: u8 = parse(prefix)?;
    if prefix > if address.is_ipv4() { 32 } else { 128 } {
        return Err(BadWord(word.to_string()));
    }
    Ok((address, prefix))
}

impl NetConfig {
    pub fn parse(text: &str) -> Result<Self, BadWord> {
        let mode = match values(text, "mode").last() {
            Some("forward") => NetMode::Forward,
            Some("card") => NetMode::Card,
            other => return Err(BadWord(format!("mode={}", other.unwrap_or_default()))),
        };
        Ok(Self {
            mode,
            addresses: values(text, "ip")
                .filter(|word| *word != "dhcp")
                .map(parse_network)
                .collect::<Result<_, _>>()?,
            gateways: values(text, "gateway")
                .map(parse)
                .collect::<Result<_, _>>()?,
            dns: values(text, "dns").map(parse).collect::<Result<_, _>>()?,
            search: values(text, "search").map(String::from).collect(),
            mtu: values(text, "mtu").last().map(parse).transpose()?,
        })
    }

    /// resolv.conf(5), if there is a name server.
    #[must_use]
    pub fn resolv_conf(&self) -> Option<String> {
        if self.dns.is_empty() {
            return None;
        }
        let mut text = String::new();
        for server in &self.dns {
            text += &format!("nameserver {server}\n");
        }
        if !self.search.is_empty() {
            text += &format!("search {}\n", self.search.join(" "));
        }
        Some(text)
    }
}

/// hosts(5) for an image that has none.
#[must_use]
pub fn hosts(host_name: &str, addresses: &[(IpAddr, u8)]) -> String {
    let mut text =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    // As Debian: a machine without an address of its own finds itself at 127.0.1.1.
    match addresses.first() {
        Some((address, _)) => text += &format!("{address}\t{host_name}\n"),
        None => text += &format!("127.0.1.1\t{host_name}\n"),
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let config = NetConfig::parse(
            "mode=forward ip=10.0.2.15/24 ip=fd00:c0::15/64 gateway=10.0.2.2 gateway=fd00:c0::2 dns=10.0.2.3 \
             search=example.org search=example.net colour=blue",
        )
        .unwrap();
        assert_eq!(config.mode, NetMode::Forward);
        assert_eq!(config.addresses[0], ("10.0.2.15".parse().unwrap(), 24));
        assert_eq!(config.addresses[1], ("fd00:c0::15".parse().unwrap(), 64));
        assert_eq!((config.gateways.len(), config.mtu), (2, None));
        assert_eq!(
            config.resolv_conf().unwrap(),
            "nameserver 10.0.2.3\nsearch example.org example.net\n"
        );
        let card = NetConfig::parse("mode=card ip=dhcp mtu=1500").unwrap();
        assert_eq!((card.mode, card.mtu), (NetMode::Card, Some(1500)));
        assert_eq!((card.addresses.len(), card.resolv_conf()), (0, None));
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (text, word) in [
            ("", "mode="),
            ("mode=magic", "mode=magic"),
            ("mode=card ip=10.0.0.1", "10.0.0.1"),
            ("mode=card ip=10.0.0.1/33", "10.0.0.1/33"),
            ("mode=card ip=::1/129", "::1/129"),
            ("mode=card gateway=10.0.0", "10.0.0"),
            ("mode=card mtu=-1", "-1"),
        ] {
            assert_eq!(NetConfig::parse(text), Err(BadWord(word.to_string())));
        }
    }

    #[test]
    fn the_host_finds_itself() {
        assert!(hosts("box", &[]).ends_with("\n127.0.1.1\tbox\n"));
        let own = [("10.0.2.15".parse().unwrap(), 24)];
        assert!(hosts("box", &own).ends_with("\n10.0.2.15\tbox\n"));
    }
}
