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
