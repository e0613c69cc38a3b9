use super::{HEADER, align};
use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use linux_abi::raw::if_arp::PACKET_AUXDATA;
use linux_abi::raw::net::{
    IP_PKTINFO, IP_RECVERR, IP_TOS, IP_TTL, IPV6_HOPLIMIT, IPV6_PKTINFO, IPV6_RECVERR, IPV6_TCLASS,
    SCM_CREDENTIALS, SCM_RIGHTS, SCM_TIMESTAMP, SCM_TIMESTAMPNS, SO_RXQ_OVFL, SOL_IP, SOL_IPV6,
    SOL_PACKET, SOL_SOCKET,
};
use linux_abi::zerocopy::IntoBytes;
use linux_abi::{
    Cmsghdr, Errno, In6Pktinfo, InPktinfo, MsgFlags, SockExtendedErr, Timespec, Timeval,
    UserCredentials,
};
use net::{Address, Control};
use vfs::File;

/// Puts control messages where recvmsg(2) wants them.
pub(in crate::sys::sockets) struct ControlWriter<'a, K> {
    k: &'a K,
    place: UserPtr<u8>,
    left: usize,
    written: usize,
    cloexec: bool,
    truncated: bool,
}

impl<'a, K: Kernel> ControlWriter<'a, K> {
    pub(in crate::sys::sockets) fn new(
        k: &'a K,
        place: UserPtr<u8>,
        len: u64,
        flags: MsgFlags,
    ) -> Self {
        Self {
            k,
            place,
            left: if place.is_null() { 0 } else { len as usize },
            written: 0,
            cloexec: flags.contains(MsgFlags::MSG_CMSG_CLOEXEC),
            truncated: false,
        }
    }

    /// `MSG_CTRUNC`
    pub(in crate::sys::sockets) fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// `msg_controllen`
    pub(in crate::sys::sockets) fn written(&self) -> u64 {
        self.written as u64
    }

    pub(in crate::sys::sockets) fn put(&mut self, control: Control) {
        match control {
            Control::Rights(files) => self.put_rights(files),
            Control::Credentials(who) => self.put_socket(
                SCM_CREDENTIALS,
                UserCredentials {
                    pid: who.pid,
                    uid: who.uid,
                    gid: who.gid,
                }
                .as_bytes(),
            ),
            Control::Timestamp { nanoseconds, at } => self.put_time(nanoseconds, at),
            Control::PacketAuxiliary {
                status,
                length,
                kept,
                network,
            } => self.put_auxiliary([status, length, kept], network),
            Control::Dropped(count) => self.put_socket(SO_RXQ_OVFL, count.as_bytes()),
            Control::PacketInfo {
                index,
                address,
                local,
            } => self.put_packet_info(index, address, local),
            Control::HopLimit { v6: false, value } => self.bytes(SOL_IP, IP_TTL, value.as_bytes()),
            Control::HopLimit { v6: true, value } => {
                self.bytes(SOL_IPV6, IPV6_HOPLIMIT, value.as_bytes());
            }
            // One byte, other than all the rest.
            Control::TrafficClass { v6: false, value } => {
                self.bytes(SOL_IP, IP_TOS, &[value as u8]);
            }
            Control::TrafficClass { v6: true, value } => {
                self.bytes(SOL_IPV6, IPV6_TCLASS, value.as_bytes());
            }
            Control::Error {
                v6,
                errno,
                origin,
                kind,
                code,
                offender,
            } => {
                let error = SockExtendedErr {
                    errno,
                    origin,
                    type_: kind,
                    code,
                    ..SockExtendedErr::default()
                };
                self.put_error(v6, &error, offender);
            }
        }
    }

    fn put_socket(&mut self, kind: u32, data: &[u8]) {
        self.bytes(SOL_SOCKET, kind, data);
    }

    fn put_time(&mut self, nanoseconds: bool, at: u64) {
        let at = crate::sys::time::signed(at);
        if nanoseconds {
            self.put_socket(SCM_TIMESTAMPNS, Timespec::from_ns(at).as_bytes());
        } else {
            self.put_socket(SCM_TIMESTAMP, Timeval::from_ns(at).as_bytes());
        }
    }

