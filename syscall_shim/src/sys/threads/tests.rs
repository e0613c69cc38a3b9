use crate::mock::Mock;
use linux_abi::{CloneArgs, Errno, FutexWaitv, SchedAttr, Timespec};

/// What pthread_create(3) passes.
const THREAD: u64 = 0x3d_0f00;

#[test]
fn clone_passes_a_thread_on() {
    let k = Mock::new();
    assert_eq!(k.call("clone", [THREAD, 0x8000, 1, 2, 3]), Ok(43));
    let asked = k.calls.lock()[0].clone();
    assert!(
        asked.contains("stack: Some(32768)")
            && asked.contains("tls: 3")
            && asked.contains("exit_signal: None")
    );
    assert_eq!(k.call("clone", [0x1_0000, 0, 0, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(
        k.call("clone", [0x1000_0000 | 17, 0, 0, 0, 0]),
        Err(Errno::EPERM)
    );
    assert_eq!(*k.complaints.lock(), ["clone: new namespaces"]);
    assert_eq!(k.call("clone", [17, 0, 0, 0, 0]), Ok(43));
    assert!(k.calls.lock()[1].contains("exit_signal: Some(Signal(17))"));
}

#[test]
fn clone3_checks_its_structure() {
    let k = Mock::new();
    let args = CloneArgs {
        flags: THREAD,
        stack: 0x10000,
        stack_size: 0x1000,
        ..CloneArgs::default()
    };
    let at = k.value(&args);
    assert_eq!(k.call("clone3", [at, 88]), Ok(43));
    assert!(k.calls.lock()[0].contains("stack: Some(69632)"));
    assert_eq!(k.call("clone3", [at, 64]), Ok(43));
    assert_eq!(k.call("clone3", [at, 63]), Err(Errno::EINVAL));
    assert_eq!(k.call("clone3", [at, 5000]), Err(Errno::E2BIG));
    let longer = k.bytes(
        &[
            linux_abi::zerocopy::IntoBytes::as_bytes(&args),
            &[0; 7],
            &[1],
        ]
        .concat(),
    );
    assert_eq!(k.call("clone3", [longer, 95]), Ok(43));
    assert_eq!(k.call("clone3", [longer, 96]), Err(Errno::E2BIG));
    let bad = k.value(&CloneArgs {
        stack_size: 0,
        ..args
    });
    assert_eq!(k.call("clone3", [bad, 88]), Err(Errno::EINVAL));
    let signal = k.value(&CloneArgs {
        exit_signal: 17,
        ..args
    });
    assert_eq!(k.call("clone3", [signal, 88]), Err(Errno::EINVAL));
}

#[test]
fn futex_operations_are_told_apart() {
    let k = Mock::new();
    let word = k.value(&5_u32);
    let second = k.value(&Timespec { sec: 1, nsec: 0 });
    let call = |op: u64, val: u64, timeout, word2, val3| {
        k.call("futex", [word, op, val, timeout, word2, val3])
    };
    assert_eq!(call(0x80, 4, 0, 0, 0), Err(Errno::EAGAIN));
    assert_eq!(call(0x80, 5, 0, 0, 0), Ok(0));
    assert_eq!(call(0x80, 5, second, 0, 0), Err(Errno::ETIMEDOUT));
    assert_eq!(call(0x89, 5, second, 0, 7), Err(Errno::ETIMEDOUT));
    assert_eq!(call(0x89, 5, 0, 0, 0), Err(Errno::EINVAL));
    assert_eq!(call(0x81, 0, 0, 0, 0), Ok(1));
    assert_eq!(call(10, 3, 0, 0, 8), Ok(1));
    assert_eq!(call(4, 1, 9, word, 5), Ok(3));
    assert_eq!(call(3, 1, u64::MAX, word, 0), Err(Errno::EINVAL));
    let calls = k.calls.lock();
    assert_eq!(
        *calls,
        [
            "futex_wait 0xffffffff None",
            "futex_wait 0xffffffff Some(2000000000)",
            "futex_wait 0x7 Some(1000000000)",
            "futex_wake 1 0xffffffff true",
            "futex_wake 3 0x8 false",
            "futex_requeue 1 9 Some(5)",
        ]
    );
}

#[test]
fn futex_refuses_bad_words() {
    let k = Mock::new();
    assert_eq!(k.call("futex", [0x10001, 1, 1]), Err(Errno::EINVAL));
    assert_eq!(k.call("futex", [1 << 63, 1, 1]), Err(Errno::EFAULT));
    assert_eq!(k.call("futex", [0x10000, 127, 1]), Err(Errno::ENOSYS));
    assert_eq!(k.call("futex", [0x10000, 2, 1]), Err(Errno::ENOSYS));
}

#[test]
fn futex_wake_op_is_decoded() {
    let k = Mock::new();
    // Add 1 (shifted: 1 << 3), wake the second if the old value was at least -2.
    let encoded: u32 = 9 << 28 | 5 << 24 | 3 << 12 | 0xffe;
    assert_eq!(
        k.call("futex", [0x10000, 5, 1, 2, 0x10004, u64::from(encoded)]),
        Ok(3)
    );
    let asked = k.calls.lock()[0].clone();
    assert_eq!(
        asked,
        "futex_wake_op 1 2 WakeOp { op: Add, op_arg: 8, compare: Less, negate: true, cmp_arg: -2 }"
    );
}

#[test]
fn registrations() {
    let k = Mock::new();
    let at = k.alloc(64);
    assert_eq!(k.call("set_tid_address", [at]), Ok(42));
    assert_eq!(k.call("set_robust_list", [at, 24]), Ok(0));
    assert_eq!(k.call("set_robust_list", [at, 23]), Err(Errno::EINVAL));
    assert_eq!(k.call("get_robust_list", [0, at, at + 8]), Ok(0));
    assert_eq!((k.load::<u64>(at), k.load::<u64>(at + 8)), (0x77, 24));
    assert_eq!(
        k.call("get_robust_list", [7, at, at + 8]),
        Err(Errno::ESRCH)
    );
    assert_eq!(k.call("rseq", [at, 32, 0, 0x5305_3053]), Ok(0));
    assert_eq!(k.call("rseq", [at + 8, 32, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("rseq", [at, 31, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("rseq", [at, 32, 2, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("membarrier", [0, 0, 0]), Ok(0x27f));
    assert_eq!(k.call("membarrier", [8, 0, 0]), Err(Errno::EPERM));
    assert_eq!(k.call("membarrier", [0x40, 0, 0]), Ok(0));
    assert_eq!(k.call("membarrier", [0x200, 0, 0]), Ok(0x50));
    assert_eq!(k.call("membarrier", [0x20, 0, 0]), Ok(0));
    assert_eq!(k.call("membarrier", [8, 0, 0]), Err(Errno::EPERM));
    assert_eq!(k.call("membarrier", [0x10, 0, 0]), Ok(0));
    assert_eq!(k.call("membarrier", [8, 0, 0]), Ok(0));
    assert_eq!(k.call("membarrier", [3, 0, 0]), Err(Errno::EINVAL));
}

#[test]
fn affinity_ignores_processors_that_are_not() {
    let k = Mock::new();
    let mask = k.value(&[u64::MAX; 16]);
    assert_eq!(k.call("sched_getaffinity", [0, 128, mask]), Ok(8));
    assert_eq!(k.load::<u64>(mask), 3);
    assert_eq!(
        k.call("sched_getaffinity", [0, 4, mask]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("sched_getaffinity", [9, 128, mask]),
        Err(Errno::ESRCH)
    );
    let one = k.value(&0xfe_u64);
    assert_eq!(k.call("sched_setaffinity", [0, 8, one]), Ok(0));
    assert_eq!(k.calls.lock()[0], "sched_setaffinity 0x2");
    let none = k.value(&0xf0_u64);
    assert_eq!(
        k.call("sched_setaffinity", [0, 8, none]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("getcpu", [one, none, 0]), Ok(0));
    assert_eq!((k.load::<u32>(one), k.load::<u32>(none)), (1, 0));
    assert_eq!(k.call("sched_yield", []), Ok(0));
}

#[test]
fn only_the_normal_policies() {
    let k = Mock::new();
    let (zero, ten, time) = (k.value(&0_i32), k.value(&10_i32), k.alloc(16));
    assert_eq!(k.call("sched_setscheduler", [0, 0, zero]), Ok(0));
    assert_eq!(k.call("sched_setscheduler", [0, 3, zero]), Ok(0));
    assert_eq!(k.call("sched_getscheduler", [0]), Ok(3));
    assert_eq!(k.call("sched_setscheduler", [0, 1, ten]), Err(Errno::EPERM));
    assert_eq!(
        k.call("sched_setscheduler", [0, 1, zero]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("sched_setscheduler", [0, 0, ten]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("sched_getscheduler", [9]), Err(Errno::ESRCH));
    assert_eq!(k.call("sched_getscheduler", [u64::MAX]), Err(Errno::EINVAL));
    assert_eq!(k.call("sched_setparam", [0, zero]), Ok(0));
    assert_eq!(k.call("sched_getparam", [0, ten]), Ok(0));
    assert_eq!(k.load::<i32>(ten), 0);
    assert_eq!(k.call("sched_get_priority_max", [1]), Ok(99));
    assert_eq!(k.call("sched_get_priority_min", [2]), Ok(1));
    assert_eq!(k.call("sched_get_priority_min", [7]), Err(Errno::EINVAL));
    assert_eq!(k.call("sched_rr_get_interval", [0, time]), Ok(0));
}

#[test]
fn scheduling_attributes() {
    let k = Mock::new();
    let attr = k.value(&SchedAttr {
        size: 48,
        nice: 5,
        policy: 5,
        flags: 1,
        ..SchedAttr::default()
    });
    assert_eq!(k.call("sched_setattr", [0, attr, 0]), Ok(0));
    assert_eq!(k.call("sched_getscheduler", [0]), Ok(0x4000_0005));
    assert_eq!(k.call("sched_setattr", [0, attr, 1]), Err(Errno::EINVAL));
    let small = k.value(&SchedAttr {
        size: 20,
        ..SchedAttr::default()
    });
    assert_eq!(k.call("sched_setattr", [0, small, 0]), Err(Errno::E2BIG));
    assert_eq!(k.load::<u32>(small), 48);
    assert_eq!(k.call("sched_getattr", [0, attr, 48, 0]), Ok(0));
    let told = k.load::<SchedAttr>(attr);
    assert_eq!((told.nice, told.policy, told.flags), (5, 5, 1));
    assert_eq!(
        k.call("sched_getattr", [0, attr, 47, 0]),
        Err(Errno::EINVAL)
    );
}

fn entry(word: u64, val: u64, flags: u32) -> FutexWaitv {
    FutexWaitv {
        val,
        uaddr: word,
        flags,
        reserved: 0,
    }
}

#[test]
fn the_calls_after_futex_check_their_flags_and_sizes() {
    let k = Mock::new();
    let word = k.value(&0_u32);
    let all = u64::from(u32::MAX);
    assert_eq!(k.call("futex_wake", [word, all, 1, 2, 0]), Ok(1));
    assert_eq!(k.call("futex_wake", [word, all, 0, 2, 0]), Ok(0));
    for (mask, flags) in [(0, 2), (all + 1, 2), (all, 0), (all, 2 | 4), (all, 2 | 64)] {
        let outcome = k.call("futex_wake", [word, mask, 1, flags, 0]);
        assert_eq!(outcome, Err(Errno::EINVAL), "{mask:#x} {flags}");
    }
    assert_eq!(k.call("futex_wait", [word, 0, all, 2, 0]), Ok(0));
    assert_eq!(
        k.call("futex_wait", [word, 1, all, 2, 0]),
        Err(Errno::EAGAIN)
    );
    assert_eq!(
        k.call("futex_wait", [word, all + 1, all, 2, 0]),
        Err(Errno::EINVAL)
    );
}

#[test]
fn futex_waitv_and_requeue_read_their_array() {
    let k = Mock::new();
    let word = k.value(&0_u32);
    let array_of = |second: FutexWaitv| {
        k.bytes(
            &[
                linux_abi::zerocopy::IntoBytes::as_bytes(&entry(word, 0, 2)),
                linux_abi::zerocopy::IntoBytes::as_bytes(&second),
            ]
            .concat(),
        )
    };
    let array = array_of(entry(word, 0, 2 | 128));
    assert_eq!(k.call("futex_waitv", [array, 2, 0, 0, 0]), Ok(1));
    assert_eq!(k.call("futex_requeue", [array, 0, 1, 1, 0]), Ok(3));
    for bad in [[array, 0], [array, 129], [0, 1]] {
        let outcome = k.call("futex_waitv", [bad[0], bad[1], 0, 0, 0]);
        assert_eq!(outcome, Err(Errno::EINVAL));
    }
    assert_eq!(
        k.call("futex_waitv", [array, 1, 0, word, 7]),
        Err(Errno::EINVAL),
        "a clock that is not waited by"
    );
    let crooked = array_of(entry(word + 1, 0, 2));
    assert_eq!(
        k.call("futex_waitv", [crooked, 2, 0, 0, 0]),
        Err(Errno::EINVAL)
    );
}

#[test]
fn a_requeue_to_an_inheriting_mutex_wakes_one() {
    const WAIT_REQUEUE_PI: u64 = 11;
    const CMP_REQUEUE_PI: u64 = 12;
    let k = Mock::new();
    let words = k.alloc(8);
    let futex =
        |op: u64, val: u64, fourth: u64| k.call("futex", [words, op, val, fourth, words + 4, 0]);
    assert_eq!(futex(WAIT_REQUEUE_PI, 0, 0), Ok(0));
    assert_eq!(futex(CMP_REQUEUE_PI, 1, 5), Ok(2));
    assert_eq!(futex(CMP_REQUEUE_PI, 2, 5), Err(Errno::EINVAL));
}
