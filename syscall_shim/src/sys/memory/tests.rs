use crate::mock::{BASE, Mock};
use linux_abi::raw::general as raw;
use linux_abi::{Errno, PAGE_SIZE};

const PRIVATE_ANONYMOUS: u64 = (raw::MAP_PRIVATE | raw::MAP_ANONYMOUS) as u64;
const FIXED: u64 = raw::MAP_FIXED as u64;
const NO_FD: u64 = u64::MAX;

#[test]
fn memory_policies_are_absent_without_a_complaint() {
    let k = Mock::new();
    for call in ["mbind", "get_mempolicy", "set_mempolicy", "move_pages"] {
        assert_eq!(k.call(call, [0; 6]), Err(Errno::ENOSYS));
    }
    assert!(k.complaints.lock().is_empty());
}

#[test]
fn mmap_rounds_and_checks() {
    let k = Mock::new();
    let map = |addr, len, flags, offset| k.call("mmap", [addr, len, 3, flags, NO_FD, offset]);
    assert_eq!(map(0x1234, 1, PRIVATE_ANONYMOUS, 0), Ok(0x1000));
    assert!(k.calls.lock()[0].starts_with("mmap 0x1000 0x1000 Prot(PROT_READ | PROT_WRITE)"));
    assert_eq!(map(0, 0, PRIVATE_ANONYMOUS, 0), Err(Errno::EINVAL));
    assert_eq!(map(0, 4096, PRIVATE_ANONYMOUS, 1), Err(Errno::EINVAL));
    assert_eq!(map(0, u64::MAX, PRIVATE_ANONYMOUS, 0), Err(Errno::ENOMEM));
    assert_eq!(
        map(0, 4096, u64::from(raw::MAP_ANONYMOUS), 0),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        map(1, 4096, PRIVATE_ANONYMOUS | FIXED, 0),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        map(0x7fff_ffff_f000, 4096, PRIVATE_ANONYMOUS | FIXED, 0),
        Err(Errno::ENOMEM)
    );
    assert_eq!(
        map(0, 4096, u64::from(raw::MAP_PRIVATE), 0),
        Err(Errno::EBADF)
    );
    assert_eq!(
        map(0, 4096, PRIVATE_ANONYMOUS | u64::from(raw::MAP_HUGETLB), 0),
        Err(Errno::ENOMEM)
    );
}

#[test]
fn mmap_looks_at_the_files_access_mode() {
    let k = Mock::new();
    let path = k.text("/f");
    let read_only = (
        k.open("/f", raw::O_CREAT),
        k.call("open", [path, 0, 0]).unwrap() as u64,
    )
        .1;
    let write_only = k.call("open", [path, u64::from(raw::O_WRONLY), 0]).unwrap() as u64;
    let map = |prot, flags: u32, fd| k.call("mmap", [0, 4096, prot, u64::from(flags), fd, 0]);
    assert_eq!(map(1, raw::MAP_SHARED, read_only), Ok(0x7000_0000));
    assert_eq!(map(3, raw::MAP_SHARED, read_only), Err(Errno::EACCES));
    assert_eq!(map(3, raw::MAP_PRIVATE, read_only), Ok(0x7000_0000));
    assert_eq!(map(1, raw::MAP_PRIVATE, write_only), Err(Errno::EACCES));
    let root = k.call("open", [k.text("/"), 0, 0]).unwrap() as u64;
    assert_eq!(map(1, raw::MAP_PRIVATE, root), Err(Errno::ENODEV));
    assert_eq!(
        map(1, raw::MAP_SHARED_VALIDATE | raw::MAP_SYNC, read_only),
        Err(Errno::EOPNOTSUPP)
    );
}

