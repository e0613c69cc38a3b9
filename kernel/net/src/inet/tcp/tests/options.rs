use super::*;

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
    server.ops().set_inode(77);
    let entries = world.network.inet_sockets();
    let entry = entries.iter().find(|entry| entry.inode == 77).unwrap();
    assert_eq!(entry.remote, client.local().parse().unwrap());
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
fn an_idle_connection_weighs_little() {
    use core::mem::size_of;
    let own = size_of::<Tcp>() + size_of::<TcpSocket>();
    let shared = crate::inet::loopback::PAIR_SIZE / 2;
    assert!(own + shared < 800, "{own} + {shared}");
}
