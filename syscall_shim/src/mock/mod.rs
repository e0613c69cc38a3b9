//! A kernel for tests: memory is an array, time passes only in waits, files are real.

mod host;
mod memory;
mod net;
mod process;
mod signals;
mod threads;
mod time;

pub use host::MockHost;

use crate::kernel::{Files, Kernel, System, UserMemory, Wait, Woken};
use crate::state::{FileLocks, Identity, Limits, ProcessState};
use crate::table::{Call, Refusal};
use crate::{Regs, dispatch};
use ::net::Network;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use linux_abi::{Abi, Errno, SigSet, SysResult};
use spin::Mutex;
use vfs::{FdTable, File, FsContext, Host, MemFs, MemfdStore, Mount, MountSpec, Place, WaitList};

pub const PID: i32 = 42;
/// Where the program's memory starts.
pub const BASE: u64 = 0x10000;
const SIZE: usize = 0x40000;

pub struct Mock {
    pub memory: Mutex<Vec<u8>>,
    next: Mutex<u64>,
    files: FdTable,
    fs: FsContext,
    pub host: Arc<MockHost>,
    memfd: MemfdStore,
    locks: FileLocks,
    network: Arc<Network>,
    pub state: ProcessState,
    /// A signal that is not blocked waits for delivery.
    pub interrupted: AtomicBool,
    pub kept_deadline: Mutex<Option<u64>>,
    pub signals: signals::Recorded,
    pub policy: AtomicU32,
    /// What was asked of memory and threads, as text.
    pub calls: Mutex<Vec<String>>,
    pub complaints: Mutex<Vec<String>>,
    /// Run while a thread waits, once each: what another thread does meanwhile.
    pub meanwhile: Mutex<Vec<alloc::boxed::Box<dyn FnOnce(&Mock) + Send>>>,
}

impl Mock {
    pub fn new() -> Self {
        Self::with_identity(Identity::new(0, 0))
    }

    pub fn with_identity(identity: Identity) -> Self {
        let host = Arc::new(MockHost::default());
        // Each its own: watches know files by device and number, and tests run side by side.
        static DEVICES: AtomicU64 = AtomicU64::new(1 << 16);
        let device = DEVICES.fetch_add(1, Relaxed);
        let root = MemFs::tmpfs(device, host.clone(), 1024, 0o755);
        let mount = Mount::root(MountSpec {
            root: root.clone(),
            fs_type: "tmpfs",
            source: String::new(),
            options: String::new(),
            read_only: false,
        });
        Self {
            memory: Mutex::new(alloc::vec![0; SIZE]),
            next: Mutex::new(BASE),
            files: FdTable::new(1024),
            fs: FsContext::new(Place { mount, inode: root }),
            memfd: MemfdStore::new(2, host.clone(), 1024),
            network: Network::new(host.clone()),
            host,
            locks: FileLocks::new(),
            state: ProcessState::new(PID, identity, Limits::new(1000)),
            interrupted: AtomicBool::new(false),
            kept_deadline: Mutex::new(None),
            policy: AtomicU32::new(0),
            signals: signals::Recorded::default(),
            calls: Mutex::new(Vec::new()),
            complaints: Mutex::new(Vec::new()),
            meanwhile: Mutex::new(Vec::new()),
        }
    }

    /// Makes a system call by name.
    pub fn call<const N: usize>(&self, name: &str, args: [u64; N]) -> SysResult {
        let call = crate::TABLE
            .iter()
            .find(|call| call.name() == name)
            .unwrap();
        let mut regs = [0; 6];
        regs[..N].copy_from_slice(&args);
        dispatch(self, usize::from(call.nr), &Regs::new(regs))
    }

    /// Room in the program's memory.
    pub fn alloc(&self, len: usize) -> u64 {
        let mut next = self.next.lock();
        let at = *next;
        *next += (len as u64).next_multiple_of(64);
        assert!(*next < BASE + SIZE as u64, "the mock's memory is full");
        at
    }

    /// Puts bytes into the program's memory.
    pub fn bytes(&self, bytes: &[u8]) -> u64 {
        let at = self.alloc(bytes.len());
        vfs::UserMemory::write(self, at, bytes).unwrap();
        at
    }

    /// Puts a NUL-terminated string into the program's memory.
    pub fn text(&self, text: &str) -> u64 {
        self.bytes(&[text.as_bytes(), b"\0"].concat())
    }

    /// Puts a value into the program's memory.
    pub fn value<T: Abi>(&self, value: &T) -> u64 {
        self.bytes(value.as_bytes())
    }

    pub fn load<T: Abi>(&self, at: u64) -> T {
        crate::user::UserPtr::new(at).read(self).unwrap()
    }

    pub fn load_bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = alloc::vec![0; len];
        vfs::UserMemory::read(self, at, &mut bytes).unwrap();
        bytes
    }

    /// Opens (and makes) a file.
    pub fn open(&self, path: &str, flags: u32) -> i32 {
        self.call("open", [self.text(path), u64::from(flags), 0o644])
            .unwrap() as i32
    }

    fn note(&self, text: impl ToString) {
        self.calls.lock().push(text.to_string());
    }
}