#[test]
fn munmap_and_mprotect_check_the_range() {
    let k = Mock::new();
    assert_eq!(k.call("munmap", [0x1000, 1]), Ok(0));
    assert_eq!(k.call("munmap", [0x1001, 1]), Err(Errno::EINVAL));
    assert_eq!(k.call("munmap", [0x1000, 0]), Err(Errno::EINVAL));
    assert_eq!(
        k.call("munmap", [0x7fff_ffff_f000, 4096]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("mprotect", [0x1000, 0, 1]), Ok(0));
    assert_eq!(k.call("mprotect", [0x1000, 4097, 7]), Ok(0));
    assert_eq!(
        k.call("mprotect", [0x1000, 4096, 0x100]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("mprotect", [0x1000, u64::MAX - 4096, 1]),
        Err(Errno::ENOMEM)
    );
    assert_eq!(k.call("pkey_mprotect", [0x1000, 4096, 1, u64::MAX]), Ok(0));
    assert_eq!(
        k.call("pkey_mprotect", [0x1000, 4096, 1, 0]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.calls.lock()[1],
        "mprotect 0x1000 0x2000 Prot(PROT_READ | PROT_WRITE | PROT_EXEC)"
    );
}

#[test]
fn mremap_refuses_what_contradicts_itself() {
    let k = Mock::new();
    let remap = |old, old_len, new_len, flags: u32, new| {
        k.call("mremap", [old, old_len, new_len, u64::from(flags), new])
    };
    assert_eq!(
        remap(0x4000, 4096, 8192, raw::MREMAP_MAYMOVE, 0),
        Ok(0x4000)
    );
    assert_eq!(
        remap(0x4001, 4096, 8192, raw::MREMAP_MAYMOVE, 0),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        remap(0x4000, 4096, 0, raw::MREMAP_MAYMOVE, 0),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        remap(0x4000, 4096, 8192, raw::MREMAP_FIXED, 0x8000),
        Err(Errno::EINVAL)
    );
    let fixed = raw::MREMAP_FIXED | raw::MREMAP_MAYMOVE;
    assert_eq!(remap(0x4000, 4096, 8192, fixed, 0x3000), Err(Errno::EINVAL));
    assert_eq!(remap(0x4000, 4096, 8192, fixed, 0x8000), Ok(0x4000));
    assert_eq!(remap(0x4000, 0, 8192, 0, 0), Err(Errno::EINVAL));
    assert_eq!(
        remap(
            0x4000,
            4096,
            8192,
            raw::MREMAP_MAYMOVE | raw::MREMAP_DONTUNMAP,
            0
        ),
        Err(Errno::EINVAL)
    );
}

#[test]
fn advice_and_residency() {
    let k = Mock::new();
    assert_eq!(
        k.call("madvise", [0x1000, 4096, u64::from(raw::MADV_DONTNEED)]),
        Ok(0)
    );
    assert_eq!(k.call("madvise", [0x1000, 4096, 999]), Err(Errno::EINVAL));
    assert_eq!(k.call("madvise", [0x1001, 4096, 4]), Err(Errno::EINVAL));
    assert_eq!(
        k.call("msync", [0x1000, 4096, u64::from(raw::MS_SYNC)]),
        Ok(0)
    );
    assert_eq!(
        k.call(
            "msync",
            [0x1000, 4096, u64::from(raw::MS_SYNC | raw::MS_ASYNC)]
        ),
        Err(Errno::EINVAL)
    );
    let vec = k.alloc(600);
    assert_eq!(k.call("mincore", [0x1000, 600 * 4096 - 1, vec]), Ok(0));
    assert!(k.load_bytes(vec, 600).iter().all(|byte| *byte == 1));
    assert_eq!(k.call("mincore", [0x1000, 4096, 1]), Err(Errno::EFAULT));
    assert_eq!(k.call("brk", [0x5000]), Ok(0x5000));
}

#[test]
fn locking_widens_to_pages() {
    let k = Mock::new();
    assert_eq!(k.call("mlock", [0x1fff, 2]), Ok(0));
    assert_eq!(k.call("mlock2", [0x1000, 1, 1]), Ok(0));
    assert_eq!(k.call("mlock2", [0x1000, 1, 2]), Err(Errno::EINVAL));
    assert_eq!(k.call("munlock", [0x1fff, 2]), Ok(0));
    assert_eq!(k.call("mlock", [u64::MAX - 1, 4096]), Err(Errno::EINVAL));
    assert_eq!(k.call("mlockall", [3]), Ok(0));
    assert_eq!(k.call("mlockall", [0]), Err(Errno::EINVAL));
    assert_eq!(k.call("mlockall", [8]), Err(Errno::EINVAL));
    assert_eq!(k.call("munlockall", []), Ok(0));
    let calls = k.calls.lock();
    assert_eq!(calls[0], "mlock 0x1000 0x2000 false");
    assert_eq!(calls[1], "mlock 0x1000 0x1000 true");
}

#[test]
fn there_are_no_protection_keys() {
    let k = Mock::new();
    assert_eq!(k.call("pkey_alloc", [0, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("pkey_alloc", [1, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("pkey_free", [1]), Err(Errno::EINVAL));
}

#[test]
fn mseal_takes_whole_pages_and_no_flags() {
    let k = Mock::new();
    assert_eq!(k.call("mseal", [0x4000, 0x1001, 0]), Ok(0));
    assert_eq!(*k.calls.lock(), ["mseal 0x4000 0x2000"]);
    assert_eq!(k.call("mseal", [0x4000, 0, 0]), Ok(0));
    assert_eq!(k.call("mseal", [0x4000, 0x1000, 1]), Err(Errno::EINVAL));
    assert_eq!(k.call("mseal", [0x4001, 0x1000, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("mseal", [0x4000, u64::MAX, 0]), Err(Errno::EINVAL));
}

#[test]
fn another_part_of_the_file() {
    let k = Mock::new();
    let page = PAGE_SIZE as u64;
    let remap = |addr, size, prot, pgoff| k.call("remap_file_pages", [addr, size, prot, pgoff, 0]);
    // Both are rounded down.
    assert_eq!(remap(BASE + 5, page + 7, 0, 3), Ok(0));
    assert_eq!(
        k.calls.lock().last().unwrap(),
        "remap_file 0x10000 0x1000 0x3000"
    );
    for wrong in [
        (BASE, page, 1, 0),
        (BASE, page - 1, 0, 0),
        (u64::MAX, page, 0, 0),
        (BASE, page, 0, u64::MAX),
        (BASE, 1 << 48, 0, 0),
    ] {
        let (addr, size, prot, pgoff) = wrong;
        assert_eq!(
            remap(addr, size, prot, pgoff),
            Err(Errno::EINVAL),
            "{wrong:?}"
        );
    }
}
