//! Published ports and the guest's listeners behind them.

use std::io::ErrorKind;
use std::net::TcpStream;

use boot_abi::hostnet::*;

use super::guest::{Guest, at, free_port};

const A: u64 = 1;
const B: u64 = 2;

#[test]
fn the_host_listens_while_the_guest_does() {
    let port = free_port();
    let mut guest = Guest::publishing(&[&format!("{port}:80")]);
    for round in 0..3 {
        let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{round}");
        // The port stays ours.
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_err());
        let name = A + round;
        guest.listen(name, at("127.0.0.1:80"), 4);
        let peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
        guest.event(EV_INCOMING, name);
        guest.request(REQ_CLOSE, name, b"");
        drop(peer);
        guest.until("end", |guest| guest.next_event());
    }
}

#[test]
fn no_more_connections_come_than_the_backlog_holds() {
    let port = free_port();
    let mut guest = Guest::publishing(&[&format!("127.0.0.1:{port}:80")]);
    guest.listen(A, at("0.0.0.0:80"), 2);
    let _peers: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    guest.event(EV_INCOMING, A);
    guest.event(EV_INCOMING, A);
    guest.quiet();
    guest.number(REQ_ACCEPTED, A, 1);
    guest.event(EV_INCOMING, A);
    guest.quiet();
    guest.number(REQ_ACCEPTED, A, 2);
    guest.quiet();
    // A larger backlog of the same listener.
    guest.listen(A, at("0.0.0.0:80"), 3);
    let _more = TcpStream::connect(("127.0.0.1", port)).unwrap();
    guest.event(EV_INCOMING, A);
}

#[test]
fn each_family_finds_its_listener_and_the_other_one_without() {
    let port = free_port();
    let mut guest = Guest::publishing(&[&format!("{port}:80")]);
    guest.listen(A, at("127.0.0.1:80"), 8);
    let peer = TcpStream::connect(("::1", port)).unwrap();
    let event = guest.event(EV_INCOMING, A);
    assert_eq!(event.address(8).port(), peer.local_addr().unwrap().port());
    assert_eq!(event.address(8).ip(), at("127.0.0.1:0").ip());
    assert_eq!(event.address(32), at("127.0.0.1:80"));
    guest.number(REQ_ACCEPTED, A, 1);

    guest.listen(B, at("[::1]:80"), 8);
    let peer = TcpStream::connect(("::1", port)).unwrap();
    let event = guest.event(EV_INCOMING, B);
    assert_eq!(event.address(8), peer.local_addr().unwrap());
    assert_eq!(event.address(32), at("[::1]:80"));
    let _peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    guest.event(EV_INCOMING, A);
    // One of two listeners left.
    guest.request(REQ_CLOSE, A, b"");
    let _peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let event = guest.event(EV_INCOMING, B);
    assert_eq!(event.address(32), at("[::1]:80"));
}

#[test]
fn a_port_that_is_not_published_is_nobodys() {
    let port = free_port();
    let mut guest = Guest::publishing(&[&format!("127.0.0.1:{port}:80")]);
    guest.listen(A, at("0.0.0.0:81"), 8);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    guest.request(REQ_CLOSE, A, b"");
    guest.quiet();
}

#[test]
fn ranges_lead_port_by_port() {
    // Two neighbours that are free.
    let (first, mut guest) = (0..100)
        .find_map(|_| {
            let first = free_port();
            let text = format!("127.0.0.1:{first}-{}:80-81", first + 1);
            let free = super::super::publish::parse(&text)
                .and_then(|list| super::super::publish::bind_all(&list));
            drop(free.ok()?);
            Some((first, Guest::publishing(&[&text])))
        })
        .unwrap();
    guest.listen(A, at("0.0.0.0:81"), 8);
    assert!(TcpStream::connect(("127.0.0.1", first)).is_err());
    let _peer = TcpStream::connect(("127.0.0.1", first + 1)).unwrap();
    assert_eq!(guest.event(EV_INCOMING, A).address(32), at("127.0.0.1:81"));
}
