use crate::Errno;
use crate::inet::testing::*;
use crate::uplink::{Connection, StreamOption};
use linux_abi::raw::net::*;
use vfs::poll::{ERR, HUP, IN, OUT, RDHUP, RDNORM, WRNORM};

const READABLE: u32 = IN | RDNORM;
const WRITABLE: u32 = OUT | WRNORM;
const OVER: u32 = READABLE | WRITABLE | RDHUP | HUP;

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

fn client_of(world: &World, to: &str) -> crate::Result<()> {
    let family = if to.starts_with('[') { TCP6 } else { TCP4 };
    world.socket(family).connect(to)
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
fn half_close() {
    let world = alone();
    let (client, server) = world.pair();
    client.send(b"request").unwrap();
    assert_eq!(client.ops().shutdown(false, true), Ok(()));
    assert_eq!(client.send(b"x"), Err(Errno::EPIPE));
    assert_eq!(client.poll(), WRITABLE);
    assert_eq!(server.poll(), READABLE | WRITABLE | RDHUP);
    assert_eq!(server.receive(99).unwrap(), b"request");
    assert_eq!(server.receive(99).unwrap(), b"");
    server.send(b"answer").unwrap();
    drop(server);
    assert_eq!(client.poll(), OVER);
    assert_eq!(client.receive(99).unwrap(), b"answer");
    assert_eq!(client.receive(99).unwrap(), b"");
    assert_eq!(client.peer(), Err(Errno::ENOTCONN));
    assert_eq!(client.ops().shutdown(false, true), Err(Errno::ENOTCONN));
}

#[test]
fn shutdown_of_what_is_not_connected() {
    let world = alone();
    assert_eq!(
        world.socket(TCP4).ops().shutdown(true, true),
        Err(Errno::ENOTCONN)
    );
    let listener = world.listener("127.0.0.1:8080", 1);
    assert_eq!(listener.ops().shutdown(false, true), Ok(()));
    assert_eq!(listener.accept().err(), Some(Errno::EAGAIN));
    let bell = Bell::on(listener.ops().wait_list());
    assert_eq!(listener.ops().shutdown(true, false), Ok(()));
    assert!(bell.rings() > 0);
    assert_eq!(listener.accept().err(), Some(Errno::EINVAL));
    assert_eq!(listener.local(), "127.0.0.1:8080");
    assert_eq!(
        client_of(&world, "127.0.0.1:8080"),
        Err(Errno::ECONNREFUSED)
    );
    assert_eq!(listener.listen(1), Ok(()));
    assert_eq!(client_of(&world, "127.0.0.1:8080"), Ok(()));
}

#[test]
fn unread_data_and_linger_reset_the_peer() {
    let world = alone();
    let (client, server) = world.pair();
    client.send(b"unread").unwrap();
    server.send(b"last words").unwrap();
    drop(server);
    assert_eq!(client.poll(), OVER | ERR);
    assert_eq!(client.receive(99).unwrap(), b"last words");
    assert_eq!(client.receive(99), Err(Errno::ECONNRESET));
    assert_eq!(client.receive(99).unwrap(), b"");
    assert_eq!(client.send(b"x"), Err(Errno::EPIPE));

    let (client, server) = world.pair();
    server
        .set_bytes(SOL_SOCKET, SO_LINGER, &[1, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
    drop(server);
    assert_eq!(client.error(), i32::from(Errno::ECONNRESET.raw()));
    assert_eq!(client.start_connect("127.0.0.1:1"), Err(Errno::EISCONN));
    assert_eq!(client.disconnect(), Ok(()));
    assert_eq!(client.poll(), WRITABLE | HUP);
    assert_eq!(client.connect("127.0.0.1:1"), Err(Errno::ECONNREFUSED));
    assert_eq!(world.network.inet_counters().tcp_resets.get(), 2);
}

#[test]
fn sending_to_who_is_gone() {
    let world = alone();
    let (client, server) = world.pair();
    drop(server);
    assert_eq!(client.poll(), READABLE | WRITABLE | RDHUP);
    assert_eq!(client.send(b"lost"), Ok(4));
    assert_eq!(client.poll(), OVER | ERR);
    assert_eq!(client.receive(9).unwrap(), b"");
    assert_eq!(client.send(b"lost"), Err(Errno::EPIPE));
    assert_eq!(client.send(b"lost"), Err(Errno::EPIPE));
    assert_eq!(client.poll(), OVER);
}

#[test]
fn a_full_queue_makes_the_writer_wait() {
    let world = alone();
    let (client, server) = world.pair();
    let chunk = [7; 64 * 1024];
    let mut sent = 0;
    while let Ok(count) = client.send(&chunk) {
        sent += count;
    }
    assert_eq!(sent, 1024 * 1024);
    assert_eq!((client.send(b"x"), client.poll()), (Err(Errno::EAGAIN), 0));
    let bell = Bell::on(client.ops().wait_list());
    server.receive(sent / 4).unwrap();
    assert_eq!((bell.rings(), client.poll()), (0, 0));
    server.receive(sent / 4).unwrap();
    assert_eq!((bell.rings(), client.poll()), (1, WRITABLE));
    server.receive(sent / 4).unwrap();
    assert_eq!(bell.rings(), 0);
    client.set(SOL_SOCKET, SO_SNDBUF, 4096).unwrap();
    server.set(SOL_SOCKET, SO_RCVBUF, 4096).unwrap();
    assert_eq!(client.send(b"x"), Err(Errno::EAGAIN));
    server.receive(sent).unwrap();
    assert_eq!(client.send(&chunk), Ok(8192));
}

#[test]
fn flags_of_messages() {
    let world = alone();
    let (client, server) = world.pair();
    client.send(b"0123456789").unwrap();
    assert_eq!(server.receive_with(4, MSG_PEEK).unwrap().0, b"0123");
    let (_, dropped) = server.receive_with(4, MSG_TRUNC).unwrap();
    assert_eq!((dropped.count, dropped.flags), (4, 0));
    assert_eq!(server.receive(99).unwrap(), b"456789");
    assert_eq!(server.receive_with(1, MSG_OOB).err(), Some(Errno::EINVAL));
    assert_eq!(
        server.receive_with(1, MSG_ERRQUEUE).err(),
        Some(Errno::EAGAIN)
    );
    let urgent = client.send_with(b"!", None, MSG_OOB, Default::default());
    assert_eq!(urgent, Err(Errno::EOPNOTSUPP));
    assert_eq!(world.caller.notices.lock().unwrap().len(), 1);
    let idle = world.socket(TCP4);
    assert_eq!(idle.receive(1), Err(Errno::ENOTCONN));
    assert_eq!(idle.send(b"x"), Err(Errno::EPIPE));
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
fn options_have_the_values_of_linux() {
    let world = alone();
    let socket = world.socket(TCP4);
    let table: &[(u32, u32, i32, i32, i32)] = &[
        // level, name, by default, set to, then
        (SOL_SOCKET, SO_KEEPALIVE, 0, 7, 1),
        (SOL_SOCKET, SO_SNDBUF, 16384, 10_000, 20_000),
        (SOL_SOCKET, SO_RCVBUF, 131_072, 1_000_000_000, 425_984),
        (SOL_SOCKET, SO_RCVLOWAT, 1, 0, 1),
        (SOL_SOCKET, SO_PRIORITY, 0, 6, 6),
        (SOL_SOCKET, SO_TIMESTAMPNS_OLD, 0, 1, 1),
        (6, TCP_NODELAY, 0, 1, 1),
        (6, TCP_KEEPIDLE, 7200, 60, 60),
        (6, TCP_KEEPINTVL, 75, 10, 10),
        (6, TCP_KEEPCNT, 9, 3, 3),
        (6, TCP_SYNCNT, 6, 2, 2),
        (6, TCP_LINGER2, 60, -5, -1),
        (6, TCP_MAXSEG, 536, 1000, 1000),
        (6, TCP_QUICKACK, 1, 0, 0),
        (6, TCP_USER_TIMEOUT, 0, 5000, 5000),
        (SOL_IP, IP_TTL, 64, 10, 10),
        (SOL_IP, IP_TOS, 0, 0x13, 0x10),
        (SOL_IP, IP_MTU_DISCOVER, 1, 2, 2),
    ];
    for &(level, name, default, set, then) in table {
        assert_eq!(socket.get(level, name), Ok(default), "{level} {name}");
        assert_eq!(socket.set(level, name, set), Ok(()), "{level} {name}");
        assert_eq!(socket.get(level, name), Ok(then), "{level} {name}");
    }
    let refused: &[(u32, u32, i32, Errno)] = &[
        (SOL_SOCKET, SO_PRIORITY, 7, Errno::EPERM),
        (SOL_SOCKET, SO_MARK, 1, Errno::EPERM),
        (SOL_SOCKET, SO_SNDBUFFORCE, 1, Errno::EPERM),
        (SOL_SOCKET, SO_ZEROCOPY, 1, Errno::ENOPROTOOPT),
        (SOL_SOCKET, SO_ACCEPTCONN, 1, Errno::ENOPROTOOPT),
        (6, TCP_KEEPIDLE, 0, Errno::EINVAL),
        (6, TCP_KEEPCNT, 128, Errno::EINVAL),
        (6, TCP_MAXSEG, 5, Errno::EINVAL),
        (6, TCP_FASTOPEN, 5, Errno::ENOPROTOOPT),
        (6, 250, 5, Errno::ENOPROTOOPT),
        (SOL_IP, IP_TTL, 0, Errno::EINVAL),
        (SOL_IP, IP_TRANSPARENT, 1, Errno::EPERM),
        (SOL_IP, IP_MULTICAST_TTL, 1, Errno::EINVAL),
        (SOL_IPV6, IPV6_V6ONLY, 1, Errno::ENOPROTOOPT),
    ];
    for &(level, name, value, error) in refused {
        assert_eq!(socket.set(level, name, value), Err(error), "{level} {name}");
    }
    assert_eq!(socket.set_bytes(6, TCP_CONGESTION, b"reno\0"), Ok(()));
    let name = socket.ops().option(6, TCP_CONGESTION, &[]).unwrap();
    assert_eq!(name, b"reno\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(
        socket.set_bytes(6, TCP_CONGESTION, b"bbr"),
        Err(Errno::ENOENT)
    );
    assert_eq!(socket.set_bytes(6, TCP_ULP, b"tls"), Err(Errno::ENOENT));
    assert_eq!(socket.set_bytes(6, TCP_NODELAY, &[1]), Err(Errno::EINVAL));
    assert_eq!(socket.set_bytes(SOL_IP, IP_TTL, &[9]), Ok(()));
    assert_eq!(socket.ops().option(SOL_IP, IP_TTL, &[0]).unwrap(), [9]);
    assert_eq!(socket.get(SOL_IP, IP_MTU), Err(Errno::ENOTCONN));
}

#[test]
fn devices_and_accepting() {
    let world = connected();
    let listener = world.listener("0.0.0.0:8080", 3);
    assert_eq!(listener.get(SOL_SOCKET, SO_ACCEPTCONN), Ok(1));
    let bound = world.socket(TCP4);
    assert_eq!(
        bound.set_bytes(SOL_SOCKET, SO_BINDTODEVICE, b"eth9\0"),
        Err(Errno::ENODEV)
    );
    assert_eq!(
        bound.set_bytes(SOL_SOCKET, SO_BINDTODEVICE, b"lo\0"),
        Ok(())
    );
    let name = bound
        .ops()
        .option(SOL_SOCKET, SO_BINDTODEVICE, &[])
        .unwrap();
    assert_eq!(name, b"lo\0");
    assert_eq!(bound.start_connect("9.9.9.9:80"), Err(Errno::ENETUNREACH));
    bound.connect("127.0.0.1:8080").unwrap();
    assert_eq!(bound.get(SOL_IP, IP_MTU), Ok(65535));
    let inside = world.socket(TCP4);
    inside.connect("10.0.2.15:8080").unwrap();
    assert!(inside.local().starts_with("10.0.2.15:"));
    let loopback = world.socket(TCP4);
    loopback.bind("127.0.0.1:0").unwrap();
    assert_eq!(loopback.start_connect("9.9.9.9:80"), Err(Errno::EINVAL));
}

#[test]
fn the_list_of_sockets() {
    let world = alone();
    let listener = world.listener("127.0.0.1:8080", 3);
    let client = world.socket(TCP4);
    client.connect("127.0.0.1:8080").unwrap();
    let states = || {
        let mut states: std::vec::Vec<_> = world
            .network
            .inet_sockets()
            .iter()
            .map(|entry| (entry.state, entry.receive_queue))
            .collect();
        states.sort_unstable();
        states
    };
    assert_eq!(states(), [(1, 0), (10, 1)]);
    let (server, _) = listener.accept().unwrap();
    server.send(b"123").unwrap();
    assert_eq!(states(), [(1, 0), (1, 3), (10, 0)]);
    server.ops().shutdown(false, true).unwrap();
    assert_eq!(states(), [(5, 0), (8, 3), (10, 0)]);
    drop((server, client));
    assert_eq!(states(), [(10, 0)]);
    let info = listener.ops().option(6, TCP_INFO, &[]).unwrap();
    assert_eq!(info[0], 10);
}

#[test]
fn a_thousand_connections_weigh_little() {
    use core::mem::size_of;
    let own = size_of::<super::Tcp>() + size_of::<super::TcpSocket>();
    let shared = super::super::loopback::PAIR_SIZE / 2;
    assert!(own + shared < 900, "{own} + {shared}");
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
fn data_for_who_shut_down_both_ways_resets() {
    let world = alone();
    let (client, server) = world.pair();
    assert_eq!(client.ops().shutdown(true, true), Ok(()));
    assert_eq!(
        (client.poll(), server.poll()),
        (OVER, READABLE | WRITABLE | RDHUP)
    );
    assert!(client.peer().is_ok());
    assert_eq!(server.send(b"x"), Ok(1));
    assert_eq!((client.poll(), server.poll()), (OVER | ERR, OVER | ERR));
    assert_eq!(client.receive(9), Err(Errno::ECONNRESET));
    assert_eq!(client.receive(9).unwrap(), b"");
    assert_eq!(server.send(b"x"), Err(Errno::EPIPE));
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
