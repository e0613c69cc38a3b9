//! Timers of a process: setitimer(2) and timer_create(2).

mod single;

use super::process::Process;
use super::signal;
use super::thread::Thread;
use crate::time;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use linux_abi::{Errno, RLIM_INFINITY, Siginfo, Signal};
use single::{Counts, ITIMER, Tell, Timer};
use spin::Mutex;
use syscall_shim::kernel::{Clock, Interval, ItimerKind, TimerNotify};
use syscall_shim::state::Resource;

/// The timers of a process.
#[derive(Default)]
pub struct ProcessTimers {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    itimers: [Option<Arc<Timer>>; 3],
    /// RLIMIT_CPU, once there is one.
    cpu_limit: Option<Arc<Timer>>,
    posix: BTreeMap<i32, Arc<Timer>>,
    next_id: i32,
}

impl ProcessTimers {
    /// setitimer(2) and, without `new`, getitimer(2).
    pub fn itimer(
        &self,
        process: &Arc<Process>,
        kind: ItimerKind,
        new: Option<Interval>,
    ) -> Interval {
        let (slot, counts, signal) = match kind {
            ItimerKind::Real => (0, Counts::Time { ahead: 0 }, Signal::SIGALRM),
            ItimerKind::Virtual => (1, Counts::ProcessCpu, Signal::SIGVTALRM),
            ItimerKind::Prof => (2, Counts::ProcessCpu, Signal::SIGPROF),
        };
        let timer = {
            let mut inner = self.inner.lock();
            let Some(slot) = inner.itimers.get_mut(slot) else {
                return Interval::default();
            };
            match (slot.clone(), new) {
                (Some(timer), _) => timer,
                (None, None) => return Interval::default(),
                (None, Some(_)) => slot
                    .insert(Timer::new(
                        ITIMER,
                        process,
                        counts,
                        Tell::Process(signal),
                        0,
                    ))
                    .clone(),
            }
        };
        match new {
            Some(new) => timer.set(new, false),
            None => timer.get(),
        }
    }

    /// RLIMIT_CPU may have changed.
    pub fn watch_cpu_limit(&self, process: &Arc<Process>) {
        let limit = process.state.limits.lock().current(Resource::CPU);
        let timer = {
            let mut inner = self.inner.lock();
            match &inner.cpu_limit {
                Some(timer) => timer.clone(),
                None if limit == RLIM_INFINITY => return,
                None => {
                    let timer = Timer::new(ITIMER, process, Counts::ProcessCpu, Tell::CpuLimit, 0);
                    inner.cpu_limit.insert(timer).clone()
                }
            }
        };
        // As Linux: no time at all is one second.
        let value = match limit {
            RLIM_INFINITY => 0,
            seconds => seconds.max(1).saturating_mul(time::SECOND),
        };
        let setting = Interval {
            value,
            interval: time::SECOND,
        };
        timer.set(setting, true);
    }

    /// timer_create(2).
    pub fn create(
        &self,
        process: &Arc<Process>,
        clock: Clock,
        notify: TimerNotify,
        limit: usize,
    ) -> Result<i32, Errno> {
        let counts = counts(process, clock)?;
        let mut inner = self.inner.lock();
        if inner.posix.len() >= limit {
            return Err(Errno::EAGAIN);
        }
        let id = inner.free_id().ok_or(Errno::EAGAIN)?;
        let default = id as u64;
        let (tell, value) = match notify {
            TimerNotify::None => (Tell::Nobody, default),
            TimerNotify::Signal { signal, value } => {
                (Tell::Process(signal), value.unwrap_or(default))
            }
            TimerNotify::Thread { signal, value, tid } => {
                let thread = thread_of(process, tid)?;
                (
                    Tell::Thread(signal, Arc::downgrade(&thread)),
                    value.unwrap_or(default),
                )
            }
        };
        inner
            .posix
            .insert(id, Timer::new(id, process, counts, tell, value));
        Ok(id)
    }

