mod icmp;

use crate::inet::testing::*;
use crate::message::Control;
use crate::uplink::DatagramKind;
use crate::{Errno, Received};
use linux_abi::raw::net::*;
use std::borrow::ToOwned;
use std::string::ToString;
use std::vec;
use std::vec::Vec;
use vfs::poll::{ERR, HUP, IN, OUT, RDHUP, RDNORM, WRBAND, WRNORM};

const READABLE: u32 = IN | RDNORM;
const WRITABLE: u32 = OUT | WRNORM | WRBAND;
const UDP4: (u32, u32, u32) = (AF_INET, SOCK_DGRAM, 0);
const UDP6: (u32, u32, u32) = (AF_INET6, SOCK_DGRAM, 17);
const ECHO4: (u32, u32, u32) = (AF_INET, SOCK_DGRAM, 1);
const ECHO6: (u32, u32, u32) = (AF_INET6, SOCK_DGRAM, 58);
const RAW4: (u32, u32, u32) = (AF_INET, SOCK_RAW, 1);
const RAW6: (u32, u32, u32) = (AF_INET6, SOCK_RAW, 58);

fn bound<'a>(world: &'a World, at: &str) -> TestSocket<'a> {
    let socket = world.socket(if at.starts_with('[') { UDP6 } else { UDP4 });
    socket.bind(at).unwrap();
    socket
}

fn from(received: &Received) -> std::string::String {
    text(received.from.as_ref().unwrap())
}

#[test]
fn datagrams_inside() {
    let world = alone();
    let server = bound(&world, "127.0.0.1:5353");
    let client = world.socket(UDP4);
    assert_eq!(client.poll(), WRITABLE);
    assert_eq!(client.send(b"x"), Err(Errno::EDESTADDRREQ));
    assert_eq!(client.send_to(b"x", "127.0.0.1:0"), Err(Errno::EINVAL));
    let bell = Bell::on(server.ops().wait_list());
    assert_eq!(client.send_to(b"question", "127.0.0.1:5353"), Ok(8));
    assert_eq!(client.send_to(b"", "127.0.0.1:5353"), Ok(0));
    assert_eq!((bell.rings(), server.poll()), (2, WRITABLE | READABLE));
    let (bytes, peeked) = server.receive_with(4, MSG_PEEK).unwrap();
    assert_eq!(
        (&bytes[..], peeked.full_length, peeked.flags),
        (&b"ques"[..], 8, MSG_TRUNC)
    );
    let (bytes, received) = server.receive_with(99, 0).unwrap();
    assert_eq!((&bytes[..], received.flags), (&b"question"[..], 0));
    let port = client.local().split_once(':').unwrap().1.to_owned();
    assert_eq!(from(&received), std::format!("127.0.0.1:{port}"));
    assert_eq!(server.receive(9).unwrap(), b"");
    assert_eq!(server.receive(9), Err(Errno::EAGAIN));
    assert_eq!(client.send_to(&[0; 65507], "127.0.0.1:5353"), Ok(65507));
    assert_eq!(
        client.send_to(&[0; 65508], "127.0.0.1:5353"),
        Err(Errno::EMSGSIZE)
    );
    let counters = world.network.inet_counters();
    assert_eq!(
        (counters.udp_sent.get(), counters.udp_received.get()),
        (3, 3)
    );
}

#[test]
fn without_a_port_there_is_nothing_to_wait_for() {
    let world = alone();
    for bad in [
        &b"40001 40000"[..],
        b"1",
        b"0 5",
        b"1 2 3",
        b"1 65536",
        b"a b",
        b"\xff",
    ] {
        let outcome = world.network.set_local_port_range(bad);
        assert_eq!(outcome, Err(Errno::EINVAL), "{bad:?}");
    }
    world
        .network
        .set_local_port_range(b"40000\t40000\n")
        .unwrap();
    let last = bound(&world, "127.0.0.1:0");
    assert_eq!(last.local(), "127.0.0.1:40000");
    let client = world.socket(UDP4);
    assert_eq!(client.send_to(b"x", "127.0.0.1:9"), Err(Errno::EAGAIN));
    assert_eq!(client.connect("127.0.0.1:9"), Err(Errno::EAGAIN));
    assert!(!client.ops().awaits_room() && last.ops().awaits_room());
    drop(last);
    assert_eq!(client.connect("127.0.0.1:9"), Ok(()));
}

