//! Datagrams of the guest.

use std::net::UdpSocket;
use std::time::Duration;

use boot_abi::hostnet::*;

use super::super::addresses::Addresses;
use super::guest::{Event, Guest, at, outside};

const A: u64 = 1;
const B: u64 = 2;

fn open(guest: &mut Guest, name: u64, local: &str) {
    guest.flagged(REQ_DATAGRAMS, FLAG_UDP, name, &encode_address(at(local)));
}

fn server(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket
}

fn bytes(event: &Event) -> &[u8] {
    &event.payload[2 * ADDRESS_SIZE + 8..]
}

#[test]
fn questions_go_out_and_answers_come_back() {
    let mut guest = Guest::new();
    for (name, address, own) in [
        (A, "127.0.0.1:0", "10.0.2.15:1234"),
        (B, "[::1]:0", "[fd00:c0::15]:1234"),
    ] {
        let server = server(address);
        let to = outside(server.local_addr().unwrap());
        open(&mut guest, name, own);
        guest.send_to(name, to, b"question");
        let mut buffer = [0; 100];
        let (len, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"question");
        server.send_to(b"answer", from).unwrap();
        server.send_to(b"", from).unwrap();
        let event = guest.event(EV_DATAGRAM, name);
        assert_eq!((event.address(0), event.address(24)), (to, at(own)));
        assert!(event.payload[48] > 0, "hop limit");
        assert_eq!(bytes(&event), b"answer");
        assert_eq!(bytes(&guest.event(EV_DATAGRAM, name)), b"");
    }
    assert_eq!(guest.counters.datagrams_in.get(), 4);
}

#[test]
fn the_longest_datagrams_pass_whole_beside_short_ones() {
    let mut guest = Guest::new();
    let server = server("127.0.0.1:0");
    let to = outside(server.local_addr().unwrap());
    open(&mut guest, A, "10.0.2.15:1234");
    let longest: Vec<u8> = (0..65_507u32).map(|i| (i ^ i >> 8) as u8).collect();
    guest.send_to(A, to, &longest);
    let mut buffer = vec![0; 70_000];
    let (len, from) = server.recv_from(&mut buffer).unwrap();
    assert!(buffer[..len] == longest);
    for part in [&b"short"[..], &longest, b"short", &longest] {
        server.send_to(part, from).unwrap();
    }
    for part in [&b"short"[..], &longest, b"short", &longest] {
        assert!(bytes(&guest.event(EV_DATAGRAM, A)) == part);
    }
    // One byte too many.
    guest.send_to(A, to, &[0; 65_508]);
    let event = guest.event(EV_DATAGRAM_ERROR, A);
    assert_eq!(
        (event.number(0), event.address(8)),
        (libc::EMSGSIZE as u32, to)
    );
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    let mut guest = Guest::new();
    let to = outside(server("127.0.0.1:0").local_addr().unwrap());
    open(&mut guest, A, "10.0.2.15:1234");
    guest.send_to(A, to, b"x");
    let event = guest.event(EV_DATAGRAM_ERROR, A);
    assert_eq!(event.number(0), libc::ECONNREFUSED as u32);
    assert_eq!(event.address(8), to);
    guest.quiet();
}

#[test]
fn the_name_server_answers_from_its_address_in_the_guest() {
    // Port 53 needs a privilege; without it there is nothing to test.
    let Ok(server) = UdpSocket::bind("127.0.0.77:53") else {
        return;
    };
    let addresses = Addresses {
        server: Some(at("127.0.0.77:0").ip()),
    };
    let mut guest = Guest::with(&[], &["dns"], addresses);
    open(&mut guest, A, "10.0.2.15:1234");
    guest.send_to(A, at("10.0.2.3:53"), b"name?");
    let mut buffer = [0; 100];
    let (_, from) = server.recv_from(&mut buffer).unwrap();
    server.send_to(b"address", from).unwrap();
    let event = guest.event(EV_DATAGRAM, A);
    assert_eq!(event.address(0), at("10.0.2.3:53"));
    guest.send_to(A, at("10.0.2.2:53"), b"name?");
    let refused = guest.event(EV_DATAGRAM_ERROR, A).number(0);
    assert_eq!(refused, libc::EACCES as u32);
}

