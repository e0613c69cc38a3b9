use crate::mock::Mock;
use linux_abi::Errno;

#[test]
fn socket_checks_flags_then_family_then_type() {
    let k = Mock::new();
    let socket = |domain: i32, kind: u64| k.call("socket", [domain as u64, kind, 0]);
    assert_eq!(socket(77, 0x11), Err(Errno::EINVAL));
    assert_eq!(socket(-1, 1), Err(Errno::EAFNOSUPPORT));
    assert_eq!(socket(77, 11), Err(Errno::EAFNOSUPPORT));
    assert_eq!(socket(2, 11), Err(Errno::EINVAL));
    assert_eq!(socket(45, 0o2004001), Err(Errno::EAFNOSUPPORT));
}

#[test]
fn socketpair_looks_at_the_address_before_the_family() {
    let k = Mock::new();
    let place = k.value(&[5_i32, 6]);
    let pair = |domain: u64, kind: u64, fds| k.call("socketpair", [domain, kind, 0, fds]);
    assert_eq!(pair(77, 1, 1), Err(Errno::EFAULT));
    assert_eq!(pair(77, 0x11, 1), Err(Errno::EINVAL));
    assert_eq!(pair(77, 1, place), Err(Errno::EAFNOSUPPORT));
    assert_eq!(k.load::<[i32; 2]>(place), [5, 6]);
}
