use super::*;

#[test]
fn a_connection_inside_carries_bytes_both_ways() {
    let world = alone();
    let listener = world.listener("127.0.0.1:8080", 5);
    assert_eq!(listener.poll(), 0);
    let client = world.socket(TCP4);
    assert_eq!(client.poll(), WRITABLE | HUP);
    assert_eq!(
        client.start_connect("127.0.0.1:8080"),
        Err(Errno::EINPROGRESS)
    );
    assert_eq!(client.poll(), WRITABLE);
    assert_eq!(listener.poll(), READABLE);
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local());
    assert_eq!(client.peer().unwrap(), "127.0.0.1:8080");
    assert_eq!(server.local(), "127.0.0.1:8080");
    assert_eq!(client.send(b"hello"), Ok(5));
    assert_eq!(server.poll(), READABLE | WRITABLE);
    assert_eq!(server.receive(3).unwrap(), b"hel");
    assert_eq!(server.receive(10).unwrap(), b"lo");
    assert_eq!(server.receive(10), Err(Errno::EAGAIN));
    assert_eq!(server.send(b"world"), Ok(5));
    assert_eq!(client.receive(10).unwrap(), b"world");
    assert_eq!(listener.accept().err(), Some(Errno::EAGAIN));
}

#[test]
fn connect_is_asked_again_and_again() {
    let world = alone();
    let listener = world.listener("127.0.0.1:8080", 5);
    let client = world.socket(TCP4);
    assert_eq!(
        client.start_connect("127.0.0.1:8080"),
        Err(Errno::EINPROGRESS)
    );
    assert_eq!(client.start_connect("127.0.0.1:8080"), Ok(()));
    assert_eq!(client.start_connect("127.0.0.1:8080"), Err(Errno::EISCONN));
    assert_eq!(
        listener.start_connect("127.0.0.1:8080"),
        Err(Errno::EISCONN)
    );
    assert_eq!(client.listen(1), Err(Errno::EINVAL));
}

#[test]
fn nobody_listens() {
    let world = alone();
    let client = world.socket(TCP4);
    assert_eq!(
        client.start_connect("127.0.0.1:9999"),
        Err(Errno::EINPROGRESS)
    );
    assert_eq!(client.poll(), OVER | ERR);
    assert_eq!(client.peer(), Err(Errno::ENOTCONN));
    assert_eq!(client.error(), i32::from(Errno::ECONNREFUSED.raw()));
    assert_eq!(client.error(), 0);
    assert_eq!(client.poll(), OVER);
    assert_eq!(
        client.start_connect("127.0.0.1:9999"),
        Err(Errno::ECONNABORTED)
    );
    assert_eq!(client.connect("127.0.0.1:9999"), Err(Errno::ECONNREFUSED));
    let _listener = world.listener("127.0.0.1:9999", 1);
    assert_eq!(client.connect("127.0.0.1:9999"), Ok(()));
}

