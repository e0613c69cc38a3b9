use super::*;

#[test]
fn the_uplink_offers_connections() {
    let world = connected();
    let listener = world.listener("0.0.0.0:8080", 1);
    listener.set(6, TCP_NODELAY, 1).unwrap();
    let listening = world.uplink.last_listening().unwrap();
    assert_eq!(listening.local, "0.0.0.0:8080".parse().unwrap());
    let acceptor = listening.acceptor.upgrade().unwrap();
    assert_eq!(acceptor.room(), 2);
    let offer = |port: &str| {
        let stream = TestStream::new(
            "10.0.2.15:8080",
            &std::format!("1.2.3.4:{port}"),
            Connection::Established,
            Default::default(),
        );
        (acceptor.offer(stream.clone()).is_ok(), stream)
    };
    let bell = Bell::on(listener.ops().wait_list());
    let (taken, stream) = offer("1000");
    assert!(taken && bell.rings() == 1 && offer("1001").0);
    assert!(!offer("1002").0);
    assert_eq!(acceptor.room(), 0);
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(
        (peer.as_str(), server.local().as_str()),
        ("1.2.3.4:1000", "10.0.2.15:8080")
    );
    assert_eq!(
        listening.accepted.load(std::sync::atomic::Ordering::SeqCst),
        1
    );
    assert_eq!(
        stream.state.lock().unwrap().options,
        [StreamOption::NoDelay(true)]
    );
    drop((listening, acceptor, listener));
    assert!(world.uplink.last_listening().is_none());
}

