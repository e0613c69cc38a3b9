use crate::mock::Mock;
use linux_abi::Errno;

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
