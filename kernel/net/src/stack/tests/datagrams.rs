//! UDP, ICMP, fragments, multicast.
use crate::stack::simulation::{Faults, MILLISECOND, Mailbox, SECOND, World, at, ip};
use crate::uplink::{DatagramKind, DatagramReceiver, Datagrams, Uplink};
use linux_abi::Errno;
use std::boxed::Box;
use std::sync::{Arc, Weak};
use std::vec::Vec;
use vfs::SliceSource;

type Socket = (Arc<Mailbox>, Box<dyn Datagrams>);

fn open(world: &World, end: usize, kind: DatagramKind, local: &str) -> Socket {
    let mailbox = Arc::new(Mailbox::default());
    let receiver: Weak<dyn DatagramReceiver> = Arc::downgrade(&mailbox) as _;
    let socket = world.ends[end].datagrams(kind, at(local), receiver);
    (mailbox, socket.unwrap())
}

fn send(socket: &Socket, bytes: &[u8], to: &str) -> Result<usize, Errno> {
    socket.1.send(&mut SliceSource::new(bytes), at(to), 0)
}

fn got(socket: &Socket) -> Vec<Vec<u8>> {
    let mut got = socket.0.got.lock().unwrap();
    got.drain(..).map(|(_, _, _, bytes)| bytes).collect()
}

#[test]
fn datagrams_of_every_size_arrive_whole() {
    for reordering in [0, 500] {
        let world = World::new(Faults {
            reordering,
            delay: 1000,
            ..Faults::default()
        });
        for (from, to, local) in [
            ("0.0.0.0:1000", "10.0.0.2:2000", "0.0.0.0:2000"),
            ("[::]:1000", "[fd00::2]:2000", "[::]:2000"),
        ] {
            let sender = open(&world, 0, DatagramKind::Udp, from);
            let receiver = open(&world, 1, DatagramKind::Udp, local);
            for size in [0, 1, 1452, 1453, 1472, 1473, 9001, 65_507] {
                let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
                assert_eq!(send(&sender, &bytes, to), Ok(size));
                world.run(10 * MILLISECOND);
                assert_eq!(got(&receiver), [bytes], "{size} to {to}");
            }
            let most = std::vec![0; 65_528];
            assert_eq!(send(&sender, &most, to), Err(Errno::EMSGSIZE));
        }
    }
}

#[test]
fn who_gets_a_datagram() {
    let world = World::new(Faults::default());
    let sender = open(&world, 0, DatagramKind::Udp, "10.0.0.1:1000");
    let anywhere = open(&world, 1, DatagramKind::Udp, "0.0.0.0:2000");
    let here = open(&world, 1, DatagramKind::Udp, "10.0.0.2:2000");
    send(&sender, b"one", "10.0.0.2:2000").unwrap();
    send(&sender, b"all", "10.0.0.255:2000").unwrap();
    world.run(MILLISECOND);
    assert_eq!(got(&here), [b"one"]);
    let all = anywhere.0.got.lock().unwrap().clone();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].0, at("10.0.0.1:1000"));
    assert_eq!((all[0].1, all[0].2), (ip("10.0.0.255"), 64));
    drop(here);
    all.len();
    anywhere.0.got.lock().unwrap().clear();
    send(&sender, b"one", "10.0.0.2:2000").unwrap();
    world.run(MILLISECOND);
    assert_eq!(got(&anywhere), [b"one"]);
}

#[test]
fn errors_come_back() {
    let world = World::new(Faults::default());
    for (local, closed) in [
        ("0.0.0.0:1000", "10.0.0.2:2000"),
        ("[::]:1000", "[fd00::2]:2000"),
    ] {
        let sender = open(&world, 0, DatagramKind::Udp, local);
        send(&sender, b"anybody?", closed).unwrap();
        world.run(MILLISECOND);
        let errors = sender.0.errors.lock().unwrap().clone();
        assert_eq!(errors, [(Errno::ECONNREFUSED, at(closed))]);
        drop(sender);
    }
    let sender = open(&world, 0, DatagramKind::Udp, "0.0.0.0:1000");
    send(&sender, b"anybody?", "10.0.0.99:7").unwrap();
    world.run(5 * SECOND);
    let errors = sender.0.errors.lock().unwrap().clone();
    assert_eq!(errors, [(Errno::EHOSTUNREACH, at("10.0.0.99:7"))]);
    assert_eq!(send(&sender, b"x", "9.9.9.9:9"), Err(Errno::ENETUNREACH));
}

#[test]
fn echoes() {
    let world = World::new(Faults::default());
    for (local, to, request, reply) in [
        ("0.0.0.0:77", "10.0.0.2:0", 8, 0),
        ("[::]:77", "[fd00::2]:0", 128, 129),
    ] {
        let socket = open(&world, 0, DatagramKind::Echo, local);
        // Larger than a frame.
        let mut message = std::vec![5; 4000];
        message[..8].copy_from_slice(&[request, 0, 0, 0, 0, 0, 0, 1]);
        send(&socket, &message, to).unwrap();
        world.run(MILLISECOND);
        let answers = got(&socket);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0][0], reply);
        assert_eq!(answers[0][4..8], [0, 77, 0, 1]);
        assert_eq!(answers[0][8..], message[8..]);
    }
}

#[test]
fn raw_sockets_have_a_protocol() {
    let world = World::new(Faults::default());
    let kind = DatagramKind::Raw { protocol: 253 };
    let sender = open(&world, 0, kind, "0.0.0.0:0");
    let receiver = open(&world, 1, kind, "0.0.0.0:0");
    let ping = open(&world, 1, DatagramKind::Raw { protocol: 1 }, "0.0.0.0:0");
    send(&sender, b"whatever", "10.0.0.2:0").unwrap();
    world.run(MILLISECOND);
    assert_eq!(got(&receiver), [b"whatever"]);
    assert!(got(&ping).is_empty());
}

#[test]
fn groups_are_joined_and_left() {
    let world = World::new(Faults::default());
    for (local, group, to) in [
        ("0.0.0.0:5353", "224.0.0.251", "224.0.0.251:5353"),
        ("[::]:5353", "ff02::fb", "[ff02::fb]:5353"),
    ] {
        let sender = open(&world, 0, DatagramKind::Udp, local);
        let receiver = open(&world, 1, DatagramKind::Udp, local);
        send(&sender, b"early", to).unwrap();
        world.run(MILLISECOND);
        assert!(got(&receiver).is_empty());
        assert_eq!(
            receiver.1.membership(ip("10.0.0.2"), 0, true),
            Err(Errno::EINVAL)
        );
        assert_eq!(
            receiver.1.membership(ip(group), 9, true),
            Err(Errno::ENODEV)
        );
        receiver.1.membership(ip(group), 2, true).unwrap();
        world.run(SECOND);
        send(&sender, b"mDNS", to).unwrap();
        world.run(MILLISECOND);
        assert_eq!(got(&receiver), [b"mDNS"]);
        receiver.1.membership(ip(group), 0, false).unwrap();
        assert_eq!(
            receiver.1.membership(ip(group), 0, false),
            Err(Errno::EADDRNOTAVAIL)
        );
        world.run(SECOND);
        send(&sender, b"late", to).unwrap();
        world.run(MILLISECOND);
        assert!(got(&receiver).is_empty());
    }
}
