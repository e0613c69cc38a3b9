//! The rules of capabilities(7): what becomes of the sets when ids change, and when a program is executed.
use linux_abi::{CapSet, Capability, Errno};

// linux/securebits.h
const NOROOT: u32 = 1 << 0;
const NO_SETUID_FIXUP: u32 = 1 << 2;
const KEEP_CAPS: u32 = 1 << 4;
const NO_CAP_AMBIENT_RAISE: u32 = 1 << 6;
/// The settings; the bit above each locks it.
const BITS: u32 = NOROOT | NO_SETUID_FIXUP | KEEP_CAPS | NO_CAP_AMBIENT_RAISE;
const LOCKS: u32 = BITS << 1;

/// The sets of a process. Files have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub permitted: CapSet,
    pub effective: CapSet,
    pub inheritable: CapSet,
    pub bounding: CapSet,
    pub ambient: CapSet,
    /// `PR_SET_SECUREBITS`; `PR_SET_KEEPCAPS` is one of them.
    securebits: u32,
}

/// The user ids by which capabilities come and go.
#[derive(Clone, Copy)]
pub struct Uids {
    pub real: u32,
    pub effective: u32,
    pub saved: u32,
}

impl Uids {
    const fn any_root(self) -> bool {
        self.real == 0 || self.effective == 0 || self.saved == 0
    }
}

impl Capabilities {
    #[must_use]
    pub const fn new(root: bool) -> Self {
        let held = if root { CapSet::ALL } else { CapSet::EMPTY };
        Self {
            permitted: held,
            effective: held,
            inheritable: CapSet::EMPTY,
            bounding: CapSet::ALL,
            ambient: CapSet::EMPTY,
            securebits: 0,
        }
    }

    const fn is_set(&self, bit: u32) -> bool {
        self.securebits & bit != 0
    }

    /// After setuid(2) and its kin.
    pub fn users_changed(&mut self, old: Uids, new: Uids) {
        if self.is_set(NO_SETUID_FIXUP) {
            return;
        }
        if old.any_root() && !new.any_root() {
            if !self.is_set(KEEP_CAPS) {
                self.permitted = CapSet::EMPTY;
                self.effective = CapSet::EMPTY;
            }
            // Who asks to keep them does not ask for what would outlast execve(2).
            self.ambient = CapSet::EMPTY;
        }
        match (old.effective, new.effective) {
            (0, 1..) => self.effective = CapSet::EMPTY,
            (1.., 0) => self.effective = self.permitted,
            _ => {}
        }
    }

    /// After setfsuid(2).
    pub fn file_user_changed(&mut self, old: u32, new: u32) {
        if self.is_set(NO_SETUID_FIXUP) {
            return;
        }
        match (old, new) {
            (0, 1..) => self.effective &= !CapSet::FILES,
            (1.., 0) => self.effective |= self.permitted & CapSet::FILES,
            _ => {}
        }
    }

    /// After execve(2) of a file without capabilities. `changed`: it set a user or group id.
    pub fn executed(&mut self, real: u32, effective: u32, changed: bool) {
        if changed {
            self.ambient = CapSet::EMPTY;
        }
        let root = !self.is_set(NOROOT) && (real == 0 || effective == 0);
        self.permitted = self.ambient
            | if root {
                self.bounding | self.inheritable
            } else {
                CapSet::EMPTY
            };
        self.effective = if root && effective == 0 {
            self.permitted
        } else {
            self.ambient
        };
        self.securebits &= !KEEP_CAPS;
    }

    /// What access(2) goes by.
    pub(super) const fn of_real_user(&self, ruid: u32) -> CapSet {
        if self.is_set(NO_SETUID_FIXUP) {
            self.effective
        } else if ruid == 0 {
            self.permitted
        } else {
            CapSet::EMPTY
        }
    }

    /// Whether access(2) goes by those in effect.
    #[must_use]
    pub fn are_of_real_user(&self, ruid: u32) -> bool {
        self.of_real_user(ruid) == self.effective
    }

    /// capset(2)
    pub fn set(
        &mut self,
        effective: CapSet,
        permitted: CapSet,
        inheritable: CapSet,
    ) -> Result<(), Errno> {
        let free = self.effective.has(Capability::SETPCAP);
        let inherits = free || (self.inheritable | self.permitted).covers(inheritable);
        if !inherits
            || !(self.inheritable | self.bounding).covers(inheritable)
            || !self.permitted.covers(permitted)
            || !permitted.covers(effective)
        {
            return Err(Errno::EPERM);
        }
        (self.effective, self.permitted, self.inheritable) = (effective, permitted, inheritable);
        self.ambient &= permitted & inheritable;
        Ok(())
    }

    /// `PR_CAPBSET_DROP`
    pub fn drop_bounding(&mut self, capability: Capability) -> Result<(), Errno> {
        self.check_setpcap()?;
        self.bounding &= !CapSet::from(capability);
        Ok(())
    }

    /// `PR_CAP_AMBIENT_RAISE`
    pub fn raise_ambient(&mut self, capability: Capability) -> Result<(), Errno> {
        let allowed = self.permitted & self.inheritable;
        if !allowed.has(capability) || self.is_set(NO_CAP_AMBIENT_RAISE) {
            return Err(Errno::EPERM);
        }
        self.ambient |= capability.into();
        Ok(())
    }

    /// `PR_CAP_AMBIENT_LOWER`
    pub fn lower_ambient(&mut self, capability: Capability) {
        self.ambient &= !CapSet::from(capability);
    }

    #[must_use]
    pub const fn securebits(&self) -> u32 {
        self.securebits
    }

    /// `PR_SET_SECUREBITS`
    pub fn set_securebits(&mut self, bits: u64) -> Result<(), Errno> {
        let new = u32::try_from(bits).map_err(|_| Errno::EPERM)?;
        let locked = self.securebits & LOCKS;
        if new & !(BITS | LOCKS) != 0
            || new & locked != locked
            || (locked >> 1) & (self.securebits ^ new) != 0
        {
            return Err(Errno::EPERM);
        }
        self.check_setpcap()?;
        self.securebits = new;
        Ok(())
    }

    #[must_use]
    pub const fn keeps(&self) -> bool {
        self.is_set(KEEP_CAPS)
    }

    /// `PR_SET_KEEPCAPS`
    pub fn set_keep(&mut self, keep: bool) -> Result<(), Errno> {
        if self.is_set(KEEP_CAPS << 1) {
            return Err(Errno::EPERM);
        }
        self.securebits = self.securebits & !KEEP_CAPS | if keep { KEEP_CAPS } else { 0 };
        Ok(())
    }

    const fn check_setpcap(&self) -> Result<(), Errno> {
        if self.effective.has(Capability::SETPCAP) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }
}
