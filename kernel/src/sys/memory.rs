//! mmap(2) and its kin, on the address space.

use super::Caller;
use crate::mm::fault::Access;
use crate::mm::frame;
use crate::mm::layout::{PAGE, is_user_range};
use crate::mm::lock::Lock;
use crate::mm::map::{Backing, FileBacking, OnFork};
use crate::mm::space::{AddressSpace, At, file_backing};
use crate::task;
use alloc::sync::Arc;
use linux_abi::{
    Advice, Capability, Errno, MapFlags, MlockallFlags, MremapFlags, MsyncFlags, Prot,
};
use syscall_shim::kernel::{Files, Memory, MmapRequest, Remap};
use syscall_shim::state::Resource;
use vfs::{File, InodeRef, Mapping};

fn space() -> &'static Arc<AddressSpace> {
    task::current_space()
}

fn range(addr: u64, len: u64) -> core::ops::Range<u64> {
    addr..addr.saturating_add(len)
}

impl Caller<'_> {
    /// RLIMIT_AS.
    fn check_limit(&self, more: u64) -> Result<(), Errno> {
        let limit = self
            .thread()
            .process
            .state
            .limits
            .lock()
            .current(Resource::AS);
        let (_, mapped) = space().usage();
        if mapped.saturating_add(more) > limit {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }

    /// RLIMIT_MEMLOCK, which does not bind who has `CAP_IPC_LOCK`.
    fn check_lock_limit(&self, locked: u64) -> Result<(), Errno> {
        let state = &self.thread().process.state;
        let limit = state.limits.lock().current(Resource::MEMLOCK);
        match limit {
            _ if state.with_identity(|id| id.can(Capability::IPC_LOCK)) => Ok(()),
            0 => Err(Errno::EPERM),
            _ if locked > limit => Err(Errno::ENOMEM),
            _ => Ok(()),
        }
    }

    /// Overcommit, as Linux's heuristic: refuses what is obviously more than there will ever be, unless it says that it is only a
    /// reservation.
    fn check_commit(request: &MmapRequest) -> Result<(), Errno> {
        let reserved = request.flags.contains(MapFlags::MAP_NORESERVE)
            || !request.prot.contains(Prot::PROT_WRITE);
        let (_, total) = frame::counts();
        if !reserved && request.len / PAGE > total {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }

    fn backing(&self, request: &MmapRequest) -> Result<Backing, Errno> {
        let shared = request.flags.contains(MapFlags::MAP_SHARED);
        let Some(file) = &request.file else {
            return if shared {
                self.shared_anonymous(request.len)
            } else {
                Ok(Backing::Anonymous)
            };
        };
        match file.mapping(shared, request.prot.contains(Prot::PROT_WRITE))? {
            Mapping::Inode(inode) => Ok(file_backing(file, inode, shared, request.offset)),
            Mapping::Zero if shared => self.shared_anonymous(request.len),
            Mapping::Zero => Ok(Backing::Anonymous),
        }
    }

    /// Shared anonymous memory is a file without a name.
    fn shared_anonymous(&self, len: u64) -> Result<Backing, Errno> {
        let inode = self.memfd_store().shared_memory(len)?;
        Ok(Backing::File {
            file: Arc::new(FileBacking {
                inode,
                place: None,
                shared: true,
                may_write: true,
            }),
            offset: 0,
        })
    }
}

impl Memory for Caller<'_> {
    fn mmap(&self, request: &MmapRequest) -> Result<u64, Errno> {
        self.check_limit(request.len)?;
        Self::check_commit(request)?;
        let flags = request.flags;
        let at = if flags.contains(MapFlags::MAP_FIXED_NOREPLACE) {
            At::FixedNoReplace(request.addr)
        } else if flags.contains(MapFlags::MAP_FIXED) {
            At::Fixed(request.addr)
        } else {
            At::Anywhere {
                hint: request.addr,
                below_4g: flags.contains(MapFlags::MAP_32BIT),
            }
        };
        let backing = self.backing(request)?;
        space().map(at, request.len, request.prot, backing, flags)
    }

    fn munmap(&self, addr: u64, len: u64) -> Result<(), Errno> {
        space().unmap(range(addr, len))
    }

    fn mprotect(&self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        let mut range = range(addr, len);
        if prot.contains(Prot::PROT_GROWSDOWN) {
            let inner = space().lock();
            let area = inner
                .areas
                .find(addr)
                .filter(|area| area.stack)
                .ok_or(Errno::EINVAL)?;
            range.start = area.start;
        }
        space().protect(
            range,
            prot & (Prot::PROT_READ | Prot::PROT_WRITE | Prot::PROT_EXEC),
        )
    }

    fn mseal(&self, addr: u64, len: u64) -> Result<(), Errno> {
        space().seal(range(addr, len))
    }

    fn mremap(&self, remap: &Remap) -> Result<u64, Errno> {
        self.check_limit(remap.new_len.saturating_sub(remap.old_len))?;
        let to = remap
            .flags
            .contains(MremapFlags::MREMAP_FIXED)
            .then_some(remap.new_addr);
        let may_move = remap.flags.contains(MremapFlags::MREMAP_MAYMOVE);
        if remap.old_len == 0 || remap.flags.contains(MremapFlags::MREMAP_DONTUNMAP) {
            syscall_shim::Kernel::unsupported_part(self, "mremap: old size 0 and MREMAP_DONTUNMAP");
            return Err(Errno::EINVAL);
        }
        space().remap(
            range(remap.old_addr, remap.old_len),
            remap.new_len,
            may_move,
            to,
            false,
        )
    }

    fn remap_file(&self, addr: u64, len: u64, offset: u64) -> Result<(), Errno> {
        space().remap_file(range(addr, len), offset)
    }

    fn madvise(&self, addr: u64, len: u64, advice: Advice) -> Result<(), Errno> {
        let range = range(addr, len);
        if !is_user_range(addr, len) {
            return Err(Errno::ENOMEM);
        }
        match advice {
            Advice::DontNeed | Advice::Free => space().discard(range, false),
            Advice::DontNeedLocked => space().discard(range, true),
            Advice::PopulateRead | Advice::PopulateWrite => {
                let access = if advice == Advice::PopulateWrite {
                    Access::Write
                } else {
                    Access::Read
                };
                if space().prepare(addr, len, access) == len {
                    Ok(())
                } else {
                    Err(Errno::ENOMEM)
                }
            }
            Advice::Remove => Err(Errno::EINVAL),
            Advice::DontFork => space().set_on_fork(range, OnFork::Omit),
            Advice::WipeOnFork => space().set_on_fork(range, OnFork::Wipe),
            Advice::DoFork | Advice::KeepOnFork => space().set_on_fork(range, OnFork::Keep),
            // The rest are hints about what a cache would do.
            _ => {
                if space().lock().areas.covers(range) {
                    Ok(())
                } else {
                    Err(Errno::ENOMEM)
                }
            }
        }
    }

    fn brk(&self, addr: u64) -> u64 {
        space().brk(addr)
    }

    fn msync(&self, addr: u64, len: u64, _flags: MsyncFlags) -> Result<(), Errno> {
        if is_user_range(addr, len) && space().lock().areas.covers(range(addr, len)) {
            Ok(())
        } else {
            Err(Errno::ENOMEM)
        }
    }

    fn mincore(&self, addr: u64, present: &mut [u8]) -> Result<(), Errno> {
        let len = present.len() as u64 * PAGE;
        let inner = space().lock();
        if !is_user_range(addr, len) || !inner.areas.covers(range(addr, len)) {
            return Err(Errno::ENOMEM);
        }
        for (i, slot) in present.iter_mut().enumerate() {
            *slot = u8::from(inner.table.get(addr + i as u64 * PAGE).is_some());
        }
        Ok(())
    }

    fn mlock(&self, addr: u64, len: u64, on_fault: bool) -> Result<(), Errno> {
        let range = range(addr, len);
        let (_, then) = space().locked(range.clone());
        self.check_lock_limit(then)?;
        let lock = if on_fault { Lock::OnFault } else { Lock::Now };
        space().lock_range(range, lock)
    }

    fn munlock(&self, addr: u64, len: u64) -> Result<(), Errno> {
        space().unlock_range(range(addr, len))
    }

    fn mlockall(&self, flags: MlockallFlags) -> Result<(), Errno> {
        let lock = if flags.contains(MlockallFlags::MCL_ONFAULT) {
            Lock::OnFault
        } else {
            Lock::Now
        };
        let when = |flag| flags.contains(flag).then_some(lock);
        let current = when(MlockallFlags::MCL_CURRENT);
        if current.is_some() {
            let (_, mapped) = space().usage();
            self.check_lock_limit(mapped)?;
        }
        space().lock_all(current, when(MlockallFlags::MCL_FUTURE));
        Ok(())
    }

    fn munlockall(&self) -> Result<(), Errno> {
        space().unlock_all();
        Ok(())
    }

    fn is_mapped_writable(&self, file: &File) -> bool {
        let same = |other: &InodeRef| Arc::ptr_eq(other, file.inode());
        let inner = space().lock();
        inner.areas.iter().any(|area| match &area.backing {
            Backing::File { file, .. } => file.shared && file.may_write && same(&file.inode),
            _ => false,
        })
    }
}
