use super::address::GivenAddress;
use super::env::Caller;
use super::lookup::{open_file, socket_of};
use super::patience::Patience;
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Errno, MsgFlags, SysResult};
use vfs::File;

/// connect(2)
pub fn connect<K: Kernel>(k: &K, fd: Fd, addr: UserPtr<u8>, addrlen: i32) -> SysResult {
    let file = open_file(k, fd)?;
    let given = GivenAddress::read(k, addr, addrlen)?;
    let socket = socket_of(&file)?;
    let address = given.parse(socket)?;
    let (ops, env) = (socket.ops(), Caller(k));
    let mut patience = Patience::sending(&file, socket, MsgFlags::empty());
    // EAGAIN: the queue of a listening Unix socket is full.
    let begun = patience.run_sender(k, ops, || ops.connect(&address, &env));
    match begun {
        Err(state @ (Errno::EINPROGRESS | Errno::EALREADY)) if patience.blocks() => {
            match patience.wait(k, ops.wait_list(), &mut || ops.connected()) {
                // It goes on by itself after SO_SNDTIMEO.
                Err(Errno::EAGAIN) => Err(state),
                done => done.map(|()| 0),
            }
        }
        answer => answer.map(|()| 0),
    }
}

/// Begins to connect, without waiting: EINPROGRESS if [`connected`] is to tell how it went.
pub(crate) fn begin_connect<K: Kernel>(
    k: &K,
    file: &File,
    addr: UserPtr<u8>,
    addrlen: i32,
) -> Result<(), Errno> {
    let given = GivenAddress::read(k, addr, addrlen)?;
    let socket = socket_of(file)?;
    let address = given.parse(socket)?;
    socket.ops().connect(&address, &Caller(k))
}

/// EAGAIN while it goes on.
pub(crate) fn connected(file: &File) -> Result<(), Errno> {
    socket_of(file)?.ops().connected()
}
