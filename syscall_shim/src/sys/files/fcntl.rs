use super::locks::{Command, record};
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::sync::Arc;
use linux_abi::raw::general as raw;
use linux_abi::{Capability, Errno, FownerEx, SealFlags, Signal, SysResult};
use vfs::{File, PipeEnd};

const FD_CLOEXEC: u64 = 1;
const F_OWNER_PID: i32 = 1;
const F_SETPIPE_SZ: u32 = raw::F_SETPIPE_SZ;

/// fcntl(2)
pub fn fcntl<K: Kernel>(k: &K, fd: Fd, cmd: u32, arg: u64) -> SysResult {
    let table = k.files();
    match cmd {
        raw::F_GETFD => return table.cloexec(fd).map(usize::from),
        raw::F_SETFD => return table.set_cloexec(fd, arg & FD_CLOEXEC != 0).map(|()| 0),
        _ => {}
    }
    let file = table.get(fd)?;
    match cmd {
        raw::F_DUPFD => table
            .insert_from(arg as i32, file, false)
            .map(|fd| fd as usize),
        raw::F_DUPFD_CLOEXEC => table
            .insert_from(arg as i32, file, true)
            .map(|fd| fd as usize),
        raw::F_DUPFD_QUERY => Ok(usize::from(Arc::ptr_eq(&file, &table.get(arg as i32)?))),
        raw::F_GETFL => Ok(file.flags() as usize),
        // What a descriptor opened with O_PATH is good for ends here.
        _ if file.is_path() => Err(Errno::EBADF),
        raw::F_SETFL => file.set_flags(arg as u32).map(|()| 0),
        raw::F_GETLK => record(k, &file, Command::Get, false, UserPtr::new(arg)),
        raw::F_SETLK => record(k, &file, Command::Set, false, UserPtr::new(arg)),
        raw::F_SETLKW => record(k, &file, Command::SetWait, false, UserPtr::new(arg)),
        raw::F_OFD_GETLK => record(k, &file, Command::Get, true, UserPtr::new(arg)),
        raw::F_OFD_SETLK => record(k, &file, Command::Set, true, UserPtr::new(arg)),
        raw::F_OFD_SETLKW => record(k, &file, Command::SetWait, true, UserPtr::new(arg)),
        raw::F_GETPIPE_SZ | F_SETPIPE_SZ => pipe_size(k, &file, cmd, arg),
        raw::F_GET_SEALS => file.inode().seals().map(|seals| seals as usize),
        raw::F_ADD_SEALS => add_seals(k, &file, arg),
        raw::F_GET_RW_HINT | raw::F_GET_FILE_RW_HINT => {
            UserPtr::new(arg).write(k, &0_u64).map(|()| 0)
        }
        raw::F_SET_RW_HINT | raw::F_SET_FILE_RW_HINT => set_hint(k, arg),
        raw::F_GETLEASE => Ok(raw::F_UNLCK as usize),
        raw::F_GETOWN => Ok(file.owner() as usize),
        raw::F_SETOWN => set_owner(k, &file, arg as i32),
        raw::F_GETOWN_EX => {
            let pid = file.owner();
            let owner = FownerEx {
                type_: F_OWNER_PID,
                pid,
            };
            UserPtr::new(arg).write(k, &owner).map(|()| 0)
        }
        raw::F_SETOWN_EX => {
            let owner = UserPtr::<FownerEx>::new(arg).read(k)?;
            match owner.type_ {
                F_OWNER_PID if owner.pid >= 0 => set_owner(k, &file, owner.pid),
                F_OWNER_PID => Err(Errno::EINVAL),
                _ => signal_driven(k, cmd, arg),
            }
        }
        _ => signal_driven(k, cmd, arg),
    }
}

/// `F_SETOWN`: the process that is sent SIGIO.
fn set_owner<K: Kernel>(k: &K, file: &File, pid: i32) -> SysResult {
    if pid < 0 {
        k.unsupported_part("fcntl: F_SETOWN to a process group");
        return Err(Errno::EINVAL);
    }
    let waker = if pid == 0 {
        None
    } else {
        Some(k.io_signal(pid)?)
    };
    file.set_owner(pid, waker);
    Ok(0)
}

/// The signal of signal-driven I/O is SIGIO; another one is not offered.
fn signal_driven<K: Kernel>(k: &K, cmd: u32, arg: u64) -> SysResult {
    let what = match cmd {
        raw::F_GETSIG => return Ok(0),
        raw::F_SETSIG if arg == 0 => return Ok(0),
        raw::F_SETSIG if Signal::new(arg).is_err() => return Err(Errno::EINVAL),
        raw::F_SETSIG | raw::F_SETOWN_EX => {
            "fcntl: signal-driven I/O by another signal, or to a thread or group"
        }
        raw::F_SETLEASE => "fcntl: leases",
        raw::F_NOTIFY => "fcntl: F_NOTIFY",
        _ => return Err(Errno::EINVAL),
    };
    k.unsupported_part(what);
    Err(Errno::EINVAL)
}

fn pipe_size<K: Kernel>(k: &K, file: &File, cmd: u32, arg: u64) -> SysResult {
    let pipe = file.ops_as::<PipeEnd>().ok_or(Errno::EBADF)?;
    if cmd != F_SETPIPE_SZ {
        return Ok(pipe.capacity());
    }
    let privileged = k
        .process()
        .with_identity(|id| id.can(Capability::SYS_RESOURCE));
    pipe.set_capacity(arg as u32 as usize, privileged)
}

fn add_seals<K: Kernel>(k: &K, file: &File, arg: u64) -> SysResult {
    let seals = u32::try_from(arg)
        .ok()
        .and_then(SealFlags::from_bits)
        .ok_or(Errno::EINVAL)?;
    if !file.is_writable() {
        return Err(Errno::EPERM);
    }
    if seals.contains(SealFlags::F_SEAL_WRITE) && k.is_mapped_writable(file) {
        return Err(Errno::EBUSY);
    }
    file.inode().add_seals(seals.bits()).map(|()| 0)
}

/// A hint about how long data lives, of which there are six.
fn set_hint<K: Kernel>(k: &K, arg: u64) -> SysResult {
    const LIFE_EXTREME: u64 = 5;
    if UserPtr::<u64>::new(arg).read(k)? <= LIFE_EXTREME {
        Ok(0)
    } else {
        Err(Errno::EINVAL)
    }
}
