//! /dev: an in-memory file system whose device nodes open the devices below.
use crate::Result;
use crate::host::Host;
use crate::inode::{InodeRef, NewNode};
use crate::io::{Sink, Source, UserMemory};
use crate::memfs::MemFs;
use crate::ops::{FileOps, SeekKind};
use crate::types::{FileType, poll};
use alloc::sync::Arc;
use linux_abi::Errno;

/// The number of a device, as `st_rdev` shows it.
const fn device(major: u64, minor: u64) -> u64 {
    (major << 8) | minor
}

const NULL: u64 = device(1, 3);
const ZERO: u64 = device(1, 5);
const FULL: u64 = device(1, 7);
const RANDOM: u64 = device(1, 8);
const URANDOM: u64 = device(1, 9);
const TTY: u64 = device(5, 0);
const CONSOLE: u64 = device(5, 1);
const PTMX: u64 = device(5, 2);
/// Data that files in /dev may hold, in pages; there should be none.
const LIMIT_PAGES: u64 = 1024;
/// `RNDGETENTCNT` of random(4)
const RNDGETENTCNT: u32 = 0x8004_5200;

/// What the device numbers stand for.
pub(crate) struct Devices {
    null: Arc<dyn FileOps>,
    zero: Arc<dyn FileOps>,
    full: Arc<dyn FileOps>,
    random: Arc<dyn FileOps>,
    terminals: Terminals,
}

/// What the terminals in /dev open.
pub struct Terminals {
    /// /dev/console; without one it fails with `ENXIO`.
    pub console: Option<Arc<dyn FileOps>>,
    /// /dev/tty: the controlling terminal of the caller.
    pub controlling: fn() -> Result<Arc<dyn FileOps>>,
    /// /dev/ptmx: the master of a new pseudo-terminal.
    pub master: fn() -> Result<Arc<dyn FileOps>>,
}

impl Default for Terminals {
    /// There are none.
    fn default() -> Self {
        Self {
            console: None,
            controlling: || Err(Errno::ENXIO),
            master: || Err(Errno::ENODEV),
        }
    }
}

/// Makes /dev; answers its root.
pub fn devfs(dev: u64, host: Arc<dyn Host>, terminals: Terminals) -> Result<InodeRef> {
    let devices = Devices {
        null: Arc::new(Null),
        zero: Arc::new(Zero),
        full: Arc::new(Full),
        random: Arc::new(Random(host.clone())),
        terminals,
    };
    let root = MemFs::with_devices(dev, host, LIMIT_PAGES, devices);
    let nodes = [
        ("null", NULL),
        ("zero", ZERO),
        ("full", FULL),
        ("random", RANDOM),
        ("urandom", URANDOM),
        ("tty", TTY),
        ("ptmx", PTMX),
    ];
    for (name, number) in nodes {
        root.create(name.as_bytes(), NewNode::CharDevice(number), 0o666, 0, 0)?;
    }
    root.create(b"console", NewNode::CharDevice(CONSOLE), 0o600, 0, 0)?;
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    for (name, target) in links {
        root.create(
            name.as_bytes(),
            NewNode::Symlink(target.as_bytes()),
            0o777,
            0,
            0,
        )?;
    }
    root.create(b"shm", NewNode::Directory, 0o1777, 0, 0)?;
    root.create(b"pts", NewNode::Directory, 0o755, 0, 0)?;
    Ok(root)
}

impl Devices {
    /// Opens device `number`; `ENXIO` if there is none.
    pub(crate) fn open(&self, kind: FileType, number: u64) -> Result<Arc<dyn FileOps>> {
        if kind != FileType::CharDevice {
            return Err(Errno::ENXIO);
        }
        match number {
            NULL => Ok(self.null.clone()),
            ZERO => Ok(self.zero.clone()),
            FULL => Ok(self.full.clone()),
            RANDOM | URANDOM => Ok(self.random.clone()),
            TTY => (self.terminals.controlling)(),
            CONSOLE => self.terminals.console.clone().ok_or(Errno::ENXIO),
            PTMX => (self.terminals.master)(),
            _ => Err(Errno::ENXIO),
        }
    }
}

/// null(4)
struct Null;
/// zero(4)
struct Zero;
/// full(4)
struct Full;
/// random(4) and urandom(4), which are the same once there is entropy.
struct Random(Arc<dyn Host>);

fn read_zeros(sink: &mut dyn Sink) -> Result<usize> {
    let count = sink.remaining();
    sink.put_zeros(count)?;
    Ok(count)
}

impl FileOps for Null {
    fn read(&self, _offset: u64, _sink: &mut dyn Sink) -> Result<usize> {
        Ok(0)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        // As on Linux, the bytes are not even looked at.
        Ok(source.remaining())
    }

    fn seek_kind(&self) -> SeekKind {
        SeekKind::Null
    }
}

impl FileOps for Zero {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        read_zeros(sink)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        Ok(source.remaining())
    }

    fn seek_kind(&self) -> SeekKind {
        SeekKind::Null
    }

    fn maps_zero(&self) -> bool {
        true
    }
}

impl FileOps for Full {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        read_zeros(sink)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        if source.remaining() == 0 {
            Ok(0)
        } else {
            Err(Errno::ENOSPC)
        }
    }

    fn seek_kind(&self) -> SeekKind {
        SeekKind::Null
    }
}

impl FileOps for Random {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        let mut buffer = [0; 256];
        let mut count = 0;
        while sink.remaining() > 0 {
            let step = sink.remaining().min(buffer.len());
            let Some(part) = buffer.get_mut(..step) else {
                break;
            };
            self.0.random(part);
            match sink.put(part) {
                Ok(()) => count += step,
                Err(error) if count == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(count)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        // What programs add is not needed, but a bad address is still an error.
        let count = source.remaining();
        source.skip(count)?;
        Ok(count)
    }

    fn seek_kind(&self) -> SeekKind {
        SeekKind::Null
    }

    fn poll(&self) -> u32 {
        poll::ALWAYS
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        if command != RNDGETENTCNT {
            return Err(Errno::EINVAL);
        }
        memory.write(argument, &256_i32.to_le_bytes())?;
        Ok(0)
    }
}
