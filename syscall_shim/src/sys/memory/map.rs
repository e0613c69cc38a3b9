use super::{is_aligned, pages, range};
use crate::Fd;
use crate::kernel::{Kernel, MmapRequest};
use alloc::sync::Arc;
use linux_abi::{Errno, MapFlags, MapType, Prot, SysResult, USER_END};
use vfs::{File, Mapping};

/// mmap(2)
pub fn mmap<K: Kernel>(
    k: &K,
    addr: u64,
    len: u64,
    prot: u64,
    flags: u64,
    fd: Fd,
    offset: u64,
) -> SysResult {
    if !is_aligned(offset) {
        return Err(Errno::EINVAL);
    }
    // As Linux: unknown flags are ignored, unless the type is MAP_SHARED_VALIDATE.
    let flags = MapFlags::from_bits_retain(flags as u32);
    let prot = Prot::from_bits_truncate(prot as u32);
    let file = if flags.contains(MapFlags::MAP_ANONYMOUS) {
        None
    } else {
        Some(k.files().get(fd)?)
    };
    if file.as_ref().is_some_and(|file| file.is_path()) {
        return Err(Errno::EBADF);
    }
    let request = MmapRequest {
        addr,
        len: checked_len(len, offset)?,
        prot,
        flags,
        file,
        offset,
    };
    let request = check_place(request)?;
    check_kind(k, request)
        .and_then(|request| k.mmap(&request))
        .map(|addr| addr as usize)
}

fn checked_len(len: u64, offset: u64) -> Result<u64, Errno> {
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let len = pages(len)
        .filter(|&len| len <= USER_END)
        .ok_or(Errno::ENOMEM)?;
    if offset.checked_add(len).is_none() {
        Err(Errno::EOVERFLOW)
    } else {
        Ok(len)
    }
}

/// The address that is wanted: exact with `MAP_FIXED`, else a hint, rounded down to a page.
fn check_place(mut request: MmapRequest) -> Result<MmapRequest, Errno> {
    if request.flags.contains(MapFlags::MAP_FIXED_NOREPLACE) {
        request.flags |= MapFlags::MAP_FIXED;
    }
    if request.flags.contains(MapFlags::MAP_FIXED) {
        if !is_aligned(request.addr) {
            return Err(Errno::EINVAL);
        }
        range(request.addr, request.len, Errno::ENOMEM)?;
    } else {
        request.addr -= request.addr % super::PAGE;
    }
    Ok(request)
}

/// Type, flags and the file's access mode.
fn check_kind<K: Kernel>(k: &K, request: MmapRequest) -> Result<MmapRequest, Errno> {
    let kind = request.flags.map_type().ok_or(Errno::EINVAL)?;
    if request.flags.contains(MapFlags::MAP_HUGETLB) {
        // No huge pages are set aside (vm.nr_hugepages = 0).
        return Err(if request.file.is_some() {
            Errno::EINVAL
        } else {
            Errno::ENOMEM
        });
    }
    match kind {
        MapType::Droppable => {
            k.unsupported_part("mmap: MAP_DROPPABLE");
            return Err(Errno::EINVAL);
        }
        MapType::SharedValidate => check_validated(&request)?,
        MapType::Shared | MapType::Private => {}
    }
    match request.file.clone() {
        Some(file) => check_file(request, &file, kind != MapType::Private),
        // Anonymous memory has no offset.
        None if kind == MapType::SharedValidate => Err(Errno::EINVAL),
        None => Ok(MmapRequest {
            offset: 0,
            ..request
        }),
    }
}

fn check_validated(request: &MmapRequest) -> Result<(), Errno> {
    if request.flags.contains(MapFlags::MAP_SYNC) || !(request.flags - MapFlags::all()).is_empty() {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(())
}

fn check_file(request: MmapRequest, file: &Arc<File>, shared: bool) -> Result<MmapRequest, Errno> {
    match file.mapping(shared, request.prot.contains(Prot::PROT_WRITE))? {
        Mapping::Inode(_) => Ok(request),
        Mapping::Zero => {
            let flags = request.flags | MapFlags::MAP_ANONYMOUS;
            Ok(MmapRequest {
                file: None,
                offset: 0,
                flags,
                ..request
            })
        }
    }
}

/// munmap(2)
pub fn munmap<K: Kernel>(k: &K, addr: u64, len: u64) -> SysResult {
    let len = range(addr, len, Errno::EINVAL)?;
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    k.munmap(addr, len).map(|()| 0)
}
