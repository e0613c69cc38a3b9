use crate::mock::Mock;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::general as raw;
use linux_abi::{
    EpollEvent, Errno, Itimerspec, PollEvents, Pollfd, PselectMask, SigSet, Timespec, Timeval,
};

const IN: u16 = 1;
const OUT: u16 = 4;
const FOREVER: u64 = u64::MAX;

/// Both ends of a new pipe.
fn pipe(k: &Mock) -> [u64; 2] {
    let fds = k.alloc(8);
    k.call("pipe2", [fds, 0]).unwrap();
    k.load::<[u32; 2]>(fds).map(u64::from)
}

fn write(k: &Mock, fd: u64) {
    k.call("write", [fd, k.bytes(b"x"), 1]).unwrap();
}

fn pollfd(fd: u64, events: u16) -> Pollfd {
    Pollfd {
        fd: fd as i32,
        events,
        revents: 0xffff,
    }
}

#[test]
fn pipe2_leaves_nothing_behind_when_it_fails() {
    let k = Mock::new();
    assert_eq!(k.call("pipe", [8]), Err(Errno::EFAULT));
    assert_eq!(k.call("pipe2", [k.alloc(8), 1]), Err(Errno::EINVAL));
    let [r, w] = pipe(&k);
    assert_eq!((r, w), (0, 1));
    let fds = k.alloc(8);
    assert_eq!(k.call("pipe2", [fds, u64::from(raw::O_CLOEXEC)]), Ok(0));
    assert_eq!(k.call("fcntl", [2, 1]), Ok(1));
}

