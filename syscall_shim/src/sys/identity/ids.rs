//! User and group ids, see credentials(7). The user calls and the group calls follow the same rules.
use crate::kernel::Kernel;
use crate::state::{Identity, Uids};
use crate::user::UserPtr;
use linux_abi::{Capability, Errno, SysResult};

/// "Leave this one alone".
const KEEP: u32 = u32::MAX;

/// One set of ids: real, effective, saved, file system.
#[derive(Clone, Copy)]
struct Ids {
    real: u32,
    effective: u32,
    saved: u32,
    fs: u32,
}

#[derive(Clone, Copy)]
enum Kind {
    User,
    Group,
}

impl Kind {
    /// What allows any id.
    const fn capability(self) -> Capability {
        match self {
            Self::User => Capability::SETUID,
            Self::Group => Capability::SETGID,
        }
    }

    fn get(self, id: &Identity) -> Ids {
        match self {
            Self::User => Ids {
                real: id.ruid,
                effective: id.euid,
                saved: id.suid,
                fs: id.fsuid,
            },
            Self::Group => Ids {
                real: id.rgid,
                effective: id.egid,
                saved: id.sgid,
                fs: id.fsgid,
            },
        }
    }

    fn put(self, id: &mut Identity, ids: Ids) {
        match self {
            Self::User => {
                (id.ruid, id.euid, id.suid, id.fsuid) = (ids.real, ids.effective, ids.saved, ids.fs)
            }
            Self::Group => {
                (id.rgid, id.egid, id.sgid, id.fsgid) = (ids.real, ids.effective, ids.saved, ids.fs)
            }
        }
    }
}

impl Ids {
    const fn uids(self) -> Uids {
        Uids {
            real: self.real,
            effective: self.effective,
            saved: self.saved,
        }
    }

    fn holds(&self, wanted: u32) -> bool {
        wanted == self.real || wanted == self.effective || wanted == self.saved
    }
}

fn look<K: Kernel>(k: &K, kind: Kind) -> Ids {
    k.process().with_identity(|id| kind.get(id))
}

/// Applies `rule` to the ids; it is told whether the caller is privileged.
fn change<K: Kernel>(
    k: &K,
    kind: Kind,
    rule: impl FnOnce(&mut Ids, bool) -> Result<(), Errno>,
) -> SysResult {
    k.process().change_identity(|id| {
        let old = kind.get(id);
        let mut ids = old;
        rule(&mut ids, id.can(kind.capability()))?;
        kind.put(id, ids);
        if matches!(kind, Kind::User) {
            id.capabilities.users_changed(old.uids(), ids.uids());
        }
        Ok(())
    })?;
    Ok(0)
}

fn set<K: Kernel>(k: &K, kind: Kind, wanted: u32) -> SysResult {
    if wanted == KEEP {
        return Err(Errno::EINVAL);
    }
    change(k, kind, |ids, privileged| {
        if privileged {
            (ids.real, ids.saved) = (wanted, wanted);
        } else if wanted != ids.real && wanted != ids.saved {
            return Err(Errno::EPERM);
        }
        (ids.effective, ids.fs) = (wanted, wanted);
        Ok(())
    })
}

fn set_re<K: Kernel>(k: &K, kind: Kind, real: u32, effective: u32) -> SysResult {
    change(k, kind, |ids, privileged| {
        let old = *ids;
        if real != KEEP {
            if !privileged && real != old.real && real != old.effective {
                return Err(Errno::EPERM);
            }
            ids.real = real;
        }
        if effective != KEEP {
            if !privileged && !old.holds(effective) {
                return Err(Errno::EPERM);
            }
            ids.effective = effective;
        }
        if real != KEEP || (effective != KEEP && effective != old.real) {
            ids.saved = ids.effective;
        }
        ids.fs = ids.effective;
        Ok(())
    })
}

