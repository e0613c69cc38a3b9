//! Flags of socket(2), send(2), recv(2) and their kin.

flags! {
    /// send(2) and recv(2). Linux ignores the bits that it does not know.
    MsgFlags: u32, net {
        MSG_OOB MSG_PEEK MSG_DONTROUTE MSG_CTRUNC MSG_TRUNC MSG_DONTWAIT MSG_EOR MSG_WAITALL MSG_CONFIRM MSG_ERRQUEUE
        MSG_NOSIGNAL MSG_MORE MSG_CMSG_CLOEXEC
    } also {
        MSG_WAITFORONE = 0x1_0000;
        MSG_FASTOPEN = 0x2000_0000;
        // The message comes from a 32-bit program; no program may say so itself.
        MSG_CMSG_COMPAT = 0x8000_0000;
    }
}

impl MsgFlags {
    /// What a family is told about a receipt; the rest is done above it.
    pub const RECEIVE: MsgFlags = Self::MSG_OOB
        .union(Self::MSG_PEEK)
        .union(Self::MSG_TRUNC)
        .union(Self::MSG_ERRQUEUE);
}
