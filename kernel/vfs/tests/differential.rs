//! The same random calls on a native directory and on ours: every result, and the tree at the end, must agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;
use common::*;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use vfs::{Errno, FileType, LookupFlags, OpenHow};

const DEEP: &str = "/d/d/d/d/d/d/d/d";

struct Native {
    dir: OwnedFd,
    path: PathBuf,
}

impl Native {
    fn new(tag: u64) -> Self {
        let base = if Path::new("/dev/shm").is_dir() {
            PathBuf::from("/dev/shm")
        } else {
            std::env::temp_dir()
        };
        let path = base.join(format!("vfs-differential-{}-{tag}", std::process::id()));
        // Deep down, for paths through links to "." may lead upwards.
        let deep = path.join(DEEP.trim_start_matches('/'));
        fs::create_dir_all(&deep).unwrap();
        let dir = rustix::fs::openat(
            CWD,
            &deep,
            OFlags::RDONLY | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .unwrap();
        Self { dir, path }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.next() % from.len()]
    }
}

/// A path of few names, so that calls meet each other; sometimes odd.
fn path(random: &mut Random) -> String {
    let mut path = String::new();
    for i in 0..=random.next() % 3 {
        if i > 0 {
            path.push_str(random.pick(&["/", "/", "//", "/./"]));
        }
        path.push_str(random.pick(&["a", "b", "c", "a", "b", "c", ".", "..", "l"]));
    }
    match random.next() % 12 {
        0 => path.push('/'),
        1 => path.push_str("/."),
        2 if random.next().is_multiple_of(8) => path.clear(),
        3 if random.next().is_multiple_of(8) => path = "n".repeat(256),
        _ => {}
    }
    // Never above the directory that the test owns.
    if path
        .split('/')
        .scan(0_i32, |depth, part| {
            *depth += match part {
                ".." => -1,
                "" | "." => 0,
                _ => 1,
            };
            Some(*depth)
        })
        .any(|depth| depth < 0)
    {
        "a/b".into()
    } else {
        path
    }
}

fn outcome<T>(result: rustix::io::Result<T>) -> Result<(), i32> {
    result.map(drop).map_err(|error| error.raw_os_error())
}

fn ours<T>(result: Result<T, Errno>) -> Result<(), i32> {
    result.map(drop).map_err(|error| i32::from(error.raw()))
}

fn open_flags(random: &mut Random) -> u32 {
    let mut flags = [0, 1, 2][random.next() % 3];
    for (bit, odds) in [
        (O_CREAT, 2),
        (O_EXCL, 4),
        (O_TRUNC, 4),
        (O_DIRECTORY, 6),
        (O_NOFOLLOW, 4),
        (O_PATH, 10),
        (O_APPEND, 6),
    ] {
        if random.next().is_multiple_of(odds) {
            flags |= bit;
        }
    }
    // Linux changed its mind about these two together; and O_EXCL alone is undefined.
    if flags & O_CREAT != 0 {
        flags & !O_DIRECTORY
    } else {
        flags & !O_EXCL
    }
}