fn range(addr: u64, len: usize) -> Result<core::ops::Range<usize>, Errno> {
    let start = addr.checked_sub(BASE).ok_or(Errno::EFAULT)? as usize;
    let end = start
        .checked_add(len)
        .filter(|end| *end <= SIZE)
        .ok_or(Errno::EFAULT)?;
    Ok(start..end)
}

impl vfs::UserMemory for Mock {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        if !into.is_empty() {
            into.copy_from_slice(&self.memory.lock()[range(addr, into.len())?]);
        }
        Ok(())
    }

    fn write(&self, addr: u64, from: &[u8]) -> Result<(), Errno> {
        if !from.is_empty() {
            self.memory.lock()[range(addr, from.len())?].copy_from_slice(from);
        }
        Ok(())
    }
}

impl UserMemory for Mock {
    fn read_some(&self, addr: u64, into: &mut [u8]) -> usize {
        let len = into
            .len()
            .min((BASE + SIZE as u64).saturating_sub(addr) as usize);
        vfs::UserMemory::read(self, addr, &mut into[..len]).map_or(0, |()| len)
    }

    fn write_some(&self, addr: u64, from: &[u8]) -> usize {
        let len = from
            .len()
            .min((BASE + SIZE as u64).saturating_sub(addr) as usize);
        vfs::UserMemory::write(self, addr, &from[..len]).map_or(0, |()| len)
    }

    fn read_cstr<'a>(&self, addr: u64, into: &'a mut [u8]) -> Result<&'a [u8], Errno> {
        for at in 0..into.len() {
            vfs::UserMemory::read(self, addr.wrapping_add(at as u64), &mut into[at..=at])?;
            if into[at] == 0 {
                return Ok(&into[..at]);
            }
        }
        Err(Errno::ENAMETOOLONG)
    }
}

impl Wait for Mock {
    fn wait(
        &self,
        _lists: &[&WaitList],
        deadline: Option<u64>,
        ready: &mut dyn FnMut() -> bool,
    ) -> Result<Woken, Errno> {
        loop {
            if ready() {
                return Ok(Woken::Ready);
            }
            if self.interrupted.load(Relaxed) {
                return Err(Errno::ERESTARTSYS);
            }
            let next = self.meanwhile.lock().pop();
            match (next, deadline) {
                (Some(act), _) => act(self),
                (None, Some(deadline)) => {
                    self.host.advance_to(deadline);
                    return if ready() {
                        Ok(Woken::Ready)
                    } else {
                        Ok(Woken::TimedOut)
                    };
                }
                (None, None) => panic!("would sleep for ever"),
            }
        }
    }

    fn wait_exclusive(
        &self,
        list: &WaitList,
        _events: u32,
        _poll: &dyn Fn() -> u32,
        ready: &mut dyn FnMut() -> bool,
    ) -> Result<Woken, Errno> {
        self.wait(&[list], None, ready)
    }

    fn keep_deadline(&self, deadline: u64) {
        *self.kept_deadline.lock() = Some(deadline);
    }

    fn take_deadline(&self) -> Option<u64> {
        self.kept_deadline.lock().take()
    }

    fn signal_pending(&self) -> bool {
        self.interrupted.load(Relaxed)
    }
}

impl Files for Mock {
    fn files(&self) -> &FdTable {
        &self.files
    }

    fn fs(&self) -> &FsContext {
        &self.fs
    }

    fn host(&self) -> Arc<dyn Host> {
        self.host.clone()
    }

    fn memfd_store(&self) -> &MemfdStore {
        &self.memfd
    }

    fn file_locks(&self) -> &FileLocks {
        &self.locks
    }

    fn signalfd_create(&self, _mask: SigSet) -> Result<Arc<dyn vfs::FileOps>, Errno> {
        Err(Errno::ENOSYS)
    }

    fn signalfd_set(&self, _file: &File, _mask: SigSet) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn unshare_files(&self) -> Result<(), Errno> {
        Ok(())
    }
}

impl System for Mock {
    fn random(&self, into: &mut [u8]) {
        into.fill(0x5a);
    }

    fn nodename(&self) -> String {
        "mock".to_string()
    }

    fn memory_figures(&self) -> crate::kernel::MemoryFigures {
        crate::kernel::MemoryFigures {
            total: 1 << 30,
            free: 1 << 29,
            ..Default::default()
        }
    }

    fn load_averages(&self) -> [u64; 3] {
        [0; 3]
    }

    fn thread_count(&self) -> usize {
        1
    }

    fn sync(&self) {}
}

impl Kernel for Mock {
    fn unsupported(&self, nr: usize, call: Option<&'static Call>) {
        let name = call.map_or("unknown", |call| call.name());
        self.complaints.lock().push(alloc::format!("{name} ({nr})"));
    }

    fn refused(&self, call: &'static Call, refusal: &'static Refusal) {
        self.complaints
            .lock()
            .push(alloc::format!("{}: {}", call.name(), refusal.note));
    }

    fn unsupported_part(&self, what: &'static str) {
        self.complaints.lock().push(what.to_string());
    }
}
