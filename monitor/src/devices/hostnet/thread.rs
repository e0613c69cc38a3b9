//! The thread that serves the device: it waits for the driver's doorbell and the host's sockets, and looks for more by itself for
//! a while before it does, since a wake-up costs both sides far more than a look.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vmm_sys_util::epoll::{Epoll, EpollEvent};

use super::device::{HostNet, Look};
use super::sys;
use crate::devices::virtio::Transport;
use crate::error::{Error, Result, host};
use crate::outcome::Verdict;
use crate::stats::NetCounters;
use crate::terminal;

/// The longest time of looking before a sleep. Tune by a benchmark of many small requests.
const POLL_MOST: Duration = Duration::from_micros(200);
/// The first time of looking, once sleeps turn out to be short.
const POLL_FIRST: Duration = Duration::from_micros(50);
/// Looks at memory only between two looks at the host's sockets, and how long it pauses between them.
const LOOKS_AT_MEMORY: u32 = 4;
const PAUSES: u32 = 16;
/// Two looks that are so far apart had another thread between them: the CPUs are wanted, and a sleeper gets one sooner than a thread
/// that looks (or yields) all the time.
const PREEMPTED: Duration = Duration::from_micros(100);
/// Sleeps before looking is tried again then.
const PENALTY: u32 = 64;
/// Changes taken from epoll at once.
const EVENTS: usize = 256;
/// What a program has sent before its end may take this long to leave.
const PATIENCE: Duration = Duration::from_secs(2);
const STACK: usize = 256 << 10;

/// How long to look before sleeping: longer when sleeps are short, not at all when they are long.
#[derive(Debug)]
struct Pace {
    time: Duration,
    /// There is a CPU for it while the guest runs on another.
    allowed: bool,
    /// So many sleeps before it is tried again.
    penalty: u32,
}

impl Pace {
    /// It took this long from the last work to the next.
    fn learn(&mut self, idle: Duration) {
        if !self.allowed {
            return;
        }
        if self.penalty != 0 {
            self.penalty -= 1;
            return;
        }
        if idle > POLL_MOST {
            self.time /= 2;
            if self.time < POLL_FIRST / 2 {
                self.time = Duration::ZERO;
            }
        } else if idle > self.time {
            self.time = (self.time * 2).clamp(POLL_FIRST, POLL_MOST);
        }
    }

    /// Others want the CPU.
    fn back_off(&mut self) {
        self.time = Duration::ZERO;
        self.penalty = PENALTY;
    }
}

/// `prepare` runs on the new thread, before anything else.
pub fn spawn(
    device: Arc<Transport<HostNet>>,
    counters: Arc<NetCounters>,
    verdict: Arc<Verdict>,
    prepare: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<()> {
    let epoll = device.with_device(|net| {
        net.watch_doorbell(&device.doorbell)
            .map(|()| net.epoll())
            .map_err(host("epoll"))
    })?;
    let server = Server {
        device,
        epoll,
        counters,
        verdict: Arc::clone(&verdict),
        pace: Pace {
            time: Duration::ZERO,
            allowed: crate::host::cpus() > 1,
            penalty: 0,
        },
        events: vec![EpollEvent::default(); EVENTS],
    };
    let body = move || {
        let result = prepare().and_then(|()| server.run());
        if let Err(e) = result {
            verdict.give(crate::outcome::Outcome::Failed(e.to_string()));
        }
    };
    std::thread::Builder::new()
        .name("net".to_owned())
        .stack_size(STACK)
        .spawn(body)
        .map_err(host("cannot start a thread"))?;
    Ok(())
}

struct Server {
    device: Arc<Transport<HostNet>>,
    epoll: Arc<Epoll>,
    counters: Arc<NetCounters>,
    verdict: Arc<Verdict>,
    pace: Pace,
    events: Vec<EpollEvent>,
}

impl Server {
    fn run(mut self) -> Result<()> {
        let mut last = Instant::now();
        loop {
            let look = self.look(0)?;
            if look.worked || look.more {
                self.pace.learn(last.elapsed());
                last = Instant::now();
                continue;
            }
            let before = Instant::now();
            if before - last < self.pace.time {
                self.counters.polls.add(1);
                self.pause();
                if before.elapsed() > PREEMPTED {
                    self.pace.back_off();
                }
                continue;
            }
            if self.device.serve(HostNet::listen) {
                continue;
            }
            self.counters.sleeps.add(1);
            let look = self.look(-1)?;
            if look.worked || look.more {
                self.pace.learn(last.elapsed());
            }
            last = Instant::now();
        }
    }

    /// Waits up to `timeout` (ms) for changes, and does what there is to do.
    fn look(&mut self, timeout: i32) -> Result<Look> {
        let count = match self.epoll.wait(timeout, &mut self.events) {
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => 0,
            Err(source) => {
                return Err(Error::Host {
                    what: "epoll",
                    source,
                });
            }
        };
        let events = self.events.get(..count).unwrap_or_default();
        let look = self.device.serve(|net, rings| net.serve(rings, events));
        self.device.with_device(|net| {
            net.clean_up();
            if net.leaving && !look.worked && !look.more && net.has_left() {
                net.leaving = false;
                // The main thread waits for it.
                let _ = self.verdict.wake.write(1);
            }
        });
        Ok(look)
    }

    /// Looks a few times whether the driver has something.
    fn pause(&self) {
        for _ in 0..LOOKS_AT_MEMORY {
            if self.device.serve(|net, rings| net.has_news(rings)) {
                return;
            }
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_sleeps_are_worth_looking() {
        let mut pace = Pace {
            time: Duration::ZERO,
            allowed: true,
            penalty: 0,
        };
        pace.learn(Duration::from_secs(1));
        assert_eq!(pace.time, Duration::ZERO);
        for _ in 0..3 {
            pace.learn(pace.time + Duration::from_micros(1));
        }
        assert_eq!(pace.time, POLL_MOST);
        for _ in 0..4 {
            pace.learn(Duration::from_secs(1));
        }
        assert_eq!(pace.time, Duration::ZERO);
        pace.learn(Duration::from_micros(1));
        pace.back_off();
        for _ in 0..PENALTY {
            pace.learn(Duration::from_micros(1));
            assert_eq!(pace.time, Duration::ZERO);
        }
        pace.learn(Duration::from_micros(1));
        assert_eq!(pace.time, POLL_FIRST);
    }
}
