//! For the tests: a host, a caller, an uplink that keeps what it is asked for.
use super::*;
use crate::address::Address;
use crate::env::Ucred;
use crate::message::{Outgoing, Received};
use crate::network::{Interface, InterfaceFlags};
use crate::receive_vec;
use crate::uplink::{
    Acceptor, ConnectRequest, Connection, DatagramKind, DatagramReceiver, Datagrams, Listening,
    Stream, StreamOption, Uplink,
};
use alloc::string::ToString;
use alloc::sync::Weak;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use linux_abi::raw::net::*;
use std::sync::Mutex as StdMutex;
use vfs::{Sink, SliceSource, Source, Timestamp, WaitList, Wake, poll};

pub(crate) struct TestHost {
    pub now: AtomicU64,
    pub alarms: StdMutex<Vec<(u64, Weak<dyn Wake>)>>,
}

impl TestHost {
    /// Time goes by.
    pub(crate) fn advance(&self, by: u64) {
        let now = self.now.fetch_add(by, SeqCst) + by;
        let mut due = Vec::new();
        self.alarms.lock().unwrap().retain(|(at, whom)| {
            if *at <= now {
                due.push(whom.clone());
            }
            *at > now
        });
        for waker in due.iter().filter_map(Weak::upgrade) {
            waker.wake(0);
        }
    }
}

impl Host for TestHost {
    fn wall_time(&self) -> Timestamp {
        Timestamp::default()
    }

    fn clock(&self, _clock: u32) -> u64 {
        self.now.load(SeqCst)
    }

    fn wake_at(&self, _clock: u32, deadline: u64, whom: Weak<dyn Wake>) {
        self.alarms.lock().unwrap().push((deadline, whom));
    }

    fn random(&self, into: &mut [u8]) {
        into.fill(0x5a);
    }
}

/// A caller, privileged or not.
#[derive(Default)]
pub(crate) struct Caller {
    pub uid: u32,
    pub privileged: bool,
    pub notices: StdMutex<Vec<&'static str>>,
}

impl Env for Caller {
    fn credentials(&self) -> Ucred {
        Ucred {
            pid: 1,
            uid: self.uid,
            gid: 0,
        }
    }

    fn make_node(&self, _path: &[u8]) -> Result<vfs::InodeRef> {
        Err(Errno::EINVAL)
    }

    fn find_node(&self, _path: &[u8]) -> Result<vfs::InodeRef> {
        Err(Errno::EINVAL)
    }

    fn is_privileged(&self) -> bool {
        self.privileged
    }

    fn unsupported_part(&self, what: &'static str) {
        self.notices.lock().unwrap().push(what);
    }
}

pub(crate) struct World {
    pub network: Arc<Network>,
    pub host: Arc<TestHost>,
    pub caller: Caller,
    pub uplink: Arc<TestUplink>,
}

/// A guest without a way out.
pub(crate) fn alone() -> World {
    let host = Arc::new(TestHost {
        now: AtomicU64::new(1_000_000_000_000),
        alarms: StdMutex::default(),
    });
    World {
        network: Network::new(host.clone()),
        host,
        caller: Caller::default(),
        uplink: Arc::default(),
    }
}

/// A guest with an interface eth0.
pub(crate) fn connected() -> World {
    let world = alone();
    world.network.set_uplink(world.uplink.clone());
    world
}

pub(crate) const TCP4: (u32, u32, u32) = (AF_INET, SOCK_STREAM, 0);
pub(crate) const TCP6: (u32, u32, u32) = (AF_INET6, SOCK_STREAM, 0);

impl World {
    pub(crate) fn socket(&self, what: (u32, u32, u32)) -> TestSocket<'_> {
        self.try_socket(what).unwrap()
    }

    pub(crate) fn try_socket(&self, what: (u32, u32, u32)) -> Result<TestSocket<'_>> {
        let socket = self.network.socket(what.0, what.1, what.2, &self.caller)?;
        Ok(TestSocket {
            socket,
            world: self,
        })
    }

    /// A listening TCP socket at `address`.
    pub(crate) fn listener(&self, address: &str, backlog: i32) -> TestSocket<'_> {
        let family = if address.starts_with('[') { TCP6 } else { TCP4 };
        let socket = self.socket(family);
        socket.bind(address).unwrap();
        socket.listen(backlog).unwrap();
        socket
    }

    /// Both ends of a connection inside.
    pub(crate) fn pair(&self) -> (TestSocket<'_>, TestSocket<'_>) {
        let listener = self.listener("127.0.0.1:0", 1);
        let client = self.socket(TCP4);
        assert_eq!(client.connect(&listener.local()), Ok(()));
        let (server, _) = listener.accept().unwrap();
        (client, server)
    }
}

