//! A device that does not keep to the rules, and programs that do not read.
use super::*;
use crate::uplink::Connection;
use boot_abi::hostnet::{EV_END, EV_INCOMING, EV_TAKEN, FIRST_WINDOW, FLAG_ABORT, REQ_CLOSE};

#[test]
fn more_than_the_window_ends_the_connection() {
    let world = World::new();
    let (stream, name) = world.connected();
    for _ in 0..4 {
        world.data(name, &[1; FIRST_WINDOW as usize / 4]);
    }
    assert_eq!(stream.connection(), Connection::Established);
    world.data(name, b"!");
    assert_eq!(
        (stream.connection(), world.errors()),
        (Connection::Failed, 1)
    );
    let (header, _) = world.serve();
    assert_eq!((header.kind, header.flags), (REQ_CLOSE, FLAG_ABORT));
    let first = FIRST_WINDOW as usize;
    assert_eq!(receive(&*stream, 1 << 20).unwrap().len(), first);
    assert_eq!(receive(&*stream, 1), Err(Errno::EPROTO));
    drop(stream);
    assert!(world.serve_all().is_empty());
}

#[test]
fn what_makes_no_sense_is_counted_and_forgotten() {
    let world = World::new();
    let stream = world.connect("192.0.2.1:80", &[]).unwrap();
    let name = world.serve().0.socket;
    // Not connected yet; too short; unknown kinds; kinds of other sockets.
    world.data(name, b"early");
    world.event(EV_END, name, &[]);
    world.event(EV_CONNECTED, name, &[0; 23]);
    world.event(EV_CONNECTED, name, &[9; 24]);
    world.event(EV_FAILED, name, &[0; 3]);
    world.event(0, name, &[]);
    world.event(EV_INCOMING, name, &[0; 56]);
    assert_eq!(
        (world.errors(), stream.connection()),
        (6, Connection::Connecting)
    );
    assert_eq!(stream.readable(), 0);
    // A length beyond the buffer, and less than a header.
    let mut long = message(EV_DATA, name, b"abcdefgh");
    long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    world.say(long);
    world.say(alloc::vec![1; 15]);
    world.say(Vec::new());
    assert_eq!(world.errors(), 8);
    // Unknown names are no error.
    world.data(name + 1, b"crossed");
    world.event(EV_INCOMING, name + 1, &[0; 3]);
    assert_eq!(world.errors(), 8);
    assert_eq!(world.held(), 0);
    assert!(world.serve_all().is_empty());
}

#[test]
fn good_messages_before_a_bad_one_count() {
    let world = World::new();
    let (stream, name) = world.connected();
    let mut bytes = message(EV_DATA, name, b"good");
    let mut bad = message(EV_DATA, name, b"bad");
    bad.truncate(17);
    bytes.extend_from_slice(&bad);
    world.say(bytes);
    assert_eq!(receive(&*stream, 9).unwrap(), b"good");
    assert_eq!(world.errors(), 1);
}

#[test]
fn random_bytes_never_panic() {
    let world = World::new();
    let (stream, name) = world.connected();
    let mut state = 12345_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u32
    };
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..next() % 120).map(|_| next() as u8).collect();
        if let Some(header) = bytes.first_chunk_mut() {
            let mut random = Header::from_bytes(*header);
            random.kind %= 10;
            random.length %= 100;
            random.socket = name + u64::from(next() % 2);
            *header = random.to_bytes();
        }
        world.say(bytes);
        let _ = receive(&*stream, 64);
        stream.poll();
    }
}

#[test]
fn streams_that_nobody_reads_leave_buffers_to_others() {
    let world = World::new();
    let streams: Vec<_> = (0..8).map(|_| world.connected()).collect();
    for _ in 0..3 {
        for (_, name) in &streams {
            world.data(*name, &[1; 10_000]);
        }
    }
    // A quarter stays with the device.
    assert!(world.held() < BUFFERS * 3 / 4 + 1, "{}", world.held());
    for (stream, _) in &streams {
        assert_eq!(receive(&**stream, 1 << 20).unwrap(), alloc::vec![1; 30_000]);
    }
    assert_eq!(world.held(), 0);
}

#[test]
fn without_memory_buffers_stay_and_come_back_when_read() {
    let world = World::new();
    let streams: Vec<_> = (0..120).map(|_| world.connected()).collect();
    for (_, name) in &streams {
        world.data(*name, &[1; 30_000]);
    }
    // 3.6 MB came, 3 MiB may be copied: the device has to wait.
    assert!(world.held() >= BUFFERS * 3 / 4);
    for (stream, _) in &streams {
        assert_eq!(receive(&**stream, 1 << 20).unwrap().len(), 30_000);
        assert_eq!(receive(&**stream, 1), Err(Errno::EAGAIN));
    }
    assert_eq!(world.held(), 0);
    // And it is as before.
    world.data(streams[0].1, &[1; 30_000]);
    assert_eq!(world.held(), 1);
    drop(streams);
    assert_eq!(world.held(), 0);
}

#[test]
fn what_is_taken_though_nothing_was_kept_is_ignored() {
    let world = World::new();
    let (stream, name) = world.connected();
    assert_eq!(send(&*stream, b"x"), Ok(1));
    for count in [0, 1, u32::MAX] {
        world.event(EV_TAKEN, name, &count.to_le_bytes());
        world.event(EV_TAKEN, name + 1, &count.to_le_bytes());
    }
    world.event(EV_TAKEN, name, b"123");
    assert_eq!((stream.unsent(), world.errors()), (1, 5));
    world.serve();
    assert_eq!(stream.unsent(), 0);
}

#[test]
fn an_idle_connection_is_small() {
    let bytes = core::mem::size_of::<super::super::stream::ForwardStream>()
        + core::mem::size_of::<WaitList>();
    assert!(bytes < 400, "{bytes}");
}