fn set_res<K: Kernel>(k: &K, kind: Kind, wanted: [u32; 3]) -> SysResult {
    change(k, kind, |ids, privileged| {
        let old = *ids;
        if !privileged && wanted.iter().any(|id| *id != KEEP && !old.holds(*id)) {
            return Err(Errno::EPERM);
        }
        let [real, effective, saved] = wanted;
        let choose = |new: u32, old: u32| if new == KEEP { old } else { new };
        ids.real = choose(real, old.real);
        ids.effective = choose(effective, old.effective);
        ids.saved = choose(saved, old.saved);
        ids.fs = ids.effective;
        Ok(())
    })
}

fn get_res<K: Kernel>(k: &K, kind: Kind, to: [UserPtr<u32>; 3]) -> SysResult {
    let ids = look(k, kind);
    for (place, id) in to.into_iter().zip([ids.real, ids.effective, ids.saved]) {
        place.write(k, &id)?;
    }
    Ok(0)
}

/// Never fails: answers the old id.
fn set_fs<K: Kernel>(k: &K, kind: Kind, wanted: u32) -> SysResult {
    let old = look(k, kind).fs;
    let allowed = |ids: &Ids, privileged: bool| privileged || ids.holds(wanted) || wanted == ids.fs;
    k.process().change_identity(|id| {
        let mut ids = kind.get(id);
        if wanted != KEEP && allowed(&ids, id.can(kind.capability())) {
            ids.fs = wanted;
            kind.put(id, ids);
            if matches!(kind, Kind::User) {
                id.capabilities.file_user_changed(old, wanted);
            }
        }
        Ok(())
    })?;
    Ok(old as usize)
}

/// getuid(2)
pub fn getuid<K: Kernel>(k: &K) -> SysResult {
    Ok(look(k, Kind::User).real as usize)
}

/// geteuid(2)
pub fn geteuid<K: Kernel>(k: &K) -> SysResult {
    Ok(look(k, Kind::User).effective as usize)
}

/// getgid(2)
pub fn getgid<K: Kernel>(k: &K) -> SysResult {
    Ok(look(k, Kind::Group).real as usize)
}

/// getegid(2)
pub fn getegid<K: Kernel>(k: &K) -> SysResult {
    Ok(look(k, Kind::Group).effective as usize)
}

/// setuid(2)
pub fn setuid<K: Kernel>(k: &K, uid: u32) -> SysResult {
    set(k, Kind::User, uid)
}

/// setgid(2)
pub fn setgid<K: Kernel>(k: &K, gid: u32) -> SysResult {
    set(k, Kind::Group, gid)
}

/// setreuid(2)
pub fn setreuid<K: Kernel>(k: &K, ruid: u32, euid: u32) -> SysResult {
    set_re(k, Kind::User, ruid, euid)
}

/// setregid(2)
pub fn setregid<K: Kernel>(k: &K, rgid: u32, egid: u32) -> SysResult {
    set_re(k, Kind::Group, rgid, egid)
}

/// setresuid(2)
pub fn setresuid<K: Kernel>(k: &K, ruid: u32, euid: u32, suid: u32) -> SysResult {
    set_res(k, Kind::User, [ruid, euid, suid])
}

/// setresgid(2)
pub fn setresgid<K: Kernel>(k: &K, rgid: u32, egid: u32, sgid: u32) -> SysResult {
    set_res(k, Kind::Group, [rgid, egid, sgid])
}

/// getresuid(2)
pub fn getresuid<K: Kernel>(
    k: &K,
    ruid: UserPtr<u32>,
    euid: UserPtr<u32>,
    suid: UserPtr<u32>,
) -> SysResult {
    get_res(k, Kind::User, [ruid, euid, suid])
}

/// getresgid(2)
pub fn getresgid<K: Kernel>(
    k: &K,
    rgid: UserPtr<u32>,
    egid: UserPtr<u32>,
    sgid: UserPtr<u32>,
) -> SysResult {
    get_res(k, Kind::Group, [rgid, egid, sgid])
}

/// setfsuid(2)
pub fn setfsuid<K: Kernel>(k: &K, uid: u32) -> SysResult {
    set_fs(k, Kind::User, uid)
}

/// setfsgid(2)
pub fn setfsgid<K: Kernel>(k: &K, gid: u32) -> SysResult {
    set_fs(k, Kind::Group, gid)
}
