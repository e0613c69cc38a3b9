use crate::kernel::Kernel;
use crate::{Buffer, Fd};
use alloc::vec;
use linux_abi::{Dirent, Errno, SysResult};
use vfs::{DirEntry, FileType};

/// The most that is gathered at a time.
const LARGEST: usize = 32 * 1024;

type Encode = fn(&Dirent<'_>, &mut [u8]) -> Result<usize, Errno>;

/// getdents64(2)
pub fn getdents64<K: Kernel>(k: &K, fd: Fd, dirp: Buffer, count: u32) -> SysResult {
    entries(k, fd, dirp, count, |entry, out| entry.encode64(out))
}

/// getdents(2)
pub fn getdents<K: Kernel>(k: &K, fd: Fd, dirp: Buffer, count: u32) -> SysResult {
    entries(k, fd, dirp, count, |entry, out| entry.encode_old(out))
}

fn entries<K: Kernel>(k: &K, fd: Fd, dirp: Buffer, count: u32, encode: Encode) -> SysResult {
    let file = k.files().get(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    if file.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    if !k.access_ok(dirp.addr(), u64::from(count)) {
        return Err(Errno::EFAULT);
    }
    let mut out = vec![0; (count as usize).min(LARGEST)];
    let mut filled = 0;
    let mut too_small = false;
    file.read_dir(&mut |entry: DirEntry<'_>| {
        let dirent = Dirent {
            ino: entry.ino,
            off: entry.next as i64,
            type_: entry.kind.dirent_type(),
            name: entry.name,
        };
        match out.get_mut(filled..).map(|rest| encode(&dirent, rest)) {
            Some(Ok(len)) => {
                filled += len;
                true
            }
            _ => {
                too_small = filled == 0;
                false
            }
        }
    })?;
    if too_small {
        return Err(Errno::EINVAL);
    }
    dirp.write_slice(k, out.get(..filled).unwrap_or(&[]))?;
    Ok(filled)
}
