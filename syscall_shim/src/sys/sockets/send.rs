use super::address::GivenAddress;
use super::control;
use super::env::Caller;
use super::header::{Direction, Header, refuse_compat};
use super::lookup::{open_file, socket_of};
use super::patience::Patience;
use crate::Fd;
use crate::kernel::Kernel;
use crate::sys::files::broken_pipe;
use crate::user::{IoBuffers, UserPtr};
use alloc::vec::Vec;
use linux_abi::raw::net::AF_UNIX;
use linux_abi::{Errno, MsgFlags, Msghdr, SysResult};
use net::{Address, Control, Outgoing, Socket, SocketType};
use vfs::{File, Source, poll};

/// A message without its bytes.
#[derive(Default)]
pub(crate) struct Envelope {
    pub to: Option<Address>,
    pub control: Vec<Control>,
    pub flags: MsgFlags,
}

/// Sends `wanted` bytes; `bytes` makes a source of them from an offset on. A stream takes all of them, unless it does
/// not block or something comes between.
#[inline]
pub(crate) fn send_from<K: Kernel, S: Source>(
    k: &K,
    (file, socket): (&File, &Socket),
    wanted: usize,
    bytes: impl Fn(usize) -> Result<S, Errno>,
    mut envelope: Envelope,
) -> SysResult {
    let ops = socket.ops();
    let flags = envelope.flags;
    let mut patience = Patience::sending(file, socket, flags);
    let mut done = 0;
    loop {
        let attempt = || {
            let mut message = Outgoing {
                source: &mut bytes(done)?,
                to: envelope.to.take(),
                control: core::mem::take(&mut envelope.control),
                flags: flags.bits(),
            };
            let answer = ops.send(&mut message, &Caller(k));
            if answer == Err(Errno::EAGAIN) {
                (envelope.to, envelope.control) = (message.to, message.control);
            }
            answer
        };
        match patience.run_sender(k, ops, attempt) {
            Ok(count) => done += count,
            Err(Errno::EPIPE) if done == 0 => return Err(broken(k, socket, flags)),
            Err(errno) => return if done > 0 { Ok(done) } else { Err(errno) },
        }
        // An error that is pending is for the next call.
        let goes_on = done < wanted && patience.blocks() && ops.kind() == SocketType::Stream;
        if !goes_on || done == 0 || ops.poll() & poll::ERR != 0 {
            return Ok(done);
        }
    }
}

/// SIGPIPE is for streams, and for those who did not say that they want none.
#[cold]
fn broken<K: Kernel>(k: &K, socket: &Socket, flags: MsgFlags) -> Errno {
    if socket.ops().kind() == SocketType::Stream && !flags.contains(MsgFlags::MSG_NOSIGNAL) {
        broken_pipe(k);
    }
    Errno::EPIPE
}

fn send<K: Kernel>(
    k: &K,
    open: (&File, &Socket),
    buffers: &IoBuffers,
    envelope: Envelope,
) -> SysResult {
    let bytes = |done| {
        let mut source = buffers.source(k);
        source.skip(done)?;
        Ok(source)
    };
    send_from(k, open, buffers.total(), bytes, envelope)
}

/// The flags of a call on `socket`. `EOPNOTSUPP`, as where TCP Fast Open is off: data that goes with connect(2).
fn flags_for<K: Kernel>(k: &K, socket: &Socket, flags: MsgFlags) -> Result<MsgFlags, Errno> {
    let ops = socket.ops();
    let is_tcp = ops.kind() == SocketType::Stream && ops.family() != AF_UNIX;
    if flags.contains(MsgFlags::MSG_FASTOPEN) && is_tcp {
        k.unsupported_part("send: MSG_FASTOPEN");
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(flags)
}

/// write(2) and writev(2) to a socket.
pub(crate) fn write<K: Kernel>(
    k: &K,
    file: &File,
    socket: &Socket,
    buffers: &IoBuffers,
) -> SysResult {
    let envelope = Envelope {
        flags: record_end(socket),
        ..Envelope::default()
    };
    send(k, (file, socket), buffers, envelope)
}

/// Each write(2) to a `SOCK_SEQPACKET` socket is a record.
fn record_end(socket: &Socket) -> MsgFlags {
    match socket.ops().kind() {
        SocketType::SeqPacket => MsgFlags::MSG_EOR,
        _ => MsgFlags::empty(),
    }
}

/// sendto(2)
pub fn sendto<K: Kernel>(
    k: &K,
    fd: Fd,
    buf: UserPtr<u8>,
    len: usize,
    flags: u32,
    addr: UserPtr<u8>,
    addrlen: i32,
) -> SysResult {
    let buffers = IoBuffers::single(k, buf, len)?;
    let file = open_file(k, fd)?;
    let socket = socket_of(&file)?;
    let to = match addr.optional() {
        Some(addr) => GivenAddress::read(k, addr, addrlen)?.destination(socket)?,
        None => None,
    };
    let envelope = Envelope {
        to,
        control: Vec::new(),
        flags: flags_for(k, socket, MsgFlags::from_bits_retain(flags))?,
    };
    send(k, (&file, socket), &buffers, envelope)
}

/// sendmsg(2)
pub fn sendmsg<K: Kernel>(k: &K, fd: Fd, msg: UserPtr<Msghdr>, flags: u32) -> SysResult {
    let flags = MsgFlags::from_bits_retain(flags);
    refuse_compat(flags)?;
    let file = open_file(k, fd)?;
    sendmsg_on(k, &file, msg, flags)
}

/// The same for an open file.
pub(crate) fn sendmsg_on<K: Kernel>(
    k: &K,
    file: &File,
    msg: UserPtr<Msghdr>,
    flags: MsgFlags,
) -> SysResult {
    refuse_compat(flags)?;
    send_message(k, (file, socket_of(file)?), msg, flags).map(|sent| sent.count)
}

/// send(2) to an open file.
pub(crate) fn send_buffers<K: Kernel>(
    k: &K,
    file: &File,
    buffers: &IoBuffers,
    flags: MsgFlags,
) -> SysResult {
    let socket = socket_of(file)?;
    let flags = flags_for(k, socket, flags)?;
    let envelope = Envelope {
        flags,
        ..Envelope::default()
    };
    send(k, (file, socket), buffers, envelope)
}

/// What came of one message.
pub(super) struct Sent {
    pub count: usize,
    /// All of it.
    pub whole: bool,
}

/// Sends what a `struct msghdr` describes.
pub(super) fn send_message<K: Kernel>(
    k: &K,
    (file, socket): (&File, &Socket),
    msg: UserPtr<Msghdr>,
    flags: MsgFlags,
) -> Result<Sent, Errno> {
    let header = Header::read(k, msg, Direction::Send)?;
    let to = match &header.name {
        Some(given) => given.destination(socket)?,
        None => None,
    };
    let control = control::read(k, socket, header.control, header.controllen)?;
    let envelope = Envelope {
        to,
        control,
        flags: flags_for(k, socket, flags)?,
    };
    let count = send(k, (file, socket), &header.buffers, envelope)?;
    Ok(Sent {
        count,
        whole: count == header.buffers.total(),
    })
}
