//! Bytes get through whole and in order, whatever the wire does.
use crate::stack::Features;
use crate::stack::simulation::{Faults, MILLISECOND, SECOND, World, receive, send};
use crate::uplink::{Connection, Stream};
use core::hash::Hasher;
use linux_abi::Errno;
use rustc_hash::FxHasher;
use std::sync::Arc;
use std::vec::Vec;

fn piece(at: usize, length: usize) -> Vec<u8> {
    (at..at + length)
        .map(|i| (i * 31 + (i >> 8) * 17 + (i >> 16)) as u8)
        .collect()
}

/// Sends `total` bytes one way and ends. Answers how long it took.
pub(super) fn transfer(
    world: &World,
    from: &Arc<dyn Stream>,
    to: &Arc<dyn Stream>,
    total: usize,
) -> u64 {
    transfer_with(world, from, to, total, &|| ())
}

/// The same, with something that is done again and again meanwhile.
pub(super) fn transfer_with(
    world: &World,
    from: &Arc<dyn Stream>,
    to: &Arc<dyn Stream>,
    total: usize,
    meanwhile: &dyn Fn(),
) -> u64 {
    const PIECE: usize = 32 * 1024;
    let began = world.now();
    let (mut sent, mut got) = (0, 0);
    let (mut here, mut there) = (FxHasher::default(), FxHasher::default());
    let until = began + 3600 * SECOND;
    loop {
        while sent < total {
            let bytes = piece(sent, PIECE.min(total - sent));
            match send(from, &bytes) {
                Ok(count) => {
                    bytes[..count].iter().for_each(|byte| here.write_u8(*byte));
                    sent += count;
                }
                Err(errno) => {
                    assert_eq!(errno, Errno::EAGAIN);
                    break;
                }
            }
            if sent == total {
                from.shutdown(false, true).unwrap();
            }
        }
        match receive(to, PIECE) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => {
                got += bytes.len();
                bytes.iter().for_each(|byte| there.write_u8(*byte));
            }
            Err(errno) => {
                assert_eq!(errno, Errno::EAGAIN);
                meanwhile();
                assert!(world.step(until), "stuck at {got} of {sent}");
            }
        }
    }
    assert_eq!((got, sent), (total, total));
    assert_eq!(here.finish(), there.finish());
    world.now() - began
}

const MIB: usize = 1024 * 1024;

#[test]
fn a_connection_carries_bytes_both_ways() {
    let world = World::new(Faults::default());
    let (client, server) = world.pair();
    assert_eq!(client.connection(), Connection::Established);
    assert_eq!(send(&client, b"hello"), Ok(5));
    world.run(MILLISECOND);
    assert_eq!(server.readable(), 5);
    assert_eq!(receive(&server, 100), Ok(b"hello".to_vec()));
    assert_eq!(receive(&server, 100), Err(Errno::EAGAIN));
    assert_eq!(send(&server, b"world"), Ok(5));
    world.run(MILLISECOND);
    assert_eq!(receive(&client, 3), Ok(b"wor".to_vec()));
    assert_eq!(receive(&client, 3), Ok(b"ld".to_vec()));
}

#[test]
fn ten_mebibytes_over_a_good_wire() {
    let world = World::new(Faults {
        delay: 50_000,
        ..Faults::default()
    });
    let (client, server) = world.pair();
    let time = transfer(&world, &client, &server, 10 * MIB);
    // At a round trip of 100 us, no more than the window of 256 KiB allows, and growing to it.
    assert!(time < 50 * MILLISECOND, "{} ms", time / MILLISECOND);
}

#[test]
fn ten_mebibytes_over_a_wire_that_loses_doubles_and_reorders() {
    let world = World::new(Faults {
        loss: 10,
        duplication: 10,
        reordering: 10,
        damage: 1,
        delay: 50_000,
        ..Faults::default()
    });
    let (client, server) = world.pair();
    let time = transfer(&world, &client, &server, 10 * MIB);
    // About a hundred losses: a timeout of smoltcp for each would take a minute.
    assert!(time < 8 * SECOND, "{} ms", time / MILLISECOND);
    assert!(world.ends[0].counters().retransmitted > 50);
}

