use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::raw::general as raw;
use linux_abi::{CapData, CapHeader, Errno, SysResult};

/// All that Linux 6.1 knows: bits 0 to 40, in two words.
const ALL: [u32; 2] = [u32::MAX, 0x1ff];

/// How many [`CapData`] a header's version has. An unknown version is answered with the one to use.
fn words<K: Kernel>(k: &K, header: UserPtr<CapHeader>, version: u32) -> Result<usize, Errno> {
    match version {
        raw::_LINUX_CAPABILITY_VERSION_1 => Ok(1),
        raw::_LINUX_CAPABILITY_VERSION_2 | raw::_LINUX_CAPABILITY_VERSION_3 => Ok(2),
        _ => {
            header
                .cast::<u32>()
                .write(k, &raw::_LINUX_CAPABILITY_VERSION_3)?;
            Err(Errno::EINVAL)
        }
    }
}

/// capget(2): root has all, others none.
pub fn capget<K: Kernel>(k: &K, header: UserPtr<CapHeader>, data: UserPtr<CapData>) -> SysResult {
    let CapHeader { version, pid } = header.read(k)?;
    let words = match words(k, header, version) {
        // Asking for the version only.
        Err(Errno::EINVAL) if data.is_null() => return Ok(0),
        words => words?,
    };
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    if pid != 0 && pid != k.getpid() && !k.thread_exists(pid) {
        return Err(Errno::ESRCH);
    }
    let privileged = k.process().with_identity(|id| id.is_privileged());
    for (at, all) in ALL.iter().enumerate().take(words) {
        let held = if privileged { *all } else { 0 };
        data.at(at).write(
            k,
            &CapData {
                effective: held,
                permitted: held,
                inheritable: 0,
            },
        )?;
    }
    Ok(0)
}

/// capset(2)
pub fn capset<K: Kernel>(k: &K, header: UserPtr<CapHeader>, data: UserPtr<CapData>) -> SysResult {
    let CapHeader { version, pid } = header.read(k)?;
    let words = words(k, header, version)?;
    if pid != 0 && pid != k.gettid() {
        return Err(Errno::EPERM);
    }
    let privileged = k.process().with_identity(|id| id.is_privileged());
    for (at, all) in ALL.iter().enumerate().take(words) {
        let CapData {
            effective,
            permitted,
            ..
        } = data.at(at).read(k)?;
        let held = if privileged { *all } else { 0 };
        if permitted & all & !held != 0 || effective & all & !permitted != 0 {
            return Err(Errno::EPERM);
        }
    }
    Ok(0)
}
