use super::*;
use linux_abi::raw::net::SO_SNDBUF;
use vfs::poll::{ERR, HUP, IN, OUT, RDHUP, RDNORM, WRBAND, WRNORM};

const READ: u32 = IN | RDNORM;
const WRITE: u32 = OUT | WRNORM | WRBAND;

#[test]
fn before_a_connection() {
    let world = World::new();
    assert_eq!(world.socket(STREAM).ops().poll(), WRITE | HUP);
    assert_eq!(world.socket(SEQPACKET).ops().poll(), WRITE | HUP);
    assert_eq!(world.socket(DGRAM).ops().poll(), WRITE);
    let shut = world.socket(STREAM);
    shut.ops().shutdown(true, true).unwrap();
    assert_eq!(shut.ops().poll(), READ | WRITE | RDHUP | HUP);
}

#[test]
fn a_listener_is_readable_when_somebody_waits() {
    let world = World::new();
    let name = abstract_name("name");
    let listener = world.listener(STREAM, &name, 1);
    let watch = Watch::on(&listener);
    assert_eq!(listener.ops().poll(), 0);
    world.connect(&world.socket(STREAM), &name).unwrap();
    assert_eq!((listener.ops().poll(), watch.take()), (READ, READ));
    accept(&listener).unwrap();
    assert_eq!(listener.ops().poll(), 0);
}

#[test]
fn through_the_life_of_a_connection() {
    let world = World::new();
    for kind in [STREAM, SEQPACKET] {
        let [one, other] = world.connection(kind);
        let watch = Watch::on(&other);
        assert_eq!(other.ops().poll(), WRITE);
        world.send(&one, b"x").unwrap();
        assert_eq!((other.ops().poll(), watch.take()), (READ | WRITE, READ));
        receive(&other, 1).unwrap();
        assert_eq!(other.ops().poll(), WRITE);
        one.ops().shutdown(false, true).unwrap();
        assert_eq!(other.ops().poll(), READ | WRITE | RDHUP);
        assert_ne!(watch.take() & RDHUP, 0);
        assert_eq!(one.ops().poll(), WRITE);
        drop(one);
        assert_eq!(other.ops().poll(), READ | WRITE | RDHUP | HUP);
        assert_ne!(watch.take() & HUP, 0);
    }
}

#[test]
fn a_reset_is_an_error() {
    let world = World::new();
    let [one, other] = world.connection(STREAM);
    world.send(&other, b"x").unwrap();
    drop(one);
    assert_eq!(other.ops().poll(), READ | WRITE | RDHUP | HUP | ERR);
    assert_eq!(receive(&other, 1), Err(Errno::ECONNRESET));
    assert_eq!(other.ops().poll(), READ | WRITE | RDHUP | HUP);
}

#[test]
fn a_sender_is_told_when_three_quarters_are_free() {
    let world = World::new();
    let [one, other] = world.pair(STREAM);
    world.set(&one, SO_SNDBUF, 4000).unwrap();
    let watch = Watch::on(&one);
    world.send(&one, &[0; 2000]).unwrap();
    assert_eq!(one.ops().poll(), WRITE);
    world.send(&one, &[0; 9000]).unwrap();
    assert_eq!(one.ops().poll(), 0);
    receive(&other, 5999).unwrap();
    assert_eq!((one.ops().poll(), watch.take()), (0, 0));
    receive(&other, 1).unwrap();
    assert_eq!((one.ops().poll(), watch.take()), (WRITE, WRITE));
    receive(&other, 1).unwrap();
    assert_eq!(watch.take(), 0);
}

#[test]
fn packets_are_counted_alike() {
    let world = World::new();
    let [one, other] = world.pair(DGRAM);
    world.set(&one, SO_SNDBUF, 4000).unwrap();
    let watch = Watch::on(&one);
    world.send(&one, &[0; 2000]).unwrap();
    assert_eq!(one.ops().poll(), 0);
    receive(&other, 1).unwrap();
    assert_eq!((one.ops().poll(), watch.take()), (WRITE, WRITE));
    // What is lost with the receiver is no longer in the way.
    world.send(&one, &[0; 2000]).unwrap();
    drop(other);
    assert_eq!((one.ops().poll(), watch.take()), (WRITE, WRITE));
}
