//! Windows, a full queue, and the order of what is sent.
use super::*;
use boot_abi::hostnet::{FLAG_MORE, REQ_CLOSE, REQ_CONNECT, REQ_DATA, REQ_SHUTDOWN, WINDOW};
use vfs::poll;

const WRITABLE: u32 = poll::OUT | poll::WRNORM;
const MESSAGE: usize = 64 * 1024 - 16;

#[test]
fn one_window_may_be_under_way() {
    let world = World::new();
    let (stream, _) = world.connected();
    let (waker, _held) = Waker::on(stream.events());
    let bytes: Vec<u8> = (0..WINDOW + 40_000).map(|i| (i / 7) as u8).collect();
    assert_eq!(send(&*stream, &bytes), Ok(WINDOW as usize));
    assert_eq!(send(&*stream, &bytes), Err(Errno::EAGAIN));
    assert_eq!(stream.poll() & WRITABLE, 0);
    let mut sent = Vec::new();
    while let Some((seen, request)) = world.pop() {
        assert!(seen.1.len() <= MESSAGE);
        // More follows each: the program's bytes did not end.
        assert_eq!((seen.0.kind, seen.0.flags), (REQ_DATA, FLAG_MORE));
        sent.extend_from_slice(&seen.1);
        world.forward.completed(request);
    }
    assert_eq!(sent, bytes[..WINDOW as usize]);
    // Told once, when a third was free.
    assert_eq!(waker.take(), [WRITABLE]);
    assert_eq!(stream.poll(), WRITABLE);
}

#[test]
fn the_device_hears_of_everything_that_was_sent() {
    // All of it fits into the queue, or the window, or the queue takes only the first message.
    for (size, len) in [
        (256, 10),
        (256, 3 * MESSAGE),
        (256, 2 << 20),
        (2, 2 * MESSAGE),
    ] {
        let world = World::with(NETWORK, size, HEAP);
        let (stream, _) = world.connected();
        if size == 2 {
            let (other, _) = world.connected();
            send(&*other, b"x").unwrap();
        }
        send(&*stream, &alloc::vec![0; len]).unwrap();
        assert!(!world.ring.lock().unannounced, "{size} {len}");
        assert!(world.serve_all().len() > usize::from(len > MESSAGE));
    }
}

#[test]
fn more_is_passed_on() {
    let world = World::new();
    let (stream, _) = world.connected();
    stream.send(&mut SliceSource::new(b"a"), true).unwrap();
    stream.send(&mut SliceSource::new(b"b"), false).unwrap();
    let flags: Vec<_> = world.serve_all().iter().map(|seen| seen.0.flags).collect();
    assert_eq!(flags, [FLAG_MORE, 0]);
}

#[test]
fn a_smaller_send_buffer_holds() {
    let world = World::new();
    let (stream, _) = world.connected();
    stream.set_option(StreamOption::SendBuffer(10_000)).unwrap();
    assert_eq!(send(&*stream, &[0; 20_000]), Ok(10_000));
    assert_eq!(send(&*stream, &[0; 20_000]), Err(Errno::EAGAIN));
}

#[test]
fn one_stream_does_not_fill_the_queue() {
    let world = World::new();
    let (stream, _) = world.connected();
    let count = (0..300)
        .take_while(|_| send(&*stream, b"x").is_ok())
        .count();
    // A quarter of what it leaves.
    assert_eq!(count, 52);
    let (waker, _held) = Waker::on(stream.events());
    let (other, _) = world.connected_after(52);
    assert_eq!(send(&*other, b"y"), Ok(1));
    // Not told for every place.
    for _ in 0..24 {
        assert!(waker.take().is_empty());
        world.serve();
    }
    assert_eq!(
        (waker.take(), stream.poll()),
        (alloc::vec![WRITABLE], WRITABLE)
    );
}

#[test]
fn whoever_has_nothing_under_way_may_send() {
    let world = World::new();
    let streams: Vec<_> = (0..400).map(|_| world.connected()).collect();
    for (stream, _) in &streams {
        assert_eq!(send(&**stream, b"answer"), Ok(6));
    }
    assert_eq!(send(&*streams[399].0, b"more"), Err(Errno::EAGAIN));
    let names: Vec<_> = world.serve_all().iter().map(|seen| seen.0.socket).collect();
    assert!(names.iter().eq(streams.iter().map(|(_, name)| name)));
}

