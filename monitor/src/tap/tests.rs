use super::*;

#[test]
fn offloads_follow_the_features_and_need_sums() {
    let bits = |list: &[u32]| list.iter().fold(0u64, |all, bit| all | 1 << bit);
    let (sums, tso4) = (VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4);
    assert_eq!(offload(0), 0);
    assert_eq!(offload(bits(&[sums])), 1);
    assert_eq!(offload(bits(&[sums, tso4])), 3);
    assert_eq!(offload(bits(&[tso4])), 0);
    let all = [
        sums,
        tso4,
        VIRTIO_NET_F_GUEST_TSO6,
        VIRTIO_NET_F_GUEST_ECN,
        VIRTIO_NET_F_HOST_TSO4,
    ];
    assert_eq!(offload(bits(&all)), 15);
}

#[test]
fn random_addresses_are_local_and_of_one_card() {
    for _ in 0..20 {
        assert_eq!(random_mac().unwrap()[0] & 3, 2);
        assert_eq!(high_mac().unwrap()[0], 0xfe);
    }
}

#[test]
fn long_names_are_cut_not_overrun() {
    assert_eq!(Request::new(&"x".repeat(40)).name(), "x".repeat(15));
    assert_eq!(Request::new("eth0").name(), "eth0");
}

#[test]
fn a_bridge_that_cannot_be_joined_is_explained() {
    let why = |errno, is_member| {
        let e = io::Error::from_raw_os_error(errno);
        refuse_bridge(&e, "t0", "br0", is_member)
    };
    assert!(why(libc::EBUSY, true).is_ok() && why(libc::EPERM, true).is_ok());
    for (errno, expected) in [
        (libc::EBUSY, "belongs to something else"),
        (libc::ENODEV, "no bridge br0"),
        (libc::EOPNOTSUPP, "br0 is no bridge"),
        (libc::EPERM, "ip link set t0 master br0"),
        (libc::ELOOP, "cannot add"),
    ] {
        let shown = why(errno, false).unwrap_err().to_string();
        assert!(shown.contains(expected), "{shown}");
    }
}