/// A published UDP port: the guest, and the host's port.
fn publishing(allow: &[&str]) -> (Guest, u16) {
    let port = server("127.0.0.1:0").local_addr().unwrap().port();
    let guest = Guest::with(&[&format!("{port}:53/udp")], allow, Addresses::default());
    (guest, port)
}

#[test]
fn a_published_port_takes_questions_and_gives_answers() {
    // Peers are answered whatever else is forbidden.
    let (mut guest, port) = publishing(&["none"]);
    let client = server("127.0.0.1:0");
    client.connect(("127.0.0.1", port)).unwrap();
    client.send(b"too early").unwrap();
    open(&mut guest, A, "0.0.0.0:53");
    guest.quiet();
    client.send(b"question").unwrap();
    let event = guest.event(EV_DATAGRAM, A);
    let from = event.address(0);
    assert_eq!(from, outside(client.local_addr().unwrap()));
    assert_eq!(event.address(24), at("10.0.2.15:53"));
    guest.send_to(A, from, b"answer");
    let mut buffer = [0; 100];
    let len = client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"answer");
    guest.send_to(A, at("10.0.2.2:9"), b"x");
    let refused = guest.event(EV_DATAGRAM_ERROR, A).number(0);
    assert_eq!(refused, libc::EACCES as u32);

    // The next one has the port when this one is gone.
    guest.request(REQ_CLOSE, A, b"");
    open(&mut guest, B, "0.0.0.0:53");
    client.send(b"again").unwrap();
    assert_eq!(bytes(&guest.event(EV_DATAGRAM, B)), b"again");
}

#[test]
fn a_server_on_the_guests_loopback_sees_its_peers_there() {
    let (mut guest, port) = publishing(&[]);
    let client = server("127.0.0.1:0");
    client.connect(("127.0.0.1", port)).unwrap();
    open(&mut guest, A, "127.0.0.1:53");
    client.send(b"question").unwrap();
    let event = guest.event(EV_DATAGRAM, A);
    assert_eq!(event.address(0), client.local_addr().unwrap());
    assert_eq!(event.address(24), at("127.0.0.1:53"));
    guest.send_to(A, event.address(0), b"answer");
    client.recv(&mut [0; 10]).unwrap();
}

#[test]
fn pings_are_answered_or_the_refusal_is_told() {
    let mut guest = Guest::new();
    let local = encode_address(at("10.0.2.15:4660"));
    guest.flagged(REQ_DATAGRAMS, FLAG_ECHO, A, &local);
    let mut request = [8, 0, 0, 0, 0x12, 0x34, 0, 1];
    guest.send_to(A, at("10.0.2.2:0"), &request);
    let event = guest.until("answer", Guest::next_event);
    if event.kind == EV_DATAGRAM_ERROR {
        assert_eq!(event.number(0), libc::EACCES as u32);
        return;
    }
    request[0] = 0;
    let answer = bytes(&event);
    assert_eq!((answer[0], &answer[4..]), (0, &request[4..]));
    let words = answer
        .chunks(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    assert_eq!(words.sum::<u32>(), 0xffff, "checksum");
}

#[test]
fn a_group_is_joined_and_left() {
    let mut guest = Guest::new();
    let group = "239.255.77.78";
    let port = server("127.0.0.1:0").local_addr().unwrap().port();
    open(&mut guest, A, &format!("0.0.0.0:{port}"));
    let group_address = encode_address(at(&format!("{group}:0")));
    let client = server("0.0.0.0:0");
    let send = || client.send_to(b"all", (group, port));
    if send().is_err() {
        // A host without a route for it cannot join either.
        return;
    }
    // Bound to the group: nobody else reaches the port.
    guest.flagged(REQ_MEMBERSHIP, FLAG_JOIN, A, &group_address);
    let direct = UdpSocket::bind(("127.0.0.1", port));
    assert!(direct.is_ok());
    send().unwrap();
    let event = guest.event(EV_DATAGRAM, A);
    assert_eq!(bytes(&event), b"all");
    assert_eq!(event.address(24), at(&format!("{group}:{port}")));
    guest.request(REQ_MEMBERSHIP, A, &group_address);
    send().unwrap();
    guest.quiet();
    let own = encode_address(at("10.1.1.1:0"));
    guest.flagged(REQ_MEMBERSHIP, FLAG_JOIN, A, &own);
    let errno = guest.event(EV_DATAGRAM_ERROR, A).number(0);
    assert_eq!(errno, libc::EINVAL as u32);
}
