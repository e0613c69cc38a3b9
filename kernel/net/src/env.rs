//! What a socket operation must know about its caller.
use crate::Result;
use linux_abi::Capability;
use vfs::InodeRef;

/// `struct ucred`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ucred {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

/// The calling thread, as far as sockets care. The shim implements it for a call.
pub trait Env {
    /// Who calls.
    fn credentials(&self) -> Ucred;

    /// bind(2) of a Unix socket to a path: makes the socket's node. `EADDRINUSE` if there is something already.
    fn make_node(&self, path: &[u8]) -> Result<InodeRef>;

    /// connect(2) to a path: the node there, which the caller may write to. `ECONNREFUSED` if it is no socket.
    fn find_node(&self, path: &[u8]) -> Result<InodeRef>;

    /// Whether the caller has the capability in effect.
    fn can(&self, capability: Capability) -> bool;

    /// A part of sockets is missing: `what` names it. Told to the user once.
    fn unsupported_part(&self, what: &'static str);
}
