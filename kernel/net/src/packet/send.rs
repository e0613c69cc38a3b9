//! sendmsg(2) of packet sockets: a frame goes out over the card.
use super::PacketCore;
use super::observers::LOOPBACK;
use crate::Result;
use crate::address::{Address, LinkAddress};
use crate::env::Env;
use crate::message::Outgoing;
use crate::network::Interface;
use crate::socket::SocketType;
use crate::stack::packet::ETHERNET_HEADER;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::Errno;

impl PacketCore {
    pub(super) fn send(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize> {
        let to = match &message.to {
            None => None,
            Some(Address::Link(link)) => Some(*link),
            Some(_) => return Err(Errno::EINVAL),
        };
        let index = match to {
            Some(link) => link.index,
            None => self.state.lock().interface.cast_signed(),
        };
        let interface = self.network.interface(index).map_err(|_| Errno::ENXIO)?;
        if interface.index == LOOPBACK {
            env.unsupported_part("AF_PACKET: sending over lo");
            return Err(Errno::EOPNOTSUPP);
        }
        let length = message.source.remaining();
        let mut frame = match self.kind {
            SocketType::Raw => Vec::new(),
            _ => header(&interface, &to.ok_or(Errno::EINVAL)?),
        };
        let start = frame.len();
        if start + length < ETHERNET_HEADER {
            return Err(Errno::EINVAL);
        }
        if start + length > interface.mtu as usize + ETHERNET_HEADER {
            return Err(Errno::EMSGSIZE);
        }
        frame.resize(start + length, 0);
        message
            .source
            .take(frame.get_mut(start..).unwrap_or_default())?;
        let uplink = self.network.uplink().ok_or(Errno::ENXIO)?;
        uplink.transmit(&frame).inspect_err(|error| {
            if *error == Errno::EOPNOTSUPP {
                env.unsupported_part("AF_PACKET: --net user sends no frames; use --net tap");
            }
        })?;
        Ok(length)
    }
}

fn header(interface: &Interface, to: &LinkAddress) -> Vec<u8> {
    let mut header = vec![0; ETHERNET_HEADER];
    let mut put = |at, bytes: &[u8]| crate::stack::packet::write(&mut header, at, bytes);
    put(0, to.address.first_chunk::<6>().unwrap_or(&[0; 6]));
    put(6, &interface.hardware_address);
    put(12, &to.protocol.to_be_bytes());
    header
}
