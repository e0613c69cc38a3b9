use crate::kernel::Time;
use crate::mock::Mock;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Errno, Itimerspec, Itimerval, Sigevent, Timespec, Timeval, Tms};

fn ts(sec: i64, nsec: i64) -> Timespec {
    Timespec { sec, nsec }
}

#[test]
fn clocks_by_number() {
    let k = Mock::new();
    let at = k.alloc(16);
    for id in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11] {
        assert_eq!(k.call("clock_gettime", [id, at]), Ok(0), "clock {id}");
        assert_eq!(k.call("clock_getres", [id, 0]), Ok(0), "clock {id}");
    }
    assert_eq!(k.call("clock_gettime", [10, at]), Err(Errno::EINVAL));
    assert_eq!(k.call("clock_gettime", [1, 8]), Err(Errno::EFAULT));
    k.call("clock_gettime", [1, at]).unwrap();
    assert_eq!(k.load::<Timespec>(at), ts(1, 0));
    // The CPU clock of a thread, as pthread_getcpuclockid(3) makes it: here of one that is not.
    let id = (!77_i32 << 3 | 6) as u32;
    assert_eq!(
        k.call("clock_gettime", [u64::from(id), at]),
        Err(Errno::EINVAL)
    );
}

#[test]
fn days_and_ticks() {
    let k = Mock::new();
    let at = k.alloc(64);
    assert_eq!(k.call("gettimeofday", [at, at + 32]), Ok(0));
    assert_eq!(
        k.load::<Timeval>(at),
        Timeval {
            sec: 1_700_000_001,
            usec: 0
        }
    );
    assert_eq!(k.call("time", [at]), Ok(1_700_000_001));
    assert_eq!(k.call("times", [at]), Ok(100));
    assert_eq!(
        k.load::<Tms>(at),
        Tms {
            utime: 150,
            stime: 25,
            cutime: 0,
            cstime: 0
        }
    );
}

