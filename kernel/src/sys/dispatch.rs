//! From a number to its handler, by the table that the link makes (`compat/select/`).
//!
//! Each handler is a symbol of its own. What the table does not name, and nothing else uses, is not in the image.
#![allow(unsafe_code)]

use super::Caller;
use crate::notice;
use alloc::format;
use linux_abi::{Errno, SysResult};
use syscall_shim::{Regs, SLOTS, lookup, no_handler};

type Handler = fn(&Caller<'_>, &Regs) -> SysResult;

#[allow(improper_ctypes, reason = "both sides are compiled together")]
unsafe extern "C" {
    #[link_name = "compat.dispatch"]
    static DISPATCH: [Handler; SLOTS];
}

/// Runs the call that the thread makes.
pub fn dispatch(caller: &Caller<'_>, regs: &Regs) -> SysResult {
    // SAFETY: the link stores `SLOTS` addresses of functions of this file, each a `Handler`; nothing writes there.
    let table = unsafe { &DISPATCH };
    match table.get(caller.number() as usize) {
        Some(handler) => handler(caller, regs),
        None => without_handler(caller, regs),
    }
}

macro_rules! export {
    ($(($nr:literal, $symbol:literal, $handler:path))*) => {
        $(const _: () = {
            // SAFETY: the name is this function's alone, and the link puts it into the table only.
            #[unsafe(export_name = $symbol)]
            fn handler(caller: &Caller<'_>, regs: &Regs) -> SysResult {
                $handler(caller, regs)
            }
        };)*
    };
}

syscall_shim::for_each_handler!(export);

/// The table has none: the call is not implemented, refused or unknown.
// SAFETY: the name is this function's alone, and the link puts it into the table only.
#[unsafe(export_name = "compat.without_handler")]
fn without_handler(caller: &Caller<'_>, _regs: &Regs) -> SysResult {
    no_handler(caller, caller.number() as usize)
}

/// There is one, which the image does not hold.
// SAFETY: the name is this function's alone, and the link puts it into the table only.
#[unsafe(export_name = "compat.left_out")]
fn left_out(caller: &Caller<'_>, _regs: &Regs) -> SysResult {
    if let Some(call) = lookup(caller.number() as usize) {
        notice::once_each(format!(
            "{name} was left out of this image; add it with compat wrap --include {name}",
            name = call.name()
        ));
    }
    Err(Errno::ENOSYS)
}
