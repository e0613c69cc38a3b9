//! A driver that breaks the rules: the device asks to be reset, and nothing else happens.

use std::net::TcpListener;

use boot_abi::hostnet::*;
use virtio_bindings::virtio_ring::VRING_DESC_F_WRITE;

use super::super::addresses::Addresses;
use super::guest::{Guest, at, outside};

const A: u64 = 1;

/// The device gives up on a driver that does this, and works again after a reset.
fn breaks(what: &str, deed: impl FnOnce(&mut Guest)) {
    let mut guest = Guest::new();
    deed(&mut guest);
    guest.look();
    assert!(!guest.is_well(), "{what}");
    guest.restart();
    guest.connect(A, at("127.0.0.1:1"));
    guest.event(EV_FAILED, A);
}

/// It goes on with one that does this.
fn is_harmless(what: &str, deed: impl FnOnce(&mut Guest)) {
    let mut guest = Guest::new();
    deed(&mut guest);
    guest.look();
    assert!(guest.is_well(), "{what}");
    guest.quiet();
    assert_eq!(guest.in_flight, 0, "{what}");
}

#[test]
fn malformed_messages_break_it() {
    let address = encode_address(at("10.0.2.2:1"));
    let connect = |name| Header::new(REQ_CONNECT, name, ADDRESS_SIZE);
    breaks("a short header", |guest| {
        guest.driver.give(0, &[b"0123456789"]);
    });
    breaks("an unknown kind", |guest| guest.request(999, A, b""));
    breaks("a longer length than there is", |guest| {
        guest.ask(Header::new(REQ_DATA, A, 100), b"x");
    });
    breaks("an immense length", |guest| {
        guest.ask(Header::new(REQ_DATA, A, u32::MAX as usize), b"x");
    });
    breaks("no address", |guest| {
        guest.ask(connect(A), &[0; ADDRESS_SIZE])
    });
    breaks("a short address", |guest| {
        guest.request(REQ_CONNECT, A, &address[..9])
    });
    breaks("a part of an option", |guest| {
        guest.request(REQ_CONNECT, A, &[&address[..], b"xyz"].concat());
    });
    breaks("too many options", |guest| {
        guest.request(REQ_CONNECT, A, &[&address[..], &[0; 2048]].concat());
    });
    breaks("a device's name", |guest| {
        guest.ask(connect(NAMED_BY_DEVICE | 5), &address)
    });
    breaks("a name twice", |guest| {
        guest.listen(A, at("0.0.0.0:1"), 1);
        guest.request(REQ_CONNECT, A, &address);
    });
    breaks("a number cut short", |guest| {
        guest.request(REQ_CREDIT, A, b"123")
    });
    breaks("datagrams of no kind", |guest| {
        guest.request(REQ_DATAGRAMS, A, &address)
    });
    breaks("a datagram without fields", |guest| {
        guest.flagged(REQ_DATAGRAMS, FLAG_UDP, A, &address);
        guest.request(REQ_SEND_TO, A, b"x");
    });
}

#[test]
fn malformed_queues_break_it() {
    breaks("an index far ahead", |guest| {
        guest.driver.set_avail_index(0, 999)
    });
    breaks("a request outside memory", |guest| {
        guest.driver.add(0, &[(u64::MAX - 8, 64, 0)]);
    });
    breaks("a request to be written", |guest| {
        let flags = VRING_DESC_F_WRITE as u16;
        guest
            .driver
            .add(0, &[(0x20_0000, 16, 0), (0x20_0000, 64, flags)]);
    });
    breaks("data outside memory", |guest| {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        guest.connect(A, outside(server.local_addr().unwrap()));
        guest.event(EV_CONNECTED, A);
        let header = Header::new(REQ_DATA, A, 64).to_bytes();
        let at = guest.place(&header);
        guest.driver.add(0, &[(at, 16, 0), (1 << 40, 64, 0)]);
    });
    for (what, flags, at, len) in [
        ("a short event buffer", VRING_DESC_F_WRITE, 0x50_0000, 4096),
        ("an event buffer to be read", 0, 0x50_0000, 70_000),
        (
            "an event buffer outside memory",
            VRING_DESC_F_WRITE,
            1 << 40,
            70_000,
        ),
    ] {
        breaks(what, |guest| {
            guest.use_up_buffers();
            guest.driver.add(1, &[(at, len, flags as u16)]);
            guest.connect(A, at_nowhere());
        });
    }
}

fn at_nowhere() -> std::net::SocketAddr {
    at("127.0.0.1:1")
}

#[test]
fn what_makes_no_sense_is_ignored() {
    is_harmless("unknown names", |guest| {
        for kind in [
            REQ_ACCEPTED,
            REQ_CREDIT,
            REQ_INFO,
            REQ_CLOSE,
            REQ_DATA,
            REQ_SHUTDOWN,
        ] {
            guest.number(kind, 77, u32::MAX);
            guest.number(kind, NAMED_BY_DEVICE, u32::MAX);
            guest.number(kind, u64::MAX, u32::MAX);
        }
        let address = encode_address(at("10.0.2.2:1"));
        guest.request(REQ_SEND_TO, 77, &[&address[..], &[0; 8]].concat());
        guest.request(REQ_MEMBERSHIP, 77, &address);
        guest.request(REQ_OPTIONS, 77, &[0; 8]);
    });
    is_harmless("messages for another kind of socket", |guest| {
        guest.flagged(REQ_DATAGRAMS, FLAG_UDP, A, &encode_address(at("0.0.0.0:0")));
        for kind in [REQ_DATA, REQ_SHUTDOWN, REQ_CREDIT, REQ_INFO, REQ_ACCEPTED] {
            guest.number(kind, A, 5);
        }
    });
    is_harmless("credit without end", |guest| {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        guest.connect(A, outside(server.local_addr().unwrap()));
        guest.event(EV_CONNECTED, A);
        guest.number(REQ_CREDIT, A, u32::MAX);
        guest.number(REQ_CREDIT, A, u32::MAX);
        guest.flagged(REQ_SHUTDOWN, 0xfffc, A, b"");
        guest.flagged(REQ_CLOSE, FLAG_ABORT, A, b"");
        guest.request(REQ_CLOSE, A, b"");
    });
    is_harmless("a listener without room", |guest| {
        guest.listen(A, at("0.0.0.0:0"), 0);
        guest.number(REQ_ACCEPTED, A, u32::MAX);
    });
}

#[test]
fn what_the_rules_forbid_is_refused() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = outside(server.local_addr().unwrap());
    let rule = format!("localhost:{}", to.port());
    let mut guest = Guest::with(&[], &[&rule], Addresses::default());
    guest.connect(A, to);
    guest.event(EV_CONNECTED, A);
    for (name, other) in [(2, "10.0.2.2:1"), (3, "1.2.3.4:80")] {
        guest.connect(name, at(other));
        let errno = guest.event(EV_FAILED, name).number(0);
        assert_eq!(errno, libc::EACCES as u32);
    }
    for (name, flag) in [(4, FLAG_UDP), (5, FLAG_ECHO)] {
        guest.flagged(
            REQ_DATAGRAMS,
            flag,
            name,
            &encode_address(at("10.0.2.15:7")),
        );
        guest.send_to(name, at("1.2.3.4:80"), b"12345678");
        let errno = guest.event(EV_DATAGRAM_ERROR, name).number(0);
        assert_eq!(errno, libc::EACCES as u32);
    }
    assert_eq!(guest.counters.refused.get(), 4);
}
