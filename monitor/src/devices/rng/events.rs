//! Wakes the device when the driver rings.

use std::sync::Arc;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};

use super::Rng;
use crate::devices::virtio::Transport;

pub struct RngEvents(pub Arc<Transport<Rng>>);

impl MutEventSubscriber for RngEvents {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        // Fails only when the kernel has no memory; the guest then waits, as for a slow device.
        let _ = ops.add(Events::new(&self.0.doorbell, EventSet::IN));
    }

    fn process(&mut self, _: Events, _: &mut EventOps<'_>) {
        self.0.answer_doorbell();
        self.0.process();
    }
}
