use super::*;
use core::sync::atomic::AtomicUsize;
use linux_abi::raw::net::{MSG_PEEK, SO_PASSCRED};
use vfs::{File, FileOps};

/// A file that counts how many of its kind are open.
struct Counted(Arc<AtomicUsize>);

impl FileOps for Counted {}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[derive(Default)]
struct Files(Arc<AtomicUsize>);

impl Files {
    fn open(&self) -> Arc<File> {
        self.0.fetch_add(1, SeqCst);
        File::from_ops(Arc::new(Counted(self.0.clone())), 0)
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    fn rights(&self, count: usize) -> Control {
        Control::Rights((0..count).map(|_| self.open()).collect())
    }
}

fn files(received: &Received) -> usize {
    let count = |part: &Control| match part {
        Control::Rights(files) => files.len(),
        _ => 0,
    };
    received.control.iter().map(count).sum()
}

fn credentials(received: &Received) -> Option<Ucred> {
    received.control.iter().find_map(|part| match part {
        Control::Credentials(who) => Some(*who),
        _ => None,
    })
}

#[test]
fn files_come_with_every_type() {
    let world = World::new();
    for kind in ALL {
        let open = Files::default();
        let [one, other] = world.pair(kind);
        world.send_with(&one, b"x", open.rights(2)).unwrap();
        let (_, peeked) = message(&other, 9, MSG_PEEK).unwrap();
        assert_eq!(files(&peeked), 2);
        drop(peeked);
        let (bytes, received) = message(&other, 9, 0).unwrap();
        assert_eq!((&*bytes, files(&received)), (&b"x"[..], 2));
        assert_eq!(open.count(), 2);
        drop(received);
        assert_eq!(open.count(), 0);
    }
}

#[test]
fn a_read_of_a_stream_stops_behind_files() {
    let world = World::new();
    let open = Files::default();
    let [one, other] = world.pair(STREAM);
    world.send(&one, b"A").unwrap();
    world.send_with(&one, b"BB", open.rights(1)).unwrap();
    world.send(&one, b"C").unwrap();
    world.send_with(&one, b"DD", open.rights(3)).unwrap();
    world.send_with(&one, b"EE", open.rights(1)).unwrap();
    let next = |room| {
        let (bytes, received) = message(&other, room, 0).unwrap();
        (bytes, files(&received))
    };
    assert_eq!(next(9), (b"ABB".to_vec(), 1));
    // Files come with the first byte of theirs; the rest is as any other.
    assert_eq!(next(2), (b"CD".to_vec(), 3));
    assert_eq!(next(9), (b"DEE".to_vec(), 1));
    assert_eq!(open.count(), 0);
}

#[test]
fn files_are_sent_once_though_the_bytes_go_in_parts() {
    let world = World::new();
    let open = Files::default();
    let [one, other] = world.pair(STREAM);
    world.send(&one, &[0; 212_992 - 1]).unwrap();
    let mut message_out = Outgoing {
        source: &mut SliceSource::new(b"ab"),
        to: None,
        control: [open.rights(1)].into(),
        flags: 0,
    };
    assert_eq!(one.ops().send(&mut message_out, &world), Ok(1));
    assert_eq!(one.ops().send(&mut message_out, &world), Err(Errno::EAGAIN));
    assert!(message_out.control.is_empty());
    let (_, received) = message(&other, 212_992, 0).unwrap();
    assert_eq!(files(&received), 1);
    assert_eq!(one.ops().send(&mut message_out, &world), Ok(1));
}

#[test]
fn a_message_that_must_wait_keeps_its_files() {
    let world = World::new();
    let open = Files::default();
    let name = path("server");
    let server = world.bound(DGRAM, &name);
    let client = world.socket(DGRAM);
    for _ in 0..11 {
        world.send_to(&client, b"x", &name).unwrap();
    }
    let mut message_out = Outgoing {
        source: &mut SliceSource::new(b"ab"),
        to: Some(name),
        control: [open.rights(1)].into(),
        flags: 0,
    };
    assert_eq!(
        client.ops().send(&mut message_out, &world),
        Err(Errno::EAGAIN)
    );
    receive(&server, 1).unwrap();
    assert_eq!(client.ops().send(&mut message_out, &world), Ok(2));
    for _ in 0..10 {
        receive(&server, 1).unwrap();
    }
    assert_eq!(files(&message(&server, 9, 0).unwrap().1), 1);
}

#[test]
fn files_that_nobody_receives_are_closed() {
    let world = World::new();
    for kind in ALL {
        let open = Files::default();
        let [one, other] = world.pair(kind);
        world.send_with(&one, b"x", open.rights(2)).unwrap();
        drop(one);
        assert_eq!(open.count(), 2);
        drop(other);
        assert_eq!(open.count(), 0);
    }
    // Nor by a read(2).
    let open = Files::default();
    let [one, other] = world.pair(STREAM);
    world.send_with(&one, b"x", open.rights(1)).unwrap();
    assert_eq!(receive(&other, 9).unwrap(), b"x");
    assert_eq!(open.count(), 0);
    // Nor by who never accepts.
    let name = abstract_name("name");
    let listener = world.listener(STREAM, &name, 1);
    let client = world.socket(STREAM);
    world.connect(&client, &name).unwrap();
    world.send_with(&client, b"x", open.rights(1)).unwrap();
    drop(listener);
    assert_eq!(open.count(), 0);
}

#[test]
fn there_are_limits() {
    let mut world = World::new();
    let open = Files::default();
    let [one, _other] = world.pair(DGRAM);
    let error = world.send_with(&one, b"x", open.rights(254));
    assert_eq!(error, Err(Errno::EINVAL));
    for _ in 0..5 {
        world.send_with(&one, b"x", open.rights(253)).unwrap();
    }
    let error = world.send_with(&one, b"x", open.rights(1));
    assert_eq!(error, Err(Errno::ETOOMANYREFS));
    world.is_root = true;
    assert_eq!(world.send_with(&one, b"x", open.rights(1)), Ok(1));
    drop((one, _other));
    assert_eq!(open.count(), 0);
}

#[test]
fn sockets_that_hold_each_other_are_closed() {
    let world = World::new();
    for kind in ALL {
        let open = Files::default();
        let [one, other] = world.pair(kind);
        let [one, other] = [one, other].map(|socket| socket.into_file(false));
        let as_socket = |file: &Arc<File>| {
            let ops: &Arc<dyn FileOps> = file.ops().unwrap();
            let any: Arc<dyn core::any::Any + Send + Sync> = ops.clone();
            any.downcast::<Socket>().unwrap()
        };
        let (a, b) = (as_socket(&one), as_socket(&other));
        world.send_with(&a, b"x", open.rights(1)).unwrap();
        // Each queue holds its own socket, and the other.
        for to in [&a, &b] {
            let both = Control::Rights([one.clone(), other.clone()].into());
            world.send_with(to, b"x", both).unwrap();
        }
        drop((a, b, one, other));
        // The next socket that closes has them looked for.
        drop(world.socket(kind));
        assert_eq!(open.count(), 0);
        assert!(world.network.unix_sockets().is_empty());
    }
}

/// What two sockets hold of each other, many times over; no socket is closed that is not in flight.
#[test]
fn sending_has_garbage_looked_for_when_there_is_much() {
    let world = World::new();
    let open = Files::default();
    for kind in ALL {
        for _ in 0..3000 {
            let [one, other] = world.pair(kind);
            let files = [&one, &other].map(|socket| socket.clone().into_file(false));
            let cycle = |file: &Arc<File>| Control::Rights([file.clone(), open.open()].into());
            world.send_with(&one, b"x", cycle(&files[0])).unwrap();
            world.send_with(&other, b"x", cycle(&files[1])).unwrap();
        }
    }
    assert!(open.count() < 300, "{} files are left", open.count());
}

#[test]
fn sockets_in_flight_that_can_be_received_stay() {
    let world = World::new();
    let [one, other] = world.pair(STREAM);
    let [inner, inner_peer] = world.pair(STREAM);
    let [innermost, innermost_peer] = world.pair(STREAM);
    let right = |socket: Arc<Socket>| Control::Rights([socket.into_file(false)].into());
    world.send(&innermost_peer, b"deep").unwrap();
    world
        .send_with(&inner_peer, b"x", right(innermost))
        .unwrap();
    world.send_with(&one, b"x", right(inner)).unwrap();
    drop(world.socket(STREAM));
    let get = |socket: &Socket| -> Arc<File> {
        let (_, received) = message(socket, 1, 0).unwrap();
        match received.control.into_iter().next() {
            Some(Control::Rights(files)) => files.into_iter().next().unwrap(),
            _ => panic!("no file"),
        }
    };
    let inner = get(&other);
    let innermost = get(inner.ops_as::<Socket>().unwrap());
    let innermost: &Socket = innermost.ops_as().unwrap();
    assert_eq!(receive(innermost, 9).unwrap(), b"deep");
}

#[test]
fn a_long_chain_of_sockets_closes_without_deep_calls() {
    let mut world = World::new();
    world.is_root = true;
    let open = Files::default();
    let mut rights = open.rights(1);
    for _ in 0..20_000 {
        let [one, other] = world.pair(DGRAM);
        world.send_with(&one, b"x", rights).unwrap();
        rights = Control::Rights([other.into_file(false)].into());
    }
    drop(rights);
    assert_eq!(open.count(), 0);
}

#[test]
fn credentials_come_when_asked_for() {
    let mut world = World::new();
    for kind in ALL {
        world.who = ME;
        let [one, other] = world.pair(kind);
        world.send(&one, b"x").unwrap();
        assert_eq!(credentials(&message(&other, 9, 0).unwrap().1), None);
        world.set(&other, SO_PASSCRED, 1).unwrap();
        world.send(&one, b"x").unwrap();
        assert_eq!(credentials(&message(&other, 9, 0).unwrap().1), Some(ME));
        // A write(2) is the creator's.
        one.write(0, &mut SliceSource::new(b"x")).unwrap();
        assert_eq!(credentials(&message(&other, 9, 0).unwrap().1), Some(ME));
        world.who.uid = 5;
        world.send(&one, b"x").unwrap();
        assert_eq!(
            credentials(&message(&other, 9, 0).unwrap().1),
            Some(world.who)
        );
    }
}

#[test]
fn a_read_of_a_stream_does_not_mix_senders() {
    let mut world = World::new();
    let [one, other] = world.pair(STREAM);
    world.send(&one, b"me").unwrap();
    world.who.uid = 5;
    world.send(&one, b"him").unwrap();
    assert_eq!(message(&other, 9, MSG_PEEK).unwrap().0, b"mehim");
    world.set(&other, SO_PASSCRED, 1).unwrap();
    let (bytes, received) = message(&other, 9, 0).unwrap();
    assert_eq!((&*bytes, credentials(&received)), (&b"me"[..], Some(ME)));
    let (bytes, received) = message(&other, 9, 0).unwrap();
    assert_eq!(
        (&*bytes, credentials(&received)),
        (&b"him"[..], Some(world.who))
    );
}

#[test]
fn claims_are_checked() {
    let mut world = World::new();
    let [one, other] = world.pair(DGRAM);
    world.set(&other, SO_PASSCRED, 1).unwrap();
    let claim = |world: &World, who| world.send_with(&one, b"x", Control::Credentials(who));
    assert_eq!(claim(&world, ME), Ok(1));
    let other_uid = Ucred { uid: 0, ..ME };
    let other_pid = Ucred { pid: 1, ..ME };
    assert_eq!(claim(&world, other_uid), Err(Errno::EPERM));
    assert_eq!(claim(&world, other_pid), Err(Errno::EPERM));
    world.is_root = true;
    assert_eq!(claim(&world, other_uid), Ok(1));
    assert_eq!(claim(&world, other_pid), Err(Errno::ESRCH));
    message(&other, 9, 0).unwrap();
    assert_eq!(
        credentials(&message(&other, 9, 0).unwrap().1),
        Some(other_uid)
    );
}
