use crate::Fd;
use crate::kernel::{Interval, Kernel};
use crate::sys::time::{clock_from_id, interval_of, itimerspec};
use crate::user::UserPtr;
use linux_abi::{Errno, FdFlags, Itimerspec, SysResult, TimerfdFlags};
use vfs::{TimerFd, TimerSpec};

/// timerfd_create(2)
pub fn timerfd_create<K: Kernel>(k: &K, clockid: u32, flags: u32) -> SysResult {
    let flags = FdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    clock_from_id(clockid)?;
    let file = vfs::timerfd(&k.host(), clockid, flags.bits())?;
    let fd = k.files().insert(file, flags.contains(FdFlags::CLOEXEC))?;
    Ok(fd as usize)
}

fn seen(spec: TimerSpec) -> Itimerspec {
    itimerspec(Interval {
        value: spec.value,
        interval: spec.interval,
    })
}

/// timerfd_settime(2)
pub fn timerfd_settime<K: Kernel>(
    k: &K,
    fd: Fd,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> SysResult {
    let new = new.read(k)?;
    let flags = TimerfdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let Interval { value, interval } = interval_of(&new)?;
    let file = k.files().get(fd)?;
    let timer = file.ops_as::<TimerFd>().ok_or(Errno::EINVAL)?;
    let before = timer.set(flags.bits(), TimerSpec { value, interval })?;
    old.write_if(k, &seen(before))?;
    Ok(0)
}

/// timerfd_gettime(2)
pub fn timerfd_gettime<K: Kernel>(k: &K, fd: Fd, value: UserPtr<Itimerspec>) -> SysResult {
    let file = k.files().get(fd)?;
    let timer = file.ops_as::<TimerFd>().ok_or(Errno::EINVAL)?;
    value.write(k, &seen(timer.get()))?;
    Ok(0)
}
