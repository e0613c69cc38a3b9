//! The file tables, and the file that reads signals.

use super::Caller;
use crate::mm::frame;
use crate::task::signal;
use crate::{percpu, time};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::zerocopy::IntoBytes;
use linux_abi::{Errno, SI_TIMER, SI_USER, SigSet, Siginfo, Signal, SignalfdSiginfo};
use spin::{Mutex, Once};
use syscall_shim::Kernel;
use syscall_shim::kernel::Files;
use syscall_shim::state::FileLocks;
use vfs::{FdTable, File, FileOps, FsContext, Host, MemfdStore, Sink, WaitList, poll};

/// `st_dev` of files made by memfd_create(2).
const MEMFD_DEV: u64 = 8;

/// The locks of all files.
pub fn file_locks() -> &'static FileLocks {
    static LOCKS: FileLocks = FileLocks::new();
    &LOCKS
}

impl Files for Caller<'_> {
    fn files(&self) -> &FdTable {
        &self.thread().files
    }

    fn fs(&self) -> &FsContext {
        &self.thread().fs
    }

    fn host(&self) -> Arc<dyn Host> {
        time::host()
    }

    fn memfd_store(&self) -> &MemfdStore {
        static STORE: Once<MemfdStore> = Once::new();
        STORE.call_once(|| MemfdStore::new(MEMFD_DEV, time::host(), frame::counts().1 / 2))
    }

    fn file_locks(&self) -> &FileLocks {
        file_locks()
    }

    fn signalfd_create(&self, mask: SigSet) -> Result<Arc<dyn FileOps>, Errno> {
        let arrivals = self.thread().process.signals.lock().arrivals.clone();
        Ok(Arc::new(SignalFd {
            mask: Mutex::new(mask),
            arrivals,
        }))
    }

    fn signalfd_set(&self, file: &File, mask: SigSet) -> Result<(), Errno> {
        let signalfd = file.ops_as::<SignalFd>().ok_or(Errno::EINVAL)?;
        *signalfd.mask.lock() = mask;
        signalfd.arrivals.notify(poll::IN);
        Ok(())
    }

    fn unshare_files(&self) -> Result<(), Errno> {
        // Threads of one process share their table for good.
        if !self.thread().process.parts.lock().files.is_shared() {
            return Ok(());
        }
        self.unsupported_part("unshare: CLONE_FILES where a process shares its descriptors");
        Err(Errno::EINVAL)
    }
}

/// signalfd(2).
struct SignalFd {
    mask: Mutex<SigSet>,
    arrivals: Arc<WaitList>,
}

impl FileOps for SignalFd {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize, Errno> {
        const SIZE: usize = size_of::<SignalfdSiginfo>();
        if sink.remaining() < SIZE {
            return Err(Errno::EINVAL);
        }
        let mask = *self.mask.lock();
        let mut count = 0;
        while sink.remaining() >= SIZE {
            let Some(info) = signal::take(percpu::current(), mask) else {
                break;
            };
            sink.put(record(&info).as_bytes())?;
            count += SIZE;
        }
        if count == 0 {
            Err(Errno::EAGAIN)
        } else {
            Ok(count)
        }
    }

    fn poll(&self) -> u32 {
        let waiting = !signal::pending_in(percpu::current(), *self.mask.lock()).is_empty();
        if waiting { poll::IN | poll::RDNORM } else { 0 }
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.arrivals)
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(b"anon_inode:[signalfd]".to_vec())
    }

    fn fdinfo(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("sigmask:\t{:016x}\n", self.mask.lock().bits).as_bytes());
    }
}

/// The signal as signalfd(2) tells it.
fn record(info: &Siginfo) -> SignalfdSiginfo {
    let common = SignalfdSiginfo {
        signo: info.signo as u32,
        errno: info.errno,
        code: info.code,
        ..SignalfdSiginfo::default()
    };
    if info.code == SI_TIMER {
        let (tid, overrun) = (info.pid() as u32, info.uid());
        return SignalfdSiginfo {
            tid,
            overrun,
            int: info.value() as i32,
            ptr: info.value(),
            ..common
        };
    }
    if info.code <= SI_USER {
        return SignalfdSiginfo {
            pid: info.pid() as u32,
            uid: info.uid(),
            int: info.value() as i32,
            ptr: info.value(),
            ..common
        };
    }
    match Signal::new(info.signo as u64) {
        Ok(Signal::SIGCHLD) => {
            let (status, utime, stime) = (info.fields[1] as i32, info.fields[2], info.fields[3]);
            SignalfdSiginfo {
                pid: info.pid() as u32,
                uid: info.uid(),
                status,
                utime,
                stime,
                ..common
            }
        }
        Ok(
            Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGILL | Signal::SIGFPE | Signal::SIGTRAP,
        ) => SignalfdSiginfo {
            addr: info.addr(),
            ..common
        },
        _ => common,
    }
}
