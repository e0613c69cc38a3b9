//! Connections from the guest: made, used, ended.
use super::*;
use crate::uplink::Connection;
use boot_abi::hostnet::{
    ADDRESS_SIZE, EV_END, EV_INFO, FIRST_WINDOW, FLAG_ABORT, FLAG_READ, FLAG_WRITE, REQ_CLOSE,
    REQ_CONNECT, REQ_CREDIT, REQ_DATA, REQ_INFO, REQ_OPTIONS, REQ_SHUTDOWN, WINDOW,
};
use vfs::poll;

const READABLE: u32 = poll::IN | poll::RDNORM;
const WRITABLE: u32 = poll::OUT | poll::WRNORM;

#[test]
fn a_connection_carries_bytes_both_ways_and_closes() {
    let world = World::new();
    let stream = world
        .connect("192.0.2.1:80", &[StreamOption::NoDelay(true)])
        .unwrap();
    let (waker, _held) = Waker::on(stream.events());
    let (header, payload) = world.serve();
    assert_eq!(
        (header.kind, payload.len()),
        (REQ_CONNECT, ADDRESS_SIZE + 8)
    );
    assert_eq!(
        payload[..ADDRESS_SIZE],
        encode_address(address("192.0.2.1:80"))
    );
    assert_eq!(
        (stream.connection(), stream.poll()),
        (Connection::Connecting, 0)
    );
    assert_eq!(send(&*stream, b"x"), Err(Errno::EAGAIN));
    assert_eq!(receive(&*stream, 1), Err(Errno::EAGAIN));

    world.event(
        EV_CONNECTED,
        header.socket,
        &encode_address(address("127.0.0.1:40000")),
    );
    assert_eq!(waker.take(), [WRITABLE]);
    assert_eq!(
        (stream.connection(), stream.poll()),
        (Connection::Established, WRITABLE)
    );
    assert_eq!(stream.local(), address("10.0.2.15:40000"));
    assert_eq!(stream.peer(), address("192.0.2.1:80"));

    assert_eq!(send(&*stream, b"request"), Ok(7));
    assert_eq!(stream.unsent(), 7);
    let (header, payload) = world.serve();
    assert_eq!(
        (header.kind, &*payload, stream.unsent()),
        (REQ_DATA, &b"request"[..], 0)
    );

    world.data(header.socket, b"answer");
    assert_eq!(waker.take(), [READABLE]);
    assert_eq!((stream.poll(), stream.readable()), (READABLE | WRITABLE, 6));
    assert_eq!(receive(&*stream, 3).unwrap(), b"ans");
    assert_eq!(receive(&*stream, 9).unwrap(), b"wer");
    assert_eq!(receive(&*stream, 9), Err(Errno::EAGAIN));

    world.event(EV_END, header.socket, &[]);
    assert_eq!(stream.poll(), READABLE | WRITABLE | poll::RDHUP);
    assert_eq!(receive(&*stream, 9).unwrap(), b"");
    let name = header.socket;
    drop(stream);
    let (header, _) = world.serve();
    assert_eq!(
        (header.kind, header.flags, header.socket),
        (REQ_CLOSE, 0, name)
    );
    assert!(!world.forward.is_active());
}

#[test]
fn what_cannot_be_reached_is_refused_at_once() {
    let world = World::with("ip=10.0.2.15/24", 256, HEAP);
    assert_eq!(
        world.connect("[2001:db8::1]:80", &[]).err(),
        Some(Errno::ENETUNREACH)
    );
    world.ring.lock().broken = true;
    assert_eq!(
        world.connect("192.0.2.1:80", &[]).err(),
        Some(Errno::ENETDOWN)
    );
    assert!(world.serve_all().is_empty());
}

#[test]
fn a_refused_connection_says_so_once() {
    let world = World::new();
    let stream = world.connect("192.0.2.1:81", &[]).unwrap();
    let name = world.serve().0.socket;
    world.fail(name, Errno::ECONNREFUSED);
    let over = READABLE | WRITABLE | poll::RDHUP | poll::HUP;
    assert_eq!(
        (stream.connection(), stream.poll()),
        (Connection::Failed, over | poll::ERR)
    );
    assert_eq!(stream.take_error(), Some(Errno::ECONNREFUSED));
    assert_eq!((stream.take_error(), stream.poll()), (None, over));
    assert_eq!(receive(&*stream, 1).unwrap(), b"");
    assert_eq!(send(&*stream, b"x"), Err(Errno::EPIPE));
    assert_eq!(stream.shutdown(true, true), Err(Errno::ENOTCONN));
}

