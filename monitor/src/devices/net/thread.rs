//! The card's own thread: it looks for work while there is some, and sleeps on the doorbell and the tap otherwise.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Instant;

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use super::Net;
use super::patience::Patience;
use crate::devices::spawn as spawn_device;
use crate::devices::virtio::Transport;
use crate::error::{Result, host};
use crate::outcome::Verdict;
use crate::{host as host_system, tap};

const DOORBELL: u64 = 0;
const TAP: u64 = 1;

struct NetThread {
    net: Arc<Transport<Net>>,
    epoll: Epoll,
    patience: Patience,
    /// There is a CPU for it while the guest runs on another.
    polls: bool,
}

/// Starts it.
pub fn spawn(
    net: Arc<Transport<Net>>,
    verdict: Arc<Verdict>,
    prepare: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<()> {
    let mut thread = NetThread::new(net)?;
    spawn_device("net", verdict, prepare, move || thread.run())
}

impl NetThread {
    fn new(net: Arc<Transport<Net>>) -> Result<Self> {
        let epoll = Epoll::new().map_err(host("epoll"))?;
        let add = |fd, set, data| {
            epoll
                .ctl(ControlOperation::Add, fd, EpollEvent::new(set, data))
                .map_err(host("epoll"))
        };
        add(net.doorbell.as_raw_fd(), EventSet::IN, DOORBELL)?;
        // Edges only: a frame that the guest has no buffer for must not wake the thread again and again. None is lost,
        // since the tap is looked at after each wake-up, whatever woke.
        let edges = EventSet::IN | EventSet::OUT | EventSet::EDGE_TRIGGERED;
        add(net.with_device(|net| net.tap().as_raw_fd()), edges, TAP)?;
        Ok(Self {
            net,
            epoll,
            patience: Patience::new(),
            polls: host_system::cpus() > 1,
        })
    }

    fn run(&mut self) -> Result<()> {
        let mut events = [EpollEvent::default(); 2];
        loop {
            self.serve();
            let count = match self.epoll.wait(-1, &mut events) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => 0,
                result => result.map_err(host("epoll_wait"))?,
            };
            if events
                .iter()
                .take(count)
                .any(|event| event.data() == DOORBELL)
            {
                self.net.answer_doorbell();
            }
        }
    }

    /// Works until nothing has come for a while and the driver knows that it must ring.
    fn serve(&mut self) {
        let mut last = Instant::now();
        let mut worked = false;
        loop {
            self.net.with_device(tell_tap);
            if self.net.process().again {
                let now = Instant::now();
                if worked {
                    self.patience.rewarded(now - last);
                }
                (last, worked) = (now, true);
                continue;
            }
            if self.polls && worked && !self.patience.is_over(last.elapsed()) {
                std::hint::spin_loop();
                continue;
            }
            self.net.with_device(|net| net.resting = true);
            if !self.net.process().again {
                if worked {
                    self.patience.disappointed();
                }
                return;
            }
            last = Instant::now();
            worked = true;
        }
    }
}

/// Lets the host send what the driver has agreed to take.
fn tell_tap(net: &mut Net) {
    if let Some(features) = net.take_stale_features()
        && let Err(e) = tap::set_offload(net.tap().as_fd(), features)
    {
        crate::terminal::message(
            format!("compat-monitor: the tap interface refuses offloads: {e}\n").as_bytes(),
        );
    }
}
