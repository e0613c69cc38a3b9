use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Errno, SysResult};

const AF_UNIX: i32 = 1;
/// `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
const FLAGS: i32 = 0o2004000;
/// `SOCK_PACKET`, the highest type.
const LAST_TYPE: i32 = 10;

/// As a kernel built without the address family answers.
fn no_family<K: Kernel>(k: &K, domain: i32, kind: i32) -> SysResult {
    if !(1..=LAST_TYPE).contains(&(kind & !FLAGS)) {
        return Err(Errno::EINVAL);
    }
    // C libraries look for a name service daemon at every turn and do without; that is no news.
    if domain != AF_UNIX {
        k.unsupported_part("socket: there is no network yet");
    }
    Err(Errno::EAFNOSUPPORT)
}

/// socket(2)
pub fn socket<K: Kernel>(k: &K, domain: i32, kind: i32, _protocol: i32) -> SysResult {
    no_family(k, domain, kind)
}

/// socketpair(2)
pub fn socketpair<K: Kernel>(
    k: &K,
    domain: i32,
    kind: i32,
    _protocol: i32,
    _fds: UserPtr<[i32; 2]>,
) -> SysResult {
    let answer = no_family(k, domain, kind);
    // Who asks for a pair has no other way.
    k.unsupported_part("socketpair: there are no sockets yet");
    answer
}
