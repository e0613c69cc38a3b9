//! An open socket, whatever its family: what a descriptor refers to.
use crate::Result;
use crate::address::Address;
use crate::env::Env;
use crate::message::{Outgoing, Received};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use linux_abi::raw::general::{O_NONBLOCK, O_RDWR};
use linux_abi::raw::net::{SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM};
use linux_abi::{Capability, Errno};
use vfs::{File, FileOps, FileType, InodeRef, Sink, SliceSink, Source, UserMemory, WaitList};

/// `SOCK_*`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketType {
    Stream,
    Datagram,
    Raw,
    SeqPacket,
}

impl SocketType {
    /// From the argument of socket(2), without its flags. `EINVAL`: no such type; `ESOCKTNOSUPPORT`: none of ours.
    pub fn new(value: u32) -> Result<Self> {
        match value {
            SOCK_STREAM => Ok(Self::Stream),
            SOCK_DGRAM => Ok(Self::Datagram),
            SOCK_RAW => Ok(Self::Raw),
            SOCK_SEQPACKET => Ok(Self::SeqPacket),
            // SOCK_RDM, SOCK_DCCP, SOCK_PACKET, and numbers without a name below SOCK_MAX
            0..=10 => Err(Errno::ESOCKTNOSUPPORT),
            _ => Err(Errno::EINVAL),
        }
    }

    #[must_use]
    pub const fn value(self) -> u32 {
        match self {
            Self::Stream => SOCK_STREAM,
            Self::Datagram => SOCK_DGRAM,
            Self::Raw => SOCK_RAW,
            Self::SeqPacket => SOCK_SEQPACKET,
        }
    }
}

/// What accept(2) answers.
pub struct Accepted {
    pub socket: Box<dyn SocketOps>,
    pub peer: Address,
}

/// What each family and type of socket does in its own way. Dropping it closes the socket. Every method has the answer
/// that Linux gives for a socket that cannot do it.
pub trait SocketOps: Any + Send + Sync {
    /// `AF_*`
    fn family(&self) -> u32;
    fn kind(&self) -> SocketType;
    /// `SO_PROTOCOL`
    fn protocol(&self) -> u32;

    fn bind(&self, _address: &Address, _env: &dyn Env) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// connect(2). `EINPROGRESS`: it has begun, and `connected` will tell; `EALREADY`: it had begun before.
    fn connect(&self, _address: &Address, _env: &dyn Env) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// How a connect that was `EINPROGRESS` goes: `EAGAIN` while it goes on. An error is taken from the socket (`SO_ERROR`).
    fn connected(&self) -> Result<()> {
        Ok(())
    }

    /// Whether an `EAGAIN` of `connect` or `send` passes when there is room. If not, it is that there was no port.
    fn awaits_room(&self) -> bool {
        true
    }

    fn listen(&self, _backlog: i32, _env: &dyn Env) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    fn accept(&self) -> Result<Accepted> {
        Err(Errno::EOPNOTSUPP)
    }

    /// getsockname(2)
    fn local_address(&self) -> Result<Address>;

    /// getpeername(2)
    fn peer_address(&self) -> Result<Address> {
        Err(Errno::ENOTCONN)
    }

