//! How connections begin and end.
use crate::stack::simulation::{Backlog, Faults, MILLISECOND, SECOND, World, at, receive, send};
use crate::stack::{checksum, packet};
use crate::uplink::{ConnectRequest, Connection, Stream, StreamOption, Uplink};
use linux_abi::Errno;
use std::sync::Arc;
use std::vec::Vec;
use vfs::poll;

fn world() -> World {
    World::new(Faults {
        delay: 50_000,
        ..Faults::default()
    })
}

#[test]
fn nobody_listens() {
    let world = world();
    let stream = world.connect(0, "10.0.0.2:81").unwrap();
    assert_eq!(stream.connection(), Connection::Connecting);
    world.run(MILLISECOND);
    assert_eq!(stream.connection(), Connection::Failed);
    assert_ne!(stream.poll() & (poll::ERR | poll::HUP | poll::OUT), 0);
    assert_eq!(stream.take_error(), Some(Errno::ECONNREFUSED));
    assert_eq!(stream.take_error(), None);
}

#[test]
fn nobody_is_there() {
    let world = world();
    let began = world.now();
    let stream = world.connect(0, "10.0.0.77:80").unwrap();
    world.run_until(10 * SECOND, || stream.connection() == Connection::Failed);
    assert_eq!(stream.take_error(), Some(Errno::EHOSTUNREACH));
    assert!(world.now() - began >= 2 * SECOND);
    assert_eq!(
        world.connect(0, "192.168.7.7:80").err(),
        Some(Errno::ENETUNREACH)
    );
}

#[test]
fn nobody_answers() {
    let world = world();
    // ARP gets through, TCP does not.
    world.wires[1].lock().unwrap().faults.drop = Some(|frame| frame[12..14] == [8, 0]);
    let stream = world.connect(0, "10.0.0.2:80").unwrap();
    world.run(126 * SECOND);
    assert_eq!(stream.connection(), Connection::Connecting);
    world.run(3 * SECOND);
    assert_eq!(stream.take_error(), Some(Errno::ETIMEDOUT));
}

#[test]
fn a_half_closed_connection_carries_on_the_other_way() {
    let world = world();
    let (client, server) = world.pair();
    send(&client, b"request").unwrap();
    client.shutdown(false, true).unwrap();
    assert_eq!(send(&client, b"more"), Err(Errno::EPIPE));
    world.run(MILLISECOND);
    assert_eq!(receive(&server, 100), Ok(b"request".to_vec()));
    assert_eq!(receive(&server, 100), Ok(Vec::new()));
    assert_ne!(server.poll() & poll::RDHUP, 0);
    // Large: both ends' sockets are exchanged for larger ones in CLOSE-WAIT and FIN-WAIT-2.
    let reply = std::vec![9; 300_000];
    let (mut sent, mut got) = (0, 0);
    let until = world.now() + 10 * SECOND;
    while got < reply.len() {
        sent += send(&server, &reply[sent..]).unwrap_or(0);
        got += receive(&client, 65536).map_or(0, |bytes| bytes.len());
        assert!(world.step(until), "{got} of {sent}");
    }
    assert!(world.now() < until - 9 * SECOND, "{}", until - world.now());
    drop(server);
    world.run(SECOND);
    assert_eq!(receive(&client, 100), Ok(Vec::new()));
    drop(client);
    world.run(60 * SECOND);
    let left = |end: usize| world.ends[end].shared().state.lock().connections.len();
    assert_eq!((left(0), left(1)), (0, 0));
}

#[test]
fn a_reset_breaks_the_connection() {
    let world = world();
    let (client, server) = world.pair();
    send(&client, b"last words").unwrap();
    world.run(MILLISECOND);
    client.abort();
    world.run(MILLISECOND);
    assert_ne!(server.poll() & poll::ERR, 0);
    // As Linux: what came before can still be read.
    assert_eq!(receive(&server, 100), Ok(b"last words".to_vec()));
    assert_eq!(receive(&server, 100), Err(Errno::ECONNRESET));
    assert_eq!(receive(&server, 100), Ok(Vec::new()));
    assert_eq!(send(&server, b"x"), Err(Errno::EPIPE));
}

#[test]
fn closing_with_unread_bytes_is_a_reset() {
    let world = world();
    let (client, server) = world.pair();
    send(&client, b"never read").unwrap();
    world.run(MILLISECOND);
    drop(server);
    world.run(MILLISECOND);
    assert_eq!(receive(&client, 1), Err(Errno::ECONNRESET));
    let (client, server) = world.pair();
    drop(server);
    world.run(MILLISECOND);
    assert_eq!(receive(&client, 1), Ok(Vec::new()));
    send(&client, b"too late").unwrap();
    world.run(MILLISECOND);
    assert_ne!(client.poll() & poll::ERR, 0);
}

