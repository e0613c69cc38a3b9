use super::address::GivenAddress;
use crate::kernel::Kernel;
use crate::user::{IoBuffers, UserPtr};
use linux_abi::{Errno, IOV_MAX, MsgFlags, Msghdr};
use net::RawAddress;

/// Which of sendmsg(2) and recvmsg(2) reads the header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Send,
    Receive,
}

/// A `struct msghdr`, checked.
pub(super) struct Header {
    /// The address to send to.
    pub name: Option<GivenAddress>,
    /// Where the address of the sender goes.
    pub name_place: UserPtr<u8>,
    pub buffers: IoBuffers,
    pub control: UserPtr<u8>,
    pub controllen: u64,
}

impl Header {
    pub(super) fn read<K: Kernel>(
        k: &K,
        msg: UserPtr<Msghdr>,
        direction: Direction,
    ) -> Result<Self, Errno> {
        let raw = msg.read(k)?;
        let name_place = UserPtr::new(raw.name);
        let len = if name_place.is_null() { 0 } else { raw.namelen };
        if len < 0 {
            return Err(Errno::EINVAL);
        }
        let name = if direction == Direction::Send && len > 0 {
            // A longer one is cut, other than by sendto(2).
            let len = len.min(RawAddress::MAX as i32);
            Some(GivenAddress::read(k, name_place, len)?)
        } else {
            None
        };
        if raw.iovlen > IOV_MAX as u64 {
            return Err(Errno::EMSGSIZE);
        }
        let buffers = IoBuffers::vector(k, UserPtr::new(raw.iov), raw.iovlen as usize)?;
        Ok(Self {
            name,
            name_place,
            buffers,
            control: UserPtr::new(raw.control),
            controllen: raw.controllen,
        })
    }
}

/// Where the fields of a header are that recvmsg(2) writes.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub namelen: UserPtr<i32>,
    pub controllen: UserPtr<u64>,
    pub flags: UserPtr<u32>,
}

impl Fields {
    pub(super) fn of(msg: UserPtr<Msghdr>) -> Self {
        let at = |offset: usize| msg.addr().wrapping_add(offset as u64);
        Self {
            namelen: UserPtr::new(at(core::mem::offset_of!(Msghdr, namelen))),
            controllen: UserPtr::new(at(core::mem::offset_of!(Msghdr, controllen))),
            flags: UserPtr::new(at(core::mem::offset_of!(Msghdr, flags))),
        }
    }
}

/// Messages of 32-bit programs, of which there are none.
pub(super) fn refuse_compat(flags: MsgFlags) -> Result<(), Errno> {
    if flags.contains(MsgFlags::MSG_CMSG_COMPAT) {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}
