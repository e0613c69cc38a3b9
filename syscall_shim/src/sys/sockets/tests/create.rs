use super::double::{State, socket};
use crate::kernel::Files;
use crate::mock::Mock;
use crate::sys::sockets::make::{install, install_pair};
use crate::user::UserPtr;
use linux_abi::raw::net::AF_UNIX;
use linux_abi::{Errno, FdFlags};
use net::SocketType;

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

#[test]
fn descriptors_have_the_flags_that_were_asked_for() {
    let k = Mock::new();
    let new = || socket(&State::new(AF_UNIX, SocketType::Stream));
    for flags in [FdFlags::empty(), FdFlags::CLOEXEC, FdFlags::NONBLOCK] {
        let fd = install(&k, new(), flags).unwrap();
        let cloexec = flags.contains(FdFlags::CLOEXEC);
        assert_eq!(k.files().cloexec(fd), Ok(cloexec));
        let file = k.files().get(fd).unwrap();
        assert_eq!(file.is_nonblocking(), flags.contains(FdFlags::NONBLOCK));
        assert!(file.is_readable() && file.is_writable());
    }
}

#[test]
fn a_pair_is_there_as_a_whole_or_not_at_all() {
    let k = Mock::new();
    let pair = || [(); 2].map(|()| socket(&State::new(AF_UNIX, SocketType::Stream)));
    let place = UserPtr::<[i32; 2]>::new(k.alloc(8));
    let flags = FdFlags::empty();
    assert_eq!(install_pair(&k, pair(), flags, place), Ok(()));
    assert_eq!(place.read(&k), Ok([0, 1]));
    let nowhere = UserPtr::new(1);
    assert_eq!(install_pair(&k, pair(), flags, nowhere), Err(Errno::EFAULT));
    k.files().set_limit(3);
    assert_eq!(install_pair(&k, pair(), flags, place), Err(Errno::EMFILE));
    assert_eq!(k.files().next_open(2), None);
}