#[test]
fn poll_reports_and_waits() {
    let k = Mock::new();
    let [r, w] = pipe(&k);
    let fds = k.value(&[
        pollfd(r, IN),
        pollfd(w, OUT),
        pollfd(99, IN),
        pollfd(u64::MAX, IN),
    ]);
    assert_eq!(k.call("poll", [fds, 4, FOREVER]), Ok(2));
    let revents = |at: u64| k.load::<Pollfd>(fds + 8 * at).revents;
    assert_eq!(
        (revents(0), revents(1), revents(2), revents(3)),
        (0, OUT, 0x20, 0)
    );
    assert_eq!(k.call("poll", [fds, 1, 0]), Ok(0));
    assert_eq!(k.call("poll", [fds, 1, 50]), Ok(0));
    assert_eq!(k.host.now(), 1_050_000_000);
    k.meanwhile
        .lock()
        .push(std::boxed::Box::new(move |k| write(k, w)));
    assert_eq!(k.call("poll", [fds, 1, FOREVER]), Ok(1));
    assert_eq!(revents(0), IN);
    k.call("close", [w]).unwrap();
    assert_eq!(k.call("poll", [fds, 1, FOREVER]), Ok(1));
    assert_eq!(revents(0), IN | PollEvents::POLLHUP.bits() as u16);
    assert_eq!(k.call("poll", [fds, 2000, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("poll", [8, 1, 0]), Err(Errno::EFAULT));
}

#[test]
fn ppoll_swaps_the_mask_and_updates_the_timeout() {
    let k = Mock::new();
    let [r, _] = pipe(&k);
    let fds = k.value(&pollfd(r, IN));
    let (timeout, mask) = (
        k.value(&Timespec { sec: 1, nsec: 0 }),
        k.value(&SigSet { bits: 4 }),
    );
    assert_eq!(k.call("ppoll", [fds, 1, timeout, mask, 8]), Ok(0));
    assert_eq!(k.load::<Timespec>(timeout), Timespec::default());
    assert_eq!(k.signals.mask.lock().bits, 0);
    assert_eq!(
        k.call("ppoll", [fds, 1, timeout, mask, 4]),
        Err(Errno::EINVAL)
    );
    k.interrupted.store(true, Relaxed);
    assert_eq!(
        k.call("ppoll", [fds, 1, 0, mask, 8]),
        Err(Errno::ERESTARTNOHAND)
    );
    assert_eq!(k.signals.mask.lock().bits, 4);
    let bad = k.value(&Timespec { sec: -1, nsec: 0 });
    assert_eq!(k.call("ppoll", [fds, 1, bad, 0, 0]), Err(Errno::EINVAL));
}

#[test]
fn select_answers_in_its_sets() {
    let k = Mock::new();
    let [r, w] = pipe(&k);
    let (reads, writes) = (k.value(&(1_u64 << r)), k.value(&(1_u64 << w)));
    let zero = k.value(&Timeval::default());
    assert_eq!(k.call("select", [2, reads, writes, 0, zero]), Ok(1));
    assert_eq!((k.load::<u64>(reads), k.load::<u64>(writes)), (0, 1 << w));
    write(&k, w);
    let reads = k.value(&(1_u64 << r | 1 << 60));
    // Bits from the count on do not matter; those before it must be open.
    assert_eq!(k.call("select", [2, reads, 0, 0, 0]), Ok(1));
    assert_eq!(k.load::<u64>(reads), 1 << r);
    let closed = k.value(&(1_u64 << 60));
    assert_eq!(
        k.call("select", [64, closed, 0, 0, zero]),
        Err(Errno::EBADF)
    );
    assert_eq!(
        k.call("select", [u64::MAX, 0, 0, 0, zero]),
        Err(Errno::EINVAL)
    );
    let bad = k.value(&Timeval { sec: 0, usec: -1 });
    assert_eq!(k.call("select", [0, 0, 0, 0, bad]), Err(Errno::EINVAL));
    let short = k.value(&Timeval {
        sec: 0,
        usec: 1_500_000,
    });
    assert_eq!(k.call("select", [0, 0, 0, 0, short]), Ok(0));
    assert_eq!(k.host.now(), 2_500_000_000);
    let spec = k.value(&PselectMask {
        mask: k.value(&SigSet { bits: 2 }),
        size: 8,
    });
    let time = k.value(&Timespec { sec: 1, nsec: 0 });
    assert_eq!(k.call("pselect6", [0, 0, 0, 0, time, spec]), Ok(0));
    assert_eq!(k.host.now(), 3_500_000_000);
}

#[test]
fn epoll_from_creation_to_report() {
    let k = Mock::new();
    let [r, w] = pipe(&k);
    let ep = k
        .call("epoll_create1", [u64::from(raw::EPOLL_CLOEXEC)])
        .unwrap() as u64;
    assert_eq!(k.call("epoll_create1", [1]), Err(Errno::EINVAL));
    assert_eq!(k.call("epoll_create", [0]), Err(Errno::EINVAL));
    let event = k.value(&EpollEvent {
        events: 1,
        data: 0x1122_3344_5566_7788,
    });
    assert_eq!(k.call("epoll_ctl", [ep, 1, r, event]), Ok(0));
    assert_eq!(k.call("epoll_ctl", [ep, 1, r, event]), Err(Errno::EEXIST));
    assert_eq!(k.call("epoll_ctl", [ep, 1, 99, event]), Err(Errno::EBADF));
    assert_eq!(k.call("epoll_ctl", [r, 1, w, event]), Err(Errno::EINVAL));
    let file = k.open("/f", raw::O_CREAT) as u64;
    assert_eq!(k.call("epoll_ctl", [ep, 1, file, event]), Err(Errno::EPERM));
    let out = k.alloc(120);
    assert_eq!(k.call("epoll_wait", [ep, out, 10, 0]), Ok(0));
    assert_eq!(k.call("epoll_wait", [ep, out, 10, 100]), Ok(0));
    k.meanwhile
        .lock()
        .push(std::boxed::Box::new(move |k| write(k, w)));
    assert_eq!(k.call("epoll_wait", [ep, out, 10, FOREVER]), Ok(1));
    assert_eq!(
        k.load::<EpollEvent>(out),
        EpollEvent {
            events: 1,
            data: 0x1122_3344_5566_7788
        }
    );
    assert_eq!(k.call("epoll_wait", [ep, out, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("epoll_wait", [r, out, 1, 0]), Err(Errno::EINVAL));
    assert_eq!(
        k.call(
            "epoll_pwait",
            [ep, out, 10, 0, k.value(&SigSet { bits: 2 }), 8]
        ),
        Ok(1)
    );
    let second = k.value(&Timespec { sec: 1, nsec: 0 });
    assert_eq!(k.call("epoll_ctl", [ep, 2, r, 0]), Ok(0));
    assert_eq!(k.call("epoll_pwait2", [ep, out, 10, second, 0, 0]), Ok(0));
    k.interrupted.store(true, Relaxed);
    assert_eq!(
        k.call("epoll_wait", [ep, out, 10, FOREVER]),
        Err(Errno::ERESTARTNOHAND)
    );
}

#[test]
fn counters_and_timers_as_descriptors() {
    let k = Mock::new();
    let fd = k.call("eventfd2", [3, 1]).unwrap() as u64;
    let buf = k.alloc(8);
    assert_eq!(k.call("read", [fd, buf, 8]), Ok(8));
    assert_eq!(k.load::<u64>(buf), 1);
    assert_eq!(k.call("read", [fd, buf, 7]), Err(Errno::EINVAL));
    // One write of two counters adds the first only.
    let two = k.value(&[5_u64, 6]);
    assert_eq!(k.call("write", [fd, two, 16]), Ok(8));
    assert_eq!(k.call("eventfd2", [0, 2]), Err(Errno::EINVAL));
    assert!(k.call("eventfd", [0]).is_ok());

    let timer = k
        .call("timerfd_create", [1, u64::from(raw::TFD_NONBLOCK)])
        .unwrap() as u64;
    assert_eq!(k.call("timerfd_create", [2, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("timerfd_create", [1, 1]), Err(Errno::EINVAL));
    let tick = Timespec { sec: 0, nsec: 100 };
    let new = k.value(&Itimerspec {
        interval: tick,
        value: Timespec { sec: 1, nsec: 0 },
    });
    let old = k.alloc(32);
    assert_eq!(k.call("timerfd_settime", [timer, 0, new, old]), Ok(0));
    assert_eq!(k.call("timerfd_gettime", [timer, old]), Ok(0));
    assert_eq!(
        k.load::<Itimerspec>(old).value,
        Timespec { sec: 1, nsec: 0 }
    );
    assert_eq!(k.call("read", [timer, buf, 8]), Err(Errno::EAGAIN));
    k.host.advance_to(2_000_000_050);
    assert_eq!(k.call("read", [timer, buf, 8]), Ok(8));
    assert_eq!(k.load::<u64>(buf), 1);
    assert_eq!(
        k.call("timerfd_settime", [timer, 8, new, 0]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("timerfd_settime", [fd, 0, new, 0]),
        Err(Errno::EINVAL)
    );
}

#[test]
fn signalfd_checks_before_it_asks_the_kernel() {
    let k = Mock::new();
    let mask = k.value(&SigSet { bits: 1 });
    assert_eq!(
        k.call("signalfd4", [FOREVER, mask, 4, 0]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("signalfd4", [FOREVER, mask, 8, 1]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("signalfd", [99, mask, 8]), Err(Errno::EBADF));
    let [r, _] = pipe(&k);
    assert_eq!(k.call("signalfd4", [r, mask, 8, 0]), Err(Errno::EINVAL));
}
