use crate::mock::Mock;
use linux_abi::raw::general as raw;
use linux_abi::raw::ioctl;
use linux_abi::{Cachestat, CachestatRange, Errno, Flock, OpenHow};

const RW: u32 = raw::O_RDWR | raw::O_CREAT;

#[test]
fn duplicates_share_the_description() {
    let k = Mock::new();
    let fd = k.open("/f", RW) as u64;
    let copy = k.call("dup", [fd]).unwrap() as u64;
    k.call("write", [fd, k.bytes(b"abc"), 3]).unwrap();
    assert_eq!(k.call("lseek", [copy, 0, 1]), Ok(3));
    assert_eq!(k.call("dup2", [fd, 9]), Ok(9));
    assert_eq!(k.call("dup2", [fd, fd]), Ok(fd as usize));
    assert_eq!(k.call("dup2", [77, 77]), Err(Errno::EBADF));
    assert_eq!(k.call("dup3", [fd, fd, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("dup3", [fd, 10, u64::from(raw::O_CLOEXEC)]), Ok(10));
    assert_eq!(k.call("fcntl", [10, 1]), Ok(1));
    assert_eq!(k.call("fcntl", [fd, 0, 20]), Ok(20));
    assert_eq!(k.call("fcntl", [fd, 1030, 20]), Ok(21));
    assert_eq!(k.call("close", [copy]), Ok(0));
    assert_eq!(k.call("close", [copy]), Err(Errno::EBADF));
    assert_eq!(k.call("close_range", [5, u64::from(u32::MAX), 4]), Ok(0));
    assert_eq!(k.call("fcntl", [20, 1]), Ok(1));
    assert_eq!(k.call("close_range", [5, u64::from(u32::MAX), 0]), Ok(0));
    assert_eq!(k.call("fcntl", [20, 1]), Err(Errno::EBADF));
    assert_eq!(k.call("close_range", [6, 5, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("close_range", [5, 6, 8]), Err(Errno::EINVAL));
}

#[test]
fn status_flags() {
    let k = Mock::new();
    let fd = k.open("/f", RW | raw::O_APPEND | raw::O_CLOEXEC) as u64;
    assert_eq!(
        k.call("fcntl", [fd, 3]),
        Ok((raw::O_RDWR | raw::O_APPEND | raw::O_LARGEFILE) as usize)
    );
    assert_eq!(k.call("fcntl", [fd, 1]), Ok(1));
    assert_eq!(
        k.call("fcntl", [fd, 4, u64::from(raw::O_NONBLOCK | raw::O_WRONLY)]),
        Ok(0)
    );
    assert_eq!(
        k.call("fcntl", [fd, 3]),
        Ok((raw::O_RDWR | raw::O_NONBLOCK | raw::O_LARGEFILE) as usize)
    );
    let path = k.open("/f", raw::O_PATH) as u64;
    assert_eq!(k.call("fcntl", [path, 4, 0]), Err(Errno::EBADF));
    assert_eq!(k.call("fcntl", [path, 3]), Ok(raw::O_PATH as usize));
    assert_eq!(k.call("fcntl", [fd, 9999, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("fcntl", [fd, 1027, 1]), Ok(0));
    assert_eq!(k.call("fcntl", [fd, 8, 42]), Ok(0));
    assert_eq!(k.call("fcntl", [fd, 9]), Ok(42));
    assert_eq!(k.call("fcntl", [fd, 8, 7]), Err(Errno::ESRCH));
    assert_eq!(
        k.call("fcntl", [fd, 8, i64::from(-42) as u64]),
        Err(Errno::EINVAL)
    );
}

#[test]
fn pipe_size_and_seals() {
    let k = Mock::new();
    let fds = k.alloc(8);
    k.call("pipe2", [fds, 0]).unwrap();
    let r = u64::from(k.load::<u32>(fds));
    assert_eq!(k.call("fcntl", [r, 1032]), Ok(65536));
    assert_eq!(k.call("fcntl", [r, 1031, 5000]), Ok(8192));
    let fd = k.open("/f", RW) as u64;
    assert_eq!(k.call("fcntl", [fd, 1032]), Err(Errno::EBADF));
    let sealed = k.call("memfd_create", [k.text("m"), 2]).unwrap() as u64;
    assert_eq!(k.call("fcntl", [sealed, 1034]), Ok(0));
    assert_eq!(k.call("fcntl", [sealed, 1033, 2]), Ok(0));
    assert_eq!(k.call("fcntl", [sealed, 1034]), Ok(2));
    assert_eq!(k.call("fcntl", [sealed, 1033, 0x100]), Err(Errno::EINVAL));
    assert_eq!(
        k.call("memfd_create", [k.text(&"n".repeat(250)), 0]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("memfd_create", [k.text("m"), 4]), Err(Errno::ENOSYS));
    assert_eq!(
        k.call("memfd_create", [k.text("m"), 0x1000]),
        Err(Errno::EINVAL)
    );
}

#[test]
fn flock_is_between_descriptions() {
    let k = Mock::new();
    let (a, b) = (k.open("/f", RW) as u64, k.open("/f", RW) as u64);
    let (shared, exclusive, unlock, now) = (1, 2, 8, 4);
    assert_eq!(k.call("flock", [a, shared]), Ok(0));
    assert_eq!(k.call("flock", [b, shared]), Ok(0));
    assert_eq!(k.call("flock", [a, exclusive | now]), Err(Errno::EAGAIN));
    assert_eq!(k.call("flock", [b, unlock]), Ok(0));
    assert_eq!(k.call("flock", [a, exclusive | now]), Ok(0));
    assert_eq!(k.call("flock", [b, shared | now]), Err(Errno::EAGAIN));
    assert_eq!(k.call("flock", [b, 3]), Err(Errno::EINVAL));
    let copy = k.call("dup", [a]).unwrap() as u64;
    k.call("close", [a]).unwrap();
    assert_eq!(k.call("flock", [b, shared | now]), Err(Errno::EAGAIN));
    k.call("close", [copy]).unwrap();
    assert_eq!(k.call("flock", [b, exclusive | now]), Ok(0));
}

fn lock(kind: u32, start: i64, len: i64) -> Flock {
    Flock {
        type_: kind as i16,
        start,
        len,
        ..Flock::default()
    }
}

#[test]
fn record_locks_split_and_conflict() {
    let k = Mock::new();
    let (a, b) = (k.open("/f", RW) as u64, k.open("/f", RW) as u64);
    let set = |fd, lock: &Flock| k.call("fcntl", [fd, 37, k.value(lock)]);
    assert_eq!(set(a, &lock(raw::F_WRLCK, 0, 100)), Ok(0));
    assert_eq!(set(b, &lock(raw::F_RDLCK, 50, 1)), Err(Errno::EAGAIN));
    let ask = k.value(&lock(raw::F_RDLCK, 50, 1));
    assert_eq!(k.call("fcntl", [b, 36, ask]), Ok(0));
    assert_eq!(
        k.load::<Flock>(ask),
        Flock {
            pid: -1,
            ..lock(raw::F_WRLCK, 0, 100)
        }
    );
    // A hole in the middle, which the other may have.
    assert_eq!(set(a, &lock(raw::F_UNLCK, 40, 20)), Ok(0));
    assert_eq!(set(b, &lock(raw::F_WRLCK, 40, 20)), Ok(0));
    assert_eq!(set(b, &lock(raw::F_WRLCK, 40, 21)), Err(Errno::EAGAIN));
    assert_eq!(set(b, &lock(raw::F_RDLCK, 100, 0)), Ok(0));
    k.call("close", [a]).unwrap();
    assert_eq!(set(b, &lock(raw::F_WRLCK, 0, 0)), Ok(0));
    assert_eq!(
        set(
            b,
            &Flock {
                pid: 1,
                ..lock(raw::F_WRLCK, 0, 0)
            }
        ),
        Err(Errno::EINVAL)
    );
}

#[test]
fn a_process_does_not_conflict_with_itself() {
    let k = Mock::new();
    let (a, b) = (k.open("/f", RW) as u64, k.open("/f", raw::O_RDONLY) as u64);
    let at = k.value(&lock(raw::F_WRLCK, 10, -5));
    assert_eq!(k.call("fcntl", [a, 6, at]), Ok(0));
    assert_eq!(k.call("fcntl", [b, 5, at]), Ok(0));
    assert_eq!(k.load::<Flock>(at).type_, raw::F_UNLCK as i16);
    assert_eq!(
        k.call("fcntl", [b, 6, k.value(&lock(raw::F_WRLCK, 0, 0))]),
        Err(Errno::EBADF)
    );
    assert_eq!(
        k.call("fcntl", [a, 6, k.value(&lock(raw::F_WRLCK, 0, -5))]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("fcntl", [a, 6, k.value(&lock(99, 0, 0))]),
        Err(Errno::EINVAL)
    );
    // The description's lock and the process's are strangers, until any descriptor of the file is closed.
    let whole = k.value(&lock(raw::F_RDLCK, 0, 0));
    assert_eq!(k.call("fcntl", [a, 37, whole]), Err(Errno::EAGAIN));
    k.call("close", [b]).unwrap();
    assert_eq!(k.call("fcntl", [a, 37, whole]), Ok(0));
}

#[test]
fn ioctl_does_what_every_file_has() {
    let k = Mock::new();
    let fd = k.open("/f", RW) as u64;
    let request = |fd, request: u32, arg| k.call("ioctl", [fd, u64::from(request), arg]);
    assert_eq!(request(fd, ioctl::FIOCLEX, 0), Ok(0));
    assert_eq!(k.call("fcntl", [fd, 1]), Ok(1));
    assert_eq!(request(fd, ioctl::FIONCLEX, 0), Ok(0));
    assert_eq!(request(fd, ioctl::FIONBIO, k.value(&1_i32)), Ok(0));
    assert_ne!(
        k.call("fcntl", [fd, 3]).unwrap() & raw::O_NONBLOCK as usize,
        0
    );
    k.call("write", [fd, k.bytes(b"abc"), 3]).unwrap();
    k.call("lseek", [fd, 1, 0]).unwrap();
    let count = k.alloc(8);
    assert_eq!(request(fd, ioctl::FIONREAD, count), Ok(0));
    assert_eq!(k.load::<i32>(count), 2);
    assert_eq!(request(fd, ioctl::FIOQSIZE, count), Ok(0));
    assert_eq!(k.load::<u64>(count), 3);
    assert_eq!(request(fd, ioctl::TCGETS, count), Err(Errno::ENOTTY));
    assert_eq!(request(99, ioctl::FIOCLEX, 0), Err(Errno::EBADF));
}

#[test]
fn openat2_is_strict() {
    let k = Mock::new();
    let path = k.text("/f");
    let open = |how: OpenHow, size| k.call("openat2", [super::CWD, path, k.value(&how), size]);
    let create = OpenHow {
        flags: u64::from(RW),
        mode: 0o600,
        resolve: 0,
    };
    assert!(open(create, 24).is_ok());
    assert_eq!(open(create, 23), Err(Errno::EINVAL));
    assert_eq!(
        open(
            OpenHow {
                flags: 1 << 40,
                ..create
            },
            24
        ),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        open(
            OpenHow {
                mode: 0o10000,
                ..create
            },
            24
        ),
        Err(Errno::EINVAL)
    );
    assert_eq!(open(OpenHow { flags: 0, ..create }, 24), Err(Errno::EINVAL));
    assert_eq!(
        open(
            OpenHow {
                resolve: 0x40,
                ..create
            },
            24
        ),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        open(
            OpenHow {
                resolve: 0x20,
                ..create
            },
            24
        ),
        Err(Errno::EAGAIN)
    );
    assert_eq!(
        open(
            OpenHow {
                resolve: 0x08,
                ..create
            },
            24
        ),
        Err(Errno::EXDEV)
    );
}

#[test]
fn open_makes_finds_and_refuses() {
    let k = Mock::new();
    let open = |path: &str, flags: u32| {
        k.call(
            "openat",
            [super::CWD, k.text(path), u64::from(flags), 0o600],
        )
    };
    assert_eq!(open("/none", 0), Err(Errno::ENOENT));
    assert_eq!(open("", 0), Err(Errno::ENOENT));
    assert!(open("/f", RW | raw::O_EXCL).is_ok());
    assert_eq!(open("/f", RW | raw::O_EXCL), Err(Errno::EEXIST));
    assert_eq!(open("/f", raw::O_DIRECTORY), Err(Errno::ENOTDIR));
    assert_eq!(open("/", raw::O_WRONLY), Err(Errno::EISDIR));
    assert_eq!(open("/f/x", 0), Err(Errno::ENOTDIR));
    assert_eq!(open(&"x".repeat(5000), 0), Err(Errno::ENAMETOOLONG));
    assert_eq!(
        open(&std::format!("/{}", "./".repeat(1000)), 0).map(|_| ()),
        Ok(())
    );
    assert_eq!(k.call("openat", [77, k.text("f"), 0, 0]), Err(Errno::EBADF));
    assert!(k.call("openat", [77, k.text("/f"), 0, 0]).is_ok());
    assert_eq!(k.call("open", [8, 0, 0]), Err(Errno::EFAULT));
    assert!(k.call("creat", [k.text("/g"), 0o644]).is_ok());
}

#[test]
fn cachestat_counts_the_pages_that_have_data() {
    let k = Mock::new();
    let fd = k.call("memfd_create", [k.text("m"), 0]).unwrap() as u64;
    k.call("ftruncate", [fd, 1 << 20]).unwrap();
    let byte = k.text("x");
    for at in [3 * 4096, 10 * 4096 + 5] {
        k.call("pwrite64", [fd, byte, 1, at]).unwrap();
    }
    let cached = |off, len| {
        let (range, stat) = (k.value(&CachestatRange { off, len }), k.alloc(40));
        k.call("cachestat", [fd, range, stat, 0]).unwrap();
        k.load::<Cachestat>(stat).nr_cache
    };
    assert_eq!(cached(0, 0), 2);
    assert_eq!(cached(3 * 4096 + 1, 1), 1);
    assert_eq!(cached(4 * 4096, 6 * 4096), 0);
    assert_eq!(cached(4 * 4096, 6 * 4096 + 1), 1);
    assert_eq!(cached(u64::MAX, u64::MAX), 0);
    let range = k.alloc(16);
    assert_eq!(k.call("cachestat", [fd, range, 8, 0]), Err(Errno::EFAULT));
    assert_eq!(
        k.call("cachestat", [fd, range, range, 1]),
        Err(Errno::EINVAL)
    );
}