#[test]
fn errors_of_binding() {
    let world = connected();
    let socket = world.socket(TCP4);
    assert_eq!(socket.bind("127.0.0.1:80"), Err(Errno::EACCES));
    assert_eq!(socket.bind("8.8.8.8:8080"), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(socket.bind("[::1]:8080"), Err(Errno::EAFNOSUPPORT));
    assert_eq!(
        world.socket(TCP6).bind("127.0.0.1:8080"),
        Err(Errno::EINVAL)
    );
    assert_eq!(socket.bind("10.0.2.15:8080"), Ok(()));
    assert_eq!(socket.bind("10.0.2.15:8081"), Err(Errno::EINVAL));
    assert_eq!(
        world.socket(TCP4).bind("0.0.0.0:8080"),
        Err(Errno::EADDRINUSE)
    );
    assert_eq!(world.socket(TCP4).bind("127.0.0.1:8080"), Ok(()));
    let free = world.socket(TCP4);
    free.set(SOL_IP, IP_FREEBIND, 1).unwrap();
    assert_eq!(free.bind("8.8.8.8:8080"), Ok(()));
    assert_eq!(free.accept().err(), Some(Errno::EINVAL));
}

#[test]
fn a_port_is_free_when_its_sockets_are_closed() {
    let world = alone();
    let listener = world.listener("127.0.0.1:8080", 5);
    let client = world.socket(TCP4);
    client.connect("127.0.0.1:8080").unwrap();
    let (server, _) = listener.accept().unwrap();
    drop(listener);
    let again = world.socket(TCP4);
    assert_eq!(again.bind("127.0.0.1:8080"), Err(Errno::EADDRINUSE));
    drop(server);
    assert_eq!(again.bind("127.0.0.1:8080"), Ok(()));
    // A connection does not stand against SO_REUSEADDR.
    drop(again);
    let reusing = || {
        let socket = world.socket(TCP4);
        socket.set(SOL_SOCKET, SO_REUSEADDR, 1).unwrap();
        socket.bind("127.0.0.1:8080").unwrap();
        socket
    };
    let listener = reusing();
    listener.listen(1).unwrap();
    world.socket(TCP4).connect("127.0.0.1:8080").unwrap();
    let _server = listener.accept().unwrap();
    drop(listener);
    let listener = reusing();
    let other = reusing();
    assert_eq!(listener.listen(1), Ok(()));
    assert_eq!(other.listen(1), Err(Errno::EADDRINUSE));
}

#[test]
fn dual_stack() {
    let world = alone();
    let listener = world.listener("[::]:8080", 5);
    let client = world.socket(TCP4);
    client.connect("127.0.0.1:8080").unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert!(peer.starts_with("[::ffff:127.0.0.1]:"));
    assert_eq!(server.local(), "[::ffff:127.0.0.1]:8080");
    let client = world.socket(TCP6);
    client.connect("[::ffff:127.0.0.1]:8080").unwrap();
    assert_eq!(client.peer().unwrap(), "[::ffff:127.0.0.1]:8080");
    world.socket(TCP6).connect("[::]:8080").unwrap();
    let only = world.socket(TCP6);
    only.set(SOL_IPV6, IPV6_V6ONLY, 1).unwrap();
    only.bind("[::]:8081").unwrap();
    only.listen(1).unwrap();
    assert_eq!(only.set(SOL_IPV6, IPV6_V6ONLY, 0), Err(Errno::EINVAL));
    assert_eq!(
        client_of(&world, "127.0.0.1:8081"),
        Err(Errno::ECONNREFUSED)
    );
    assert_eq!(client_of(&world, "[::1]:8081"), Ok(()));
    assert_eq!(world.socket(TCP4).bind("0.0.0.0:8081"), Ok(()));
    assert_eq!(
        world.socket(TCP4).bind("0.0.0.0:8080"),
        Err(Errno::EADDRINUSE)
    );
}

#[test]
fn a_full_backlog_keeps_clients_waiting() {
    let world = alone();
    let listener = world.listener("127.0.0.1:8080", 0);
    let first = world.socket(TCP4);
    first.connect("127.0.0.1:8080").unwrap();
    let second = world.socket(TCP4);
    assert_eq!(second.connect("127.0.0.1:8080"), Err(Errno::EAGAIN));
    assert_eq!((second.poll(), second.send(b"x")), (0, Err(Errno::EAGAIN)));
    assert_eq!(second.start_connect("127.0.0.1:8080"), Err(Errno::EALREADY));
    let third = world.socket(TCP4);
    assert_eq!(third.connect("127.0.0.1:8080"), Err(Errno::EAGAIN));
    let bell = Bell::on(second.ops().wait_list());
    listener.accept().unwrap();
    assert_eq!(bell.rings(), 1);
    assert_eq!(second.ops().connected(), Ok(()));
    drop(listener);
    assert_eq!(second.receive(1), Err(Errno::ECONNRESET));
    assert_eq!(third.ops().connected(), Err(Errno::ECONNREFUSED));
    assert_eq!(world.network.inet_counters().tcp_listen_overflows.get(), 2);
}

#[test]
fn reuse_port_spreads_connections() {
    let world = alone();
    let group: std::vec::Vec<_> = (0..4)
        .map(|_| {
            let socket = world.socket(TCP4);
            socket.set(SOL_SOCKET, SO_REUSEPORT, 1).unwrap();
            socket.bind("127.0.0.1:8080").unwrap();
            socket.listen(400).unwrap();
            socket
        })
        .collect();
    let clients: std::vec::Vec<_> = (0..400)
        .map(|_| {
            let client = world.socket(TCP4);
            client.connect("127.0.0.1:8080").unwrap();
            client
        })
        .collect();
    for listener in &group {
        let count = core::iter::from_fn(|| listener.accept().ok()).count();
        assert!((50..200).contains(&count), "{count} of {}", clients.len());
    }
}

#[test]
fn a_deferred_connection_is_accepted_with_its_data_or_late() {
    let world = alone();
    let listener = world.listener("127.0.0.1:8080", 1);
    listener.set(6, TCP_DEFER_ACCEPT, 5).unwrap();
    assert_eq!(listener.get(6, TCP_DEFER_ACCEPT), Ok(7));
    let client = world.socket(TCP4);
    client.connect("127.0.0.1:8080").unwrap();
    assert_eq!(
        (listener.poll(), listener.accept().err()),
        (0, Some(Errno::EAGAIN))
    );
    let bell = Bell::on(listener.ops().wait_list());
    client.send(b"x").unwrap();
    assert_eq!(bell.rings(), 1);
    assert_eq!(listener.accept().unwrap().0.receive(1).unwrap(), b"x");
    let quiet = world.socket(TCP4);
    quiet.connect("127.0.0.1:8080").unwrap();
    world.host.advance(6_999_999_999);
    assert_eq!(bell.rings(), 0);
    world.host.advance(1);
    assert_eq!(bell.rings(), 1);
    assert!(listener.accept().is_ok());
    // Who is deferred when the listener goes is reset.
    let last = world.socket(TCP4);
    last.connect("127.0.0.1:8080").unwrap();
    drop(listener);
    assert_eq!(last.receive(1), Err(Errno::ECONNRESET));
}

#[test]
fn which_listeners_the_uplink_serves() {
    let world = connected();
    let _loopback = world.listener("127.0.0.1:8080", 1);
    let local = |world: &World| world.uplink.last_listening().unwrap().local;
    assert_eq!(local(&world), "127.0.0.1:8080".parse().unwrap());
    let only = world.socket(TCP6);
    only.set(SOL_IPV6, IPV6_V6ONLY, 1).unwrap();
    only.bind("[::]:8081").unwrap();
    only.listen(1).unwrap();
    assert_eq!(local(&world), "[::]:8081".parse().unwrap());
    let acceptor = world
        .uplink
        .last_listening()
        .unwrap()
        .acceptor
        .upgrade()
        .unwrap();
    let offer = |local, remote| {
        let events = Default::default();
        let stream = TestStream::new(local, remote, Connection::Established, events);
        acceptor.offer(stream).is_ok()
    };
    assert!(!offer("10.0.2.15:8081", "1.2.3.4:5"));
    assert!(offer("[fd00:c0::15]:8081", "[fd00::1]:5"));
    let inside = world.socket(TCP4);
    inside
        .set_bytes(SOL_SOCKET, SO_BINDTODEVICE, b"lo")
        .unwrap();
    inside.bind("0.0.0.0:8082").unwrap();
    inside.listen(1).unwrap();
    assert_eq!(local(&world).port(), 8081);
}
