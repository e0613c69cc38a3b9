//! Messages that the device gives back although the host has not taken them.
use super::*;
use boot_abi::hostnet::{EV_TAKEN, FLAG_UDP, KEPT_MOST, REQ_CLOSE, REQ_DATA, REQ_DATAGRAMS};
use vfs::poll;

const WRITABLE: u32 = poll::OUT | poll::WRNORM;
const SMALL_WINDOW: usize = 16 * 1024;

impl World {
    /// The device keeps all data that is in the queue, and carries out the rest.
    fn keep_all(&self) -> usize {
        let mut kept = 0;
        while let Some((seen, request)) = self.pop() {
            if seen.0.kind == REQ_DATA {
                self.forward.kept(request);
                kept += 1;
            } else {
                self.forward.completed(request);
            }
        }
        kept
    }

    fn taken(&self, name: u64, count: u32) {
        self.event(EV_TAKEN, name, &count.to_le_bytes());
    }

    fn kept(&self) -> bool {
        !self.forward.shared.kept.is_empty()
    }
}

#[test]
fn kept_messages_fill_the_window_and_not_the_queue() {
    let world = World::roomy();
    let (stream, name) = world.connected();
    let (waker, _held) = Waker::on(stream.events());
    assert_eq!(
        send(&*stream, &[1; WINDOW as usize + 40_000]),
        Ok(WINDOW as usize)
    );
    let count = world.keep_all() as u32;
    assert_eq!(stream.unsent(), WINDOW as usize);
    assert_eq!(send(&*stream, b"x"), Err(Errno::EAGAIN));
    assert_eq!(stream.poll() & WRITABLE, 0);
    world.taken(name, 1);
    assert_eq!((waker.take(), stream.poll()), (Vec::new(), 0));
    // With a third of the window free.
    world.taken(name, count / 3);
    assert_eq!(
        (waker.take(), stream.poll()),
        (alloc::vec![WRITABLE], WRITABLE)
    );
    world.taken(name, count - 1 - count / 3);
    assert_eq!(
        (stream.unsent(), world.kept(), world.errors()),
        (0, false, 0)
    );
}

#[test]
fn what_is_kept_outlives_its_socket() {
    let world = World::new();
    let (stream, name) = world.connected();
    for _ in 0..3 {
        assert_eq!(send(&*stream, b"last words"), Ok(10));
    }
    world.keep_all();
    drop(stream);
    assert_eq!(world.kinds(), [REQ_CLOSE]);
    assert!(world.kept() && world.forward.is_active());
    world.taken(name, 2);
    assert!(world.kept());
    world.taken(name, 9);
    assert!(!world.kept() && !world.forward.is_active());
    assert_eq!(world.errors(), 1);
}

#[test]
fn sockets_get_less_while_much_is_kept() {
    let world = World::roomy();
    let stalled: Vec<_> = (0..2).map(|_| world.connected()).collect();
    let mut count = 0;
    for (stream, _) in &stalled {
        assert_eq!(
            send(&**stream, &[1; WINDOW as usize + 40_000]),
            Ok(WINDOW as usize)
        );
        count = world.keep_all() as u32;
    }
    // More than half of the heap.
    let (stream, name) = world.connected();
    let (waker, _held) = Waker::on(stream.events());
    assert_eq!(stream.poll(), WRITABLE);
    assert_eq!(
        send(&*stream, &[2; WINDOW as usize + 40_000]),
        Ok(SMALL_WINDOW)
    );
    assert_eq!((stream.poll(), world.keep_all()), (0, 1));
    world.taken(name, 1);
    assert_eq!(waker.take(), [WRITABLE]);
    for (_, name) in &stalled {
        world.taken(*name, count);
    }
    assert_eq!(
        send(&*stream, &[2; WINDOW as usize + 40_000]),
        Ok(WINDOW as usize)
    );
}

#[test]
fn many_small_messages_are_much_as_well() {
    let world = World::new();
    let kept = &world.forward.shared.kept;
    let streams: Vec<_> = (0..KEPT_MOST / 2 / 60 + 1)
        .map(|_| world.connected())
        .collect();
    for (stream, _) in &streams {
        for _ in 0..60 {
            // A byte takes 64.
            let _ = send(&**stream, b"x");
            world.keep_all();
        }
    }
    assert!(kept.is_large());
    drop(streams);
    world.kinds();
}

#[test]
fn datagrams_may_be_kept() {
    use crate::uplink::DatagramKind;
    let world = World::new();
    let none: alloc::sync::Weak<super::datagrams::Inbox> = alloc::sync::Weak::new();
    let local = address("0.0.0.0:5353");
    let socket = world
        .forward
        .datagrams(DatagramKind::Udp, local, none)
        .unwrap();
    let (header, _) = world.serve();
    assert_eq!((header.kind, header.flags), (REQ_DATAGRAMS, FLAG_UDP));
    let to = address("192.0.2.1:53");
    assert_eq!(socket.send(&mut SliceSource::new(b"query"), to, 0), Ok(5));
    world.forward.kept(world.pop().unwrap().1);
    assert!(world.kept());
    world.taken(header.socket, 1);
    assert!(!world.kept());
}
