use crate::kernel::Kernel;
use crate::state::Capabilities;
use crate::user::UserPtr;
use linux_abi::raw::general as raw;
use linux_abi::{CapData, CapHeader, CapSet, Errno, SysResult};

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

/// The sets of the process that `pid` is, or is a thread of.
fn look<K: Kernel>(k: &K, pid: i32) -> Result<Capabilities, Errno> {
    let mut found = k.process().with_identity(|id| id.capabilities);
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    if pid != 0 && pid != k.getpid() && !k.thread_exists(pid) {
        k.with_process(pid, &mut |state| {
            found = state.with_identity(|id| id.capabilities);
        })?;
    }
    Ok(found)
}

/// capget(2)
pub fn capget<K: Kernel>(k: &K, header: UserPtr<CapHeader>, data: UserPtr<CapData>) -> SysResult {
    let CapHeader { version, pid } = header.read(k)?;
    let words = match words(k, header, version) {
        // Asking for the version only.
        Err(Errno::EINVAL) if data.is_null() => return Ok(0),
        words => words?,
    };
    let own = look(k, pid)?;
    for at in 0..words {
        let word = |set: CapSet| (set.bits() >> (32 * at)) as u32;
        data.at(at).write(
            k,
            &CapData {
                effective: word(own.effective),
                permitted: word(own.permitted),
                inheritable: word(own.inheritable),
            },
        )?;
    }
    Ok(0)
}

/// capset(2), for all threads of the process.
pub fn capset<K: Kernel>(k: &K, header: UserPtr<CapHeader>, data: UserPtr<CapData>) -> SysResult {
    let CapHeader { version, pid } = header.read(k)?;
    let words = words(k, header, version)?;
    if pid != 0 && pid != k.gettid() {
        return Err(Errno::EPERM);
    }
    let mut bits = [0; 3];
    for at in 0..words {
        let CapData {
            effective,
            permitted,
            inheritable,
        } = data.at(at).read(k)?;
        for (all, word) in bits.iter_mut().zip([effective, permitted, inheritable]) {
            *all |= u64::from(word) << (32 * at);
        }
    }
    let [effective, permitted, inheritable] = bits.map(CapSet::from_bits);
    k.process()
        .change_identity(|id| id.capabilities.set(effective, permitted, inheritable))
        .map(|()| 0)
}
