use super::{PAGE, is_aligned, pages};
use crate::kernel::{Kernel, Remap};
use linux_abi::{Errno, MremapFlags, SysResult, USER_END};

/// mremap(2)
pub fn mremap<K: Kernel>(
    k: &K,
    old_addr: u64,
    old_len: u64,
    new_len: u64,
    flags: u64,
    new_addr: u64,
) -> SysResult {
    let flags = u32::try_from(flags)
        .ok()
        .and_then(MremapFlags::from_bits)
        .ok_or(Errno::EINVAL)?;
    let remap = Remap {
        old_addr,
        old_len: pages(old_len).ok_or(Errno::EINVAL)?,
        new_len: pages(new_len).ok_or(Errno::EINVAL)?,
        flags,
        new_addr,
    };
    check(&remap)?;
    k.mremap(&remap).map(|addr| addr as usize)
}

/// remap_file_pages(2): another part of the file that a shared mapping shows. As Linux does since 4.0, by a mapping anew.
pub fn remap_file_pages<K: Kernel>(
    k: &K,
    addr: u64,
    size: u64,
    prot: u64,
    pgoff: u64,
    _flags: u64,
) -> SysResult {
    let (addr, len) = (addr - addr % PAGE, size - size % PAGE);
    let end = addr.checked_add(len).filter(|&end| end > addr);
    let offset = pgoff
        .checked_mul(PAGE)
        .filter(|offset| offset.checked_add(len).is_some());
    match (end, offset) {
        (Some(end), Some(offset)) if prot == 0 && end <= USER_END => {
            k.remap_file(addr, len, offset).map(|()| 0)
        }
        _ => Err(Errno::EINVAL),
    }
}

fn check(remap: &Remap) -> Result<(), Errno> {
    let Remap {
        old_addr,
        old_len,
        new_len,
        flags,
        new_addr,
    } = *remap;
    let moves = flags.contains(MremapFlags::MREMAP_MAYMOVE);
    let fixed = flags.contains(MremapFlags::MREMAP_FIXED);
    let keeps_old = flags.contains(MremapFlags::MREMAP_DONTUNMAP);
    if (fixed || keeps_old) && !moves {
        return Err(Errno::EINVAL);
    }
    if !is_aligned(old_addr) || new_len == 0 || (keeps_old && old_len != new_len) {
        return Err(Errno::EINVAL);
    }
    if old_addr
        .checked_add(old_len)
        .is_none_or(|end| end > USER_END)
    {
        return Err(Errno::EFAULT);
    }
    if old_len == 0 && !moves {
        return Err(Errno::EINVAL);
    }
    if !fixed {
        return if new_len > USER_END {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        };
    }
    let inside = new_len <= USER_END && new_addr <= USER_END - new_len;
    let apart = old_addr + old_len <= new_addr || new_addr.saturating_add(new_len) <= old_addr;
    if is_aligned(new_addr) && inside && apart {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}
