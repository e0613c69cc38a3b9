//! Clocks and timers.

use super::Caller;
use crate::task::Thread;
use crate::time;
use linux_abi::Errno;
use syscall_shim::kernel::{Clock, Interval, ItimerKind, Time, TimerNotify};
use syscall_shim::state::Resource;

impl Caller<'_> {
    /// CPU time of a process (0: the caller's).
    fn process_cpu(&self, pid: i32) -> Result<u64, Errno> {
        let process = self.find_process(pid).ok_or(Errno::EINVAL)?;
        Ok(process.cpu_time())
    }

    /// CPU time of a thread of this process (0: the caller).
    fn thread_cpu(&self, tid: i32) -> Result<u64, Errno> {
        if tid == 0 {
            return Ok(self.thread().cpu_time());
        }
        let thread =
            Thread::find(tid).filter(|thread| thread.process.pid == self.thread().process.pid);
        thread.map(|thread| thread.cpu_time()).ok_or(Errno::EINVAL)
    }
}

impl Time for Caller<'_> {
    fn monotonic(&self) -> u64 {
        time::monotonic()
    }

    fn clock_gettime(&self, clock: Clock) -> Result<u64, Errno> {
        match clock {
            // Nobody told the leap seconds: TAI runs with UTC, as on Linux without a time server.
            Clock::Realtime | Clock::RealtimeCoarse | Clock::RealtimeAlarm | Clock::Tai => {
                Ok(time::realtime())
            }
            Clock::Monotonic
            | Clock::MonotonicRaw
            | Clock::MonotonicCoarse
            | Clock::Boottime
            | Clock::BoottimeAlarm => Ok(time::monotonic()),
            Clock::ProcessCpu(pid) => self.process_cpu(pid),
            Clock::ThreadCpu(tid) => self.thread_cpu(tid),
        }
    }

    fn clock_getres(&self, clock: Clock) -> Result<u64, Errno> {
        // All are the TSC, the coarse ones too.
        self.clock_gettime(clock).map(|_| 1)
    }

    fn setitimer(&self, kind: ItimerKind, new: Option<Interval>) -> Result<Interval, Errno> {
        let process = &self.thread().process;
        Ok(process.timers.itimer(process, kind, new))
    }

    fn timer_create(&self, clock: Clock, notify: TimerNotify) -> Result<i32, Errno> {
        let process = &self.thread().process;
        let limit = process.state.limits.lock().current(Resource::SIGPENDING);
        process
            .timers
            .create(process, clock, notify, limit as usize)
    }

    fn timer_settime(&self, timer: i32, absolute: bool, new: Interval) -> Result<Interval, Errno> {
        let process = &self.thread().process;
        process.timers.set(process, timer, absolute, new)
    }

    fn timer_gettime(&self, timer: i32) -> Result<Interval, Errno> {
        self.thread().process.timers.get(timer)
    }

    fn timer_getoverrun(&self, timer: i32) -> Result<u32, Errno> {
        self.thread().process.timers.overrun(timer)
    }

    fn timer_delete(&self, timer: i32) -> Result<(), Errno> {
        let process = &self.thread().process;
        process.timers.delete(process, timer)
    }
}
