use super::address::write_address;
use super::control::ControlWriter;
use super::header::{Direction, Fields, Header, refuse_compat};
use super::lookup::{open_file, socket_of};
use super::patience::Patience;
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::{IoBuffers, UserPtr};
use linux_abi::{Errno, MsgFlags, Msghdr, SysResult};
use net::{Control, Received, Socket, SocketType};
use vfs::{File, poll};

/// recvmsg(2) without its header.
#[inline]
pub(super) fn receive<K: Kernel>(
    k: &K,
    (file, socket): (&File, &Socket),
    buffers: &IoBuffers,
    flags: MsgFlags,
) -> Result<Received, Errno> {
    let ops = socket.ops();
    let told = (flags & MsgFlags::RECEIVE).bits();
    let mut patience = Patience::receiving(file, socket, flags);
    let received = patience.run(k, ops.wait_list(), || {
        ops.receive(&mut buffers.sink(k), told)
    })?;
    let all = flags.contains(MsgFlags::MSG_WAITALL) && ops.kind() == SocketType::Stream;
    if all && received.count < buffers.total() && patience.blocks() {
        return Ok(rest(k, socket, buffers, flags, &mut patience, received));
    }
    Ok(received)
}

/// Whether the stream has ended or broken: what is pending then is for the next call.
fn is_over(socket: &Socket) -> bool {
    socket.ops().poll() & (poll::RDHUP | poll::HUP | poll::ERR) != 0
}

/// `MSG_WAITALL`: goes on until the buffers are full, the stream ends, an error or a signal comes, time is over, or there
/// is a control message, which belongs to the bytes received so far.
#[cold]
fn rest<K: Kernel>(
    k: &K,
    socket: &Socket,
    buffers: &IoBuffers,
    flags: MsgFlags,
    patience: &mut Patience,
    mut received: Received,
) -> Received {
    let ops = socket.ops();
    let told = (flags & MsgFlags::RECEIVE).bits();
    let peeks = flags.contains(MsgFlags::MSG_PEEK);
    let wanted = buffers.total();
    let has_rights = |received: &Received| {
        let is_rights = |control: &Control| matches!(control, Control::Rights(_));
        received.control.iter().any(is_rights)
    };
    while received.count > 0 && received.count < wanted && !has_rights(&received) {
        // What was only looked at is looked at again, from the start on.
        let done = if peeks { 0 } else { received.count };
        let attempt = || {
            let mut sink = buffers.sink(k);
            sink.skip(done)?;
            let over = is_over(socket);
            match ops.receive(&mut sink, told) {
                Ok(more) if peeks && more.count < wanted && !over => Err(Errno::EAGAIN),
                Err(Errno::EAGAIN) if over => Ok(Received::default()),
                answer => answer,
            }
        };
        if !peeks && ops.poll() & poll::ERR != 0 {
            break;
        }
        match patience.run(k, ops.wait_list(), attempt) {
            Ok(more) if peeks => return if more.count > 0 { more } else { received },
            Ok(more) if more.count == 0 => break,
            Ok(more) => {
                received.count += more.count;
                received.full_length += more.full_length;
                received.control.extend(more.control);
                received.flags |= more.flags;
            }
            Err(_) => break,
        }
    }
    received
}

/// What the call returns: `MSG_TRUNC` asks for the length of the datagram, all of it.
pub(super) fn length(received: &Received, flags: MsgFlags) -> usize {
    if flags.contains(MsgFlags::MSG_TRUNC) {
        received.full_length
    } else {
        received.count
    }
}

/// recvfrom(2)
pub fn recvfrom<K: Kernel>(
    k: &K,
    fd: Fd,
    buf: UserPtr<u8>,
    len: usize,
    flags: u32,
    addr: UserPtr<u8>,
    addrlen: UserPtr<i32>,
) -> SysResult {
    let flags = MsgFlags::from_bits_retain(flags);
    let buffers = IoBuffers::single(k, buf, len)?;
    let file = open_file(k, fd)?;
    let received = receive(k, (&file, socket_of(&file)?), &buffers, flags)?;
    if !addr.is_null() {
        write_address(k, received.from.as_ref(), addr, addrlen)?;
    }
    Ok(length(&received, flags))
}

/// recvmsg(2)
pub fn recvmsg<K: Kernel>(k: &K, fd: Fd, msg: UserPtr<Msghdr>, flags: u32) -> SysResult {
    let flags = MsgFlags::from_bits_retain(flags);
    refuse_compat(flags)?;
    let file = open_file(k, fd)?;
    recvmsg_on(k, &file, msg, flags)
}

/// The same for an open file.
pub(crate) fn recvmsg_on<K: Kernel>(
    k: &K,
    file: &File,
    msg: UserPtr<Msghdr>,
    flags: MsgFlags,
) -> SysResult {
    refuse_compat(flags)?;
    receive_message(k, (file, socket_of(file)?), msg, flags).map(|(count, _)| count)
}

/// recv(2) of an open file.
pub(crate) fn receive_buffers<K: Kernel>(
    k: &K,
    file: &File,
    buffers: &IoBuffers,
    flags: MsgFlags,
) -> SysResult {
    let received = receive(k, (file, socket_of(file)?), buffers, flags)?;
    Ok(length(&received, flags))
}

/// Receives into what a `struct msghdr` describes: the call's answer and `msg_flags`.
pub(super) fn receive_message<K: Kernel>(
    k: &K,
    (file, socket): (&File, &Socket),
    msg: UserPtr<Msghdr>,
    flags: MsgFlags,
) -> Result<(usize, MsgFlags), Errno> {
    let header = Header::read(k, msg, Direction::Receive)?;
    let received = receive(k, (file, socket), &header.buffers, flags)?;
    let count = length(&received, flags);
    let mut writer = ControlWriter::new(k, header.control, header.controllen, flags);
    received
        .control
        .into_iter()
        .for_each(|control| writer.put(control));
    let fields = Fields::of(msg);
    if !header.name_place.is_null() {
        write_address(k, received.from.as_ref(), header.name_place, fields.namelen)?;
    }
    // Linux gives back this flag of the call as well.
    let mut answer =
        MsgFlags::from_bits_retain(received.flags) | flags & MsgFlags::MSG_CMSG_CLOEXEC;
    if writer.is_truncated() {
        answer.insert(MsgFlags::MSG_CTRUNC);
    }
    fields.flags.write(k, &answer.bits())?;
    fields.controllen.write(k, &writer.written())?;
    Ok((count, answer))
}
