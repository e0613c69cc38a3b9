//! Connections from outside.
use super::*;
use crate::uplink::{Acceptor, Connection, Listening};
use alloc::sync::Weak;
use boot_abi::hostnet::{
    EV_INCOMING, FLAG_ABORT, NAMED_BY_DEVICE, REQ_ACCEPTED, REQ_CLOSE, REQ_LISTEN,
};

struct Backlog {
    room: AtomicUsize,
    streams: Mutex<VecDeque<Arc<dyn Stream>>>,
}

impl Backlog {
    fn new(room: usize) -> Arc<Self> {
        Arc::new(Self {
            room: AtomicUsize::new(room),
            streams: Mutex::default(),
        })
    }
}

impl Acceptor for Backlog {
    fn room(&self) -> usize {
        self.room.load(Relaxed)
    }

    fn offer(&self, stream: Arc<dyn Stream>) -> core::result::Result<(), Arc<dyn Stream>> {
        if self.room() == 0 {
            return Err(stream);
        }
        self.room.fetch_sub(1, Relaxed);
        self.streams.lock().push_back(stream);
        Ok(())
    }
}

fn incoming(number: u64) -> Vec<u8> {
    let mut payload = (NAMED_BY_DEVICE | number).to_le_bytes().to_vec();
    payload.extend_from_slice(&encode_address(address("127.0.0.1:5555")));
    payload.extend_from_slice(&encode_address(address("127.0.0.1:80")));
    payload
}

fn listen(world: &World, backlog: &Arc<Backlog>, size: usize) -> (Box<dyn Listening>, u64) {
    let acceptor: Weak<dyn Acceptor> = Arc::downgrade(&(backlog.clone() as Arc<dyn Acceptor>));
    let listening = world
        .forward
        .listen(address("0.0.0.0:80"), size, acceptor)
        .unwrap();
    let (header, payload) = world.serve();
    assert_eq!(header.kind, REQ_LISTEN);
    assert_eq!(payload[..24], encode_address(address("0.0.0.0:80")));
    assert_eq!(payload[24..], (size as u32).to_le_bytes());
    (listening, header.socket)
}

#[test]
fn connections_are_offered_and_work() {
    let world = World::new();
    let backlog = Backlog::new(9);
    let (listening, name) = listen(&world, &backlog, 8);
    world.event(EV_INCOMING, name, &incoming(1));
    let stream = backlog.streams.lock().pop_front().unwrap();
    assert_eq!(stream.connection(), Connection::Established);
    assert_eq!(
        (stream.peer(), stream.local()),
        (address("127.0.0.1:5555"), address("127.0.0.1:80"))
    );
    world.data(NAMED_BY_DEVICE | 1, b"hello");
    assert_eq!(receive(&*stream, 9).unwrap(), b"hello");
    send(&*stream, b"hi").unwrap();
    let (header, payload) = world.serve();
    assert_eq!(
        (header.socket, &*payload),
        (NAMED_BY_DEVICE | 1, &b"hi"[..])
    );
    drop(listening);
    let (header, _) = world.serve();
    assert_eq!((header.kind, header.socket), (REQ_CLOSE, name));
    // It outlives its listener.
    assert_eq!(send(&*stream, b"still"), Ok(5));
}

#[test]
fn acceptance_is_told_in_quarters() {
    let world = World::new();
    let backlog = Backlog::new(100);
    let (listening, name) = listen(&world, &backlog, 8);
    for number in 0..4 {
        world.event(EV_INCOMING, name, &incoming(number));
        listening.accepted();
    }
    let told: Vec<_> = world.serve_all();
    assert_eq!(told.len(), 2);
    for (header, payload) in told {
        assert_eq!((header.kind, header.socket), (REQ_ACCEPTED, name));
        assert_eq!(payload, 2_u32.to_le_bytes());
    }
}

#[test]
fn acceptance_is_told_before_the_device_runs_out_of_room() {
    let world = World::new();
    let backlog = Backlog::new(100);
    let (listening, name) = listen(&world, &backlog, 8);
    world.event(EV_INCOMING, name, &incoming(0));
    listening.accepted();
    for number in 1..7 {
        world.event(EV_INCOMING, name, &incoming(number));
    }
    assert!(world.serve_all().is_empty());
    world.event(EV_INCOMING, name, &incoming(7));
    assert_eq!(world.serve().1, 1_u32.to_le_bytes());
}

#[test]
fn a_connection_without_room_is_reset_and_gives_its_place_back() {
    let world = World::new();
    let backlog = Backlog::new(0);
    let (_listening, name) = listen(&world, &backlog, 1);
    for number in 0..3 {
        world.event(EV_INCOMING, name, &incoming(number));
        let seen = world.serve_all();
        let found: Vec<_> = seen
            .iter()
            .map(|(header, _)| (header.kind, header.flags, header.socket))
            .collect();
        assert_eq!(
            found,
            [
                (REQ_CLOSE, FLAG_ABORT, NAMED_BY_DEVICE | number),
                (REQ_ACCEPTED, 0, name)
            ]
        );
    }
    assert_eq!(world.errors(), 0);
}

#[test]
fn a_connection_for_a_listener_that_is_gone_is_reset() {
    let world = World::new();
    let backlog = Backlog::new(9);
    let (listening, name) = listen(&world, &backlog, 8);
    drop(listening);
    world.serve();
    world.event(EV_INCOMING, name, &incoming(5));
    let (header, _) = world.serve();
    assert_eq!(
        (header.kind, header.flags, header.socket),
        (REQ_CLOSE, FLAG_ABORT, NAMED_BY_DEVICE | 5)
    );
}

#[test]
fn a_socket_that_went_away_meanwhile_takes_nothing() {
    let world = World::new();
    let backlog = Backlog::new(9);
    let (_listening, name) = listen(&world, &backlog, 8);
    drop(backlog);
    world.event(EV_INCOMING, name, &incoming(5));
    assert_eq!(world.serve().0.kind, REQ_CLOSE);
}

#[test]
fn a_hostile_device_gets_no_more_than_its_backlog() {
    let world = World::new();
    let backlog = Backlog::new(100);
    let (_listening, name) = listen(&world, &backlog, 2);
    // Names that are the driver's, or taken.
    let mut own = incoming(0);
    own[..8].copy_from_slice(&7_u64.to_le_bytes());
    world.event(EV_INCOMING, name, &own);
    world.event(EV_INCOMING, name, &incoming(1));
    world.event(EV_INCOMING, name, &incoming(1));
    assert_eq!((backlog.streams.lock().len(), world.errors()), (1, 2));
    // A peer of no known family, and less than a message.
    let mut odd = incoming(2);
    odd[8] = 5;
    world.event(EV_INCOMING, name, &odd);
    world.event(EV_INCOMING, name, &incoming(2)[..55]);
    assert_eq!((backlog.streams.lock().len(), world.errors()), (1, 4));
    world.event(EV_INCOMING, name, &incoming(3));
    world.event(EV_INCOMING, name, &incoming(4));
    assert_eq!((backlog.streams.lock().len(), world.errors()), (2, 5));
    let (header, _) = world.serve();
    assert_eq!(
        (header.kind, header.socket),
        (REQ_CLOSE, NAMED_BY_DEVICE | 4)
    );
}