/// A socket and its caller, with addresses as text.
pub(crate) struct TestSocket<'a> {
    pub socket: Arc<Socket>,
    pub world: &'a World,
}

pub(crate) fn address(text: &str) -> Address {
    Address::Inet(text.parse().unwrap())
}

pub(crate) fn text(address: &Address) -> alloc::string::String {
    match address {
        Address::Inet(address) => address.to_string(),
        other => std::format!("{other:?}"),
    }
}

impl TestSocket<'_> {
    pub(crate) fn ops(&self) -> &dyn SocketOps {
        self.socket.ops()
    }

    pub(crate) fn bind(&self, to: &str) -> Result<()> {
        self.ops().bind(&address(to), &self.world.caller)
    }

    /// connect(2) of a blocking socket, except that it does not block: `EAGAIN`.
    pub(crate) fn connect(&self, to: &str) -> Result<()> {
        match self.start_connect(to) {
            Err(Errno::EINPROGRESS) => self.ops().connected(),
            other => other,
        }
    }

    pub(crate) fn start_connect(&self, to: &str) -> Result<()> {
        self.ops().connect(&address(to), &self.world.caller)
    }

    pub(crate) fn disconnect(&self) -> Result<()> {
        self.ops()
            .connect(&Address::Unspecified, &self.world.caller)
    }

    pub(crate) fn listen(&self, backlog: i32) -> Result<()> {
        self.ops().listen(backlog, &self.world.caller)
    }

    pub(crate) fn accept(&self) -> Result<(Self, alloc::string::String)> {
        let accepted = self.ops().accept()?;
        let socket = Self {
            socket: Socket::new(accepted.socket),
            world: self.world,
        };
        Ok((socket, text(&accepted.peer)))
    }

    pub(crate) fn local(&self) -> alloc::string::String {
        text(&self.ops().local_address().unwrap())
    }

    pub(crate) fn peer(&self) -> Result<alloc::string::String> {
        self.ops().peer_address().map(|peer| text(&peer))
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<usize> {
        self.send_with(bytes, None, 0, Vec::new())
    }

    pub(crate) fn send_to(&self, bytes: &[u8], to: &str) -> Result<usize> {
        self.send_with(bytes, Some(address(to)), 0, Vec::new())
    }

    pub(crate) fn send_with(
        &self,
        bytes: &[u8],
        to: Option<Address>,
        flags: u32,
        control: Vec<crate::Control>,
    ) -> Result<usize> {
        let mut source = SliceSource::new(bytes);
        let mut message = Outgoing {
            source: &mut source,
            to,
            control,
            flags,
        };
        self.ops().send(&mut message, &self.world.caller)
    }

    pub(crate) fn receive(&self, room: usize) -> Result<Vec<u8>> {
        receive_vec(self.ops(), room, 0).map(|(bytes, _)| bytes)
    }

    pub(crate) fn receive_with(&self, room: usize, flags: u32) -> Result<(Vec<u8>, Received)> {
        receive_vec(self.ops(), room, flags)
    }

    pub(crate) fn set(&self, level: u32, name: u32, value: i32) -> Result<()> {
        self.set_bytes(level, name, &value.to_ne_bytes())
    }

    pub(crate) fn set_bytes(&self, level: u32, name: u32, value: &[u8]) -> Result<()> {
        self.ops()
            .set_option(level, name, value, &self.world.caller)
    }

    pub(crate) fn get(&self, level: u32, name: u32) -> Result<i32> {
        let value = self.ops().option(level, name, &[0; 4])?;
        Ok(i32::from_ne_bytes(
            value.get(..4).unwrap().try_into().unwrap(),
        ))
    }

    pub(crate) fn error(&self) -> i32 {
        self.get(SOL_SOCKET, SO_ERROR).unwrap()
    }

    pub(crate) fn poll(&self) -> u32 {
        self.ops().poll()
    }
}

/// Counts wake-ups.
#[derive(Default)]
pub(crate) struct Bell(pub AtomicU32);