#[test]
fn connected_sockets_hear_their_peer_and_its_refusal() {
    let world = alone();
    let server = bound(&world, "127.0.0.1:5353");
    let client = world.socket(UDP4);
    client.connect("127.0.0.1:5353").unwrap();
    assert_eq!(client.peer().unwrap(), "127.0.0.1:5353");
    assert!(client.local().starts_with("127.0.0.1:"));
    let stranger = world.socket(UDP4);
    stranger.send_to(b"no", &client.local()).unwrap();
    assert_eq!(client.receive(9), Err(Errno::EAGAIN));
    server.send_to(b"yes", &client.local()).unwrap();
    assert_eq!(client.receive(9).unwrap(), b"yes");
    drop(server);
    assert_eq!(client.send(b"1"), Ok(1));
    assert_eq!(client.poll(), WRITABLE | ERR);
    assert_eq!(client.send(b"2"), Err(Errno::ECONNREFUSED));
    assert_eq!(client.send(b"3"), Ok(1));
    assert_eq!(client.receive(9), Err(Errno::ECONNREFUSED));
    assert_eq!(client.receive(9), Err(Errno::EAGAIN));
    client.send(b"4").unwrap();
    assert_eq!(client.error(), i32::from(Errno::ECONNREFUSED.raw()));
    // Who is not connected is not told.
    stranger.send_to(b"x", "127.0.0.1:5353").unwrap();
    assert_eq!((stranger.poll(), stranger.error()), (WRITABLE, 0));
    assert_eq!(client.disconnect(), Ok(()));
    assert_eq!(
        (client.peer(), client.local()),
        (Err(Errno::ENOTCONN), "0.0.0.0:0".into())
    );
    assert_eq!(world.network.inet_counters().udp_no_ports.get(), 5);
}

