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

#[test]
fn what_answers_a_message_at_once_comes_in_the_same_look() {
    let (mut guest, mut peer) = connected();
    let header = Header::new(REQ_DATA, A, 8);
    guest.ask(header, b"question");
    guest.look_while(|| {
        peer.read_exact(&mut [0; 8]).unwrap();
        peer.write_all(b"answer").unwrap();
    });
    let event = guest.next_event().unwrap();
    assert_eq!((event.kind, &event.payload[..]), (EV_DATA, &b"answer"[..]));
}

/// Where message `number` lies: memory of the guest that nothing else uses.
const PIECES: u64 = 0x70_0000;
const PIECE: usize = 16 << 10;

/// Sends pieces until `most` of them are kept, which hold their number; says how many were sent.
fn stall(guest: &mut Guest, name: u64, most: usize) -> usize {
    let mut sent = 0;
    while guest.kept < most {
        assert!(sent < 4000, "the host takes everything");
        // Those that are kept lie at different places.
        let at = PIECES + (sent % 64 * PIECE) as u64;
        let bytes = [
            &Header::new(REQ_DATA, name, PIECE - 16).to_bytes()[..],
            &piece(sent),
        ]
        .concat();
        guest.send_from(at, &bytes);
        sent += 1;
    }
    sent
}

fn piece(number: usize) -> Vec<u8> {
    (0..PIECE - 16).map(|i| (i ^ number) as u8).collect()
}

#[test]
fn a_slow_peer_holds_no_place_in_the_queue_and_gets_all() {
    let (mut guest, mut peer) = connected();
    let sent = stall(&mut guest, A, 40);
    // Only then the end, though the driver is done with it at once.
    guest.flagged(REQ_SHUTDOWN, FLAG_WRITE, A, b"");
    guest.flagged(REQ_SHUTDOWN, FLAG_WRITE, A, b"");
    guest.request(REQ_CLOSE, A, b"");
    guest.quiet();
    assert_eq!((guest.in_flight, guest.kept), (0, 40));
    assert!(!guest.driver.device.with_device(|net| net.has_left()));
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    guest.until("taken", |guest| (guest.kept == 0).then_some(()));
    let all = reader.join().unwrap();
    assert_eq!(all.len(), sent * (PIECE - 16));
    let pieces = all.chunks(PIECE - 16).enumerate();
    assert!(
        pieces
            .into_iter()
            .all(|(number, chunk)| chunk == piece(number))
    );
    guest.quiet();
}

#[test]
fn others_are_served_while_peers_do_not_read() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut guest, _stalled) = connected();
    stall(&mut guest, A, 30);
    let mut peers = Vec::new();
    for name in 10..30 {
        guest.connect(name, outside(server.local_addr().unwrap()));
        guest.event(EV_CONNECTED, name);
        let (mut peer, _) = server.accept().unwrap();
        guest.request(REQ_DATA, name, b"hello");
        peer.read_exact(&mut [0; 5]).unwrap();
        peers.push(peer);
    }
    assert_eq!((guest.in_flight, guest.kept), (0, 30));
}

#[test]
fn a_driver_that_uses_kept_memory_again_sends_something_else() {
    let (mut guest, mut peer) = connected();
    let sent = stall(&mut guest, A, 5);
    guest.overwrite(PIECES, &vec![0xee; 64 * PIECE]);
    guest.request(REQ_CLOSE, A, b"");
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all.len()
    });
    guest.until("taken", |guest| (guest.kept == 0).then_some(()));
    assert_eq!(reader.join().unwrap(), sent * (PIECE - 16));
}

#[test]
fn what_is_kept_for_a_connection_that_breaks_is_given_up() {
    let (mut guest, peer) = connected();
    stall(&mut guest, A, 5);
    // Closing with unread data resets.
    drop(peer);
    let failed = guest.until("failure", |guest| guest.next_event());
    assert_eq!((failed.kind, failed.socket), (EV_FAILED, A));
    guest.until("taken", |guest| (guest.kept == 0).then_some(()));
    // An abort by the driver does the same.
    let (mut guest, _peer) = connected();
    stall(&mut guest, A, 5);
    guest.flagged(REQ_CLOSE, FLAG_ABORT, A, b"");
    guest.until("taken", |guest| (guest.kept == 0).then_some(()));
    guest.quiet();
}

#[test]
fn without_event_buffers_what_is_taken_is_told_later() {
    let (mut guest, mut peer) = connected();
    stall(&mut guest, A, 5);
    guest.request(REQ_CLOSE, A, b"");
    guest.use_up_buffers();
    std::thread::spawn(move || peer.read_to_end(&mut Vec::new()).unwrap());
    guest.until("all sent", |guest| {
        let left = guest.driver.device.with_device(|net| net.has_left());
        left.then_some(())
    });
    assert_eq!(guest.kept, 5);
    guest.lend();
    guest.until("taken", |guest| (guest.kept == 0).then_some(()));
}

