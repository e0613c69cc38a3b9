//! Takes records from time to time, on the device thread, which must not wait for a reader.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};

use super::Trace;
use crate::devices::console::Console;
use crate::devices::virtio::Transport;
use crate::terminal;

pub struct TraceEvents {
    pub trace: Arc<Trace>,
    pub console: Arc<Transport<Console>>,
}

impl MutEventSubscriber for TraceEvents {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        let timer = Events::new_raw(self.trace.timer.as_fd().as_raw_fd(), EventSet::IN);
        if let Err(e) = ops.add(timer) {
            terminal::message(format!("compat-monitor: cannot watch the trace: {e}\n").as_bytes());
        }
    }

    fn process(&mut self, _: Events, _: &mut EventOps<'_>) {
        let _ = self.trace.timer.wait();
        if !self.trace.look() {
            let line = format!("{} off", boot_abi::LINE_TRACE);
            self.console.with_device(|console| console.tell(line));
            // Overflow is out of reach; the console looks when it is rung.
            let _ = self.console.doorbell.write(1);
        }
    }
}
