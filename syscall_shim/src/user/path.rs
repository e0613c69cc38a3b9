use crate::kernel::UserMemory;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::{Errno, PATH_MAX};

/// Paths up to this length are read without an allocation.
const SHORT: usize = 256;

/// The address of a NUL-terminated path (or name) in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserPath(u64);

impl UserPath {
    #[must_use]
    pub const fn new(addr: u64) -> Self {
        Self(addr)
    }

    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// Whether the path is "".
    pub fn is_empty<K: UserMemory>(self, k: &K) -> Result<bool, Errno> {
        let mut first = [0; 1];
        k.read(self.0, &mut first)?;
        Ok(first == [0])
    }

    /// Reads the path and hands it on. EFAULT, or ENAMETOOLONG from `PATH_MAX` on.
    pub fn with<K: UserMemory, R>(
        self,
        k: &K,
        f: impl FnOnce(&[u8]) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let mut short = [0; SHORT];
        match k.read_cstr(self.0, &mut short) {
            Err(Errno::ENAMETOOLONG) => self.with_long(k, f),
            path => f(path?),
        }
    }

    #[cold]
    fn with_long<K: UserMemory, R>(
        self,
        k: &K,
        f: impl FnOnce(&[u8]) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let mut long = vec![0; PATH_MAX];
        f(k.read_cstr(self.0, &mut long)?)
    }

    /// Reads a string of at most `max` bytes, the NUL included.
    pub fn read<K: UserMemory>(self, k: &K, max: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; max];
        let len = k.read_cstr(self.0, &mut bytes)?.len();
        bytes.truncate(len);
        Ok(bytes)
    }
}