#[test]
fn beyond_the_limit_messages_stay_in_the_queue() {
    let (mut guest, mut peer) = connected();
    stall(&mut guest, A, 1);
    while guest.in_flight < 3 {
        guest.request(REQ_DATA, A, b"x");
    }
    assert_eq!(guest.kept, KEPT_PER_SOCKET);
    guest.request(REQ_CLOSE, A, b"");
    std::thread::spawn(move || peer.read_to_end(&mut Vec::new()).unwrap());
    guest.until("all", |guest| {
        (guest.kept == 0 && guest.in_flight == 0).then_some(())
    });
}

#[test]
fn a_reset_of_the_device_forgets_what_is_kept() {
    let (mut guest, mut peer) = connected();
    stall(&mut guest, A, 5);
    guest.restart();
    peer.read_to_end(&mut Vec::new()).unwrap();
    guest.quiet();
    assert_eq!(guest.kept, 0);
    assert!(guest.is_well());
}

#[test]
fn a_slow_guest_gets_no_more_than_its_credit() {
    let (mut guest, peer) = connected();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i ^ i >> 9) as u8).collect();
    let expected = bytes.clone();
    let mut writer = peer;
    let writer = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    let mut got = Vec::new();
    while got.len() < FIRST_WINDOW as usize {
        let event = guest.event(EV_DATA, A);
        got.extend(event.payload);
    }
    guest.quiet();
    // More than there may ever be under way.
    guest.number(REQ_CREDIT, A, u32::MAX);
    while got.len() < (FIRST_WINDOW + WINDOW) as usize {
        let event = guest.event(EV_DATA, A);
        got.extend(event.payload);
    }
    assert_eq!(got.len(), (FIRST_WINDOW + WINDOW) as usize);
    guest.quiet();
    guest.number(REQ_CREDIT, A, 1000);
    let event = guest.event(EV_DATA, A);
    assert_eq!(event.payload.len(), 1000);
    got.extend(event.payload);
    guest.quiet();
    guest.number(REQ_CREDIT, A, WINDOW);
    got.extend(guest.data(A, usize::MAX));
    writer.join().unwrap();
    assert!(got == expected, "{} bytes", got.len());
}

#[test]
fn without_event_buffers_nothing_is_lost() {
    let (mut guest, mut peer) = connected();
    guest.generous = false;
    let bytes: Vec<u8> = (0..900_000u32).map(|i| (i ^ i >> 9) as u8).collect();
    let expected = bytes.clone();
    let writer = std::thread::spawn(move || peer.write_all(&bytes).unwrap());
    let mut got = Vec::new();
    for _ in 0..500 {
        for event in guest.take_events() {
            guest.number(REQ_CREDIT, A, event.payload.len() as u32);
            got.extend(event.payload);
        }
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
    assert!(got.len() < expected.len());
    // The buffers come one by one.
    while got.len() < expected.len() {
        guest.lend();
        let event = guest.event(EV_DATA, A);
        guest.number(REQ_CREDIT, A, event.payload.len() as u32);
        got.extend(event.payload);
    }
    writer.join().unwrap();
    assert!(got == expected);
    guest.lend();
    guest.event(EV_END, A);
}

#[test]
fn each_side_may_close_its_half() {
    let (mut guest, mut peer) = connected();
    peer.write_all(b"last words").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(guest.data(A, usize::MAX), b"last words");
    guest.request(REQ_DATA, A, b"still here");
    guest.flagged(REQ_SHUTDOWN, FLAG_WRITE, A, b"");
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"still here");
    guest.quiet();
}

#[test]
fn data_and_end_that_come_together_are_both_told() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        let mut guest = Guest::new();
        guest.connect(A, outside(server.local_addr().unwrap()));
        let (mut peer, _) = server.accept().unwrap();
        peer.write_all(b"x").unwrap();
        drop(peer);
        guest.event(EV_CONNECTED, A);
        assert_eq!(guest.event(EV_DATA, A).payload, b"x");
        guest.event(EV_END, A);
    }
}

#[test]
fn a_reset_comes_after_the_data_before_it() {
    let (mut guest, peer) = connected();
    let mut peer = peer;
    peer.write_all(b"data").unwrap();
    assert_eq!(guest.event(EV_DATA, A).payload, b"data");
    // Closing with unread data resets.
    guest.request(REQ_DATA, A, b"unread");
    std::thread::sleep(std::time::Duration::from_millis(20));
    drop(peer);
    assert_eq!(guest.event(EV_FAILED, A).number(0), libc::ECONNRESET as u32);
    guest.request(REQ_DATA, A, b"nobody knows it any more");
    assert_eq!(guest.in_flight, 0);
    guest.quiet();
}

