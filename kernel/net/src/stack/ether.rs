//! What the stack leaves to smoltcp's Ethernet side: answering ARP and neighbour discovery, addresses from router
//! advertisements (SLAAC), multicast membership, DHCP.
use super::addresses::{Addresses, link_local};
use super::link::Offload;
use super::output::Output;
use alloc::vec::Vec;
use core::net::IpAddr;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::dhcpv4;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};

/// When to look again at a timer of smoltcp's that has been looked at and stays in the past: that of router solicitations
/// does for ever when no router has answered.
const PACE: u64 = 10_000_000_000;

/// What the card is configured with at boot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Setup {
    pub addresses: Vec<(IpAddr, u8)>,
    pub gateways: Vec<IpAddr>,
    /// Ask for an IPv4 address.
    pub dhcp: bool,
    /// Take IPv6 addresses from routers.
    pub slaac: bool,
}

/// What DHCP has given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    pub address: (IpAddr, u8),
    pub router: Option<IpAddr>,
    pub dns: Vec<IpAddr>,
}

pub struct Ether {
    interface: Interface,
    sockets: SocketSet<'static>,
    dhcp: Option<SocketHandle>,
    setup: Setup,
    lease: Option<Lease>,
    looked: u64,
    /// Something may be due before the next timer.
    is_fresh: bool,
}

/// A frame for the interface, and where its own go.
struct Frames<'a> {
    frame: Option<&'a [u8]>,
    output: &'a mut Output,
}

struct Incoming<'a>(&'a [u8]);
struct Outgoing<'a>(&'a mut Output);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = alloc::vec![0; len];
        let result = f(&mut frame);
        self.0.transmit(&frame, Offload::default());
        result
    }
}

impl Device for Frames<'_> {
    type RxToken<'b>
        = Incoming<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Outgoing<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        Some((Incoming(self.frame.take()?), Outgoing(self.output)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        self.output.link.has_room().then_some(Outgoing(self.output))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit =
            self.output.link.mtu() + super::packet::ETHERNET_HEADER;
        // What the host has sent to itself may have none.
        capabilities.checksum.udp = Checksum::Tx;
        capabilities
    }
}

pub fn instant(now: u64) -> Instant {
    Instant::from_micros((now / 1000) as i64)
}

