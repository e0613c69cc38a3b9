use crate::mock::Mock;
use linux_abi::{Errno, Sysinfo, Utsname};
use std::vec;

#[test]
fn uname_and_sysinfo_fill_their_structures() {
    let k = Mock::new();
    let at = k.alloc(400);
    assert_eq!(k.call("uname", [at]), Ok(0));
    let names: Utsname = k.load(at);
    assert_eq!(&names.sysname[..6], b"Linux\0");
    assert_eq!(&names.nodename[..5], b"mock\0");
    assert_eq!(&names.machine[..7], b"x86_64\0");
    assert_eq!(k.call("uname", [1]), Err(Errno::EFAULT));

    assert_eq!(k.call("sysinfo", [at]), Ok(0));
    let info: Sysinfo = k.load(at);
    assert_eq!((info.totalram, info.mem_unit, info.uptime), (1 << 30, 1, 1));
}

#[test]
fn getrandom_fills_and_checks_its_flags() {
    let k = Mock::new();
    let at = k.alloc(600);
    assert_eq!(k.call("getrandom", [at, 600, 1]), Ok(600));
    assert_eq!(k.load_bytes(at, 600), vec![0x5a; 600]);
    assert_eq!(k.call("getrandom", [at, 1, 8]), Err(Errno::EINVAL));
    assert_eq!(k.call("getrandom", [at, 1, 6]), Err(Errno::EINVAL));
    assert_eq!(k.call("getrandom", [u64::MAX, 16, 0]), Err(Errno::EFAULT));
}

#[test]
fn exit_keeps_one_byte_of_the_status() {
    let k = Mock::new();
    assert_eq!(k.call("exit", [0x101]), Ok(0));
    assert_eq!(k.call("exit_group", [u64::MAX]), Ok(0));
    assert_eq!(*k.calls.lock(), ["exit 1", "exit_group 255"]);
}

#[test]
fn arch_prctl_reaches_the_fs_base_only() {
    let k = Mock::new();
    let at = k.alloc(8);
    assert_eq!(k.call("arch_prctl", [0x1003, at]), Ok(0));
    assert_eq!(k.load::<u64>(at), 0xf5);
    assert_eq!(k.call("arch_prctl", [0x1002, 0x1000]), Ok(0));
    assert_eq!(k.call("arch_prctl", [0x1002, 1 << 63]), Err(Errno::EPERM));
    assert_eq!(k.call("arch_prctl", [0x1001, 0]), Err(Errno::EPERM));
    assert_eq!(k.call("arch_prctl", [0x1011, 0]), Ok(1));
    assert_eq!(k.call("arch_prctl", [0x3001, 0]), Err(Errno::EINVAL));
}

#[test]
fn prctl_cuts_names_and_remembers_settings() {
    let k = Mock::new();
    assert_eq!(
        k.call("prctl", [15, k.text("a-name-that-is-too-long")]),
        Ok(0)
    );
    assert_eq!(k.calls.lock()[0], "name a-name-that-is-\0");
    let at = k.alloc(16);
    assert_eq!(k.call("prctl", [16, at]), Ok(0));
    assert_eq!(&k.load_bytes(at, 5), b"mock\0");
    assert_eq!(k.call("prctl", [3, 0]), Ok(1));
    assert_eq!(k.call("prctl", [4, 0]), Ok(0));
    assert_eq!(k.call("prctl", [3, 0]), Ok(0));
    assert_eq!(k.call("prctl", [4, 9]), Err(Errno::EINVAL));
    assert_eq!(k.call("prctl", [38, 1, 0, 0, 0]), Ok(0));
    assert_eq!(k.call("prctl", [39, 0, 0, 0, 0]), Ok(1));
    assert_eq!(k.call("prctl", [38, 0, 0, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("prctl", [1, 65]), Err(Errno::EINVAL));
    assert_eq!(k.call("prctl", [1, 9]), Ok(0));
    assert_eq!(k.call("prctl", [2, at]), Ok(0));
    assert_eq!(k.load::<u32>(at), 9);
    assert_eq!(k.call("prctl", [23, 40]), Ok(1));
    assert_eq!(k.call("prctl", [23, 41]), Err(Errno::EINVAL));
    assert_eq!(k.call("prctl", [22, 2, 0]), Err(Errno::EFAULT));
    assert_eq!(k.call("prctl", [9999]), Err(Errno::EINVAL));
    assert!(k.complaints.lock().is_empty());
}
