use alloc::sync::Arc;
use linux_abi::{Advice, Errno, MapFlags, MlockallFlags, MremapFlags, MsyncFlags, Prot};
use vfs::File;

/// mmap(2), checked: the length is a page multiple and not 0, the offset a page multiple, the flags known and
/// consistent, the file's access mode fits.
#[derive(Clone)]
pub struct MmapRequest {
    /// The hint, or with `MAP_FIXED` and `MAP_FIXED_NOREPLACE` the (page-aligned) place.
    pub addr: u64,
    pub len: u64,
    pub prot: Prot,
    pub flags: MapFlags,
    /// None: anonymous. A file whose operations say `maps_zero` counts as anonymous and is not passed.
    pub file: Option<Arc<File>>,
    pub offset: u64,
}

/// mremap(2), checked like [`MmapRequest`].
#[derive(Clone, Copy, Debug)]
pub struct Remap {
    pub old_addr: u64,
    /// 0 means: a second mapping of the same (shared) pages.
    pub old_len: u64,
    pub new_len: u64,
    pub flags: MremapFlags,
    /// With `MREMAP_FIXED`.
    pub new_addr: u64,
}

/// The address space. Addresses and lengths are page multiples and inside the program's half, unless said otherwise.
pub trait Memory {
    /// The address. ENOMEM: no room, or over `RLIMIT_AS`; EEXIST: `MAP_FIXED_NOREPLACE` on something; EPERM: `MAP_FIXED`
    /// below the minimal address.
    fn mmap(&self, request: &MmapRequest) -> Result<u64, Errno>;

    /// Holes in the range are no error.
    fn munmap(&self, addr: u64, len: u64) -> Result<(), Errno>;

    /// ENOMEM if the range has a hole (what lies before it is changed), EACCES for writing a shared mapping of a file
    /// that was not opened for it. `prot` may hold `PROT_GROWSDOWN`: extend down to the mapping's start; EINVAL if it is
    /// no stack.
    fn mprotect(&self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno>;

    /// mseal(2). ENOMEM if the range has a hole.
    fn mseal(&self, addr: u64, len: u64) -> Result<(), Errno>;

    /// EFAULT if the old range is not one mapping, ENOMEM if it cannot grow in place and may not move.
    fn mremap(&self, remap: &Remap) -> Result<u64, Errno>;

    /// Has a range that shared mappings of one file cover show the file from `offset` on. EINVAL if it is none such.
    fn remap_file(&self, addr: u64, len: u64, offset: u64) -> Result<(), Errno>;

    /// ENOMEM if the range has a hole (the rest is still advised), EINVAL where the advice does not fit the mapping.
    fn madvise(&self, addr: u64, len: u64, advice: Advice) -> Result<(), Errno>;

    /// Moves the program break to `addr` (any byte) if it can; answers the break that holds then.
    fn brk(&self, addr: u64) -> u64;

    /// ENOMEM if the range has a hole, EBUSY for `MS_INVALIDATE` on locked pages.
    fn msync(&self, addr: u64, len: u64, flags: MsyncFlags) -> Result<(), Errno>;

    /// One byte for each page: bit 0 says that it is present. ENOMEM if the range has a hole.
    fn mincore(&self, addr: u64, present: &mut [u8]) -> Result<(), Errno>;

    /// Makes pages present and keeps them so. ENOMEM for a hole or beyond `RLIMIT_MEMLOCK`. `on_fault`: mlock2(2).
    fn mlock(&self, addr: u64, len: u64, on_fault: bool) -> Result<(), Errno>;

    /// ENOMEM for a hole.
    fn munlock(&self, addr: u64, len: u64) -> Result<(), Errno>;

    fn mlockall(&self, flags: MlockallFlags) -> Result<(), Errno>;

    fn munlockall(&self) -> Result<(), Errno>;

    /// Whether a mapping of the file is shared and may be written: then fcntl(2) `F_SEAL_WRITE` is EBUSY.
    fn is_mapped_writable(&self, _file: &File) -> bool {
        false
    }
}
