//! DHCP against a scripted server.
use crate::stack::simulation::{Faults, Mailbox, SECOND, World, at, ip, setup};
use crate::stack::{Features, Setup};
use crate::uplink::{DatagramKind, DatagramReceiver, Datagrams, Uplink};
use core::net::{IpAddr, Ipv4Addr};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr};
use std::boxed::Box;
use std::sync::{Arc, Weak};
use std::vec::Vec;
use vfs::SliceSource;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

struct Server {
    mailbox: Arc<Mailbox>,
    socket: Box<dyn Datagrams>,
    client: Ipv4Addr,
    lease: u32,
    seen: Vec<DhcpMessageType>,
}

impl Server {
    fn new(world: &World) -> Self {
        let mailbox = Arc::new(Mailbox::default());
        let receiver: Weak<dyn DatagramReceiver> = Arc::downgrade(&mailbox) as _;
        let socket = world.ends[0].datagrams(DatagramKind::Udp, at("0.0.0.0:67"), receiver);
        Self {
            mailbox,
            socket: socket.unwrap(),
            client: Ipv4Addr::new(10, 0, 0, 50),
            lease: 120,
            seen: Vec::new(),
        }
    }

    fn serve(&mut self) {
        let requests = std::mem::take(&mut *self.mailbox.got.lock().unwrap());
        for (from, _, _, bytes) in requests {
            let packet = DhcpPacket::new_checked(&bytes[..]).unwrap();
            let request = DhcpRepr::parse(&packet).unwrap();
            self.seen.push(request.message_type);
            let kind = match request.message_type {
                DhcpMessageType::Discover => DhcpMessageType::Offer,
                _ => DhcpMessageType::Ack,
            };
            let dns = [Ipv4Addr::new(10, 0, 0, 53)];
            let reply = DhcpRepr {
                message_type: kind,
                your_ip: self.client,
                server_ip: SERVER,
                router: Some(SERVER),
                subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
                server_identifier: Some(SERVER),
                lease_duration: Some(self.lease),
                dns_servers: Some(dns.iter().copied().collect()),
                client_identifier: None,
                parameter_request_list: None,
                requested_ip: None,
                max_size: None,
                ..request
            };
            let mut bytes = std::vec![0; reply.buffer_len()];
            reply
                .emit(&mut DhcpPacket::new_unchecked(&mut bytes[..]))
                .unwrap();
            let to = if from.ip().is_unspecified() {
                "255.255.255.255:68".parse().unwrap()
            } else {
                from
            };
            self.socket
                .send(&mut SliceSource::new(&bytes), to, 0)
                .unwrap();
        }
    }

    fn run(&mut self, world: &World, seconds: u64) {
        let until = world.now() + seconds * SECOND;
        while world.step(until) {
            self.serve();
        }
    }
}

fn world() -> World {
    let client = Setup {
        dhcp: true,
        ..Setup::default()
    };
    let faults = Faults {
        delay: 1000,
        ..Faults::default()
    };
    World::with(faults, Features::default(), 1500, [setup(1), client])
}

#[test]
fn an_address_is_given_and_renewed() {
    let world = world();
    let mut server = Server::new(&world);
    assert_eq!(world.ends[1].lease(), None);
    server.run(&world, 5);
    let lease = world.ends[1].lease().unwrap();
    assert_eq!(lease.address, (ip("10.0.0.50"), 24));
    assert_eq!(lease.router, Some(IpAddr::V4(SERVER)));
    assert_eq!(lease.dns, [ip("10.0.0.53")]);
    let card = &world.ends[1].interfaces()[0];
    assert_eq!(card.addresses, [(ip("10.0.0.50"), 24)]);
    assert_eq!(card.gateways, [ip("10.0.0.1")]);
    let before = server.seen.len();
    server.run(&world, 600);
    assert!(server.seen.len() > before + 3, "{:?}", server.seen);
    assert!(
        server.seen[before..]
            .iter()
            .all(|kind| *kind == DhcpMessageType::Request)
    );
    assert_eq!(world.ends[1].lease(), Some(lease));
    // Traffic goes on meanwhile.
    let (client, _server) = world.pair_at("0.0.0.0:80", "10.0.0.50:80");
    assert_eq!(client.take_error(), None);
}

#[test]
fn a_lost_server_means_a_lost_address() {
    let world = world();
    let mut server = Server::new(&world);
    server.run(&world, 5);
    assert!(world.ends[1].lease().is_some());
    world.run(200 * SECOND);
    assert_eq!(world.ends[1].lease(), None);
    assert!(world.ends[1].interfaces()[0].addresses.is_empty());
    server.run(&world, 60);
    assert!(world.ends[1].lease().is_some());
}
