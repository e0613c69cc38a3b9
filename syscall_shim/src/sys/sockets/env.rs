use crate::kernel::Kernel;
use linux_abi::{Capability, Errno};
use net::{Env, Ucred};
use vfs::{At, FileType, InodeRef, LookupFlags, NewNode, access};

/// The calling thread, as `net` sees it.
pub(super) struct Caller<'a, K>(pub &'a K);

impl<K: Kernel> Env for Caller<'_, K> {
    fn credentials(&self) -> Ucred {
        let pid = self.0.getpid();
        self.0.process().with_identity(|id| Ucred {
            pid,
            uid: id.euid,
            gid: id.egid,
        })
    }

    fn make_node(&self, path: &[u8]) -> Result<InodeRef, Errno> {
        let cred = self.0.process().file_credentials();
        match At::cwd(self.0.fs(), &cred).make_node(path, NewNode::Socket, 0o777) {
            Err(Errno::EEXIST) => Err(Errno::EADDRINUSE),
            answer => answer,
        }
    }

    fn find_node(&self, path: &[u8]) -> Result<InodeRef, Errno> {
        let cred = self.0.process().file_credentials();
        let place = At::cwd(self.0.fs(), &cred).resolve(path, LookupFlags::FOLLOW)?;
        cred.check(&place.inode.metadata(), access::WRITE)?;
        if place.inode.kind() == FileType::Socket {
            Ok(place.inode)
        } else {
            Err(Errno::ECONNREFUSED)
        }
    }

    fn can(&self, capability: Capability) -> bool {
        self.0.process().with_identity(|id| id.can(capability))
    }

    fn unsupported_part(&self, what: &'static str) {
        self.0.unsupported_part(what);
    }
}
