use super::env::Caller;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::sync::Arc;
use linux_abi::{Errno, FdFlags, SysResult};
use net::Socket;

/// `SOCK_TYPE_MASK`
const TYPE: i32 = 0xf;
/// `SOCK_PACKET`, the highest type.
const LAST_TYPE: i32 = 10;
/// `AF_MAX`
const FAMILIES: u32 = 46;

/// Domain and type without its flags, and these.
fn check(domain: i32, kind: i32) -> Result<(u32, u32), Errno> {
    let domain = u32::try_from(domain)
        .ok()
        .filter(|domain| *domain < FAMILIES)
        .ok_or(Errno::EAFNOSUPPORT)?;
    match kind & TYPE {
        kind @ 0..=LAST_TYPE => Ok((domain, kind as u32)),
        _ => Err(Errno::EINVAL),
    }
}

fn flags(kind: i32) -> Result<FdFlags, Errno> {
    FdFlags::from_bits((kind & !TYPE) as u32).ok_or(Errno::EINVAL)
}

/// Gives the socket a descriptor.
pub(super) fn install<K: Kernel>(k: &K, socket: Arc<Socket>, flags: FdFlags) -> Result<i32, Errno> {
    let file = socket.into_file(flags.contains(FdFlags::NONBLOCK));
    k.files().insert(file, flags.contains(FdFlags::CLOEXEC))
}

/// socket(2)
pub fn socket<K: Kernel>(k: &K, domain: i32, kind: i32, protocol: i32) -> SysResult {
    let flags = flags(kind)?;
    let (domain, kind) = check(domain, kind)?;
    let socket = k
        .network()
        .socket(domain, kind, protocol as u32, &Caller(k))?;
    install(k, socket, flags).map(|fd| fd as usize)
}

/// socketpair(2)
pub fn socketpair<K: Kernel>(
    k: &K,
    domain: i32,
    kind: i32,
    protocol: i32,
    fds: UserPtr<[i32; 2]>,
) -> SysResult {
    let flags = flags(kind)?;
    // A bad address comes before a bad family. What is there must stay if the call fails.
    let before = fds.read(k)?;
    fds.write(k, &before)?;
    let (domain, kind) = check(domain, kind)?;
    let pair = k
        .network()
        .pair(domain, kind, protocol as u32, &Caller(k))?;
    install_pair(k, pair, flags, fds).map(|()| 0)
}

pub(super) fn install_pair<K: Kernel>(
    k: &K,
    [first, second]: [Arc<Socket>; 2],
    flags: FdFlags,
    fds: UserPtr<[i32; 2]>,
) -> Result<(), Errno> {
    let first = install(k, first, flags)?;
    let stored = install(k, second, flags).and_then(|second| {
        fds.write(k, &[first, second])
            .inspect_err(|_| drop(k.files().close(second)))
    });
    // Nothing is left behind; a failure here means another thread has closed it already.
    stored.inspect_err(|_| drop(k.files().close(first)))
}
