//! What a packet socket's filter (`SO_ATTACH_FILTER`) sees of a packet.
use crate::bpf::{Ancillary, Data, Width};

/// Offsets from here on are not into the packet: `SKF_LL_OFF`, `SKF_NET_OFF`.
const LINK_OFFSET: u32 = -0x20_0000_i32 as u32;
const NETWORK_OFFSET: u32 = -0x10_0000_i32 as u32;

/// What a program looks at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// From the link's header on.
    pub frame: &'a [u8],
    /// Where offset 0 is: at the link's header or behind it.
    pub start: usize,
    /// Where the network header is.
    pub network: usize,
    /// In host byte order.
    pub protocol: u16,
    pub packet_type: u8,
    pub hardware_type: u16,
    pub interface: u32,
}

impl Data for View<'_> {
    fn length(&self) -> u32 {
        self.frame.len().saturating_sub(self.start) as u32
    }

    /// Bytes of the packet, in network byte order. None: there are none.
    fn load(&self, width: Width, offset: u32) -> Option<u32> {
        let at = match offset {
            NETWORK_OFFSET.. => self.network + (offset - NETWORK_OFFSET) as usize,
            LINK_OFFSET.. => (offset - LINK_OFFSET) as usize,
            _ => self.start + offset as usize,
        };
        let bytes = self.frame.get(at..)?;
        match width {
            Width::Word => bytes.first_chunk().map(|raw| u32::from_be_bytes(*raw)),
            Width::Half => bytes
                .first_chunk()
                .map(|raw| u16::from_be_bytes(*raw).into()),
            Width::Byte => bytes.first().map(|byte| u32::from(*byte)),
        }
    }

    fn ancillary(&self, what: Ancillary) -> u32 {
        match what {
            Ancillary::Protocol => self.protocol.into(),
            Ancillary::PacketType => self.packet_type.into(),
            Ancillary::Interface => self.interface,
            Ancillary::HardwareType => self.hardware_type.into(),
            Ancillary::Zero | Ancillary::XorX => 0,
        }
    }
}
