use super::*;
use linux_abi::raw::ioctl::{FIONREAD, TIOCOUTQ};
use linux_abi::raw::net::{MSG_PEEK, MSG_TRUNC, SO_ERROR, SO_SNDBUF};
use std::vec;

#[test]
fn boundaries_are_kept() {
    let world = World::new();
    for kind in [DGRAM, SEQPACKET] {
        let [one, other] = world.pair(kind);
        for text in [&b"first"[..], b"", b"third"] {
            assert_eq!(world.send(&one, text), Ok(text.len()));
        }
        let first = if kind == DGRAM { 5 } else { 10 };
        assert_eq!(ioctl(&other, FIONREAD), Ok(first));
        assert_eq!(ioctl(&one, TIOCOUTQ), Ok(3 * 768));
        let (bytes, received) = message(&other, 2, MSG_PEEK).unwrap();
        assert_eq!((&*bytes, received.full_length), (&b"fi"[..], 5));
        assert_eq!(received.flags, MSG_TRUNC);
        let (bytes, received) = message(&other, 3, 0).unwrap();
        assert_eq!((&*bytes, received.full_length), (&b"fir"[..], 5));
        assert_eq!(received.flags, MSG_TRUNC);
        let (bytes, received) = message(&other, 3, 0).unwrap();
        assert_eq!((bytes.len(), received.flags), (0, 0));
        assert_eq!(receive(&other, 9).unwrap(), b"third");
        assert_eq!(receive(&other, 9), Err(Errno::EAGAIN));
        assert_eq!(ioctl(&one, TIOCOUTQ), Ok(0));
    }
}

#[test]
fn the_buffer_limits_size_and_number() {
    let world = World::new();
    let [one, other] = world.pair(DGRAM);
    let mut sent = 0;
    while world.send(&one, b"a").is_ok() {
        sent += 1;
    }
    // As many as on Linux.
    assert_eq!(sent, 278);
    assert_eq!(world.send(&one, b"a"), Err(Errno::EAGAIN));
    receive(&other, 1).unwrap();
    assert_eq!(world.send(&one, b"a"), Ok(1));
    world.set(&other, SO_SNDBUF, 2500).unwrap();
    assert_eq!(world.send(&other, &[0; 4969]), Err(Errno::EMSGSIZE));
    assert_eq!(world.send(&other, &[0; 4968]), Ok(4968));
}

#[test]
fn datagrams_find_their_receiver() {
    let world = World::new();
    let server = world.bound(DGRAM, &path("server"));
    let client = world.bound(DGRAM, &abstract_name("client"));
    assert_eq!(world.send_to(&client, b"ask", &path("server")), Ok(3));
    let (bytes, received) = message(&server, 9, 0).unwrap();
    assert_eq!(
        (&*bytes, &received.from),
        (&b"ask"[..], &Some(abstract_name("client")))
    );
    assert_eq!(
        world.send_to(&server, b"answer", &received.from.unwrap()),
        Ok(6)
    );
    assert_eq!(message(&client, 9, 0).unwrap().1.from, Some(path("server")));
    let unnamed = world.socket(DGRAM);
    world.send_to(&unnamed, b"x", &path("server")).unwrap();
    assert_eq!(message(&server, 9, 0).unwrap().1.from, None);
}

#[test]
fn a_receiver_with_too_many_makes_senders_wait() {
    let world = World::new();
    let name = path("server");
    let server = world.bound(DGRAM, &name);
    let one = world.socket(DGRAM);
    let two = world.socket(DGRAM);
    world.connect(&two, &name).unwrap();
    for _ in 0..11 {
        world.send_to(&one, b"x", &name).unwrap();
    }
    let (watch_one, watch_two) = (Watch::on(&one), Watch::on(&two));
    assert_eq!(world.send_to(&one, b"x", &name), Err(Errno::EAGAIN));
    assert_eq!(two.ops().poll() & vfs::poll::OUT, 0);
    receive(&server, 1).unwrap();
    assert_ne!(watch_one.take() & vfs::poll::OUT, 0);
    assert_ne!(watch_two.take() & vfs::poll::OUT, 0);
    assert_ne!(two.ops().poll() & vfs::poll::OUT, 0);
    assert_eq!(world.send(&two, b"y"), Ok(1));
    assert_eq!(world.send(&two, b"y"), Err(Errno::EAGAIN));
    drop(server);
    assert_ne!(watch_two.take() & vfs::poll::OUT, 0);
    assert_eq!(world.send(&two, b"y"), Err(Errno::ECONNREFUSED));
    assert_eq!(world.send(&two, b"y"), Err(Errno::ENOTCONN));
}

