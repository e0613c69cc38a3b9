//! Several messages at a time.
use super::lookup::{open_file, socket_of};
use super::receive::receive_message;
use super::send::send_message;
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Errno, IOV_MAX, Mmsghdr, MsgFlags, SysResult, Timespec};
use vfs::poll;

/// Where the length of a message goes.
fn length_field(message: UserPtr<Mmsghdr>) -> UserPtr<u32> {
    let offset = core::mem::offset_of!(Mmsghdr, len) as u64;
    UserPtr::new(message.addr().wrapping_add(offset))
}

/// sendmmsg(2)
pub fn sendmmsg<K: Kernel>(
    k: &K,
    fd: Fd,
    msgvec: UserPtr<Mmsghdr>,
    vlen: u32,
    flags: u32,
) -> SysResult {
    let flags = MsgFlags::from_bits_retain(flags);
    if flags.contains(MsgFlags::MSG_CMSG_COMPAT) {
        return Err(Errno::EINVAL);
    }
    let file = open_file(k, fd)?;
    let socket = socket_of(&file)?;
    let count = (vlen as usize).min(IOV_MAX);
    let mut done = 0;
    while done < count {
        let message = msgvec.at(done);
        let sent = send_message(k, (&file, socket), message.cast(), flags).and_then(|sent| {
            length_field(message).write(k, &(sent.count as u32))?;
            Ok(sent)
        });
        match sent {
            Ok(sent) => {
                done += 1;
                if !sent.whole {
                    break;
                }
            }
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// recvmmsg(2)
pub fn recvmmsg<K: Kernel>(
    k: &K,
    fd: Fd,
    msgvec: UserPtr<Mmsghdr>,
    vlen: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
) -> SysResult {
    let mut flags = MsgFlags::from_bits_retain(flags);
    if flags.contains(MsgFlags::MSG_CMSG_COMPAT) {
        return Err(Errno::EINVAL);
    }
    let limit = timeout.read_if(k)?.map(|time| time.to_ns()).transpose()?;
    let deadline = limit.map(|limit| k.monotonic().saturating_add(limit));
    let file = open_file(k, fd)?;
    let socket = socket_of(&file)?;
    let first_only = flags.contains(MsgFlags::MSG_WAITFORONE);
    flags.remove(MsgFlags::MSG_WAITFORONE);
    let mut done = 0;
    while done < vlen as usize {
        let message = msgvec.at(done);
        let received = receive_message(k, (&file, socket), message.cast(), flags);
        let stored = received.and_then(|(count, answer)| {
            length_field(message).write(k, &(count as u32))?;
            Ok(answer)
        });
        let answer = match stored {
            Ok(answer) => answer,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        };
        done += 1;
        flags.set(
            MsgFlags::MSG_DONTWAIT,
            flags.contains(MsgFlags::MSG_DONTWAIT) || first_only,
        );
        // As on Linux, time is looked at after each message only: a wait for the next one may last longer. An error that
        // is pending is for the next call.
        let late = deadline.is_some_and(|deadline| k.monotonic() >= deadline);
        let pending =
            !flags.contains(MsgFlags::MSG_ERRQUEUE) && socket.ops().poll() & poll::ERR != 0;
        if late || pending || answer.contains(MsgFlags::MSG_OOB) {
            break;
        }
    }
    if let Some(deadline) = deadline.filter(|_| done > 0) {
        let left = deadline.saturating_sub(k.monotonic());
        timeout.write(k, &Timespec::from_ns(crate::sys::time::signed(left)))?;
    }
    Ok(done)
}
