//! A socket's hold on a local address and port.
use super::ip::{Cover, Family, is_broadcast};
use super::options::{Options, Slot};
use super::ports::{Claim, Ports};
use crate::Result;
use crate::env::Env;
use crate::network::Network;
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;
use linux_abi::{Capability, Errno};
use spin::Mutex;

/// Who has ports of its own. Those of ICMP are the identifiers of echo requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Echo,
}

impl Protocol {
    pub(crate) const COUNT: usize = 3;
}

/// Ports below need `CAP_NET_BIND_SERVICE`.
const UNPRIVILEGED_START: u16 = 1024;

/// A port that is held; dropping it gives it back.
pub(crate) struct Binding {
    network: Arc<Network>,
    protocol: Protocol,
    claim: Claim,
    /// Both ends of the connection that this socket began.
    pair: Option<(SocketAddr, SocketAddr)>,
}

impl Network {
    /// /proc/sys/net/ipv4/ip_local_port_range
    pub(crate) fn local_port_range(&self) -> RangeInclusive<u16> {
        self.ports(Protocol::Tcp).lock().ephemeral().clone()
    }

    /// From the text that was written there: two numbers. `EINVAL`
    pub fn set_local_port_range(&self, text: &[u8]) -> Result<()> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let mut numbers = text.split_ascii_whitespace().map(str::parse::<u16>);
        let (Some(Ok(first)), Some(Ok(last)), None) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(Errno::EINVAL);
        };
        if first == 0 || first > last {
            return Err(Errno::EINVAL);
        }
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            self.ports(protocol).lock().set_ephemeral(first..=last);
        }
        Ok(())
    }

    pub(crate) fn ports(&self, protocol: Protocol) -> &Mutex<Ports> {
        let [tcp, udp, echo] = &self.inet().ports;
        match protocol {
            Protocol::Tcp => tcp,
            Protocol::Udp => udp,
            Protocol::Echo => echo,
        }
    }

    /// What bind(2) asks first: is the address ours, and may the caller have the port?
    pub(crate) fn check_bind(
        &self,
        address: SocketAddr,
        options: &Options,
        stream: bool,
        env: &dyn Env,
    ) -> Result<()> {
        let ip = address.ip();
        let any = options.is_set(Slot::FreeBind) || options.is_set(Slot::Transparent);
        if ip.is_multicast() && ip.is_ipv6() && stream {
            return Err(Errno::EINVAL);
        }
        if !(ip.is_unspecified()
            || ip.is_multicast()
            || is_broadcast(ip)
            || any
            || self.is_own_now(ip)
            || self.is_own_broadcast(ip))
        {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let port = address.port();
        if port != 0 && port < UNPRIVILEGED_START && !env.can(Capability::NET_BIND_SERVICE) {
            return Err(Errno::EACCES);
        }
        Ok(())
    }
}

/// A claim on `address` by a socket with these options.
pub(crate) fn claim(family: Family, address: SocketAddr, options: &Options, uid: u32) -> Claim {
    Claim {
        port: address.port(),
        cover: Cover::new(family, address.ip(), options.is_set(Slot::V6Only)),
        device: options.get(Slot::Device).cast_unsigned(),
        reuse_address: options.is_set(Slot::ReuseAddress),
        reuse_port: options.is_set(Slot::ReusePort),
        uid,
        listening: false,
        by_connect: false,
    }
}

impl Binding {
    /// Takes the port that the claim names, or any for 0. `EADDRINUSE`
    pub(crate) fn new(network: &Arc<Network>, protocol: Protocol, claim: Claim) -> Result<Self> {
        let port = network.ports(protocol).lock().take(claim)?;
        Ok(Self::held(network, protocol, Claim { port, ..claim }))
    }

    /// Takes any port that suits a connection. `EADDRNOTAVAIL`
    pub(crate) fn for_connection(
        network: &Arc<Network>,
        claim: Claim,
        local: IpAddr,
        remote: SocketAddr,
    ) -> Result<Self> {
        let protocol = Protocol::Tcp;
        let mut ports = network.ports(protocol).lock();
        let port = ports.take_for_connection(claim, local, remote)?;
        let claim = Claim {
            port,
            by_connect: true,
            ..claim
        };
        drop(ports);
        Ok(Self::held(network, protocol, claim))
    }

    /// Shares the port of a listener.
    pub(crate) fn for_accepted(network: &Arc<Network>, claim: Claim) -> Self {
        network.ports(Protocol::Tcp).lock().add(claim);
        Self::held(network, Protocol::Tcp, claim)
    }

    fn held(network: &Arc<Network>, protocol: Protocol, claim: Claim) -> Self {
        Self {
            network: network.clone(),
            protocol,
            claim,
            pair: None,
        }
    }

    pub(crate) const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Changes what is claimed, whoever else is there.
    pub(crate) fn change(&mut self, claim: Claim) {
        let mut ports = self.network.ports(self.protocol).lock();
        ports.release(&self.claim);
        ports.add(claim);
        self.claim = claim;
    }

    /// Changes it unless somebody else's claim is against it. `EADDRINUSE`
    pub(crate) fn try_change(&mut self, claim: Claim) -> Result<()> {
        let refused = self
            .network
            .ports(self.protocol)
            .lock()
            .is_refused(&claim, Some(&self.claim));
        if refused {
            return Err(Errno::EADDRINUSE);
        }
        self.change(claim);
        Ok(())
    }

    /// Notes the connection of this port. `EADDRNOTAVAIL`: there is one between the same ends.
    pub(crate) fn set_pair(&mut self, local: SocketAddr, remote: SocketAddr) -> Result<()> {
        self.network
            .ports(self.protocol)
            .lock()
            .add_pair(local, remote)?;
        self.pair = Some((local, remote));
        Ok(())
    }

    pub(crate) fn clear_pair(&mut self) {
        if let Some((local, remote)) = self.pair.take() {
            self.network
                .ports(self.protocol)
                .lock()
                .remove_pair(local, remote);
        }
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        self.clear_pair();
        self.network
            .ports(self.protocol)
            .lock()
            .release(&self.claim);
    }
}