#[test]
fn an_abort_resets_the_peer() {
    let (mut guest, mut peer) = connected();
    guest.flagged(REQ_CLOSE, FLAG_ABORT, A, b"");
    let error = peer.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn what_comes_for_a_closed_socket_with_something_to_send_resets_it() {
    let (mut guest, mut peer) = connected();
    stall(&mut guest, A, 2);
    guest.request(REQ_CLOSE, A, b"");
    peer.write_all(b"nobody reads this").unwrap();
    guest.until("taken", |guest| (guest.kept == 0).then_some(()));
    let mut sink = vec![0; 1 << 20];
    let error = loop {
        match peer.read(&mut sink) {
            Ok(0) => panic!("an orderly end"),
            Ok(_) => {}
            Err(e) => break e,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_refused_connection_is_told() {
    let mut guest = Guest::new();
    guest.connect(A, outside(at(&format!("127.0.0.1:{}", free_port()))));
    let refused = guest.event(EV_FAILED, A).number(0);
    assert_eq!(refused, libc::ECONNREFUSED as u32);
    for own in [
        "127.0.0.1:80",
        "[::1]:80",
        "0.0.0.0:80",
        "[::ffff:127.0.0.1]:80",
    ] {
        guest.connect(A, at(own));
        let errno = guest.event(EV_FAILED, A).number(0);
        assert_eq!(errno, libc::ENETUNREACH as u32, "{own}");
    }
    guest.quiet();
}

#[test]
fn requests_before_the_connection_is_made_wait_for_it() {
    let server = TcpListener::bind("[::1]:0").unwrap();
    let mut guest = Guest::new();
    let to = outside(server.local_addr().unwrap());
    guest.ask(
        Header::new(REQ_CONNECT, A, ADDRESS_SIZE),
        &encode_address(to),
    );
    guest.ask(Header::new(REQ_DATA, A, 5), b"early");
    guest.ask(Header::new(REQ_CLOSE, A, 0), b"");
    guest.until("delivery", |guest| {
        let left = guest.driver.device.with_device(|net| net.has_left());
        (left && guest.in_flight == 0 && guest.kept == 0).then_some(())
    });
    let mut all = Vec::new();
    server.accept().unwrap().0.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"early");
}

#[test]
fn options_and_information_are_those_of_the_hosts_socket() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut guest = Guest::new();
    let option = |number: u16, value: u32| {
        [&number.to_le_bytes()[..], &[0; 2], &value.to_le_bytes()].concat()
    };
    let payload = [
        &encode_address(outside(server.local_addr().unwrap()))[..],
        &option(OPT_MAX_SEGMENT, 600),
        &option(99, 1),
    ]
    .concat();
    guest.request(REQ_CONNECT, A, &payload);
    guest.event(EV_CONNECTED, A);
    guest.request(REQ_OPTIONS, A, &option(OPT_NO_DELAY, 1));
    guest.request(REQ_INFO, A, b"");
    let info = guest.event(EV_INFO, A);
    let (state, send_segment) = (info.payload[0], info.number(16));
    assert_eq!(state, 1, "TCP_ESTABLISHED");
    assert!(send_segment <= 600, "{send_segment}");
}

#[test]
fn a_message_in_many_pieces_is_one() {
    let (mut guest, mut peer) = connected();
    let header = Header::new(REQ_DATA, A, 10).to_bytes();
    let (front, back) = header.split_at(7);
    guest.in_flight += 1;
    guest
        .driver
        .give(0, &[front, b"", back, b"01", b"234567", b"89", b"padding"]);
    guest.look();
    assert_eq!(guest.in_flight, 0);
    let mut got = [0; 10];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"0123456789");
}

#[test]
fn many_small_messages_share_a_buffer() {
    let port = free_port();
    let mut guest = Guest::publishing(&[&format!("127.0.0.1:{port}:80")]);
    guest.listen(A, at("0.0.0.0:80"), 64);
    let mut peers: Vec<_> = (0..30).map(|_| accepted(&mut guest, port)).collect();
    for (_, peer) in &mut peers {
        peer.write_all(b"hello").unwrap();
    }
    guest.buffers = 0;
    for _ in &peers {
        let event = guest.until("data", |guest| guest.next_event());
        assert_eq!((event.kind, &event.payload[..]), (EV_DATA, &b"hello"[..]));
    }
    assert!(guest.buffers <= 3, "{} buffers", guest.buffers);
}

#[test]
fn a_device_that_was_reset_closes_its_sockets_and_works_again() {
    let port = free_port();
    let mut guest = Guest::publishing(&[&format!("127.0.0.1:{port}:80")]);
    guest.listen(A, at("0.0.0.0:80"), 8);
    let (_, mut peer) = accepted(&mut guest, port);
    guest.restart();
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    guest.listen(A, at("0.0.0.0:80"), 8);
    let (name, mut peer) = accepted(&mut guest, port);
    guest.request(REQ_DATA, name, b"x");
    peer.read_exact(&mut [0; 1]).unwrap();
}
