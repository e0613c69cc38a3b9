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
    assert_eq!(read(42, remote, 1), Err(Errno::EINVAL));
    assert_eq!(read(7, remote, 0), Err(Errno::ESRCH));
    assert_eq!(
        k.call("process_vm_writev", [42, remote, 1, local, 2, 0]),
        Ok(10)
    );
}
