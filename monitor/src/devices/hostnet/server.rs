//! Serving the device: waiting for the driver's doorbell and the host's sockets, and looking for more before the wait, since a
//! wake-up costs both sides far more than a look.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vmm_sys_util::epoll::{Epoll, EpollEvent};

use super::device::{HostNet, Look};
use super::sys;
use crate::devices::virtio::{Bell, Transport};
use crate::error::{Result, host};
use crate::outcome::Verdict;
use crate::stats::NetCounters;

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
/// Looks of an idle CPU before it goes back to the driver with something, as long as there is more: going is dear.
const ROUNDS: u32 = 8;
/// epoll counts in milliseconds, which are too coarse for the last ones before a deadline.
const COARSE: Duration = Duration::from_millis(2);

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

/// What has happened to the host's sockets.
struct Changes {
    epoll: Arc<Epoll>,
    list: Vec<EpollEvent>,
    failure: Option<io::Error>,
}

impl Changes {
    /// What answers the changes, after up to `timeout` (ms). If that is nothing it looks only when it is asked; a wait
    /// is over before, so that it keeps nobody from the device.
    fn ask<'a>(&'a mut self, timeout: i32) -> impl FnOnce() -> &'a [EpollEvent] {
        let before = (timeout != 0).then(|| self.take(timeout));
        move || {
            let count = before.unwrap_or_else(|| self.take(0));
            self.list.get(..count).unwrap_or_default()
        }
    }

    fn take(&mut self, timeout: i32) -> usize {
        match self.epoll.wait(timeout, &mut self.list) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            Err(e) => {
                self.failure = Some(e);
                0
            }
        }
    }

    /// Whether the host has answered.
    fn outcome(&mut self) -> Result<()> {
        self.failure
            .take()
            .map_or(Ok(()), |e| Err(host("epoll")(e)))
    }
}

pub struct Server {
    device: Arc<Transport<HostNet>>,
    changes: Changes,
    counters: Arc<NetCounters>,
    verdict: Arc<Verdict>,
    pace: Pace,
    /// The interrupts that the CPU has had a chance to see.
    seen: u64,
}

impl Server {
    /// `spare`: there is a CPU for the device's thread besides the guest's.
    pub fn new(
        device: Arc<Transport<HostNet>>,
        counters: Arc<NetCounters>,
        verdict: Arc<Verdict>,
        bell: &Bell,
        spare: bool,
    ) -> Result<Self> {
        let epoll = device.with_device(|net| {
            net.watch_doorbell(&device.doorbell)
                .and_then(|()| net.watch_bell(&bell.wake))
                .map(|()| net.epoll())
                .map_err(host("epoll"))
        })?;
        Ok(Self {
            device,
            changes: Changes {
                epoll,
                list: vec![EpollEvent::default(); EVENTS],
                failure: None,
            },
            counters,
            verdict,
            pace: Pace {
                time: Duration::ZERO,
                allowed: spare,
                penalty: 0,
            },
            seen: 0,
        })
    }

    /// Serves on the device's thread, until `leave` says so; that is asked after every wait.
    pub fn serve_beside(&mut self, leave: &dyn Fn() -> bool) -> Result<()> {
        let mut last = Instant::now();
        while !leave() {
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
            // The look may have heard the bell of who wants this to end.
            if self.device.serve(HostNet::listen) || leave() {
                continue;
            }
            self.counters.sleeps.add(1);
            let look = self.look(-1)?;
            if look.worked || look.more {
                self.pace.learn(last.elapsed());
            }
            last = Instant::now();
        }
        self.silence();
        Ok(())
    }

    /// Serves on a CPU's thread, until there is something for the driver, an interrupt was raised, `until`, or `leave` says so.
    /// Who has changed its answer rings the bell.
    pub fn serve_idle_cpu(
        &mut self,
        until: Option<Instant>,
        bell: &Bell,
        leave: &dyn Fn() -> bool,
    ) -> Result<()> {
        bell.attend(true);
        self.counters.visits.add(1);
        let mut wait = Duration::ZERO;
        let (mut wanted, mut rounds) = (false, 0);
        loop {
            let (look, news) = self.look_for_cpu(wait)?;
            wanted |= news;
            rounds += 1;
            let has_news = wanted && !(look.more && rounds < ROUNDS);
            if has_news || bell.raised() != self.seen || leave() {
                break;
            }
            let now = Instant::now();
            let rest = until.map(|until| until.saturating_duration_since(now));
            if rest.is_some_and(|rest| rest.is_zero()) {
                break;
            }
            if look.worked || look.more || self.device.serve(HostNet::listen) {
                wait = Duration::ZERO;
            } else {
                self.counters.sleeps.add(1);
                wait = rest.unwrap_or(Duration::MAX);
            }
        }
        bell.attend(false);
        self.seen = bell.raised();
        self.silence();
        Ok(())
    }

    /// Asks the driver not to ring: somebody will look.
    fn silence(&self) {
        self.device.serve(HostNet::silence);
    }

    /// Waits up to `timeout` (ms) for changes, and does what there is to do.
    fn look(&mut self, timeout: i32) -> Result<Look> {
        let changes = self.changes.ask(timeout);
        let look = self.device.serve(|net, rings| net.serve(rings, changes));
        self.see_to_the_end(look);
        self.changes.outcome().map(|()| look)
    }

    /// As `look`, without interrupts. `true`: the driver would have wanted one.
    fn look_for_cpu(&mut self, wait: Duration) -> Result<(Look, bool)> {
        let timeout = match wait.checked_sub(COARSE) {
            None if wait.is_zero() => 0,
            None => {
                sys::wait_readable(&*self.changes.epoll, wait);
                0
            }
            Some(_) if wait == Duration::MAX => -1,
            Some(rest) => i32::try_from(rest.as_millis() + 1).unwrap_or(i32::MAX),
        };
        let changes = self.changes.ask(timeout);
        let (look, wanted) = self
            .device
            .serve_quietly(|net, rings| net.serve(rings, changes));
        self.see_to_the_end(look);
        self.changes.outcome().map(|()| (look, wanted))
    }

    fn see_to_the_end(&self, look: Look) {
        self.device.with_device(|net| {
            net.clean_up();
            if net.leaving && !look.worked && !look.more && net.has_left() {
                net.leaving = false;
                // The main thread waits for it.
                let _ = self.verdict.wake.write(1);
            }
        });
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
