use super::*;
use linux_abi::raw::net::{SO_PASSCRED, SO_PEERCRED};
use vfs::poll;

#[test]
fn names_of_all_kinds() {
    let world = World::new();
    for name in [path("socket"), abstract_name("socket")] {
        let listener = world.listener(STREAM, &name, 5);
        let client = world.socket(STREAM);
        assert_eq!(listener.ops().accept().err(), Some(Errno::EAGAIN));
        world.connect(&client, &name).unwrap();
        // Before the connection is accepted, it can be used.
        world.send(&client, b"early").unwrap();
        let accepted = listener.ops().accept().unwrap();
        assert_eq!(accepted.peer, UNNAMED);
        let server = Socket::new(accepted.socket);
        assert_eq!(receive(&server, 9).unwrap(), b"early");
        assert_eq!(client.ops().local_address(), Ok(UNNAMED));
        assert_eq!(client.ops().peer_address(), Ok(name.clone()));
        assert_eq!(server.ops().local_address(), Ok(name.clone()));
        assert_eq!(server.ops().peer_address(), Ok(UNNAMED));
        world.send(&server, b"x").unwrap();
        assert_eq!(message(&client, 9, 0).unwrap().1.from, Some(name));
        drop(server);
        assert!(client.ops().peer_address().is_ok());
    }
}

#[test]
fn a_name_is_free_again_when_its_socket_is_closed() {
    let world = World::new();
    let name = abstract_name("name");
    let first = world.bound(STREAM, &name);
    let second = world.socket(STREAM);
    assert_eq!(second.ops().bind(&name, &world), Err(Errno::EADDRINUSE));
    // Each type has names of its own.
    drop(world.bound(DGRAM, &name));
    drop(first);
    second.ops().bind(&name, &world).unwrap();
    // The node of a path stays.
    drop(world.listener(STREAM, &path("path"), 1));
    assert_eq!(
        second.ops().bind(&path("path"), &world),
        Err(Errno::EADDRINUSE)
    );
    let client = world.socket(STREAM);
    assert_eq!(
        world.connect(&client, &path("path")),
        Err(Errno::ECONNREFUSED)
    );
}

#[test]
fn autobind_takes_free_names() {
    let world = World::new();
    let one = world.bound(STREAM, &UNNAMED);
    let other = world.bound(STREAM, &UNNAMED);
    assert_eq!(one.ops().local_address(), Ok(abstract_name("fffff")));
    assert_eq!(other.ops().local_address(), Ok(abstract_name("00000")));
    one.ops().bind(&UNNAMED, &world).unwrap();
    assert_eq!(one.ops().bind(&path("x"), &world), Err(Errno::EINVAL));
    // Who passes credentials has a name.
    let [sender, _other] = world.pair(DGRAM);
    world.set(&sender, SO_PASSCRED, 1).unwrap();
    world.send(&sender, b"x").unwrap();
    assert_eq!(sender.ops().local_address(), Ok(abstract_name("fffff")));
}

#[test]
fn a_full_backlog_makes_who_connects_wait() {
    let world = World::new();
    let name = abstract_name("busy");
    let listener = world.listener(STREAM, &name, 1);
    let sockets = [(); 4].map(|()| world.socket(STREAM));
    let [one, two, three, four] = &sockets;
    assert_eq!(world.connect(one, &name), Ok(()));
    assert_eq!(world.connect(two, &name), Ok(()));
    let (watch_three, watch_four) = (Watch::on(three), Watch::on(four));
    for _ in 0..3 {
        assert_eq!(world.connect(three, &name), Err(Errno::EAGAIN));
        assert_eq!(world.connect(four, &name), Err(Errno::EAGAIN));
    }
    accept(&listener).unwrap();
    assert_ne!(watch_three.take() & poll::OUT, 0);
    assert_ne!(watch_four.take() & poll::OUT, 0);
    assert_eq!(world.connect(three, &name), Ok(()));
    assert_eq!(world.connect(four, &name), Err(Errno::EAGAIN));
    listener.ops().listen(5, &world).unwrap();
    assert_ne!(watch_four.take() & poll::OUT, 0);
    assert_eq!(world.connect(four, &name), Ok(()));
    let five = world.socket(STREAM);
    listener.ops().listen(0, &world).unwrap();
    assert_eq!(world.connect(&five, &name), Err(Errno::EAGAIN));
    let watch_five = Watch::on(&five);
    drop(listener);
    assert_ne!(watch_five.take() & poll::OUT, 0);
    assert_eq!(world.connect(&five, &name), Err(Errno::ECONNREFUSED));
    // Those that were not accepted are reset.
    assert_eq!(receive(four, 1), Err(Errno::ECONNRESET));
    assert_eq!(receive(four, 1).unwrap(), b"");
}

#[test]
fn a_client_that_has_gone_is_accepted() {
    let world = World::new();
    let name = abstract_name("name");
    let listener = world.listener(SEQPACKET, &name, 0);
    let client = world.bound(SEQPACKET, &path("client"));
    world.connect(&client, &name).unwrap();
    world.send(&client, b"bye").unwrap();
    drop(client);
    let accepted = listener.ops().accept().unwrap();
    assert_eq!(accepted.peer, path("client"));
    let server = Socket::new(accepted.socket);
    assert_eq!(receive(&server, 9).unwrap(), b"bye");
    assert_eq!(receive(&server, 9).unwrap(), b"");
}

fn peer(socket: &Socket) -> Ucred {
    let bytes = socket.ops().option(1, SO_PEERCRED, &[]).unwrap();
    let field = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    Ucred {
        pid: field(0) as i32,
        uid: field(4),
        gid: field(8),
    }
}

#[test]
fn peers_know_each_other() {
    let mut world = World::new();
    let nobody = Ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let name = abstract_name("name");
    let listener = world.listener(STREAM, &name, 0);
    let client = world.socket(STREAM);
    assert_eq!(peer(&client), nobody);
    world.who.uid = 1;
    world.connect(&client, &name).unwrap();
    assert_eq!(peer(&client), ME);
    assert_eq!(peer(&accept(&listener).unwrap()), world.who);
    assert_eq!(peer(&world.pair(DGRAM)[0]), world.who);
}

#[test]
fn a_listener_that_is_shut_takes_nobody() {
    let world = World::new();
    let name = abstract_name("name");
    let listener = world.listener(STREAM, &name, 3);
    let client = world.socket(STREAM);
    listener.ops().shutdown(true, false).unwrap();
    assert_eq!(listener.ops().accept().err(), Some(Errno::EINVAL));
    assert_eq!(world.connect(&client, &name), Err(Errno::ECONNREFUSED));
}

#[test]
fn the_list_of_sockets() {
    let world = World::new();
    let listener = world.listener(STREAM, &path("here"), 3);
    let client = world.socket(STREAM);
    world.connect(&client, &path("here")).unwrap();
    let file = client.clone().into_file(false);
    let entries = world.network.unix_sockets();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0].name, UnixName::Path(b"here".into()));
    assert!(entries[0].is_listening && !entries[0].is_connected);
    assert_eq!(entries[1].inode, file.inode().ino());
    assert!(entries[1].is_connected && entries[2].is_connected);
    assert_eq!((entries[2].inode, &entries[2].name), (0, &entries[0].name));
    drop((listener, client, file));
    assert!(world.network.unix_sockets().is_empty());
}
