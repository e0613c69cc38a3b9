use crate::Path;
use crate::kernel::Kernel;
use linux_abi::{Errno, MemfdFlags, SysResult};

/// Longest name, with its NUL: a file name less `memfd:`.
const NAME_SIZE: usize = 250;

/// memfd_create(2)
pub fn memfd_create<K: Kernel>(k: &K, name: Path, flags: u32) -> SysResult {
    let flags = MemfdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(MemfdFlags::MFD_HUGETLB) {
        k.unsupported_part("memfd_create: MFD_HUGETLB");
        return Err(Errno::ENOSYS);
    }
    let name = match name.read(k, NAME_SIZE) {
        Err(Errno::ENAMETOOLONG) => return Err(Errno::EINVAL),
        name => name?,
    };
    let cred = k.process().file_credentials();
    let file = k
        .memfd_store()
        .create(&name, flags.bits(), cred.uid, cred.gid)?;
    let fd = k
        .files()
        .insert(file, flags.contains(MemfdFlags::MFD_CLOEXEC))?;
    Ok(fd as usize)
}
