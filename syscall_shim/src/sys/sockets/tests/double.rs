//! A socket for tests: says what it is told to say, and remembers what it was told.
use crate::mock::Mock;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::any::Any;
use linux_abi::Errno;
use linux_abi::raw::net::{AF_INET, AF_UNIX};
use net::{Accepted, Address, Control, Env, Outgoing, Received, Socket, SocketOps, SocketType};
use spin::Mutex;
use vfs::{Sink, UserMemory, WaitList};

/// One message, received or sent.
#[derive(Default)]
pub struct Message {
    pub bytes: Vec<u8>,
    pub address: Option<Address>,
    pub control: Vec<Control>,
    pub flags: u32,
}

/// What stands behind a socket.
pub struct State {
    pub family: u32,
    pub kind: SocketType,
    pub incoming: Mutex<VecDeque<Result<Message, Errno>>>,
    pub sent: Mutex<Vec<Message>>,
    /// How many bytes each send takes; none: all. 0 stands for "no room now".
    pub room: Mutex<VecDeque<Result<usize, Errno>>>,
    pub connects: Mutex<VecDeque<Result<(), Errno>>>,
    pub connections: Mutex<VecDeque<Result<(), Errno>>>,
    pub accepts: Mutex<VecDeque<Result<Arc<State>, Errno>>>,
    pub options: Mutex<VecDeque<Result<Vec<u8>, Errno>>>,
    pub events: Mutex<u32>,
    pub calls: Mutex<Vec<String>>,
    waiters: WaitList,
}

struct Double(Arc<State>);

impl State {
    pub fn new(family: u32, kind: SocketType) -> Arc<Self> {
        Arc::new(Self {
            family,
            kind,
            incoming: Mutex::default(),
            sent: Mutex::default(),
            room: Mutex::default(),
            connects: Mutex::default(),
            connections: Mutex::default(),
            accepts: Mutex::default(),
            options: Mutex::default(),
            events: Mutex::new(0),
            calls: Mutex::default(),
            waiters: WaitList::new(),
        })
    }

    fn note(&self, text: String) {
        self.calls.lock().push(text);
    }

    /// What will be received.
    pub fn arrives(&self, bytes: &[u8]) {
        self.arrives_with(Message {
            bytes: bytes.to_vec(),
            ..Message::default()
        });
    }

    pub fn arrives_with(&self, message: Message) {
        self.incoming.lock().push_back(Ok(message));
    }

    pub fn sent_bytes(&self) -> Vec<Vec<u8>> {
        let sent = self.sent.lock();
        sent.iter().map(|message| message.bytes.clone()).collect()
    }
}

/// A stream socket of AF_INET, and its descriptor.
pub fn stream(k: &Mock) -> (Arc<State>, u64) {
    open(k, AF_INET, SocketType::Stream, false)
}

/// A datagram socket of AF_INET.
pub fn datagram(k: &Mock) -> (Arc<State>, u64) {
    open(k, AF_INET, SocketType::Datagram, false)
}

/// A stream socket of AF_UNIX.
pub fn unix(k: &Mock) -> (Arc<State>, u64) {
    open(k, AF_UNIX, SocketType::Stream, false)
}

/// A socket of which this is the state.
pub fn socket(state: &Arc<State>) -> Arc<Socket> {
    Socket::new(Box::new(Double(state.clone())))
}

pub fn open(k: &Mock, family: u32, kind: SocketType, nonblocking: bool) -> (Arc<State>, u64) {
    use crate::kernel::Files;
    let state = State::new(family, kind);
    let file = socket(&state).into_file(nonblocking);
    let fd = k.files().insert(file, false).unwrap();
    (state, fd as u64)
}