    fn find(&self, id: i32) -> Result<Arc<Timer>, Errno> {
        self.inner
            .lock()
            .posix
            .get(&id)
            .cloned()
            .ok_or(Errno::EINVAL)
    }

    /// timer_settime(2): the old setting. A signal of it that has not been taken is about the past.
    pub fn set(
        &self,
        process: &Process,
        id: i32,
        absolute: bool,
        new: Interval,
    ) -> Result<Interval, Errno> {
        let timer = self.find(id)?;
        signal::discard_of_timer(process, id);
        Ok(timer.set(new, absolute))
    }

    /// timer_gettime(2).
    pub fn get(&self, id: i32) -> Result<Interval, Errno> {
        Ok(self.find(id)?.get())
    }

    /// timer_getoverrun(2).
    pub fn overrun(&self, id: i32) -> Result<u32, Errno> {
        Ok(self.find(id)?.last_overrun())
    }

    /// timer_delete(2).
    pub fn delete(&self, process: &Process, id: i32) -> Result<(), Errno> {
        let timer = self.inner.lock().posix.remove(&id).ok_or(Errno::EINVAL)?;
        timer.disarm();
        signal::discard_of_timer(process, id);
        Ok(())
    }

    /// All end: those of setitimer(2) with the process, the others already by execve(2).
    pub fn clear(&self) {
        let itimers = core::mem::take(&mut self.inner.lock().itimers);
        itimers
            .into_iter()
            .flatten()
            .for_each(|timer| timer.disarm());
        self.clear_posix();
    }

    /// Those of timer_create(2) end.
    pub fn clear_posix(&self) {
        let posix = core::mem::take(&mut self.inner.lock().posix);
        posix.into_values().for_each(|timer| timer.disarm());
    }

    /// A signal is being taken from the queue: one of a timer gets the number of overruns until now.
    pub fn delivered(&self, info: &mut Siginfo) {
        if info.code != linux_abi::SI_TIMER {
            return;
        }
        let Ok(timer) = self.find(info.pid()) else {
            return;
        };
        let overrun = timer.take_overrun();
        info.fields[0] = (info.fields[0] & 0xffff_ffff) | u64::from(overrun) << 32;
    }
}

impl Inner {
    /// A number that no timer has, going round.
    fn free_id(&mut self) -> Option<i32> {
        for _ in 0..=self.posix.len() {
            let id = self.next_id;
            self.next_id = id.checked_add(1).unwrap_or(0);
            if !self.posix.contains_key(&id) {
                return Some(id);
            }
        }
        None
    }
}

fn thread_of(process: &Arc<Process>, tid: i32) -> Result<Arc<Thread>, Errno> {
    Thread::find(tid)
        .filter(|thread| Arc::ptr_eq(&thread.process, process))
        .ok_or(Errno::EINVAL)
}

fn counts(process: &Arc<Process>, clock: Clock) -> Result<Counts, Errno> {
    match clock {
        Clock::Realtime | Clock::RealtimeAlarm | Clock::Tai | Clock::RealtimeCoarse => {
            Ok(Counts::Time {
                ahead: time::realtime_offset(),
            })
        }
        Clock::Monotonic
        | Clock::MonotonicRaw
        | Clock::MonotonicCoarse
        | Clock::Boottime
        | Clock::BoottimeAlarm => Ok(Counts::Time { ahead: 0 }),
        Clock::ProcessCpu(pid) if pid == 0 || pid == process.pid => Ok(Counts::ProcessCpu),
        Clock::ProcessCpu(_) => Err(Errno::EINVAL),
        Clock::ThreadCpu(0) => Ok(Counts::ThreadCpu(
            crate::percpu::current()
                .arc()
                .map_or_else(Weak::new, |thread| Arc::downgrade(&thread)),
        )),
        Clock::ThreadCpu(tid) => {
            thread_of(process, tid).map(|thread| Counts::ThreadCpu(Arc::downgrade(&thread)))
        }
    }
}
