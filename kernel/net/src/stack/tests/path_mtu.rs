//! A router on the way has a smaller MTU, and says so.
use super::transfer::transfer_with;
use crate::stack::Features;
use crate::stack::packet::{self, Header};
use crate::stack::simulation::{Faults, SECOND, World, setup};
use core::cell::RefCell;
use core::net::IpAddr;
use std::thread_local;
use std::vec::Vec;

const MTU: usize = 1300;

thread_local! {
    /// What the router has dropped.
    static DROPPED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn drop_large(frame: &[u8]) -> bool {
    let is_large = frame.len() > MTU + 14;
    if is_large {
        DROPPED.with_borrow_mut(|dropped| dropped.push(frame.to_vec()));
    }
    is_large
}

/// The router's message about a frame of end 0, of which it quotes `most` bytes: its link takes `mtu`.
fn complaint(frame: &[u8], mtu: usize, most: usize) -> Vec<u8> {
    let ip = &frame[14..];
    let header = Header::parse(ip).unwrap();
    let quoted = &ip[..ip.len().min(most)];
    let (router, kind): (IpAddr, [u8; 2]) = match header.is_v6() {
        true => ("fd00::2".parse().unwrap(), [2, 0]),
        false => ("10.0.0.2".parse().unwrap(), [3, 4]),
    };
    let start = 14 + packet::header_length(router);
    let mut answer = std::vec![0; start + 8 + quoted.len()];
    answer[..6].copy_from_slice(&frame[6..12]);
    answer[6..12].copy_from_slice(&frame[..6]);
    answer[12..14].copy_from_slice(&frame[12..14]);
    let message = &mut answer[start..];
    message[..2].copy_from_slice(&kind);
    message[4..8].copy_from_slice(&(mtu as u32).to_be_bytes());
    message[8..].copy_from_slice(quoted);
    if !header.is_v6() {
        let sum = !crate::stack::checksum::sum(message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    let protocol = if header.is_v6() { 58 } else { 1 };
    let ip = &mut answer[14..];
    let length = 8 + quoted.len();
    packet::write_header(ip, router, header.source, protocol, length, 64);
    let header = Header::parse(ip).unwrap();
    crate::stack::checksum::fill(ip, &header);
    answer
}

fn tell(world: &World, answer: Vec<u8>) {
    let now = world.now();
    world.wires[0].lock().unwrap().put(answer, now);
}

fn complain(world: &World) {
    for frame in DROPPED.take() {
        tell(world, complaint(&frame, MTU, 500));
    }
}

fn narrow(features: Features) -> World {
    DROPPED.take();
    let world = World::with(Faults::default(), features, 1500, [setup(1), setup(2)]);
    world.wires[1].lock().unwrap().faults.drop = Some(drop_large);
    world
}

fn mtu_of(world: &World, to: &str) -> usize {
    let to = to.parse().unwrap();
    world.ends[0].shared().turn(|state| state.output.mtu_to(to))
}

#[test]
fn a_transfer_goes_on_in_smaller_segments() {
    let offloads = Features {
        checksum: true,
        segment_v4: true,
        segment_v6: true,
    };
    for features in [Features::default(), offloads] {
        for (listen, to) in [("[::]:80", "[fd00::2]:80"), ("0.0.0.0:80", "10.0.0.2:80")] {
            let world = narrow(features);
            let (client, server) = world.pair_at(listen, to);
            let took = transfer_with(&world, &client, &server, 300_000, &|| complain(&world));
            assert!(took < 5 * SECOND, "{to}: {took}");
            let address = if to.starts_with('[') {
                "fd00::2"
            } else {
                "10.0.0.2"
            };
            assert_eq!(mtu_of(&world, address), MTU);
            // What is new knows it from the start.
            let before = DROPPED.with_borrow(Vec::len);
            let (client, server) = world.pair_at(listen, to);
            transfer_with(&world, &client, &server, 100_000, &|| ());
            assert_eq!(DROPPED.with_borrow(Vec::len), before);
            // The way may have changed.
            world.run(601 * SECOND);
            assert_eq!(mtu_of(&world, address), 1500);
        }
    }
}

#[test]
fn what_was_not_sent_and_what_no_link_has_is_not_believed() {
    let world = narrow(Features::default());
    let (client, _server) = world.pair_at("[::]:80", "[fd00::2]:80");
    crate::stack::simulation::send(&client, &[1; 1400]).unwrap();
    world.run(SECOND / 100);
    let frame = DROPPED.take().pop().unwrap();
    let told = |frame: &[u8], mtu, most| {
        tell(&world, complaint(frame, mtu, most));
        world.run(SECOND / 1000);
        mtu_of(&world, "fd00::2")
    };
    // Another sequence number, another port, another protocol, another sender.
    for at in [14 + 40 + 4, 14 + 40 + 1, 14 + 6, 14 + 23] {
        let mut other = frame.clone();
        other[at] ^= 1;
        assert_eq!(told(&other, MTU, 500), 1500, "{at}");
    }
    assert_eq!(told(&frame, 1500, 500), 1500);
    assert_eq!(told(&frame, 9000, 500), 1500);
    assert_eq!(told(&frame, MTU, 44), 1500);
    assert_eq!(told(&frame, 68, 500), 1280);
    // It does not become larger again by such a message.
    assert_eq!(told(&frame, 1400, 500), 1280);
}
