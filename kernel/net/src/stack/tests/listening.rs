//! Backlogs, floods, and many connections.
use crate::stack::simulation::{Backlog, Faults, MILLISECOND, SECOND, World, receive, send, syn};
use crate::uplink::{Connection, Stream};
use linux_abi::Errno;
use std::sync::Arc;
use std::vec::Vec;

#[test]
fn a_full_backlog_makes_clients_wait() {
    let world = World::new(Faults::default());
    let queue = Backlog::new(2);
    let listening = queue.listen(&world.ends[1], "0.0.0.0:80", 2);
    let clients: Vec<_> = (0..5)
        .map(|_| {
            let client = world.connect(0, "10.0.0.2:80").unwrap();
            world.run(MILLISECOND);
            client
        })
        .collect();
    let connected = || {
        let all = clients.iter();
        all.filter(|one| one.connection() == Connection::Established)
            .count()
    };
    // One more than the backlog holds, as on Linux.
    assert_eq!((connected(), queue.taken.lock().unwrap().len()), (3, 2));
    let mut servers = Vec::new();
    for _ in 0..5 {
        world.run(4 * SECOND);
        servers.push(queue.take());
        listening.accepted();
    }
    assert_eq!(connected(), 5);
    drop(listening);
    let late = world.connect(0, "10.0.0.2:80").unwrap();
    world.run(MILLISECOND);
    assert_eq!(late.take_error(), Some(Errno::ECONNREFUSED));
    assert_eq!(clients[0].connection(), Connection::Established);
}

#[test]
fn a_listener_that_goes_resets_who_waits_for_it() {
    let world = World::new(Faults::default());
    let queue = Backlog::new(0);
    let listening = queue.listen(&world.ends[1], "0.0.0.0:80", 8);
    let client = world.connect(0, "10.0.0.2:80").unwrap();
    world.run(MILLISECOND);
    assert_eq!(client.connection(), Connection::Established);
    drop(listening);
    world.run(MILLISECOND);
    assert_eq!(receive(&client, 1), Err(Errno::ECONNRESET));
}

#[test]
fn a_flood_of_syns_leaves_the_listener_usable() {
    let world = World::new(Faults::default());
    let queue = Backlog::new(8);
    let _listening = queue.listen(&world.ends[1], "0.0.0.0:80", 8);
    for number in 0..20_000 {
        let now = world.now();
        world.wires[1].lock().unwrap().put(syn(number), now);
        if number % 100 == 0 {
            world.step(now + MILLISECOND);
        }
    }
    let held = world.ends[1].shared().state.lock().connections.len();
    assert!(held <= 256, "{held} are half-open");
    let client = world.connect(0, "10.0.0.2:80").unwrap();
    world.run(MILLISECOND);
    assert_eq!(client.connection(), Connection::Established);
    send(&client, b"hello").unwrap();
    world.run(MILLISECOND);
    assert_eq!(receive(&queue.take(), 10), Ok(b"hello".to_vec()));
    world.run(200 * SECOND);
    assert!(world.ends[1].shared().state.lock().connections.len() <= 1);
}

#[test]
fn ten_thousand_connections_cost_nothing_while_they_are_idle() {
    const MANY: usize = 10_000;
    let world = World::new(Faults::default());
    let queue = Backlog::new(MANY);
    let listening = queue.listen(&world.ends[1], "0.0.0.0:80", 128);
    let mut pairs: Vec<(Arc<dyn Stream>, Arc<dyn Stream>)> = Vec::new();
    for _ in 0..MANY {
        let client = world.connect(0, "10.0.0.2:80").unwrap();
        while queue.taken.lock().unwrap().is_empty() {
            assert!(world.step(world.now() + SECOND));
        }
        listening.accepted();
        pairs.push((client, queue.take()));
    }
    world.run(SECOND);
    let polls = || world.ends.each_ref().map(|end| end.counters().socket_polls);
    let before = polls();
    world.run(60 * SECOND);
    assert_eq!(polls(), before, "idle connections were polled");
    let (client, server) = &pairs[MANY / 2];
    send(client, b"ping").unwrap();
    world.run(SECOND);
    assert_eq!(receive(server, 10), Ok(b"ping".to_vec()));
    world.run(SECOND);
    let after = polls();
    for end in 0..2 {
        assert!(after[end] - before[end] < 12, "{before:?} {after:?}");
    }
    let state = world.ends[1].shared().state.lock();
    let connection = state.connections.values().next().unwrap();
    let size = core::mem::size_of_val(&**connection)
        + core::mem::size_of::<smoltcp::iface::SocketStorage<'_>>()
        + connection.peek_tcp().recv_capacity()
        + connection.peek_tcp().send_capacity();
    assert!(size < 5 * 1024, "{size} bytes");
    assert_eq!(state.connections.len(), MANY);
}
