use crate::Fd;
use crate::kernel::Kernel;
use alloc::sync::Arc;
use linux_abi::Errno;
use net::Socket;
use vfs::File;

/// The open file of a descriptor, whatever it is. What `O_PATH` opened is none.
#[inline]
pub(super) fn open_file<K: Kernel>(k: &K, fd: Fd) -> Result<Arc<File>, Errno> {
    let file = k.files().get(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    Ok(file)
}

/// The socket that the file is.
#[inline]
pub(super) fn socket_of(file: &File) -> Result<&Socket, Errno> {
    file.ops_as::<Socket>().ok_or(Errno::ENOTSOCK)
}
