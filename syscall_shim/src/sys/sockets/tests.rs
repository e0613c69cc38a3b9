use crate::mock::Mock;
use linux_abi::Errno;

#[test]
fn there_is_no_address_family() {
    let k = Mock::new();
    assert_eq!(
        k.call("socket", [1, 0o2000001, 0]),
        Err(Errno::EAFNOSUPPORT)
    );
    assert!(k.complaints.lock().is_empty());
    assert_eq!(k.call("socket", [2, 1, 0]), Err(Errno::EAFNOSUPPORT));
    assert_eq!(k.call("socket", [2, 11, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("socketpair", [1, 1, 0, 0]), Err(Errno::EAFNOSUPPORT));
    assert_eq!(k.complaints.lock().len(), 2);
}
