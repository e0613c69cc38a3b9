//! The card: what it offers, and one pass over its queues.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use virtio_bindings::virtio_ids::VIRTIO_ID_NET;
use virtio_bindings::virtio_net::*;

use super::header::has;
use super::receive::{self, Flow, Mode, Receive};
use super::transmit::{self, Transmit};
use super::{HEADER, LONGEST_FRAME, QUEUE_SIZE};
use crate::devices::virtio::{Device, DeviceError, Rings};
use crate::pcap::Capture;

const FEATURES: [u32; 12] = [
    VIRTIO_NET_F_CSUM,
    VIRTIO_NET_F_GUEST_CSUM,
    VIRTIO_NET_F_MTU,
    VIRTIO_NET_F_MAC,
    VIRTIO_NET_F_GUEST_TSO4,
    VIRTIO_NET_F_GUEST_TSO6,
    VIRTIO_NET_F_GUEST_ECN,
    VIRTIO_NET_F_HOST_TSO4,
    VIRTIO_NET_F_HOST_TSO6,
    VIRTIO_NET_F_HOST_ECN,
    VIRTIO_NET_F_MRG_RXBUF,
    VIRTIO_NET_F_STATUS,
];
/// Ethernet and VLAN headers.
const LINK_HEADERS: usize = 18;
/// Where the status lies in the configuration: u8 mac[6], u16 status, u16 max_virtqueue_pairs, u16 mtu.
const STATUS: usize = 6;

/// What a pass found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// Call again at once: something moved, so more may come.
    pub again: bool,
}

pub struct Net {
    /// The tap, or what stands for it: each read and write is a frame behind a header.
    tap: OwnedFd,
    receive: Receive,
    transmit: Transmit,
    features: u64,
    /// The tap does not know yet what the driver can take.
    offload_stale: bool,
    mtu: u16,
    config: [u8; 12],
    capture: Option<Arc<Capture>>,
    gone: bool,
    silent: bool,
    /// The next pass asks the driver to ring: the thread wants to sleep.
    pub resting: bool,
}

impl Net {
    pub fn new(tap: OwnedFd, mac: [u8; 6], mtu: u16, capture: Option<Arc<Capture>>) -> Self {
        let (up, pairs) = (
            (VIRTIO_NET_S_LINK_UP as u16).to_le_bytes(),
            1u16.to_le_bytes(),
        );
        let mut config = [0; 12];
        let fields = [&mac[..], &up, &pairs, &mtu.to_le_bytes()].concat();
        config
            .iter_mut()
            .zip(fields)
            .for_each(|(to, from)| *to = from);
        Self {
            tap,
            receive: Receive::new(),
            transmit: Transmit::default(),
            features: 0,
            offload_stale: false,
            mtu,
            config,
            capture,
            gone: false,
            silent: false,
            resting: false,
        }
    }

    pub fn tap(&self) -> &OwnedFd {
        &self.tap
    }

    /// What the tap must be told, if it does not know yet: the features in force.
    pub fn take_stale_features(&mut self) -> Option<u64> {
        std::mem::take(&mut self.offload_stale).then_some(self.features)
    }

    fn mode(&self) -> Mode {
        let segments = has(self.features, VIRTIO_NET_F_GUEST_TSO4)
            || has(self.features, VIRTIO_NET_F_GUEST_TSO6);
        Mode {
            mergeable: has(self.features, VIRTIO_NET_F_MRG_RXBUF),
            expected: HEADER
                + if segments {
                    LONGEST_FRAME
                } else {
                    LINK_HEADERS + usize::from(self.mtu)
                },
        }
    }

    fn silence(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        if !std::mem::replace(&mut self.silent, true) {
            rings.silence(receive::QUEUE)?;
            rings.silence(transmit::QUEUE)?;
        }
        Ok(())
    }

    /// Asks to be rung. Answers whether there is something to do already.
    fn listen(&mut self, rings: &mut Rings<'_>, starved: bool) -> Result<bool, DeviceError> {
        self.silent = false;
        let sent = !self.transmit.is_blocked() && rings.listen(transmit::QUEUE)?;
        Ok(sent | (starved && rings.listen(receive::QUEUE)?))
    }

    /// The interface was deleted: the cable is out, for good.
    fn unplug(&mut self, rings: &Rings<'_>) {
        self.gone = true;
        if let Some(status) = self.config.get_mut(STATUS..STATUS + 2) {
            status.fill(0);
        }
        rings.config_changed();
    }
}

impl Device for Net {
    type Wants = Wants;
    const ID: u32 = VIRTIO_ID_NET;
    const QUEUES: &'static [u16] = &[QUEUE_SIZE; 2];

    fn features(&self) -> u64 {
        FEATURES.iter().fold(0, |all, bit| all | 1 << bit)
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn start(&mut self, features: u64) {
        self.features = features;
        self.offload_stale = true;
    }

    fn reset(&mut self) {
        self.features = 0;
        self.silent = false;
        self.receive.reset();
        self.transmit.reset();
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let (rx, tx) = (&self.receive, &self.transmit);
        vec![
            ("rx_packets", rx.packets),
            ("rx_bytes", rx.bytes),
            ("rx_dropped", rx.dropped),
            ("tx_packets", tx.packets),
            ("tx_bytes", tx.bytes),
            ("tx_dropped", tx.dropped),
        ]
    }

    fn process(&mut self, rings: &mut Rings<'_>) -> Result<Wants, DeviceError> {
        let resting = std::mem::take(&mut self.resting);
        if !resting {
            self.silence(rings)?;
        }
        let (mode, capture) = (self.mode(), self.capture.as_deref());
        let mut again = self
            .transmit
            .run(rings, self.tap.as_fd(), self.features, capture)?;
        let mut starved = false;
        if !self.gone {
            let (flow, frames) = self.receive.run(rings, self.tap.as_fd(), mode, capture)?;
            again |= frames > 0 || flow == Flow::More;
            starved = flow == Flow::Starved;
            if flow == Flow::Gone {
                self.unplug(rings);
            }
        }
        if resting {
            again |= self.listen(rings, starved)?;
        }
        Ok(Wants { again })
    }
}
