use crate::mock::{Mock, PID};
use crate::state::Identity;
use linux_abi::{Errno, Rlimit64, Rusage};

const KEEP: u64 = u32::MAX as u64;

fn plain_user() -> Mock {
    Mock::with_identity(Identity::new(1000, 1000))
}

#[test]
fn root_becomes_somebody_else_for_good() {
    let k = Mock::new();
    assert_eq!(k.call("setgid", [7]), Ok(0));
    assert_eq!(k.call("setuid", [1000]), Ok(0));
    assert_eq!(k.call("getuid", []), Ok(1000));
    assert_eq!(k.call("geteuid", []), Ok(1000));
    assert_eq!(k.call("getgid", []), Ok(7));
    assert_eq!(k.call("getegid", []), Ok(7));
    assert_eq!(k.call("setuid", [0]), Err(Errno::EPERM));
    assert_eq!(k.state.file_credentials().uid, 1000);
}

#[test]
fn saved_ids_lead_back() {
    let k = Mock::new();
    assert_eq!(k.call("setresuid", [KEEP, 1000, KEEP]), Ok(0));
    assert_eq!(k.call("setresuid", [KEEP, 5, KEEP]), Err(Errno::EPERM));
    assert_eq!(k.call("setresuid", [KEEP, 0, KEEP]), Ok(0));
    assert_eq!(k.call("setreuid", [1000, 1000]), Ok(0));
    // setreuid has set the saved id too.
    assert_eq!(k.call("setreuid", [KEEP, 0]), Err(Errno::EPERM));
    let at = k.alloc(12);
    assert_eq!(k.call("getresuid", [at, at + 4, at + 8]), Ok(0));
    assert_eq!(k.load::<[u32; 3]>(at), [1000; 3]);
    assert_eq!(k.call("setuid", [KEEP]), Err(Errno::EINVAL));
}

#[test]
fn groups_follow_the_same_rules() {
    let k = plain_user();
    assert_eq!(k.call("setresgid", [KEEP, 1000, KEEP]), Ok(0));
    assert_eq!(k.call("setresgid", [0, KEEP, KEEP]), Err(Errno::EPERM));
    assert_eq!(k.call("setregid", [KEEP, 1000]), Ok(0));
    assert_eq!(k.call("setregid", [3, KEEP]), Err(Errno::EPERM));
    assert_eq!(k.call("setgroups", [0, 0]), Err(Errno::EPERM));
    let at = k.alloc(12);
    assert_eq!(k.call("getresgid", [at, at + 4, at + 8]), Ok(0));
    assert_eq!(k.load::<[u32; 3]>(at), [1000; 3]);
}

#[test]
fn supplementary_groups() {
    let k = Mock::new();
    let list = k.value(&[30_u32, 10, 20]);
    assert_eq!(k.call("setgroups", [3, list]), Ok(0));
    assert_eq!(k.call("getgroups", [0, 0]), Ok(3));
    assert_eq!(k.call("getgroups", [2, list]), Err(Errno::EINVAL));
    assert_eq!(k.call("getgroups", [3, list]), Ok(3));
    assert_eq!(k.load::<[u32; 3]>(list), [10, 20, 30]);
    assert!(k.state.file_credentials().in_group(20));
    assert_eq!(k.call("setgroups", [65537, list]), Err(Errno::EINVAL));
}

#[test]
fn file_system_ids_change_or_not_without_an_error() {
    let k = Mock::new();
    assert_eq!(k.call("setfsuid", [1000]), Ok(0));
    assert_eq!(k.call("setfsuid", [KEEP]), Ok(1000));
    assert_eq!(k.state.file_credentials().uid, 1000);
    assert_eq!(k.call("setfsgid", [5]), Ok(0));
    let k = plain_user();
    assert_eq!(k.call("setfsuid", [0]), Ok(1000));
    assert_eq!(k.call("setfsuid", [KEEP]), Ok(1000));
}

