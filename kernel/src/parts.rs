//! Parts of the kernel that an image may lack.
//!
//! A part is a static of functions, exported as `compat.part.NAME`. The rest of the kernel reaches it only through its
//! slot, which the link fills or leaves empty. A part is linked where the function `compat.need.NAME` is: one that all
//! system calls use which cannot do without the part. `NAME.OTHER` goes with `NAME`, unless the user leaves it out.
//! `compat/select/` makes the slots; it finds the parts by their symbols.
#![allow(unsafe_code)]

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::{Errno, SysResult};
use net::{Env, NetConfig};
use syscall_shim::kernel::CloneRequest;
use vfs::{FileOps, FsContext, InodeRef, NetFile, NetInterface, UserMemory};

use crate::boot::Config;
use crate::sys::Caller;
use crate::task::Process;
use crate::task::family::Exit;
use crate::task::frame::Frame;

/// Sockets, and what they need of the machine.
pub struct Network {
    pub init: fn(&Config, &FsContext),
    pub devices: Devices,
    pub show: fn(NetFile, &mut Vec<u8>),
    pub set_local_port_range: fn(&[u8]) -> Result<(), Errno>,
    pub interfaces: fn() -> Vec<NetInterface>,
    pub ioctl: fn(u32, u64, &dyn UserMemory, &dyn Env) -> SysResult,
    pub stats: fn() -> String,
}

/// What `drivers::network` asks.
pub struct Devices {
    pub poll: fn() -> bool,
    pub handle_interrupts: fn(u32),
    pub rests_at_the_monitor: fn() -> bool,
    pub spin_time: fn() -> u64,
    pub spun_with_success: fn(),
    pub before_halt: fn() -> bool,
    pub after_halt: fn(u64),
}

/// Processes beside the first one.
pub struct Processes {
    pub clone: fn(&CloneRequest, &Frame, &[u128; 16]) -> Result<i32, Errno>,
    /// The last thread of one has ended.
    pub ended: fn(&Arc<Process>, Exit),
}

/// Pseudo-terminals.
pub struct Pseudoterminals {
    /// What /dev/pts is.
    pub root: fn() -> Option<InodeRef>,
    pub master: fn() -> vfs::Result<Arc<dyn FileOps>>,
    /// The caller's controlling terminal, if it is one of these.
    pub controlling: fn() -> vfs::Result<Arc<dyn FileOps>>,
    pub session_ended: fn(i32),
}

/// Filters of system calls.
pub struct Seccomp {
    /// An operation of seccomp(2) without flags.
    pub change: fn(&Caller<'_>, u32, u64) -> SysResult,
}

/// A way out of the guest, with its device.
pub struct Uplink {
    /// Sets it up; what is learnt goes into the configuration.
    pub init: fn(&mut NetConfig),
    pub exists: fn() -> bool,
    pub has_news: fn() -> bool,
    /// Whether the device is to interrupt.
    pub interrupt: fn(bool),
    /// Hands on what has come, if anything.
    pub look: fn() -> bool,
    pub is_interrupted: fn(u32) -> bool,
    /// An idle CPU may leave itself to the monitor.
    pub served_by_monitor: bool,
}

macro_rules! slot {
    ($(#[$doc:meta])* $name:ident: $part:ty, $symbol:literal) => {
        $(#[$doc])*
        pub fn $name() -> Option<&'static $part> {
            #[allow(improper_ctypes, reason = "both sides are compiled together")]
            unsafe extern "C" {
                #[link_name = $symbol]
                static SLOT: Option<&'static $part>;
            }
            // SAFETY: the link stores the address of the static `compat.part` of the same name, which has this type, or
            // zero; nothing writes there.
            unsafe { SLOT }
        }
    };
}

slot!(processes: Processes, "compat.slot.processes");
slot!(ptys: Pseudoterminals, "compat.slot.ptys");
slot!(seccomp: Seccomp, "compat.slot.seccomp");
slot!(network: Network, "compat.slot.network");
slot!(
    /// The monitor's sockets.
    forward: Uplink, "compat.slot.network.forward"
);
slot!(
    /// A network card.
    card: Uplink, "compat.slot.network.card"
);
