use super::env::Caller;
use super::lookup::{open_file, socket_of};
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::net::{
    SO_ATTACH_FILTER, SO_BINDTODEVICE, SO_DOMAIN, SO_PEERGROUPS, SO_PROTOCOL, SO_RCVTIMEO_NEW,
    SO_RCVTIMEO_OLD, SO_SNDTIMEO_NEW, SO_SNDTIMEO_OLD, SO_TYPE, SOL_SOCKET,
};
use linux_abi::zerocopy::{FromBytes, IntoBytes};
use linux_abi::{Errno, SysResult, Timeval};
use net::Socket;

/// Longer values than any option here has are cut to this.
const LONGEST: usize = 1024;
/// `BPF_MAXINSNS`, and the size of each.
const FILTER_MOST: u16 = 4096;
const INSTRUCTION: usize = 8;
/// How long getsockopt(2) waits for an answer from outside the guest.
const ANSWER_NS: u64 = 1_000_000_000;

/// The timeout that an option is about.
fn timeout(socket: &Socket, name: u32) -> Option<&AtomicU64> {
    match name {
        SO_RCVTIMEO_OLD | SO_RCVTIMEO_NEW => Some(&socket.receive_timeout),
        SO_SNDTIMEO_OLD | SO_SNDTIMEO_NEW => Some(&socket.send_timeout),
        _ => None,
    }
}

/// setsockopt(2)
pub fn setsockopt<K: Kernel>(
    k: &K,
    fd: Fd,
    level: u32,
    name: u32,
    value: UserPtr<u8>,
    len: i32,
) -> SysResult {
    let file = open_file(k, fd)?;
    let socket = socket_of(&file)?;
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    if level == SOL_SOCKET && name != SO_BINDTODEVICE && len < size_of::<i32>() {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; LONGEST];
    let bytes = bytes.get_mut(..len.min(LONGEST)).unwrap_or(&mut []);
    value.read_slice(k, bytes)?;
    match timeout(socket, name).filter(|_| level == SOL_SOCKET) {
        Some(timeout) => set_timeout(timeout, bytes)?,
        None if (level, name) == (SOL_SOCKET, SO_ATTACH_FILTER) => {
            let program = filter_program(k, bytes)?;
            socket.ops().set_option(level, name, &program, &Caller(k))?;
        }
        None => socket.ops().set_option(level, name, bytes, &Caller(k))?,
    }
    Ok(0)
}

/// The instructions that a `struct sock_fprog` points to: their number, and from byte 8 on their address.
fn filter_program<K: Kernel>(k: &K, value: &[u8]) -> Result<Vec<u8>, Errno> {
    let count = value.first_chunk().ok_or(Errno::EINVAL)?;
    let place = value.get(8..).and_then(<[u8]>::first_chunk);
    let place = u64::from_ne_bytes(*place.ok_or(Errno::EINVAL)?);
    let count = u16::from_ne_bytes(*count);
    if count == 0 || count > FILTER_MOST || place == 0 {
        return Err(Errno::EINVAL);
    }
    let mut program = alloc::vec![0; usize::from(count) * INSTRUCTION];
    UserPtr::<u8>::new(place).read_slice(k, &mut program)?;
    Ok(program)
}

fn set_timeout(timeout: &AtomicU64, value: &[u8]) -> Result<(), Errno> {
    let (time, _) = Timeval::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
    if !(0..1_000_000).contains(&time.usec) {
        return Err(Errno::EDOM);
    }
    let ns = match time.to_ns() {
        // Beyond 292 years.
        Ok(ns) if ns >= i64::MAX as u64 => 0,
        Ok(ns) => ns,
        // A negative time is over at once. It reads as 0, as it does on Linux.
        Err(_) => 1,
    };
    timeout.store(ns, Relaxed);
    Ok(())
}

/// getsockopt(2)
pub fn getsockopt<K: Kernel>(
    k: &K,
    fd: Fd,
    level: u32,
    name: u32,
    value: UserPtr<u8>,
    len: UserPtr<i32>,
) -> SysResult {
    let file = open_file(k, fd)?;
    let socket = socket_of(&file)?;
    let room = usize::try_from(len.read(k)?).map_err(|_| Errno::EINVAL)?;
    let store = |bytes: &[u8]| {
        let part = bytes.get(..room).unwrap_or(bytes);
        value.write_slice(k, part)?;
        len.write(k, &(part.len() as i32))
    };
    if level == SOL_SOCKET {
        if let Some(timeout) = timeout(socket, name) {
            let time = Timeval::from_ns(crate::sys::time::signed(timeout.load(Relaxed)));
            return store(time.as_bytes()).map(|()| 0);
        }
        if let Some(number) = common(socket, name) {
            return store(number.as_bytes()).map(|()| 0);
        }
    }
    let answer = ask(k, socket, (level, name), (value, room))?;
    if (level, name) == (SOL_SOCKET, SO_PEERGROUPS) && answer.len() > room {
        len.write(k, &(answer.len() as i32))?;
        return Err(Errno::ERANGE);
    }
    store(&answer).map(|()| 0)
}

/// What is the same for all families.
fn common(socket: &Socket, name: u32) -> Option<u32> {
    match name {
        SO_TYPE => Some(socket.ops().kind().value()),
        SO_DOMAIN => Some(socket.ops().family()),
        SO_PROTOCOL => Some(socket.ops().protocol()),
        _ => None,
    }
}

/// Asks the socket, which may have to ask outside the guest. Nobody expects this call to block, or to be interrupted; so
/// it does so shortly, and whatever `O_NONBLOCK` says.
fn ask<K: Kernel>(
    k: &K,
    socket: &Socket,
    (level, name): (u32, u32),
    (place, room): (UserPtr<u8>, usize),
) -> Result<Vec<u8>, Errno> {
    let ops = socket.ops();
    let mut argument = [0; LONGEST];
    let argument = argument.get_mut(..room.min(LONGEST)).unwrap_or(&mut []);
    // If nothing can be read there, the answer will not be stored there either: EFAULT comes then.
    k.read_some(place.addr(), argument);
    let mut answer = ops.option(level, name, argument);
    if matches!(answer, Err(Errno::EAGAIN)) {
        let deadline = k.monotonic().saturating_add(ANSWER_NS);
        let ready = &mut || {
            answer = ops.option(level, name, argument);
            !matches!(answer, Err(Errno::EAGAIN))
        };
        k.wait(&[ops.wait_list()], Some(deadline), ready)
            .map_err(|_| Errno::ERESTARTNOINTR)?;
    }
    answer
}
