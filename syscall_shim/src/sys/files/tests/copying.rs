use crate::mock::Mock;
use linux_abi::Errno;
use linux_abi::raw::general as raw;

const RW: u32 = raw::O_RDWR | raw::O_CREAT;

fn file_with(k: &Mock, path: &str, text: &str) -> u64 {
    let fd = k.open(path, RW) as u64;
    k.call(
        "pwrite64",
        [fd, k.bytes(text.as_bytes()), text.len() as u64, 0],
    )
    .unwrap();
    fd
}

fn content(k: &Mock, fd: u64) -> std::vec::Vec<u8> {
    let buf = k.alloc(64);
    let len = k.call("pread64", [fd, buf, 64, 0]).unwrap();
    k.load_bytes(buf, len)
}

#[test]
fn sendfile_moves_the_position_or_the_offset() {
    let k = Mock::new();
    let from = file_with(&k, "/a", "0123456789");
    let to = file_with(&k, "/b", "");
    let offset = k.value(&7_i64);
    assert_eq!(k.call("sendfile", [to, from, offset, 100]), Ok(3));
    assert_eq!(k.load::<i64>(offset), 10);
    assert_eq!(k.call("sendfile", [to, from, 0, 2]), Ok(2));
    assert_eq!(k.call("lseek", [from, 0, 1]), Ok(2));
    assert_eq!(content(&k, to), b"78901");
    let append = k.open("/b", raw::O_WRONLY | raw::O_APPEND) as u64;
    assert_eq!(k.call("sendfile", [append, from, 0, 2]), Err(Errno::EINVAL));
    assert_eq!(
        k.call("sendfile", [append, append, 0, 2]),
        Err(Errno::EBADF)
    );
}

#[test]
fn copy_file_range_copies_between_files_only() {
    let k = Mock::new();
    let from = file_with(&k, "/a", "0123456789");
    let to = file_with(&k, "/b", "xxxx");
    let (start, target) = (k.value(&2_i64), k.value(&1_i64));
    assert_eq!(
        k.call("copy_file_range", [from, start, to, target, 3, 0]),
        Ok(3)
    );
    assert_eq!(content(&k, to), b"x234");
    assert_eq!((k.load::<i64>(start), k.load::<i64>(target)), (5, 4));
    assert_eq!(k.call("copy_file_range", [from, 0, to, 0, 100, 0]), Ok(10));
    assert_eq!(
        k.call("copy_file_range", [from, 0, to, 0, 100, 1]),
        Err(Errno::EINVAL)
    );
    let (zero, one) = (k.value(&0_i64), k.value(&1_i64));
    assert_eq!(
        k.call("copy_file_range", [from, zero, from, one, 5, 0]),
        Err(Errno::EINVAL)
    );
    let dir = k.open("/", 0) as u64;
    assert_eq!(
        k.call("copy_file_range", [dir, 0, to, 0, 1, 0]),
        Err(Errno::EISDIR)
    );
}

#[test]
fn splice_needs_a_pipe() {
    let k = Mock::new();
    let from = file_with(&k, "/a", "0123456789");
    let to = file_with(&k, "/b", "");
    let fds = k.alloc(8);
    k.call("pipe2", [fds, 0]).unwrap();
    let [r, w] = k.load::<[u32; 2]>(fds).map(u64::from);
    assert_eq!(k.call("splice", [from, 0, to, 0, 4, 0]), Err(Errno::EINVAL));
    let offset = k.value(&4_i64);
    assert_eq!(k.call("splice", [from, offset, w, 0, 100, 0]), Ok(6));
    assert_eq!(k.load::<i64>(offset), 10);
    assert_eq!(
        k.call("splice", [r, offset, to, 0, 100, 0]),
        Err(Errno::ESPIPE)
    );
    assert_eq!(k.call("splice", [r, 0, to, 0, 100, 0]), Ok(6));
    assert_eq!(content(&k, to), b"456789");
    assert_eq!(
        k.call("splice", [r, 0, to, 0, 100, 0x100]),
        Err(Errno::EINVAL)
    );
}

fn pipe(k: &Mock, flags: u32) -> [u64; 2] {
    let fds = k.alloc(8);
    k.call("pipe2", [fds, u64::from(flags)]).unwrap();
    k.load::<[u32; 2]>(fds).map(u64::from)
}

#[test]
fn tee_leaves_what_it_copies() {
    let k = Mock::new();
    let [r, w] = pipe(&k, raw::O_NONBLOCK);
    let [r2, w2] = pipe(&k, raw::O_NONBLOCK);
    assert_eq!(k.call("tee", [r, w2, 10, 0]), Err(Errno::EAGAIN));
    k.call("write", [w, k.bytes(b"abcdef"), 6]).unwrap();
    assert_eq!(k.call("tee", [r, w2, 4, 0]), Ok(4));
    assert_eq!(k.call("tee", [r, w2, 0, 0]), Ok(0));
    assert_eq!(k.call("tee", [r, w, 4, 0]), Err(Errno::EINVAL));
    assert_eq!(k.call("tee", [w, w2, 4, 0]), Err(Errno::EBADF));
    let file = file_with(&k, "/a", "");
    assert_eq!(k.call("tee", [r, file, 4, 0]), Err(Errno::EINVAL));
    let buf = k.alloc(64);
    assert_eq!(k.call("read", [r, buf, 64]), Ok(6));
    assert_eq!(k.call("read", [r2, buf, 64]), Ok(4));
    k.call("close", [w]).unwrap();
    assert_eq!(k.call("tee", [r, w2, 4, 0]), Ok(0));
}

#[test]
fn vmsplice_goes_both_ways() {
    let k = Mock::new();
    let [r, w] = pipe(&k, raw::O_NONBLOCK);
    let iov = k.bytes(
        &[k.bytes(b"one"), 3, k.bytes(b"two"), 3]
            .map(u64::to_le_bytes)
            .concat(),
    );
    assert_eq!(k.call("vmsplice", [w, iov, 2, 0]), Ok(6));
    let buf = k.alloc(64);
    let into = k.bytes(&[buf, 64].map(u64::to_le_bytes).concat());
    assert_eq!(k.call("vmsplice", [r, into, 1, 0]), Ok(6));
    assert_eq!(k.load_bytes(buf, 6), b"onetwo");
    assert_eq!(k.call("vmsplice", [r, into, 1, 0]), Err(Errno::EAGAIN));
    let file = file_with(&k, "/a", "");
    assert_eq!(k.call("vmsplice", [file, iov, 2, 0]), Err(Errno::EBADF));
    k.call("close", [r]).unwrap();
    assert_eq!(k.call("vmsplice", [w, iov, 2, 0]), Err(Errno::EPIPE));
}
