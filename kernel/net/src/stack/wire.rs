//! smoltcp's view of the card for TCP: a device that has at most one IP packet and that sends through `Output`.
use super::link::Features;
use super::output::Output;
use super::path::Path;
use core::num::NonZeroUsize;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

/// The largest IP packet that a card cuts, with room for what lies around it.
const LARGEST: usize = 65_000;

pub struct Wire<'a> {
    pub packet: Option<&'a [u8]>,
    pub output: &'a mut Output,
    /// The connection's whose turn it is.
    pub path: Option<&'a mut Path>,
}

pub struct Incoming<'a>(&'a [u8]);

pub struct Outgoing<'a> {
    output: &'a mut Output,
    path: Option<&'a mut Path>,
    meta: PacketMeta,
}

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let segment = self.meta.segmentation_offload_size.map(Into::into);
        self.output.build(len, segment, self.path, f)
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.meta = meta;
    }
}

impl Device for Wire<'_> {
    type RxToken<'b>
        = Incoming<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Outgoing<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let packet = self.packet.take()?;
        Some((Incoming(packet), self.outgoing()))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        self.output.link.has_room().then(|| self.outgoing())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.output.link.mtu(), self.output.link.features())
    }
}

impl Wire<'_> {
    fn outgoing(&mut self) -> Outgoing<'_> {
        Outgoing {
            output: self.output,
            path: self.path.as_deref_mut(),
            meta: PacketMeta::default(),
        }
    }
}

pub fn capabilities(mtu: usize, features: Features) -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = mtu;
    // Checked before a packet gets here, filled in after it has left: numbers may have to be translated.
    capabilities.checksum.tcp = Checksum::None;
    capabilities.checksum.ipv4 = Checksum::Tx;
    capabilities.segmentation.tcpv4 = NonZeroUsize::new(LARGEST).filter(|_| features.segment_v4);
    // Not over IPv6: smoltcp 0.14 drops what is larger than the MTU there, though the card would cut it.
    capabilities
}