impl Bell {
    pub(crate) fn on(list: &WaitList) -> Arc<Self> {
        let bell = Arc::new(Self::default());
        let waker: Arc<dyn Wake> = bell.clone();
        list.add(&waker);
        bell
    }

    pub(crate) fn rings(&self) -> u32 {
        self.0.swap(0, SeqCst)
    }
}

impl Wake for Bell {
    fn wake(&self, _events: u32) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A stream of the uplink, which the test plays the peer of.
pub(crate) struct TestStream {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub events: Arc<WaitList>,
    pub state: StdMutex<TestStreamState>,
}

pub(crate) struct TestStreamState {
    pub connection: Connection,
    pub error: Option<Errno>,
    pub incoming: Vec<u8>,
    pub outgoing: Vec<u8>,
    pub options: Vec<StreamOption>,
    pub shut: (bool, bool),
    pub aborted: bool,
}

impl TestStream {
    pub(crate) fn new(
        local: &str,
        remote: &str,
        connection: Connection,
        events: Arc<WaitList>,
    ) -> Arc<Self> {
        Arc::new(Self {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            events,
            state: StdMutex::new(TestStreamState {
                connection,
                error: None,
                incoming: Vec::new(),
                outgoing: Vec::new(),
                options: Vec::new(),
                shut: (false, false),
                aborted: false,
            }),
        })
    }

    pub(crate) fn change(&self, how: impl FnOnce(&mut TestStreamState)) {
        how(&mut self.state.lock().unwrap());
        self.events.notify(poll::ALWAYS | poll::HUP | poll::ERR);
    }
}

impl Stream for TestStream {
    fn events(&self) -> &Arc<WaitList> {
        &self.events
    }

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn peer(&self) -> SocketAddr {
        self.remote
    }

    fn connection(&self) -> Connection {
        self.state.lock().unwrap().connection
    }

    fn take_error(&self) -> Option<Errno> {
        self.state.lock().unwrap().error.take()
    }

    fn send(&self, source: &mut dyn Source, _more: bool) -> Result<usize> {
        let mut bytes = alloc::vec![0; source.remaining()];
        source.take(&mut bytes)?;
        self.state.lock().unwrap().outgoing.extend(&bytes);
        Ok(bytes.len())
    }

    fn receive(&self, sink: &mut dyn Sink, _peek: bool) -> Result<usize> {
        let mut state = self.state.lock().unwrap();
        if state.incoming.is_empty() {
            return Err(Errno::EAGAIN);
        }
        let count = sink.remaining().min(state.incoming.len());
        let bytes: Vec<u8> = state.incoming.drain(..count).collect();
        sink.put(&bytes)?;
        Ok(count)
    }

    fn poll(&self) -> u32 {
        let state = self.state.lock().unwrap();
        match state.connection {
            Connection::Connecting => 0,
            Connection::Failed => poll::ALWAYS | poll::HUP | poll::ERR | poll::RDHUP,
            Connection::Established if state.incoming.is_empty() => poll::OUT | poll::WRNORM,
            Connection::Established => poll::ALWAYS,
        }
    }

    fn readable(&self) -> usize {
        self.state.lock().unwrap().incoming.len()
    }

    fn unsent(&self) -> usize {
        self.state.lock().unwrap().outgoing.len()
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        self.state.lock().unwrap().shut = (read, write);
        Ok(())
    }

    fn set_option(&self, option: StreamOption) -> Result<()> {
        self.state.lock().unwrap().options.push(option);
        Ok(())
    }

    fn info(&self) -> Result<Vec<u8>> {
        Ok(alloc::vec![1, 2, 3])
    }