#[test]
fn the_error_queue_tells_what_was_refused() {
    let world = alone();
    let client = world.socket(UDP4);
    client.set(SOL_IP, IP_RECVERR, 1).unwrap();
    assert_eq!(
        client.receive_with(9, MSG_ERRQUEUE).err(),
        Some(Errno::EAGAIN)
    );
    client.send_to(b"hello", "127.0.0.1:5353").unwrap();
    assert_eq!(client.poll(), WRITABLE | ERR);
    assert_eq!(client.receive(9), Err(Errno::ECONNREFUSED));
    assert_eq!(client.poll(), WRITABLE | ERR);
    let (bytes, received) = client.receive_with(3, MSG_ERRQUEUE).unwrap();
    assert_eq!(
        (&bytes[..], received.flags),
        (&b"hel"[..], MSG_ERRQUEUE | MSG_TRUNC)
    );
    assert_eq!(from(&received), "127.0.0.1:5353");
    let Some(Control::Error {
        errno,
        origin,
        kind,
        code,
        offender,
        v6,
    }) = received.control.first()
    else {
        panic!("no error");
    };
    assert_eq!((*errno, *origin, *kind, *code, *v6), (111, 2, 3, 3, false));
    assert_eq!(*offender, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(client.poll(), WRITABLE);
}

#[test]
fn binding_follows_the_rules() {
    let world = alone();
    let first = bound(&world, "127.0.0.1:5353");
    assert_eq!(
        world.socket(UDP4).bind("0.0.0.0:5353"),
        Err(Errno::EADDRINUSE)
    );
    assert_eq!(first.bind("127.0.0.1:5354"), Err(Errno::EINVAL));
    let dual = bound(&world, "[::]:6000");
    assert_eq!(
        world.socket(UDP4).bind("127.0.0.1:6000"),
        Err(Errno::EADDRINUSE)
    );
    let client = world.socket(UDP4);
    client.send_to(b"4", "127.0.0.1:6000").unwrap();
    let (_, received) = dual.receive_with(9, 0).unwrap();
    assert!(from(&received).starts_with("[::ffff:127.0.0.1]:"));
    // An IPv6 socket takes IPv4 addresses as they are.
    dual.send_to(b"back", &from(&received)).unwrap();
    let plain = std::format!("127.0.0.1:{}", client.local().split_once(':').unwrap().1);
    dual.send_to(b"again", &plain).unwrap();
    assert_eq!(client.receive(9).unwrap(), b"back");
    assert_eq!(client.receive(9).unwrap(), b"again");
    let only = world.socket(UDP6);
    only.set(SOL_IPV6, IPV6_V6ONLY, 1).unwrap();
    assert_eq!(
        only.send_to(b"x", "127.0.0.1:6000"),
        Err(Errno::ENETUNREACH)
    );
    assert_eq!(client.send_to(b"x", "[::1]:6000"), Err(Errno::EAFNOSUPPORT));
    assert_eq!(world.socket(UDP4).bind("127.0.0.1:53"), Err(Errno::EACCES));
    assert_eq!(
        world.socket(UDP4).bind("10.0.0.1:5353"),
        Err(Errno::EADDRNOTAVAIL)
    );
}

#[test]
fn the_closest_socket_gets_the_datagram() {
    let world = alone();
    let reusing = |at: &str| {
        let socket = world.socket(UDP4);
        socket.set(SOL_SOCKET, SO_REUSEADDR, 1).unwrap();
        socket.bind(at).unwrap();
        socket
    };
    let any = reusing("0.0.0.0:5353");
    let exact = reusing("127.0.0.1:5353");
    let peer = reusing("127.0.0.1:5353");
    let client = bound(&world, "127.0.0.1:7000");
    peer.connect("127.0.0.1:7000").unwrap();
    client.send_to(b"a", "127.0.0.1:5353").unwrap();
    assert_eq!(peer.receive(9).unwrap(), b"a");
    let other = world.socket(UDP4);
    other.send_to(b"b", "127.0.0.1:5353").unwrap();
    assert_eq!(exact.receive(9).unwrap(), b"b");
    other.send_to(b"c", "127.0.0.2:5353").unwrap();
    assert_eq!(any.receive(9).unwrap(), b"c");
}

#[test]
fn reuse_port_spreads_datagrams() {
    let world = alone();
    let group: Vec<_> = (0..4)
        .map(|_| {
            let socket = world.socket(UDP4);
            socket.set(SOL_SOCKET, SO_REUSEPORT, 1).unwrap();
            socket.bind("127.0.0.1:5353").unwrap();
            socket
        })
        .collect();
    for _ in 0..200 {
        world.socket(UDP4).send_to(b"x", "127.0.0.1:5353").unwrap();
    }
    for socket in &group {
        let count = core::iter::from_fn(|| socket.receive(9).ok()).count();
        assert!((20..100).contains(&count), "{count}");
    }
}

#[test]
fn a_full_queue_drops_and_counts() {
    let world = alone();
    let server = bound(&world, "127.0.0.1:5353");
    server.set(SOL_SOCKET, SO_RCVBUF, 1).unwrap();
    server.set(SOL_SOCKET, SO_RXQ_OVFL, 1).unwrap();
    let client = world.socket(UDP4);
    for _ in 0..10 {
        client.send_to(&[0; 500], "127.0.0.1:5353").unwrap();
    }
    let (_, received) = server.receive_with(9, 0).unwrap();
    assert!(matches!(received.control[..], [Control::Dropped(7)]));
    assert_eq!(core::iter::from_fn(|| server.receive(9).ok()).count(), 2);
    assert_eq!(world.network.inet_counters().udp_dropped.get(), 7);
    assert_eq!(world.network.inet_sockets()[0].drops, 7);
}

#[test]
fn control_messages_come_as_asked_for() {
    let world = alone();
    let server = bound(&world, "0.0.0.0:5353");
    for name in [IP_PKTINFO, IP_RECVTTL, IP_RECVTOS] {
        server.set(SOL_IP, name, 1).unwrap();
    }
    server.set(SOL_SOCKET, SO_TIMESTAMP_OLD, 1).unwrap();
    let client = world.socket(UDP4);
    client.set(SOL_IP, IP_TOS, 0x10).unwrap();
    let wishes = vec![
        Control::HopLimit {
            v6: false,
            value: 9,
        },
        Control::PacketInfo {
            index: 0,
            address: "0.0.0.0".parse().unwrap(),
            local: "127.0.0.7".parse().unwrap(),
        },
    ];
    let to = Some(address("127.0.0.3:5353"));
    assert_eq!(client.send_with(b"x", to, 0, wishes), Ok(1));
    let (_, received) = server.receive_with(9, 0).unwrap();
    assert!(from(&received).starts_with("127.0.0.7:"));
    let [
        Control::Timestamp {
            nanoseconds: false,
            at,
        },
        Control::PacketInfo {
            index: 1,
            address,
            local,
        },
        Control::HopLimit { value: 9, .. },
        Control::TrafficClass { value: 0x10, .. },
    ] = &received.control[..]
    else {
        panic!("{} messages", received.control.len());
    };
    assert_eq!(*at, 1_000_000_000_000);
    assert_eq!(
        (address.to_string(), local.to_string()),
        ("127.0.0.3".into(), "127.0.0.3".into())
    );
    let v6 = bound(&world, "[::1]:5354");
    for name in [IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS] {
        v6.set(SOL_IPV6, name, 1).unwrap();
    }
    world.socket(UDP6).send_to(b"x", "[::1]:5354").unwrap();
    let (_, received) = v6.receive_with(9, 0).unwrap();
    assert!(matches!(
        received.control[..],
        [
            Control::PacketInfo { index: 1, .. },
            Control::HopLimit {
                v6: true,
                value: 64
            },
            Control::TrafficClass { v6: true, value: 0 },
        ]
    ));
}

#[test]
fn shutdown_of_datagram_sockets() {
    let world = alone();
    let socket = bound(&world, "127.0.0.1:5353");
    assert_eq!(socket.ops().shutdown(true, false), Err(Errno::ENOTCONN));
    assert_eq!(socket.receive(9).unwrap(), b"");
    assert_eq!(socket.poll(), WRITABLE | READABLE | RDHUP);
    socket.connect("127.0.0.1:5353").unwrap();
    assert_eq!(socket.ops().shutdown(false, true), Ok(()));
    assert_eq!(socket.send(b"x"), Err(Errno::EPIPE));
    assert_eq!(socket.poll(), WRITABLE | READABLE | RDHUP | HUP);
}

#[test]
fn broadcast_and_multicast_inside() {
    let world = alone();
    let sender = world.socket(UDP4);
    let everybody = bound(&world, "0.0.0.0:5353");
    let to = "127.255.255.255:5353";
    assert_eq!(sender.send_to(b"b", to), Err(Errno::EACCES));
    assert_eq!(sender.start_connect(to), Err(Errno::EACCES));
    sender.set(SOL_SOCKET, SO_BROADCAST, 1).unwrap();
    assert_eq!(sender.send_to(b"b", to), Ok(1));
    assert_eq!(everybody.receive(9).unwrap(), b"b");
    // 239.1.2.3 on lo
    let mreq = [239, 1, 2, 3, 127, 0, 0, 1];
    let to = "239.1.2.3:5353";
    assert_eq!(sender.send_to(b"m", to), Err(Errno::ENETUNREACH));
    sender
        .set_bytes(SOL_IP, IP_MULTICAST_IF, &[127, 0, 0, 1])
        .unwrap();
    assert_eq!(sender.send_to(b"m", to), Ok(1));
    assert_eq!(everybody.receive(9), Err(Errno::EAGAIN));
    let join = |socket: &TestSocket<'_>| socket.set_bytes(SOL_IP, IP_ADD_MEMBERSHIP, &mreq);
    assert_eq!(join(&everybody), Ok(()));
    assert_eq!(join(&everybody), Err(Errno::EADDRINUSE));
    sender.send_to(b"m", to).unwrap();
    assert_eq!(everybody.receive(9).unwrap(), b"m");
    sender.set(SOL_IP, IP_MULTICAST_LOOP, 0).unwrap();
    sender.send_to(b"m", to).unwrap();
    assert_eq!(everybody.receive(9).unwrap(), b"m");
    let leave = || everybody.set_bytes(SOL_IP, IP_DROP_MEMBERSHIP, &mreq);
    assert_eq!((leave(), leave()), (Ok(()), Err(Errno::EADDRNOTAVAIL)));
    // By IP_MULTICAST_ALL a group is heard that another socket has joined.
    let other = bound(&world, "0.0.0.0:9999");
    join(&other).unwrap();
    sender.send_to(b"m", to).unwrap();
    assert_eq!(everybody.receive(9).unwrap(), b"m");
    everybody.set(SOL_IP, IP_MULTICAST_ALL, 0).unwrap();
    sender.send_to(b"m", to).unwrap();
    assert_eq!(everybody.receive(9), Err(Errno::EAGAIN));
    let wrong = other.set_bytes(SOL_IP, IP_ADD_MEMBERSHIP, &[1, 2, 3, 4, 127, 0, 0, 1]);
    assert_eq!(wrong, Err(Errno::EINVAL));
}

#[test]
fn groups_of_ipv6_and_by_the_newer_names() {
    let world = alone();
    let member = bound(&world, "[::]:5353");
    let group: core::net::Ipv6Addr = "ff05::7".parse().unwrap();
    let mut mreq = group.octets().to_vec();
    mreq.extend(1_u32.to_ne_bytes());
    let change = |name: u32, value: &[u8]| member.set_bytes(SOL_IPV6, name, value);
    assert_eq!(change(IPV6_ADD_MEMBERSHIP, &mreq[..16]), Err(Errno::EINVAL));
    assert_eq!(change(IPV6_ADD_MEMBERSHIP, &mreq), Ok(()));
    let mut request = [1, 0, 0, 0, 0, 0, 0, 0].to_vec();
    request.extend(address("[ff05::7]:0").encode().as_bytes());
    assert_eq!(change(MCAST_JOIN_GROUP, &request), Err(Errno::EADDRINUSE));
    let sender = world.socket(UDP6);
    sender.set(SOL_IPV6, IPV6_MULTICAST_IF, 1).unwrap();
    assert_eq!(sender.send_to(b"m", "[ff05::7]:5353"), Ok(1));
    assert_eq!(member.receive(9).unwrap(), b"m");
    assert_eq!(change(MCAST_LEAVE_GROUP, &request), Ok(()));
    assert_eq!(
        change(IPV6_DROP_MEMBERSHIP, &mreq),
        Err(Errno::EADDRNOTAVAIL)
    );
    mreq[16] = 9;
    assert_eq!(change(IPV6_ADD_MEMBERSHIP, &mreq), Err(Errno::ENODEV));
}

#[test]
fn the_uplink_carries_what_leaves() {
    let world = connected();
    let client = world.socket(UDP4);
    client.send_to(b"inside", "127.0.0.1:9").unwrap();
    assert!(world.uplink.last_datagrams().is_none());
    client.send_to(b"query", "10.0.2.3:53").unwrap();
    let way = world.uplink.last_datagrams().unwrap();
    assert_eq!(
        (way.kind, way.local.ip()),
        (DatagramKind::Udp, "0.0.0.0".parse().unwrap())
    );
    assert_ne!(way.local.port(), 0);
    let dns = "10.0.2.3:53".parse().unwrap();
    assert_eq!(*way.sent.lock().unwrap(), [(b"query".to_vec(), dns, 0)]);
    let receiver = way.receiver.upgrade().unwrap();
    receiver.deliver(dns, "10.0.2.15".parse().unwrap(), 60, b"answer");
    let (bytes, received) = client.receive_with(99, 0).unwrap();
    assert_eq!(
        (&bytes[..], from(&received).as_str()),
        (&b"answer"[..], "10.0.2.3:53")
    );
    way.full.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(client.send_to(b"query", "10.0.2.3:53"), Err(Errno::EAGAIN));
    assert_eq!(client.poll(), 0);
    way.full.store(false, std::sync::atomic::Ordering::SeqCst);
    receiver.writable();
    assert_eq!(client.poll(), WRITABLE);
    client.connect("10.0.2.3:53").unwrap();
    assert!(client.local().starts_with("10.0.2.15:"));
    receiver.deliver(
        "10.0.2.4:53".parse().unwrap(),
        "10.0.2.15".parse().unwrap(),
        60,
        b"no",
    );
    assert_eq!(client.receive(9), Err(Errno::EAGAIN));
    receiver.error(Errno::EHOSTUNREACH, dns);
    assert_eq!(client.receive(9), Err(Errno::EHOSTUNREACH));
    drop((way, client));
    assert!(world.uplink.last_datagrams().is_none());
}

#[test]
fn a_bound_socket_is_open_to_the_world() {
    let world = connected();
    let outside = bound(&world, "0.0.0.0:5354");
    let way = world.uplink.last_datagrams().unwrap();
    assert_eq!(way.local, "0.0.0.0:5354".parse().unwrap());
    let mreq = [239, 1, 2, 3, 10, 0, 2, 15];
    outside.set_bytes(SOL_IP, IP_ADD_MEMBERSHIP, &mreq).unwrap();
    let group = "239.1.2.3".parse().unwrap();
    assert_eq!(*way.groups.lock().unwrap(), [(group, true)]);
    outside.set(SOL_IP, IP_MULTICAST_TTL, 4).unwrap();
    outside.send_to(b"all", "239.1.2.3:5354").unwrap();
    assert_eq!(way.sent.lock().unwrap()[0].2, 4);
    assert_eq!(outside.receive(9).unwrap(), b"all");
    outside.set(SOL_IP, IP_MULTICAST_LOOP, 0).unwrap();
    outside.send_to(b"others", "239.1.2.3:5354").unwrap();
    assert_eq!(outside.receive(9), Err(Errno::EAGAIN));
}

#[test]
fn a_published_port_reaches_a_loopback_address() {
    let world = connected();
    let server = bound(&world, "127.0.0.1:5353");
    let way = world.uplink.last_datagrams().unwrap();
    assert_eq!(way.local, "127.0.0.1:5353".parse().unwrap());
    // Nobody inside has this port, and nobody outside has written from it yet.
    server.send_to(b"early", "127.0.0.1:7001").unwrap();
    let visitor = "127.0.0.1:7001".parse().unwrap();
    let receiver = way.receiver.upgrade().unwrap();
    receiver.deliver(visitor, "127.0.0.1".parse().unwrap(), 64, b"question");
    let (bytes, received) = server.receive_with(99, 0).unwrap();
    assert_eq!(bytes, b"question");
    assert_eq!(from(&received), "127.0.0.1:7001");
    server.send_to(b"answer", "127.0.0.1:7001").unwrap();
    assert_eq!(
        *way.sent.lock().unwrap(),
        [(b"answer".to_vec(), visitor, 0)]
    );
    let inside = world.socket(UDP4);
    inside.send_to(b"hello", "127.0.0.1:5353").unwrap();
    let (_, received) = server.receive_with(99, 0).unwrap();
    server.send_to(b"inside", &from(&received)).unwrap();
    assert_eq!(inside.receive(99).unwrap(), b"inside");
}

#[test]
fn options_of_datagram_sockets() {
    let world = alone();
    let socket = world.socket(UDP4);
    assert_eq!(socket.get(SOL_SOCKET, SO_RCVBUF), Ok(212_992));
    assert_eq!(socket.get(SOL_SOCKET, SO_ACCEPTCONN), Ok(0));
    assert_eq!(socket.get(SOL_IP, IP_MULTICAST_TTL), Ok(1));
    assert_eq!(
        socket.set(SOL_IP, IP_MULTICAST_TTL, 256),
        Err(Errno::EINVAL)
    );
    assert_eq!(socket.set(SOL_IP, IP_HDRINCL, 1), Err(Errno::ENOPROTOOPT));
    assert_eq!(socket.set(17, 103, 1400), Err(Errno::ENOPROTOOPT));
    assert_eq!(socket.set(17, 104, 1), Ok(()));
    assert_eq!(socket.set(6, TCP_NODELAY, 1), Err(Errno::ENOPROTOOPT));
    let v6 = world.socket(UDP6);
    assert_eq!(v6.get(SOL_IPV6, IPV6_UNICAST_HOPS), Ok(64));
    assert_eq!(v6.set(SOL_IPV6, IPV6_MULTICAST_LOOP, 2), Err(Errno::EINVAL));
    assert_eq!(v6.set(SOL_IPV6, IPV6_MULTICAST_IF, 9), Err(Errno::ENODEV));
    let raw = World {
        caller: Caller {
            privileged: true,
            ..Caller::default()
        },
        ..alone()
    };
    let raw6 = raw.socket(RAW6);
    assert_eq!(raw6.set(SOL_RAW, IPV6_CHECKSUM, 2), Ok(()));
    assert_eq!(raw6.set(SOL_IPV6, IPV6_CHECKSUM, 2), Err(Errno::EINVAL));
}