impl Ether {
    pub fn new(setup: Setup, seed: u64, output: &mut Output) -> Self {
        let hardware = HardwareAddress::Ethernet(EthernetAddress(output.hardware));
        let mut config = Config::new(hardware);
        config.random_seed = seed;
        config.slaac = setup.slaac;
        let now = instant(output.now);
        let mut frames = Frames {
            frame: None,
            output,
        };
        let interface = Interface::new(config, &mut frames, now);
        let mut sockets = SocketSet::new(Vec::new());
        let dhcp = setup.dhcp.then(|| sockets.add(dhcpv4::Socket::new()));
        if let Some(handle) = dhcp {
            let socket = sockets.get_mut::<dhcpv4::Socket<'_>>(handle);
            let mut patience = dhcpv4::RetryConfig::default();
            // Boot waits for the answer: the first question may be lost while the host's side of the link comes up.
            patience.discover_timeout = smoltcp::time::Duration::from_secs(2);
            patience.initial_request_timeout = smoltcp::time::Duration::from_secs(2);
            socket.set_retry_config(patience);
        }
        let mut ether = Self {
            interface,
            sockets,
            dhcp,
            setup,
            lease: None,
            looked: 0,
            is_fresh: true,
        };
        let has_link_local = ether.setup.addresses.iter().any(
            |(address, _)| matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()),
        );
        let wants_v6 =
            ether.setup.slaac || ether.setup.addresses.iter().any(|(ip, _)| ip.is_ipv6());
        if wants_v6 && !has_link_local {
            let address = link_local(output.hardware);
            ether.setup.addresses.push((address.into(), 64));
        }
        ether.configure();
        output.addresses = ether.addresses();
        ether
    }

    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Puts the configured and the leased addresses into the interface; those of SLAAC it has put there itself.
    fn configure(&mut self) {
        let leased = self.lease.as_ref().map(|lease| lease.address);
        let wanted: Vec<IpCidr> = self
            .setup
            .addresses
            .iter()
            .chain(&leased)
            .map(|(address, prefix)| IpCidr::new((*address).into(), *prefix))
            .collect();
        let keeps_v6 = self.setup.slaac;
        self.interface.update_ip_addrs(|all| {
            all.retain(|one| wanted.contains(one) || keeps_v6 && matches!(one, IpCidr::Ipv6(_)));
            for one in wanted {
                if !all.contains(&one) {
                    // More than fit are left out; `Setup` is the user's own.
                    let _ = all.push(one);
                }
            }
        });
        let router = self.lease.as_ref().and_then(|lease| lease.router);
        let routes = self.interface.routes_mut();
        if let Some(IpAddr::V4(router)) = router {
            let _ = routes.add_default_ipv4_route(router);
        } else {
            routes.remove_default_ipv4_route();
        }
    }

    fn addresses(&self) -> Addresses {
        let own = self
            .interface
            .ip_addrs()
            .iter()
            .map(|cidr| (cidr.address().into(), cidr.prefix_len()));
        let leased = self.lease.as_ref().and_then(|lease| lease.router);
        let advertised = self.interface.routes().get_default_ipv6_route();
        let gateways = self.setup.gateways.iter().copied().chain(leased);
        Addresses {
            own: own.collect(),
            gateways: gateways
                .chain(advertised.map(|route| route.via_router.into()))
                .collect(),
        }
    }

    /// Gives a frame to the interface.
    pub fn receive(&mut self, frame: &[u8], output: &mut Output) {
        let now = instant(output.now);
        let mut frames = Frames {
            frame: Some(frame),
            output,
        };
        self.interface
            .poll_ingress_single(now, &mut frames, &mut self.sockets);
        self.is_fresh = true;
    }

    pub fn wants_dhcp(&self) -> bool {
        self.dhcp.is_some()
    }

    /// `EADDRNOTAVAIL` and `ENOBUFS` are the caller's to make of it. Answers whether it was done.
    pub fn set_membership(&mut self, group: IpAddr, join: bool) -> bool {
        self.is_fresh = true;
        if join {
            self.interface.join_multicast_group(group).is_ok()
        } else {
            self.interface.leave_multicast_group(group).is_ok()
        }
    }

    pub fn is_member(&self, group: IpAddr) -> bool {
        self.interface.has_multicast_group(group)
    }

    /// When `poll` wants to be called.
    pub fn next(&mut self, now: u64) -> Option<u64> {
        if self.is_fresh {
            return Some(now);
        }
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        let at = at.total_micros().max(0) as u64 * 1000;
        Some(if at > self.looked {
            at
        } else {
            self.looked + PACE
        })
    }

    /// Does what is due. Answers whether the addresses have changed.
    pub fn poll(&mut self, output: &mut Output) -> bool {
        let time = instant(output.now);
        self.is_fresh = false;
        self.looked = output.now;
        self.interface.poll_maintenance(time);
        let mut frames = Frames {
            frame: None,
            output,
        };
        self.interface
            .poll_egress(time, &mut frames, &mut self.sockets);
        self.take_lease();
        let addresses = self.addresses();
        let is_new = addresses != output.addresses;
        output.addresses = addresses;
        is_new
    }

    fn take_lease(&mut self) {
        let Some(handle) = self.dhcp else { return };
        let socket = self.sockets.get_mut::<dhcpv4::Socket<'_>>(handle);
        let lease = match socket.poll() {
            None => return,
            Some(dhcpv4::Event::Deconfigured) => None,
            Some(dhcpv4::Event::Configured(config)) => Some(Lease {
                address: leased(config.address),
                router: config.router.map(IpAddr::V4),
                dns: config.dns_servers.iter().copied().map(IpAddr::V4).collect(),
            }),
        };
        self.lease = lease;
        self.configure();
    }
}

fn leased(cidr: Ipv4Cidr) -> (IpAddr, u8) {
    (cidr.address().into(), cidr.prefix_len())
}
