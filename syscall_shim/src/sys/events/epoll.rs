use super::timeout::Timeout;
use crate::Fd;
use crate::kernel::Kernel;
use crate::sys::signals::with_sigmask;
use crate::user::UserPtr;
use linux_abi::raw::general::EPOLL_CTL_DEL;
use linux_abi::{EpollEvent, Errno, FdFlags, SigSet, SysResult, Timespec};
use vfs::{Epoll, File};

/// epoll_create(2): the size is a relic, but has to be positive.
pub fn epoll_create<K: Kernel>(k: &K, size: i32) -> SysResult {
    if size <= 0 {
        Err(Errno::EINVAL)
    } else {
        epoll_create1(k, 0)
    }
}

/// epoll_create1(2)
pub fn epoll_create1<K: Kernel>(k: &K, flags: u32) -> SysResult {
    if flags & !FdFlags::CLOEXEC.bits() != 0 {
        return Err(Errno::EINVAL);
    }
    let file = vfs::epoll(flags)?;
    k.files().insert(file, flags != 0).map(|fd| fd as usize)
}

/// epoll_ctl(2)
pub fn epoll_ctl<K: Kernel>(
    k: &K,
    epfd: Fd,
    op: u32,
    fd: Fd,
    event: UserPtr<EpollEvent>,
) -> SysResult {
    let event = if op == EPOLL_CTL_DEL {
        EpollEvent::default()
    } else {
        event.read(k)?
    };
    let instance = k.files().get(epfd)?;
    let target = k.files().get(fd)?;
    if target.is_path() {
        return Err(Errno::EBADF);
    }
    if !target.is_pollable() {
        return Err(Errno::EPERM);
    }
    let event = vfs::EpollEvent {
        events: event.events,
        data: event.data,
    };
    epoll_of(&instance)?.ctl(op, fd, &target, event).map(|()| 0)
}

fn epoll_of(file: &File) -> Result<&Epoll, Errno> {
    file.ops_as().ok_or(Errno::EINVAL)
}

/// epoll_wait(2)
pub fn epoll_wait<K: Kernel>(
    k: &K,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    maxevents: i32,
    timeout: i32,
) -> SysResult {
    let timeout = Timeout::from_ms(k, timeout);
    wait_until(k, epfd, events, maxevents, timeout)
}

/// epoll_pwait(2)
pub fn epoll_pwait<K: Kernel>(
    k: &K,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    maxevents: i32,
    timeout: i32,
    sigmask: UserPtr<SigSet>,
    size: usize,
) -> SysResult {
    let timeout = Timeout::from_ms(k, timeout);
    with_sigmask(k, sigmask, size, || {
        wait_until(k, epfd, events, maxevents, timeout)
    })
}

/// epoll_pwait2(2)
pub fn epoll_pwait2<K: Kernel>(
    k: &K,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    maxevents: i32,
    timeout: UserPtr<Timespec>,
    sigmask: UserPtr<SigSet>,
    size: usize,
) -> SysResult {
    let timeout = Timeout::from_timespec(k, timeout)?;
    with_sigmask(k, sigmask, size, || {
        wait_until(k, epfd, events, maxevents, timeout)
    })
}

fn wait_until<K: Kernel>(
    k: &K,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    maxevents: i32,
    timeout: Timeout,
) -> SysResult {
    const LARGEST: usize = i32::MAX as usize / size_of::<EpollEvent>();
    let max = usize::try_from(maxevents)
        .ok()
        .filter(|max| (1..=LARGEST).contains(max))
        .ok_or(Errno::EINVAL)?;
    if !k.access_ok(events.addr(), (max * size_of::<EpollEvent>()) as u64) {
        return Err(Errno::EFAULT);
    }
    let file = k.files().get(epfd)?;
    let epoll = epoll_of(&file)?;
    let collect = || {
        let mut count = 0;
        epoll.collect(max, &mut |event| {
            events.at(count).write(
                k,
                &EpollEvent {
                    events: event.events,
                    data: event.data,
                },
            )?;
            count += 1;
            Ok(())
        })
    };
    k.look();
    let mut answer = collect();
    let Some(list) = file
        .wait_list()
        .filter(|_| answer == Ok(0) && !timeout.is_zero())
    else {
        return answer;
    };
    k.wait(&[list], timeout.deadline(), &mut || {
        answer = collect();
        answer != Ok(0)
    })
    .map_err(|errno| timeout.interrupted(k, errno))?;
    answer
}