fn step(
    random: &mut Random,
    native: &Native,
    process: &Process,
) -> (String, Result<(), i32>, Result<(), i32>) {
    let (p, q) = (path(random), path(random));
    let at = process.at();
    let dir = &native.dir;
    match random.next() % 12 {
        0 | 1 => (
            format!("mkdir {p}"),
            outcome(rustix::fs::mkdirat(dir, &p, Mode::from(0o755))),
            ours(at.mkdir(p.as_bytes(), 0o755)),
        ),
        2 => (
            format!("rmdir {p}"),
            outcome(rustix::fs::unlinkat(dir, &p, AtFlags::REMOVEDIR)),
            ours(at.rmdir(p.as_bytes())),
        ),
        3 => (
            format!("unlink {p}"),
            outcome(rustix::fs::unlinkat(dir, &p, AtFlags::empty())),
            ours(at.unlink(p.as_bytes())),
        ),
        4 | 5 => {
            let flags = [0, 0, 0, 1, 2][random.next() % 5];
            let theirs = outcome(rustix::fs::renameat_with(
                dir,
                &p,
                dir,
                &q,
                RenameFlags::from_bits_retain(flags),
            ));
            (
                format!("rename {flags} {p} {q}"),
                theirs,
                ours(at.rename(p.as_bytes(), &at, q.as_bytes(), flags)),
            )
        }
        6 => {
            let target = random.pick(&["a", "b/c", "b/../a", ".", "l", "nowhere", "a/", "..//b"]);
            (
                format!("symlink {target} {p}"),
                outcome(rustix::fs::symlinkat(target, dir, &p)),
                ours(at.symlink(target.as_bytes(), p.as_bytes())),
            )
        }
        7 => {
            let theirs = outcome(rustix::fs::linkat(dir, &p, dir, &q, AtFlags::empty()));
            let result = at
                .resolve(p.as_bytes(), LookupFlags::empty())
                .and_then(|place| at.link(&place, q.as_bytes()));
            (format!("link {p} {q}"), theirs, ours(result))
        }
        8 => {
            let theirs = outcome(rustix::fs::statat(dir, &p, AtFlags::empty()));
            (
                format!("stat {p}"),
                theirs,
                ours(at.metadata(p.as_bytes(), LookupFlags::FOLLOW)),
            )
        }
        9 => {
            let theirs = outcome(rustix::fs::readlinkat(dir, &p, Vec::new()));
            (
                format!("readlink {p}"),
                theirs,
                ours(at.readlink(p.as_bytes())),
            )
        }
        _ => {
            let flags = open_flags(random);
            let theirs =
                rustix::fs::openat(dir, &p, OFlags::from_bits_retain(flags), Mode::from(0o644));
            let mine = at.open(
                p.as_bytes(),
                &OpenHow {
                    flags,
                    mode: 0o644,
                    resolve: None,
                },
            );
            if let (Ok(a), Ok(b)) = (&theirs, &mine) {
                let data = format!("{p}{}", random.next());
                let theirs = rustix::io::write(a, data.as_bytes()).map_err(|e| e.raw_os_error());
                let mine = write(b, data.as_bytes()).map_err(|e| i32::from(e.raw()));
                return (
                    format!("write {flags:o} {p}"),
                    theirs.map(drop),
                    mine.map(drop),
                );
            }
            (format!("open {flags:o} {p}"), outcome(theirs), ours(mine))
        }
    }
}

fn compare(process: &Process, native: &Path, path: &str) {
    let mut names: Vec<String> = fs::read_dir(native)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.extend([".".into(), "..".into()]);
    names.sort();
    assert_eq!(
        process.names(if path.is_empty() { "/" } else { path }),
        names,
        "{path}"
    );
    for name in names.iter().filter(|name| !name.starts_with('.')) {
        use std::os::unix::fs::MetadataExt;
        let here = format!("{path}/{name}");
        let theirs = native.join(name).symlink_metadata().unwrap();
        let place = process
            .at()
            .resolve(here.as_bytes(), LookupFlags::empty())
            .unwrap();
        let mine = place.inode.metadata();
        assert_eq!(
            (mine.mode, mine.nlink),
            (theirs.mode(), theirs.nlink() as u32),
            "{here}"
        );
        match place.inode.kind() {
            FileType::Directory => compare(process, &native.join(name), &here),
            FileType::Regular => assert_eq!(
                process.read_file(&here).unwrap(),
                fs::read(native.join(name)).unwrap(),
                "{here}"
            ),
            _ => {}
        }
    }
}

#[test]
fn agrees_with_the_native_kernel() {
    for seed in 1..200_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let native = Native::new(seed);
        let process = Process::empty();
        for end in (1..=8).map(|i| i * 2) {
            process.at().mkdir(&DEEP.as_bytes()[..end], 0o755).unwrap();
        }
        process.fs.set_cwd(process.find(DEEP).unwrap()).unwrap();
        rustix::process::umask(Mode::from(0o022));
        let mut log = Vec::new();
        for _ in 0..400 {
            let (call, theirs, mine) = step(&mut random, &native, &process);
            log.push(format!("{call} = {theirs:?}"));
            assert_eq!(
                mine,
                theirs,
                "seed {seed}: {call}\nbefore: {:#?}",
                &log[log.len().saturating_sub(25)..]
            );
        }
        compare(&process, &native.path, "");
    }
}
