//! For the tests: a host, a caller, sockets with addresses as text.
mod uplink;

pub(crate) use uplink::*;

use super::*;
use crate::address::Address;
use crate::env::Ucred;
use crate::message::{Outgoing, Received};
use crate::receive_vec;
use alloc::string::ToString;
use alloc::sync::Weak;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use linux_abi::raw::net::*;
use std::sync::Mutex as StdMutex;
use vfs::{SliceSource, Timestamp, WaitList, Wake};

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

    fn can(&self, _capability: linux_abi::Capability) -> bool {
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
