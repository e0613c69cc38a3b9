//! Unix sockets through their trait, as the system calls use them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod connections;
mod errors;
mod options;
mod packets;
mod passing;
mod readiness;
mod streams;

use crate::{
    Address, Control, Env, Errno, Network, Outgoing, Received, Result, Socket, Ucred, UnixName,
    receive_vec,
};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use vfs::{Host, InodeRef, MemFs, NewNode, SliceSource, Timestamp, UserMemory, Wake};

pub const STREAM: u32 = 1;
pub const DGRAM: u32 = 2;
pub const SEQPACKET: u32 = 5;
pub const ALL: [u32; 3] = [STREAM, DGRAM, SEQPACKET];

pub const ME: Ucred = Ucred {
    pid: 7,
    uid: 1000,
    gid: 100,
};

struct TestHost;

impl Host for TestHost {
    fn wall_time(&self) -> Timestamp {
        Timestamp::default()
    }

    fn clock(&self, _clock: u32) -> u64 {
        0
    }

    fn wake_at(&self, _clock: u32, _deadline: u64, _whom: Weak<dyn Wake>) {}

    fn random(&self, into: &mut [u8]) {
        into.fill(0xff);
    }
}

/// A caller and its network, and a directory that paths lead to.
pub struct World {
    pub network: Arc<Network>,
    directory: InodeRef,
    pub is_root: bool,
    pub who: Ucred,
    pub missing: RefCell<Vec<&'static str>>,
}

impl World {
    pub fn new() -> Self {
        let host = Arc::new(TestHost);
        Self {
            network: Network::new(host.clone()),
            directory: MemFs::tmpfs(1, host, 10, 0o755),
            is_root: false,
            who: ME,
            missing: RefCell::new(Vec::new()),
        }
    }

    pub fn socket(&self, kind: u32) -> Arc<Socket> {
        self.network.socket(1, kind, 0, self).unwrap()
    }

    pub fn pair(&self, kind: u32) -> [Arc<Socket>; 2] {
        self.network.pair(1, kind, 0, self).unwrap()
    }

    pub fn bound(&self, kind: u32, name: &Address) -> Arc<Socket> {
        let socket = self.socket(kind);
        socket.ops().bind(name, self).unwrap();
        socket
    }

    pub fn listener(&self, kind: u32, name: &Address, backlog: i32) -> Arc<Socket> {
        let socket = self.bound(kind, name);
        socket.ops().listen(backlog, self).unwrap();
        socket
    }

    pub fn connect(&self, socket: &Socket, name: &Address) -> Result<()> {
        socket.ops().connect(name, self)
    }

    /// A connection through a listener: client and server.
    pub fn connection(&self, kind: u32) -> [Arc<Socket>; 2] {
        let name = abstract_name("connection");
        let listener = self.listener(kind, &name, 0);
        let client = self.socket(kind);
        self.connect(&client, &name).unwrap();
        [client, accept(&listener).unwrap()]
    }

    pub fn send(&self, socket: &Socket, bytes: &[u8]) -> Result<usize> {
        self.send_all(socket, bytes, None, Vec::new())
    }

    pub fn send_to(&self, socket: &Socket, bytes: &[u8], to: &Address) -> Result<usize> {
        self.send_all(socket, bytes, Some(to.clone()), Vec::new())
    }

    pub fn send_with(&self, socket: &Socket, bytes: &[u8], control: Control) -> Result<usize> {
        self.send_all(socket, bytes, None, [control].into())
    }

    pub fn send_all(
        &self,
        socket: &Socket,
        bytes: &[u8],
        to: Option<Address>,
        control: Vec<Control>,
    ) -> Result<usize> {
        let mut message = Outgoing {
            source: &mut SliceSource::new(bytes),
            to,
            control,
            flags: 0,
        };
        socket.ops().send(&mut message, self)
    }

    pub fn set(&self, socket: &Socket, option: u32, value: i32) -> Result<()> {
        socket
            .ops()
            .set_option(1, option, &value.to_ne_bytes(), self)
    }
}

impl Env for World {
    fn credentials(&self) -> Ucred {
        self.who
    }

    fn make_node(&self, path: &[u8]) -> Result<InodeRef> {
        let made = self.directory.create(path, NewNode::Socket, 0o755, 0, 0);
        made.map_err(|error| match error {
            Errno::EEXIST => Errno::EADDRINUSE,
            error => error,
        })
    }

    fn find_node(&self, path: &[u8]) -> Result<InodeRef> {
        self.directory.lookup(path)
    }

    fn can(&self, _capability: linux_abi::Capability) -> bool {
        self.is_root
    }

    fn unsupported_part(&self, what: &'static str) {
        self.missing.borrow_mut().push(what);
    }
}

pub fn path(name: &str) -> Address {
    Address::Unix(UnixName::Path(name.into()))
}

pub fn abstract_name(name: &str) -> Address {
    Address::Unix(UnixName::Abstract(name.into()))
}

pub const UNNAMED: Address = Address::Unix(UnixName::Unnamed);

pub fn accept(listener: &Socket) -> Result<Arc<Socket>> {
    let accepted = listener.ops().accept()?;
    Ok(Socket::new(accepted.socket))
}

pub fn receive(socket: &Socket, room: usize) -> Result<Vec<u8>> {
    receive_vec(socket.ops(), room, 0).map(|(bytes, _)| bytes)
}

pub fn message(socket: &Socket, room: usize, flags: u32) -> Result<(Vec<u8>, Received)> {
    receive_vec(socket.ops(), room, flags)
}

pub fn get(socket: &Socket, option: u32) -> Result<i32> {
    let value = socket.ops().option(1, option, &[0; 4])?;
    Ok(i32::from_ne_bytes(value.try_into().unwrap()))
}

/// Remembers what it was told.
#[derive(Default)]
pub struct Watch {
    events: AtomicU32,
}

impl Watch {
    pub fn on(socket: &Socket) -> Arc<Self> {
        let watch = Arc::new(Self::default());
        let waker: Arc<dyn Wake> = watch.clone();
        socket.ops().wait_list().add(&waker);
        watch
    }

    /// The events since the last time.
    pub fn take(&self) -> u32 {
        self.events.swap(0, SeqCst)
    }
}

impl Wake for Watch {
    fn wake(&self, events: u32) {
        self.events.fetch_or(events, SeqCst);
    }
}

/// What an ioctl(2) writes, by address.
#[derive(Default)]
pub struct Memory(RefCell<BTreeMap<u64, Vec<u8>>>);

impl UserMemory for Memory {
    fn read(&self, _addr: u64, _into: &mut [u8]) -> Result<()> {
        Err(Errno::EFAULT)
    }

    fn write(&self, addr: u64, from: &[u8]) -> Result<()> {
        self.0.borrow_mut().insert(addr, from.to_vec());
        Ok(())
    }
}

pub fn ioctl(socket: &Socket, command: u32) -> Result<i32> {
    let memory = Memory::default();
    socket.ops().ioctl(command, 1, &memory)?;
    let bytes = memory.0.borrow().get(&1).unwrap().clone();
    Ok(i32::from_ne_bytes(bytes.try_into().unwrap()))
}