#[test]
fn without_an_uplink_there_is_only_loopback() {
    let world = alone();
    let client = world.socket(TCP4);
    assert_eq!(client.connect("10.0.0.1:80"), Err(Errno::ENETUNREACH));
    assert_eq!(client.bind("10.0.2.15:80"), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(
        world.socket(TCP6).connect("[fd00::1]:80"),
        Err(Errno::ENETUNREACH)
    );
}

#[test]
fn connections_to_the_world_are_the_uplinks() {
    let world = connected();
    let client = world.socket(TCP4);
    client.set(6, TCP_NODELAY, 1).unwrap();
    assert_eq!(
        client.start_connect("93.184.216.34:80"),
        Err(Errno::EINPROGRESS)
    );
    assert_eq!(
        client.start_connect("93.184.216.34:80"),
        Err(Errno::EALREADY)
    );
    assert_eq!(
        world.uplink.asked.lock().unwrap()[0],
        [StreamOption::NoDelay(true)]
    );
    assert!(client.local().starts_with("10.0.2.15:"));
    assert_eq!(client.poll(), 0);
    let stream = world.uplink.last_stream();
    let bell = Bell::on(client.ops().wait_list());
    stream.change(|state| state.connection = Connection::Established);
    assert_eq!(bell.rings(), 1);
    assert_eq!(client.ops().connected(), Ok(()));
    assert_eq!(client.send(b"GET"), Ok(3));
    assert_eq!(stream.state.lock().unwrap().outgoing, b"GET");
    stream.change(|state| state.incoming.extend(b"200"));
    assert_eq!(client.receive(9).unwrap(), b"200");
    assert_eq!(client.peer().unwrap(), "93.184.216.34:80");
    client.set(6, TCP_CORK, 1).unwrap();
    assert_eq!(
        stream.state.lock().unwrap().options,
        [StreamOption::Cork(true)]
    );
}

#[test]
fn an_uplink_connection_fails() {
    let world = connected();
    let client = world.socket(TCP4);
    assert_eq!(client.connect("9.9.9.9:80"), Err(Errno::EAGAIN));
    world.uplink.last_stream().change(|state| {
        state.connection = Connection::Failed;
        state.error = Some(Errno::ETIMEDOUT);
    });
    assert_eq!(client.ops().connected(), Err(Errno::ETIMEDOUT));
    assert_eq!(client.local(), "0.0.0.0:0");
    assert_eq!(client.connect("9.9.9.9:80"), Err(Errno::EAGAIN));
}

#[test]
fn two_connections_need_two_pairs_of_ends() {
    let world = alone();
    let _listener = world.listener("127.0.0.1:8080", 9);
    let client = |port: &str| {
        let socket = world.socket(TCP4);
        socket.set(SOL_SOCKET, SO_REUSEADDR, 1).unwrap();
        socket.bind(port).unwrap();
        let result = socket.connect("127.0.0.1:8080");
        (socket, result)
    };
    let (first, result) = client("127.0.0.1:5000");
    assert_eq!(result, Ok(()));
    assert_eq!(client("127.0.0.1:5000").1, Err(Errno::EADDRNOTAVAIL));
    drop(first);
    assert_eq!(client("127.0.0.1:5000").1, Ok(()));
}

#[test]
fn a_dissolved_connection_is_reset_on_both_sides() {
    let world = alone();
    let (client, server) = world.pair();
    let _listener = world.listener("127.0.0.1:8080", 1);
    assert_eq!(client.disconnect(), Ok(()));
    assert_eq!(client.poll(), WRITABLE | HUP | ERR);
    assert_eq!(client.receive(9), Err(Errno::ECONNRESET));
    assert_eq!(client.receive(9), Err(Errno::ENOTCONN));
    assert_eq!(server.receive(9), Err(Errno::ECONNRESET));
    assert_eq!(client.local(), "0.0.0.0:0");
    assert_eq!(client.connect("127.0.0.1:8080"), Ok(()));
}

#[test]
fn no_such_socket() {
    let world = alone();
    let make = |domain, kind, protocol| world.try_socket((domain, kind, protocol)).err();
    assert_eq!(make(AF_INET, SOCK_STREAM, 17), Some(Errno::EPROTONOSUPPORT));
    assert_eq!(make(AF_INET6, SOCK_DGRAM, 6), Some(Errno::EPROTONOSUPPORT));
    assert_eq!(make(AF_INET, SOCK_DGRAM, 58), Some(Errno::EPROTONOSUPPORT));
    assert_eq!(
        make(AF_INET, SOCK_SEQPACKET, 0),
        Some(Errno::ESOCKTNOSUPPORT)
    );
    assert_eq!(make(AF_INET, SOCK_STREAM, 300), Some(Errno::EINVAL));
    assert_eq!(make(AF_INET, 77, 0), Some(Errno::EINVAL));
    let pair = |kind| world.network.pair(AF_INET, kind, 0, &world.caller).err();
    assert_eq!(pair(SOCK_STREAM), Some(Errno::EOPNOTSUPP));
    assert_eq!(pair(77), Some(Errno::EINVAL));
}

#[test]
fn who_waits_for_room_gives_up_like_a_syn() {
    let world = alone();
    let listener = world.listener("127.0.0.1:8080", 0);
    let _first = world.socket(TCP4);
    _first.connect("127.0.0.1:8080").unwrap();
    let patient = world.socket(TCP4);
    let hasty = world.socket(TCP4);
    hasty.set(6, TCP_SYNCNT, 2).unwrap();
    assert_eq!(patient.connect("127.0.0.1:8080"), Err(Errno::EAGAIN));
    assert_eq!(hasty.connect("127.0.0.1:8080"), Err(Errno::EAGAIN));
    let bell = Bell::on(hasty.ops().wait_list());
    world.host.advance(7_000_000_000);
    assert_eq!((bell.rings(), hasty.poll()), (1, OVER | ERR));
    assert_eq!(hasty.ops().connected(), Err(Errno::ETIMEDOUT));
    assert_eq!(patient.ops().connected(), Err(Errno::EAGAIN));
    listener.accept().unwrap();
    assert_eq!(patient.ops().connected(), Ok(()));
    world.host.advance(120_000_000_000);
    assert_eq!(patient.poll(), WRITABLE);
    listener.accept().unwrap();
    assert_eq!(listener.accept().err(), Some(Errno::EAGAIN));
}