    /// `struct tpacket_auxdata`, of a machine without VLANs; the link's header is at 0.
    fn put_auxiliary(&mut self, numbers: [u32; 3], network: u16) {
        let mut data = Vec::from(numbers.as_bytes());
        data.extend_from_slice([0, network, 0, 0].as_bytes());
        self.bytes(SOL_PACKET, PACKET_AUXDATA, &data);
    }

    fn put_packet_info(&mut self, index: u32, address: IpAddr, local: Ipv4Addr) {
        match address {
            IpAddr::V4(address) => {
                let info = InPktinfo {
                    ifindex: index as i32,
                    spec_dst: local.octets(),
                    addr: address.octets(),
                };
                self.bytes(SOL_IP, IP_PKTINFO, info.as_bytes());
            }
            IpAddr::V6(address) => {
                let info = In6Pktinfo {
                    addr: address.octets(),
                    ifindex: index,
                };
                self.bytes(SOL_IPV6, IPV6_PKTINFO, info.as_bytes());
            }
        }
    }

    /// After the error lies the offender's address, all zero if nobody knows it.
    fn put_error(&mut self, v6: bool, error: &SockExtendedErr, offender: Option<IpAddr>) {
        let mut data = Vec::from(error.as_bytes());
        let (level, kind, room) = if v6 {
            (SOL_IPV6, IPV6_RECVERR, 28)
        } else {
            (SOL_IP, IP_RECVERR, 16)
        };
        let end = data.len() + room;
        if let Some(offender) = offender {
            data.extend_from_slice(Address::Inet(address_of(offender, v6)).encode().as_bytes());
        }
        data.resize(end, 0);
        self.bytes(level, kind, &data);
    }

    /// `put_cmsg`: one message, cut if there is no room for all of it.
    fn bytes(&mut self, level: u32, kind: u32, data: &[u8]) {
        if self.left < HEADER {
            self.truncated = true;
            return;
        }
        let len = HEADER + data.len();
        self.truncated |= len > self.left;
        let len = len.min(self.left);
        let part = data.get(..len - HEADER).unwrap_or(data);
        // As on Linux, a message that cannot be stored is left out, and what was received counts all the same.
        if self.store(level, kind, len, |place| place.write_slice(self.k, part)) {
            self.advance(len);
        }
    }

    /// The header, and after it what `data` stores.
    fn store(
        &self,
        level: u32,
        kind: u32,
        len: usize,
        data: impl FnOnce(UserPtr<u8>) -> Result<(), Errno>,
    ) -> bool {
        let header = Cmsghdr {
            len: len as u64,
            level: level as i32,
            type_: kind as i32,
        };
        data(self.place.at(HEADER)).is_ok() && self.place.cast().write(self.k, &header).is_ok()
    }

    fn advance(&mut self, len: usize) {
        let space = align(len).min(self.left);
        self.place = self.place.at(space);
        self.left -= space;
        self.written += space;
    }

    /// `SCM_RIGHTS`: descriptors for as many files as there is room for; the others are closed.
    fn put_rights(&mut self, files: Vec<Arc<File>>) {
        let room = self.left.saturating_sub(HEADER) / size_of::<i32>();
        let wanted = files.len();
        let place: UserPtr<i32> = self.place.at(HEADER).cast();
        let mut count = 0;
        for file in files.into_iter().take(room) {
            if self.receive_file(file, place.at(count)).is_err() {
                break;
            }
            count += 1;
        }
        let len = HEADER + count * size_of::<i32>();
        if count > 0 && self.store(SOL_SOCKET, SCM_RIGHTS, len, |_| Ok(())) {
            self.advance(len);
        }
        self.truncated |= count < wanted;
    }

    fn receive_file(&self, file: Arc<File>, place: UserPtr<i32>) -> Result<(), Errno> {
        let fd = self.k.files().insert(file, self.cloexec)?;
        place.write(self.k, &fd).inspect_err(|_| {
            drop(self.k.files().close(fd));
        })
    }
}

/// The address as a socket of that version shows it.
fn address_of(ip: IpAddr, v6: bool) -> SocketAddr {
    match ip {
        IpAddr::V4(ip) if v6 => SocketAddrV6::new(ip.to_ipv6_mapped(), 0, 0, 0).into(),
        IpAddr::V6(ip) if !v6 => {
            SocketAddr::from((ip.to_ipv4().unwrap_or(Ipv4Addr::UNSPECIFIED), 0))
        }
        ip => SocketAddr::new(ip, 0),
    }
}
