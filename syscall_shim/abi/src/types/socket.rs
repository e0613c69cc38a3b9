//! What calls on sockets exchange with the program.

abi_struct! {
    /// `struct msghdr` of the kernel (`struct user_msghdr`).
    Msghdr [56] {
        name: u64,
        namelen: i32,
        pad0: u32,
        iov: u64,
        iovlen: u64,
        control: u64,
        controllen: u64,
        flags: u32,
        pad1: u32,
    }
    /// `struct mmsghdr`, sendmmsg(2).
    Mmsghdr [64] { hdr: Msghdr, len: u32, pad: u32, }
    /// `struct cmsghdr`, cmsg(3): the length holds the header.
    Cmsghdr [16] { len: u64, level: i32, type_: i32, }
    /// `struct ucred`, unix(7).
    UserCredentials [12] { pid: i32, uid: u32, gid: u32, }
    /// `struct in_pktinfo`, ip(7).
    InPktinfo [12] { ifindex: i32, spec_dst: [u8; 4], addr: [u8; 4], }
    /// `struct in6_pktinfo`, ipv6(7).
    In6Pktinfo [20] { addr: [u8; 16], ifindex: u32, }
    /// `struct sock_extended_err`, ip(7).
    SockExtendedErr [16] { errno: u32, origin: u8, type_: u8, code: u8, pad: u8, info: u32, data: u32, }
}