#[test]
fn process_numbers() {
    let k = Mock::new();
    let pid = PID as usize;
    assert_eq!(k.call("getpid", []), Ok(pid));
    assert_eq!(k.call("gettid", []), Ok(pid));
    assert_eq!(k.call("getppid", []), Ok(1));
    assert_eq!(k.call("getpgrp", []), Ok(pid));
    assert_eq!(k.call("getpgid", [0]), Ok(pid));
    assert_eq!(k.call("getsid", [42]), Ok(pid));
    assert_eq!(k.call("getpgid", [9]), Err(Errno::ESRCH));
    // It leads its session already.
    assert_eq!(k.call("setsid", []), Err(Errno::EPERM));
    assert_eq!(k.call("setpgid", [7, 9]), Ok(0));
    assert_eq!(*k.calls.lock(), ["setpgid 7 9"]);
    assert_eq!(k.call("setpgid", [0, u64::MAX]), Err(Errno::EINVAL));
}

mod capabilities;

#[test]
fn limits() {
    let k = plain_user();
    let at = k.alloc(16);
    assert_eq!(k.call("getrlimit", [7, at]), Ok(0));
    assert_eq!(
        k.load::<Rlimit64>(at),
        Rlimit64 {
            cur: 1024,
            max: 1 << 20
        }
    );
    let new = |cur, max| k.value(&Rlimit64 { cur, max });
    assert_eq!(k.call("setrlimit", [7, new(64, 128)]), Ok(0));
    assert_eq!(k.calls.lock()[0], "limits_changed 0");
    assert_eq!(k.call("setrlimit", [7, new(64, 129)]), Err(Errno::EPERM));
    assert_eq!(k.call("setrlimit", [7, new(65, 64)]), Err(Errno::EINVAL));
    assert_eq!(k.call("setrlimit", [16, new(1, 1)]), Err(Errno::EINVAL));
    assert_eq!(k.call("prlimit64", [0, 7, new(10, 20), at]), Ok(0));
    assert_eq!(k.load::<Rlimit64>(at), Rlimit64 { cur: 64, max: 128 });
    assert_eq!(k.call("prlimit64", [9, 7, 0, at]), Err(Errno::ESRCH));
}

#[test]
fn priorities() {
    let k = plain_user();
    assert_eq!(k.call("getpriority", [0, 0]), Ok(20));
    assert_eq!(k.call("setpriority", [0, 0, 5]), Ok(0));
    assert_eq!(k.call("getpriority", [0, 42]), Ok(15));
    assert_eq!(
        k.call("setpriority", [0, 0, -1_i64 as u64]),
        Err(Errno::EACCES)
    );
    assert_eq!(k.call("getpriority", [0, 9]), Err(Errno::ESRCH));
    assert_eq!(k.call("getpriority", [3, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("ioprio_get", [1, 0]), Ok(2 << 13 | 4));
    assert_eq!(k.call("ioprio_set", [1, 0, 3 << 13]), Ok(0));
    assert_eq!(k.call("ioprio_set", [1, 0, 7 << 13]), Err(Errno::EINVAL));
}

#[test]
fn usage_and_personality() {
    let k = Mock::new();
    let at = k.alloc(144);
    assert_eq!(k.call("getrusage", [0, at]), Ok(0));
    let usage: Rusage = k.load(at);
    assert_eq!(
        (usage.utime.sec, usage.utime.usec, usage.maxrss),
        (1, 500_000, 77)
    );
    assert_eq!(k.call("getrusage", [2, at]), Err(Errno::EINVAL));
    assert_eq!(k.call("personality", [0xffff_ffff]), Ok(0));
    assert_eq!(k.call("personality", [0x004_0000]), Ok(0));
    assert_eq!(k.call("personality", [0xffff_ffff]), Ok(0x004_0000));
    assert_eq!(k.call("personality", [8]), Err(Errno::EINVAL));
}