/// 127.0.0.1:7 as a program has it.
pub fn sockaddr(k: &Mock) -> u64 {
    k.bytes(&[2, 0, 0, 7, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
}

pub fn address() -> Address {
    Address::Inet(([127, 0, 0, 1], 7).into())
}

/// Later, while the thread waits. The first to be said is the last to happen.
pub fn meanwhile(k: &Mock, act: impl FnOnce(&Mock) + Send + 'static) {
    k.meanwhile.lock().push(Box::new(act));
}

impl SocketOps for Double {
    fn family(&self) -> u32 {
        self.0.family
    }

    fn kind(&self) -> SocketType {
        self.0.kind
    }

    fn protocol(&self) -> u32 {
        6
    }

    fn bind(&self, address: &Address, env: &dyn Env) -> Result<(), Errno> {
        if let Address::Unix(net::UnixName::Path(path)) = address {
            env.make_node(path)?;
        }
        self.0.note(format!("bind {address:?}"));
        Ok(())
    }

    fn connect(&self, address: &Address, env: &dyn Env) -> Result<(), Errno> {
        if let Address::Unix(net::UnixName::Path(path)) = address {
            env.find_node(path)?;
        }
        self.0.note(format!("connect {address:?}"));
        self.0.connects.lock().pop_front().unwrap_or(Ok(()))
    }

    fn connected(&self) -> Result<(), Errno> {
        self.0
            .connections
            .lock()
            .pop_front()
            .unwrap_or(Err(Errno::EAGAIN))
    }

    fn listen(&self, backlog: i32, _env: &dyn Env) -> Result<(), Errno> {
        self.0.note(format!("listen {backlog}"));
        Ok(())
    }

    fn accept(&self) -> Result<Accepted, Errno> {
        let state = self
            .0
            .accepts
            .lock()
            .pop_front()
            .unwrap_or(Err(Errno::EAGAIN))?;
        Ok(Accepted {
            socket: Box::new(Double(state)),
            peer: address(),
        })
    }

    fn local_address(&self) -> Result<Address, Errno> {
        Ok(address())
    }

    fn send(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize, Errno> {
        let wanted = message.source.remaining();
        let room = self.0.room.lock().pop_front().unwrap_or(Ok(wanted))?;
        if room == 0 && wanted > 0 {
            return Err(Errno::EAGAIN);
        }
        let mut bytes = vec![0; wanted.min(room)];
        message.source.take(&mut bytes)?;
        let count = bytes.len();
        self.0.note(format!("from {}", env.credentials().pid));
        self.0.sent.lock().push(Message {
            bytes,
            address: message.to.take(),
            control: core::mem::take(&mut message.control),
            flags: message.flags,
        });
        Ok(count)
    }

    fn receive(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received, Errno> {
        let mut incoming = self.0.incoming.lock();
        let message = incoming.pop_front().unwrap_or(Err(Errno::EAGAIN))?;
        let count = message.bytes.len().min(sink.remaining());
        sink.put(&message.bytes[..count])?;
        let received = Received {
            count,
            full_length: message.bytes.len(),
            from: message.address.clone(),
            control: message.control.clone(),
            flags: message.flags,
        };
        self.0.note(format!("receive {flags:#x}"));
        if flags & linux_abi::raw::net::MSG_PEEK != 0 {
            incoming.push_front(Ok(message));
        }
        Ok(received)
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<(), Errno> {
        self.0.note(format!("shutdown {read} {write}"));
        Ok(())
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8], _env: &dyn Env) -> Result<(), Errno> {
        if name == 9999 {
            return Err(Errno::ENOPROTOOPT);
        }
        self.0.note(format!("set {level} {name} {value:?}"));
        Ok(())
    }

    fn option(&self, level: u32, name: u32, argument: &[u8]) -> Result<Vec<u8>, Errno> {
        self.0.note(format!("get {level} {name} {argument:?}"));
        self.0
            .options
            .lock()
            .pop_front()
            .unwrap_or(Err(Errno::ENOPROTOOPT))
    }

    fn poll(&self) -> u32 {
        *self.0.events.lock()
    }

    fn wait_list(&self) -> &WaitList {
        &self.0.waiters
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize, Errno> {
        if command != linux_abi::raw::ioctl::FIONREAD {
            return Err(Errno::ENOTTY);
        }
        memory.write(argument, &7_i32.to_ne_bytes())?;
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
