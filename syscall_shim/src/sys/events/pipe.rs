use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{OpenFlags, SysResult};

/// pipe(2)
pub fn pipe<K: Kernel>(k: &K, fds: UserPtr<[i32; 2]>) -> SysResult {
    pipe2(k, fds, 0)
}

/// pipe2(2)
pub fn pipe2<K: Kernel>(k: &K, fds: UserPtr<[i32; 2]>, flags: u32) -> SysResult {
    let (reader, writer) = vfs::pipe(flags)?;
    let cloexec = flags & OpenFlags::O_CLOEXEC.bits() != 0;
    let table = k.files();
    let read_fd = table.insert(reader, cloexec)?;
    let write_fd = table.insert(writer, cloexec);
    let stored = write_fd.and_then(|write_fd| fds.write(k, &[read_fd, write_fd]));
    if let Err(errno) = stored {
        // Nothing is left behind; a failure here means another thread has closed them already.
        let _ = table.close(read_fd);
        let _ = write_fd.and_then(|fd| table.close(fd));
        return Err(errno);
    }
    Ok(0)
}
