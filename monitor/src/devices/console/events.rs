//! Connects the console to the event loop: doorbell, and the host's streams while they are waited for.

use std::os::fd::RawFd;
use std::sync::Arc;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};

use super::{Console, Wants};
use crate::devices::virtio::Transport;

pub struct ConsoleEvents {
    console: Arc<Transport<Console>>,
    watched: Wants,
}

impl ConsoleEvents {
    pub fn new(console: Arc<Transport<Console>>) -> Self {
        Self {
            console,
            watched: Wants::default(),
        }
    }

    /// Watches exactly what is wanted: a hung-up descriptor reports itself for as long as it is registered.
    fn watch(&mut self, wants: Wants, ops: &mut EventOps<'_>) {
        change(&mut self.watched.stdin, wants.stdin, EventSet::IN, ops);
        change(&mut self.watched.stdout, wants.stdout, EventSet::OUT, ops);
        change(&mut self.watched.stderr, wants.stderr, EventSet::OUT, ops);
        if wants.again {
            let _ = self.console.doorbell.write(1);
        }
    }
}

fn change(now: &mut Option<RawFd>, wanted: Option<RawFd>, set: EventSet, ops: &mut EventOps<'_>) {
    if *now == wanted {
        return;
    }
    if let Some(fd) = now.take() {
        // A descriptor that was closed has left by itself.
        let _ = ops.remove(Events::empty_raw(fd));
    }
    if let Some(fd) = wanted {
        match ops.add(Events::new_raw(fd, set)) {
            Ok(()) => *now = wanted,
            Err(e) => crate::terminal::message(
                format!("compat-monitor: cannot wait for a stream: {e}\n").as_bytes(),
            ),
        }
    }
}

impl MutEventSubscriber for ConsoleEvents {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        if let Err(e) = ops.add(Events::new(&self.console.doorbell, EventSet::IN)) {
            crate::terminal::message(
                format!("compat-monitor: cannot watch the console: {e}\n").as_bytes(),
            );
        }
    }

    fn process(&mut self, event: Events, ops: &mut EventOps<'_>) {
        if self.watched.stdin == Some(event.fd()) {
            self.console
                .with_device(|console| console.input_ready = true);
        } else {
            self.console.answer_doorbell();
        }
        let wants = self.console.process();
        self.watch(wants, ops);
    }
}