    fn abort(&self) {
        self.state.lock().unwrap().aborted = true;
    }
}

/// A socket that listens beyond loopback.
pub(crate) struct TestListening {
    pub local: SocketAddr,
    pub acceptor: Weak<dyn Acceptor>,
    pub accepted: AtomicU32,
}

struct ListeningHandle(Arc<TestListening>);

impl Listening for ListeningHandle {
    fn accepted(&self) {
        self.0.accepted.fetch_add(1, SeqCst);
    }
}

/// A datagram socket's way out.
pub(crate) struct TestDatagrams {
    pub kind: DatagramKind,
    pub local: SocketAddr,
    pub receiver: Weak<dyn DatagramReceiver>,
    pub sent: StdMutex<Vec<(Vec<u8>, SocketAddr, u8)>>,
    pub groups: StdMutex<Vec<(IpAddr, bool)>>,
    pub full: std::sync::atomic::AtomicBool,
}

struct DatagramsHandle(Arc<TestDatagrams>);

impl Datagrams for DatagramsHandle {
    fn send(&self, source: &mut dyn Source, to: SocketAddr, hop_limit: u8) -> Result<usize> {
        if self.0.full.load(SeqCst) {
            return Err(Errno::EAGAIN);
        }
        let mut bytes = alloc::vec![0; source.remaining()];
        source.take(&mut bytes)?;
        let count = bytes.len();
        self.0.sent.lock().unwrap().push((bytes, to, hop_limit));
        Ok(count)
    }

    fn source_for(&self, _remote: IpAddr) -> Result<IpAddr> {
        Ok("10.0.2.15".parse().unwrap())
    }

    fn membership(&self, group: IpAddr, _interface: u32, join: bool) -> Result<()> {
        self.0.groups.lock().unwrap().push((group, join));
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct TestUplink {
    pub streams: StdMutex<Vec<Arc<TestStream>>>,
    pub asked: StdMutex<Vec<Vec<StreamOption>>>,
    pub listening: StdMutex<Vec<Weak<TestListening>>>,
    pub datagrams: StdMutex<Vec<Weak<TestDatagrams>>>,
    /// It has no raw datagrams.
    pub only_echo: std::sync::atomic::AtomicBool,
}

impl TestUplink {
    pub(crate) fn last_stream(&self) -> Arc<TestStream> {
        self.streams.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn last_listening(&self) -> Option<Arc<TestListening>> {
        self.listening
            .lock()
            .unwrap()
            .last()
            .and_then(Weak::upgrade)
    }

    pub(crate) fn last_datagrams(&self) -> Option<Arc<TestDatagrams>> {
        self.datagrams
            .lock()
            .unwrap()
            .last()
            .and_then(Weak::upgrade)
    }
}

impl Uplink for TestUplink {
    fn interfaces(&self) -> Vec<Interface> {
        alloc::vec![Interface {
            index: 2,
            name: "eth0".to_string(),
            flags: InterfaceFlags::UP | InterfaceFlags::BROADCAST | InterfaceFlags::MULTICAST,
            mtu: 1500,
            hardware_type: 1,
            hardware_address: [2, 0, 0, 0, 0, 1],
            addresses: alloc::vec![
                ("10.0.2.15".parse().unwrap(), 24),
                ("fd00:c0::15".parse().unwrap(), 64),
            ],
            gateways: alloc::vec!["10.0.2.2".parse().unwrap()],
            received: [0; 4],
            sent: [0; 4],
        }]
    }

    fn connect(&self, request: ConnectRequest<'_>) -> Result<Arc<dyn Stream>> {
        let stream = TestStream::new(
            &request.local.to_string(),
            &request.remote.to_string(),
            Connection::Connecting,
            request.events,
        );
        self.asked.lock().unwrap().push(request.options.to_vec());
        self.streams.lock().unwrap().push(stream.clone());
        Ok(stream)
    }

    fn listen(
        &self,
        local: SocketAddr,
        _backlog: usize,
        acceptor: Weak<dyn Acceptor>,
    ) -> Result<Box<dyn Listening>> {
        let listening = Arc::new(TestListening {
            local,
            acceptor,
            accepted: AtomicU32::new(0),
        });
        self.listening
            .lock()
            .unwrap()
            .push(Arc::downgrade(&listening));
        Ok(Box::new(ListeningHandle(listening)))
    }

    fn datagrams(
        &self,
        kind: DatagramKind,
        local: SocketAddr,
        receiver: Weak<dyn DatagramReceiver>,
    ) -> Result<Box<dyn Datagrams>> {
        if self.only_echo.load(SeqCst) && matches!(kind, DatagramKind::Raw { .. }) {
            return Err(Errno::EPROTONOSUPPORT);
        }
        let datagrams = Arc::new(TestDatagrams {
            kind,
            local,
            receiver,
            sent: StdMutex::default(),
            groups: StdMutex::default(),
            full: false.into(),
        });
        self.datagrams
            .lock()
            .unwrap()
            .push(Arc::downgrade(&datagrams));
        Ok(Box::new(DatagramsHandle(datagrams)))
    }
}
