use super::address::{GivenAddress, write_address};
use super::env::Caller;
use super::lookup::{open_file, socket_of};
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::raw::net::{SHUT_RD, SHUT_RDWR, SHUT_WR};
use linux_abi::{Errno, SysResult};

/// bind(2)
pub fn bind<K: Kernel>(k: &K, fd: Fd, addr: UserPtr<u8>, addrlen: i32) -> SysResult {
    let file = open_file(k, fd)?;
    let socket = socket_of(&file)?;
    let address = GivenAddress::read(k, addr, addrlen)?.parse(socket)?;
    socket.ops().bind(&address, &Caller(k)).map(|()| 0)
}

/// listen(2)
pub fn listen<K: Kernel>(k: &K, fd: Fd, backlog: i32) -> SysResult {
    let file = open_file(k, fd)?;
    socket_of(&file)?
        .ops()
        .listen(backlog, &Caller(k))
        .map(|()| 0)
}

/// getsockname(2)
pub fn getsockname<K: Kernel>(
    k: &K,
    fd: Fd,
    addr: UserPtr<u8>,
    addrlen: UserPtr<i32>,
) -> SysResult {
    let file = open_file(k, fd)?;
    let address = socket_of(&file)?.ops().local_address()?;
    write_address(k, Some(&address), addr, addrlen).map(|()| 0)
}

/// getpeername(2)
pub fn getpeername<K: Kernel>(
    k: &K,
    fd: Fd,
    addr: UserPtr<u8>,
    addrlen: UserPtr<i32>,
) -> SysResult {
    let file = open_file(k, fd)?;
    let address = socket_of(&file)?.ops().peer_address()?;
    write_address(k, Some(&address), addr, addrlen).map(|()| 0)
}

/// shutdown(2)
pub fn shutdown<K: Kernel>(k: &K, fd: Fd, how: u32) -> SysResult {
    let file = open_file(k, fd)?;
    let socket = socket_of(&file)?;
    let (read, write) = match how {
        SHUT_RD => (true, false),
        SHUT_WR => (false, true),
        SHUT_RDWR => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    socket.ops().shutdown(read, write).map(|()| 0)
}
