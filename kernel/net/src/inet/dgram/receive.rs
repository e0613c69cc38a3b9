//! recvmsg(2) of datagram sockets.
use super::queue::{Datagram, ErrorEntry};
use super::{Dgram, Kind};
use crate::Result;
use crate::inet::ip::Family;
use crate::inet::options::{Options, Slot};
use crate::message::{Control, Received};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use linux_abi::Errno;
use linux_abi::raw::net::{MSG_ERRQUEUE, MSG_OOB, MSG_PEEK, MSG_TRUNC};
use vfs::Sink;

const REALTIME: u32 = 0;

impl Dgram {
    pub(super) fn receive(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received> {
        if flags & MSG_ERRQUEUE != 0 {
            return self.receive_error(sink);
        }
        // UDP does not look at it.
        if flags & MSG_OOB != 0 && self.kind != Kind::Udp {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut queue = self.queue.lock();
        if let Some(error) = queue.error.take() {
            return Err(error);
        }
        let datagram = if flags & MSG_PEEK != 0 {
            queue.datagrams.front().cloned()
        } else {
            queue.pop()
        };
        let dropped = queue.dropped;
        let is_over = queue.shut_read;
        drop(queue);
        let Some(datagram) = datagram else {
            return if is_over {
                Ok(Received::default())
            } else {
                Err(Errno::EAGAIN)
            };
        };
        let (count, truncated) = put(sink, &datagram.bytes)?;
        let mut from = datagram.from;
        if self.kind != Kind::Udp {
            from.set_port(0);
        }
        let options = self.options.lock().clone();
        Ok(Received {
            count,
            full_length: datagram.bytes.len(),
            from: Some(self.show(from)),
            control: self.control(&datagram, &options, dropped),
            flags: truncated,
        })
    }

    fn control(&self, datagram: &Datagram, options: &Options, dropped: u32) -> Vec<Control> {
        let mut control = Vec::new();
        match options.get(Slot::Timestamps) {
            0 => {}
            kind => control.push(Control::Timestamp {
                nanoseconds: kind == 2,
                at: match datagram.at {
                    // It came before anybody wanted to know.
                    0 => self.network.host().clock(REALTIME),
                    at => at,
                },
            }),
        }
        if options.is_set(Slot::OverflowCount) && dropped > 0 {
            control.push(Control::Dropped(dropped));
        }
        match datagram.to {
            IpAddr::V4(to) => self.control_v4(datagram, to, options, &mut control),
            IpAddr::V6(_) => control_v6(datagram, options, &mut control),
        }
        control
    }

    fn control_v4(
        &self,
        datagram: &Datagram,
        to: Ipv4Addr,
        options: &Options,
        control: &mut Vec<Control>,
    ) {
        if options.is_set(Slot::PacketInfo) {
            let own = match to.is_multicast() || to.is_broadcast() {
                true => self.network.address_of(datagram.interface, Family::V4),
                false => Some(IpAddr::V4(to)),
            };
            control.push(Control::PacketInfo {
                index: datagram.interface,
                address: IpAddr::V4(to),
                local: match own {
                    Some(IpAddr::V4(own)) => own,
                    _ => to,
                },
            });
        }
        // An IPv6 socket learns the address in its own way.
        if self.family == Family::V6 && options.is_set(Slot::ReceivePacketInfo6) {
            control.push(Control::PacketInfo {
                index: datagram.interface,
                address: IpAddr::V6(to.to_ipv6_mapped()),
                local: to,
            });
        }
        if options.is_set(Slot::ReceiveTtl) {
            control.push(Control::HopLimit {
                v6: false,
                value: i32::from(datagram.hop_limit),
            });
        }
        if options.is_set(Slot::ReceiveTos) {
            control.push(Control::TrafficClass {
                v6: false,
                value: i32::from(datagram.traffic_class),
            });
        }
    }

    /// `MSG_ERRQUEUE`
    fn receive_error(&self, sink: &mut dyn Sink) -> Result<Received> {
        let entry = self.queue.lock().pop_error().ok_or(Errno::EAGAIN)?;
        let (count, truncated) = put(sink, &entry.bytes)?;
        Ok(Received {
            count,
            full_length: entry.bytes.len(),
            from: Some(self.show(self.shown_remote(&entry))),
            control: alloc::vec![Control::Error {
                v6: self.family == Family::V6,
                errno: u32::from(entry.errno.raw()),
                origin: entry.origin,
                kind: entry.kind,
                code: entry.code,
                offender: entry.offender,
            }],
            flags: MSG_ERRQUEUE | truncated,
        })
    }

    fn shown_remote(&self, entry: &ErrorEntry) -> SocketAddr {
        let mut remote = entry.remote;
        if self.kind != Kind::Udp {
            remote.set_port(0);
        }
        remote
    }
}

/// Gives what fits: how much, and `MSG_TRUNC` if that was not all.
fn put(sink: &mut dyn Sink, bytes: &[u8]) -> Result<(usize, u32)> {
    let count = bytes.len().min(sink.remaining());
    sink.put(bytes.get(..count).unwrap_or(bytes))?;
    let truncated = if count < bytes.len() { MSG_TRUNC } else { 0 };
    Ok((count, truncated))
}

fn control_v6(datagram: &Datagram, options: &Options, control: &mut Vec<Control>) {
    if options.is_set(Slot::ReceivePacketInfo6) {
        control.push(Control::PacketInfo {
            index: datagram.interface,
            address: datagram.to,
            local: Ipv4Addr::UNSPECIFIED,
        });
    }
    if options.is_set(Slot::ReceiveHopLimit) {
        control.push(Control::HopLimit {
            v6: true,
            value: i32::from(datagram.hop_limit),
        });
    }
    if options.is_set(Slot::ReceiveTrafficClass) {
        control.push(Control::TrafficClass {
            v6: true,
            value: i32::from(datagram.traffic_class),
        });
    }
}
