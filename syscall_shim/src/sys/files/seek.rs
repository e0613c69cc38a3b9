use crate::Fd;
use crate::kernel::Kernel;
use linux_abi::SysResult;

/// lseek(2)
pub fn lseek<K: Kernel>(k: &K, fd: Fd, offset: i64, whence: u32) -> SysResult {
    k.files()
        .get(fd)?
        .seek(offset, whence)
        .map(|position| position as usize)
}
