//! Datagrams.
use super::*;
use crate::uplink::{DatagramKind, DatagramReceiver, Datagrams};
use alloc::sync::Weak;
use boot_abi::hostnet::{
    EV_DATAGRAM, EV_DATAGRAM_ERROR, FLAG_ECHO, FLAG_JOIN, FLAG_UDP, REQ_CLOSE, REQ_DATAGRAMS,
    REQ_MEMBERSHIP, REQ_SEND_TO,
};
use core::net::IpAddr;

#[derive(Default)]
pub struct Inbox {
    datagrams: Mutex<Vec<(SocketAddr, IpAddr, u8, Vec<u8>)>>,
    errors: Mutex<Vec<(Errno, SocketAddr)>>,
    writable: AtomicUsize,
}

impl DatagramReceiver for Inbox {
    fn deliver(&self, from: SocketAddr, to: IpAddr, hop_limit: u8, bytes: &[u8]) {
        self.datagrams
            .lock()
            .push((from, to, hop_limit, bytes.to_vec()));
    }

    fn error(&self, errno: Errno, remote: SocketAddr) {
        self.errors.lock().push((errno, remote));
    }

    fn writable(&self) {
        self.writable.fetch_add(1, Relaxed);
    }
}

fn open(world: &World, inbox: &Arc<Inbox>, kind: DatagramKind) -> Result<Box<dyn Datagrams>> {
    let receiver: Weak<dyn DatagramReceiver> =
        Arc::downgrade(&(inbox.clone() as Arc<dyn DatagramReceiver>));
    world
        .forward
        .datagrams(kind, address("0.0.0.0:53"), receiver)
}

fn send_to(datagrams: &dyn Datagrams, bytes: &[u8], to: &str) -> Result<usize> {
    datagrams.send(&mut SliceSource::new(bytes), address(to), 9)
}

#[test]
fn datagrams_go_and_come() {
    let world = World::new();
    let inbox = Arc::new(Inbox::default());
    let datagrams = open(&world, &inbox, DatagramKind::Udp).unwrap();
    let (header, payload) = world.serve();
    assert_eq!((header.kind, header.flags), (REQ_DATAGRAMS, FLAG_UDP));
    assert_eq!(payload, encode_address(address("0.0.0.0:53")));
    assert_eq!(send_to(&*datagrams, b"query", "10.0.2.3:53"), Ok(5));
    let (sent, payload) = world.serve();
    assert_eq!((sent.kind, sent.socket), (REQ_SEND_TO, header.socket));
    assert_eq!(payload[..24], encode_address(address("10.0.2.3:53")));
    assert_eq!(payload[24..], *b"\x09\0\0\0\0\0\0\0query");
    let event = [
        &encode_address(address("10.0.2.3:53"))[..],
        &encode_address(address("10.0.2.15:53")),
        b"\x40\0\0\0\0\0\0\0answer",
    ]
    .concat();
    world.event(EV_DATAGRAM, header.socket, &event);
    let expected = (
        address("10.0.2.3:53"),
        "10.0.2.15".parse().unwrap(),
        64,
        b"answer".to_vec(),
    );
    assert_eq!(*inbox.datagrams.lock(), [expected]);
    let error = [
        &111_u32.to_le_bytes()[..],
        &[0; 4],
        &encode_address(address("10.0.2.3:54")),
    ]
    .concat();
    world.event(EV_DATAGRAM_ERROR, header.socket, &error);
    assert_eq!(
        *inbox.errors.lock(),
        [(Errno::ECONNREFUSED, address("10.0.2.3:54"))]
    );
    drop(datagrams);
    assert_eq!(world.serve().0.kind, REQ_CLOSE);
    assert!(!world.forward.is_active());
}

