use super::*;
use linux_abi::raw::ioctl::{FIONREAD, TIOCOUTQ};
use linux_abi::raw::net::{MSG_OOB, MSG_PEEK, SO_SNDBUF};
use vfs::{FileOps, SliceSink};

#[test]
fn bytes_arrive_in_order_and_without_boundaries() {
    let world = World::new();
    let [one, other] = world.pair(STREAM);
    assert_eq!(receive(&other, 5), Err(Errno::EAGAIN));
    assert_eq!(world.send(&one, b"hello"), Ok(5));
    assert_eq!(world.send(&one, b" world"), Ok(6));
    assert_eq!(world.send(&other, b"back"), Ok(4));
    assert_eq!(ioctl(&other, FIONREAD), Ok(11));
    assert_eq!(ioctl(&one, TIOCOUTQ), Ok(11));
    let (bytes, received) = message(&other, 100, MSG_PEEK).unwrap();
    assert_eq!((&*bytes, received.full_length), (&b"hello world"[..], 11));
    assert!(received.from.is_none() && received.control.is_empty());
    assert_eq!(receive(&other, 3).unwrap(), b"hel");
    assert_eq!(receive(&other, 100).unwrap(), b"lo world");
    assert_eq!(receive(&one, 100).unwrap(), b"back");
    assert_eq!(ioctl(&one, TIOCOUTQ), Ok(0));
}

#[test]
fn read_and_write_work() {
    let world = World::new();
    let [one, other] = world.pair(STREAM);
    assert_eq!(one.write(0, &mut SliceSource::new(b"abc")), Ok(3));
    let mut bytes = [0; 8];
    assert_eq!(other.read(0, &mut SliceSink::new(&mut bytes)), Ok(3));
    assert_eq!(&bytes[..3], b"abc");
}

#[test]
fn a_full_buffer_takes_a_part_and_then_nothing() {
    let world = World::new();
    let [one, other] = world.pair(STREAM);
    world.set(&one, SO_SNDBUF, 4000).unwrap();
    assert_eq!(world.send(&one, &[1; 10_000]), Ok(8000));
    assert_eq!(world.send(&one, &[1; 10_000]), Err(Errno::EAGAIN));
    assert_eq!(receive(&other, 100).unwrap().len(), 100);
    assert_eq!(world.send(&one, &[2; 10_000]), Ok(100));
    assert_eq!(receive(&other, 10_000).unwrap().len(), 8000);
}

#[test]
fn the_end_comes_after_the_data() {
    let world = World::new();
    let [one, other] = world.connection(STREAM);
    world.send(&one, b"last").unwrap();
    drop(one);
    assert_eq!(receive(&other, 2).unwrap(), b"la");
    assert_eq!(receive(&other, 9).unwrap(), b"st");
    assert_eq!(receive(&other, 9).unwrap(), b"");
    assert_eq!(world.send(&other, b"x"), Err(Errno::EPIPE));
    assert_eq!(world.send(&other, b""), Err(Errno::EPIPE));
}

#[test]
fn closing_with_unread_data_resets() {
    let world = World::new();
    let [one, other] = world.connection(STREAM);
    world.send(&one, b"before").unwrap();
    world.send(&other, b"unread").unwrap();
    drop(one);
    assert_eq!(receive(&other, 9).unwrap(), b"before");
    assert_eq!(receive(&other, 9), Err(Errno::ECONNRESET));
    assert_eq!(receive(&other, 9).unwrap(), b"");
    assert_eq!(world.send(&other, b"x"), Err(Errno::EPIPE));
}

#[test]
fn each_direction_can_be_shut() {
    let world = World::new();
    let [one, other] = world.pair(STREAM);
    world.send(&one, b"x").unwrap();
    one.ops().shutdown(false, true).unwrap();
    assert_eq!(world.send(&one, b"y"), Err(Errno::EPIPE));
    assert_eq!(receive(&other, 9).unwrap(), b"x");
    assert_eq!(receive(&other, 9).unwrap(), b"");
    assert_eq!(world.send(&other, b"z"), Ok(1));
    assert_eq!(receive(&one, 9).unwrap(), b"z");
    let [one, other] = world.pair(STREAM);
    world.send(&other, b"kept").unwrap();
    one.ops().shutdown(true, false).unwrap();
    assert_eq!(world.send(&other, b"z"), Err(Errno::EPIPE));
    assert_eq!(receive(&one, 9).unwrap(), b"kept");
    assert_eq!(receive(&one, 9).unwrap(), b"");
    assert_eq!(world.send(&one, b"y"), Ok(1));
}

#[test]
fn there_is_no_urgent_data() {
    let world = World::new();
    let [one, other] = world.pair(STREAM);
    let mut message = Outgoing {
        source: &mut SliceSource::new(b"x"),
        to: None,
        control: Vec::new(),
        flags: MSG_OOB,
    };
    assert_eq!(one.ops().send(&mut message, &world), Err(Errno::EOPNOTSUPP));
    assert_eq!(world.missing.borrow().len(), 1);
    assert_eq!(
        receive_vec(other.ops(), 1, MSG_OOB).err(),
        Some(Errno::EINVAL)
    );
}

#[test]
fn an_idle_socket_is_small() {
    let world = World::new();
    let [one, other] = world.pair(STREAM);
    world.send(&one, &[0; 200_000]).unwrap();
    receive(&other, 200_000).unwrap();
    assert!(size_of::<super::super::endpoint::Endpoint>() < 1024);
}
