use linux_abi::Errno;

/// The program's memory, seen from the kernel. Every method fails with EFAULT, and only with it unless said otherwise.
///
/// Built on [`vfs::UserMemory`], whose `read` and `write` copy all or fail; the whole range may be checked first.
pub trait UserMemory: vfs::UserMemory + Sized {
    /// Copies in as much as can be read from `addr` on: the count, which is less than asked only at a page that is not
    /// there. For calls that answer a short count.
    fn read_some(&self, addr: u64, into: &mut [u8]) -> usize;

    /// Copies out as much as can be written from `addr` on.
    fn write_some(&self, addr: u64, from: &[u8]) -> usize;

    /// Copies a NUL-terminated string in and answers it without the NUL. ENAMETOOLONG if no NUL is among the first
    /// `into.len()` bytes.
    fn read_cstr<'a>(&self, addr: u64, into: &'a mut [u8]) -> Result<&'a [u8], Errno>;

    /// Whether `[addr, addr+len)` lies in the program's half of the address space (`access_ok`); says nothing about
    /// what is mapped.
    fn access_ok(&self, addr: u64, len: u64) -> bool {
        addr.checked_add(len)
            .is_some_and(|end| end <= linux_abi::USER_END)
    }
}
