//! SYN cookies: what happens while a listener has too many handshakes open.
use super::transfer::transfer;
use crate::stack::checksum;
use crate::stack::packet::{ETHERNET_HEADER, Header};
use crate::stack::path::ACK;
use crate::stack::simulation::{Backlog, Faults, MILLISECOND, SECOND, World, receive, send, syn};
use crate::uplink::{Connection, Listening, SynCookies, Uplink};
use linux_abi::Errno;
use std::boxed::Box;
use std::sync::Arc;

const MANY: u32 = 300;

/// A listener at end 1 with more handshakes open than it keeps.
fn flooded(faults: Faults) -> (World, Arc<Backlog>, Box<dyn Listening>) {
    let world = World::new(faults);
    let queue = Backlog::new(8);
    let listening = queue.listen(&world.ends[1], "[::]:80", 8);
    flood(&world);
    (world, queue, listening)
}

fn flood(world: &World) {
    for number in 0..MANY {
        let now = world.now();
        world.wires[1].lock().unwrap().put(syn(number), now);
    }
    world.run(MILLISECOND);
}

fn cookies(world: &World) -> SynCookies {
    world.ends[1].syn_cookies()
}

#[test]
fn a_client_connects_by_a_cookie_and_loses_nothing_by_it() {
    for (address, size) in [("10.0.0.2:80", 1460), ("[fd00::2]:80", 1440)] {
        let (world, queue, _listening) = flooded(Faults::default());
        let client = world.connect(0, address).unwrap();
        world.run(MILLISECOND);
        assert_eq!(client.connection(), Connection::Established);
        assert_eq!(cookies(&world).received, 1);
        let server = queue.take();
        {
            let state = world.ends[1].shared().state.lock();
            let mut all = state.connections.values();
            let path = &all.find(|one| one.is_established).unwrap().path;
            assert_eq!((path.peer.mss, path.peer.sack), (Some(size), true));
            assert_eq!(path.peer.scale, Some(7));
        }
        transfer(&world, &client, &server, 3 << 20);
        transfer(&world, &server, &client, 3 << 20);
    }
}

#[test]
fn a_cookie_works_over_a_bad_wire() {
    let (world, queue, _listening) = flooded(Faults {
        loss: 100,
        duplication: 100,
        reordering: 100,
        delay: MILLISECOND,
        ..Faults::default()
    });
    let client = world.connect(0, "10.0.0.2:80").unwrap();
    world.run_until(60 * SECOND, || {
        client.connection() == Connection::Established
    });
    // If its acknowledgement is lost, its data begins the connection.
    send(&client, b"hello").unwrap();
    world.run_until(60 * SECOND, || !queue.taken.lock().unwrap().is_empty());
    let server = queue.take();
    world.run_until(60 * SECOND, || server.readable() == 5);
    assert_eq!(receive(&server, 9), Ok(b"hello".to_vec()));
    transfer(&world, &server, &client, 1 << 20);
}

#[test]
fn who_began_before_the_flood_goes_on() {
    let world = World::new(Faults {
        delay: 20 * MILLISECOND,
        ..Faults::default()
    });
    let queue = Backlog::new(8);
    let _listening = queue.listen(&world.ends[1], "0.0.0.0:80", 8);
    let client = world.connect(0, "10.0.0.2:80").unwrap();
    world.run(70 * MILLISECOND);
    flood(&world);
    world.run(100 * MILLISECOND);
    assert_eq!(client.connection(), Connection::Established);
    assert_eq!(
        (queue.taken.lock().unwrap().len(), cookies(&world).received),
        (1, 0)
    );
}

/// An acknowledgement that belongs to nothing.
fn acknowledgement(number: u32, acknowledged: u32) -> std::vec::Vec<u8> {
    let mut frame = syn(number);
    let ip = &mut frame[ETHERNET_HEADER..];
    ip[28..32].copy_from_slice(&acknowledged.to_be_bytes());
    ip[33] = ACK;
    let header = Header::parse(ip).unwrap();
    checksum::fill(ip, &header);
    frame
}

#[test]
fn forged_cookies_are_refused() {
    let (world, queue, _listening) = flooded(Faults::default());
    let held = || world.ends[1].shared().state.lock().connections.len();
    let before = held();
    for number in 0..1000 {
        let now = world.now();
        let frame = acknowledgement(number + MANY, number.wrapping_mul(0x9e37_79b9));
        world.wires[1].lock().unwrap().put(frame, now);
        world.step(now + MILLISECOND);
    }
    assert_eq!((held(), queue.taken.lock().unwrap().len()), (before, 0));
    assert_eq!(
        (cookies(&world).received, cookies(&world).failed),
        (0, 1000)
    );
}

#[test]
fn a_cookie_does_not_outlive_its_listener() {
    let (world, queue, listening) = flooded(Faults {
        delay: 20 * MILLISECOND,
        ..Faults::default()
    });
    world.run(100 * MILLISECOND);
    let sent = cookies(&world).sent;
    let client = world.connect(0, "10.0.0.2:80").unwrap();
    world.run_until(SECOND, || cookies(&world).sent > sent);
    drop(listening);
    world.run(100 * MILLISECOND);
    assert_eq!(client.take_error(), Some(Errno::ECONNRESET));
    assert_eq!(queue.taken.lock().unwrap().len(), 0);
}