#[test]
fn too_much_that_waits_for_the_queue_refuses_and_tells_when_there_is_room() {
    let world = World::with("ip=10.0.2.15/24", 4, HEAP);
    let streams: Vec<_> = (0..10).map(|_| world.connected()).collect();
    for (stream, _) in streams.iter().take(8) {
        assert_eq!(send(&**stream, &[0; 60_000]), Ok(60_000));
    }
    let stream = &*streams[9].0;
    let (waker, _held) = Waker::on(stream.events());
    assert_eq!(send(stream, b"x"), Err(Errno::EAGAIN));
    assert_eq!(stream.poll(), 0);
    assert!(world.forward.is_crowded());
    assert!(waker.take().is_empty());
    world.serve();
    assert_eq!(waker.take(), [WRITABLE]);
    assert_eq!(send(stream, b"x"), Ok(1));
    assert_eq!(world.serve_all().len(), 8);
    assert!(!world.forward.is_crowded());
}

#[test]
fn who_waits_for_the_window_waits_for_the_device() {
    let world = World::new();
    let (stream, _) = world.connected();
    send(&*stream, &[0; WINDOW as usize]).unwrap();
    assert!(!world.forward.is_crowded());
    assert_eq!(stream.poll(), 0);
    assert!(world.forward.is_crowded());
    drop(stream);
    assert!(!world.forward.is_crowded());
}

#[test]
fn nothing_is_lost_or_overtakes_when_the_queue_is_full() {
    let world = World::with("ip=10.0.2.15/24", 2, HEAP);
    let (stream, name) = world.connected();
    let (second, _) = world.connected();
    let _other = world.connect("192.0.2.1:80", &[]).unwrap();
    send(&*stream, b"1").unwrap();
    stream.shutdown(false, true).unwrap();
    drop(stream);
    // Though there is room in the queue itself by then.
    let (_, first) = world.pop().unwrap();
    assert_eq!(send(&*second, b"x"), Ok(1));
    world.forward.completed(first);
    let mut kinds = Vec::new();
    while let Some((seen, request)) = world.pop() {
        kinds.push((seen.0.kind, seen.0.socket == name));
        world.forward.completed(request);
    }
    assert_eq!(
        kinds,
        [
            (REQ_DATA, true),
            (REQ_SHUTDOWN, true),
            (REQ_CLOSE, true),
            (REQ_DATA, false)
        ]
    );
    assert!(!world.forward.is_crowded());
}

#[test]
fn a_device_that_is_far_behind_gets_no_new_sockets() {
    let world = World::with("ip=10.0.2.15/24", 1, HEAP);
    let refused = (0..10_000).find_map(|_| world.connect("192.0.2.1:80", &[]).err());
    assert_eq!(refused, Some(Errno::ENOBUFS));
    // What was begun is ended all the same.
    let kinds = world.kinds();
    let count = |kind| kinds.iter().filter(|found| **found == kind).count();
    assert!(count(REQ_CONNECT) > 1000);
    assert_eq!(count(REQ_CONNECT), count(REQ_CLOSE));
}

#[test]
fn a_bad_address_sends_what_came_before_it() {
    struct Bad(usize);
    impl vfs::Source for Bad {
        fn remaining(&self) -> usize {
            100_000
        }
        fn take(&mut self, _into: &mut [u8]) -> Result<()> {
            self.0 = self.0.checked_sub(1).ok_or(Errno::EFAULT)?;
            Ok(())
        }
    }
    let world = World::new();
    let (stream, _) = world.connected();
    assert_eq!(stream.send(&mut Bad(0), false), Err(Errno::EFAULT));
    assert!(world.serve_all().is_empty());
    assert_eq!(stream.send(&mut Bad(1), false), Ok(MESSAGE));
    assert_eq!(world.serve_all().len(), 1);
    assert_eq!(stream.unsent(), 0);
}

#[test]
fn what_is_done_for_a_stream_that_is_gone_is_ignored() {
    let world = World::new();
    let (stream, _) = world.connected();
    send(&*stream, b"x").unwrap();
    drop(stream);
    assert_eq!(world.kinds(), [REQ_DATA, REQ_CLOSE]);
}
