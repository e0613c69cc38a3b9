use super::*;
use core::net::{Ipv4Addr, SocketAddr};

#[test]
fn what_cannot_be_made() {
    let world = World::new();
    let error = |kind, protocol| world.network.socket(1, kind, protocol, &world).err();
    assert_eq!(error(0, 0), Some(Errno::ESOCKTNOSUPPORT));
    assert_eq!(error(4, 0), Some(Errno::ESOCKTNOSUPPORT));
    assert_eq!(error(11, 0), Some(Errno::EINVAL));
    assert_eq!(error(4, 2), Some(Errno::EPROTONOSUPPORT));
    assert_eq!(error(1, 2), Some(Errno::EPROTONOSUPPORT));
    assert_eq!(error(1, 1), None);
    // Raw sockets are datagram sockets.
    assert_eq!(world.socket(3).ops().kind().value(), DGRAM);
}

#[test]
fn addresses_of_other_families() {
    let world = World::new();
    let inet = Address::Inet(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1));
    for kind in ALL {
        let socket = world.socket(kind);
        for address in [&inet, &Address::Unspecified] {
            assert_eq!(socket.ops().bind(address, &world), Err(Errno::EINVAL));
        }
        for address in [&inet, &UNNAMED] {
            assert_eq!(world.connect(&socket, address), Err(Errno::EINVAL));
        }
    }
    let stream = world.socket(STREAM);
    assert_eq!(
        world.connect(&stream, &Address::Unspecified),
        Err(Errno::EINVAL)
    );
    let datagrams = world.socket(DGRAM);
    assert_eq!(world.connect(&datagrams, &Address::Unspecified), Ok(()));
    assert_eq!(world.send_to(&datagrams, b"x", &inet), Err(Errno::EINVAL));
    assert_eq!(
        world.send_to(&datagrams, b"x", &UNNAMED),
        Err(Errno::EINVAL)
    );
}

#[test]
fn a_second_name() {
    let world = World::new();
    let socket = world.bound(STREAM, &path("first"));
    let bind = |name| socket.ops().bind(&name, &world);
    assert_eq!(bind(path("first")), Err(Errno::EADDRINUSE));
    assert_eq!(bind(path("second")), Err(Errno::EINVAL));
    assert_eq!(bind(abstract_name("second")), Err(Errno::EINVAL));
    assert_eq!(world.find_node(b"second").err(), Some(Errno::ENOENT));
}

#[test]
fn connecting_to_the_wrong() {
    let world = World::new();
    let stream = world.bound(STREAM, &path("stream"));
    let client = world.socket(STREAM);
    // Bound, and not listening.
    assert_eq!(
        world.connect(&client, &path("stream")),
        Err(Errno::ECONNREFUSED)
    );
    assert_eq!(world.connect(&client, &path("none")), Err(Errno::ENOENT));
    assert_eq!(
        world.connect(&client, &abstract_name("none")),
        Err(Errno::ECONNREFUSED)
    );
    let datagrams = world.socket(DGRAM);
    assert_eq!(
        world.connect(&datagrams, &path("stream")),
        Err(Errno::EPROTOTYPE)
    );
    assert_eq!(
        world.send_to(&datagrams, b"x", &path("stream")),
        Err(Errno::EPROTOTYPE)
    );
    stream.ops().listen(1, &world).unwrap();
    assert_eq!(world.connect(&stream, &path("stream")), Err(Errno::EINVAL));
    world.connect(&client, &path("stream")).unwrap();
    assert_eq!(world.connect(&client, &path("stream")), Err(Errno::EISCONN));
}

#[test]
fn listening_and_accepting_on_the_wrong() {
    let world = World::new();
    let datagrams = world.bound(DGRAM, &path("datagrams"));
    assert_eq!(datagrams.ops().listen(1, &world), Err(Errno::EOPNOTSUPP));
    assert_eq!(datagrams.ops().accept().err(), Some(Errno::EOPNOTSUPP));
    let stream = world.socket(STREAM);
    assert_eq!(stream.ops().listen(1, &world), Err(Errno::EINVAL));
    assert_eq!(stream.ops().accept().err(), Some(Errno::EINVAL));
    let [connected, _other] = world.pair(STREAM);
    connected.ops().bind(&path("connected"), &world).unwrap();
    assert_eq!(connected.ops().listen(1, &world), Err(Errno::EINVAL));
}

#[test]
fn sending_and_receiving_without_a_connection() {
    let world = World::new();
    let stream = world.socket(STREAM);
    assert_eq!(world.send(&stream, b"x"), Err(Errno::ENOTCONN));
    assert_eq!(
        world.send_to(&stream, b"x", &path("x")),
        Err(Errno::EOPNOTSUPP)
    );
    assert_eq!(receive(&stream, 1), Err(Errno::EINVAL));
    let seqpacket = world.socket(SEQPACKET);
    assert_eq!(world.send(&seqpacket, b"x"), Err(Errno::ENOTCONN));
    assert_eq!(receive(&seqpacket, 1), Err(Errno::ENOTCONN));
    let datagrams = world.socket(DGRAM);
    assert_eq!(world.send(&datagrams, b"x"), Err(Errno::ENOTCONN));
    assert_eq!(receive(&datagrams, 1), Err(Errno::EAGAIN));
    let [connected, _other] = world.pair(STREAM);
    assert_eq!(
        world.send_to(&connected, b"x", &path("x")),
        Err(Errno::EISCONN)
    );
    for kind in ALL {
        let socket = world.socket(kind);
        assert_eq!(socket.ops().peer_address(), Err(Errno::ENOTCONN));
        assert_eq!(socket.ops().shutdown(true, true), Ok(()));
    }
}