#[test]
fn sleeping_takes_its_time() {
    let k = Mock::new();
    let half = k.value(&ts(0, 500_000_000));
    assert_eq!(k.call("nanosleep", [half, 0]), Ok(0));
    assert_eq!(k.host.now(), 1_500_000_000);
    let at = k.value(&ts(3, 0));
    assert_eq!(k.call("clock_nanosleep", [1, 1, at, 0]), Ok(0));
    assert_eq!(k.host.now(), 3_000_000_000);
    let bad = k.value(&ts(0, 1_000_000_000));
    assert_eq!(k.call("nanosleep", [bad, 0]), Err(Errno::EINVAL));
    assert_eq!(
        k.call("clock_nanosleep", [3, 0, half, 0]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("clock_nanosleep", [2, 0, half, 0]),
        Err(Errno::EOPNOTSUPP)
    );
}

#[test]
fn an_interrupted_sleep_tells_what_is_left() {
    let k = Mock::new();
    k.interrupted.store(true, Relaxed);
    let (wanted, left) = (k.value(&ts(2, 0)), k.alloc(16));
    assert_eq!(
        k.call("nanosleep", [wanted, left]),
        Err(Errno::ERESTARTNOHAND)
    );
    assert_eq!(k.load::<Timespec>(left), ts(2, 0));
}

#[test]
fn interval_timers() {
    let k = Mock::new();
    let new = k.value(&Itimerval {
        interval: Timeval { sec: 1, usec: 0 },
        value: Timeval { sec: 0, usec: 5 },
    });
    let old = k.alloc(32);
    assert_eq!(k.call("setitimer", [0, new, old]), Ok(0));
    assert_eq!(
        k.calls.lock()[0],
        "setitimer Real Some(Interval { value: 5000, interval: 1000000000 })"
    );
    // One nanosecond shows as one microsecond, not as "disarmed".
    assert_eq!(
        k.load::<Itimerval>(old).interval,
        Timeval { sec: 0, usec: 1 }
    );
    assert_eq!(k.call("getitimer", [2, old]), Ok(0));
    assert_eq!(k.call("getitimer", [3, old]), Err(Errno::EINVAL));
    assert_eq!(k.call("alarm", [4]), Ok(3));
}

#[test]
fn posix_timers() {
    let k = Mock::new();
    let (event, id) = (
        k.value(&Sigevent {
            value: 9,
            signo: 10,
            notify: 0,
            ..Sigevent::default()
        }),
        k.alloc(4),
    );
    assert_eq!(k.call("timer_create", [1, event, id]), Ok(0));
    assert_eq!(k.load::<i32>(id), 7);
    assert_eq!(
        k.calls.lock()[0],
        "timer_create Monotonic Signal { signal: Signal(10), value: Some(9) }"
    );
    assert_eq!(
        k.call("timer_create", [4, event, id]),
        Err(Errno::EOPNOTSUPP)
    );
    // The number cannot be stored: the timer goes again.
    assert_eq!(k.call("timer_create", [1, 0, 4]), Err(Errno::EFAULT));
    assert_eq!(k.calls.lock().last().unwrap(), "timer_delete 7");
    let bad = k.value(&Sigevent {
        notify: 99,
        signo: 1,
        ..Sigevent::default()
    });
    assert_eq!(k.call("timer_create", [1, bad, id]), Err(Errno::EINVAL));

    let (new, old) = (
        k.value(&Itimerspec {
            interval: ts(0, 0),
            value: ts(1, 1),
        }),
        k.alloc(32),
    );
    assert_eq!(k.call("timer_settime", [7, 1, new, old]), Ok(0));
    assert_eq!(k.call("timer_settime", [7, 1, 0, old]), Err(Errno::EINVAL));
    assert_eq!(k.call("timer_gettime", [7, old]), Ok(0));
    assert_eq!(k.load::<Itimerspec>(old).value, ts(1, 500_000_000));
    assert_eq!(k.call("timer_getoverrun", [7]), Ok(3));
    assert_eq!(k.call("timer_delete", [7]), Ok(0));
}

#[test]
fn the_clock_can_be_read_but_not_adjusted() {
    let k = Mock::new();
    let buf = k.alloc(208);
    assert_eq!(k.call("adjtimex", [buf]), Ok(5));
    assert_eq!(k.load::<i64>(buf + 9 * 8), 1_700_000_001);
    assert_eq!(k.call("clock_adjtime", [0, buf]), Ok(5));
    assert_eq!(k.call("clock_adjtime", [1, buf]), Err(Errno::EOPNOTSUPP));
    let set = k.value(&[1_u64; 26]);
    assert_eq!(k.call("adjtimex", [set]), Err(Errno::EPERM));
}

#[test]
fn a_sleep_that_is_made_again_ends_when_it_was_to_end() {
    let k = Mock::new();
    let second = k.value(&Timespec { sec: 1, nsec: 0 });
    let begin = k.monotonic();
    k.interrupted.store(true, Relaxed);
    for call in ["nanosleep", "clock_nanosleep", "poll"] {
        let args = match call {
            "nanosleep" => [second, 0, 0, 0],
            "clock_nanosleep" => [1, 0, second, 0],
            _ => [0, 0, 1000, 0],
        };
        assert_eq!(k.call(call, args), Err(Errno::ERESTARTNOHAND));
        k.host.advance_to(k.monotonic() + 100_000_000);
    }
    // The deadline of the first one stays, since no handler has run in between.
    k.interrupted.store(false, Relaxed);
    assert_eq!(k.call("nanosleep", [second, 0]), Ok(0));
    assert_eq!(k.monotonic() - begin, 1_000_000_000);
    assert_eq!(k.call("nanosleep", [second, 0]), Ok(0));
    assert_eq!(k.monotonic() - begin, 2_000_000_000);
}
