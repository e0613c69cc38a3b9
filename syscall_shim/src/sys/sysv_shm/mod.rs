//! System V's shared memory.
use crate::kernel::{Kernel, MmapRequest};
use crate::sys::sysv::{Caller, READ, WRITE, perm};
use crate::user::UserPtr;
use linux_abi::{
    Errno, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, MapFlags, PAGE_SIZE, Prot, SHM_EXEC, SHM_HUGETLB,
    SHM_INFO, SHM_LOCK, SHM_RDONLY, SHM_REMAP, SHM_RND, SHM_STAT, SHM_STAT_ANY, SHM_UNLOCK,
    ShmInfo, ShmidDs, Shminfo, SysResult,
};
use vfs::sysv::{SHMMNI, ShmSegment, shm_segments};

/// The largest segment, as /proc/sys/kernel/shmmax has it.
const SHMMAX: u64 = u64::MAX - (1 << 24);
const PAGE: u64 = PAGE_SIZE as u64;

/// shmget(2)
pub fn shmget<K: Kernel>(k: &K, key: i32, size: usize, flags: u32) -> SysResult {
    let caller = Caller::new(k)?;
    let size = size as u64;
    if flags & SHM_HUGETLB != 0 {
        k.unsupported_part("shmget: SHM_HUGETLB");
        return Err(Errno::ENOSYS);
    }
    let large_enough = |segment: &ShmSegment| {
        if size > segment.size() {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    };
    let make = |key| {
        if size == 0 || size > SHMMAX {
            return Err(Errno::EINVAL);
        }
        ShmSegment::new(k.memfd_store(), &caller.get(), key, size, flags).map_err(|errno| {
            if errno == Errno::EFBIG {
                Errno::ENOMEM
            } else {
                errno
            }
        })
    };
    let id = shm_segments().get(&caller.get(), key, flags, large_enough, make)?;
    Ok(id as usize)
}

/// Where shmat(2) is to map: the address (0 for anywhere) and how to treat what is there.
fn place(addr: u64, flags: u32) -> Result<(u64, MapFlags), Errno> {
    if addr == 0 {
        return if flags & SHM_REMAP != 0 {
            Err(Errno::EINVAL)
        } else {
            Ok((0, MapFlags::MAP_SHARED))
        };
    }
    let aligned = addr - addr % PAGE;
    if addr != aligned && flags & SHM_RND == 0 || (aligned == 0 && flags & SHM_REMAP != 0) {
        return Err(Errno::EINVAL);
    }
    let how = if flags & SHM_REMAP != 0 {
        MapFlags::MAP_FIXED
    } else {
        MapFlags::MAP_FIXED_NOREPLACE
    };
    Ok((aligned, MapFlags::MAP_SHARED | how))
}

/// shmat(2)
pub fn shmat<K: Kernel>(k: &K, id: i32, addr: u64, flags: u32) -> SysResult {
    let caller = Caller::new(k)?;
    let (addr, map) = place(addr, flags)?;
    let segment = shm_segments().find(id)?;
    let read_only = flags & SHM_RDONLY != 0;
    let mut prot = Prot::PROT_READ;
    let mut wanted = READ;
    if !read_only {
        prot |= Prot::PROT_WRITE;
        wanted |= WRITE;
    }
    if flags & SHM_EXEC != 0 {
        prot |= Prot::PROT_EXEC;
        wanted |= 0o111;
    }
    segment.stat().0.check(caller.get().cred, wanted)?;
    let mapped = k
        .mmap(&MmapRequest {
            addr,
            len: segment.size().next_multiple_of(PAGE),
            prot,
            flags: map,
            file: Some(segment.file(read_only).clone()),
            offset: 0,
        })
        .map_err(|errno| match errno {
            Errno::EEXIST => Errno::EINVAL,
            errno => errno,
        })?;
    segment.attached(&caller.get(), mapped);
    Ok(mapped as usize)
}

/// shmdt(2)
pub fn shmdt<K: Kernel>(k: &K, addr: u64) -> SysResult {
    let caller = Caller::new(k)?;
    let size = shm_segments().detach(&caller.get(), addr)?;
    k.munmap(addr, size.next_multiple_of(PAGE))?;
    Ok(0)
}

fn describe(id: i32, segment: &ShmSegment) -> ShmidDs {
    let (owner, stat) = segment.stat();
    ShmidDs {
        perm: perm(id, shm_segments().key(id), owner),
        segsz: stat.size,
        atime: stat.atime,
        dtime: stat.dtime,
        ctime: stat.ctime,
        cpid: stat.cpid,
        lpid: stat.lpid,
        nattch: stat.attached,
        ..ShmidDs::default()
    }
}

/// shmctl(2)
pub fn shmctl<K: Kernel>(k: &K, id: i32, cmd: u32, buf: u64) -> SysResult {
    let caller = Caller::new(k)?;
    let table = shm_segments();
    match cmd {
        IPC_INFO | SHM_INFO => return limits(k, cmd, buf),
        SHM_STAT | SHM_STAT_ANY => {
            let (id, segment) = table.at(id)?;
            if cmd == SHM_STAT {
                segment.stat().0.check(caller.get().cred, READ)?;
            }
            UserPtr::new(buf).write(k, &describe(id, &segment))?;
            return Ok(id as usize);
        }
        _ => {}
    }
    let segment = table.find(id)?;
    match cmd {
        IPC_STAT => {
            segment.stat().0.check(caller.get().cred, READ)?;
            UserPtr::new(buf).write(k, &describe(id, &segment))?;
        }
        IPC_SET => {
            let new = UserPtr::<ShmidDs>::new(buf).read(k)?.perm;
            segment.change(&caller.get(), new.uid, new.gid, new.mode)?;
        }
        IPC_RMID => {
            if segment.doom(&caller.get())? {
                table.remove(id);
            } else {
                table.forget_key(id);
            }
        }
        // Nothing is ever paged out.
        SHM_LOCK | SHM_UNLOCK => segment.stat().0.check_owner(caller.get().cred)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// `IPC_INFO` and `SHM_INFO`: the highest slot in use.
fn limits<K: Kernel>(k: &K, cmd: u32, buf: u64) -> SysResult {
    let (all, highest) = shm_segments().all();
    if cmd == IPC_INFO {
        let answer = Shminfo {
            shmmax: SHMMAX,
            shmmin: 1,
            shmmni: SHMMNI as u64,
            shmseg: SHMMNI as u64,
            shmall: SHMMAX,
            ..Shminfo::default()
        };
        UserPtr::new(buf).write(k, &answer)?;
    } else {
        let pages = |bytes: u64| bytes.div_ceil(PAGE);
        let resident = all
            .iter()
            .map(|(_, _, one)| one.file(false).metadata().blocks * 512);
        let answer = ShmInfo {
            used_ids: all.len() as i32,
            shm_tot: all.iter().map(|(_, _, one)| pages(one.size())).sum(),
            shm_rss: resident.map(pages).sum(),
            ..ShmInfo::default()
        };
        UserPtr::new(buf).write(k, &answer)?;
    }
    Ok(highest)
}