#[test]
fn bytes_are_delivered_after_close() {
    let world = world();
    let (client, server) = world.pair();
    let bytes = std::vec![1; 50_000];
    assert_eq!(send(&client, &bytes), Ok(bytes.len()));
    drop(client);
    let mut got = 0;
    let until = world.now() + 10 * SECOND;
    loop {
        match receive(&server, 65536) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => got += bytes.len(),
            Err(errno) => {
                assert_eq!(errno, Errno::EAGAIN);
                assert!(world.step(until));
            }
        }
    }
    assert_eq!(got, bytes.len());
}

/// To port 80 of end 1, each time from the same port.
fn connect_from_one_port(world: &World) -> Arc<dyn Stream> {
    world.ends[0]
        .connect(ConnectRequest {
            local: at("0.0.0.0:5555"),
            remote: at("10.0.0.2:80"),
            options: &[],
            events: Arc::default(),
        })
        .unwrap()
}

#[test]
fn time_wait_answers_a_repeated_end_and_gives_way_to_a_new_beginning() {
    let world = world();
    let queue = Backlog::new(8);
    let _listening = queue.listen(&world.ends[1], "0.0.0.0:80", 8);
    for _ in 0..3 {
        let client = connect_from_one_port(&world);
        // If its number comes before the last ones, the client must break TIME-WAIT first, and begin again a second later.
        world.run(2 * SECOND);
        // The server ends first, so TIME-WAIT is there.
        drop(queue.take());
        world.run(MILLISECOND);
        drop(client);
        world.run(MILLISECOND);
        let state = world.ends[1].shared().state.lock();
        assert_eq!(state.connections.len(), 0);
        assert!(state.time_waits.next().is_some());
    }
}

#[test]
fn who_begins_anew_resets_what_was_left() {
    let world = world();
    let queue = Backlog::new(8);
    let _listening = queue.listen(&world.ends[1], "0.0.0.0:80", 8);
    let client = connect_from_one_port(&world);
    world.run(SECOND);
    let left = queue.take();
    // It goes away, and nobody hears of it.
    world.wires[1].lock().unwrap().faults.drop = Some(|_| true);
    client.abort();
    drop(client);
    world.run(MILLISECOND);
    world.wires[1].lock().unwrap().faults.drop = None;
    assert_eq!(left.connection(), Connection::Established);
    let client = connect_from_one_port(&world);
    world.run(2 * SECOND);
    assert_eq!(left.take_error(), Some(Errno::ECONNRESET));
    assert_eq!(client.connection(), Connection::Established);
    let server = queue.take();
    // What was left does not take the new one along.
    drop(left);
    send(&client, b"anew").unwrap();
    world.run(SECOND);
    assert_eq!(receive(&server, 100), Ok(b"anew".to_vec()));
}

#[test]
fn what_has_ended_holds_up_nobody() {
    let world = world();
    let queue = Backlog::new(8);
    let _listening = queue.listen(&world.ends[1], "0.0.0.0:80", 8);
    let mut held = Vec::new();
    for _ in 0..3 {
        let client = connect_from_one_port(&world);
        world.run(MILLISECOND);
        held.push(queue.take());
        client.abort();
        drop(client);
        world.run(MILLISECOND);
    }
    for server in &held {
        assert_eq!(server.take_error(), Some(Errno::ECONNRESET));
    }
    drop(held);
    world.run(MILLISECOND);
    let state = world.ends[1].shared().state.lock();
    assert_eq!((state.connections.len(), state.by_pair.len()), (0, 0));
}

#[test]
fn a_forged_syn_changes_nothing() {
    let world = world();
    let queue = Backlog::new(8);
    let _listening = queue.listen(&world.ends[1], "0.0.0.0:80", 8);
    // Both know each other's hardware address from now on, so that the next frame is the SYN.
    drop(world.pair_at("0.0.0.0:81", "10.0.0.2:81"));
    world.run(SECOND);
    let client = connect_from_one_port(&world);
    world.ends[0].poll();
    let mut forged = Vec::new();
    world.wires[1]
        .lock()
        .unwrap()
        .change(|frame| forged.clone_from(frame));
    assert_eq!(forged[47], 2);
    world.run(MILLISECOND);
    let server = queue.take();
    for distance in [0, 100, 1_000_000] {
        let sequence = packet::read_u32(&forged, 38).unwrap() + distance;
        packet::write(&mut forged, 38, &sequence.to_be_bytes());
        let header = packet::Header::parse(&forged[14..]).unwrap();
        checksum::fill(&mut forged[14..], &header);
        let now = world.now();
        world.wires[1].lock().unwrap().put(forged.clone(), now);
        world.run(MILLISECOND);
        for (from, to) in [(&client, &server), (&server, &client)] {
            send(from, &[7; 500]).unwrap();
            world.run(100 * MILLISECOND);
            assert_eq!(receive(to, 1000), Ok(std::vec![7; 500]), "{distance}");
        }
    }
}

