//! The thread of the device.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::device::HostNet;
use super::server::Server;
use super::sys;
use super::turns::Turns;
use crate::devices::spawn;
use crate::devices::virtio::{Bell, Transport};
use crate::error::Result;
use crate::outcome::Verdict;
use crate::stats::NetCounters;
use crate::terminal;

/// What a program has sent before its end may take this long to leave.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who serves the device, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The thread, which has a CPU for itself and looks for a while before it sleeps.
    Looking,
    /// A CPU of the guest, while all of them idle.
    IdleCpu,
}

impl Service {
    /// For a machine with so many CPUs.
    pub fn choose(cpus: u32) -> Self {
        // One for the thread, and one for whoever is at the other end.
        if crate::host::cpus() >= cpus as usize + 2 {
            Self::Looking
        } else {
            Self::IdleCpu
        }
    }
}

/// Makes what serves the device. Some: an idle CPU is to help.
pub fn serve(
    device: Arc<Transport<HostNet>>,
    counters: Arc<NetCounters>,
    verdict: Arc<Verdict>,
    bell: Arc<Bell>,
    service: Service,
    prepare: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<Option<Arc<Turns>>> {
    let looks = service == Service::Looking;
    let mut server = Server::new(device, counters, Arc::clone(&verdict), &bell, looks)?;
    if looks {
        spawn("net", verdict, prepare, move || {
            server.serve_beside(&|| false)
        })?;
        return Ok(None);
    }
    let turns = Turns::new(server, bell);
    let thread = Arc::clone(&turns);
    spawn("net", verdict, prepare, move || thread.run())?;
    Ok(Some(turns))
}

/// The machine has ended: waits until what the program sent has left, as the kernel of a host would see to it.
pub fn see_out(net: &Transport<HostNet>, verdict: &Verdict) {
    if !net.is_running() {
        return;
    }
    net.with_device(|net| net.leaving = true);
    // Cannot overflow.
    let _ = net.doorbell.write(1);
    let start = Instant::now();
    while net.with_device(|net| net.leaving) && !verdict.is_hurried() {
        let Some(rest) = PATIENCE.checked_sub(start.elapsed()) else {
            terminal::message(
                b"compat-monitor: a peer did not take all that the program had sent before it ended\n",
            );
            return;
        };
        if sys::wait_readable(&verdict.wake, rest) {
            let _ = verdict.wake.read();
        }
    }
}
