use crate::Fd;
use crate::kernel::Kernel;
use crate::sys::sockets;
use crate::user::UserPtr;
use linux_abi::raw::ioctl as raw;
use linux_abi::{Errno, SysResult};
use vfs::{File, FileType};

/// Whether the file can send a signal when it is ready.
fn has_signals(file: &File) -> bool {
    matches!(
        file.kind(),
        FileType::Fifo | FileType::Socket | FileType::CharDevice
    )
}

/// ioctl(2): what every descriptor has is done here, the rest by the file.
pub fn ioctl<K: Kernel>(k: &K, fd: Fd, request: u32, arg: u64) -> SysResult {
    let file = k.files().get(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    match request {
        raw::FIOCLEX => k.files().set_cloexec(fd, true)?,
        raw::FIONCLEX => k.files().set_cloexec(fd, false)?,
        raw::FIONBIO => file.set_nonblocking(UserPtr::<i32>::new(arg).read(k)? != 0),
        raw::FIOASYNC if has_signals(&file) => {
            file.set_async(UserPtr::<i32>::new(arg).read(k)? != 0);
        }
        raw::FIOQSIZE => match file.kind() {
            FileType::Regular | FileType::Directory | FileType::Symlink => {
                UserPtr::new(arg).write(k, &file.metadata().size)?;
            }
            _ => return Err(Errno::ENOTTY),
        },
        _ => {
            let interface = sockets::interface_ioctl(k, &file, request, arg);
            return interface.unwrap_or_else(|| file.ioctl(request, arg, k));
        }
    }
    Ok(0)
}
