//! Connections from the guest and to it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use boot_abi::hostnet::*;

use super::guest::{Guest, at, free_port, outside};

const A: u64 = 1;

/// A connection of the guest to a server on the host.
fn connected() -> (Guest, TcpStream) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut guest = Guest::new();
    guest.connect(A, outside(server.local_addr().unwrap()));
    let local = guest.event(EV_CONNECTED, A).address(0);
    let (peer, from) = server.accept().unwrap();
    assert_eq!(from, local);
    (guest, peer)
}

/// A connection from the host to a server in the guest: its name and the other end.
fn accepted(guest: &mut Guest, port: u16) -> (u64, TcpStream) {
    let peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let event = guest.event(EV_INCOMING, A);
    assert!(event.name() & NAMED_BY_DEVICE != 0);
    let from = peer.local_addr().unwrap();
    assert_eq!(event.address(8), from);
    assert_eq!(event.address(32), at("127.0.0.1:80"));
    (event.name(), peer)
}

#[test]
fn a_published_port_carries_data_both_ways_until_it_is_closed() {
    let port = free_port();
    let mut guest = Guest::publishing(&[&format!("{port}:80")]);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    guest.listen(A, at("0.0.0.0:80"), 8);
    let (name, mut peer) = accepted(&mut guest, port);
    peer.write_all(b"question").unwrap();
    assert_eq!(guest.event(EV_DATA, name).payload, b"question");
    guest.request(REQ_DATA, name, b"answer");
    let mut answer = [0; 6];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"answer");
    peer.shutdown(Shutdown::Write).unwrap();
    guest.event(EV_END, name);
    guest.request(REQ_DATA, name, b"more");
    guest.request(REQ_CLOSE, name, b"");
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"more");
    assert_eq!(guest.in_flight, 0);
    guest.quiet();
}

#[test]
fn a_connection_outward_carries_data_both_ways_until_the_peer_closes() {
    let (mut guest, mut peer) = connected();
    guest.request(REQ_DATA, A, b"question");
    let mut question = [0; 8];
    peer.read_exact(&mut question).unwrap();
    peer.write_all(b"answer").unwrap();
    drop(peer);
    assert_eq!(guest.data(A, usize::MAX), b"answer");
    guest.quiet();
}
