use crate::mock::Mock;
use linux_abi::{Errno, Iovec};

#[test]
fn there_are_no_children() {
    let k = Mock::new();
    assert_eq!(k.call("wait4", [u64::MAX, 0, 0, 0]), Err(Errno::ECHILD));
    assert_eq!(k.call("wait4", [u64::MAX, 0, 4, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("waitid", [0, 0, 0, 4, 0]), Err(Errno::ECHILD));
    assert_eq!(k.call("waitid", [0, 0, 0, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("waitid", [9, 0, 0, 4, 0]), Err(Errno::EINVAL));
}

#[test]
fn unshare_has_nothing_to_undo() {
    let k = Mock::new();
    assert_eq!(k.call("unshare", [0x600]), Ok(0));
    assert_eq!(k.call("unshare", [0x1_0000]), Err(Errno::EINVAL));
    assert_eq!(k.call("unshare", [0x2_0000]), Err(Errno::EPERM));
    assert_eq!(*k.complaints.lock(), ["unshare: new namespaces"]);
}

#[test]
fn own_memory_can_be_read_where_it_may_not_be() {
    let k = Mock::new();
    let (from, to) = (k.bytes(b"0123456789"), k.alloc(16));
    let local = k.value(&[
        Iovec { base: to, len: 4 },
        Iovec {
            base: to + 4,
            len: 12,
        },
    ]);
    let remote = k.value(&[Iovec {
        base: from,
        len: 10,
    }]);
    let nowhere = k.value(&[Iovec { base: 8, len: 8 }]);
    let read = |pid, remote, flags| k.call("process_vm_readv", [pid, local, 2, remote, 1, flags]);
    assert_eq!(read(42, remote, 0), Ok(10));
    assert_eq!(k.load_bytes(to, 10), b"0123456789");
    assert_eq!(read(42, nowhere, 0), Err(Errno::EFAULT));
    let partly = k.value(&[Iovec { base: from, len: 3 }, Iovec { base: 8, len: 8 }]);
    let broken = [42, local, 2, partly, 2, 0];
    assert_eq!(k.call("process_vm_readv", broken), Ok(3));
    assert_eq!(read(42, remote, 1), Err(Errno::EINVAL));
    assert_eq!(read(7, remote, 0), Err(Errno::ESRCH));
    assert_eq!(
        k.call("process_vm_writev", [42, remote, 1, local, 2, 0]),
        Ok(10)
    );
}

#[test]
fn what_a_process_shares_with_itself_is_the_same() {
    const FILE: u64 = 0;
    const VM: u64 = 1;
    let k = Mock::new();
    let fd = k.open("/file", 0o102) as u64;
    let same = k.call("dup", [fd]).unwrap() as u64;
    let other = k.open("/file", 0) as u64;
    let compare = |kind, a, b| k.call("kcmp", [42, 42, kind, a, b]);
    assert_eq!(compare(FILE, fd, same), Ok(0));
    let (there, back) = (compare(FILE, fd, other), compare(FILE, other, fd));
    assert!(matches!((there, back), (Ok(1), Ok(2)) | (Ok(2), Ok(1))));
    assert_eq!(compare(FILE, fd, 99), Err(Errno::EBADF));
    assert_eq!(compare(VM, 0, 0), Ok(0));
    assert_eq!(compare(9, 0, 0), Err(Errno::EINVAL));
    assert_eq!(k.call("kcmp", [42, 7, VM, 0, 0]), Err(Errno::ESRCH));
}