#[test]
fn what_came_before_a_reset_can_be_read() {
    let world = World::new();
    let (stream, name) = world.connected();
    world.data(name, b"last words");
    world.fail(name, Errno::ECONNRESET);
    world.data(name, b"too late");
    assert_eq!(receive(&*stream, 99).unwrap(), b"last words");
    assert_eq!(receive(&*stream, 99), Err(Errno::ECONNRESET));
    assert_eq!(receive(&*stream, 99).unwrap(), b"");
}

#[test]
fn after_the_end_an_error_is_for_the_writer() {
    let world = World::new();
    let (stream, name) = world.connected();
    world.event(EV_END, name, &[]);
    world.fail(name, Errno::EPIPE);
    assert_eq!(receive(&*stream, 1).unwrap(), b"");
    assert_eq!(send(&*stream, b"x"), Err(Errno::EPIPE));
    assert_eq!(stream.take_error(), None);
}

#[test]
fn shutdown_follows_the_data_and_hangs_up_when_both_are_over() {
    let world = World::new();
    let (stream, name) = world.connected();
    send(&*stream, b"bye").unwrap();
    stream.shutdown(false, true).unwrap();
    stream.shutdown(false, true).unwrap();
    assert_eq!(send(&*stream, b"x"), Err(Errno::EPIPE));
    let seen = world.serve_all();
    let found: Vec<_> = seen
        .iter()
        .map(|(header, _)| (header.kind, header.flags))
        .collect();
    assert_eq!(found, [(REQ_DATA, 0), (REQ_SHUTDOWN, FLAG_WRITE)]);
    assert_eq!(stream.poll(), WRITABLE);
    world.event(EV_END, name, &[]);
    assert_eq!(stream.poll(), READABLE | WRITABLE | poll::RDHUP | poll::HUP);
}

#[test]
fn a_reading_end_that_was_shut_still_gives_what_comes() {
    let world = World::new();
    let (stream, name) = world.connected();
    stream.shutdown(true, false).unwrap();
    assert_eq!(world.serve().0.flags, FLAG_READ);
    assert_eq!(receive(&*stream, 9).unwrap(), b"");
    world.data(name, b"more");
    assert_eq!(receive(&*stream, 9).unwrap(), b"more");
}

#[test]
fn shutdown_gives_a_connect_up() {
    let world = World::new();
    let stream = world.connect("192.0.2.1:80", &[]).unwrap();
    stream.shutdown(false, true).unwrap();
    assert_eq!(stream.take_error(), Some(Errno::ECONNRESET));
    drop(stream);
    let seen = world.serve_all();
    let found: Vec<_> = seen
        .iter()
        .map(|(header, _)| (header.kind, header.flags))
        .collect();
    assert_eq!(found, [(REQ_CONNECT, 0), (REQ_CLOSE, FLAG_ABORT)]);
}

#[test]
fn closing_with_unread_bytes_or_by_abort_resets_once() {
    let world = World::new();
    let (unread, name) = world.connected();
    world.data(name, b"unread");
    drop(unread);
    let (aborted, _) = world.connected_after(1);
    aborted.abort();
    drop(aborted);
    let seen = world.serve_all();
    let found: Vec<_> = seen
        .iter()
        .map(|(header, _)| (header.kind, header.flags))
        .collect();
    assert_eq!(found, [(REQ_CLOSE, FLAG_ABORT); 2]);
}

#[test]
fn the_window_grows_while_the_program_reads() {
    let world = World::roomy();
    let (stream, name) = world.connected();
    world.widen(&*stream, name);
    const HALF: usize = WINDOW as usize / 2;
    let chunk = alloc::vec![7; 32 * 1024];
    for _ in 0..WINDOW as usize / chunk.len() {
        world.data(name, &chunk);
    }
    assert_eq!(stream.readable(), WINDOW as usize);
    assert_eq!(receive(&*stream, HALF - 1).unwrap().len(), HALF - 1);
    assert!(world.serve_all().is_empty());
    receive(&*stream, 1).unwrap();
    let (header, payload) = world.serve();
    assert_eq!((header.kind, header.socket), (REQ_CREDIT, name));
    assert_eq!(payload, (HALF as u32).to_le_bytes());
    // Emptied after the window was exhausted.
    receive(&*stream, HALF).unwrap();
    assert_eq!(world.serve().1, (HALF as u32).to_le_bytes());
}