#[test]
fn the_card_cuts_segments_and_sums() {
    let features = Features {
        checksum: true,
        segment_v4: true,
        segment_v6: true,
    };
    let setups = [
        crate::stack::simulation::setup(1),
        crate::stack::simulation::setup(2),
    ];
    let faults = Faults {
        delay: 50_000,
        ..Faults::default()
    };
    let world = World::with(faults, features, 1500, setups);
    let (client, server) = world.pair();
    let sent = world.ends[0].counters().sent_packets;
    transfer(&world, &client, &server, 10 * MIB);
    let sent = world.ends[0].counters().sent_packets - sent;
    assert!(sent < 10 * MIB as u64 / 1460 / 4, "{sent} frames");
}

#[test]
fn segments_over_ipv6_are_not_cut() {
    let features = Features {
        checksum: true,
        segment_v4: true,
        segment_v6: true,
    };
    let setups = [
        crate::stack::simulation::setup(1),
        crate::stack::simulation::setup(2),
    ];
    let world = World::with(Faults::default(), features, 9000, setups);
    let (client, server) = world.pair_at("[::]:80", "[fd00::2]:80");
    transfer(&world, &client, &server, MIB);
    transfer(&world, &server, &client, MIB);
}

/// However fast the reader: each segment is read before the next one comes.
#[test]
fn a_fast_reader_gets_a_large_window() {
    let world = World::new(Faults {
        delay: 50_000,
        ..Faults::default()
    });
    let (client, server) = world.pair();
    let time = transfer(&world, &client, &server, MIB);
    assert!(time < 30 * MILLISECOND, "{} ms", time / MILLISECOND);
    let state = world.ends[1].shared().state.lock();
    let connection = state.connections.values().next().unwrap();
    assert!(connection.peek_tcp().recv_capacity() > 60_000);
}

#[test]
fn buffers_of_idle_connections_are_taken_back() {
    const MANY: usize = 400;
    let world = World::new(Faults::default());
    let pairs: Vec<_> = (0..MANY).map(|_| world.pair()).collect();
    for (client, server) in &pairs {
        let mut sent = 0;
        while sent < 300_000 {
            sent += send(client, &std::vec![1; 50_000]).unwrap_or(0);
            world.run(MILLISECOND);
            while receive(server, 100_000).is_ok() {}
        }
        world.run(100 * MILLISECOND);
    }
    let held = |end: usize| {
        let state = world.ends[end].shared().state.lock();
        let all = state.connections.values();
        all.map(|one| one.surplus()).sum::<usize>()
    };
    assert!(held(0) > 32 * MIB && held(0) < 66 * MIB, "{}", held(0));
    assert!(held(1) > 8 * MIB && held(1) < 66 * MIB, "{}", held(1));
    // Those whose buffers were taken go on as if nothing had happened.
    for (client, server) in pairs.iter().take(3) {
        transfer(&world, client, server, MIB);
        transfer(&world, server, client, 100_000);
    }
}

/// Whether a frame says that something came twice (RFC 2883): its first range lies before what it acknowledges.
fn tells_of_duplicates(frame: &[u8]) -> bool {
    let Some(tcp) = frame.get(34..).filter(|tcp| tcp.len() >= 32) else {
        return false;
    };
    let word = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
    tcp[12] >> 4 == 8
        && tcp[20..24] == [1, 1, 5, 10]
        && (word(28).wrapping_sub(word(8)) as i32) <= 0
}

#[test]
fn the_peer_hears_of_what_it_sent_twice() {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let world = World::new(Faults {
        duplication: 1000,
        delay: 50_000,
        drop: Some(|frame| {
            TOLD.fetch_add(tells_of_duplicates(frame).into(), Relaxed);
            false
        }),
        ..Faults::default()
    });
    let (client, server) = world.pair();
    transfer(&world, &client, &server, MIB);
    assert!(TOLD.load(Relaxed) > 100, "{}", TOLD.load(Relaxed));
}