#[test]
fn nobody_is_asked_who_was_just_heard() {
    let world = world();
    let (client, server) = world.pair();
    send(&client, b"here I am").unwrap();
    world.run(SECOND);
    let sent = || world.wires[0].lock().unwrap().sent;
    let before = sent();
    let option = StreamOption::KeepAlive {
        on: true,
        idle: 4,
        interval: 1,
        count: 3,
    };
    server.set_option(option).unwrap();
    world.run(2 * SECOND);
    assert_eq!(sent() - before, 0);
    world.run(2 * SECOND);
    assert_eq!(sent() - before, 1);
    // It has answered: again only after four seconds.
    world.run(3 * SECOND);
    assert_eq!(sent() - before, 1);
    send(&client, b"still here").unwrap();
    world.run(3 * SECOND);
    // The acknowledgement.
    assert_eq!(sent() - before, 2);
    world.run(2 * SECOND);
    assert_eq!(sent() - before, 3);
}

#[test]
fn what_is_over_has_no_alarm() {
    let world = world();
    let (client, server) = world.pair();
    let option = StreamOption::KeepAlive {
        on: true,
        idle: 10,
        interval: 2,
        count: 3,
    };
    server.set_option(option).unwrap();
    send(&client, b"one").unwrap();
    world.run(MILLISECOND);
    // These are still under way when the reset comes.
    world.wires[0].lock().unwrap().faults.drop = Some(|_| true);
    send(&server, &[7; 1000]).unwrap();
    client.abort();
    world.run(SECOND);
    assert_eq!(server.take_error(), Some(Errno::ECONNRESET));
    let sent = world.wires[0].lock().unwrap().sent;
    world.run(3600 * SECOND);
    assert_eq!(world.wires[0].lock().unwrap().sent, sent);
    assert_eq!(world.ends[1].shared().state.lock().timers.len(), 0);
}

#[test]
fn a_silent_peer_is_given_up() {
    let world = world();
    let (client, server) = world.pair();
    client.set_option(StreamOption::UserTimeout(5000)).unwrap();
    server
        .set_option(StreamOption::KeepAlive {
            on: true,
            idle: 10,
            interval: 2,
            count: 3,
        })
        .unwrap();
    world.run(60 * SECOND);
    assert_eq!(server.connection(), Connection::Established);
    assert_eq!(client.connection(), Connection::Established);
    for wire in &world.wires {
        wire.lock().unwrap().faults.loss = 1000;
    }
    let began = world.now();
    send(&client, b"anybody?").unwrap();
    world.run(4 * SECOND);
    assert_eq!(client.connection(), Connection::Established);
    world.run(2 * SECOND);
    assert_eq!(client.take_error(), Some(Errno::ETIMEDOUT));
    world.run_until(60 * SECOND, || server.connection() == Connection::Failed);
    assert_eq!(server.take_error(), Some(Errno::ETIMEDOUT));
    assert!((6..20).contains(&((world.now() - began) / SECOND)));
}

#[test]
fn a_cork_holds_back_what_fills_no_segment() {
    let world = world();
    let (client, server) = world.pair();
    client.set_option(StreamOption::Cork(true)).unwrap();
    send(&client, &[1; 100]).unwrap();
    world.run(100 * MILLISECOND);
    assert_eq!((server.readable(), client.unsent()), (0, 100));
    // 200 ms at most.
    world.run(101 * MILLISECOND);
    assert_eq!(server.readable(), 100);
    send(&client, &[1; 100]).unwrap();
    client.set_option(StreamOption::Cork(false)).unwrap();
    // Nagle waits for the acknowledgement, which is delayed.
    world.run(20 * MILLISECOND);
    assert_eq!(server.readable(), 200);
}

#[test]
fn what_tcp_info_says() {
    let world = world();
    let (client, server) = world.pair();
    send(&client, &[1; 1000]).unwrap();
    world.run(SECOND);
    assert_eq!(server.readable(), 1000);
    let info = client.info().unwrap();
    let word = |at: usize| u32::from_ne_bytes(info[at..at + 4].try_into().unwrap());
    assert_eq!(info[0], 1);
    assert_eq!((word(16), word(60)), (1460, 1500));
    assert!((100..11_000).contains(&word(68)), "rtt {}", word(68));
    assert_eq!(word(100), 0);
}

#[test]
fn what_was_corked_does_not_wait_for_an_acknowledgement() {
    let world = world();
    let (client, server) = world.pair();
    // More than the first buffer holds, in two parts, as a web server sends its answer.
    client.set_option(StreamOption::Cork(true)).unwrap();
    send(&client, &[1; 250]).unwrap();
    send(&client, &[2; 1024]).unwrap();
    client.set_option(StreamOption::Cork(false)).unwrap();
    world.run(5 * MILLISECOND);
    assert_eq!(server.readable(), 1274);
}