#[test]
fn windows_grow_only_as_far_as_there_is_memory() {
    let world = World::roomy();
    // Two of the largest windows are nearly half of the heap.
    let wide: Vec<_> = (0..2).map(|_| world.connected()).collect();
    for (stream, name) in &wide {
        world.widen(&**stream, *name);
    }
    let (stream, name) = world.connected();
    world.data(name, &[1; FIRST_WINDOW as usize]);
    receive(&*stream, 1 << 20).unwrap();
    let credit = world.serve().1;
    assert_eq!(credit, (2 * FIRST_WINDOW).to_le_bytes());
    world.data(name, &[1; 2 * FIRST_WINDOW as usize]);
    receive(&*stream, 1 << 20).unwrap();
    // Not more, but less, so that others get something.
    assert_eq!(world.serve().1, FIRST_WINDOW.to_le_bytes());
    drop(wide);
    world.kinds();
    world.data(name, &[1; FIRST_WINDOW as usize]);
    receive(&*stream, 1 << 20).unwrap();
    assert_eq!(world.serve().1, (2 * FIRST_WINDOW).to_le_bytes());
}

#[test]
fn peeking_gives_no_credit() {
    let world = World::new();
    let (stream, name) = world.connected();
    let first = FIRST_WINDOW as usize;
    world.data(name, &alloc::vec![1; first]);
    let mut bytes = alloc::vec![0; first];
    let count = stream.receive(&mut SliceSink::new(&mut bytes), true);
    assert_eq!(count, Ok(first));
    assert!(world.serve_all().is_empty());
    assert_eq!(stream.readable(), first);
}

#[test]
fn a_smaller_receive_buffer_holds_credit_back() {
    let world = World::new();
    let (stream, name) = world.connected();
    stream
        .set_option(StreamOption::ReceiveBuffer(16 * 1024))
        .unwrap();
    for _ in 0..4 {
        world.data(name, &[1; 8 * 1024]);
        receive(&*stream, 64 * 1024).unwrap();
    }
    let credits: Vec<_> = world.serve_all().into_iter().map(|seen| seen.1).collect();
    assert_eq!(credits, [(8_u32 * 1024).to_le_bytes(); 2]);
    // A larger one lets it grow again.
    stream
        .set_option(StreamOption::ReceiveBuffer(u32::MAX))
        .unwrap();
    world.data(name, &[1; 8 * 1024]);
    receive(&*stream, 64 * 1024).unwrap();
    assert_eq!(world.serve().1, (24_u32 * 1024).to_le_bytes());
}

#[test]
fn options_reach_the_device() {
    let world = World::new();
    let (stream, _) = world.connected();
    stream.set_option(StreamOption::Cork(true)).unwrap();
    let (header, payload) = world.serve();
    assert_eq!(
        (header.kind, &*payload),
        (REQ_OPTIONS, &[2, 0, 0, 0, 1, 0, 0, 0][..])
    );
}

#[test]
fn info_is_asked_for_and_told_once() {
    let world = World::new();
    let (stream, name) = world.connected();
    let (waker, _held) = Waker::on(stream.events());
    assert_eq!(stream.info(), Err(Errno::EAGAIN));
    assert_eq!(stream.info(), Err(Errno::EAGAIN));
    assert_eq!(world.kinds(), [REQ_INFO]);
    world.event(EV_INFO, name, &[1, 2, 3]);
    assert_eq!(waker.take().len(), 1);
    assert_eq!(stream.info().unwrap(), [1, 2, 3]);
    // One that nobody asked for is not kept.
    world.event(EV_INFO, name, &[4]);
    assert_eq!(stream.info(), Err(Errno::EAGAIN));
    // Whoever waits gets an answer when none can come any more.
    world.fail(name, Errno::ECONNRESET);
    assert_eq!(stream.info().unwrap()[0], 7);
}

#[test]
fn the_interface_counts() {
    let world = World::new();
    let (stream, name) = world.connected();
    send(&*stream, &[0; 10]).unwrap();
    world.data(name, &[0; 20]);
    let eth0 = &world.forward.interfaces()[0];
    assert_eq!((&*eth0.name, eth0.index, eth0.mtu), ("eth0", 2, 65520));
    assert_eq!((eth0.addresses.len(), eth0.gateways.len()), (2, 1));
    assert_eq!(
        (eth0.sent[..2].to_vec(), eth0.received[..2].to_vec()),
        (alloc::vec![1, 10], alloc::vec![1, 20])
    );
}
