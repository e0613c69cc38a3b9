//! A host and helpers for the tests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use vfs::{
    At, Credentials, Errno, File, FsContext, Host, InodeRef, LookupFlags, MemFs, Mount, MountSpec,
    OpenHow, Place, SliceSink, SliceSource, Timestamp, Wake,
};

pub const O_WRONLY: u32 = 1;
pub const O_RDWR: u32 = 2;
pub const O_CREAT: u32 = 0o100;
pub const O_EXCL: u32 = 0o200;
pub const O_TRUNC: u32 = 0o1000;
pub const O_APPEND: u32 = 0o2000;
pub const O_NONBLOCK: u32 = 0o4000;
pub const O_DIRECTORY: u32 = 0o200_000;
pub const O_NOFOLLOW: u32 = 0o400_000;
pub const O_PATH: u32 = 0o10_000_000;
pub const O_TMPFILE: u32 = 0o20_200_000;

/// A host whose clocks stand still until they are set.
#[derive(Default)]
pub struct TestHost {
    pub now: AtomicU64,
    pub timers: Mutex<Vec<(u64, Weak<dyn Wake>)>>,
}

impl TestHost {
    /// How many calls are owed.
    pub fn pending(&self) -> usize {
        self.timers.lock().unwrap().len()
    }

    pub fn advance(&self, to: u64) {
        self.now.store(to, SeqCst);
        let due: Vec<_> = {
            let mut timers = self.timers.lock().unwrap();
            let (due, rest): (Vec<_>, Vec<_>) = timers.drain(..).partition(|(at, _)| *at <= to);
            *timers = rest;
            due
        };
        for (_, whom) in due {
            if let Some(whom) = whom.upgrade() {
                whom.wake(0);
            }
        }
    }
}

impl Host for TestHost {
    fn wall_time(&self) -> Timestamp {
        let now = self.now.load(SeqCst);
        Timestamp {
            sec: (now / 1_000_000_000) as i64,
            nsec: (now % 1_000_000_000) as u32,
        }
    }

    fn clock(&self, _clock: u32) -> u64 {
        self.now.load(SeqCst)
    }

    fn wake_at(&self, _clock: u32, deadline: u64, whom: Weak<dyn Wake>) {
        self.timers.lock().unwrap().push((deadline, whom));
    }

    fn random(&self, into: &mut [u8]) {
        into.fill(0x5a);
    }
}

pub fn host() -> Arc<TestHost> {
    Arc::new(TestHost::default())
}

/// A process: a tree, and who looks at it.
pub struct Process {
    pub fs: FsContext,
    pub cred: Credentials,
    pub root: Place,
}

pub fn mount_spec(root: InodeRef, fs_type: &'static str) -> MountSpec {
    MountSpec {
        root,
        fs_type,
        source: fs_type.into(),
        options: "rw".into(),
        read_only: false,
    }
}

impl Process {
    pub fn over(root: InodeRef) -> Self {
        let mount = Mount::root(mount_spec(root.clone(), "tmpfs"));
        let root = Place { mount, inode: root };
        Self {
            fs: FsContext::new(root.clone()),
            cred: Credentials::default(),
            root,
        }
    }

    pub fn empty() -> Self {
        Self::over(MemFs::tmpfs(1, host(), 1024, 0o755))
    }

    pub fn at(&self) -> At<'_> {
        At::cwd(&self.fs, &self.cred)
    }

    pub fn open(&self, path: &str, flags: u32) -> Result<Arc<File>, Errno> {
        self.at().open(
            path.as_bytes(),
            &OpenHow {
                flags,
                mode: 0o644,
                resolve: None,
            },
        )
    }

    pub fn find(&self, path: &str) -> Result<Place, Errno> {
        self.at().resolve(path.as_bytes(), LookupFlags::FOLLOW)
    }

    pub fn write_file(&self, path: &str, data: &[u8]) {
        let file = self.open(path, O_WRONLY | O_CREAT | O_TRUNC).unwrap();
        assert_eq!(write(&file, data), Ok(data.len()));
    }

    pub fn read_file(&self, path: &str) -> Result<Vec<u8>, Errno> {
        read_all(&*self.open(path, 0)?)
    }

    pub fn names(&self, path: &str) -> Vec<String> {
        let dir = self.open(path, O_DIRECTORY).unwrap();
        let mut names = Vec::new();
        dir.read_dir(&mut |entry| {
            names.push(String::from_utf8_lossy(entry.name).into_owned());
            true
        })
        .unwrap();
        names.sort();
        names
    }
}

pub fn write(file: &File, data: &[u8]) -> Result<usize, Errno> {
    file.write(&mut SliceSource::new(data))
}

pub fn read(file: &File, len: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; len];
    let count = file.read(&mut SliceSink::new(&mut buffer))?;
    buffer.truncate(count);
    Ok(buffer)
}

pub fn pread(file: &File, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; len];
    let count = file.read_at(offset, &mut SliceSink::new(&mut buffer))?;
    buffer.truncate(count);
    Ok(buffer)
}

pub fn read_all(file: &File) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    loop {
        let part = read(file, 70_000)?;
        if part.is_empty() {
            return Ok(all);
        }
        all.extend(part);
    }
}

/// The error of a call whose value cannot be printed.
pub fn err<T>(result: Result<T, Errno>) -> Errno {
    match result {
        Ok(_) => panic!("succeeded"),
        Err(error) => error,
    }
}

/// Bytes that stay, on a page boundary, as an image is given.
pub fn leak_aligned(bytes: &[u8]) -> &'static [u8] {
    let buffer: &'static mut [u8] = Box::leak(vec![0; bytes.len() + 4096].into_boxed_slice());
    let skip = buffer.as_ptr().align_offset(4096);
    buffer[skip..skip + bytes.len()].copy_from_slice(bytes);
    &buffer[skip..skip + bytes.len()]
}