#[test]
fn kinds_and_groups_are_told() {
    let world = World::new();
    let inbox = Arc::new(Inbox::default());
    let echo = open(&world, &inbox, DatagramKind::Echo).unwrap();
    assert_eq!(world.serve().0.flags, FLAG_ECHO);
    let group = "224.0.0.251".parse().unwrap();
    echo.membership(group, 0, true).unwrap();
    echo.membership(group, 0, false).unwrap();
    for flags in [FLAG_JOIN, 0] {
        let (header, payload) = world.serve();
        assert_eq!((header.kind, header.flags), (REQ_MEMBERSHIP, flags));
        assert_eq!(payload, encode_address(address("224.0.0.251:0")));
    }
    let raw = open(&world, &inbox, DatagramKind::Raw { protocol: 1 });
    assert_eq!(raw.err(), Some(Errno::EPROTONOSUPPORT));
    assert_eq!(echo.source_for(group), Ok("10.0.2.15".parse().unwrap()));
}

#[test]
fn sizes_and_families_have_limits() {
    let world = World::with("ip=10.0.2.15/24", 256, HEAP);
    let inbox = Arc::new(Inbox::default());
    let datagrams = open(&world, &inbox, DatagramKind::Udp).unwrap();
    world.serve();
    assert_eq!(
        send_to(&*datagrams, &[0; 65_508], "1.1.1.1:1"),
        Err(Errno::EMSGSIZE)
    );
    assert_eq!(send_to(&*datagrams, &[0; 65_507], "1.1.1.1:1"), Ok(65_507));
    assert_eq!(
        send_to(&*datagrams, b"x", "[::2]:1"),
        Err(Errno::ENETUNREACH)
    );
    assert_eq!(send_to(&*datagrams, b"", "1.1.1.1:1"), Ok(0));
    assert_eq!(
        datagrams.source_for("::2".parse().unwrap()),
        Err(Errno::ENETUNREACH)
    );
}

#[test]
fn a_slow_host_makes_senders_wait() {
    let world = World::new();
    let inbox = Arc::new(Inbox::default());
    let datagrams = open(&world, &inbox, DatagramKind::Udp).unwrap();
    world.serve();
    let big = alloc::vec![0; 60_000];
    let count = (0..10)
        .take_while(|_| send_to(&*datagrams, &big, "1.1.1.1:1").is_ok())
        .count();
    assert_eq!(count, 4);
    world.serve();
    assert_eq!(inbox.writable.load(Relaxed), 1);
    world.serve_all();
    assert_eq!(inbox.writable.load(Relaxed), 1);
    // Empty ones count as well.
    let count = (0..100)
        .take_while(|_| send_to(&*datagrams, b"", "1.1.1.1:1").is_ok())
        .count();
    assert_eq!(count, 52);
    world.serve();
    assert_eq!(inbox.writable.load(Relaxed), 2);
}

#[test]
fn too_much_that_waits_for_the_queue_makes_senders_wait() {
    let world = World::with("ip=10.0.2.15/24", 2, HEAP);
    let inbox = Arc::new(Inbox::default());
    let sockets: Vec<_> = (0..7)
        .map(|_| open(&world, &inbox, DatagramKind::Udp).unwrap())
        .collect();
    world.serve_all();
    for datagrams in sockets.iter().take(6) {
        assert_eq!(send_to(&**datagrams, &[0; 60_000], "1.1.1.1:1"), Ok(60_000));
    }
    for _ in 0..2 {
        let refused = send_to(&*sockets[6], b"x", "1.1.1.1:1");
        assert_eq!(refused, Err(Errno::EAGAIN));
    }
    world.serve();
    assert_eq!(inbox.writable.load(Relaxed), 1);
    assert_eq!(send_to(&*sockets[6], b"x", "1.1.1.1:1"), Ok(1));
}

#[test]
fn half_a_datagram_is_none() {
    let world = World::new();
    let inbox = Arc::new(Inbox::default());
    let _datagrams = open(&world, &inbox, DatagramKind::Udp).unwrap();
    let name = world.serve().0.socket;
    for len in [0, 24, 55] {
        world.event(EV_DATAGRAM, name, &[4; 55][..len]);
    }
    world.event(EV_DATAGRAM_ERROR, name, &[4; 31]);
    world.data(name, b"of a stream");
    assert_eq!(world.errors(), 5);
    assert!(inbox.datagrams.lock().is_empty());
}
