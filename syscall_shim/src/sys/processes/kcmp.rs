use crate::Fd;
use crate::kernel::{Kernel, ObjectKind};
use crate::user::UserPtr;
use alloc::sync::Arc;
use core::cmp::Ordering;
use linux_abi::{Errno, KcmpEpollSlot, SysResult};
use vfs::{Epoll, File};

/// `enum kcmp_type`.
const KCMP_FILE: i32 = 0;
const KCMP_VM: i32 = 1;
const KCMP_FILES: i32 = 2;
const KCMP_FS: i32 = 3;
const KCMP_SIGHAND: i32 = 4;
const KCMP_IO: i32 = 5;
const KCMP_SYSVSEM: i32 = 6;
const KCMP_EPOLL_TFD: i32 = 7;

/// kcmp(2)
pub fn kcmp<K: Kernel>(k: &K, pid1: i32, pid2: i32, kind: i32, idx1: u64, idx2: u64) -> SysResult {
    for pid in [pid1, pid2] {
        // 0 is no process here.
        if pid <= 0 {
            return Err(Errno::ESRCH);
        }
        k.may_inspect(pid)?;
    }
    let objects = |kind| Ok(order(k.object_of(pid1, kind)?, k.object_of(pid2, kind)?));
    match kind {
        KCMP_FILE => {
            let one = k.file_of(pid1, idx1 as Fd)?;
            let other = k.file_of(pid2, idx2 as Fd)?;
            Ok(order(address(&one), address(&other)))
        }
        KCMP_VM => objects(ObjectKind::Memory),
        KCMP_FILES => objects(ObjectKind::Files),
        KCMP_FS => objects(ObjectKind::Directories),
        KCMP_SIGHAND => objects(ObjectKind::SignalActions),
        // Nobody has an I/O context: there are no priorities.
        KCMP_IO => Ok(0),
        KCMP_SYSVSEM => objects(ObjectKind::SemaphoreUndo),
        KCMP_EPOLL_TFD => {
            let slot: KcmpEpollSlot = UserPtr::new(idx2).read(k)?;
            let file = k.file_of(pid1, idx1 as Fd)?;
            let epoll = k.file_of(pid2, slot.efd as Fd)?;
            let epoll = epoll.ops_as::<Epoll>().ok_or(Errno::EINVAL)?;
            let target = epoll.target(slot.tfd as Fd, slot.toff as usize);
            Ok(order(address(&file), target.ok_or(Errno::ENOENT)?))
        }
        _ => Err(Errno::EINVAL),
    }
}

fn address(file: &Arc<File>) -> usize {
    Arc::as_ptr(file).addr()
}

fn order(one: usize, other: usize) -> usize {
    match one.cmp(&other) {
        Ordering::Equal => 0,
        Ordering::Less => 1,
        Ordering::Greater => 2,
    }
}
