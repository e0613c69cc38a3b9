//! Control messages of Unix sockets: `SCM_RIGHTS`, `SCM_CREDENTIALS`.
use super::endpoint::Endpoint;
use super::flight::Flight;
use crate::Result;
use crate::env::{Env, Ucred};
use crate::message::{Control, Received};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::{Capability, Errno};
use vfs::File;

/// `SCM_MAX_FD`
const MAX_FILES: usize = 253;
/// How many files a user without privileges may have in flight: the usual `RLIMIT_NOFILE`.
const MAX_IN_FLIGHT: usize = 1024;

/// Checks what is to be sent with a message, and answers the credentials that go with it.
pub(super) fn check(from: &Endpoint, control: &[Control], env: &dyn Env) -> Result<Ucred> {
    let own = match env.credentials() {
        // A write(2) does not say.
        nobody if nobody.pid == 0 => from.creator,
        somebody => somebody,
    };
    let mut credentials = own;
    let mut files = 0;
    for part in control {
        match part {
            Control::Credentials(claimed) => {
                credentials = check_claim(own, *claimed, env.can(Capability::SYS_ADMIN))?;
            }
            Control::Rights(more) => files += more.len(),
            // Those of other levels are nothing to a Unix socket, as on Linux.
            _ => {}
        }
        if files > MAX_FILES {
            return Err(Errno::EINVAL);
        }
    }
    if files > 0 {
        from.names.collect_garbage_if_many();
    }
    let in_flight = from.names.flights.count();
    if files > 0 && in_flight > MAX_IN_FLIGHT && !env.can(Capability::SYS_RESOURCE) {
        return Err(Errno::ETOOMANYREFS);
    }
    Ok(credentials)
}

fn check_claim(own: Ucred, claimed: Ucred, is_privileged: bool) -> Result<Ucred> {
    if claimed != own && !is_privileged {
        Err(Errno::EPERM)
    } else if claimed.pid != own.pid {
        // There is but one process.
        Err(Errno::ESRCH)
    } else if claimed.uid == u32::MAX || claimed.gid == u32::MAX {
        Err(Errno::EINVAL)
    } else {
        Ok(claimed)
    }
}

/// Takes the files out of a message that is being sent: what is left of it is sent without them.
pub(super) fn take_files(from: &Endpoint, control: &mut Vec<Control>) -> Option<Flight> {
    let mut files = Vec::new();
    control.retain_mut(|part| match part {
        Control::Rights(some) => {
            files.append(some);
            false
        }
        _ => true,
    });
    Flight::new(files, &from.names)
}

/// Adds what the receiver gets to know.
pub(super) fn deliver(
    to: &Endpoint,
    received: &mut Received,
    credentials: Ucred,
    files: Vec<Arc<File>>,
) {
    if to.passes_credentials.load(Relaxed) {
        received.control.push(Control::Credentials(credentials));
    }
    if !files.is_empty() {
        received.control.push(Control::Rights(files));
    }
}