    /// sendmsg(2). May take a part of a stream; `EAGAIN` when it can take nothing now; `EPIPE` raises SIGPIPE in the caller.
    fn send(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize>;

    /// recvmsg(2). `flags`: `MSG_PEEK`, `MSG_TRUNC`, `MSG_OOB`, `MSG_ERRQUEUE`. `MSG_WAITALL` and `MSG_DONTWAIT` are the
    /// caller's business.
    fn receive(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received>;

    /// shutdown(2) of one or both directions.
    fn shutdown(&self, _read: bool, _write: bool) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// setsockopt(2). The value of `SO_ATTACH_FILTER` is the program itself. `ENOPROTOOPT`: unknown. Options of `SOL_SOCKET` come here first, and those that answer
    /// `ENOPROTOOPT` go on to the common ones.
    fn set_option(&self, level: u32, name: u32, value: &[u8], env: &dyn Env) -> Result<()>;

    /// getsockopt(2): the value's bytes. `argument`: what the program's buffer held, and so its length (some options
    /// take an argument there).
    fn option(&self, level: u32, name: u32, argument: &[u8]) -> Result<Vec<u8>>;

    /// The events that hold now.
    fn poll(&self) -> u32;

    /// Who to tell when `poll` may answer something else.
    fn wait_list(&self) -> &WaitList;

    /// ioctl(2) that is the socket's own (`FIONREAD`, `SIOCOUTQ`); interface ioctls are done elsewhere.
    fn ioctl(&self, _command: u32, _argument: u64, _memory: &dyn UserMemory) -> Result<usize> {
        Err(Errno::ENOTTY)
    }

    /// A datagram from the kernel itself: mq_notify(2) tells by a netlink socket.
    fn deliver(&self, _datagram: &[u8]) -> Result<()> {
        Err(Errno::EINVAL)
    }

    /// The inode number under which fstat(2) and /proc know the socket: told once, when it gets a descriptor.
    fn set_inode(&self, _ino: u64) {}

    /// What mmap(2) maps, if anything.
    fn map_inode(&self) -> Option<InodeRef> {
        None
    }

    /// Lines of /proc/net/* ask the socket about itself by its type.
    fn as_any(&self) -> &dyn Any;
}

/// An open socket.
pub struct Socket {
    ops: Box<dyn SocketOps>,
    /// `SO_RCVTIMEO` and `SO_SNDTIMEO` in nanoseconds; 0 waits for ever.
    pub receive_timeout: AtomicU64,
    pub send_timeout: AtomicU64,
}

impl Socket {
    #[must_use]
    pub fn new(ops: Box<dyn SocketOps>) -> Arc<Self> {
        Arc::new(Self {
            ops,
            receive_timeout: AtomicU64::new(0),
            send_timeout: AtomicU64::new(0),
        })
    }

    #[must_use]
    pub fn ops(&self) -> &dyn SocketOps {
        &*self.ops
    }

    /// An open file description for it.
    #[must_use]
    pub fn into_file(self: Arc<Self>, nonblocking: bool) -> Arc<File> {
        let flags = O_RDWR | if nonblocking { O_NONBLOCK } else { 0 };
        let file = File::from_ops(self.clone(), flags);
        self.ops.set_inode(file.inode().ino());
        file
    }

    /// The timeout in force, as `SO_RCVTIMEO` and `SO_SNDTIMEO` have it. None: waits for ever.
    #[must_use]
    pub fn timeout(&self, receive: bool) -> Option<u64> {
        let timeout = if receive {
            &self.receive_timeout
        } else {
            &self.send_timeout
        };
        Some(timeout.load(Relaxed)).filter(|ns| *ns != 0)
    }
}

/// read(2) and write(2) know no caller; what needs one is refused by the sockets that need it.
struct Nobody;

impl Env for Nobody {
    fn credentials(&self) -> crate::Ucred {
        crate::Ucred::default()
    }

    fn make_node(&self, _path: &[u8]) -> Result<vfs::InodeRef> {
        Err(Errno::EINVAL)
    }

    fn find_node(&self, _path: &[u8]) -> Result<vfs::InodeRef> {
        Err(Errno::ECONNREFUSED)
    }

    fn can(&self, _capability: Capability) -> bool {
        false
    }

    fn unsupported_part(&self, _what: &'static str) {}
}

impl FileOps for Socket {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        // A datagram of length 0 is taken by recv(2) with an empty buffer only.
        if sink.remaining() == 0 {
            return Ok(0);
        }
        self.ops.receive(sink, 0).map(|received| received.count)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        let mut message = Outgoing {
            source,
            to: None,
            control: Vec::new(),
            flags: 0,
        };
        self.ops.send(&mut message, &Nobody)
    }

    fn poll(&self) -> u32 {
        self.ops.poll()
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(self.ops.wait_list())
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        self.ops.ioctl(command, argument, memory)
    }

    fn kind(&self) -> Option<FileType> {
        Some(FileType::Socket)
    }

    fn class(&self) -> &'static str {
        "socket"
    }

    fn map_inode(&self) -> Option<InodeRef> {
        self.ops.map_inode()
    }
}

/// Answers an ioctl(2) with an int, for `FIONREAD` and its kin.
pub(crate) fn answer_count(memory: &dyn UserMemory, argument: u64, count: usize) -> Result<usize> {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    memory.write(argument, &count.to_ne_bytes())?;
    Ok(0)
}

/// For tests and small messages: receives into a vector.
pub fn receive_vec(ops: &dyn SocketOps, room: usize, flags: u32) -> Result<(Vec<u8>, Received)> {
    let mut bytes = alloc::vec![0; room];
    let received = ops.receive(&mut SliceSink::new(&mut bytes), flags)?;
    bytes.truncate(received.count);
    Ok((bytes, received))
}
