use super::address::write_address;
use super::lookup::{open_file, socket_of};
use super::make::install;
use super::patience::Patience;
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::net::AF_UNIX;
use linux_abi::{Errno, FdFlags, MsgFlags, SysResult};
use net::Socket;
use vfs::File;

/// accept(2)
pub fn accept<K: Kernel>(k: &K, fd: Fd, addr: UserPtr<u8>, addrlen: UserPtr<i32>) -> SysResult {
    accept4(k, fd, addr, addrlen, 0)
}

/// accept4(2)
pub fn accept4<K: Kernel>(
    k: &K,
    fd: Fd,
    addr: UserPtr<u8>,
    addrlen: UserPtr<i32>,
    flags: u32,
) -> SysResult {
    let file = open_file(k, fd)?;
    accept_on(k, &file, (addr, addrlen), flags, MsgFlags::empty())
}

/// The same for an open file; with `MSG_DONTWAIT` it does not wait.
pub(crate) fn accept_on<K: Kernel>(
    k: &K,
    file: &File,
    (addr, addrlen): (UserPtr<u8>, UserPtr<i32>),
    flags: u32,
    how: MsgFlags,
) -> SysResult {
    let flags = FdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let listener = socket_of(file)?;
    let ops = listener.ops();
    let attempt = || {
        // A connection that is taken could not be given back: first a descriptor must be free.
        k.files().check_room()?;
        ops.accept()
    };
    let accepted = Patience::receiving(file, listener, how).run(k, ops.wait_list(), attempt)?;
    let socket = Socket::new(accepted.socket);
    if ops.family() != AF_UNIX {
        inherit(&listener.receive_timeout, &socket.receive_timeout);
        inherit(&listener.send_timeout, &socket.send_timeout);
    }
    if !addr.is_null() {
        // As on Linux, the connection is lost if its address cannot be stored.
        write_address(k, Some(&accepted.peer), addr, addrlen)?;
    }
    install(k, socket, flags).map(|fd| fd as usize)
}

fn inherit(from: &AtomicU64, to: &AtomicU64) {
    to.store(from.load(Relaxed), Relaxed);
}
