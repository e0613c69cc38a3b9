use super::CWD;
use crate::mock::Mock;
use linux_abi::raw::general as raw;
use linux_abi::{Errno, Stat, Statfs, Statx, Timespec, Timeval, Utimbuf};

fn stat_of(k: &Mock, path: &str) -> Stat {
    let at = k.alloc(144);
    k.call("stat", [k.text(path), at]).unwrap();
    k.load(at)
}

#[test]
fn stat_in_all_its_forms() {
    let k = Mock::new();
    let fd = k.open("/f", raw::O_RDWR | raw::O_CREAT) as u64;
    k.call("write", [fd, k.bytes(b"abc"), 3]).unwrap();
    k.call("symlink", [k.text("f"), k.text("/s")]).unwrap();
    let stat = stat_of(&k, "/s");
    assert_eq!(
        (stat.size, stat.mode, stat.nlink),
        (3, raw::S_IFREG | 0o644, 1)
    );
    let at = k.alloc(256);
    let (empty, nofollow) = (
        u64::from(raw::AT_EMPTY_PATH),
        u64::from(raw::AT_SYMLINK_NOFOLLOW),
    );
    assert_eq!(k.call("fstat", [fd, at]), Ok(0));
    assert_eq!(k.load::<Stat>(at), stat);
    assert_eq!(k.call("newfstatat", [fd, k.text(""), at, empty]), Ok(0));
    assert_eq!(k.load::<Stat>(at), stat);
    assert_eq!(
        k.call("newfstatat", [fd, k.text(""), at, 0]),
        Err(Errno::ENOENT)
    );
    assert_eq!(
        k.call("newfstatat", [CWD, k.text("s"), at, nofollow]),
        Ok(0)
    );
    assert_eq!(k.load::<Stat>(at).mode & raw::S_IFMT, raw::S_IFLNK);
    assert_eq!(
        k.call("newfstatat", [CWD, k.text("s"), at, 1]),
        Err(Errno::EINVAL)
    );
    assert_eq!(k.call("newfstatat", [CWD, k.text(""), at, empty]), Ok(0));
    assert_eq!(k.load::<Stat>(at).mode & raw::S_IFMT, raw::S_IFDIR);
    assert_eq!(k.call("lstat", [k.text("/s"), at]), Ok(0));
    assert_eq!(k.call("stat", [k.text("/f"), 8]), Err(Errno::EFAULT));
    assert_eq!(k.call("stat", [k.text("/none"), 8]), Err(Errno::ENOENT));
    assert_eq!(k.call("statx", [CWD, k.text("/f"), 0, 0xfff, at]), Ok(0));
    let statx: Statx = k.load(at);
    assert_eq!(
        (statx.size, u32::from(statx.mode), statx.ino),
        (3, stat.mode, stat.ino)
    );
    assert_eq!(k.call("statx", [fd, k.text(""), empty, 0, at]), Ok(0));
    assert_eq!(
        k.call("statx", [fd, k.text(""), empty, 1 << 31, at]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("statx", [fd, k.text(""), 0x6000, 0, at]),
        Err(Errno::EINVAL)
    );
}

#[test]
fn file_systems_tell_about_themselves() {
    let k = Mock::new();
    let at = k.alloc(120);
    assert_eq!(k.call("statfs", [k.text("/"), at]), Ok(0));
    assert_eq!(k.load::<Statfs>(at).type_, 0x0102_1994);
    let fd = k.open("/", 0) as u64;
    assert_eq!(k.call("fstatfs", [fd, at]), Ok(0));
    assert_eq!(k.load::<Statfs>(at).namelen, 255);
}

#[test]
fn access_asks_for_the_real_user() {
    let k = Mock::new();
    k.open("/f", raw::O_CREAT);
    k.call("chmod", [k.text("/f"), 0o600]).unwrap();
    let access = |mode, flags| k.call("faccessat2", [CWD, k.text("/f"), mode, flags]);
    assert_eq!(access(6, 0), Ok(0));
    assert_eq!(access(1, 0), Err(Errno::EACCES));
    assert_eq!(access(8, 0), Err(Errno::EINVAL));
    assert_eq!(access(4, 1), Err(Errno::EINVAL));
    k.call("setresuid", [1000, 0, 0]).unwrap();
    assert_eq!(access(4, 0), Err(Errno::EACCES));
    assert_eq!(access(4, 0x200), Ok(0));
    assert_eq!(k.call("access", [k.text("/f"), 4]), Err(Errno::EACCES));
    assert_eq!(k.call("faccessat", [CWD, k.text("/f"), 0]), Ok(0));
}

#[test]
fn modes_and_owners() {
    let k = Mock::new();
    let fd = k.open("/f", raw::O_CREAT) as u64;
    k.call("symlink", [k.text("f"), k.text("/s")]).unwrap();
    assert_eq!(k.call("chmod", [k.text("/s"), 0o4711]), Ok(0));
    assert_eq!(stat_of(&k, "/f").mode & 0o7777, 0o4711);
    assert_eq!(k.call("fchmod", [fd, 0o600]), Ok(0));
    assert_eq!(k.call("fchmodat", [CWD, k.text("f"), 0o640]), Ok(0));
    let nofollow = u64::from(raw::AT_SYMLINK_NOFOLLOW);
    assert_eq!(
        k.call("fchmodat2", [CWD, k.text("s"), 0o600, nofollow]),
        Err(Errno::EOPNOTSUPP)
    );
    assert_eq!(k.call("chown", [k.text("/s"), 5, u64::MAX]), Ok(0));
    assert_eq!(k.call("fchown", [fd, u64::MAX, 6]), Ok(0));
    let stat = stat_of(&k, "/f");
    assert_eq!((stat.uid, stat.gid, stat.mode & 0o7777), (5, 6, 0o640));
    assert_eq!(k.call("lchown", [k.text("/s"), 7, 7]), Ok(0));
    assert_eq!(
        k.call(
            "fchownat",
            [fd, k.text(""), 8, 8, u64::from(raw::AT_EMPTY_PATH)]
        ),
        Ok(0)
    );
    assert_eq!(stat_of(&k, "/f").uid, 8);
    let path = k.open("/f", raw::O_PATH) as u64;
    assert_eq!(k.call("fchmod", [path, 0o600]), Err(Errno::EBADF));
    assert_eq!(k.call("fchown", [path, 1, 1]), Err(Errno::EBADF));
    assert_eq!(k.call("umask", [0o77]), Ok(0o22));
    k.open("/masked", raw::O_CREAT);
    assert_eq!(stat_of(&k, "/masked").mode & 0o777, 0o600);
}

#[test]
fn times_are_set() {
    let k = Mock::new();
    let fd = k.open("/f", raw::O_CREAT) as u64;
    let spec = |a: (i64, i64), m: (i64, i64)| {
        k.value(&[
            Timespec {
                sec: a.0,
                nsec: a.1,
            },
            Timespec {
                sec: m.0,
                nsec: m.1,
            },
        ])
    };
    let times = || {
        let stat = stat_of(&k, "/f");
        (stat.atime, stat.mtime, stat.mtime_nsec)
    };
    assert_eq!(
        k.call("utimensat", [CWD, k.text("/f"), spec((1, 2), (3, 4)), 0]),
        Ok(0)
    );
    assert_eq!(times(), (1, 3, 4));
    assert_eq!(
        k.call(
            "utimensat",
            [fd, 0, spec((0, 0x3fff_fffe), (0, 0x3fff_ffff)), 0]
        ),
        Ok(0)
    );
    assert_eq!(times(), (1, 1_700_000_001, 0));
    assert_eq!(
        k.call("utimensat", [CWD, k.text("/f"), spec((1, -1), (3, 4)), 0]),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        k.call("utimensat", [CWD, 0, spec((1, 1), (3, 4)), 0]),
        Err(Errno::EFAULT)
    );
    let vals = k.value(&[Timeval { sec: 9, usec: 0 }, Timeval { sec: 8, usec: 7 }]);
    assert_eq!(k.call("utimes", [k.text("/f"), vals]), Ok(0));
    assert_eq!(times(), (9, 8, 7000));
    assert_eq!(
        k.call(
            "utime",
            [
                k.text("/f"),
                k.value(&Utimbuf {
                    actime: 5,
                    modtime: 6
                })
            ]
        ),
        Ok(0)
    );
    assert_eq!(times(), (5, 6, 0));
    assert_eq!(k.call("futimesat", [CWD, k.text("/f"), 0]), Ok(0));
    let bad = k.value(
        &[Timeval {
            sec: 9,
            usec: 1_000_000,
        }; 2],
    );
    assert_eq!(
        k.call("futimesat", [CWD, k.text("/f"), bad]),
        Err(Errno::EINVAL)
    );
}

#[test]
fn extended_attributes_are_kept_with_the_file() {
    let k = Mock::new();
    let fd = k.open("/f", raw::O_CREAT) as u64;
    let (path, name, buf) = (k.text("/f"), k.text("user.x"), k.bytes(b"value..."));
    let set = |flags: u32| k.call("setxattr", [path, name, buf, 5, u64::from(flags)]);
    assert_eq!(set(raw::XATTR_REPLACE), Err(Errno::ENODATA));
    assert_eq!(set(4), Err(Errno::EINVAL));
    assert_eq!(set(raw::XATTR_CREATE), Ok(0));
    assert_eq!(set(raw::XATTR_CREATE), Err(Errno::EEXIST));
    assert_eq!(
        k.call("fsetxattr", [fd, name, buf, 70000, 0]),
        Err(Errno::E2BIG)
    );
    let get = |name: &str, size| k.call("fgetxattr", [fd, k.text(name), buf, size]);
    assert_eq!(get("user.x", 8), Ok(5));
    assert_eq!(get("user.x", 0), Ok(5));
    assert_eq!(get("user.x", 4), Err(Errno::ERANGE));
    assert_eq!(get("user.y", 8), Err(Errno::ENODATA));
    assert_eq!(get("other.x", 8), Err(Errno::EOPNOTSUPP));
    assert_eq!(get("user.", 8), Err(Errno::EINVAL));
    assert_eq!(get("", 8), Err(Errno::ERANGE));
    assert_eq!(
        k.call("getxattr", [k.text("/none"), name, buf, 8]),
        Err(Errno::ENOENT)
    );
    assert_eq!(k.call("fgetxattr", [99, name, buf, 8]), Err(Errno::EBADF));
    let names = k.alloc(16);
    assert_eq!(k.call("listxattr", [path, names, 16]), Ok(7));
    assert_eq!(k.load_bytes(names, 7), b"user.x\0");
    assert_eq!(k.call("flistxattr", [fd, 0, 0]), Ok(7));
    k.call("symlink", [path, k.text("/link")]).unwrap();
    let link = k.text("/link");
    assert_eq!(k.call("getxattr", [link, name, buf, 8]), Ok(5));
    assert_eq!(k.call("llistxattr", [link, names, 16]), Ok(0));
    assert_eq!(
        k.call("lgetxattr", [link, name, buf, 8]),
        Err(Errno::ENODATA)
    );
    assert_eq!(
        k.call("lsetxattr", [link, name, buf, 5, 0]),
        Err(Errno::EPERM)
    );
    assert_eq!(k.call("lremovexattr", [link, name]), Err(Errno::EPERM));
    assert_eq!(k.call("fremovexattr", [fd, name]), Ok(0));
    assert_eq!(k.call("removexattr", [path, name]), Err(Errno::ENODATA));
    assert_eq!(k.call("listxattr", [path, names, 16]), Ok(0));
}
