use crate::mock::Mock;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, Iovec, Rlimit64, Signal};

const RW: u32 = raw::O_RDWR | raw::O_CREAT;

fn write(k: &Mock, fd: u64, text: &str) -> usize {
    k.call("write", [fd, k.bytes(text.as_bytes()), text.len() as u64])
        .unwrap()
}

#[test]
fn read_and_write_move_the_position() {
    let k = Mock::new();
    let fd = k.open("/f", RW) as u64;
    assert_eq!(write(&k, fd, "hello world"), 11);
    assert_eq!(k.call("lseek", [fd, 6, 0]), Ok(6));
    let buf = k.alloc(16);
    assert_eq!(k.call("read", [fd, buf, 16]), Ok(5));
    assert_eq!(k.load_bytes(buf, 5), b"world");
    assert_eq!(k.call("read", [fd, buf, 16]), Ok(0));
    assert_eq!(k.call("lseek", [fd, -1_i64 as u64, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("lseek", [fd, 0, 9]), Err(Errno::EINVAL));
    assert_eq!(k.call("read", [99, buf, 1]), Err(Errno::EBADF));
    assert_eq!(k.call("read", [fd, 1 << 63, 1]), Err(Errno::EFAULT));
    assert_eq!(k.call("write", [fd, 8, 1]), Err(Errno::EFAULT));
}

#[test]
fn the_access_mode_is_kept() {
    let k = Mock::new();
    let write_only = k.open("/f", raw::O_WRONLY | raw::O_CREAT) as u64;
    let read_only = k.open("/f", raw::O_RDONLY) as u64;
    let path_only = k.open("/f", raw::O_PATH) as u64;
    let buf = k.alloc(4);
    assert_eq!(k.call("read", [write_only, buf, 1]), Err(Errno::EBADF));
    assert_eq!(k.call("write", [read_only, buf, 1]), Err(Errno::EBADF));
    assert_eq!(k.call("read", [path_only, buf, 1]), Err(Errno::EBADF));
    assert_eq!(
        k.call("pread64", [write_only, buf, 1, 0]),
        Err(Errno::EBADF)
    );
    let dir = k.open("/", 0) as u64;
    assert_eq!(k.call("read", [dir, buf, 1]), Err(Errno::EISDIR));
}

#[test]
fn pread_and_pwrite_leave_the_position() {
    let k = Mock::new();
    let fd = k.open("/f", RW) as u64;
    assert_eq!(k.call("pwrite64", [fd, k.bytes(b"abc"), 3, 2]), Ok(3));
    let buf = k.alloc(8);
    assert_eq!(k.call("pread64", [fd, buf, 8, 1]), Ok(4));
    assert_eq!(k.load_bytes(buf, 4), b"\0abc");
    assert_eq!(k.call("lseek", [fd, 0, 1]), Ok(0));
    assert_eq!(
        k.call("pread64", [fd, buf, 8, -1_i64 as u64]),
        Err(Errno::EINVAL)
    );
    let pipe = k.alloc(8);
    k.call("pipe", [pipe]).unwrap();
    assert_eq!(
        k.call("pread64", [k.load::<u32>(pipe).into(), buf, 1, 0]),
        Err(Errno::ESPIPE)
    );
}

#[test]
fn vectors_of_buffers() {
    let k = Mock::new();
    let fd = k.open("/f", RW) as u64;
    let parts: [&[u8]; 3] = [b"one", b"", b"three"];
    let iov = parts.map(|part| Iovec {
        base: k.bytes(part),
        len: part.len() as u64,
    });
    assert_eq!(k.call("writev", [fd, k.value(&iov), 3]), Ok(8));
    let (a, b) = (k.alloc(4), k.alloc(4));
    let iov = k.value(&[Iovec { base: a, len: 4 }, Iovec { base: b, len: 4 }]);
    assert_eq!(k.call("preadv", [fd, iov, 2, 0, 0]), Ok(8));
    assert_eq!(
        (k.load_bytes(a, 4), k.load_bytes(b, 4)),
        (b"onet".to_vec(), b"hree".to_vec())
    );
    assert_eq!(k.call("lseek", [fd, 2, 0]), Ok(2));
    assert_eq!(k.call("readv", [fd, iov, 2]), Ok(6));
    assert_eq!(k.call("pwritev", [fd, iov, 1, 100, 0]), Ok(4));
    assert_eq!(k.call("pwritev2", [fd, iov, 1, u64::MAX, 0, 0]), Ok(4));
    assert_eq!(k.call("preadv2", [fd, iov, 1, 100, 0, 8]), Ok(4));
    assert_eq!(
        k.call("preadv2", [fd, iov, 1, 100, 0, 0x100]),
        Err(Errno::EOPNOTSUPP)
    );
    assert_eq!(
        k.call("pwritev2", [fd, iov, 1, 100, 0, 0x10]),
        Err(Errno::EOPNOTSUPP)
    );
    assert_eq!(k.call("readv", [fd, iov, 1025]), Err(Errno::EINVAL));
    assert_eq!(k.call("readv", [fd, 8, 1]), Err(Errno::EFAULT));
    let negative = k.value(&[Iovec {
        base: a,
        len: 1 << 63,
    }]);
    assert_eq!(k.call("readv", [fd, negative, 1]), Err(Errno::EINVAL));
    assert_eq!(k.call("readv", [fd, iov, 0]), Ok(0));
}

#[test]
fn many_buffers() {
    let k = Mock::new();
    let fd = k.open("/f", RW) as u64;
    let text = k.bytes(b"0123456789abcdefghij");
    let iov: [Iovec; 20] = core::array::from_fn(|at| Iovec {
        base: text + 19 - at as u64,
        len: 1,
    });
    assert_eq!(k.call("writev", [fd, k.value(&iov), 20]), Ok(20));
    let buf = k.alloc(20);
    assert_eq!(k.call("pread64", [fd, buf, 20, 0]), Ok(20));
    assert_eq!(k.load_bytes(buf, 20), b"jihgfedcba9876543210");
}

#[test]
fn truncation_and_allocation() {
    let k = Mock::new();
    let fd = k.open("/f", RW) as u64;
    write(&k, fd, "0123456789");
    assert_eq!(k.call("ftruncate", [fd, 4]), Ok(0));
    assert_eq!(k.call("truncate", [k.text("/f"), 8]), Ok(0));
    let buf = k.alloc(16);
    assert_eq!(k.call("pread64", [fd, buf, 16, 0]), Ok(8));
    assert_eq!(k.load_bytes(buf, 8), b"0123\0\0\0\0");
    assert_eq!(k.call("ftruncate", [fd, -1_i64 as u64]), Err(Errno::EINVAL));
    assert_eq!(k.call("truncate", [k.text("/"), 0]), Err(Errno::EISDIR));
    assert_eq!(k.call("truncate", [k.text("/none"), 0]), Err(Errno::ENOENT));
    assert_eq!(k.call("fallocate", [fd, 0, 0, 100]), Ok(0));
    assert_eq!(k.call("lseek", [fd, 0, 2]), Ok(100));
    assert_eq!(k.call("fallocate", [fd, 2, 0, 100]), Err(Errno::EOPNOTSUPP));
    assert_eq!(k.call("fallocate", [fd, 0, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(
        k.call("fallocate", [fd, 0, i64::MAX as u64, 1]),
        Err(Errno::EFBIG)
    );
}

#[test]
fn the_file_size_limit_cuts_and_then_signals() {
    let k = Mock::new();
    let fd = k.open("/f", RW) as u64;
    let limit = k.value(&Rlimit64 { cur: 4, max: 100 });
    assert_eq!(k.call("setrlimit", [1, limit]), Ok(0));
    assert_eq!(write(&k, fd, "0123456789"), 4);
    let buf = k.bytes(b"x");
    assert_eq!(k.call("write", [fd, buf, 1]), Err(Errno::EFBIG));
    assert_eq!(k.call("pwrite64", [fd, buf, 1, 3]), Ok(1));
    assert_eq!(k.call("ftruncate", [fd, 5]), Err(Errno::EFBIG));
    assert_eq!(k.call("ftruncate", [fd, 3]), Ok(0));
    let sent = k.signals.sent.lock();
    assert!(
        sent.iter()
            .all(|(_, info)| info.unwrap().signo == i32::from(Signal::SIGXFSZ.number()))
    );
    assert_eq!(sent.len(), 2);
}

#[test]
fn a_blocking_read_waits_for_the_other_thread() {
    let k = Mock::new();
    let fds = k.alloc(8);
    k.call("pipe2", [fds, 0]).unwrap();
    let [r, w] = k.load::<[u32; 2]>(fds).map(u64::from);
    let buf = k.alloc(8);
    k.meanwhile.lock().push(std::boxed::Box::new(move |k| {
        write(k, w, "late");
    }));
    assert_eq!(k.call("read", [r, buf, 8]), Ok(4));
    assert_eq!(k.load_bytes(buf, 4), b"late");
    k.interrupted.store(true, Relaxed);
    assert_eq!(k.call("read", [r, buf, 8]), Err(Errno::ERESTARTSYS));
    k.call("fcntl", [r, 4, u64::from(raw::O_NONBLOCK)]).unwrap();
    assert_eq!(k.call("read", [r, buf, 8]), Err(Errno::EAGAIN));
}

#[test]
fn a_blocking_write_takes_all_of_it() {
    let k = Mock::new();
    let fds = k.alloc(8);
    k.call("pipe2", [fds, 0]).unwrap();
    let [r, w] = k.load::<[u32; 2]>(fds).map(u64::from);
    let big = k.alloc(0x18000);
    let sink = k.alloc(0x10000);
    k.meanwhile.lock().push(std::boxed::Box::new(move |k| {
        assert_eq!(k.call("read", [r, sink, 0x10000]), Ok(0x10000));
    }));
    assert_eq!(k.call("write", [w, big, 0x18000]), Ok(0x18000));
    // Full after this: a signal leaves the part that was taken.
    k.interrupted.store(true, Relaxed);
    assert_eq!(k.call("write", [w, big, 0x18000]), Ok(0x8000));
    assert_eq!(k.call("write", [w, big, 1]), Err(Errno::ERESTARTSYS));
}

#[test]
fn a_broken_pipe_signals() {
    let k = Mock::new();
    let fds = k.alloc(8);
    k.call("pipe2", [fds, 0]).unwrap();
    let [r, w] = k.load::<[u32; 2]>(fds).map(u64::from);
    k.call("close", [r]).unwrap();
    assert_eq!(k.call("write", [w, fds, 0]), Ok(0));
    assert_eq!(k.call("write", [w, fds, 1]), Err(Errno::EPIPE));
    let (_, info) = k.signals.sent.lock()[0];
    assert_eq!(info.unwrap().signo, 13);
}

#[test]
fn synchronising_checks_what_it_is_given() {
    let k = Mock::new();
    let fd = k.open("/f", RW) as u64;
    let fds = k.alloc(8);
    k.call("pipe2", [fds, 0]).unwrap();
    let pipe = u64::from(k.load::<u32>(fds));
    assert_eq!(k.call("fsync", [fd]), Ok(0));
    assert_eq!(k.call("fdatasync", [fd]), Ok(0));
    assert_eq!(k.call("syncfs", [fd]), Ok(0));
    assert_eq!(k.call("sync", []), Ok(0));
    assert_eq!(k.call("sync_file_range", [fd, 0, 0, 7]), Ok(0));
    assert_eq!(k.call("sync_file_range", [fd, 0, 0, 8]), Err(Errno::EINVAL));
    assert_eq!(
        k.call("sync_file_range", [pipe, 0, 0, 1]),
        Err(Errno::ESPIPE)
    );
    assert_eq!(k.call("fsync", [pipe]), Err(Errno::EINVAL));
    assert_eq!(k.call("fsync", [77]), Err(Errno::EBADF));
    assert_eq!(k.call("fadvise64", [fd, 0, 0, 4]), Ok(0));
    assert_eq!(k.call("fadvise64", [fd, 0, 0, 6]), Err(Errno::EINVAL));
    assert_eq!(k.call("fadvise64", [pipe, 0, 0, 0]), Err(Errno::ESPIPE));
    assert_eq!(k.call("readahead", [fd, 0, 100]), Ok(0));
    assert_eq!(k.call("readahead", [pipe, 0, 100]), Err(Errno::EINVAL));
}
