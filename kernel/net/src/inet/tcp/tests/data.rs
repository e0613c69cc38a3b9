use super::*;

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
fn a_closed_peer_takes_no_more_than_the_buffers_hold() {
    let world = alone();
    let (client, server) = world.pair();
    client.set(SOL_SOCKET, SO_SNDBUF, 4096).unwrap();
    server.set(SOL_SOCKET, SO_RCVBUF, 4096).unwrap();
    drop(server);
    assert_eq!(client.send(&[7; 64 * 1024]), Ok(8192));
    assert_eq!(client.send(b"x"), Err(Errno::EPIPE));
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

/// A thread that waits as the kernel's do: registered first, then another look, then sleep.
struct Sleeper(std::thread::Thread);

impl vfs::Wake for Sleeper {
    fn wake(&self, _events: u32) {
        self.0.unpark();
    }
}

fn until<T>(socket: &crate::Socket, mut act: impl FnMut() -> crate::Result<T>) -> T {
    let waker: std::sync::Arc<dyn vfs::Wake> = std::sync::Arc::new(Sleeper(std::thread::current()));
    socket.ops().wait_list().add(&waker);
    let result = loop {
        match act() {
            // In vain if nobody wakes it, and then the test would not end.
            Err(Errno::EAGAIN) => std::thread::park(),
            other => break other.unwrap(),
        }
    };
    socket.ops().wait_list().remove(&waker);
    result
}

#[test]
fn no_wake_up_is_lost_between_threads() {
    const TOTAL: usize = 20 << 20;
    let world = alone();
    let (client, server) = world.pair();
    let writer = client.socket.clone();
    let thread = std::thread::spawn(move || {
        let mut sent = 0;
        while sent < TOTAL {
            let chunk: std::vec::Vec<u8> = (sent..sent + 9000).map(|at| at as u8).collect();
            sent += until(&writer, || {
                let mut source = vfs::SliceSource::new(&chunk);
                vfs::FileOps::write(&*writer, 0, &mut source)
            });
        }
        writer.ops().shutdown(false, true).unwrap();
        sent
    });
    let mut received = 0;
    loop {
        let bytes = until(&server.socket, || server.receive(50_000));
        if bytes.is_empty() {
            break;
        }
        assert!((received..).zip(&bytes).all(|(at, byte)| at as u8 == *byte));
        received += bytes.len();
    }
    assert_eq!(thread.join().unwrap(), received);
}