#[test]
fn a_connected_receiver_hears_its_peer_only() {
    let world = World::new();
    let a = world.bound(DGRAM, &path("a"));
    let b = world.bound(DGRAM, &path("b"));
    world.connect(&a, &path("b")).unwrap();
    assert_eq!(a.ops().peer_address(), Ok(path("b")));
    assert_eq!(world.send(&b, b"x"), Err(Errno::ENOTCONN));
    assert_eq!(world.send_to(&b, b"x", &path("a")), Ok(1));
    let c = world.socket(DGRAM);
    assert_eq!(world.send_to(&c, b"x", &path("a")), Err(Errno::EPERM));
    assert_eq!(world.connect(&c, &path("a")), Err(Errno::EPERM));
    world.connect(&b, &path("a")).unwrap();
    // Giving up the connection loses what came through it, which the other end is told.
    world.connect(&a, &Address::Unspecified).unwrap();
    assert_eq!(receive(&a, 9), Err(Errno::EAGAIN));
    assert_eq!(get(&b, SO_ERROR), Ok(i32::from(Errno::ECONNRESET.raw())));
    assert_eq!(a.ops().peer_address(), Err(Errno::ENOTCONN));
}

#[test]
fn a_socket_may_be_its_own_peer() {
    let world = World::new();
    let me = world.bound(DGRAM, &path("me"));
    world.connect(&me, &path("me")).unwrap();
    for _ in 0..20 {
        world.send(&me, b"x").unwrap();
    }
    assert_eq!(receive(&me, 1).unwrap(), b"x");
    assert_ne!(me.ops().poll() & vfs::poll::IN, 0);
}

#[test]
fn shutting_down_ends_packets() {
    let world = World::new();
    let [one, other] = world.pair(DGRAM);
    other.ops().shutdown(true, false).unwrap();
    assert_eq!(world.send(&one, b"x"), Err(Errno::EPIPE));
    assert_eq!(receive(&other, 1).unwrap(), b"");
    assert_eq!(world.send(&other, b"x"), Ok(1));
    let [one, other] = world.pair(SEQPACKET);
    world.send(&one, b"x").unwrap();
    one.ops().shutdown(false, true).unwrap();
    assert_eq!(receive(&other, 1).unwrap(), b"x");
    assert_eq!(receive(&other, 1).unwrap(), b"");
    assert_eq!(world.send(&one, b"x"), Err(Errno::EPIPE));
}

#[test]
fn seqpackets_tell_the_reset_before_the_data() {
    let world = World::new();
    let [one, other] = world.connection(SEQPACKET);
    world.send(&one, b"abc").unwrap();
    world.send(&other, b"unread").unwrap();
    drop(one);
    assert_eq!(receive(&other, 9), Err(Errno::ECONNRESET));
    assert_eq!(receive(&other, 9).unwrap(), b"abc");
    assert_eq!(world.send(&other, b"x"), Err(Errno::EPIPE));
    assert_eq!(receive(&other, 9).unwrap(), b"");
}

#[test]
fn seqpackets_ignore_addresses() {
    let world = World::new();
    let [one, other] = world.pair(SEQPACKET);
    assert_eq!(world.send_to(&one, b"x", &path("nowhere")), Ok(1));
    assert_eq!(receive(&other, 9).unwrap(), vec![b'x']);
}
