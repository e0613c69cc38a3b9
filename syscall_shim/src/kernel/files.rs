use crate::state::FileLocks;
use alloc::sync::Arc;
use linux_abi::{Errno, SigSet};
use vfs::{FdTable, File, FsContext, Host, MemfdStore};

/// The calling thread's file tables. The operations themselves are the crate `vfs`.
pub trait Files {
    /// The descriptors (shared by `CLONE_FILES`).
    fn files(&self) -> &FdTable;

    /// Root, working directory and umask (shared by `CLONE_FS`).
    fn fs(&self) -> &FsContext;

    /// The machine as `vfs` sees it: clocks and timers for timerfd, times for files.
    fn host(&self) -> Arc<dyn Host>;

    /// Where memfd_create(2) makes its files; shared anonymous mappings are made of the same.
    fn memfd_store(&self) -> &MemfdStore;

    /// The flock(2) and fcntl(2) locks of the whole system: one `FileLocks::new()`.
    fn file_locks(&self) -> &FileLocks;

    /// A new file for signalfd(2) that reads the signals of `mask` pending for the thread that reads.
    fn signalfd_create(&self, mask: SigSet) -> Result<Arc<dyn vfs::FileOps>, Errno>;

    /// Gives an open signalfd another mask. EINVAL if `file` is none.
    fn signalfd_set(&self, file: &File, mask: SigSet) -> Result<(), Errno>;

    /// New descriptors are wanted in a table of the process's own from now on (close_range(2) `CLOSE_RANGE_UNSHARE`,
    /// unshare(2) `CLONE_FILES`). Nothing to do for a process whose table is not shared with another process.
    fn unshare_files(&self) -> Result<(), Errno>;
}
